//! `checkpoint/`: a trained network, and what it takes to use it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::{
    module::{Module, ModuleVisitor, Param},
    store::ModuleRecord,
    tensor::{Bytes, DType, Device, Tensor, TensorData},
};
use serde::{Deserialize, Serialize};

use super::{
    Mark, StoreError, atomic,
    error::shown,
    folder::{METRICS, RUNS, Stage, folders, stage},
    lock, seal,
};
use crate::{
    activation::Activation,
    data::{Dataset, MOST_CLASSES},
    experiment::{Experiment, ModelKind},
    network::{Model, Shape},
    record::SCHEMA_VERSION,
};

const FOLDER: &str = "checkpoint";
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
    /// Channels of an image, or columns of numbers of a table; 1 where none is written, as there was a time without.
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
    pub class_labels: Vec<u16>,
    /// The name of each class, that of its folder of pictures or its label in a table; empty where classes have numbers only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// The names of a table's columns of numbers; empty for pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feature_names: Vec<String>,
    /// Mean of the training pixels or numbers.
    pub mean: f64,
    /// Standard deviation of the same.
    pub std: f64,
    /// Mean by channel or column, which inputs are standardised with; empty where all have `mean`, as there was a time
    /// with one for all.
    #[serde(default)]
    pub channel_means: Vec<f64>,
    /// Standard deviation by channel or column.
    #[serde(default)]
    pub channel_stds: Vec<f64>,
}

fn one_channel() -> usize {
    1
}

/// `checkpoint.json`. Before version 2 it held a [`Checkpoint`] alone.
#[derive(Serialize, Deserialize)]
struct CheckpointFile {
    #[serde(default)]
    schema_version: Option<u32>,
    /// The weights' file.
    #[serde(default)]
    model: Option<Mark>,
    #[serde(flatten)]
    checkpoint: Checkpoint,
}

/// A checkpoint that was found on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedCheckpoint {
    /// What is said of it.
    pub checkpoint: Checkpoint,
    /// Its folder.
    pub folder: PathBuf,
    /// What its weights' file was when it was written; `None` in checkpoints of before version 2.
    weights: Option<Mark>,
}

impl Checkpoint {
    /// Writes a run's network, in place of a checkpoint that is there. Gives back its folder.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; what was there stays.
    pub fn save(&self, run_folder: &Path, model: Model) -> Result<PathBuf, StoreError> {
        let target = run_folder.join(FOLDER);
        atomic::write_folder(&target, |folder| {
            let weights = folder.join(WEIGHTS);
            save_module(model.valid(), &weights)?;
            let path = folder.join(CHECKPOINT);
            let file = CheckpointFile {
                schema_version: Some(SCHEMA_VERSION),
                model: Some(Mark::of(&weights)?),
                checkpoint: self.clone(),
            };
            fs::write(&path, seal::seal(&path, &file)?).map_err(StoreError::io(&path))
        })?;
        Ok(target)
    }

    /// What its network fits.
    pub fn shape(&self) -> Shape {
        Shape { channels: self.channels, height: self.height, width: self.width, classes: self.classes }
    }

    /// The label that each class has in the data set's files.
    pub fn class_labels(&self) -> Vec<u16> {
        match self.class_labels.is_empty() {
            // At most `MOST_CLASSES`, as is checked where it is read.
            true => (0..self.classes).map(|class| class as u16).collect(),
            false => self.class_labels.clone(),
        }
    }

    /// A data set that is standardised as the checkpoint's was in training, whatever its own figures are.
    pub fn standardise(&self, dataset: Dataset) -> Dataset {
        let by_channel = |values: &[f64], all: f64| match values.is_empty() {
            true => vec![all; self.channels],
            false => values.to_vec(),
        };
        Dataset {
            mean: self.mean,
            std: self.std,
            channel_means: by_channel(&self.channel_means, self.mean),
            channel_stds: by_channel(&self.channel_stds, self.std),
            ..dataset
        }
    }

    /// Pictures as its network takes them, `[pictures, pixels]`: bytes of each, channel by channel and row by row,
    /// standardised as those were that it was trained on.
    pub fn inputs(&self, pictures: &[&[u8]], device: &Device) -> Tensor<2> {
        let by_channel = |values: &[f64], all: f64, channel: usize| values.get(channel).copied().unwrap_or(all);
        let plane = self.height * self.width;
        let standardised = pictures.iter().flat_map(|picture| picture.iter().enumerate()).map(|(at, &pixel)| {
            let channel = at % (self.channels * plane) / plane;
            let mean = by_channel(&self.channel_means, self.mean, channel);
            let std = by_channel(&self.channel_stds, self.std, channel);
            (f64::from(pixel) / 255.0 - mean) / if std > 0.0 { std } else { 1.0 }
        });
        let dtype = self.experiment.dtype.into();
        let data = TensorData::new(standardised.collect::<Vec<f64>>(), [pictures.len(), self.channels * plane]);
        Tensor::from_data(data.convert_dtype(dtype), (device, dtype))
    }

    /// Fewer parameters than its network has, whatever numbers stand there.
    fn least_parameters(&self) -> f64 {
        let first = match self.experiment.model {
            ModelKind::Mlp => self.channels as f64 * self.height as f64 * self.width as f64,
            ModelKind::Cnn => (self.height / 4) as f64 * (self.width / 4) as f64,
        };
        let hidden = self.experiment.hidden();
        let widths = hidden.iter().chain([&self.classes]).map(|&width| width as f64);
        widths.fold((0.0, first), |(sum, fan_in), fan_out| (sum + fan_in * fan_out, fan_out)).0
    }
}

impl SavedCheckpoint {
    /// Reads a checkpoint's description: `path` is as [`find`] takes it.
    ///
    /// # Errors
    ///
    /// As [`find`]; [`StoreError`] names the file that is not what it must be.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let folder = find(path)?;
        let file = folder.join(CHECKPOINT);
        let read = seal::read::<CheckpointFile>(&file, "a checkpoint")?;
        let CheckpointFile { model: weights, checkpoint, .. } =
            read.ok_or_else(|| StoreError::io(&file)(std::io::ErrorKind::NotFound.into()))?;
        checkpoint
            .experiment
            .check()
            .and_then(|()| checkpoint.shape().check(checkpoint.experiment.model))
            .map_err(|error| StoreError::damaged(&file, error))?;
        let (labels, classes) = (&checkpoint.class_labels, checkpoint.classes);
        if !labels.is_sorted_by(|one, next| one < next)
            || !labels.is_empty() && labels.len() != classes
            || classes > MOST_CLASSES
        {
            let reason = format!("{classes} classes with the labels {labels:?}: expected an ascending label each");
            return Err(StoreError::damaged(&file, reason));
        }
        for (field, values) in
            [("channel_means", &checkpoint.channel_means), ("channel_stds", &checkpoint.channel_stds)]
        {
            if !values.is_empty() && values.len() != checkpoint.channels {
                let reason = format!("{field}: {} numbers for {} channels", values.len(), checkpoint.channels);
                return Err(StoreError::damaged(&file, reason));
            }
        }
        Ok(Self { checkpoint, folder, weights })
    }

    /// Reads the network onto a device.
    ///
    /// # Errors
    ///
    /// [`StoreError`] names the file if it is not there, torn, changed, or of another network.
    pub fn load_model(&self, device: &Device) -> Result<Model, StoreError> {
        let file = self.folder.join(WEIGHTS);
        let bytes = fs::metadata(&file).map_err(StoreError::io(&file))?.len();
        if let Some(weights) = &self.weights {
            weights.verify(&file)?;
        }
        let checkpoint = &self.checkpoint;
        // A network is drawn before its weights are read: not one that no memory holds, because a number was changed.
        let size = DType::from(checkpoint.experiment.dtype).size();
        let least = checkpoint.least_parameters() * size as f64;
        if least > bytes as f64 {
            let reason = format!("has {bytes} bytes, and the network of {CHECKPOINT} takes at least {least}");
            return Err(StoreError::damaged(&file, reason));
        }
        let fresh =
            Model::new(&checkpoint.experiment, &checkpoint.activation, checkpoint.shape(), checkpoint.seed, device);
        load_module(fresh, &file)
    }
}

/// Writes a module's parameters to a file of a folder that [`atomic::write_folder`] or [`save_state`](super::save_state)
/// makes.
///
/// # Errors
///
/// [`StoreError::Io`].
pub fn save_module(module: impl Module, path: &Path) -> Result<(), StoreError> {
    save_record(module.into_record(), path)
}

/// [`save_module`] for what a module has already given.
///
/// # Errors
///
/// [`StoreError::Io`].
pub fn save_record(record: ModuleRecord, path: &Path) -> Result<(), StoreError> {
    // Not Burn's own writing: it keeps of the operating system's error only the text.
    let bytes = record.into_bytes().map_err(|error| StoreError::damaged(path, error))?;
    fs::write(path, &*bytes).map_err(StoreError::io(path))
}

/// Reads a module's parameters from a file.
///
/// # Errors
///
/// [`StoreError::Io`]; [`StoreError::Damaged`] where the file is none of Burn's, or of a module of another shape.
pub fn load_module<M: Module>(module: M, path: &Path) -> Result<M, StoreError> {
    let expected = Dtypes::of(&module);
    let loaded = module.try_load_record(load_record(path)?).map_err(|error| StoreError::damaged(path, error))?;
    let found = Dtypes::of(&loaded);
    match expected.iter().zip(&found).find(|(expected, found)| expected != found) {
        // Burn takes them as they are, and panics when it first computes with them.
        Some((expected, found)) => {
            Err(StoreError::damaged(path, format!("holds weights of type {found:?}, and {expected:?} are asked for")))
        }
        None => Ok(loaded),
    }
}

/// Reads what [`save_record`] wrote.
///
/// # Errors
///
/// [`StoreError::Io`]; [`StoreError::Damaged`] where the file is none of Burn's.
pub fn load_record(path: &Path) -> Result<ModuleRecord, StoreError> {
    let bytes = Bytes::from_bytes_vec(fs::read(path).map_err(StoreError::io(path))?);
    ModuleRecord::from_bytes(bytes).map_err(|error| StoreError::damaged(path, error))
}

/// The types of a module's float parameters, in its order.
struct Dtypes(Vec<DType>);

impl Dtypes {
    fn of(module: &impl Module) -> Vec<DType> {
        let mut dtypes = Self(Vec::new());
        module.visit(&mut dtypes);
        dtypes.0
    }
}

impl ModuleVisitor for Dtypes {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.push(parameter.val().dtype());
    }
}

/// The folder of the one checkpoint at a path, which is that folder, its run's, or that of an experiment with one
/// checkpoint.
///
/// # Errors
///
/// [`StoreError::Missing`] says what is there: the checkpoints to choose from, or how far the runs have come.
pub fn find(path: &Path) -> Result<PathBuf, StoreError> {
    let missing = |reason: String| Err(StoreError::Missing { path: path.to_owned(), reason });
    if let Some(folder) = of_run(path) {
        return Ok(folder);
    }
    if path.is_file() {
        let folder = path.parent().unwrap_or(path);
        return missing(format!("is a file; the checkpoint's folder is asked for, as in {}", shown(folder)));
    }
    let runs = folders(&path.join(RUNS))?;
    match &checkpoints(&runs)[..] {
        [one] => return Ok(one.join(FOLDER)),
        [] if runs.is_empty() => {}
        [] => {
            let how_far = |run: &PathBuf| format!("{}: {}", shown(run), progress(run, path));
            return missing(format!("no run has a checkpoint yet:{}", list(&runs, how_far)));
        }
        several => {
            let all = list(several, |run| shown(run).to_string());
            return missing(format!("holds {} checkpoints; name one of them:{all}", several.len()));
        }
    }

    let what = match path.exists() {
        false => "No such file or folder".to_owned(),
        true if stage(path) == Stage::Done || path.join(METRICS).exists() => {
            let experiment = path.parent().and_then(Path::parent).unwrap_or(path);
            format!("this run has no checkpoint ({})", progress(path, experiment))
        }
        true => format!("holds no {CHECKPOINT}, and is not the folder of a run"),
    };
    let siblings = match path.parent().filter(|parent| parent.ends_with(RUNS)) {
        Some(runs) => checkpoints(&folders(runs)?),
        None => Vec::new(),
    };
    match siblings.is_empty() {
        true => missing(what),
        false => {
            missing(format!("{what}; those with a checkpoint are:{}", list(&siblings, |run| shown(run).to_string())))
        }
    }
}

/// The checkpoint in the folder of a run or of the checkpoint itself.
fn of_run(path: &Path) -> Option<PathBuf> {
    [path.join(FOLDER), path.to_owned()].into_iter().find(|folder| folder.join(CHECKPOINT).exists())
}

fn checkpoints(runs: &[PathBuf]) -> Vec<PathBuf> {
    runs.iter().filter(|run| of_run(run).is_some()).cloned().collect()
}

fn progress(run: &Path, experiment: &Path) -> &'static str {
    match stage(run) {
        Stage::Done => "done, without a checkpoint",
        Stage::Unfinished if lock::is_locked(experiment) => "running",
        Stage::Unfinished => "stopped before its end",
        Stage::NotBegun => "not begun",
    }
}

/// One a line, as many as a screen shows.
fn list(runs: &[PathBuf], line: impl Fn(&PathBuf) -> String) -> String {
    const SHOWN: usize = 20;
    let mut lines: Vec<String> = runs.iter().take(SHOWN).map(|run| format!("\n  {}", line(run))).collect();
    if runs.len() > SHOWN {
        lines.push(format!("\n  and {} more", runs.len() - SHOWN));
    }
    lines.concat()
}
