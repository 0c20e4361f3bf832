//! Data sets of one's own, from outside: what the program says of them, trains on them and keeps of them.

use std::{fs, path::Path};

use assert_cmd::{Command, assert::Assert};
use predicates::{prelude::*, str::contains};
use serde_json::Value;
use tempfile::TempDir;

const SIDE: usize = 8;

fn write_idx(path: &Path, dims: &[usize], bytes: &[u8]) {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|&length| (length as u32).to_be_bytes()));
    file.extend(bytes);
    fs::write(path, file).expect("the folder can be written");
}

/// 240 pictures to train on and 60 to test with, in three channels and six classes with the labels 1, 2, 3 and 7, 8, 9:
/// which channel is bright, in which half.
fn write_colour(folder: &Path, prefix: &str) {
    fs::create_dir_all(folder).expect("the temporary folder can be written");
    for (split, count) in [("train", 240), ("test", 60)] {
        let classes: Vec<usize> = (0..count).map(|sample| sample * 5 % 6).collect();
        let bytes: Vec<u8> = classes
            .iter()
            .flat_map(|class| (0..SIDE * SIDE * 3).map(move |i| (class, i / 3 / SIDE / (SIDE / 2), i % 3)))
            .map(|(&class, half, channel)| if (class % 3, class / 3) == (channel, half) { 210 } else { 15 })
            .collect();
        let labels: Vec<u8> = classes.iter().map(|&class| [1, 2, 3, 7, 8, 9][class]).collect();
        write_idx(&folder.join(format!("{prefix}{split}-images-idx4-ubyte")), &[count, SIDE, SIDE, 3], &bytes);
        write_idx(&folder.join(format!("{prefix}{split}-labels.idx1-ubyte")), &[count], &labels);
    }
}

fn run(place: &TempDir, arguments: &str) -> Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rectify"));
    // A sentence is a line, so that it is found whole.
    command.env("COLUMNS", "1000");
    command.args(arguments.split_whitespace()).current_dir(place.path()).env_remove("RECTIFY_DATA").assert()
}

fn json(assert: &Assert) -> Value {
    serde_json::from_slice(&assert.get_output().stdout).expect("stdout is JSON and nothing else")
}

fn colourful() -> TempDir {
    let place = TempDir::new().expect("there is a temporary folder");
    write_colour(&place.path().join("colour"), "");
    place
}

#[test]
fn colour_and_labels_of_ones_own_go_from_training_to_evaluation() {
    let place = colourful();
    let note = "no training label is 4 to 6: the 6 classes are those labelled 1 to 3, 7 to 9";
    for model in ["mlp", "cnn"] {
        let train =
            format!("train --dataset colour --model {model} --hidden 16 --batch-size 12 --epochs 8 --out {model}");
        let trained = run(&place, &train).success();
        let stderr = String::from_utf8_lossy(&trained.get_output().stderr).into_owned();
        assert_eq!(stderr.matches(note).count(), 1, "{stderr}");

        let scores =
            run(&place, &format!("eval {model}/runs/relu-seed0 --format json")).success().stderr(contains(note));
        let scores = json(&scores);
        assert_eq!((&scores["test_accuracy"], &scores["validation_accuracy"]), (&1.0.into(), &1.0.into()), "{model}");
        run(&place, &format!("eval {model}/runs/relu-seed0 --quiet")).success().stderr("");

        let checkpoint = place.path().join(format!("{model}/runs/relu-seed0/checkpoint/checkpoint.json"));
        let text = fs::read_to_string(&checkpoint).expect("a checkpoint is described");
        let described: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (&described["channels"], &described["class_labels"]),
            (&3.into(), &serde_json::json!([1, 2, 3, 7, 8, 9]))
        );
    }
}

#[test]
fn a_checkpoint_refuses_other_channels_and_labels_and_takes_fewer() {
    let place = colourful();
    run(&place, "train --dataset colour --hidden 16 --batch-size 12 --epochs 8 --out out").success();
    let eval = |set: &str| run(&place, &format!("eval out/runs/relu-seed0 --format json --dataset {set}"));
    let folder = |name: &str, dims: &[usize], label: &dyn Fn(usize) -> u8| {
        let folder = place.path().join(name);
        fs::create_dir(&folder).expect("it is new");
        let bytes: Vec<u8> = (0..dims.iter().product()).map(|i| if i % 3 == 0 { 210 } else { 15 }).collect();
        for split in ["train", "t10k"] {
            let labels: Vec<u8> = (0..dims[0]).map(label).collect();
            write_idx(&folder.join(format!("{split}-images-idx4-ubyte")), dims, &bytes);
            write_idx(&folder.join(format!("{split}-labels-idx1-ubyte")), &dims[..1], &labels);
        }
    };
    folder("grey", &[10, SIDE, SIDE, 1], &|_| 1);
    eval("grey")
        .failure()
        .code(1)
        .stderr(contains("pictures of 8 × 8, and the checkpoint takes pictures of 8 × 8 × 3 channels"));
    folder("others", &[10, SIDE, SIDE, 3], &|sample| [1, 4, 8, 10][sample % 4]);
    eval("others").failure().code(1).stderr(contains("labels 4, 10").and(contains("knows only 1 to 3, 7 to 9")));
    // The classes 8 and 2 are the fifth and second of training, whatever they are among themselves.
    folder("fewer", &[10, SIDE, SIDE, 3], &|sample| [8, 2][sample % 2]);
    eval("fewer").success();
}

#[test]
fn a_checkpoint_from_before_there_were_channels_is_read() {
    let place = TempDir::new().expect("there is a temporary folder");
    let folder = place.path().join("grey");
    fs::create_dir(&folder).expect("it is new");
    for (split, count) in [("train", 60), ("t10k", 20)] {
        let labels: Vec<u8> = (0..count).map(|sample| (sample % 2) as u8).collect();
        let bytes: Vec<u8> = labels.iter().flat_map(|label| [label * 200; 16]).collect();
        write_idx(&folder.join(format!("{split}-images-idx3-ubyte")), &[count, 4, 4], &bytes);
        write_idx(&folder.join(format!("{split}-labels-idx1-ubyte")), &[count], &labels);
    }
    run(&place, "train --dataset grey --model cnn --hidden 4 --batch-size 6 --epochs 2 --out out").success();
    let before = run(&place, "eval out/runs/relu-seed0 --format json").success();
    let path = place.path().join("out/runs/relu-seed0/checkpoint/checkpoint.json");
    let mut checkpoint: Value = serde_json::from_slice(&fs::read(&path).expect("it is there")).expect("JSON");
    let fields = checkpoint.as_object_mut().expect("an object");
    // What came with the second version, its seal among it.
    for field in ["channels", "class_labels", "schema_version", "sha256", "model"] {
        assert!(fields.remove(field).is_some(), "{field}");
    }
    fs::write(&path, checkpoint.to_string()).expect("it can be written");
    let after = run(&place, "eval out/runs/relu-seed0 --format json").success();
    assert_eq!(json(&before), json(&after));
}

#[test]
fn data_shows_a_folder_and_its_notes() {
    let place = colourful();
    run(&place, "data colour")
        .success()
        .stdout(
            contains("pictures of 8 × 8 × 3 channels, 6 classes labelled 1 to 3, 7 to 9").and(contains("40 40").not()),
        )
        .stderr(contains("no training label is 4 to 6"));
    let sets = json(&run(&place, "data colour --format json --quiet").success().stderr(""));
    let contents = &sets[0]["contents"];
    assert_eq!(
        (&sets[0]["name"], &contents["channels"], &contents["classes"]),
        (&"colour".into(), &3.into(), &6.into())
    );
    assert!(contents["notes"][0].as_str().is_some_and(|note| note.contains("no training label")));

    write_colour(&place.path().join("many"), "emnist-letters-");
    write_colour(&place.path().join("many"), "emnist-digits-");
    run(&place, "data many")
        .failure()
        .code(1)
        .stderr(contains("choose one: `many/emnist-digits`, `many/emnist-letters`"));
    run(&place, "data many/emnist-letters").success().stdout(contains("many/emnist-letters: many, "));
    let steps = "--hidden 4 --batch-size 12 --steps 1 --quiet";
    run(&place, &format!("train --dataset many/emnist-letters {steps} --out out")).success().stderr("");
    run(&place, "eval out/runs/relu-seed0").success();
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_whose_name_is_not_utf8_is_refused_by_its_flag() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let place = colourful();
    let name = OsStr::from_bytes(b"caf\xe9");
    fs::rename(place.path().join("colour"), place.path().join(name)).expect("Linux takes any bytes");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rectify"));
        command.args(arguments).arg(name).current_dir(place.path()).assert()
    };
    run(&["train", "--dataset"]).failure().code(2).stderr(contains("'--dataset <SET>'").and(contains("not UTF-8")));
    run(&["eval", "out", "--dataset"]).failure().code(2).stderr(contains("--dataset").and(contains("not UTF-8")));
    run(&["data"]).failure().code(2).stderr(contains("[SET]").and(contains("not UTF-8")));
    // From inside it can be used.
    let mut inside = Command::new(env!("CARGO_BIN_EXE_rectify"));
    inside.args(["data", "."]).current_dir(place.path().join(name)).assert().success();
}
