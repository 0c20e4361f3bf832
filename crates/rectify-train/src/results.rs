//! What a run leaves behind: the `results.json` schema.
//!
//! Accuracies and fractions are in `0..=1`, times in seconds, losses are means per sample in nats.
//! Fields may be added; those that are here stay.

use serde::{Deserialize, Serialize};

use crate::experiment::Experiment;

/// The version written to `schema_version`.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything one command measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The machine and the software.
    pub environment: Environment,
    /// The settings, as flags and config file spell them.
    pub experiment: Experiment,
    /// One entry a training: every activation with every seed.
    pub runs: Vec<Run>,
    /// One entry an activation, over its seeds.
    pub summary: Vec<Summary>,
    /// Differences between activations, seed by seed.
    pub paired_differences: Vec<PairedDifference>,
}

/// Where the figures were measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of Rectify.
    pub rectify: String,
    /// Version of Burn.
    pub burn: String,
    /// Backend's name, as `--backend` takes it.
    pub backend: String,
    /// The GPU's name and driver; `None` on a CPU backend.
    pub adapter: Option<String>,
    /// The processor's name.
    pub cpu: String,
    /// Logical processors of the machine.
    pub threads: usize,
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It ran its epochs or steps, or patience ended it.
    Completed,
    /// The loss was no longer finite, at `diverged_at_step`.
    Diverged,
    /// Stopped from outside; its epochs so far are there.
    Interrupted,
}

/// One training: an activation with a seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The activation as the user spelt it.
    pub activation: String,
    /// Seed of the initial weights and of the order of samples.
    pub seed: u64,
    /// How it ended.
    pub status: Status,
    /// The first step (from 1) whose loss was not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged_at_step: Option<usize>,
    /// Seconds of training, measuring and evaluating.
    pub wall_seconds: f64,
    /// Training steps taken.
    pub steps: usize,
    /// Trainable parameters.
    pub parameters: usize,
    /// Entry 0 is the network before training.
    pub epochs: Vec<Epoch>,
    /// Figures taken between epochs, where `probe_every` asked for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<StepProbe>,
}

impl Run {
    /// The last epoch measured.
    pub fn last(&self) -> Option<&Epoch> {
        self.epochs.last()
    }
}

/// The network at the end of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// 0 is before training.
    pub epoch: usize,
    /// Training steps taken so far.
    pub step: usize,
    /// Seconds this epoch's training steps took, without evaluating and reporting.
    pub seconds: f64,
    /// Mean loss over the epoch's training batches as they were trained on; at epoch 0, over the probe set.
    /// `None` where it was not finite.
    pub train_loss: Option<f64>,
    /// Mean loss over the validation set.
    pub validation_loss: Option<f64>,
    /// Fraction of the validation set classified rightly.
    pub validation_accuracy: f64,
    /// Mean loss over the test set.
    pub test_loss: Option<f64>,
    /// Fraction of the test set classified rightly.
    pub test_accuracy: f64,
    /// Hidden layers from the input on, then the output layer. Empty where probes are off.
    pub layers: Vec<Layer>,
}

/// Figures of one training step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepProbe {
    /// The step, from 1.
    pub step: usize,
    /// The batch's loss.
    pub loss: Option<f64>,
    /// Measured on the step's own batch.
    pub layers: Vec<Layer>,
}

/// Figures of one layer. `None` where a figure has no meaning or was not finite.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// `hidden.0`, `hidden.1`, …, `output`; for convolutions `conv.0`, ….
    pub layer: String,
    /// Units: neurons, or channels of a convolution.
    pub units: usize,
    /// Root mean square of the loss's gradient with respect to the layer's weights.
    pub weight_grad_rms: Option<f64>,
    /// L2 norm of the same gradient.
    pub weight_grad_norm: Option<f64>,
    /// Root mean square of the gradient of the mean loss with respect to the pre-activations.
    pub preactivation_grad_rms: Option<f64>,
    /// L2 norm of the same gradient.
    pub preactivation_grad_norm: Option<f64>,
    /// Mean of the pre-activations over samples and units.
    pub preactivation_mean: Option<f64>,
    /// Standard deviation of the pre-activations over samples and units.
    pub preactivation_std: Option<f64>,
    /// Mean of the activations.
    pub activation_mean: Option<f64>,
    /// Standard deviation of the activations.
    pub activation_std: Option<f64>,
    /// Fraction of activations that are exactly zero.
    pub zero_fraction: Option<f64>,
    /// Fraction of units that are exactly zero on every sample of the probe set.
    pub dead_fraction: Option<f64>,
    /// Fraction of activations whose derivative is under 5 % of its maximum. `None` for functions that do not
    /// saturate.
    pub saturated_fraction: Option<f64>,
    /// ‖Δw‖/‖w‖ of the last training step.
    pub update_to_weight_ratio: Option<f64>,
    /// Histogram of the activations at the start and the end; `None` between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
}

/// Counts in equal bins between `low` and `high`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Left edge of the first bin.
    pub low: f64,
    /// Right edge of the last bin.
    pub high: f64,
    /// How many values fell into each bin.
    pub counts: Vec<u64>,
}

/// An estimate over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Arithmetic mean (of ratios: geometric).
    pub mean: f64,
    /// Sample standard deviation; `None` with one seed.
    pub std: Option<f64>,
    /// Lower end of the interval; `None` with one seed.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// The interval's level, 0.95.
    pub confidence: f64,
}

/// One activation over its seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The activation as the user spelt it.
    pub activation: String,
    /// Trainings that this sums up.
    pub seeds: usize,
    /// Of those, how many diverged.
    pub diverged: usize,
    /// Test accuracy at the end of training.
    pub test_accuracy: Option<Estimate>,
    /// Validation accuracy at the end of training.
    pub validation_accuracy: Option<Estimate>,
    /// Training seconds an epoch.
    pub seconds_per_epoch: Option<Estimate>,
    /// First hidden layer's `weight_grad_rms` over the last hidden layer's, before training.
    pub gradient_ratio_start: Option<Estimate>,
    /// The same at the end.
    pub gradient_ratio: Option<Estimate>,
    /// Mean over hidden layers at the end.
    pub zero_fraction: Option<Estimate>,
    /// Mean over hidden layers at the end.
    pub dead_fraction: Option<Estimate>,
    /// Mean over hidden layers at the end.
    pub saturated_fraction: Option<Estimate>,
}

/// Test accuracy of `activation` less that of `baseline`, over the seeds that both have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// The activation.
    pub activation: String,
    /// What it is compared with: the first activation of the experiment.
    pub baseline: String,
    /// Seeds that both completed.
    pub seeds: usize,
    /// The difference in test accuracy.
    pub test_accuracy: Estimate,
}
