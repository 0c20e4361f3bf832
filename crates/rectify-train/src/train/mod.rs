//! The training loop, the only one in the project.
//!
//! It is not burn-train's `Learner`: that owns the loop, so a step's gradients cannot be looked at between backward
//! pass and update, a loss that is no longer finite is not an outcome, and it reads metrics back at every step. What
//! it is built from is Burn's: modules, losses, optimizers.

mod batched;
mod confusion;
pub mod grid;
mod learner;
mod measure;
mod optimizer;
mod progress;
pub mod schedule;
mod statistics;
mod trainer;
mod update;

use std::{sync::atomic::AtomicBool, time::Duration};

pub use self::{
    confusion::{Answer, answers, confusion, softmax},
    learner::{Learner, Step, gradients},
    measure::{Evaluation, evaluate, evaluate_in_batches},
    progress::{Progress, Records, Snapshot},
    trainer::{Group, State, Trainer},
};
use crate::{
    activation::Activation,
    data::{Batch, DeviceDataset},
    experiment::Experiment,
    network::{Model, Network},
    record::{Epoch, Run, StepLosses, StepProbe},
};

/// How much training a killed process may lose, unless it is told otherwise.
pub const SAVE_EVERY: Duration = Duration::from_secs(10);

/// What a training reports while it runs.
pub enum Event<'a, N = Model> {
    /// So many steps more are done.
    Steps(usize),
    /// A step is done. What observes it is not counted in the epoch's seconds. Steps that several trainings take together
    /// ([`Group`]) are not told.
    Step {
        /// The step, from 1.
        step: usize,
        /// The network after it, as [`Learner::network`] gives it: for gradients of it there is [`gradients`], and
        /// `network.valid().train()` tracks them.
        network: &'a N,
        /// What it was taken on.
        batch: &'a Batch,
    },
    /// The losses of the steps since the last such event.
    Losses(&'a StepLosses),
    /// A step was probed.
    Probe(&'a StepProbe),
    /// An epoch is measured; the first one is the network before training.
    Epoch(&'a Epoch),
    /// Now is a time to save: about ten seconds after the last, when told to stop, and when the training is complete.
    Save(Snapshot<'a, N>),
}

/// Training steps that an experiment takes on a training set of so many samples.
pub fn total_steps(experiment: &Experiment, samples: usize) -> usize {
    let steps_an_epoch = samples.div_ceil(experiment.batch_size);
    experiment.steps.unwrap_or(experiment.epochs().saturating_mul(steps_an_epoch))
}

/// Trains a network by the experiment's settings.
///
/// `network` must track gradients (its device is an autodiff one), and `data` must be on the same device. The run ends
/// after the experiment's steps, by patience, by [`Divergence`](crate::record::Divergence), or soon after `stop` is set.
///
/// Gives back the network as it was at the end (with patience, unless `keep_last`, the best one), and what was measured.
pub fn train<N: Network>(
    network: N,
    activation: &Activation,
    seed: u64,
    experiment: &Experiment,
    data: &DeviceDataset,
    stop: &AtomicBool,
    observe: &mut dyn FnMut(Event<N>),
) -> (N, Run) {
    Trainer::new(network, activation, seed, experiment, data).run(stop, observe)
}
