//! An experiment's folder and those of its runs.

use super::*;

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
