//! Where data sets are, by name or by path.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::{DataError, error::EXPECTED, pictures, table};
use crate::words::Vocabulary;

/// The environment variable with a folder of data sets, `$RECTIFY_DATA/mnist` and so on.
pub const DATA_VARIABLE: &str = "RECTIFY_DATA";

/// The files of a set as MNIST calls them, without the `.gz` that each may have: images and labels for training, then
/// for the test. The [module](super) lists the other names that are read.
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

/// The names of the sets that are looked for by name.
pub fn names() -> Vec<&'static str> {
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
        let path = Path::new(name_or_path);
        let unknown = |hint| DataError::Unknown { name: name_or_path.to_owned(), hint };
        let (folder, prefix) = match fs::metadata(path) {
            Ok(found) if found.is_dir() => (path, None),
            Ok(_) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                return Err(unknown(format!(
                    "; it is a file, and no table in .csv or .parquet: the folder is `{}`",
                    folder.display()
                )));
            }
            Err(_) => match (path.parent(), path.file_name().and_then(OsStr::to_str)) {
                (Some(folder), Some(prefix)) if folder.as_os_str().is_empty() => (Path::new("."), Some(prefix)),
                (Some(folder), Some(prefix)) if folder.is_dir() => (folder, Some(prefix)),
                _ => return Err(unknown(String::new())),
            },
        };
        let listing = Listing::of(folder).map_err(|cause| DataError::Io { path: folder.to_owned(), cause })?;
        let files = match prefix {
            Some(prefix) if !listing.families.contains_key(prefix) => {
                return Err(unknown(listing.hint_for_prefix(folder)));
            }
            Some(prefix) => listing.family(prefix),
            None => listing.only_family(folder),
        };
        match files {
            Ok(files) => Ok(Self { folder: folder.to_owned(), files, known: None }),
            Err(reason) => Err(DataError::File { path: folder.to_owned(), field: "files", reason }),
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
                let files = Listing::of(folder).ok()?.only_family(folder).ok()?;
                Some(Source { folder: folder.clone(), files, known: Some(self) })
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

/// Which of a set's files one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Role {
    split: Split,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::Display)]
#[strum(serialize_all = "lowercase")]
enum Split {
    Train,
    T10k,
    Test,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::Display)]
#[strum(serialize_all = "lowercase")]
enum Kind {
    Images,
    Labels,
}

impl Role {
    /// What a file of this name is and its family's prefix: `emnist-letters` of
    /// `emnist-letters-train-images-idx3-ubyte.gz`.
    fn of(name: &str) -> Option<(Self, &str)> {
        let (name, format) = name.strip_suffix(".gz").unwrap_or(name).rsplit_once("idx")?;
        let ("1" | "2" | "3" | "4", "ubyte" | "int") = format.split_once('-')? else { return None };
        let (name, kind) = name.strip_suffix(['-', '.'])?.rsplit_once('-')?;
        let (prefix, split) = name.rsplit_once('-').unwrap_or(("", name));
        Some((Self { split: split.parse().ok()?, kind: kind.parse().ok()? }, prefix))
    }

    /// What MNIST would call it.
    fn name(self) -> String {
        let dimensions = if self.kind == Kind::Images { 3 } else { 1 };
        format!("{}-{}-idx{dimensions}-ubyte", self.split, self.kind)
    }
}

/// The roles of [`FILES`], by what the test files are called.
fn roles(test: Split) -> [Role; 4] {
    [(Split::Train, Kind::Images), (Split::Train, Kind::Labels), (test, Kind::Images), (test, Kind::Labels)]
        .map(|(split, kind)| Role { split, kind })
}

/// What a folder holds.
#[derive(Default)]
struct Listing {
    /// By prefix.
    families: BTreeMap<String, BTreeMap<Role, PathBuf>>,
    /// The names of other files that look like parts of a data set.
    near: Vec<String>,
    /// The first file that is a table.
    table: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Listing {
    fn of(folder: &Path) -> io::Result<Self> {
        let mut listing = Self::default();
        let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        // Of several that have one role, the first in this order: plain before gzipped, `-idx` before `.idx`.
        paths.sort();
        let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
        for path in files {
            match path.file_name().and_then(OsStr::to_str) {
                // Broken links and devices are none.
                _ if !path.is_file() => {}
                Some(name) if Role::of(name).is_some() => listing.add(name.to_owned(), path),
                Some(name) if comes_near(name) => listing.near.push(name.to_owned()),
                _ if table::is_table(&path) => listing.table = listing.table.or(Some(path)),
                _ => {}
            }
        }
        for folder in folders {
            // Some archives put a folder of a file's name around it.
            let name = folder.file_name().and_then(OsStr::to_str);
            if let Some(around) = name.and_then(Role::of) {
                let inside = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
                let same = |path: &PathBuf| {
                    let name = path.file_name().and_then(OsStr::to_str);
                    path.is_file() && name.and_then(Role::of) == Some(around)
                };
                if let (Some(name), Some(path)) = (name, inside.into_iter().filter(same).min()) {
                    listing.add(name.to_owned(), path);
                }
            }
            listing.folders.push(folder);
        }
        Ok(listing)
    }

    fn add(&mut self, name: String, path: PathBuf) {
        if let Some((role, prefix)) = Role::of(&name) {
            self.families.entry(prefix.to_owned()).or_default().entry(role).or_insert(path);
        }
    }

    /// The four files with a prefix, or what is missing.
    fn family(&self, prefix: &str) -> Result<[PathBuf; 4], String> {
        let empty = BTreeMap::new();
        let found = self.families.get(prefix).unwrap_or(&empty);
        let missing =
            |test: Split| roles(test).into_iter().filter(|role| !found.contains_key(role)).collect::<Vec<_>>();
        let by_missing = [Split::T10k, Split::Test].map(|test| (missing(test), test));
        // Equally few are missing where no test files are; the families with a prefix write `test`.
        let [t10k, test] = by_missing;
        let fewer = test.0.len() < t10k.0.len() || (test.0.len() == t10k.0.len() && !prefix.is_empty());
        let (missing, test) = if fewer { test } else { t10k };
        if missing.is_empty() {
            return Ok(roles(test).map(|role| found[&role].clone()));
        }
        let dash = if prefix.is_empty() { "" } else { "-" };
        let names: Vec<_> = missing.iter().map(|role| format!("`{prefix}{dash}{}`", role.name())).collect();
        Err(format!("there is no {} (each may end in `.gz`){}", names.join(", no "), self.hint()))
    }

    /// The files of the folder's only family, or of that without a prefix.
    fn only_family(&self, folder: &Path) -> Result<[PathBuf; 4], String> {
        let prefixes: Vec<&str> = self.families.keys().map(String::as_str).collect();
        match prefixes[..] {
            [] => {
                let inside = self.folders.iter().flat_map(|folder| [folder.clone(), folder.join("raw")]);
                let has_set = |folder: &PathBuf| {
                    let listing = Self::of(folder).unwrap_or_default();
                    let idx = listing.families.keys().any(|prefix| listing.family(prefix).is_ok());
                    idx || pictures::is_pictures(folder) || table::is_table(folder)
                };
                let found = inside.filter(has_set).map(|folder| format!("`{}`", folder.display()));
                let found: Vec<_> = found.take(SHOWN).collect();
                if !found.is_empty() {
                    return Err(format!("there is no data set in it, and one in {}: give that path", found.join(", ")));
                }
                if let Some(reason) = pictures::without_class(folder) {
                    return Err(reason);
                }
                if let Some(table) = &self.table {
                    return Err(format!("there is a table in it: give the path of that, `{}`", table.display()));
                }
                let none = format!("there are none of {} (each may end in `.gz`)", FILES.join(", "));
                Err(format!("{none}{}; {EXPECTED}", self.hint()))
            }
            [only] => self.family(only),
            ["", ..] => self.family("").map_err(|error| {
                let others = choices(folder, &prefixes[1..]);
                format!("{error}; to use others, choose them: {others}")
            }),
            _ => Err(format!("there are several data sets; choose one: {}", choices(folder, &prefixes))),
        }
    }

    /// The names that come near those of a data set's files.
    fn hint(&self) -> String {
        let names: Vec<_> = self.near.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
        match self.near.len() {
            0 => String::new(),
            all if all > SHOWN => format!("; there are {} and {} more like them", names.join(", "), all - SHOWN),
            _ => format!("; there is {}", names.join(", ")),
        }
    }

    /// What may be meant by a prefix that no file has.
    fn hint_for_prefix(&self, folder: &Path) -> String {
        let named: Vec<&str> = self.families.keys().map(String::as_str).filter(|prefix| !prefix.is_empty()).collect();
        match &named[..] {
            [] => String::new(),
            _ => format!("; there is {}", choices(folder, &named)),
        }
    }
}

/// Most names in a message.
const SHOWN: usize = 4;

/// How `--dataset` names the families with these prefixes.
fn choices(folder: &Path, prefixes: &[&str]) -> String {
    let paths = prefixes.iter().map(|prefix| format!("`{}`", folder.join(prefix).display()));
    paths.collect::<Vec<_>>().join(", ")
}

/// Whether a file that is none of a set's is called much like one.
fn comes_near(name: &str) -> bool {
    let name = name.to_lowercase();
    let marked = ["idx1", "idx2", "idx3", "idx4", "ubyte"].iter().any(|mark| name.contains(mark));
    let parts: Vec<&str> = name.split(['-', '_', '.', ' ']).collect();
    let has = |words: &[&str]| parts.iter().any(|part| words.contains(part));
    marked || (has(&["train", "test", "t10k"]) && has(&["images", "labels", "image", "label"]))
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
