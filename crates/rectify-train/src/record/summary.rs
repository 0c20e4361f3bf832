//! What is derived from runs: estimates over seeds.

use serde::{Deserialize, Serialize};

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
