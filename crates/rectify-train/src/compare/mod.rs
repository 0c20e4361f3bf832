//! The main job as one call: every activation with every seed, written to a folder as it happens.
//!
//! ```no_run
//! use std::{path::Path, sync::atomic::AtomicBool};
//!
//! use rectify_train::{compare::{Compare, CompareError, Progress}, experiment::Experiment};
//!
//! let experiment = Experiment { epochs: Some(2), ..Experiment::default() };
//! let compare = Compare::create(Path::new("runs/mine"), experiment)?;
//! let outcome = compare.run(&AtomicBool::new(false), &|progress| {
//!     if let Progress::Ended(run) = progress {
//!         println!("{} with seed {} has ended", run.activation, run.seed);
//!     }
//! })?;
//! for summary in &outcome.results.summary {
//!     println!("{}: {:?}", summary.activation, summary.test_accuracy);
//! }
//! # Ok::<(), CompareError>(())
//! ```
//!
//! What was killed goes on by [`Compare::resume`] and ends with the same bits; [`Compare::extend`] adds seeds, epochs and
//! activations to it; [`join`] reads one or many folders again without training. An experiment with a sweep is many of them:
//! [`SweepRun`].

mod extend;
mod job;
mod join;
mod measured;
mod start;
mod sweep;
mod tune;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, atomic::AtomicBool},
    time::Duration,
};

use burn::tensor::Device;

pub use self::{
    extend::ExtendError,
    join::{JoinError, Joined, join, join_and_diagnose, join_sweep, points, sweep_of},
    sweep::{SweepOutcome, SweepRun},
};
use self::{
    job::{Failures, Job, Labelled, LastWritten},
    start::Start,
    tune::{Tuned, Tuner, tuned_trainings},
};
use crate::{
    backend::{self, BackendError},
    data::{DataError, Dataset},
    environment,
    experiment::{Experiment, ExperimentError, ModelKind},
    record::{DataRecord, Results, Run},
    store::{RunFolder, StoreError},
    train::{Event, SAVE_EVERY, grid::Training, total_steps},
};

/// Why an experiment cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A setting is out of range.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The backend is not there, or does not compute in that type.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The data are not there.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A setting cannot be changed in an experiment that has begun.
    #[error(transparent)]
    Extend(#[from] ExtendError),
    /// The data are not those that the experiment began with.
    #[error(
        "{}: trained on other data than `{dataset}` holds now ({then}, not {now}); put the data back, or begin another \
         experiment", .path.display()
    )]
    OtherData {
        /// The file that says so.
        path: PathBuf,
        /// The data set's name.
        dataset: String,
        /// What it was.
        then: Box<DataRecord>,
        /// What it is.
        now: Box<DataRecord>,
    },
}

/// How an experiment comes along.
pub enum Progress<'a> {
    /// It begins: training steps in all, and how many of them were taken before, by runs that are kept or resumed.
    Begins {
        /// Of the whole grid.
        steps: usize,
        /// Taken by another process.
        taken: usize,
        /// What to tell about the data, and about settings that do less than was asked for.
        notes: &'a [String],
    },
    /// Something happened in a training.
    Training(&'a Training, &'a Event<'a>),
    /// Something is to be said of tuning, before the trainings that are reported begin.
    Tuning(&'a str),
    /// A training has ended, for whatever reason.
    Ended(&'a Run),
    /// Something could not be written. The trainings go on, but of those whose files it is about nothing more is kept.
    Failed(&'a StoreError),
}

/// What an experiment came to.
#[derive(Debug)]
pub struct Outcome {
    /// All that is known, runs of earlier processes among it.
    pub results: Results,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// What could not be written. The results hold what it was about.
    pub failures: Vec<StoreError>,
}

/// An experiment in its folder, which is locked.
pub struct Compare {
    folder: RunFolder,
    prepared: Option<Prepared>,
    save_every: Duration,
}

/// What must be there before an experiment has a folder.
struct Prepared {
    data: Data,
    start: Option<Start>,
}

impl Prepared {
    fn new(experiment: &Experiment) -> Result<Self, CompareError> {
        let data = Data::open(experiment)?;
        data.suits(experiment)?;
        let start = Start::of(experiment, &data.dataset)?;
        Ok(Self { data, start })
    }
}

/// What is trained on, and where.
struct Data {
    device: Device,
    dataset: Dataset,
}

impl Data {
    fn open(experiment: &Experiment) -> Result<Self, CompareError> {
        if let Some(own) = &experiment.own {
            let reason =
                format!("`{own}` was trained by a loop of its own; `rectify diagnose` and `rectify report` read it");
            return Err(ExperimentError { field: "own", reason }.into());
        }
        let device = backend::open(&experiment.backend)?;
        backend::supports(&device, experiment.dtype)?;
        let dataset = Dataset::load_with(&experiment.dataset, &experiment.data_options())?;
        Ok(Self { device, dataset })
    }

    /// Whether the experiment's network can be trained on it.
    fn suits(&self, experiment: &Experiment) -> Result<(), CompareError> {
        let Self { device, dataset } = self;
        let shape = dataset.shape();
        if experiment.model == ModelKind::Cnn && !dataset.feature_names.is_empty() {
            let inputs = dataset.inputs_in_words();
            let reason = format!("`cnn` needs pictures, and a sample of {} is {inputs}; `mlp` takes it", dataset.name);
            return Err(ExperimentError { field: "model", reason }.into());
        }
        shape.check(experiment.model)?;
        if backend::adapter_name(device).is_none() {
            experiment.fits(shape, dataset.train.len())?;
        }
        Ok(())
    }
}

impl Compare {
    /// A new experiment in a folder that holds none.
    ///
    /// # Errors
    ///
    /// A setting is out of range, backend or data are not there, or the folder is taken or cannot be written.
    pub fn create(path: &Path, experiment: Experiment) -> Result<Self, CompareError> {
        let experiment = experiment.resolve()?;
        let prepared = Some(Prepared::new(&experiment)?);
        Ok(Self { folder: RunFolder::create(path, &experiment)?, prepared, save_every: SAVE_EVERY })
    }

    /// The experiment in a folder, to go on with it.
    ///
    /// # Errors
    ///
    /// There is none, another process works on it, its settings are damaged, or a Rectify wrote it that kept no states.
    pub fn resume(path: &Path) -> Result<Self, CompareError> {
        let folder = RunFolder::open(path)?;
        if folder.old_results()?.is_some() {
            let reason = "written by an older Rectify, which kept no states: `rectify report` reads it, but nothing can \
                          go on from it; begin another experiment by --config with its config.toml";
            return Err(StoreError::Damaged { path: path.to_owned(), reason: reason.to_owned() }.into());
        }
        Ok(Self { folder, prepared: None, save_every: SAVE_EVERY })
    }

    /// Saves the states of runs after so much time each, not [`SAVE_EVERY`]: what a killed process may lose.
    pub fn save_every(self, time: Duration) -> Self {
        Self { save_every: time, ..self }
    }

    /// Its settings.
    pub fn experiment(&self) -> &Experiment {
        self.folder.experiment()
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Trains what is not trained yet and gives all results.
    ///
    /// Every epoch is appended to the run's `metrics.jsonl` as it is measured, the state of a run is saved about every ten
    /// seconds and when `stop` is set, and `results.json` is written when runs end. A file that cannot be written ends
    /// nothing: the trainings go on, and [`Progress::Failed`] and [`Outcome::failures`] tell.
    ///
    /// # Errors
    ///
    /// What must be there before anything is trained is not: backend, data, sound files of runs that were trained before.
    pub fn run(self, stop: &AtomicBool, observe: &(dyn Fn(Progress) + Sync)) -> Result<Outcome, CompareError> {
        let experiment = self.folder.experiment();
        let Prepared { data: Data { device, dataset }, start } = match self.prepared {
            Some(prepared) => prepared,
            None => Prepared::new(experiment)?,
        };
        let (shape, record) = (dataset.shape(), dataset.record());
        let mut notes = [dataset.notes.clone(), experiment.notes(dataset.train.len())].concat();
        notes.extend(start.iter().map(|start| start.note.clone()));
        let labelled = Labelled::of(&dataset);
        let total_steps = total_steps(experiment, dataset.train.len());
        let tuning = Tuner { folder: &self.folder, steps: total_steps, save_every: self.save_every };
        let Tuned { tunings: tuning, interrupted, failures } = tuning.run(stop, observe)?;
        let data = dataset.to_device(&device, experiment.dtype.into());
        // Its pixels are on the device now.
        drop(dataset);
        let job = Job {
            experiment,
            folder: &self.folder,
            environment: environment::of(&experiment.backend, &device),
            trainings: if interrupted { Vec::new() } else { tuned_trainings(experiment, &tuning) },
            tuning,
            writers: Vec::new(),
            events: Vec::new(),
            save_every: self.save_every,
            shape,
            total_steps,
            data: &data,
            record,
            labelled: &labelled,
            device,
            start,
            results: Some(Mutex::new(LastWritten::never())),
            failures: Mutex::new(Failures::before(failures)),
        };
        let outcome = job.run(&notes, stop, observe)?;
        Ok(Outcome { interrupted: interrupted || outcome.interrupted, ..outcome })
    }
}
