//! An experiment with a sweep: each of its points an experiment in a folder of its own, all trained side by side.
//!
//! ```text
//! DIR/
//!   config.toml               the settings with the sweep
//!   points/lr=0.01/           an experiment as any other: config.toml, runs/
//!   sweep.json, report.html   derived
//! ```
//!
//! The points that share their data are one grid of trainings, so that a point of one training does not leave cores idle.
//! What is held in memory is the runs in work and, of those that are done, their ends.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    CompareError, Data, Progress,
    extend::extended,
    job::{Job, Labelled, Pending, train},
    join::{JoinError, join_sweep},
    start::Start,
};
use crate::{
    environment,
    experiment::{Cell, Experiment, ExperimentError, Point},
    record::SweepResults,
    store::{RunFolder, StoreError, point_path},
    train::{
        SAVE_EVERY,
        grid::{Training, jobs},
        total_steps,
    },
};

/// What a sweep came to.
#[derive(Debug)]
pub struct SweepOutcome {
    /// All that is known, runs of earlier processes among it.
    pub results: SweepResults,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// What could not be written.
    pub failures: Vec<StoreError>,
}

/// An experiment with a sweep in its folder, which is locked.
pub struct SweepRun {
    root: RunFolder,
    save_every: Duration,
}

/// Points on the same data and device.
type Group = Vec<usize>;

impl SweepRun {
    /// A new sweep in a folder that holds no experiment.
    ///
    /// # Errors
    ///
    /// A point of it cannot be run, backend or data are not there, or the folder is taken or cannot be written.
    pub fn create(path: &Path, experiment: Experiment) -> Result<Self, CompareError> {
        let experiment = experiment.resolve()?;
        let points = experiment.points()?;
        for group in groups(&points) {
            let data = Data::open(&points[group[0]].experiment)?;
            group.iter().try_for_each(|&point| data.suits(&points[point].experiment))?;
        }
        Ok(Self { root: RunFolder::create(path, &experiment)?, save_every: SAVE_EVERY })
    }

    /// The sweep in a folder, to go on with it.
    ///
    /// # Errors
    ///
    /// There is none, another process works on it, or its settings are damaged.
    pub fn resume(path: &Path) -> Result<Self, CompareError> {
        Ok(Self { root: RunFolder::open(path)?, save_every: SAVE_EVERY })
    }

    /// Its settings.
    pub fn experiment(&self) -> &Experiment {
        self.root.experiment()
    }

    /// Saves the states of runs after so much time each.
    pub fn save_every(self, time: Duration) -> Self {
        Self { save_every: time, ..self }
    }

    /// Goes on with further seeds, activations, epochs or values of the settings that are swept.
    ///
    /// # Errors
    ///
    /// [`CompareError::Extend`] names a setting that would make runs of one sweep no runs of the other.
    pub fn extend(&mut self, asked: Experiment) -> Result<(), CompareError> {
        let extended = extended(self.experiment(), asked.resolve()?)?;
        if extended == *self.experiment() {
            return Ok(());
        }
        let trainings =
            |experiment: &Experiment| (experiment.activations.len(), experiment.seeds(), experiment.sweep.clone());
        if extended.shard.is_some() && trainings(&extended) != trainings(self.experiment()) {
            let reason = "a shard of a sweep takes no further trainings, which are dealt by what they cost; join the shards \
                          and begin another sweep for these";
            return Err(ExperimentError { field: "shard", reason: reason.to_owned() }.into());
        }
        extended.points()?;
        Ok(self.root.set_experiment(extended)?)
    }

    /// Trains what is not trained yet and gives all results. `observe` is told at which point something happens; of what
    /// is of no single one, the point is empty.
    ///
    /// # Errors
    ///
    /// As [`Compare::run`](super::Compare::run).
    pub fn run(
        self,
        stop: &AtomicBool,
        observe: &(dyn Fn(&str, Progress) + Sync),
    ) -> Result<SweepOutcome, CompareError> {
        let experiment = self.experiment();
        let points = experiment.points()?;
        let groups = groups(&points);
        // Its parts are loaded in turn: data of one group at a time are in memory.
        let mut costs = vec![0; points.len()];
        let mut steps = vec![0; points.len()];
        let mut only = None;
        for group in &groups {
            let data = Data::open(&points[group[0]].experiment)?;
            let (shape, samples) = (data.dataset.shape(), data.dataset.train.len());
            for &point in group {
                costs[point] = points[point].experiment.cost(shape, samples);
                steps[point] = total_steps(&points[point].experiment, samples);
            }
            only = (groups.len() == 1).then_some(data);
        }
        let cells = experiment.cells(&costs);
        let mut of_point: BTreeMap<usize, Vec<Cell>> = BTreeMap::new();
        cells.iter().for_each(|cell| of_point.entry(cell.point).or_default().push(*cell));
        let progress = Mutex::new((cells.iter().map(|cell| steps[cell.point]).sum(), 0));
        let mut failures = Vec::new();
        for group in groups {
            let mine: Vec<(&Point, &[Cell])> =
                group.iter().filter_map(|point| Some((&points[*point], of_point.get(point)?.as_slice()))).collect();
            if mine.is_empty() || stop.load(Ordering::Relaxed) {
                continue;
            }
            let data = match only.take() {
                Some(data) => data,
                None => Data::open(&mine[0].0.experiment)?,
            };
            failures.extend(self.train(data, &mine, &progress, stop, observe)?);
        }
        let path = self.root.path().to_owned();
        let results = match join_sweep(&[path]) {
            Ok(results) => results,
            Err(JoinError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(StoreError::damaged(self.root.path(), error).into()),
        };
        failures.extend(self.root.save_sweep(&results).err());
        let done = results.points.iter().flat_map(|point| &point.runs).filter(|run| run.is_done()).count();
        Ok(SweepOutcome { interrupted: stop.load(Ordering::Relaxed) && done < cells.len(), results, failures })
    }

    /// Trains the pending trainings of points on the same data.
    fn train(
        &self,
        Data { device, dataset }: Data,
        points: &[(&Point, &[Cell])],
        progress: &Mutex<(usize, usize)>,
        stop: &AtomicBool,
        observe: &(dyn Fn(&str, Progress) + Sync),
    ) -> Result<Vec<StoreError>, CompareError> {
        let first = &points[0].0.experiment;
        let labelled = Labelled::of(&dataset);
        let (shape, record, samples) = (dataset.shape(), dataset.record(), dataset.train.len());
        let starts: Vec<Option<Start>> =
            points.iter().map(|(point, _)| Start::of(&point.experiment, &dataset)).collect::<Result<_, _>>()?;
        let notes = dataset.notes.clone();
        let data = dataset.to_device(&device, first.dtype.into());
        drop(dataset);
        let environment = environment::of(&first.backend, &device);
        let folders: Vec<RunFolder> =
            points.iter().map(|(point, _)| self.folder(point)).collect::<Result<_, CompareError>>()?;

        let mut all = Vec::new();
        let mut pending: Vec<(usize, usize)> = Vec::new();
        let mut taken = 0;
        for (((point, cells), folder), start) in points.iter().zip(&folders).zip(starts) {
            let experiment = &point.experiment;
            let seeds = experiment.seeds();
            let training = |cell: &Cell| Training {
                experiment: experiment.clone(),
                activation: experiment.activations[cell.activation].clone(),
                seed: seeds[cell.seed],
            };
            let mut job = Job {
                experiment,
                folder,
                environment: environment.clone(),
                trainings: cells.iter().map(training).collect(),
                tuning: Vec::new(),
                writers: Vec::new(),
                events: Vec::new(),
                save_every: self.save_every,
                shape,
                total_steps: total_steps(experiment, samples),
                data: &data,
                record,
                labelled: &labelled,
                device: device.clone(),
                start,
                results: None,
                failures: Mutex::default(),
            };
            // Runs that are done are not kept in memory.
            let Pending { trainings, taken: of_point, .. } = job.look()?;
            pending.extend(trainings.into_iter().map(|training| (all.len(), training)));
            taken += of_point;
            all.push(job);
        }
        {
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.1 += taken;
            observe("", Progress::Begins { steps: progress.0, taken: progress.1, notes: &notes });
        }
        let labels: Vec<String> = points.iter().map(|(point, _)| point.label()).collect();
        let counted = |job: usize, event: Progress| {
            if let Progress::Training(_, crate::train::Event::Steps(steps)) = &event {
                progress.lock().unwrap_or_else(PoisonError::into_inner).1 += *steps;
            }
            observe(&labels[job], event);
        };
        train(&all, &pending, jobs(first, &device), stop, &counted)?;
        let mut failures: Vec<StoreError> = Vec::new();
        for failure in all.into_iter().flat_map(Job::into_failures) {
            if failures.iter().all(|other| other.to_string() != failure.to_string()) {
                failures.push(failure);
            }
        }
        Ok(failures)
    }

    /// The folder of a point, which the sweep's lock guards.
    fn folder(&self, point: &Point) -> Result<RunFolder, CompareError> {
        let path = point_path(self.root.path(), &point.label());
        let mut folder = match path.join("config.toml").exists() {
            true => RunFolder::open(&path)?,
            false => RunFolder::create(&path, &point.experiment)?,
        };
        let asked = extended(folder.experiment(), point.experiment.clone())?;
        if asked != *folder.experiment() {
            folder.set_experiment(asked)?;
        }
        // A lock holds a file open: thousands of them are more than a process may have.
        Ok(folder.unlocked())
    }
}

/// Points by their data and device, in the order that they first come.
fn groups(points: &[Point]) -> Vec<Group> {
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (place, Point { experiment, .. }) in points.iter().enumerate() {
        let Experiment { dataset, backend, dtype, .. } = experiment;
        let key = format!("{dataset}\n{backend}\n{dtype}\n{:?}", experiment.data_options());
        let group = *keys.entry(key).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
}
