//! Why a data set cannot be used, in words.

use std::{io, path::PathBuf};

use super::find::{DATA_VARIABLE, names, vocabulary};

/// So few samples, of which a fifth of each class is drawn to test with where no test set is there, do not do.
pub(super) fn too_few(samples: &str, train: usize, test: usize, apart: &str) -> String {
    format!(
        "too few {samples}: {train} to train on and {test} to test with, and at least 2 and 1 are needed. Without a test set \
         a fifth of each class is drawn, so one class needs 5; or give both {apart}"
    )
}

/// What a path may lead to.
pub(super) const EXPECTED: &str = "a set of your own is a folder with a folder of PNG or JPEG files for each class, a table \
                                   in .csv, or a folder with four IDX files";

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file cannot be opened.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// A file's contents are not what they must be.
    #[error("{}: {field}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The part of it that is wrong.
        field: &'static str,
        /// What was expected and what was found.
        reason: String,
    },
    /// A file is sound but not the one that was published.
    #[error(
        "{}: SHA-256 of the uncompressed contents: expected {expected}, found {found}; fetch the file anew, or give the \
         folder by its path, by which any set is read", .path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The published checksum.
        expected: &'static str,
        /// The file's own.
        found: String,
    },
    /// A known set is in none of its places.
    #[error(
        "data set `{name}`: not found; {remedy}, or set {DATA_VARIABLE} to the folder that holds `{name}`; looked in{}",
        .searched.iter().map(|place| format!("\n  {}", place.display())).collect::<String>()
    )]
    NotFound {
        /// The set.
        name: String,
        /// The folders looked in.
        searched: Vec<PathBuf>,
        /// How to get it.
        remedy: &'static str,
    },
    /// Neither a known set nor a folder.
    #[error(
        "data set `{name}`: neither a known set ({known}) nor a folder{hint}; {EXPECTED}{question}",
        known = names().join(", "),
        question = vocabulary(&names()).question(.name)
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant; empty if nothing comes near.
        hint: String,
    },
    /// More training samples asked for than there are, or none.
    #[error(
        "train_size: must be in 1..={available}, got {asked}; the training files hold {}, and {validation} of them \
         are set aside for validation", *.available + *.validation
    )]
    TrainSize {
        /// The number asked for.
        asked: usize,
        /// The number there is.
        available: usize,
        /// Samples set aside.
        validation: usize,
    },
}
