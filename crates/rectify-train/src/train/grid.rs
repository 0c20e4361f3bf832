//! Every activation with every seed: trainings side by side.

use std::{collections::HashMap, num::NonZero, ops::ControlFlow, sync::atomic::AtomicBool, thread};

use burn::tensor::{DType, Device};

use super::{Event, Group, Trainer, schedule::in_turns};
use crate::{
    activation::Activation,
    data::LARGEST_ON_GPU,
    experiment::Experiment,
    network::{Model, Shape},
    record::Run,
};

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

/// Which trainings are to take their steps together, by their places: each by itself unless their experiments
/// [vectorise](Experiment::vectorise). A group is no larger than what is needed for all of `jobs` to have one, and than what
/// fits a GPU's tensors.
pub fn groups<'a>(trainings: impl IntoIterator<Item = &'a Training>, shape: Shape, jobs: usize) -> Vec<Vec<usize>> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    for (place, Training { experiment, activation, .. }) in trainings.into_iter().enumerate() {
        let group = match experiment.alike(activation) {
            Some(alike) => *known.entry(format!("{alike:?}")).or_insert(groups.len()),
            None => groups.len(),
        };
        match groups.get_mut(group) {
            Some((_, group)) => group.push(place),
            None => groups.push((most(experiment, shape), vec![place])),
        }
    }
    let in_parts = |(most, group): (usize, Vec<usize>)| {
        let size = group.len().div_ceil(jobs.max(1)).min(most);
        group.chunks(size).map(<[usize]>::to_vec).collect::<Vec<_>>()
    };
    groups.into_iter().flat_map(in_parts).collect()
}

/// How many networks fit a step.
fn most(experiment: &Experiment, shape: Shape) -> usize {
    let pixels = shape.channels * shape.height * shape.width;
    let widths: Vec<usize> = [pixels].into_iter().chain(experiment.hidden()).chain([shape.classes]).collect();
    let batch = widths.iter().map(|width| width.saturating_mul(experiment.batch_size));
    let weights = widths.windows(2).map(|pair| pair[0].saturating_mul(pair[1]));
    let largest = LARGEST_ON_GPU / DType::from(experiment.dtype).size();
    (largest / batch.chain(weights).max().unwrap_or(1).max(1)).max(1)
}

/// Trains, `jobs` groups of trainings side by side, and gives what `finished` makes of each training back in the order of
/// their numbers, by which the caller knows them.
///
/// Each group is on one thread at a time and shares nothing with the others but the data: small matrix products gain
/// little from a second thread, and whole trainings gain everything. So a training gives the same bits whatever `jobs` is.
/// Where the last groups are fewer than the threads, they and those before them take turns by epochs, so that all threads
/// end at about the same time.
///
/// `begin` makes a training's trainer when its group's turn comes, `observe` is told of its events, and `finished` gets its
/// network and record. After `stop` is set, trainings that have not begun are left out.
///
/// # Errors
///
/// The first of `begin` or `finished`, after which no training begins.
pub fn run<'a, R: Send, E: Send>(
    jobs: usize,
    groups: &[Vec<usize>],
    stop: &AtomicBool,
    begin: &(dyn Fn(usize) -> Result<Trainer<'a, Model>, E> + Sync),
    observe: &(dyn Fn(usize, Event) + Sync),
    finished: &(dyn Fn(usize, Run, Model) -> Result<R, E> + Sync),
) -> Result<Vec<R>, E> {
    struct Task<'a, R> {
        /// Its place among the groups.
        place: usize,
        /// `None` before it begins: no trainer before a training does.
        group: Option<Group<'a>>,
        ended: Vec<(usize, R)>,
    }
    let tasks = (0..groups.len()).map(|place| Task { place, group: None, ended: Vec::new() }).collect();
    let turn = |task: Task<'a, R>| {
        let Task { place, group, mut ended } = task;
        let mut group = match group {
            Some(group) => group,
            None => {
                let trainer = |&training: &usize| Ok((training, begin(training)?));
                Group::new(groups[place].iter().map(trainer).collect::<Result<_, E>>()?)
            }
        };
        for (training, network, run) in group.epoch(stop, &|training, event| observe(training, event)) {
            ended.push((training, finished(training, run, network)?));
        }
        Ok(match group.is_empty() {
            true => ControlFlow::Break(ended),
            false => ControlFlow::Continue(Task { place, group: Some(group), ended }),
        })
    };
    let left = |task: &Task<R>| task.group.as_ref().map_or(usize::MAX, Group::epochs_left);
    let mut ended: Vec<(usize, R)> = in_turns(jobs, stop, tasks, &turn, &left)?.into_iter().flatten().collect();
    ended.sort_by_key(|(training, _)| *training);
    Ok(ended.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Trainings side by side: as many as asked for, or one a core on a CPU backend and one on a GPU, whose queue they would
/// share.
pub fn jobs(experiment: &Experiment, device: &Device) -> usize {
    let on_cpu = crate::backend::adapter_name(device).is_none();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    experiment.jobs.unwrap_or(if on_cpu { cores } else { 1 })
}
