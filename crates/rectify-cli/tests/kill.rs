//! A program that is killed at any moment, resumed, and killed again ends with the bits of one that never was.
#![cfg(unix)]

mod place;

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use place::{Place, SMALL, timeless};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rectify_train::record::Results;
use serde_json::Value;

fn rectify(place: &Place, arguments: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rectify"))
        .args(arguments.split_whitespace())
        .current_dir(place.0.path())
        .env("RECTIFY_SAVE_SECONDS", "0.02")
        .env_remove("RECTIFY_DATA")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// At which moment to kill.
#[derive(Debug, Clone, Copy)]
enum Aim {
    /// So long after the start.
    After(Duration),
    /// When a file or folder is half written beside the one that it is to replace.
    WhileWritten,
    /// When a state has just been put in the place of another.
    StateReplaced,
    /// When a line is being appended to the metrics.
    LineAppended,
    /// When the report, or the results, are being written.
    ReportWritten,
}

/// What an aim looks at, which changes when it is time.
fn sight(aim: Aim, out: &Path) -> Vec<(PathBuf, u64)> {
    let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let half_written = |path: &PathBuf| path.to_string_lossy().contains(".rectify-new-");
    let runs = || entries(out.join("runs"));
    let inode = |path: PathBuf| fs::metadata(&path).map(|metadata| (path, metadata.ino())).ok();
    let size = |path: PathBuf| fs::metadata(&path).map(|metadata| (path, metadata.len())).ok();
    match aim {
        Aim::After(_) => Vec::new(),
        Aim::WhileWritten => runs().flat_map(entries).filter(half_written).map(|path| (path, 0)).collect(),
        Aim::StateReplaced => {
            let trainings = runs().chain(entries(out.join("evidence")).flat_map(entries));
            trainings.filter_map(|training| inode(training.join("state/state.json"))).collect()
        }
        Aim::LineAppended => runs().filter_map(|run| size(run.join("metrics.jsonl"))).collect(),
        Aim::ReportWritten => entries(out.to_owned()).filter(half_written).map(|path| (path, 0)).collect(),
    }
}

/// Kills the program at its aim. Whether it was still running.
fn kill(mut child: Child, aim: Aim, out: &Path) -> bool {
    let (begun, before) = (Instant::now(), sight(aim, out));
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            let mut stderr = String::new();
            let read = child.stderr.take().map(|mut pipe| std::io::Read::read_to_string(&mut pipe, &mut stderr));
            assert!(status.success(), "{aim:?}: {status}, {read:?}\n{stderr}");
            return false;
        }
        let time = match aim {
            Aim::After(wait) => begun.elapsed() >= wait,
            _ => sight(aim, out) != before,
        };
        if time {
            break;
        }
        if matches!(aim, Aim::After(_)) {
            sleep(Duration::from_micros(200));
        }
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it is our child");
    true
}

/// All that is left behind, without what a clock decides and numbers by which Burn names parameters.
fn left_behind(out: &Path) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let results = fs::read_to_string(out.join("results.json")).expect("there are results");
    let mut results: Results = serde_json::from_str(&results).expect("they have their schema");
    results.runs = timeless(&results);
    results.summary.iter_mut().for_each(|summary| summary.seconds_per_epoch = None);
    all.push(("results.json".to_owned(), serde_json::to_value(results).expect("plain data")));
    for run in fs::read_dir(out.join("runs")).expect("there are runs") {
        let run = run.expect("readable").path();
        let name = |file: &str| format!("{}/{file}", run.file_name().unwrap_or_default().to_string_lossy());
        let metrics = fs::read_to_string(run.join("metrics.jsonl")).expect("there are metrics");
        let lines = metrics.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).expect("a line of JSON");
            line.as_object_mut().expect("an object").remove("seconds");
            line
        });
        all.push((name("metrics.jsonl"), lines.collect()));
        let events = fs::read(run.join("events.out.tfevents.rectify")).expect("there are events");
        all.push((name("events"), lengths(&events).into()));
        let weights = fs::read(run.join("checkpoint/model.bpk")).expect("there is a checkpoint");
        // The last bytes are the last tensors, to the bit.
        all.push((name("model.bpk"), weights[weights.len() - 256..].into()));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// How long each record of an event file is. What is in one depends on the clock.
fn lengths(events: &[u8]) -> Vec<usize> {
    let (mut lengths, mut rest) = (Vec::new(), events);
    while let Some((length, _)) = rest.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length) as usize;
        rest = rest.get(16 + length..).expect("no record is torn");
        lengths.push(length);
    }
    lengths
}

/// What is done to its end, and in many parts.
struct Work<T> {
    /// The command, `compare` or `claims`.
    command: &'static str,
    experiment: String,
    /// What the folder of one that has settings holds. Killed before, it is begun again.
    begun: &'static str,
    aim: fn(&mut ChaCha8Rng) -> Aim,
    left_behind: fn(&Path) -> Vec<T>,
}

impl<T: PartialEq + std::fmt::Debug> Work<T> {
    /// Kills it so often, in as many rounds as that takes, and holds what each leaves behind to what one does that ran
    /// through.
    fn killed_and_resumed(&self, kills: usize, seed: u64) {
        let Self { command, experiment, .. } = self;
        let place = Place::new();
        let ends = |arguments: &str| {
            let output = rectify(&place, arguments).wait_with_output().expect("it runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        ends(&format!("{command} {experiment} --out whole"));
        let expected = (self.left_behind)(&place.path("whole"));

        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut killed, mut with_state, mut rounds) = (0, 0, 0);
        while killed < kills {
            // As often as it is through before all kills are done, it begins anew.
            let name = format!("parts{rounds}");
            rounds += 1;
            let out = place.path(&name);
            let mut running = true;
            while running {
                let aim = (self.aim)(&mut random);
                let arguments = match out.join(self.begun).exists() {
                    true => format!("{command} --resume {name}"),
                    false => format!("{command} {experiment} --out {name}"),
                };
                running = killed < kills && kill(rectify(&place, &arguments), aim, &out);
                killed += usize::from(running);
                with_state += usize::from(running && !sight(Aim::StateReplaced, &out).is_empty());
            }
            ends(&format!("{command} --resume {name}"));
            let found = (self.left_behind)(&out);
            for (expected, found) in expected.iter().zip(&found) {
                assert_eq!(expected, found, "after {killed} kills");
            }
            assert_eq!(expected.len(), found.len());
            let left = fs::read_dir(&out).expect("readable").flatten().map(|entry| entry.file_name());
            let half_written: Vec<_> = left.filter(|name| name.to_string_lossy().contains(".rectify-new-")).collect();
            assert!(half_written.is_empty(), "cleared away: {half_written:?}");
        }
        assert!(with_state > 5, "states are saved: {with_state}");
    }
}

/// Six trainings that save their states all the time.
fn trainings() -> Work<(String, Value)> {
    Work {
        command: "compare",
        experiment: format!(
            "{SMALL} --activations relu,tanh,gelu --seeds 2 --epochs 30 --optimizer adam --probe-every 40 --jobs 2 --log tensorboard"
        ),
        begun: "config.toml",
        aim: |random| match random.random_range(0..8) {
            0 => Aim::WhileWritten,
            1 => Aim::StateReplaced,
            2 => Aim::LineAppended,
            3 => Aim::ReportWritten,
            _ => Aim::After(Duration::from_micros(random.random_range(0..400_000))),
        },
        left_behind,
    }
}

#[test]
fn killed_at_random_and_aimed_moments_and_resumed_it_ends_with_the_same_bits() {
    trainings().killed_and_resumed(24, 1);
}

#[test]
#[ignore = "the same with 200 kills: several minutes"]
fn kill_two_hundred_times() {
    trainings().killed_and_resumed(200, 2);
}

/// Sends a signal to a compare in the middle of an epoch, with states as rare as they are by default.
fn told_to_stop(signal: &str, code: i32) {
    let place = Place::new();
    let arguments = format!("compare {SMALL} --epochs 100000 --seeds 1 --activation relu --out out");
    let child = Command::new(env!("CARGO_BIN_EXE_rectify"))
        .args(arguments.split_whitespace())
        .current_dir(place.0.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let begun = Instant::now();
    while !fs::read_to_string(place.path("out/runs/relu-seed0/metrics.jsonl"))
        .is_ok_and(|lines| lines.lines().count() > 2)
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "it trains");
        sleep(Duration::from_millis(5));
    }
    // Twice, as `timeout` and schedulers send it: to the process and to its group.
    let id = child.id().to_string();
    let told = Command::new("kill").args([signal, &id, &id]).status().expect("a Unix system has kill");
    assert!(told.success());
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains("to go on: rectify compare --resume out"), "{stderr}");
    assert!(place.path("out/runs/relu-seed0/state/state.json").exists());
    assert!(!place.path("out/runs/relu-seed0/run.json").exists(), "it is not done");
}

#[test]
fn every_signal_that_asks_for_an_end_saves_the_state_and_says_how_to_go_on() {
    told_to_stop("-INT", 130);
    told_to_stop("-TERM", 143);
    told_to_stop("-HUP", 129);
}

/// What claims were judged from and came to, without what a clock decides.
fn judged(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join("claims.json")).expect("there is a report");
    let mut report: Value = serde_json::from_str(&text).expect("JSON");
    assert!(!out.join("evidence").exists(), "no piece is left");
    let claims = report["claims"].as_array_mut().expect("claims");
    claims.iter_mut().for_each(|claim| drop(claim.as_object_mut().expect("an object").remove("seconds")));
    std::mem::take(claims)
}

#[test]
fn claims_that_are_killed_in_the_middle_of_trainings_end_with_the_same_bits() {
    let claims = Work {
        command: "claims",
        // One whose trainings end when enough was seen, and one of which something is seen between steps.
        experiment: "convergence dying --quick --jobs 2".to_owned(),
        begun: "claims.json",
        aim: |random| match random.random_range(0..2) {
            0 => Aim::StateReplaced,
            _ => Aim::After(Duration::from_millis(random.random_range(300..1500))),
        },
        left_behind: judged,
    };
    claims.killed_and_resumed(12, 3);
}
