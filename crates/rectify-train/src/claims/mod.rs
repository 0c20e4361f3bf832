//! Claims about ReLU as experiments with a verdict.
//!
//! A claim is a file: what textbooks say and where, the quantities that decide it, and for each the null hypothesis and
//! the smallest effect that counts. Those are fixed here, before anything runs, and never tuned to an outcome. The
//! arithmetic from measured figures to [`Condition`]s stands in the same file, apart from what trains and measures.
//!
//! | module | claim |
//! |---|---|
//! | [`verdict`](crate::judge::verdict) | how estimates become a verdict, for all of them |
//! | [`lab`] | what an experiment works with: a device, data sets, seeds, trainings side by side |
//! | [`theory`] | mean-field theory and born-dead probabilities, drawn beside the measurements |
//! | the others | one claim each, listed in [`CLAIMS`] |

pub mod cheap;
pub mod cnn_and_mlp;
pub mod convergence;
pub mod definition;
pub mod derivative_at_zero;
pub mod dying;
pub mod easy_optimisation;
pub mod exploding;
mod folder;
pub mod lab;
pub mod linear_collapse;
pub mod piecewise_linear;
pub mod saturation;
pub mod sigmoid_output;
pub mod sparsity;
pub mod theory;
pub mod vanishing;

use std::time::Instant;

use serde::{Deserialize, Deserializer, Serialize};

pub use self::folder::{ClaimsFolder, ClaimsReport, SCHEMA_VERSION};
use crate::{
    judge::{
        curve::{Curve, arithmetic, geometric},
        number,
        statistics::CONFIDENCE,
        verdict::{Hypothesis, Sample, Verdict, judge},
    },
    record::Estimate,
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
    /// What is measured, the headline first. The claim holds where every part does.
    pub parts: &'static [&'static Part],
    /// Measures it.
    #[serde(skip)]
    pub run: fn(&Lab) -> Result<Outcome, ClaimError>,
}

/// Claims are told apart by their ids, of which there is one each.
impl PartialEq for Claim {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// What an experiment gives for its claim to be judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The evidence, the headline first.
    pub conditions: Vec<Condition>,
    /// What was run: data, models, seeds.
    pub what_was_run: String,
    /// What to draw.
    pub figures: Vec<Figure>,
}

/// One quantity that a claim makes a statement about.
#[derive(Debug, PartialEq, Serialize)]
pub struct Part {
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

/// What was measured of one part under one condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The part that it is evidence on.
    pub part: &'static Part,
    /// The condition, such as `sigmoid, 10 layers, xavier-normal`.
    pub name: String,
    /// What was measured.
    pub sample: Sample,
}

impl Condition {
    /// An effect a seed, in the part's unit; NaN for a seed that gave none, as a diverged training.
    pub fn new(part: &'static Part, name: impl Into<String>, effects: Vec<f64>) -> Self {
        Self { part, name: name.into(), sample: Sample::Effects(effects) }
    }

    /// A value without sampling error.
    pub fn exact(part: &'static Part, name: impl Into<String>, value: f64) -> Self {
        Self { part, name: name.into(), sample: Sample::Exact(value) }
    }

    /// How many of the trainings in `happened` did it.
    pub fn proportion(part: &'static Part, name: impl Into<String>, happened: &[bool]) -> Self {
        let count = happened.iter().filter(|happened| **happened).count() as u64;
        Self { part, name: name.into(), sample: Sample::Proportion { count, of: happened.len() as u64 } }
    }
}

/// A condition with its verdict, as `claims.json` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionResult {
    /// The quantity of the part that it is evidence on.
    pub quantity: String,
    /// The unit.
    pub unit: String,
    /// The condition.
    pub condition: String,
    /// What was measured.
    pub sample: Sample,
    /// The effect and its 95 % interval; `None` where nothing could be estimated.
    pub effect: Option<Estimate>,
    /// The region in which the claim holds, in words.
    pub holds: String,
    /// What this condition says.
    pub verdict: Verdict,
}

/// A claim after it was run, as `claims.json` holds it.
///
/// It is read back by the claim's id; the texts are the reader's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimResult {
    /// The claim: what was said, and by which measures it was judged.
    #[serde(flatten, deserialize_with = "by_id")]
    pub claim: &'static Claim,
    /// What the experiment says.
    pub verdict: Verdict,
    /// The headline effect: the first condition's.
    pub effect: Option<Estimate>,
    /// Its unit.
    pub unit: String,
    /// Each condition with its own verdict.
    pub conditions: Vec<ConditionResult>,
    /// What was run: data, model, seeds.
    pub what_was_run: String,
    /// The command that runs it again.
    pub command: String,
    /// Wall time.
    pub seconds: f64,
    /// The outcome in a plain sentence.
    pub sentence: String,
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

/// What the figures of a claim come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What the experiment says.
    pub verdict: Verdict,
    /// Each condition with its own verdict, in the order given.
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
    pub fn test(&'static self, lab: &Lab) -> Result<ClaimResult, ClaimError> {
        let started = Instant::now();
        let Outcome { conditions, what_was_run, figures } = (self.run)(lab)?;
        let judgement = self.judge(conditions);
        Ok(ClaimResult {
            claim: self,
            verdict: judgement.verdict,
            effect: judgement.effect(),
            unit: judgement.conditions.first().map_or(String::new(), |first| first.unit.clone()),
            sentence: judgement.sentence(),
            conditions: judgement.conditions,
            what_was_run,
            command: format!("rectify claims {}{}", self.id, lab.flags()),
            seconds: started.elapsed().as_secs_f64(),
            figures,
        })
    }

    /// From measurements to a verdict. See [`verdict`](crate::judge::verdict) for how conditions combine; a part without any condition leaves
    /// the claim not settled.
    pub fn judge(&self, conditions: Vec<Condition>) -> Judgement {
        let evidence: Vec<_> =
            conditions.iter().map(|condition| (condition.part.hypothesis, &condition.sample)).collect();
        let (verdict, each) = judge(&evidence);
        let covered = self.parts.iter().all(|part| conditions.iter().any(|condition| condition.part == *part));
        let conditions = conditions
            .into_iter()
            .zip(each)
            .map(|(Condition { part, name, sample }, verdict)| ConditionResult {
                quantity: part.quantity.to_owned(),
                unit: part.unit.to_owned(),
                condition: name,
                effect: sample.estimate(part.hypothesis.scale, CONFIDENCE),
                sample,
                holds: part.hypothesis.to_string(),
                verdict,
            })
            .collect();
        Judgement { verdict: if covered { verdict } else { Verdict::NotSettled }, conditions }
    }
}

impl Judgement {
    /// The headline effect: the first condition's.
    pub fn effect(&self) -> Option<Estimate> {
        self.conditions.first()?.effect
    }

    /// The outcome in a plain sentence, with the headline effect and, where conditions differ, which say what.
    pub fn sentence(&self) -> String {
        let Some(first) = self.conditions.first() else { return "Nothing was measured.".to_owned() };
        let of = |verdict| -> Vec<&str> {
            let conditions = self.conditions.iter().filter(|condition| condition.verdict == verdict);
            conditions.map(|condition| condition.condition.as_str()).collect()
        };
        let (holds, fails, open) = (of(Verdict::Confirmed), of(Verdict::Refuted), of(Verdict::NotSettled));
        let outcome = match self.verdict {
            Verdict::Confirmed if holds.len() == 1 => "It holds".to_owned(),
            Verdict::Confirmed => format!("It holds under all {} conditions", holds.len()),
            Verdict::Refuted if fails.len() == 1 => "It fails".to_owned(),
            Verdict::Refuted => format!("It fails under all {} conditions", fails.len()),
            Verdict::Qualified | Verdict::NotSettled => {
                let all = self.conditions.len();
                let part = |verb: &str, names: &[&str]| match names {
                    [] => None,
                    // Of many, a table with each is at hand.
                    [first, ..] if all > 3 => {
                        let example = if verb == "holds" { String::new() } else { format!(" ({first} …)") };
                        Some(format!("{verb} under {} of {all} conditions{example}", names.len()))
                    }
                    names => Some(format!("{verb} for {}", names.join("; "))),
                };
                let parts = [part("holds", &holds), part("fails", &fails), part("is open", &open)];
                format!("It {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
            }
        };
        let effect = match first.effect {
            None => "could not be estimated".to_owned(),
            Some(effect) => format!("is {}", number::estimate(&effect)),
        };
        format!("{outcome}: {} ({}) {effect}; the claim asks for {}.", first.quantity, first.condition, first.holds)
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

    /// Three seeds' figures, close around a value.
    pub(super) fn around(value: f64) -> [f64; 3] {
        [0.999 * value, value, 1.001 * value]
    }

    const fn part(quantity: &'static str) -> Part {
        Part {
            quantity,
            unit: "1",
            null_hypothesis: "no effect",
            hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
            why: "made for a test",
        }
    }
    static PART: Part = part("the effect");
    static OTHER: Part = part("another effect");
    static CLAIM: Claim = Claim {
        id: "test",
        statement: "a",
        source: "b",
        parts: &[&PART, &OTHER],
        run: |_| Err(ClaimError::Interrupted),
    };

    #[test]
    fn the_registry_is_complete_and_its_ids_are_names_for_a_command_line() {
        assert_eq!(CLAIMS.len(), 14);
        for (i, claim) in CLAIMS.iter().enumerate() {
            assert!(claim.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", claim.id);
            assert!(CLAIMS[..i].iter().all(|other| other.id != claim.id), "{} is there twice", claim.id);
            assert!(!claim.statement.is_empty() && !claim.source.is_empty() && !claim.parts.is_empty(), "{}", claim.id);
            for part in claim.parts {
                let texts = [part.quantity, part.unit, part.null_hypothesis, part.why];
                assert!(texts.iter().all(|text| !text.is_empty()), "{}: {part:?}", claim.id);
                let least = if part.hypothesis.scale == Scale::Ratio { 1.0 } else { 0.0 };
                assert!(part.hypothesis.smallest_effect > least, "{}: {part:?}", claim.id);
            }
        }
    }

    #[test]
    fn a_part_without_a_measurement_leaves_the_claim_not_settled() {
        let condition = |part| Condition::new(part, "here", around(1.0).to_vec());
        assert_eq!(CLAIM.judge(vec![condition(&PART), condition(&OTHER)]).verdict, Verdict::Confirmed);
        assert_eq!(CLAIM.judge(vec![condition(&PART)]).verdict, Verdict::NotSettled);
        assert_eq!(CLAIM.judge(vec![]).verdict, Verdict::NotSettled);
    }

    #[test]
    fn the_sentence_says_which_conditions_hold_and_how_large_the_headline_effect_is() {
        let condition = |part, name, value| Condition::new(part, name, around(value).to_vec());
        let judgement = CLAIM.judge(vec![condition(&PART, "here", 1.0), condition(&OTHER, "there", 0.01)]);
        assert_eq!(judgement.verdict, Verdict::Qualified);
        assert_eq!(
            judgement.sentence(),
            "It holds for here, fails for there: the effect (here) is 1.00 (0.998 to 1.00); the claim asks for above \
             0.1."
        );
        let judgement = CLAIM.judge(vec![condition(&PART, "here", 1e-7), condition(&OTHER, "there", 0.01)]);
        assert_eq!(
            judgement.sentence(),
            "It fails under all 2 conditions: the effect (here) is 1.00e-7 (9.98e-8 to 1.00e-7); the claim asks for \
             above 0.1."
        );
        let mut conditions: Vec<_> = ["a", "b", "c"].map(|name| condition(&PART, name, 1.0)).into();
        conditions.push(condition(&OTHER, "d", 0.01));
        assert_eq!(
            CLAIM.judge(conditions).sentence(),
            "It holds under 3 of 4 conditions, fails under 1 of 4 conditions (d …): the effect (a) is 1.00 (0.998 to \
             1.00); the claim asks for above 0.1."
        );
    }

    #[test]
    fn a_result_is_written_with_its_claim_and_read_back_by_its_id() {
        let claim = &vanishing::CLAIM;
        let condition = |effects: &[f64]| Condition::new(claim.parts[0], "here", effects.to_vec());
        let judgement = claim.judge(vec![condition(&[0.25, 0.5]), condition(&[0.25, f64::NAN])]);
        let result = ClaimResult {
            claim,
            verdict: judgement.verdict,
            effect: judgement.effect(),
            unit: claim.parts[0].unit.to_owned(),
            sentence: judgement.sentence(),
            conditions: judgement.conditions,
            what_was_run: "nothing".to_owned(),
            command: "rectify claims vanishing".to_owned(),
            seconds: 0.5,
            figures: vec![Figure {
                series: vec![Curve { points: vec![(0.0, 1.0)], ..Curve::default() }],
                ..Figure::default()
            }],
        };
        let text = serde_json::to_string(&result).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["id"], &json["verdict"]), (&"vanishing".into(), &"not_settled".into()));
        assert_eq!(json["parts"][0]["hypothesis"]["direction"], "below");
        let read: ClaimResult = serde_json::from_str(&text).unwrap();
        assert!(std::ptr::eq(read.claim, claim));
        assert_eq!((read.verdict, &read.sentence, &read.figures), (result.verdict, &result.sentence, &result.figures));
        let Sample::Effects(effects) = &read.conditions[1].sample else { panic!("effects were written") };
        assert!(effects[0] == 0.25 && effects[1].is_nan());
        let unknown = text.replace("\"vanishing\"", "\"flying\"");
        let error = serde_json::from_str::<ClaimResult>(&unknown).unwrap_err();
        assert!(error.to_string().contains("there is no claim `flying`"), "{error}");
    }
}
