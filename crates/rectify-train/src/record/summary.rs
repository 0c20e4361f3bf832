//! What is derived from runs: estimates over seeds.

use serde::{Deserialize, Serialize};

/// An estimate over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Arithmetic mean (of ratios: geometric).
    pub mean: f64,
    /// Sample standard deviation; `None` with one seed.
    pub std: Option<f64>,
    /// Lower end of the interval; `None` with one seed. Of a fraction's never below 0.
    pub low: Option<f64>,
    /// Upper end of the interval. Of a fraction's never above 1.
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
    /// Trainings that were stopped from outside; they are not among `seeds`, and no estimate is over them.
    #[serde(default)]
    pub interrupted: usize,
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

/// Test accuracy of `activation` less that of `baseline`, over the seeds that both completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// The activation.
    pub activation: String,
    /// What it is compared with: the first activation that the experiment names; for a pair that is there only as the
    /// two best, the second best.
    pub baseline: String,
    /// Seeds that both completed.
    pub seeds: usize,
    /// The difference in test accuracy with its interval at 95 %, as if it were the only one tested.
    pub test_accuracy: Estimate,
    /// Whether these are the two activations with the highest mean test accuracy.
    #[serde(default)]
    pub two_best: bool,
    /// Probability of a difference at least as large if there were none: two-sided, by Student's t over the
    /// differences seed by seed, or by the sign test where all of those are equal. `None` with one seed.
    #[serde(default)]
    pub p_value: Option<f64>,
    /// The same after Holm (1979), over all pairs of the experiment that have a `p_value`. At most 0.05: the
    /// difference is settled.
    #[serde(default)]
    pub adjusted_p_value: Option<f64>,
    /// The interval that goes with `adjusted_p_value`: it excludes 0 exactly where the difference is settled. `None`
    /// with one seed, and where the difference is the same with every seed, which shows no spread.
    #[serde(default)]
    pub interval: Option<Interval>,
}

/// An interval at a level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Its level, as 0.95.
    pub confidence: f64,
}

/// An activation's place among many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// The activation as the user spelt it.
    pub activation: String,
    /// Over completed runs.
    pub test_accuracy: Option<Estimate>,
    /// Runs that diverged, which have no part in it.
    pub diverged: usize,
    /// A letter for each group of neighbours, none of which are told apart, that it is in: `a b`.
    pub groups: String,
}
