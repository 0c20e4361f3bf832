//! From estimates to a verdict.
//!
//! A hypothesis is a region that the effect must lie in, fixed before anything runs. One condition is *confirmed* where
//! its whole interval lies inside, *refuted* where it lies outside, and otherwise *not settled*.
//!
//! # Several conditions
//!
//! A claim is confirmed where *every* condition is, at 95 % each: an intersection–union test, whose chance to confirm
//! wrongly is that of its worst condition alone, 2.5 %, with no correction (Berger 1982, *Multiparameter hypothesis
//! testing and acceptance sampling*). It is refuted where every condition is. To pick out *some* conditions from k is
//! where chance gets k tries, so *qualified* needs a condition confirmed and another refuted by intervals that hold
//! jointly, at 1 − 0.05 / k (Bonferroni): at most another 2.5 %. False confirmations, whole or of a part, so stay under
//! 5 % a claim, whatever the conditions' correlation.

use serde::{Deserialize, Deserializer, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

use crate::{
    judge::statistics::{CONFIDENCE, estimate_at, geometric_estimate_at},
    record::Estimate,
};

/// What an experiment says about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds under every condition tried.
    Confirmed,
    /// It fails under every condition tried.
    Refuted,
    /// It holds under some conditions and fails under others.
    Qualified,
    /// The intervals are too wide to say.
    NotSettled,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Confirmed => "confirmed",
            Self::Refuted => "refuted",
            Self::Qualified => "qualified",
            Self::NotSettled => "not settled",
        })
    }
}

/// Where the claim says the effect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Larger than the null value, by more than the smallest effect.
    Above,
    /// Smaller than the null value, by more than the smallest effect.
    Below,
    /// Closer to the null value than the smallest effect: equivalence.
    Within,
    /// Not smaller than the null value by as much as the smallest effect: no harm.
    NotBelow,
}

/// How effects are averaged and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The smallest effect is added to the null value or taken from it.
    Difference,
    /// The smallest effect is a factor above 1; effects are averaged geometrically.
    Ratio,
}

/// A region for an effect, in the effect's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Hypothesis {
    /// How effects are averaged and compared.
    pub scale: Scale,
    /// Where the claim says the effect is.
    pub direction: Direction,
    /// The effect if there were nothing to claim.
    pub null: f64,
    /// The smallest effect that counts: a difference, or a factor above 1.
    pub smallest_effect: f64,
}

impl Hypothesis {
    /// A region of differences from `null`.
    pub const fn difference(direction: Direction, null: f64, smallest_effect: f64) -> Self {
        Self { scale: Scale::Difference, direction, null, smallest_effect }
    }

    /// A region of ratios about 1, bounded by a factor.
    pub const fn ratio(direction: Direction, factor: f64) -> Self {
        Self { scale: Scale::Ratio, direction, null: 1.0, smallest_effect: factor }
    }

    /// The open interval in which the claim holds.
    pub fn region(&self) -> (f64, f64) {
        let (below, above) = match self.scale {
            Scale::Difference => (self.null - self.smallest_effect, self.null + self.smallest_effect),
            Scale::Ratio => (self.null / self.smallest_effect, self.null * self.smallest_effect),
        };
        match self.direction {
            Direction::Above => (above, f64::INFINITY),
            Direction::Below => (f64::NEG_INFINITY, below),
            Direction::Within => (below, above),
            Direction::NotBelow => (below, f64::INFINITY),
        }
    }

    /// What one estimate says. Without an interval nothing is settled.
    pub fn verdict(&self, estimate: &Estimate) -> Verdict {
        let (Some(low), Some(high)) = (estimate.low, estimate.high) else { return Verdict::NotSettled };
        let (from, to) = self.region();
        if low > from && high < to {
            Verdict::Confirmed
        } else if high <= from || low >= to {
            Verdict::Refuted
        } else {
            Verdict::NotSettled
        }
    }
}

impl std::fmt::Display for Hypothesis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.region() {
            (from, f64::INFINITY) => write!(f, "above {from}"),
            (f64::NEG_INFINITY, to) => write!(f, "below {to}"),
            (from, to) => write!(f, "between {from} and {to}"),
        }
    }
}

/// What was measured under one condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sample {
    /// An effect a seed. A value that is not finite leaves the condition unsettled: to judge by the trainings that
    /// survived would favour what kills them.
    #[serde(deserialize_with = "null_is_nan")]
    Effects(Vec<f64>),
    /// How many of how many trainings did something.
    Proportion {
        /// Those that did.
        count: u64,
        /// All.
        of: u64,
    },
    /// A value without sampling error, such as a count over all cases.
    Exact(f64),
}

impl Sample {
    /// The effect with its interval at a level: Student's t for effects, Clopper and Pearson's exact interval (1934)
    /// for proportions. `None` where there is nothing to estimate from.
    pub fn estimate(&self, scale: Scale, confidence: f64) -> Option<Estimate> {
        match (self, scale) {
            (Self::Effects(values), _) if values.iter().any(|value| !value.is_finite()) => None,
            (Self::Effects(values), Scale::Difference) => estimate_at(values, confidence),
            (Self::Effects(values), Scale::Ratio) => geometric_estimate_at(values, confidence),
            (&Self::Proportion { count, of }, _) => proportion(count, of, confidence),
            (Self::Exact(value), _) if !value.is_finite() => None,
            (&Self::Exact(value), _) => {
                Some(Estimate { mean: value, std: None, low: Some(value), high: Some(value), confidence: 1.0 })
            }
        }
    }
}

/// JSON has no NaN; it is written as null.
fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<Option<f64>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

fn proportion(count: u64, of: u64, confidence: f64) -> Option<Estimate> {
    if of == 0 || count > of {
        return None;
    }
    let tail = (1.0 - confidence) / 2.0;
    let quantile =
        |a: u64, b: u64, p: f64| Beta::new(a as f64, b as f64).expect("both parameters are at least 1").inverse_cdf(p);
    let low = if count == 0 { 0.0 } else { quantile(count, of - count + 1, tail) };
    let high = if count == of { 1.0 } else { quantile(count + 1, of - count, 1.0 - tail) };
    let mean = count as f64 / of as f64;
    Some(Estimate { mean, std: None, low: Some(low), high: Some(high), confidence })
}

/// The verdict over conditions, and each condition's own.
///
/// A condition's own verdict is by its 95 % interval where the whole is confirmed or refuted, and by the joint interval
/// otherwise, which is wider, so that a condition can be called out alone. With no condition nothing is settled.
pub fn judge(conditions: &[(Hypothesis, &Sample)]) -> (Verdict, Vec<Verdict>) {
    let at = |confidence: f64| -> Vec<Verdict> {
        let verdict = |(hypothesis, sample): &(Hypothesis, &Sample)| match sample.estimate(hypothesis.scale, confidence)
        {
            Some(estimate) => hypothesis.verdict(&estimate),
            None => Verdict::NotSettled,
        };
        conditions.iter().map(verdict).collect()
    };
    if conditions.is_empty() {
        return (Verdict::NotSettled, Vec::new());
    }
    let each = at(CONFIDENCE);
    for verdict in [Verdict::Confirmed, Verdict::Refuted] {
        if each.iter().all(|each| *each == verdict) {
            return (verdict, each);
        }
    }
    let each = at(1.0 - (1.0 - CONFIDENCE) / conditions.len() as f64);
    let both = each.contains(&Verdict::Confirmed) && each.contains(&Verdict::Refuted);
    (if both { Verdict::Qualified } else { Verdict::NotSettled }, each)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const ABOVE: Hypothesis = Hypothesis::difference(Direction::Above, 0.0, 1.0);

    fn interval(low: f64, high: f64) -> Estimate {
        Estimate { mean: (low + high) / 2.0, std: Some(1.0), low: Some(low), high: Some(high), confidence: 0.95 }
    }

    #[test]
    fn an_interval_confirms_inside_the_region_refutes_outside_and_settles_nothing_across_its_border() {
        use Direction::{Above, Below, NotBelow, Within};
        use Verdict::{Confirmed, NotSettled, Refuted};
        for (direction, low, high, expected) in [
            (Above, 1.1, 2.0, Confirmed),
            (Above, 0.5, 2.0, NotSettled),
            (Above, 0.2, 0.9, Refuted),
            (Above, -2.0, -1.5, Refuted),
            (Below, -2.0, -1.5, Confirmed),
            (Below, -1.5, 0.0, NotSettled),
            (Below, 1.5, 2.0, Refuted),
            (Within, -0.5, 0.9, Confirmed),
            (Within, -1.5, 0.5, NotSettled),
            (Within, -2.0, 2.0, NotSettled),
            (Within, -3.0, -2.0, Refuted),
            (Within, 2.0, 3.0, Refuted),
            (NotBelow, -0.5, 7.0, Confirmed),
            (NotBelow, -1.5, 7.0, NotSettled),
            (NotBelow, -3.0, -2.0, Refuted),
        ] {
            let hypothesis = Hypothesis { direction, ..ABOVE };
            assert_eq!(hypothesis.verdict(&interval(low, high)), expected, "{direction:?} {low}..{high}");
        }
    }

    #[test]
    fn a_smallest_ratio_is_a_factor_in_both_directions() {
        let ratio = |direction| Hypothesis::ratio(direction, 4.0);
        assert_eq!(ratio(Direction::Above).region(), (4.0, f64::INFINITY));
        assert_eq!(ratio(Direction::Below).region(), (f64::NEG_INFINITY, 0.25));
        assert_eq!(ratio(Direction::Within).region(), (0.25, 4.0));
        assert_eq!(ratio(Direction::NotBelow).region(), (0.25, f64::INFINITY));
    }

    #[test]
    fn one_seed_and_values_that_are_not_finite_settle_nothing() {
        for values in [vec![], vec![5.0], vec![5.0, 5.1, f64::NAN], vec![5.0, f64::INFINITY]] {
            let sample = Sample::Effects(values);
            assert_eq!(judge(&[(ABOVE, &sample)]).0, Verdict::NotSettled, "{sample:?}");
        }
        assert_eq!(judge(&[]).0, Verdict::NotSettled);
        assert_eq!(judge(&[(ABOVE, &Sample::Exact(f64::NAN))]).0, Verdict::NotSettled);
        assert_eq!(judge(&[(ABOVE, &Sample::Proportion { count: 0, of: 0 })]).0, Verdict::NotSettled);
    }

    #[test]
    fn proportions_have_clopper_and_pearsons_interval() {
        // 3 of 3: the lower end is (α/2)^(1/3); 5 of 10: 0.1871..0.8129 as printed in tables.
        let all = proportion(3, 3, 0.95).unwrap();
        assert!((all.low.unwrap() - 0.025f64.cbrt()).abs() < 1e-6 && all.high == Some(1.0));
        let half = proportion(5, 10, 0.95).unwrap();
        assert!((half.low.unwrap() - 0.1871).abs() < 1e-4 && (half.high.unwrap() - 0.8129).abs() < 1e-4);
        assert_eq!(proportion(0, 4, 0.95).unwrap().low, Some(0.0));
    }

    #[test]
    fn conditions_combine() {
        let (yes, no) = (Sample::Effects(vec![5.0, 5.1, 4.9]), Sample::Effects(vec![0.0, 0.1, -0.1]));
        let open = Sample::Effects(vec![-5.0, 1.0, 9.0]);
        let verdict = |samples: &[&Sample]| judge(&samples.iter().map(|&sample| (ABOVE, sample)).collect::<Vec<_>>()).0;
        assert_eq!(verdict(&[&yes, &yes, &yes]), Verdict::Confirmed);
        assert_eq!(verdict(&[&no, &no]), Verdict::Refuted);
        assert_eq!(verdict(&[&yes, &no]), Verdict::Qualified);
        assert_eq!(verdict(&[&yes, &no, &open]), Verdict::Qualified);
        assert_eq!(verdict(&[&yes, &open]), Verdict::NotSettled);
        assert_eq!(verdict(&[&no, &open]), Verdict::NotSettled);
    }

    #[test]
    fn a_condition_is_called_out_alone_only_by_its_joint_interval() {
        // 1.0 + 1.2 ± 0.99 at 95 %, but ± 1.43 at 97.5 %.
        let (scarce, no) = (Sample::Effects(vec![1.8, 2.2, 2.6]), Sample::Effects(vec![0.0, 0.1, -0.1]));
        assert_eq!(judge(&[(ABOVE, &scarce)]).0, Verdict::Confirmed);
        assert_eq!(judge(&[(ABOVE, &scarce), (ABOVE, &no)]).0, Verdict::NotSettled);
    }

    /// n normal effects about a mean, by Box and Muller.
    fn normal(rng: &mut ChaCha8Rng, mean: f64, n: usize) -> Sample {
        let mut draw = || {
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            mean + (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        Sample::Effects((0..n).map(|_| draw()).collect())
    }

    /// How often `verdicts` come out over simulated experiments, each condition's true effect given.
    fn rate(effects: &[f64], seeds: usize, counts: impl Fn(&(Verdict, Vec<Verdict>)) -> bool) -> f64 {
        const EXPERIMENTS: u32 = 4000;
        let mut rng = ChaCha8Rng::seed_from_u64(20);
        let mut hits = 0;
        for _ in 0..EXPERIMENTS {
            let samples: Vec<Sample> = effects.iter().map(|&effect| normal(&mut rng, effect, seeds)).collect();
            let conditions: Vec<_> = samples.iter().map(|sample| (ABOVE, sample)).collect();
            hits += u32::from(counts(&judge(&conditions)));
        }
        f64::from(hits) / f64::from(EXPERIMENTS)
    }

    /// Four standard errors of a rate p over the simulated experiments: one test in 16 000 fails by chance.
    fn slack(p: f64) -> f64 {
        4.0 * (p * (1.0 - p) / 4000.0).sqrt()
    }

    #[test]
    fn one_condition_at_the_threshold_is_confirmed_in_one_experiment_of_forty() {
        for seeds in [2, 3, 5] {
            let rate = rate(&[1.0], seeds, |(verdict, _)| *verdict == Verdict::Confirmed);
            assert!((rate - 0.025).abs() < slack(0.025), "{rate} with {seeds} seeds");
        }
    }

    #[test]
    fn null_data_are_confirmed_wholly_or_in_part_in_less_than_one_experiment_of_twenty() {
        // Beside conditions without effect, ones at the threshold (the hardest null) and ones with a huge true effect,
        // which is what makes the intersection–union test reach its level.
        for effects in
            [&[0.0][..], &[0.0; 3], &[1.0; 4], &[1.0, 9.0, 9.0], &[1.0, 1.0, 9.0, -9.0], &[1.0, 1.0, 1.0, -9.0]]
        {
            for seeds in [3, 5] {
                let falsely = |(verdict, each): &(Verdict, Vec<Verdict>)| {
                    matches!(verdict, Verdict::Confirmed | Verdict::Qualified)
                        && effects.iter().zip(each).any(|(effect, each)| *effect <= 1.0 && *each == Verdict::Confirmed)
                };
                let rate = rate(effects, seeds, falsely);
                assert!(rate < 0.05 + slack(0.05), "{rate} for {effects:?} with {seeds} seeds");
            }
        }
    }

    #[test]
    fn a_real_effect_is_found() {
        // Ten deviations over the threshold, as gradients that vanish are.
        assert!(rate(&[11.0; 4], 3, |(verdict, _)| *verdict == Verdict::Confirmed) > 0.95);
        assert!(rate(&[-9.0; 4], 3, |(verdict, _)| *verdict == Verdict::Refuted) > 0.95);
    }
}
