//! Evidence that may be looked at after every seed.
//!
//! To add seeds until something is settled and then to test as if their number had been fixed finds whatever one waits
//! for. The tests here are *anytime-valid*: their error rate holds however often, and for whatever reason, one looks and
//! stops. They are bets against the null hypothesis that an outcome succeeds with probability at most p₀: a stake that is
//! multiplied by p / p₀ at a success and by (1 − p) / (1 − p₀) at a failure, p ≥ p₀, does not grow on average if the
//! hypothesis is true, so that it *ever* reaches 1 / α with probability α at most (Ville 1939; Ramdas et al. 2023,
//! *Game-theoretic statistics and safe anytime-valid inference*).
//!
//! Seven tenths of the stake are bet on success every time, which settles a clear case after five seeds; the rest is
//! spread evenly over p from p₀ to 1 (Robbins 1970, *Statistical methods related to the law of the iterated logarithm*),
//! which forgives exceptions: one settles after 13, two after 17.
//!
//! An effect succeeds where it lies beyond a threshold, and p₀ = ½: the test is on the median over seeds, with no
//! assumption about the distribution (Howard and Ramdas 2022, *Sequential estimation of quantiles*). Outcomes that are
//! skewed, bounded, all equal, or failures now and then, for which Student's t is wrong with a few seeds, are nothing
//! special to it. A value that is NaN lies beyond no threshold on either side.

use statrs::function::beta::{beta_reg, ln_beta};

/// The share of the stake that is bet on success every time.
const BOLD: f64 = 0.7;

/// What the stake has become after so many successes in so many trials, against success with probability `p0` at most.
fn stake(successes: usize, trials: usize, p0: f64) -> f64 {
    if trials == 0 {
        return 1.0;
    }
    if p0 <= 0.0 {
        // Nothing that never happens has happened.
        return if successes > 0 { f64::INFINITY } else { 1.0 };
    }
    if p0 >= 1.0 {
        return 1.0;
    }
    let (hits, misses) = (successes as f64, (trials - successes) as f64);
    let all = if successes == trials { (-hits * p0.ln()).exp() } else { 0.0 };
    let (a, b) = (hits + 1.0, misses + 1.0);
    // I_{1−p₀}(b, a) is the part of the beta integral above p₀.
    let spread = (ln_beta(a, b) - hits * p0.ln() - (misses + 1.0) * (-p0).ln_1p()).exp() * beta_reg(b, a, 1.0 - p0);
    BOLD * all + (1.0 - BOLD) * spread
}

/// The fewest successes in so many trials that reject, at the error rate `alpha`, that they have a probability of at most
/// `p0`; `None` where not even all of them would.
pub fn least_successes(trials: usize, p0: f64, alpha: f64) -> Option<usize> {
    (0..=trials).find(|&successes| stake(successes, trials, p0) >= 1.0 / alpha)
}

/// An anytime-valid p-value of successes in their order, against success with probability `p0` at most.
pub fn p_value(outcomes: impl IntoIterator<Item = bool>, p0: f64) -> f64 {
    let (mut successes, mut p) = (0, 1.0f64);
    for (i, success) in outcomes.into_iter().enumerate() {
        successes += usize::from(success);
        p = p.min(1.0 / stake(successes, i + 1, p0));
    }
    p
}

/// Bounds on the median of what `values` are drawn from, each at the error rate `alpha`, after however many values one
/// stopped. The median is above the first, and [`p_value`]'s test says so of just the thresholds up to it; likewise below
/// the second. Infinite where too few values are there.
pub fn median_bounds(values: &[f64], alpha: f64) -> (f64, f64) {
    let below = |sign: f64| -> f64 {
        let bound = |trials: usize| -> f64 {
            let Some(least) = least_successes(trials, 0.5, alpha) else { return f64::NEG_INFINITY };
            let known = |value: &f64| if value.is_nan() { f64::NEG_INFINITY } else { sign * value };
            let mut sorted: Vec<f64> = values[..trials].iter().map(known).collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            sorted[least.max(1) - 1]
        };
        (1..=values.len()).map(bound).fold(f64::NEG_INFINITY, f64::max)
    };
    (below(1.0), -below(-1.0))
}

/// Bounds on the probability of success, each at the error rate `alpha`, in the sense of [`median_bounds`].
pub fn share_bounds(outcomes: &[bool], alpha: f64) -> (f64, f64) {
    let lower = |successes: &dyn Fn(bool) -> bool| -> f64 {
        let rejected = |p0: f64| p_value(outcomes.iter().map(|&outcome| successes(outcome)), p0) <= alpha;
        let (mut low, mut high) = (0.0, 1.0);
        // A probability to 1e-9.
        for _ in 0..30 {
            let middle = (low + high) / 2.0;
            if rejected(middle) { low = middle } else { high = middle }
        }
        low
    };
    (lower(&|outcome| outcome), 1.0 - lower(&|outcome| !outcome))
}

/// The middle one, or the mean of the two in the middle; `None` of none, or where one is NaN.
pub fn median(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    // Two infinities of one sign have no difference.
    Some(if low == high { low } else { low / 2.0 + high / 2.0 })
}

/// How many trials it takes to reject at `alpha` that success has a probability of at most `p0`, if it goes on as with
/// `successes` of `trials`; `None` where it would not within `most`.
pub fn trials_needed(successes: usize, trials: usize, p0: f64, alpha: f64, most: usize) -> Option<usize> {
    let share = successes as f64 / trials as f64;
    let expected = |n: &usize| (share * *n as f64).floor() as usize;
    (trials + 1..=most).find(|n| stake(expected(n), *n, p0) >= 1.0 / alpha)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use statrs::distribution::{Beta, ContinuousCDF, Normal};

    use super::*;

    #[test]
    fn a_fair_bet_keeps_its_value_on_average() {
        // Σ over all sequences of their probability at p₀ times the stake is 1, and less below p₀.
        for p0 in [0.1, 0.5, 0.8] {
            for n in [1usize, 2, 7, 30] {
                let value = |p: f64| -> f64 {
                    let of = |k: usize| {
                        let ways = (0..k).fold(1.0, |ways, i| ways * (n - i) as f64 / (i + 1) as f64);
                        ways * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32) * stake(k, n, p0)
                    };
                    (0..=n).map(of).sum()
                };
                assert!((value(p0) - 1.0).abs() < 1e-9, "{p0} {n}: {}", value(p0));
                assert!(value(p0 / 2.0) < 1.0);
            }
        }
    }

    #[test]
    fn a_clear_case_takes_five_seeds_and_each_exception_some_more() {
        let first = |exceptions: usize| (1..100).find(|n| stake(n - exceptions.min(*n), *n, 0.5) >= 20.0);
        assert_eq!([first(0), first(1), first(2)], [Some(5), Some(13), Some(17)]);
        // One of four criteria that are tested together.
        assert_eq!((1..100).find(|n| stake(*n, *n, 0.5) >= 80.0), Some(7));
        // One exception in ten is two in 17.
        assert_eq!(trials_needed(9, 10, 0.5, 0.05, 100), Some(17));
        assert_eq!(trials_needed(5, 10, 0.5, 0.05, 100), None);
    }

    #[test]
    fn bounds_are_the_thresholds_that_the_test_rejects() {
        let values = [3.0, 1.0, f64::NAN, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5, 8.0, 9.0, 7.0, 3.2, 3.8, 2.9];
        let (low, high) = median_bounds(&values, 0.05);
        assert!(low.is_finite() && high.is_finite() && low < high);
        let above = |t: f64| p_value(values.iter().map(|value| *value > t), 0.5) <= 0.05;
        let below = |t: f64| p_value(values.iter().map(|value| *value < t), 0.5) <= 0.05;
        assert!(above(low - 1e-9) && !above(low), "{low}");
        assert!(below(high + 1e-9) && !below(high), "{high}");
        assert_eq!(median_bounds(&[1.0; 4], 0.05), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(median_bounds(&[1.0; 5], 0.05), (1.0, 1.0));

        let (low, high) = share_bounds(&[true; 5], 0.05);
        // p^−5 · 0.7 and its like of the spread bet: about ½.
        assert!((0.5..0.55).contains(&low) && high == 1.0, "{low} {high}");
        assert_eq!(share_bounds(&[], 0.05), (0.0, 1.0));
        assert_eq!((p_value([true], 0.0), p_value([false], 0.0)), (0.0, 1.0), "what cannot be, and what must");
        // Failures are the successes of what is opposite.
        let outcomes = [true, false, false, true, false, false, false, false, false];
        let [(low, high), opposite] = [outcomes, outcomes.map(|outcome| !outcome)].map(|all| share_bounds(&all, 0.05));
        assert!(0.0 < low && low < 2.0 / 9.0 && 2.0 / 9.0 < high && high < 1.0, "{low} {high}");
        assert_eq!((low, high), (1.0 - opposite.1, 1.0 - opposite.0));
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[3.0, 1.0, 2.0, f64::INFINITY]), Some(2.5));
        assert_eq!(median(&[f64::INFINITY; 2]), Some(f64::INFINITY));
        assert_eq!((median(&[]), median(&[f64::NAN, 1.0])), (None, None));
    }

    /// Draws with the median 0, of the shapes that trainings give.
    fn shapes() -> Vec<(&'static str, Box<dyn Fn(f64) -> f64>)> {
        let normal = |u: f64| Normal::standard().inverse_cdf(u);
        let bounded = Beta::new(0.3, 0.6).unwrap();
        let middle = bounded.inverse_cdf(0.5);
        vec![
            ("normal", Box::new(normal)),
            // Skewed: a log-normal with σ = 1.5.
            ("skewed", Box::new(move |u| (1.5 * normal(u)).exp() - 1.0)),
            // Bounded, with most of its mass at both ends.
            ("bounded", Box::new(move |u| bounded.inverse_cdf(u) - middle)),
            // Two in five trainings fail outright at 0 − 5; the others' own spread has the median of all at 0.
            ("inflated", Box::new(move |u| if u < 0.4 { -5.0 } else { normal(u) })),
        ]
    }

    #[test]
    fn with_a_look_after_every_seed_at_most_one_experiment_in_twenty_is_wrong_whatever_the_distribution() {
        const EXPERIMENTS: usize = 4000;
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        for (shape, draw) in shapes() {
            let [mut above, mut below] = [0; 2];
            for _ in 0..EXPERIMENTS {
                let values: Vec<f64> = (0..40).map(|_| draw(rng.random())).collect();
                // 40 looks, each of which could have been the last.
                above += usize::from(p_value(values.iter().map(|value| *value > 0.0), 0.5) <= 0.05);
                below += usize::from(p_value(values.iter().map(|value| *value < 0.0), 0.5) <= 0.05);
            }
            for wrong in [above, below] {
                // Three standard errors of a rate of 5 %.
                let rate = wrong as f64 / EXPERIMENTS as f64;
                assert!(rate < 0.05 + 0.0104, "{shape}: {rate}");
            }
        }
    }

    #[test]
    fn failures_that_are_rare_do_not_refute_what_is_true_of_the_others() {
        // Students's t of five seeds, of which none failed by chance, has zero variance and is certain: with 15 % of
        // failures at −1 the mean is below −0.1, and 44 % of experiments say that it is not.
        let mut rng = ChaCha8Rng::seed_from_u64(12);
        let wrong = (0..2000).filter(|_| {
            let values: Vec<f64> = (0..20).map(|_| if rng.random::<f64>() < 0.15 { -1.0 } else { 0.0 }).collect();
            p_value(values.iter().map(|value| *value < -0.1), 0.5) <= 0.05
        });
        assert_eq!(wrong.count(), 0);
    }

    #[test]
    fn what_is_true_by_two_deviations_settles_within_twenty_seeds() {
        let mut rng = ChaCha8Rng::seed_from_u64(13);
        let settled = (0..1000).filter(|_| {
            let draw = |rng: &mut ChaCha8Rng| Normal::standard().inverse_cdf(rng.random()) + 2.0;
            p_value((0..20).map(|_| draw(&mut rng) > 0.0), 0.5) <= 0.05
        });
        assert!(settled.count() > 980);
    }
}
