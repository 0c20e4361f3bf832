//! `exploding`: accumulated gradients explode and unsettle training.

use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    lab::{ClaimError, Lab, Setup, Trained, describe, trained},
    theory::{Function, MeanField, RELU, TANH},
};
use crate::{
    experiment::{Experiment, Init, ProbeEvery},
    judge::{
        curve::{Curve, geometric},
        number::{number, percent},
        statistics::hidden,
        verdict::{Direction, Hypothesis, Sample},
    },
    record::Layer,
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
const ACTIVATIONS: [(&str, f64, Function); 2] = [("relu", 2.0, RELU), ("tanh", 1.0, TANH)];

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

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Outcome {
    /// RMS of the gradient at each hidden layer's pre-activations.
    Gradients(Vec<f64>),
    /// What a training came to.
    Trained(Trained),
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
        for (activation, keeping, _) in ACTIVATIONS {
            let mut arm = |gain: f64, kind: Kind, change: &dyn Fn(Experiment) -> Experiment| {
                let experiment =
                    Experiment { init: Init::Gain(gain * f64::sqrt(keeping)), ..settings.experiment.clone() };
                arms.push(Arm { activation, gain, kind, setup: Setup::new(change(experiment), activation) });
            };
            for &gain in &settings.gains {
                arm(gain, Kind::Gradients, &|experiment| Experiment {
                    epochs: Some(0),
                    probe_every: ProbeEvery::Epoch,
                    train_size: Some(1000),
                    ..experiment
                });
            }
            arm(LARGE, Kind::Trained, &|experiment| experiment);
            arm(LARGE, Kind::Clipped, &|experiment| Experiment { clip_norm: Some(settings.clip_norm), ..experiment });
            arm(1.0, Kind::FairlyInitialised, &|experiment| experiment);
        }
        arms
    }

    fn measure(lab: &Lab, _: &Settings, arm: &Arm, seed: u64) -> Result<Outcome, ClaimError> {
        let (training, data) = (arm.setup.training(seed), lab.data(&arm.setup.experiment)?);
        let (network, run) = lab.train(lab.network(&training, &data), &training, &data, &mut |_| {})?;
        if arm.kind != Kind::Gradients {
            return Ok(Outcome::Trained(trained(&network, &run, &data)));
        }
        let layers = run.epochs.first().map(hidden).unwrap_or_default();
        let gradient = |layer: &&Layer| layer.preactivation_grad_rms.unwrap_or(f64::NAN);
        Ok(Outcome::Gradients(layers.iter().map(gradient).collect()))
    }

    fn judge(settings: &Settings, (): &(), trials: &Trials<Arm, Outcome>) -> Findings {
        let of = |activation: &str, gain: f64, kind: Kind| {
            trials.of(|arm| arm.activation == activation && arm.gain == gain && arm.kind == kind)
        };
        let growth = |activation: &str, gain: f64| {
            let ratio = |outcome: &&Outcome| match outcome {
                Outcome::Gradients(layers) => match layers[..] {
                    [first, .., last] => first / last,
                    _ => f64::NAN,
                },
                Outcome::Trained(_) => f64::NAN,
            };
            Sample::Effects(of(activation, gain, Kind::Gradients).iter().map(ratio).collect())
        };
        let failures = |activation: &str, gain: f64, kind: Kind| {
            let failed = |outcome: &&Outcome| matches!(outcome, Outcome::Trained(trained) if trained.accuracy < WORKS);
            let outcomes = of(activation, gain, kind);
            outcomes.iter().map(failed).collect::<Vec<bool>>()
        };
        let gains = |activation: &str, gain: f64, kind: Kind| -> Vec<f64> {
            let accuracy = |outcome: &Outcome| match outcome {
                Outcome::Trained(trained) => trained.accuracy,
                Outcome::Gradients(_) => f64::NAN,
            };
            let without = of(activation, LARGE, Kind::Trained);
            of(activation, gain, kind).into_iter().zip(without).map(|(a, b)| accuracy(a) - accuracy(b)).collect()
        };
        let mut conditions = Vec::new();
        for (activation, ..) in ACTIVATIONS {
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
        for (activation, ..) in ACTIVATIONS {
            for &gain in settings.gains.iter().filter(|gain| **gain != LARGE) {
                let name = format!("{activation}, gain {gain}, gradient");
                conditions.push(Condition::exploratory(&GROWTH, name, growth(activation, gain)));
            }
        }
        let figures = ACTIVATIONS.map(|(activation, keeping, function)| {
            let series = settings.gains.iter().flat_map(|&gain| {
                let outcomes = of(activation, gain, Kind::Gradients);
                let relative = |outcome: &&Outcome, layer: usize| match outcome {
                    Outcome::Gradients(layers) => Some(layers.get(layer)? / layers.last()?),
                    Outcome::Trained(_) => None,
                };
                let at = |layer: usize| outcomes.iter().filter_map(|outcome| relative(outcome, layer)).collect();
                let name = format!("gain {gain}");
                let weight_variance = keeping * gain * gain;
                let network = MeanField { function, weight_variance, bias_variance: 0.0 };
                let theory = network.gradient_profile(&network.variances(weight_variance, LAYERS));
                let theory = theory.into_iter().enumerate().map(|(layer, value)| ((layer + 1) as f64, value));
                [
                    Curve::measured(name.clone(), geometric, (0..LAYERS).map(|layer| ((layer + 1) as f64, at(layer)))),
                    Curve::predicted(name, theory),
                ]
            });
            Figure {
                title: format!(
                    "{activation}: gradient of the pre-activations before training, relative to the last layer's"
                ),
                x: "layer".to_owned(),
                y: "relative RMS".to_owned(),
                log_y: true,
                series: series.collect(),
                ..Figure::default()
            }
        });
        let trained = |outcome: &&Outcome| matches!(outcome, Outcome::Trained(trained) if trained.diverged);
        Findings {
            conditions,
            what_was_run: format!(
                "{}; weights of {GAINS:?} times what keeps a signal; a training fails where it diverges or classifies \
                 less than {} % of the test set rightly; clipped at a norm of {}",
                describe(&settings.experiment),
                100.0 * WORKS,
                settings.clip_norm
            ),
            diverged: trials.all().filter(trained).count(),
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
    use crate::judge::verdict::Verdict;

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
