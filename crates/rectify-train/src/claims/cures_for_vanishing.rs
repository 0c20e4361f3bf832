//! `normalisation` and `residual`: do they cure vanishing gradients in sigmoid networks?

use serde::Serialize;

use super::{
    Claim, Condition, Criterion, Findings, Judgement, Plan, Procedure, Study, Trials,
    gradients::{self, Outcome, before_training},
    lab::{ClaimError, Lab, Rate, Setup, describe, rates_in_words},
};
use crate::{
    experiment::{Experiment, Init, NormKind},
    judge::{
        anytime::median,
        number::{percent, ratio},
        verdict::{Direction, Hypothesis, Sample},
    },
};

/// Batch and layer normalisation.
pub static NORMALISATION: Claim = Claim {
    id: "normalisation",
    statement: "Batch and layer normalisation cure vanishing gradients in deep sigmoid networks, which then learn.",
    source: "Ioffe and Szegedy 2015, Batch normalization, §4.2 (sigmoid in Inception, which does not train without); Ba, \
             Kiros and Hinton 2016, Layer normalization",
    criteria: &[&ARRIVES, &LEARNS],
    procedure: Procedure::of::<Cures<false>>(),
};

/// Residual connections.
pub static RESIDUAL: Claim = Claim {
    id: "residual",
    statement: "Residual connections cure vanishing gradients in deep sigmoid networks, which then learn.",
    source: "He, Zhang, Ren and Sun 2016, Deep residual learning for image recognition; the same, Identity mappings in \
             deep residual networks, §2",
    criteria: &[&ARRIVES, &LEARNS],
    procedure: Procedure::of::<Cures<true>>(),
};

static ARRIVES: Criterion = Criterion {
    quantity: "RMS of the gradient at the first hidden layer's pre-activations over that at the last's, before training, \
               with the cure",
    unit: "ratio",
    null_hypothesis: "Less than a tenth of the gradient arrives at the first layer.",
    hypothesis: Hypothesis::ratio(Direction::NotBelow, 10.0),
    why: "The factor at which a gradient counts as vanished in `vanishing`.",
};
static LEARNS: Criterion = Criterion {
    quantity: "test accuracy with the cure less that without, each at its best rate",
    unit: "fraction",
    null_hypothesis: "The network learns no more than ten percentage points better.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "A cure is told from an improvement by this: a network that learned hardly anything learns.",
};

const WIDTH: usize = 128;
const LAYERS: usize = 10;

/// The study of normalisation, or of residual connections.
pub struct Cures<const BY_RESIDUAL: bool>;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    experiment: Experiment,
    cures: Vec<Cure>,
}

/// What is put around each layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Cure {
    /// Nothing.
    None,
    /// A normalisation.
    Norm(NormKind),
    /// Skips.
    Residual,
}

impl Cure {
    fn name(self) -> String {
        match self {
            Self::None => "neither".to_owned(),
            Self::Norm(norm) => format!("{norm} normalisation"),
            Self::Residual => "residual connections".to_owned(),
        }
    }
}

/// A network before training, or trained.
#[derive(Debug, Clone)]
pub struct Arm {
    cure: Cure,
    trained: bool,
    setup: Setup,
}

impl<const BY_RESIDUAL: bool> Study for Cures<BY_RESIDUAL> {
    type Settings = Settings;
    type Pilot = Vec<Rate>;
    type Arm = Arm;
    type Outcome = Outcome;

    fn settings(plan: &Plan) -> Settings {
        let experiment = Experiment {
            hidden: Some(vec![WIDTH; LAYERS]),
            // The textbook's case of a vanishing gradient.
            init: Init::TorchDefault,
            bias_init: Some(0.0),
            train_size: plan.choose(Some(1000), Some(5000), None),
            ..plan.experiment()
        };
        let cures = match BY_RESIDUAL {
            true => vec![Cure::None, Cure::Residual],
            false => vec![Cure::None, Cure::Norm(NormKind::Batch), Cure::Norm(NormKind::Layer)],
        };
        Settings { experiment, cures }
    }

    fn pilot(lab: &Lab, settings: &Settings) -> Result<Vec<Rate>, ClaimError> {
        lab.tune(&setups(settings))
    }

    fn arms(settings: &Settings, rates: &Vec<Rate>) -> Vec<Arm> {
        let of = |((cure, setup), rate): ((&Cure, Setup), &Rate)| {
            let experiment = before_training(setup.experiment.clone(), 1000);
            let before = Setup { experiment, ..setup.clone() };
            [
                Arm { cure: *cure, trained: false, setup: before },
                Arm { cure: *cure, trained: true, setup: setup.with_rate(rate.rate) },
            ]
        };
        settings.cures.iter().zip(setups(settings)).zip(rates).flat_map(of).collect()
    }

    fn measure(lab: &Lab, _: &Settings, arm: &Arm, seed: u64) -> Result<Outcome, ClaimError> {
        Outcome::measure(lab, &arm.setup, seed)
    }

    fn judge(settings: &Settings, rates: &Vec<Rate>, trials: &Trials<Arm, Outcome>) -> Findings {
        let is = |cure: Cure, trained: bool| move |arm: &Arm| arm.cure == cure && arm.trained == trained;
        let ratios = |cure: Cure| Sample::Effects(trials.of(is(cure, false)).into_iter().map(Outcome::ratio).collect());
        let mut conditions = Vec::new();
        for &cure in settings.cures.iter().filter(|cure| **cure != Cure::None) {
            conditions.push(Condition::primary(&ARRIVES, format!("{}, gradient", cure.name()), ratios(cure)));
            let gains = trials
                .pairs(is(cure, true), is(Cure::None, true), |with, without| with.accuracy() - without.accuracy());
            conditions.push(Condition::primary(&LEARNS, format!("{}, accuracy", cure.name()), Sample::Effects(gains)));
        }
        conditions.push(Condition::exploratory(&ARRIVES, "neither, gradient", ratios(Cure::None)));
        let curve = |cure: &Cure| {
            let layers: Vec<&[f64]> = trials.of(is(*cure, false)).into_iter().map(Outcome::layers).collect();
            gradients::measured(cure.name(), &layers)
        };
        let names: Vec<String> = settings.cures.iter().map(|cure| cure.name()).collect();
        let without = trials.of(is(Cure::None, true));
        let without: Vec<f64> = without.into_iter().map(Outcome::accuracy).collect();
        Findings {
            conditions,
            what_was_run: format!(
                "sigmoid, U(±1/√n) without biases, {}; rates: {}; without a cure {} % of the test set are right",
                describe(&settings.experiment),
                rates_in_words(names.iter().map(String::as_str), rates),
                percent(median(&without), 1)
            ),
            diverged: trials.all().filter(|outcome| outcome.diverged()).count(),
            figures: vec![gradients::figure(gradients::TITLE, settings.cures.iter().map(curve).collect())],
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let of = |name: &str| judgement.effect(name);
        let before = ratio(of("neither, gradient"));
        if BY_RESIDUAL {
            let (gradient, gain) = (of("residual connections, gradient"), of("residual connections, accuracy"));
            return format!(
                "Residual connections raise sigmoid's gradient ratio from {before} to {} and its accuracy by {} points.",
                ratio(gradient),
                percent(gain, 0)
            );
        }
        format!(
            "Sigmoid's gradient ratio of {before} becomes {} by batch, {} by layer normalisation; accuracy gains {} and {} points.",
            ratio(of("batch normalisation, gradient")),
            ratio(of("layer normalisation, gradient")),
            percent(of("batch normalisation, accuracy"), 0),
            percent(of("layer normalisation, accuracy"), 0)
        )
    }
}

/// A sigmoid network with each cure, without a rate.
fn setups(settings: &Settings) -> Vec<Setup> {
    let with = |cure: &Cure| {
        let base = settings.experiment.clone();
        let experiment = match *cure {
            Cure::None => base,
            Cure::Norm(norm) => Experiment { norm, ..base },
            Cure::Residual => Experiment { residual: true, ..base },
        };
        Setup::new(experiment, "sigmoid")
    };
    settings.cures.iter().map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{contest::tests::rates, tests::plan},
        *,
    };
    use crate::{claims::lab::Trained, judge::verdict::Verdict};

    fn verdict<const BY_RESIDUAL: bool>(claim: &Claim, arrives: f64, gain: f64) -> Verdict {
        let settings = Cures::<BY_RESIDUAL>::settings(&plan());
        let rates = rates(settings.cures.len());
        let arms = Cures::<BY_RESIDUAL>::arms(&settings, &rates);
        let outcome = |arm: &Arm| match (arm.trained, arm.cure) {
            (false, Cure::None) => Outcome::Gradients(vec![1e-6, 1.0]),
            (false, _) => Outcome::Gradients(vec![arrives, 1.0]),
            (true, cure) => {
                let accuracy = if cure == Cure::None { 0.1 } else { 0.1 + gain };
                Outcome::Trained(Trained { accuracy, loss: 1.0, diverged: false })
            }
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = Cures::<BY_RESIDUAL>::judge(&settings, &rates, &Trials { arms: &arms, seeds: &seeds });
        claim.judge(findings.conditions).verdict
    }

    #[test]
    fn a_gradient_that_arrives_in_a_network_that_learns_confirms() {
        assert_eq!(verdict::<false>(&NORMALISATION, 0.5, 0.8), Verdict::Confirmed);
        assert_eq!(verdict::<true>(&RESIDUAL, 0.5, 0.8), Verdict::Confirmed);
        assert_eq!(verdict::<true>(&RESIDUAL, 1e-3, 0.0), Verdict::Refuted);
        // It arrives, and nothing is learned all the same.
        assert_eq!(verdict::<false>(&NORMALISATION, 0.5, 0.0), Verdict::Qualified);
    }
}
