//! Weights that trainings begin with, in place of drawn ones.

use std::path::Path;

use burn::tensor::Device;

use super::CompareError;
use crate::{
    data::Dataset,
    experiment::{Experiment, ExperimentError},
    export::read_weights,
    network::{Model, Weights, sequential},
    store::SavedCheckpoint,
};

/// The output layer's parameters.
const HEAD: &str = "output.";

/// What networks begin with.
pub(super) struct Start {
    weights: Weights,
    /// Whether the output layer is drawn.
    new_head: bool,
    /// What to tell of it.
    pub(super) note: String,
}

impl Start {
    /// What an experiment begins with; `None` where all weights are drawn.
    ///
    /// The output layer is drawn where the checkpoint's classes are others: in number, label or name. A safetensors file
    /// says nothing of its classes, and has the output layer.
    ///
    /// # Errors
    ///
    /// There is no such checkpoint or file, it is damaged, or of another network.
    pub(super) fn of(experiment: &Experiment, dataset: &Dataset) -> Result<Option<Self>, CompareError> {
        let Some(from) = &experiment.from else { return Ok(None) };
        let path = Path::new(from);
        // As `Experiment::check` has it, there is one.
        let Some(activation) = experiment.activations.first() else { return Ok(None) };
        let begins = "the optimizer begins anew";
        let start = if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors")) {
            let modules = sequential(experiment, activation, dataset.shape())?;
            let note = format!("from: {from} gives all weights; {begins}");
            Self { weights: read_weights(path, &modules)?, new_head: false, note }
        } else {
            let saved = SavedCheckpoint::open(path)?;
            let checkpoint = &saved.checkpoint;
            let mut weights = Weights::of(&saved.load_model(&Device::flex())?);
            let new_head = checkpoint.classes != dataset.classes
                || checkpoint.class_labels() != dataset.class_labels
                || checkpoint.class_names != dataset.class_names;
            if new_head {
                weights.retain(|path| !path.starts_with(HEAD));
            }
            let head = match new_head {
                true => format!(
                    "the output layer is drawn: the {} classes are others than the checkpoint's {}; ",
                    dataset.classes, checkpoint.classes
                ),
                false => String::new(),
            };
            let note = format!(
                "from: {from}, {} after {} steps on {}; {head}{begins}",
                checkpoint.activation, checkpoint.steps, checkpoint.experiment.dataset
            );
            Self { weights, new_head, note }
        };
        // Before anything is trained.
        start.network(Model::new(experiment, activation, dataset.shape(), 0, &Device::flex()))?;
        Ok(Some(start))
    }

    /// A drawn network with these weights in it.
    ///
    /// # Errors
    ///
    /// They are of another network.
    pub(super) fn network(&self, drawn: Model) -> Result<Model, ExperimentError> {
        let stays = |path: &str| self.new_head && path.starts_with(HEAD);
        self.weights.load(drawn, stays).map_err(|error| ExperimentError {
            field: "from",
            reason: format!(
                "weights of another network: {error}; model, hidden, norm and the size of inputs decide it"
            ),
        })
    }
}
