//! One training.

use serde::{Deserialize, Serialize};

use super::{Confusion, Epoch, StepProbe};

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It ran its epochs or steps, or patience ended it.
    Completed,
    /// It came to [`Divergence`], at `diverged_at_step`.
    Diverged,
    /// Stopped from outside; its epochs so far are there, and it can be resumed.
    Interrupted,
}

/// By what a training is known to have diverged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// A batch's loss was not finite.
    Loss,
    /// A gradient was not finite, or too large for the optimizer to remember.
    Gradient,
    /// After a step a weight was not finite.
    Weights,
    /// The mean loss over the validation set was not finite.
    ValidationLoss,
    /// A hidden layer's activations on the validation set were not finite.
    Activations,
    /// The mean loss, over an epoch or over the validation set, was over a hundred times that of guessing, ln(classes),
    /// and over a hundred times that before training.
    WildLoss,
}

impl Divergence {
    /// As in "diverged at step 3: its loss is not finite".
    pub fn words(self) -> &'static str {
        match self {
            Self::Loss => "its loss is not finite",
            Self::Gradient => "a gradient is not finite, or too large for the optimizer",
            Self::Weights => "a weight is not finite",
            Self::ValidationLoss => "its validation loss is not finite",
            Self::Activations => "an activation is not finite",
            Self::WildLoss => "its loss is over a hundred times that of guessing",
        }
    }
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
    /// The step (from 1) at which it was seen to have diverged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged_at_step: Option<usize>,
    /// By what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
    /// Seconds of training, measuring and evaluating.
    pub wall_seconds: f64,
    /// Training steps taken, up to the one that diverged.
    pub steps: usize,
    /// Trainable parameters.
    pub parameters: usize,
    /// The epoch whose network is the checkpoint, where that is not the last: with patience the best by validation
    /// accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_epoch: Option<usize>,
    /// Entry 0 is the network before training.
    pub epochs: Vec<Epoch>,
    /// Taken between epochs, where `probe_every` asked for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<StepProbe>,
    /// How its outcome classifies the test set. Absent where it was not completed, of very many classes, and in older
    /// records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

/// So many runs are held in full, in memory and in `results.json`; of further ones [`thin`](Run::thin) takes away what is
/// most of their size. All of each is in its `run.json`.
pub const WHOLE_RUNS: usize = 1000;

impl Run {
    /// Takes away histograms, what is kept of single units, what was measured between epochs, and what is taken for what.
    /// Estimates, curves and sentences need none of it.
    pub fn thin(&mut self) {
        self.probes = Vec::new();
        self.confusion = None;
        for layer in self.epochs.iter_mut().flat_map(|epoch| &mut epoch.layers) {
            layer.unit_nonzero_fraction = Vec::new();
            (layer.histogram, layer.preactivation_histogram, layer.preactivation_grad_histogram) = (None, None, None);
        }
    }

    /// Whether it may have been [thinned](Self::thin): it lacks what was taken away then.
    pub fn is_thin(&self) -> bool {
        let mut layers = self.epochs.iter().flat_map(|epoch| &epoch.layers);
        self.probes.is_empty()
            && layers.all(|layer| layer.histogram.is_none() && layer.unit_nonzero_fraction.is_empty())
    }

    /// A run of which nothing is measured yet.
    pub fn new(activation: impl Into<String>, seed: u64) -> Self {
        Self {
            activation: activation.into(),
            seed,
            status: Status::Interrupted,
            diverged_at_step: None,
            divergence: None,
            wall_seconds: 0.0,
            steps: 0,
            parameters: 0,
            kept_epoch: None,
            epochs: Vec::new(),
            probes: Vec::new(),
            confusion: None,
        }
    }

    /// The last epoch measured.
    pub fn last(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    /// The epoch whose network is the run's outcome, saved as its checkpoint: the kept one, otherwise the last.
    pub fn outcome(&self) -> Option<&Epoch> {
        match self.kept_epoch {
            Some(kept) => self.epochs.iter().find(|epoch| epoch.epoch == kept),
            None => self.last(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Layer;

    #[test]
    fn a_thinned_run_keeps_its_numbers_and_is_known_by_what_it_lacks() {
        let layer = Layer { unit_nonzero_fraction: vec![0.5; 8], dead_fraction: Some(0.25), ..Layer::default() };
        let epoch = Epoch { test_accuracy: Some(0.9), layers: vec![layer.clone()], ..Epoch::default() };
        let probe = StepProbe { step: 1, loss: Some(1.0), layers: vec![layer] };
        let mut run = Run { epochs: vec![epoch], probes: vec![probe], ..Run::new("relu", 0) };
        assert!(!run.is_thin());
        // Either alone tells that nothing was taken away.
        assert!(
            !Run { probes: Vec::new(), ..run.clone() }.is_thin()
                && !Run { epochs: Vec::new(), ..run.clone() }.is_thin()
        );
        run.thin();
        assert!(run.is_thin() && run.probes.is_empty());
        let epoch = &run.epochs[0];
        assert_eq!((epoch.test_accuracy, epoch.layers[0].dead_fraction), (Some(0.9), Some(0.25)));
    }
}
