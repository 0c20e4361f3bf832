//! Which data were trained on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// By what a data set is known to be the one that a training began with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Training samples.
    pub train: usize,
    /// Validation samples.
    pub validation: usize,
    /// Test samples.
    pub test: usize,
    /// Classes.
    pub classes: usize,
    /// Share of the most frequent class among the test samples: what guessing it would score.
    pub majority_fraction: f64,
    /// Test samples that are among the training or validation samples, too, to the last pixel. Absent in older records.
    #[serde(default)]
    pub duplicates: Option<usize>,
    /// Mean of the training pixels, 0 to 1.
    pub mean: f64,
    /// Their standard deviation.
    pub std: f64,
}

impl DataRecord {
    /// Whether it is the same set, whatever of it an older record does not tell.
    pub fn is_of(&self, other: &Self) -> bool {
        let both = self.duplicates.is_some() && other.duplicates.is_some();
        let told = |of: &Self| Self { duplicates: of.duplicates.filter(|_| both), ..*of };
        told(self) == told(other)
    }
}

impl fmt::Display for DataRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { train, validation, test, classes, mean, std, .. } = self;
        write!(
            f,
            "{train} + {validation} + {test} samples of {classes} classes, inputs of mean {mean:.4} and deviation {std:.4}"
        )
    }
}
