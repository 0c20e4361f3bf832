//! What was tried to find each activation's settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How an activation's settings were chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// The activation as the user spelt it.
    pub activation: String,
    /// The settings that it trains with, by their names in the config file: of the best trial.
    pub chosen: BTreeMap<String, f64>,
    /// Those of them that are at an end of what was tried, beyond which there may be better ones.
    pub at_end: Vec<String>,
    /// Seeds of the trials, none of which is reported.
    pub seeds: Vec<u64>,
    /// Everything that was tried, by ascending settings.
    pub trials: Vec<Trial>,
}

/// One choice of settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// By their names in the config file.
    pub settings: BTreeMap<String, f64>,
    /// By seed; `None` where the training diverged.
    pub validation_accuracies: Vec<Option<f64>>,
    /// The mean, in which a training that diverged has 0.
    pub validation_accuracy: f64,
}
