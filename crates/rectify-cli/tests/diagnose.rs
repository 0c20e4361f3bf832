//! `rectify diagnose` over folders.

mod place;

use place::{Place, SMALL};
use serde_json::Value;

fn json(place: &Place, arguments: &str) -> (Value, Option<i32>) {
    let assert = place.run(arguments);
    let output = assert.get_output();
    (serde_json::from_slice(&output.stdout).expect("it prints JSON"), output.status.code())
}

#[test]
fn a_broken_run_is_named_explained_and_repaired() {
    let place = Place::new();
    place.run(&format!("train {SMALL} --epochs 8 --lr 300 --out broken --quiet")).success();
    let (report, code) = json(&place, "diagnose broken --repair --attempts 2 --strict --format json --quiet");
    assert_eq!(code, Some(1), "--strict exits with 1 where a run is not healthy");
    assert_eq!(report["schema_version"], 1);
    let run = &report["runs"][0];
    assert_eq!((&run["activation"], &run["seed"], &run["healthy"]), (&"relu".into(), &0.into(), &false.into()));
    for key in ["detector", "severity", "layers", "first_step", "evidence", "explanation", "remedies", "reference"] {
        assert!(!run["findings"][0][key].is_null(), "{key} of a finding");
    }
    let cause = &run["causes"][0];
    assert_eq!(cause["cause"], "learning-rate-too-high", "{run:#}");
    assert_eq!(cause["remedy"]["settings"]["lr"], 0.1);
    assert!(report["repair"]["attempts"].as_array().is_some_and(|attempts| !attempts.is_empty()));
    assert_eq!(report["repair"]["repaired"], true, "{:#}", report["repair"]);
    // Every attempt is a run folder, and what works can be run.
    place.run("report broken/repair/attempt-1 --quiet");
    place.run("train --config broken/repaired.toml --out cured --quiet").success();
}

#[test]
fn what_cannot_be_diagnosed_is_refused() {
    let place = Place::new();
    place.refuses("diagnose nowhere", 2, &["nowhere"]);
    place.refuses("diagnose", 2, &["DIR"]);
}
