//! Every activation with every seed: trainings side by side.

use std::{num::NonZero, ops::ControlFlow, sync::atomic::AtomicBool, thread};

use burn::tensor::Device;

use super::{Event, Trainer, schedule::in_turns};
use crate::{activation::Activation, experiment::Experiment, network::Model, record::Run};

/// One training of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// The settings.
    pub experiment: Experiment,
    /// The activation.
    pub activation: Activation,
    /// The seed.
    pub seed: u64,
}

/// The trainings of an experiment or, where it has one, of its shard; activations of one seed beside each other.
pub fn trainings(experiment: &Experiment) -> Vec<Training> {
    let activations = &experiment.activations;
    let of_seed = |(place, seed)| {
        let mine = move |(i, _): &(usize, &Activation)| {
            experiment.shard.is_none_or(|shard| shard.takes(*i, place, activations.len()))
        };
        let of = move |(_, activation): (usize, &Activation)| Training {
            experiment: experiment.clone(),
            activation: activation.clone(),
            seed,
        };
        activations.iter().enumerate().filter(mine).map(of)
    };
    experiment.seeds().into_iter().enumerate().flat_map(of_seed).collect()
}

/// Trains, `jobs` trainings side by side, and gives what `finished` makes of each back in their order, whatever order
/// they ended in. `trainings` are numbers by which the caller knows them.
///
/// Each is on one thread at a time and shares nothing with the others but the data: small matrix products gain little
/// from a second thread, and whole trainings gain everything. So a training gives the same bits whatever `jobs` is. Where
/// the last trainings are fewer than the threads, they and those before them take turns by epochs, so that all threads
/// end at about the same time.
///
/// `begin` makes a training's trainer when its turn comes, `observe` is told of its events, and `finished` gets its
/// network and record. After `stop` is set, trainings that have not begun are left out.
///
/// # Errors
///
/// The first of `begin` or `finished`, after which no training begins.
pub fn run<'a, R: Send, E: Send>(
    jobs: usize,
    trainings: &[usize],
    stop: &AtomicBool,
    begin: &(dyn Fn(usize) -> Result<Trainer<'a, Model>, E> + Sync),
    observe: &(dyn Fn(usize, Event) + Sync),
    finished: &(dyn Fn(usize, Run, Model) -> Result<R, E> + Sync),
) -> Result<Vec<R>, E> {
    // No trainer before a training begins.
    let tasks: Vec<(usize, Option<Trainer<Model>>)> = trainings.iter().map(|&training| (training, None)).collect();
    let turn = |(training, trainer): (usize, Option<Trainer<'a, Model>>)| {
        let trainer = match trainer {
            Some(trainer) => trainer,
            None => begin(training)?,
        };
        match trainer.epoch(stop, &mut |event: Event<'_>| observe(training, event)) {
            ControlFlow::Continue(trainer) => Ok(ControlFlow::Continue((training, Some(trainer)))),
            ControlFlow::Break((network, run)) => finished(training, run, network).map(ControlFlow::Break),
        }
    };
    let left =
        |(_, trainer): &(usize, Option<Trainer<Model>>)| trainer.as_ref().map_or(usize::MAX, Trainer::epochs_left);
    in_turns(jobs, stop, tasks, &turn, &left)
}

/// Trainings side by side: as many as asked for, or one a core on a CPU backend and one on a GPU, whose queue they would
/// share.
pub fn jobs(experiment: &Experiment, device: &Device) -> usize {
    let on_cpu = crate::backend::adapter_name(device).is_none();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    experiment.jobs.unwrap_or(if on_cpu { cores } else { 1 })
}
