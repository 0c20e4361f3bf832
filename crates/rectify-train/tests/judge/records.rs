//! What records say of themselves.

use rectify_train::{
    experiment::{Experiment, Init},
    judge::{
        guessing::Guessing,
        results,
        theory::{before_training, of_record},
    },
    record::{Confusion, DataRecord, Environment, Epoch, InputSample, Layer, Results, Role, Run, RunEnd, Status},
};

use super::made::TEN_CLASSES;

fn of(activations: &[&str], runs: Vec<Run>, data: Option<DataRecord>) -> Results {
    let environment = Environment {
        rectify: String::new(),
        burn: String::new(),
        backend: "flex".to_owned(),
        adapter: None,
        cpu: String::new(),
        threads: 1,
    };
    let activations = activations.iter().map(|name| name.parse().expect("known")).collect();
    results(environment, Experiment { activations, ..Experiment::default() }, data, Vec::new(), runs)
}

#[test]
fn mistakes_are_told_from_the_most_frequent_on_and_what_is_right_is_none() {
    let counts = vec![vec![9, 2, 0], vec![1, 8, 5], vec![0, 2, 7]];
    assert_eq!(Confusion::mistakes(&counts), [(5, 1, 2), (2, 0, 1), (2, 2, 1), (1, 1, 0)]);
    assert_eq!(
        Confusion::of_numbered(counts.clone()),
        Confusion { classes: ["0", "1", "2"].map(str::to_owned).to_vec(), counts }
    );
}

#[test]
fn data_are_the_same_where_all_that_both_know_is() {
    assert!(TEN_CLASSES.is_of(&TEN_CLASSES));
    let counted = |duplicates| DataRecord { duplicates: Some(duplicates), ..TEN_CLASSES };
    // An older record has no duplicates counted.
    assert!(counted(3).is_of(&TEN_CLASSES) && TEN_CLASSES.is_of(&counted(3)) && counted(3).is_of(&counted(3)));
    assert!(!counted(3).is_of(&counted(4)));
    assert!(!TEN_CLASSES.is_of(&DataRecord { mean: 0.2, ..TEN_CLASSES }));
    assert_eq!(
        TEN_CLASSES.to_string(),
        "1000 + 100 + 100 samples of 10 classes, inputs of mean 0.1000 and deviation 0.3000"
    );
}

#[test]
fn people_read_labels_and_two_that_are_alike_are_numbered() {
    let names = ["mine = x*sigmoid(2*x)", "mine = x*sigmoid(3*x)", "relu"];
    let runs = names.iter().map(|name| Run::new(*name, 0)).collect();
    let results = of(&names, runs, None);
    let labelled = results.labelled();
    let labels = ["mine", "mine #2", "relu"];
    assert_eq!(labelled.runs.iter().map(|run| run.activation.as_str()).collect::<Vec<_>>(), labels);
    assert_eq!(labelled.summary.iter().map(|summary| summary.activation.as_str()).collect::<Vec<_>>(), labels);
    assert_eq!(labelled.experiment.activations.iter().map(|one| one.name()).collect::<Vec<_>>(), labels);
    // Where every name is its own label there is nothing to do.
    let plain = of(&["relu"], vec![Run::new("relu", 0)], None);
    assert_eq!(*plain.labelled(), plain);
}

#[test]
fn a_layer_of_an_older_record_is_the_output_by_its_name() {
    let named = |name: &str, role| Layer { layer: name.to_owned(), role, ..Layer::default() }.role();
    assert_eq!([named("output", None), named("hidden.0", None)], [Role::Output, Role::Hidden]);
    assert_eq!(named("output", Some(Role::Hidden)), Role::Hidden);
}

#[test]
fn a_run_s_outcome_is_the_epoch_that_was_kept_or_else_the_last() {
    let epochs = (0..3).map(|epoch| Epoch { epoch, ..Epoch::default() }).collect();
    let run = Run { epochs, ..Run::new("relu", 0) };
    assert_eq!((run.last().map(|last| last.epoch), run.outcome().map(|last| last.epoch)), (Some(2), Some(2)));
    let kept = Run { kept_epoch: Some(1), ..run };
    assert_eq!((kept.last().map(|last| last.epoch), kept.outcome().map(|last| last.epoch)), (Some(2), Some(1)));
}

#[test]
fn guessing_is_by_the_largest_class_or_else_by_networks_before_training() {
    let data = DataRecord { majority_fraction: 0.2, ..TEN_CLASSES };
    let known = Guessing::of(&of(&["relu"], Vec::new(), Some(data))).expect("it is known");
    assert_eq!(
        (known.accuracy, known.words.as_str()),
        (0.2, "always answering with the most frequent class gives 20.00 %")
    );
    assert!((known.limit - 0.216).abs() < 1e-12, "{}", known.limit);
    let before = |accuracy| {
        let of = |epoch, test_accuracy| Epoch { epoch, test_accuracy: Some(test_accuracy), ..Epoch::default() };
        Run { epochs: vec![of(0, accuracy), of(1, 0.9)], ..Run::new("relu", 0) }
    };
    let seen = Guessing::of(&of(&["relu"], vec![before(0.1), before(0.3)], None)).expect("two were tested");
    assert_eq!(seen.words, "networks before training gave 20.00 %");
    assert!((seen.accuracy - 0.2).abs() < 1e-12 && (seen.limit - 0.28).abs() < 1e-12, "{seen:?}");
    assert_eq!(Guessing::of(&of(&["relu"], Vec::new(), None)), None);
}

#[test]
fn theory_of_recorded_runs_is_of_their_inputs_mean_square() {
    let inputs = |mean, std| {
        let inputs = InputSample { samples: 9, mean: Some(mean), std: Some(std), constant_fraction: 0.0 };
        let epochs = vec![Epoch::default(), Epoch { inputs: Some(inputs), ..Epoch::default() }];
        of(&["relu", "tanh"], vec![Run::new("relu", 0), Run { epochs, ..Run::new("tanh", 0) }], None)
    };
    let results = inputs(3.0, 4.0);
    let predicted = of_record(&results, "tanh", Init::XavierNormal).expect("its inputs are known");
    let tanh = "tanh".parse().expect("known");
    assert_eq!(Some(&predicted), before_training(&results.experiment, &tanh, Init::XavierNormal, 25.0).as_ref());
    assert_ne!(Some(predicted), of_record(&inputs(0.0, 1.0), "tanh", Init::XavierNormal));
    assert_eq!(of_record(&results, "elu", Init::XavierNormal), None);
    assert_eq!(of_record(&of(&["tanh"], vec![Run::new("tanh", 0)], None), "tanh", Init::XavierNormal), None);
}

#[test]
fn the_end_of_a_run_is_its_outcome_s_and_only_an_interrupted_one_is_not_done() {
    let epoch = |epoch, accuracy| Epoch {
        epoch,
        validation_accuracy: Some(accuracy),
        test_accuracy: Some(accuracy - 0.1),
        ..Epoch::default()
    };
    let epochs = vec![epoch(0, 0.2), epoch(1, 0.9), epoch(2, 0.8)];
    let run = Run { epochs, steps: 7, wall_seconds: 2.0, kept_epoch: Some(1), ..Run::new("relu", 3) };
    let end = RunEnd::of(&run);
    assert_eq!((end.activation.as_str(), end.seed, end.steps, end.wall_seconds), ("relu", 3, 7, 2.0));
    assert_eq!((end.validation_accuracy, end.test_accuracy), (Some(0.9), Some(0.8)));
    let done = |status| RunEnd { status, ..end.clone() }.is_done();
    assert_eq!([Status::Completed, Status::Diverged, Status::Interrupted].map(done), [true, true, false]);
}
