//! The one writer of whole files and folders: readers see the old one or the new one, also after a crash.
//!
//! What is new is written beside what is old, under a name that begins with `.rectify-new-`, brought to the disk, and renamed.
//! What a killed writer leaves behind is put right by [`heal`], which whoever holds a folder's [lock](super::Lock)
//! calls when it opens it.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde::Serialize;

use super::StoreError;

/// How names of files and folders begin that are being written.
pub(super) const NEW: &str = ".rectify-new-";
/// How the name of a folder begins that is being replaced where two folders cannot be exchanged; its own name follows.
const OLD: &str = ".rectify-old-";

/// Writes a file whole or not at all: readers see the old one or the new one. Its permissions are those that the umask
/// leaves.
///
/// # Errors
///
/// [`StoreError::Io`] where the folder cannot be written or the disk is full; what was there stays.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    write_with(path, |file| file.write_all(contents))
}

/// The same for JSON, which is not held as a whole on the way.
///
/// # Errors
///
/// As [`write()`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    write_with(path, |file| {
        let mut buffered = BufWriter::with_capacity(1 << 16, file);
        serde_json::to_writer_pretty(&mut buffered, value)?;
        buffered.flush()
    })
}

fn write_with(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StoreError> {
    let folder = parent(path);
    New::make(folder, |new| File::create_new(new))
        .and_then(|(new, mut file)| {
            fill(&mut file)?;
            file.sync_all()?;
            fs::rename(&new.0, path)?;
            sync_folder(folder)
        })
        .map_err(StoreError::io(path))
}

/// Writes a folder whole or not at all: `fill` is given an empty one, which then takes the place of `target`. There is no
/// moment without a folder at `target` (or, where the file system cannot exchange two folders, none that [`heal`] does
/// not mend).
///
/// # Errors
///
/// [`StoreError`] of `fill`, or [`StoreError::Io`]; what was there stays.
pub fn write_folder(target: &Path, fill: impl FnOnce(&Path) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let (new, ()) = New::make(parent(target), |new| fs::create_dir(new)).map_err(StoreError::io(target))?;
    fill(&new.0).map_err(|error| match error {
        // Nobody knows the temporary folder.
        StoreError::Io { path, cause } if path.starts_with(&new.0) => StoreError::io(target)(cause),
        error => error,
    })?;
    replace_folder(&new.0, target)
    // After an exchange the old folder has the new one's name, and is removed here.
}

/// Puts the folder `new` in the place of `target`, which may or may not exist, in the same parent. What is in it is
/// brought to the disk first. Afterwards `new` does not exist, or is the old folder, to be removed.
///
/// # Errors
///
/// [`StoreError::Io`]; what was there stays.
pub fn replace_folder(new: &Path, target: &Path) -> Result<(), StoreError> {
    sync_tree(new)
        .and_then(|()| match target.is_dir() {
            true => match exchange(new, target) {
                Err(error) if cannot_exchange(&error) => replace_in_two_steps(new, target),
                exchanged => exchanged,
            },
            false => fs::rename(new, target),
        })
        .and_then(|()| sync_folder(parent(target)))
        .map_err(StoreError::io(target))
}

/// Puts right what killed writers left in a folder: a replaced folder that is under neither name gets its own back, and
/// what was half written is removed. To be called by the only process that writes there.
///
/// # Errors
///
/// [`StoreError::Io`] names the leftover.
pub fn heal(folder: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(StoreError::io(folder))? {
        let path = entry.map_err(StoreError::io(folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let mended = match name.strip_prefix(OLD) {
            Some(own) if !folder.join(own).exists() => fs::rename(&path, folder.join(own)),
            Some(_) => remove(&path),
            None if name.starts_with(NEW) => remove(&path),
            None => continue,
        };
        mended.map_err(StoreError::io(&path))?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// What is being written; dropping it removes what is still, or by an exchange again, under its name.
struct New(PathBuf);

impl New {
    /// Makes a file or folder under a name that nothing in the folder has.
    fn make<T>(folder: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(Self, T)> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{NEW}{}-{number}", std::process::id()));
            match make(&path) {
                // Of a killed process that had the same id, or of one on another machine.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|made| (Self(path), made)),
            }
        }
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // What stays is removed when the folder is opened again.
        let _ = remove(&self.0);
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(target_os = "linux")]
fn exchange(new: &Path, target: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    Ok(renameat_with(CWD, new, CWD, target, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a kernel or a file system says that it exchanges no folders.
fn cannot_exchange(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

fn replace_in_two_steps(new: &Path, target: &Path) -> io::Result<()> {
    let aside = aside(target);
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    fs::rename(target, &aside)?;
    if let Err(error) = fs::rename(new, target) {
        fs::rename(&aside, target)?;
        return Err(error);
    }
    // The new one is in its place: what is left of the old one goes when the folder is opened again.
    let _ = fs::remove_dir_all(&aside);
    Ok(())
}

fn aside(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(OLD);
    name.push(target.file_name().unwrap_or_default());
    parent(target).join(name)
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_tree(&entry.path())?,
            false => File::open(entry.path())?.sync_all()?,
        }
    }
    sync_folder(folder)
}

/// Brings names in a folder to the disk. Only Unix opens folders, and not every file system syncs them.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(path: &Path, text: &str) {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), text).unwrap();
    }

    #[test]
    fn without_exchange_a_folder_is_replaced_and_a_kill_between_the_steps_is_healed() {
        let place = tempfile::tempdir().unwrap();
        let (new, target) = (place.path().join(".rectify-new-1"), place.path().join("state"));
        folder_with(&target, "old");
        folder_with(&new, "new");
        replace_in_two_steps(&new, &target).unwrap();
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "new");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);

        // Killed after the first rename.
        fs::rename(&target, aside(&target)).unwrap();
        folder_with(&new, "newer");
        heal(place.path()).unwrap();
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "new");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);

        // Killed after the second.
        folder_with(&aside(&target), "old");
        heal(place.path()).unwrap();
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "new");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
