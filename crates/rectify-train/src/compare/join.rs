//! Reading experiments again: one folder, or many of one experiment, from one machine or many.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::measured::Measured;
use crate::{
    activation::Activation,
    environment,
    experiment::Experiment,
    judge,
    record::{Environment, Results, Run, Status, Tuning},
    store::{Difference, Line, RunFolder, RunRecord, StoreError, difference, metrics},
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
/// Of a run that several folders hold, the first one's is taken, one that is done before one that is not.
///
/// # Errors
///
/// A folder holds no experiment or another one than the first; a file is torn or changed.
pub fn join(folders: &[PathBuf]) -> Result<Joined, JoinError> {
    let mut joined: Option<(Experiment, &Path)> = None;
    let mut runs: BTreeMap<(String, u64), (Run, &Path)> = BTreeMap::new();
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
        for record in folder.records()? {
            let RunRecord { run, environment: of_run, data: of_data, .. } = record?;
            environment = environment.or(of_run);
            data = data.or(of_data);
            add(&mut runs, run, path, &mut notes);
        }
        if let Some(old) = folder.old_results()? {
            old.into_iter().for_each(|run| add(&mut runs, run, path, &mut notes));
            continue;
        }
        for unfinished in folder.unfinished()? {
            let measured = metrics::read(&unfinished.join("metrics.jsonl"));
            // A folder that was made, and nothing in it yet.
            let Ok((lines, note)) = measured else { continue };
            notes.extend(note);
            let wanted = experiment
                .activations
                .iter()
                .flat_map(|activation| experiment.seeds().into_iter().map(move |seed| (activation.name(), seed)))
                .find(|(name, seed)| folder.run_path(name, *seed) == unfinished);
            if let Some((name, seed)) = wanted {
                add(&mut runs, so_far(name, seed, lines), path, &mut notes);
            }
        }
    }
    let Some((experiment, _)) = joined else { return Err(JoinError::Empty(PathBuf::from("."))) };
    if runs.values().all(|(run, _)| run.epochs.is_empty()) {
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
            Some((run, path)) if run.status == Status::Interrupted => notes.push(format!(
                "{activation} with seed {seed} is not finished: {} steps, in {}",
                run.steps,
                path.display()
            )),
            Some(_) => {}
        }
    }
    let ordered = wanted.into_iter().filter_map(|name| runs.remove(&name)).map(|(run, _)| run).collect();
    let environment = environment.unwrap_or_else(|| environment::unknown(&experiment.backend));
    Ok(Joined { results: judge::results(environment, experiment, data, tuning, ordered), notes })
}

fn add<'a>(runs: &mut BTreeMap<(String, u64), (Run, &'a Path)>, run: Run, path: &'a Path, notes: &mut Vec<String>) {
    let name = (run.activation.clone(), run.seed);
    let Some((there, first)) = runs.get_mut(&name) else {
        runs.insert(name, (run, path));
        return;
    };
    // What one machine began and another finished is no run twice.
    match (there.status, run.status) {
        (Status::Interrupted, Status::Interrupted) if run.steps > there.steps => (*there, *first) = (run, path),
        (_, Status::Interrupted) => {}
        (Status::Interrupted, _) => (*there, *first) = (run, path),
        _ => {
            let same = match same_figures(there, &run) {
                true => "with the same numbers",
                false => "with other numbers",
            };
            notes.push(format!(
                "{} with seed {} is in {} and {}, {same}; the first is taken",
                name.0,
                name.1,
                first.display(),
                path.display()
            ));
        }
    }
}

fn same_figures(a: &Run, b: &Run) -> bool {
    let timeless = |run: &Run| {
        let mut run = run.clone();
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
