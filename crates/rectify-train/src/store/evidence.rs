//! `evidence/`: what a claim has measured so far, a file for each piece of work, kept until the claim is judged.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{StoreError, atomic, seal};

const FOLDER: &str = "evidence";
const EXTENSION: &str = "cbor";

/// The pieces of work that are kept in a folder.
///
/// They are CBOR, in which floats that are not finite have a place, behind a line with the SHA-256 of the rest.
#[derive(Debug, Clone)]
pub struct Evidence {
    folder: PathBuf,
}

impl Evidence {
    /// What is kept in `folder`; nothing is created before there is something to keep.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.join(FOLDER) }
    }

    /// What the work of this description gave; `None` where it was not done.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] names a file that was torn or changed, [`StoreError::Io`].
    pub fn load<R: DeserializeOwned>(&self, work: &str) -> Result<Option<R>, StoreError> {
        let path = self.path(work);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(StoreError::io(&path))?,
        };
        let sound = bytes.split_at_checked(64).and_then(|(digest, rest)| {
            let cbor = rest.strip_prefix(b"\n")?;
            (seal::hex(Sha256::new_with_prefix(cbor)).as_bytes() == digest).then_some(cbor)
        });
        let cbor = sound.ok_or_else(|| StoreError::damaged(&path, seal::CHANGED))?;
        ciborium::from_reader(cbor).map(Some).map_err(|error| StoreError::damaged(&path, error))
    }

    /// Keeps what the work of this description gave.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn save(&self, work: &str, outcome: &impl Serialize) -> Result<(), StoreError> {
        let path = self.path(work);
        let mut cbor = Vec::new();
        ciborium::into_writer(outcome, &mut cbor).map_err(|error| StoreError::damaged(&path, error))?;
        let digest = seal::hex(Sha256::new_with_prefix(&cbor));
        fs::create_dir_all(&self.folder).map_err(StoreError::io(&self.folder))?;
        atomic::write(&path, &[digest.as_bytes(), b"\n", &cbor].concat())
    }

    /// Forgets all of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn remove(&self) -> Result<(), StoreError> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(StoreError::io(&self.folder)),
        }
    }

    /// Another version of Rectify may do the same work otherwise.
    fn path(&self, work: &str) -> PathBuf {
        let name = seal::hex(Sha256::new_with_prefix(env!("CARGO_PKG_VERSION")).chain_update(work));
        self.folder.join(name).with_extension(EXTENSION)
    }
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
        assert_eq!(bits(evidence.load("a").unwrap().unwrap()), bits(measured));

        let path = evidence.path("a");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = evidence.load::<Vec<f64>>("a").unwrap_err().to_string();
        assert!(error.contains(path.file_name().unwrap().to_str().unwrap()) && error.contains("SHA-256"), "{error}");
        fs::write(&path, "short").unwrap();
        assert!(evidence.load::<Vec<f64>>("a").is_err());

        evidence.remove().unwrap();
        evidence.remove().unwrap();
        assert_eq!(evidence.load::<Vec<f64>>("b").unwrap(), None);
    }
}
