//! Classes from labels: the labels of the training files, whichever they are, in order.

/// The label that each class has in the files: distinct, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes(Vec<u8>);

impl Classes {
    /// The distinct labels of all training samples, those for validation among them.
    pub fn of(labels: &[u8]) -> Self {
        let mut is_label = [false; 256];
        for &label in labels {
            is_label[usize::from(label)] = true;
        }
        Self((0..=u8::MAX).filter(|&label| is_label[usize::from(label)]).collect())
    }

    /// Puts its class in place of each label, or gives the first sample whose label is none of these.
    pub fn replace(&self, labels: &mut [u8]) -> Result<(), usize> {
        let mut class_of = [None; 256];
        for (class, &label) in self.0.iter().enumerate() {
            // At most 256 are distinct.
            class_of[usize::from(label)] = Some(class as u8);
        }
        for (sample, label) in labels.iter_mut().enumerate() {
            *label = class_of[usize::from(*label)].ok_or(sample)?;
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn labels(self) -> Vec<u8> {
        self.0
    }

    /// What is odd about a training set with these labels.
    pub fn note(&self) -> Option<String> {
        let (first, last) = (*self.0.first()?, *self.0.last()?);
        if first == last {
            return Some(format!("all training labels are {first}: there is nothing to tell apart"));
        }
        let gaps: Vec<u8> = (first..last).filter(|label| !self.0.contains(label)).collect();
        (!gaps.is_empty()).then(|| {
            let (labels, gaps) = (label_ranges(&self.0), label_ranges(&gaps));
            format!("no training label is {gaps}: the {} classes are those labelled {labels}", self.0.len())
        })
    }
}

/// Ascending labels in words: `0 to 3, 5`.
pub fn label_ranges(labels: &[u8]) -> String {
    let ranges = labels.chunk_by(|&one, &next| one.checked_add(1) == Some(next));
    let words = ranges.map(|range| match *range {
        [only] => only.to_string(),
        [first, last] => format!("{first}, {last}"),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    });
    words.collect::<Vec<_>>().join(", ")
}
