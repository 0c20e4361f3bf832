//! The update rules of momentum, Adam and AdamW, and their state.
//!
//! Written here and not taken from Burn, whose optimizers keep β, ε and decay in f32 whatever the weights' type, read
//! their state back in the default type of the default device (so an f64 training could not be resumed to the bit, nor
//! any on a machine without the default device), and have no place for the norm of what a step did.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    optim::GradientsParams,
    store::{ModuleRecord, RecordError},
    tensor::Tensor,
};

use super::{
    batched::own,
    update::{Rate, with_value},
};
use crate::experiment::{Experiment, OptimizerKind};

/// An experiment's optimizer and what it remembers.
#[derive(Debug, Clone)]
pub struct Optimizer {
    rule: Rule,
    weight_decay: f64,
    /// Steps taken.
    time: i32,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum Rule {
    /// w ← w − η (g + λ w).
    Sgd,
    /// v ← μ v + g + λ w, w ← w − η v: without dampening, as papers and PyTorch have it.
    Momentum(f64),
    /// Kingma and Ba 2015, *Adam: a method for stochastic optimization*, with λ w in the gradient.
    Adam,
    /// Loshchilov and Hutter 2019, *Decoupled weight decay regularization*: w ← (1 − η λ) w before Adam's step.
    AdamW,
}

/// Adam's, as in the paper and in PyTorch.
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// A network's memories of past gradients, flattened, in the order of its parameters. Empty before the first step.
#[derive(Module, Debug)]
struct State {
    /// Momentum's velocity, Adam's mean of gradients.
    first: Vec<Param<Tensor<1>>>,
    /// Adam's mean of their squares.
    second: Vec<Param<Tensor<1>>>,
}

impl Optimizer {
    pub fn new(experiment: &Experiment) -> Self {
        let rule = match experiment.optimizer {
            OptimizerKind::Sgd => Rule::Sgd,
            OptimizerKind::Momentum => Rule::Momentum(experiment.momentum()),
            OptimizerKind::Adam => Rule::Adam,
            OptimizerKind::AdamW => Rule::AdamW,
        };
        let state = State { first: Vec::new(), second: Vec::new() };
        Self { rule, weight_decay: experiment.weight_decay, time: 0, state }
    }

    /// That of several networks side by side, whose own these are: of one rule, after as many steps. `None` of none.
    pub fn together(optimizers: &[&Self]) -> Option<Self> {
        let first = *optimizers.first()?;
        let join = |memories: fn(&State) -> &[Param<Tensor<1>>]| {
            let count = memories(&first.state).len();
            let of_place = |place: usize| optimizers.iter().map(move |one| memories(&one.state)[place].val());
            (0..count).map(|place| memory(Tensor::cat(of_place(place).collect(), 0))).collect()
        };
        let state = State { first: join(|state| &state.first), second: join(|state| &state.second) };
        Some(Self { state, ..first.clone() })
    }

    /// The one at `place` of so many that this is [made of](Self::together).
    pub fn apart(&self, place: usize, count: usize) -> Self {
        let own = |memories: &[Param<Tensor<1>>]| {
            let own = |all: &Param<Tensor<1>>| {
                let values = all.dims()[0] / count;
                memory(own(all.val().narrow(0, place * values, values)))
            };
            memories.iter().map(own).collect()
        };
        let state = State { first: own(&self.state.first), second: own(&self.state.second) };
        Self { state, ..*self }
    }

    /// A step by `gradients` at a learning rate. Parameters without a gradient stay.
    pub fn step<N: Module>(&mut self, network: N, gradients: GradientsParams, lr: &Rate) -> N {
        self.remember(&network);
        self.time = self.time.saturating_add(1);
        network.map(&mut Step { optimizer: self, gradients, lr, place: 0 })
    }

    /// Memories of zeros where there are none yet.
    fn remember<N: Module>(&mut self, network: &N) {
        struct Zeros(Vec<Param<Tensor<1>>>);
        impl ModuleVisitor for Zeros {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let weight = param.val().without_autodiff();
                let zeros = Tensor::zeros([weight.shape().num_elements()], (&weight.device(), weight.dtype()));
                self.0.push(memory(zeros));
            }
        }
        let zeros = || {
            let mut zeros = Zeros(Vec::new());
            network.visit(&mut zeros);
            zeros.0
        };
        let (first, second) = match self.rule {
            Rule::Sgd => (false, false),
            Rule::Momentum(_) => (true, false),
            Rule::Adam | Rule::AdamW => (true, true),
        };
        if first && self.state.first.is_empty() {
            self.state.first = zeros();
        }
        if second && self.state.second.is_empty() {
            self.state.second = zeros();
        }
    }

    /// What it remembers.
    pub fn record(&self) -> ModuleRecord {
        self.state.clone().into_record()
    }

    /// As it was after `time` steps of `network`, from what [`record`](Self::record) gave.
    pub fn load<N: Module>(mut self, record: ModuleRecord, time: usize, network: &N) -> Result<Self, RecordError> {
        self.time = i32::try_from(time).unwrap_or(i32::MAX);
        if time > 0 {
            self.remember(network);
            self.state = self.state.try_load_record(record)?;
        }
        Ok(self)
    }

    /// Whether all that it remembers is finite: the square of a gradient may not be, where the gradient is.
    pub fn is_finite(&self) -> bool {
        super::update::is_finite(&self.state)
    }
}

struct Step<'a> {
    optimizer: &'a mut Optimizer,
    gradients: GradientsParams,
    lr: &'a Rate,
    place: usize,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let place = self.place;
        self.place += 1;
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let lr = self.lr;
        let Optimizer { rule, weight_decay, time, state } = &mut *self.optimizer;
        with_value(param, |weight| {
            let decayed = |gradient: Tensor<D>| match *weight_decay {
                0.0 => gradient,
                decay => gradient + weight.clone() * decay,
            };
            match *rule {
                Rule::Sgd => weight.clone() - lr.times(decayed(gradient), 1.0),
                Rule::Momentum(momentum) => {
                    let velocity = recall(&mut state.first[place], decayed(gradient), |velocity, gradient| {
                        velocity * momentum + gradient
                    });
                    weight - lr.times(velocity, 1.0)
                }
                Rule::Adam => adam(weight.clone(), decayed(gradient), lr, *time, state, place),
                Rule::AdamW => adam(lr.decay(weight, *weight_decay), gradient, lr, *time, state, place),
            }
        })
    }
}

fn adam<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<D>,
    lr: &Rate,
    time: i32,
    state: &mut State,
    place: usize,
) -> Tensor<D> {
    let mean = recall(&mut state.first[place], gradient.clone(), |mean, gradient| {
        mean * BETAS[0] + gradient * (1.0 - BETAS[0])
    });
    let square =
        recall(&mut state.second[place], gradient.square(), |mean, square| mean * BETAS[1] + square * (1.0 - BETAS[1]));
    // Both memories begin at 0; this takes that out of their means.
    let [mean_share, square_share] = BETAS.map(|beta| 1.0 - beta.powi(time));
    weight - lr.times(mean, mean_share) / ((square / square_share).sqrt() + EPSILON)
}

fn memory(values: Tensor<1>) -> Param<Tensor<1>> {
    Param::from_tensor(values).set_require_grad(false)
}

/// Updates a memory by something new and gives it back.
fn recall<const D: usize>(
    memory: &mut Param<Tensor<1>>,
    new: Tensor<D>,
    update: impl FnOnce(Tensor<1>, Tensor<1>) -> Tensor<1>,
) -> Tensor<D> {
    let dims = new.dims();
    let flat = [new.shape().num_elements()];
    let empty = Tensor::empty([0], (&new.device(), new.dtype()));
    let old = std::mem::replace(memory, self::memory(empty));
    let (id, old, mapper) = old.consume();
    let updated = update(old, new.reshape(flat));
    *memory = Param::from_mapped_value(id, updated.clone(), mapper);
    updated.reshape(dims)
}
