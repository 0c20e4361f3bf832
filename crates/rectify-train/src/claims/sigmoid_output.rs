//! `sigmoid-output`: sigmoid belongs in the output, for binary tasks.

use burn::{
    module::Module,
    nn::loss::{BinaryCrossEntropyLossConfig, MseLoss, Reduction},
    tensor::{Bool, Int, Tensor, activation::sigmoid},
};
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic,
    lab::{ClaimError, Lab, accuracy, seeds_in_words},
};
use crate::{
    data::DeviceDataset,
    experiment::{Experiment, OptimizerKind},
    judge::verdict::{Direction, Hypothesis},
    network::{Model, Network, Shape},
    observe::Trace,
    record::Run,
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "sigmoid-output",
    statement: "Sigmoid belongs in the output layer of a binary classifier, not in the hidden layers.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.2.2.2 and §6.3.2; Bishop 2006, Pattern \
             recognition and machine learning, §4.3.2",
    parts: &[&CALIBRATION, &ACCURACY, &RANGE, &HIDDEN],
    run,
};

static CALIBRATION: Part = Part {
    quantity: "expected calibration error of another output with squared error less that of sigmoid with cross entropy",
    unit: "fraction",
    null_hypothesis: "Sigmoid's probabilities are no better calibrated.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.005),
    why: "The estimate from 10 000 test samples is itself uncertain by about that: √(p (1 − p) / 10 000) for each bin, \
          over ten bins.",
};
static ACCURACY: Part = Part {
    quantity: "test accuracy of sigmoid with cross entropy less that of another output with squared error",
    unit: "fraction",
    null_hypothesis: "Sigmoid costs half a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::NotBelow, 0.0, 0.005),
    why: "Odd or even on MNIST is known to about 99 %, with a spread over seeds of a tenth of a point.",
};
static RANGE: Part = Part {
    quantity: "fraction of the other output's values outside 0..1",
    unit: "fraction",
    null_hypothesis: "All of them are probabilities anyway.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.01),
    why: "One value in a hundred that is no probability has to be handled by whoever uses them.",
};
static HIDDEN: Part = Part {
    quantity: "test accuracy with ReLU in the hidden layers less that with sigmoid there, sigmoid in the output of both",
    unit: "fraction",
    null_hypothesis: "Sigmoid does as well in the hidden layers.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.005),
    why: "The same half point.",
};

/// Expected calibration error of a binary classifier: over ten equal bins of predicted probability, the mean distance
/// between the mean probability and the frequency of positives, weighted by the bins' sizes.
///
/// Naeini, Cooper and Hauskrecht 2015, *Obtaining well calibrated probabilities using Bayesian binning*; Guo et al.
/// 2017, *On calibration of modern neural networks*. Values outside 0..1 are clamped to it, as whoever reads them as
/// probabilities must. `None` where there are none or a value is NaN.
pub fn expected_calibration_error(predictions: &[(f64, bool)]) -> Option<f64> {
    const BINS: usize = 10;
    if predictions.is_empty() || predictions.iter().any(|(probability, _)| probability.is_nan()) {
        return None;
    }
    // A bin's probabilities less its positives: the distance times its size.
    let mut bins = [0.0; BINS];
    for &(probability, positive) in predictions {
        let probability = probability.clamp(0.0, 1.0);
        bins[((probability * BINS as f64) as usize).min(BINS - 1)] += probability - f64::from(u8::from(positive));
    }
    Some(bins.iter().map(|bin| bin.abs()).sum::<f64>() / predictions.len() as f64)
}

/// One classifier on the test set.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Classifier {
    /// Test accuracy.
    pub accuracy: f64,
    /// [`expected_calibration_error`].
    pub calibration_error: f64,
    /// Fraction of outputs outside 0..1.
    pub out_of_range: f64,
}

/// One seed's figures.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// ReLU in the hidden layers, sigmoid with cross entropy.
    pub sigmoid: Classifier,
    /// ReLU in the hidden layers, ReLU with squared error in the output.
    pub relu: Classifier,
    /// ReLU in the hidden layers, linear with squared error.
    pub linear: Classifier,
    /// Sigmoid in the hidden layers and in the output.
    pub sigmoid_hidden: Classifier,
}

/// The evidence in the figures of each seed.
pub fn conditions(seeds: &[Measured]) -> Vec<Condition> {
    let others: [(&str, fn(&Measured) -> Classifier); 2] = [("linear", |m| m.linear), ("ReLU", |m| m.relu)];
    let of = |part, name: &str, effect: fn(Classifier, Classifier) -> f64| -> Vec<Condition> {
        let effects = |other: fn(&Measured) -> Classifier| seeds.iter().map(|m| effect(m.sigmoid, other(m))).collect();
        others.map(|(output, other)| Condition::new(part, format!("{output} output, {name}"), effects(other))).to_vec()
    };
    let hidden = seeds.iter().map(|m| m.sigmoid.accuracy - m.sigmoid_hidden.accuracy).collect();
    [
        of(&CALIBRATION, "calibration", |sigmoid, other| other.calibration_error - sigmoid.calibration_error),
        of(&ACCURACY, "accuracy", |sigmoid, other| sigmoid.accuracy - other.accuracy),
        of(&RANGE, "range", |_, other| other.out_of_range),
        vec![Condition::new(&HIDDEN, "hidden layers", hidden)],
    ]
    .concat()
}

/// What stands behind the last layer, with its loss.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Output {
    /// Cross entropy.
    Sigmoid,
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
    /// Outputs as whoever takes them for probabilities sees them, `[batch]`.
    fn predictions(&self, outputs: Tensor<2>) -> Tensor<1> {
        let z = outputs.squeeze_dim(1);
        match self.output {
            Output::Sigmoid => sigmoid(z),
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

const KINDS: [(&str, Output, &str); 4] = [
    ("sigmoid output, ReLU hidden", Output::Sigmoid, "relu"),
    ("ReLU output, ReLU hidden", Output::Relu, "relu"),
    ("linear output, ReLU hidden", Output::Linear, "relu"),
    ("sigmoid output, sigmoid hidden", Output::Sigmoid, "sigmoid"),
];

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    // Squared error diverges at rates that suit cross entropy; Adam needs no rate for each.
    let experiment = Experiment { hidden: Some(vec![128; 2]), optimizer: OptimizerKind::Adam, ..lab.experiment() };
    let trainings: Vec<(Training, Output)> = lab
        .seeds()
        .flat_map(|seed| {
            KINDS.map(|(_, output, hidden)| (lab.trainings(&experiment, &[hidden], seed..seed + 1), output))
        })
        .flat_map(|(trainings, output)| trainings.into_iter().map(move |training| (training, output)))
        .collect();
    let trained = lab.side_by_side(&trainings, &|(training, output)| {
        let data = lab.data(&training.experiment)?;
        let shape = Shape { classes: 1, ..data.shape() };
        let network = Binary { model: lab.network_of(training, shape), output: *output };
        let (network, run) = lab.train(network, training, &data, &mut |_| {})?;
        let predictions = predictions(&network, &data);
        Ok((classifier(&predictions, &run), run, predictions))
    })?;
    let seeds: Vec<_> = trained.chunks(KINDS.len()).collect();
    let measured: Vec<Measured> = seeds
        .iter()
        .map(|seed| Measured { sigmoid: seed[0].0, relu: seed[1].0, linear: seed[2].0, sigmoid_hidden: seed[3].0 })
        .collect();
    let curve = |(i, (name, ..)): (usize, &(&str, Output, &str))| {
        let at = |epoch: usize| seeds.iter().filter_map(|seed| seed[i].1.epochs.get(epoch)?.test_accuracy).collect();
        Curve::measured(*name, arithmetic, (0..=experiment.epochs()).map(|epoch| (epoch as f64, at(epoch))))
    };
    let accuracies = Figure {
        title: "Test accuracy, odd or even".to_owned(),
        x: "epoch".to_owned(),
        y: "test accuracy".to_owned(),
        series: KINDS.iter().enumerate().map(curve).collect(),
        ..Figure::default()
    };
    let reliability = |(i, (name, ..)): (usize, &(&str, Output, &str))| {
        let all: Vec<(f64, bool)> = seeds.iter().flat_map(|seed| seed[i].2.iter().copied()).collect();
        let bin = |bin: usize| {
            let of = |(p, _): &&(f64, bool)| ((p.clamp(0.0, 1.0) * 10.0) as usize).min(9) == bin;
            let (p, positive): (Vec<f64>, Vec<f64>) =
                all.iter().filter(of).map(|(p, odd)| (p.clamp(0.0, 1.0), f64::from(u8::from(*odd)))).unzip();
            (arithmetic(&p), vec![arithmetic(&positive)])
        };
        Curve::measured(*name, arithmetic, (0..10).map(bin))
    };
    let calibrated = Curve::predicted("calibrated", [(0.0, 0.0), (1.0, 1.0)]);
    let calibration = Figure {
        title: "Calibration, all seeds together".to_owned(),
        x: "predicted probability of odd".to_owned(),
        y: "fraction that is odd".to_owned(),
        series: KINDS.iter().enumerate().map(reliability).chain([calibrated]).collect(),
        ..Figure::default()
    };
    Ok(Outcome {
        conditions: conditions(&measured),
        what_was_run: format!(
            "odd or even: {}; sigmoid with cross entropy, ReLU and linear with squared error; {}",
            Training::describe(&experiment),
            seeds_in_words(&lab.seeds())
        ),
        figures: vec![accuracies, calibration],
    })
}

/// Predictions on the test set beside the truth.
fn predictions(network: &Binary, data: &DeviceDataset) -> Vec<(f64, bool)> {
    let network = network.valid();
    let outputs = network.forward(data.test.images(), &mut Trace::off());
    let labels: Vec<i64> = odd(data.test.labels()).into_data().iter().collect();
    let predictions: Vec<f64> = network.predictions(outputs).into_data().iter().collect();
    predictions.into_iter().zip(labels).map(|(prediction, label)| (prediction, label == 1)).collect()
}

fn classifier(predictions: &[(f64, bool)], run: &Run) -> Classifier {
    let outside = predictions.iter().filter(|(prediction, _)| !(0.0..=1.0).contains(prediction)).count();
    Classifier {
        accuracy: accuracy(run),
        calibration_error: expected_calibration_error(predictions).unwrap_or(f64::NAN),
        out_of_range: outside as f64 / predictions.len() as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn verdict(sigmoid: (f64, f64), other: (f64, f64, f64), hidden: f64) -> Verdict {
        let classifier =
            |(accuracy, calibration_error, out_of_range)| Classifier { accuracy, calibration_error, out_of_range };
        let seeds = around(1.0).map(|jitter| Measured {
            sigmoid: classifier((jitter * sigmoid.0, jitter * sigmoid.1, 0.0)),
            relu: classifier(other),
            linear: classifier(other),
            sigmoid_hidden: classifier((hidden, 0.0, 0.0)),
        });
        CLAIM.judge(conditions(&seeds)).verdict
    }

    #[test]
    fn a_better_calibrated_output_confirms_and_a_worse_one_refutes() {
        assert_eq!(verdict((0.985, 0.005), (0.984, 0.05, 0.3), 0.90), Verdict::Confirmed);
        assert_eq!(verdict((0.950, 0.050), (0.985, 0.005, 0.0), 0.985), Verdict::Refuted);
        // No difference but the range.
        assert_eq!(verdict((0.985, 0.005), (0.985, 0.005, 0.3), 0.985), Verdict::Qualified);
    }

    #[test]
    fn the_calibration_error_is_the_gap_between_probability_and_frequency() {
        // Said 0.75 a hundred times, right 75 times; then right 50 times.
        let predictions = |right: usize| -> Vec<_> { (0..100).map(|i| (0.75, i < right)).collect() };
        assert!(expected_calibration_error(&predictions(75)).unwrap().abs() < 1e-12);
        assert!((expected_calibration_error(&predictions(50)).unwrap() - 0.25).abs() < 1e-12);
        // Two bins of one sample each: |0.1 − 0| and |0.8 − 1|, halved.
        let error = expected_calibration_error(&[(0.1, false), (0.8, true)]).unwrap();
        assert!((error - 0.15).abs() < 1e-12);
        assert_eq!(expected_calibration_error(&[(7.0, true), (-1.0, false)]), Some(0.0));
        assert_eq!(expected_calibration_error(&[]), None);
        assert_eq!(expected_calibration_error(&[(f64::NAN, true)]), None);
    }
}
