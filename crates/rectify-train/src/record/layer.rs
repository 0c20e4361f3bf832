//! What is measured of a layer.

use serde::{Deserialize, Serialize};

/// What a layer is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An activation follows it.
    #[default]
    Hidden,
    /// It gives the network's outputs.
    Output,
}

/// One layer. `None` where a metric has no meaning for it, or where the values that it is made of were not all finite:
/// the counts `nonfinite_…` tell those apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// `hidden.0`, `hidden.1`, …, `output`; for convolutions `conv.0`, …: the path of its parameters in the module.
    pub layer: String,
    /// What it is for. Absent in records of before version 2, where the layer called `output` is the output.
    #[serde(default)]
    pub role: Option<Role>,
    /// The name of the activation that follows; `None` where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<String>,
    /// Values that a unit takes.
    #[serde(default)]
    pub fan_in: Option<usize>,
    /// Values that an input goes to.
    #[serde(default)]
    pub fan_out: Option<usize>,
    /// Units: neurons, or channels of a convolution.
    pub units: usize,
    /// Root mean square of the weights.
    #[serde(default)]
    pub weight_rms: Option<f64>,
    /// Root mean square of the biases; `None` where it has none.
    #[serde(default)]
    pub bias_rms: Option<f64>,
    /// Root mean square of the gradient, with respect to the weights, of the mean loss over the whole
    /// [`GradientSample`](super::GradientSample).
    pub weight_grad_rms: Option<f64>,
    /// L2 norm of the same gradient.
    pub weight_grad_norm: Option<f64>,
    /// What a step sees: the mean over batches of the root mean square of a batch's gradient.
    #[serde(default)]
    pub batch_weight_grad_rms: Option<f64>,
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
    /// Fraction of units whose activations are small beside the layer's: on average at most 0.025 of their mean size
    /// (dormant units: Sokar et al. 2023). Dead ones are among them.
    #[serde(default)]
    pub dormant_fraction: Option<f64>,
    /// By unit, the fraction of its activations over the probe set that are not zero. Empty where it has no meaning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unit_nonzero_fraction: Vec<f32>,
    /// Fraction of activations whose derivative is under 5 % of its maximum. `None` for functions that do not
    /// saturate.
    pub saturated_fraction: Option<f64>,
    /// ‖Δw‖/‖w‖ of the last training step.
    pub update_to_weight_ratio: Option<f64>,
    /// Weights and biases that are not finite.
    #[serde(default)]
    pub nonfinite_weights: u64,
    /// Entries of the weights' gradient that are not finite.
    #[serde(default)]
    pub nonfinite_gradients: u64,
    /// Activations that are not finite.
    #[serde(default)]
    pub nonfinite_activations: u64,
    /// How many directions the activations of a batch's first samples vary in: the participation ratio (Σλ)²/Σλ² of
    /// the eigenvalues of their covariance. `None` for layers whose units take several values of a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_rank: Option<f64>,
    /// Histogram of the activations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
    /// Histogram of the pre-activations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preactivation_histogram: Option<Histogram>,
    /// Histogram of the gradient of the mean loss with respect to the pre-activations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preactivation_grad_histogram: Option<Histogram>,
}

impl Layer {
    /// What was measured of it, by the names in `results.json`.
    pub const METRICS: [(&'static str, fn(&Self) -> Option<f64>); 17] = [
        ("weight_rms", |layer| layer.weight_rms),
        ("bias_rms", |layer| layer.bias_rms),
        ("weight_grad_rms", |layer| layer.weight_grad_rms),
        ("weight_grad_norm", |layer| layer.weight_grad_norm),
        ("batch_weight_grad_rms", |layer| layer.batch_weight_grad_rms),
        ("preactivation_grad_rms", |layer| layer.preactivation_grad_rms),
        ("preactivation_grad_norm", |layer| layer.preactivation_grad_norm),
        ("preactivation_mean", |layer| layer.preactivation_mean),
        ("preactivation_std", |layer| layer.preactivation_std),
        ("activation_mean", |layer| layer.activation_mean),
        ("activation_std", |layer| layer.activation_std),
        ("zero_fraction", |layer| layer.zero_fraction),
        ("dead_fraction", |layer| layer.dead_fraction),
        ("dormant_fraction", |layer| layer.dormant_fraction),
        ("saturated_fraction", |layer| layer.saturated_fraction),
        ("update_to_weight_ratio", |layer| layer.update_to_weight_ratio),
        ("effective_rank", |layer| layer.effective_rank),
    ];

    /// What it is for, also for a layer of an older record.
    pub fn role(&self) -> Role {
        self.role.unwrap_or(if self.layer == "output" { Role::Output } else { Role::Hidden })
    }
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
