//! What a training leaves behind, as plain data: no tensors, no files.
//!
//! A [`Run`] is one training: its epochs, the layers at each, how it ended. [`Results`] is many of them with what
//! [`judge`](crate::judge) derives, and is what `results.json` holds. Accuracies and fractions are in `0..=1`, times in
//! seconds, losses are means per sample in nats. Fields may be added; those that are here stay.

mod across;
mod confusion;
mod data;
mod epoch;
pub(crate) mod float;
mod layer;
mod run;
mod summary;
mod sweep;
mod tuning;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use self::{
    across::{Across, AverageRank},
    confusion::Confusion,
    data::DataRecord,
    epoch::{Epoch, GradientSample, InputSample, StepLosses, StepProbe},
    layer::{Histogram, Layer, Role},
    run::{Divergence, Run, Status, WHOLE_RUNS},
    summary::{Estimate, Interval, PairedDifference, Ranked, Summary},
    sweep::{PointResults, RunEnd, SweepResults},
    tuning::{Trial, Tuning},
};
use crate::{activation::Activation, experiment::Experiment};

/// The version written to `schema_version`, of `results.json` and of every file in a run's folder.
///
/// 2 added to 1: roles, fan-in and fan-out of layers, more histograms, counts of values that are not finite, what
/// gradients were measured on, every step's loss. An older file is read, and what it lacks is absent.
pub const SCHEMA_VERSION: u32 = 2;

/// Everything that one experiment measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The machine and the software.
    pub environment: Environment,
    /// The settings, as flags and config file spell them.
    pub experiment: Experiment,
    /// What it was trained on. Absent in results of before version 2.
    #[serde(default)]
    pub data: Option<DataRecord>,
    /// How the settings of each activation were chosen. Empty where all have the experiment's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tuning: Vec<Tuning>,
    /// One entry a training: every activation with every seed.
    pub runs: Vec<Run>,
    /// One entry an activation, over its seeds.
    pub summary: Vec<Summary>,
    /// The activations by accuracy, the best first. Empty where there are few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranking: Vec<Ranked>,
    /// Differences between activations, seed by seed.
    pub paired_differences: Vec<PairedDifference>,
}

impl Results {
    /// The same for people: activations have their [labels](Activation::label) in place of formulas in full. Two that
    /// have the same are told apart by a number.
    pub fn labelled(&self) -> Cow<'_, Self> {
        let named = self.experiment.activations.iter().map(|activation| activation.name());
        let mut labels: Vec<(String, String)> = Vec::new();
        for name in named.chain(self.runs.iter().map(|run| run.activation.as_str())) {
            if labels.iter().any(|(known, _)| known == name) {
                continue;
            }
            let label = name.parse::<Activation>().map_or(name.to_owned(), |activation| activation.label());
            let taken = |label: &String| labels.iter().any(|(_, other)| other == label);
            let numbered = (2..).map(|n| format!("{label} #{n}"));
            let label = std::iter::once(label.clone()).chain(numbered).find(|label| !taken(label)).unwrap_or(label);
            labels.push((name.to_owned(), label));
        }
        let of =
            |name: &str| labels.iter().find(|(known, _)| known == name).map_or(name, |(_, label)| label).to_owned();

        // Results may be large, and few have formulas.
        if labels.iter().all(|(name, label)| name == label) {
            return Cow::Borrowed(self);
        }
        let mut results = self.clone();
        for activation in &mut results.experiment.activations {
            *activation = activation.clone().labelled(&of(activation.name()));
        }
        results.runs.iter_mut().for_each(|run| run.activation = of(&run.activation));
        results.summary.iter_mut().for_each(|summary| summary.activation = of(&summary.activation));
        for pair in &mut results.paired_differences {
            (pair.activation, pair.baseline) = (of(&pair.activation), of(&pair.baseline));
        }
        Cow::Owned(results)
    }
}

/// Where it was measured.
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
    /// Logical cores of the machine.
    pub threads: usize,
}
