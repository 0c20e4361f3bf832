//! What is planted is found, what is sound is left alone, and what a setting broke a setting repairs.

mod made;

use std::{convert::Infallible, sync::atomic::AtomicBool};

use rectify_train::{
    compare::{Joined, join_and_diagnose},
    environment,
    experiment::{Experiment, Init},
    judge::diagnose::Diagnosis,
    planted::{self, Half, is_found},
    record::{Run, WHOLE_RUNS},
    repair::{Trained, repair},
    store::{Mark, RunFolder},
};

use made::{TEN_CLASSES, looked_at};

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
