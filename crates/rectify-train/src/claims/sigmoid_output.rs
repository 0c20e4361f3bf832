//! `sigmoid-output`: sigmoid belongs in the output, for binary tasks.

use burn::{
    module::Module,
    nn::loss::{BinaryCrossEntropyLossConfig, MseLoss, Reduction},
    tensor::{Bool, Int, Tensor, activation::sigmoid},
};
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    lab::{ClaimError, Lab, Rate, Setup, Trained, describe, first, rates_in_words, trained},
};
use crate::{
    data::{DeviceDataset, DeviceSamples},
    experiment::Experiment,
    judge::{
        curve::{Curve, arithmetic},
        number::{number, points},
        verdict::{Direction, Hypothesis, Sample},
    },
    network::{Model, Network, Shape},
    observe::Trace,
    train::evaluate,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "sigmoid-output",
    statement: "Sigmoid belongs in the output layer of a binary classifier, not in the hidden layers.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.2.2.2 and §6.3.2; Bishop 2006, Pattern \
             recognition and machine learning, §4.3.2; the score: Brier 1950, Verification of forecasts expressed in terms \
             of probability",
    criteria: &[&SCORE, &ACCURACY, &HIDDEN],
    procedure: Procedure::of::<SigmoidOutput>(),
};

static SCORE: Criterion = Criterion {
    quantity: "Brier score of another output over that of sigmoid with cross entropy, each at its best rate",
    unit: "ratio",
    null_hypothesis: "The other output's probabilities are no more than a tenth worse.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.1),
    why: "The Brier score is a proper one, without bins and their bias. A tenth is what two seeds differ by here.",
};
static ACCURACY: Criterion = Criterion {
    quantity: "test accuracy of sigmoid with cross entropy less that of the other output",
    unit: "fraction",
    null_hypothesis: "Sigmoid costs half a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::NotBelow, 0.0, 0.005),
    why: "Odd or even on MNIST is known to about 98 %, with a spread over seeds of two tenths of a point.",
};
static HIDDEN: Criterion = Criterion {
    quantity: "test accuracy with ReLU in the hidden layers less that with sigmoid there, sigmoid in the output of both",
    unit: "fraction",
    null_hypothesis: "Sigmoid does as well in the hidden layers, within half a percentage point.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.005),
    why: "The same half point.",
};
static STUCK: Criterion = Criterion {
    quantity: "share of trainings whose output is the same for nearly all samples at the end",
    unit: "share",
    null_hypothesis: "Half of them or more.",
    hypothesis: Hypothesis::FEW,
    why: "An output unit that is dead answers everything alike: an outcome of its own, not a spread of the others.",
};

/// The mean squared distance of probabilities from what happened; values outside of 0..1 are clamped to it, as one must
/// who reads them as probabilities. NaN of none.
pub fn brier_score(predictions: &[(f64, bool)]) -> f64 {
    let error = |(p, positive): &(f64, bool)| (p.clamp(0.0, 1.0) - f64::from(u8::from(*positive))).powi(2);
    predictions.iter().map(error).sum::<f64>() / predictions.len() as f64
}

/// What stands behind the last layer, with its loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Output {
    /// Cross entropy.
    Sigmoid,
    /// Sigmoid with squared error.
    SigmoidSquared,
    /// Squared error.
    Relu,
    /// Squared error.
    Linear,
}

/// Tells odd digits (1) from even ones (0) by one output.
#[derive(Module, Debug)]
struct Binary {
    model: Model,
    #[module(skip)]
    output: Output,
}

impl Binary {
    /// Outputs as the caller takes them for probabilities, `[batch]`.
    fn predictions(&self, outputs: Tensor<2>) -> Tensor<1> {
        let z = outputs.squeeze_dim(1);
        match self.output {
            Output::Sigmoid | Output::SigmoidSquared => sigmoid(z),
            Output::Relu => rectify::relu(z),
            Output::Linear => z,
        }
    }
}

fn odd(labels: Tensor<1, Int>) -> Tensor<1, Int> {
    labels.remainder_scalar(2)
}

impl Network for Binary {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        trace.within("model", |trace| self.model.forward(images, trace))
    }

    fn loss(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let labels = odd(labels);
        match self.output {
            // From the logits, as sigmoid and logarithm together lose digits.
            Output::Sigmoid => {
                let loss = BinaryCrossEntropyLossConfig::new().with_logits(true).init(&outputs.device());
                loss.forward(outputs.squeeze_dim::<1>(1), labels)
            }
            _ => {
                let targets = labels.float().cast(outputs.dtype());
                MseLoss::new().forward(self.predictions(outputs), targets, Reduction::Mean)
            }
        }
    }

    fn right(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1, Bool> {
        self.predictions(outputs).greater_equal_elem(0.5).int().equal(odd(labels))
    }
}

/// The study.
pub struct SigmoidOutput;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    experiment: Experiment,
    kinds: Vec<(String, Output, String)>,
}

/// An output with an activation in the hidden layers.
#[derive(Debug, Clone)]
pub struct Arm {
    name: String,
    output: Output,
    setup: Setup,
}

/// One classifier on the test set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Classifier {
    trained: Trained,
    brier: f64,
    /// Whether nearly all outputs are the same.
    stuck: bool,
    /// By ten bins of predicted probability: its mean, and the fraction that is positive.
    reliability: Vec<(f64, f64)>,
}

const REFERENCE: &str = "sigmoid, cross entropy";

impl Study for SigmoidOutput {
    type Settings = Settings;
    type Pilot = Vec<Rate>;
    type Arm = Arm;
    type Outcome = Classifier;

    fn settings(plan: &Plan) -> Settings {
        let kinds = [
            (REFERENCE, Output::Sigmoid, "relu"),
            ("sigmoid, squared error", Output::SigmoidSquared, "relu"),
            ("linear, squared error", Output::Linear, "relu"),
            ("ReLU, squared error", Output::Relu, "relu"),
            ("sigmoid in hidden layers", Output::Sigmoid, "sigmoid"),
        ];
        Settings {
            experiment: plan.experiment(),
            kinds: kinds.map(|(name, output, hidden)| (name.to_owned(), output, hidden.to_owned())).into(),
        }
    }

    fn pilot(lab: &Lab, settings: &Settings) -> Result<Vec<Rate>, ClaimError> {
        lab.best_rates("accuracy of odd or even", &arms(settings), &|arm, rate, seed| {
            let (network, _, data) = fit(lab, &Arm { setup: arm.setup.with_rate(rate), ..arm.clone() }, seed)?;
            Ok(evaluate(&network.valid(), &first(&data.validation, 2000)).accuracy.unwrap_or(0.0))
        })
    }

    fn arms(settings: &Settings, rates: &Vec<Rate>) -> Vec<Arm> {
        let at = |(arm, rate): (Arm, &Rate)| Arm { setup: arm.setup.with_rate(rate.rate), ..arm };
        arms(settings).into_iter().zip(rates).map(at).collect()
    }

    fn measure(lab: &Lab, _: &Settings, arm: &Arm, seed: u64) -> Result<Classifier, ClaimError> {
        let (network, trained, data) = fit(lab, arm, seed)?;
        let predictions = predictions(&network, &data.test);
        let bin = |bin: usize| {
            let of = |(p, _): &&(f64, bool)| ((p.clamp(0.0, 1.0) * 10.0) as usize).min(9) == bin;
            let (p, positive): (Vec<f64>, Vec<f64>) =
                predictions.iter().filter(of).map(|(p, odd)| (p.clamp(0.0, 1.0), f64::from(u8::from(*odd)))).unzip();
            (arithmetic(&p), arithmetic(&positive))
        };
        let mut sorted: Vec<f64> = predictions.iter().map(|(p, _)| *p).collect();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted[sorted.len() / 10], sorted[sorted.len() - 1 - sorted.len() / 10]);
        Ok(Classifier {
            brier: if trained.diverged { 1.0 } else { brier_score(&predictions) },
            stuck: (high - low).abs() < 0.01,
            trained,
            reliability: (0..10).map(bin).collect(),
        })
    }

    fn judge(settings: &Settings, rates: &Vec<Rate>, trials: &Trials<Arm, Classifier>) -> Findings {
        let is = |name: &str| {
            let name = name.to_owned();
            move |arm: &Arm| arm.name == name
        };
        let brier = |other: &str| {
            Sample::Effects(trials.pairs(is(other), is(REFERENCE), |other, sigmoid| other.brier / sigmoid.brier))
        };
        let ahead = |other: &str| {
            let less = |sigmoid: &Classifier, other: &Classifier| sigmoid.trained.accuracy - other.trained.accuracy;
            Sample::Effects(trials.pairs(is(REFERENCE), is(other), less))
        };
        let (linear, squared, relu) = ("linear, squared error", "sigmoid, squared error", "ReLU, squared error");
        let stuck = trials.of(is(relu)).into_iter().map(|classifier| classifier.stuck).collect();
        let reliability = settings.kinds.iter().map(|(name, ..)| {
            let classifiers = trials.of(is(name));
            let bin = |bin: usize| {
                let x: Vec<f64> = classifiers.iter().map(|c| c.reliability[bin].0).filter(|x| !x.is_nan()).collect();
                let y = classifiers.iter().map(|c| c.reliability[bin].1).filter(|y| !y.is_nan()).collect();
                (arithmetic(&x), y)
            };
            Curve::measured(name.clone(), arithmetic, (0..10).map(bin))
        });
        let calibrated = Curve::predicted("calibrated", [(0.0, 0.0), (1.0, 1.0)]);
        let names: Vec<&str> = settings.kinds.iter().map(|(name, ..)| name.as_str()).collect();
        Findings {
            conditions: vec![
                Condition::primary(&SCORE, "linear with squared error, Brier score", brier(linear)),
                Condition::primary(&ACCURACY, "against linear with squared error, accuracy", ahead(linear)),
                Condition::primary(&HIDDEN, "hidden layers", ahead("sigmoid in hidden layers")),
                // What the loss does, and what the output does.
                Condition::exploratory(&SCORE, "sigmoid with squared error, Brier score", brier(squared)),
                Condition::exploratory(&SCORE, "ReLU with squared error, Brier score", brier(relu)),
                Condition::exploratory(&ACCURACY, "against ReLU with squared error, accuracy", ahead(relu)),
                Condition::exploratory(&STUCK, "ReLU output that is stuck", Sample::Events(stuck)),
            ],
            what_was_run: format!(
                "odd or even: {}; rates: {}",
                describe(&settings.experiment),
                rates_in_words(names.iter().copied(), rates)
            ),
            diverged: trials.all().filter(|classifier| classifier.trained.diverged).count(),
            figures: vec![Figure {
                title: "Calibration, means over seeds".to_owned(),
                x: "predicted probability of odd".to_owned(),
                y: "fraction that is odd".to_owned(),
                series: reliability.chain([calibrated]).collect(),
                ..Figure::default()
            }],
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        format!(
            "A linear output's Brier score is {} times sigmoid's; sigmoid in the hidden layers costs {} points.",
            number(judgement.effect("linear with squared error, Brier score")),
            points(judgement.effect("hidden layers"))
        )
    }
}

/// Every kind, without a rate.
fn arms(settings: &Settings) -> Vec<Arm> {
    let arm = |(name, output, hidden): &(String, Output, String)| Arm {
        name: name.clone(),
        output: *output,
        setup: Setup::new(settings.experiment.clone(), hidden),
    };
    settings.kinds.iter().map(arm).collect()
}

fn fit(lab: &Lab, arm: &Arm, seed: u64) -> Result<(Binary, Trained, DeviceDataset), ClaimError> {
    let (training, data) = (arm.setup.training(seed), lab.data(&arm.setup.experiment)?);
    let shape = Shape { classes: 1, ..data.shape() };
    let network = Binary { model: lab.network_of(&training, shape), output: arm.output };
    let (network, run) = lab.train(network, &training, &data)?;
    let trained = trained(&network, &run, &data);
    Ok((network, trained, data))
}

/// Predictions beside the truth.
fn predictions(network: &Binary, samples: &DeviceSamples) -> Vec<(f64, bool)> {
    let network = network.valid();
    let outputs = network.forward(samples.images(), &mut Trace::off());
    let labels: Vec<i64> = odd(samples.labels()).into_data().iter().collect();
    let predictions: Vec<f64> = network.predictions(outputs).into_data().iter().collect();
    predictions.into_iter().zip(labels).map(|(prediction, label)| (prediction, label == 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{contest::tests::rates, tests::plan},
        *,
    };
    use crate::judge::verdict::Verdict;

    fn verdict(worse: f64, behind: f64, hidden: f64) -> Verdict {
        let (settings, rates) = (SigmoidOutput::settings(&plan()), rates(5));
        let arms = SigmoidOutput::arms(&settings, &rates);
        let classifier = |arm: &Arm| {
            let (brier, accuracy) = match &*arm.name {
                REFERENCE => (0.01, 0.98),
                "sigmoid in hidden layers" => (0.01, 0.98 - hidden),
                _ => (0.01 * worse, 0.98 - behind),
            };
            let trained = Trained { accuracy, loss: 0.1, diverged: false };
            Classifier { trained, brier, stuck: false, reliability: vec![(0.5, 0.5); 10] }
        };
        let seeds = vec![arms.iter().map(classifier).collect::<Vec<_>>(); 8];
        let findings = SigmoidOutput::judge(&settings, &rates, &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn better_probabilities_at_no_cost_confirm_and_their_reverse_refutes() {
        assert_eq!(verdict(2.0, 0.0, 0.02), Verdict::Confirmed);
        assert_eq!(verdict(0.5, -0.02, 0.0), Verdict::Refuted);
        assert_eq!(verdict(2.0, 0.0, 0.0), Verdict::Qualified);
    }

    #[test]
    fn the_brier_score_is_the_mean_squared_distance() {
        assert!((brier_score(&[(0.75, true), (0.0, false)]) - 0.0625 / 2.0).abs() < 1e-12);
        // What is outside of 0..1 is taken for the nearest probability.
        assert_eq!(brier_score(&[(7.0, true), (-1.0, false)]), 0.0);
        assert!(brier_score(&[]).is_nan() && brier_score(&[(f64::NAN, true)]).is_nan());
    }
}
