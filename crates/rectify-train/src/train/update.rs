//! From the gradients of a batch's parts to new weights.

use std::sync::{Arc, Mutex, PoisonError};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    optim::GradientsParams,
    store::{ModuleRecord, RecordError},
    tensor::{DType, Tensor},
};
use pulp::{Arch, NullaryFnOnce};

use super::{
    optimizer::Optimizer,
    progress::{Records, take},
};
use crate::{
    experiment::{Experiment, OptimizerKind},
    memory::in_memory,
    observe::{
        BLOCK, Moved, Norm, Path, Powers, Sums, Update, WeightGradients, update_between, weight_gradients, weights,
    },
};

const OPTIMIZER: &str = "optimizer";

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

    /// The same in another float type.
    pub fn cast<N: Module>(&self, network: &N, dtype: DType) -> Self {
        struct Cast<'a> {
            part: &'a GradientsParams,
            dtype: DType,
            cast: GradientsParams,
        }
        impl ModuleVisitor for Cast<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = self.part.get::<D>(param.id) {
                    self.cast.register(param.id, gradient.cast(self.dtype));
                }
            }
        }
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cast = |part| {
            let mut cast = Cast { part, dtype, cast: GradientsParams::new() };
            network.visit(&mut cast);
            cast.cast
        };
        Self::new(parts.iter().map(cast).collect())
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

/// A step's learning rate.
#[derive(Debug, Clone)]
pub enum Rate {
    /// One for all parameters.
    Same(f64),
    /// One for each of the networks that stand side by side in the parameters' first dimension, `[networks]`.
    Each(Box<Tensor<1>>),
}

impl Rate {
    /// x · rate / divisor.
    pub fn times<const D: usize>(&self, x: Tensor<D>, divisor: f64) -> Tensor<D> {
        match self {
            Self::Same(rate) => x * (rate / divisor),
            Self::Each(rates) => {
                let mut dims = [1; D];
                dims[0] = rates.dims()[0];
                x * (Tensor::clone(rates) / divisor).reshape(dims)
            }
        }
    }

    /// x · (1 − rate · decay).
    pub fn decay<const D: usize>(&self, x: Tensor<D>, decay: f64) -> Tensor<D> {
        match self {
            Self::Same(rate) => x * (1.0 - rate * decay),
            Self::Each(_) => x.clone() - self.times(x * decay, 1.0),
        }
    }
}

/// What a step did to each weight, and by which gradients, before clipping.
pub type Measured = (Update, WeightGradients);

/// An experiment's optimizer with its clipping.
#[derive(Clone)]
pub struct Updater {
    /// `None` for plain gradient descent, which is one pass over every weight and remembers nothing.
    optimizer: Option<Optimizer>,
    clip_norm: Option<f64>,
}

impl Updater {
    pub fn new(experiment: &Experiment) -> Self {
        let plain = experiment.optimizer == OptimizerKind::Sgd && experiment.weight_decay == 0.0;
        Self { optimizer: (!plain).then(|| Optimizer::new(experiment)), clip_norm: experiment.clip_norm }
    }

    /// What the optimizer remembers; `None` for plain gradient descent.
    pub fn record(&self) -> Option<(String, ModuleRecord)> {
        self.optimizer.as_ref().map(|optimizer| (OPTIMIZER.to_owned(), optimizer.record()))
    }

    /// As it was after so many `steps` of `network`, from what [`record`](Self::record) gave.
    pub fn load<N: Module>(self, records: &mut Records, steps: usize, network: &N) -> Result<Self, RecordError> {
        let load = |optimizer: Optimizer| optimizer.load(take(records, OPTIMIZER)?, steps, network);
        Ok(Self { optimizer: self.optimizer.map(load).transpose()?, ..self })
    }

    /// Whether all that the optimizer remembers is finite.
    pub fn is_finite(&self) -> bool {
        self.optimizer.as_ref().is_none_or(Optimizer::is_finite)
    }

    /// That of several networks side by side, whose own these are. `None` where they do not clip each network's gradients
    /// by themselves.
    pub fn together(updaters: &[&Self]) -> Option<Self> {
        let optimizers: Vec<&Optimizer> = updaters.iter().filter_map(|updater| updater.optimizer.as_ref()).collect();
        let optimizer = Optimizer::together(&optimizers);
        updaters.iter().all(|updater| updater.clip_norm.is_none()).then_some(Self { optimizer, clip_norm: None })
    }

    /// The one at `place` of so many that this is [made of](Self::together).
    pub fn apart(&self, place: usize, count: usize) -> Self {
        let optimizer = self.optimizer.as_ref().map(|optimizer| optimizer.apart(place, count));
        Self { optimizer, clip_norm: None }
    }

    /// The network after a step by the sum of `parts` at a learning rate, and what that did, if it is to be measured.
    pub fn step<N: Module>(&mut self, network: N, mut parts: Parts, lr: &Rate, measure: bool) -> (N, Option<Measured>) {
        let mut unclipped = None;
        if let Some(norm) = self.clip_norm {
            let sum = parts.sum(&network);
            unclipped = measure.then(|| weight_gradients(&network, &sum));
            parts = Parts::new(vec![clip(&network, sum, norm)]);
        }
        match &mut self.optimizer {
            None => {
                let measured = measure.then(Measured::default);
                let mut descent = Descent { lr: lr.clone(), parts, path: Path::default(), measured };
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
                let network = optimizer.step(network, gradients, lr);
                let measured = before.map(|(before, norms)| (update_between(before, weights(&network)), norms));
                (network, measured)
            }
        }
    }
}

/// A parameter with another value, outside of any graph, that is tracked as the old one was.
pub fn with_value<const D: usize>(
    param: Param<Tensor<D>>,
    value: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    let (id, old, mapper) = param.consume();
    let (tracked, strategy) = (old.is_autodiff(), old.gradient_checkpointing_strategy());
    let requires_grad = old.is_require_grad();
    let mut new = value(old.without_autodiff());
    if tracked {
        new = new.autodiff();
        if let Some(strategy) = strategy {
            new = new.with_gradient_checkpointing_strategy(strategy);
        }
        if requires_grad {
            new = new.require_grad();
        }
    }
    Param::from_mapped_value(id, new, mapper)
}

/// Whether all of a module's parameters are finite.
pub fn is_finite<N: Module>(module: &N) -> bool {
    struct Finite(Vec<Norm>);
    impl ModuleVisitor for Finite {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val().without_autodiff();
            let values = value.shape().num_elements();
            self.0.push(Norm::of(value.reshape([values])));
        }
    }
    let mut finite = Finite(Vec::new());
    module.visit(&mut finite);
    Norm::read(&finite.0).iter().all(Option::is_some)
}

/// A network in another float type, tracked as before.
pub fn cast<N: Module>(network: N, dtype: DType) -> N {
    struct Round(DType);
    impl ModuleMapper for Round {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            with_value(param, |value| value.cast(self.0))
        }
    }
    network.map(&mut Round(dtype))
}

/// `network` with the values of `master`, rounded to its own type.
pub fn rounded<N: Module>(network: N, master: &N) -> N {
    struct Values(GradientsParams);
    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.register(param.id, param.val().without_autodiff());
        }
    }
    struct Round(GradientsParams);
    impl ModuleMapper for Round {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.0.remove::<D>(param.id) {
                Some(value) => with_value(param, |old| value.cast(old.dtype())),
                None => param,
            }
        }
    }
    let mut values = Values(GradientsParams::new());
    master.visit(&mut values);
    network.map(&mut Round(values.0))
}

/// Gradient descent, w − η Σ g, as Burn's SGD computes it from the sum over the parts, to the bit.
struct Descent {
    lr: Rate,
    parts: Parts,
    path: Path,
    measured: Option<Measured>,
}

impl ModuleMapper for Descent {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if self.measured.is_some() {
            self.path.enter(name, container_type);
        }
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.path.exit(container_type);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let gradients: Vec<Tensor<D>> = self.parts.of(param.id);
        if gradients.is_empty() {
            return param;
        }
        let all = self.measured.as_mut().filter(|_| D > 1);
        let mut measured = None;
        let param = with_value(param, |weight| {
            let (weight, by) = descend(weight, gradients, &self.lr, all.is_some());
            measured = by;
            weight
        });
        if let (Some((update, norms)), Some((moved, norm))) = (all, measured) {
            update.push((self.path.join(), moved));
            norms.push((self.path.join(), norm));
        }
        param
    }
}

fn descend<const D: usize>(
    weight: Tensor<D>,
    gradients: Vec<Tensor<D>>,
    lr: &Rate,
    measure: bool,
) -> (Tensor<D>, Option<(Moved, Norm)>) {
    let tensors: Vec<&Tensor<D>> = std::iter::once(&weight).chain(&gradients).collect();
    let one = match lr {
        Rate::Same(rate) => in_memory(&tensors, |_| *rate),
        Rate::Each(_) => None,
    };
    let Some(rate) = one else {
        let Some(gradient) = gradients.into_iter().reduce(|sum, gradient| sum + gradient) else {
            return (weight, None);
        };
        let before = measure.then(|| (weight.clone(), gradient.clone()));
        let weight = weight - lr.times(gradient, 1.0);
        let flat = |tensor: Tensor<D>| tensor.flatten::<1>(0, D - 1);
        let measured = before
            .map(|(before, gradient)| (Moved::between(flat(before), flat(weight.clone())), Norm::of(flat(gradient))));
        return (weight, measured);
    };
    let (device, values) = (weight.device(), weight.shape().num_elements());
    // The weight's own memory, unless another handle shares it.
    let mut data = weight.into_data();
    let weights = data.as_mut_slice().expect("`in_memory` gives f32 only");
    let gradients: Vec<&Tensor<D>> = gradients.iter().collect();
    let sums = in_memory(&gradients, |gradients| {
        let pass = OnePass { weights, gradients, lr: rate as f32, measure };
        Arch::new().dispatch(pass)
    });
    let measured = sums.filter(|_| measure).map(|sums| {
        let [distance, length, gradient] = sums.map(|sums| Norm::of_sums(sums, values));
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
    /// Where it is measured: of the move, of the weights before, and of the gradients' sum.
    type Output = [Sums; 3];

    #[inline(always)]
    fn call(self) -> [Sums; 3] {
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
        [moved, length, norm].each_ref().map(Powers::sums)
    }
}

/// Scales all gradients together so that their L2 norm is at most `max_norm` (Pascanu et al. 2013, *On the difficulty of
/// training recurrent neural networks*).
///
/// The norm is right for any finite gradients: its squares are summed where they fit. Gradients that are not finite
/// become NaN, which the training then meets in its weights.
///
/// Burn's own clipping takes each parameter by itself, which changes the gradient's direction.
fn clip<N: Module>(network: &N, gradients: GradientsParams, max_norm: f64) -> GradientsParams {
    struct Norms<'a>(&'a GradientsParams, Vec<Norm>);
    impl ModuleVisitor for Norms<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                let values = gradient.shape().num_elements();
                self.1.push(Norm::of(gradient.reshape([values])));
            }
        }
    }
    struct Scale(GradientsParams, f64);
    impl ModuleVisitor for Scale {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                // In two steps, as a scale under 1e-38 has few digits in f32 or none.
                let root = self.1.sqrt();
                self.0.register(param.id, gradient * root * root);
            }
        }
    }
    let mut norms = Norms(&gradients, Vec::new());
    network.visit(&mut norms);
    let norm = Norm::read(&norms.1).into_iter().try_fold(0.0_f64, |sum, norm| Some(sum.hypot(norm?)));
    if norm.is_some_and(|norm| norm <= max_norm) {
        return gradients;
    }
    // Where a gradient is not finite, neither is the scale: 0 would hide it.
    let scale = norm.map_or(f64::NAN, |norm| max_norm / norm);
    let mut scaled = Scale(gradients, scale);
    network.visit(&mut scaled);
    scaled.0
}

#[cfg(test)]
mod tests {
    use burn::{
        nn::{Linear, LinearConfig},
        optim::SgdConfig,
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
                let mut burn = SgdConfig::new().init();
                let expected = burn.step(0.3, layer.clone(), parts.sum(&layer));

                let rate = Rate::Same(0.3);
                let (found, _) = Updater::new(&experiment).step(layer.clone(), parts.clone(), &rate, false);
                assert_eq!(values(&found), values(&expected), "{count} parts");
                assert_ne!(values(&found), values(&layer), "the layer that was shared is as it was");
                assert!(found.weight.is_require_grad() && found.weight.id == layer.weight.id);

                // Alone, in place, and measured.
                let expected_update = update_between(weights(&layer), weights(&expected));
                let expected_gradients = weight_gradients(&layer, &parts.sum(&layer));
                let (in_place, measured) = Updater::new(&experiment).step(layer, parts, &rate, true);
                assert_eq!(values(&in_place), values(&expected), "{count} parts, in place");
                assert_eq!(format!("{measured:?}"), format!("{:?}", Some((expected_update, expected_gradients))));
            }
        }
    }

    #[test]
    fn what_has_no_gradient_stays() {
        let layer = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
        let parts = Parts::new(vec![GradientsParams::new()]);
        let (found, _) = Updater::new(&Experiment::default()).step(layer.clone(), parts, &Rate::Same(0.1), false);
        assert_eq!(values(&found), values(&layer));
    }
}
