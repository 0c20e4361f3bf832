//! What a claim's experiment works with: a device, data sets, rates, and trainings side by side.
//!
//! A piece of work that is kept is known by the paths of the types here, among other things: a type that moves to another
//! module is worked on anew in folders of before.

#[cfg(test)]
mod tests;
mod training;
mod words;

use std::{
    any::type_name,
    collections::HashMap,
    fmt::{self, Debug},
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use burn::{module::Module, tensor::Device};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::protocol::Plan;
use crate::{
    activation::Activation,
    backend::{self, BackendError},
    data::{DataError, Dataset, DeviceDataset, DeviceSamples},
    experiment::{Dtype, Experiment},
    record::{Epoch, Status},
    store::{Evidence, StoreError},
    train::{
        SAVE_EVERY, evaluate,
        grid::{Training, jobs},
        schedule::side_by_side,
    },
};
use training::begin_piece;
pub use training::trained;
pub(super) use words::flags;
pub use words::{describe, rates_in_words};

/// How much is spent on each claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// All claims within a minute: two seeds, which settle nothing that has chance in it but show what it leans to.
    Quick,
    /// All claims within ten minutes on two cores.
    #[default]
    Default,
    /// More seeds, whole training sets.
    Thorough,
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Quick => "quick",
            Self::Default => "default",
            Self::Thorough => "thorough",
        })
    }
}

/// Why a claim could not be tested.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// A data set is not there.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A backend is not there.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// What was measured could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stopped from outside.
    #[error("interrupted")]
    Interrupted,
}

/// A training but for its seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setup {
    /// The settings.
    pub experiment: Experiment,
    /// The activation.
    pub activation: Activation,
}

impl Setup {
    /// Settings with an activation.
    ///
    /// # Panics
    ///
    /// Where the name is no activation: names are written in code, not read from a user.
    pub fn new(experiment: Experiment, activation: &str) -> Self {
        Self { experiment, activation: activation.parse().expect("claims name known activations") }
    }

    /// The same at another learning rate.
    pub fn with_rate(&self, rate: f64) -> Self {
        Self { experiment: Experiment { lr: Some(rate), ..self.experiment.clone() }, ..self.clone() }
    }

    /// The training of a seed.
    pub fn training(&self, seed: u64) -> Training {
        Training { experiment: self.experiment.clone(), activation: self.activation.clone(), seed }
    }
}

/// What a training came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// Test accuracy; 0 where it diverged, as what gives NaN classifies nothing.
    pub accuracy: f64,
    /// Mean loss over the first training samples, at the end; infinite where it diverged.
    pub loss: f64,
    /// Whether it diverged.
    pub diverged: bool,
}

/// A learning rate, chosen on pilot seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The best one.
    pub rate: f64,
    /// Whether it lies at an end of the grid, after all widening.
    pub at_end: bool,
    /// Every rate that was tried, ascending, with its mean score.
    pub tried: Vec<(f64, f64)>,
}

/// What is there to work with, and how much of it may be used.
pub struct Lab<'a> {
    plan: Plan,
    backend: String,
    device: Device,
    jobs: Option<usize>,
    stop: &'a AtomicBool,
    /// Told how many of how many pieces of work are done.
    progress: &'a (dyn Fn(usize, usize) + Sync),
    data: Mutex<Vec<(DataKey, DeviceDataset)>>,
    /// What is odd about the data sets' files.
    notes: Mutex<Vec<String>>,
    /// By what they were chosen for, so that claims that ask for the same share them.
    rates: Mutex<HashMap<String, Rate>>,
    /// Where what was measured is kept.
    evidence: Option<Evidence>,
    save_every: Duration,
    /// Told of every epoch of a training, and of its end.
    watch: Option<&'a Watch<'a>>,
}

/// Hears of an epoch of a training, or of its end.
pub type Watch<'a> = dyn Fn(&Training, Option<&Epoch>) + Sync + 'a;

/// Data set, training samples, type.
type DataKey = (String, Option<usize>, Dtype);

/// Test samples of a quick experiment.
const QUICK_TEST: usize = 1000;
/// Training samples that the final loss is the mean over.
const LOSS_SAMPLE: usize = 2000;
/// How often a grid of rates is widened, each time by one factor.
const WIDENED: usize = 4;

impl<'a> Lab<'a> {
    /// A lab on a backend.
    ///
    /// `jobs` trainings run side by side, without it one a core. After `stop` is set every experiment ends soon with
    /// [`ClaimError::Interrupted`]. `progress` hears how many of how many pieces of work are done.
    ///
    /// # Errors
    ///
    /// The backend is not there.
    pub fn new(
        plan: Plan,
        backend: &str,
        jobs: Option<usize>,
        stop: &'a AtomicBool,
        progress: &'a (dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, BackendError> {
        let device = backend::open(backend)?;
        Ok(Self {
            plan,
            backend: backend.to_owned(),
            device,
            jobs,
            stop,
            progress,
            data: Mutex::default(),
            notes: Mutex::default(),
            rates: Mutex::default(),
            evidence: None,
            save_every: SAVE_EVERY,
            watch: None,
        })
    }

    /// The same lab, whose trainings are watched: `watch` hears of each of their epochs, and with `None` of their ends.
    pub fn watched(self, watch: &'a Watch<'a>) -> Self {
        Self { watch: Some(watch), ..self }
    }

    fn tell(&self, training: &Training, epoch: Option<&Epoch>) {
        if let Some(watch) = self.watch {
            watch(training, epoch);
        }
    }

    /// The same lab, which keeps each piece of work in a folder as it is done, and does none that is kept there.
    pub fn keeping(self, folder: &Path) -> Self {
        Self { evidence: Some(Evidence::of(folder)), ..self }
    }

    /// The same lab, which saves its trainings after so much time each, not [`SAVE_EVERY`].
    pub fn save_every(self, time: Duration) -> Self {
        Self { save_every: time, ..self }
    }

    /// Where what was measured is kept, if it is.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// How much is spent, and on which data.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it is computed; without autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The backend's name.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The data of an experiment, read once.
    ///
    /// # Errors
    ///
    /// The set is not there, or the device does not compute in the experiment's type.
    pub fn data(&self, experiment: &Experiment) -> Result<DeviceDataset, ClaimError> {
        let key = (experiment.dataset.clone(), experiment.train_size, experiment.dtype);
        // The lock is held while reading, so that nobody reads the same set at the same time.
        let mut sets = lock(&self.data);
        if let Some((_, data)) = sets.iter().find(|(other, _)| *other == key) {
            return Ok(data.clone());
        }
        backend::supports(&self.device, experiment.dtype)?;
        let data = Dataset::load(&experiment.dataset, experiment.train_size)?;
        let mut notes = lock(&self.notes);
        for note in &data.notes {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        let data = data.to_device(&self.device, experiment.dtype.into());
        let tested = self.plan.choose(QUICK_TEST, usize::MAX, usize::MAX);
        let data = DeviceDataset { test: first(&data.test, tested), ..data };
        sets.push((key, data.clone()));
        Ok(data)
    }

    /// What is odd about the files of the data sets that were read so far: [`Dataset::notes`], each once.
    pub fn data_notes(&self) -> Vec<String> {
        lock(&self.notes).clone()
    }

    /// The learning rate of each setup with the highest validation accuracy, mean over pilot seeds; setups that were
    /// asked for before are not tried again.
    ///
    /// # Errors
    ///
    /// As [`fit_setup`](Self::fit_setup).
    pub fn tune(&self, setups: &[Setup]) -> Result<Vec<Rate>, ClaimError> {
        let known = |setup: &Setup| format!("{setup:?}");
        let new: Vec<Setup> = {
            let rates = lock(&self.rates);
            setups.iter().filter(|setup| !rates.contains_key(&known(setup))).cloned().collect()
        };
        let found = self.best_rates("validation accuracy", &new, &|setup, rate, seed| {
            let training = setup.with_rate(rate).training(seed);
            let data = self.data(&training.experiment)?;
            let (network, run) = self.train(self.network(&training, &data), &training, &data)?;
            let diverged = run.status == Status::Diverged;
            let validation = first(&data.validation, LOSS_SAMPLE);
            Ok(if diverged { 0.0 } else { evaluate(&network.valid(), &validation).accuracy.unwrap_or(0.0) })
        })?;
        let mut rates = lock(&self.rates);
        rates.extend(new.iter().map(known).zip(found));
        Ok(setups.iter().filter_map(|setup| rates.get(&known(setup)).cloned()).collect())
    }

    /// For each arm the rate with the highest mean score over pilot seeds, from the plan's grid, which is widened where
    /// the best lies at an end. `score` is called with arm, rate and seed; `name` tells it from other scores.
    ///
    /// # Errors
    ///
    /// Those of `score`.
    pub fn best_rates<A: Debug + Sync>(
        &self,
        name: &str,
        arms: &[A],
        score: &(dyn Fn(&A, f64, u64) -> Result<f64, ClaimError> + Sync),
    ) -> Result<Vec<Rate>, ClaimError> {
        #[derive(Debug)]
        struct Try<'a, A> {
            #[expect(dead_code, reason = "its Debug is the name under which the score is kept")]
            score: &'a str,
            arm: (usize, &'a A),
            rate: f64,
            seed: u64,
        }
        let (grid, seeds) = (self.plan.rates(), self.plan.pilot_seeds());
        let factor = grid[1] / grid[0];
        let mut tried: Vec<Vec<(f64, f64)>> = arms.iter().map(|_| Vec::new()).collect();
        let mut wanted: Vec<Vec<f64>> = arms.iter().map(|_| grid.clone()).collect();
        for round in 0..=WIDENED {
            let of_arm = |(place, rates): (usize, &Vec<f64>)| -> Vec<Try<A>> {
                let of_rate = |&rate: &f64| seeds.iter().map(move |&seed| (rate, seed));
                let arm = (place, &arms[place]);
                rates.iter().flat_map(of_rate).map(|(rate, seed)| Try { score: name, arm, rate, seed }).collect()
            };
            let items: Vec<Try<A>> = wanted.iter().enumerate().flat_map(of_arm).collect();
            if items.is_empty() {
                break;
            }
            let scores = self.side_by_side(&items, &|item| score(item.arm.1, item.rate, item.seed))?;
            for (items, scores) in items.chunks(seeds.len()).zip(scores.chunks(seeds.len())) {
                let mean = scores.iter().sum::<f64>() / scores.len() as f64;
                tried[items[0].arm.0].push((items[0].rate, mean));
            }
            for (tried, wanted) in tried.iter_mut().zip(&mut wanted) {
                tried.sort_by(|a, b| a.0.total_cmp(&b.0));
                let (best, ends) = (best(tried), (tried[0].0, tried[tried.len() - 1].0));
                *wanted = match () {
                    () if round == WIDENED => Vec::new(),
                    () if best == ends.0 => vec![ends.0 / factor],
                    () if best == ends.1 => vec![ends.1 * factor],
                    () => Vec::new(),
                };
            }
        }
        let rate = |tried: Vec<(f64, f64)>| {
            let rate = best(&tried);
            let at_end =
                tried.first().is_some_and(|(r, _)| *r == rate) || tried.last().is_some_and(|(r, _)| *r == rate);
            Rate { rate, at_end, tried }
        };
        Ok(tried.into_iter().map(rate).collect())
    }

    /// Does `work` for every item, as many at a time as there are cores; see [`side_by_side`]. An item whose outcome is
    /// [kept](Self::keeping) is not worked on again: it is known by what it is (its `Debug`), where the work is written
    /// and what it gives.
    ///
    /// # Errors
    ///
    /// What `work` returned first, [`ClaimError::Store`] or [`ClaimError::Interrupted`].
    pub fn side_by_side<T, R, W>(&self, items: &[T], work: &W) -> Result<Vec<R>, ClaimError>
    where
        T: Debug + Sync,
        R: Serialize + DeserializeOwned + Send,
        W: Fn(&T) -> Result<R, ClaimError> + Sync,
    {
        let names = [type_name::<W>(), type_name::<R>()].join(" ");
        self.each(items, &|item| {
            let Some(evidence) = &self.evidence else { return work(item) };
            let description = format!("{names} {item:?}");
            if let Some(outcome) = evidence.load(&description)? {
                return Ok(outcome);
            }
            begin_piece(Some(description.clone()));
            let outcome = work(item);
            begin_piece(None);
            let outcome = outcome?;
            evidence.save(&description, &outcome)?;
            evidence.remove_states(&description)?;
            Ok(outcome)
        })
    }

    /// Does `work` on a thread of its own and by itself: what is timed. Nothing of it is kept.
    ///
    /// # Errors
    ///
    /// Those of `work`, or [`ClaimError::Interrupted`].
    pub fn alone<R: Send>(&self, work: &(dyn Fn() -> Result<R, ClaimError> + Sync)) -> Result<R, ClaimError> {
        self.each(&[()], &|()| work())?.pop().ok_or(ClaimError::Interrupted)
    }

    fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: &(dyn Fn(&T) -> Result<R, ClaimError> + Sync),
    ) -> Result<Vec<R>, ClaimError> {
        let done = AtomicUsize::new(0);
        (self.progress)(0, items.len());
        let experiment = Experiment { jobs: self.jobs, ..Experiment::default() };
        let outcomes = side_by_side(jobs(&experiment, &self.device), self.stop, items, &|item| {
            let outcome = work(item);
            (self.progress)(1 + done.fetch_add(1, Ordering::Relaxed), items.len());
            outcome
        })?;
        if outcomes.len() < items.len() { Err(ClaimError::Interrupted) } else { Ok(outcomes) }
    }
}

/// The first samples, as many as `count` or all.
pub fn first(samples: &DeviceSamples, count: usize) -> DeviceSamples {
    samples.slice(0..samples.len().min(count)).into()
}

/// The rate of the highest score; of equal ones the smallest.
fn best(tried: &[(f64, f64)]) -> f64 {
    let higher = |best: (f64, f64), other: &(f64, f64)| if other.1 > best.1 { *other } else { best };
    tried.iter().fold((f64::NAN, f64::NEG_INFINITY), higher).0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the locks guard is whole even if what is done while one is held panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
