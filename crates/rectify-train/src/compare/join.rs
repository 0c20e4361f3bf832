//! Reading experiments again: one folder, or many of one experiment, from one machine or many.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use super::measured::Measured;
use crate::{
    activation::Activation,
    environment,
    examine::{of_run, without_seeds},
    experiment::{Experiment, Point},
    judge::{self, diagnose::Diagnosis},
    record::{
        DataRecord, Environment, PointResults, Results, Run, RunEnd, SCHEMA_VERSION, Status, SweepResults, Tuning,
        WHOLE_RUNS,
    },
    store::{Difference, Line, RunFolder, RunRecord, StoreError, difference, metrics, point_path},
};

/// Runs of one or many folders.
#[derive(Debug)]
pub struct Joined {
    /// All of them, runs that are not done as interrupted ones.
    pub results: Results,
    /// What is missing, not finished or there twice, a line each.
    pub notes: Vec<String>,
}

/// Why folders cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A folder or a file in it cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Two folders hold different experiments.
    #[error(
        "{} and {} are two experiments: {difference}", .first.display(), .second.display()
    )]
    Differs {
        /// One folder.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The first setting that they do not share.
        difference: Difference,
    },
    /// No run has been measured in any of the folders.
    #[error("{}: no run has been measured yet", .0.display())]
    Empty(PathBuf),
}

/// Reads the runs of folders and judges them anew; trains nothing and writes nothing.
///
/// Of a run that several folders hold, the first one's is taken, one that is done before one that is not. Runs beyond the
/// first [`WHOLE_RUNS`] are [thinned](Run::thin).
///
/// # Errors
///
/// A folder holds no experiment or another one than the first; a file is torn or changed.
pub fn join(folders: &[PathBuf]) -> Result<Joined, JoinError> {
    Ok(join_as(folders, None, false)?.0)
}

/// [`join`], and a diagnosis of every run, in the results' order: each is read once, before it is thinned.
///
/// # Errors
///
/// As [`join`].
pub fn join_and_diagnose(folders: &[PathBuf]) -> Result<(Joined, Vec<Diagnosis>), JoinError> {
    join_as(folders, None, true)
}

/// A run as it was read.
struct Read<'a> {
    run: Run,
    folder: &'a Path,
    diagnosis: Option<Diagnosis>,
}

/// [`join`], where a `sweep` may want further activations and seeds. Without `diagnoses` there are none.
fn join_as(
    folders: &[PathBuf],
    sweep: Option<&Experiment>,
    diagnoses: bool,
) -> Result<(Joined, Vec<Diagnosis>), JoinError> {
    let mut joined: Option<(Experiment, &Path)> = None;
    let mut runs: BTreeMap<(String, u64), Read> = BTreeMap::new();
    let mut environment: Option<Environment> = None;
    let mut data = None;
    let mut tuning: Vec<Tuning> = Vec::new();
    let mut notes = Vec::new();
    for path in folders {
        let folder = RunFolder::read(path)?;
        let experiment = folder.experiment();
        joined = Some(match joined {
            None => (experiment.clone(), path),
            Some((first, first_path)) => match not_shared(&first, experiment) {
                Some(difference) => {
                    let (first, second) = (first_path.to_owned(), path.clone());
                    return Err(JoinError::Differs { first, second, difference });
                }
                None => (both(first, experiment), first_path),
            },
        });
        for of_activation in folder.read_tuning()? {
            match tuning.iter().find(|other| other.activation == of_activation.activation) {
                None => tuning.push(of_activation),
                Some(other) if *other == of_activation => {}
                Some(_) => notes.push(format!(
                    "{} was tuned to other settings in {}; its runs there are another experiment's",
                    of_activation.activation,
                    path.display()
                )),
            }
        }
        let settings = without_seeds(experiment);
        let read = |run: Run, data: Option<&DataRecord>| {
            let diagnosis = diagnoses.then(|| of_run(&run, &settings, data, std::slice::from_ref(path)));
            Read { run, folder: path, diagnosis }
        };
        for record in folder.records()? {
            let RunRecord { run, environment: of_run, data: of_data, .. } = record?;
            environment = environment.or(of_run);
            data = data.or(of_data);
            add(&mut runs, read(run, data.as_ref()), &mut notes);
        }
        if let Some(old) = folder.old_results()? {
            old.into_iter().for_each(|run| add(&mut runs, read(run, data.as_ref()), &mut notes));
            continue;
        }
        let wanted: HashMap<PathBuf, (&str, u64)> = experiment
            .seeds()
            .into_iter()
            .flat_map(|seed| experiment.activations.iter().map(move |activation| (activation.name(), seed)))
            .map(|(name, seed)| (folder.run_path(name, seed), (name, seed)))
            .collect();
        for unfinished in folder.unfinished()? {
            let measured = metrics::read(&unfinished.join("metrics.jsonl"));
            // A folder that was made, and nothing in it yet.
            let Ok((lines, note)) = measured else { continue };
            notes.extend(note);
            if let Some((name, seed)) = wanted.get(&unfinished) {
                add(&mut runs, read(so_far(name, *seed, lines), data.as_ref()), &mut notes);
            }
        }
    }
    let Some((experiment, _)) = joined else { return Err(JoinError::Empty(PathBuf::from("."))) };
    let experiment = match sweep {
        Some(sweep) => both(experiment, sweep),
        None => experiment,
    };
    if runs.values().all(|read| read.run.epochs.is_empty()) {
        return Err(JoinError::Empty(folders[0].clone()));
    }
    let named = |seed| experiment.activations.iter().map(move |activation| (activation.to_string(), seed));
    let wanted: Vec<(String, u64)> = match experiment.own {
        // What is there; nothing says what ought to be.
        Some(_) => runs.keys().cloned().collect(),
        None => experiment.seeds().into_iter().flat_map(named).collect(),
    };
    for (activation, seed) in &wanted {
        match runs.get(&(activation.clone(), *seed)) {
            None => notes.push(format!("{activation} with seed {seed} is missing")),
            Some(Read { run, folder, .. }) if run.status == Status::Interrupted => notes.push(format!(
                "{activation} with seed {seed} is not finished: {} steps, in {}",
                run.steps,
                folder.display()
            )),
            Some(_) => {}
        }
    }
    let ordered = wanted.into_iter().filter_map(|name| runs.remove(&name));
    let (ordered, diagnosed): (Vec<Run>, Vec<_>) = ordered.map(|read| (read.run, read.diagnosis)).unzip();
    let environment = environment.unwrap_or_else(|| environment::unknown(&experiment.backend));
    let results = judge::results(environment, experiment, data, tuning, ordered);
    Ok((Joined { results, notes }, diagnosed.into_iter().flatten().collect()))
}

/// The settings of sweeps in folders, which are parts of one.
///
/// # Errors
///
/// A folder holds no sweep or one of other settings than the first.
pub fn sweep_of(folders: &[PathBuf]) -> Result<Experiment, JoinError> {
    let mut joined: Option<(Experiment, &Path)> = None;
    for path in folders {
        let mut experiment = RunFolder::read(path)?.experiment().clone();
        let Some(sweep) = experiment.sweep.take() else {
            let reason = "holds an experiment without a sweep; give sweeps alone, or none".to_owned();
            return Err(StoreError::Missing { path: path.clone(), reason }.into());
        };
        joined = Some(match joined {
            None => (Experiment { sweep: Some(sweep), ..experiment }, path),
            Some((first, first_path)) => {
                let union = first.sweep.as_ref().and_then(|first| first.union(&sweep));
                let swept = |experiment: &Experiment, otherwise| Experiment {
                    sweep: union.clone().or(otherwise),
                    ..experiment.clone()
                };
                let (first, second) = (swept(&first, first.sweep.clone()), swept(&experiment, Some(sweep)));
                if let Some(difference) = not_shared(&first, &second) {
                    return Err(JoinError::Differs { first: first_path.to_owned(), second: path.clone(), difference });
                }
                (both(first, &second), first_path)
            }
        });
    }
    joined.map(|(experiment, _)| Experiment { shard: None, ..experiment }).ok_or_else(|| JoinError::Empty(".".into()))
}

/// Reads the points of a sweep one after another from the folders that hold parts of it, and gives what `look` makes of
/// each: its runs, and what is to be noted of them. One point is in memory at a time.
///
/// # Errors
///
/// As [`join`].
pub fn points<R>(
    folders: &[PathBuf],
    sweep: &Experiment,
    look: &mut dyn FnMut(&Point, &[PathBuf], Option<Joined>) -> R,
) -> Result<Vec<R>, JoinError> {
    let points = sweep
        .points()
        .map_err(|error| StoreError::damaged(&folders[0], format!("its sweep is none of this Rectify: {error}")))?;
    let read = |point: &Point| {
        let there = folders.iter().map(|folder| point_path(folder, &point.label()));
        let there: Vec<PathBuf> = there.filter(|folder| folder.join("config.toml").exists()).collect();
        let joined = match join_as(&there, Some(&point.experiment), false) {
            Err(JoinError::Empty(_)) => None,
            joined => Some(joined?.0),
        };
        Ok(look(point, &there, joined))
    };
    points.iter().map(read).collect()
}

/// Reads a sweep from its folder, or from those of its shards; trains nothing and writes nothing.
///
/// # Errors
///
/// As [`join`].
pub fn join_sweep(folders: &[PathBuf]) -> Result<SweepResults, JoinError> {
    let experiment = sweep_of(folders)?;
    let (mut notes, mut environment) = (Vec::new(), None);
    let points = points(folders, &experiment, &mut |point, _, joined| {
        let label = point.label();
        let (summary, runs) = match joined {
            None => {
                notes.push(format!("{label}: none of its {} trainings was begun", point.experiment.trainings()));
                (Vec::new(), Vec::new())
            }
            Some(Joined { results, notes: of_point }) => {
                notes.extend(of_point.into_iter().map(|note| format!("{label}: {note}")));
                environment.get_or_insert(results.environment);
                (results.summary, results.runs.iter().map(RunEnd::of).collect())
            }
        };
        PointResults { label, settings: point.settings.clone(), summary, runs }
    })?;
    let environment = environment.unwrap_or_else(|| environment::unknown(&experiment.backend));
    Ok(SweepResults { schema_version: SCHEMA_VERSION, environment, experiment, points, notes })
}

fn add<'a>(runs: &mut BTreeMap<(String, u64), Read<'a>>, mut read: Read<'a>, notes: &mut Vec<String>) {
    if runs.len() >= WHOLE_RUNS {
        read.run.thin();
    }
    let name = (read.run.activation.clone(), read.run.seed);
    let Some(there) = runs.get_mut(&name) else {
        runs.insert(name, read);
        return;
    };
    // What one machine began and another finished is no run twice.
    match (there.run.status, read.run.status) {
        (Status::Interrupted, Status::Interrupted) if read.run.steps > there.run.steps => *there = read,
        (_, Status::Interrupted) => {}
        (Status::Interrupted, _) => *there = read,
        _ => {
            let same = match same_figures(&there.run, &read.run) {
                true => "with the same numbers",
                false => "with other numbers",
            };
            notes.push(format!(
                "{} with seed {} is in {} and {}, {same}; the first is taken",
                name.0,
                name.1,
                there.folder.display(),
                read.folder.display()
            ));
        }
    }
}

fn same_figures(a: &Run, b: &Run) -> bool {
    let timeless = |run: &Run| {
        let mut run = run.clone();
        run.thin();
        run.wall_seconds = 0.0;
        run.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
        run
    };
    timeless(a) == timeless(b)
}

/// A setting that makes runs of one no runs of the other, how long they train among them.
fn not_shared(first: &Experiment, second: &Experiment) -> Option<Difference> {
    let length = |setting: &str, of: fn(&Experiment) -> Option<usize>| {
        (of(first) != of(second)).then(|| Difference {
            setting: setting.to_owned(),
            first: of(first).map(|value| value.to_string()),
            second: of(second).map(|value| value.to_string()),
        })
    };
    difference(first, second)
        .or_else(|| length("steps", |experiment| experiment.steps))
        .or_else(|| length("epochs", |experiment| Some(experiment.epochs())))
}

/// The activations and seeds of both.
fn both(first: Experiment, second: &Experiment) -> Experiment {
    let mut activations: Vec<Activation> = first.activations.clone();
    activations.extend(second.activations.iter().filter(|one| !first.activations.contains(one)).cloned());
    let seeds: BTreeSet<u64> = first.seeds().into_iter().chain(second.seeds()).collect();
    let counted = seeds.iter().enumerate().all(|(i, seed)| i as u64 == *seed);
    Experiment {
        activations,
        seeds: seeds.len(),
        seed: (!counted).then(|| seeds.into_iter().collect()),
        shard: None,
        ..first
    }
}

/// A run that is not done, by what it measured so far.
fn so_far(activation: &str, seed: u64, lines: Vec<Line>) -> Run {
    let Measured { epochs, probes, steps } = Measured::of(lines);
    let wall_seconds = epochs.iter().map(|epoch| epoch.seconds).sum();
    Run { wall_seconds, steps, epochs, probes, ..Run::new(activation, seed) }
}
