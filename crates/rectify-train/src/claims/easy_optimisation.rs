//! `easy-optimisation`: near linearity makes optimisation easier.

use burn::{
    module::{ModuleVisitor, Param},
    optim::{GradientsParams, SgdConfig},
    tensor::{DType, Tensor},
};
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic, geometric,
    lab::{ClaimError, Lab, seeds_in_words},
};
use crate::{
    data::Batch,
    judge::verdict::{Direction, Hypothesis},
    network::Network,
    observe::Trace,
    train::grid::Training,
    train::{Event, gradients},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "easy-optimisation",
    statement: "Networks with ReLU are easier to optimise, because ReLU is nearly linear.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.3.1; the measures follow Santurkar et al. 2018, \
             How does batch normalization help optimization?, §3",
    parts: &[&PREDICTION, &COSINE],
    run,
};

static PREDICTION: Part = Part {
    quantity: "error of the loss's first-order prediction along the step, sigmoid's or tanh's over ReLU's",
    unit: "ratio",
    null_hypothesis: "The loss follows its gradient equally far.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.25),
    why: "The error grows with the step, so a quarter less is a quarter more of learning rate at equal error; neighbours \
          on a grid of rates are not closer.",
};
static COSINE: Part = Part {
    quantity: "cosine between the gradients at both ends of a step, ReLU's less sigmoid's or tanh's",
    unit: "1",
    null_hypothesis: "Gradients turn equally much.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.05),
    why: "A cosine falls by 0.05 at 18 degrees: below that a step hardly loses by the gradient's turn.",
};

/// The error of a first-order prediction: |actual − predicted| / |predicted|, of the changes of loss along a step.
///
/// `predicted` is −rate · ‖g‖² for gradient descent. NaN where nothing was predicted.
pub fn prediction_error(actual: f64, predicted: f64) -> f64 {
    if predicted == 0.0 { f64::NAN } else { ((actual - predicted) / predicted).abs() }
}

/// One network's figures, means over training, with steps of the same length for both activations.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Landscape {
    /// Mean of [`prediction_error`].
    pub prediction_error: f64,
    /// Mean cosine between the gradients at both ends of a step.
    pub gradient_cosine: f64,
}

/// ReLU and another activation.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Such as `tanh, 5 layers`.
    pub condition: String,
    /// (ReLU, the other), a pair a seed.
    pub landscapes: Vec<(Landscape, Landscape)>,
}

/// The evidence under each condition.
pub fn conditions(measured: &[Measured]) -> Vec<Condition> {
    let of = |part, name: &str, effect: fn(&(Landscape, Landscape)) -> f64| -> Vec<Condition> {
        let effects = |m: &Measured| m.landscapes.iter().map(effect).collect();
        measured.iter().map(|m| Condition::new(part, format!("{}, {name}", m.condition), effects(m))).collect()
    };
    [
        of(&PREDICTION, "prediction", |(relu, other)| other.prediction_error / relu.prediction_error),
        of(&COSINE, "cosine", |(relu, other)| relu.gradient_cosine - other.gradient_cosine),
    ]
    .concat()
}

/// Length of the steps along which the loss is watched, the same for all activations: about what a rate of 0.1 makes of
/// a gradient of length 1.
const LENGTH: f64 = 0.1;
const ACTIVATIONS: [&str; 3] = ["relu", "sigmoid", "tanh"];

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    let experiment = lab.experiment();
    let every = lab.choose(4, 20, 50);
    let trainings = lab.trainings(&experiment, &ACTIVATIONS, lab.seeds());
    let walks = lab.side_by_side(&trainings, &|training| {
        let data = lab.data(&training.experiment)?;
        let mut landscapes: Vec<(f64, Landscape)> = Vec::new();
        lab.train(lab.network(training, &data), training, &data, &mut |event| {
            if let Event::Step { step, network, batch } = event
                && step.is_multiple_of(every)
            {
                landscapes.push((step as f64, landscape(network, batch)));
            }
        })?;
        Ok(landscapes)
    })?;
    let mean = |walk: &[(f64, Landscape)]| Landscape {
        prediction_error: arithmetic(&walk.iter().map(|(_, l)| l.prediction_error).collect::<Vec<_>>()),
        gradient_cosine: arithmetic(&walk.iter().map(|(_, l)| l.gradient_cosine).collect::<Vec<_>>()),
    };
    let seeds: Vec<_> = walks.chunks(ACTIVATIONS.len()).collect();
    let measured: Vec<Measured> = ACTIVATIONS
        .iter()
        .enumerate()
        .skip(1)
        .map(|(i, name)| Measured {
            condition: format!("{name}, {} layers", experiment.hidden().len()),
            landscapes: seeds.iter().map(|seed| (mean(&seed[0]), mean(&seed[i]))).collect(),
        })
        .collect();
    let curves = |average: fn(&[f64]) -> f64, figure: fn(&Landscape) -> f64| -> Vec<Curve> {
        let curve = |(i, name): (usize, &&str)| {
            let looks = seeds.iter().map(|seed| seed[i].len()).min().unwrap_or(0);
            let at = |look: usize| {
                let step = seeds.first().map_or(0.0, |seed| seed[i][look].0);
                (step, seeds.iter().map(|seed| figure(&seed[i][look].1)).collect())
            };
            Curve::measured(*name, average, (0..looks).map(at))
        };
        ACTIVATIONS.iter().enumerate().map(curve).collect()
    };
    let figure = |title: &str, y: &str, log_y, series| Figure {
        title: title.to_owned(),
        x: "step".to_owned(),
        y: y.to_owned(),
        log_x: false,
        log_y,
        series,
    };
    Ok(Outcome {
        conditions: conditions(&measured),
        what_was_run: format!(
            "{}; every {every} steps a look along the gradient on the step's batch, over a distance of {LENGTH}; {}",
            Training::describe(&experiment),
            seeds_in_words(&lab.seeds())
        ),
        figures: vec![
            figure(
                "Error of the first-order prediction",
                "relative error",
                true,
                curves(geometric, |landscape| landscape.prediction_error),
            ),
            figure(
                "Cosine between the gradients at both ends",
                "cosine",
                false,
                curves(arithmetic, |landscape| landscape.gradient_cosine),
            ),
        ],
    })
}

/// Looks from where a network is along its gradient on a batch.
fn landscape<N: Network>(network: &N, batch: &Batch) -> Landscape {
    let here = slope(network, batch);
    let length = dot(network, &here.gradients, &here.gradients).sqrt();
    // Burn's optimizers take only what tracks gradients, which a network in training may not.
    let tracking = network.valid().train();
    let away = SgdConfig::new().init().step(LENGTH / length, tracking, copy(network, &here.gradients));
    let there = slope(&away, batch);
    Landscape {
        prediction_error: prediction_error(there.loss - here.loss, -LENGTH * length),
        gradient_cosine: dot(network, &here.gradients, &there.gradients)
            / (length * dot(network, &there.gradients, &there.gradients).sqrt()),
    }
}

struct Slope {
    loss: f64,
    gradients: GradientsParams,
}

fn slope<N: Network>(network: &N, batch: &Batch) -> Slope {
    let (loss, gradients) = gradients(network, batch.clone(), &mut Trace::off());
    Slope { loss: loss.into_scalar(), gradients }
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
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn verdict(relu: (f64, f64), other: (f64, f64)) -> Verdict {
        let landscape = |(error, cosine): (f64, f64)| Landscape { prediction_error: error, gradient_cosine: cosine };
        let landscapes =
            around(1.0).map(|jitter| (landscape((jitter * relu.0, jitter * relu.1)), landscape(other))).to_vec();
        CLAIM.judge(conditions(&[Measured { condition: "tanh".to_owned(), landscapes }])).verdict
    }

    #[test]
    fn a_straighter_landscape_confirms_an_equal_or_rougher_one_refutes() {
        assert_eq!(verdict((0.1, 0.9), (0.3, 0.7)), Verdict::Confirmed);
        assert_eq!(verdict((0.1, 0.9), (0.1, 0.9)), Verdict::Refuted);
        assert_eq!(verdict((0.3, 0.7), (0.1, 0.9)), Verdict::Refuted);
        assert_eq!(verdict((0.1, 0.7), (0.3, 0.9)), Verdict::Qualified);
    }

    #[test]
    fn a_quadratic_loss_misses_its_prediction_by_half_the_step() {
        // L = w²/2 at w = 1, step h: predicted −h, actual ((1 − h)² − 1) / 2 = −h + h²/2.
        let h = 0.2;
        assert!((prediction_error(-h + h * h / 2.0, -h) - h / 2.0).abs() < 1e-12);
        assert!(prediction_error(0.0, 0.0).is_nan());
    }
}
