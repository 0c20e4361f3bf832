//! A training step, on one thread or several.

use std::{
    hint,
    sync::mpsc::{self, Receiver, Sender, TryRecvError},
    thread,
};

use burn::{
    optim::GradientsParams,
    store::RecordError,
    tensor::{DType, Tensor},
};

use super::{
    progress::{Records, take},
    schedule::alone,
    statistics::{MOMENTUM, follow},
    update::{Measured, Parts, Rate, Updater, cast, is_finite, rounded},
};
use crate::{
    data::Batch,
    experiment::{Dtype, Experiment},
    network::{Network, Pass, backward, needs_graph, outputs},
    observe::{Parameters, Probe, Statistics, Trace, Training, Update, WeightGradients, parameters},
    record::Divergence,
};

/// A network that learns, a step at a time.
pub struct Learner<N> {
    replica: Replica<N>,
    /// Whether the network tracked gradients and no longer does, as it needs no graph.
    stripped: bool,
    /// Of dropout.
    seed: u64,
    /// Steps taken.
    steps: usize,
    lr: f64,
    /// Threads beside the caller's. Each takes a part of every batch: a join a step costs little, where a join a
    /// product would cost what it saves.
    helpers: Vec<Helper>,
}

/// What a training step leaves behind.
pub struct Step {
    /// The batch's mean loss, not yet read back.
    pub loss: Tensor<1>,
    /// The network's parameters that it was taken from. Empty where nobody watched.
    pub parameters: Parameters,
    /// What was watched, part by part of the batch. Empty where nobody watched.
    pub watched: Vec<Trace>,
    /// What the step did to the weights, if that was to be measured.
    pub update: Option<Update>,
    /// By which gradients of the whole batch, before clipping; measured where the update is, and else empty.
    pub weight_gradients: WeightGradients,
}

impl<N: Network> Learner<N> {
    /// `network` must track gradients.
    pub fn new(network: N, experiment: &Experiment) -> Self {
        let master = is_half(experiment).then(|| cast(network.valid(), DType::F32));
        Self::of(network, master, Updater::new(experiment), experiment, 0)
    }

    /// The same with dropout by a seed; without it, by seed 0.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Takes the steps that follow at a learning rate; the first ones are taken at the experiment's.
    pub fn set_learning_rate(&mut self, lr: f64) {
        self.lr = lr;
    }

    /// As it was after so many `steps`, from what [`records`](Self::records) gave.
    ///
    /// `fresh` is a network of the same shape that tracks gradients, in the experiment's type.
    ///
    /// # Errors
    ///
    /// The records are not those of such a network and optimizer.
    pub fn load(fresh: N, experiment: &Experiment, records: &mut Records, steps: usize) -> Result<Self, RecordError> {
        // Loaded parameters keep the type that they were written in: for half types, f32.
        let loaded = fresh.try_load_record(take(records, WEIGHTS)?)?;
        let updater = Updater::new(experiment).load(records, steps, &loaded)?;
        let (network, master) = match is_half(experiment) {
            false => (loaded, None),
            true => (cast(loaded.clone(), experiment.dtype.into()), Some(loaded.valid())),
        };
        Ok(Self::of(network, master, updater, experiment, steps))
    }

    /// Weights, as exact as the optimizer has them, and the optimizer's memories.
    pub fn records(&self) -> Records {
        let Replica { network, master, updater, .. } = &self.replica;
        let weights = master.as_ref().unwrap_or(network).clone().into_record();
        std::iter::once((WEIGHTS.to_owned(), weights)).chain(updater.record()).collect()
    }

    fn of(network: N, master: Option<N>, updater: Updater, experiment: &Experiment, steps: usize) -> Self {
        // The explicit path needs no graph: strip tracking.
        let stripped = !needs_graph(&network);
        let network = if stripped { network.valid() } else { network };
        let replica = Replica { network, master, updater };
        // Where no more threads can be had, those that are there do all.
        let helpers = (1..experiment.threads).map_while(|_| Helper::new(replica.apart())).collect();
        Self { replica, stripped, seed: 0, steps, lr: experiment.learning_rate(), helpers }
    }

    /// Sets running means and variances, if the network has any, to those of a batch.
    pub(super) fn calibrate(mut self, batch: Batch) -> Self {
        let mut trace = Trace::off().in_training(Training::new(self.seed, self.steps, 0));
        outputs(&self.replica.network.valid(), batch.images, &mut trace);
        self.replica = self.replica.follow(trace.take_statistics(), 1.0);
        self
    }

    /// What of the optimizer and, unless that is known, of the network is not finite any more, if anything is.
    pub fn divergence(&self, of_network: bool) -> Option<Divergence> {
        let Replica { network, updater, .. } = &self.replica;
        if of_network && !is_finite(network) {
            return Some(Divergence::Weights);
        }
        // A gradient that is not finite, or whose square is not, stays in its memories, and no step is taken any more.
        (!updater.is_finite()).then_some(Divergence::Gradient)
    }

    /// The network as it is now. It tracks no gradients where it does not [need a graph](needs_graph).
    pub fn network(&self) -> &N {
        &self.replica.network
    }

    /// The network, which learns no more, tracking gradients as it did at first.
    pub fn into_network(self) -> N {
        match self.stripped {
            true => self.replica.network.train(),
            false => self.replica.network,
        }
    }

    /// The network and how it is updated, where that is by one thread and in the type of its weights: what can be done for
    /// several learners together.
    pub(super) fn alone(&self) -> Option<(&N, &Updater)> {
        let Replica { network, master, updater } = &self.replica;
        (master.is_none() && self.helpers.is_empty()).then_some((network, updater))
    }

    /// The same after so many steps more, [taken elsewhere](Self::alone).
    pub(super) fn after(self, steps: usize, update: impl FnOnce(N) -> (N, Updater)) -> Self {
        let (network, updater) = update(self.replica.network);
        let replica = Replica { network, master: None, updater };
        Self { replica, steps: self.steps + steps, ..self }
    }

    /// Forward, backward, update; with a probe, watching. The update may be measured whether the rest is watched or not.
    ///
    /// By value, as Burn's optimizers take a network: a handle that stayed behind would make them copy every weight.
    pub fn step(mut self, batch: Batch, probe: Option<&Probe>, measure_update: bool) -> (Self, Step) {
        let size = batch.labels.dims()[0];
        let helpers = &self.helpers[..self.helpers.len().min(size - 1)];
        let parts = helpers.len() + 1;
        let work = |part: usize| {
            let range = part * size / parts..(part + 1) * size / parts;
            let trace = probe.map_or_else(Trace::off, Trace::gradients);
            let trace = trace.in_training(Training::new(self.seed, self.steps, range.start));
            if parts == 1 {
                return Work { batch: batch.clone(), share: 1.0, trace };
            }
            let share = range.len() as f64 / size as f64;
            let images = batch.images.clone().slice(range.clone());
            Work { batch: Batch { images, labels: batch.labels.clone().slice(range) }, share, trace }
        };
        for (i, helper) in helpers.iter().enumerate() {
            helper.begin(Task::Part(Box::new(work(i + 1))));
        }
        let Part { mut loss, gradients, mut trace } = self.replica.part(work(0));
        // Only one part: batch normalisation is refused where several threads share a batch.
        let statistics = trace.take_statistics();
        let (mut gradients, mut watched) = (vec![gradients], vec![trace]);
        // In the order of the parts, not as they come: the last bits of a sum depend on it.
        for part in helpers.iter().map(Helper::end) {
            loss = loss + part.loss;
            gradients.push(part.gradients);
            watched.push(part.trace);
        }
        let gradients = Parts::new(gradients);
        for helper in &self.helpers {
            helper.begin(Task::Update(gradients.clone(), self.lr));
        }
        if probe.is_none() {
            watched.clear();
        }
        let parameters = probe.map(|_| parameters(&self.replica.network)).unwrap_or_default();
        let measured;
        (self.replica, measured) = self.replica.update(gradients, self.lr, measure_update);
        self.replica = self.replica.follow(statistics, MOMENTUM);
        self.steps += 1;
        let (update, weight_gradients) = measured.unzip();
        (self, Step { loss, parameters, watched, update, weight_gradients: weight_gradients.unwrap_or_default() })
    }
}

/// A thread's own network and all that it learns by. All of them take the same updates, so they stay the same to the
/// bit, and no weight travels from one processor's cache to another's.
struct Replica<N> {
    network: N,
    /// Of a network in a half type, the same weights in f32: small updates would be lost in the rounding of large
    /// weights (Micikevicius et al. 2018, *Mixed precision training*, section 3.1).
    master: Option<N>,
    updater: Updater,
}

impl<N: Network> Replica<N> {
    /// A second one for another thread.
    fn apart(&self) -> Self {
        let network = self.network.clone();
        // A fork has a graph of its own; on clones the threads would wait for each other at one graph.
        let network = match self.network.devices().first() {
            Some(device) => network.fork(device),
            None => network,
        };
        Self { network, master: self.master.clone(), updater: self.updater.clone() }
    }

    fn part(&self, Work { batch, share, mut trace }: Work) -> Part {
        let Pass { objective, gradients, .. } = backward(&self.network, batch, share, &mut trace);
        Part { loss: objective, gradients, trace }
    }

    /// Moves running means and variances towards a batch's.
    fn follow(self, statistics: Statistics, momentum: f64) -> Self {
        match self.master {
            _ if statistics.is_empty() => self,
            None => Self { network: follow(self.network, statistics, momentum), ..self },
            Some(master) => {
                let master = follow(master, statistics, momentum);
                Self { network: rounded(self.network, &master), master: Some(master), ..self }
            }
        }
    }

    fn update(mut self, parts: Parts, lr: f64, measure: bool) -> (Self, Option<Measured>) {
        let lr = &Rate::Same(lr);
        let measured;
        match self.master {
            None => (self.network, measured) = self.updater.step(self.network, parts, lr, measure),
            Some(master) => {
                let parts = parts.cast(&self.network, DType::F32);
                let (master, of_master) = self.updater.step(master, parts, lr, measure);
                self.network = rounded(self.network, &master);
                self.master = Some(master);
                measured = of_master;
            }
        }
        (self, measured)
    }
}

/// A batch's mean loss and its gradients, watched by `trace`.
pub fn gradients<N: Network>(network: &N, batch: Batch, trace: &mut Trace) -> (Tensor<1>, GradientsParams) {
    let pass = backward(network, batch, 1.0, trace);
    (pass.objective, pass.gradients)
}

fn is_half(experiment: &Experiment) -> bool {
    matches!(experiment.dtype, Dtype::F16 | Dtype::Bf16)
}

const WEIGHTS: &str = "weights";

/// A part of a batch.
struct Work {
    batch: Batch,
    /// Which part of the batch's samples it has.
    share: f64,
    trace: Trace,
}

/// What forward and backward make of it.
struct Part {
    loss: Tensor<1>,
    gradients: GradientsParams,
    trace: Trace,
}

/// What a helper is to do.
enum Task {
    /// Forward and backward.
    Part(Box<Work>),
    /// An update by the gradients of all parts, at a learning rate.
    Update(Parts, f64),
}

/// A thread for a part of every batch.
struct Helper {
    tasks: Sender<Task>,
    parts: Receiver<Part>,
}

impl Helper {
    fn new<N: Network>(mut replica: Replica<N>) -> Option<Self> {
        let (tasks, incoming) = mpsc::channel();
        let (outgoing, parts) = mpsc::channel();
        let serve = move || {
            while let Some(task) = receive(&incoming) {
                match task {
                    Task::Update(gradients, lr) => (replica, _) = replica.update(gradients, lr, false),
                    Task::Part(work) => {
                        if outgoing.send(replica.part(*work)).is_err() {
                            break;
                        }
                    }
                }
            }
        };
        // It ends when the learner does, whose end of the channel it waits at.
        thread::Builder::new().name("step".to_owned()).spawn(|| alone(serve)).ok()?;
        Some(Self { tasks, parts })
    }

    fn begin(&self, task: Task) {
        // An error means that the thread panicked: `end` tells.
        let _ = self.tasks.send(task);
    }

    fn end(&self) -> Part {
        receive(&self.parts).expect("a helping thread ends early only by a panic, which goes on here")
    }
}

/// Spins briefly before blocking: to sleep and be woken takes longer than what the other thread does meanwhile. No longer,
/// since where another program has its core, that thread can only come to this one.
fn receive<T>(from: &Receiver<T>) -> Option<T> {
    for _ in 0..1 << 10 {
        match from.try_recv() {
            Err(TryRecvError::Empty) => hint::spin_loop(),
            received => return received.ok(),
        }
    }
    from.recv().ok()
}
