//! A checkpoint, evaluated and damaged.

use super::*;

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
