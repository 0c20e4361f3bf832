//! The commands of the README and the guide do what they say, on less data.

mod place;

use std::{fs, path::Path};

use place::Place;

/// The README and, behind it, the guide.
const README: &str = concat!(include_str!("../../../README.md"), include_str!("../../../docs/guide.md"));

/// The arguments of every `cargo run --release -- …` in them, without comments.
fn commands() -> Vec<Vec<&'static str>> {
    let lines = README.lines().filter_map(|line| line.strip_prefix("    cargo run --release -- "));
    let without_comment = |line: &'static str| line.split_once(" #").map_or(line, |(command, _)| command);
    // A shell takes the quotes away.
    let unquoted = |word: &'static str| word.trim_matches('\'');
    lines.map(|line| without_comment(line).split_whitespace().map(unquoted).collect()).collect()
}

/// The same command with as little work as its form allows.
fn smaller<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut smaller = arguments.to_vec();
    let resumed = arguments.contains(&"--resume");
    match arguments[0] {
        "compare" | "train" => {
            for flag in ["--epochs", "--seeds"] {
                if let Some(place) = smaller.iter().position(|argument| *argument == flag)
                    && smaller[place + 1] != "0"
                {
                    // What is resumed is to be extended.
                    smaller[place + 1] = if resumed { "2" } else { "1" };
                }
            }
            if !resumed {
                smaller.extend(["--train-size", "256"]);
                if !smaller.contains(&"--epochs") {
                    smaller.extend(["--epochs", "1"]);
                }
                if !smaller.contains(&"--seeds") {
                    smaller.extend(["--seeds", "1"]);
                }
            }
        }
        // Whole claims take minutes, and have tests of their own.
        "claims" if !arguments.contains(&"--list") => {
            smaller.retain(|argument| !["--quick", "--thorough"].contains(argument));
            smaller.push("--list");
        }
        _ => {}
    }
    smaller
}

#[test]
fn every_command_of_the_readme_runs() {
    let place = Place::new();
    let commands = commands();
    assert!(commands.len() > 10, "the README has commands");
    for arguments in commands {
        if arguments.contains(&"runs/from-another-machine") {
            copy(&place.path("runs/mine"), &place.path("runs/from-another-machine"));
        }
        place.run(&smaller(&arguments).join(" ")).success();
    }
    for file in
        ["config.toml", "results.json", "report.html", "runs/relu-seed0/run.json", "runs/relu-seed0/metrics.jsonl"]
    {
        assert!(README.contains(file.rsplit('/').next().unwrap_or(file)), "{file}");
        assert!(place.path("runs/mine").join(file).exists(), "{file}");
    }
    assert!(place.path("runs/joined/report.html").exists());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it can be made");
    for entry in fs::read_dir(from).expect("it is there").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("it can be copied");
        }
    }
}
