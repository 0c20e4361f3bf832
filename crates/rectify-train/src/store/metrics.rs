//! `metrics.jsonl`: what a training measured, appended as it happens.
//!
//! A line is one flat JSON object, so that `pandas.read_json("metrics.jsonl", lines=True)` gives columns; `kind` says
//! what was measured.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Mark, StoreError,
    error::shown,
    seal::{CHANGED, hash, hex},
};
use crate::record::{Epoch, StepLosses, StepProbe};

/// Bytes of the longest line that is read. An epoch of a layer takes some kilobytes and about ten bytes a unit, so no
/// network that fits into memory comes near.
pub const MAX_LINE: usize = 256 << 20;

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// The network after an epoch.
    Epoch(Epoch),
    /// A probed training step.
    Step(StepProbe),
    /// The losses of consecutive steps.
    Losses(StepLosses),
}

/// What a line says it is; lines of before version 2 say it by their only field.
#[derive(Deserialize)]
struct Kind {
    kind: Option<KindName>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindName {
    Epoch,
    Step,
    Losses,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FirstVersion {
    Epoch(Epoch),
    Step(StepProbe),
}

impl Line {
    /// Reads a line, of this version or an older one.
    ///
    /// # Errors
    ///
    /// What is wrong with it and at which column.
    pub fn parse(text: &[u8]) -> serde_json::Result<Self> {
        // Read twice, for serde's own tagged enums take their numbers through f64, and f32 is to come back to the bit.
        Ok(match serde_json::from_slice::<Kind>(text)?.kind {
            Some(KindName::Epoch) => Self::Epoch(serde_json::from_slice(text)?),
            Some(KindName::Step) => Self::Step(serde_json::from_slice(text)?),
            Some(KindName::Losses) => Self::Losses(serde_json::from_slice(text)?),
            None => match serde_json::from_slice(text)? {
                FirstVersion::Epoch(epoch) => Self::Epoch(epoch),
                FirstVersion::Step(step) => Self::Step(step),
            },
        })
    }
}

/// Appends to a `metrics.jsonl`.
#[derive(Debug)]
pub struct MetricsWriter {
    path: PathBuf,
    file: File,
    bytes: u64,
    hasher: Sha256,
    line: Vec<u8>,
}

impl MetricsWriter {
    /// Opens a file to go on at a mark, [`Mark::default`] for its beginning. It is made if it is not there; what lies
    /// behind the mark is cut off.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] names the file if the bytes before the mark are not those that the mark was taken of, and
    /// leaves it as it is; [`StoreError::Io`].
    pub fn open(path: &Path, at: &Mark) -> Result<Self, StoreError> {
        let io = StoreError::io(path);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(&io)?;
        let (bytes, hasher) = hash(&mut (&file).take(at.bytes)).map_err(&io)?;
        if bytes < at.bytes {
            let reason =
                format!("has {bytes} bytes, and the training is to go on behind {}: torn or changed", at.bytes);
            return Err(StoreError::damaged(path, reason));
        }
        if hex(hasher.clone()) != at.sha256 {
            return Err(StoreError::damaged(path, CHANGED));
        }
        file.set_len(bytes).and_then(|()| file.seek(SeekFrom::Start(bytes))).map_err(&io)?;
        Ok(Self { path: path.to_owned(), file, bytes, hasher, line: Vec::new() })
    }

    /// Appends a line, with one write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the file then ends with the line before, if the operating system lets it.
    pub fn append(&mut self, line: &Line) -> Result<(), StoreError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line).map_err(|error| StoreError::damaged(&self.path, error))?;
        self.line.push(b'\n');
        if let Err(cause) = self.file.write_all(&self.line) {
            // No half of a line stays; if that fails too, readers drop it.
            let _ = self.file.set_len(self.bytes).and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)));
            return Err(StoreError::io(&self.path)(cause));
        }
        self.bytes += self.line.len() as u64;
        self.hasher.update(&self.line);
        Ok(())
    }

    /// What has been written so far.
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes, sha256: hex(self.hasher.clone()) }
    }

    /// Brings what has been written to the disk. To be called before a [`mark`](Self::mark) is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::io(&self.path))
    }
}

/// The lines of a `metrics.jsonl`, one in memory at a time.
///
/// # Errors
///
/// An item is [`StoreError::Damaged`], with file and line number, for a line that cannot be read, and [`StoreError::Io`].
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    text: Vec<u8>,
    number: usize,
    note: Option<String>,
}

impl Lines {
    /// Opens the file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io(path))?;
        let reader = BufReader::with_capacity(1 << 16, file);
        Ok(Self { path: path.to_owned(), reader, text: Vec::new(), number: 0, note: None })
    }

    /// What there is to say after the last line: that a torn one was dropped.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    fn read(&mut self) -> Result<Option<Line>, StoreError> {
        self.text.clear();
        let mut limited = self.reader.by_ref().take(MAX_LINE as u64 + 1);
        let count = limited.read_until(b'\n', &mut self.text).map_err(StoreError::io(&self.path))?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        if count > MAX_LINE {
            return Err(StoreError::damaged(&self.path, format!("line {number} is longer than {MAX_LINE} bytes")));
        }
        match Line::parse(&self.text) {
            Ok(line) => Ok(Some(line)),
            Err(_) if !self.text.ends_with(b"\n") => {
                self.note = Some(format!("{}: line {number} was cut off, and is dropped", shown(&self.path)));
                Ok(None)
            }
            Err(error) => {
                // The error's own place is within the line.
                Err(StoreError::damaged(&self.path, format!("line {number} is not a metric: {error}")))
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Line, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// All lines of a `metrics.jsonl`, and a note if a torn last line was dropped.
///
/// # Errors
///
/// As [`Lines`].
pub fn read(path: &Path) -> Result<(Vec<Line>, Option<String>), StoreError> {
    let mut lines = Lines::open(path)?;
    let read = lines.by_ref().collect::<Result<_, _>>()?;
    Ok((read, lines.note))
}
