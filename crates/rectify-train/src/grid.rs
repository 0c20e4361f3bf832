//! Every activation with every seed: trainings side by side.

use std::{
    collections::VecDeque,
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use burn::tensor::Device;

use crate::{
    activation::Activation,
    data::{Dataset, DeviceDataset},
    experiment::Experiment,
    model::{Model, Shape},
    results::Run,
    train::{Event, total_steps, train},
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
/// `experiment.jobs` trainings run [`side_by_side`], each on a thread of its own that shares nothing with the others but
/// the data: small matrix products gain little from a second thread, and whole trainings gain everything. So a
/// training gives the same bits whatever `jobs` is.
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
    side_by_side(jobs(experiment, &device), stop, &cells(experiment), &|cell| {
        let network = Model::new(experiment, &cell.activation, shape, cell.seed, &device.clone().autodiff());
        let observe_cell = &mut |event: Event<'_>| observe(cell, event);
        let (network, run) = train(network, &cell.activation, cell.seed, experiment, data, stop, observe_cell);
        finished(cell, &run, network)?;
        Ok(run)
    })
}

/// Does `work` for every item, `jobs` of them at a time, each on a thread with a pool of one thread for the matrix
/// products of Burn's CPU backends. Gives the outcomes back in the order of the items.
///
/// The first error sets `stop`. After `stop` is set, by whomever, items that have not begun are left out.
///
/// # Errors
///
/// Whatever `work` returned first.
pub fn side_by_side<T: Sync, R: Send, E: Send>(
    jobs: usize,
    stop: &AtomicBool,
    items: &[T],
    work: &(dyn Fn(&T) -> Result<R, E> + Sync),
) -> Result<Vec<R>, E> {
    let queue: Mutex<VecDeque<(usize, &T)>> = Mutex::new(items.iter().enumerate().collect());
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    let failure: Mutex<Option<E>> = Mutex::new(None);
    // The locks are held for a push or a pop, which do not panic.
    fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    let worker = || {
        while !stop.load(Ordering::Relaxed) {
            let Some((i, item)) = lock(&queue).pop_front() else {
                break;
            };
            match work(item) {
                Ok(outcome) => lock(&done).push((i, outcome)),
                Err(error) => {
                    lock(&failure).get_or_insert(error);
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.min(items.len()) {
            scope.spawn(|| alone(worker));
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Does `work` in a pool of one thread, this one: Burn's CPU backends split a product over the threads of the pool that
/// they are called in.
pub(crate) fn alone(work: impl FnOnce() + Send) {
    match rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() {
        Ok(pool) => pool.install(work),
        // No pool of its own: slower, not wrong.
        Err(_) => work(),
    }
}

/// Trainings side by side: as many as asked for, or one a processor on a CPU backend and one on a GPU, whose queue
/// they would share.
pub fn jobs(experiment: &Experiment, device: &Device) -> usize {
    let on_cpu = crate::backend::adapter_name(device).is_none();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    experiment.jobs.unwrap_or(if on_cpu { processors } else { 1 })
}
