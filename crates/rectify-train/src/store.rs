//! A run on disk: settings, results, metrics and checkpoints.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use burn::{module::Module, store::RecordError, tensor::Device};
use serde::{Deserialize, Serialize};

use crate::{
    activation::Activation,
    experiment::Experiment,
    grid::Cell,
    model::{Model, Shape},
    results::{Epoch, Results, StepProbe},
};

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// The folder for a new run is taken.
    #[error("{}: {reason}", .path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// By what, and what would work.
        reason: &'static str,
    },
    /// A file is there but not what it must be.
    #[error("{}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |cause| StoreError::Io { path: path.to_owned(), cause }
}

/// Writes a file whole or not at all: readers see the old one or the new one.
///
/// # Errors
///
/// [`StoreError::Io`] where the folder cannot be written or the disk is full; what was there stays.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io_error(path))?;
    file.write_all(contents).map_err(io_error(path))?;
    file.as_file().sync_all().map_err(io_error(path))?;
    file.persist(path).map_err(|error| io_error(path)(error.error))?;
    // A temporary file is its owner's alone; results are for whoever may read the folder.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(io_error(path))?;
    }
    Ok(())
}

/// The folder of one experiment.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: Mutex<()>,
}

impl RunFolder {
    /// Makes a folder for a new experiment and writes its settings there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] where `path` is a file or holds an experiment already; nothing there is touched.
    pub fn create(path: &Path, experiment: &Experiment) -> Result<Self, StoreError> {
        let taken = |reason| StoreError::Taken { path: path.to_owned(), reason };
        if path.exists() && !path.is_dir() {
            return Err(taken("is a file, not a folder; choose another --out"));
        }
        let settings = path.join("config.toml");
        if settings.exists() || path.join("results.json").exists() {
            return Err(taken("holds an experiment already; choose another --out"));
        }
        fs::create_dir_all(path).map_err(io_error(path))?;
        let text = toml::to_string(experiment)
            .map_err(|error| StoreError::Damaged { path: settings.clone(), reason: error.to_string() })?;
        write(&settings, text.as_bytes())?;
        Ok(Self { path: path.to_owned(), metrics: Mutex::new(()) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of one training: `runs/relu-seed0`.
    pub fn cell(&self, cell: &Cell) -> PathBuf {
        let name = cell.activation.name().replace([':', '=', '/'], "-");
        self.path.join("runs").join(format!("{name}-seed{}", cell.seed))
    }

    /// Appends what was measured to the training's `metrics.jsonl`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn append(&self, cell: &Cell, measured: &Measured) -> Result<(), StoreError> {
        let folder = self.cell(cell);
        let path = folder.join("metrics.jsonl");
        let mut line = serde_json::to_vec(measured)
            .map_err(|error| StoreError::Damaged { path: path.clone(), reason: error.to_string() })?;
        line.push(b'\n');
        let _one_at_a_time = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || OpenOptions::new().create(true).append(true).open(&path);
        let file = match open() {
            // The training's first line, or somebody removed the folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&folder).map_err(io_error(&folder))?;
                open()
            }
            file => file,
        };
        file.and_then(|mut file| file.write_all(&line)).map_err(io_error(&path))
    }

    /// Writes a training's network, whole and then renamed into place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::Damaged`].
    pub fn save_checkpoint(&self, cell: &Cell, checkpoint: &Checkpoint, model: Model) -> Result<PathBuf, StoreError> {
        let folder = self.cell(cell);
        fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        let target = folder.join("checkpoint");
        let temporary =
            tempfile::Builder::new().prefix(".checkpoint-").tempdir_in(&folder).map_err(io_error(&folder))?;
        let weights = temporary.path().join(WEIGHTS);
        model.valid().save_file(&weights).map_err(|error| damaged(&weights, error))?;
        let text = serde_json::to_vec_pretty(checkpoint)
            .map_err(|error| StoreError::Damaged { path: target.clone(), reason: error.to_string() })?;
        write(&temporary.path().join(CHECKPOINT), &text)?;
        if target.exists() {
            fs::remove_dir_all(&target).map_err(io_error(&target))?;
        }
        fs::rename(temporary.keep(), &target).map_err(io_error(&target))?;
        Ok(target)
    }

    /// Writes `results.json`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn save_results(&self, results: &Results) -> Result<(), StoreError> {
        let path = self.path.join("results.json");
        let text = serde_json::to_vec_pretty(results)
            .map_err(|error| StoreError::Damaged { path: path.clone(), reason: error.to_string() })?;
        write(&path, &text)
    }
}

fn damaged(path: &Path, error: RecordError) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), reason: error.to_string() }
}

/// A line of `metrics.jsonl`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured<'a> {
    /// The network after an epoch.
    Epoch(&'a Epoch),
    /// A training step.
    Step(&'a StepProbe),
}

const WEIGHTS: &str = "model.bpk";
const CHECKPOINT: &str = "checkpoint.json";

/// What a network's weights need to be a network again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The experiment that it was trained in.
    pub experiment: Experiment,
    /// Its activation.
    pub activation: Activation,
    /// Its seed.
    pub seed: u64,
    /// Training steps taken.
    pub steps: usize,
    /// Channels of an image; 1 where none is written, as there was a time without.
    #[serde(default = "one_channel")]
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Classes.
    pub classes: usize,
    /// The label that each class has in the data set's files; empty where that is its number.
    #[serde(default)]
    pub class_labels: Vec<u8>,
    /// Mean of the training pixels, which inputs are standardised with.
    pub mean: f64,
    /// Standard deviation of the training pixels.
    pub std: f64,
}

fn one_channel() -> usize {
    1
}

impl Checkpoint {
    /// Reads a checkpoint's description: `path` is its folder, or the folder of its training.
    ///
    /// # Errors
    ///
    /// [`StoreError`] names the file.
    pub fn read(path: &Path) -> Result<(Self, PathBuf), StoreError> {
        let nested = path.join("checkpoint");
        let folder = if nested.join(CHECKPOINT).exists() { nested } else { path.to_owned() };
        let file = folder.join(CHECKPOINT);
        let text = fs::read(&file).map_err(io_error(&file))?;
        let damaged = |reason| StoreError::Damaged { path: file.clone(), reason };
        let checkpoint: Self =
            serde_json::from_slice(&text).map_err(|error| damaged(format!("not a checkpoint: {error}")))?;
        let shape = checkpoint.shape();
        checkpoint
            .experiment
            .check()
            .and_then(|()| shape.check(checkpoint.experiment.model))
            .map_err(|error| damaged(error.to_string()))?;
        let labels = &checkpoint.class_labels;
        if !labels.is_sorted_by(|one, next| one < next)
            || !labels.is_empty() && labels.len() != shape.classes
            || shape.classes > 256
        {
            let reason =
                format!("{} classes with the labels {labels:?}: expected an ascending label each", shape.classes);
            return Err(damaged(reason));
        }
        Ok((checkpoint, folder))
    }

    /// What its network fits.
    pub fn shape(&self) -> Shape {
        Shape { channels: self.channels, height: self.height, width: self.width, classes: self.classes }
    }

    /// The label that each class has in the data set's files.
    pub fn class_labels(&self) -> Vec<u8> {
        match self.class_labels.is_empty() {
            // At most 256, as is checked where it is read.
            true => (0..self.classes).map(|class| class as u8).collect(),
            false => self.class_labels.clone(),
        }
    }

    /// Reads the network onto a device.
    ///
    /// # Errors
    ///
    /// [`StoreError`] names the file.
    pub fn load_model(&self, folder: &Path, device: &Device) -> Result<Model, StoreError> {
        let file = folder.join(WEIGHTS);
        File::open(&file).map_err(io_error(&file))?;
        let fresh = Model::new(&self.experiment, &self.activation, self.shape(), self.seed, device);
        fresh.try_load_file(&file).map_err(|error| damaged(&file, error))
    }
}
