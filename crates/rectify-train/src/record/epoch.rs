//! What is measured at the end of an epoch, and at a step.

use serde::{Deserialize, Serialize};

use super::{Layer, float};

/// The network at the end of an epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// 0 is before training.
    pub epoch: usize,
    /// Training steps taken so far.
    pub step: usize,
    /// Seconds this epoch's training steps took, without evaluating and reporting.
    pub seconds: f64,
    /// The learning rate in force at the epoch's last step.
    #[serde(default)]
    pub learning_rate: Option<f64>,
    /// Mean loss over the epoch's training batches as they were trained on; at epoch 0, over the gradient's sample.
    /// `None` where it was not finite.
    pub train_loss: Option<f64>,
    /// Mean loss over the validation set. `None` where it was not finite.
    pub validation_loss: Option<f64>,
    /// Fraction of the validation set classified rightly. `None` for a network that has diverged.
    pub validation_accuracy: Option<f64>,
    /// Mean loss over the test set. `None` where it was not finite.
    pub test_loss: Option<f64>,
    /// Fraction of the test set classified rightly. `None` for a network that has diverged.
    pub test_accuracy: Option<f64>,
    /// What the network is fed; measured before training, and `None` later or where probes are off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<InputSample>,
    /// What the layers' gradients were measured on; `None` where probes are off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient: Option<GradientSample>,
    /// Hidden layers from the input on, then the output layer. Empty where probes are off.
    pub layers: Vec<Layer>,
}

impl Epoch {
    /// Its numbers by their names in `results.json`.
    pub const METRICS: [(&'static str, fn(&Self) -> Option<f64>); 7] = [
        ("seconds", |epoch| Some(epoch.seconds)),
        ("learning_rate", |epoch| epoch.learning_rate),
        ("train_loss", |epoch| epoch.train_loss),
        ("validation_loss", |epoch| epoch.validation_loss),
        ("validation_accuracy", |epoch| epoch.validation_accuracy),
        ("test_loss", |epoch| epoch.test_loss),
        ("test_accuracy", |epoch| epoch.test_accuracy),
    ];
}

/// The first training samples as the network gets them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct InputSample {
    /// How many samples.
    pub samples: usize,
    /// Mean over samples and features. `None` where a value is not finite; so is `std`.
    pub mean: Option<f64>,
    /// Standard deviation over samples and features.
    pub std: Option<f64>,
    /// Fraction of features that are the same in all of these samples.
    pub constant_fraction: f64,
}

/// The samples that gradients were measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GradientSample {
    /// The set: `validation`, or `batch` for a step's own.
    pub set: String,
    /// How many samples, the set's first ones: [`Layer::weight_grad_rms`] is of the gradient of the mean loss over all of them.
    pub samples: usize,
    /// Samples of a batch: [`Layer::batch_weight_grad_rms`] is the mean over batches of so many.
    pub batch_size: usize,
}

/// A probed training step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepProbe {
    /// The step, from 1.
    pub step: usize,
    /// The batch's loss. `None` where it was not finite.
    pub loss: Option<f64>,
    /// Measured on the step's own batch.
    pub layers: Vec<Layer>,
}

/// The losses of consecutive training steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepLosses {
    /// The first of them, from 1.
    pub step: usize,
    /// The mean loss of each step's batch; values that are not finite are kept.
    #[serde(with = "float::many")]
    pub losses: Vec<f64>,
}
