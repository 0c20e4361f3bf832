//! `derivative-at-zero`: the derivative is 1 or 0, and choosing 0 at 0 does no harm.

use burn::{
    module::Module,
    tensor::{DType, Tensor, module::conv2d, ops::ConvOptions},
};
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    lab::{ClaimError, Lab, Setup, Trained, describe, trained},
};
use crate::{
    data::DeviceSamples,
    experiment::{Dtype, Experiment, ModelKind},
    judge::{
        curve::{Curve, arithmetic},
        number::{percent, points},
        verdict::{Direction, Hypothesis, Sample},
    },
    network::{Model, Network},
    observe::Trace,
    train::Event,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "derivative-at-zero",
    statement: "ReLU's derivative is 1 or 0, and taking 0 at 0, where it has none, does no harm.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.3; Bertoin, Bolte, Gerchinovitz and Pauwels \
             2021, Numerical influence of ReLU'(0) on backpropagation, who find that it matters at 16 and 32 bits, and 0 \
             the best choice",
    criteria: &[&ACCURACY],
    procedure: Procedure::of::<DerivativeAtZero>(),
};

static ACCURACY: Criterion = Criterion {
    quantity: "test accuracy with 0 at 0 less that with 1 at 0, seed by seed, where pre-activations are exactly 0",
    unit: "fraction",
    null_hypothesis: "Taking 0 costs a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::NotBelow, 0.0, 0.01),
    why: "Two trainings that part at one step end a few tenths of a point apart, as two seeds do; a point is the least \
          that would make anyone choose another value.",
};

/// Fraction of hidden pre-activations that must be exactly 0 at some time for the derivative there to have any part.
const OCCURS: f64 = 1e-6;

/// The study.
pub struct DerivativeAtZero;

/// A setting in which zeros are expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Where {
    /// Nothing special: where f32 gives no zero, the condition is void.
    Plain,
    /// Half types, in which sums are rounded coarsely.
    Half(Dtype),
    /// A CNN whose background is exactly 0 and whose biases begin at 0: most of its first pre-activations are 0 before
    /// the first step.
    BlackBackground,
}

impl Where {
    fn name(self) -> String {
        match self {
            Self::Plain => "f32, MLP".to_owned(),
            Self::Half(dtype) => format!("{dtype}, MLP"),
            Self::BlackBackground => "f32, CNN on a background of 0".to_owned(),
        }
    }
}

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    mlp: Experiment,
    cnn: Experiment,
    places: Vec<Where>,
    values: Vec<f64>,
}

/// A setting with a value at 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arm {
    place: Where,
    /// 0 or 1; ½ where there is time for it.
    at_zero: f64,
}

/// One training; `None` where the device does not compute in its type.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Outcome {
    trained: Trained,
    /// Fraction of pre-activations that are exactly 0, at its largest over training.
    zeros: f64,
}

impl Study for DerivativeAtZero {
    type Settings = Settings;
    type Pilot = ();
    type Arm = Arm;
    type Outcome = Option<Outcome>;

    fn settings(plan: &Plan) -> Settings {
        let mlp = Experiment {
            hidden: Some(vec![128; 2]),
            train_size: plan.choose(Some(1000), Some(2000), None),
            epochs: Some(plan.choose(1, 3, 10)),
            ..plan.experiment()
        };
        let cnn = Experiment {
            model: ModelKind::Cnn,
            hidden: None,
            // Enough that two seeds end within a point of each other.
            train_size: plan.choose(Some(500), Some(5000), None),
            batch_size: 32,
            ..mlp.clone()
        };
        let places = vec![Where::BlackBackground, Where::Half(Dtype::F16), Where::Half(Dtype::Bf16), Where::Plain];
        Settings { mlp, cnn, places, values: plan.choose(vec![0.0, 1.0], vec![0.0, 1.0], vec![0.0, 0.5, 1.0]) }
    }

    fn pilot(_: &Lab, _: &Settings) -> Result<(), ClaimError> {
        Ok(())
    }

    fn arms(settings: &Settings, (): &()) -> Vec<Arm> {
        let at = |&place: &Where| settings.values.iter().map(move |&at_zero| Arm { place, at_zero });
        settings.places.iter().flat_map(at).collect()
    }

    fn measure(lab: &Lab, settings: &Settings, arm: &Arm, seed: u64) -> Result<Option<Outcome>, ClaimError> {
        let experiment = match arm.place {
            Where::BlackBackground => settings.cnn.clone(),
            Where::Half(dtype) => Experiment { dtype, ..settings.mlp.clone() },
            Where::Plain => settings.mlp.clone(),
        };
        if !lab.device().supports_dtype(DType::from(experiment.dtype)) {
            return Ok(None);
        }
        let setup = Setup::new(experiment, &format!("relu:heaviside={}", arm.at_zero));
        let (training, data) = (setup.training(seed), lab.data(&setup.experiment)?);
        let model = lab.network(&training, &data);
        let black = data.train.slice(0..1).images.min().into_scalar::<f64>();
        let network = Shifted { model, shift: if arm.place == Where::BlackBackground { -black } else { 0.0 } };
        let zeros = exact_zeros(&network, &data.train);
        let every = 10;
        let (network, run, zeros) = lab.train_observed(network, &training, &data, zeros, &mut |zeros, event| {
            if let Event::Step { step, network, .. } = event
                && step.is_multiple_of(every)
            {
                *zeros = zeros.max(exact_zeros(network, &data.train));
            }
        })?;
        Ok(Some(Outcome { trained: trained(&network, &run, &data), zeros }))
    }

    fn judge(settings: &Settings, (): &(), trials: &Trials<Arm, Option<Outcome>>) -> Findings {
        let is = |place: Where, at_zero: f64| move |arm: &Arm| arm.place == place && arm.at_zero == at_zero;
        let zeros = |place: Where, at_zero: f64| -> Vec<f64> {
            trials.of(is(place, at_zero)).into_iter().flatten().map(|outcome| outcome.zeros).collect()
        };
        let sample = |place: Where, other: f64| {
            let difference = |a: &Option<Outcome>, b: &Option<Outcome>| match (a, b) {
                (Some(a), Some(b)) => a.trained.accuracy - b.trained.accuracy,
                _ => f64::NAN,
            };
            let largest = [0.0, other].iter().flat_map(|&at| zeros(place, at)).fold(f64::NAN, f64::max);
            match largest {
                none if none.is_nan() => Sample::Void("the backend does not compute in this type".to_owned()),
                few if few < OCCURS => Sample::Void("no pre-activation was exactly 0".to_owned()),
                _ => Sample::Effects(trials.pairs(is(place, 0.0), is(place, other), difference)),
            }
        };
        let mut conditions: Vec<Condition> = settings
            .places
            .iter()
            .map(|&place| {
                let (name, sample) = (place.name(), sample(place, 1.0));
                // The textbook's precision, where zeros do not occur, decides nothing.
                match place {
                    Where::Plain => Condition::exploratory(&ACCURACY, name, sample),
                    _ => Condition::primary(&ACCURACY, name, sample),
                }
            })
            .collect();
        let half = settings.values.contains(&0.5);
        for &place in settings.places.iter().filter(|_| half) {
            let name = format!("{}, against ½ at 0", place.name());
            conditions.push(Condition::exploratory(&ACCURACY, name, sample(place, 0.5)));
        }
        let curve = |place: &Where| {
            let at = |&at_zero: &f64| {
                let outcomes = trials.of(is(*place, at_zero)).into_iter().flatten();
                (at_zero, outcomes.map(|outcome| outcome.trained.accuracy).collect())
            };
            Curve::measured(place.name(), arithmetic, settings.values.iter().map(at))
        };
        let often = settings.places.iter().map(|&place| {
            let largest = zeros(place, 0.0).into_iter().chain(zeros(place, 1.0)).fold(0.0, f64::max);
            format!("{} {} %", place.name(), percent(largest, 4))
        });
        Findings {
            conditions,
            what_was_run: format!(
                "{}; CNN: {}; pre-activations that were exactly 0, at most: {}",
                describe(&settings.mlp),
                describe(&settings.cnn),
                often.collect::<Vec<_>>().join("; ")
            ),
            diverged: trials.all().flatten().filter(|outcome| outcome.trained.diverged).count(),
            figures: vec![Figure {
                title: "Test accuracy by the derivative at 0".to_owned(),
                x: "derivative at 0".to_owned(),
                y: "test accuracy".to_owned(),
                series: settings.places.iter().map(curve).collect(),
                ..Figure::default()
            }],
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let effects = judgement.conditions.iter().filter(|c| c.primary).filter_map(|c| c.effect);
        let worst = effects.map(|effect| effect.median).fold(f64::INFINITY, f64::min);
        match worst {
            none if none.is_infinite() => "No pre-activation was exactly 0, so the value there had no part.".to_owned(),
            worst if ACCURACY.hypothesis.holds(worst) => {
                format!(
                    "Where pre-activations are exactly 0, taking 0 there changes accuracy by {} points at worst.",
                    points(worst)
                )
            }
            worst => format!("Taking 0 at 0 changes accuracy by {} points against taking 1.", points(worst)),
        }
    }
}

/// A network whose pixels are shifted before anything else.
#[derive(Module, Debug)]
struct Shifted {
    model: Model,
    shift: f64,
}

impl Shifted {
    fn shifted(&self, images: Tensor<2>) -> Tensor<2> {
        if self.shift == 0.0 { images } else { images + self.shift }
    }
}

impl Network for Shifted {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        trace.within("model", |trace| self.model.forward(self.shifted(images), trace))
    }
}

/// The fraction of hidden pre-activations that are exactly 0 over the first samples: all of an MLP's, the first layer's
/// of a CNN.
fn exact_zeros(network: &Shifted, samples: &DeviceSamples) -> f64 {
    let batch = samples.slice(0..samples.len().min(256));
    let network = network.valid();
    let mut x = network.shifted(batch.images);
    let (mut zeros, mut values) = (0, 0);
    let mut count = |zero: Tensor<1>| {
        values += zero.shape().num_elements();
        zeros += zero.equal_elem(0.0).int().sum().into_scalar::<i64>();
    };
    match &network.model {
        Model::Mlp(mlp) => {
            for dense in &mlp.hidden {
                let z = dense.preactivation(x);
                count(z.clone().flatten(0, 1));
                x = dense.activation.forward(z);
            }
        }
        Model::Cnn(cnn) => {
            let [samples, pixels] = x.dims();
            let layer = &cnn.conv[0].convolution;
            let [_, channels, kernel, _] = layer.weight.dims();
            let side = ((pixels / channels) as f64).sqrt() as usize;
            let options = ConvOptions::new([1, 1], [kernel / 2, kernel / 2], [1, 1], 1);
            let bias = layer.bias.as_ref().map(|bias| bias.val());
            let z = conv2d(x.reshape([samples, channels, side, side]), layer.weight.val(), bias, options);
            count(z.flatten(0, 3));
        }
    }
    zeros as f64 / values as f64
}

#[cfg(test)]
mod tests {
    use super::{super::tests::plan, *};
    use crate::judge::verdict::Verdict;

    fn verdict(zeros: f64, with_zero: f64, with_one: f64) -> Verdict {
        let settings = DerivativeAtZero::settings(&plan());
        let arms = DerivativeAtZero::arms(&settings, &());
        let outcome = |arm: &Arm| {
            let accuracy = if arm.at_zero == 1.0 { with_one } else { with_zero };
            Some(Outcome { trained: Trained { accuracy, loss: 0.1, diverged: false }, zeros })
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = DerivativeAtZero::judge(&settings, &(), &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn no_harm_confirms_harm_refutes_and_without_a_zero_there_is_no_evidence() {
        assert_eq!(verdict(0.01, 0.95, 0.95), Verdict::Confirmed);
        assert_eq!(verdict(0.01, 0.90, 0.95), Verdict::Refuted);
        assert_eq!(verdict(0.0, 0.90, 0.95), Verdict::NotSettled);
    }
}
