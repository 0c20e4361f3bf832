//! The program from outside: what it prints, what it writes, and how it ends.

mod place;

use std::{env, fs, path::Path};

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
        let flags = "dataset model hidden activations init bias-init optimizer lr momentum weight-decay clip-norm \
                     batch-size epochs steps patience seeds seed backend dtype train-size jobs threads out format quiet config \
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
fn one_step_on_mnist_gives_the_same_losses_on_every_backend() {
    let place = Place::new();
    let one_step = |backend: &str| {
        let flags = "--steps 1 --train-size 256 --hidden 8 --seeds 1 --format json --quiet";
        printed_results(&place.run(&format!("compare {flags} --backend {backend} --out {backend}")).success())
    };
    let flex = one_step("flex");
    let mut backends = vec!["ndarray"];
    if place.has_adapter("wgpu") {
        backends.push("wgpu");
    }
    for backend in backends {
        let results = one_step(backend);
        assert_eq!(results.environment.backend, backend);
        assert_eq!(results.environment.adapter.is_some(), backend == "wgpu");
        assert_eq!(results.runs.len(), 3);
        for (run, on_flex) in results.runs.iter().zip(&flex.runs) {
            assert_eq!((run.status, run.steps, run.epochs.len()), (Status::Completed, 1, 2));
            for (epoch, on_flex) in run.epochs.iter().zip(&on_flex.epochs) {
                for (loss, on_flex) in [(epoch.train_loss, on_flex.train_loss), (epoch.test_loss, on_flex.test_loss)] {
                    let (loss, on_flex) = (loss.expect("finite"), on_flex.expect("finite"));
                    // Backends add up in another order: f32 has seven digits, a sum of thousands keeps five of them.
                    assert!((loss - on_flex).abs() < 1e-4 * on_flex, "{loss} on {backend}, {on_flex} on flex");
                }
            }
        }
    }
}

#[test]
fn every_dtype_that_a_backend_lists_trains_a_step() {
    let place = Place::new();
    let backends = json(&place.run("backends --format json").success());
    for name in ["flex", "ndarray"] {
        let backend = backends.as_array().expect("a list").iter().find(|backend| backend["name"] == name);
        let dtypes = backend.expect("it is compiled in")["adapters"][0]["dtypes"].clone();
        let dtypes: Vec<String> = serde_json::from_value(dtypes).expect("a list of words");
        assert!(dtypes.contains(&"f32".to_owned()) && dtypes.contains(&"f64".to_owned()), "{name}: {dtypes:?}");
        for dtype in &dtypes {
            let out = format!("{name}-{dtype}");
            place
                .run(&format!("compare {SMALL} --seeds 1 --steps 1 --backend {name} --dtype {dtype} --out {out}"))
                .success();
            for run in place.results(&out).runs {
                assert!(run.epochs[1].train_loss.is_some_and(|loss| loss > 0.5 && loss < 10.0), "{out}");
            }
        }
        for dtype in ["f16", "bf16"].into_iter().filter(|dtype| !dtypes.iter().any(|listed| listed == dtype)) {
            let arguments = format!("compare {SMALL} --steps 1 --backend {name} --dtype {dtype}");
            place.refuses(&arguments, 2, &[name, dtype, "computes in f32 and f64"]);
        }
    }
}

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
        4 + 2,
        "a header of three lines and three rows"
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
fn a_checkpoint_evaluates_to_what_its_training_measured() {
    let place = Place::new();
    for (out, flags) in
        [("mlp", ""), ("few", "--train-size 100 --optimizer adam"), ("cnn", "--model cnn --activation prelu --lr 0.01")]
    {
        place.run(&format!("train {SMALL} --epochs 2 {flags} --out {out}")).success();
        let run = &place.results(out).runs[0];
        assert_eq!(run.status, Status::Completed);
        let last = run.last().expect("measured");
        for checkpoint in
            [format!("{out}/runs/{}-seed0", run.activation), format!("{out}/runs/{}-seed0/checkpoint", run.activation)]
        {
            let scores = json(&place.run(&format!("eval {checkpoint} --format json")).success().stderr(""));
            assert_eq!(scores["test_accuracy"], last.test_accuracy.expect("completed"));
            assert_eq!(scores["test_loss"], last.test_loss.expect("finite"));
            assert_eq!(scores["validation_accuracy"], last.validation_accuracy.expect("completed"));
            assert_eq!(scores["validation_loss"], last.validation_loss.expect("finite"));
        }
    }
    let text = stdout(&place.run("eval mlp/runs/relu-seed0").success());
    let last = place.results("mlp").runs[0].last().expect("measured").clone();
    let accuracy = format!("accuracy {:.2} %", 100.0 * last.test_accuracy.expect("completed"));
    assert!(text.contains(&accuracy), "`{accuracy}` is not in:\n{text}");
}

#[test]
fn on_mnist_too_a_checkpoint_evaluates_to_what_its_training_measured() {
    let place = Place::new();
    place.run("train --steps 60 --train-size 2000 --hidden 16,16 --out out").success();
    let last = place.results("out").runs[0].last().expect("measured").clone();
    let scores = json(&place.run("eval out/runs/relu-seed0 --format json").success());
    assert_eq!(scores["test_accuracy"], last.test_accuracy.expect("completed"));
    assert_eq!(scores["test_loss"], last.test_loss.expect("finite"));

    let row = |row: &Value| -> Vec<u64> {
        row.as_array().expect("a row").iter().map(|count| count.as_u64().expect("a count")).collect()
    };
    let confusion: Vec<Vec<u64>> = scores["confusion"].as_array().expect("rows").iter().map(row).collect();
    let right: u64 = (0..10).map(|class| confusion[class][class]).sum();
    assert_eq!(confusion.iter().flatten().sum::<u64>(), 10_000);
    // As the training counted it at its end.
    let counted = place.results("out").runs[0].confusion.clone().expect("completed");
    assert_eq!(serde_json::to_value(&counted.counts).expect("plain data"), scores["confusion"]);
    assert_eq!(counted.classes[7], "7");
    assert_eq!(right as f64 / 10_000.0, last.test_accuracy.expect("completed"));
    let seven = &scores["classes"][7];
    assert_eq!((&seven["class"], seven["samples"].as_u64()), (&"7".into(), Some(1028)), "as MNIST's test set has them");
    assert_eq!(seven["recall"].as_f64(), Some(confusion[7][7] as f64 / 1028.0));
    let taken: u64 = confusion.iter().map(|row| row[7]).sum();
    assert_eq!(seven["precision"].as_f64(), (taken > 0).then(|| confusion[7][7] as f64 / taken as f64));
}

#[test]
fn a_checkpoint_of_one_backend_evaluates_on_another() {
    let place = Place::new();
    place.run(&format!("train {SMALL} --epochs 2 --out out")).success();
    let last = place.results("out").runs[0].last().expect("measured").clone();
    let scores = json(&place.run("eval out/runs/relu-seed0 --backend ndarray --format json").success());
    let (loss, on_flex) = (scores["test_loss"].as_f64().expect("finite"), last.test_loss.expect("finite"));
    assert!((loss - on_flex).abs() < 1e-5 * on_flex, "{loss}, on flex {on_flex}");
}

#[test]
fn the_same_seed_gives_the_same_bits_whatever_the_number_of_jobs() {
    let place = Place::new();
    for (out, flags) in [("one", "--jobs 1"), ("again", "--jobs 1"), ("two", "--jobs 2"), ("many", "")] {
        place.run(&format!("compare {SMALL} --epochs 2 --seeds 2 {flags} --out {out}")).success();
    }
    let one = timeless(&place.results("one"));
    assert_ne!(one[0].epochs, one[3].epochs, "relu with seed 0 and seed 1 differ");
    for other in ["again", "two", "many"] {
        assert_eq!(one, timeless(&place.results(other)), "{other}");
    }
}

#[test]
fn threads_share_a_training_which_stays_the_same_to_rounding_and_to_the_bit_again() {
    let place = Place::new();
    for (out, threads) in [("one", 1), ("two", 2), ("again", 2)] {
        place.run(&format!("train {SMALL} --epochs 1 --threads {threads} --out {out}")).success();
    }
    assert_eq!(timeless(&place.results("two")), timeless(&place.results("again")));
    let loss = |out| place.results(out).runs[0].last().and_then(|epoch| epoch.test_loss).expect("finite");
    assert!((loss("one") - loss("two")).abs() < 1e-4 * loss("one"), "{} and {}", loss("one"), loss("two"));
}

#[test]
fn a_training_that_diverges_is_a_result_with_its_step() {
    let place = Place::new();
    let flags = "--hidden 8,8,8 --activations relu,tanh --seeds 1 --epochs 3 --lr 1e6";
    let assert = place.run(&format!("compare --dataset digits {flags} --batch-size 16 --out out")).success();
    let results = place.results("out");
    let relu = &results.runs[0];
    assert_eq!(relu.status, Status::Diverged);
    assert!(relu.diverged_at_step.is_some_and(|step| (1..=relu.steps).contains(&step)), "{relu:?}");
    assert_eq!(results.summary[0].diverged, 1);
    assert!(results.summary[0].test_accuracy.is_none(), "what diverged has no accuracy");
    assert!(stdout(&assert).contains("iverged: relu at step "), "{}", stdout(&assert));
    assert!(stderr(&assert).contains("relu seed 0: diverged at step "), "{}", stderr(&assert));
}

#[test]
fn zero_epochs_measure_the_initial_network() {
    let place = Place::new();
    let assert = place.run(&format!("compare {SMALL} --epochs 0 --seeds 2 --out out")).success();
    for run in &place.results("out").runs {
        assert_eq!((run.status, run.steps, run.epochs.len()), (Status::Completed, 0, 1));
        assert!(run.epochs[0].layers[0].weight_grad_rms.is_some_and(|rms| rms > 0.0));
    }
    assert!(stdout(&assert).contains("tanh"));
    assert!(place.path("out/report.html").exists());
}

#[test]
fn steps_patience_softmax_regression_and_cnn_do_what_they_say() {
    let place = Place::new();
    let train = |flags: &str, out: &str| {
        place.run(&format!("train --dataset digits --batch-size 16 {flags} --out {out}")).success();
        place.results(out).runs.remove(0)
    };
    let run = train("--hidden 8 --steps 20", "steps");
    assert_eq!(run.epochs.iter().map(|epoch| epoch.step).collect::<Vec<_>>(), [0, 14, 20]);

    let run = train("--hidden 8 --epochs 50 --lr 1e-12 --patience 2", "patience");
    assert_eq!((run.status, run.epochs.len()), (Status::Completed, 3), "no epoch was better than the first");

    let run = train("--hidden none --epochs 5", "regression");
    assert_eq!(run.parameters, (SIDE * SIDE + 1) * 10);
    assert_eq!(run.epochs[0].layers.len(), 1, "there is only the output layer");
    assert!(
        run.last().expect("measured").test_accuracy.expect("completed") > 0.9,
        "a bright row is linearly separable"
    );

    let run = train("--model cnn --hidden 16 --epochs 6", "cnn");
    let names: Vec<&str> = run.epochs[0].layers.iter().map(|layer| layer.layer.as_str()).collect();
    assert_eq!(names, ["conv.0", "conv.1", "hidden.0", "output"]);
    assert!(run.last().expect("measured").train_loss < run.epochs[0].train_loss);
}

#[test]
fn a_network_of_two_hundred_layers_is_measured_diagnosed_and_reported() {
    let place = Place::new();
    let hidden = vec!["32"; 200].join(",");
    let flags = format!("train --dataset digits --hidden {hidden} --epochs 1 --activation relu --out out");
    place.run(&flags).success();
    let layers = &place.results("out").runs[0].epochs[1].layers;
    assert!(layers.len() == 201 && layers.iter().all(|layer| layer.weight_grad_rms.is_some()), "{}", layers.len());
    let text = stdout(&place.run("diagnose out").success());
    // It has ReLU already.
    assert!(text.contains("too-deep-for-activation") && text.contains("residual = true"), "{text}");
    place.run("report out").success();
}

#[test]
fn a_pipe_gets_at_most_a_hundred_lines_of_a_training_and_its_last_epoch() {
    let place = Place::new();
    let assert =
        place.run("train --dataset digits --hidden none --probe-every off --epochs 103 --seeds 1 --out out").success();
    let text = stderr(&assert);
    let epochs: Vec<&str> = text.lines().filter(|line| line.contains(": epoch ")).collect();
    assert!((50..=100).contains(&epochs.len()), "{text}");
    assert!(epochs.last().is_some_and(|line| line.contains(": epoch 103 of 103,")), "{text}");
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
fn settings_out_of_range_are_wrong_usage_and_named() {
    let place = Place::new();
    for (flags, parts) in [
        ("--activations relu,rleu", &["unknown activation `rleu`", "relu", "hard-swish", "sigmoid"][..]),
        ("--activations leaky-relu:x", &["leaky-relu:x", "not a finite number"]),
        ("--activations relu,relu", &["activations", "`relu` is named twice"]),
        ("--lr=-0.1", &["lr: must be positive, got -0.1"]),
        ("--lr nan", &["lr: must be positive, got NaN"]),
        ("--lr fast", &["--lr", "fast"]),
        ("--hidden 0", &["hidden: a layer has at least 1 unit, got 0", "none"]),
        ("--hidden 8,0", &["hidden: a layer has at least 1 unit, got 0"]),
        ("--hidden 8,,8", &["--hidden", "is not a number of units"]),
        ("--hidden 100000", &["hidden", "at most 65536"]),
        ("--model rnn", &["unknown model `rnn`", "mlp, cnn"]),
        ("--init best", &["unknown initialisation `best`", "he-normal", "normal:STD"]),
        ("--init normal:-1", &["normal:-1", "not negative"]),
        ("--optimizer lbfgs", &["unknown optimizer `lbfgs`", "sgd, momentum, adam, adamw"]),
        ("--dtype f8", &["unknown dtype `f8`", "f32"]),
        ("--momentum 1", &["momentum: must be in 0..1, got 1"]),
        ("--weight-decay=-1", &["weight_decay: must not be negative, got -1"]),
        ("--clip-norm 0", &["clip_norm: must be positive, got 0"]),
        ("--batch-size 0", &["batch_size: must be at least 1, got 0"]),
        ("--seeds 0", &["seeds: must be at least 1, got 0"]),
        ("--seed 1,1", &["seed: 1 is given twice"]),
        ("--seed 18446744073709551615", &["is over 9223372036854775807"]),
        ("--steps 18446744073709551615", &["is over 9223372036854775807"]),
        ("--seeds 2 --seed 1", &["--seeds", "--seed"]),
        ("--patience 0", &["patience: must be at least 1, got 0"]),
        ("--threads 0", &["threads: must be at least 1, got 0"]),
        ("--jobs 0", &["jobs: must be at least 1, got 0"]),
        ("--train-size 0", &["train_size: must be at least 1, got 0"]),
        ("--probe-every never", &["`never` is not off, epoch or a number of steps"]),
        ("--backend abacus", &["unknown backend `abacus`", "flex"]),
        ("--backend flex:1", &["flex:1", "takes no number"]),
        ("--format yaml", &["--format", "yaml", "json"]),
        ("--speed 3", &["--speed"]),
    ] {
        place.refuses(&format!("compare --out out {flags}"), 2, parts);
    }
    place.refuses("contrast", 2, &["contrast"]);
    assert!(!place.path("out").exists(), "nothing was begun");
}

#[test]
fn a_wrong_config_file_is_told_with_its_name_and_place() {
    let place = Place::new();
    for (text, parts) in [
        ("lerning_rate = 0.1\n", &["unknown setting `lerning_rate`; did you mean `lr`?"][..]),
        ("lr = \"fast\"\n", &["lr", "fast"]),
        ("lr = \n", &["line 1"]),
        ("activations = [\"rleu\"]\n", &["unknown activation `rleu`"]),
        ("model = \"rnn\"\n", &["unknown model `rnn`"]),
    ] {
        fs::write(place.path("config.toml"), text).expect("it can be written");
        let parts = [&["--config config.toml"], parts].concat();
        place.refuses("compare --config config.toml --out out", 2, &parts);
    }
    fs::write(place.path("config.toml"), "lr = -1.0\n").expect("it can be written");
    place.refuses("compare --config config.toml --out out", 2, &["lr: must be positive, got -1"]);
    place.refuses("compare --config nowhere.toml --out out", 2, &["--config nowhere.toml", "No such file"]);
    assert!(!place.path("out").exists(), "nothing was begun");
}

#[test]
fn a_data_set_that_cannot_be_used_is_a_failure_and_leaves_nothing_behind() {
    let place = Place::new();
    let mnist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/mnist/train-images-idx3-ubyte.gz");
    let mnist = fs::read(mnist).expect("it is in the repository");
    // What becomes of `digits`, and what is said of it.
    type Damage<'a> = &'a dyn Fn(&Path);
    let write =
        |folder: &Path, file: usize, bytes: &[u8]| fs::write(folder.join(FILES[file]), bytes).expect("writable");
    let cases: [(&str, Damage, &[&str]); 7] = [
        ("gzip", &|folder| write(folder, 0, &mnist[..100_000]), &[FILES[0], "gzip stream", "unexpected end of file"]),
        ("magic", &|folder| write(folder, 0, b"\x89PNG\r\n\x1a\n"), &[FILES[0], "magic"]),
        (
            "counts",
            &|folder| write_idx(&folder.join(FILES[1]), &[239], vec![0; 239]),
            &[FILES[1], "239 labels for 240 images"],
        ),
        ("label", &|folder| write_idx(&folder.join(FILES[3]), &[60], vec![10; 60]), &[FILES[3], "label 10", "0 to 9"]),
        ("absent", &|folder| fs::remove_file(folder.join(FILES[2])).expect("it was there"), &["absent", FILES[2]]),
        (
            "size",
            &|folder| write_idx(&folder.join(FILES[2]), &[60, 2, 2], vec![0; 240]),
            &[FILES[2], "2 × 2", "12 × 12"],
        ),
        ("empty", &|folder| write(folder, 0, b""), &[FILES[0], "the file is empty"]),
    ];
    for (name, damage, parts) in cases {
        place.write_digits(name);
        damage(&place.path(name));
        place.refuses(&format!("compare --dataset {name} --out out"), 1, parts);
    }
    place.refuses("compare --dataset nowhere --out out", 2, &["`nowhere`", "neither a known set", "mnist"]);
    place.refuses("compare --dataset digits --train-size 217 --out out", 2, &["train_size", "1..=216", "217"]);
    assert!(!place.path("out").exists(), "nothing was begun");
}

#[test]
fn pictures_too_small_for_the_cnn_are_refused() {
    let place = Place::new();
    fs::create_dir(place.path("tiny")).expect("it is new");
    for (files, count) in [(&FILES[..2], 40), (&FILES[2..], 20)] {
        let pixels = (0..count * 2 * 3).map(|i| i as u8).collect();
        write_idx(&place.path("tiny").join(files[0]), &[count, 2, 3], pixels);
        write_idx(&place.path("tiny").join(files[1]), &[count], (0..count).map(|i| (i % 10) as u8).collect());
    }
    place.run("train --dataset tiny --hidden 4 --steps 1 --out mlp").success();
    place.refuses("train --dataset tiny --model cnn --hidden 4 --steps 1 --out cnn", 2, &["model", "4 × 4", "2 × 3"]);
    assert!(!place.path("cnn").exists(), "nothing was begun");
}

#[test]
fn a_backend_that_is_not_here_is_told_with_those_that_are() {
    let place = Place::new();
    let backends = json(&place.run("backends --format json").success());
    for backend in backends.as_array().expect("a list of backends") {
        let name = backend["name"].as_str().expect("a name");
        let arguments = format!("compare {SMALL} --steps 1 --backend {name} --out out");
        if backend["compiled_in"] == false {
            let feature = format!("--features {name}");
            place.refuses(&arguments, 2, &[name, "not compiled in", &feature, "this machine can run flex"]);
        } else if backend["adapters"].as_array().is_some_and(Vec::is_empty) {
            place.refuses(&arguments, 2, &[name, "this machine can run flex"]);
        }
    }
    place.refuses(
        &format!("compare {SMALL} --backend wgpu:99 --out out"),
        2,
        &["wgpu:99", "this machine can run flex"],
    );
    if cfg!(not(feature = "remote")) {
        for arguments in [format!("compare {SMALL} --backend remote:gpu-box:3000 --out out"), "serve".to_owned()] {
            place.refuses(&arguments, 2, &["`remote` is not compiled in: build with `--features remote`"]);
        }
    }
    assert!(!place.path("out").exists(), "nothing was begun");
}

#[test]
fn an_out_that_is_taken_is_left_as_it_was() {
    let place = Place::new();
    fs::write(place.path("file"), "precious").expect("it can be written");
    place.refuses(&format!("compare {SMALL} --out file"), 2, &["file: is a file, not a folder", "--out"]);
    place.refuses(&format!("compare {SMALL} --out file/inside"), 2, &["file/inside"]);
    assert_eq!(place.read("file"), "precious");

    place.run(&format!("train {SMALL} --epochs 1 --out out")).success();
    let names = ["config.toml", "results.json", "report.html", "runs/relu-seed0/metrics.jsonl"];
    let before = names.map(|name| place.read(&format!("out/{name}")));
    place.refuses(&format!("train {SMALL} --epochs 2 --out out"), 2, &["out: holds an experiment already", "--out"]);
    assert_eq!(before, names.map(|name| place.read(&format!("out/{name}"))));
    place.run("eval out/runs/relu-seed0").success();

    fs::create_dir(place.path("notes")).expect("it is new");
    fs::write(place.path("notes/todo"), "precious").expect("it can be written");
    place.run(&format!("train {SMALL} --epochs 1 --out notes")).success();
    assert_eq!(place.read("notes/todo"), "precious");
}

#[test]
#[cfg(unix)]
fn an_out_that_cannot_be_written_is_a_failure_that_names_it() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    fs::create_dir(place.path("locked")).expect("it is new");
    fs::set_permissions(place.path("locked"), fs::Permissions::from_mode(0o555)).expect("it is ours");
    if fs::write(place.path("locked/probe"), "").is_ok() {
        println!("skipped: this user writes wherever it wants");
        return;
    }
    place.refuses(&format!("train {SMALL} --epochs 1 --out locked/out"), 1, &["locked/out", "denied"]);
    place.refuses(&format!("train {SMALL} --epochs 1 --out locked"), 1, &["locked", "denied"]);
}

#[test]
fn a_damaged_checkpoint_is_a_failure_that_names_the_file() {
    let place = Place::new();
    place.run(&format!("train {SMALL} --epochs 1 --out out")).success();
    let folder = "out/runs/relu-seed0";
    let (weights, description) = (
        place.path(&format!("{folder}/checkpoint/model.bpk")),
        place.path(&format!("{folder}/checkpoint/checkpoint.json")),
    );
    let sound = fs::read(&weights).expect("a checkpoint has weights");
    for length in [0, 3, 16, 100, sound.len() / 2, sound.len() - 1] {
        fs::write(&weights, &sound[..length]).expect("it can be written");
        place.refuses(&format!("eval {folder}"), 1, &["model.bpk"]);
    }
    fs::write(&weights, vec![0xff; sound.len()]).expect("it can be written");
    place.refuses(&format!("eval {folder}"), 1, &["model.bpk"]);
    fs::remove_file(&weights).expect("it is there");
    place.refuses(&format!("eval {folder}"), 1, &["model.bpk", "No such file"]);
    fs::write(&weights, &sound).expect("it can be written");
    place.run(&format!("eval {folder}")).success();

    let sealed = fs::read_to_string(&description).expect("a checkpoint is described");
    fs::write(&description, sealed.replace("\"steps\": ", "\"steps\": 1")).expect("it can be written");
    place.refuses(&format!("eval {folder}"), 1, &["checkpoint.json", "SHA-256"]);
    // Without the hashes, as of before there were any.
    let mut text: Value = serde_json::from_str(&sealed).expect("JSON");
    for later in ["sha256", "schema_version", "model"] {
        text.as_object_mut().expect("an object").remove(later).expect("it is there");
    }
    let text = serde_json::to_string_pretty(&text).expect("JSON");
    let other = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replace(from, to)
    };
    for (text, part) in [
        (text[..text.len() / 2].to_owned(), "not a checkpoint"),
        ("{}".to_owned(), "not a checkpoint"),
        (other("\"classes\": 10", "\"classes\": 7"), "7 classes with the labels"),
        (other("\"batch_size\": 16", "\"batch_size\": 0"), "batch_size: must be at least 1"),
    ] {
        fs::write(&description, text).expect("it can be written");
        place.refuses(&format!("eval {folder}"), 1, &[part]);
    }
    let mut hidden: Value = serde_json::from_str(&text).expect("JSON");
    for (width, part) in [(9, "model.bpk"), (0, "hidden: a layer has at least 1 unit")] {
        hidden["experiment"]["hidden"][0] = width.into();
        fs::write(&description, hidden.to_string()).expect("it can be written");
        place.refuses(&format!("eval {folder}"), 1, &[part]);
    }
    place.refuses("eval nowhere", 2, &["nowhere", "No such file"]);
    place.refuses("eval digits", 2, &["digits", "checkpoint.json"]);
}

#[test]
fn a_checkpoint_takes_pictures_of_its_own_size_only() {
    let place = Place::new();
    place.run(&format!("train {SMALL} --steps 1 --out out")).success();
    place.refuses("eval out/runs/relu-seed0 --dataset mnist", 1, &["--dataset mnist", "28 × 28", "12 × 12"]);
    fs::remove_dir_all(place.path("digits")).expect("it is there");
    place.refuses("eval out/runs/relu-seed0", 2, &["`digits`", "neither a known set"]);
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
fn gradients_check_on_every_backend() {
    let place = Place::new();
    let mut backends = vec!["flex", "ndarray"];
    if place.has_adapter("wgpu") {
        backends.push("wgpu");
    }
    for backend in backends {
        let checks = json(&place.run(&format!("gradcheck --backend {backend} --format json")).success());
        let checks = checks.as_array().expect("a list of checks");
        assert_eq!(checks.len(), 8, "every rule of ReLU's");
        assert!(checks.iter().all(|check| check["passed"] == true), "{backend}: {checks:?}");
    }
    let smooth = "gelu,silu,mish,softplus,softsign,sigmoid,tanh,elu,selu,celu";
    place.run(&format!("gradcheck --activations {smooth} --dtype f64")).success();
    place.refuses("gradcheck --activations rleu", 2, &["unknown activation `rleu`"]);
    place.refuses("gradcheck --backend abacus", 2, &["unknown backend `abacus`"]);
}

#[test]
fn gradcheck_knows_curvature_and_jumps_and_takes_step_and_tolerance() {
    let place = Place::new();
    place.run("gradcheck --activations celu:0.1,celu:0.01,softplus:100,prelu --dtype f64").success();
    place.run("gradcheck --activations celu:0.1,celu:0.01,softplus:100 --dtype f32").success();
    let jump = "jump at x = 0 by 0.100: slope ";
    place.run("gradcheck --activations relu:nelu=0.1 --dtype f64").success().stdout(contains(jump));
    let checks = json(&place.run("gradcheck --activations relu:nelu=0.1 --format json").success());
    let report = &checks[0]["report"];
    assert_eq!(
        (report["kinks"].as_array().map(Vec::len), report["jumps"].as_array().map(Vec::len)),
        (Some(0), Some(1))
    );

    place.run("gradcheck --activations gelu --dtype f64 --step 1e-4 --tolerance 1e-9").success();
    // In f32 no difference resolves so much.
    place.run("gradcheck --activations gelu --tolerance 1e-9").code(1).stdout(contains("FAILED"));
    place.refuses("gradcheck --step 0", 2, &["--step", "`0` is not a positive number"]);
    place.refuses("gradcheck --tolerance inf", 2, &["--tolerance", "`inf` is not a positive number"]);
    place.refuses("gradcheck --activations relu --step 1e-30", 1, &["does not move x", "choose a larger one"]);
}

#[test]
fn backends_and_data_say_what_is_here() {
    let place = Place::new();
    place.run("backends").success().stdout(contains("flex").and(contains("auto takes"))).stderr("");
    let backends = json(&place.run("backends --format json").success());
    let flex = &backends[0];
    assert_eq!((&flex["name"], &flex["compiled_in"]), (&"flex".into(), &true.into()));
    assert_eq!(flex["adapters"][0]["flag"], "flex");

    let sets = json(&place.run("data --format json").success());
    let mnist = &sets[0];
    assert_eq!(mnist["name"], "mnist");
    assert_eq!(mnist["contents"]["verified"], true);
    assert_eq!(mnist["contents"]["train"]["samples"], 54_000);
    place.run("data").success().stdout(contains("checksums right")).stderr("");
}

#[cfg(unix)]
mod interrupted {
    use std::{
        process::{Child, Command, ExitStatus, Stdio},
        thread::sleep,
        time::{Duration, Instant},
    };

    use super::*;

    fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            match ready() {
                Some(value) => return value,
                None => assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain for {what}"),
            }
            sleep(Duration::from_millis(20));
        }
    }

    fn interrupt(child: &mut Child) -> ExitStatus {
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(kill.expect("a Unix system has kill").success());
        wait_for("the program's end", || child.try_wait().expect("it is our child"))
    }

    #[test]
    fn ctrl_c_keeps_what_was_measured_and_ends_with_130() {
        let place = Place::new();
        let arguments = format!("compare {SMALL} --epochs 1000000 --seeds 2 --jobs 1 --out out");
        let mut child = Command::new(env!("CARGO_BIN_EXE_rectify"))
            .args(arguments.split_whitespace())
            .current_dir(place.0.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        wait_for("two epochs", || {
            let lines = fs::read_to_string(place.path("out/runs/relu-seed0/metrics.jsonl")).ok()?;
            (lines.lines().count() > 2).then_some(())
        });
        assert_eq!(interrupt(&mut child).code(), Some(130));

        let results = place.results("out");
        assert_eq!(results.runs.len(), 1, "the other trainings had not begun");
        let run = &results.runs[0];
        assert_eq!(run.status, Status::Interrupted);
        assert!(run.epochs.len() > 2 && run.steps > 0);
        assert!(place.path("out/report.html").exists());
        // Its state is there, and no checkpoint before its end.
        place.refuses("eval out/runs/relu-seed0", 2, &["no checkpoint", "stopped before its end"]);
        assert!(place.path("out/runs/relu-seed0/state/state.json").exists());
        place.refuses(&format!("compare {SMALL} --out out"), 2, &["holds an experiment already"]);
    }
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
