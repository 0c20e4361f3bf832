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
    observe::{
        Moved, Norm, Update, WeightGradients,
        host::{BLOCK, Powers},
        update_between, weight_gradients, weights,
    },
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

/// What a step did to each weight, and by which gradients, before clipping.
pub type Measured = (Update, WeightGradients);

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

    /// The network after a step by the sum of `parts`, and what that did, if it is to be measured.
    pub fn step<N: Module>(&mut self, network: N, mut parts: Parts, measure: bool) -> (N, Option<Measured>) {
        let mut unclipped = None;
        if let Some(norm) = self.clip_norm {
            let sum = parts.sum(&network);
            unclipped = measure.then(|| weight_gradients(&network, &sum));
            parts = Parts::new(vec![clip(&network, sum, norm)]);
        }
        match &mut self.optimizer {
            None => {
                let mut descent =
                    Descent { lr: self.lr, parts, path: Vec::new(), measured: measure.then(Measured::default) };
                let network = network.map(&mut descent);
                let measured = descent.measured.map(|(update, clipped)| (update, unclipped.unwrap_or(clipped)));
                (network, measured)
            }
            Some(optimizer) => {
                let gradients = parts.sum(&network);
                let before = measure.then(|| {
                    let norms = unclipped.unwrap_or_else(|| weight_gradients(&network, &gradients));
                    (weights(&network), norms)
                });
                // Burn's optimizers take only what could be part of a graph, and give that back.
                let mut lift = Lift { lifted: false };
                let network = optimizer.step(self.lr, network.map(&mut lift), gradients);
                let network = if lift.lifted { network.valid() } else { network };
                let measured = before.map(|(before, norms)| (update_between(before, weights(&network)), norms));
                (network, measured)
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
            let momentum = MomentumConfig::new().with_momentum(experiment.momentum()).with_dampening(0.0);
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
    path: Vec<String>,
    measured: Option<Measured>,
}

impl ModuleMapper for Descent {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        if self.measured.is_some() {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, weight, mapper) = param.consume();
        let gradients: Vec<Tensor<D>> = self.parts.of(id);
        if gradients.is_empty() {
            return Param::from_mapped_value(id, weight, mapper);
        }
        let (tracked, strategy) = (weight.is_autodiff(), weight.gradient_checkpointing_strategy());
        let all = self.measured.as_mut().filter(|_| D > 1);
        let (mut weight, measured) = descend(weight.without_autodiff(), gradients, self.lr, all.is_some());
        if let (Some((update, norms)), Some((moved, norm))) = (all, measured) {
            update.push((self.path.join("."), moved));
            norms.push((self.path.join("."), norm));
        }
        if tracked {
            weight = weight.autodiff();
            if let Some(strategy) = strategy {
                weight = weight.with_gradient_checkpointing_strategy(strategy);
            }
            weight = weight.require_grad();
        }
        Param::from_mapped_value(id, weight, mapper)
    }
}

fn descend<const D: usize>(
    weight: Tensor<D>,
    gradients: Vec<Tensor<D>>,
    lr: f64,
    measure: bool,
) -> (Tensor<D>, Option<(Moved, Norm)>) {
    let tensors: Vec<&Tensor<D>> = std::iter::once(&weight).chain(&gradients).collect();
    if in_memory(&tensors, |_| ()).is_none() {
        let Some(gradient) = gradients.into_iter().reduce(|sum, gradient| sum + gradient) else {
            return (weight, None);
        };
        let before = measure.then(|| (weight.clone(), gradient.clone()));
        let weight = weight - gradient * lr;
        let flat = |tensor: Tensor<D>| tensor.flatten::<1>(0, D - 1);
        let measured = before
            .map(|(before, gradient)| (Moved::between(flat(before), flat(weight.clone())), Norm::of(flat(gradient))));
        return (weight, measured);
    }
    let (device, values) = (weight.device(), weight.shape().num_elements());
    // The weight's own memory, unless another handle shares it.
    let mut data = weight.into_data();
    let weights = data.as_mut_slice().expect("`in_memory` gives f32 only");
    let gradients: Vec<&Tensor<D>> = gradients.iter().collect();
    let squares = in_memory(&gradients, |gradients| {
        let pass = OnePass { weights, gradients, lr: lr as f32, measure };
        Arch::new().dispatch(pass)
    });
    let measured = squares.filter(|_| measure).map(|squares| {
        let [distance, length, gradient] = squares.map(|squares| Norm::of_squares(squares, values));
        (Moved { distance, length }, gradient)
    });
    (Tensor::from_data(data, (&device, DType::F32)), measured)
}

// A functor and not a closure, which the compiler need not inline into the code for the processor's vectors.
struct OnePass<'a> {
    weights: &'a mut [f32],
    /// At least one, of as many values each.
    gradients: &'a [&'a [f32]],
    lr: f32,
    measure: bool,
}

impl NullaryFnOnce for OnePass<'_> {
    /// Squared L2 norms, where they are measured: of the move, of the weights before, and of the gradients' sum.
    type Output = [f64; 3];

    #[inline(always)]
    fn call(self) -> [f64; 3] {
        let Self { weights, gradients, lr, measure } = self;
        let [mut moved, mut length, mut norm] = std::array::from_fn(|_| Powers::<false>::new());
        let (mut sum, mut step) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (i, weights) in weights.chunks_mut(BLOCK).enumerate() {
            let range = i * BLOCK..i * BLOCK + weights.len();
            let gradient = match gradients {
                [gradient] => &gradient[range],
                _ => {
                    let sum = &mut sum[..weights.len()];
                    sum.fill(-0.0);
                    for gradient in gradients {
                        sum.iter_mut().zip(&gradient[range.clone()]).for_each(|(sum, gradient)| *sum += gradient);
                    }
                    sum
                }
            };
            if measure {
                let step = &mut step[..weights.len()];
                for ((step, weight), gradient) in step.iter_mut().zip(&*weights).zip(gradient) {
                    *step = (weight - gradient * lr) - weight;
                }
                moved.add(step);
                length.add(weights);
                norm.add(gradient);
            }
            weights.iter_mut().zip(gradient).for_each(|(weight, gradient)| *weight -= gradient * lr);
        }
        [moved, length, norm].each_ref().map(|powers| powers.sums()[1])
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

                let (found, _) = Updater::new(&experiment).step(layer.clone(), parts.clone(), false);
                assert_eq!(values(&found), values(&expected), "{count} parts");
                assert_ne!(values(&found), values(&layer), "the layer that was shared is as it was");
                assert!(found.weight.is_require_grad() && found.weight.id == layer.weight.id);

                // Alone, in place, and measured.
                let expected_update = update_between(weights(&layer), weights(&expected));
                let expected_gradients = weight_gradients(&layer, &parts.sum(&layer));
                let (in_place, measured) = Updater::new(&experiment).step(layer, parts, true);
                assert_eq!(values(&in_place), values(&expected), "{count} parts, in place");
                assert_eq!(format!("{measured:?}"), format!("{:?}", Some((expected_update, expected_gradients))));
            }
        }
    }

    #[test]
    fn what_has_no_gradient_stays() {
        let layer = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
        let parts = Parts::new(vec![GradientsParams::new()]);
        let (found, _) = Updater::new(&Experiment::default()).step(layer.clone(), parts, false);
        assert_eq!(values(&found), values(&layer));
    }
}
