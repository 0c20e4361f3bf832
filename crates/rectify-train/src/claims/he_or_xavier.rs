//! `he-or-xavier`: does He's initialisation instead of Xavier's matter for a 30-layer ReLU network?

use serde::Serialize;

use super::{
    Claim, Condition, Criterion, Findings, Judgement, Plan, Procedure, Study, Trials,
    gradients::{self, Outcome, before_training},
    lab::{ClaimError, Lab, Rate, Setup, describe, rates_in_words},
};
use crate::{
    experiment::{Experiment, Init},
    judge::{
        number::{points, ratio},
        verdict::{Direction, Hypothesis, Sample},
    },
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "he-or-xavier",
    statement: "A 30-layer ReLU network learns with He's initialisation and stalls with Xavier's.",
    source: "He, Zhang, Ren and Sun 2015, Delving deep into rectifiers, §2.2 and figure 3: a 30-layer network converges \
             with theirs and stalls with Glorot and Bengio's",
    criteria: &[&VANISHES, &ARRIVES, &ACCURACY],
    procedure: Procedure::of::<HeOrXavier>(),
};

static VANISHES: Criterion = Criterion {
    quantity: "RMS of the gradient at the first hidden layer's pre-activations over that at the last's, before training, \
               with Xavier's initialisation",
    unit: "ratio",
    null_hypothesis: "More than a tenth of the gradient arrives.",
    hypothesis: Hypothesis::ratio(Direction::Below, 10.0),
    why: "The factor at which a gradient counts as vanished in `vanishing`.",
};
static ARRIVES: Criterion = Criterion {
    quantity: "the same with He's",
    unit: "ratio",
    null_hypothesis: "Less than a tenth of the gradient arrives.",
    hypothesis: Hypothesis::ratio(Direction::NotBelow, 10.0),
    why: "The same tenth.",
};
static ACCURACY: Criterion = Criterion {
    quantity: "test accuracy with He's initialisation less that with Xavier's, each at its best rate",
    unit: "fraction",
    null_hypothesis: "It gains no more than ten percentage points.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "That one learns and the other stalls is a matter of tens of points.",
};

const WIDTH: usize = 128;
const LAYERS: usize = 30;

/// The study.
pub struct HeOrXavier;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    experiment: Experiment,
    inits: Vec<Init>,
}

/// A network before training, or trained.
#[derive(Debug, Clone)]
pub struct Arm {
    init: Init,
    trained: bool,
    setup: Setup,
}

impl Study for HeOrXavier {
    type Settings = Settings;
    type Pilot = Vec<Rate>;
    type Arm = Arm;
    type Outcome = Outcome;

    fn settings(plan: &Plan) -> Settings {
        let experiment = Experiment {
            hidden: Some(vec![WIDTH; LAYERS]),
            train_size: plan.choose(Some(500), Some(5000), None),
            epochs: Some(plan.choose(1, 4, 10)),
            ..plan.experiment()
        };
        Settings { experiment, inits: vec![Init::HeNormal, Init::XavierNormal] }
    }

    fn pilot(lab: &Lab, settings: &Settings) -> Result<Vec<Rate>, ClaimError> {
        lab.tune(&setups(settings))
    }

    fn arms(settings: &Settings, rates: &Vec<Rate>) -> Vec<Arm> {
        let of = |(setup, rate): (Setup, &Rate)| {
            let experiment = before_training(setup.experiment.clone(), 500);
            let (init, before) = (setup.experiment.init, Setup { experiment, ..setup.clone() });
            [
                Arm { init, trained: false, setup: before },
                Arm { init, trained: true, setup: setup.with_rate(rate.rate) },
            ]
        };
        setups(settings).into_iter().zip(rates).flat_map(of).collect()
    }

    fn measure(lab: &Lab, _: &Settings, arm: &Arm, seed: u64) -> Result<Outcome, ClaimError> {
        Outcome::measure(lab, &arm.setup, seed)
    }

    fn judge(settings: &Settings, rates: &Vec<Rate>, trials: &Trials<Arm, Outcome>) -> Findings {
        let is = |init: Init, trained: bool| move |arm: &Arm| arm.init == init && arm.trained == trained;
        let ratios = |init: Init| Sample::Effects(trials.of(is(init, false)).into_iter().map(Outcome::ratio).collect());
        let gain = |he: &Outcome, xavier: &Outcome| he.accuracy() - xavier.accuracy();
        let gains = trials.pairs(is(Init::HeNormal, true), is(Init::XavierNormal, true), gain);
        let curves = settings.inits.iter().flat_map(|&init| {
            let layers: Vec<&[f64]> = trials.of(is(init, false)).into_iter().map(Outcome::layers).collect();
            // Xavier's variance is 1 / n where layers are equally wide, He's 2 / n.
            let weight_variance = if init == Init::HeNormal { 2.0 } else { 1.0 };
            let network = gradients::network("relu", weight_variance);
            let name = init.to_string();
            [gradients::measured(name.clone(), &layers), gradients::predicted(name, &network, LAYERS)]
        });
        let names: Vec<String> = settings.inits.iter().map(ToString::to_string).collect();
        Findings {
            conditions: vec![
                Condition::primary(&ACCURACY, "accuracy", Sample::Effects(gains)),
                Condition::primary(&VANISHES, "xavier-normal, gradient", ratios(Init::XavierNormal)),
                Condition::primary(&ARRIVES, "he-normal, gradient", ratios(Init::HeNormal)),
            ],
            what_was_run: format!(
                "{}; rates: {}",
                describe(&settings.experiment),
                rates_in_words(names.iter().map(String::as_str), rates)
            ),
            diverged: trials.all().filter(|outcome| outcome.diverged()).count(),
            figures: vec![gradients::figure(gradients::TITLE, curves.collect())],
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        format!(
            "In 30 ReLU layers {} of the gradient arrives with Xavier's weights, {} with He's, which gain {} points.",
            ratio(judgement.effect("xavier-normal, gradient")),
            ratio(judgement.effect("he-normal, gradient")),
            points(judgement.effect("accuracy"))
        )
    }
}

/// A ReLU network from each initialisation, without a rate.
fn setups(settings: &Settings) -> Vec<Setup> {
    let of = |&init: &Init| Setup::new(Experiment { init, ..settings.experiment.clone() }, "relu");
    settings.inits.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{contest::tests::rates, tests::plan},
        *,
    };
    use crate::{claims::lab::Trained, judge::verdict::Verdict};

    fn verdict(xavier: f64, he: f64, gain: f64) -> Verdict {
        let (settings, rates) = (HeOrXavier::settings(&plan()), rates(2));
        let arms = HeOrXavier::arms(&settings, &rates);
        let outcome = |arm: &Arm| {
            let he_normal = arm.init == Init::HeNormal;
            match arm.trained {
                false => Outcome::Gradients(vec![if he_normal { he } else { xavier }, 1.0]),
                true => {
                    let accuracy = if he_normal { 0.1 + gain } else { 0.1 };
                    Outcome::Trained(Trained { accuracy, loss: 1.0, diverged: false })
                }
            }
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = HeOrXavier::judge(&settings, &rates, &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn a_network_that_learns_with_hes_alone_confirms_and_each_part_can_fail() {
        assert_eq!(verdict(1e-4, 0.8, 0.8), Verdict::Confirmed);
        assert_eq!(verdict(0.9, 0.01, 0.0), Verdict::Refuted);
        assert_eq!(verdict(1e-4, 0.8, 0.01), Verdict::Qualified);
    }

    #[test]
    fn theory_has_a_factor_of_the_square_root_of_two_a_layer_with_xaviers() {
        let network = gradients::network("relu", 1.0);
        let first = network.gradient_profile(&network.variances(1.0, LAYERS))[0];
        assert!((first / 0.5f64.powf(14.5) - 1.0).abs() < 1e-6, "{first}");
    }
}
