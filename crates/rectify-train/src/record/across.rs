//! Activations over several data sets.

use serde::{Deserialize, Serialize};

/// What experiments on several data sets come to together: `across.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Across {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION) of the writer.
    pub schema_version: u32,
    /// As their experiments name them.
    pub datasets: Vec<String>,
    /// Those that have an accuracy on every data set, the best average rank first.
    pub activations: Vec<AverageRank>,
    /// The others, which have no rank.
    pub left_out: Vec<String>,
    /// Friedman's χ², which is large where the ranks on the data sets agree.
    pub friedman: f64,
    /// Probability of a χ² at least as large if no activation were better than another.
    pub p_value: f64,
    /// Nemenyi's: average ranks that differ by less are not told apart, at 5 % for all pairs together.
    pub critical_difference: f64,
}

/// An activation over data sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AverageRank {
    /// The activation as the user spelt it.
    pub activation: String,
    /// Mean over the data sets; 1 is the best. Equal accuracies share their ranks.
    pub rank: f64,
    /// Mean test accuracy over completed runs, by data set.
    pub test_accuracies: Vec<f64>,
    /// A letter for each group of neighbours within the critical difference that it is in.
    pub groups: String,
}
