//! Estimates over seeds: means with intervals, differences seed by seed.
//!
//! Intervals are Student's t (*The probable error of a mean*, 1908): mean ± t · s / √n, with the sample's standard
//! deviation s and n − 1 degrees of freedom. With the handful of seeds that a training can afford, a bootstrap's
//! intervals are too narrow (it can only draw the few values that it has), while t's are exact for normal values and
//! honest about n: 12.7 standard errors for two seeds, 4.3 for three, 2.8 for five.
//!
//! Values that are not finite are absent: a training that diverged has no accuracy, and how many did is counted beside
//! the estimate ([`Summary::diverged`]), never averaged into it.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::record::{Epoch, Estimate, Layer, PairedDifference, Role, Run, Status, Summary};

/// The level of the intervals, unless another is asked for.
pub const CONFIDENCE: f64 = 0.95;

/// Mean, sample standard deviation and 95 % interval by Student's t; any unit, the values' own.
///
/// Values that are not finite are absent. `None` where none is left; one value has neither deviation nor interval.
///
/// ```
/// use rectify_train::judge::statistics::estimate;
///
/// let accuracy = estimate(&[0.971, 0.974, 0.977]).unwrap();
/// assert_eq!(format!("{:.3}", accuracy.mean), "0.974");
/// // t for two degrees of freedom is 4.303: 0.974 ± 4.303 · 0.003 / √3.
/// assert_eq!(format!("{:.4}", accuracy.low.unwrap()), "0.9665");
/// ```
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    estimate_at(values, CONFIDENCE)
}

/// [`estimate`] with an interval at another level.
///
/// For k intervals that shall hold jointly at 95 %, take 1 − 0.05 / k (Bonferroni).
///
/// # Panics
///
/// Where `confidence` is not between 0 and 1: levels are written in code, not read from a user.
pub fn estimate_at(values: &[f64], confidence: f64) -> Option<Estimate> {
    assert!(confidence > 0.0 && confidence < 1.0, "a confidence is between 0 and 1, got {confidence}");
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return values.first().map(|&mean| Estimate { mean, std: None, low: None, high: None, confidence });
    }
    let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let half = student_t(n - 1.0, confidence) * std / n.sqrt();
    Some(Estimate { mean, std: Some(std), low: Some(mean - half), high: Some(mean + half), confidence })
}

/// t such that a Student's t variable is within ±t with the given probability.
fn student_t(freedom: f64, confidence: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom).expect("two values or more leave a positive degree of freedom");
    t.inverse_cdf(0.5 + confidence / 2.0)
}

/// Geometric mean with its 95 % interval: [`estimate`] of the logarithms, raised back. For ratios.
///
/// `std` is the geometric standard deviation, a factor of at least 1. `None` unless there are values and all are
/// positive and finite: a ratio of 0 has no logarithm, and to leave it out would hide the most extreme value.
pub fn geometric_estimate(values: &[f64]) -> Option<Estimate> {
    geometric_estimate_at(values, CONFIDENCE)
}

/// [`geometric_estimate`] with an interval at another level.
///
/// # Panics
///
/// As [`estimate_at`].
pub fn geometric_estimate_at(values: &[f64], confidence: f64) -> Option<Estimate> {
    if !values.iter().all(|value| value.is_finite() && *value > 0.0) {
        return None;
    }
    let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    estimate_at(&logs, confidence).map(|log| Estimate {
        mean: log.mean.exp(),
        std: log.std.map(f64::exp),
        low: log.low.map(f64::exp),
        high: log.high.map(f64::exp),
        confidence,
    })
}

/// The differences a − b over the seeds that both have: how many there are, and their [`estimate`].
///
/// Two trainings with one seed share the order of samples and the random numbers of their weights, so their difference
/// varies less than either. Pairs whose difference is not finite are absent; `None` where none is left.
pub fn paired(a: &[(u64, f64)], b: &[(u64, f64)]) -> Option<(usize, Estimate)> {
    let differences: Vec<f64> = a
        .iter()
        .filter_map(|(seed, a)| b.iter().find(|(other, _)| other == seed).map(|(_, b)| a - b))
        .filter(|difference| difference.is_finite())
        .collect();
    estimate(&differences).map(|estimate| (differences.len(), estimate))
}

/// One [`Summary`] an activation, in order of first appearance.
///
/// Estimates are over completed runs; `seeds` counts completed and diverged ones. Interrupted runs are left out.
pub fn summarize(runs: &[Run]) -> Vec<Summary> {
    activations(runs)
        .into_iter()
        .map(|activation| {
            let count = |status| runs.iter().filter(|run| run.activation == activation && run.status == status).count();
            let over = |figure: &dyn Fn(&Run) -> Option<f64>| -> Vec<f64> {
                completed(runs, activation).filter_map(figure).collect()
            };
            let mean_of_last = |figure: fn(&Layer) -> Option<f64>| {
                estimate(&over(&|run| mean(hidden(run.outcome()?).iter().filter_map(|layer| figure(layer)))))
            };
            Summary {
                activation: activation.to_owned(),
                seeds: count(Status::Completed) + count(Status::Diverged),
                diverged: count(Status::Diverged),
                test_accuracy: estimate(&over(&|run| run.outcome()?.test_accuracy)),
                validation_accuracy: estimate(&over(&|run| run.outcome()?.validation_accuracy)),
                seconds_per_epoch: estimate(&over(&|run| {
                    mean(run.epochs.iter().filter(|epoch| epoch.epoch > 0).map(|epoch| epoch.seconds))
                })),
                gradient_ratio_start: geometric_estimate(&over(&|run| {
                    gradient_ratio(run.epochs.iter().find(|epoch| epoch.epoch == 0)?)
                })),
                gradient_ratio: geometric_estimate(&over(&|run| gradient_ratio(run.outcome()?))),
                zero_fraction: mean_of_last(|layer| layer.zero_fraction),
                dead_fraction: mean_of_last(|layer| layer.dead_fraction),
                saturated_fraction: mean_of_last(|layer| layer.saturated_fraction),
            }
        })
        .collect()
}

/// Every later activation against the first to appear, over the seeds that both completed.
///
/// An activation that shares no completed seed with the first has no entry.
pub fn paired_differences(runs: &[Run]) -> Vec<PairedDifference> {
    let activations = activations(runs);
    let Some((&baseline, others)) = activations.split_first() else { return Vec::new() };
    let accuracies = |activation| -> Vec<(u64, f64)> {
        completed(runs, activation).filter_map(|run| Some((run.seed, run.outcome()?.test_accuracy?))).collect()
    };
    others
        .iter()
        .filter_map(|&activation| {
            let (seeds, test_accuracy) = paired(&accuracies(activation), &accuracies(baseline))?;
            let (activation, baseline) = (activation.to_owned(), baseline.to_owned());
            Some(PairedDifference { activation, baseline, seeds, test_accuracy })
        })
        .collect()
}

/// First hidden layer's `weight_grad_rms` over the last hidden layer's.
///
/// `None` with fewer than two hidden layers, and where a gradient was not measured or the last one is 0.
pub fn gradient_ratio(epoch: &Epoch) -> Option<f64> {
    let [first, .., last] = hidden(epoch)[..] else { return None };
    let ratio = first.weight_grad_rms? / last.weight_grad_rms?;
    ratio.is_finite().then_some(ratio)
}

/// The epoch's layers but `output`, from the input on.
pub fn hidden(epoch: &Epoch) -> Vec<&Layer> {
    epoch.layers.iter().filter(|layer| layer.role() == Role::Hidden).collect()
}

fn activations(runs: &[Run]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for run in runs {
        if !names.contains(&run.activation.as_str()) {
            names.push(&run.activation);
        }
    }
    names
}

fn completed<'a>(runs: &'a [Run], activation: &'a str) -> impl Iterator<Item = &'a Run> {
    runs.iter().filter(move |run| run.activation == activation && run.status == Status::Completed)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b} within {tolerance}");
    }

    #[test]
    fn students_t_has_the_quantiles_of_the_printed_tables() {
        // NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: two-sided 95 % and 99 %, three decimals.
        for (freedom, at_95, at_99) in [
            (1.0, 12.706, 63.657),
            (2.0, 4.303, 9.925),
            (4.0, 2.776, 4.604),
            (9.0, 2.262, 3.250),
            (30.0, 2.042, 2.750),
            (100.0, 1.984, 2.626),
        ] {
            close(student_t(freedom, 0.95), at_95, 6e-4);
            close(student_t(freedom, 0.99), at_99, 6e-4);
        }
    }

    #[test]
    fn students_t_quantile_and_distribution_are_inverse_for_every_number_of_seeds() {
        for freedom in 1..200 {
            for confidence in [0.5, 0.95, 0.99, 0.999] {
                let t = student_t(f64::from(freedom), confidence);
                let cdf = StudentsT::new(0.0, 1.0, f64::from(freedom)).unwrap().cdf(t);
                close(cdf, 0.5 + confidence / 2.0, 1e-8);
            }
        }
    }

    #[test]
    fn estimate_gives_students_own_example() {
        // Student 1908, extra hours of sleep by drug 2 over drug 1 in ten patients: mean 1.58, s = 1.23; R's
        // `t.test(sleep, paired = TRUE)` prints the interval 0.7001142..2.4598858.
        let hours = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let sleep = estimate(&hours).unwrap();
        close(sleep.mean, 1.58, 1e-12);
        close(sleep.std.unwrap(), 1.229_995, 1e-6);
        close(sleep.low.unwrap(), 0.700_114_2, 1e-6);
        close(sleep.high.unwrap(), 2.459_885_8, 1e-6);
    }

    #[test]
    fn paired_gives_students_own_example_over_shared_seeds_only() {
        let drug_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let drug_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let seeded = |values: &[f64], from: u64| -> Vec<(u64, f64)> {
            values.iter().enumerate().map(|(i, &value)| (from + i as u64, value)).collect()
        };
        let mut a = seeded(&drug_2, 10);
        a.reverse();
        a.push((3, 100.0));
        let mut b = seeded(&drug_1, 10);
        b.push((4, -100.0));
        let (seeds, difference) = paired(&a, &b).unwrap();
        assert_eq!(seeds, 10);
        close(difference.mean, 1.58, 1e-12);
        close(difference.low.unwrap(), 0.700_114_2, 1e-6);
        assert_eq!(paired(&[(0, 1.0)], &[(1, 1.0)]), None);
        assert_eq!(paired(&[(0, f64::NAN), (1, 3.0)], &[(0, 1.0), (1, 1.0)]).unwrap().0, 1);
    }

    #[test]
    fn estimate_of_none_one_and_equal_values() {
        assert_eq!(estimate(&[]), None);
        assert_eq!(
            estimate(&[0.5]),
            Some(Estimate { mean: 0.5, std: None, low: None, high: None, confidence: CONFIDENCE })
        );
        let equal = estimate(&[0.25; 3]).unwrap();
        assert_eq!((equal.std, equal.low, equal.high), (Some(0.0), Some(0.25), Some(0.25)));
    }

    #[test]
    fn values_that_are_not_finite_are_absent() {
        assert_eq!(estimate(&[f64::NAN, f64::INFINITY]), None);
        assert_eq!(estimate(&[f64::NAN, 1.0, 2.0, f64::NEG_INFINITY]), estimate(&[1.0, 2.0]));
    }

    #[test]
    fn geometric_estimate_averages_ratios_and_refuses_what_has_no_logarithm() {
        let ratio = geometric_estimate(&[1e-6, 1e-4, 1e-2]).unwrap();
        close(ratio.mean.log10(), -4.0, 1e-12);
        close(ratio.std.unwrap().log10(), 2.0, 1e-12);
        // 4.303 · 2 / √3 decades to each side.
        close(ratio.low.unwrap().log10(), -8.968, 1e-3);
        close(ratio.high.unwrap().log10(), 0.968, 1e-3);
        for values in [&[][..], &[1.0, 0.0], &[1.0, -1.0], &[1.0, f64::NAN], &[1.0, f64::INFINITY]] {
            assert_eq!(geometric_estimate(values), None, "{values:?}");
        }
    }

    fn layer(name: &str, weight_grad_rms: f64, zero_fraction: Option<f64>) -> Layer {
        Layer { layer: name.to_owned(), weight_grad_rms: Some(weight_grad_rms), zero_fraction, ..Layer::default() }
    }

    fn epoch(epoch: usize, test_accuracy: f64, layers: Vec<Layer>) -> Epoch {
        Epoch {
            epoch,
            step: epoch * 10,
            seconds: epoch as f64,
            train_loss: Some(1.0),
            validation_loss: Some(1.0),
            validation_accuracy: Some(test_accuracy - 0.01),
            test_loss: Some(1.0),
            test_accuracy: Some(test_accuracy),
            layers,
            ..Epoch::default()
        }
    }

    fn run(activation: &str, seed: u64, status: Status, test_accuracy: f64) -> Run {
        let layers = |first: f64| {
            vec![layer("hidden.0", first, Some(0.25)), layer("hidden.1", 1.0, Some(0.75)), layer("output", 9.0, None)]
        };
        Run {
            activation: activation.to_owned(),
            seed,
            status,
            diverged_at_step: None,
            divergence: None,
            kept_epoch: None,
            wall_seconds: 1.0,
            steps: 20,
            parameters: 1,
            epochs: vec![
                epoch(0, 0.1, layers(0.1)),
                epoch(1, 0.5, layers(0.2)),
                epoch(2, test_accuracy, layers(10f64.powi(seed as i32 - 2))),
            ],
            probes: Vec::new(),
        }
    }

    #[test]
    fn a_summary_is_over_completed_runs_and_counts_the_diverged() {
        let runs = [
            run("tanh", 1, Status::Completed, 0.90),
            run("relu", 1, Status::Completed, 0.96),
            run("relu", 2, Status::Diverged, 0.10),
            run("relu", 3, Status::Completed, 0.98),
            run("relu", 4, Status::Interrupted, 0.30),
        ];
        let [tanh, relu] = &summarize(&runs)[..] else { panic!("two activations") };
        assert_eq!((tanh.activation.as_str(), tanh.seeds, tanh.diverged), ("tanh", 1, 0));
        assert_eq!((relu.activation.as_str(), relu.seeds, relu.diverged), ("relu", 3, 1));
        close(relu.test_accuracy.unwrap().mean, 0.97, 1e-12);
        close(relu.validation_accuracy.unwrap().mean, 0.96, 1e-12);
        // Epochs of 1 and 2 seconds; epoch 0 trains nothing.
        close(relu.seconds_per_epoch.unwrap().mean, 1.5, 1e-12);
        close(relu.gradient_ratio_start.unwrap().mean, 0.1, 1e-12);
        // 0.1 and 10: the geometric mean is 1, the arithmetic one would be 5.05.
        close(relu.gradient_ratio.unwrap().mean, 1.0, 1e-12);
        close(relu.zero_fraction.unwrap().mean, 0.5, 1e-12);
        assert_eq!(relu.saturated_fraction, None);
    }

    #[test]
    fn paired_differences_compare_with_the_first_activation_over_seeds_that_both_completed() {
        let runs = [
            run("relu", 1, Status::Completed, 0.97),
            run("relu", 2, Status::Completed, 0.95),
            run("relu", 3, Status::Diverged, 0.10),
            run("tanh", 1, Status::Completed, 0.96),
            run("tanh", 2, Status::Completed, 0.92),
            run("tanh", 3, Status::Completed, 0.90),
            run("sigmoid", 3, Status::Completed, 0.90),
        ];
        let [tanh] = &paired_differences(&runs)[..] else { panic!("sigmoid shares no completed seed with relu") };
        assert_eq!((tanh.activation.as_str(), tanh.baseline.as_str(), tanh.seeds), ("tanh", "relu", 2));
        close(tanh.test_accuracy.mean, -0.02, 1e-12);
        assert_eq!(paired_differences(&[]), []);
    }

    #[test]
    fn the_gradient_ratio_needs_two_hidden_layers_and_a_finite_quotient() {
        let of = |layers| gradient_ratio(&epoch(0, 0.1, layers));
        assert_eq!(of(vec![]), None);
        assert_eq!(of(vec![layer("hidden.0", 1.0, None), layer("output", 1.0, None)]), None);
        assert_eq!(of(vec![layer("hidden.0", 1.0, None), layer("hidden.1", 0.0, None)]), None);
        assert_eq!(of(vec![layer("conv.0", 1.0, None), layer("hidden.0", 4.0, None)]), Some(0.25));
        assert_eq!(of(vec![Layer::default(), layer("hidden.1", 1.0, None)]), None);
    }

    #[test]
    fn runs_without_epochs_or_probes_have_no_figures() {
        let mut bare = run("relu", 0, Status::Completed, 0.9);
        bare.epochs.clear();
        let summary = &summarize(&[bare])[0];
        assert_eq!((summary.test_accuracy, summary.gradient_ratio), (None, None));
        let mut unprobed = run("relu", 0, Status::Completed, 0.9);
        unprobed.epochs.iter_mut().for_each(|epoch| epoch.layers.clear());
        let summary = &summarize(&[unprobed])[0];
        assert!(summary.test_accuracy.is_some());
        assert_eq!((summary.gradient_ratio, summary.zero_fraction), (None, None));
    }
}
