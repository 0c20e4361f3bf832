//! What a sweep came to: `sweep.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Environment, Run, Status, Summary};
use crate::experiment::Experiment;

/// What a sweep came to. Runs are here by their ends alone, so that one of a hundred thousand fits into memory; all of each
/// is in its `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepResults {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION) of the writer.
    pub schema_version: u32,
    /// The machine and the software.
    pub environment: Environment,
    /// The settings, the sweep among them.
    pub experiment: Experiment,
    /// One entry a point, in the sweep's order.
    pub points: Vec<PointResults>,
    /// Runs that are missing, not finished or there twice, a line each.
    pub notes: Vec<String>,
}

/// What one point of a sweep came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointResults {
    /// As in `hidden=64,64 lr=0.01`; the point's folder has this name, where a file system takes it.
    pub label: String,
    /// The swept settings' values here, by their names in the config file.
    pub settings: BTreeMap<String, toml::Value>,
    /// One entry an activation that has a run, over its seeds.
    pub summary: Vec<Summary>,
    /// One entry a training.
    pub runs: Vec<RunEnd>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The activation as the user spelt it.
    pub activation: String,
    /// Its seed.
    pub seed: u64,
    /// How it ended.
    pub status: Status,
    /// Training steps taken.
    pub steps: usize,
    /// Seconds of training, measuring and evaluating.
    pub wall_seconds: f64,
    /// Of the network that the run gives.
    pub validation_accuracy: Option<f64>,
    /// The same on the test set.
    pub test_accuracy: Option<f64>,
}

impl RunEnd {
    /// Whether it needs no more training.
    pub fn is_done(&self) -> bool {
        self.status != Status::Interrupted
    }

    /// Of a run.
    pub fn of(run: &Run) -> Self {
        let outcome = run.outcome();
        Self {
            activation: run.activation.clone(),
            seed: run.seed,
            status: run.status,
            steps: run.steps,
            wall_seconds: run.wall_seconds,
            validation_accuracy: outcome.and_then(|epoch| epoch.validation_accuracy),
            test_accuracy: outcome.and_then(|epoch| epoch.test_accuracy),
        }
    }
}
