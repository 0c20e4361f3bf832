//! Many settings as one experiment.

mod place;

use std::{fs, path::Path};

use place::Place;
use predicates::str::contains;
use serde_json::Value;

const SWEEP: &str = "compare --dataset digits --batch-size 16 --epochs 1 --hidden 8 --activations relu,tanh --seeds 2 --quiet \
                     --sweep lr=0.01,0.3 --sweep hidden=8:8,8";

fn sweep(place: &Place, folder: &str) -> Value {
    serde_json::from_slice(&fs::read(place.path(folder).join("sweep.json")).unwrap()).unwrap()
}

/// The points without what time tells.
fn points(place: &Place, folder: &str) -> Value {
    let mut points = sweep(place, folder)["points"].take();
    for point in points.as_array_mut().unwrap() {
        for run in point["runs"].as_array_mut().unwrap() {
            run["wall_seconds"] = Value::Null;
        }
        for summary in point["summary"].as_array_mut().unwrap() {
            summary["seconds_per_epoch"] = Value::Null;
        }
    }
    points
}

fn run_folders(folder: &Path) -> usize {
    let points = fs::read_dir(folder.join("points")).unwrap().flatten();
    points.map(|point| fs::read_dir(point.path().join("runs")).unwrap().count()).sum()
}

#[test]
fn every_combination_is_an_experiment_and_the_best_is_named() {
    let place = Place::new();
    let printed = place.run(&format!("{SWEEP} --out swept")).success().get_output().stdout.clone();
    let printed = String::from_utf8(printed).unwrap();
    assert!(printed.contains("16 of 16 trainings at 4 points done"), "{printed}");
    assert!(printed.contains("hidden=8 lr=0.3") || printed.contains("hidden=8,8 lr=0.3"), "{printed}");
    let page = place.read("swept/report.html");
    assert!(page.contains("id=\"response-lr\"") && page.contains("id=\"response-hidden\""));

    let results = sweep(&place, "swept");
    let labels: Vec<&str> =
        results["points"].as_array().unwrap().iter().map(|point| point["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["hidden=8 lr=0.01", "hidden=8 lr=0.3", "hidden=8,8 lr=0.01", "hidden=8,8 lr=0.3"]);
    assert_eq!(results["points"][3]["settings"]["hidden"], serde_json::json!([8, 8]));

    // A point is an experiment as any other, with the numbers that it has by itself.
    place.run("report swept/points/hidden=8,8+lr=0.3 --quiet").success();
    let alone =
        "compare --dataset digits --batch-size 16 --epochs 1 --hidden 8,8 --lr 0.3 --activations relu,tanh --seeds 2";
    place.run(&format!("{alone} --quiet --out alone")).success();
    let accuracies = |folder: &str| {
        let runs = place.results(folder).runs.into_iter();
        runs.map(|run| (run.activation.clone(), run.seed, run.last().unwrap().test_accuracy)).collect::<Vec<_>>()
    };
    assert_eq!(accuracies("swept/points/hidden=8,8+lr=0.3"), accuracies("alone"));

    place.run("diagnose swept").success().stdout(contains("of 16 runs"));
    place.run("diagnose swept --format json").success().stdout(contains("\"point\":\"hidden=8 lr=0.01\""));
    place.refuses("diagnose swept --repair", 2, &["--repair", "the folder of one point"]);
}

#[test]
fn a_sweep_goes_on_where_it_was_and_takes_more_values_and_seeds() {
    let place = Place::new();
    place.run(&format!("{SWEEP} --out swept")).success();
    let whole = points(&place, "swept");
    // What a kill leaves: a point that was not begun, a run that was not done.
    fs::remove_dir_all(place.path("swept/points/hidden=8+lr=0.01")).unwrap();
    fs::remove_dir_all(place.path("swept/points/hidden=8+lr=0.3/runs/tanh-seed1")).unwrap();
    place
        .run("report swept")
        .success()
        .stderr(contains("none of its 4 trainings was begun"))
        .stderr(contains("hidden=8 lr=0.3: tanh with seed 1 is missing"));
    place.run("compare --resume swept --quiet").success();
    assert_eq!(points(&place, "swept"), whole);

    place.run("compare --resume swept --seeds 3 --sweep lr=0.1 --quiet").success();
    assert_eq!(points(&place, "swept").as_array().unwrap().len(), 6);
    assert_eq!(run_folders(&place.path("swept")), 6 * 2 * 3);
    place.refuses("compare --resume swept --sweep momentum=0.5", 2, &["--sweep", "begin another experiment"]);
}

#[test]
fn shards_of_a_sweep_are_joined_and_what_is_missing_is_named() {
    let place = Place::new();
    place.run(&format!("{SWEEP} --out whole")).success();
    for shard in 0..3 {
        place.run(&format!("{SWEEP} --shard {shard}/3 --out part{shard}")).success();
    }
    let sizes: Vec<usize> = (0..3).map(|shard| run_folders(&place.path(&format!("part{shard}")))).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 16);
    assert!(sizes.iter().all(|size| (5..=6).contains(size)), "{sizes:?}");
    place.run("report part0 part1 part2 --out joined --quiet").success();
    assert_eq!(points(&place, "joined"), points(&place, "whole"));
    assert_eq!(sweep(&place, "joined")["notes"], serde_json::json!([]));
    place.run("report part0 part2 --out some").success().stderr(contains("is missing"));
    // A run that two folders hold is named.
    place.run("report part0 part1 part2 whole --out twice").success().stderr(contains("with the same numbers"));
    place.refuses("compare --resume part1 --seeds 5", 2, &["shard", "begin another sweep"]);
    place.refuses(&format!("{SWEEP} --shard 16/17 --out none"), 2, &["none of the 16 trainings"]);
}

#[test]
fn points_of_one_network_are_batched_and_have_the_same_numbers_to_rounding() {
    let place = Place::new();
    place.run(&format!("{SWEEP} --jobs 1 --out alone")).success();
    place.run(&format!("{SWEEP} --jobs 1 --vectorise --out together")).success();
    let runs = |folder: &str| -> Vec<Value> {
        let points = points(&place, folder);
        points.as_array().unwrap().iter().flat_map(|point| point["runs"].as_array().unwrap().clone()).collect()
    };
    let (alone, together) = (runs("alone"), runs("together"));
    assert_eq!((alone.len(), together.len()), (16, 16));
    for (one, other) in alone.iter().zip(&together) {
        for same in ["activation", "seed", "status", "steps"] {
            assert_eq!(one[same], other[same]);
        }
        // A sample whose two largest logits are equal but for rounding may be classified otherwise.
        let [one, other] = [one, other].map(|run| run["test_accuracy"].as_f64().unwrap());
        assert!((one - other).abs() < 0.02, "{one} alone, {other} together");
    }
    let settings = place.read("together/points/hidden=8+lr=0.3/config.toml");
    assert!(settings.contains("vectorise = true"), "{settings}");
}

#[test]
fn what_cannot_be_swept_is_refused_before_anything_is_written() {
    let place = Place::new();
    for (flags, parts) in [
        ("compare --sweep lrr=1", &["--sweep", "did you mean `lr`?"][..]),
        ("compare --sweep lr=0.1,-1", &["lr", "at lr=-1 of the sweep"]),
        ("compare --sweep seeds=1,2", &["sweep", "seeds"]),
        ("compare --sweep lr=0.1 --tune lr", &["sweep", "tune"]),
        ("train --sweep lr=0.1,0.2", &["sweep", "rectify compare"]),
        ("compare --dataset digits --sweep lr=0.1 --sweep model=mlp,cnn --sweep backend=flex,cuda", &["cuda"]),
    ] {
        place.refuses(flags, 2, parts);
    }
    assert!(!place.path("runs").exists());
    // A config file has it as a table, and a flag takes the place of one setting's values.
    fs::write(place.path("sweep.toml"), "[sweep]\nlr = [0.1, 0.2]\nbatch_size = [8]\n").unwrap();
    let printed = place.run("compare --config sweep.toml --sweep lr=1,0.5 --print-config").success();
    printed.stdout(contains("[sweep]\nbatch_size = [8]\nlr = [1.0, 0.5]"));
}
