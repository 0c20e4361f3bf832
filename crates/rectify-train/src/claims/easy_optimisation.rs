//! `easy-optimisation`: near linearity makes optimisation easier.

use burn::{
    module::{ModuleVisitor, Param},
    optim::{GradientsParams, SgdConfig},
    tensor::{DType, Tensor},
};
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    convergence::{WINDOW, first_step},
    lab::{ClaimError, Lab, Setup, describe},
};
use crate::{
    data::Batch,
    experiment::{Experiment, Schedule},
    judge::{
        curve::{Curve, arithmetic, geometric},
        number::number,
        verdict::{Direction, Hypothesis, Sample},
    },
    network::Network,
    observe::Trace,
    record::Status,
    train::{Event, gradients},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "easy-optimisation",
    statement: "Networks with ReLU are easier to optimise, because ReLU is nearly linear.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.3.1; curvature along the way as in Santurkar et al. \
             2018, How does batch normalization help optimization?, §3, and Cohen et al. 2021, Gradient descent on neural \
             networks typically occurs at the edge of stability",
    criteria: &[&RANGE],
    procedure: Procedure::of::<EasyOptimisation>(),
};

static RANGE: Criterion = Criterion {
    quantity: "factors of 2 between learning rates at which the loss is reached: how many more with ReLU than with the other",
    unit: "factors of 2",
    null_hypothesis: "As many learning rates work.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.75),
    why: "One more factor of 2 is the least that the grid can tell, and the least that saves a trial.",
};
static CURVATURE: Criterion = Criterion {
    quantity: "largest curvature of the loss on a batch, at the step at which the loss is reached, the other's over ReLU's",
    unit: "ratio",
    null_hypothesis: "The loss is as curved where both are as far.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.25),
    why: "Gradient descent is stable up to a rate of 2 over the curvature, so a quarter more of it is a quarter less of \
          learning rate.",
};

/// Rounds of power iteration.
const ROUNDS: usize = 12;

/// The study.
pub struct EasyOptimisation;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    experiment: Experiment,
    activations: Vec<String>,
    depths: Vec<usize>,
    /// The depth that decides.
    deep: usize,
    rates: Vec<f64>,
    /// In nats a sample.
    target: f64,
}

/// A network, tried at every rate.
#[derive(Debug, Clone)]
pub struct Arm {
    activation: String,
    depth: usize,
    setup: Setup,
}

/// By rate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether the loss was reached, and the training did not diverge until then.
    reached: Vec<bool>,
    /// The largest eigenvalue of the loss's Hessian where it was first reached, at the rate in the middle of those that
    /// reach it; NaN where none does.
    curvature: f64,
}

impl Outcome {
    fn range(&self) -> f64 {
        self.reached.iter().filter(|reached| **reached).count() as f64
    }
}

impl Study for EasyOptimisation {
    type Settings = Settings;
    type Pilot = ();
    type Arm = Arm;
    type Outcome = Outcome;

    fn settings(plan: &Plan) -> Settings {
        let experiment = Experiment {
            train_size: plan.choose(Some(2000), Some(10_000), None),
            epochs: None,
            steps: Some(plan.choose(100, 150, 400)),
            schedule: Schedule::Constant,
            ..plan.experiment()
        };
        let from = plan.choose(-4, -5, -10);
        let rates = (from..=plan.choose(1, 2, 3)).step_by(plan.choose(2, 1, 1)).map(|power| 2f64.powi(power));
        Settings {
            experiment,
            activations: ["relu", "sigmoid", "tanh"].map(str::to_owned).into(),
            depths: vec![2, 8],
            deep: 8,
            rates: rates.collect(),
            target: 0.6,
        }
    }

    fn pilot(_: &Lab, _: &Settings) -> Result<(), ClaimError> {
        Ok(())
    }

    fn arms(settings: &Settings, (): &()) -> Vec<Arm> {
        let of_depth = |&depth: &usize| {
            let experiment = Experiment { hidden: Some(vec![128; depth]), ..settings.experiment.clone() };
            settings.activations.iter().map(move |activation| Arm {
                activation: activation.clone(),
                depth,
                setup: Setup::new(experiment.clone(), activation),
            })
        };
        settings.depths.iter().flat_map(of_depth).collect()
    }

    fn measure(lab: &Lab, settings: &Settings, arm: &Arm, seed: u64) -> Result<Outcome, ClaimError> {
        let steps: Vec<Option<usize>> = settings
            .rates
            .iter()
            .map(|&rate| steps_to_loss(lab, &arm.setup.with_rate(rate), settings.target, seed))
            .collect::<Result<_, _>>()?;
        let reached: Vec<usize> = (0..steps.len()).filter(|&place| steps[place].is_some()).collect();
        let curvature = match reached.get(reached.len() / 2).map(|&place| (settings.rates[place], steps[place])) {
            Some((rate, Some(step))) => curvature_at(lab, &arm.setup.with_rate(rate), step, seed)?,
            _ => f64::NAN,
        };
        Ok(Outcome { reached: steps.iter().map(Option::is_some).collect(), curvature })
    }

    fn judge(settings: &Settings, (): &(), trials: &Trials<Arm, Outcome>) -> Findings {
        let is = |activation: &str, depth: usize| {
            let activation = activation.to_owned();
            move |arm: &Arm| arm.activation == activation && arm.depth == depth
        };
        let mut conditions = Vec::new();
        for &depth in &settings.depths {
            for other in &settings.activations[1..] {
                let more =
                    trials.pairs(is("relu", depth), is(other, depth), |relu, other| relu.range() - other.range());
                let name = format!("{other}, {depth} layers");
                conditions.push(match depth == settings.deep {
                    true => Condition::primary(&RANGE, name.clone(), Sample::Effects(more)),
                    false => Condition::exploratory(&RANGE, name.clone(), Sample::Effects(more)),
                });
                let curved = trials.pairs(is(other, depth), is("relu", depth), |o, relu| o.curvature / relu.curvature);
                let name = format!("{name}, curvature");
                conditions.push(Condition::exploratory(&CURVATURE, name, Sample::Effects(curved)));
            }
        }
        let shares = |depth: usize| Figure {
            title: format!("Trainings that reach a loss of {}, {depth} layers", settings.target),
            x: "learning rate".to_owned(),
            y: "fraction of seeds".to_owned(),
            log_x: true,
            series: settings
                .activations
                .iter()
                .map(|activation| {
                    let outcomes = trials.of(is(activation, depth));
                    let at = |(place, rate): (usize, &f64)| {
                        let reached = outcomes.iter().map(|outcome| f64::from(u8::from(outcome.reached[place])));
                        (*rate, vec![arithmetic(&reached.collect::<Vec<_>>())])
                    };
                    Curve::measured(activation.clone(), arithmetic, settings.rates.iter().enumerate().map(at))
                })
                .collect(),
            ..Figure::default()
        };
        let curvature = settings.activations.iter().map(|activation| {
            let at = |&depth: &usize| {
                (depth as f64, trials.of(is(activation, depth)).into_iter().map(|outcome| outcome.curvature).collect())
            };
            Curve::measured(activation.clone(), geometric, settings.depths.iter().map(at))
        });
        let mut figures: Vec<Figure> = settings.depths.iter().map(|&depth| shares(depth)).collect();
        figures.push(Figure {
            title: "Largest curvature where the loss is reached".to_owned(),
            x: "hidden layers".to_owned(),
            y: "largest eigenvalue of the Hessian".to_owned(),
            log_y: true,
            series: curvature.collect(),
            ..Figure::default()
        });
        Findings {
            conditions,
            what_was_run: format!(
                "rates {:?}, a mean loss over {WINDOW} steps of {} to be reached; {}",
                settings.rates,
                settings.target,
                describe(&settings.experiment)
            ),
            diverged: 0,
            figures,
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let of = |begins: &str| number(judgement.primary_effect(begins).map(f64::exp2));
        format!(
            "With 8 layers ReLU's range of learning rates that work is {} times tanh's and {} times sigmoid's.",
            of("tanh"),
            of("sigmoid")
        )
    }
}

/// The first step at which the mean of the last losses is at most the target; `None` where the training never comes to
/// it, or diverges.
fn steps_to_loss(lab: &Lab, setup: &Setup, target: f64, seed: u64) -> Result<Option<usize>, ClaimError> {
    let (training, data) = (setup.training(seed), lab.data(&setup.experiment)?);
    let network = lab.network(&training, &data);
    let (_, run, losses) =
        lab.train_observed(network, &training, &data, Vec::new(), &mut |losses: &mut Vec<f64>, event| {
            if let Event::Losses(block) = event {
                losses.extend(&block.losses);
            }
        })?;
    Ok(first_step(&losses, target).filter(|_| run.status == Status::Completed))
}

/// The largest curvature after so many steps, on the batch of the last one.
fn curvature_at(lab: &Lab, setup: &Setup, step: usize, seed: u64) -> Result<f64, ClaimError> {
    let experiment = Experiment { steps: Some(step), ..setup.experiment.clone() };
    let setup = Setup { experiment, ..setup.clone() };
    let (training, data) = (setup.training(seed), lab.data(&setup.experiment)?);
    let network = lab.network(&training, &data);
    let (.., curvature) = lab.train_observed(network, &training, &data, f64::NAN, &mut |curvature, event| {
        if let Event::Step { step: now, network, batch } = event
            && now == step
        {
            *curvature = largest_curvature(network, batch);
        }
    })?;
    Ok(curvature)
}

/// The largest eigenvalue of the loss's Hessian on a batch, by power iteration from the gradient. Products with the
/// Hessian are differences of gradients over a thousandth of a unit step.
fn largest_curvature<N: Network>(network: &N, batch: &Batch) -> f64 {
    const STEP: f64 = 1e-3;
    let here = gradient(network, batch);
    let mut direction = copy(network, &here);
    let mut eigenvalue = f64::NAN;
    for _ in 0..ROUNDS {
        let length = dot(network, &direction, &direction).sqrt();
        // Burn's optimizers take only what tracks gradients, which a network in training may not.
        let tracking = network.valid().train();
        let away = SgdConfig::new().init().step(-STEP / length, tracking, copy(network, &direction));
        let there = gradient(&away, batch);
        let product = difference(network, &there, &here, STEP);
        eigenvalue = dot(network, &product, &direction) / length;
        direction = product;
    }
    eigenvalue
}

fn gradient<N: Network>(network: &N, batch: &Batch) -> GradientsParams {
    gradients(network, batch.clone(), &mut Trace::off()).1
}

/// (a − b) / step.
fn difference<N: Network>(network: &N, a: &GradientsParams, b: &GradientsParams, step: f64) -> GradientsParams {
    struct Difference<'a>(&'a GradientsParams, &'a GradientsParams, f64, GradientsParams);
    impl ModuleVisitor for Difference<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let (Some(a), Some(b)) = (self.0.get::<D>(param.id), self.1.get::<D>(param.id)) {
                self.3.register(param.id, (a - b) / self.2);
            }
        }
    }
    let mut difference = Difference(a, b, step, GradientsParams::new());
    network.visit(&mut difference);
    difference.3
}

/// Σ a b over the gradients of all parameters, in f32.
fn dot<N: Network>(network: &N, a: &GradientsParams, b: &GradientsParams) -> f64 {
    struct Dot<'a>(&'a GradientsParams, &'a GradientsParams, f64);
    impl ModuleVisitor for Dot<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let (Some(a), Some(b)) = (self.0.get::<D>(param.id), self.1.get::<D>(param.id)) {
                self.2 += (a.cast(DType::F32) * b.cast(DType::F32)).sum().into_scalar::<f64>();
            }
        }
    }
    let mut dot = Dot(a, b, 0.0);
    network.visit(&mut dot);
    dot.2
}

/// Handles to the same gradients, for an optimizer that takes them.
fn copy<N: Network>(network: &N, gradients: &GradientsParams) -> GradientsParams {
    struct Copy<'a>(&'a GradientsParams, GradientsParams);
    impl ModuleVisitor for Copy<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.register(param.id, gradient);
            }
        }
    }
    let mut copy = Copy(gradients, GradientsParams::new());
    network.visit(&mut copy);
    copy.1
}

#[cfg(test)]
mod tests {
    use super::{super::tests::plan, *};
    use crate::judge::verdict::Verdict;

    fn verdict(relu: usize, other: usize) -> Verdict {
        let settings = EasyOptimisation::settings(&plan());
        let arms = EasyOptimisation::arms(&settings, &());
        let outcome = |arm: &Arm| {
            let count = if arm.activation == "relu" { relu } else { other };
            Outcome { reached: (0..settings.rates.len()).map(|place| place < count).collect(), curvature: 1.0 }
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = EasyOptimisation::judge(&settings, &(), &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn a_wider_range_of_rates_confirms_and_an_equal_or_narrower_one_refutes() {
        assert_eq!(verdict(6, 3), Verdict::Confirmed);
        assert_eq!(verdict(4, 4), Verdict::Refuted);
        assert_eq!(verdict(3, 6), Verdict::Refuted);
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_curvature_of_softmax_regression_is_its_hessians_largest_eigenvalue() {
        use std::sync::atomic::AtomicBool;

        use burn::tensor::{Device, TensorData};

        use crate::network::{Model, Shape};

        // With weights 0 both classes have p = ½, and the Hessian is (diag(p) − ppᵀ) ⊗ X̃ᵀX̃ / n with x̃ = (x, 1). The first
        // factor's largest eigenvalue is ½.
        let stop = AtomicBool::new(false);
        let lab = Lab::new(plan(), "flex", Some(1), &stop, &|_, _| {}).unwrap();
        let experiment =
            Experiment { hidden: Some(Vec::new()), init: crate::experiment::Init::Normal(0.0), ..plan().experiment() };
        let shape = Shape { channels: 1, height: 1, width: 2, classes: 2 };
        let network: Model = lab.network_of(&Setup::new(experiment, "none").training(0), shape);
        let device = Device::flex();
        let images =
            Tensor::<2>::from_data(TensorData::new(vec![1.0f32, 0.0, -1.0, 0.0, 0.0, 2.0, 0.0, -2.0], [4, 2]), &device);
        let labels = Tensor::from_data(TensorData::new(vec![0i64, 1, 1, 0], [4]), &device);
        let found = largest_curvature(&network, &Batch { images, labels });
        // X̃ᵀX̃ / n is diagonal: ½, 2, 1.
        assert!((found - 0.5 * 2.0).abs() < 0.02, "{found}");
    }
}
