//! One process's work on an experiment: trainings side by side, and what is written of them.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use burn::{module::Module, tensor::Device};
use serde::{Deserialize, Serialize};

use super::{
    CompareError, Outcome, Progress,
    measured::{Measured, patience_ended},
    start::Start,
};
use crate::{
    data::{Dataset, DeviceDataset},
    experiment::{Experiment, Log},
    judge,
    network::{Model, Shape},
    record::{Confusion, DataRecord, Environment, Results, Run, Status, Tuning, WHOLE_RUNS},
    store::{self, Checkpoint, EventWriter, Line, Mark, MetricsWriter, RunFolder, StoreError},
    train::{
        self, Event, State, Trainer, answers, confusion,
        grid::{self, Training},
    },
};

/// What a run's `state/` says beside the networks.
#[derive(Serialize, Deserialize)]
struct Meta {
    progress: train::Progress,
    metrics: Mark,
    data: DataRecord,
}

/// One process's work on an experiment.
pub(super) struct Job<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) folder: &'a RunFolder,
    pub(super) environment: Environment,
    pub(super) trainings: Vec<Training>,
    pub(super) tuning: Vec<Tuning>,
    /// By training; `None` before it has begun, and after a write failed.
    pub(super) writers: Vec<Mutex<Option<MetricsWriter>>>,
    /// By training, where the experiment has them: `None` as of `writers`.
    pub(super) events: Vec<Mutex<Option<EventWriter>>>,
    pub(super) save_every: Duration,
    pub(super) shape: Shape,
    pub(super) total_steps: usize,
    pub(super) data: &'a DeviceDataset,
    pub(super) record: DataRecord,
    pub(super) labelled: &'a Labelled,
    pub(super) device: Device,
    /// What networks begin with, where that is not drawn.
    pub(super) start: Option<Start>,
    /// `None` where what there is is read again at the end: of a sweep.
    pub(super) results: Option<Mutex<LastWritten>>,
    pub(super) failures: Mutex<Failures>,
}

/// What could not be written.
#[derive(Default)]
pub(super) struct Failures {
    all: Vec<StoreError>,
    /// How many of those the observer knows.
    told: usize,
}

impl Failures {
    /// Those of what was done before, which are known.
    pub(super) fn before(all: Vec<StoreError>) -> Self {
        Self { told: all.len(), all }
    }
}

/// What a checkpoint says of its data.
pub(super) struct Labelled {
    pub(super) class_labels: Vec<u16>,
    pub(super) class_names: Vec<String>,
    pub(super) feature_names: Vec<String>,
    pub(super) channel_means: Vec<f64>,
    pub(super) channel_stds: Vec<f64>,
}

impl Labelled {
    pub(super) fn of(dataset: &Dataset) -> Self {
        Self {
            class_labels: dataset.class_labels.clone(),
            class_names: dataset.class_names.clone(),
            feature_names: dataset.feature_names.clone(),
            channel_means: dataset.channel_means.clone(),
            channel_stds: dataset.channel_stds.clone(),
        }
    }
}

/// How far an experiment has come.
#[derive(Default)]
pub(super) struct Pending {
    /// By training, of those that need no more of it; empty where results are read at the end.
    pub(super) kept: Vec<Option<Run>>,
    /// The others, by their places among the trainings.
    pub(super) trainings: Vec<usize>,
    /// Steps that were taken before.
    pub(super) taken: usize,
}

/// The runs so far, by training, and when they were last written.
pub(super) struct LastWritten {
    runs: Vec<Option<Run>>,
    at: Instant,
    took: Duration,
}

impl LastWritten {
    /// Never.
    pub(super) fn never() -> Self {
        Self { runs: Vec::new(), at: Instant::now(), took: Duration::ZERO }
    }
}

/// `results.json` is written so seldom that writing it takes at most one in so many parts of the time.
const SHARE: u32 = 20;

impl Job<'_> {
    pub(super) fn run(
        mut self,
        notes: &[String],
        stop: &AtomicBool,
        observe: &(dyn Fn(Progress) + Sync),
    ) -> Result<Outcome, CompareError> {
        let Pending { kept, trainings, taken } = self.look()?;
        if let Some(results) = &self.results {
            lock(results).runs = kept;
        }
        let steps = self.total_steps.saturating_mul(self.trainings.len());
        observe(Progress::Begins { steps, taken: taken.min(steps), notes });
        let pending: Vec<(usize, usize)> = trainings.into_iter().map(|training| (0, training)).collect();
        let side_by_side = grid::jobs(self.experiment, &self.device);
        let job = [self];
        train(&job, &pending, side_by_side, stop, &|_, progress| observe(progress))?;

        let [job] = job;
        let results = job.write_results();
        let interrupted = stop.load(Ordering::Relaxed)
            && (results.runs.len() < job.trainings.len()
                || results.runs.iter().any(|run| run.status == Status::Interrupted));
        Ok(Outcome { results, interrupted, failures: job.into_failures() })
    }

    /// Looks what is left to be done.
    pub(super) fn look(&mut self) -> Result<Pending, CompareError> {
        let mut pending = Pending::default();
        for (i, training) in self.trainings.iter().enumerate() {
            let mut run = self.kept(training)?;
            if i >= WHOLE_RUNS {
                run.iter_mut().for_each(Run::thin);
            }
            match &run {
                Some(run) => pending.taken += self.total_steps.max(run.steps),
                None => {
                    pending.taken += self.state(training)?.map_or(0, |(meta, _)| meta.progress.steps);
                    pending.trainings.push(i);
                }
            }
            if self.results.is_some() {
                pending.kept.push(run);
            }
        }
        self.writers = self.trainings.iter().map(|_| Mutex::default()).collect();
        self.events = self.trainings.iter().map(|_| Mutex::default()).collect();
        Ok(pending)
    }

    /// What could not be written.
    pub(super) fn into_failures(self) -> Vec<StoreError> {
        self.failures.into_inner().unwrap_or_else(PoisonError::into_inner).all
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
        if then.is_of(&now) {
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
        if experiment.log == Some(Log::Tensorboard) {
            *lock(&self.events[i]) = self.begin_events(training).map_err(|error| self.fail(error)).ok();
        }
        let device = self.device.clone().autodiff();
        let network = Model::new(experiment, activation, self.shape, *seed, &device);
        let network = match &self.start {
            Some(start) => start.network(network)?,
            None => network,
        };
        let trainer = Trainer::new(network, activation, *seed, experiment, self.data).save_every(self.save_every);
        let Some((meta, folder)) = state else { return Ok(trainer) };

        let metrics = self.folder.run_path(activation.name(), *seed).join("metrics.jsonl");
        let Measured { epochs, probes, .. } = Measured::of(store::metrics::read(&metrics)?.0);
        let state = State { progress: meta.progress, records: store::load_records(&folder)?, epochs, probes };
        let resumed = trainer.resume(state);
        resumed.map_err(|error| StoreError::Damaged { path: folder, reason: error.to_string() }.into())
    }

    /// The events of a run, as far as its metrics go.
    fn begin_events(&self, training: &Training) -> Result<EventWriter, StoreError> {
        let folder = self.folder.run_path(training.activation.name(), training.seed);
        let (lines, _) = store::metrics::read(&folder.join("metrics.jsonl"))?;
        EventWriter::open(&folder, &lines)
    }

    /// Appends what was measured.
    fn append(&self, i: usize, metrics: &mut MetricsWriter, line: &Line) -> Result<(), StoreError> {
        metrics.append(line)?;
        let mut events = lock(&self.events[i]);
        let failed = events.as_mut().and_then(|events| events.append(line).err());
        if let Some(error) = failed {
            // An event is missing now. The metrics are not, of which all are made again when the run is resumed.
            *events = None;
            self.fail(error);
        }
        Ok(())
    }

    /// Writes what happened.
    fn store(&self, i: usize, event: &Event) {
        let mut writer = lock(&self.writers[i]);
        let Some(open) = writer.as_mut() else { return };
        let written = match event {
            Event::Losses(losses) => self.append(i, open, &Line::Losses((*losses).clone())),
            Event::Probe(probe) => self.append(i, open, &Line::Step((*probe).clone())),
            Event::Epoch(epoch) => self.append(i, open, &Line::Epoch((*epoch).clone())),
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

    /// How a network classifies the test set: as the training counted it, or by one evaluation more.
    fn confusion(&self, counted: Option<Confusion>, model: &Model) -> Option<Confusion> {
        let classes = self.shape.classes;
        let Labelled { class_labels, class_names, .. } = self.labelled;
        let name = |class: usize| match (class_names.get(class), class_labels.get(class)) {
            (Some(name), _) => name.clone(),
            (None, Some(label)) => label.to_string(),
            (None, None) => class.to_string(),
        };
        let counts = match counted {
            Some(counted) => counted.counts,
            None => confusion(&answers(&model.valid(), &self.data.test), classes),
        };
        (classes <= Confusion::MOST_CLASSES).then(|| Confusion { classes: (0..classes).map(name).collect(), counts })
    }

    /// Writes a run that has ended, and the results when it is time.
    fn finish(&self, i: usize, mut run: Run, model: Model) {
        if run.status == Status::Completed {
            run.confusion = self.confusion(run.confusion.take(), &model);
        }
        if run.status != Status::Interrupted
            && let Err(error) = self.write_run(i, &run, model)
        {
            self.fail(error);
        }
        let Some(results) = &self.results else { return };
        if i >= WHOLE_RUNS {
            run.thin();
        }
        let mut results = lock(results);
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
        let labelled = self.labelled;
        let checkpoint = Checkpoint {
            experiment: experiment.clone(),
            activation: activation.clone(),
            seed: *seed,
            steps: run.outcome().map_or(run.steps, |epoch| epoch.step),
            channels: self.shape.channels,
            height: self.shape.height,
            width: self.shape.width,
            classes: self.shape.classes,
            class_labels: labelled.class_labels.clone(),
            class_names: labelled.class_names.clone(),
            feature_names: labelled.feature_names.clone(),
            mean: self.record.mean,
            std: self.record.std,
            channel_means: labelled.channel_means.clone(),
            channel_stds: labelled.channel_stds.clone(),
        };
        checkpoint.save(&path, model)?;
        // Without all of its metrics it is not done.
        let Some(writer) = lock(&self.writers[i]).take() else { return Ok(()) };
        writer.sync()?;
        self.folder.write_run(experiment, run, writer.mark(), &self.environment, Some(self.record))?;
        if run.status == Status::Diverged {
            store::remove_state(&path)?;
        }
        Ok(())
    }

    fn write_results(&self) -> Results {
        let mut last = self.results.as_ref().map(lock);
        let began = Instant::now();
        let runs = last.iter().flat_map(|last| last.runs.iter().flatten().cloned()).collect();
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
        if let Some(last) = &mut last {
            (last.at, last.took) = (Instant::now(), began.elapsed());
        }
        results
    }

    /// Notes a failure, once each.
    fn fail(&self, error: StoreError) {
        let mut failures = lock(&self.failures);
        if failures.all.iter().all(|other| other.to_string() != error.to_string()) {
            failures.all.push(error);
        }
    }

    /// Tells the failures that are new.
    fn tell(&self, observe: impl Fn(Progress)) {
        let mut failures = lock(&self.failures);
        failures.all[failures.told..].iter().for_each(|error| observe(Progress::Failed(error)));
        failures.told = failures.all.len();
    }
}

/// Trains what is pending of experiments on the same data, so many trainings side by side; each by its experiment's place
/// among `jobs` and its own among the experiment's. `observe` is told of which experiment something is.
pub(super) fn train(
    jobs: &[Job],
    pending: &[(usize, usize)],
    side_by_side: usize,
    stop: &AtomicBool,
    observe: &(dyn Fn(usize, Progress) + Sync),
) -> Result<(), CompareError> {
    let begin = |at: usize| {
        let (job, i) = pending[at];
        let begun = jobs[job].begin(i);
        jobs[job].tell(|failed| observe(job, failed));
        begun
    };
    let watch = |at: usize, event: Event| {
        let (job, i) = pending[at];
        jobs[job].store(i, &event);
        jobs[job].tell(|failed| observe(job, failed));
        observe(job, Progress::Training(&jobs[job].trainings[i], &event));
    };
    let finished = |at: usize, run: Run, model: Model| -> Result<(), CompareError> {
        let (job, i) = pending[at];
        observe(job, Progress::Ended(&run));
        jobs[job].finish(i, run, model);
        jobs[job].tell(|failed| observe(job, failed));
        Ok(())
    };
    let Some(Job { shape, .. }) = jobs.first() else { return Ok(()) };
    let trainings = pending.iter().map(|&(job, i)| &jobs[job].trainings[i]);
    let groups = grid::groups(trainings, *shape, side_by_side);
    grid::run(side_by_side, &groups, stop, &begin, &watch, &finished).map(|_| ())
}

/// What these locks guard is whole after every change: a panic elsewhere has broken nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
