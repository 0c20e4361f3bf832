//! Every activation with every seed: trainings side by side.

use std::{num::NonZero, ops::ControlFlow, sync::atomic::AtomicBool, thread};

use burn::tensor::Device;

use super::{Event, Trainer, schedule::in_turns, total_steps};
use crate::{
    activation::Activation,
    data::{Dataset, DeviceDataset},
    experiment::Experiment,
    network::{Model, Shape},
    record::Run,
};

/// What one training of a grid is.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Its activation.
    pub activation: Activation,
    /// Its seed.
    pub seed: u64,
}

/// The trainings of an experiment, activations of one seed beside each other.
pub fn cells(experiment: &Experiment) -> Vec<Cell> {
    let seeds = experiment.seeds();
    let of_seed =
        |seed| experiment.activations.iter().map(move |activation| Cell { activation: activation.clone(), seed });
    seeds.into_iter().flat_map(of_seed).collect()
}

/// Training steps of the whole grid, for a progress bar.
pub fn grid_steps(experiment: &Experiment, data: &Dataset) -> usize {
    cells(experiment).len().saturating_mul(total_steps(experiment, data.train.len()))
}

/// Trains every cell, and gives the runs back in the order of [`cells`] whatever order they ended in.
///
/// `experiment.jobs` trainings run side by side, each on one thread at a time and sharing nothing with the others but the
/// data: small matrix products gain little from a second thread, and whole trainings gain everything. So a training
/// gives the same bits whatever `jobs` is. Where the last trainings are fewer than the threads, they and those before
/// them take turns by epochs, so that all threads end at about the same time.
///
/// `observe` is told of every cell's events, and `finished` gets its network; an error of `finished` ends the grid.
/// After `stop` is set, cells that have not begun are left out.
///
/// # Errors
///
/// Whatever `finished` returned first.
pub fn run<E: Send>(
    experiment: &Experiment,
    shape: Shape,
    data: &DeviceDataset,
    stop: &AtomicBool,
    observe: &(dyn Fn(&Cell, Event) + Sync),
    finished: &(dyn Fn(&Cell, &Run, Model) -> Result<(), E> + Sync),
) -> Result<Vec<Run>, E> {
    let device = data.train.device();
    // No trainer before a training begins.
    let tasks: Vec<(Cell, Option<Trainer<Model>>)> = cells(experiment).into_iter().map(|cell| (cell, None)).collect();
    let turn = |(cell, trainer): (Cell, _)| {
        let observe_cell = &mut |event: Event<'_>| observe(&cell, event);
        let trainer = match trainer {
            Some(trainer) => trainer,
            None => {
                let network = Model::new(experiment, &cell.activation, shape, cell.seed, &device.clone().autodiff());
                Trainer::begin(network, &cell.activation, cell.seed, experiment, data, observe_cell)
            }
        };
        match trainer.epoch(stop, observe_cell) {
            ControlFlow::Continue(trainer) => Ok(ControlFlow::Continue((cell, Some(trainer)))),
            ControlFlow::Break((network, run)) => {
                finished(&cell, &run, network)?;
                Ok(ControlFlow::Break(run))
            }
        }
    };
    let left =
        |(_, trainer): &(Cell, Option<Trainer<Model>>)| trainer.as_ref().map_or(usize::MAX, Trainer::epochs_left);
    in_turns(jobs(experiment, &device), stop, tasks, &turn, &left)
}

/// Trainings side by side: as many as asked for, or one a processor on a CPU backend and one on a GPU, whose queue
/// they would share.
pub fn jobs(experiment: &Experiment, device: &Device) -> usize {
    let on_cpu = crate::backend::adapter_name(device).is_none();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    experiment.jobs.unwrap_or(if on_cpu { processors } else { 1 })
}
