//! `vanishing`: sigmoid's and tanh's gradients vanish.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    gradients::{self, before_training, first_over_last},
    lab::{ClaimError, Lab, Setup, Trained, describe, trained},
};
use crate::{
    experiment::{Experiment, Init, Moments},
    judge::{
        anytime::median,
        curve::{Curve, geometric},
        number::{percent, ratio},
        theory::MeanField,
        verdict::{Direction, Hypothesis, Sample},
    },
    observe::weights,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "vanishing",
    statement: "The gradients of deep sigmoid and tanh networks vanish towards the input, so their early layers do not \
                learn.",
    source: "Hochreiter 1991, Untersuchungen zu dynamischen neuronalen Netzen; Bengio, Simard and Frasconi 1994, \
             Learning long-term dependencies with gradient descent is difficult; Glorot and Bengio 2010, Understanding \
             the difficulty of training deep feedforward neural networks, §4",
    criteria: &[&GRADIENT],
    procedure: Procedure::of::<Vanishing>(),
};

static GRADIENT: Criterion = Criterion {
    quantity: "RMS of the gradient at the first hidden layer's pre-activations over that at the last's, before training",
    unit: "ratio",
    null_hypothesis: "As much gradient arrives at the first layer as at the last.",
    hypothesis: Hypothesis::ratio(Direction::Below, 10.0),
    why: "With one learning rate for all layers, a tenth of the gradient is a tenth of the movement; smaller factors are \
          within what fair initialisation leaves to ReLU networks too. It is the gradient of the pre-activations that \
          vanishes: that of the weights need not (Glorot and Bengio 2010, §4.2.1).",
};
static MOVEMENT: Criterion = Criterion {
    quantity: "how far the first hidden layer's weights went in training, relative to their length, over the same of the \
               last hidden layer",
    unit: "ratio",
    null_hypothesis: "The first layer goes as far as the last.",
    hypothesis: Hypothesis::ratio(Direction::Below, 10.0),
    why: "The same tenth.",
};

/// Units of a hidden layer.
const WIDTH: usize = 128;
/// Hidden layers of the networks that decide.
const DEPTH: usize = 10;

/// The study.
pub struct Vanishing;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    /// Before training.
    untrained: Experiment,
    depths: Vec<usize>,
    /// With [`DEPTH`] hidden layers.
    trained: Experiment,
    activations: Vec<String>,
}

/// How weights begin.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    /// What Glorot and Bengio (2010, eq. 1) call the commonly used heuristic: U(±1 / √fan_in), biases 0.
    Textbook,
    /// By the activation's own moments.
    Fair,
}

impl Start {
    fn words(self) -> &'static str {
        match self {
            Self::Textbook => "textbook initialisation",
            Self::Fair => "fair initialisation",
        }
    }
}

/// A network, before training or over it.
#[derive(Debug, Clone)]
pub struct Arm {
    activation: String,
    start: Start,
    depth: usize,
    trained: bool,
    setup: Setup,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Outcome {
    /// RMS of the gradient at each hidden layer's pre-activations.
    Gradients(Vec<f64>),
    /// How far each hidden layer's weights went relative to their length, and what it came to.
    Movement(Vec<f64>, Trained),
}

impl Outcome {
    fn ratio(&self) -> f64 {
        let (Self::Gradients(layers) | Self::Movement(layers, _)) = self;
        first_over_last(layers)
    }
}

impl Study for Vanishing {
    type Settings = Settings;
    type Pilot = ();
    type Arm = Arm;
    type Outcome = Outcome;

    fn settings(plan: &Plan) -> Settings {
        let trained = Experiment {
            hidden: Some(vec![WIDTH; DEPTH]),
            train_size: plan.choose(Some(1000), Some(5000), None),
            epochs: Some(plan.choose(1, 3, 10)),
            lr: Some(0.1),
            ..plan.experiment()
        };
        let untrained = before_training(trained.clone(), 1000);
        Settings {
            untrained,
            depths: vec![5, DEPTH, 20],
            trained,
            activations: ["sigmoid", "tanh", "relu"].map(str::to_owned).into(),
        }
    }

    fn pilot(_: &Lab, _: &Settings) -> Result<(), ClaimError> {
        Ok(())
    }

    fn arms(settings: &Settings, (): &()) -> Vec<Arm> {
        let mut arms = Vec::new();
        for activation in &settings.activations {
            for start in [Start::Textbook, Start::Fair] {
                let arm = |depth: usize, trained: bool| {
                    let (init, bias_init) = match start {
                        Start::Textbook => (Init::TorchDefault, Some(0.0)),
                        Start::Fair => (Init::Auto, None),
                    };
                    let base = if trained { &settings.trained } else { &settings.untrained };
                    let hidden = Some(vec![WIDTH; depth]);
                    let setup = Setup::new(Experiment { init, bias_init, hidden, ..base.clone() }, activation);
                    Arm { activation: activation.clone(), start, depth, trained, setup }
                };
                arms.extend(settings.depths.iter().map(|&depth| arm(depth, false)));
                arms.push(arm(DEPTH, true));
            }
        }
        arms
    }

    fn measure(lab: &Lab, _: &Settings, arm: &Arm, seed: u64) -> Result<Outcome, ClaimError> {
        if !arm.trained {
            return Ok(Outcome::Gradients(gradients::gradients(lab, &arm.setup, seed)?));
        }
        let (training, data) = (arm.setup.training(seed), lab.data(&arm.setup.experiment)?);
        let network = lab.mlp(&training, &data);
        let before = weights(&network);
        let (network, run) = lab.train(network, &training, &data)?;
        let length = |tensor: Tensor<1>| tensor.square().sum().sqrt().into_scalar::<f64>();
        let moved = before.into_iter().zip(weights(&network));
        let moved = moved.map(|((_, before), (_, after))| length(after - before.clone()) / length(before));
        // The last matrix is the output's.
        let moved: Vec<f64> = moved.take(arm.depth).collect();
        Ok(Outcome::Movement(moved, trained(&network, &run, &data)))
    }

    fn judge(settings: &Settings, (): &(), trials: &Trials<Arm, Outcome>) -> Findings {
        let of = |activation: &str, start: Start, depth: usize, trained: bool| {
            trials.of(|arm| {
                arm.activation == activation && arm.start == start && arm.depth == depth && arm.trained == trained
            })
        };
        let ratios = |activation: &str, start, depth, trained| {
            Sample::Effects(of(activation, start, depth, trained).iter().map(|outcome| outcome.ratio()).collect())
        };
        let mut conditions = Vec::new();
        for activation in &settings.activations {
            for start in [Start::Textbook, Start::Fair] {
                for &depth in &settings.depths {
                    let name = format!("{activation}, {depth} layers, {}", start.words());
                    let sample = ratios(activation, start, depth, false);
                    conditions.push(match depth == DEPTH && activation != "relu" {
                        true => Condition::primary(&GRADIENT, name, sample),
                        false => Condition::exploratory(&GRADIENT, name, sample),
                    });
                }
                let outcomes = of(activation, start, DEPTH, true);
                let accuracies = outcomes.iter().map(|outcome| match outcome {
                    Outcome::Movement(_, trained) => trained.accuracy,
                    Outcome::Gradients(_) => f64::NAN,
                });
                let accuracy = median(&accuracies.collect::<Vec<_>>());
                let name = format!(
                    "{activation}, {DEPTH} layers, {}, trained to {} % accuracy",
                    start.words(),
                    percent(accuracy, 1)
                );
                conditions.push(Condition::exploratory(&MOVEMENT, name, ratios(activation, start, DEPTH, true)));
            }
        }
        let curves = settings.activations.iter().flat_map(|activation| {
            [Start::Textbook, Start::Fair].into_iter().flat_map(move |start| {
                let name = format!("{activation}, {}", start.words());
                let outcomes = of(activation, start, DEPTH, false);
                let layers = outcomes.iter().map(|outcome| match outcome {
                    Outcome::Gradients(layers) | Outcome::Movement(layers, _) => layers.as_slice(),
                });
                let measured = gradients::measured(name.clone(), &layers.collect::<Vec<_>>());
                [measured, gradients::predicted(name, &theory(activation, start), DEPTH)]
            })
        });
        let by_depth = settings.activations.iter().flat_map(|activation| {
            [Start::Textbook, Start::Fair].map(|start| {
                let at = |&depth: &usize| {
                    (depth as f64, of(activation, start, depth, false).iter().map(|outcome| outcome.ratio()).collect())
                };
                Curve::measured(format!("{activation}, {}", start.words()), geometric, settings.depths.iter().map(at))
            })
        });
        let by_depth = Figure {
            x: "hidden layers".to_owned(),
            ..gradients::figure("Gradient of the pre-activations, first layer over last", by_depth.collect())
        };
        let diverged = |outcome: &&Outcome| matches!(outcome, Outcome::Movement(_, trained) if trained.diverged);
        Findings {
            figures: vec![
                gradients::figure(
                    "Gradient of the pre-activations, relative to the last layer's, before training",
                    curves.collect(),
                ),
                by_depth,
            ],
            conditions,
            what_was_run: format!(
                "gradients before training of {}, with {:?} hidden layers; trainings: {}",
                describe(&settings.untrained),
                settings.depths,
                describe(&settings.trained)
            ),
            diverged: trials.all().filter(diverged).count(),
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let of = |activation: &str, start: Start| {
            ratio(judgement.effect(&format!("{activation}, {DEPTH} layers, {}", start.words())))
        };
        format!(
            "Over {DEPTH} layers sigmoid's gradient falls to {}, tanh's to {}; with fair weights to {} and {}.",
            of("sigmoid", Start::Textbook),
            of("tanh", Start::Textbook),
            of("sigmoid", Start::Fair),
            of("tanh", Start::Fair)
        )
    }
}

/// The mean-field limit of the network.
fn theory(activation: &str, start: Start) -> MeanField {
    // σw²: U(±1/√n) has the variance 1 / 3n.
    let weight_variance = match start {
        Start::Textbook => 1.0 / 3.0,
        Start::Fair => Moments::of(&activation.parse().expect("claims name known activations")).gain().powi(2),
    };
    gradients::network(activation, weight_variance)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::plan, *};
    use crate::judge::verdict::Verdict;

    fn verdict(textbook: f64, fair: f64) -> Verdict {
        let settings = Vanishing::settings(&plan());
        let arms = Vanishing::arms(&settings, &());
        let outcome = |arm: &Arm| {
            let first = if arm.start == Start::Textbook { textbook } else { fair };
            match arm.trained {
                false => Outcome::Gradients(vec![first, 1.0]),
                true => Outcome::Movement(vec![1.0, 1.0], Trained { accuracy: 0.9, loss: 0.3, diverged: false }),
            }
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = Vanishing::judge(&settings, &(), &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn vanished_gradients_confirm_their_reverse_refutes_and_a_cure_by_initialisation_qualifies() {
        assert_eq!(verdict(1e-5, 1e-3), Verdict::Confirmed);
        assert_eq!(verdict(1e-5, 0.9), Verdict::Qualified);
        assert_eq!(verdict(1.0, 30.0), Verdict::Refuted);
        // Underflowed gradients have vanished.
        assert_eq!(verdict(0.0, 0.0), Verdict::Confirmed);
    }

    #[test]
    fn the_textbook_case_has_no_random_biases_as_equation_1_has_none() {
        let settings = Vanishing::settings(&plan());
        let arms = Vanishing::arms(&settings, &());
        let textbook = arms.iter().filter(|arm| arm.start == Start::Textbook);
        assert!(
            textbook.clone().count() > 0 && textbook.clone().all(|arm| arm.setup.experiment.bias_init == Some(0.0))
        );
    }

    #[test]
    fn theory_has_the_gradients_of_an_independent_simulation() {
        // Tanh, U(±1/√n), zero biases, 10 layers: 0.0051 by an independent simulation in NumPy.
        let first = gradients::predicted("tanh", &theory("tanh", Start::Textbook), DEPTH).points[0].1;
        assert!((first / 0.0051 - 1.0).abs() < 0.35, "{first}");
    }
}
