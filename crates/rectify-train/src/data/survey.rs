//! Which data sets are on this machine, and what is in them.

use std::path::PathBuf;

use rayon::prelude::*;
use serde::Serialize;

use super::{DataError, Dataset, Samples, find::KNOWN};

/// A data set, here or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetInfo {
    /// What `--dataset` calls it.
    pub name: String,
    /// The folders that it is looked for in, in that order.
    pub searched: Vec<PathBuf>,
    /// What is in it, if it is here and sound.
    pub contents: Option<DatasetContents>,
    /// Why it cannot be used otherwise, and what would help.
    pub problem: Option<String>,
}

/// What is in a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetContents {
    /// The folder that it was read from.
    pub source: PathBuf,
    /// Whether its checksums are known; they are right if so, as a set with wrong ones cannot be used.
    pub verified: bool,
    /// Channels of a picture, or columns of numbers of a table, whose `height` and `width` are 1.
    pub channels: usize,
    /// Rows of a picture.
    pub height: usize,
    /// Columns of a picture.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
    /// The label that each class has in the files, ascending.
    pub class_labels: Vec<u16>,
    /// The name of each class; empty where classes have labels only.
    pub class_names: Vec<String>,
    /// The names of a table's columns of numbers; empty for pictures.
    pub feature_names: Vec<String>,
    /// Mean of the training pixels, from 0 to 1, or of the training numbers.
    pub mean: f64,
    /// Standard deviation of the same.
    pub std: f64,
    /// Mean by channel or column, by which samples are standardised.
    pub channel_means: Vec<f64>,
    /// Standard deviation by channel or column.
    pub channel_stds: Vec<f64>,
    /// Bytes of memory that the samples take as they are read.
    pub memory_bytes: usize,
    /// To train on.
    pub train: SamplesInfo,
    /// Set aside from the training files.
    pub validation: SamplesInfo,
    /// To test with.
    pub test: SamplesInfo,
    /// What is odd about the files.
    pub notes: Vec<String>,
}

/// The size of a part of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SamplesInfo {
    /// Number of samples.
    pub samples: usize,
    /// Number of samples of each class.
    pub class_counts: Vec<usize>,
}

/// Looks for every data set with a name, and reads and checks those that are here.
pub fn survey() -> Vec<DatasetInfo> {
    KNOWN
        .par_iter()
        .map(|known| {
            let (contents, problem) = match Dataset::load(known.name, None) {
                Ok(dataset) => (Some(dataset.contents()), None),
                // The places are in `searched` already.
                Err(DataError::NotFound { remedy, .. }) => (None, Some(format!("not found; {remedy}"))),
                Err(error) => (None, Some(error.to_string())),
            };
            DatasetInfo { name: known.name.to_owned(), searched: known.places(), contents, problem }
        })
        .collect()
}

/// What is in one data set, read and checked by its name or path.
pub fn inspect(dataset: &Dataset) -> DatasetInfo {
    let contents = Some(dataset.contents());
    DatasetInfo { name: dataset.name.clone(), searched: Vec::new(), contents, problem: None }
}

impl Dataset {
    /// What is in the set, for a person to look at.
    pub fn contents(&self) -> DatasetContents {
        DatasetContents {
            source: self.source.clone(),
            verified: self.verified,
            channels: self.channels,
            height: self.height,
            width: self.width,
            classes: self.classes,
            class_labels: self.class_labels.clone(),
            class_names: self.class_names.clone(),
            feature_names: self.feature_names.clone(),
            mean: self.mean,
            std: self.std,
            channel_means: self.channel_means.clone(),
            channel_stds: self.channel_stds.clone(),
            memory_bytes: [&self.train, &self.validation, &self.test].map(Samples::bytes).iter().sum(),
            train: SamplesInfo::of(&self.train),
            validation: SamplesInfo::of(&self.validation),
            test: SamplesInfo::of(&self.test),
            notes: self.notes.clone(),
        }
    }
}

impl SamplesInfo {
    fn of(samples: &Samples) -> Self {
        Self { samples: samples.len(), class_counts: samples.class_counts() }
    }
}
