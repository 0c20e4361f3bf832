//! How a claim is tested: measured seed by seed until it is settled, and judged from what was measured.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Claim, ClaimResult, Condition, Figure, Judgement,
    lab::{ClaimError, Lab},
    protocol::{Plan, Protocol},
};
use crate::store::{Evidence, StoreError};

/// A claim's experiment. What is in `settings` is fixed before anything runs; `measure` never judges, and `judge` sees
/// only what was measured.
pub trait Study: 'static {
    /// Everything that decides what is run.
    type Settings: Serialize + Sync;
    /// What is found out once, before any seed: rates chosen on pilot seeds, counts over all cases. `()` where there is
    /// nothing.
    type Pilot: Serialize + DeserializeOwned + Sync;
    /// One of the things that every seed is tried with. Its `Debug` tells it from all others of the claim.
    type Arm: Debug + Sync;
    /// What one arm with one seed gave.
    type Outcome: Serialize + DeserializeOwned + Send;

    /// The settings for an effort and data sets.
    fn settings(plan: &Plan) -> Self::Settings;

    /// What is found out once.
    ///
    /// # Errors
    ///
    /// As [`ClaimError`] lists.
    fn pilot(lab: &Lab, settings: &Self::Settings) -> Result<Self::Pilot, ClaimError>;

    /// The arms; none for a claim without chance in it.
    fn arms(settings: &Self::Settings, pilot: &Self::Pilot) -> Vec<Self::Arm>;

    /// Measures one arm with one seed.
    ///
    /// # Errors
    ///
    /// As [`ClaimError`] lists.
    fn measure(lab: &Lab, settings: &Self::Settings, arm: &Self::Arm, seed: u64) -> Result<Self::Outcome, ClaimError>;

    /// What the measurements are evidence of. `trials` has an outcome an arm for each seed so far.
    fn judge(settings: &Self::Settings, pilot: &Self::Pilot, trials: &Trials<Self::Arm, Self::Outcome>) -> Findings;

    /// The outcome in one sentence of at most 20 words, with the number that one would quote.
    fn sentence(judgement: &Judgement) -> String;

    /// Whether the arms are measured one after the other on a machine that does nothing else, since their time is what is
    /// measured. Nothing of it is kept for `--resume`.
    const TIMED: bool = false;
}

/// What was measured, as evidence.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The evidence, primary conditions first.
    pub conditions: Vec<Condition>,
    /// What was run: data, models, rates that were chosen.
    pub what_was_run: String,
    /// Trainings that diverged, of those that were reported.
    pub diverged: usize,
    /// What to draw.
    pub figures: Vec<Figure>,
}

/// Outcomes by seed and arm.
#[derive(Debug)]
pub struct Trials<'a, A, O> {
    /// The arms, in the order of each seed's outcomes.
    pub arms: &'a [A],
    /// By seed.
    pub seeds: &'a [Vec<O>],
}

impl<A, O> Trials<'_, A, O> {
    /// The outcomes of the first arm that is meant, a seed each; none where no arm is.
    pub fn of(&self, which: impl Fn(&A) -> bool) -> Vec<&O> {
        match self.arms.iter().position(which) {
            Some(place) => self.seeds.iter().map(|seed| &seed[place]).collect(),
            None => Vec::new(),
        }
    }

    /// A number from two arms of each seed.
    pub fn pairs(&self, a: impl Fn(&A) -> bool, b: impl Fn(&A) -> bool, f: impl Fn(&O, &O) -> f64) -> Vec<f64> {
        self.of(a).into_iter().zip(self.of(b)).map(|(a, b)| f(a, b)).collect()
    }

    /// All outcomes.
    pub fn all(&self) -> impl Iterator<Item = &O> {
        self.seeds.iter().flatten()
    }
}

/// How long a claim may go on adding seeds.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Since when.
    pub since: Instant,
    /// For how long; without it until it is settled or has its most seeds.
    pub time: Option<Duration>,
}

impl Budget {
    /// Without a limit.
    pub fn unlimited() -> Self {
        Self { since: Instant::now(), time: None }
    }

    /// Whether there is time for one seed more, which the last one took.
    fn allows(&self, seed: Duration) -> bool {
        self.time.is_none_or(|time| self.since.elapsed() + seed <= time)
    }
}

/// All that a claim was judged from.
#[derive(Serialize, Deserialize)]
struct Measured<P, O> {
    claim: String,
    plan: Plan,
    protocol: String,
    backend: String,
    seconds: f64,
    pilot: P,
    outcomes: Vec<Vec<O>>,
}

/// A seed's measurement of one arm; its `Debug` is the name under which the outcome is kept.
#[derive(Debug)]
struct Item<'a, A> {
    #[expect(dead_code, reason = "what was measured by another protocol has another name")]
    protocol: &'a str,
    seed: u64,
    arm: &'a A,
}

/// Measures a claim until it is settled, and judges it.
pub(super) fn test<S: Study>(claim: &'static Claim, lab: &Lab, budget: Budget) -> Result<ClaimResult, ClaimError> {
    let begun = Instant::now();
    let settings = S::settings(lab.plan());
    let protocol = Protocol::new(claim, lab.plan(), &settings);
    let hash = protocol.hash();
    let pilot = S::pilot(lab, &settings)?;
    let arms = S::arms(&settings, &pilot);
    let (first_look, most) = lab.plan().seeds();
    let mut outcomes: Vec<Vec<S::Outcome>> = Vec::new();
    while !arms.is_empty() && outcomes.len() < most {
        let since = Instant::now();
        let more = first_look.saturating_sub(outcomes.len()).max(1);
        let places = outcomes.len()..outcomes.len() + more;
        let of_seed = |place: usize| {
            let seed = protocol.seed(place);
            arms.iter().map(move |arm| (seed, arm))
        };
        let items: Vec<Item<S::Arm>> =
            places.flat_map(of_seed).map(|(seed, arm)| Item { protocol: &hash, seed, arm }).collect();
        let measure = |item: &Item<S::Arm>| S::measure(lab, &settings, item.arm, item.seed);
        let mut measured = match S::TIMED {
            true => lab.alone(&|| items.iter().map(measure).collect::<Result<Vec<_>, _>>())?,
            false => lab.side_by_side(&items, &measure)?,
        }
        .into_iter();
        outcomes.extend((0..more).map(|_| measured.by_ref().take(arms.len()).collect()));
        let findings = S::judge(&settings, &pilot, &Trials { arms: &arms, seeds: &outcomes });
        let seed = since.elapsed() / more as u32;
        if claim.judge(findings.conditions).is_settled() || !budget.allows(seed) {
            break;
        }
    }
    let measured = Measured {
        claim: claim.id.to_owned(),
        plan: lab.plan().clone(),
        protocol: hash,
        backend: lab.backend().to_owned(),
        seconds: begun.elapsed().as_secs_f64(),
        pilot,
        outcomes,
    };
    if let Some(evidence) = lab.evidence() {
        evidence.keep(claim.id, &measured)?;
    }
    Ok(conclude::<S>(claim, measured))
}

/// Judges a claim again, from what was kept when it was tested; `None` where nothing was.
pub(super) fn judge_again<S: Study>(
    claim: &'static Claim,
    evidence: &Evidence,
) -> Result<Option<ClaimResult>, StoreError> {
    let measured: Option<Measured<S::Pilot, S::Outcome>> = evidence.kept(claim.id)?;
    Ok(measured.map(|measured| conclude::<S>(claim, measured)))
}

/// The protocol that is in force.
pub(super) fn protocol<S: Study>(claim: &'static Claim, plan: &Plan) -> Protocol {
    Protocol::new(claim, plan, &S::settings(plan))
}

fn conclude<S: Study>(claim: &'static Claim, measured: Measured<S::Pilot, S::Outcome>) -> ClaimResult {
    let Measured { plan, protocol, backend, seconds, pilot, outcomes, .. } = measured;
    let settings = S::settings(&plan);
    let arms = S::arms(&settings, &pilot);
    // A changed program may ask for other arms than were measured: what has no outcome is not judged.
    let whole = outcomes.iter().all(|seed| seed.len() == arms.len());
    let seeds: &[Vec<S::Outcome>] = if whole { &outcomes } else { &[] };
    let Findings { conditions, what_was_run, diverged, figures } =
        S::judge(&settings, &pilot, &Trials { arms: &arms, seeds });
    let judgement = claim.judge(conditions);
    let in_force = Protocol::new(claim, &plan, &settings).hash();
    ClaimResult {
        claim,
        verdict: judgement.verdict,
        leaning: judgement.leaning(),
        effect: judgement.conditions.first().and_then(|first| first.effect),
        unit: judgement.conditions.first().map_or(String::new(), |first| first.unit.clone()),
        sentence: S::sentence(&judgement),
        needs: judgement.needs(),
        conditions: judgement.conditions,
        seeds: seeds.len(),
        trainings: seeds.len() * arms.len(),
        diverged,
        judged_by: (in_force != protocol).then_some(in_force),
        protocol,
        what_was_run,
        command: format!("rectify claims {}{}", claim.id, super::lab::flags(&plan, &backend)),
        seconds,
        figures,
    }
}
