//! `state/`: what it takes to go on with a run that has not ended, replaced whole.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use burn::store::ModuleRecord;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Mark, StoreError, atomic,
    checkpoint::{load_record, save_record},
    seal,
};
use crate::record::SCHEMA_VERSION;

const FOLDER: &str = "state";
const STATE: &str = "state.json";
/// Of Burn's files.
const EXTENSION: &str = "bpk";

/// Records of modules by name.
pub type Records = BTreeMap<String, ModuleRecord>;

#[derive(Serialize, Deserialize)]
struct State<T> {
    schema_version: u32,
    /// The other files of the folder.
    files: BTreeMap<String, Mark>,
    meta: T,
}

/// Writes the state of a run, in place of the one before.
///
/// `files` is given an empty folder and writes weights and the like there; `meta` is kept beside them. Floats come back
/// to the bit; those that are not finite need a word for it, since JSON has none.
///
/// # Errors
///
/// [`StoreError`] of `files`, or [`StoreError::Io`]; the state before stays.
pub fn save_state(
    run_folder: &Path,
    meta: &impl Serialize,
    files: &mut dyn FnMut(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    atomic::write_folder(&run_folder.join(FOLDER), |folder| {
        files(folder)?;
        let mut marks = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(StoreError::io(folder))? {
            let path = entry.map_err(StoreError::io(folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            marks.insert(name, Mark::of(&path)?);
        }
        let path = folder.join(STATE);
        let text = seal::seal(&path, &State { schema_version: SCHEMA_VERSION, files: marks, meta })?;
        fs::write(&path, text).map_err(StoreError::io(&path))
    })
}

/// The state of a run, and the folder that its files are in; `None` if it has none.
///
/// # Errors
///
/// [`StoreError`] names the file that is torn, changed, absent or of a newer Rectify.
pub fn load_state<T: DeserializeOwned>(run_folder: &Path) -> Result<Option<(T, PathBuf)>, StoreError> {
    let folder = run_folder.join(FOLDER);
    let path = folder.join(STATE);
    let Some(State { files, meta, .. }) = seal::read::<State<T>>(&path, "a run's state")? else {
        return match folder.exists() {
            // The folder is only ever put there whole.
            true => Err(StoreError::io(&path)(io::ErrorKind::NotFound.into())),
            false => Ok(None),
        };
    };
    for (name, mark) in files {
        mark.verify(&folder.join(name))?;
    }
    Ok(Some((meta, folder)))
}

/// Writes modules' records to a state's folder, each to a file by its name.
///
/// # Errors
///
/// [`StoreError::Io`].
pub fn save_records(records: Records, folder: &Path) -> Result<(), StoreError> {
    records.into_iter().try_for_each(|(name, record)| save_record(record, &folder.join(format!("{name}.{EXTENSION}"))))
}

/// The records that [`save_records`] wrote.
///
/// # Errors
///
/// [`StoreError`] names the file that cannot be read.
pub fn load_records(folder: &Path) -> Result<Records, StoreError> {
    let mut records = Records::new();
    for entry in fs::read_dir(folder).map_err(StoreError::io(folder))? {
        let path = entry.map_err(StoreError::io(folder))?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION)
            && let Some(name) = path.file_stem()
        {
            records.insert(name.to_string_lossy().into_owned(), load_record(&path)?);
        }
    }
    Ok(records)
}

/// Removes the state of a run that needs it no more.
///
/// # Errors
///
/// [`StoreError::Io`].
pub fn remove_state(run_folder: &Path) -> Result<(), StoreError> {
    let folder = run_folder.join(FOLDER);
    // Under a name that opening clears away: a kill in between leaves no half of a state.
    let away = run_folder.join(format!("{}{FOLDER}", atomic::NEW));
    match fs::rename(&folder, &away) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed.and_then(|()| fs::remove_dir_all(&away)).map_err(StoreError::io(&folder)),
    }
}
