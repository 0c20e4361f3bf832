//! `derivative-at-zero`: the derivative is 1 or 0, and choosing 0 at 0 does no harm.

use burn::{
    module::Module,
    nn::{BatchNorm, BatchNormConfig},
    tensor::{DType, Tensor},
};

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic,
    lab::{ClaimError, Lab, accuracy, seeds_in_words},
};
use crate::{
    data::DeviceSamples,
    experiment::{Dtype, Experiment},
    judge::verdict::{Direction, Hypothesis},
    network::{Mlp, Network},
    observe::Trace,
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "derivative-at-zero",
    statement: "ReLU's derivative is 1 or 0, and taking 0 at 0, where it has none, does no harm.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.3; Bertoin, Bolte, Gerchinovitz and Pauwels \
             2021, Numerical influence of ReLU'(0) on backpropagation, who find that it matters at 16 and 32 bits, and 0 the best choice",
    parts: &[&ACCURACY],
    run,
};

static ACCURACY: Part = Part {
    quantity: "test accuracy with 0 at 0 less that with another value, seed by seed",
    unit: "fraction",
    null_hypothesis: "Taking 0 costs half a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::NotBelow, 0.0, 0.005),
    why: "Seeds alone spread MNIST accuracies by two or three tenths of a point; half a point is the least that would \
          make anyone choose another value.",
};

/// Two trainings that differ in the value at 0 alone.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Type, setting and the other value, such as `f16, batch norm, ½ at 0`.
    pub condition: String,
    /// Test accuracies (with 0, with the other value), a pair a seed; NaN where a training diverged.
    pub accuracies: Vec<(f64, f64)>,
}

/// The evidence under each condition.
pub fn conditions(measured: &[Measured]) -> Vec<Condition> {
    let differences = |m: &Measured| m.accuracies.iter().map(|(zero, other)| zero - other).collect();
    measured.iter().map(|m| Condition::new(&ACCURACY, &m.condition, differences(m))).collect()
}

/// Values at 0, the claim's own first.
const VALUES: [(&str, &str); 3] =
    [("relu", "0 at 0"), ("relu:heaviside=0.5", "½ at 0"), ("relu:heaviside=1", "1 at 0")];
/// Twice the ordinary rate: at three times, some trainings diverge.
const LARGE_RATE: f64 = 0.2;

/// An MLP with batch normalisation before each activation, or without.
#[derive(Module, Debug)]
struct Normalised {
    mlp: Mlp,
    norms: Vec<BatchNorm>,
}

impl Normalised {
    /// Calls `look` with each hidden layer's pre-activations, as the activation gets them.
    fn pass(&self, images: Tensor<2>, trace: &mut Trace, look: &mut dyn FnMut(&Tensor<2>)) -> Tensor<2> {
        let mut x = images;
        for (i, dense) in self.mlp.hidden.iter().enumerate() {
            let z = dense.preactivation(x);
            let z = match self.norms.get(i) {
                Some(norm) => norm.forward(z),
                None => z,
            };
            look(&z);
            x = trace.layer(&format!("mlp.hidden.{i}"), z, |z| dense.activation.forward(z));
        }
        trace.output("mlp.output", self.mlp.output.forward(x))
    }
}

impl Network for Normalised {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        self.pass(images, trace, &mut |_| {})
    }
}

/// A type and a setting.
#[derive(Debug, Clone, Copy)]
struct Setting {
    name: &'static str,
    dtype: Dtype,
    rate: f64,
    batch_norm: bool,
}

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    let plain = Setting { name: "f32", dtype: Dtype::F32, rate: 0.1, batch_norm: false };
    let settings = [
        plain,
        Setting { name: "f32, batch norm", batch_norm: true, ..plain },
        Setting { name: "f32, rate 0.2", rate: LARGE_RATE, ..plain },
        Setting { name: "bf16", dtype: Dtype::Bf16, ..plain },
        Setting { name: "f16", dtype: Dtype::F16, ..plain },
        Setting { name: "f16, rate 0.2", dtype: Dtype::F16, rate: LARGE_RATE, ..plain },
    ];
    // Not every device computes in every type; what it does not is left out, and what was run says so.
    let settings: Vec<Setting> =
        settings.into_iter().filter(|setting| lab.device().supports_dtype(DType::from(setting.dtype))).collect();
    let experiment_of = |setting: &Setting| Experiment {
        dtype: setting.dtype,
        lr: Some(setting.rate),
        train_size: lab.choose(Some(2000), Some(50_000), None),
        epochs: Some(lab.choose(1, 1, 10)),
        ..lab.experiment()
    };
    let names = VALUES.map(|(name, _)| name);
    let trainings: Vec<(Training, bool)> = settings
        .iter()
        .flat_map(|setting| {
            let all = lab.trainings(&experiment_of(setting), &names, lab.seeds());
            all.into_iter().map(|training| (training, setting.batch_norm))
        })
        .collect();
    let trained = lab.side_by_side(&trainings, &|(training, batch_norm)| {
        let data = lab.data(&training.experiment)?;
        let mlp = lab.mlp(training, &data);
        let norm = |width: &usize| BatchNormConfig::new(*width).init(&lab.device().clone().autodiff());
        let norms = if *batch_norm { training.experiment.hidden().iter().map(norm).collect() } else { Vec::new() };
        let (network, run) = lab.train(Normalised { mlp, norms }, training, &data, &mut |_| {})?;
        Ok((accuracy(&run), exact_zeros(&network, &data.train)))
    })?;
    let seeds = lab.seeds().count();
    let mut measured = Vec::new();
    let mut zeros = Vec::new();
    for (setting, outcomes) in settings.iter().zip(trained.chunks(names.len() * seeds)) {
        for (i, (_, value)) in VALUES.iter().enumerate().skip(1) {
            measured.push(Measured {
                condition: format!("{}, {value}", setting.name),
                accuracies: outcomes.chunks(names.len()).map(|seed| (seed[0].0, seed[i].0)).collect(),
            });
        }
        let at = |i: usize| (i as f64 / 2.0, outcomes.chunks(names.len()).map(|seed| seed[i].1).collect());
        zeros.push(Curve::measured(setting.name, arithmetic, (0..names.len()).map(at)));
    }
    let accuracies = settings.iter().zip(trained.chunks(names.len() * seeds)).map(|(setting, outcomes)| {
        let at = |i: usize| (i as f64 / 2.0, outcomes.chunks(names.len()).map(|seed| seed[i].0).collect());
        Curve::measured(setting.name, arithmetic, (0..names.len()).map(at))
    });
    let figure = |title: &str, y: &str, series| Figure {
        title: title.to_owned(),
        x: "derivative at 0".to_owned(),
        y: y.to_owned(),
        series,
        ..Figure::default()
    };
    Ok(Outcome {
        conditions: conditions(&measured),
        what_was_run: format!(
            "{}; and {}; {}",
            Training::describe(&experiment_of(&plain)),
            settings.iter().skip(1).map(|setting| setting.name).collect::<Vec<_>>().join("; "),
            seeds_in_words(&lab.seeds())
        ),
        figures: vec![
            figure("Test accuracy", "test accuracy", accuracies.collect()),
            figure("Pre-activations that are exactly 0, after training", "fraction", zeros),
        ],
    })
}

/// The fraction of hidden pre-activations that are exactly 0, over at most 2000 samples.
fn exact_zeros(network: &Normalised, samples: &DeviceSamples) -> f64 {
    let batch = samples.slice(0..samples.len().min(2000));
    let (mut zeros, mut values) = (0, 0);
    network.valid().pass(batch.images, &mut Trace::off(), &mut |z| {
        zeros += z.clone().equal_elem(0.0).int().sum().into_scalar::<i64>();
        values += z.shape().num_elements();
    });
    zeros as f64 / values as f64
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn verdict(pairs: &[(f64, f64)]) -> Verdict {
        let measured: Vec<_> = pairs
            .iter()
            .map(|&(zero, other)| Measured {
                condition: "made".to_owned(),
                accuracies: around(zero).map(|zero| (zero, other)).to_vec(),
            })
            .collect();
        CLAIM.judge(conditions(&measured)).verdict
    }

    #[test]
    fn no_difference_and_a_gain_confirm_harm_refutes_and_both_qualify() {
        assert_eq!(verdict(&[(0.975, 0.975), (0.97, 0.971)]), Verdict::Confirmed);
        assert_eq!(verdict(&[(0.975, 0.80)]), Verdict::Confirmed);
        assert_eq!(verdict(&[(0.90, 0.975), (0.93, 0.97)]), Verdict::Refuted);
        assert_eq!(verdict(&[(0.975, 0.975), (0.90, 0.975)]), Verdict::Qualified);
        assert_eq!(verdict(&[(f64::NAN, 0.975)]), Verdict::NotSettled);
    }
}
