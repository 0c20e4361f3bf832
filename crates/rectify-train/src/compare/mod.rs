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
//! activations to it; [`join`] reads one or many folders again without training.

mod extend;
mod join;
mod measured;
mod tune;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

pub use self::{
    extend::ExtendError,
    join::{JoinError, Joined, join},
};
use self::{
    measured::{Measured, patience_ended},
    tune::{Tuned, Tuner, tuned_trainings},
};
use crate::{
    backend::{self, BackendError},
    data::{DataError, Dataset, DeviceDataset},
    environment,
    experiment::{Experiment, ExperimentError},
    judge,
    network::{Model, Shape},
    record::{DataRecord, Environment, Results, Run, Status, Tuning},
    store::{self, Checkpoint, Line, Mark, MetricsWriter, RunFolder, StoreError},
    train::{
        self, Event, SAVE_EVERY, State, Trainer,
        grid::{self, Training},
        total_steps,
    },
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
    device: Device,
    dataset: Dataset,
}

impl Prepared {
    fn new(experiment: &Experiment) -> Result<Self, CompareError> {
        let device = backend::open(&experiment.backend)?;
        backend::supports(&device, experiment.dtype)?;
        let dataset = Dataset::load_resized(&experiment.dataset, experiment.train_size, experiment.image_size)?;
        let shape = dataset.shape();
        shape.check(experiment.model)?;
        if backend::adapter_name(&device).is_none() {
            experiment.fits(shape, dataset.train.len())?;
        }
        Ok(Self { device, dataset })
    }
}

/// What a run's `state/` says beside the networks.
#[derive(Serialize, Deserialize)]
struct Meta {
    progress: train::Progress,
    metrics: Mark,
    data: DataRecord,
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
    /// nothing: the trainings go on, and [`Outcome::failures`] tells.
    ///
    /// # Errors
    ///
    /// What must be there before anything is trained is not: backend, data, sound files of runs that were trained before.
    pub fn run(self, stop: &AtomicBool, observe: &(dyn Fn(Progress) + Sync)) -> Result<Outcome, CompareError> {
        let experiment = self.folder.experiment();
        let Prepared { device, dataset } = match self.prepared {
            Some(prepared) => prepared,
            None => Prepared::new(experiment)?,
        };
        let (shape, record) = (dataset.shape(), dataset.record());
        let notes = [dataset.notes.clone(), experiment.notes(dataset.train.len())].concat();
        let (class_labels, class_names) = (dataset.class_labels.clone(), dataset.class_names.clone());
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
            save_every: self.save_every,
            shape,
            total_steps,
            data: &data,
            record,
            class_labels,
            class_names,
            device,
            results: Mutex::new(LastWritten { runs: Vec::new(), at: Instant::now(), took: Duration::ZERO }),
            failures: Mutex::new(failures),
        };
        let outcome = job.run(&notes, stop, observe)?;
        Ok(Outcome { interrupted: interrupted || outcome.interrupted, ..outcome })
    }
}

/// One process's work on an experiment.
struct Job<'a> {
    experiment: &'a Experiment,
    folder: &'a RunFolder,
    environment: Environment,
    trainings: Vec<Training>,
    tuning: Vec<Tuning>,
    /// By training; `None` before it has begun, and after a write failed.
    writers: Vec<Mutex<Option<MetricsWriter>>>,
    save_every: Duration,
    shape: Shape,
    total_steps: usize,
    data: &'a DeviceDataset,
    record: DataRecord,
    class_labels: Vec<u8>,
    class_names: Vec<String>,
    device: Device,
    results: Mutex<LastWritten>,
    failures: Mutex<Vec<StoreError>>,
}

/// The runs so far, by training, and when they were last written.
struct LastWritten {
    runs: Vec<Option<Run>>,
    at: Instant,
    took: Duration,
}

/// `results.json` is written so seldom that writing it takes at most one in so many parts of the time.
const SHARE: u32 = 20;

impl Job<'_> {
    fn run(
        mut self,
        notes: &[String],
        stop: &AtomicBool,
        observe: &(dyn Fn(Progress) + Sync),
    ) -> Result<Outcome, CompareError> {
        let mut kept = Vec::new();
        let mut pending = Vec::new();
        let mut taken = 0;
        for (i, training) in self.trainings.iter().enumerate() {
            let run = self.kept(training)?;
            match &run {
                Some(run) => taken += self.total_steps.max(run.steps),
                None => {
                    taken += self.state(training)?.map_or(0, |(meta, _)| meta.progress.steps);
                    pending.push(i);
                }
            }
            kept.push(run);
        }
        self.writers = self.trainings.iter().map(|_| Mutex::default()).collect();
        lock(&self.results).runs = kept;
        let steps = self.total_steps.saturating_mul(self.trainings.len());
        observe(Progress::Begins { steps, taken: taken.min(steps), notes });

        let job = &self;
        let begin = |i: usize| job.begin(i);
        let watch = |i: usize, event: Event| {
            job.store(i, &event);
            observe(Progress::Training(&job.trainings[i], &event));
        };
        let finished = |i: usize, run: Run, model: Model| -> Result<(), CompareError> {
            observe(Progress::Ended(&run));
            job.finish(i, run, model);
            Ok(())
        };
        let jobs = grid::jobs(self.experiment, &self.device);
        grid::run(jobs, &pending, stop, &begin, &watch, &finished)?;

        let results = self.write_results();
        let interrupted = stop.load(Ordering::Relaxed)
            && (results.runs.len() < self.trainings.len()
                || results.runs.iter().any(|run| run.status == Status::Interrupted));
        let failures = self.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Outcome { results, interrupted, failures })
    }

    /// The record of a run that needs no more training.
    fn kept(&self, training: &Training) -> Result<Option<Run>, CompareError> {
        let name = training.activation.name();
        let Some(record) = self.folder.read_record(name, training.seed)? else { return Ok(None) };
        if let Some(then) = record.data {
            self.same_data(then, self.folder.run_path(name, training.seed).join("run.json"))?;
        }
        let run = record.run;
        let ended = run.status == Status::Diverged
            || run.steps >= self.total_steps
            || self.experiment.patience.is_some_and(|patience| patience_ended(&run.epochs, patience));
        Ok(ended.then_some(run))
    }

    /// The state of a run that is not done, with the folder of its networks.
    fn state(&self, training: &Training) -> Result<Option<(Meta, PathBuf)>, CompareError> {
        let path = self.folder.run_path(training.activation.name(), training.seed);
        let Some((meta, folder)) = store::load_state::<Meta>(&path)? else { return Ok(None) };
        self.same_data(meta.data, folder.join("state.json"))?;
        Ok(Some((meta, folder)))
    }

    fn same_data(&self, then: DataRecord, path: PathBuf) -> Result<(), CompareError> {
        let (now, dataset) = (self.record, self.experiment.dataset.clone());
        if then == now {
            Ok(())
        } else {
            Err(CompareError::OtherData { path, dataset, then: Box::new(then), now: Box::new(now) })
        }
    }

    /// A training from its beginning or from its last state.
    fn begin(&self, i: usize) -> Result<Trainer<'_, Model>, CompareError> {
        let training = &self.trainings[i];
        let Training { experiment, activation, seed } = training;
        let state = self.state(training)?;
        let at = state.as_ref().map_or_else(Mark::default, |(meta, _)| meta.metrics.clone());
        // An error in what is there ends the experiment; one in writing ends only the writing.
        if state.is_some() {
            *lock(&self.writers[i]) = Some(self.folder.metrics(activation.name(), *seed, &at)?);
        } else {
            let writer = self.folder.metrics(activation.name(), *seed, &at);
            *lock(&self.writers[i]) = writer.map_err(|error| self.fail(error)).ok();
        }
        let device = self.device.clone().autodiff();
        let network = Model::new(experiment, activation, self.shape, *seed, &device);
        let trainer = Trainer::new(network, activation, *seed, experiment, self.data).save_every(self.save_every);
        let Some((meta, folder)) = state else { return Ok(trainer) };

        let metrics = self.folder.run_path(activation.name(), *seed).join("metrics.jsonl");
        let Measured { epochs, probes, .. } = Measured::of(store::metrics::read(&metrics)?.0);
        let state = State { progress: meta.progress, records: store::load_records(&folder)?, epochs, probes };
        let resumed = trainer.resume(state);
        resumed.map_err(|error| StoreError::Damaged { path: folder, reason: error.to_string() }.into())
    }

    /// Writes what happened.
    fn store(&self, i: usize, event: &Event) {
        let mut writer = lock(&self.writers[i]);
        let Some(open) = writer.as_mut() else { return };
        let written = match event {
            Event::Losses(losses) => open.append(&Line::Losses((*losses).clone())),
            Event::Probe(probe) => open.append(&Line::Step((*probe).clone())),
            Event::Epoch(epoch) => open.append(&Line::Epoch((*epoch).clone())),
            Event::Save(snapshot) => open.sync().and_then(|()| {
                let meta = Meta { progress: snapshot.progress.clone(), metrics: open.mark(), data: self.record };
                let Training { activation, seed, .. } = &self.trainings[i];
                let path = self.folder.run_path(activation.name(), *seed);
                store::save_state(&path, &meta, &mut |folder| store::save_records(snapshot.records(), folder))
            }),
            Event::Steps(_) | Event::Step { .. } => Ok(()),
        };
        if let Err(error) = written {
            // A line is missing now: what follows could not be gone on with.
            *writer = None;
            drop(writer);
            self.fail(error);
        }
    }

    /// Writes a run that has ended, and the results when it is time.
    fn finish(&self, i: usize, run: Run, model: Model) {
        if run.status != Status::Interrupted
            && let Err(error) = self.write_run(i, &run, model)
        {
            self.fail(error);
        }
        let mut results = lock(&self.results);
        results.runs[i] = Some(run);
        let due = results.at.elapsed() >= results.took * SHARE;
        drop(results);
        if due {
            self.write_results();
        }
    }

    fn write_run(&self, i: usize, run: &Run, model: Model) -> Result<(), StoreError> {
        let Training { experiment, activation, seed } = &self.trainings[i];
        let path = self.folder.run_path(activation.name(), *seed);
        let checkpoint = Checkpoint {
            experiment: experiment.clone(),
            activation: activation.clone(),
            seed: *seed,
            steps: run.outcome().map_or(run.steps, |epoch| epoch.step),
            channels: self.shape.channels,
            height: self.shape.height,
            width: self.shape.width,
            classes: self.shape.classes,
            class_labels: self.class_labels.clone(),
            class_names: self.class_names.clone(),
            mean: self.record.mean,
            std: self.record.std,
        };
        checkpoint.save(&path, model)?;
        // Without all of its metrics it is not done.
        let Some(writer) = lock(&self.writers[i]).take() else { return Ok(()) };
        writer.sync()?;
        self.folder.write_run(experiment, run, writer.mark(), &self.environment, self.record)?;
        if run.status == Status::Diverged {
            store::remove_state(&path)?;
        }
        Ok(())
    }

    fn write_results(&self) -> Results {
        let mut last = lock(&self.results);
        let began = Instant::now();
        let runs = last.runs.iter().flatten().cloned().collect();
        let results = judge::results(
            self.environment.clone(),
            self.experiment.clone(),
            Some(self.record),
            self.tuning.clone(),
            runs,
        );
        if let Err(error) = self.folder.save_results(&results) {
            self.fail(error);
        }
        (last.at, last.took) = (Instant::now(), began.elapsed());
        results
    }

    /// Notes a failure, once each.
    fn fail(&self, error: StoreError) {
        let mut failures = lock(&self.failures);
        if failures.iter().all(|other| other.to_string() != error.to_string()) {
            failures.push(error);
        }
    }
}

/// What these locks guard is whole after every change: a panic elsewhere has broken nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
