//! `dying`: units die with a high learning rate or a large negative bias, and stay dead.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic,
    lab::{ClaimError, Lab, first, seeds_in_words, without_test},
    theory::born_dead,
};
use crate::{
    data::DeviceSamples,
    experiment::{Experiment, Init},
    judge::verdict::{Direction, Hypothesis},
    network::{Network, outputs},
    observe::{Probe, Trace, dead_units},
    record::Status,
    train::Event,
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "dying",
    statement: "ReLU units die with a high learning rate or a large negative bias, and stay dead, unless the function, \
                its gradient or the initialisation is another.",
    source: "Maas, Hannun and Ng 2013, Rectifier nonlinearities improve neural network acoustic models, §2; Lu et al. \
             2019, Dying ReLU and initialization: theory and numerical examples; Horuz et al. 2025, The resurrection \
             of the ReLU",
    parts: &[&DIES, &STAYS_DEAD, &CURED],
    run,
};

static DIES: Part = Part {
    quantity: "dead fraction under the stress less that with ordinary settings, after training",
    unit: "fraction",
    null_hypothesis: "No more units are dead than with ordinary settings.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "A tenth of the units is a network noticeably narrower than it was paid for.",
};
static STAYS_DEAD: Part = Part {
    quantity: "of the units dead at some epoch, the fraction that is dead at the end",
    unit: "fraction",
    null_hypothesis: "More than one unit in ten lives again.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.9),
    why: "A dead unit gets no gradient of its own, but the layers before it still move its input. Where more than a \
          tenth come back, \"dead\" is the wrong word.",
};
static CURED: Part = Part {
    quantity: "dead fraction of plain ReLU less that with the cure, under the same stress",
    unit: "fraction",
    null_hypothesis: "As many units are dead with the cure.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.05),
    why: "Half of what counts as dying.",
};

/// Of the units dead at any earlier epoch, the fraction that is dead at the last one.
///
/// `dead` holds, for each epoch, whether each unit was zero on the whole probe set. A unit that died, lived and died
/// again counts as dead. NaN where no unit was ever dead before the last epoch, or units differ in number.
pub fn survival_of_death(dead: &[Vec<bool>]) -> f64 {
    let Some((last, earlier)) = dead.split_last() else { return f64::NAN };
    if earlier.iter().any(|epoch| epoch.len() != last.len()) {
        return f64::NAN;
    }
    let died: Vec<usize> = (0..last.len()).filter(|&unit| earlier.iter().any(|epoch| epoch[unit])).collect();
    died.iter().filter(|&&unit| last[unit]).count() as f64 / died.len() as f64
}

/// A stress on plain ReLU, beside the same network without it.
#[derive(Debug, Clone)]
pub struct Stress {
    /// Such as `rate 1.0` or `bias −2`.
    pub condition: String,
    /// Dead fractions after training (stressed, ordinary), a pair a seed.
    pub dead: Vec<(f64, f64)>,
    /// [`survival_of_death`] of each stressed seed.
    pub stay_dead: Vec<f64>,
}

/// A cure under a stress, beside plain ReLU under it.
#[derive(Debug, Clone)]
pub struct Cure {
    /// Such as `leaky-relu:0.01, bias −2`.
    pub condition: String,
    /// Dead fractions after training (plain, cured), a pair a seed.
    pub dead: Vec<(f64, f64)>,
}

/// The evidence under each stress and for each cure.
pub fn conditions(stresses: &[Stress], cures: &[Cure]) -> Vec<Condition> {
    let less = |pairs: &[(f64, f64)]| pairs.iter().map(|(a, b)| a - b).collect();
    let dies = stresses.iter().map(|m| Condition::new(&DIES, format!("{}, dies", m.condition), less(&m.dead)));
    let stays = stresses
        .iter()
        .map(|m| Condition::new(&STAYS_DEAD, format!("{}, stays dead", m.condition), m.stay_dead.clone()));
    let cured = cures.iter().map(|m| Condition::new(&CURED, &m.condition, less(&m.dead)));
    dies.chain(stays).chain(cured).collect()
}

/// Twice the ordinary rate (at three times, some trainings diverge), and a bias below all but a twelfth of the
/// pre-activations that He's initialisation gives standardised images (deviation √2).
const RATES: [f64; 4] = [0.03, 0.1, 0.2, 0.3];
const HIGH_RATE: f64 = 0.2;
const BIASES: [f64; 4] = [0.0, -1.0, -2.0, -4.0];
const LOW_BIAS: f64 = -2.0;

/// Another function, another gradient, another initialisation.
const CURES: [(&str, Init); 3] =
    [("leaky-relu:0.01", Init::Auto), ("relu:bsilu", Init::Auto), ("relu", Init::RandomizedAsymmetric)];

/// Width of the networks in which units that are born dead are counted, and how deep they are.
const NARROW: usize = 4;
const NARROW_DEPTHS: [usize; 5] = [1, 2, 5, 10, 20];

/// A rate, a bias, an activation and an initialisation.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Setting {
    rate: f64,
    bias: f64,
    activation: &'static str,
    init: Init,
}

const ORDINARY: Setting = Setting { rate: 0.1, bias: 0.0, activation: "relu", init: Init::Auto };
const STRESSES: [(&str, Setting); 2] =
    [("rate 0.2", Setting { rate: HIGH_RATE, ..ORDINARY }), ("bias −2", Setting { bias: LOW_BIAS, ..ORDINARY })];

/// One training: the fraction of all hidden units that is zero on the whole validation set at the end, and
/// [`survival_of_death`]; NaN where it diverged.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Fate {
    dead: f64,
    stay_dead: f64,
}

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    let mut settings: Vec<Setting> = Vec::new();
    settings.extend(RATES.map(|rate| Setting { rate, ..ORDINARY }));
    settings.extend(BIASES[1..].iter().map(|&bias| Setting { bias, ..ORDINARY }));
    for (_, stress) in STRESSES {
        settings.extend(CURES.map(|(activation, init)| Setting { activation, init, ..stress }));
    }
    let experiment_of = |setting: &Setting| Experiment {
        lr: Some(setting.rate),
        bias_init: Some(setting.bias),
        init: setting.init,
        train_size: lab.choose(Some(2000), Some(10_000), Some(20_000)),
        ..lab.experiment()
    };
    let trainings: Vec<Training> = settings
        .iter()
        .flat_map(|setting| lab.trainings(&experiment_of(setting), &[setting.activation], lab.seeds()))
        .collect();
    let fates = lab.side_by_side(&trainings, &|training| {
        let data = without_test(&lab.data(&training.experiment)?);
        let network = lab.network(training, &data);
        let mut dead = vec![dead_hidden_units(&network.valid(), &data.train)];
        let steps_an_epoch = data.train.len().div_ceil(training.experiment.batch_size);
        let (_, run) = lab.train(network, training, &data, &mut |event| {
            if let Event::Step { step, network, .. } = event
                && step.is_multiple_of(steps_an_epoch)
            {
                dead.push(dead_hidden_units(&network.valid(), &data.train));
            }
        })?;
        if run.status == Status::Diverged {
            return Ok(Fate { dead: f64::NAN, stay_dead: f64::NAN });
        }
        let last = &dead[dead.len() - 1];
        let fraction = last.iter().filter(|dead| **dead).count() as f64 / last.len() as f64;
        Ok(Fate { dead: fraction, stay_dead: survival_of_death(&dead) })
    })?;
    let seeds = lab.seeds().count();
    let of = |setting: Setting| -> &[Fate] {
        let place = settings.iter().position(|other| *other == setting).expect("only settings that were run are asked");
        &fates[place * seeds..][..seeds]
    };
    let pairs = |a: Setting, b: Setting| of(a).iter().zip(of(b)).map(|(a, b)| (a.dead, b.dead)).collect();

    let stresses: Vec<Stress> = STRESSES
        .into_iter()
        .map(|(name, stress)| Stress {
            condition: name.to_owned(),
            dead: pairs(stress, ORDINARY),
            stay_dead: of(stress).iter().map(|fate| fate.stay_dead).collect(),
        })
        .collect();
    let cures: Vec<Cure> = STRESSES
        .into_iter()
        .flat_map(|(name, stress)| CURES.map(|(activation, init)| (name, stress, activation, init)))
        .map(|(name, stress, activation, init)| Cure {
            condition: match init {
                Init::Auto => format!("{name}, {activation}"),
                init => format!("{name}, {activation} with {init}"),
            },
            dead: pairs(stress, Setting { activation, init, ..stress }),
        })
        .collect();

    let dead = |setting| of(setting).iter().map(|fate| fate.dead).collect::<Vec<_>>();
    let cured = |stress: Setting, x: f64| {
        CURES.map(|(activation, init)| {
            let name = if init == Init::Auto { activation.to_owned() } else { format!("{activation}, {init}") };
            Curve::measured(name, arithmetic, [(x, dead(Setting { activation, init, ..stress }))])
        })
    };
    let by_rate = Curve::measured("relu", arithmetic, RATES.map(|rate| (rate, dead(Setting { rate, ..ORDINARY }))));
    let by_bias = Curve::measured("relu", arithmetic, BIASES.map(|bias| (bias, dead(Setting { bias, ..ORDINARY }))));
    let dead_figure = |x: &str, log_x, plain, cured: [Curve; 3]| Figure {
        title: format!("Dead units after training against {x}"),
        x: x.to_owned(),
        y: "fraction of hidden units".to_owned(),
        log_x,
        series: std::iter::once(plain).chain(cured).collect(),
        ..Figure::default()
    };
    Ok(Outcome {
        conditions: conditions(&stresses, &cures),
        what_was_run: format!(
            "{}; rates {RATES:?}, biases {BIASES:?}; {}",
            Training::describe(&experiment_of(&ORDINARY)),
            seeds_in_words(&lab.seeds())
        ),
        figures: vec![
            dead_figure("learning rate", true, by_rate, cured(STRESSES[0].1, HIGH_RATE)),
            dead_figure("initial bias", false, by_bias, cured(STRESSES[1].1, LOW_BIAS)),
            born_dead_figure(lab)?,
        ],
    })
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

/// How many narrow networks are dead before training, beside the bounds of theory.
fn born_dead_figure(lab: &Lab) -> Result<Figure, ClaimError> {
    let networks = lab.choose(20, 200, 1000);
    let of_depth = |depth| Experiment { hidden: Some(vec![NARROW; depth]), ..lab.experiment() };
    let data = lab.data(&lab.experiment())?;
    let sample = first(&data.train, 500);
    let shape = data.shape();
    let fraction_dead = |depth: usize| {
        let trainings = lab.trainings(&of_depth(depth), &["relu"], 0..networks);
        let dead = trainings.iter().filter(|training| {
            let dead = dead_hidden_units(&lab.network_of(training, shape).valid(), &sample);
            dead.chunks(NARROW).any(|layer| layer.iter().all(|dead| *dead))
        });
        dead.count() as f64 / networks as f64
    };
    let measured = NARROW_DEPTHS.map(|depth| (depth as f64, vec![fraction_dead(depth)]));
    let bound = |which: fn((f64, f64)) -> f64| {
        NARROW_DEPTHS.map(|depth| (depth as f64, which(born_dead(&vec![NARROW; depth]))))
    };
    Ok(Figure {
        title: format!("Networks of width {NARROW} that are dead before training"),
        x: "hidden layers".to_owned(),
        y: "fraction of networks".to_owned(),
        series: vec![
            Curve::measured("500 images", arithmetic, measured),
            Curve::predicted("upper bound", bound(|(_, upper)| upper)),
            Curve::predicted("lower bound, any input", bound(|(lower, _)| lower)),
        ],
        ..Figure::default()
    })
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn verdict(stressed: f64, ordinary: f64, stay_dead: f64, cured: f64) -> Verdict {
        let dead = |other: f64| around(stressed).map(|stressed| (stressed, other)).to_vec();
        let stress =
            Stress { condition: "made".to_owned(), dead: dead(ordinary), stay_dead: around(stay_dead).to_vec() };
        let cure = Cure { condition: "made".to_owned(), dead: dead(cured) };
        CLAIM.judge(conditions(&[stress], &[cure])).verdict
    }

    #[test]
    fn death_that_stays_and_can_be_cured_confirms_and_its_reverse_refutes() {
        assert_eq!(verdict(0.5, 0.01, 0.98, 0.1), Verdict::Confirmed);
        assert_eq!(verdict(0.01, 0.01, 0.5, 0.01), Verdict::Refuted);
        assert_eq!(verdict(0.01, 0.5, 0.1, 0.5), Verdict::Refuted);
        // They die, but half of them come back.
        assert_eq!(verdict(0.5, 0.01, 0.5, 0.1), Verdict::Qualified);
        // Nobody was dead, so nobody could stay so.
        assert_eq!(verdict(0.5, 0.01, f64::NAN, 0.1), Verdict::NotSettled);
    }

    #[test]
    fn survival_follows_single_units() {
        // Unit 0 dies and stays, 1 dies and lives again, 2 dies, lives and dies again, 3 dies only at the end, 4 lives.
        let dead = vec![
            vec![false, true, true, false, false],
            vec![true, true, false, false, false],
            vec![true, false, true, true, false],
        ];
        assert!((survival_of_death(&dead) - 2.0 / 3.0).abs() < 1e-12);
        assert!(survival_of_death(&[vec![false], vec![true]]).is_nan());
        assert!(survival_of_death(&[vec![true], vec![true, true]]).is_nan());
        assert!(survival_of_death(&[]).is_nan());
    }
}
