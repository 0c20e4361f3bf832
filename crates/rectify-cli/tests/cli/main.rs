//! The program from outside: what it prints, what it writes, and how it ends.

mod backends;
mod checkpoints;
#[cfg(unix)]
mod interrupted;
#[path = "../place/mod.rs"]
mod place;
mod refused;
mod results;
mod trainings;

use std::{fs, path::Path};

use assert_cmd::assert::Assert;
use insta::assert_snapshot;
use predicates::{prelude::*, str::contains};
use rectify_train::{
    experiment::{Experiment, ProbeEvery},
    record::{Epoch, Results, SCHEMA_VERSION, Status},
};
use serde_json::Value;

use place::{FILES, Place, SIDE, SMALL, timeless, write_idx};

const COMMANDS: [&str; 10] =
    ["compare", "train", "eval", "claims", "plot", "gradcheck", "backends", "data", "completions", "man"];

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).expect("output is UTF-8")
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).expect("output is UTF-8")
}

fn json(assert: &Assert) -> Value {
    serde_json::from_str(&stdout(assert)).expect("stdout is JSON and nothing else")
}

fn printed_results(assert: &Assert) -> Results {
    serde_json::from_str(&stdout(assert)).expect("stdout is results and nothing else")
}

#[test]
fn every_command_has_help_with_its_usage() {
    let place = Place::new();
    let all = stdout(&place.run("--help").success().stderr(""));
    for command in COMMANDS {
        assert!(all.contains(&format!("\n  {command}")), "{command} is not in:\n{all}");
        let help = stdout(&place.run(&format!("{command} --help")).success().stderr(""));
        assert!(help.contains(&format!("Usage: rectify {command}")), "{help}");
    }
    for command in ["compare", "train"] {
        let help = stdout(&place.run(&format!("{command} --help")).success());
        // What asks for several trainings is offered by the command that does them.
        for flag in ["--seeds", "--shard", "--sweep"] {
            assert_eq!(help.contains(&format!("{flag} <")), command == "compare", "{flag} in the help of {command}");
        }
        assert!(help.contains(if command == "train" { "--activation <NAME>" } else { "--activations <NAME,…>" }));
        let flags = "dataset model hidden activations init bias-init optimizer lr momentum weight-decay clip-norm \
                     batch-size epochs steps patience seed backend dtype train-size jobs threads out format quiet config \
                     print-config probe-every schedule norm residual dropout tune image-size";
        for flag in flags.split_whitespace() {
            assert!(help.contains(&format!("--{flag}")), "--{flag} is not in the help of {command}");
        }
    }
    place.run("").code(2).stderr(contains("Usage: rectify"));
    assert_eq!(stdout(&place.run("--version").success()), format!("rectify {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn activations_are_tuned_and_what_was_tried_is_told() {
    let place = Place::new();
    let flags = format!("{SMALL} --activations relu,tanh --epochs 1 --seeds 1 --tune lr=0.05..0.5");
    let shown = place.run(&format!("compare {flags} --out text")).success();
    let text = stdout(&shown);
    assert!(text.contains("┆ lr 0.") && text.contains("best validation accuracy, as a mean over 2 seeds"), "{text}");
    let progress = stderr(&shown);
    assert!(
        progress.contains("tuning lr=0.05..0.5: 2 activations × 3 choices × 2 seeds are 12 trainings"),
        "{progress}"
    );
    assert!(
        progress.contains("lr=0.16: relu ") && progress.contains("trainings of the grid left, about "),
        "{progress}"
    );
    assert!(!progress.contains("1000000: test accuracy"), "the test set has no say: {progress}");
    let page = place.read("text/report.html");
    assert!(page.contains("id=\"tuning\"") && page.contains("Validation accuracy against lr"));

    let printed = printed_results(&place.run(&format!("compare {flags} --out json --format json --quiet")).success());
    for (tuning, run) in printed.tuning.iter().zip(&printed.runs) {
        assert_eq!(run.epochs[0].learning_rate, tuning.chosen.get("lr").copied());
    }
    let again = printed_results(&place.run("report json --format json --quiet").success());
    assert_eq!(again.tuning, printed.tuning);
    place.run("eval json/runs/tanh-seed0").success();
}

#[test]
fn all_stands_for_every_activation() {
    let place = Place::new();
    let printed = stdout(&place.run("compare --print-config --activations all").success());
    for name in rectify_train::activation::NAMES.iter().filter(|name| **name != "none") {
        assert!(printed.contains(&format!("\"{name}\"")), "{name} is not in {printed}");
    }
    fs::write(place.path("config.toml"), "activations = \"all\"\n").expect("it can be written");
    assert_eq!(stdout(&place.run("compare --print-config --config config.toml").success()), printed);
}

#[test]
fn completions_and_manual_page_are_printed() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        place.run(&format!("completions {shell}")).success().stdout(contains("compare"));
    }
    place.run("man").success().stdout(contains(".TH rectify 1").and(contains("gradcheck")));
}

#[test]
fn the_printed_config_is_accepted_and_means_the_same() {
    let place = Place::new();
    for flags in [
        "",
        "--seed 3",
        "--hidden none --activation none --steps 3 --patience 2 --clip-norm 0.5 --bias-init=-0.1 --init normal:0.1 --jobs 1",
        "--model cnn --probe-every off --train-size 100 --dtype f64 --activations relu:nelu=0.1",
    ] {
        for command in ["compare", "train"] {
            let printed = stdout(&place.run(&format!("{command} --print-config {flags}")).success().stderr(""));
            fs::write(place.path("config.toml"), &printed).expect("it can be written");
            let again = stdout(&place.run(&format!("{command} --print-config --config config.toml")).success());
            assert_eq!(printed, again, "{command} {flags}");
            let experiment: Experiment = serde_json::from_value(
                serde_json::to_value(printed.parse::<toml::Table>().expect("TOML")).expect("JSON"),
            )
            .expect("an experiment");
            assert_eq!(experiment.seeds(), if flags.contains("--seed") { vec![3] } else { experiment.seeds() });
        }
    }
    assert!(!place.path("runs").exists(), "nothing was trained");
}

#[test]
fn flags_win_over_the_config_file_and_the_file_over_defaults() {
    let place = Place::new();
    fs::write(
        place.path("config.toml"),
        "activation = \"tanh\"\nlr = 0.5\nepochs = 7\nhidden = [4, 4]\nseeds = 2\nprobe_every = \"off\"\n",
    )
    .expect("it can be written");
    let config = |flags: &str| -> Experiment {
        let printed = stdout(&place.run(&format!("compare --config config.toml --print-config {flags}")).success());
        serde_json::from_value(serde_json::to_value(printed.parse::<toml::Table>().expect("TOML")).expect("JSON"))
            .expect("an experiment")
    };
    let names =
        |experiment: &Experiment| -> Vec<String> { experiment.activations.iter().map(ToString::to_string).collect() };
    let file = config("");
    assert_eq!(names(&file), ["tanh"]);
    assert_eq!((file.lr, file.epochs, file.hidden(), file.seeds()), (Some(0.5), Some(7), vec![4, 4], vec![0, 1]));
    assert_eq!((file.batch_size, file.probe_every), (128, ProbeEvery::Off));
    let flags = config("--lr 0.25 --activation relu,silu --seed 9");
    assert_eq!(names(&flags), ["relu", "silu"]);
    assert_eq!((flags.lr, flags.epochs, flags.seeds()), (Some(0.25), Some(7), vec![9]));
}

#[test]
fn without_out_each_run_gets_a_new_folder() {
    let place = Place::new();
    for _ in 0..2 {
        place.run(&format!("train {SMALL} --steps 1")).success();
    }
    let mut folders: Vec<String> = fs::read_dir(place.path("runs"))
        .expect("runs are there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    folders.sort();
    assert_eq!(folders.len(), 2);
    assert!(folders[0].ends_with("-train-digits"), "{folders:?}");
    assert_eq!(folders[1], format!("{}-2", folders[0]));
}

#[test]
fn a_plot_is_the_kind_of_file_that_its_ending_says() {
    let place = Place::new();
    place.run("plot relu sigmoid tanh --out three.svg").success().stdout("").stderr("wrote three.svg\n");
    assert!(place.read("three.svg").starts_with("<svg"));
    place.run("plot relu:heaviside=0.5 --range=-1..10 --out picture.png").success();
    assert_eq!(&fs::read(place.path("picture.png")).expect("it was written")[..8], b"\x89PNG\r\n\x1a\n");
    place.run("plot gelu --out page.html").success();
    assert!(place.read("page.html").trim_start().to_lowercase().starts_with("<!doctype html>"));

    place.refuses("plot", 2, &["NAME"]);
    place.refuses("plot rleu", 2, &["unknown activation `rleu`"]);
    place.refuses("plot relu --range 3..3", 2, &["3..3"]);
    place.refuses("plot relu --range wide", 2, &["`wide` is not a range"]);
    place.refuses("plot relu --out picture.gif", 2, &["picture.gif", ".svg, .png or .html"]);
    place.refuses("plot relu --out nowhere/picture.svg", 1, &["nowhere/picture.svg"]);
}

#[test]
fn a_folder_of_pictures_is_shown_trained_on_and_evaluated() {
    let place = Place::new();
    place.run("data digits --contact-sheet a.png").success();
    for (class, count) in [("cats", 10), ("dogs", 20)] {
        let folder = place.path("pets").join(class);
        fs::create_dir_all(&folder).expect("it can be made");
        for i in 0..count {
            fs::copy(place.path("a.png"), folder.join(format!("{i}.png"))).expect("it can be copied");
        }
    }
    let shown = place.run("data pets --image-size 8 --contact-sheet sheet.png").success();
    let text = String::from_utf8(shown.get_output().stdout.clone()).expect("UTF-8");
    assert!(
        text.contains("pictures of 8 × 8 × 3 channels, 2 classes") && text.contains("by class cats 2, dogs 4"),
        "{text}"
    );
    assert!(place.path("sheet.png").exists());
    place.run("train --dataset pets --image-size 8 --hidden 4 --epochs 1 --batch-size 8 --out out --quiet").success();
    place.run("eval out --quiet").success();
    fs::rename(place.path("pets/dogs"), place.path("pets/rats")).expect("it can be renamed");
    place.refuses("eval out --quiet", 1, &["its classes have the names cats, rats, and the checkpoint's cats, dogs"]);
    place.refuses("train --dataset digits --image-size 8", 1, &["image_size: only folders of PNG and JPEG"]);
}
