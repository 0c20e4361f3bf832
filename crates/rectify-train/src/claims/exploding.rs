//! `exploding`: accumulated gradients explode and unsettle training.

use serde::Serialize;

use super::{
    Claim, Condition, Criterion, Findings, Judgement, Plan, Procedure, Study, Trials,
    gradients::{self, Outcome, before_training},
    lab::{ClaimError, Lab, Setup, describe},
};
use crate::{
    experiment::{Experiment, Init},
    judge::{
        number::{number, percent},
        verdict::{Direction, Hypothesis, Sample},
    },
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "exploding",
    statement: "Gradients accumulated over layers explode and unsettle training; clipping or He initialisation cures it.",
    source: "Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks, §2 and §3; He \
             et al. 2015, Delving deep into rectifiers, §2.2",
    criteria: &[&GROWTH, &FAILS, &CURED],
    procedure: Procedure::of::<Exploding>(),
};

static GROWTH: Criterion = Criterion {
    quantity: "RMS of the gradient at the first hidden layer's pre-activations over that at the last's, before training",
    unit: "ratio",
    null_hypothesis: "Gradients are as large at the first layer as at the last.",
    hypothesis: Hypothesis::ratio(Direction::Above, 10.0),
    why: "The same factor at which a gradient counts as vanished.",
};
static FAILS: Criterion = Criterion {
    quantity: "share of trainings with large initial weights that diverge, or classify less than half of the test set \
               rightly",
    unit: "share",
    null_hypothesis: "At most half of them fail.",
    hypothesis: Hypothesis::MOST,
    why: "Half of the test set is far more than guessing and far less than any training that works. What fails more \
          often than not is what a textbook calls unsettled.",
};
static CURED: Criterion = Criterion {
    quantity: "test accuracy of the same trainings with one cure less that without",
    unit: "fraction",
    null_hypothesis: "The cure gains no more than ten percentage points.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "What did not train at all trains. A training that diverges has an accuracy of 0.",
};

const WIDTH: usize = 128;
const LAYERS: usize = 10;
/// Initial weights as multiples of those that keep a signal: N(0, 2 / n) for ReLU (He et al. 2015), N(0, 1 / n) for
/// tanh.
const GAINS: [f64; 3] = [1.0, 2.0, 3.0];
/// The gain that is judged.
const LARGE: f64 = 3.0;
/// What is a failure.
const WORKS: f64 = 0.5;
/// Largest norm of the clipped gradient, as in Pascanu, Mikolov and Bengio's experiments.
const CLIP_NORM: f64 = 1.0;
const ACTIVATIONS: [(&str, f64); 2] = [("relu", 2.0), ("tanh", 1.0)];

/// The study.
pub struct Exploding;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    experiment: Experiment,
    gains: Vec<f64>,
    clip_norm: f64,
}

/// What is done with a network.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Its gradients before training.
    Gradients,
    Trained,
    Clipped,
    /// Trained from He's initialisation, or its like for tanh.
    FairlyInitialised,
}

/// A network.
#[derive(Debug, Clone)]
pub struct Arm {
    activation: &'static str,
    gain: f64,
    kind: Kind,
    setup: Setup,
}

impl Study for Exploding {
    type Settings = Settings;
    type Pilot = ();
    type Arm = Arm;
    type Outcome = Outcome;

    fn settings(plan: &Plan) -> Settings {
        let experiment = Experiment {
            hidden: Some(vec![WIDTH; LAYERS]),
            lr: Some(0.1),
            train_size: plan.choose(Some(2000), Some(5000), Some(20_000)),
            epochs: Some(plan.choose(2, 5, 5)),
            ..plan.experiment()
        };
        Settings { experiment, gains: GAINS.to_vec(), clip_norm: CLIP_NORM }
    }

    fn pilot(_: &Lab, _: &Settings) -> Result<(), ClaimError> {
        Ok(())
    }

    fn arms(settings: &Settings, (): &()) -> Vec<Arm> {
        let mut arms = Vec::new();
        for (activation, keeping) in ACTIVATIONS {
            let mut arm = |gain: f64, kind: Kind, change: &dyn Fn(Experiment) -> Experiment| {
                let experiment =
                    Experiment { init: Init::Gain(gain * f64::sqrt(keeping)), ..settings.experiment.clone() };
                arms.push(Arm { activation, gain, kind, setup: Setup::new(change(experiment), activation) });
            };
            for &gain in &settings.gains {
                arm(gain, Kind::Gradients, &|experiment| before_training(experiment, 1000));
            }
            arm(LARGE, Kind::Trained, &|experiment| experiment);
            arm(LARGE, Kind::Clipped, &|experiment| Experiment { clip_norm: Some(settings.clip_norm), ..experiment });
            arm(1.0, Kind::FairlyInitialised, &|experiment| experiment);
        }
        arms
    }

    fn measure(lab: &Lab, _: &Settings, arm: &Arm, seed: u64) -> Result<Outcome, ClaimError> {
        Outcome::measure(lab, &arm.setup, seed)
    }

    fn judge(settings: &Settings, (): &(), trials: &Trials<Arm, Outcome>) -> Findings {
        let of = |activation: &str, gain: f64, kind: Kind| {
            trials.of(|arm| arm.activation == activation && arm.gain == gain && arm.kind == kind)
        };
        let growth = |activation: &str, gain: f64| {
            Sample::Effects(of(activation, gain, Kind::Gradients).into_iter().map(Outcome::ratio).collect())
        };
        let failures = |activation: &str, gain: f64, kind: Kind| {
            of(activation, gain, kind).iter().map(|outcome| outcome.accuracy() < WORKS).collect::<Vec<bool>>()
        };
        let gains = |activation: &str, gain: f64, kind: Kind| -> Vec<f64> {
            let without = of(activation, LARGE, Kind::Trained);
            of(activation, gain, kind).into_iter().zip(without).map(|(a, b)| a.accuracy() - b.accuracy()).collect()
        };
        let mut conditions = Vec::new();
        for (activation, _) in ACTIVATIONS {
            let primary = activation == "relu";
            let mut add = |criterion, name: String, sample| {
                conditions.push(if primary {
                    Condition::primary(criterion, name, sample)
                } else {
                    Condition::exploratory(criterion, name, sample)
                });
            };
            add(&GROWTH, format!("{activation}, gain {LARGE}, gradient"), growth(activation, LARGE));
            let failed = failures(activation, LARGE, Kind::Trained);
            // There is nothing to cure in trainings that do not fail.
            let ill = 2 * failed.iter().filter(|failed| **failed).count() > failed.len();
            let cure = |gain: f64, kind: Kind| match ill {
                true => Sample::Effects(gains(activation, gain, kind)),
                false => Sample::Void("most trainings work without a cure".to_owned()),
            };
            let (clipped, fair) = (cure(LARGE, Kind::Clipped), cure(1.0, Kind::FairlyInitialised));
            add(&FAILS, format!("{activation}, gain {LARGE}, training"), Sample::Events(failed));
            add(&CURED, format!("{activation}, gain {LARGE}, clipped"), clipped);
            add(&CURED, format!("{activation}, fair initialisation"), fair);
        }
        for (activation, _) in ACTIVATIONS {
            for &gain in settings.gains.iter().filter(|gain| **gain != LARGE) {
                let name = format!("{activation}, gain {gain}, gradient");
                conditions.push(Condition::exploratory(&GROWTH, name, growth(activation, gain)));
            }
        }
        let figures = ACTIVATIONS.map(|(activation, keeping)| {
            let series = settings.gains.iter().flat_map(|&gain| {
                let outcomes = of(activation, gain, Kind::Gradients).into_iter();
                let layers: Vec<&[f64]> = outcomes.map(Outcome::layers).collect();
                let (name, weight_variance) = (format!("gain {gain}"), keeping * gain * gain);
                let network = gradients::network(activation, weight_variance);
                [gradients::measured(name.clone(), &layers), gradients::predicted(name, &network, LAYERS)]
            });
            let title =
                format!("{activation}: gradient of the pre-activations before training, relative to the last layer's");
            gradients::figure(title, series.collect())
        });
        Findings {
            conditions,
            what_was_run: format!(
                "{}; weights of {GAINS:?} times what keeps a signal; a training fails where it diverges or classifies \
                 less than {} % of the test set rightly; clipped at a norm of {}",
                describe(&settings.experiment),
                100.0 * WORKS,
                settings.clip_norm
            ),
            diverged: trials.all().filter(|outcome| outcome.diverged()).count(),
            figures: figures.into(),
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let gain = |condition: &str| percent(judgement.effect(&format!("relu, {condition}")), 0);
        format!(
            "At {LARGE} times He's weights ReLU's gradient grows {}-fold; clipping gains {} points, He's weights {}.",
            number(judgement.effect(&format!("relu, gain {LARGE}, gradient"))),
            gain(&format!("gain {LARGE}, clipped")),
            gain("fair initialisation")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::plan, *};
    use crate::{claims::lab::Trained, judge::verdict::Verdict};

    fn verdict(growth: f64, fails: bool, still_fails: bool) -> Verdict {
        let settings = Exploding::settings(&plan());
        let arms = Exploding::arms(&settings, &());
        let outcome = |arm: &Arm| {
            let failed = if arm.kind == Kind::Trained { fails } else { still_fails };
            let accuracy = if failed { 0.1 } else { 0.9 };
            match arm.kind {
                Kind::Gradients => Outcome::Gradients(vec![growth, 1.0]),
                _ => Outcome::Trained(Trained { accuracy, loss: 1.0, diverged: failed }),
            }
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = Exploding::judge(&settings, &(), &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn explosions_that_can_be_cured_confirm_and_their_reverse_refutes() {
        assert_eq!(verdict(1e4, true, false), Verdict::Confirmed);
        assert_eq!(verdict(0.1, true, true), Verdict::Qualified);
        // Explosions that nothing cures.
        assert_eq!(verdict(1e4, true, true), Verdict::Qualified);
    }

    #[test]
    fn a_cure_of_trainings_that_do_not_fail_is_no_evidence() {
        // Neither growth nor failure; nothing is there to be cured, so the claim is not settled by its cures.
        assert_eq!(verdict(0.1, false, false), Verdict::Refuted);
    }
}
