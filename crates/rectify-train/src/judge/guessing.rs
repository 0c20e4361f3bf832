//! What accuracy guessing gives, so that nobody wins by it.
//!
//! The rule takes the best that is known of the data set:
//!
//! | known | guessing's accuracy g | margin m |
//! |---|---|---|
//! | share of the test set's most frequent class | that share, by always answering with the class | 0.1 |
//! | not even that, as in older records | mean accuracy of the networks before training | 0.5 |
//!
//! An accuracy of at most g + m · g · (1 − g) is not beyond guessing. The margin of the first row allows for sampling:
//! with 10 000 samples and ten classes it is three standard errors. That of the other allows for the scatter of
//! untrained networks.

use crate::{
    judge::{number::percent, statistics::estimate},
    record::Results,
};

/// What guessing gives on a test set.
#[derive(Debug, Clone, PartialEq)]
pub struct Guessing {
    /// Its accuracy.
    pub accuracy: f64,
    /// The highest accuracy that is not beyond guessing.
    pub limit: f64,
    /// As in "always answering with the most frequent class gives 11.35 %".
    pub words: String,
}

impl Guessing {
    /// What guessing gives on an experiment's test set. `None` where the record says nothing about that.
    pub fn of(results: &Results) -> Option<Self> {
        let (accuracy, margin, how) = if let Some(data) = results.data {
            (data.majority_fraction, 0.1, "always answering with the most frequent class gives".to_owned())
        } else {
            let before = results.runs.iter().filter_map(|run| run.epochs.iter().find(|epoch| epoch.epoch == 0));
            let before: Vec<f64> = before.filter_map(|epoch| epoch.test_accuracy).collect();
            (estimate(&before)?.mean, 0.5, "networks before training gave".to_owned())
        };
        let words = format!("{how} {} %", percent(accuracy, 2));
        accuracy.is_finite().then_some(Self { accuracy, limit: accuracy + margin * accuracy * (1.0 - accuracy), words })
    }

    /// Whether an accuracy is not beyond guessing. NaN is not.
    pub fn explains(&self, accuracy: f64) -> bool {
        accuracy.is_nan() || accuracy <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_nan_are_not_beyond_guessing() {
        let guessing = Guessing { accuracy: 0.1, limit: 0.145, words: String::new() };
        assert!(guessing.explains(0.0) && guessing.explains(0.145) && guessing.explains(f64::NAN));
        assert!(!guessing.explains(0.146));
    }
}
