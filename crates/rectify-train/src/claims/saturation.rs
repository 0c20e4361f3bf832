//! `saturation`: sigmoid and tanh saturate and lose sensitivity, ReLU does not.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    contest::{Contender, Contest},
    lab::{ClaimError, Lab, Rate, Setup, Trained, first, trained},
};
use crate::{
    data::DeviceSamples,
    experiment::{Experiment, Init},
    judge::{
        curve::{Curve, geometric},
        number::number,
        verdict::{Direction, Hypothesis, Sample},
    },
    network::Mlp,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "saturation",
    statement: "Sigmoid and tanh units saturate and lose their sensitivity; ReLU units do not.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.3.2; Glorot and Bengio 2010, Understanding the \
             difficulty of training deep feedforward neural networks, §3",
    criteria: &[&LOSES, &KEEPS],
    procedure: Procedure::of::<Saturation>(),
};

static LOSES: Criterion = Criterion {
    quantity: "mean of φ′² over a layer, after training over before, geometric mean over hidden layers",
    unit: "ratio",
    null_hypothesis: "A layer keeps half of its sensitivity or more.",
    hypothesis: Hypothesis::ratio(Direction::Below, 2.0),
    why: "φ′² is what a layer multiplies the gradient's mean square by, beside its weights. Half of it lost is a step less \
          than a layer's weights can make up for; less is within what any training changes.",
};
static KEEPS: Criterion = Criterion {
    quantity: "the same of ReLU, whose mean of φ′² is the fraction of its units that are on",
    unit: "ratio",
    null_hypothesis: "A ReLU layer loses half of its sensitivity.",
    hypothesis: Hypothesis::ratio(Direction::NotBelow, 2.0),
    why: "The same half.",
};

/// The study.
pub struct Saturation;

/// A network.
#[derive(Debug, Clone)]
pub struct Arm {
    contender: Contender,
    /// By U(±1 / √fan_in) without biases in place of the fair initialisation, at the same rate.
    textbook: bool,
}

/// Mean φ′² of each hidden layer before training and after, relative to the maximum of φ′².
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    before: Vec<f64>,
    after: Vec<f64>,
    trained: Trained,
}

impl Outcome {
    /// After over before, geometric mean over layers, as the gradient passes all of them; NaN where the training diverged.
    fn kept(&self) -> f64 {
        if self.trained.diverged {
            return f64::NAN;
        }
        let ratios: Vec<f64> = self.after.iter().zip(&self.before).map(|(after, before)| after / before).collect();
        geometric(&ratios)
    }
}

impl Study for Saturation {
    type Settings = Contest;
    type Pilot = Vec<Rate>;
    type Arm = Arm;
    type Outcome = Outcome;

    fn settings(plan: &Plan) -> Contest {
        Contest::of(&["sigmoid", "tanh", "relu"], plan)
    }

    fn pilot(lab: &Lab, contest: &Contest) -> Result<Vec<Rate>, ClaimError> {
        contest.tune(lab)
    }

    fn arms(contest: &Contest, rates: &Vec<Rate>) -> Vec<Arm> {
        let fair = contest.contenders(rates);
        let textbook = fair.iter().filter(|contender| contender.dataset == contest.dataset()).map(|contender| {
            let experiment =
                Experiment { init: Init::TorchDefault, bias_init: Some(0.0), ..contender.setup.experiment.clone() };
            let setup = Setup { experiment, ..contender.setup.clone() };
            Arm { contender: Contender { setup, ..contender.clone() }, textbook: true }
        });
        fair.iter().cloned().map(|contender| Arm { contender, textbook: false }).chain(textbook).collect()
    }

    fn measure(lab: &Lab, _: &Contest, arm: &Arm, seed: u64) -> Result<Outcome, ClaimError> {
        let setup = &arm.contender.setup;
        let (training, data) = (setup.training(seed), lab.data(&setup.experiment)?);
        let slope: fn(f64) -> f64 = match &*arm.contender.activation {
            "sigmoid" => |z| 1.0 / (2.0 + z.exp() + (-z).exp()),
            "tanh" => |z| z.cosh().powi(-2),
            _ => |z| f64::from(u8::from(z > 0.0)),
        };
        let network = lab.mlp(&training, &data);
        let before = sensitivities(&network.valid(), &data.validation, slope);
        let (network, run) = lab.train(network, &training, &data)?;
        let after = sensitivities(&network.valid(), &data.validation, slope);
        Ok(Outcome { before, after, trained: trained(&network, &run, &data) })
    }

    fn judge(contest: &Contest, rates: &Vec<Rate>, trials: &Trials<Arm, Outcome>) -> Findings {
        let of = |activation: &str, dataset: &str, textbook: bool| {
            let is = Contender::is(activation, dataset);
            trials.of(|arm| arm.textbook == textbook && is(&arm.contender))
        };
        let mut conditions = Vec::new();
        for (place, dataset) in contest.datasets.iter().enumerate() {
            for activation in &contest.activations {
                let criterion = if activation == "relu" { &KEEPS } else { &LOSES };
                let sample = |textbook| {
                    let outcomes = of(activation, dataset, textbook);
                    Sample::Effects(outcomes.into_iter().map(Outcome::kept).collect())
                };
                let name = format!("{activation}, {dataset}");
                if place == 0 {
                    conditions.push(Condition::primary(criterion, name.clone(), sample(false)));
                    let name = format!("{name}, textbook initialisation");
                    conditions.push(Condition::exploratory(criterion, name, sample(true)));
                } else {
                    conditions.push(Condition::exploratory(criterion, name, sample(false)));
                }
            }
        }
        let dataset = contest.dataset();
        let figures = contest.activations.iter().map(|activation| {
            let curve = |name: &str, textbook: bool, which: fn(&Outcome) -> &Vec<f64>| {
                let outcomes = of(activation, dataset, textbook);
                let layers = outcomes.iter().map(|outcome| which(outcome).len()).max().unwrap_or(0);
                let at = |layer: usize| outcomes.iter().filter_map(|o| which(o).get(layer).copied()).collect();
                Curve::measured(name, geometric, (0..layers).map(|layer| ((layer + 1) as f64, at(layer))))
            };
            Figure {
                title: format!("{activation}: mean φ′² relative to its maximum, {dataset}"),
                x: "layer".to_owned(),
                y: "mean φ′²".to_owned(),
                log_y: true,
                series: vec![
                    curve("before", false, |outcome| &outcome.before),
                    curve("after", false, |outcome| &outcome.after),
                    curve("after, textbook initialisation", true, |outcome| &outcome.after),
                ],
                ..Figure::default()
            }
        });
        Findings {
            conditions,
            what_was_run: contest.in_words(rates),
            diverged: trials.all().filter(|outcome| outcome.trained.diverged).count(),
            figures: figures.collect(),
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let of = |activation: &str| number(judgement.primary_effect(activation));
        format!(
            "At its best rate, training leaves sigmoid layers {} of their sensitivity, tanh layers {}, ReLU layers {}.",
            of("sigmoid"),
            of("tanh"),
            of("relu")
        )
    }
}

/// Samples that φ′² is the mean over.
const SAMPLES: usize = 1000;

/// Mean φ′² of each hidden layer, relative to the largest that φ′² can be.
fn sensitivities(network: &Mlp, samples: &DeviceSamples, slope: fn(f64) -> f64) -> Vec<f64> {
    let mut x = first(samples, SAMPLES).images();
    // Sigmoid and tanh are steepest at 0, ReLU right of it.
    let largest = slope(f64::MIN_POSITIVE).powi(2);
    let mean = |values: Vec<f64>| values.iter().map(|z| slope(*z).powi(2)).sum::<f64>() / values.len() as f64;
    network
        .hidden
        .iter()
        .map(|dense| {
            let z = dense.preactivation(x.clone());
            x = dense.activation.forward(z.clone());
            mean(z.into_data().iter::<f64>().collect()) / largest
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{contest::tests::rates, tests::plan},
        *,
    };
    use crate::judge::verdict::Verdict;

    fn verdict(curved: f64, relu: f64) -> Verdict {
        let (contest, rates) = (Saturation::settings(&plan()), rates(6));
        let arms = Saturation::arms(&contest, &rates);
        let outcome = |arm: &Arm| Outcome {
            before: vec![0.8, 0.4],
            after: [0.8, 0.4].map(|b| b * if arm.contender.activation == "relu" { relu } else { curved }).into(),
            trained: Trained { accuracy: 0.9, loss: 0.3, diverged: false },
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = Saturation::judge(&contest, &rates, &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn sensitivity_that_is_lost_beside_relus_that_is_kept_confirms_and_every_other_way_is_possible() {
        assert_eq!(verdict(0.1, 0.9), Verdict::Confirmed);
        assert_eq!(verdict(0.9, 0.3), Verdict::Refuted);
        assert_eq!(verdict(0.9, 0.9), Verdict::Qualified);
    }
}
