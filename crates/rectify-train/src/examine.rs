//! Diagnoses runs that lie in folders; trains nothing.

use std::path::{Path, PathBuf};

use crate::{
    activation::Activation,
    experiment::Experiment,
    judge::diagnose::{Case, DETECTORS, Diagnosis, diagnose},
    record::{DataRecord, Results, Run, WHOLE_RUNS},
    store::{Line, RunFolder, metrics, run_path},
};

/// A run's losses, step by step, from the first of `folders` that holds them; empty where none does.
///
/// That a file cannot be read is no error here: a diagnosis makes do without, and says so.
pub fn losses(folders: &[PathBuf], run: &Run) -> Vec<f64> {
    let of_folder = |folder: &PathBuf| -> Option<Vec<f64>> {
        let (lines, _) = metrics::read(&run_path(folder, &run.activation, run.seed).join("metrics.jsonl")).ok()?;
        let losses = lines.into_iter().filter_map(|line| match line {
            Line::Losses(losses) => Some(losses.losses),
            _ => None,
        });
        Some(losses.flatten().collect())
    };
    folders.iter().filter_map(of_folder).find(|losses| !losses.is_empty()).unwrap_or_default()
}

/// All of a run, from the first of `folders` that holds it; `None` where none does, or it cannot be read.
fn whole(folders: &[RunFolder], run: &Run) -> Option<Run> {
    folders.iter().find_map(|folder| folder.read_run(&run.activation, run.seed).ok()?)
}

/// The settings of one run of an experiment.
pub fn of_one(experiment: &Experiment, run: &Run) -> Experiment {
    let activations = match run.activation.parse::<Activation>() {
        Ok(activation) => vec![activation],
        Err(_) => experiment.activations.clone(),
    };
    Experiment { activations, seeds: 1, seed: Some(vec![run.seed]), ..experiment.clone() }
}

/// A diagnosis of every run of some results whose folders are known, in their order.
pub fn diagnoses<P: AsRef<Path>>(results: &Results, folders: &[P]) -> Vec<Diagnosis> {
    of_runs(results, &results.runs, folders)
}

/// The same of the first runs, as many as a page has room for.
pub fn first_diagnoses<P: AsRef<Path>>(results: &Results, folders: &[P]) -> Vec<Diagnosis> {
    of_runs(results, &results.runs[..results.runs.len().min(WHOLE_RUNS)], folders)
}

fn of_runs<P: AsRef<Path>>(results: &Results, runs: &[Run], folders: &[P]) -> Vec<Diagnosis> {
    let folders: Vec<PathBuf> = folders.iter().map(|folder| folder.as_ref().to_owned()).collect();
    let opened: Vec<RunFolder> = folders.iter().filter_map(|folder| RunFolder::read(folder).ok()).collect();
    let settings = without_seeds(&results.experiment);
    let of_each = |run: &Run| {
        // Of many runs, most are held without what some detectors look at.
        let read = if run.is_thin() { whole(&opened, run) } else { None };
        of_run(read.as_ref().unwrap_or(run), &settings, results.data.as_ref(), &folders)
    };
    runs.iter().map(of_each).collect()
}

/// The settings that all runs of an experiment share: its list of seeds, as long as the runs are many, is not copied for
/// each of them.
pub(crate) fn without_seeds(experiment: &Experiment) -> Experiment {
    Experiment { seed: None, ..experiment.clone() }
}

/// A diagnosis of a run that is held in full.
pub(crate) fn of_run(run: &Run, settings: &Experiment, data: Option<&DataRecord>, folders: &[PathBuf]) -> Diagnosis {
    let (losses, experiment) = (losses(folders, run), of_one(settings, run));
    let experiment = Some(&experiment).filter(|experiment| experiment.own.is_none());
    diagnose(&Case { run, experiment, data, losses: &losses }, DETECTORS)
}
