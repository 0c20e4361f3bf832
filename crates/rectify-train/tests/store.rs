//! What lies on disk is whole, comes back to the bit, or is an error that names it.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use burn::{module::Module, tensor::Device};
use proptest::prelude::*;
use rectify_train::{
    activation::Activation,
    environment,
    experiment::{Dtype, Experiment, ModelKind},
    network::{Model, Shape},
    record::{DataRecord, Epoch, Layer, Run, SCHEMA_VERSION, Status, StepLosses, StepProbe},
    store::{
        Checkpoint, Line, Lock, Mark, MetricsWriter, RunFolder, RunRecord, SavedCheckpoint, Stage, StoreError, atomic,
        difference, find, is_locked, load_state, metrics, remove_state, run_name, save_state,
    },
};
use tempfile::TempDir;

fn place() -> TempDir {
    tempfile::tempdir().expect("there is a folder for temporary files")
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

fn message<T>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(_) => panic!("it is an error"),
        Err(error) => error.to_string(),
    }
}

/// The file with a bit of each byte flipped, and cut off behind each byte, must be an error that names it.
fn each_damage_is_an_error(file: &Path, read: &dyn Fn() -> Result<(), StoreError>) {
    read().expect("the file is sound");
    let sound = fs::read(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let check = |damaged: &[u8], how: String| {
        fs::write(file, damaged).unwrap();
        match read() {
            Ok(()) => panic!("{name}: {how}, and it is read"),
            Err(error) => assert!(error.to_string().contains(name), "{how}: {error}"),
        }
    };
    let stride = sound.len().div_ceil(3000);
    for place in (0..sound.len()).step_by(stride) {
        // Where a seal is, all bits.
        let bits = if place < 100 { 0..8 } else { place % 8..place % 8 + 1 };
        for bit in bits {
            let mut damaged = sound.clone();
            damaged[place] ^= 1 << bit;
            check(&damaged, format!("bit {bit} of byte {place} is flipped"));
        }
        check(&sound[..place], format!("cut off behind {place} bytes"));
    }
    fs::write(file, sound).unwrap();
    read().expect("the file is sound again");
}

#[test]
fn a_file_is_written_whole_with_the_umasks_permissions_and_nothing_beside_it() {
    let place = place();
    let (path, other) = (place.path().join("file"), place.path().join("other"));
    atomic::write(&path, b"old").unwrap();
    atomic::write(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        File::create(&other).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&other));
    }
    fs::create_dir(place.path().join("folder")).unwrap();
    assert!(message(atomic::write(&place.path().join("folder"), b"text")).contains("folder"));
    let nowhere = place.path().join("nowhere/file");
    let error = message(atomic::write(&nowhere, b"text"));
    assert!(error.starts_with(&format!("{}: ", nowhere.display())) && !error.contains("rectify-new"), "{error}");
    assert!(names(place.path()).iter().all(|name| !name.starts_with('.')));
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_is_replaced_without_a_moment_without_one() {
    let place = place();
    let target = place.path().join("state");
    let put = |text: &str| {
        atomic::write_folder(&target, |folder| {
            fs::write(folder.join("file"), text).unwrap();
            Ok(())
        })
        .unwrap()
    };
    put("0");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                assert!(target.join("file").exists(), "the folder is away");
                looks += 1;
            }
            looks
        });
        (1..=100).for_each(|i| put(&i.to_string()));
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("the folder was always there") > 0);
    });
    assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "100");
    assert_eq!(names(place.path()), ["state"]);
}

#[test]
fn a_folder_that_cannot_be_filled_leaves_the_old_one() {
    let place = place();
    let target = place.path().join("checkpoint");
    atomic::write_folder(&target, |folder| atomic::write(&folder.join("file"), b"old")).unwrap();
    let full = |folder: &Path| StoreError::Io { path: folder.join("file"), cause: io::ErrorKind::StorageFull.into() };
    let error = message(atomic::write_folder(&target, |folder| Err(full(folder))));
    assert_eq!(error, format!("disk full: {}", target.display()));
    assert_eq!(fs::read(target.join("file")).unwrap(), b"old");
    assert_eq!(names(place.path()), ["checkpoint"]);
}

#[test]
fn what_the_operating_system_refuses_is_said_in_words() {
    let error = |kind: io::ErrorKind| StoreError::Io { path: "out/file".into(), cause: kind.into() }.to_string();
    assert_eq!(error(io::ErrorKind::StorageFull), "disk full: out/file");
    assert_eq!(error(io::ErrorKind::QuotaExceeded), "disk quota exceeded: out/file");
    assert_eq!(error(io::ErrorKind::ReadOnlyFilesystem), "read-only file system: out/file");
    assert_eq!(error(io::ErrorKind::PermissionDenied), "permission denied: out/file");
    let hostile = StoreError::Io { path: "o'ü/\u{1b}[31m\u{202e}\n".into(), cause: io::ErrorKind::StorageFull.into() };
    assert_eq!(hostile.to_string(), "disk full: o'ü/\\u{1b}[31m\\u{202e}\\n");
}

#[test]
fn a_second_lock_is_refused_with_the_firsts_process_and_a_stale_one_does_not_block() {
    let place = place();
    let file = place.path().join("lock");
    fs::write(&file, r#"{"process":1,"host":"elsewhere"}"#).unwrap();
    assert!(!is_locked(place.path()));
    let lock = Lock::acquire(place.path()).expect("nobody holds it");
    assert!(is_locked(place.path()));
    let error = message(Lock::acquire(place.path()));
    assert!(error.contains(&format!("in use by process {} on ", std::process::id())), "{error}");
    assert!(error.contains(place.path().to_str().unwrap()), "{error}");
    drop(lock);
    assert!(!file.exists());
    assert!(!is_locked(place.path()));
    Lock::acquire(place.path()).expect("it is free again");
}

/// Starts one of the ignored tests below in a process of its own and waits for its word that it has begun.
fn start(test: &str, folder: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("RECTIFY_TEST_FOLDER", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("begun")), "{test} has begun");
    child
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The folder that [`start`] names; `None` if somebody runs all ignored tests.
fn given_folder() -> Option<PathBuf> {
    std::env::var_os("RECTIFY_TEST_FOLDER").map(PathBuf::from)
}

fn begun() {
    println!("begun");
    io::stdout().flush().unwrap();
}

#[test]
#[ignore = "a process that the next test starts"]
fn holds_a_lock_until_it_is_killed() {
    let Some(folder) = given_folder() else { return };
    let _lock = Lock::acquire(&folder).expect("nobody holds it");
    begun();
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_process_is_kept_out_while_another_works_and_let_in_when_that_is_killed() {
    let place = place();
    let other = start("holds_a_lock_until_it_is_killed", place.path());
    let error = message(Lock::acquire(place.path()));
    assert!(error.contains(&format!("process {} on ", other.id())), "{error}");
    kill(other);
    assert!(place.path().join("lock").exists(), "it was killed before it could clear up");
    Lock::acquire(place.path()).expect("a killed process holds nothing");
}

fn epoch(epoch: usize) -> Epoch {
    let layer = Layer {
        layer: "hidden.0".to_owned(),
        weight_rms: Some(0.1 + 0.2),
        unit_nonzero_fraction: vec![0.1, f32::from_bits(1), 1.0 / 3.0, 16_777_217.0],
        ..Layer::default()
    };
    let train_loss = Some(f64::from_bits(0x3fd5_5555_5555_5555 + epoch as u64));
    Epoch { epoch, step: 10 * epoch, train_loss, layers: vec![layer], ..Epoch::default() }
}

fn lines() -> Vec<Line> {
    vec![
        Line::Epoch(epoch(0)),
        Line::Losses(StepLosses { step: 1, losses: vec![2.3, f64::INFINITY] }),
        Line::Step(StepProbe { step: 2, loss: None, layers: Vec::new() }),
        Line::Epoch(epoch(1)),
    ]
}

fn write_lines(path: &Path, lines: &[Line]) -> Mark {
    let mut writer = MetricsWriter::open(path, &Mark::default()).unwrap();
    lines.iter().for_each(|line| writer.append(line).unwrap());
    writer.sync().unwrap();
    writer.mark()
}

#[test]
fn metrics_are_flat_lines_that_come_back_to_the_bit() {
    let place = place();
    let path = place.path().join("metrics.jsonl");
    let mark = write_lines(&path, &lines());
    assert_eq!(metrics::read(&path).unwrap(), (lines(), None));
    mark.verify(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let beginnings = [r#"{"kind":"epoch","epoch":0,"step":0,"#, r#"{"kind":"losses","step":1,"losses":[2.3,"#];
    for (line, beginning) in text.lines().zip(beginnings) {
        assert!(line.starts_with(beginning), "{line}");
    }
}

#[test]
fn metrics_of_the_first_version_are_read() {
    let place = place();
    let path = place.path().join("metrics.jsonl");
    let text = "{\"epoch\":{\"epoch\":0,\"step\":0,\"seconds\":0.0,\"train_loss\":2.5,\"layers\":[]}}\n\
                {\"step\":{\"step\":7,\"loss\":2.25,\"layers\":[]}}\n";
    fs::write(&path, text).unwrap();
    let epoch = Epoch { train_loss: Some(2.5), ..Epoch::default() };
    let step = StepProbe { step: 7, loss: Some(2.25), layers: Vec::new() };
    assert_eq!(metrics::read(&path).unwrap(), (vec![Line::Epoch(epoch), Line::Step(step)], None));
}

#[test]
fn a_torn_last_line_is_dropped_with_a_note_wherever_it_was_torn() {
    let place = place();
    let path = place.path().join("metrics.jsonl");
    write_lines(&path, &lines());
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for length in last + 1..whole.len() - 1 {
        fs::write(&path, &whole[..length]).unwrap();
        let (read, note) = metrics::read(&path).unwrap();
        assert_eq!(read, lines()[..3], "{length} bytes");
        let note = note.expect("a line was dropped");
        assert!(note.contains("metrics.jsonl") && note.contains("line 4"), "{note}");
    }
    // Only the line's end is missing: nothing is lost.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(metrics::read(&path).unwrap(), (lines(), None));
}

#[test]
fn a_line_that_cannot_be_read_is_an_error_with_file_and_number() {
    let place = place();
    let path = place.path().join("metrics.jsonl");
    write_lines(&path, &lines());
    let whole = fs::read_to_string(&path).unwrap();
    let deep = "[".repeat(100_000);
    let replacements = [
        "",
        "nonsense",
        "{}",
        r#"{"kind":"epoch"}"#,
        r#"{"kind":"relu"}"#,
        "\u{0}\u{0}",
        &deep,
        r#"{"kind":"losses","#,
    ];
    for replacement in replacements {
        let mut text: Vec<&str> = whole.lines().collect();
        text[1] = replacement;
        fs::write(&path, text.join("\n") + "\n").unwrap();
        let error = message(metrics::read(&path));
        assert!(error.contains("metrics.jsonl: line 2 "), "{error}");
    }
}

#[test]
fn metrics_that_go_on_at_a_mark_end_as_if_nothing_had_happened() {
    let place = place();
    let (path, whole) = (place.path().join("metrics.jsonl"), place.path().join("whole.jsonl"));
    let lines = lines();
    let end = write_lines(&whole, &lines);
    for kept in 0..lines.len() {
        let mut writer = MetricsWriter::open(&path, &Mark::default()).unwrap();
        lines[..kept].iter().for_each(|line| writer.append(line).unwrap());
        let mark = writer.mark();
        // What came after the mark was lost, and half a line with it.
        writer.append(&Line::Epoch(epoch(9))).unwrap();
        drop(writer);
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"kind\":").unwrap();

        let mut writer = MetricsWriter::open(&path, &mark).unwrap();
        lines[kept..].iter().for_each(|line| writer.append(line).unwrap());
        assert_eq!(writer.mark(), end);
        assert_eq!(fs::read(&path).unwrap(), fs::read(&whole).unwrap());
    }
}

#[test]
fn metrics_that_changed_before_their_mark_are_an_error_and_stay() {
    let place = place();
    let path = place.path().join("metrics.jsonl");
    let mark = write_lines(&path, &lines());
    each_damage_is_an_error(&path, &|| mark.verify(&path));
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"behind the mark").unwrap();
    let mut changed = fs::read(&path).unwrap();
    changed[20] ^= 1;
    for damaged in [&changed[..], &changed[..100]] {
        fs::write(&path, damaged).unwrap();
        let error = message(MetricsWriter::open(&path, &mark));
        assert!(error.contains("metrics.jsonl") && error.contains("torn"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}

#[test]
fn plain_names_of_runs_stay_as_they_are() {
    for (activation, name) in [
        ("relu", "relu-seed0"),
        ("leaky-relu:0.1", "leaky-relu-0.1-seed0"),
        ("leaky-relu:-0.1", "leaky-relu--0.1-seed0"),
        ("relu:leaky=0.1", "relu-leaky-0.1-seed0"),
        ("relu:leaky=-1e-3", "relu-leaky--1e-3-seed0"),
        ("relu:guided", "relu-guided-seed0"),
        ("gelu-tanh", "gelu-tanh-seed0"),
        ("elu:1e-5", "elu-1e-5-seed0"),
        ("hard-swish", "hard-swish-seed0"),
    ] {
        assert_eq!(run_name(activation, 0), name);
    }
    assert_eq!(run_name("relu", u64::MAX), "relu-seed18446744073709551615");
}

fn assert_safe(name: &str) {
    assert!(name.len() < 128, "{name}");
    let harmless = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._+".contains(&byte);
    assert!(name.bytes().all(harmless) && !name.starts_with(['.', '-']), "{name}");
}

#[test]
fn names_of_runs_are_safe_and_no_two_are_the_same_whatever_activations_are_called() {
    let long = "a".repeat(10_000);
    let longer = "a".repeat(10_001);
    let hashed = run_name("relu?", 0);
    let hashed = hashed.trim_end_matches("-seed0");
    let activations = [
        "relu",
        "ReLU",
        "RELU",
        "relu ",
        " relu",
        "relu:",
        "relu-",
        "relu=",
        "relu:leaky=0.1",
        "relu:leaky-0.1",
        "relu-leaky-0.1",
        "relu-leaky=0.1",
        "relu=leaky:0.1",
        "relu:leaky:0.1",
        "leaky-relu:0.1",
        "leaky-relu-0.1",
        "leaky:relu:0.1",
        "../relu",
        "..",
        ".",
        "",
        "/",
        "\\",
        "/etc/passwd",
        "a/b",
        "a-b",
        "<script>alert(1)</script>",
        "\u{1b}[31mrelu",
        "re\u{202e}lu",
        "relu\u{0}",
        "relu\n",
        "réλu",
        "relu?",
        hashed,
        "relu-seed1",
        "con",
        "nul",
        "gelu-tanh",
        "gelu:tanh",
        "gelu=tanh",
        &long,
        &longer,
    ];
    let mut seen = HashMap::new();
    for activation in activations {
        for seed in [0, 1, 10] {
            let name = run_name(activation, seed);
            assert_safe(&name);
            if let Some(other) = seen.insert(name.clone(), (activation, seed)) {
                panic!("{name} is of {other:?} and of {activation:?} with {seed}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_two_activations_have_folders_of_their_own(
        first in "(relu|leaky-relu|gelu|gelu-tanh|elu)?[-:=/. ]?(leaky|tanh|nelu|X)?[-:=]{0,2}[0-9.e+-]{0,4}",
        second in "(relu|leaky-relu|gelu|gelu-tanh|elu)?[-:=/. ]?(leaky|tanh|nelu|X)?[-:=]{0,2}[0-9.e+-]{0,4}",
        any in ".*",
    ) {
        let names = [&first, &second, &any].map(|activation| run_name(activation, 0));
        names.iter().for_each(|name| assert_safe(name));
        prop_assert_eq!(names[0] == names[1], first == second);
        prop_assert_eq!(names[0] == names[2], first == any);
    }
}

fn experiment() -> Experiment {
    Experiment { hidden: Some(vec![3]), seeds: 2, ..Experiment::default() }
}

fn run(activation: &str, seed: u64) -> Run {
    Run {
        activation: activation.to_owned(),
        seed,
        status: Status::Completed,
        diverged_at_step: None,
        divergence: None,
        wall_seconds: 0.1 + 0.2,
        steps: 10,
        parameters: 100,
        kept_epoch: None,
        epochs: vec![epoch(0), epoch(1)],
        probes: Vec::new(),
        confusion: None,
    }
}

fn write_run(folder: &RunFolder, run: &Run) {
    let mut metrics = folder.metrics(&run.activation, run.seed, &Mark::default()).unwrap();
    run.epochs.iter().for_each(|epoch| metrics.append(&Line::Epoch(epoch.clone())).unwrap());
    folder.write_run(folder.experiment(), run, metrics.mark(), &environment::unknown("flex"), Some(DATA)).unwrap();
}

const DATA: DataRecord = DataRecord {
    train: 5,
    validation: 1,
    test: 2,
    classes: 3,
    majority_fraction: 0.5,
    duplicates: None,
    mean: 0.1 + 0.2,
    std: 1.0 / 3.0,
};

#[test]
fn runs_come_back_from_their_folder_and_those_that_are_not_done_do_not() {
    let place = place();
    let path = place.path().join("out");
    let folder = RunFolder::create(&path, &experiment()).unwrap();
    assert!(matches!(RunFolder::open(&path), Err(StoreError::Locked { .. })), "one process at a time");
    assert_eq!(folder.stage("relu", 0), Stage::NotBegun);
    for (activation, seed) in [("relu", 0), ("relu", 1), ("leaky-relu:0.1", 0)] {
        write_run(&folder, &run(activation, seed));
    }
    folder.metrics("tanh", 0, &Mark::default()).unwrap();
    assert_eq!(folder.stage("tanh", 0), Stage::Unfinished);
    drop(folder);
    let taken = message(RunFolder::create(&path, &experiment()));
    assert!(taken.ends_with("out: holds an experiment already; choose another --out"), "{taken}");

    // Left by killed writers.
    fs::write(path.join(".rectify-new-a"), "half").unwrap();
    fs::create_dir(path.join("runs/relu-seed0/.rectify-new-b")).unwrap();
    fs::write(path.join("runs/relu-seed0/.rectify-new-b/file"), "half").unwrap();
    let folder = RunFolder::open(&path).unwrap();
    assert_eq!(names(&path), ["config.toml", "lock", "runs"]);
    assert_eq!(names(&path.join("runs/relu-seed0")), ["metrics.jsonl", "run.json"]);
    assert_eq!(folder.experiment(), &experiment());
    assert_eq!(folder.read_run("relu", 1).unwrap(), Some(run("relu", 1)));
    assert_eq!(folder.read_run("tanh", 0).unwrap(), None);
    assert_eq!(folder.stage("relu", 1), Stage::Done);
    let record = folder.read_record("relu", 0).unwrap().unwrap();
    record.metrics.verify(&folder.run_path("relu", 0).join("metrics.jsonl")).unwrap();
    let records: Vec<RunRecord> = folder.records().unwrap().collect::<Result<_, _>>().unwrap();
    assert!(records.iter().all(|record| record.data == Some(DATA)));
    let runs: Vec<Run> = records.into_iter().map(|record| record.run).collect();
    assert_eq!(runs, [run("leaky-relu:0.1", 0), run("relu", 0), run("relu", 1)]);

    let reader = RunFolder::read(&path).expect("reading needs no lock");
    assert_eq!(reader.records().unwrap().count(), 3);
}

#[test]
fn a_run_that_is_torn_changed_moved_newer_or_of_other_settings_is_an_error_that_names_it() {
    let place = place();
    let mut folder = RunFolder::create(&place.path().join("out"), &experiment()).unwrap();
    write_run(&folder, &run("relu", 0));
    let file = folder.run_path("relu", 0).join("run.json");
    each_damage_is_an_error(&file, &|| folder.read_run("relu", 0).map(drop));

    fs::rename(folder.run_path("relu", 0), folder.run_path("relu", 1)).unwrap();
    let error = message(folder.read_run("relu", 1));
    assert!(error.contains("relu-seed1/run.json: is the run of relu with seed 0"), "{error}");
    fs::rename(folder.run_path("relu", 1), folder.run_path("relu", 0)).unwrap();

    // More of the same goes on; another learning rate does not.
    let sound = experiment();
    folder.set_experiment(Experiment { seeds: 10, epochs: Some(7), jobs: Some(1), ..sound.clone() }).unwrap();
    folder.read_run("relu", 0).unwrap().unwrap();
    folder.set_experiment(Experiment { lr: Some(0.1), ..sound.clone() }).unwrap();
    folder.read_run("relu", 0).expect("the default, written out").unwrap();
    folder.set_experiment(Experiment { lr: Some(0.5), ..sound }).unwrap();
    let error = message(folder.read_run("relu", 0));
    assert!(error.contains("run.json: trained with lr 0.1, not 0.5 as config.toml has it"), "{error}");

    let text = fs::read_to_string(&file).unwrap();
    let later = text.replace(&format!("\"schema_version\": {SCHEMA_VERSION}"), "\"schema_version\": 77");
    let unsealed: String =
        later.lines().filter(|line| !line.contains("\"sha256\": \"") || line.starts_with("   ")).collect();
    fs::write(&file, unsealed).unwrap();
    let error = message(folder.read_run("relu", 0));
    let known = format!("run.json: written by a newer Rectify (schema 77, this one knows {SCHEMA_VERSION})");
    assert!(error.contains(&known), "{error}");
}

#[test]
fn settings_that_decide_results_are_told_apart_and_others_are_not() {
    let one = experiment();
    let cnn = Experiment { model: ModelKind::Cnn, ..one.clone() };
    let difference_of = |other: &Experiment| difference(&one, other).map(|difference| difference.to_string());
    assert_eq!(difference_of(&one), None);
    assert_eq!(difference_of(&cnn).as_deref(), Some("model \"mlp\", not \"cnn\""));
    let patient = Experiment { patience: Some(3), ..one.clone() };
    assert_eq!(difference_of(&patient).as_deref(), Some("patience not set, not 3"));
    let more =
        Experiment { activations: vec!["gelu".parse().unwrap()], seed: Some(vec![9]), steps: Some(3), ..one.clone() };
    assert_eq!(difference_of(&more), None);
}

#[test]
fn what_is_no_experiments_folder_is_said() {
    let place = place();
    let path = place.path().join("out");
    let said = |part: &str| {
        let error = message(RunFolder::open(&path));
        assert!(error.contains("out") && error.contains(part), "{error}");
    };
    said("No such file");
    fs::write(&path, "text").unwrap();
    said("is a file");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    said("holds no experiment");
    for (config, part) in
        [("lerning_rate = 1\n", "lerning_rate"), ("lr = -1.0\n", "must be positive"), ("\u{0}", "config.toml")]
    {
        fs::write(path.join("config.toml"), config).unwrap();
        said(part);
    }
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Position {
    epoch: usize,
    best: f64,
}

#[test]
fn a_state_comes_back_whole_and_any_damage_names_the_file() {
    let place = place();
    let run = place.path();
    let put = |epoch: usize| {
        save_state(run, &Position { epoch, best: 0.1 + 0.2 }, &mut |folder| {
            atomic::write(&folder.join("weights.bpk"), &[epoch as u8; 300])?;
            atomic::write(&folder.join("optimizer.bpk"), b"moments")
        })
    };
    assert_eq!(load_state::<Position>(run).unwrap(), None);
    put(1).unwrap();
    put(2).unwrap();
    assert_eq!(names(run), ["state"]);
    let (position, folder) = load_state::<Position>(run).unwrap().unwrap();
    assert_eq!(position, Position { epoch: 2, best: 0.1 + 0.2 });
    assert_eq!(fs::read(folder.join("weights.bpk")).unwrap(), [2; 300]);
    for file in ["state.json", "weights.bpk", "optimizer.bpk"] {
        each_damage_is_an_error(&folder.join(file), &|| load_state::<Position>(run).map(drop));
        let (path, away) = (folder.join(file), run.join("away"));
        fs::rename(&path, &away).unwrap();
        assert!(message(load_state::<Position>(run)).contains(file));
        fs::rename(&away, &path).unwrap();
    }

    let full =
        |folder: &Path| StoreError::Io { path: folder.join("weights.bpk"), cause: io::ErrorKind::StorageFull.into() };
    let error = message(save_state(run, &Position { epoch: 3, best: 0.0 }, &mut |folder| Err(full(folder))));
    assert_eq!(error, format!("disk full: {}", run.join("state").display()));
    assert_eq!(load_state::<Position>(run).unwrap().unwrap().0.epoch, 2);
    remove_state(run).unwrap();
    remove_state(run).expect("it is away already");
    assert!(names(run).is_empty());
    assert_eq!(load_state::<Position>(run).unwrap(), None);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    epochs: usize,
    metrics: Mark,
}

#[test]
#[ignore = "a process that the next test starts"]
fn appends_and_saves_until_it_is_killed() {
    let Some(path) = given_folder() else { return };
    let folder = RunFolder::open(&path).expect("a killed process leaves a folder that opens");
    let run = folder.run_path("relu", 0);
    let (epochs, at) = match load_state::<Written>(&run).expect("a state is whole or not there") {
        Some((Written { epochs, metrics }, _)) => (epochs, metrics),
        None => (0, Mark::default()),
    };
    let mut metrics = folder.metrics("relu", 0, &at).expect("what was marked is there");
    begun();
    for next in epochs.. {
        metrics.append(&Line::Epoch(epoch(next))).unwrap();
        metrics.sync().unwrap();
        let written = Written { epochs: next + 1, metrics: metrics.mark() };
        save_state(&run, &written, &mut |folder| {
            fs::write(folder.join("weights.bpk"), vec![next as u8; 100_000]).unwrap();
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn a_run_that_is_killed_at_any_instant_goes_on_from_its_last_state() {
    let place = place();
    let path = place.path().join("out");
    drop(RunFolder::create(&path, &experiment()).unwrap());
    let mut before = 0;
    for round in 0..15 {
        let child = start("appends_and_saves_until_it_is_killed", &path);
        thread::sleep(Duration::from_micros(50_000 + 1_700 * round));
        kill(child);

        let folder = RunFolder::open(&path).expect("a killed process leaves a folder that opens");
        let run = folder.run_path("relu", 0);
        let Some((Written { epochs, metrics: mark }, state)) = load_state::<Written>(&run).unwrap() else {
            assert_eq!(before, 0, "a state was lost");
            continue;
        };
        assert!(epochs >= before, "an older state came back");
        before = epochs;
        assert_eq!(fs::read(state.join("weights.bpk")).unwrap()[0], (epochs - 1) as u8);
        MetricsWriter::open(&run.join("metrics.jsonl"), &mark).unwrap();
        let (lines, note) = metrics::read(&run.join("metrics.jsonl")).unwrap();
        assert_eq!((lines, note), ((0..epochs).map(|i| Line::Epoch(epoch(i))).collect(), None));
        assert_eq!(names(&run), ["metrics.jsonl", "state"]);
    }
    assert!(before > 0, "nothing was ever saved");
}

const SHAPE: Shape = Shape { channels: 1, height: 4, width: 5, classes: 3 };

fn checkpoint(activation: &str, seed: u64) -> (Checkpoint, Model) {
    let activation: Activation = activation.parse().unwrap();
    let experiment = experiment();
    let model = Model::new(&experiment, &activation, SHAPE, seed, &Device::flex().autodiff());
    let Shape { channels, height, width, classes } = SHAPE;
    let (class_labels, mean, std) = (vec![2, 3, 5], 0.1 + 0.2, 1.0 / 3.0);
    let class_names = ["a", "b", "c"].map(str::to_owned).to_vec();
    let steps = 7;
    (
        Checkpoint {
            experiment,
            activation,
            seed,
            steps,
            channels,
            height,
            width,
            classes,
            class_labels,
            feature_names: Vec::new(),
            channel_means: vec![mean],
            channel_stds: vec![std],
            class_names,
            mean,
            std,
        },
        model,
    )
}

fn save(experiment: &Path, activation: &str, seed: u64) -> PathBuf {
    let run = experiment.join("runs").join(run_name(activation, seed));
    fs::create_dir_all(&run).unwrap();
    let (checkpoint, model) = checkpoint(activation, seed);
    checkpoint.save(&run, model).unwrap()
}

fn weights(model: Model) -> Vec<u8> {
    match model.valid() {
        Model::Mlp(mlp) => {
            let mut bytes = Vec::new();
            for dense in &mlp.hidden {
                let (weight, bias) = dense.parameters();
                bytes.extend_from_slice(weight.into_data().as_bytes());
                bytes.extend_from_slice(bias.into_data().as_bytes());
            }
            bytes.extend_from_slice(mlp.output.weight.val().into_data().as_bytes());
            bytes
        }
        Model::Cnn(_) => unreachable!("the experiment's model is an MLP"),
    }
}

#[test]
fn a_checkpoint_gives_the_same_network_and_any_damage_names_the_file() {
    let place = place();
    let folder = save(place.path(), "relu", 3);
    assert_eq!(save(place.path(), "relu", 3), folder, "it is replaced");
    let saved = SavedCheckpoint::open(&folder).unwrap();
    let (expected, model) = checkpoint("relu", 3);
    assert_eq!(saved.checkpoint, expected);
    assert_eq!(weights(saved.load_model(&Device::flex()).unwrap()), weights(model));
    let load = || SavedCheckpoint::open(&folder)?.load_model(&Device::flex()).map(drop);
    each_damage_is_an_error(&folder.join("model.bpk"), &load);
    each_damage_is_an_error(&folder.join("checkpoint.json"), &load);
}

#[test]
fn a_checkpoint_of_before_has_no_hash_and_what_is_wrong_with_it_is_still_an_error() {
    let place = place();
    let folder = save(place.path(), "relu", 0);
    let (file, model) = (folder.join("checkpoint.json"), folder.join("model.bpk"));
    let (sound, sound_model) = (checkpoint("relu", 0).0, fs::read(&model).unwrap());
    let load = |checkpoint: &Checkpoint| {
        fs::write(&file, serde_json::to_vec_pretty(checkpoint).unwrap()).unwrap();
        SavedCheckpoint::open(&folder)?.load_model(&Device::flex()).map(weights)
    };
    assert_eq!(load(&sound).unwrap(), weights(checkpoint("relu", 0).1));
    for length in 0..sound_model.len() {
        fs::write(&model, &sound_model[..length]).unwrap();
        let error = message(load(&sound));
        assert!(error.contains("model.bpk"), "{length} bytes: {error}");
    }
    fs::write(&model, &sound_model).unwrap();
    let hidden = |hidden: &[usize]| Checkpoint {
        experiment: Experiment { hidden: Some(hidden.to_vec()), ..experiment() },
        ..sound.clone()
    };
    let of_type = |dtype| Checkpoint { experiment: Experiment { dtype, ..experiment() }, ..sound.clone() };
    let cnn = Experiment { model: ModelKind::Cnn, ..experiment() };
    // No memory holds some of these.
    for other in [
        of_type(Dtype::F64),
        of_type(Dtype::F16),
        hidden(&[4]),
        hidden(&[3, 3]),
        hidden(&[]),
        hidden(&[65_536; 1000]),
        Checkpoint { height: usize::MAX, width: usize::MAX, ..sound.clone() },
        Checkpoint { experiment: cnn.clone(), ..sound.clone() },
        Checkpoint { experiment: cnn, height: usize::MAX, ..sound.clone() },
    ] {
        let error = message(load(&other));
        assert!(error.contains("model.bpk"), "{error}");
    }
    for other in [Checkpoint { classes: usize::MAX, ..sound.clone() }, Checkpoint { height: 0, ..sound }] {
        let error = message(load(&other));
        assert!(error.contains("checkpoint.json"), "{error}");
    }
}

#[test]
fn a_checkpoint_is_found_from_its_run_and_from_an_experiment_that_has_one() {
    let place = place();
    let out = place.path().join("out");
    let said = |path: &Path, parts: &[&str]| {
        let error = message(find(path));
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        parts.iter().for_each(|part| assert!(error.contains(part), "{part} is not in: {error}"));
    };
    said(&out, &["No such file"]);
    fs::create_dir(&out).unwrap();
    said(&out, &["holds no checkpoint.json", "not the folder of a run"]);

    let folder = RunFolder::create(&out, &experiment()).unwrap();
    folder.metrics("tanh", 0, &Mark::default()).unwrap();
    let tanh = folder.run_path("tanh", 0);
    said(&out, &["no run has a checkpoint yet", "tanh-seed0: running"]);
    said(&tanh, &["this run has no checkpoint (running)"]);
    drop(folder);
    said(&out, &["tanh-seed0: stopped before its end"]);

    let relu = save(&out, "relu", 0);
    let run = relu.parent().unwrap();
    for path in [&out, run, &relu] {
        assert_eq!(find(path).unwrap(), relu);
    }
    said(&relu.join("checkpoint.json"), &["is a file", "relu-seed0/checkpoint"]);
    said(&tanh, &["this run has no checkpoint", "those with a checkpoint are:\n  ", "runs/relu-seed0"]);
    said(&out.join("runs/relu-seed9"), &["No such file", "runs/relu-seed0"]);
    (1..30).for_each(|seed| drop(save(&out, "relu", seed)));
    said(&out, &["holds 30 checkpoints; name one of them:", "runs/relu-seed1\n", "and 10 more"]);
}
