//! Each activation's own settings, chosen before the trainings that are reported.
//!
//! Every choice of settings is an experiment of its own in `tuning/` (`tuning/lr=0.1/`), with seeds of its own and the
//! activations that have yet to try it. So what was stopped goes on, and nothing is trained twice.

use std::{
    collections::BTreeMap,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use super::{Compare, CompareError, Progress};
use crate::{
    activation::Activation,
    experiment::{Axis, Experiment, ProbeEvery, TUNING_SEEDS, Tune},
    record::{Run, Status, Trial, Tuning},
    store::{RunFolder, StoreError},
    train::grid::{Training, trainings},
};

const FOLDER: &str = "tuning";

/// What tuning came to.
#[derive(Default)]
pub(super) struct Tuned {
    /// Of the activations that are done, in their order.
    pub(super) tunings: Vec<Tuning>,
    pub(super) interrupted: bool,
    pub(super) failures: Vec<StoreError>,
}

/// What an activation is to try: by axis the values.
struct Grid {
    activation: Activation,
    values: Vec<Vec<f64>>,
}

/// Chooses the settings of an experiment's activations.
pub(super) struct Tuner<'a> {
    /// Of the experiment.
    pub(super) folder: &'a RunFolder,
    /// Steps of a training.
    pub(super) steps: usize,
    pub(super) save_every: Duration,
}

impl Tuner<'_> {
    /// Tunes every activation that is not tuned yet, if the experiment is one with tuning.
    pub(super) fn run(&self, stop: &AtomicBool, observe: &(dyn Fn(Progress) + Sync)) -> Result<Tuned, CompareError> {
        let experiment = self.folder.experiment();
        let Some(tune) = &experiment.tune else { return Ok(Tuned::default()) };
        let mut done = self.folder.read_tuning()?;
        let fields: Vec<&str> = tune.axes().iter().map(|axis| axis.setting.field()).collect();
        done.retain(|tuning| fields.iter().all(|field| tuning.chosen.contains_key(*field)));
        let grids = Trials { tuner: self, experiment, tune };
        let mut tuned = grids.run(&done, stop, observe)?;
        if !tuned.interrupted {
            tuned.failures.extend(self.folder.save_tuning(&tuned.tunings).err());
        }
        Ok(tuned)
    }
}

struct Trials<'a> {
    tuner: &'a Tuner<'a>,
    experiment: &'a Experiment,
    tune: &'a Tune,
}

impl Trials<'_> {
    fn run(
        &self,
        done: &[Tuning],
        stop: &AtomicBool,
        observe: &(dyn Fn(Progress) + Sync),
    ) -> Result<Tuned, CompareError> {
        let first: Vec<Vec<f64>> = self.tune.axes().iter().map(|axis| axis.values(self.experiment)).collect();
        let is_done = |activation: &&Activation| done.iter().any(|tuning| tuning.activation == activation.name());
        // Of a shard, those that it trains: every shard chooses the same for an activation.
        let mine = trainings(self.experiment);
        let trained = |activation: &&Activation| mine.iter().any(|training| training.activation == **activation);
        let activations = self.experiment.activations.iter();
        let activations = activations.filter(|activation| trained(activation) && !is_done(activation)).cloned();
        let mut grids: Vec<Grid> = activations.map(|activation| Grid { activation, values: first.clone() }).collect();
        let mut tuned = Tuned::default();
        // By activation and settings.
        let mut accuracies: BTreeMap<(String, String), Vec<Option<f64>>> = BTreeMap::new();
        self.announce(&first, grids.len(), observe);
        let mut clock = Clock { begun: Instant::now(), trained: 0 };
        loop {
            let mut missing: Vec<(Vec<f64>, Vec<Activation>)> = Vec::new();
            for Grid { activation, values } in &grids {
                for point in product(values) {
                    if accuracies.contains_key(&(activation.to_string(), self.label(&point))) {
                        continue;
                    }
                    match missing.iter_mut().find(|(other, _)| *other == point) {
                        Some((_, activations)) => activations.push(activation.clone()),
                        None => missing.push((point, vec![activation.clone()])),
                    }
                }
            }
            let mut left: usize = missing.iter().map(|(_, activations)| activations.len() * TUNING_SEEDS.len()).sum();
            for (point, activations) in missing {
                let trials = activations.len() * TUNING_SEEDS.len();
                let (runs, failures, interrupted) = self.trial(&point, activations, stop, observe)?;
                tuned.failures.extend(failures);
                if interrupted {
                    return Ok(Tuned { interrupted, ..tuned });
                }
                left -= trials;
                clock.trained += trials;
                let label = self.label(&point);
                observe(Progress::Tuning(&format!("{label}: {}{}", in_words(&runs), clock.left(left))));
                for run in runs {
                    let of_activation = accuracies.entry((run.activation.clone(), label.clone())).or_default();
                    of_activation.push(accuracy(&run));
                }
            }
            tuned.tunings = grids.iter().map(|grid| self.judge(grid, &accuracies)).collect();
            let mut widened = false;
            for (grid, tuning) in grids.iter_mut().zip(&tuned.tunings) {
                for ((axis, values), first) in self.tune.axes().iter().zip(&mut grid.values).zip(&first) {
                    let best = tuning.chosen.get(axis.setting.field());
                    if let Some(next) = best.and_then(|best| axis.beyond(values, *best, first)) {
                        values.push(next);
                        values.sort_by(f64::total_cmp);
                        widened = true;
                    }
                }
            }
            if !widened {
                break;
            }
        }
        let of = |activation: &Activation| {
            let all = tuned.tunings.iter().chain(done);
            all.into_iter().find(|tuning| tuning.activation == activation.name()).cloned()
        };
        tuned.tunings = self.experiment.activations.iter().filter_map(of).collect();
        Ok(tuned)
    }

    /// Says what tuning costs.
    fn announce(&self, first: &[Vec<f64>], activations: usize, observe: &(dyn Fn(Progress) + Sync)) {
        if activations == 0 {
            return;
        }
        let points: usize = first.iter().map(Vec::len).product();
        let (seeds, steps) = (TUNING_SEEDS.len(), self.tuner.steps);
        observe(Progress::Tuning(&format!(
            "tuning {}: {activations} activations × {points} choices × {seeds} seeds are {} trainings of {steps} steps, and \
             more where the best is at an end; then {} are reported",
            self.tune,
            activations * points * seeds,
            self.experiment.activations.len() * self.experiment.seeds().len()
        )));
    }

    /// Trains with some settings. The runs of all activations that ever did, what could not be written, and whether it was
    /// interrupted.
    fn trial(
        &self,
        point: &[f64],
        activations: Vec<Activation>,
        stop: &AtomicBool,
        observe: &(dyn Fn(Progress) + Sync),
    ) -> Result<(Vec<Run>, Vec<StoreError>, bool), CompareError> {
        let path = self.tuner.folder.path().join(FOLDER).join(self.label(point));
        let wanted: Vec<String> = activations.iter().map(ToString::to_string).collect();
        let experiment = Experiment {
            tune: None,
            activations,
            seeds: TUNING_SEEDS.len(),
            seed: Some(TUNING_SEEDS.to_vec()),
            shard: None,
            probe_every: ProbeEvery::Off,
            ..with_settings(self.experiment.clone(), self.tune, point)
        };
        let compare = match path.join("config.toml").exists() {
            true => {
                let mut compare = Compare::resume(&path)?;
                compare.extend(experiment)?;
                compare
            }
            false => Compare::create(&path, experiment)?,
        };
        let outcome = compare.save_every(self.tuner.save_every).run(stop, &|progress| match progress {
            Progress::Begins { steps, taken, .. } => observe(Progress::Begins { steps, taken, notes: &[] }),
            Progress::Training(..) | Progress::Failed(_) => observe(progress),
            // The test set has no say here.
            Progress::Ended(_) | Progress::Tuning(_) => {}
        })?;
        let mut runs = outcome.results.runs;
        runs.retain(|run| wanted.contains(&run.activation));
        Ok((runs, outcome.failures, outcome.interrupted))
    }

    fn judge(&self, grid: &Grid, accuracies: &BTreeMap<(String, String), Vec<Option<f64>>>) -> Tuning {
        let trials: Vec<Trial> = product(&grid.values)
            .into_iter()
            .filter_map(|point| {
                let found = accuracies.get(&(grid.activation.to_string(), self.label(&point)))?.clone();
                let sum: f64 = found.iter().map(|accuracy| accuracy.unwrap_or(0.0)).sum();
                Some(Trial {
                    settings: self.tune.axes().iter().map(|axis| axis.setting.field().to_owned()).zip(point).collect(),
                    validation_accuracy: sum / found.len().max(1) as f64,
                    validation_accuracies: found,
                })
            })
            .collect();
        // Of equally good ones the first, which has the smaller settings.
        let best = trials
            .iter()
            .reduce(|best, trial| if trial.validation_accuracy > best.validation_accuracy { trial } else { best });
        let chosen = best.map(|trial| trial.settings.clone()).unwrap_or_default();
        let at_end = |(axis, values): (&Axis, &Vec<f64>)| {
            let field = axis.setting.field();
            let best = chosen.get(field)?;
            Axis::at_end(values, *best).then(|| field.to_owned())
        };
        Tuning {
            activation: grid.activation.to_string(),
            at_end: self.tune.axes().iter().zip(&grid.values).filter_map(at_end).collect(),
            chosen,
            seeds: TUNING_SEEDS.to_vec(),
            trials,
        }
    }

    /// As in `lr=0.1` or `lr=0.1,weight-decay=0.001`.
    fn label(&self, point: &[f64]) -> String {
        let axes = self.tune.axes().iter().zip(point);
        axes.map(|(axis, value)| format!("{}={value}", axis.setting)).collect::<Vec<_>>().join(",")
    }
}

/// The trainings of an experiment, each with what was chosen for its activation.
pub(super) fn tuned_trainings(experiment: &Experiment, tunings: &[Tuning]) -> Vec<Training> {
    let tuned = |training: Training| {
        let tuning = tunings.iter().find(|tuning| tuning.activation == training.activation.name());
        let (Some(tune), Some(tuning)) = (&experiment.tune, tuning) else { return training };
        let experiment = tune.axes().iter().fold(training.experiment, |experiment, axis| {
            let value = tuning.chosen.get(axis.setting.field());
            value.map_or(experiment.clone(), |value| axis.setting.set(experiment, *value))
        });
        Training { experiment, ..training }
    };
    trainings(experiment).into_iter().map(tuned).collect()
}

fn with_settings(experiment: Experiment, tune: &Tune, point: &[f64]) -> Experiment {
    tune.axes().iter().zip(point).fold(experiment, |experiment, (axis, value)| axis.setting.set(experiment, *value))
}

/// Every combination, the last axis fastest.
fn product(axes: &[Vec<f64>]) -> Vec<Vec<f64>> {
    axes.iter().fold(vec![Vec::new()], |points, values| {
        let with = |point: Vec<f64>| values.iter().map(move |value| [&point[..], &[*value]].concat());
        points.into_iter().flat_map(with).collect()
    })
}

fn accuracy(run: &Run) -> Option<f64> {
    let completed = run.status == Status::Completed;
    run.outcome().filter(|_| completed)?.validation_accuracy
}

/// As in "relu 96.90 %, sigmoid diverged", over seeds.
fn in_words(runs: &[Run]) -> String {
    let mut by_activation: Vec<(&str, Vec<f64>)> = Vec::new();
    for run in runs {
        let accuracy = accuracy(run).unwrap_or(0.0);
        match by_activation.iter_mut().find(|(name, _)| *name == run.activation) {
            Some((_, all)) => all.push(accuracy),
            None => by_activation.push((&run.activation, vec![accuracy])),
        }
    }
    let words = by_activation.into_iter().map(|(name, all)| {
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        if mean == 0.0 { format!("{name} diverged") } else { format!("{name} {:.2} %", 100.0 * mean) }
    });
    words.collect::<Vec<_>>().join(", ")
}

struct Clock {
    begun: Instant,
    trained: usize,
}

impl Clock {
    /// How long so many trainings more take, if they take what those before them took.
    fn left(&self, trainings: usize) -> String {
        if trainings == 0 {
            return String::new();
        }
        let seconds = self.begun.elapsed().as_secs_f64() / self.trained.max(1) as f64 * trainings as f64;
        format!("; {trainings} trainings of the grid left, about {seconds:.0} s")
    }
}
