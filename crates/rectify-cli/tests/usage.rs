//! What the program says to flags and files that it cannot do as it is told.

use std::{fs, path::Path, process::Output};

use assert_cmd::Command;
use rectify_train::experiment::Experiment;
use tempfile::TempDir;

fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rectify"));
    let output = command.args(arguments).current_dir(folder).env_remove("RECTIFY_DATA").output();
    output.expect("the program starts")
}

fn run(arguments: &[&str]) -> Output {
    let folder = TempDir::new().expect("there is a temporary folder");
    run_in(folder.path(), arguments)
}

/// Refused before anything runs, for a reason that has every part in it.
#[track_caller]
fn refuses(arguments: &[&str], parts: &[&str]) {
    let folder = TempDir::new().expect("there is a temporary folder");
    let output = run_in(folder.path(), arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "rectify {arguments:?}\n{stderr}");
    assert!(stderr.starts_with("error: "), "rectify {arguments:?}\n{stderr}");
    assert!(output.stdout.is_empty(), "rectify {arguments:?} printed a result");
    for part in parts {
        assert!(stderr.contains(part), "`{part}` is not in what rectify {arguments:?} says:\n{stderr}");
    }
    let left = fs::read_dir(folder.path()).expect("it is there").count();
    assert_eq!(left, 0, "rectify {arguments:?} began something");
}

/// The settings that a command would run with, and what it notes about them.
#[track_caller]
fn settings(folder: &Path, arguments: &[&str]) -> (Experiment, String, String) {
    let output = run_in(folder, &[arguments, &["--print-config"]].concat());
    let stderr = String::from_utf8(output.stderr).expect("it is UTF-8");
    assert!(output.status.success(), "rectify {arguments:?}\n{stderr}");
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    let settings = text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    (toml::from_str(&text).expect("it is a config"), settings, stderr)
}

#[test]
fn names_are_read_whatever_their_spelling() {
    let folder = TempDir::new().expect("there is a temporary folder");
    let flags = [
        "compare",
        "--activations",
        "ReLU, Leaky_ReLU:0.10,swish",
        "--activation",
        "Identity",
        "--optimizer",
        "AdamW",
        "--init",
        "Kaiming-Normal",
        "--dtype",
        "float64",
        "--model",
        "CNN",
        "--dataset",
        "Fashion_MNIST",
        "--backend",
        "NdArray",
        "--hidden",
        "None",
        "--probe-every",
        "OFF",
    ];
    let (experiment, text, _) = settings(folder.path(), &flags);
    let names: Vec<&str> = experiment.activations.iter().map(|activation| activation.name()).collect();
    assert_eq!(names, ["relu", "leaky-relu:0.10", "silu", "none"]);
    for line in [
        "optimizer = \"adamw\"",
        "init = \"he-normal\"",
        "dtype = \"f64\"",
        "model = \"cnn\"",
        "dataset = \"fashion-mnist\"",
        "backend = \"ndarray\"",
        "hidden = []",
        "probe_every = \"off\"",
    ] {
        assert!(text.contains(line), "`{line}` is not in:\n{text}");
    }
    fs::create_dir(folder.path().join("MNIST")).expect("it is new");
    let (experiment, ..) = settings(folder.path(), &["compare", "--dataset", "MNIST"]);
    assert_eq!(experiment.dataset, "MNIST", "a folder that is there is meant before a name");
    fs::write(folder.path().join("config.toml"), "activation = \"ReLU, tanh\"\noptimizer = \"Adam\"\n")
        .expect("writable");
    let (experiment, ..) = settings(folder.path(), &["compare", "--config", "config.toml"]);
    assert_eq!(experiment.activations.len(), 2);
}

#[test]
fn unknown_names_are_told_with_what_may_be_meant() {
    for (arguments, parts) in [
        (
            &["compare", "--activations", "relu,sigmod"][..],
            &["--activations", "unknown activation `sigmod`; did you mean `sigmoid`?"][..],
        ),
        (&["plot", "swsh"], &["unknown activation `swsh`; did you mean `silu`?"]),
        (&["gradcheck", "--activations", "gleu"], &["unknown activation `gleu`; did you mean `gelu`"]),
        (&["compare", "--init", "kaiming"], &["--init", "did you mean `he-normal` or `he-uniform`?"]),
        (&["compare", "--optimizer", "adm"], &["--optimizer", "did you mean `adam`"]),
        (&["compare", "--model", "lenet"], &["--model", "did you mean `cnn`?"]),
        (&["compare", "--dtype", "float"], &["--dtype", "did you mean `f32` or `f64`?"]),
        (
            &["compare", "--backend", "gpu"],
            &["unknown backend `gpu`; did you mean `auto` or `wgpu`?", "this machine can run"],
        ),
        (&["claims", "--backend", "gpu"], &["unknown backend `gpu`; did you mean `auto` or `wgpu`?"]),
        (&["gradcheck", "--backend", "felx"], &["unknown backend `felx`; did you mean `flex`?"]),
        (&["compare", "--dataset", "mnsit"], &["`mnsit`", "did you mean `mnist`"]),
        (&["compare", "--dataset", "cifar10"], &["`cifar10`", "neither a known set"]),
        (&["claims", "diyng"], &["unknown claim `diyng`; did you mean `dying`?"]),
        (&["comapre"], &["similar subcommand", "'compare'"]),
        (&["compare", "--activatoins", "relu"], &["a similar argument exists: '--activations'"]),
        (&["compare", "--schedule", "cosin"], &["--schedule", "did you mean `cosine`"]),
        (&["compare", "--norm", "btach"], &["--norm", "did you mean `batch`"]),
        (&["backends", "--format", "jsn"], &["a similar value exists: 'json'"]),
        (&["data", "fasion-mnist"], &["did you mean `fashion-mnist`"]),
    ] {
        refuses(arguments, parts);
    }
}

#[test]
fn a_setting_without_effect_is_refused_as_a_flag_and_noted_in_a_file() {
    for (flags, parts) in [
        (&["--momentum", "0.5"][..], &["momentum: 0.5 has no effect with optimizer sgd"][..]),
        (&["--momentum", "0.5", "--optimizer", "adam"], &["has no effect with optimizer adam"]),
        (&["--hidden", "8,4", "--residual"], &["residual: no fully connected hidden layer is as wide"]),
        (&["--steps", "3", "--epochs", "3"], &["epochs: 3 has no effect beside steps 3"]),
        (&["--keep-last"], &["keep_last: true has no effect without patience"]),
    ] {
        refuses(&[&["compare"], flags].concat(), parts);
        refuses(&[&["train"], flags].concat(), parts);
    }
    let folder = TempDir::new().expect("there is a temporary folder");
    let write = |text: &str| fs::write(folder.path().join("config.toml"), text).expect("it can be written");
    let with = |flags: &[&str]| settings(folder.path(), &[&["compare", "--config", "config.toml"], flags].concat());
    write("optimizer = \"momentum\"\nmomentum = 0.5\n");
    assert_eq!(with(&[]).2, "");
    let (_, text, notes) = with(&["--optimizer", "adam"]);
    assert!(notes.starts_with("note: momentum: 0.5 has no effect with optimizer adam"), "{notes}");
    assert!(!text.contains("momentum"), "{text}");
    assert_eq!(with(&["--optimizer", "adam", "--quiet"]).2, "");

    write("epochs = 7\n");
    let (experiment, text, notes) = with(&["--steps", "3"]);
    assert_eq!((experiment.steps, experiment.epochs, notes.as_str()), (Some(3), None, ""), "flags win");
    assert!(!text.contains("epochs"), "{text}");
    write("steps = 7\n");
    let (experiment, text, _) = with(&["--epochs", "3"]);
    assert_eq!((experiment.steps, experiment.epochs), (None, Some(3)));
    assert!(!text.contains("steps"), "{text}");
    write("steps = 7\nepochs = 7\n");
    assert!(with(&[]).2.starts_with("note: epochs: 7 has no effect beside steps 7"));
}

#[test]
fn a_flag_of_another_task_of_the_command_is_refused() {
    for (arguments, parts) in [
        (&["diagnose", "runs", "--jobs", "2"][..], ["'--jobs <N>'", "'[DIR]...' cannot be used with"]),
        (&["diagnose", "runs", "--seeds", "3"], ["'--seeds <N>'", "'[DIR]...' cannot be used with"]),
        (&["diagnose", "runs", "--only", "rate"], ["'--only <TEXT>'", "'[DIR]...' cannot be used with"]),
        (&["diagnose", "--self-test", "--attempts", "3"], ["'--attempts <N>'", "cannot be used with"]),
        (&["diagnose", "--self-test", "--strict"], ["'--strict'", "cannot be used with"]),
        (&["claims", "--list", "--quick"], ["'--quick'", "cannot be used with"]),
        (&["claims", "--list", "--out", "folder"], ["'--out <DIR>'", "cannot be used with"]),
    ] {
        refuses(arguments, &parts);
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_advice() {
    for (arguments, parts) in [
        (&["compare", "--hidden", "none"][..], &["hidden", "no activation to compare"][..]),
        (&["train", "--hidden", &["65536"; 999].join(",")], &["hidden: ", "GiB, and this machine has"]),
        (&["train", "--activations", "relu,tanh"], &["activations", "one network, got 2", "rectify compare"]),
        (&["train", "--seeds", "2"], &["seeds", "one network, got 2", "rectify compare"]),
        (&["train", "--seed", "3,5"], &["seed: ", "one network, got 2"]),
        (&["train", "--sweep", "lr=0.1,0.2"], &["sweep: ", "one network, got 2 points", "rectify compare"]),
        (&["train", "--shard", "0/1"], &["shard: ", "one network", "rectify compare"]),
        (&["compare", "--activations", "relu,ReLU"], &["`relu` is named twice"]),
        (&["compare", "--activations", "leaky-relu,leaky-relu:0.01"], &["the same function"]),
        (&["compare", "--activations", "relu,,tanh"], &["--activations", "a comma is too many"]),
    ] {
        refuses(arguments, parts);
    }
}

#[test]
fn numbers_that_cannot_be_are_told_with_their_flag() {
    for (flags, parts) in [
        (&["--lr", "0.1,0.01"][..], &["--lr", "one number is expected", "--sweep lr=0.1,0.01"][..]),
        (&["--lr", "nan"], &["lr: must be positive, got NaN"]),
        (&["--lr", "inf"], &["lr: must be positive, got inf"]),
        (&["--lr", "1e-400"], &["--lr", "too small"]),
        (&["--lr", "1e400"], &["--lr", "too large"]),
        (&["--lr", "1e-50"], &["lr: 1e-50 is 0 in f32"]),
        (&["--lr", "-1"], &["lr: must be positive, got -1"]),
        (&["--hidden", "128;64"], &["--hidden", "as in 128,64"]),
        (&["--hidden", "128x64"], &["--hidden", "as in 128,64"]),
        (&["--hidden", "-5"], &["--hidden", "must not be negative"]),
        (&["--seed", "1,,2"], &["--seed", "a comma is too many"]),
        (&["--seed", "-1"], &["--seed", "must not be negative"]),
        (&["--seeds", "0"], &["seeds: must be at least 1, got 0"]),
        (&["--seeds", "9223372036854775807"], &["seeds: at most 100000"]),
        (&["--batch-size", "0"], &["batch_size: must be at least 1, got 0"]),
        (&["--bias-init", "1e5", "--dtype", "f16"], &["bias_init: 1e5 is beyond f16"]),
        (&["--probe-every", "-1"], &["--probe-every", "`-1` is not off, epoch or a number of steps"]),
        (&["--momentum", "-1"], &["momentum: must be in 0..1"]),
        (&["--weight-decay", "-1"], &["weight_decay: must not be negative"]),
        (&["--clip-norm", "-1"], &["clip_norm: must be positive"]),
    ] {
        refuses(&[&["compare"], flags].concat(), parts);
    }
    let counts =
        ["--epochs", "--steps", "--patience", "--seeds", "--batch-size", "--train-size", "--jobs", "--threads"];
    for flag in counts {
        refuses(&["compare", flag, "-1"], &[flag, "must not be negative"]);
        refuses(&["compare", flag, "18446744073709551616"], &[flag, "over 9223372036854775807"]);
        refuses(&["compare", flag, "1e3"], &[flag, "write 1000"]);
        refuses(&["compare", flag, "2.5"], &[flag, "a whole number is expected"]);
    }
    refuses(&["claims", "--jobs", "0"], &["--jobs", "at least 1"]);
    refuses(&["claims", "--jobs", "-1"], &["--jobs", "must not be negative"]);
}

#[test]
fn what_is_not_there_is_wrong_usage() {
    for (arguments, parts) in [
        (&["compare", "--backend", "wgpu:77"][..], &["wgpu:77", "this machine can run"][..]),
        (&["compare", "--backend", "flex:1"], &["`flex` is the processor and takes no number"]),
        (&["compare", "--backend", "ndarray", "--dtype", "f16"], &["ndarray computes in f32 and f64, not in f16"]),
        (&["gradcheck", "--backend", "ndarray", "--dtype", "bf16"], &["ndarray computes in f32 and f64, not in bf16"]),
        (&["compare", "--dataset", "nowhere/at/all"], &["`nowhere/at/all`"]),
        (&["compare", "--train-size", "54001"], &["train_size"]),
        (&["compare", "--config", "nowhere.toml"], &["--config nowhere.toml", "No such file"]),
        (&["compare", "--config", "."], &["--config ."]),
        (&["claims", "--resume", "nowhere"], &["--resume nowhere"]),
        (&["plot", "relu", "--out", "picture.gif"], &["--out picture.gif", ".svg, .png or .html"]),
    ] {
        refuses(arguments, parts);
    }
    let folder = TempDir::new().expect("there is a temporary folder");
    fs::write(folder.path().join("file"), "precious").expect("it can be written");
    for out in ["file", "file/inside"] {
        for command in ["compare", "claims"] {
            let output = run_in(folder.path(), &[command, "--out", out]);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command} --out {out}: {stderr}");
            assert!(stderr.contains(out), "{stderr}");
        }
    }
}

#[test]
fn an_unknown_key_of_a_config_file_is_told_with_the_nearest() {
    let folder = TempDir::new().expect("there is a temporary folder");
    for (text, parts) in [
        ("optimiser = \"adam\"\n", "unknown setting `optimiser`; did you mean `optimizer`?"),
        ("batch-sizes = 3\n", "unknown setting `batch-sizes`; did you mean `batch_size`?"),
        ("learning_rate = 3\n", "unknown setting `learning_rate`; did you mean `lr`?"),
        (
            "colour = 3\n",
            "unknown setting `colour`; known are dataset, image_size, label_column, from, model, hidden, norm",
        ),
        ("optimizer = \"adm\"\n", "did you mean `adam`"),
        ("epochs = 1\nlr = \"fast\"\n", "line 2"),
        ("epochs = -1\n", "line 1"),
    ] {
        fs::write(folder.path().join("config.toml"), text).expect("it can be written");
        let output = run_in(folder.path(), &["compare", "--config", "config.toml"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}{stderr}");
        assert!(stderr.starts_with("error: --config config.toml: ") && stderr.contains(parts), "{text}{stderr}");
    }
}

#[test]
fn help_and_completions_know_the_words() {
    let help = String::from_utf8(run(&["--help"]).stdout).expect("it is UTF-8");
    assert!(help.contains("Exit codes: 0 done"), "{help}");
    let help = String::from_utf8(run(&["compare", "--help"]).stdout).expect("it is UTF-8");
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "sgd, momentum, adam, adamw",
        "f32, f64, f16, bf16",
        "mlp, cnn",
        "he-normal",
        "Exit codes:",
        "a training that diverges is a result",
    ] {
        assert!(help.contains(words), "{help}");
    }
    for shell in ["bash", "Fish"] {
        let script = String::from_utf8(run(&["completions", shell]).stdout).expect("it is UTF-8");
        for word in ["adamw", "bf16", "cnn", "xavier-uniform", "leaky-relu", "ndarray"] {
            assert!(script.contains(word), "{word} is not in the completions of {shell}");
        }
    }
}

#[test]
#[cfg(unix)]
fn a_path_that_is_not_utf_8_works_or_is_told_with_its_flag() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let folder = TempDir::new().expect("there is a temporary folder");
    let strange = OsStr::from_bytes(b"caf\xe9");
    for flag in ["--dataset", "--backend", "--optimizer", "--lr"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rectify"));
        let output = command.arg("compare").arg(flag).arg(strange).current_dir(folder.path()).output();
        let output = output.expect("the program starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(flag) && stderr.contains("not UTF-8"), "{stderr}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_rectify"));
    let flags = ["train", "--train-size", "100", "--steps", "1", "--hidden", "4", "--quiet", "--out"];
    command.args(flags).arg(strange).current_dir(folder.path()).assert().success();
    assert!(folder.path().join(strange).join("results.json").exists());
}

#[test]
fn notes_are_said_once_on_stderr_and_not_if_quiet() {
    let folder = TempDir::new().expect("there is a temporary folder");
    let flags = ["train", "--train-size", "50", "--hidden", "4", "--steps", "1", "--jobs", "3", "--batch-size", "60"];
    let said = |more: &[&str]| {
        let output = run_in(folder.path(), &[&flags, more].concat());
        assert!(output.status.success());
        String::from_utf8(output.stderr).expect("it is UTF-8")
    };
    let notes = said(&["--threads", "1000"]);
    for note in [
        "note: threads: 1000 are more than this machine's cores",
        "note: jobs: 3 are more than the trainings, of which there are 1",
        "note: batch_size: 60 is more than the 50 training samples",
    ] {
        assert_eq!(notes.matches(note).count(), 1, "{notes}");
    }
    assert_eq!(said(&["--quiet"]), "");
}
