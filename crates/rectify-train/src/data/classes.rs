//! Classes from labels: the labels of the training files, whichever they are, in order.

use std::collections::BTreeSet;

/// The label that each class has in the files: distinct, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes(Vec<u16>);

impl Classes {
    /// The distinct labels of all training samples, those for validation among them.
    pub fn of(labels: &[u16]) -> Self {
        Self(labels.iter().copied().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// Puts its class in place of each label, or gives the first sample whose label is none of these.
    pub fn replace(&self, labels: &mut [u16]) -> Result<(), usize> {
        let mut class_of = vec![None; self.0.last().map_or(0, |&last| usize::from(last) + 1)];
        for (class, &label) in self.0.iter().enumerate() {
            // There are no more than labels.
            class_of[usize::from(label)] = Some(class as u16);
        }
        for (sample, label) in labels.iter_mut().enumerate() {
            *label = class_of.get(usize::from(*label)).copied().flatten().ok_or(sample)?;
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn labels(self) -> Vec<u16> {
        self.0
    }

    /// What is odd about a training set with these labels.
    pub fn note(&self) -> Option<String> {
        let (first, last) = (*self.0.first()?, *self.0.last()?);
        if first == last {
            return Some(format!("all training labels are {first}: there is nothing to tell apart"));
        }
        let gaps: Vec<u16> = (first..last).filter(|label| !self.0.contains(label)).collect();
        (!gaps.is_empty()).then(|| {
            let (labels, gaps) = (label_ranges(&self.0), label_ranges(&gaps));
            format!("no training label is {gaps}: the {} classes are those labelled {labels}", self.0.len())
        })
    }
}

/// Ascending labels in words: `0 to 3, 5`.
pub fn label_ranges(labels: &[u16]) -> String {
    let ranges = labels.chunk_by(|&one, &next| one.checked_add(1) == Some(next));
    let words = ranges.map(|range| match *range {
        [only] => only.to_string(),
        [first, last] => format!("{first}, {last}"),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    });
    words.collect::<Vec<_>>().join(", ")
}
