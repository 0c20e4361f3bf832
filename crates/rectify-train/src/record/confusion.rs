//! What test samples are taken for.

use serde::{Deserialize, Serialize};

/// How a network classifies the test set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The names of the classes, or the labels that they have in the data set.
    pub classes: Vec<String>,
    /// Samples by their class, row by row, and across the class that they are taken for.
    pub counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// Of more classes it is neither kept nor drawn.
    pub const MOST_CLASSES: usize = 100;

    /// Of classes that have no names.
    pub fn of_numbered(counts: Vec<Vec<usize>>) -> Self {
        Self { classes: (0..counts.len()).map(|class| class.to_string()).collect(), counts }
    }

    /// What is taken for another class, the most frequent first: how many samples, their class, what they are taken for.
    ///
    /// ```
    /// # use rectify_train::record::Confusion;
    /// assert_eq!(Confusion::mistakes(&[vec![8, 2], vec![3, 7]]), [(3, 1, 0), (2, 0, 1)]);
    /// ```
    pub fn mistakes(counts: &[Vec<usize>]) -> Vec<(usize, usize, usize)> {
        let mut mistakes: Vec<(usize, usize, usize)> = Vec::new();
        for (class, row) in counts.iter().enumerate() {
            mistakes.extend(row.iter().enumerate().map(|(taken, &count)| (count, class, taken)));
        }
        mistakes.retain(|(count, class, taken)| *count > 0 && class != taken);
        mistakes.sort_by_key(|(count, class, taken)| (std::cmp::Reverse(*count), *class, *taken));
        mistakes
    }
}
