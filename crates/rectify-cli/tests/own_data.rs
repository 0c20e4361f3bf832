//! Data of one's own in, results out: tables, exports, checkpoints to begin with.

mod place;

use std::fs;

use place::{Place, SMALL};
use serde_json::Value;

/// Rows of three classes that two columns tell apart, with some noise.
fn write_table(place: &Place, name: &str, classes: &[&str]) {
    let row = |i: usize| {
        let class = i * 7 % classes.len();
        let noise = ((i * 2_654_435_761) >> 7) % 100;
        format!("{},{},{}\n", class as f64 + noise as f64 / 200.0, 1000 - 100 * class + noise, classes[class])
    };
    let rows: String = (0..150).map(row).collect();
    fs::write(place.path(name), format!("width,length,species\n{rows}")).expect("it can be written");
}

fn json(place: &Place, arguments: &str) -> Value {
    let output = place.run(&format!("{arguments} --format json --quiet")).success().get_output().stdout.clone();
    serde_json::from_slice(&output).expect("stdout is JSON and nothing else")
}

#[test]
fn a_table_trains_is_evaluated_and_shown() {
    let place = Place::new();
    write_table(&place, "iris.csv", &["setosa", "versicolor", "virginica"]);
    let shown = json(&place, "data iris.csv");
    let contents = &shown[0]["contents"];
    assert_eq!(contents["feature_names"], serde_json::json!(["width", "length"]));
    assert_eq!((&contents["classes"], &contents["memory_bytes"]), (&3.into(), &(150 * 2 * 8 + 150 * 2).into()));
    let text = place.run("data iris.csv").success();
    let text = String::from_utf8_lossy(&text.get_output().stdout).into_owned();
    assert!(text.contains("2 numbers, 3 classes") && text.contains("\n  length: mean "), "{text}");

    place.run("train --dataset iris.csv --hidden 8 --batch-size 12 --epochs 40 --out out").success();
    let scores = json(&place, "eval out");
    assert_eq!(scores["test_accuracy"], 1.0, "{scores}");
    assert_eq!(scores["classes"][1]["class"], "versicolor");
    assert_eq!((&scores["classes"][1]["recall"], &scores["confusion"][1][1]), (&1.0.into(), &10.into()));
    let confusion = place.results("out").runs[0].confusion.clone().expect("the run was completed");
    assert_eq!(confusion.classes, ["setosa", "versicolor", "virginica"]);
    assert_eq!(serde_json::json!(confusion.counts), scores["confusion"]);
    assert!(place.read("out/report.html").contains("id=\"confusion-0\""));

    place.refuses(
        "train --dataset iris.csv --model cnn",
        2,
        &["model: `cnn` needs pictures", "2 numbers", "`mlp` takes it"],
    );
    place.refuses("train --dataset iris.csv --label-column petal", 1, &["no column `petal`", "width, length, species"]);
    place.refuses("data iris.csv --contact-sheet sheet.png", 1, &["a table has no pictures"]);
    place.refuses("eval out --dataset digits", 1, &["pictures of 12 × 12, and the checkpoint takes 2 numbers"]);
    if !cfg!(feature = "parquet") {
        fs::write(place.path("iris.parquet"), "PAR1").expect("it can be written");
        place.refuses("data iris.parquet", 1, &["knows no Parquet", "--features parquet"]);
    }
}

#[test]
fn metrics_become_one_table() {
    let place = Place::new();
    place.run(&format!("compare {SMALL} --activations relu,tanh --seeds 2 --epochs 2 --out out")).success();
    let rows = |arguments: &str| {
        place.run(&format!("export {arguments} --metrics table.csv")).success().stdout("");
        let text = place.read("table.csv");
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let all = rows("out");
    // Three epochs with two layers each, and fourteen steps an epoch.
    assert_eq!(all.len(), 4 * (3 + 3 * 2 + 2 * 14));
    let of_one = rows("out/runs/tanh-seed1");
    assert_eq!(of_one.len(), all.len() / 4);
    assert!(of_one.iter().all(|row| row.starts_with("tanh,1,") && all.contains(row)));
    place.refuses("export out --metrics table.xlsx", 2, &["--metrics table.xlsx", ".csv or .parquet"]);
    place.refuses("export out", 2, &["--metrics", "--weights"]);
    place.refuses("export digits --metrics table.csv", 2, &["digits", "no config.toml"]);
    place.refuses("export out --weights w.safetensors", 2, &["holds 4 checkpoints"]);
}

#[test]
fn weights_go_out_and_come_back() {
    for network in ["--hidden 9,7 --activation prelu --norm batch", "--model cnn --hidden 8 --activation tanh"] {
        let place = Place::new();
        place.run(&format!("train --dataset digits --batch-size 16 --epochs 2 --out first {network}")).success();
        let printed = place.run("export first --weights w.safetensors").success();
        let printed = String::from_utf8_lossy(&printed.get_output().stdout).into_owned();
        assert!(printed.starts_with("nn.Sequential(\n    nn."), "{printed}");
        let again =
            format!("train --dataset digits --batch-size 16 --epochs 0 --from w.safetensors --out again {network}");
        place.run(&again).success();
        let [before, after] = ["first", "again"].map(|run| json(&place, &format!("eval {run}")));
        assert_eq!(before["test_loss"], after["test_loss"], "{network}");
        // The same file again, to the byte.
        let file = fs::read(place.path("w.safetensors")).expect("it was written");
        place.run("export again --weights w2.safetensors").success();
        assert!(file == fs::read(place.path("w2.safetensors")).expect("it was written"));
        place.refuses(
            "train --dataset digits --hidden 5 --from w.safetensors",
            1,
            &["w.safetensors", "tensor", "which is nn.Sequential(nn.Linear(144, 5), nn.ReLU(), nn.Linear(5, 10))"],
        );
        fs::write(place.path("w.safetensors"), &file[..file.len() / 2]).expect("it can be written");
        place.refuses(&again.replace("--out again", "--out third"), 1, &["w.safetensors", "not a safetensors file"]);
    }
    let place = Place::new();
    place.run("train --dataset digits --hidden 8,8 --residual --epochs 0 --out out").success();
    place.refuses("export out --weights w.safetensors", 2, &["residual", "skips"]);
}

#[test]
fn a_training_goes_on_from_a_checkpoint_with_its_settings() {
    let place = Place::new();
    place
        .run("train --dataset digits --hidden 8 --activation tanh --lr 0.02 --batch-size 16 --epochs 2 --out first")
        .success();
    let went_on = place.run("train --from first --epochs 1 --out second").success();
    let stderr = String::from_utf8_lossy(&went_on.get_output().stderr).into_owned();
    assert!(stderr.contains("from: first, tanh after 28 steps on digits; the optimizer begins anew"), "{stderr}");
    let [first, second] = ["first", "second"].map(|run| place.results(run));
    let settings = &second.experiment;
    assert_eq!((settings.lr, settings.hidden(), settings.batch_size), (Some(0.02), vec![8], 16));
    assert_eq!(settings.activations[0].name(), "tanh");
    let end = first.runs[0].last().expect("it was measured");
    let begin = &second.runs[0].epochs[0];
    assert_eq!((end.test_loss, end.test_accuracy), (begin.test_loss, begin.test_accuracy));
    // Killed before its first state, or resumed with more: what it began with is part of the settings.
    place.run("train --resume second --epochs 3").success();
    assert_eq!(place.results("second").runs[0].epochs.len(), 4);
    place.refuses("train --from first --hidden 9", 2, &["from", "another network", "hidden.0.linear"]);
    place.refuses("train --from nothing", 2, &["nothing", "No such file or folder"]);
    place.refuses("compare --dataset digits --from first", 2, &["from", "3 activations"]);
}

#[test]
fn other_classes_get_an_output_layer_of_their_own() {
    let place = Place::new();
    write_table(&place, "three.csv", &["a", "b", "c"]);
    write_table(&place, "five.csv", &["p", "q", "r", "s", "t"]);
    place.run("train --dataset three.csv --hidden 8 --batch-size 12 --epochs 5 --out three").success();
    let tuned = place.run("train --from three --dataset five.csv --epochs 30 --out five").success();
    let stderr = String::from_utf8_lossy(&tuned.get_output().stderr).into_owned();
    assert!(stderr.contains("the output layer is drawn: the 5 classes are others than the checkpoint's 3"), "{stderr}");
    let scores = json(&place, "eval five");
    assert_eq!(scores["confusion"].as_array().map(Vec::len), Some(5));
    assert!(scores["test_accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.9), "{scores}");
    place.refuses("train --from three --dataset digits", 2, &["from", "another network", "[144, 8]", "[2, 8]"]);
}

#[test]
fn experiments_on_several_data_sets_are_ranked_together() {
    let place = Place::new();
    write_table(&place, "iris.csv", &["setosa", "versicolor", "virginica"]);
    let flags = "--hidden 8 --batch-size 12 --epochs 3 --seeds 2 --activations relu,tanh,sigmoid,x*sigmoid(2*x)";
    for set in ["digits", "iris.csv"] {
        place.run(&format!("compare --dataset {set} {flags} --out runs/{set}")).success();
    }
    let across = json(&place, "report runs/digits runs/iris.csv --out both");
    assert_eq!(across["datasets"], serde_json::json!(["digits", "iris.csv"]));
    let ranks: Vec<f64> = across["activations"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["rank"].as_f64().expect("a rank"))
        .collect();
    assert_eq!((ranks.len(), ranks.iter().sum::<f64>()), (4, 10.0));
    assert!(
        ranks.is_sorted()
            && across["critical_difference"].as_f64().is_some_and(|difference| (difference - 3.317).abs() < 1e-2)
    );
    let page = place.read("both/report.html");
    assert!(
        page.contains("<svg role=\"img\" aria-label=\"Average ranks: ")
            && page.contains("href=\"iris.csv/report.html\"")
    );
    assert!(place.read("both/iris.csv/report.html").contains("on iris.csv"));
    assert_eq!(place.results("both/digits"), place.results("runs/digits"));
    place.refuses("report runs/digits runs/iris.csv --out runs/digits", 2, &["holds one of the experiments"]);
}
