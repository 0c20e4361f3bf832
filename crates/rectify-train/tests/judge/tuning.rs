//! What the trials of a tuned setting say.

use rectify_train::{
    experiment::TUNING_SEEDS,
    judge::tuning::{curve, good_region},
    record::{Trial, Tuning},
};

#[test]
fn the_good_region_reaches_as_far_as_accuracy_is_within_a_point() {
    let trial = |lr: f64, accuracy: f64| Trial {
        settings: [("lr".to_owned(), lr)].into(),
        validation_accuracies: vec![Some(accuracy - 0.001), Some(accuracy + 0.001)],
        validation_accuracy: accuracy,
    };
    let tuning = Tuning {
        activation: "relu".to_owned(),
        chosen: [("lr".to_owned(), 0.1)].into(),
        at_end: Vec::new(),
        seeds: TUNING_SEEDS.to_vec(),
        trials: vec![trial(0.01, 0.8), trial(0.03, 0.955), trial(0.1, 0.96), trial(0.3, 0.951), trial(1.0, 0.1)],
    };
    assert_eq!(good_region(&tuning, "lr"), Some((0.03, 0.3)));
    let curve = curve(&tuning, "lr");
    assert_eq!(curve.points[2], (0.1, 0.96));
    assert_eq!(curve.band[2], (0.959, 0.961));
}

#[test]
fn only_trials_with_the_other_settings_as_they_were_chosen_are_told() {
    let trial = |lr: f64, momentum: f64, accuracies: [Option<f64>; 2]| Trial {
        settings: [("lr".to_owned(), lr), ("momentum".to_owned(), momentum)].into(),
        validation_accuracies: accuracies.to_vec(),
        validation_accuracy: accuracies.map(|accuracy| accuracy.unwrap_or(0.0)).iter().sum::<f64>() / 2.0,
    };
    let tuning = Tuning {
        activation: "relu".to_owned(),
        chosen: [("lr".to_owned(), 0.1), ("momentum".to_owned(), 0.9)].into(),
        at_end: Vec::new(),
        seeds: TUNING_SEEDS.to_vec(),
        trials: vec![
            trial(0.1, 0.0, [Some(0.9375), Some(0.953_125)]),
            trial(0.1, 0.9, [Some(0.95), Some(0.95)]),
            trial(0.2, 0.0, [Some(0.95), Some(0.95)]),
            // One seed diverged.
            trial(0.3, 0.9, [None, Some(0.9)]),
        ],
    };
    let curves = ["lr", "momentum", "depth"].map(|setting| curve(&tuning, setting));
    assert_eq!(curves[0].points, [(0.1, 0.95), (0.3, 0.45)]);
    assert_eq!(curves[0].band, [(0.95, 0.95), (0.0, 0.9)]);
    assert_eq!(curves[1].points, [(0.0, 0.945_312_5), (0.9, 0.95)]);
    assert_eq!(curves[2].points, []);
    assert_eq!((good_region(&tuning, "lr"), good_region(&tuning, "depth")), (Some((0.1, 0.1)), None));
    assert_eq!(good_region(&tuning, "momentum"), Some((0.0, 0.9)));
}
