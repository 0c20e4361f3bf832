//! Estimates over seeds: means with intervals. Differences seed by seed are in [`paired`](super::paired).
//!
//! Intervals are Student's t (*The probable error of a mean*, 1908): mean ± t · s / √n, with the sample's standard
//! deviation s and n − 1 degrees of freedom. With the handful of seeds that a training can afford, a bootstrap's
//! intervals are too narrow (it can only draw the few values that it has), while t's are exact for normal values and
//! honest about n: 12.7 standard errors for two seeds, 4.3 for three, 2.8 for five.
//!
//! The interval of a fraction, such as an accuracy, is the same one truncated to 0..=1. Since the true mean of fractions
//! lies there, truncating takes away only values that cannot be true, and the interval covers as often as before. (On
//! the logit scale it would need no truncation, but an accuracy of exactly 0 or 1 has no logit.)
//!
//! Values that are not finite are absent: a training that diverged has no accuracy, and how many did is counted beside
//! the estimate ([`Summary::diverged`]), never averaged into it.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{
    experiment::Experiment,
    record::{Epoch, Estimate, Layer, Role, Run, Status, Summary},
};

/// The level of the intervals, unless another is asked for.
pub const CONFIDENCE: f64 = 0.95;

/// Mean, sample standard deviation and 95 % interval by Student's t; any unit, the values' own.
///
/// Values that are not finite are absent. `None` where none is left or their sum overflows; one value has neither
/// deviation nor interval, nor have values whose deviation or interval overflows.
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
    if !mean.is_finite() {
        return None;
    }
    let alone = Estimate { mean, std: None, low: None, high: None, confidence };
    if values.len() < 2 {
        return Some(alone);
    }
    let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let (low, high) = interval(mean, std, values.len(), confidence);
    if !(low.is_finite() && high.is_finite()) {
        return Some(alone);
    }
    Some(Estimate { mean, std: Some(std), low: Some(low), high: Some(high), confidence })
}

/// Student's interval about a mean of `n` values, at least two, with the standard deviation `std`.
pub(super) fn interval(mean: f64, std: f64, n: usize, confidence: f64) -> (f64, f64) {
    let half = student_t(n as f64 - 1.0, confidence) * std / (n as f64).sqrt();
    (mean - half, mean + half)
}

/// [`estimate`] of fractions: its interval is truncated to 0..=1.
pub fn fraction_estimate(values: &[f64]) -> Option<Estimate> {
    let estimate = estimate(values)?;
    let within = |end: Option<f64>| end.map(|end| end.clamp(0.0, 1.0));
    Some(Estimate { low: within(estimate.low), high: within(estimate.high), ..estimate })
}

/// t such that a Student's t variable is within ±t with the given probability.
fn student_t(freedom: f64, confidence: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom).expect("two values or more leave a positive degree of freedom");
    t.inverse_cdf(0.5 + confidence / 2.0)
}

/// Geometric mean with its 95 % interval: [`estimate`] of the logarithms, raised back. For ratios.
///
/// `std` is the geometric standard deviation, a factor of at least 1. `None` unless there are values and all are
/// positive and finite: a ratio of 0 has no logarithm, and to leave it out would hide the most extreme value. There is
/// no interval where its upper end overflows.
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
    let log = estimate_at(&logs, confidence)?;
    let ends = log.low.zip(log.high).map(|(low, high)| (low.exp(), high.exp())).filter(|(_, high)| high.is_finite());
    Some(Estimate {
        mean: log.mean.exp(),
        std: log.std.map(f64::exp).filter(|std| std.is_finite()),
        low: ends.map(|(low, _)| low),
        high: ends.map(|(_, high)| high),
        confidence,
    })
}

/// The 95 % interval of a share, `hits` of `trials`, by Wilson's score (*Probable inference, the law of succession, and
/// statistical inference*, 1927), which holds also where none or all hit; from 0 to 1 without trials.
pub fn wilson(hits: usize, trials: usize) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    // The standard normal's 97.5 % quantile.
    const Z: f64 = 1.959_963_984_540_054;
    let (n, share) = (trials as f64, hits as f64 / trials as f64);
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0))
}

/// One [`Summary`] an activation that has a run, in the experiment's order.
///
/// Estimates are over completed runs; `seeds` counts completed and diverged ones. Interrupted runs are counted apart.
pub fn summarize(experiment: &Experiment, runs: &[Run]) -> Vec<Summary> {
    activations(experiment, runs)
        .into_iter()
        .map(|activation| {
            let count = |status| runs.iter().filter(|run| run.activation == activation && run.status == status).count();
            let over = |figure: &dyn Fn(&Run) -> Option<f64>| -> Vec<f64> {
                completed(runs, activation).filter_map(figure).collect()
            };
            let mean_of_last = |figure: fn(&Layer) -> Option<f64>| {
                fraction_estimate(&over(&|run| mean(hidden(run.outcome()?).iter().filter_map(|layer| figure(layer)))))
            };
            Summary {
                activation: activation.to_owned(),
                seeds: count(Status::Completed) + count(Status::Diverged),
                diverged: count(Status::Diverged),
                interrupted: count(Status::Interrupted),
                test_accuracy: fraction_estimate(&over(&|run| run.outcome()?.test_accuracy)),
                validation_accuracy: fraction_estimate(&over(&|run| run.outcome()?.validation_accuracy)),
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

/// The activations that have runs: those that the experiment names, in its order, then any others.
pub(super) fn activations<'a>(experiment: &'a Experiment, runs: &'a [Run]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    let named = experiment.activations.iter().map(|activation| activation.name());
    for name in named.chain(runs.iter().map(|run| run.activation.as_str())) {
        if !names.contains(&name) && runs.iter().any(|run| run.activation == name) {
            names.push(name);
        }
    }
    names
}

pub(super) fn completed<'a>(runs: &'a [Run], activation: &'a str) -> impl Iterator<Item = &'a Run> {
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
    fn what_overflows_is_absent_and_never_infinite() {
        assert_eq!(estimate(&[f64::MAX; 3]), None);
        let far = estimate(&[1e200, -1e200, 0.0]).unwrap();
        assert_eq!((far.mean, far.std, far.low, far.high), (0.0, None, None, None));
        let ratio = geometric_estimate(&[1e-300, 1e300]).unwrap();
        close(ratio.mean, 1.0, 1e-9);
        assert_eq!((ratio.low, ratio.high), (None, None));
    }

    #[test]
    fn the_interval_of_fractions_is_truncated_and_otherwise_students() {
        let wide = fraction_estimate(&[0.9, 0.04, 0.05]).unwrap();
        assert_eq!((wide.low, wide.high), (Some(0.0), Some(1.0)));
        assert_eq!(fraction_estimate(&[0.96, 0.97, 0.98]), estimate(&[0.96, 0.97, 0.98]));
        let high = fraction_estimate(&[0.98, 0.99, 1.0]).unwrap();
        assert_eq!((high.low, high.high), (estimate(&[0.98, 0.99, 1.0]).unwrap().low, Some(1.0)));
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

    #[test]
    fn wilsons_interval_is_the_published_one_and_the_same_from_either_end() {
        // Newcombe 1998, Two-sided confidence intervals for the single proportion, table I, method 3.
        for (hits, trials, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let of_hits = wilson(hits, trials);
            close(of_hits.0, low, 5.1e-5);
            close(of_hits.1, high, 5.1e-5);
            let of_misses = wilson(trials - hits, trials);
            close(of_misses.0, 1.0 - of_hits.1, 1e-12);
            close(of_misses.1, 1.0 - of_hits.0, 1e-12);
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn a_confidence_is_between_0_and_1() {
        for confidence in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(std::panic::catch_unwind(|| estimate_at(&[1.0, 2.0], confidence)).is_err(), "{confidence}");
        }
    }

    fn named(names: &str) -> Experiment {
        let activations = names.split(',').map(|name| name.parse().unwrap()).collect();
        Experiment { activations, ..Experiment::default() }
    }

    #[test]
    fn a_summary_is_in_the_experiments_order_and_leaves_out_what_has_no_run() {
        let runs = [run("tanh", 0, Status::Completed, 0.9), run("relu", 0, Status::Completed, 0.9)];
        let names = |of: &str| -> Vec<String> {
            summarize(&named(of), &runs).into_iter().map(|summary| summary.activation).collect()
        };
        assert_eq!(names("relu,sigmoid,tanh"), ["relu", "tanh"]);
        assert_eq!(names("sigmoid"), ["tanh", "relu"]);
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
            confusion: None,
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
        let [tanh, relu] = &summarize(&named("tanh,relu"), &runs)[..] else { panic!("two activations") };
        assert_eq!((tanh.activation.as_str(), tanh.seeds, tanh.diverged), ("tanh", 1, 0));
        assert_eq!((relu.activation.as_str(), relu.seeds, relu.diverged, relu.interrupted), ("relu", 3, 1, 1));
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
        let summary = &summarize(&named("relu"), &[bare])[0];
        assert_eq!((summary.test_accuracy, summary.gradient_ratio), (None, None));
        let mut unprobed = run("relu", 0, Status::Completed, 0.9);
        unprobed.epochs.iter_mut().for_each(|epoch| epoch.layers.clear());
        let summary = &summarize(&named("relu"), &[unprobed])[0];
        assert!(summary.test_accuracy.is_some());
        assert_eq!((summary.gradient_ratio, summary.zero_fraction), (None, None));
    }
}
