//! One process at a time works in a folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::StoreError;

const LOCK: &str = "lock";
/// A reader that asks who holds a lock has it itself for an instant: that is waited for, a process is not.
const ATTEMPTS: usize = 5;

/// The process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its id.
    pub process: u32,
    /// The machine that it runs on.
    pub host: String,
}

impl Holder {
    fn this() -> Self {
        let host = sysinfo::System::host_name().unwrap_or_else(|| "an unnamed host".to_owned());
        Self { process: std::process::id(), host }
    }

    pub(super) fn words(holder: Option<&Self>) -> String {
        match holder {
            Some(Self { process, host }) => format!("process {process} on {}", host.escape_debug()),
            None => "another process".to_owned(),
        }
    }
}

/// A folder that this process alone works in, until this is dropped.
///
/// It is the operating system's lock on the file `lock`, which goes with the process that holds it, however that ends: a
/// file that a killed process left behind does not block.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks a folder, which must exist.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] says who works there; [`StoreError::Io`] where the file cannot be written, or the file
    /// system has no locks.
    pub fn acquire(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(LOCK);
        let io = |cause| StoreError::io(&path)(cause);
        for attempt in 1.. {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
            match file.try_lock() {
                // The process that held it removed the file between our opening and locking it.
                Ok(()) if !is_at(&file, &path) => continue,
                Ok(()) => {
                    let holder = serde_json::to_vec(&Holder::this()).expect("a number and a string are JSON");
                    file.set_len(0).and_then(|()| file.write_all(&holder)).map_err(io)?;
                    return Ok(Self { file, path });
                }
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => thread::sleep(Duration::from_millis(10)),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Locked { path: folder.to_owned(), holder: read(&mut file) });
                }
                Err(TryLockError::Error(cause)) => return Err(io(cause)),
            }
        }
        unreachable!("the loop has no end but its returns")
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // If the folder was moved away and another took its name, the file there is another's. A file that stays blocks
        // nobody.
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a process works in a folder now.
pub fn is_locked(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let same = |ours: fs::Metadata, there: fs::Metadata| (ours.dev(), ours.ino()) == (there.dev(), there.ino());
    file.metadata().ok().zip(fs::metadata(path).ok()).is_some_and(|(ours, there)| same(ours, there))
}

/// Elsewhere an open file cannot be replaced.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}
