//! What is said about an experiment, word by word, on made-up figures.

use rectify_train::{
    experiment::Experiment,
    judge::sentences::sentences,
    record::{Environment, Estimate, PairedDifference, Results, SCHEMA_VERSION, Summary},
};

fn estimate(mean: f64, half_width: Option<f64>) -> Estimate {
    let [low, high] = [-1.0, 1.0].map(|sign| half_width.map(|half| mean + sign * half));
    Estimate { mean, std: half_width, low, high, confidence: 0.95 }
}

fn summary(activation: &str, seeds: usize, accuracy: Option<f64>, gradient_ratio: Option<f64>) -> Summary {
    Summary {
        activation: activation.to_owned(),
        seeds,
        diverged: 0,
        test_accuracy: accuracy.map(|mean| estimate(mean, (seeds > 1).then_some(0.002))),
        validation_accuracy: None,
        seconds_per_epoch: None,
        gradient_ratio_start: gradient_ratio.map(|mean| estimate(mean, None)),
        gradient_ratio: None,
        zero_fraction: None,
        dead_fraction: None,
        saturated_fraction: None,
    }
}

fn difference(activation: &str, baseline: &str, mean: f64, half_width: Option<f64>) -> PairedDifference {
    PairedDifference {
        activation: activation.to_owned(),
        baseline: baseline.to_owned(),
        seeds: 3,
        test_accuracy: estimate(mean, half_width),
    }
}

fn results(summary: Vec<Summary>, paired_differences: Vec<PairedDifference>) -> Results {
    let environment = Environment {
        rectify: "0.1.0".to_owned(),
        burn: "0.22.1".to_owned(),
        backend: "flex".to_owned(),
        adapter: None,
        cpu: "a processor".to_owned(),
        threads: 2,
    };
    Results {
        data: None,
        schema_version: SCHEMA_VERSION,
        environment,
        experiment: Experiment::default(),
        runs: Vec::new(),
        summary,
        paired_differences,
    }
}

#[test]
fn a_clear_winner_and_a_vanished_gradient_are_said_to_be_so() {
    let summary = vec![
        summary("relu", 3, Some(0.9751), Some(0.853)),
        summary("sigmoid", 3, Some(0.1135), Some(1.25e-4)),
        summary("tanh", 3, Some(0.9712), Some(1.24)),
    ];
    let differences =
        vec![difference("sigmoid", "relu", -0.8616, Some(0.002)), difference("tanh", "relu", -0.0039, Some(0.002))];
    assert_eq!(
        sentences(&results(summary, differences)),
        [
            "relu reaches 97.51 % on the test set (mean of 3 seeds), before tanh with 97.12 %, and the difference, \
             seed by seed, is clear of zero at 95 %; sigmoid 11.35 %.",
            "Before training, sigmoid's gradient at the first hidden layer is 1/8000 of the one at the last; with \
             tanh it is 1.24.",
        ]
    );
}

#[test]
fn a_difference_whose_interval_holds_zero_is_not_called_clear() {
    let summary = vec![summary("relu", 3, Some(0.97), None), summary("tanh", 3, Some(0.975), None)];
    let differences = vec![difference("tanh", "relu", 0.005, Some(0.006))];
    assert_eq!(
        sentences(&results(summary, differences)),
        ["tanh reaches 97.50 % on the test set (mean of 3 seeds), before relu with 97.00 %, but the difference, seed \
          by seed, is not clear of zero at 95 %."]
    );
}

#[test]
fn one_seed_has_no_interval_and_decides_nothing() {
    let summary = vec![summary("relu", 1, Some(0.97), None), summary("tanh", 1, Some(0.96), None)];
    let differences = vec![difference("tanh", "relu", -0.01, None)];
    assert_eq!(
        sentences(&results(summary, differences)),
        ["relu reaches 97.00 % on the test set (one seed, so no interval), before tanh with 96.00 %, with too few \
          seeds to say more."]
    );
}

#[test]
fn two_that_were_not_compared_with_each_other_are_not_called_clear() {
    // Differences are taken from the first activation; the best two are the others.
    let summary = vec![
        summary("sigmoid", 3, Some(0.5), None),
        summary("relu", 3, Some(0.97), None),
        summary("tanh", 3, Some(0.96), None),
    ];
    let differences =
        vec![difference("relu", "sigmoid", 0.47, Some(0.01)), difference("tanh", "sigmoid", 0.46, Some(0.01))];
    let said = sentences(&results(summary, differences));
    assert!(said[0].contains("96.00 %, a difference that was not tested; sigmoid 50.00 %."), "{}", said[0]);
}

#[test]
fn a_single_activation_is_told_alone() {
    assert_eq!(
        sentences(&results(vec![summary("relu", 1, Some(0.9), Some(0.5))], Vec::new())),
        [
            "relu reaches 90.00 % on the test set (one seed, so no interval).",
            "Before training, relu's gradient at the first hidden layer is 0.50 of the one at the last.",
        ]
    );
}

#[test]
fn divergence_is_counted_and_what_diverged_has_no_accuracy() {
    let mut diverged = summary("relu", 3, None, None);
    diverged.diverged = 3;
    let mut half = summary("tanh", 3, Some(0.9), None);
    half.diverged = 1;
    assert_eq!(
        sentences(&results(vec![diverged, half], Vec::new())),
        [
            "tanh reaches 90.00 % on the test set (mean of 2 seeds).",
            "Diverged: relu in 3 of 3 runs, tanh in 1 of 3 runs.",
        ]
    );
}

#[test]
fn nothing_measured_is_nothing_said() {
    assert!(sentences(&results(Vec::new(), Vec::new())).is_empty());
}
