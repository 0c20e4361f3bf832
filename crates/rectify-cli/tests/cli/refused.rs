//! What is refused, with what would work.

use super::*;

#[test]
fn settings_out_of_range_are_wrong_usage_and_named() {
    let place = Place::new();
    for (flags, parts) in [
        ("--activations relu,rleu", &["unknown activation `rleu`", "relu", "hard-swish", "sigmoid"][..]),
        ("--activations leaky-relu:x", &["leaky-relu:x", "not a finite number"]),
        ("--activations relu,relu", &["activations", "`relu` is named twice"]),
        ("--lr=-0.1", &["lr: must be positive, got -0.1"]),
        ("--lr nan", &["lr: must be positive, got NaN"]),
        ("--lr fast", &["--lr", "fast"]),
        ("--hidden 0", &["hidden: a layer has at least 1 unit, got 0", "none"]),
        ("--hidden 8,0", &["hidden: a layer has at least 1 unit, got 0"]),
        ("--hidden 8,,8", &["--hidden", "is not a number of units"]),
        ("--hidden 100000", &["hidden", "at most 65536"]),
        ("--model rnn", &["unknown model `rnn`", "mlp, cnn"]),
        ("--init best", &["unknown initialisation `best`", "he-normal", "normal:STD"]),
        ("--init normal:-1", &["normal:-1", "not negative"]),
        ("--optimizer lbfgs", &["unknown optimizer `lbfgs`", "sgd, momentum, adam, adamw"]),
        ("--dtype f8", &["unknown dtype `f8`", "f32"]),
        ("--momentum 1", &["momentum: must be in 0..1, got 1"]),
        ("--weight-decay=-1", &["weight_decay: must not be negative, got -1"]),
        ("--clip-norm 0", &["clip_norm: must be positive, got 0"]),
        ("--batch-size 0", &["batch_size: must be at least 1, got 0"]),
        ("--seeds 0", &["seeds: must be at least 1, got 0"]),
        ("--seed 1,1", &["seed: 1 is given twice"]),
        ("--seed 18446744073709551615", &["is over 9223372036854775807"]),
        ("--steps 18446744073709551615", &["is over 9223372036854775807"]),
        ("--seeds 2 --seed 1", &["--seeds", "--seed"]),
        ("--patience 0", &["patience: must be at least 1, got 0"]),
        ("--vectorise --norm batch", &["vectorise: batches", "not with --norm batch"]),
        ("--vectorise --model cnn", &["vectorise: batches", "not with --model cnn"]),
        ("--sweep vectorise=true,false", &["vectorise", "no result depends on it"]),
        ("--threads 0", &["threads: must be at least 1, got 0"]),
        ("--jobs 0", &["jobs: must be at least 1, got 0"]),
        ("--train-size 0", &["train_size: must be at least 1, got 0"]),
        ("--probe-every never", &["`never` is not off, epoch or a number of steps"]),
        ("--backend abacus", &["unknown backend `abacus`", "flex"]),
        ("--backend flex:1", &["flex:1", "takes no number"]),
        ("--format yaml", &["--format", "yaml", "json"]),
        ("--speed 3", &["--speed"]),
    ] {
        place.refuses(&format!("compare --out out {flags}"), 2, parts);
    }
    place.refuses("contrast", 2, &["contrast"]);
    assert!(!place.path("out").exists(), "nothing was begun");
}

#[test]
fn a_wrong_config_file_is_told_with_its_name_and_place() {
    let place = Place::new();
    for (text, parts) in [
        ("lerning_rate = 0.1\n", &["unknown setting `lerning_rate`; did you mean `lr`?"][..]),
        ("lr = \"fast\"\n", &["lr", "fast"]),
        ("lr = \n", &["line 1"]),
        ("activations = [\"rleu\"]\n", &["unknown activation `rleu`"]),
        ("model = \"rnn\"\n", &["unknown model `rnn`"]),
    ] {
        fs::write(place.path("config.toml"), text).expect("it can be written");
        let parts = [&["--config config.toml"], parts].concat();
        place.refuses("compare --config config.toml --out out", 2, &parts);
    }
    fs::write(place.path("config.toml"), "lr = -1.0\n").expect("it can be written");
    place.refuses("compare --config config.toml --out out", 2, &["lr: must be positive, got -1"]);
    place.refuses("compare --config nowhere.toml --out out", 2, &["--config nowhere.toml", "No such file"]);
    assert!(!place.path("out").exists(), "nothing was begun");
}

#[test]
fn a_data_set_that_cannot_be_used_is_a_failure_and_leaves_nothing_behind() {
    let place = Place::new();
    let mnist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/mnist/train-images-idx3-ubyte.gz");
    let mnist = fs::read(mnist).expect("it is in the repository");
    // What becomes of `digits`, and what is said of it.
    type Damage<'a> = &'a dyn Fn(&Path);
    let write =
        |folder: &Path, file: usize, bytes: &[u8]| fs::write(folder.join(FILES[file]), bytes).expect("writable");
    let cases: [(&str, Damage, &[&str]); 7] = [
        ("gzip", &|folder| write(folder, 0, &mnist[..100_000]), &[FILES[0], "gzip stream", "unexpected end of file"]),
        ("magic", &|folder| write(folder, 0, b"\x89PNG\r\n\x1a\n"), &[FILES[0], "magic"]),
        (
            "counts",
            &|folder| write_idx(&folder.join(FILES[1]), &[239], vec![0; 239]),
            &[FILES[1], "239 labels for 240 images"],
        ),
        ("label", &|folder| write_idx(&folder.join(FILES[3]), &[60], vec![10; 60]), &[FILES[3], "label 10", "0 to 9"]),
        ("absent", &|folder| fs::remove_file(folder.join(FILES[2])).expect("it was there"), &["absent", FILES[2]]),
        (
            "size",
            &|folder| write_idx(&folder.join(FILES[2]), &[60, 2, 2], vec![0; 240]),
            &[FILES[2], "2 × 2", "12 × 12"],
        ),
        ("empty", &|folder| write(folder, 0, b""), &[FILES[0], "the file is empty"]),
    ];
    for (name, damage, parts) in cases {
        place.write_digits(name);
        damage(&place.path(name));
        place.refuses(&format!("compare --dataset {name} --out out"), 1, parts);
    }
    place.refuses("compare --dataset nowhere --out out", 2, &["`nowhere`", "neither a known set", "mnist"]);
    place.refuses("compare --dataset digits --train-size 217 --out out", 2, &["train_size", "1..=216", "217"]);
    assert!(!place.path("out").exists(), "nothing was begun");
}

#[test]
fn pictures_too_small_for_the_cnn_are_refused() {
    let place = Place::new();
    fs::create_dir(place.path("tiny")).expect("it is new");
    for (files, count) in [(&FILES[..2], 40), (&FILES[2..], 20)] {
        let pixels = (0..count * 2 * 3).map(|i| i as u8).collect();
        write_idx(&place.path("tiny").join(files[0]), &[count, 2, 3], pixels);
        write_idx(&place.path("tiny").join(files[1]), &[count], (0..count).map(|i| (i % 10) as u8).collect());
    }
    place.run("train --dataset tiny --hidden 4 --steps 1 --out mlp").success();
    place.refuses("train --dataset tiny --model cnn --hidden 4 --steps 1 --out cnn", 2, &["model", "4 × 4", "2 × 3"]);
    assert!(!place.path("cnn").exists(), "nothing was begun");
}

#[test]
fn a_backend_that_is_not_here_is_told_with_those_that_are() {
    let place = Place::new();
    let backends = json(&place.run("backends --format json").success());
    for backend in backends.as_array().expect("a list of backends") {
        let name = backend["name"].as_str().expect("a name");
        let arguments = format!("compare {SMALL} --steps 1 --backend {name} --out out");
        if backend["compiled_in"] == false {
            let feature = format!("--features {name}");
            place.refuses(&arguments, 2, &[name, "not compiled in", &feature, "this machine can run flex"]);
        } else if backend["adapters"].as_array().is_some_and(Vec::is_empty) {
            place.refuses(&arguments, 2, &[name, "this machine can run flex"]);
        }
    }
    place.refuses(
        &format!("compare {SMALL} --backend wgpu:99 --out out"),
        2,
        &["wgpu:99", "this machine can run flex"],
    );
    if cfg!(not(feature = "remote")) {
        for arguments in [format!("compare {SMALL} --backend remote:gpu-box:3000 --out out"), "serve".to_owned()] {
            place.refuses(&arguments, 2, &["`remote` is not compiled in: build with `--features remote`"]);
        }
    }
    assert!(!place.path("out").exists(), "nothing was begun");
}

#[test]
fn an_out_that_is_taken_is_left_as_it_was() {
    let place = Place::new();
    fs::write(place.path("file"), "precious").expect("it can be written");
    place.refuses(&format!("compare {SMALL} --out file"), 2, &["file: is a file, not a folder", "--out"]);
    place.refuses(&format!("compare {SMALL} --out file/inside"), 2, &["file/inside"]);
    assert_eq!(place.read("file"), "precious");

    place.run(&format!("train {SMALL} --epochs 1 --out out")).success();
    let names = ["config.toml", "results.json", "report.html", "runs/relu-seed0/metrics.jsonl"];
    let before = names.map(|name| place.read(&format!("out/{name}")));
    place.refuses(&format!("train {SMALL} --epochs 2 --out out"), 2, &["out: holds an experiment already", "--out"]);
    assert_eq!(before, names.map(|name| place.read(&format!("out/{name}"))));
    place.run("eval out/runs/relu-seed0").success();

    fs::create_dir(place.path("notes")).expect("it is new");
    fs::write(place.path("notes/todo"), "precious").expect("it can be written");
    place.run(&format!("train {SMALL} --epochs 1 --out notes")).success();
    assert_eq!(place.read("notes/todo"), "precious");
}

#[test]
#[cfg(unix)]
fn an_out_that_cannot_be_written_is_a_failure_that_names_it() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    fs::create_dir(place.path("locked")).expect("it is new");
    fs::set_permissions(place.path("locked"), fs::Permissions::from_mode(0o555)).expect("it is ours");
    if fs::write(place.path("locked/probe"), "").is_ok() {
        println!("skipped: this user writes wherever it wants");
        return;
    }
    place.refuses(&format!("train {SMALL} --epochs 1 --out locked/out"), 1, &["locked/out", "denied"]);
    place.refuses(&format!("train {SMALL} --epochs 1 --out locked"), 1, &["locked", "denied"]);
}
