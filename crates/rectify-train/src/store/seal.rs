//! Hashes that tell a file that was torn or changed from one that was written whole.
//!
//! A sealed JSON file begins with a line `"sha256": "…"`, the SHA-256 of the file without that line: what was hashed are
//! the bytes as they lie there, so a later version that writes the same record otherwise still finds them sound.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::StoreError;
use crate::record::SCHEMA_VERSION;

const OPEN: &[u8] = b"{\n";
const BEFORE: &[u8] = b"  \"sha256\": \"";
const AFTER: &[u8] = b"\",\n";

/// What a file's first bytes are: how many, and their SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Default for Mark {
    /// Of no bytes: the beginning of a file.
    fn default() -> Self {
        Self { bytes: 0, sha256: hex(Sha256::new()) }
    }
}

impl Mark {
    /// Of a whole file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let mut file = File::open(path).map_err(StoreError::io(path))?;
        let (bytes, hasher) = hash(&mut file).map_err(StoreError::io(path))?;
        Ok(Self { bytes, sha256: hex(hasher) })
    }

    /// Whether a whole file is what it was when the mark was taken.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] names the file, [`StoreError::Io`].
    pub fn verify(&self, path: &Path) -> Result<(), StoreError> {
        let found = Self::of(path)?;
        if found.bytes != self.bytes {
            let reason =
                format!("has {} bytes, and had {} when it was written: torn or changed", found.bytes, self.bytes);
            return Err(StoreError::damaged(path, reason));
        }
        if found != *self {
            return Err(StoreError::damaged(path, CHANGED));
        }
        Ok(())
    }
}

pub(super) const CHANGED: &str = "its SHA-256 is not the one that was recorded: torn, or changed since it was written";

/// Reads to the end.
pub(super) fn hash(from: &mut impl Read) -> io::Result<(u64, Sha256)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hasher)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A record as a sealed file. It must be a struct with a field, of which none is called `sha256`.
pub(super) fn seal(path: &Path, record: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let text = serde_json::to_vec_pretty(record).map_err(|error| StoreError::damaged(path, error))?;
    debug_assert!(text.starts_with(OPEN), "only a struct can be sealed");
    let digest = hex(Sha256::new_with_prefix(&text));
    Ok([OPEN, BEFORE, digest.as_bytes(), AFTER, &text[OPEN.len()..]].concat())
}

#[derive(Deserialize)]
struct Version {
    /// Files of before version 2 may have none.
    #[serde(default = "first")]
    schema_version: u32,
}

fn first() -> u32 {
    1
}

/// Reads a sealed file; `None` if it is not there. Files of before version 2 may have no seal.
pub(super) fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<Option<T>, StoreError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(StoreError::io(path))?,
    };
    let sealed = unseal(&text);
    if sealed == Some(false) {
        return Err(StoreError::damaged(path, CHANGED));
    }
    let not_one = |error| StoreError::damaged(path, format!("not {what}: {error}"));
    let Version { schema_version: found } = serde_json::from_slice(&text).map_err(not_one)?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    if found > 1 && sealed.is_none() {
        return Err(StoreError::damaged(path, "does not begin with its SHA-256: changed since it was written"));
    }
    serde_json::from_slice(&text).map(Some).map_err(not_one)
}

/// Whether a file is as it was sealed; `None` if it has no seal.
fn unseal(text: &[u8]) -> Option<bool> {
    let (digest, rest) = text.strip_prefix(OPEN)?.strip_prefix(BEFORE)?.split_at_checked(64)?;
    let rest = rest.strip_prefix(AFTER)?;
    let found = hex(Sha256::new_with_prefix(OPEN).chain_update(rest));
    Some(found.as_bytes() == digest)
}
