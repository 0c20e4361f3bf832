//! Claims about ReLU as experiments with a verdict.
//!
//! A claim is a file: what textbooks say and where, the criteria that decide it, each with the null hypothesis and the
//! smallest effect that counts, and a [`Study`]: `settings` that are fixed beforehand, `measure`, which trains, and
//! `judge`, which sees only what was measured. What is fixed is hashed ([`protocol`]), and the seeds follow from the hash.
//! Seeds are added until the claim is settled ([`study`]); the tests allow for that
//! ([`anytime`](crate::judge::anytime)).
//!
//! | module | |
//! |---|---|
//! | [`verdict`](crate::judge::verdict) | how evidence becomes a verdict, for all of them |
//! | [`protocol`] | what is fixed before a claim is tested, and its history |
//! | [`study`] | measuring until it is settled, judging again |
//! | [`contest`] | activations beside each other, each at its own best rate |
//! | [`gradients`] | the gradient of the pre-activations before training, which several claims measure |
//! | [`lab`] | what an experiment works with: a device, data sets, rates, trainings side by side |
//! | [`judge::theory`](crate::judge::theory) | mean-field theory and born-dead probabilities, drawn beside the measurements |
//! | the others | one claim each, listed in [`CLAIMS`] |

pub mod cheap;
pub mod cnn_and_mlp;
pub mod contest;
pub mod convergence;
pub mod cures_for_vanishing;
pub mod definition;
pub mod derivative_at_zero;
pub mod dying;
pub mod easy_optimisation;
pub mod exploding;
mod folder;
pub mod gelu_and_silu;
pub mod gradients;
pub mod he_or_xavier;
pub mod lab;
pub mod leak_in_the_gradient;
pub mod linear_collapse;
pub mod piecewise_linear;
pub mod protocol;

pub mod saturation;
pub mod sigmoid_output;
pub mod sparsity;
pub mod study;
pub mod vanishing;

use serde::{Deserialize, Deserializer, Serialize};

pub use self::{
    folder::{ClaimsFolder, ClaimsReport, SCHEMA_VERSION},
    protocol::{Plan, Protocol},
    study::{Budget, Findings, Study, Trials},
};
use crate::{
    judge::{
        curve::Curve,
        number,
        verdict::{Decision, Effect, Hypothesis, Sample, Verdict, decide},
    },
    store::{Evidence, StoreError},
};
use lab::{ClaimError, Lab};

/// Every claim, in the order that they are listed.
pub static CLAIMS: &[&Claim] = &[
    &linear_collapse::CLAIM,
    &definition::CLAIM,
    &piecewise_linear::CLAIM,
    &derivative_at_zero::CLAIM,
    &vanishing::CLAIM,
    &saturation::CLAIM,
    &cheap::CLAIM,
    &convergence::CLAIM,
    &sparsity::CLAIM,
    &easy_optimisation::CLAIM,
    &sigmoid_output::CLAIM,
    &exploding::CLAIM,
    &dying::CLAIM,
    &cnn_and_mlp::CLAIM,
    &leak_in_the_gradient::CLAIM,
    &cures_for_vanishing::NORMALISATION,
    &cures_for_vanishing::RESIDUAL,
    &gelu_and_silu::CLAIM,
    &he_or_xavier::CLAIM,
];

/// What is said, by whom, and what would decide it.
#[derive(Debug, Serialize)]
pub struct Claim {
    /// Its name on the command line, kebab-case.
    pub id: &'static str,
    /// The claim in a sentence.
    pub statement: &'static str,
    /// Who says so, with year and section.
    pub source: &'static str,
    /// What decides it.
    pub criteria: &'static [&'static Criterion],
    /// How it is tested.
    #[serde(skip)]
    pub procedure: Procedure,
}

/// Claims are told apart by their ids, of which there is one each.
impl PartialEq for Claim {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// A [`Study`] without its types.
#[derive(Debug, Clone, Copy)]
pub struct Procedure {
    test: fn(&'static Claim, &Lab, Budget) -> Result<ClaimResult, ClaimError>,
    judge_again: fn(&'static Claim, &Evidence) -> Result<Option<ClaimResult>, StoreError>,
    protocol: fn(&'static Claim, &Plan) -> Protocol,
}

impl Procedure {
    /// That of a study.
    pub const fn of<S: Study>() -> Self {
        Self { test: study::test::<S>, judge_again: study::judge_again::<S>, protocol: study::protocol::<S> }
    }
}

/// One quantity that a claim makes a statement about.
#[derive(Debug, PartialEq, Serialize)]
pub struct Criterion {
    /// The quantity measured.
    pub quantity: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What would be so if there were nothing to claim.
    pub null_hypothesis: &'static str,
    /// The region in which the claim holds, with the smallest effect that counts.
    pub hypothesis: Hypothesis,
    /// Why that threshold.
    pub why: &'static str,
}

/// What was measured of one criterion under one condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The criterion that it is evidence on.
    pub criterion: &'static Criterion,
    /// The condition, such as `sigmoid, 10 layers`.
    pub name: String,
    /// What was measured.
    pub sample: Sample,
    /// Whether it has a part in the verdict. Those that have are named by the code, before anything runs.
    pub primary: bool,
}

impl Condition {
    /// One that decides.
    pub fn primary(criterion: &'static Criterion, name: impl Into<String>, sample: Sample) -> Self {
        Self { criterion, name: name.into(), sample, primary: true }
    }

    /// One that is shown beside.
    pub fn exploratory(criterion: &'static Criterion, name: impl Into<String>, sample: Sample) -> Self {
        Self { criterion, name: name.into(), sample, primary: false }
    }
}

/// A condition with its verdict, as `claims.json` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionResult {
    /// The quantity that it is evidence on.
    pub quantity: String,
    /// The unit.
    pub unit: String,
    /// The condition.
    pub condition: String,
    /// Whether it has a part in the verdict.
    pub primary: bool,
    /// What was measured.
    pub sample: Sample,
    /// The effect, with bounds at the level that decides; `None` where nothing could be estimated.
    pub effect: Option<Effect>,
    /// The region in which the claim holds, in words.
    pub holds: String,
    /// What this condition says: of a primary one together with the others, of an exploratory one as if it were alone.
    pub verdict: Verdict,
    /// Whether the effect, settled or not, lies in the region.
    pub leans: Option<bool>,
    /// Seeds in all that would settle it, if it goes on like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds_needed: Option<usize>,
}

/// A claim after it was tested, as `claims.json` holds it.
///
/// It is read back by the claim's id; the texts are the reader's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimResult {
    /// The claim: what was said, and by which criteria it was judged.
    #[serde(flatten, deserialize_with = "by_id")]
    pub claim: &'static Claim,
    /// What the experiment says.
    pub verdict: Verdict,
    /// What it leans to, where it is not settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaning: Option<Verdict>,
    /// The headline effect: the first condition's.
    pub effect: Option<Effect>,
    /// Its unit.
    pub unit: String,
    /// The outcome in one plain sentence.
    pub sentence: String,
    /// What it would take to settle it, where it is not settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// Each condition with its own verdict, primary ones first.
    pub conditions: Vec<ConditionResult>,
    /// Seeds that it was tested with; 0 where there is no chance in it.
    pub seeds: usize,
    /// Trainings or other measurements in all, without those on pilot seeds.
    pub trainings: usize,
    /// Trainings that diverged.
    pub diverged: usize,
    /// Hash of the protocol that it was measured by: everything that was fixed beforehand.
    pub protocol: String,
    /// Hash of another protocol that it was judged by, where it was judged again by a changed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_by: Option<String>,
    /// What was run: data, model, rates that were chosen.
    pub what_was_run: String,
    /// The command that runs it again.
    pub command: String,
    /// Wall time.
    pub seconds: f64,
    /// What to draw.
    pub figures: Vec<Figure>,
}

/// A plot of measurements, with theory on the same axes where it exists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Title.
    pub title: String,
    /// Label of the x axis, with unit.
    pub x: String,
    /// Label of the y axis, with unit.
    pub y: String,
    /// Whether the x axis is logarithmic.
    pub log_x: bool,
    /// Whether the y axis is logarithmic.
    pub log_y: bool,
    /// The curves.
    pub series: Vec<Curve>,
}

/// What the conditions of a claim come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What the experiment says.
    pub verdict: Verdict,
    /// Each condition with its own verdict, primary ones first.
    pub conditions: Vec<ConditionResult>,
}

impl Claim {
    /// The claim with an id; `None` where there is none.
    pub fn find(id: &str) -> Option<&'static Claim> {
        CLAIMS.iter().copied().find(|claim| claim.id == id)
    }

    /// Measures and judges.
    ///
    /// # Errors
    ///
    /// As [`ClaimError`] lists: data or a backend that is not there, an interrupt.
    pub fn test(&'static self, lab: &Lab, budget: Budget) -> Result<ClaimResult, ClaimError> {
        (self.procedure.test)(self, lab, budget)
    }

    /// Judges what was measured when the claim was tested, without training; `None` where nothing was kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] names a file that was changed; [`StoreError::Io`].
    pub fn judge_again(&'static self, evidence: &Evidence) -> Result<Option<ClaimResult>, StoreError> {
        (self.procedure.judge_again)(self, evidence)
    }

    /// What is fixed before it is tested.
    pub fn protocol(&'static self, plan: &Plan) -> Protocol {
        (self.procedure.protocol)(self, plan)
    }

    /// From measurements to a verdict. See [`verdict`](crate::judge::verdict) for how conditions combine; a criterion
    /// without any primary condition leaves the claim not settled.
    pub fn judge(&self, conditions: Vec<Condition>) -> Judgement {
        let (primary, exploratory): (Vec<_>, Vec<_>) = conditions.into_iter().partition(|condition| condition.primary);
        let covered = self.criteria.iter().all(|criterion| primary.iter().any(|c| c.criterion == *criterion));
        let evidence: Vec<(Hypothesis, &Sample)> =
            primary.iter().map(|c| (c.criterion.hypothesis, &c.sample)).collect();
        let together = decide(&evidence);
        let alone = exploratory.iter().flat_map(|c| decide(&[(c.criterion.hypothesis, &c.sample)]));
        // What could not be measured has no say.
        let of = |(c, decision): (&Condition, &Decision)| match c.sample {
            Sample::Void(_) => None,
            _ => Some(decision.verdict),
        };
        let verdicts: Vec<Verdict> = primary.iter().zip(&together).filter_map(of).collect();
        let decisions: Vec<Decision> = together.iter().cloned().chain(alone).collect();
        let conditions = primary.iter().chain(&exploratory).zip(decisions).map(|(condition, decision)| {
            let Condition { criterion, name, sample, primary } = condition.clone();
            ConditionResult {
                quantity: criterion.quantity.to_owned(),
                unit: criterion.unit.to_owned(),
                condition: name,
                primary,
                sample,
                effect: decision.effect,
                holds: criterion.hypothesis.to_string(),
                verdict: decision.verdict,
                leans: decision.leans,
                seeds_needed: decision.seeds_needed,
            }
        });
        let verdict = if covered { Verdict::over(&verdicts) } else { Verdict::NotSettled };
        Judgement { verdict, conditions: conditions.collect() }
    }
}

/// Fewer seeds than would settle anything say nothing of how many it takes.
const FEW: usize = 5;

impl Judgement {
    fn primary(&self) -> impl Iterator<Item = &ConditionResult> {
        self.conditions.iter().filter(|condition| condition.primary)
    }

    /// Whether every primary condition that could be measured is decided.
    pub fn is_settled(&self) -> bool {
        self.primary().all(|c| c.verdict != Verdict::NotSettled || matches!(c.sample, Sample::Void(_)))
    }

    /// What the effects say as far as they are known, where they settle nothing.
    pub fn leaning(&self) -> Option<Verdict> {
        let leans: Vec<Verdict> =
            self.primary().filter_map(|c| Some(if c.leans? { Verdict::Confirmed } else { Verdict::Refuted })).collect();
        (self.verdict == Verdict::NotSettled && !leans.is_empty()).then(|| Verdict::over(&leans))
    }

    /// What it would take to settle it.
    pub fn needs(&self) -> Option<String> {
        let open: Vec<&ConditionResult> = self.primary().filter(|c| c.verdict == Verdict::NotSettled).collect();
        if self.verdict != Verdict::NotSettled || open.is_empty() {
            return None;
        }
        let void = open.iter().find_map(|c| match &c.sample {
            Sample::Void(why) => Some(format!("{}: {why}", c.condition)),
            _ => None,
        });
        let few = open.iter().any(|c| c.sample.len() < FEW);
        let most = open.iter().map(|c| c.seeds_needed).collect::<Option<Vec<usize>>>();
        Some(match (void, most.and_then(|all| all.into_iter().max())) {
            (Some(void), _) => void,
            (None, Some(seeds)) => format!("{} in all, if it goes on like this", number::count(seeds, "seed")),
            (None, None) if few => "more seeds: of so few, some lie on each side of a threshold".to_owned(),
            (None, None) => "an effect this close to the threshold takes over a thousand seeds".to_owned(),
        })
    }

    /// The effect of a condition; NaN where there is none of that name, or nothing was measured.
    pub fn effect(&self, condition: &str) -> f64 {
        let found = self.conditions.iter().find(|c| c.condition == condition);
        found.and_then(|c| c.effect).map_or(f64::NAN, |effect| effect.median)
    }

    /// The effect of the first primary condition whose name begins so.
    pub fn primary_effect(&self, begins: &str) -> Option<f64> {
        let found = self.primary().find(|c| c.condition.starts_with(begins));
        found.and_then(|c| c.effect).map(|effect| effect.median)
    }

    /// Whether a condition is settled or leans so that it holds.
    pub fn holds(&self, condition: &str) -> bool {
        self.conditions.iter().any(|c| c.condition == condition && c.leans == Some(true))
    }
}

fn by_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Claim, D::Error> {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let Id { id } = Id::deserialize(deserializer)?;
    Claim::find(&id).ok_or_else(|| serde::de::Error::custom(format!("there is no claim `{id}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::verdict::{Direction, Scale};

    /// The plan that tests make trials for.
    pub(super) fn plan() -> Plan {
        Plan { effort: lab::Effort::Default, datasets: vec!["mnist".to_owned(), "fashion-mnist".to_owned()] }
    }

    const fn criterion(quantity: &'static str) -> Criterion {
        Criterion {
            quantity,
            unit: "1",
            null_hypothesis: "no effect",
            hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
            why: "made for a test",
        }
    }
    static ONE: Criterion = criterion("the effect");
    static OTHER: Criterion = criterion("another effect");
    static CLAIM: Claim = Claim {
        id: "test",
        statement: "a",
        source: "b",
        criteria: &[&ONE, &OTHER],
        procedure: Procedure::of::<definition::Definition>(),
    };

    #[test]
    fn the_registry_is_complete_and_its_ids_are_names_for_a_command_line() {
        assert_eq!(CLAIMS.len(), 19);
        for (i, claim) in CLAIMS.iter().enumerate() {
            assert!(claim.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", claim.id);
            assert!(CLAIMS[..i].iter().all(|other| other.id != claim.id), "{} is there twice", claim.id);
            assert!(!claim.statement.is_empty() && !claim.source.is_empty(), "{}", claim.id);
            assert!((1..=4).contains(&claim.criteria.len()), "{} has not one to four criteria", claim.id);
            for criterion in claim.criteria {
                let texts = [criterion.quantity, criterion.unit, criterion.null_hypothesis, criterion.why];
                assert!(texts.iter().all(|text| !text.is_empty()), "{}: {criterion:?}", claim.id);
                let least = if criterion.hypothesis.scale == Scale::Ratio { 1.0 } else { 0.0 };
                assert!(criterion.hypothesis.smallest_effect > least, "{}: {criterion:?}", claim.id);
            }
        }
    }

    fn effects(value: f64) -> Sample {
        Sample::Effects(vec![value; 7])
    }

    #[test]
    fn a_criterion_without_a_primary_condition_leaves_the_claim_not_settled_and_exploratory_ones_never_decide() {
        let primary = |criterion, value| Condition::primary(criterion, "here", effects(value));
        assert_eq!(CLAIM.judge(vec![primary(&ONE, 1.0), primary(&OTHER, 1.0)]).verdict, Verdict::Confirmed);
        assert_eq!(CLAIM.judge(vec![primary(&ONE, 1.0)]).verdict, Verdict::NotSettled);
        assert_eq!(CLAIM.judge(vec![]).verdict, Verdict::NotSettled);
        let beside = Condition::exploratory(&ONE, "beside", effects(-1.0));
        let judgement = CLAIM.judge(vec![beside, primary(&ONE, 1.0), primary(&OTHER, 1.0)]);
        assert_eq!(judgement.verdict, Verdict::Confirmed);
        assert_eq!(
            (judgement.conditions[2].condition.as_str(), judgement.conditions[2].verdict),
            ("beside", Verdict::Refuted)
        );
    }

    #[test]
    fn what_is_not_settled_leans_and_says_what_it_would_take() {
        let open = |values: &[f64]| Condition::primary(&ONE, "here", Sample::Effects(values.to_vec()));
        let holds = Condition::primary(&OTHER, "there", effects(1.0));
        let judgement = CLAIM.judge(vec![open(&[1.0, 1.0]), holds.clone()]);
        assert_eq!((judgement.verdict, judgement.leaning()), (Verdict::NotSettled, Some(Verdict::Confirmed)));
        assert_eq!(judgement.needs().unwrap(), "5 seeds in all, if it goes on like this");
        let judgement = CLAIM.judge(vec![open(&[0.0, 1.0, 0.05, 1.0, 1.0, 0.0]), holds.clone()]);
        assert!(judgement.needs().unwrap().contains("over a thousand"));
        let judgement = CLAIM.judge(vec![open(&[0.0, 1.0]), holds.clone()]);
        assert!(judgement.needs().unwrap().starts_with("more seeds"));
        let void = Condition::primary(&ONE, "here", Sample::Void("the machine is busy".to_owned()));
        let judgement = CLAIM.judge(vec![void, holds]);
        // What could be measured decides.
        assert!(judgement.is_settled() && judgement.verdict == Verdict::Confirmed);
        assert_eq!(judgement.leaning(), None);
    }
}
