//! Each activation at its own settings: chosen on other seeds, resumed, extended and read again.

use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rectify_train::{
    compare::{Compare, CompareError, Outcome, Progress, join},
    experiment::{Experiment, TUNING_SEEDS},
    judge::tuning::{chosen, curve},
    record::Results,
    store::SavedCheckpoint,
    train::Event,
};
use tempfile::TempDir;

fn place() -> TempDir {
    tempfile::tempdir().expect("the system has room for temporary files")
}

/// Two small trainings of 10 steps on 300 samples of MNIST, with a grid of three rates.
fn small() -> Experiment {
    Experiment {
        activations: ["relu", "sigmoid"].map(|name| name.parse().expect("known")).to_vec(),
        hidden: Some(vec![8]),
        train_size: Some(300),
        batch_size: 30,
        epochs: Some(1),
        seeds: 1,
        jobs: Some(1),
        tune: Some("lr=0.01..0.1".parse().expect("it can be tuned")),
        ..Experiment::default()
    }
}

fn run(compare: Compare) -> Outcome {
    let outcome = compare.run(&AtomicBool::new(false), &|_| {}).expect("it can be run");
    assert!(!outcome.interrupted && outcome.failures.is_empty(), "{:?}", outcome.failures);
    outcome
}

fn create(path: &Path, experiment: Experiment) -> Compare {
    Compare::create(path, experiment).expect("a new folder")
}

fn timeless(mut results: Results) -> Results {
    for run in &mut results.runs {
        run.wall_seconds = 0.0;
        run.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
    }
    results.summary.iter_mut().for_each(|summary| summary.seconds_per_epoch = None);
    results
}

#[test]
fn each_activation_trains_at_the_rate_that_was_best_on_other_seeds() {
    let place = place();
    let path = place.path().join("out");
    let outcome = run(create(&path, small()));
    let Results { tuning, runs, .. } = &outcome.results;
    assert_eq!(tuning.iter().map(|tuning| &*tuning.activation).collect::<Vec<_>>(), ["relu", "sigmoid"]);
    for (tuning, run) in tuning.iter().zip(runs) {
        let rates: Vec<f64> = tuning.trials.iter().map(|trial| trial.settings["lr"]).collect();
        assert_eq!(rates, [0.01, 0.032, 0.1]);
        // Each trial is what an experiment with that rate and those seeds measures.
        let by_itself = Experiment {
            tune: None,
            lr: Some(tuning.chosen["lr"]),
            seed: Some(TUNING_SEEDS.to_vec()),
            activations: vec![tuning.activation.parse().expect("known")],
            ..small()
        };
        let alone = run_alone(&place.path().join(&tuning.activation), by_itself);
        let best = chosen(tuning).expect("one was chosen");
        assert_eq!(best.validation_accuracies, alone);
        assert!(tuning.trials.iter().all(|trial| trial.validation_accuracy <= best.validation_accuracy));

        assert_eq!((&run.activation, run.seed), (&tuning.activation, 0));
        assert_eq!(run.epochs[1].learning_rate, Some(tuning.chosen["lr"]));
        let checkpoint = SavedCheckpoint::open(&path.join(format!("runs/{}-seed0", run.activation))).expect("saved");
        assert_eq!(checkpoint.checkpoint.experiment.lr, Some(tuning.chosen["lr"]));
    }
    let joined = join(std::slice::from_ref(&path)).expect("one experiment");
    assert_eq!(joined.notes, [""; 0]);
    assert_eq!(timeless(joined.results), timeless(outcome.results.clone()), "read again, it is what it was");

    let reported = Experiment { seed: Some(vec![TUNING_SEEDS[1]]), ..small() };
    let reason = reported.resolve().expect_err("it was tuned on").to_string();
    assert!(reason.starts_with("seed: 1000001 is a seed that settings are tuned on"), "{reason}");
    let untrained = Experiment { epochs: Some(0), ..small() }.resolve().expect_err("there is nothing to tune");
    assert_eq!(untrained.field, "tune");
}

fn run_alone(path: &Path, experiment: Experiment) -> Vec<Option<f64>> {
    let outcome = run(create(path, experiment));
    outcome.results.runs.iter().map(|run| run.outcome().expect("it was measured").validation_accuracy).collect()
}

#[test]
fn tuning_that_is_stopped_goes_on_and_ends_with_the_same_results() {
    let place = place();
    let whole = run(create(&place.path().join("whole"), small()));
    let path = place.path().join("parts");
    let mut compare = create(&path, small());
    // In the first trial, at a later one, and in the trainings that are reported: 12 of 10 steps, then 2.
    for stop_at in [5, 57, 50] {
        let (stop, steps) = (AtomicBool::new(false), AtomicUsize::new(0));
        let outcome = compare.run(&stop, &|progress| {
            if let Progress::Training(_, Event::Step { .. }) = progress
                && steps.fetch_add(1, Ordering::Relaxed) + 1 == stop_at
            {
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert!(outcome.expect("it can be run").interrupted);
        compare = Compare::resume(&path).expect("what was stopped is resumed");
    }
    let outcome = run(compare);
    assert_eq!(timeless(outcome.results), timeless(whole.results));
}

#[test]
fn activations_and_seeds_are_added_and_nothing_is_tuned_twice() {
    let place = place();
    let whole = run(create(&place.path().join("whole"), Experiment { seeds: 2, ..small() }));
    let path = place.path().join("grown");
    run(create(&path, Experiment { activations: small().activations[..1].to_vec(), ..small() }));
    let mut compare = Compare::resume(&path).expect("it is there");
    compare.extend(Experiment { seeds: 2, ..small() }).expect("more of the same");
    let trained = Mutex::new(Vec::new());
    let outcome = compare.run(&AtomicBool::new(false), &|progress| {
        if let Progress::Training(training, Event::Step { step: 1, .. }) = progress {
            trained.lock().expect("nobody panics").push((training.activation.to_string(), training.seed));
        }
    });
    assert_eq!(timeless(outcome.expect("it can be run").results), timeless(whole.results));
    let trained = trained.into_inner().expect("nobody panics");
    assert!(!trained.iter().any(|(activation, seed)| activation == "relu" && TUNING_SEEDS.contains(seed)));

    let mut compare = Compare::resume(&path).expect("it is there");
    let text = compare.extend(Experiment { epochs: Some(2), ..small() }).expect_err("other rates are best").to_string();
    assert!(text.starts_with("--epochs: "), "{text}");
    let other = Experiment { tune: None, ..small() };
    assert!(matches!(compare.extend(other), Err(CompareError::Extend(_))));
}

#[test]
fn a_grid_whose_best_is_at_an_end_is_widened_and_then_marked() {
    let place = place();
    let far_too_small = Experiment {
        lr: Some(1e-5),
        activations: vec!["relu".parse().expect("known")],
        tune: Some("lr".parse().expect("it can be tuned")),
        ..small()
    };
    let outcome = run(create(&place.path().join("out"), far_too_small));
    let tuning = &outcome.results.tuning[0];
    let rates: Vec<f64> = tuning.trials.iter().map(|trial| trial.settings["lr"]).collect();
    assert!(rates.is_sorted() && rates.len() > 5, "{rates:?}");
    let best = tuning.chosen["lr"];
    assert_eq!(tuning.at_end.is_empty(), best != rates[0] && best != rates[rates.len() - 1], "{tuning:?}");

    let given = Experiment { tune: Some("lr=1e-5..1e-4".parse().expect("it can be tuned")), ..small() };
    let outcome = run(create(&place.path().join("given"), given));
    assert!(outcome.results.tuning.iter().all(|tuning| tuning.trials.len() == 3), "a range that is given is kept");
}

#[test]
fn two_settings_are_tuned_together_and_a_divergence_counts_as_0() {
    let place = place();
    let both = Experiment {
        activations: vec!["relu".parse().expect("known")],
        tune: Some("lr=1e3..1e5,weight-decay=1e-4..2e-4".parse().expect("they can be tuned")),
        ..small()
    };
    let outcome = run(create(&place.path().join("out"), both));
    let tuning = &outcome.results.tuning[0];
    assert_eq!(tuning.trials.len(), 5 * 2);
    assert_eq!(tuning.chosen.keys().collect::<Vec<_>>(), ["lr", "weight_decay"]);
    let wild = tuning.trials.iter().find(|trial| trial.settings["lr"] == 1e5).expect("it was tried");
    assert_eq!((&wild.validation_accuracies, wild.validation_accuracy), (&vec![None; 2], 0.0));
    assert_eq!(curve(tuning, "weight_decay").points.len(), 2);
}
