//! `sparsity`: ReLU gives true zeros.

use burn::{module::Module, tensor::Tensor};
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    contest::{Contender, Contest},
    lab::{ClaimError, Lab, Rate, Trained, trained},
};
use crate::{
    data::{Batch, DeviceSamples},
    judge::{
        curve::{Curve, arithmetic},
        number::{percent, points},
        verdict::{Direction, Hypothesis, Sample},
    },
    network::{Dense, Mlp, Network, Objective, outputs},
    observe::Trace,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "sparsity",
    statement: "ReLU makes activations truly zero: half of them at the start, many after training, and more at no cost \
                with an L1 penalty.",
    source: "Glorot, Bordes and Bengio 2011, Deep sparse rectifier neural networks, §3 and figure 3",
    criteria: &[&START, &TRAINED, &PENALTY, &COST],
    procedure: Procedure::of::<Sparsity>(),
};

static START: Criterion = Criterion {
    quantity: "fraction of exact zeros in ReLU's activations before training",
    unit: "fraction",
    null_hypothesis: "It is not about a half.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.5, 0.1),
    why: "Pre-activations are symmetric about 0 over weights, which makes it ½; a layer of 128 units on one data set \
          strays from that by a few points.",
};
static TRAINED: Criterion = Criterion {
    quantity: "fraction of exact zeros in ReLU's activations after training less that in sigmoid's or tanh's",
    unit: "fraction",
    null_hypothesis: "ReLU has no more zeros than the others.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "A tenth of zeros is the least that any sparse computation has gained by.",
};
static PENALTY: Criterion = Criterion {
    quantity: "fraction of exact zeros with an L1 penalty on activations less that without",
    unit: "fraction",
    null_hypothesis: "The penalty adds no zeros.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "The same tenth.",
};
static COST: Criterion = Criterion {
    quantity: "test accuracy with the L1 penalty less that without",
    unit: "fraction",
    null_hypothesis: "The penalty costs a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::NotBelow, 0.0, 0.01),
    why: "Glorot, Bordes and Bengio see no cost up to about 85 % of zeros. With a decayed rate, pairs of seeds differ by a \
          few tenths of a point.",
};

/// What is put on the sum of a sample's absolute activations. Glorot, Bordes and Bengio try 0 to 0.01; the middle one is
/// judged.
const PENALTIES: [f64; 3] = [1e-4, 1e-3, 1e-2];
const JUDGED: f64 = 1e-3;

/// A network whose objective has an L1 penalty on the activations of its hidden layers.
#[derive(Module, Debug)]
struct Penalised {
    mlp: Mlp,
    penalty: f64,
}

impl Network for Penalised {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        trace.within("mlp", |trace| self.mlp.forward(images, trace))
    }

    fn objective(&self, batch: Batch, trace: &mut Trace) -> Objective {
        if self.penalty == 0.0 {
            let outputs = outputs(self, batch.images, trace);
            return Objective { value: self.loss(outputs.clone(), batch.labels), outputs };
        }
        let [samples, _] = batch.images.dims();
        let mut x = batch.images;
        let mut size = Tensor::zeros([1], (&x.device(), x.dtype()));
        for (i, dense) in self.mlp.hidden.iter().enumerate() {
            x = dense.forward(&format!("mlp.hidden.{i}"), x, trace);
            size = size + x.clone().abs().sum();
        }
        let outputs = trace.output("mlp.output", self.mlp.output.forward(x));
        let loss = self.loss(outputs.clone(), batch.labels);
        Objective { value: loss + size * (self.penalty / samples as f64), outputs }
    }
}

/// The study.
pub struct Sparsity;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    contest: Contest,
    penalties: Vec<f64>,
}

/// A network, and the penalty in its objective.
#[derive(Debug, Clone)]
pub struct Arm {
    contender: Contender,
    penalty: f64,
}

/// One training.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Fraction of exact zeros in each hidden layer over the whole validation set, before training.
    before: Vec<f64>,
    /// And after.
    after: Vec<f64>,
    trained: Trained,
}

impl Study for Sparsity {
    type Settings = Settings;
    type Pilot = Vec<Rate>;
    type Arm = Arm;
    type Outcome = Outcome;

    fn settings(plan: &Plan) -> Settings {
        Settings { contest: Contest::of(&["relu", "sigmoid", "tanh"], plan), penalties: PENALTIES.to_vec() }
    }

    fn pilot(lab: &Lab, settings: &Settings) -> Result<Vec<Rate>, ClaimError> {
        settings.contest.tune(lab)
    }

    fn arms(settings: &Settings, rates: &Vec<Rate>) -> Vec<Arm> {
        let with_penalties = |contender: Contender| -> Vec<Arm> {
            let decides = contender.dataset == settings.contest.dataset();
            let penalties = settings.penalties.iter().copied().filter(|penalty| decides || *penalty == JUDGED);
            let penalties = penalties.filter(|_| contender.activation == "relu");
            let arm = |penalty| Arm { contender: contender.clone(), penalty };
            [0.0].into_iter().chain(penalties).map(arm).collect()
        };
        settings.contest.contenders(rates).into_iter().flat_map(with_penalties).collect()
    }

    fn measure(lab: &Lab, _: &Settings, arm: &Arm, seed: u64) -> Result<Outcome, ClaimError> {
        let setup = &arm.contender.setup;
        let (training, data) = (setup.training(seed), lab.data(&setup.experiment)?);
        let mlp = lab.mlp(&training, &data);
        let before = zeros(&mlp.valid(), &data.validation);
        if arm.penalty == 0.0 {
            let (mlp, _, trained) = lab.fit(mlp, &training, &data)?;
            return Ok(Outcome { before, after: zeros(&mlp.valid(), &data.validation), trained });
        }
        let (network, run) = lab.train(Penalised { mlp, penalty: arm.penalty }, &training, &data)?;
        let after = zeros(&network.mlp.valid(), &data.validation);
        Ok(Outcome { before, after, trained: trained(&network, &run, &data) })
    }

    fn judge(settings: &Settings, rates: &Vec<Rate>, trials: &Trials<Arm, Outcome>) -> Findings {
        let is = |activation: &'static str, dataset: &str, penalty: f64| {
            let is = Contender::is(activation, dataset);
            move |arm: &Arm| arm.penalty == penalty && is(&arm.contender)
        };
        let less = |dataset: &str, a: (&'static str, f64), b: (&'static str, f64), of: fn(&Outcome) -> f64| {
            Sample::Effects(trials.pairs(is(a.0, dataset, a.1), is(b.0, dataset, b.1), |a, b| of(a) - of(b)))
        };
        let after = |outcome: &Outcome| arithmetic(&outcome.after);
        let accuracy = |outcome: &Outcome| outcome.trained.accuracy;
        let mut conditions = Vec::new();
        for (place, dataset) in settings.contest.datasets.iter().enumerate() {
            let start = trials.of(is("relu", dataset, 0.0)).iter().map(|o| arithmetic(&o.before)).collect();
            let against = |other| less(dataset, ("relu", 0.0), (other, 0.0), after);
            let (judged, plain) = (("relu", JUDGED), ("relu", 0.0));
            let all = [
                (&START, "before training", Sample::Effects(start)),
                (&TRAINED, "after training, against tanh", against("tanh")),
                (&PENALTY, "L1 penalty, zeros", less(dataset, judged, plain, after)),
                (&COST, "L1 penalty, accuracy", less(dataset, judged, plain, accuracy)),
            ];
            for (criterion, name, sample) in all {
                let name = format!("{name}, {dataset}");
                conditions.push(match place {
                    0 => Condition::primary(criterion, name, sample),
                    _ => Condition::exploratory(criterion, name, sample),
                });
            }
            let name = format!("after training, against sigmoid, {dataset}");
            conditions.push(Condition::exploratory(&TRAINED, name, against("sigmoid")));
        }
        let dataset = settings.contest.dataset();
        let by_layer = |name: &str, penalty: f64, which: fn(&Outcome) -> &Vec<f64>| {
            let outcomes = trials.of(is("relu", dataset, penalty));
            let layers = outcomes.iter().map(|outcome| which(outcome).len()).max().unwrap_or(0);
            let at = |layer: usize| outcomes.iter().filter_map(|o| which(o).get(layer).copied()).collect();
            Curve::measured(name, arithmetic, (0..layers).map(|layer| ((layer + 1) as f64, at(layer))))
        };
        let penalised = settings.penalties.iter().map(|&p| by_layer(&format!("L1 {p}"), p, |outcome| &outcome.after));
        let layers =
            [by_layer("before", 0.0, |outcome| &outcome.before), by_layer("after", 0.0, |outcome| &outcome.after)];
        let of_penalty = |of: fn(&Outcome) -> f64| {
            let at = |penalty: &f64| {
                // A logarithmic axis has no 0.
                let x = if *penalty == 0.0 { PENALTIES[0] / 10.0 } else { *penalty };
                (x, trials.of(is("relu", dataset, *penalty)).into_iter().map(of).collect())
            };
            [0.0].iter().chain(&settings.penalties).map(at).collect::<Vec<_>>()
        };
        let figure = |title: String, x: &str, y: &str, series| Figure {
            title,
            x: x.to_owned(),
            y: y.to_owned(),
            series,
            ..Figure::default()
        };
        Findings {
            figures: vec![
                figure(
                    format!("ReLU's exact zeros by layer, {dataset}"),
                    "layer",
                    "fraction of zeros",
                    layers.into_iter().chain(penalised).collect(),
                ),
                Figure {
                    log_x: true,
                    ..figure(
                        format!("Accuracy and zeros by penalty (leftmost: none), {dataset}"),
                        "L1 penalty",
                        "fraction",
                        vec![
                            Curve::measured("zeros", arithmetic, of_penalty(after)),
                            Curve::measured("test accuracy", arithmetic, of_penalty(accuracy)),
                        ],
                    )
                },
            ],
            conditions,
            what_was_run: format!(
                "{}; L1 penalties {:?}; zeros over the whole validation set",
                settings.contest.in_words(rates),
                settings.penalties
            ),
            diverged: trials.all().filter(|outcome| outcome.trained.diverged).count(),
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let of = |begins: &str| judgement.primary_effect(begins);
        format!(
            "ReLU's activations are {} % zeros at first; an L1 penalty adds {} points of zeros and {} of accuracy.",
            percent(of("before training"), 0),
            percent(of("L1 penalty, zeros"), 0),
            points(of("L1 penalty, accuracy"))
        )
    }
}

/// The fraction of each hidden layer's activations that is exactly 0 over some samples.
fn zeros(network: &Mlp, samples: &DeviceSamples) -> Vec<f64> {
    let mut x = samples.images();
    let layer = |dense: &Dense| {
        x = dense.activation.forward(dense.preactivation(x.clone()));
        x.clone().equal_elem(0.0).int().sum().into_scalar::<i64>() as f64 / x.shape().num_elements() as f64
    };
    network.hidden.iter().map(layer).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{contest::tests::rates, lab::Setup, tests::plan},
        *,
    };
    use crate::experiment::Experiment;
    use crate::judge::verdict::Verdict;

    fn verdict(start: f64, trained: f64, penalised: f64, cost: f64) -> Verdict {
        let settings = Sparsity::settings(&plan());
        let rates = rates(6);
        let arms = Sparsity::arms(&settings, &rates);
        let outcome = |arm: &Arm| {
            let (after, accuracy) = match (&*arm.contender.activation, arm.penalty > 0.0) {
                ("relu", false) => (trained, 0.95),
                ("relu", true) => (penalised, 0.95 - cost),
                _ => (0.0, 0.95),
            };
            let trained = Trained { accuracy, loss: 0.1, diverged: false };
            Outcome { before: vec![start; 2], after: vec![after; 2], trained }
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = Sparsity::judge(&settings, &rates, &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn true_zeros_that_cost_nothing_confirm_and_every_part_can_fail() {
        assert_eq!(verdict(0.5, 0.6, 0.8, 0.0), Verdict::Confirmed);
        assert_eq!(verdict(0.1, 0.05, 0.06, 0.05), Verdict::Refuted);
        assert_eq!(verdict(0.5, 0.6, 0.8, 0.05), Verdict::Qualified);
    }

    #[cfg(feature = "flex")]
    #[test]
    fn zeros_are_counted_over_all_samples_of_a_set() {
        use std::sync::atomic::AtomicBool;

        let stop = AtomicBool::new(false);
        let lab = Lab::new(plan(), "flex", Some(1), &stop, &|_, _| {}).unwrap();
        let setup = Setup::new(Experiment { train_size: Some(100), ..plan().experiment() }, "relu");
        let Ok(data) = lab.data(&setup.experiment) else { return };
        // The whole validation set, not what is evaluated between epochs.
        assert!(data.validation.len() >= 5000, "{}", data.validation.len());
        let all = zeros(&lab.mlp(&setup.training(1), &data).valid(), &data.validation);
        assert!(all.iter().all(|zero| (0.3..0.7).contains(zero)), "{all:?}");
    }
}
