//! What a claim has measured: `evidence/`, a file for each piece of work, kept until the claim is judged, and a folder for
//! each that is in work, with the states of its trainings, and
//! `measured/`, a file for each claim with all that it was judged from, by which it can be judged again.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{Records, StoreError, atomic, load_records, load_state, save_records, save_state, seal};

const PIECES: &str = "evidence";
const WHOLE: &str = "measured";
const EXTENSION: &str = "cbor";
/// In a training's state, what was gathered from it.
const SEEN: &str = "seen.cbor";

/// What is kept in a folder.
///
/// Files are CBOR, in which floats that are not finite have a place, behind a line with the SHA-256 of the rest.
#[derive(Debug, Clone)]
pub struct Evidence {
    folder: PathBuf,
}

impl Evidence {
    /// What is kept in `folder`; nothing is created before there is something to keep.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// What the work of this description gave; `None` where it was not done.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] names a file that was torn or changed, [`StoreError::Io`].
    pub fn load<R: DeserializeOwned>(&self, work: &str) -> Result<Option<R>, StoreError> {
        read(&self.path(work))
    }

    /// Keeps what the work of this description gave.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn save(&self, work: &str, outcome: &impl Serialize) -> Result<(), StoreError> {
        write(&self.path(work), outcome)
    }

    /// Keeps where a training stands that is the `nth` of a piece of work: `meta`, the records of its modules, and what
    /// was `seen` of it so far.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the state before stays.
    pub fn save_state(
        &self,
        (work, nth): (&str, usize),
        meta: &impl Serialize,
        seen: &impl Serialize,
        records: &dyn Fn() -> Records,
    ) -> Result<(), StoreError> {
        let folder = self.states(work).join(nth.to_string());
        fs::create_dir_all(&folder).map_err(StoreError::io(&folder))?;
        save_state(&folder, meta, &mut |folder| {
            write(&folder.join(SEEN), seen)?;
            save_records(records(), folder)
        })
    }

    /// What [`save_state`](Self::save_state) kept last; `None` where it kept nothing.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_state<M: DeserializeOwned, S: DeserializeOwned>(
        &self,
        (work, nth): (&str, usize),
    ) -> Result<Option<(M, S, Records)>, StoreError> {
        let Some((meta, folder)) = load_state(&self.states(work).join(nth.to_string()))? else { return Ok(None) };
        let path = folder.join(SEEN);
        let seen = read(&path)?.ok_or_else(|| StoreError::io(&path)(io::ErrorKind::NotFound.into()))?;
        Ok(Some((meta, seen, load_records(&folder)?)))
    }

    /// Forgets where the trainings of a piece of work stood.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn remove_states(&self, work: &str) -> Result<(), StoreError> {
        remove(&self.states(work))
    }

    /// All that a claim was judged from; `None` where it was not kept.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn kept<R: DeserializeOwned>(&self, claim: &str) -> Result<Option<R>, StoreError> {
        read(&self.whole(claim))
    }

    /// Keeps all that a claim was judged from.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn keep(&self, claim: &str, measured: &impl Serialize) -> Result<(), StoreError> {
        write(&self.whole(claim), measured)
    }

    /// Keeps, in another folder too, all that a claim was judged from; nothing where nothing was kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn copy_kept(&self, claim: &str, to: &Self) -> Result<(), StoreError> {
        match fs::read(self.whole(claim)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            bytes => {
                let path = to.whole(claim);
                let bytes = bytes.map_err(StoreError::io(&self.whole(claim)))?;
                fs::create_dir_all(to.folder.join(WHOLE)).map_err(StoreError::io(&path))?;
                atomic::write(&path, &bytes)
            }
        }
    }

    /// Forgets the pieces of work.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn remove_pieces(&self) -> Result<(), StoreError> {
        remove(&self.folder.join(PIECES))
    }

    /// Another version of Rectify may do the same work otherwise.
    pub(crate) fn path(&self, work: &str) -> PathBuf {
        let name = seal::hex(Sha256::new_with_prefix(env!("CARGO_PKG_VERSION")).chain_update(work));
        self.folder.join(PIECES).join(name).with_extension(EXTENSION)
    }

    fn states(&self, work: &str) -> PathBuf {
        self.path(work).with_extension("")
    }

    fn whole(&self, claim: &str) -> PathBuf {
        self.folder.join(WHOLE).join(claim).with_extension(EXTENSION)
    }
}

fn remove(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(StoreError::io(folder)),
    }
}

fn read<R: DeserializeOwned>(path: &Path) -> Result<Option<R>, StoreError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(StoreError::io(path))?,
    };
    let sound = bytes.split_at_checked(64).and_then(|(digest, rest)| {
        let cbor = rest.strip_prefix(b"\n")?;
        (seal::hex(Sha256::new_with_prefix(cbor)).as_bytes() == digest).then_some(cbor)
    });
    let cbor = sound.ok_or_else(|| StoreError::damaged(path, seal::CHANGED))?;
    ciborium::from_reader(cbor).map(Some).map_err(|error| StoreError::damaged(path, error))
}

fn write(path: &Path, outcome: &impl Serialize) -> Result<(), StoreError> {
    let mut cbor = Vec::new();
    ciborium::into_writer(outcome, &mut cbor).map_err(|error| StoreError::damaged(path, error))?;
    let digest = seal::hex(Sha256::new_with_prefix(&cbor));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
    }
    atomic::write(path, &[digest.as_bytes(), b"\n", &cbor].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_comes_back_to_the_bit_and_a_changed_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let evidence = Evidence::of(folder.path());
        assert_eq!(evidence.load::<Vec<f64>>("a").unwrap(), None);
        let measured = vec![0.1, -0.0, f64::NAN, f64::NEG_INFINITY, 5e-324];
        evidence.save("a", &measured).unwrap();
        evidence.save("b", &vec![1.0]).unwrap();
        let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(evidence.load("a").unwrap().unwrap()), bits(measured.clone()));

        let path = evidence.path("a");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = evidence.load::<Vec<f64>>("a").unwrap_err().to_string();
        assert!(error.contains(path.file_name().unwrap().to_str().unwrap()) && error.contains("SHA-256"), "{error}");
        fs::write(&path, "short").unwrap();
        assert!(evidence.load::<Vec<f64>>("a").is_err());

        evidence.remove_pieces().unwrap();
        evidence.remove_pieces().unwrap();
        assert_eq!(evidence.load::<Vec<f64>>("b").unwrap(), None);

        evidence.keep("dying", &measured).unwrap();
        let other = tempfile::tempdir().unwrap();
        evidence.copy_kept("dying", &Evidence::of(other.path())).unwrap();
        evidence.copy_kept("cheap", &Evidence::of(other.path())).unwrap();
        assert_eq!(bits(Evidence::of(other.path()).kept("dying").unwrap().unwrap()), bits(measured.clone()));
        evidence.remove_pieces().unwrap();
        assert_eq!(bits(evidence.kept("dying").unwrap().unwrap()), bits(measured));
        assert_eq!(evidence.kept::<Vec<f64>>("cheap").unwrap(), None);
    }
}
