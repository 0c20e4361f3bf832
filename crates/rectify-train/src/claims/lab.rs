//! What a claim's experiment works with: a device, data sets, seeds, and trainings side by side.

use std::{
    any::type_name,
    fmt::{self, Debug},
    ops::Range,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use burn::tensor::Device;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    backend::{self, BackendError},
    data::{DataError, Dataset, DeviceDataset, DeviceSamples},
    experiment::{Dtype, Experiment, ProbeEvery},
    network::{Mlp, Model, Network, Shape},
    record::{Run, Status},
    store::{Evidence, StoreError},
    train::{
        Event,
        grid::{Training, jobs},
        schedule::side_by_side,
        train,
    },
};

/// How much is spent on each claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Whether everything works: all claims within a minute. Too few seeds and steps to settle much.
    Quick,
    /// All claims within ten minutes on two processors.
    #[default]
    Default,
    /// More seeds, whole training sets, MNIST and Fashion-MNIST.
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

/// What is there to work with, and how much of it may be used.
pub struct Lab<'a> {
    effort: Effort,
    backend: String,
    device: Device,
    jobs: Option<usize>,
    stop: &'a AtomicBool,
    /// Told how many of how many pieces of work are done.
    progress: &'a (dyn Fn(usize, usize) + Sync),
    data: Mutex<Vec<(DataKey, DeviceDataset)>>,
    /// What is odd about the data sets' files.
    notes: Mutex<Vec<String>>,
    /// Where what was measured is kept until its claim is judged.
    evidence: Option<Evidence>,
}

/// Data set, training samples, type, validation samples.
type DataKey = (String, Option<usize>, Dtype, usize);

/// Test samples of a quick experiment.
const QUICK_TEST: usize = 1000;
/// Samples that a network is evaluated on where no claim is about the figure.
const UNUSED: usize = 100;

impl<'a> Lab<'a> {
    /// A lab on a backend.
    ///
    /// `jobs` trainings run side by side, without it one a processor. After `stop` is set every experiment ends soon
    /// with [`ClaimError::Interrupted`]. `progress` hears how many of how many pieces of work are done.
    ///
    /// # Errors
    ///
    /// The backend is not there.
    pub fn new(
        effort: Effort,
        backend: &str,
        jobs: Option<usize>,
        stop: &'a AtomicBool,
        progress: &'a (dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, BackendError> {
        let device = backend::open(backend)?;
        Ok(Self {
            effort,
            backend: backend.to_owned(),
            device,
            jobs,
            stop,
            progress,
            data: Mutex::default(),
            notes: Mutex::default(),
            evidence: None,
        })
    }

    /// The same lab, which keeps each piece of work in a folder as it is done, and does none that is kept there.
    pub fn keeping(self, folder: &Path) -> Self {
        Self { evidence: Some(Evidence::of(folder)), ..self }
    }

    /// How much is spent.
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// Where it is computed; without autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The backend's name.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The flags that make another lab like this one.
    pub fn flags(&self) -> String {
        let effort = match self.effort {
            Effort::Default => "",
            Effort::Quick => " --quick",
            Effort::Thorough => " --thorough",
        };
        match self.backend.as_str() {
            "flex" => effort.to_owned(),
            backend => format!("{effort} --backend {backend}"),
        }
    }

    /// One of three by effort.
    pub fn choose<T>(&self, quick: T, default: T, thorough: T) -> T {
        match self.effort {
            Effort::Quick => quick,
            Effort::Default => default,
            Effort::Thorough => thorough,
        }
    }

    /// Seeds from 0: two, five or ten, by effort.
    pub fn seeds(&self) -> Range<u64> {
        0..self.choose(2, 5, 10)
    }

    /// Data sets by effort: MNIST, with Fashion-MNIST where the effort is thorough.
    pub fn datasets(&self) -> &'static [&'static str] {
        self.choose(&["mnist"], &["mnist"], &["mnist", "fashion-mnist"])
    }

    /// The settings that claims begin from: those of `rectify compare`, on less data by effort and without probes.
    pub fn experiment(&self) -> Experiment {
        Experiment {
            backend: self.backend.clone(),
            train_size: self.choose(Some(2000), Some(20_000), None),
            epochs: Some(self.choose(1, 5, 10)),
            probe_every: ProbeEvery::Off,
            ..Experiment::default()
        }
    }

    /// Every activation with every seed in one setting, a seed's activations beside each other.
    ///
    /// # Panics
    ///
    /// Where a name is no activation: names are written in code, not read from a user.
    pub fn trainings(&self, experiment: &Experiment, activations: &[&str], seeds: Range<u64>) -> Vec<Training> {
        let of_seed = |seed| {
            activations.iter().map(move |name| Training {
                experiment: experiment.clone(),
                activation: name.parse().expect("claims name known activations"),
                seed,
            })
        };
        seeds.flat_map(of_seed).collect()
    }

    /// The data of an experiment, read once.
    ///
    /// # Errors
    ///
    /// The set is not there, or the device does not compute in the experiment's type.
    pub fn data(&self, experiment: &Experiment) -> Result<DeviceDataset, ClaimError> {
        // What is probed is probed on the whole validation set.
        let validated = if experiment.probe_every == ProbeEvery::Off { UNUSED } else { usize::MAX };
        let key = (experiment.dataset.clone(), experiment.train_size, experiment.dtype, validated);
        // The lock is held while reading, so that nobody reads the same set at the same time; what it guards is whole
        // even if reading panics.
        let mut sets = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, data)) = sets.iter().find(|(other, _)| *other == key) {
            return Ok(data.clone());
        }
        backend::supports(&self.device, experiment.dtype)?;
        let data = Dataset::load(&experiment.dataset, experiment.train_size)?;
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        for note in &data.notes {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        let data = data.to_device(&self.device, experiment.dtype.into());
        let tested = self.choose(QUICK_TEST, usize::MAX, usize::MAX);
        let data = DeviceDataset { validation: first(&data.validation, validated), ..with_test(&data, tested) };
        sets.push((key, data.clone()));
        Ok(data)
    }

    /// What is odd about the files of the data sets that were read so far: [`Dataset::notes`], each once.
    pub fn data_notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A network with fresh weights that tracks gradients.
    pub fn network(&self, training: &Training, data: &DeviceDataset) -> Model {
        self.network_of(training, data.shape())
    }

    /// The same with another number of outputs, or for other images.
    pub fn network_of(&self, training: &Training, shape: Shape) -> Model {
        let device = self.device.clone().autodiff();
        Model::new(&training.experiment, &training.activation, shape, training.seed, &device)
    }

    /// A fully connected network with fresh weights that tracks gradients, to build another one from.
    ///
    /// # Panics
    ///
    /// Where the experiment's model is not `mlp`: claims set it themselves.
    pub fn mlp(&self, training: &Training, data: &DeviceDataset) -> Mlp {
        match self.network(training, data) {
            Model::Mlp(mlp) => mlp,
            Model::Cnn(_) => panic!("the experiment asks for a CNN"),
        }
    }

    /// Trains a network, looked on by `observe`.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Interrupted`].
    pub fn train<N: Network>(
        &self,
        network: N,
        training: &Training,
        data: &DeviceDataset,
        observe: &mut dyn FnMut(Event<N>),
    ) -> Result<(N, Run), ClaimError> {
        let Training { experiment, activation, seed } = training;
        let (network, run) = train(network, activation, *seed, experiment, data, self.stop, observe);
        if run.status == Status::Interrupted { Err(ClaimError::Interrupted) } else { Ok((network, run)) }
    }

    /// [`train`](Self::train) that also ends, soon after `enough` is set, as if it had been meant to.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Interrupted`].
    pub fn train_until<N: Network>(
        &self,
        enough: &AtomicBool,
        network: N,
        training: &Training,
        data: &DeviceDataset,
        observe: &mut dyn FnMut(Event<N>),
    ) -> Result<(N, Run), ClaimError> {
        let Training { experiment, activation, seed } = training;
        let outcome = train(network, activation, *seed, experiment, data, enough, &mut |event| {
            if self.stop.load(Ordering::Relaxed) {
                enough.store(true, Ordering::Relaxed);
            }
            observe(event);
        });
        if self.stop.load(Ordering::Relaxed) { Err(ClaimError::Interrupted) } else { Ok(outcome) }
    }

    /// Trains the networks that the settings name, side by side.
    ///
    /// # Errors
    ///
    /// As [`data`](Self::data) and [`train`](Self::train).
    pub fn train_all(&self, trainings: &[Training]) -> Result<Vec<Run>, ClaimError> {
        self.side_by_side(trainings, &|training| {
            let data = self.data(&training.experiment)?;
            Ok(self.train(self.network(training, &data), training, &data, &mut |_| {})?.1)
        })
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
            let outcome = work(item)?;
            evidence.save(&description, &outcome)?;
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

impl Training {
    /// Data, model, optimizer and length in words.
    pub fn describe(experiment: &Experiment) -> String {
        let size = experiment.train_size.map_or("all".to_owned(), |size| size.to_string());
        let hidden = experiment.hidden();
        let widths = match hidden.as_slice() {
            [] => "no hidden layer".to_owned(),
            [width, rest @ ..] if rest.iter().all(|other| other == width) => format!("{} × {width}", hidden.len()),
            widths => widths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let length = match experiment.steps {
            Some(steps) => format!("{steps} steps"),
            None => format!("{} epochs", experiment.epochs()),
        };
        format!(
            "{}, {size} training samples, {} {widths}, {} {}, batches of {}, {length}, {}",
            experiment.dataset,
            experiment.model,
            experiment.optimizer,
            experiment.learning_rate(),
            experiment.batch_size,
            experiment.dtype
        )
    }
}

/// The first samples, as many as `count` or all.
pub fn first(samples: &DeviceSamples, count: usize) -> DeviceSamples {
    samples.slice(0..samples.len().min(count)).into()
}

/// The same data with only so many test samples.
pub fn with_test(data: &DeviceDataset, count: usize) -> DeviceDataset {
    DeviceDataset { test: first(&data.test, count), ..data.clone() }
}

/// The same data with hardly any test samples, for trainings whose test accuracy is not looked at.
pub fn without_test(data: &DeviceDataset) -> DeviceDataset {
    with_test(data, UNUSED)
}

/// Test accuracy at the end; NaN where the training diverged.
pub fn accuracy(run: &Run) -> f64 {
    match (run.status, run.outcome()) {
        (Status::Completed, Some(epoch)) => epoch.test_accuracy.unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

/// `seeds 0 to 4`.
pub fn seeds_in_words(seeds: &Range<u64>) -> String {
    match seeds.end.saturating_sub(seeds.start) {
        0 => "no seed".to_owned(),
        1 => format!("seed {}", seeds.start),
        _ => format!("seeds {} to {}", seeds.start, seeds.end - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_is_kept_is_not_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
        let work = |until: usize| {
            let done = &done;
            move |item: &usize| match *item < until {
                true => {
                    done.fetch_add(1, Ordering::Relaxed);
                    Ok(*item as f64 / 3.0)
                }
                false => Err(ClaimError::Interrupted),
            }
        };
        let items = [0, 1, 2, 3];
        let lab = || {
            stop.store(false, Ordering::Relaxed);
            Lab::new(Effort::Quick, "flex", Some(1), &stop, &|_, _| {}).unwrap().keeping(folder.path())
        };
        assert!(matches!(lab().side_by_side(&items, &work(2)), Err(ClaimError::Interrupted)));
        assert_eq!(done.load(Ordering::Relaxed), 2);
        let outcomes = lab().side_by_side(&items, &work(4)).unwrap();
        assert_eq!((outcomes, done.load(Ordering::Relaxed)), (items.map(|item| item as f64 / 3.0).to_vec(), 4));
    }
}
