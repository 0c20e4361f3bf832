//! One experiment on many machines.

mod place;

use place::Place;
use predicates::str::contains;
use serde_json::Value;

const GRID: &str =
    "compare --dataset digits --batch-size 16 --epochs 1 --hidden 8 --activations relu,tanh,gelu --seeds 3 --quiet";

fn results(place: &Place, folder: &str) -> Value {
    serde_json::from_slice(&std::fs::read(place.path(folder).join("results.json")).unwrap()).unwrap()
}

/// The runs without what time tells.
fn runs(results: &Value) -> Vec<Value> {
    let mut runs = results["runs"].as_array().unwrap().clone();
    for run in &mut runs {
        run["wall_seconds"] = Value::Null;
        for epoch in run["epochs"].as_array_mut().unwrap() {
            epoch["seconds"] = Value::Null;
        }
    }
    runs
}

fn accuracies(results: &Value) -> Vec<Value> {
    results["summary"].as_array().unwrap().iter().map(|summary| summary["test_accuracy"].clone()).collect()
}

#[test]
fn shards_together_are_the_whole_experiment_and_a_missing_one_is_named() {
    let place = Place::new();
    place.run(&format!("{GRID} --out whole")).success();
    for shard in 0..4 {
        place.run(&format!("{GRID} --shard {shard}/4 --out part{shard}")).success();
    }
    let sizes: Vec<usize> = (0..4).map(|shard| runs(&results(&place, &format!("part{shard}"))).len()).collect();
    assert_eq!((sizes.iter().sum::<usize>(), *sizes.iter().max().unwrap()), (9, 3));

    place.run("report part0 part1 part2 part3 --out joined --quiet").success();
    assert_eq!(runs(&results(&place, "joined")), runs(&results(&place, "whole")));
    assert_eq!(accuracies(&results(&place, "joined")), accuracies(&results(&place, "whole")));

    place.run("report part0 part2 part3 --out some").success().stderr(contains("is missing"));
    // A shard that is resumed stays one.
    place.run("compare --resume part1 --seeds 5 --quiet").success();
    let grown = runs(&results(&place, "part1")).len();
    assert!((4..5).contains(&grown), "{grown} of the 15 trainings are in 1/4");
    place.refuses("compare --resume part1 --shard 2/4", 2, &["--shard", "1/4", "2/4"]);
    place.refuses(&format!("{GRID} --shard 9/10 --out none"), 2, &["9/10 has none of the 9 trainings"]);
    place.refuses(&format!("{GRID} --shard 4/4 --out none"), 2, &["--shard", "the last 3/4"]);
}
