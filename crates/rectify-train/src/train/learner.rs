//! A training step, on one thread or several.

use std::{
    hint,
    sync::mpsc::{self, Receiver, Sender, TryRecvError},
    thread,
};

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    store::RecordError,
    tensor::{DType, Tensor},
};

use super::{
    progress::{Records, take},
    schedule::alone,
    update::{Measured, Parts, Updater, cast, is_finite, rounded},
};
use crate::{
    data::Batch,
    experiment::{Dtype, Experiment},
    network::{Explicit, Network},
    observe::{Probe, Trace, Update, WeightGradients},
};

/// A network that learns, a step at a time.
pub struct Learner<N> {
    replica: Replica<N>,
    /// Threads beside the caller's. Each takes a part of every batch: a join a step costs little, where a join a
    /// product would cost what it saves.
    helpers: Vec<Helper>,
}

/// What a training step leaves behind.
pub struct Step {
    /// The batch's mean loss, not yet read back.
    pub loss: Tensor<1>,
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
        let explicit = network.explicit().filter(|_| all_learn(&network));
        // The explicit path needs no graph: strip tracking.
        let network = if explicit.is_some() { network.valid() } else { network };
        let master = is_half(experiment).then(|| cast(network.valid(), DType::F32));
        let replica = Replica { network, master, explicit, updater: Updater::new(experiment) };
        Self::of(replica, experiment)
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
            true => (cast(loaded.clone(), experiment.dtype.into()), Some(cast(loaded.valid(), DType::F32))),
        };
        let explicit = network.explicit().filter(|_| all_learn(&network));
        let network = if explicit.is_some() { network.valid() } else { network };
        Ok(Self::of(Replica { network, master, explicit, updater }, experiment))
    }

    /// Weights, as exact as the optimizer has them, and the optimizer's memories.
    pub fn records(&self) -> Records {
        let Replica { network, master, updater, .. } = &self.replica;
        let weights = master.as_ref().unwrap_or(network).clone().into_record();
        std::iter::once((WEIGHTS.to_owned(), weights)).chain(updater.record()).collect()
    }

    fn of(replica: Replica<N>, experiment: &Experiment) -> Self {
        // Where no more threads can be had, those that are there do all.
        let helpers = (1..experiment.threads).map_while(|_| Helper::new(replica.apart())).collect();
        Self { replica, helpers }
    }

    /// Whether weights and all that the optimizer remembers are finite.
    pub fn is_finite(&self) -> bool {
        let Replica { network, master, updater, .. } = &self.replica;
        is_finite(master.as_ref().unwrap_or(network)) && is_finite(network) && updater.is_finite()
    }

    /// The network as it is now. It tracks no gradients where it gives [`Explicit`] ones.
    pub fn network(&self) -> &N {
        &self.replica.network
    }

    /// The network, which learns no more, tracking gradients as it did at first.
    pub fn into_network(self) -> N {
        match self.replica.explicit {
            Some(_) => self.replica.network.train(),
            None => self.replica.network,
        }
    }

    /// Forward, backward, update; with a probe, watching. The update may be measured whether the rest is watched or not.
    ///
    /// By value, as Burn's optimizers take a network: a handle that stayed behind would make them copy every weight.
    pub fn step(mut self, batch: Batch, probe: Option<&Probe>, measure_update: bool) -> (Self, Step) {
        let size = batch.labels.dims()[0];
        let helpers = &self.helpers[..self.helpers.len().min(size - 1)];
        let parts = helpers.len() + 1;
        let work = |part: usize| {
            let trace = probe.map_or_else(Trace::off, Trace::gradients);
            if parts == 1 {
                return Work { batch: batch.clone(), share: 1.0, trace };
            }
            let range = part * size / parts..(part + 1) * size / parts;
            let share = range.len() as f64 / size as f64;
            let images = batch.images.clone().slice(range.clone());
            Work { batch: Batch { images, labels: batch.labels.clone().slice(range) }, share, trace }
        };
        for (i, helper) in helpers.iter().enumerate() {
            helper.begin(Task::Part(Box::new(work(i + 1))));
        }
        let Part { mut loss, gradients, trace } = self.replica.part(work(0));
        let (mut gradients, mut watched) = (vec![gradients], vec![trace]);
        // In the order of the parts, not as they come: the last bits of a sum depend on it.
        for part in helpers.iter().map(Helper::end) {
            loss = loss + part.loss;
            gradients.push(part.gradients);
            watched.push(part.trace);
        }
        let gradients = Parts::new(gradients);
        for helper in &self.helpers {
            helper.begin(Task::Update(gradients.clone()));
        }
        if probe.is_none() {
            watched.clear();
        }
        let measured;
        (self.replica, measured) = self.replica.update(gradients, measure_update);
        let (update, weight_gradients) = measured.unzip();
        (self, Step { loss, watched, update, weight_gradients: weight_gradients.unwrap_or_default() })
    }
}

/// A thread's own network and all that it learns by. All of them take the same updates, so they stay the same to the
/// bit, and no weight travels from one processor's cache to another's.
struct Replica<N> {
    network: N,
    /// Of a network in a half type, the same weights in f32: small updates would be lost in the rounding of large
    /// weights (Micikevicius et al. 2018, *Mixed precision training*, section 3.1).
    master: Option<N>,
    explicit: Option<Explicit<N>>,
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
        Self { network, master: self.master.clone(), explicit: self.explicit, updater: self.updater.clone() }
    }

    fn part(&self, Work { batch, share, mut trace }: Work) -> Part {
        let (loss, gradients) = match self.explicit {
            Some(explicit) => explicit(&self.network, batch, share, &mut trace),
            None => by_autodiff(&self.network, batch, share, &mut trace),
        };
        Part { loss, gradients, trace }
    }

    fn update(mut self, parts: Parts, measure: bool) -> (Self, Option<Measured>) {
        let measured;
        match self.master {
            None => (self.network, measured) = self.updater.step(self.network, parts, measure),
            Some(master) => {
                let (master, of_master) = self.updater.step(master, parts.cast(&self.network, DType::F32), measure);
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
    shared_gradients(network, batch, 1.0, trace)
}

/// [`gradients`] of a batch that is a share of a larger one: of share · objective.
pub fn shared_gradients<N: Network>(
    network: &N,
    batch: Batch,
    share: f64,
    trace: &mut Trace,
) -> (Tensor<1>, GradientsParams) {
    match network.explicit() {
        Some(explicit) => explicit(network, batch, share, trace),
        None => by_autodiff(network, batch, share, trace),
    }
}

/// What [`Explicit`] gives, for any network that tracks gradients.
fn by_autodiff<N: Network>(network: &N, batch: Batch, share: f64, trace: &mut Trace) -> (Tensor<1>, GradientsParams) {
    let mut loss = network.objective(batch, trace);
    if share < 1.0 {
        loss = loss * share;
    }
    let mut all = loss.backward();
    trace.take_gradients(&all);
    let gradients = GradientsParams::from_module(&mut all, network);
    (loss.without_autodiff(), gradients)
}

/// Whether no parameter is frozen.
fn all_learn<N: Module>(network: &N) -> bool {
    struct All(bool);
    impl ModuleVisitor for All {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 &= param.is_require_grad();
        }
    }
    let mut all = All(true);
    network.visit(&mut all);
    all.0
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
    /// An update by the gradients of all parts.
    Update(Parts),
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
                    Task::Update(gradients) => (replica, _) = replica.update(gradients, false),
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

/// Spins briefly before blocking: to sleep and be woken takes longer than what the other thread does meanwhile.
fn receive<T>(from: &Receiver<T>) -> Option<T> {
    for _ in 0..1 << 14 {
        match from.try_recv() {
            Err(TryRecvError::Empty) => hint::spin_loop(),
            received => return received.ok(),
        }
    }
    from.recv().ok()
}
