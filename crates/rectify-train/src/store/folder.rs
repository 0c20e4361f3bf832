//! The folder of an experiment, and in it one of each run.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Lock, Mark, MetricsWriter, StoreError, atomic,
    name::{run_name, run_path},
    seal,
};
use crate::{
    experiment::{Experiment, Schedule, Tune},
    record::{DataRecord, Environment, Results, Run, SCHEMA_VERSION, SweepResults, Tuning},
};

const CONFIG: &str = "config.toml";
const RESULTS: &str = "results.json";
const TUNING: &str = "tuning.json";
pub(super) const RUNS: &str = "runs";
const RUN: &str = "run.json";
const SWEEP: &str = "sweep.json";
pub(super) const METRICS: &str = "metrics.jsonl";

/// The folder of one experiment.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    experiment: Experiment,
    /// `None` where it is only read.
    lock: Option<Lock>,
}

/// What `run.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The settings, of this one run: an experiment of its own.
    pub experiment: Experiment,
    /// Where it was trained. Absent in records of before version 2.
    #[serde(default)]
    pub environment: Option<Environment>,
    /// What it was trained on.
    #[serde(default)]
    pub data: Option<DataRecord>,
    /// What `metrics.jsonl` is when the run has ended.
    pub metrics: Mark,
    /// The run.
    pub run: Run,
}

/// What `tuning.json` holds.
#[derive(Serialize, Deserialize)]
struct TuningFile {
    schema_version: u32,
    tuning: Vec<Tuning>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing is there.
    NotBegun,
    /// It is being trained, or was stopped.
    Unfinished,
    /// `run.json` is there.
    Done,
}

impl RunFolder {
    /// Makes a folder for a new experiment, locks it and writes its settings there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] where `path` is a file or holds an experiment already; nothing there is touched.
    /// [`StoreError::Locked`], [`StoreError::Io`].
    pub fn create(path: &Path, experiment: &Experiment) -> Result<Self, StoreError> {
        let taken = |reason| Err(StoreError::Taken { path: path.to_owned(), reason });
        if path.exists() && !path.is_dir() {
            return taken("is a file, not a folder; choose another --out");
        }
        let holds_one = || path.join(CONFIG).exists() || path.join(RESULTS).exists();
        if holds_one() {
            return taken("holds an experiment already; choose another --out");
        }
        fs::create_dir_all(path).map_err(StoreError::io(path))?;
        let lock = Lock::acquire(path)?;
        // Another process may have begun one meanwhile, and ended.
        if holds_one() {
            return taken("holds an experiment already; choose another --out");
        }
        atomic::heal(path)?;
        let mut folder = Self { path: path.to_owned(), experiment: experiment.clone(), lock: Some(lock) };
        folder.set_experiment(experiment.clone())?;
        Ok(folder)
    }

    /// Opens an experiment's folder to go on with it: locks it, reads its settings and puts right what a killed process
    /// left.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] where no experiment is there, [`StoreError::Damaged`] where its settings cannot be run,
    /// [`StoreError::Locked`], [`StoreError::Io`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut folder = Self::read(path)?;
        folder.lock = Some(Lock::acquire(path)?);
        // They may have changed before the lock was ours.
        folder.experiment = read_experiment(path)?;
        atomic::heal(path)?;
        for run in folder.folders()? {
            atomic::heal(&run)?;
        }
        Ok(folder)
    }

    /// Opens an experiment's folder to read it, whoever works there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] where no experiment is there, [`StoreError::Damaged`] where its settings cannot be run,
    /// [`StoreError::Io`].
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), experiment: read_experiment(path)?, lock: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its settings.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// Whether this process may write here: not if it was opened by [`read`](Self::read).
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// The same without the lock, where another one guards it.
    pub fn unlocked(self) -> Self {
        Self { lock: None, ..self }
    }

    /// Writes other settings, of an experiment that has been extended.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn set_experiment(&mut self, experiment: Experiment) -> Result<(), StoreError> {
        let path = self.path.join(CONFIG);
        let text = toml::to_string(&experiment).map_err(|error| StoreError::damaged(&path, error))?;
        atomic::write(&path, text.as_bytes())?;
        self.experiment = experiment;
        Ok(())
    }

    /// The folder of one run, as in `runs/relu-seed0`.
    pub fn run_path(&self, activation: &str, seed: u64) -> PathBuf {
        run_path(&self.path, activation, seed)
    }

    /// Makes the run's folder and opens its `metrics.jsonl`, to go on at a mark.
    ///
    /// # Errors
    ///
    /// As [`MetricsWriter::open`].
    pub fn metrics(&self, activation: &str, seed: u64, at: &Mark) -> Result<MetricsWriter, StoreError> {
        let folder = self.run_path(activation, seed);
        if !folder.exists() {
            // Its name is on the disk before a state in it says that there is something to go on with.
            fs::create_dir_all(&folder)
                .and_then(|()| atomic::sync_folder(&self.path.join(RUNS)))
                .and_then(|()| atomic::sync_folder(&self.path))
                .map_err(StoreError::io(&folder))?;
        }
        MetricsWriter::open(&folder.join(METRICS), at)
    }

    /// Writes a run's `run.json`, by which it is done. `experiment` is the folder's, with what was tuned for the run.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn write_run(
        &self,
        experiment: &Experiment,
        run: &Run,
        metrics: Mark,
        environment: &Environment,
        data: Option<DataRecord>,
    ) -> Result<(), StoreError> {
        let path = self.run_path(&run.activation, run.seed).join(RUN);
        let mut experiment = Experiment { seeds: 1, seed: Some(vec![run.seed]), ..experiment.clone() };
        if experiment.own.is_none() {
            let activation = run.activation.parse().map_err(|error| StoreError::damaged(&path, error))?;
            experiment.activations = vec![activation];
        }
        let record = RunRecord {
            schema_version: SCHEMA_VERSION,
            experiment,
            environment: Some(environment.clone()),
            data,
            metrics,
            run: run.clone(),
        };
        atomic::write(&path, &seal::seal(&path, &record)?)
    }

    /// A run that is done; `None` if it is not.
    ///
    /// # Errors
    ///
    /// [`StoreError`] names its file if that is torn, changed, of a newer Rectify, of another run, or of an experiment
    /// with other settings.
    pub fn read_run(&self, activation: &str, seed: u64) -> Result<Option<Run>, StoreError> {
        Ok(self.read_record(activation, seed)?.map(|record| record.run))
    }

    /// What the `run.json` of a run holds; `None` if it is not done.
    ///
    /// # Errors
    ///
    /// As [`read_run`](Self::read_run).
    pub fn read_record(&self, activation: &str, seed: u64) -> Result<Option<RunRecord>, StoreError> {
        self.read_record_in(&self.run_path(activation, seed))
    }

    fn read_record_in(&self, folder: &Path) -> Result<Option<RunRecord>, StoreError> {
        let path = folder.join(RUN);
        let Some(record) = seal::read::<RunRecord>(&path, "a run's record")? else { return Ok(None) };
        let (activation, seed) = (&record.run.activation, record.run.seed);
        if folder.file_name() != Some(run_name(activation, seed).as_ref()) {
            let reason = format!("is the run of {} with seed {seed}, in another's folder", activation.escape_debug());
            return Err(StoreError::damaged(&path, reason));
        }
        match difference(&record.experiment, &self.experiment) {
            Some(difference) => Err(StoreError::Differs { path, difference }),
            None => Ok(Some(record)),
        }
    }

    /// The records of all runs that are done, by name of their folder, whether or not the settings name them; each is read when it is
    /// asked for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where the folder cannot be listed; an item as [`read_run`](Self::read_run).
    pub fn records(&self) -> Result<impl Iterator<Item = Result<RunRecord, StoreError>>, StoreError> {
        let records = self.folders()?.into_iter().map(|folder| self.read_record_in(&folder));
        Ok(records.filter_map(Result::transpose))
    }

    /// The folders of runs that have begun and are not done, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where the folder cannot be listed.
    pub fn unfinished(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut folders = self.folders()?;
        folders.retain(|folder| stage(folder) == Stage::Unfinished);
        Ok(folders)
    }

    /// How far a run has come.
    pub fn stage(&self, activation: &str, seed: u64) -> Stage {
        stage(&self.run_path(activation, seed))
    }

    /// The folders of runs that are there, by name.
    fn folders(&self) -> Result<Vec<PathBuf>, StoreError> {
        folders(&self.path.join(RUNS))
    }

    /// The runs of a `results.json` that an older Rectify wrote, which kept no record of each; `None` where there is none
    /// or it is of this version, and so derived from what is here.
    ///
    /// # Errors
    ///
    /// [`StoreError`] names the file if it is not results, or of a newer Rectify.
    pub fn old_results(&self) -> Result<Option<Vec<Run>>, StoreError> {
        #[derive(Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let path = self.path.join(RESULTS);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(StoreError::io(&path))?,
        };
        let damaged = |error| StoreError::damaged(&path, format!("not an experiment's results: {error}"));
        match serde_json::from_slice(&text).map_err(damaged)? {
            Version { schema_version: SCHEMA_VERSION } => Ok(None),
            Version { schema_version: ..SCHEMA_VERSION } => {
                // Its settings are those of config.toml, and what was derived is derived again.
                #[derive(Deserialize)]
                struct Old {
                    runs: Vec<Run>,
                }
                let Old { runs } = serde_json::from_slice(&text).map_err(damaged)?;
                Ok(Some(runs))
            }
            Version { schema_version: found } => Err(StoreError::Newer { path, found, known: SCHEMA_VERSION }),
        }
    }

    /// Writes how activations' settings were chosen.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn save_tuning(&self, tuning: &[Tuning]) -> Result<(), StoreError> {
        let path = self.path.join(TUNING);
        let file = TuningFile { schema_version: SCHEMA_VERSION, tuning: tuning.to_vec() };
        atomic::write(&path, &seal::seal(&path, &file)?)
    }

    /// How activations' settings were chosen, as far as they were.
    ///
    /// # Errors
    ///
    /// [`StoreError`] names the file if it is torn, changed or of a newer Rectify.
    pub fn read_tuning(&self) -> Result<Vec<Tuning>, StoreError> {
        let file = seal::read::<TuningFile>(&self.path.join(TUNING), "what was tuned")?;
        Ok(file.map(|file| file.tuning).unwrap_or_default())
    }

    /// Writes `results.json`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn save_results(&self, results: &Results) -> Result<(), StoreError> {
        atomic::write_json(&self.path.join(RESULTS), results)
    }

    /// Writes `sweep.json`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn save_sweep(&self, results: &SweepResults) -> Result<(), StoreError> {
        atomic::write_json(&self.path.join(SWEEP), results)
    }
}

fn read_experiment(folder: &Path) -> Result<Experiment, StoreError> {
    let path = folder.join(CONFIG);
    let text = match fs::read_to_string(&path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            let reason = match folder.symlink_metadata() {
                Err(_) => "No such file or folder",
                Ok(found) if found.is_file() => "is a file, not the folder of an experiment",
                Ok(_) if folder.join(RUN).exists() => {
                    "is one run of an experiment, which is the folder that its runs/ is in"
                }
                Ok(_) => "holds no experiment: it has no config.toml",
            };
            return Err(StoreError::Missing { path: folder.to_owned(), reason: reason.to_owned() });
        }
        text => text.map_err(StoreError::io(&path))?,
    };
    let not_settings =
        |error| StoreError::damaged(&path, format!("not the settings of an experiment of this Rectify: {error}"));
    let experiment: Experiment = toml::from_str(&text).map_err(|error| not_settings(error.to_string()))?;
    experiment.check().map_err(|error| not_settings(error.to_string()))?;
    Ok(experiment)
}

/// Folders of runs in a folder `runs`, by name; none if that is not there.
pub(super) fn folders(runs: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(runs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(StoreError::io(runs))?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(StoreError::io(runs))?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

pub(super) fn stage(run: &Path) -> Stage {
    match (run.join(RUN).exists(), run.exists()) {
        (true, _) => Stage::Done,
        (false, true) => Stage::Unfinished,
        (false, false) => Stage::NotBegun,
    }
}

/// A setting that two experiments do not share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name, as in `config.toml`.
    pub setting: String,
    /// The first one's value, as JSON; `None` if it is not set.
    pub first: Option<String>,
    /// The second one's.
    pub second: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
        write!(f, "{} {}, not {}", self.setting, value(&self.first), value(&self.second))
    }
}

/// The first setting that makes runs of one experiment no runs of another. Which activations and seeds are trained, how
/// long, where, and how many side by side, does not.
pub fn difference(first: &Experiment, second: &Experiment) -> Option<Difference> {
    let (first, second) = (deciding(first), deciding(second));
    let mut names = first.keys().chain(second.keys());
    let setting = names.find(|name| first.get(*name) != second.get(*name))?;
    let value = |settings: &BTreeMap<String, Value>| settings.get(setting).map(Value::to_string);
    Some(Difference { setting: setting.clone(), first: value(&first), second: value(&second) })
}

/// Settings that decide what a run measures at a step, with defaults written out.
fn deciding(experiment: &Experiment) -> BTreeMap<String, Value> {
    let written_out =
        Experiment { hidden: Some(experiment.hidden()), lr: Some(experiment.learning_rate()), ..experiment.clone() };
    let mut settings: BTreeMap<String, Value> = serde_json::to_value(written_out)
        .and_then(serde_json::from_value)
        .expect("settings are a struct of numbers and strings");
    for open in ["activations", "seeds", "seed", "shard", "jobs", "vectorise", "log"] {
        settings.remove(open);
    }
    for axis in experiment.tune.iter().flat_map(Tune::axes) {
        settings.remove(axis.setting.field());
    }
    // A rate that falls over the training depends at every step on how many there are, and so does the best one.
    if experiment.schedule == Schedule::Constant && experiment.tune.is_none() {
        settings.remove("epochs");
        settings.remove("steps");
    }
    settings
}
