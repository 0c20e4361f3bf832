//! Why something could not be stored or read, in words.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::lock::Holder;

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("{}", InWords(.path, .cause))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// The folder for a new run is taken.
    #[error("{}: {reason}", shown(.path))]
    Taken {
        /// The folder.
        path: PathBuf,
        /// By what, and what would work.
        reason: &'static str,
    },
    /// Another process works in the folder.
    #[error("{}: in use by {}; wait until it ends, or choose another folder", shown(.path), Holder::words(.holder.as_ref()))]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process, where the lock says which.
        holder: Option<Holder>,
    },
    /// What was asked for is not there.
    #[error("{}: {reason}", shown(.path))]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What is missing, and what is there.
        reason: String,
    },
    /// A file is there but not what it must be.
    #[error("{}: {reason}", shown(.path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file's schema is newer than this program.
    #[error(
        "{}: written by a newer Rectify (schema {found}, this one knows {known}): it takes that one, or a later one, to read it",
        shown(.path)
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// A run was trained with other settings than its folder's.
    #[error("{}: trained with {difference} as config.toml has it: no run of this experiment", shown(.path))]
    Differs {
        /// The run's file.
        path: PathBuf,
        /// The first setting that differs.
        difference: super::folder::Difference,
    },
}

impl StoreError {
    /// For `map_err`: the operating system's error with the file that it is about.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |cause| Self::Io { path: path.to_owned(), cause }
    }

    /// A file that is not what it must be.
    pub(crate) fn damaged(path: &Path, reason: impl fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// An I/O error as a sentence that says what to mend first: "disk full: out/runs/relu-seed2/checkpoint".
struct InWords<'a>(&'a Path, &'a io::Error);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(path, cause) = self;
        let words = match cause.kind() {
            io::ErrorKind::StorageFull => "disk full",
            io::ErrorKind::QuotaExceeded => "disk quota exceeded",
            io::ErrorKind::ReadOnlyFilesystem => "read-only file system",
            io::ErrorKind::PermissionDenied => "permission denied",
            io::ErrorKind::FileTooLarge => "file too large for this file system or process",
            _ => return write!(f, "{}: {cause}", shown(path)),
        };
        write!(f, "{words}: {}", shown(path))
    }
}

/// A path as text for a terminal: what could steer that, or turn the order of letters, is escaped.
pub(super) fn shown(path: &Path) -> String {
    let escaped = |letter: char| match letter {
        '\'' | '"' | '\\' => letter.to_string(),
        _ => letter.escape_debug().to_string(),
    };
    path.to_string_lossy().chars().map(escaped).collect()
}
