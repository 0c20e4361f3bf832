//! From evidence to a verdict.
//!
//! A claim declares a few *primary* conditions before it runs, each with a region that the effect must lie in. One is
//! *confirmed* where the effect of most trainings (the median) lies inside, *refuted* where it lies outside, by the tests
//! of [`anytime`](super::anytime), which hold however often one looks. Exploratory conditions are shown and never decide.
//!
//! # Several conditions
//!
//! Of each primary condition one of two hypotheses can be rejected wrongly: that it holds, or that it does not. So with m
//! of them the error rate is shared as Holm (1979, *A simple sequentially rejective multiple test procedure*) does: the
//! clearest is tested at α / m, the next at α / (m − 1), …; a condition's two hypotheses exclude each other and count
//! once (Shaffer 1986, *Modified sequentially rejective multiple test procedures*). The chance of any wrong decision in a
//! claim is α at most, with any dependence between conditions. What is printed is the interval at the level that decided.

use serde::{Deserialize, Deserializer, Serialize};

use super::anytime::{median, median_bounds, p_value, share_bounds, trials_needed};
use crate::record::float;

/// The error rate of a claim: the chance that any of its primary conditions is decided wrongly.
pub const ERROR_RATE: f64 = 0.05;

/// What an experiment says about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds under every primary condition.
    Confirmed,
    /// It fails under one, and holds under none.
    Refuted,
    /// It holds under some and fails under others.
    Qualified,
    /// The evidence does not suffice.
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

impl Verdict {
    /// Of a claim, from those of its primary conditions. What says that something always holds is refuted by one
    /// counterexample, whatever else is open.
    pub fn over(conditions: &[Self]) -> Self {
        let any = |verdict| conditions.contains(&verdict);
        match (any(Self::Confirmed), any(Self::Refuted), any(Self::NotSettled)) {
            (true, true, _) => Self::Qualified,
            (true, false, false) => Self::Confirmed,
            (false, true, _) => Self::Refuted,
            _ => Self::NotSettled,
        }
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

/// How effects are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The smallest effect is added to the null value or taken from it.
    Difference,
    /// The smallest effect is a factor above 1.
    Ratio,
}

/// A region for an effect, in the effect's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Hypothesis {
    /// How effects are compared.
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

    /// More than half of the trainings do it.
    pub const MOST: Self = Self::difference(Direction::Above, 0.0, 0.5);
    /// Fewer than half of the trainings do it.
    pub const FEW: Self = Self::difference(Direction::Below, 1.0, 0.5);

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

    /// Whether a value lies in the region.
    pub fn holds(&self, value: f64) -> bool {
        let (from, to) = self.region();
        value > from && value < to
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
    /// An effect a seed, in the order of the seeds; NaN for one that says nothing either way.
    Effects(#[serde(with = "float::many")] Vec<f64>),
    /// Whether each training did something, in the order of the seeds.
    Events(Vec<bool>),
    /// A value without sampling error, such as a count over all cases.
    Exact(#[serde(deserialize_with = "null_is_nan")] f64),
    /// It could not be measured, and why.
    Void(String),
}

/// The effect, and bounds on it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The median over seeds, a share of the trainings, or the exact value.
    #[serde(with = "float::one")]
    pub median: f64,
    /// What it is above; `None` where too few seeds tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// What it is below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// The level of each bound: 1 less the error rate that decides. 1 for an exact value.
    pub confidence: f64,
}

/// What a condition comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Confirmed, refuted or not settled.
    pub verdict: Verdict,
    /// The effect at the level that decides.
    pub effect: Option<Effect>,
    /// Whether the effect as far as it is known lies in the region; `None` where nothing is known.
    pub leans: Option<bool>,
    /// Seeds in all that would settle it if it goes on like this; `None` where it is settled, or none would.
    pub seeds_needed: Option<usize>,
}

/// Most seeds that are said to settle something.
const MOST_NEEDED: usize = 1000;

impl Sample {
    /// How many seeds it is of; 0 where there is no chance in it.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Effects(values) => values.len(),
            Self::Events(events) => events.len(),
            Self::Exact(_) | Self::Void(_) => 0,
        }
    }

    /// The effect with bounds at a level each.
    pub fn effect(&self, error: f64) -> Option<Effect> {
        let finite = |bound: f64| bound.is_finite().then_some(bound);
        let confidence = 1.0 - error;
        match self {
            Self::Effects(values) => {
                let (low, high) = median_bounds(values, error);
                let known: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
                Some(Effect { median: median(&known)?, low: finite(low), high: finite(high), confidence })
            }
            Self::Events(events) if events.is_empty() => None,
            Self::Events(events) => {
                let (low, high) = share_bounds(events, error);
                let share = events.iter().filter(|event| **event).count() as f64 / events.len() as f64;
                Some(Effect { median: share, low: Some(low), high: Some(high), confidence })
            }
            Self::Exact(value) if value.is_nan() => None,
            &Self::Exact(value) => {
                Some(Effect { median: value, low: finite(value), high: finite(value), confidence: 1.0 })
            }
            Self::Void(_) => None,
        }
    }

    /// Anytime-valid p-values of two null hypotheses: that the claim does not hold, and that it does.
    fn p_values(&self, hypothesis: &Hypothesis) -> (f64, f64) {
        let (from, to) = hypothesis.region();
        // Each end of the region: the p-value of lying beyond it, and of lying short of it.
        let ends: Vec<(f64, f64)> = match self {
            Self::Effects(values) => {
                let p = |success: &dyn Fn(f64) -> bool| p_value(values.iter().map(|value| success(*value)), 0.5);
                let low = from.is_finite().then(|| (p(&|x| x > from), p(&|x| x <= from)));
                let high = to.is_finite().then(|| (p(&|x| x < to), p(&|x| x >= to)));
                low.into_iter().chain(high).collect()
            }
            Self::Events(events) => {
                let p = |event: bool, p0: f64| p_value(events.iter().map(|other| *other == event), p0);
                let low = from.is_finite().then(|| (p(true, from), p(false, 1.0 - from)));
                let high = to.is_finite().then(|| (p(false, 1.0 - to), p(true, to)));
                low.into_iter().chain(high).collect()
            }
            Self::Exact(value) if value.is_nan() => return (1.0, 1.0),
            Self::Exact(value) => return if hypothesis.holds(*value) { (0.0, 1.0) } else { (1.0, 0.0) },
            Self::Void(_) => return (1.0, 1.0),
        };
        // It holds where it lies inside of both ends, each at the full level (an intersection–union test, of which
        // Schuirmann's 1987 two one-sided tests are one); it fails where it lies outside of either, so that is two tries.
        let inside = ends.iter().fold(0.0, |p: f64, (inside, _)| p.max(*inside));
        let outside = ends.iter().fold(1.0, |p: f64, (_, outside)| p.min(*outside));
        (inside, (outside * ends.len() as f64).min(1.0))
    }

    fn leans(&self, hypothesis: &Hypothesis) -> Option<bool> {
        self.effect(ERROR_RATE).map(|effect| hypothesis.holds(effect.median))
    }

    fn seeds_needed(&self, hypothesis: &Hypothesis, error: f64) -> Option<usize> {
        let (from, to) = hypothesis.region();
        let leans = self.leans(hypothesis)?;
        let needed = |successes: usize, of: usize, p0: f64| trials_needed(successes, of, p0, error, MOST_NEEDED);
        match self {
            Self::Effects(values) => {
                let inside = values.iter().filter(|value| hypothesis.holds(**value)).count();
                let successes = if leans { inside } else { values.len() - inside };
                needed(successes, values.len(), 0.5)
            }
            Self::Events(events) => {
                let count = events.iter().filter(|event| **event).count();
                let others = events.len() - count;
                match (from.is_finite(), leans) {
                    (true, true) => needed(count, events.len(), from),
                    (true, false) => needed(others, events.len(), 1.0 - from),
                    (false, true) => needed(others, events.len(), 1.0 - to),
                    (false, false) => needed(count, events.len(), to),
                }
            }
            Self::Exact(_) | Self::Void(_) => None,
        }
    }
}

/// Decides conditions together, at [`ERROR_RATE`] for all of them; in their order.
pub fn decide(conditions: &[(Hypothesis, &Sample)]) -> Vec<Decision> {
    let p_values: Vec<(f64, f64)> = conditions.iter().map(|(hypothesis, sample)| sample.p_values(hypothesis)).collect();
    let smaller = |i: &usize| p_values[*i].0.min(p_values[*i].1);
    let mut order: Vec<usize> = (0..conditions.len()).collect();
    order.sort_by(|a, b| smaller(a).total_cmp(&smaller(b)));
    // What was not measured takes no part of the error rate.
    let void = |sample: &Sample| matches!(sample, Sample::Void(_));
    let measured = conditions.iter().filter(|(_, sample)| !void(sample)).count();
    let mut decisions: Vec<Option<Decision>> = vec![None; conditions.len()];
    let (mut decided, mut stopped) = (0, false);
    for i in order {
        let (hypothesis, sample) = &conditions[i];
        let error = ERROR_RATE / measured.saturating_sub(decided).max(1) as f64;
        let (holds, fails) = p_values[i];
        stopped |= smaller(&i) > error;
        let verdict = match (stopped, holds <= fails) {
            (true, _) => Verdict::NotSettled,
            (false, true) => Verdict::Confirmed,
            (false, false) => Verdict::Refuted,
        };
        decisions[i] = Some(Decision {
            verdict,
            effect: sample.effect(error),
            leans: sample.leans(hypothesis),
            seeds_needed: if stopped { sample.seeds_needed(hypothesis, error) } else { None },
        });
        decided += usize::from(!stopped);
    }
    decisions.into_iter().flatten().collect()
}

/// JSON has no NaN; it is written as null.
fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use statrs::distribution::{ContinuousCDF, Normal};

    use super::*;

    const ABOVE: Hypothesis = Hypothesis::difference(Direction::Above, 0.0, 1.0);

    fn verdicts(conditions: &[(Hypothesis, &Sample)]) -> Vec<Verdict> {
        decide(conditions).into_iter().map(|decision| decision.verdict).collect()
    }

    fn verdict(hypothesis: Hypothesis, sample: &Sample) -> Verdict {
        verdicts(&[(hypothesis, sample)])[0]
    }

    #[test]
    fn effects_inside_the_region_confirm_and_outside_refute_in_every_direction() {
        use Direction::{Above, Below, NotBelow, Within};
        use Verdict::{Confirmed, Refuted};
        for (direction, effect, expected) in [
            (Above, 1.1, Confirmed),
            (Above, 0.9, Refuted),
            (Above, f64::INFINITY, Confirmed),
            // A border is outside.
            (Above, 1.0, Refuted),
            (Below, -1.0, Refuted),
            (Within, 1.0, Refuted),
            (Within, -1.0, Refuted),
            (NotBelow, -1.0, Refuted),
            (Below, -1.5, Confirmed),
            (Below, 0.0, Refuted),
            (Within, 0.9, Confirmed),
            (Within, 2.0, Refuted),
            (Within, -3.0, Refuted),
            (NotBelow, -0.5, Confirmed),
            (NotBelow, 7.0, Confirmed),
            (NotBelow, -3.0, Refuted),
        ] {
            let hypothesis = Hypothesis { direction, ..ABOVE };
            // Outside of a region with two ends is two tries.
            let sample = Sample::Effects(vec![effect; 6]);
            assert_eq!(verdict(hypothesis, &sample), expected, "{direction:?} {effect}");
        }
        let mixed = Sample::Effects([0.0, 2.0].repeat(10));
        assert_eq!(verdict(ABOVE, &mixed), Verdict::NotSettled);
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
    fn few_seeds_and_values_that_are_nan_settle_nothing() {
        for values in [vec![], vec![5.0; 4], vec![5.0, 5.1, 5.2, 5.3, f64::NAN], vec![f64::NAN; 20]] {
            let sample = Sample::Effects(values);
            assert_eq!(verdict(ABOVE, &sample), Verdict::NotSettled, "{sample:?}");
        }
        assert_eq!(verdict(ABOVE, &Sample::Exact(f64::NAN)), Verdict::NotSettled);
        assert_eq!(verdict(ABOVE, &Sample::Void("no GPU".to_owned())), Verdict::NotSettled);
        assert_eq!(verdict(Hypothesis::MOST, &Sample::Events(vec![])), Verdict::NotSettled);
        assert!(decide(&[]).is_empty());
    }

    #[test]
    fn one_seed_without_a_value_among_many_does_not_keep_the_others_from_settling() {
        let mut values = vec![5.0; 13];
        values[6] = f64::NAN;
        assert_eq!(verdict(ABOVE, &Sample::Effects(values)), Verdict::Confirmed);
    }

    #[test]
    fn events_are_judged_by_their_share() {
        use Verdict::{Confirmed, NotSettled, Refuted};
        let events = |hits: usize, of: usize| Sample::Events((0..of).map(|i| i < hits).collect());
        assert_eq!(verdict(Hypothesis::MOST, &events(5, 5)), Confirmed);
        assert_eq!(verdict(Hypothesis::MOST, &events(0, 5)), Refuted);
        assert_eq!(verdict(Hypothesis::FEW, &events(0, 5)), Confirmed);
        assert_eq!(verdict(Hypothesis::FEW, &events(5, 5)), Refuted);
        assert_eq!(verdict(Hypothesis::MOST, &Sample::Events([true, false].repeat(5))), NotSettled);
        let share = decide(&[(Hypothesis::MOST, &events(12, 13))])[0].effect.unwrap();
        assert!((share.median - 12.0 / 13.0).abs() < 1e-12 && share.low.unwrap() > 0.5, "{share:?}");
    }

    #[test]
    fn conditions_share_the_error_rate_and_the_interval_printed_is_the_one_that_decides() {
        let (clear, scarce) = (Sample::Effects(vec![5.0; 7]), Sample::Effects(vec![5.0; 5]));
        // Alone, five seeds do; of two, the second is tested at the full rate, of two alike the first at half of it.
        assert_eq!(verdicts(&[(ABOVE, &scarce)]), [Verdict::Confirmed]);
        assert_eq!(verdicts(&[(ABOVE, &clear), (ABOVE, &scarce)]), [Verdict::Confirmed; 2]);
        assert_eq!(verdicts(&[(ABOVE, &scarce), (ABOVE, &scarce)]), [Verdict::NotSettled; 2]);
        let open = decide(&[(ABOVE, &scarce), (ABOVE, &scarce)]);
        assert_eq!((open[0].effect.unwrap().low, open[0].effect.unwrap().confidence), (None, 0.975));
        assert_eq!((open[0].seeds_needed, open[0].leans), (Some(6), Some(true)));
        // For every sample the verdict and the printed bounds say the same.
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..300 {
            let draw = |rng: &mut ChaCha8Rng| {
                let (mean, n) = (rng.random_range(-3.0..4.0), rng.random_range(1..21));
                Sample::Effects((0..n).map(|_| mean + rng.random_range(-2.0..2.0)).collect())
            };
            let samples: Vec<Sample> = (0..4).map(|_| draw(&mut rng)).collect();
            let conditions: Vec<_> = samples.iter().map(|sample| (ABOVE, sample)).collect();
            for decision in decide(&conditions) {
                let Effect { low, high, .. } = decision.effect.unwrap();
                let expected = match (low, high) {
                    (Some(low), _) if low > 1.0 => Verdict::Confirmed,
                    (_, Some(high)) if high <= 1.0 => Verdict::Refuted,
                    _ => Verdict::NotSettled,
                };
                assert_eq!(decision.verdict, expected, "{decision:?}");
            }
        }
    }

    #[test]
    fn what_is_open_says_how_many_seeds_would_settle_it() {
        let open = |hypothesis: Hypothesis, sample: Sample| {
            let decision = decide(&[(hypothesis, &sample)]).remove(0);
            (decision.verdict == Verdict::NotSettled).then_some((decision.leans?, decision.seeds_needed))
        };
        // Four of four take one more; nine of ten, if the exception came first, seventeen: as in `anytime`.
        let effects = |first: f64, others: f64, n: usize| {
            Sample::Effects([first].into_iter().chain((1..n).map(|_| others)).collect())
        };
        assert_eq!(open(ABOVE, effects(5.0, 5.0, 4)), Some((true, Some(5))));
        assert_eq!(open(ABOVE, effects(0.0, 0.0, 4)), Some((false, Some(5))));
        assert_eq!(open(ABOVE, effects(0.0, 5.0, 10)), Some((true, Some(17))));
        assert_eq!(open(ABOVE, effects(5.0, 0.0, 10)), Some((false, Some(17))));
        assert_eq!(open(ABOVE, Sample::Effects([0.0, 5.0].repeat(5))), Some((true, None)));
        let events = |first: bool, others: bool, n: usize| {
            Sample::Events([first].into_iter().chain((1..n).map(|_| others)).collect())
        };
        for (hypothesis, event) in [(Hypothesis::MOST, true), (Hypothesis::FEW, false)] {
            assert_eq!(open(hypothesis, events(event, event, 4)), Some((true, Some(5))));
            assert_eq!(open(hypothesis, events(!event, !event, 4)), Some((false, Some(5))));
            assert_eq!(open(hypothesis, events(!event, event, 10)), Some((true, Some(17))));
            assert_eq!(open(hypothesis, events(event, !event, 10)), Some((false, Some(17))));
        }
        // That four fifths do it is soon refuted and takes long to confirm, and so that one fifth does.
        let [often, seldom] = [(Direction::Above, 0.3), (Direction::Below, 0.7)]
            .map(|(direction, null)| Hypothesis::difference(direction, null, 0.5));
        for (hypothesis, event) in [(often, true), (seldom, false)] {
            let long = trials_needed(4, 4, 0.8, ERROR_RATE, 100);
            assert!(long.is_some_and(|long| long > 10), "{long:?}");
            assert_eq!(open(hypothesis, events(event, event, 4)), Some((true, long)));
            assert_eq!(open(hypothesis, events(!event, !event, 1)), Some((false, Some(2))));
            assert_eq!(open(hypothesis, events(!event, !event, 2)), None);
        }
        assert_eq!(decide(&[(ABOVE, &effects(5.0, 5.0, 5))])[0].seeds_needed, None, "it is settled");
    }

    #[test]
    fn a_sample_is_of_its_seeds_and_a_number_that_is_none_is_read_back() {
        let samples = [
            Sample::Effects(vec![1.0, f64::NAN, 2.0]),
            Sample::Events(vec![true; 4]),
            Sample::Exact(f64::NAN),
            Sample::Void("busy".to_owned()),
        ];
        assert_eq!(samples.each_ref().map(Sample::len), [3, 4, 0, 0]);
        let back: Sample = serde_json::from_str(&serde_json::to_string(&samples[2]).unwrap()).unwrap();
        assert!(matches!(back, Sample::Exact(value) if value.is_nan()), "{back:?}");
        assert_eq!(samples[2].effect(0.05), None, "no number, no effect");
        let back: Sample = serde_json::from_str(&serde_json::to_string(&Sample::Exact(0.1)).unwrap()).unwrap();
        assert_eq!(back, Sample::Exact(0.1));
        let effect = back.effect(0.05).expect("a number is an effect");
        let read: Effect = serde_json::from_str(&serde_json::to_string(&effect).unwrap()).unwrap();
        assert_eq!(read, effect);
    }

    #[test]
    fn regions_and_verdicts_read_as_english() {
        let regions = [Hypothesis::MOST, Hypothesis::FEW, Hypothesis::ratio(Direction::Within, 4.0)];
        assert_eq!(regions.map(|region| region.to_string()), ["above 0.5", "below 0.5", "between 0.25 and 4"]);
        let verdicts = [Verdict::Confirmed, Verdict::Refuted, Verdict::Qualified, Verdict::NotSettled];
        assert_eq!(
            verdicts.map(|verdict| format!("{verdict:<12}|")),
            ["confirmed   |", "refuted     |", "qualified   |", "not settled |"]
        );
    }

    #[test]
    fn what_could_not_be_measured_takes_nothing_from_the_others() {
        let (void, scarce) = (Sample::Void("busy".to_owned()), Sample::Effects(vec![5.0; 5]));
        assert_eq!(verdicts(&[(ABOVE, &void), (ABOVE, &scarce)]), [Verdict::NotSettled, Verdict::Confirmed]);
    }

    #[test]
    fn verdicts_combine_and_one_counterexample_refutes() {
        use Verdict::{Confirmed, NotSettled, Qualified, Refuted};
        for (conditions, expected) in [
            (&[Confirmed, Confirmed][..], Confirmed),
            (&[Refuted, Refuted], Refuted),
            (&[Confirmed, Refuted, NotSettled], Qualified),
            (&[Refuted, NotSettled], Refuted),
            (&[Confirmed, NotSettled], NotSettled),
            (&[NotSettled], NotSettled),
            (&[], NotSettled),
        ] {
            assert_eq!(Verdict::over(conditions), expected, "{conditions:?}");
        }
    }

    #[test]
    fn with_four_conditions_and_a_look_after_every_seed_one_claim_in_twenty_is_wrong_at_most() {
        const EXPERIMENTS: usize = 1000;
        let mut rng = ChaCha8Rng::seed_from_u64(20);
        let mut wrong = 0;
        for _ in 0..EXPERIMENTS {
            // The truth is at the border: any decision is wrong half of the time, counted as wrong here.
            let draw = |rng: &mut ChaCha8Rng| Normal::standard().inverse_cdf(rng.random()) + 1.0;
            let all: Vec<Vec<f64>> = (0..4).map(|_| (0..20).map(|_| draw(&mut rng)).collect()).collect();
            wrong += usize::from((5..=20).any(|seeds| {
                let samples: Vec<Sample> = all.iter().map(|values| Sample::Effects(values[..seeds].to_vec())).collect();
                let conditions: Vec<_> = samples.iter().map(|sample| (ABOVE, sample)).collect();
                verdicts(&conditions).contains(&Verdict::Confirmed)
            }));
        }
        let rate = wrong as f64 / EXPERIMENTS as f64;
        assert!(rate < 0.05 + 0.021, "{rate}");
    }
}
