//! What is taken down of each layer while a batch passes.

use std::sync::Arc;

use burn::{
    module::ParamId,
    tensor::{Gradients, Tensor},
};
use rectify::{FusedActivation, FusedConv2d, FusedLinear, Kept};

use super::{
    probe::Probe,
    reduce::{Moments, Norm, Numbers, wide},
    training::{Statistics, Training},
};
use crate::record::Role;

/// Observes one forward pass.
#[derive(Debug, Default)]
pub struct Trace {
    pub(super) watch: Option<Watch>,
    pub(super) layers: Vec<Observed>,
    /// What layers' names begin with: the fields that hold the module which is passing, each with a dot behind it.
    within: String,
    /// `None` in evaluation.
    training: Option<Training>,
}

#[derive(Debug)]
pub(super) struct Watch {
    probe: Arc<Probe>,
    gradients: bool,
    samples: bool,
}

/// One layer's metrics for one batch.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) name: String,
    pub(super) role: Role,
    /// What was looked for; `None` where φ is another than the probe's, or nothing passed.
    pub(super) probe: Option<Arc<Probe>>,
    /// Of the pre-activations, and as many of the activations.
    pub(super) values: usize,
    /// Values that a unit takes of a sample: 1, or the pixels of a channel.
    pub(super) plane: usize,
    pub(super) moments: Moments,
    /// A zero that was added to the pre-activations: its gradient is theirs.
    leaf: Option<Tensor<2>>,
    /// Of the gradient of the pre-activations.
    pub(super) gradient: Option<Norm>,
    /// Some pre-activations, activations and gradients of pre-activations.
    pub(super) samples: [Option<Numbers>; 3],
}

/// Values that a histogram is made of, at most.
const HISTOGRAM_SAMPLE: usize = 1 << 15;

impl Trace {
    /// Observes nothing and costs nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Observes pre-activations and activations.
    pub fn activations(probe: &Probe) -> Self {
        let watch = Watch { probe: Arc::new(probe.clone()), gradients: false, samples: false };
        Self { watch: Some(watch), ..Self::default() }
    }

    /// Observes activations and, where the pass is differentiated, the gradients of the pre-activations.
    pub fn gradients(probe: &Probe) -> Self {
        let mut trace = Self::activations(probe);
        trace.watch.iter_mut().for_each(|watch| watch.gradients = true);
        trace
    }

    /// The same, and keeps some of what it observes for histograms.
    pub fn with_histograms(mut self) -> Self {
        self.watch.iter_mut().for_each(|watch| watch.samples = true);
        self
    }

    /// The same for a pass of training, not of evaluation.
    pub fn in_training(mut self, training: Training) -> Self {
        self.training = Some(training);
        self
    }

    /// Whether the pass is one of training: batch normalisation takes the batch's statistics, dropout drops, and
    /// RReLU's slopes are drawn.
    pub fn is_training(&self) -> bool {
        self.training.is_some()
    }

    /// In training, sets each value to 0 with probability `rate` and divides the others by 1 − `rate`; in evaluation it
    /// changes nothing.
    pub fn dropout(&mut self, x: Tensor<2>, rate: f64) -> Tensor<2> {
        match &mut self.training {
            Some(training) if rate > 0.0 => training.dropout(x, rate),
            _ => x,
        }
    }

    /// In training, a slope for each value of `z`, whose first dimension is the batch's, drawn from U(lower, upper); `None`
    /// in evaluation.
    pub(crate) fn slopes<const D: usize>(&mut self, z: &Tensor<D>, lower: f64, upper: f64) -> Option<Tensor<D>> {
        self.training.as_mut().map(|training| training.slopes(z, lower, upper))
    }

    /// Takes down a batch's statistic that the parameter `parameter`, which no optimizer moves, is to follow.
    pub fn follow(&mut self, parameter: ParamId, statistic: Tensor<1>) {
        if let Some(training) = &mut self.training {
            training.follow(parameter, statistic);
        }
    }

    /// What [`follow`](Self::follow) took down.
    pub(crate) fn take_statistics(&mut self) -> Statistics {
        self.training.as_mut().map(Training::take_statistics).unwrap_or_default()
    }

    /// Passes the pre-activations `z` of the hidden layer `name` through `phi`, observing both sides.
    ///
    /// `name` is the path of the layer's parameters in the module, field by field with dots between; an enum's variant
    /// is no part of it. A name that no parameter has gives a layer without metrics of weights. The layer's units lie
    /// along the last dimension of `z`; of four dimensions, as of a 2-D convolution, along the second.
    pub fn layer<const D: usize>(
        &mut self,
        name: &str,
        z: Tensor<D>,
        phi: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        self.pass(Role::Hidden, name, z, phi)
    }

    /// [`layer`](Self::layer) for the one that gives the outputs `z`, which no activation follows.
    pub fn output<const D: usize>(&mut self, name: &str, z: Tensor<D>) -> Tensor<D> {
        self.pass(Role::Output, name, z, |z| z)
    }

    /// [`layer`](Self::layer) for a hidden layer that is one operation. Observed or not, its output has the same bits.
    pub fn fused_linear(&mut self, name: &str, x: Tensor<2>, layer: &FusedLinear) -> Tensor<2> {
        self.fused_linear_as(Role::Hidden, name, x, layer, false).0
    }

    /// The output and, if `keep` tells that a backward pass by hand follows, what that takes.
    pub(crate) fn fused_linear_as(
        &mut self,
        role: Role,
        name: &str,
        x: Tensor<2>,
        layer: &FusedLinear,
        keep: bool,
    ) -> (Tensor<2>, Option<Kept<2>>) {
        if self.watch.is_none() {
            if !keep {
                return (layer.forward(x), None);
            }
            let (output, kept) = layer.forward_kept(x);
            return (output, Some(kept));
        }
        let keeps_z = layer.activation().keeps_preactivations();
        let ([batch, _], weight) = (x.dims(), layer.weight.val());
        let [_, units] = weight.dims();
        let probed = self.probes(layer.activation());
        self.fused((role, probed, name), [batch, units], &weight, keeps_z, |tap| layer.forward_watched(x, tap))
    }

    /// [`layer`](Self::layer) for a convolution that is one operation. Observed or not, its output has the same bits.
    pub fn fused_conv2d(&mut self, name: &str, x: Tensor<4>, layer: &FusedConv2d) -> Tensor<4> {
        self.fused_conv2d_as(name, x, layer, false).0
    }

    /// As [`fused_linear_as`](Self::fused_linear_as).
    pub(crate) fn fused_conv2d_as(
        &mut self,
        name: &str,
        x: Tensor<4>,
        layer: &FusedConv2d,
        keep: bool,
    ) -> (Tensor<4>, Option<Kept<4>>) {
        if self.watch.is_none() {
            if !keep {
                return (layer.forward(x), None);
            }
            let (output, kept) = layer.forward_kept(x);
            return (output, Some(kept));
        }
        let keeps_z = layer.activation().keeps_preactivations();
        let ([batch, _, height, width], weight) = (x.dims(), layer.weight.val());
        let [channels, ..] = weight.dims();
        let (shape, probed) = ([batch, channels, height, width], self.probes(layer.activation()));
        self.fused((Role::Hidden, probed, name), shape, &weight, keeps_z, |tap| layer.forward_watched(x, tap))
    }

    /// Lets a module that is the field `field` of another one pass: its layers' names begin with `field.`.
    ///
    /// ```
    /// # use burn::{module::Module, tensor::Tensor};
    /// # use rectify_train::{network::{Mlp, Network}, observe::Trace};
    /// #[derive(Module, Debug)]
    /// struct Scaled { inner: Mlp }
    ///
    /// impl Network for Scaled {
    ///     fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
    ///         trace.within("inner", |trace| self.inner.forward(images, trace)) * 0.5
    ///     }
    /// }
    /// ```
    pub fn within<T>(&mut self, field: &str, pass: impl FnOnce(&mut Self) -> T) -> T {
        let outside = self.within.len();
        self.within.push_str(field);
        self.within.push('.');
        let passed = pass(self);
        self.within.truncate(outside);
        passed
    }

    /// Takes the pre-activations' gradients from a backward pass by autodiff.
    pub fn take_gradients(&mut self, gradients: &Gradients) {
        for place in 0..self.layers.len() {
            let leaf = self.layers[place].leaf.take();
            if let Some(gradient) = leaf.and_then(|leaf| leaf.grad(gradients)) {
                self.set_gradient(place, gradient);
            }
        }
    }

    /// Of layers that were observed elsewhere, from the input on.
    pub(crate) fn of_layers(layers: Vec<Observed>) -> Self {
        Self { layers, ..Self::default() }
    }

    /// What it has observed.
    pub(crate) fn into_layers(self) -> Vec<Observed> {
        self.layers
    }

    /// How many layers it has observed: the next one's place.
    pub(crate) fn observed(&self) -> usize {
        self.layers.len()
    }

    /// Takes the pre-activations' gradient of the layer at a place. Off, there is none.
    pub(crate) fn set_gradient<const D: usize>(&mut self, place: usize, gradient: Tensor<D>) {
        if let (Some(layer), Some(watch)) = (self.layers.get_mut(place), &self.watch) {
            let gradient = gradient.reshape([layer.values]);
            layer.samples[2] = watch.samples.then(|| Numbers::sample(gradient.clone(), HISTOGRAM_SAMPLE));
            layer.gradient = Some(Norm::of(gradient));
        }
    }

    fn pass<const D: usize>(
        &mut self,
        role: Role,
        name: &str,
        mut z: Tensor<D>,
        phi: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        let Some(watch) = &self.watch else {
            return phi(z);
        };
        let values = z.shape().num_elements();
        let leaf = (watch.gradients && z.is_autodiff()).then(|| {
            let leaf = Tensor::<2>::zeros([1, values], (&z.device(), z.dtype())).require_grad();
            z = z.clone() + leaf.clone().reshape(z.dims());
            leaf
        });
        let activation = phi(z.clone());
        self.observe((role, true, name), z, activation.clone(), leaf);
        activation
    }

    /// Observes `pass`, which takes a tap of the output's `shape` and gives pre-activations and output.
    fn fused<const D: usize, const W: usize>(
        &mut self,
        layer: (Role, bool, &str),
        shape: [usize; D],
        weight: &Tensor<W>,
        keeps_z: bool,
        pass: impl FnOnce(Tensor<D>) -> (Tensor<D>, Tensor<D>),
    ) -> (Tensor<D>, Option<Kept<D>>) {
        let gradients = self.watch.as_ref().is_some_and(|watch| watch.gradients) && weight.is_autodiff();
        let options = (&weight.device(), weight.dtype());
        let leaf = gradients.then(|| Tensor::<2>::zeros([1, shape.iter().product()], options).require_grad());
        let tap = match &leaf {
            Some(leaf) => leaf.clone().reshape(shape),
            None => Tensor::zeros([1; D], options),
        };
        let (z, output) = pass(tap);
        let kept = if keeps_z { z.clone() } else { output.clone() };
        self.observe(layer, z, output.clone(), leaf);
        (output, Some(kept.without_autodiff().into()))
    }

    /// Whether a fused layer's φ is what the probe looks for.
    fn probes(&self, activation: FusedActivation) -> bool {
        let probed = self.watch.as_ref().and_then(|watch| watch.probe.activation.as_ref());
        probed.is_some_and(|probed| probed.fused() == Some(activation))
    }

    fn observe<const D: usize>(
        &mut self,
        (role, probed, name): (Role, bool, &str),
        z: Tensor<D>,
        a: Tensor<D>,
        leaf: Option<Tensor<2>>,
    ) {
        let Some(watch) = &self.watch else {
            return;
        };
        let values = z.shape().num_elements();
        let planes = |x: Tensor<D>| -> Tensor<3> {
            let x = wide(x.without_autodiff());
            let dims = x.dims();
            let unit_dim = if D == 4 { 1 } else { D - 1 };
            let product = |dims: &[usize]| dims.iter().product();
            x.reshape([product(&dims[..unit_dim]), dims[unit_dim], product(&dims[unit_dim + 1..])])
        };
        let (z, a) = (planes(z), planes(a));
        let sample =
            |x: &Tensor<3>| watch.samples.then(|| Numbers::sample(x.clone().reshape([values]), HISTOGRAM_SAMPLE));
        let samples = [sample(&z), sample(&a), None];
        let probe = probed.then(|| Arc::clone(&watch.probe));
        let flat = probe.as_ref().and_then(|probe| probe.flat.as_deref()).unwrap_or_default();
        let name = format!("{}{name}", self.within);
        let [_, _, plane] = z.dims();
        let moments = Moments::of(z, a, flat);
        self.layers.push(Observed { name, role, probe, values, plane, moments, leaf, gradient: None, samples });
    }
}

impl Observed {
    /// A layer that nothing was seen to pass: only what its parameters tell is known.
    pub(crate) fn parameters_only(name: String, role: Role) -> Self {
        Self {
            name,
            role,
            probe: None,
            values: 0,
            plane: 1,
            moments: Moments::none(),
            leaf: None,
            gradient: None,
            samples: [None, None, None],
        }
    }

    /// The same layer by another name, in another part.
    pub(crate) fn named(self, name: String, role: Role) -> Self {
        Self { name, role, ..self }
    }
}
