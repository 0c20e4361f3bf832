//! What a comparison prints and writes.

use super::*;

#[test]
fn a_comparison_prints_a_table_and_leaves_a_report() {
    let place = Place::new();
    let assert = place.run(&format!("compare {SMALL} --epochs 2 --seeds 2 --out out")).success();
    let table = stdout(&assert);
    for part in ["activation", "relu", "sigmoid", "tanh", " on the test set", "(means of 2 seeds)"] {
        assert!(table.contains(part), "`{part}` is not in:\n{table}");
    }
    assert_eq!(
        table.lines().filter(|line| line.starts_with("│ ")).count(),
        4 + 3,
        "a header of four lines and three rows"
    );
    assert!(!table.contains('\x1b') && !table.contains('\r'), "stdout is free of colour and progress:\n{table}");
    let notes = stderr(&assert);
    assert_eq!(
        notes.lines().filter(|line| line.contains(": test accuracy ")).count(),
        6,
        "a line a training:\n{notes}"
    );
    assert!(notes.contains("out/report.html") && notes.contains("out/results.json"), "{notes}");
    assert!(!notes.contains('\x1b') && !notes.contains('\r'), "no bar without a terminal:\n{notes}");

    let page = place.read("out/report.html");
    assert!(page.contains("<svg") || page.contains("<script"), "there are figures");
    let markup: String =
        page.split("<script").map(|part| part.split_once("</script>").map_or(part, |(_, rest)| rest)).collect();
    for external in ["src=\"http", "src=\"//", "href=\"http", "href=\"//", "<link", "@import", "url(http"] {
        assert!(!markup.contains(external), "the report asks for something from outside: {external}");
    }
    assert!(!page.contains("<script src"), "scripts are in the file");
}

#[test]
fn quiet_is_quiet_and_still_prints_the_result() {
    let place = Place::new();
    let trained = place.run(&format!("train {SMALL} --epochs 1 --quiet --out out")).success().stderr("");
    assert!(stdout(&trained).contains("relu"));
    place.run("eval out/runs/relu-seed0 -q").success().stderr("").stdout(contains("accuracy"));
    place.run("plot relu --quiet --out relu.svg").success().stderr("").stdout("");
    place.run("backends --quiet").success().stderr("").stdout(contains("flex"));
    place.run("data --quiet").success().stderr("").stdout(contains("mnist"));
    place.run("gradcheck --quiet --activations relu").success().stderr("").stdout(contains("relu"));
}

/// The fields of an object, sorted.
fn fields(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn results_json_has_the_fields_that_programs_rely_on() {
    let place = Place::new();
    let assert = place.run(&format!("compare {SMALL} --epochs 1 --seeds 2 --format json --out out")).success();
    let results = json(&assert);
    let stored: Value = serde_json::from_str(&place.read("out/results.json")).expect("JSON");
    assert_eq!(results, stored, "what is printed is what is stored");

    assert_eq!(results["schema_version"], SCHEMA_VERSION);
    assert_snapshot!(fields(&results).join(" "), @"data environment experiment paired_differences runs schema_version summary");
    assert_snapshot!(fields(&results["environment"]).join(" "), @"adapter backend burn cpu rectify threads");
    assert_eq!(results["environment"]["backend"], "flex");
    assert_eq!(results["environment"]["adapter"], Value::Null);
    assert_snapshot!(fields(&results["experiment"]).join(" "), @"activations backend batch_size dataset dropout dtype epochs hidden init lr model norm optimizer probe_every residual schedule seeds threads weight_decay");
    let run = &results["runs"][0];
    assert_snapshot!(fields(run).join(" "), @"activation confusion epochs parameters seed status steps wall_seconds");
    assert_eq!((&run["activation"], &run["seed"], &run["status"]), (&"relu".into(), &0.into(), &"completed".into()));
    assert_eq!(run["parameters"], (SIDE * SIDE + 1) * 8 + 9 * 10);
    let epoch = &run["epochs"][1];
    assert_snapshot!(fields(epoch).join(" "), @"epoch gradient layers learning_rate seconds step test_accuracy test_loss train_loss validation_accuracy validation_loss");
    assert_eq!((&epoch["epoch"], &epoch["step"]), (&1.into(), &14.into()), "216 samples are 14 batches of 16");
    let layer = &epoch["layers"][0];
    assert_snapshot!(fields(layer).join(" "), @"activation activation_mean activation_std batch_weight_grad_rms bias_rms dead_fraction dormant_fraction effective_rank fan_in fan_out histogram layer nonfinite_activations nonfinite_gradients nonfinite_weights preactivation_grad_histogram preactivation_grad_norm preactivation_grad_rms preactivation_histogram preactivation_mean preactivation_std role saturated_fraction unit_nonzero_fraction units update_to_weight_ratio weight_grad_norm weight_grad_rms weight_rms zero_fraction");
    assert_eq!((&layer["layer"], &layer["units"]), (&"hidden.0".into(), &8.into()));
    assert_eq!(layer["saturated_fraction"], Value::Null, "ReLU does not saturate");
    assert_eq!(epoch["layers"][1]["layer"], "output");
    let summary = &results["summary"][0];
    assert_eq!((&summary["activation"], &summary["seeds"]), (&"relu".into(), &2.into()));
    assert_snapshot!(fields(&summary["test_accuracy"]).join(" "), @"confidence high low mean std");
    let typed = printed_results(&assert);
    assert_eq!(typed.runs.len(), 6);
    // As text: the nearest f64 to an f32 is not the nearest to its digits.
    let again: Value = serde_json::to_string(&typed).and_then(|text| serde_json::from_str(&text)).expect("JSON");
    assert_eq!(again, results, "the types hold every field");
}

#[test]
fn metrics_are_a_line_a_measurement_as_in_the_results() {
    let place = Place::new();
    place.run(&format!("train {SMALL} --epochs 2 --probe-every 10 --out out")).success();
    let run = &place.results("out").runs[0];
    let lines = place.read("out/runs/relu-seed0/metrics.jsonl");
    let (mut epochs, mut steps): (Vec<Epoch>, Vec<u64>) = (Vec::new(), Vec::new());
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("every line is JSON");
        match line["kind"].as_str() {
            Some("epoch") => epochs.push(serde_json::from_value(line).expect("an epoch")),
            Some("step") => steps.push(line["step"].as_u64().expect("a probed step")),
            kind => assert_eq!(kind, Some("losses")),
        }
    }
    assert_eq!(epochs, run.epochs);
    assert_eq!(steps, [10, 20]);
    assert_eq!(run.probes.iter().map(|probe| probe.step as u64).collect::<Vec<_>>(), steps);
}

#[test]
fn a_runs_own_config_gives_the_same_results_again() {
    let place = Place::new();
    let flags = "--activations relu,leaky-relu:0.1,relu:heaviside=0.5 --seed 3,5 --epochs 2 --optimizer adam";
    place.run(&format!("compare {SMALL} {flags} --out first")).success();
    place.run("compare --config first/config.toml --out second").success();
    let (first, second) = (place.results("first"), place.results("second"));
    assert_eq!(first.runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [3, 3, 3, 5, 5, 5]);
    assert_eq!(timeless(&first), timeless(&second));
    assert_eq!(first.experiment, second.experiment);
    assert_eq!(place.read("first/config.toml"), place.read("second/config.toml"));
}
