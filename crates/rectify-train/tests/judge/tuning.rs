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
