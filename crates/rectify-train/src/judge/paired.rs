//! Differences between activations, seed by seed, and which of them are settled.
//!
//! Two trainings with one seed share the order of samples and the random numbers of their weights, so their difference
//! varies less than either. Each difference is tested by Student's paired t. Several tests of one experiment are
//! adjusted after Holm (*A simple sequentially rejective multiple test procedure*, 1979): whatever the truth, the
//! probability to call any difference settled that is none is at most 5 %.
//!
//! Tested are every activation against the baseline, which is the first that the experiment names, and the two best
//! against each other. That the second pair is chosen after the fact does no harm: the winner may be compared with
//! the runner-up by an ordinary two-sided test (Hung and Fithian, *Rank verification for exponential families*, 2019).
//!
//! Differences that are the same with every seed leave t without a spread. The sign test takes its place: if there were
//! no difference, n equal signs would have the probability 2 · 2⁻ⁿ.

use std::collections::HashMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::statistics::{CONFIDENCE, activations, completed, estimate, interval};
use crate::{
    experiment::Experiment,
    record::{Estimate, Interval, PairedDifference, Run},
};

/// A standard deviation of accuracies that is only rounding: one sample of a million is a thousand times as much.
const NO_SPREAD: f64 = 1e-9;

/// The differences in test accuracy: every other activation against the experiment's first, in the experiment's order,
/// then the two best against each other, unless that pair is among them.
///
/// They are over seeds that both completed; networks that took no step are not compared. A pair without such a seed has
/// no entry.
pub fn paired_differences(experiment: &Experiment, runs: &[Run]) -> Vec<PairedDifference> {
    let accuracies = accuracies(experiment, runs);
    let mut pairs = Vec::new();
    let baseline = experiment.activations.first().map(|activation| activation.name());
    if let Some(baseline) = accuracies.iter().find(|(name, _)| Some(*name) == baseline) {
        let others = accuracies.iter().filter(|(name, _)| *name != baseline.0);
        pairs.extend(others.filter_map(|other| difference(other, baseline)));
    }
    let mut ranked: Vec<_> = accuracies.iter().filter_map(|of| Some((of, mean(&of.1)?))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    if let [(best, _), (second, _), ..] = ranked[..] {
        let same = |pair: &PairedDifference| {
            [&*pair.activation, &*pair.baseline] == [best.0, second.0]
                || [&*pair.activation, &*pair.baseline] == [second.0, best.0]
        };
        if !pairs.iter().any(same) {
            pairs.extend(difference(best, second));
        }
        pairs.iter_mut().for_each(|pair| pair.two_best = same(pair));
    }
    adjust(&mut pairs);
    pairs
}

/// Whether a difference is settled: its adjusted p-value is at most 0.05. Never with one seed, nor in a record that has
/// no p-values.
pub fn settled(pair: &PairedDifference) -> bool {
    pair.adjusted_p_value.is_some_and(|p| p <= 1.0 - CONFIDENCE)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn mean(accuracies: &[(u64, f64)]) -> Option<f64> {
    estimate(&accuracies.iter().map(|(_, accuracy)| *accuracy).collect::<Vec<_>>()).map(|estimate| estimate.mean)
}

/// An activation's test accuracies by seed.
pub(super) type Accuracies<'a> = (&'a str, Vec<(u64, f64)>);

/// The finite test accuracies of networks that completed and took a step, in the experiment's order.
pub(super) fn accuracies<'a>(experiment: &'a Experiment, runs: &'a [Run]) -> Vec<Accuracies<'a>> {
    activations(experiment, runs)
        .into_iter()
        .map(|activation| {
            let trained = completed(runs, activation).filter(|run| run.steps > 0);
            (activation, trained.filter_map(|run| Some((run.seed, finite(run.outcome()?.test_accuracy?)?))).collect())
        })
        .collect()
}

pub(super) fn difference((activation, a): &Accuracies, (baseline, b): &Accuracies) -> Option<PairedDifference> {
    let of_baseline: HashMap<u64, f64> = b.iter().copied().collect();
    let differences: Vec<f64> = a.iter().filter_map(|(seed, a)| Some(a - of_baseline.get(seed)?)).collect();
    let plain = estimate(&differences)?;
    let within = |end: Option<f64>| end.map(|end| end.clamp(-1.0, 1.0));
    Some(PairedDifference {
        activation: (*activation).to_owned(),
        baseline: (*baseline).to_owned(),
        seeds: differences.len(),
        test_accuracy: Estimate { low: within(plain.low), high: within(plain.high), ..plain },
        two_best: false,
        p_value: p_value(&plain, differences.len()),
        adjusted_p_value: None,
        interval: None,
    })
}

/// Two-sided, of the hypothesis that the mean is 0. `None` with fewer than two values.
fn p_value(of: &Estimate, values: usize) -> Option<f64> {
    let std = of.std?;
    if std <= NO_SPREAD {
        let equal_signs = 0.5f64.powi(values as i32 - 1);
        return Some(if of.mean.abs() <= NO_SPREAD { 1.0 } else { equal_signs });
    }
    let t = of.mean.abs() / (std / (values as f64).sqrt());
    let student = StudentsT::new(0.0, 1.0, values as f64 - 1.0).expect("two values or more leave a degree of freedom");
    Some((2.0 * student.sf(t)).min(1.0))
}

/// Fills in what needs all the pairs.
pub(super) fn adjust(pairs: &mut [PairedDifference]) {
    let tested: Vec<usize> = (0..pairs.len()).filter(|&i| pairs[i].p_value.is_some()).collect();
    let p_values: Vec<f64> = tested.iter().filter_map(|&i| pairs[i].p_value).collect();
    for (i, (adjusted, level)) in tested.into_iter().zip(holm(&p_values)) {
        let pair = &mut pairs[i];
        pair.adjusted_p_value = Some(adjusted);
        pair.interval = pair.test_accuracy.std.filter(|std| *std > NO_SPREAD).map(|std| {
            let (low, high) = interval(pair.test_accuracy.mean, std, pair.seeds, level);
            Interval { low: low.clamp(-1.0, 1.0), high: high.clamp(-1.0, 1.0), confidence: level }
        });
    }
}

/// Each p-value adjusted, and the level of the interval that excludes 0 exactly where the adjusted value is at most
/// 1 − [`CONFIDENCE`].
///
/// The smallest of m values is tested at 0.05 / m, the next at 0.05 / (m − 1), and so on until one fails; those after it
/// have failed, too, and have the interval of the level at which that one did.
fn holm(p_values: &[f64]) -> Vec<(f64, f64)> {
    let alpha = 1.0 - CONFIDENCE;
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![(1.0, CONFIDENCE); p_values.len()];
    let (mut least, mut level) = (0.0f64, CONFIDENCE);
    for (rank, &i) in order.iter().enumerate() {
        let left = (p_values.len() - rank) as f64;
        if least <= alpha {
            level = 1.0 - alpha / left;
        }
        least = least.max((left * p_values[i]).min(1.0));
        adjusted[i] = (least, level);
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::record::{Epoch, Status};

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b} within {tolerance}");
    }

    fn runs(accuracies: &[(&str, &[f64])]) -> Vec<Run> {
        let run = |activation: &str, seed: usize, accuracy: f64| Run {
            status: Status::Completed,
            steps: 10,
            epochs: vec![Epoch { epoch: 1, step: 10, test_accuracy: Some(accuracy), ..Epoch::default() }],
            ..Run::new(activation, seed as u64)
        };
        let of = |&(name, values): &(&str, &[f64])| -> Vec<Run> {
            values.iter().enumerate().map(|(seed, &accuracy)| run(name, seed, accuracy)).collect()
        };
        accuracies.iter().flat_map(of).collect()
    }

    fn named(names: &str) -> Experiment {
        let activations = names.split(',').map(|name| name.parse().unwrap()).collect();
        Experiment { activations, ..Experiment::default() }
    }

    fn names(pairs: &[PairedDifference]) -> Vec<(&str, &str, bool)> {
        pairs.iter().map(|pair| (&*pair.activation, &*pair.baseline, pair.two_best)).collect()
    }

    #[test]
    fn a_pair_gives_students_own_example() {
        // Student 1908, as R's `t.test(sleep, paired = TRUE)` prints it: 0.7001142..2.4598858, p-value = 0.002833. A
        // hundredth of the hours, since these are accuracies.
        let drug_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0].map(|hours| hours / 100.0);
        let drug_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4].map(|hours| hours / 100.0);
        let mut runs = runs(&[("relu", &drug_1), ("tanh", &drug_2)]);
        runs.reverse();
        let [pair] = &paired_differences(&named("relu,tanh"), &runs)[..] else { panic!("one pair") };
        assert_eq!((pair.seeds, names(std::slice::from_ref(pair))), (10, vec![("tanh", "relu", true)]));
        close(pair.test_accuracy.mean, 0.0158, 1e-12);
        close(pair.p_value.unwrap(), 0.002_833, 5e-7);
        assert_eq!(pair.adjusted_p_value, pair.p_value);
        let interval = pair.interval.unwrap();
        close(interval.low, 0.007_001_142, 1e-8);
        close(interval.high, 0.024_598_858, 1e-8);
        close(interval.confidence, 0.95, 1e-12);
        assert!(settled(pair));
    }

    #[test]
    fn the_baseline_is_the_first_named_and_the_two_best_are_tested_as_well() {
        let runs = runs(&[
            ("leaky-relu:0.1", &[0.97, 0.971, 0.972]),
            ("relu:leaky=0.1", &[0.961, 0.96, 0.962]),
            ("relu", &[0.951, 0.95, 0.95]),
        ]);
        let pairs = paired_differences(&named("relu,leaky-relu:0.1,relu:leaky=0.1"), &runs);
        assert_eq!(
            names(&pairs),
            [
                ("leaky-relu:0.1", "relu", false),
                ("relu:leaky=0.1", "relu", false),
                ("leaky-relu:0.1", "relu:leaky=0.1", true)
            ]
        );
        assert!(pairs.iter().all(|pair| pair.adjusted_p_value.unwrap() >= pair.p_value.unwrap()));
    }

    #[test]
    fn a_difference_of_accuracies_is_within_1_of_0_whatever_students_interval_is() {
        let runs = runs(&[("relu", &[0.0, 1.0, 0.5]), ("tanh", &[1.0, 0.0, 0.75])]);
        let [pair] = &paired_differences(&named("relu,tanh"), &runs)[..] else { panic!("one pair") };
        let bounds = (Some(-1.0), Some(1.0));
        assert_eq!((pair.test_accuracy.low, pair.test_accuracy.high), bounds);
        assert_eq!(pair.interval.map(|interval| (interval.low, interval.high)), bounds.0.zip(bounds.1));
    }

    #[test]
    fn only_seeds_that_both_completed_and_networks_that_were_trained_are_compared() {
        let mut all =
            runs(&[("relu", &[0.97, 0.95, 0.1]), ("tanh", &[0.96, 0.92, 0.9]), ("sigmoid", &[0.5, 0.5, 0.9])]);
        all[2].status = Status::Diverged;
        all[6].status = Status::Interrupted;
        all[7].steps = 0;
        all[1].epochs[0].test_accuracy = Some(f64::NAN);
        let pairs = paired_differences(&named("relu,tanh,sigmoid"), &all);
        assert_eq!(names(&pairs), [("tanh", "relu", true)], "sigmoid shares no seed with relu");
        assert_eq!((pairs[0].seeds, pairs[0].p_value, pairs[0].interval), (1, None, None));
        assert!(!settled(&pairs[0]));
        assert_eq!(paired_differences(&named("relu"), &[]), []);
        all.iter_mut().for_each(|run| run.steps = 0);
        assert_eq!(paired_differences(&named("relu,tanh,sigmoid"), &all), []);
    }

    #[test]
    fn holm_gives_what_r_gives() {
        // R: p.adjust(c(0.04, 0.01, 0.03, 0.02), "holm") is 0.06 0.04 0.06 0.06.
        let adjusted = holm(&[0.04, 0.01, 0.03, 0.02]);
        for ((p, level), (expected, at)) in adjusted.iter().zip([(0.06, 3.0), (0.04, 4.0), (0.06, 3.0), (0.06, 3.0)]) {
            close(*p, expected, 1e-12);
            close(*level, 1.0 - 0.05 / at, 1e-12);
        }
        assert_eq!(holm(&[0.5]).len(), 1);
        close(holm(&[0.5])[0].1, 0.95, 1e-12);
        assert_eq!(holm(&[0.9, 0.8])[1].0, 1.0);
    }

    #[test]
    fn a_difference_that_is_the_same_with_every_seed_is_judged_by_its_signs() {
        let of = |seeds: usize, by: f64| {
            // 0.97 − 0.96 and 0.95 − 0.94 differ by rounding.
            let base: Vec<f64> = (0..seeds).map(|seed| 0.9 - 0.02 * seed as f64).collect();
            let other: Vec<f64> = base.iter().map(|accuracy| accuracy + by).collect();
            paired_differences(&named("relu,tanh"), &runs(&[("relu", &base), ("tanh", &other)])).remove(0)
        };
        for (seeds, p) in [(2, 0.5), (3, 0.25), (6, 0.03125)] {
            let pair = of(seeds, 0.01);
            assert_eq!((pair.p_value, pair.interval), (Some(p), None), "{seeds} seeds");
            assert_eq!(settled(&pair), seeds == 6);
        }
        let none = of(9, 0.0);
        assert_eq!((none.p_value, none.adjusted_p_value, settled(&none)), (Some(1.0), Some(1.0), false));
    }

    #[test]
    fn the_interval_excludes_zero_exactly_where_the_difference_is_settled() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut draw = |shift: f64, seeds: usize| -> Vec<f64> {
            (0..seeds).map(|_| 0.5 + shift + 0.02 * (rng.random::<f64>() - 0.5)).collect()
        };
        let (mut yes, mut no) = (0, 0);
        for round in 0..300 {
            let seeds = 2 + round % 4;
            let shifts = [0.0, 0.0, 0.01, 0.03, 0.2];
            let values = shifts.map(|shift| draw(shift, seeds));
            let names = ["relu", "tanh", "sigmoid", "elu", "selu"];
            let runs: Vec<_> = names.into_iter().zip(&values).map(|(name, values)| (name, &values[..])).collect();
            for pair in paired_differences(&named(&names.join(",")), &self::runs(&runs)) {
                let interval = pair.interval.unwrap();
                assert_eq!(settled(&pair), interval.low > 0.0 || interval.high < 0.0, "{pair:?}");
                *(if settled(&pair) { &mut yes } else { &mut no }) += 1;
            }
        }
        assert!(yes > 100 && no > 100, "{yes} settled, {no} not");
    }

    #[test]
    fn whatever_the_truth_a_false_difference_is_settled_in_at_most_one_experiment_of_twenty() {
        const EXPERIMENTS: u32 = 1500;
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        // By Box and Muller, a standard deviation of one point.
        let mut draw = |mean: f64| {
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            mean + 0.01 * (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let names = ["relu", "tanh", "sigmoid", "elu"];
        let experiment = named(&names.join(","));
        // All alike; the two best alike and far ahead; the baseline far behind equals; no two alike but one pair.
        for means in [[0.5; 4], [0.5, 0.8, 0.8, 0.5], [0.5, 0.8, 0.8, 0.8], [0.8, 0.8, 0.6, 0.5]] {
            for seeds in [2, 4] {
                let mut wrong = 0;
                for _ in 0..EXPERIMENTS {
                    let values = means.map(|mean| (0..seeds).map(|_| draw(mean)).collect::<Vec<f64>>());
                    let of: Vec<_> = names.into_iter().zip(&values).map(|(name, values)| (name, &values[..])).collect();
                    let mean = |name: &str| means[names.iter().position(|other| *other == name).unwrap()];
                    let pairs = paired_differences(&experiment, &runs(&of));
                    let falsely =
                        |pair: &PairedDifference| settled(pair) && mean(&pair.activation) == mean(&pair.baseline);
                    wrong += u32::from(pairs.iter().any(falsely));
                }
                let rate = f64::from(wrong) / f64::from(EXPERIMENTS);
                // Four standard errors over: one such test in 30 000 fails by chance, and the seed is fixed.
                let most = 0.05 + 4.0 * (0.05f64 * 0.95 / f64::from(EXPERIMENTS)).sqrt();
                assert!(rate < most, "{rate} for {means:?} with {seeds} seeds");
            }
        }
    }

    #[test]
    fn records_without_p_values_are_read_and_settle_nothing() {
        let old = r#"{"activation": "tanh", "baseline": "relu", "seeds": 3, "test_accuracy":
            {"mean": -0.1, "std": 0.001, "low": -0.11, "high": -0.09, "confidence": 0.95}}"#;
        let pair: PairedDifference = serde_json::from_str(old).unwrap();
        assert_eq!((pair.two_best, pair.p_value, pair.adjusted_p_value, pair.interval), (false, None, None, None));
        assert!(!settled(&pair));
    }
}
