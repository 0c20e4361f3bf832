//! From the gradients of a batch's parts to new weights.

use std::sync::{Arc, Mutex, PoisonError};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    optim::{
        AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig, decay::WeightDecayConfig,
        momentum::MomentumConfig,
    },
    tensor::{DType, Tensor},
};
use pulp::{Arch, NullaryFnOnce};

use crate::{
    experiment::{Experiment, OptimizerKind},
    memory::in_memory,
};

/// The gradients of a batch's parts, for all threads to read. A clone is a handle.
#[derive(Clone)]
pub struct Parts(Arc<Mutex<Vec<GradientsParams>>>);

impl Parts {
    pub fn new(parts: Vec<GradientsParams>) -> Self {
        Self(Arc::new(Mutex::new(parts)))
    }

    /// A parameter's gradient in each part, in their order.
    fn of<const D: usize>(&self, id: ParamId) -> Vec<Tensor<D>> {
        // Whoever reads handles leaves them as they were, panic or not.
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().filter_map(|part| part.get(id)).collect()
    }

    /// The sum over the parts, in their order.
    pub fn sum<N: Module>(&self, network: &N) -> GradientsParams {
        struct Sum<'a> {
            parts: &'a Parts,
            total: GradientsParams,
        }
        impl ModuleVisitor for Sum<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let gradients = self.parts.of::<D>(param.id).into_iter();
                if let Some(sum) = gradients.reduce(|sum, gradient| sum + gradient) {
                    self.total.register(param.id, sum);
                }
            }
        }
        let mut sum = Sum { parts: self, total: GradientsParams::new() };
        network.visit(&mut sum);
        sum.total
    }
}

/// An experiment's optimizer with its learning rate and clipping.
#[derive(Clone)]
pub struct Updater {
    /// `None` for plain gradient descent, which is one pass over every weight.
    optimizer: Option<ModuleOptimizer>,
    lr: f64,
    clip_norm: Option<f64>,
}

impl Updater {
    pub fn new(experiment: &Experiment) -> Self {
        let plain = experiment.optimizer == OptimizerKind::Sgd && experiment.weight_decay == 0.0;
        Self {
            optimizer: (!plain).then(|| optimizer(experiment)),
            lr: experiment.learning_rate(),
            clip_norm: experiment.clip_norm,
        }
    }

    /// The network after a step by the sum of `parts`.
    pub fn step<N: Module>(&mut self, network: N, parts: Parts) -> N {
        let parts = match self.clip_norm {
            Some(norm) => Parts::new(vec![clip(&network, parts.sum(&network), norm)]),
            None => parts,
        };
        match &mut self.optimizer {
            None => network.map(&mut Descent { lr: self.lr, parts }),
            Some(optimizer) => {
                let gradients = parts.sum(&network);
                // Burn's optimizers take only what could be part of a graph, and give that back.
                let mut lift = Lift { lifted: false };
                let network = optimizer.step(self.lr, network.map(&mut lift), gradients);
                if lift.lifted { network.valid() } else { network }
            }
        }
    }
}

struct Lift {
    lifted: bool,
}

impl ModuleMapper for Lift {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.lifted |= !param.val().is_autodiff();
        param.map(Tensor::autodiff)
    }
}

/// Burn's optimizer with the conventions that papers and PyTorch share: no dampening, ε = 1e-8.
fn optimizer(experiment: &Experiment) -> ModuleOptimizer {
    let decay = (experiment.weight_decay > 0.0).then(|| WeightDecayConfig::new(experiment.weight_decay as f32));
    match experiment.optimizer {
        OptimizerKind::Sgd => SgdConfig::new().with_weight_decay(decay).init(),
        OptimizerKind::Momentum => {
            let momentum = MomentumConfig::new().with_momentum(experiment.momentum).with_dampening(0.0);
            SgdConfig::new().with_weight_decay(decay).with_momentum(Some(momentum)).init()
        }
        OptimizerKind::Adam => AdamConfig::new().with_epsilon(1e-8).with_weight_decay(decay).init(),
        OptimizerKind::AdamW => {
            AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(experiment.weight_decay as f32).init()
        }
    }
}

/// Gradient descent, w − η Σ g, as Burn's SGD computes it from the sum over the parts, to the bit.
struct Descent {
    lr: f64,
    parts: Parts,
}

impl ModuleMapper for Descent {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, weight, mapper) = param.consume();
        let gradients: Vec<Tensor<D>> = self.parts.of(id);
        let weight = match gradients.is_empty() {
            true => weight,
            false => {
                let (tracked, strategy) = (weight.is_autodiff(), weight.gradient_checkpointing_strategy());
                let mut weight = descend(weight.without_autodiff(), gradients, self.lr);
                if tracked {
                    weight = weight.autodiff();
                    if let Some(strategy) = strategy {
                        weight = weight.with_gradient_checkpointing_strategy(strategy);
                    }
                    weight = weight.require_grad();
                }
                weight
            }
        };
        Param::from_mapped_value(id, weight, mapper)
    }
}

fn descend<const D: usize>(weight: Tensor<D>, gradients: Vec<Tensor<D>>, lr: f64) -> Tensor<D> {
    let tensors: Vec<&Tensor<D>> = std::iter::once(&weight).chain(&gradients).collect();
    if in_memory(&tensors, |_| ()).is_none() {
        return match gradients.into_iter().reduce(|sum, gradient| sum + gradient) {
            Some(sum) => weight - sum * lr,
            None => weight,
        };
    }
    let device = weight.device();
    // The weight's own memory, unless another handle shares it.
    let mut data = weight.into_data();
    let weights = data.as_mut_slice().expect("`in_memory` gives f32 only");
    let gradients: Vec<&Tensor<D>> = gradients.iter().collect();
    in_memory(&gradients, |gradients| Arch::new().dispatch(OnePass { weights, gradients, lr: lr as f32 }));
    Tensor::from_data(data, (&device, DType::F32))
}

// A functor and not a closure, which the compiler need not inline into the code for the processor's vectors.
struct OnePass<'a> {
    weights: &'a mut [f32],
    gradients: &'a [&'a [f32]],
    lr: f32,
}

impl NullaryFnOnce for OnePass<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { weights, gradients, lr } = self;
        match gradients {
            [] => {}
            [gradient] => {
                for (w, g) in weights.iter_mut().zip(*gradient) {
                    *w -= *g * lr;
                }
            }
            [first, second] => {
                for ((w, g), h) in weights.iter_mut().zip(*first).zip(*second) {
                    *w -= (*g + *h) * lr;
                }
            }
            [first, others @ ..] => {
                for (i, (w, g)) in weights.iter_mut().zip(*first).enumerate() {
                    *w -= others.iter().fold(*g, |sum, other| sum + other[i]) * lr;
                }
            }
        }
    }
}

/// Scales all gradients together so that their L2 norm is at most `max_norm` (Pascanu et al. 2013).
///
/// Burn's own clipping takes each parameter by itself, which changes the gradient's direction.
fn clip<N: Module>(network: &N, gradients: GradientsParams, max_norm: f64) -> GradientsParams {
    struct SquaredNorm<'a>(&'a GradientsParams, Option<Tensor<1>>);
    impl ModuleVisitor for SquaredNorm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                let square = gradient.cast(DType::F32).square().sum();
                self.1 = Some(self.1.take().map_or(square.clone(), |sum| sum + square));
            }
        }
    }
    struct Scale(GradientsParams, Tensor<1>);
    impl ModuleVisitor for Scale {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                let scale = self.1.clone().cast(gradient.dtype()).reshape([1; D]);
                self.0.register(param.id, gradient * scale);
            }
        }
    }
    let mut norm = SquaredNorm(&gradients, None);
    network.visit(&mut norm);
    let Some(square) = norm.1 else {
        return gradients;
    };
    let scale = (square.sqrt() + 1e-12).recip() * max_norm;
    let mut scaled = Scale(gradients, scale.clamp_max(1.0));
    network.visit(&mut scaled);
    scaled.0
}

#[cfg(test)]
mod tests {
    use burn::{
        nn::{Linear, LinearConfig},
        tensor::{Device, Distribution},
    };

    use super::*;

    /// A layer's gradients as so many parts of a batch might give them.
    fn parts(layer: &Linear, count: usize) -> Vec<GradientsParams> {
        let bias = layer.bias.as_ref().expect("a linear layer has a bias by default");
        let part = || {
            let mut part = GradientsParams::new();
            let device = layer.weight.device();
            let random = Distribution::Normal(0.0, 1.0);
            part.register(layer.weight.id, Tensor::<2>::random(layer.weight.shape(), random, &device).inner());
            part.register(bias.id, Tensor::<1>::random(bias.shape(), random, &device).inner());
            part
        };
        (0..count).map(|_| part()).collect()
    }

    fn values(layer: &Linear) -> Vec<f32> {
        let bias = layer.bias.as_ref().expect("a linear layer has a bias by default");
        let tensors = [layer.weight.val().flatten::<1>(0, 1), bias.val()];
        tensors.into_iter().flat_map(|tensor| tensor.into_data().iter::<f32>().collect::<Vec<_>>()).collect()
    }

    #[test]
    fn one_pass_has_the_bits_of_burns_sgd_on_the_sum() {
        let experiment = Experiment { optimizer: OptimizerKind::Sgd, lr: Some(0.3), ..Experiment::default() };
        #[allow(deprecated)] // Device::ndarray
        let devices = [Device::flex(), Device::ndarray()];
        for device in devices.map(Device::autodiff) {
            for (count, [d_input, d_output]) in [(1, [3, 1]), (2, [127, 129]), (3, [1, 127]), (5, [129, 3])] {
                let layer = LinearConfig::new(d_input, d_output).init(&device);
                let parts = parts(&layer, count);
                let parts = Parts::new(parts);
                let mut burn = optimizer(&experiment);
                let expected = burn.step(0.3, layer.clone(), parts.sum(&layer));

                let found = Updater::new(&experiment).step(layer.clone(), parts.clone());
                assert_eq!(values(&found), values(&expected), "{count} parts");
                assert_ne!(values(&found), values(&layer), "the layer that was shared is as it was");
                assert!(found.weight.is_require_grad() && found.weight.id == layer.weight.id);

                // Alone, in place.
                let in_place = Updater::new(&experiment).step(layer, parts);
                assert_eq!(values(&in_place), values(&expected), "{count} parts, in place");
            }
        }
    }

    #[test]
    fn what_has_no_gradient_stays() {
        let layer = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
        let found = Updater::new(&Experiment::default()).step(layer.clone(), Parts::new(vec![GradientsParams::new()]));
        assert_eq!(values(&found), values(&layer));
    }
}
