//! Where data sets are, by name or by path.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::DataError;
use crate::words::Vocabulary;

/// The environment variable with a folder of data sets, `$RECTIFY_DATA/mnist` and so on.
pub const DATA_VARIABLE: &str = "RECTIFY_DATA";

/// The files of a set, without the `.gz` that each may have: images and labels for training, then for the test.
pub const FILES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// A data set that can be named.
pub(super) struct Known {
    pub name: &'static str,
    /// Lines of `sha256sum`; what is checked are those of the uncompressed contents.
    checksums: Option<&'static str>,
    /// Where the operating system's package puts it.
    system_folder: Option<&'static str>,
    remedy: &'static str,
}

pub(super) static KNOWN: [Known; 2] = [
    Known {
        name: "mnist",
        checksums: Some(include_str!("../../../../datasets/mnist/SHA256SUMS")),
        system_folder: None,
        remedy: "it comes with Rectify's repository, in `datasets/mnist`",
    },
    Known {
        name: "fashion-mnist",
        checksums: None,
        system_folder: Some("/usr/share/datasets/fashion-mnist"),
        remedy: "on Debian and Ubuntu, `apt install dataset-fashion-mnist` brings it",
    },
];

/// The name of the known set that is meant by `name_or_path`, whatever its case; a path as it is.
pub fn canonical(name_or_path: String) -> String {
    match vocabulary(&names()).find(&name_or_path) {
        Some(name) if !Path::new(&name_or_path).exists() => name.to_owned(),
        _ => name_or_path,
    }
}

pub(super) fn names() -> Vec<&'static str> {
    KNOWN.iter().map(|set| set.name).collect()
}

pub(super) fn vocabulary<'a>(names: &'a [&'a str]) -> Vocabulary<'a> {
    Vocabulary { kind: "data set", names, aliases: &[], hints: &[("fmnist", &["fashion-mnist"])] }
}

/// A data set's files.
pub(super) struct Source {
    pub folder: PathBuf,
    /// In the order of [`FILES`].
    pub files: [PathBuf; 4],
    known: Option<&'static Known>,
}

impl Source {
    /// The set that a name or, if it is none, a path stands for.
    pub fn find(name_or_path: &str) -> Result<Self, DataError> {
        let name_or_path = &*canonical(name_or_path.to_owned());
        if let Some(known) = KNOWN.iter().find(|known| known.name == name_or_path) {
            return known.find(&known.places());
        }
        let folder = PathBuf::from(name_or_path);
        if !folder.is_dir() {
            return Err(DataError::Unknown(name_or_path.to_owned()));
        }
        match files_in(&folder) {
            Ok(files) => Ok(Self { folder, files, known: None }),
            Err(missing) => Err(DataError::File {
                path: folder,
                field: "files",
                reason: format!("there is neither `{missing}` nor `{missing}.gz`; needed are {}", FILES.join(", ")),
            }),
        }
    }

    /// SHA-256 that the uncompressed contents of `FILES[file]` must have.
    pub fn checksum(&self, file: usize) -> Option<&'static str> {
        let lines = self.known?.checksums?.lines();
        lines.filter_map(|line| line.split_once("  ")).find(|(_, name)| *name == FILES[file]).map(|(sum, _)| sum)
    }
}

impl Known {
    pub fn find(&'static self, places: &[PathBuf]) -> Result<Source, DataError> {
        places
            .iter()
            .find_map(|folder| {
                Some(Source { folder: folder.clone(), files: files_in(folder).ok()?, known: Some(self) })
            })
            .ok_or_else(|| DataError::NotFound {
                name: self.name.to_owned(),
                searched: places.to_vec(),
                remedy: self.remedy,
            })
    }

    /// Every folder to look in, the first that has the files wins: what the user names by `$RECTIFY_DATA`, then
    /// `datasets` beside the current folder, the program and this crate's sources, or above them, then the system's.
    pub fn places(&self) -> Vec<PathBuf> {
        let chosen = env::var_os(DATA_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let starts = [env::current_dir().ok(), env::current_exe().ok()];
        let beside = starts.iter().flatten().flat_map(|start| start.ancestors()).chain(workspace);

        let named = chosen.into_iter().chain(beside.map(|folder| folder.join("datasets")));
        let mut places = Vec::new();
        for place in named.map(|folder| folder.join(self.name)).chain(self.system_folder.map(PathBuf::from)) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }
}

/// The four files, or the name of the first that is missing.
fn files_in(folder: &Path) -> Result<[PathBuf; 4], &'static str> {
    let mut files = [const { PathBuf::new() }; 4];
    for (file, name) in files.iter_mut().zip(FILES) {
        let candidates = [folder.join(name), folder.join(format!("{name}.gz"))];
        *file = candidates.into_iter().find(|path| path.is_file()).ok_or(name)?;
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_set_that_is_nowhere_says_where_it_was_looked_for_and_how_to_get_it() {
        let fashion = KNOWN.iter().find(|known| known.name == "fashion-mnist").expect("it is known");
        let Err(error) = fashion.find(&["/first".into(), "/second".into()]) else { panic!("found nowhere") };
        let message = error.to_string();
        for part in ["fashion-mnist", "/first", "/second", "dataset-fashion-mnist", "RECTIFY_DATA"] {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }

    #[test]
    fn places_hold_the_repository_and_end_at_the_systems() {
        let places = KNOWN[1].places();
        let workspace =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/rectify-train is inside");
        assert!(places.contains(&workspace.join("datasets/fashion-mnist")));
        assert_eq!(places.last(), Some(&PathBuf::from("/usr/share/datasets/fashion-mnist")));
    }

    #[test]
    fn every_file_of_mnist_has_a_checksum_of_its_contents() {
        let mnist = Source::find("mnist").expect("it is in the repository");
        for (file, name) in FILES.iter().enumerate() {
            assert_eq!(mnist.checksum(file).map(str::len), Some(64), "{name}");
        }
    }
}
