//! Faults planted in trainings, and whether the diagnosis finds them: what thresholds are set by and judged by.
//!
//! Every fault and every healthy setting of [`fault`] is trained with some seeds on two data sets: even seeds on MNIST,
//! by which detectors and rules were tuned, and odd seeds on Fashion-MNIST, on which they are reported.

pub mod fault;
mod score;

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{DType, Device, Int, Tensor, TensorData},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use self::fault::{Harm, Plant, SAMPLES, plants};
pub use self::score::{Score, Scores, is_found, scores};
use crate::{
    data::{Batch, DataError, Dataset, DeviceDataset, DeviceSamples},
    experiment::Experiment,
    judge::diagnose::{Case, DETECTORS, Severity, diagnose},
    network::Model,
    observe::Path,
    record::DataRecord,
    repair::{Repair, Trained, repair},
    train::{Event, schedule::side_by_side, train},
};

/// Validation and test samples: enough to tell 1 % apart, few enough not to take most of the time.
const EVALUATED: usize = 1000;
/// Trainings of a repair.
const ATTEMPTS: usize = 5;

/// The first seed that is reported. What was missed of smaller ones was looked at when rules were changed: whenever that is
/// done again, this has to move on.
const FIRST_REPORTED: u64 = 1001;

/// Which half of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// Even seeds on MNIST.
    Tuning,
    /// Odd seeds on Fashion-MNIST, from 1001 on.
    Report,
}

impl Half {
    fn dataset(self) -> &'static str {
        match self {
            Self::Tuning => "mnist",
            Self::Report => "fashion-mnist",
        }
    }

    fn seed(self, n: u64) -> u64 {
        match self {
            Self::Tuning => 2 * n,
            Self::Report => 2 * n + FIRST_REPORTED,
        }
    }
}

/// What became of one training of the matrix.
#[derive(Debug, Clone, Serialize)]
pub struct Planted {
    /// The plant's name.
    pub name: String,
    /// The cause that was planted; `None` in a healthy training.
    pub planted: Option<&'static str>,
    /// Which half it belongs to.
    pub half: Half,
    /// The seed.
    pub seed: u64,
    /// Whether no finding is above `info`.
    pub healthy: bool,
    /// Detectors with findings above `info`.
    pub findings: Vec<&'static str>,
    /// Those findings in words.
    pub says: Vec<String>,
    /// Causes, the likeliest first.
    pub causes: Vec<&'static str>,
    /// At the end.
    pub validation_accuracy: Option<f64>,
    /// The loss left, over that of guessing.
    pub remaining: Option<f64>,
    /// What repairing it came to, where settings made the fault and it was tried.
    pub repair: Option<Repair>,
}

/// Trains the matrix: `seeds` in each of `halves`, `jobs` trainings side by side. `only` keeps the plants whose names
/// contain it. `progress` hears how many of how many trainings are done.
///
/// # Errors
///
/// A data set is not there.
pub fn run(
    halves: &[Half],
    seeds: u64,
    jobs: usize,
    only: Option<&str>,
    repairs: bool,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<Planted>, DataError> {
    let mut all = Vec::new();
    for &half in halves {
        let samples = Arc::new(Samples::load(half)?);
        let of_seed = |n| plants().into_iter().map(move |plant| (plant, half, half.seed(n)));
        all.extend((0..seeds).flat_map(of_seed).map(|(plant, half, seed)| (plant, half, seed, samples.clone())));
    }
    all.retain(|(plant, ..)| only.is_none_or(|only| plant.name.contains(only)));
    let (done, count) = (AtomicUsize::new(0), all.len());
    let told = Mutex::new(());
    let outcome = side_by_side(jobs, stop, &all, &|(plant, half, seed, samples)| {
        let planted = one(plant, *half, *seed, samples, repairs, stop);
        // One at a time, so that numbers ascend.
        let _told = told.lock().unwrap_or_else(PoisonError::into_inner);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, count);
        Ok::<_, Infallible>(planted)
    });
    Ok(outcome.unwrap_or_else(|never| match never {}))
}

fn one(plant: &Plant, half: Half, seed: u64, samples: &Samples, repairs: bool, stop: &AtomicBool) -> Planted {
    let data = samples.harmed(plant, seed);
    let record = DataRecord { train: data.train.len(), ..samples.record };
    let experiment =
        Experiment { dataset: half.dataset().to_owned(), seed: Some(vec![seed]), ..plant.experiment.clone() };
    let experiment = experiment.resolve().expect("the settings of the matrix are sound");
    let trained = training(&experiment, plant.harm, seed, &data, stop);
    let case = Case { run: &trained.run, experiment: Some(&experiment), data: Some(&record), losses: &trained.losses };
    let diagnosis = diagnose(&case, DETECTORS);
    let above_info = || diagnosis.findings.iter().filter(|finding| finding.severity > Severity::Info);
    let repairable = repairs && plant.cause.is_some() && plant.harm == Harm::None;
    let repair = repairable.then(|| {
        let again =
            &mut |experiment: &Experiment, _| Ok::<_, Infallible>(training(experiment, plant.harm, seed, &data, stop));
        repair(&experiment, &trained, Some(&record), ATTEMPTS, again).unwrap_or_else(|never| match never {})
    });
    Planted {
        name: plant.name.clone(),
        planted: plant.cause,
        half,
        seed,
        healthy: diagnosis.healthy,
        findings: above_info().map(|finding| finding.detector).collect(),
        says: above_info().map(|finding| finding.says.clone()).collect(),
        causes: diagnosis.causes.iter().map(|cause| cause.cause).collect(),
        validation_accuracy: trained.run.outcome().and_then(|epoch| epoch.validation_accuracy),
        remaining: case.remaining().ok(),
        repair,
    }
}

fn training(experiment: &Experiment, harm: Harm, seed: u64, data: &DeviceDataset, stop: &AtomicBool) -> Trained {
    let activation = &experiment.activations[0];
    let device = Device::flex().autodiff();
    let network = Model::new(experiment, activation, data.shape(), seed, &device);
    let network = match harm {
        Harm::Freeze(layer) => network.map(&mut Freeze { layer: format!("hidden.{layer}"), path: Path::default() }),
        _ => network,
    };
    let mut losses = Vec::new();
    let (_, run) = train(network, activation, seed, experiment, data, stop, &mut |event| {
        if let Event::Losses(more) = event {
            losses.extend(&more.losses);
        }
    });
    Trained { run, losses }
}

/// A half's data set on flex.
struct Samples {
    standardised: DeviceDataset,
    /// Pixels from 0 to 255.
    unscaled: DeviceDataset,
    record: DataRecord,
}

impl Samples {
    fn load(half: Half) -> Result<Self, DataError> {
        let dataset = Dataset::load(half.dataset(), Some(SAMPLES))?;
        let device = Device::flex();
        let standardised = dataset.to_device(&device, DType::F32);
        let record = dataset.record();
        let (channel_means, channel_stds) = (vec![0.0; dataset.channels], vec![1.0 / 255.0; dataset.channels]);
        let unscaled = Dataset { channel_means, channel_stds, ..dataset }.to_device(&device, DType::F32);
        Ok(Self { standardised, unscaled, record })
    }

    /// A small part, harmed as the plant asks.
    fn harmed(&self, plant: &Plant, seed: u64) -> DeviceDataset {
        let data = if plant.harm == Harm::Unscaled { &self.unscaled } else { &self.standardised };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut part = |samples: &DeviceSamples, count: usize| -> DeviceSamples {
            let Batch { images, labels } = samples.slice(0..count.min(samples.len()));
            let Harm::Shuffle(fraction) = plant.harm else { return Batch { images, labels }.into() };
            let mut classes: Vec<i32> = labels.clone().into_data().iter().collect();
            for class in &mut classes {
                if random.random::<f64>() < fraction {
                    *class = random.random_range(0..data.classes as i32);
                }
            }
            let shape = [classes.len()];
            let labels = Tensor::<1, Int>::from_data(TensorData::new(classes, shape), &labels.device());
            Batch { images, labels }.into()
        };
        let train = part(&data.train, plant.experiment.train_size.unwrap_or(usize::MAX));
        let (validation, test) = (part(&data.validation, EVALUATED), part(&data.test, EVALUATED));
        DeviceDataset { train, validation, test, ..data.clone() }
    }
}

/// Lets a layer's parameters take no gradient.
struct Freeze {
    layer: String,
    path: Path,
}

impl ModuleMapper for Freeze {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.path.exit(container_type);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.path.join().starts_with(&format!("{}.", self.layer)) {
            true => param.set_require_grad(false),
            false => param,
        }
    }
}
