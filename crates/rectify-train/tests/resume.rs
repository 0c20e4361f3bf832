//! An experiment that is stopped and resumed, extended or joined ends with the bits of one that never was.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use rectify_train::{
    compare::{Compare, CompareError, JoinError, Outcome, Progress, join},
    experiment::{Dtype, Experiment, ModelKind, NormKind, OptimizerKind, ProbeEvery, Schedule},
    record::{Results, Run, Status},
    train::Event,
};
use tempfile::TempDir;

fn place() -> TempDir {
    tempfile::tempdir().expect("the system has room for temporary files")
}

/// Two small trainings on 300 samples of MNIST, two epochs of 10 steps each.
fn small() -> Experiment {
    Experiment {
        activations: ["relu", "tanh"].map(|name| name.parse().expect("known")).to_vec(),
        hidden: Some(vec![8, 8]),
        train_size: Some(300),
        batch_size: 30,
        epochs: Some(2),
        seeds: 1,
        jobs: Some(1),
        ..Experiment::default()
    }
}

/// What is the same however often a training was stopped: everything but times.
fn timeless(mut results: Results) -> Results {
    for run in &mut results.runs {
        run.wall_seconds = 0.0;
        run.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
    }
    results.summary.iter_mut().for_each(|summary| summary.seconds_per_epoch = None);
    results
}

fn run(compare: Compare) -> Outcome {
    compare.run(&AtomicBool::new(false), &|_| {}).expect("it can be run")
}

/// Runs what is in a folder and stops before the step of that number, counted over the trainings of this call.
fn stopped_at(compare: Compare, step: usize) -> Outcome {
    let (stop, steps) = (AtomicBool::new(step == 0), AtomicUsize::new(0));
    let outcome = compare.run(&stop, &|progress| {
        if let Progress::Training(_, Event::Step { .. }) = progress
            && steps.fetch_add(1, Ordering::Relaxed) + 1 == step
        {
            stop.store(true, Ordering::Relaxed);
        }
    });
    outcome.expect("it can be run")
}

/// Every weight that a folder holds, by file.
fn weights(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for run in fs::read_dir(folder.join("runs")).expect("there are runs") {
        let file = run.expect("readable").path().join("checkpoint/model.bpk");
        found.push((file.strip_prefix(folder).expect("inside").to_owned(), tensors(&file)));
    }
    found.sort();
    found
}

/// A file's tensors: what stands before them names parameters by numbers drawn at random.
fn tensors(file: &Path) -> Vec<u8> {
    use burn::store::ModuleRecord;
    use burn::tensor::Bytes;
    let bytes = fs::read(file).expect("a checkpoint");
    ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes.clone())).expect("a record");
    bytes[bytes.len() - 4 * 1000..].to_vec()
}

/// Never stopped, and stopped and resumed at every one of `steps` in turn: the same.
#[track_caller]
fn same_as_never_stopped(experiment: &Experiment, steps: &[usize]) {
    let place = place();
    let whole = place.path().join("whole");
    let expected = run(Compare::create(&whole, experiment.clone()).expect("a new folder"));
    assert!(!expected.interrupted && expected.failures.is_empty(), "{:?}", expected.failures);

    let parts = place.path().join("parts");
    let mut compare = Compare::create(&parts, experiment.clone()).expect("a new folder");
    for &step in steps {
        let outcome = stopped_at(compare, step);
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        compare = Compare::resume(&parts).expect("what was stopped is resumed");
    }
    let outcome = run(compare);
    assert!(!outcome.interrupted && outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert_eq!(timeless(outcome.results), timeless(expected.results));
    assert_eq!(weights(&parts), weights(&whole));
    for (file, _) in weights(&whole) {
        let metrics = file.parent().and_then(Path::parent).expect("of a run").join("metrics.jsonl");
        let read = |folder: &Path| fs::read_to_string(folder.join(&metrics)).expect("metrics are there");
        let without_times = |text: String| -> Vec<serde_json::Value> {
            let line = |line: &str| {
                let mut line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
                line.as_object_mut().expect("an object").remove("seconds");
                line
            };
            text.lines().map(line).collect()
        };
        assert_eq!(without_times(read(&parts)), without_times(read(&whole)), "{}", metrics.display());
    }
}

#[test]
fn a_training_stopped_anywhere_ends_with_the_same_bits() {
    // Before the first step, in an epoch, at its last step, at the training's last, and in the second training.
    for step in [0, 1, 7, 10, 11, 20, 25] {
        same_as_never_stopped(&small(), &[step]);
    }
    same_as_never_stopped(&small(), &[3, 3, 3, 3, 3, 3]);
}

#[test]
fn optimizers_clipping_patience_probes_types_and_threads_are_resumed_too() {
    let patient = Experiment { patience: Some(1), lr: Some(1.0), epochs: Some(6), ..small() };
    for experiment in [
        Experiment { optimizer: OptimizerKind::Adam, ..small() },
        Experiment { optimizer: OptimizerKind::AdamW, weight_decay: 0.1, dtype: Dtype::F64, ..small() },
        Experiment { optimizer: OptimizerKind::Momentum, clip_norm: Some(0.1), weight_decay: 0.01, ..small() },
        Experiment { optimizer: OptimizerKind::Adam, dtype: Dtype::F16, ..small() },
        Experiment { dtype: Dtype::Bf16, probe_every: ProbeEvery::Steps(3), ..small() },
        Experiment { model: ModelKind::Cnn, ..small() },
        Experiment { activations: vec!["gelu".parse().expect("known")], threads: 2, ..small() },
        Experiment { activations: vec!["prelu".parse().expect("known")], ..small() },
        Experiment { activations: vec!["rrelu".parse().expect("known")], dropout: 0.2, threads: 2, ..small() },
        Experiment { activations: vec!["rrelu".parse().expect("known")], model: ModelKind::Cnn, ..small() },
        Experiment { probe_every: ProbeEvery::Off, ..small() },
        Experiment { backend: "ndarray".to_owned(), optimizer: OptimizerKind::Adam, ..small() },
        Experiment { keep_last: true, ..patient.clone() },
        patient,
    ] {
        same_as_never_stopped(&experiment, &[4, 11]);
    }
}

#[test]
fn schedules_normalisation_dropout_and_skips_are_resumed_too() {
    let around = Experiment { dropout: 0.2, residual: true, schedule: Schedule::Cosine, ..small() };
    for experiment in [
        Experiment { norm: NormKind::Batch, patience: Some(1), ..around.clone() },
        Experiment { norm: NormKind::Batch, dtype: Dtype::Bf16, schedule: Schedule::Step, ..small() },
        Experiment { norm: NormKind::Layer, threads: 2, optimizer: OptimizerKind::Adam, ..around },
    ] {
        same_as_never_stopped(&experiment, &[11]);
    }
}

#[test]
fn a_rate_that_falls_over_the_training_allows_no_more_epochs() {
    let place = place();
    let path = place.path().join("out");
    let falling = Experiment { schedule: Schedule::Cosine, ..small() };
    let outcome = run(Compare::create(&path, falling.clone()).expect("a new folder"));
    let rates: Vec<Option<f64>> = outcome.results.runs[0].epochs.iter().map(|epoch| epoch.learning_rate).collect();
    let cosine = |step: f64| Some(0.1 * 0.5 * (1.0 + (std::f64::consts::PI * step / 20.0).cos()));
    assert_eq!(rates, [cosine(0.0), cosine(9.0), cosine(19.0)], "in force at each epoch's last step");
    let mut compare = Compare::resume(&path).expect("it is there");
    let text = compare.extend(Experiment { epochs: Some(3), ..falling.clone() }).expect_err("other runs").to_string();
    assert!(text.starts_with("--epochs: the experiment has 2, and cannot be continued with 3"), "{text}");
    compare.extend(Experiment { seeds: 2, ..falling }).expect("more of the same");
}

#[test]
fn a_training_that_diverges_does_so_at_the_same_step_after_resuming() {
    let wild = Experiment { lr: Some(1e30), activations: vec!["relu".parse().expect("known")], ..small() };
    same_as_never_stopped(&wild, &[1]);
    let place = place();
    let outcome = run(Compare::create(&place.path().join("out"), wild).expect("a new folder"));
    let Run { status, diverged_at_step, divergence, steps, epochs, .. } = &outcome.results.runs[0];
    assert_eq!((*status, divergence.is_some()), (Status::Diverged, true));
    assert_eq!(*diverged_at_step, Some(*steps), "steps are the steps taken");
    let last = epochs.last().expect("what diverged is measured");
    assert_eq!((last.validation_accuracy, last.test_accuracy), (None, None));
    assert!(last.layers.iter().any(|layer| layer.nonfinite_weights > 0), "counted: {last:?}");
    assert_eq!(outcome.results.summary[0].test_accuracy, None);
}

#[test]
fn seeds_epochs_and_activations_added_later_give_what_one_experiment_gives() {
    let place = place();
    let all = Experiment { seeds: 3, epochs: Some(4), ..small() };
    let expected = run(Compare::create(&place.path().join("whole"), all.clone()).expect("a new folder"));

    let path = place.path().join("grown");
    let relu = small().activations[..1].to_vec();
    run(Compare::create(&path, Experiment { activations: relu, ..small() }).expect("a new folder"));
    let grow = |experiment: &dyn Fn(Experiment) -> Experiment| {
        let mut compare = Compare::resume(&path).expect("it is there");
        let asked = experiment(compare.experiment().clone());
        compare.extend(asked).expect("more of the same");
        run(compare)
    };
    grow(&|there| Experiment { epochs: Some(3), ..there });
    grow(&|there| Experiment { activations: small().activations[1..].to_vec(), ..there });
    let outcome = grow(&|there| Experiment { seeds: 3, epochs: Some(4), ..there });
    assert_eq!(timeless(outcome.results), timeless(expected.results));

    let mut compare = Compare::resume(&path).expect("it is there");
    let error = compare.extend(Experiment { lr: Some(0.5), ..all }).expect_err("another experiment");
    let text = error.to_string();
    assert!(text.contains("--lr") && text.contains("0.1") && text.contains("0.5"), "{text}");
    assert!(matches!(Compare::resume(&path), Err(CompareError::Store(_))), "one process at a time");
}

#[test]
fn what_is_done_is_not_trained_again() {
    let place = place();
    let path = place.path().join("out");
    let first = run(Compare::create(&path, small()).expect("a new folder"));
    let steps = AtomicUsize::new(0);
    let compare = Compare::resume(&path).expect("it is there");
    let again = compare.run(&AtomicBool::new(false), &|progress| {
        if let Progress::Training(..) = progress {
            steps.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_eq!(again.expect("it can be run").results.runs, first.results.runs);
    assert_eq!(steps.into_inner(), 0);
}

#[test]
fn folders_of_one_experiment_are_joined_and_others_refused() {
    let place = place();
    let path = |name: &str| place.path().join(name);
    let seed = |seed| Experiment { seed: Some(vec![seed]), ..small() };
    let whole = run(Compare::create(&path("whole"), Experiment { seeds: 2, ..small() }).expect("a new folder"));
    run(Compare::create(&path("a"), seed(0)).expect("a new folder"));
    run(Compare::create(&path("b"), seed(1)).expect("a new folder"));
    let joined = join(&[path("a"), path("b")]).expect("one experiment");
    assert_eq!(joined.notes, [""; 0]);
    assert_eq!(timeless(joined.results).runs, timeless(whole.results.clone()).runs);

    let alone = join(&[path("whole")]).expect("one experiment");
    assert_eq!(timeless(alone.results), timeless(whole.results), "read again, it is what it was");

    let double = join(&[path("a"), path("a"), path("b")]).expect("one experiment");
    assert_eq!(double.notes.len(), 2, "{:?}", double.notes);
    assert!(double.notes[0].contains("relu with seed 0 is in") && double.notes[0].contains("same numbers"));

    stopped_at(Compare::create(&path("stopped"), seed(2)).expect("a new folder"), 13);
    let partly = join(&[path("a"), path("stopped")]).expect("one experiment");
    assert_eq!(partly.notes.len(), 2, "{:?}", partly.notes);
    assert!(partly.notes[0].starts_with("relu with seed 2 is not finished: 10 steps"), "{}", partly.notes[0]);
    assert_eq!(partly.notes[1], "tanh with seed 2 is missing");

    run(Compare::create(&path("other"), Experiment { lr: Some(0.2), ..seed(3) }).expect("a new folder"));
    let error = join(&[path("a"), path("other")]).expect_err("two experiments");
    let text = error.to_string();
    assert!(matches!(error, JoinError::Differs { .. }) && text.contains("lr 0.1, not 0.2"), "{text}");
    assert!(join(&[place.path().to_owned()]).is_err());
}

#[test]
fn a_damaged_file_is_an_error_that_names_it_and_a_torn_last_line_is_not() {
    let place = place();
    let path = place.path().join("out");
    stopped_at(Compare::create(&path, small()).expect("a new folder"), 25);
    let metrics = path.join("runs/tanh-seed0/metrics.jsonl");
    let torn = [&fs::read(&metrics).expect("there"), &b"{\"kind\":\"ep"[..]].concat();
    fs::write(&metrics, torn).expect("writable");
    run(Compare::resume(&path).expect("a torn last line is dropped"));

    for file in ["runs/tanh-seed0/run.json", "runs/relu-seed0/run.json"] {
        let whole = fs::read(path.join(file)).expect("there");
        let mut flipped = whole.clone();
        let digit = flipped.iter().rposition(|byte| *byte == b'3').expect("there are digits");
        flipped[digit] = b'4';
        fs::write(path.join(file), flipped).expect("writable");
        let error = Compare::resume(&path).expect("settings are sound").run(&AtomicBool::new(false), &|_| {});
        let text = error.expect_err("it was changed").to_string();
        assert!(text.contains(file), "{text}");
        assert!(join(std::slice::from_ref(&path)).expect_err("it was changed").to_string().contains(file));
        fs::write(path.join(file), whole).expect("writable");
    }
}
