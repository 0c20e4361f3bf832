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

#[test]
fn claims_of_shards_are_joined_with_what_they_are_judged_from() {
    let place = Place::new();
    for shard in 0..2 {
        place
            .run(&format!("claims definition linear-collapse --quick --quiet --shard {shard}/2 --out claims{shard}"))
            .success();
    }
    let ids = |folder: &str| -> Vec<String> {
        let report: Value = serde_json::from_str(&place.read(&format!("{folder}/claims.json"))).unwrap();
        let claims = report["claims"].as_array().unwrap();
        claims.iter().map(|claim| claim["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids("claims0"), ids("claims1")), (vec!["definition".to_owned()], vec!["linear-collapse".to_owned()]));
    let said = "in none of the folders: piecewise-linear";
    place.run("report claims0 claims1 --out claims").success().stderr(contains(said));
    assert_eq!(ids("claims"), ["linear-collapse", "definition"]);
    assert!(place.read("claims/claims.html").contains("<h2 id=\"definition\">"));
    // And again, over what it wrote; a claim that two folders hold is named.
    place.run("report claims0 claims1 claims0 --out claims").success().stderr(contains("definition is in claims0 too"));
    place.run("claims --judge claims --quiet").success();
    place.refuses("claims definition --quick --shard 1/2 --out none", 2, &["--shard 1/2 has none of the 1 claims"]);
    place.refuses("report claims0 claims1 --out claims0", 2, &["--out claims0", "another folder"]);
}
