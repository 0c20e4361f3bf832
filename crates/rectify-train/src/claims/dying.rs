//! `dying`: units die with a high learning rate or a large negative bias, and stay dead.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    lab::{ClaimError, Lab, Setup, Trained, describe, first, trained},
};
use crate::{
    data::DeviceSamples,
    experiment::{Experiment, Init, OptimizerKind, Schedule},
    judge::{
        curve::{Curve, arithmetic},
        number::{percent, points},
        theory::born_dead,
        verdict::{Direction, Hypothesis, Sample},
    },
    network::{Network, outputs},
    observe::{Probe, Trace, dead_units},
    train::Event,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "dying",
    statement: "ReLU units die with a high learning rate or a large negative bias, and stay dead, unless the function, \
                its gradient or the initialisation is another.",
    source: "Maas, Hannun and Ng 2013, Rectifier nonlinearities improve neural network acoustic models, §2; Lu et al. \
             2019, Dying ReLU and initialization: theory and numerical examples; Horuz et al. 2025, The resurrection \
             of the ReLU",
    criteria: &[&DIES, &STAYS_DEAD, &CURED],
    procedure: Procedure::of::<Dying>(),
};

static DIES: Criterion = Criterion {
    quantity: "fraction of the units that were alive before training and are dead after, under the stress less without it",
    unit: "fraction",
    null_hypothesis: "No more units die than with ordinary settings.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "A tenth of the units is a network noticeably narrower than it was paid for. Units that are dead before the \
          first step have not died, and are told apart.",
};
static STAYS_DEAD: Criterion = Criterion {
    quantity: "of the units that died in the first half of training, the fraction that is dead at the end",
    unit: "fraction",
    null_hypothesis: "More than one unit in ten lives again.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.9),
    why: "A dead unit gets no gradient of its own, but the layers before it still move its input. Where more than a \
          tenth come back, \"dead\" is the wrong word.",
};
static CURED: Criterion = Criterion {
    quantity: "test accuracy with the cure less that of plain ReLU, under the same stress",
    unit: "fraction",
    null_hypothesis: "The cure gains no percentage point.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.01),
    why: "That a function which is never 0 has no units that are always 0 is no finding; that the network works better \
          for it is. A training that diverges has an accuracy of 0.",
};

/// Of the units that died at some earlier epoch, the fraction that is dead at the last one.
///
/// `dead` holds, for each epoch, whether each unit was zero on the whole probe set. A unit that died, lived and died
/// again counts as dead. NaN where no unit was ever dead before the last epoch, or units differ in number.
pub fn survival_of_death(dead: &[Vec<bool>]) -> f64 {
    let Some((last, earlier)) = dead.split_last() else { return f64::NAN };
    if earlier.iter().any(|epoch| epoch.len() != last.len()) {
        return f64::NAN;
    }
    let Some((born, later)) = earlier.split_first() else { return f64::NAN };
    let died: Vec<usize> =
        (0..last.len()).filter(|&unit| !born[unit] && later.iter().any(|epoch| epoch[unit])).collect();
    died.iter().filter(|&&unit| last[unit]).count() as f64 / died.len() as f64
}

/// The ordinary rate of Adam, ten times as much, which decides, and thirty times, at which hardly anything trains.
const ORDINARY_RATE: f64 = 0.001;
const HIGH_RATE: f64 = 0.01;
const HIGHER_RATE: f64 = 0.03;
/// Below all but one in five hundred of the pre-activations that He's initialisation gives (deviation √2).
const LOW_BIAS: f64 = -4.0;
/// The hidden layer that begins with it, from 0.
const BIASED_LAYER: usize = 2;

/// Width of the networks in which units that are born dead are counted, and how deep they are.
const NARROW: usize = 4;
const NARROW_DEPTHS: [usize; 5] = [1, 2, 5, 10, 20];

/// The study.
pub struct Dying;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    experiment: Experiment,
    rates: Vec<f64>,
    low_bias: f64,
    biased_layer: usize,
    /// Another function, another gradient, another initialisation.
    cures: Vec<(String, Init)>,
    /// Networks in which units that are born dead are counted.
    narrow_networks: u64,
}

/// What makes units die.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stress {
    None,
    Rate(f64),
    Bias,
}

/// A network under a stress.
#[derive(Debug, Clone)]
pub struct Arm {
    activation: String,
    init: Init,
    stress: Stress,
    setup: Setup,
}

/// One training, on the training set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fate {
    /// Fraction of all hidden units that are dead before the first step.
    born_dead: f64,
    /// Fraction of the others that are dead at the end.
    died: f64,
    /// [`survival_of_death`].
    stay_dead: f64,
    /// Of the layer that begins with a bias: fraction dead before the first step, and dead at the end.
    layer: (f64, f64),
    trained: Trained,
}

impl Study for Dying {
    type Settings = Settings;
    /// By depth the fraction of narrow networks that are dead before training.
    type Pilot = Vec<(f64, f64)>;
    type Arm = Arm;
    type Outcome = Fate;

    fn settings(plan: &Plan) -> Settings {
        let experiment =
            Experiment { optimizer: OptimizerKind::Adam, schedule: Schedule::Constant, ..plan.experiment() };
        let cures = [("leaky-relu:0.01", Init::Auto), ("relu:bsilu", Init::Auto), ("relu", Init::RandomizedAsymmetric)];
        Settings {
            experiment,
            rates: vec![HIGH_RATE, HIGHER_RATE],
            low_bias: LOW_BIAS,
            biased_layer: BIASED_LAYER,
            cures: cures.map(|(activation, init)| (activation.to_owned(), init)).into(),
            narrow_networks: plan.choose(20, 200, 1000),
        }
    }

    fn pilot(lab: &Lab, settings: &Settings) -> Result<Vec<(f64, f64)>, ClaimError> {
        let data = lab.data(&settings.experiment)?;
        let (sample, shape) = (first(&data.train, 500), data.shape());
        let fraction_dead = |depth: usize| {
            let hidden = Some(vec![NARROW; depth]);
            let setup = Setup::new(Experiment { hidden, ..settings.experiment.clone() }, "relu");
            let dead = (0..settings.narrow_networks).filter(|&seed| {
                let network = lab.network_of(&setup.training(seed), shape);
                let dead = dead_hidden_units(&network.valid(), &sample);
                dead.chunks(NARROW).any(|layer| layer.iter().all(|dead| *dead))
            });
            dead.count() as f64 / settings.narrow_networks as f64
        };
        Ok(NARROW_DEPTHS.map(|depth| (depth as f64, fraction_dead(depth))).into())
    }

    fn arms(settings: &Settings, _: &Vec<(f64, f64)>) -> Vec<Arm> {
        let arm = |activation: &str, init: Init, stress: Stress| {
            let rate = if let Stress::Rate(rate) = stress { rate } else { ORDINARY_RATE };
            let experiment = Experiment { init, lr: Some(rate), ..settings.experiment.clone() };
            Arm { activation: activation.to_owned(), init, stress, setup: Setup::new(experiment, activation) }
        };
        let mut arms = vec![arm("relu", Init::Auto, Stress::None), arm("relu", Init::Auto, Stress::Bias)];
        arms.extend(settings.rates.iter().map(|&rate| arm("relu", Init::Auto, Stress::Rate(rate))));
        for (activation, init) in &settings.cures {
            arms.push(arm(activation, *init, Stress::Rate(HIGH_RATE)));
        }
        arms
    }

    fn measure(lab: &Lab, settings: &Settings, arm: &Arm, seed: u64) -> Result<Fate, ClaimError> {
        let (training, data) = (arm.setup.training(seed), lab.data(&arm.setup.experiment)?);
        let mut network = lab.mlp(&training, &data);
        if arm.stress == Stress::Bias {
            let experiment = Experiment { bias_init: Some(settings.low_bias), ..arm.setup.experiment.clone() };
            let low = Setup { experiment, ..arm.setup.clone() };
            network.hidden[settings.biased_layer] =
                lab.mlp(&low.training(seed), &data).hidden.swap_remove(settings.biased_layer);
        }
        let dead = vec![dead_hidden_units(&network.valid(), &data.train)];
        let steps = arm.setup.experiment.epochs() * data.train.len().div_ceil(arm.setup.experiment.batch_size);
        let (network, run, mut dead) = lab.train_observed(network, &training, &data, dead, &mut |dead, event| {
            if let Event::Step { step, network, .. } = event
                && step == steps / 2
            {
                dead.push(dead_hidden_units(&network.valid(), &data.train));
            }
        })?;
        dead.push(dead_hidden_units(&network.valid(), &data.train));
        let (born, last) = (&dead[0], &dead[dead.len() - 1]);
        let widths = arm.setup.experiment.hidden();
        let begin: usize = widths[..settings.biased_layer].iter().sum();
        let layer = begin..begin + widths[settings.biased_layer];
        let fraction = |dead: &[bool]| dead.iter().filter(|dead| **dead).count() as f64 / dead.len() as f64;
        let alive = born.iter().filter(|dead| !**dead).count() as f64;
        let died = born.iter().zip(last).filter(|(born, last)| !**born && **last).count() as f64;
        Ok(Fate {
            born_dead: fraction(born),
            died: died / alive,
            stay_dead: survival_of_death(&dead),
            layer: (fraction(&born[layer.clone()]), fraction(&last[layer])),
            trained: trained(&network, &run, &data),
        })
    }

    fn judge(settings: &Settings, narrow: &Vec<(f64, f64)>, trials: &Trials<Arm, Fate>) -> Findings {
        let plain = |stress: Stress| {
            move |arm: &Arm| arm.activation == "relu" && arm.init == Init::Auto && arm.stress == stress
        };
        let high = Stress::Rate(HIGH_RATE);
        // A training that diverged tells nothing of its units.
        let whole = |fate: &Fate, value: f64| if fate.trained.diverged { f64::NAN } else { value };
        let more = |stress: Stress, of: fn(&Fate) -> f64| {
            Sample::Effects(trials.pairs(plain(stress), plain(Stress::None), |a, b| whole(a, of(a) - of(b))))
        };
        let stay = |stress: Stress| {
            Sample::Effects(trials.of(plain(stress)).into_iter().map(|fate| whole(fate, fate.stay_dead)).collect())
        };
        let cured = |(activation, init): &(String, Init)| {
            let cure = |arm: &Arm| arm.activation == *activation && arm.init == *init && arm.stress == high;
            let gain = |cure: &Fate, plain: &Fate| cure.trained.accuracy - plain.trained.accuracy;
            Sample::Effects(trials.pairs(cure, plain(high), gain))
        };
        let bias = format!("bias {} in layer {}", settings.low_bias, settings.biased_layer + 1);
        let mut conditions = vec![
            Condition::primary(&DIES, format!("Adam {HIGH_RATE}"), more(high, |fate| fate.died)),
            Condition::primary(&DIES, bias.clone(), more(Stress::Bias, |fate| fate.layer.1 - fate.layer.0)),
            Condition::primary(&STAYS_DEAD, format!("Adam {HIGH_RATE}, stays dead"), stay(high)),
        ];
        for (place, cure) in settings.cures.iter().enumerate() {
            let name = match cure.1 {
                Init::Auto => cure.0.clone(),
                init => format!("{} with {init}", cure.0),
            };
            conditions.push(match place {
                0 => Condition::primary(&CURED, name, cured(cure)),
                _ => Condition::exploratory(&CURED, name, cured(cure)),
            });
        }
        for &rate in settings.rates.iter().filter(|rate| **rate != HIGH_RATE) {
            let sample = more(Stress::Rate(rate), |fate| fate.died);
            conditions.push(Condition::exploratory(&DIES, format!("Adam {rate}"), sample));
        }
        let born = more(Stress::Bias, |fate| fate.layer.0);
        conditions.push(Condition::exploratory(&DIES, format!("{bias}, already dead before the first step"), born));
        let of_rates = |of: fn(&Fate) -> f64| {
            let at = |rate: f64, stress: Stress| {
                (rate, trials.of(plain(stress)).into_iter().map(|f| whole(f, of(f))).collect())
            };
            let rates = settings.rates.iter().map(|&rate| at(rate, Stress::Rate(rate)));
            [at(ORDINARY_RATE, Stress::None)].into_iter().chain(rates).collect::<Vec<_>>()
        };
        let bound = |which: fn((f64, f64)) -> f64| {
            NARROW_DEPTHS.map(|depth| (depth as f64, which(born_dead(&vec![NARROW; depth]))))
        };
        Findings {
            conditions,
            what_was_run: format!(
                "{}; Adam's rates {ORDINARY_RATE} and {:?}; {bias}; dead is 0 on every training sample",
                describe(&settings.experiment),
                settings.rates
            ),
            diverged: trials.all().filter(|fate| fate.trained.diverged).count(),
            figures: vec![
                Figure {
                    title: "Units that died in training, and accuracy, by learning rate".to_owned(),
                    x: "Adam's learning rate".to_owned(),
                    y: "fraction".to_owned(),
                    log_x: true,
                    series: vec![
                        Curve::measured("units that died", arithmetic, of_rates(|fate| fate.died)),
                        Curve::measured("test accuracy", arithmetic, of_rates(|fate| fate.trained.accuracy)),
                    ],
                    ..Figure::default()
                },
                Figure {
                    title: format!("Networks of width {NARROW} that are dead before training"),
                    x: "hidden layers".to_owned(),
                    y: "fraction of networks".to_owned(),
                    series: vec![
                        Curve::measured(
                            "500 images",
                            arithmetic,
                            narrow.iter().map(|(depth, dead)| (*depth, vec![*dead])),
                        ),
                        Curve::predicted("upper bound", bound(|(_, upper)| upper)),
                        Curve::predicted("lower bound, any input", bound(|(lower, _)| lower)),
                    ],
                    ..Figure::default()
                },
            ],
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let died = judgement.effect(&format!("Adam {HIGH_RATE}"));
        let stay = judgement.effect(&format!("Adam {HIGH_RATE}, stays dead"));
        let cure = judgement.effect("leaky-relu:0.01");
        format!(
            "Adam at {HIGH_RATE} kills {} % of units, of which {} % stay dead; a leaky ReLU gains {} points.",
            percent(died, 0),
            percent(stay, 0),
            points(cure)
        )
    }
}

/// Whether each hidden unit, layer after layer, is zero on all samples.
fn dead_hidden_units<N: Network>(network: &N, samples: &DeviceSamples) -> Vec<bool> {
    const BATCH: usize = 1000;
    let passes: Vec<Trace> = (0..samples.len())
        .step_by(BATCH)
        .map(|begin| {
            let mut trace = Trace::activations(&Probe::default());
            outputs(network, samples.slice(begin..samples.len().min(begin + BATCH)).images, &mut trace);
            trace
        })
        .collect();
    dead_units(&passes).concat()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::plan, *};
    use crate::judge::verdict::Verdict;

    fn verdict(died: f64, stay_dead: f64, cured: f64) -> Verdict {
        let settings = Dying::settings(&plan());
        let arms = Dying::arms(&settings, &Vec::new());
        let fate = |arm: &Arm| {
            let plain = arm.activation == "relu" && arm.init == Init::Auto;
            let dead = if arm.stress == Stress::None { 0.01 } else { died };
            let accuracy = if plain { 0.6 } else { 0.6 + cured };
            let trained = Trained { accuracy, loss: 0.5, diverged: false };
            Fate { born_dead: 0.0, died: dead, stay_dead, layer: (0.0, dead), trained }
        };
        let seeds = vec![arms.iter().map(fate).collect::<Vec<_>>(); 8];
        let findings = Dying::judge(&settings, &Vec::new(), &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn death_that_stays_and_can_be_cured_confirms_and_its_reverse_refutes() {
        assert_eq!(verdict(0.5, 0.98, 0.2), Verdict::Confirmed);
        assert_eq!(verdict(0.01, 0.5, 0.0), Verdict::Refuted);
        // They die, but half of them come back.
        assert_eq!(verdict(0.5, 0.5, 0.2), Verdict::Qualified);
        // Nobody was dead, so nobody could stay so.
        assert_eq!(verdict(0.5, f64::NAN, 0.2), Verdict::NotSettled);
    }

    #[test]
    fn survival_follows_single_units() {
        // Unit 0 dies and stays, 1 dies and lives again, 2 dies, lives and dies again, 3 dies only at the end, 4 lives,
        // 5 is born dead.
        let dead = vec![
            vec![false, false, false, false, false, true],
            vec![false, true, true, false, false, true],
            vec![true, true, false, false, false, true],
            vec![true, false, true, true, false, true],
        ];
        assert!((survival_of_death(&dead) - 2.0 / 3.0).abs() < 1e-12);
        assert!(survival_of_death(&[vec![false], vec![true]]).is_nan());
        assert!(survival_of_death(&[vec![true], vec![true, true]]).is_nan());
        assert!(survival_of_death(&[]).is_nan());
    }
}
