//! The gradient of the pre-activations before training, layer by layer: what claims about vanishing and exploding
//! gradients measure, beside what a training comes to.

use serde::{Deserialize, Serialize};

use super::{
    Figure,
    lab::{ClaimError, Lab, Setup, Trained},
};
use crate::{
    experiment::{Experiment, ProbeEvery},
    judge::{
        curve::{Curve, geometric},
        statistics::hidden,
        theory::MeanField,
    },
};

/// The settings, but nothing is trained and every layer is measured.
pub fn before_training(experiment: Experiment, train_size: usize) -> Experiment {
    Experiment { epochs: Some(0), probe_every: ProbeEvery::Epoch, train_size: Some(train_size), ..experiment }
}

/// The first hidden layer's value over the last's; NaN of fewer than two layers. What underflowed to 0 counts as the
/// smallest f32, which is more.
pub fn first_over_last(layers: &[f64]) -> f64 {
    match layers {
        [first, .., last] => first.max(f64::from(f32::from_bits(1))) / last,
        _ => f64::NAN,
    }
}

/// What was measured of a network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Outcome {
    /// RMS of the gradient at each hidden layer's pre-activations before training, from the input on.
    Gradients(Vec<f64>),
    /// What a training came to.
    Trained(Trained),
}

impl Outcome {
    /// Trains the network, or measures the gradients of one whose settings are those of [`before_training`].
    ///
    /// # Errors
    ///
    /// As [`Lab::fit_setup`].
    pub fn measure(lab: &Lab, setup: &Setup, seed: u64) -> Result<Self, ClaimError> {
        match setup.experiment.epochs {
            Some(0) => Ok(Self::Gradients(gradients(lab, setup, seed)?)),
            _ => Ok(Self::Trained(lab.fit_setup(setup, seed)?.1)),
        }
    }

    /// [`first_over_last`]; NaN of a training.
    pub fn ratio(&self) -> f64 {
        match self {
            Self::Gradients(layers) => first_over_last(layers),
            Self::Trained(_) => f64::NAN,
        }
    }

    /// The gradients, by layer; none of a training.
    pub fn layers(&self) -> &[f64] {
        match self {
            Self::Gradients(layers) => layers,
            Self::Trained(_) => &[],
        }
    }

    /// Test accuracy; NaN of a network that was not trained.
    pub fn accuracy(&self) -> f64 {
        match self {
            Self::Trained(trained) => trained.accuracy,
            Self::Gradients(_) => f64::NAN,
        }
    }

    /// Whether it is a training that diverged.
    pub fn diverged(&self) -> bool {
        matches!(self, Self::Trained(trained) if trained.diverged)
    }
}

/// RMS of the gradient at each hidden layer's pre-activations, of a network as it is drawn.
///
/// # Errors
///
/// As [`Lab::data`] and [`Lab::train`].
pub fn gradients(lab: &Lab, setup: &Setup, seed: u64) -> Result<Vec<f64>, ClaimError> {
    let (training, data) = (setup.training(seed), lab.data(&setup.experiment)?);
    let (_, run) = lab.train(lab.network(&training, &data), &training, &data)?;
    let layers = run.epochs.first().map(hidden).unwrap_or_default();
    Ok(layers.iter().map(|layer| layer.preactivation_grad_rms.unwrap_or(f64::NAN)).collect())
}

/// Gradients by layer, relative to the last one's; one list a seed.
pub fn measured(name: impl Into<String>, seeds: &[&[f64]]) -> Curve {
    let layers = seeds.iter().map(|layers| layers.len()).max().unwrap_or(0);
    let at = |layer: usize| seeds.iter().filter_map(|seed| Some(seed.get(layer)? / seed.last()?)).collect();
    Curve::measured(name, geometric, (0..layers).map(|layer| ((layer + 1) as f64, at(layer))))
}

/// The mean-field limit of networks with one of the claims' activations and no biases.
pub fn network(activation: &str, weight_variance: f64) -> MeanField {
    let activation = activation.parse().expect("claims name known activations");
    MeanField { activation, weight_variance, bias_variance: 0.0 }
}

/// What mean-field theory says of them, for standardised inputs.
pub fn predicted(name: impl Into<String>, network: &MeanField, layers: usize) -> Curve {
    let profile = network.gradient_profile(&network.variances(network.weight_variance, layers));
    Curve::predicted(name, profile.into_iter().enumerate().map(|(layer, value)| ((layer + 1) as f64, value)))
}

/// The picture of such curves.
pub fn figure(title: impl Into<String>, series: Vec<Curve>) -> Figure {
    Figure {
        title: title.into(),
        x: "layer".to_owned(),
        y: "relative RMS".to_owned(),
        log_y: true,
        series,
        ..Figure::default()
    }
}

/// The title of a [`figure`] of one network.
pub const TITLE: &str = "Gradient of the pre-activations before training, relative to the last layer's";
