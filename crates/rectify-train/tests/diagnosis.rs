//! What is planted is found, what is sound is left alone, and what a setting broke a setting repairs.

use std::{convert::Infallible, sync::atomic::AtomicBool};

use rectify_train::{
    compare::{Joined, join_and_diagnose},
    environment,
    experiment::{Experiment, Init},
    judge::diagnose::{Case, DETECTORS, Diagnosis, Severity, diagnose},
    planted::{self, Half, is_found},
    record::{DataRecord, Epoch, GradientSample, Layer, Run, Status, WHOLE_RUNS},
    repair::{Trained, repair},
    store::{Mark, RunFolder},
};

/// Trainings of the tuning half whose name contains `only`, without repairs.
fn plant(only: &str) -> Vec<planted::Planted> {
    let stop = AtomicBool::new(false);
    planted::run(&[Half::Tuning], 1, 2, Some(only), false, &stop, &|_, _| {}).expect("MNIST comes with the repository")
}

#[test]
fn faults_of_layers_data_and_weights_are_found_with_their_causes() {
    for only in ["frozen", "inputs unscaled", "no activation", "gain 3"] {
        let all = plant(only);
        assert!(!all.is_empty(), "{only}");
        for planted in all {
            assert!(is_found(&planted), "{}: {:?}, {:?}", planted.name, planted.causes, planted.says);
        }
    }
}

#[test]
fn a_sound_training_raises_no_warning() {
    for planted in plant("healthy 64,64,64") {
        assert!(planted.healthy && planted.causes.is_empty(), "{}: {:?}", planted.name, planted.says);
        assert!(planted.validation_accuracy.is_some_and(|accuracy| accuracy > 0.8), "{}", planted.name);
    }
}

#[test]
fn detectors_without_their_records_say_so_and_find_nothing() {
    let run = Run { status: Status::Completed, steps: 500, ..Run::new("relu", 0) };
    let diagnosis = diagnose(&Case::of(&run), DETECTORS);
    assert!(diagnosis.healthy && diagnosis.findings.is_empty(), "{:?}", diagnosis.findings);
    assert!(diagnosis.skipped.len() > 10 && diagnosis.skipped.iter().all(|skipped| !skipped.reason.is_empty()));
}

/// A run of two looks at two hidden layers, as a sound network has them, changed by `change` after training.
fn looked_at(change: impl Fn(&mut Layer)) -> Run {
    let layer = |i: usize| Layer {
        layer: format!("hidden.{i}"),
        units: 64,
        weight_grad_rms: Some(1e-3),
        weight_grad_norm: Some(0.1),
        update_to_weight_ratio: Some(1e-3),
        weight_rms: Some(0.17),
        dead_fraction: Some(0.0),
        unit_nonzero_fraction: vec![0.5; 64],
        ..Layer::default()
    };
    let mut after: Vec<Layer> = (0..2).map(layer).collect();
    change(&mut after[0]);
    let epoch = |epoch: usize, layers| Epoch { epoch, step: 200 * epoch, layers, ..Epoch::default() };
    Run {
        status: Status::Completed,
        steps: 200,
        epochs: vec![epoch(0, (0..2).map(layer).collect()), epoch(1, after)],
        ..Run::new("relu", 0)
    }
}

#[test]
fn a_layer_s_fault_is_found_there_and_only_there() {
    let found = |run: &Run| -> Vec<(&str, Vec<String>)> {
        let findings = diagnose(&Case::of(run), DETECTORS).findings.into_iter();
        findings.filter(|f| f.severity > Severity::Info).map(|finding| (finding.detector, finding.layers)).collect()
    };
    assert_eq!(found(&looked_at(|_| {})), []);
    let first = || vec!["hidden.0".to_owned()];
    let dead = looked_at(|layer| layer.dead_fraction = Some(1.0));
    assert_eq!(found(&dead), [("dead-units", first())]);
    let frozen = looked_at(|layer| (layer.update_to_weight_ratio, layer.weight_grad_rms) = (None, None));
    assert!(found(&frozen).contains(&("frozen-layer", first())), "{:?}", found(&frozen));
    let vanished = looked_at(|layer| layer.weight_grad_rms = Some(1e-7));
    assert_eq!(found(&vanished), [("vanishing-gradient", first())]);
    let huge = looked_at(|layer| layer.update_to_weight_ratio = Some(0.3));
    assert_eq!(found(&huge), [("update-too-large", first())]);
    let decayed = looked_at(|layer| layer.weight_rms = Some(0.01));
    assert_eq!(found(&decayed), [("weight-growth", first())]);
}

const TEN_CLASSES: DataRecord = DataRecord {
    train: 1000,
    validation: 100,
    test: 100,
    classes: 10,
    majority_fraction: 0.1,
    duplicates: None,
    mean: 0.1,
    std: 0.3,
};

fn causes(diagnosis: &Diagnosis) -> Vec<&str> {
    diagnosis.causes.iter().map(|cause| cause.cause).collect()
}

#[test]
fn of_small_batches_that_diverge_both_the_batch_and_the_rate_are_suspected() {
    let run = Run { status: Status::Diverged, diverged_at_step: Some(9), ..looked_at(|_| {}) };
    let named = |batch_size, lr| {
        let experiment = Experiment { batch_size, lr, ..Experiment::default() };
        let case = Case { experiment: Some(&experiment), ..Case::of(&run) };
        causes(&diagnose(&case, DETECTORS)).join(", ")
    };
    assert_eq!(named(2, None), "batch-too-small, learning-rate-too-high");
    assert_eq!(named(128, None), "learning-rate-too-high");
    // At ten times the usual rate large batches would diverge too, and at a part as small as the batch is, the batch is not
    // what is wrong.
    assert_eq!(named(2, Some(1.0)), "learning-rate-too-high");
    assert_eq!(named(2, Some(0.1 * 2.0 / 128.0)), "learning-rate-too-high");
    // Of a loop whose rate is not known, its batches are.
    let mut own = run.clone();
    own.epochs[0].gradient = Some(GradientSample { set: "batch".to_owned(), samples: 4, batch_size: 4 });
    assert_eq!(causes(&diagnose(&Case::of(&own), DETECTORS)), ["batch-too-small", "learning-rate-too-high"]);
    assert_eq!(causes(&diagnose(&Case::of(&run), DETECTORS)), ["learning-rate-too-high"]);
}

#[test]
fn a_layer_that_training_killed_most_of_points_to_the_rate_and_one_that_began_so_does_not() {
    let mut run = looked_at(|layer| layer.dead_fraction = Some(0.6));
    let diagnosis = diagnose(&Case::of(&run), DETECTORS);
    let [finding] = &diagnosis.findings[..] else { panic!("{diagnosis}") };
    assert_eq!((finding.severity, &*finding.layers), (Severity::Warning, &["hidden.0".to_owned()][..]));
    assert_eq!(finding.says, "60 % of the units of hidden.0 died during training");
    assert_eq!((finding.first_step, causes(&diagnosis)), (200, vec!["learning-rate-too-high"]));
    run.epochs[0].layers[0].dead_fraction = Some(0.5);
    assert!(diagnose(&Case::of(&run), DETECTORS).healthy);
}

#[test]
fn short_steps_are_too_short_where_the_loss_falls_until_the_end() {
    let mut run = looked_at(|_| {});
    for layer in run.epochs.iter_mut().flat_map(|epoch| &mut epoch.layers) {
        layer.update_to_weight_ratio = Some(3e-4);
    }
    let named = |losses: &[f64]| {
        let case = Case { data: Some(&TEN_CLASSES), losses, ..Case::of(&run) };
        causes(&diagnose(&case, DETECTORS)).join(", ")
    };
    let falls: Vec<f64> = (0..200).map(|step| 2.3 - 0.002 * f64::from(step)).collect();
    assert_eq!(named(&falls), "learning-rate-too-low");
    // At rest at a loss as high, something else is wrong.
    assert_eq!(named(&[1.9; 200]), "");
}

#[test]
fn one_fall_in_accuracy_is_no_oscillation_and_two_are() {
    let findings = |accuracies: &[f64]| {
        let epoch = |(epoch, accuracy): (usize, &f64)| Epoch {
            epoch,
            step: 10 * epoch,
            validation_accuracy: Some(*accuracy),
            ..Epoch::default()
        };
        let epochs = accuracies.iter().enumerate().map(epoch).collect();
        let run = Run { status: Status::Completed, steps: 40, epochs, ..Run::new("relu", 0) };
        diagnose(&Case::of(&run), DETECTORS).findings.into_iter().map(|found| found.detector).collect::<Vec<_>>()
    };
    assert!(!findings(&[0.1, 0.8, 0.7, 0.85, 0.9]).contains(&"oscillating-loss"));
    assert!(findings(&[0.1, 0.8, 0.7, 0.85, 0.75]).contains(&"oscillating-loss"));
    // As often, but by less than five points.
    assert!(!findings(&[0.1, 0.8, 0.77, 0.85, 0.82]).contains(&"oscillating-loss"));
}

#[test]
fn of_more_runs_than_are_held_whole_every_one_is_diagnosed_in_full() {
    let parent = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = parent.path().join("many");
    let runs = WHOLE_RUNS + 1;
    let experiment = Experiment { seeds: runs, ..Experiment::default() };
    let experiment = Experiment { activations: vec!["relu".parse().unwrap()], ..experiment };
    let folder = RunFolder::create(&path, &experiment).unwrap();
    for seed in 0..runs as u64 {
        let run = Run { seed, ..looked_at(|layer| layer.dead_fraction = Some(1.0)) };
        let metrics = folder.metrics(&run.activation, seed, &Mark::default()).unwrap();
        folder.write_run(&experiment, &run, metrics.mark(), &environment::unknown("flex"), None).unwrap();
    }
    let (Joined { results, .. }, diagnoses) = join_and_diagnose(&[path]).unwrap();
    assert_eq!(results.runs.iter().filter(|run| run.is_thin()).count(), 1);
    let expected = |seed| Diagnosis { seed, ..diagnoses[0].clone() };
    assert!(!diagnoses[0].healthy && !diagnoses[0].skipped.iter().any(|skipped| skipped.detector == "no-nonlinearity"));
    assert_eq!(diagnoses, (0..runs as u64).map(expected).collect::<Vec<_>>());
}

#[test]
fn a_repair_keeps_what_works_and_says_so_where_nothing_does() {
    let broken =
        Experiment { activations: vec!["tanh".parse().unwrap()], init: Init::Normal(0.001), ..Experiment::default() };
    // A training whose weights begin as small as its settings say, and that learns unless they are too small.
    let train = |experiment: &Experiment, learns: &dyn Fn(&Experiment) -> bool| {
        let good = learns(experiment);
        let weight_rms = if experiment.init == Init::Normal(0.001) { 0.001 } else { 0.1 };
        let mut run = looked_at(|_| {});
        run.activation = "tanh".to_owned();
        for epoch in &mut run.epochs {
            (epoch.validation_accuracy, epoch.train_loss) = (Some(if good { 0.9 } else { 0.1 }), Some(0.2));
            for layer in &mut epoch.layers {
                (layer.weight_rms, layer.fan_in) = (Some(weight_rms), Some(100));
            }
        }
        Trained { run, losses: vec![if good { 0.2 } else { 2.3 }; 200] }
    };
    let try_with = |learns: &dyn Fn(&Experiment) -> bool| {
        let again = &mut |experiment: &Experiment, _| Ok::<_, Infallible>(train(experiment, learns));
        repair(&broken, &train(&broken, learns), Some(&TEN_CLASSES), 5, again).unwrap()
    };
    let cured = try_with(&|experiment| experiment.init != Init::Normal(0.001));
    assert!(cured.repaired, "{cured:?}");
    assert_eq!(cured.settings.get("init").and_then(|init| init.as_str()), Some("auto"));
    assert_eq!(cured.experiment.unwrap().init, Init::Auto);
    assert_eq!(cured.attempts.len(), 1);

    let hopeless = try_with(&|_| false);
    assert!(!hopeless.repaired && hopeless.experiment.is_none() && !hopeless.attempts.is_empty(), "{hopeless:?}");
}
