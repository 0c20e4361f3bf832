//! `linear-collapse`: without activation, a deep network is a linear model.

use burn::{module::Module, tensor::Tensor};
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    lab::{ClaimError, Lab, Setup, describe},
};
use crate::{
    experiment::{Experiment, OptimizerKind},
    judge::{
        curve::{Curve, geometric},
        number::ratio,
        verdict::{Direction, Hypothesis, Sample},
    },
    network::{Dense, Model, Network, parameters},
    observe::Trace,
    train::evaluate,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "linear-collapse",
    statement: "Without activation functions a deep network is a linear model.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.1; on how deep linear networks learn all the \
             same: Saxe, McClelland and Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep \
             linear neural networks",
    criteria: &[&PRODUCT, &BOUNDED, &RELU_BELOW],
    procedure: Procedure::of::<LinearCollapse>(),
};

static PRODUCT: Criterion = Criterion {
    quantity: "largest difference between the trained deep linear network's output and that of the product of its \
               matrices, relative to the largest output",
    unit: "1",
    null_hypothesis: "The outputs differ by more than rounding.",
    hypothesis: Hypothesis::difference(Direction::Below, 2e-4, 1e-4),
    why: "Rounding of f32 (1.2e-7) over six sums of up to 784 terms adds up like a random walk to about 2e-5; five \
          times that is still nothing that a non-linearity could hide in.",
};
static BOUNDED: Criterion = Criterion {
    quantity: "training loss of the deep linear network over that of softmax regression, trained close to its optimum",
    unit: "ratio",
    null_hypothesis: "The deep network goes under the best linear model by a tenth or more.",
    hypothesis: Hypothesis::ratio(Direction::NotBelow, 1.1),
    why: "The loss of every linear model is at least the optimum of softmax regression, which is convex. A tenth is left \
          for what its training is short of that.",
};
static RELU_BELOW: Criterion = Criterion {
    quantity: "training loss of the same network with ReLU over that of softmax regression, trained close to its optimum",
    unit: "ratio",
    null_hypothesis: "ReLU stays within a half of the best linear model.",
    hypothesis: Hypothesis::ratio(Direction::Below, 2.0),
    why: "Half of a loss that no linear model can go under is far more than softmax regression's training is short of.",
};

/// The study.
pub struct LinearCollapse;

/// What is run, on each data set.
#[derive(Serialize)]
pub struct Settings {
    /// The deep network, with and without ReLU.
    deep: Experiment,
    /// Softmax regression, for a multiple of the steps.
    softmax: Experiment,
    datasets: Vec<String>,
}

/// A network on a data set.
#[derive(Debug)]
pub struct Arm {
    dataset: String,
    kind: Kind,
    setup: Setup,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    DeepLinear,
    Softmax,
    DeepRelu,
}

/// What one network came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Mean loss over the whole training set at the end; infinite where the training diverged.
    loss: f64,
    /// Largest |output − output of the product of the matrices| over the test set, relative to the largest |output|.
    product_error: f64,
    /// Training loss by epoch.
    losses: Vec<f64>,
}

impl Study for LinearCollapse {
    type Settings = Settings;
    type Pilot = ();
    type Arm = Arm;
    type Outcome = Outcome;

    fn settings(plan: &Plan) -> Settings {
        // Deep linear networks diverge at the rates that are ordinary with an activation; Adam needs no rate for each.
        let deep = Experiment {
            optimizer: OptimizerKind::Adam,
            train_size: plan.choose(Some(1000), Some(5000), None),
            epochs: Some(plan.choose(4, 12, 20)),
            ..plan.experiment()
        };
        let softmax = Experiment {
            hidden: Some(Vec::new()),
            lr: Some(0.01),
            epochs: Some(plan.choose(20, 60, 60)),
            ..deep.clone()
        };
        // That a network without activations is linear has nothing to do with the data.
        let datasets = plan.choose(1, 1, plan.datasets.len());
        Settings { deep, softmax, datasets: plan.datasets[..datasets].to_vec() }
    }

    fn pilot(_: &Lab, _: &Settings) -> Result<(), ClaimError> {
        Ok(())
    }

    fn arms(settings: &Settings, (): &()) -> Vec<Arm> {
        let on = |dataset: &String| {
            let of = |kind, experiment: &Experiment, activation| {
                let experiment = Experiment { dataset: dataset.clone(), ..experiment.clone() };
                Arm { dataset: dataset.clone(), kind, setup: Setup::new(experiment, activation) }
            };
            [
                of(Kind::DeepLinear, &settings.deep, "none"),
                of(Kind::Softmax, &settings.softmax, "none"),
                of(Kind::DeepRelu, &settings.deep, "relu"),
            ]
        };
        settings.datasets.iter().flat_map(on).collect()
    }

    fn measure(lab: &Lab, _: &Settings, arm: &Arm, seed: u64) -> Result<Outcome, ClaimError> {
        let (training, data) = (arm.setup.training(seed), lab.data(&arm.setup.experiment)?);
        let (network, run, trained) = lab.fit(lab.network(&training, &data), &training, &data)?;
        let loss = evaluate(&network.valid(), &data.train).loss.filter(|_| !trained.diverged);
        Ok(Outcome {
            loss: loss.unwrap_or(f64::INFINITY),
            product_error: product_error(&network, data.test.images()),
            losses: run.epochs.iter().skip(1).filter_map(|epoch| epoch.train_loss).collect(),
        })
    }

    fn judge(settings: &Settings, (): &(), trials: &Trials<Arm, Outcome>) -> Findings {
        let first = &settings.datasets[0];
        let over_softmax = |dataset: &String, kind: Kind| {
            let is = |kind: Kind| move |arm: &Arm| arm.dataset == *dataset && arm.kind == kind;
            Sample::Effects(trials.pairs(is(kind), is(Kind::Softmax), |a, b| a.loss / b.loss))
        };
        let products = trials.of(|arm| arm.dataset == *first && arm.kind == Kind::DeepLinear);
        let errors = Sample::Effects(products.iter().map(|outcome| outcome.product_error).collect());
        let mut conditions = vec![
            Condition::primary(&PRODUCT, "product of matrices", errors),
            Condition::primary(&BOUNDED, format!("deep linear, {first}"), over_softmax(first, Kind::DeepLinear)),
        ];
        let relu = over_softmax(first, Kind::DeepRelu);
        conditions.push(Condition::primary(&RELU_BELOW, format!("ReLU, {first}"), relu));
        for dataset in &settings.datasets[1..] {
            let (linear, relu) = (over_softmax(dataset, Kind::DeepLinear), over_softmax(dataset, Kind::DeepRelu));
            conditions.push(Condition::exploratory(&BOUNDED, format!("deep linear, {dataset}"), linear));
            conditions.push(Condition::exploratory(&RELU_BELOW, format!("ReLU, {dataset}"), relu));
        }
        let curve = |(kind, name): (Kind, &str)| {
            let outcomes = trials.of(|arm| arm.dataset == *first && arm.kind == kind);
            let epochs = outcomes.iter().map(|outcome| outcome.losses.len()).max().unwrap_or(0);
            let at = |epoch: usize| outcomes.iter().filter_map(|outcome| outcome.losses.get(epoch).copied()).collect();
            Curve::measured(name, geometric, (0..epochs).map(|epoch| ((epoch + 1) as f64, at(epoch))))
        };
        let kinds =
            [(Kind::DeepLinear, "deep linear"), (Kind::Softmax, "softmax regression"), (Kind::DeepRelu, "deep ReLU")];
        Findings {
            conditions,
            what_was_run: format!("{}; softmax regression: {}", describe(&settings.deep), describe(&settings.softmax)),
            diverged: trials.all().filter(|outcome| outcome.loss.is_infinite()).count(),
            figures: vec![Figure {
                title: format!("Training loss, {first}"),
                x: "epoch".to_owned(),
                y: "loss, nats a sample".to_owned(),
                log_y: true,
                series: kinds.map(curve).into(),
                ..Figure::default()
            }],
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let relu = ratio(judgement.primary_effect("ReLU, "));
        match judgement.holds("product of matrices") {
            true => format!(
                "A deep linear network is one matrix; ReLU reaches {relu} of the best linear model's training loss."
            ),
            false => format!("The deep network is not one matrix; with ReLU its loss is {relu} of the linear model's."),
        }
    }
}

/// Largest |output − collapsed output| over the images, relative to the largest |output|, where the collapsed network is
/// the product of the deep one's matrices; NaN for a CNN.
fn product_error(network: &Model, images: Tensor<2>) -> f64 {
    let Model::Mlp(network) = network.valid() else { return f64::NAN };
    let output = network.forward(images.clone(), &mut Trace::off());
    let output_layer = parameters(&network.output);
    let product = network
        .hidden
        .iter()
        .map(Dense::parameters)
        .chain([output_layer])
        .map(|(weight, bias)| (weight, bias.unsqueeze()))
        .reduce(|(w, b): (Tensor<2>, Tensor<2>), (weight, bias)| (w.matmul(weight.clone()), b.matmul(weight) + bias));
    let Some((weight, bias)) = product else { return f64::NAN };
    let largest = |tensor: Tensor<2>| tensor.abs().max().into_scalar::<f64>();
    largest(output.clone() - (images.matmul(weight) + bias)) / largest(output)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::plan, *};
    use crate::judge::verdict::Verdict;

    fn verdict(product_error: f64, linear: f64, relu: f64) -> Verdict {
        let settings = LinearCollapse::settings(&plan());
        let arms = LinearCollapse::arms(&settings, &());
        let outcome = |arm: &Arm| {
            let loss = match arm.kind {
                Kind::DeepLinear => linear,
                Kind::Softmax => 0.2,
                Kind::DeepRelu => relu,
            };
            Outcome { loss, product_error, losses: Vec::new() }
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = LinearCollapse::judge(&settings, &(), &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn a_network_that_collapses_confirms_and_one_that_does_not_refutes() {
        assert_eq!(verdict(1e-6, 0.21, 0.01), Verdict::Confirmed);
        // Not a product of matrices, under the best linear model, and ReLU is not.
        assert_eq!(verdict(0.3, 0.02, 0.2), Verdict::Refuted);
        // It collapses, but ReLU brings nothing.
        assert_eq!(verdict(1e-6, 0.21, 0.21), Verdict::Qualified);
    }
}
