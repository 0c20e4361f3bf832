//! Batch and layer normalisation of pre-activations.

use burn::{
    module::{Module, Param},
    tensor::{DType, Device, Tensor},
};

use crate::{
    experiment::NormKind,
    observe::{Trace, wide},
};

/// Subtracts a mean, divides by a standard deviation, scales by γ and adds β, unit by unit: γ (z − μ) / √(σ² + 1e-5) + β.
///
/// The mean and variance are those
/// - of batch normalisation (Ioffe and Szegedy 2015, *Batch normalization*) in training: over the batch, and for a
///   convolution over the image; in evaluation: running means of these. Both are PyTorch's: after a step a running mean
///   moves by a tenth towards the batch's, and the running variance likewise, towards the unbiased one. Probes between
///   steps look at the network as it is evaluated; those of a step at it as it is trained.
/// - of layer normalisation (Ba et al. 2016, *Layer normalization*): over a sample's layer, in training and evaluation.
///   For a convolution that is over its channels and image, with γ and β by channel: what Wu and He 2018, *Group
///   normalization*, call one group.
///
/// γ begins at 1. β is the layer's bias and begins as it; the product before it has none, which would cancel.
///
/// Half types are normalised in f32.
#[derive(Module, Debug)]
pub struct Norm {
    /// γ, `[units]`.
    pub scale: Param<Tensor<1>>,
    /// β, `[units]`.
    pub bias: Param<Tensor<1>>,
    /// Of batch normalisation.
    running: Option<Running>,
}

/// What evaluation normalises by, `[units]`. No optimizer moves it.
#[derive(Module, Debug)]
struct Running {
    mean: Param<Tensor<1>>,
    variance: Param<Tensor<1>>,
}

/// As in PyTorch.
const EPSILON: f64 = 1e-5;

impl Norm {
    /// A normalisation of so many units, or none. Every β begins at `bias`.
    pub fn new(kind: NormKind, units: usize, bias: f64, options: (&Device, DType)) -> Option<Self> {
        let full = |value: f64| Param::from_tensor(Tensor::full([units], value, options));
        let running = match kind {
            NormKind::None => return None,
            NormKind::Layer => None,
            NormKind::Batch => {
                Some(Running { mean: full(0.0).set_require_grad(false), variance: full(1.0).set_require_grad(false) })
            }
        };
        Some(Self { scale: full(1.0), bias: full(bias), running })
    }

    /// Normalises rows, `[batch, units]`, or images, `[batch, units, height, width]`.
    pub fn forward<const D: usize>(&self, z: Tensor<D>, trace: &mut Trace) -> Tensor<D> {
        let dtype = z.dtype();
        let z = wide(z);
        let by_unit = |x: Tensor<1>| -> Tensor<D> {
            let mut shape = [1; D];
            shape[1] = x.dims()[0];
            wide(x).reshape(shape)
        };
        let [mean, variance] = match &self.running {
            None => moments(z.clone(), 1..D),
            Some(running) if !trace.is_training() => {
                [&running.mean, &running.variance].map(|value| by_unit(value.val().without_autodiff()))
            }
            Some(running) => {
                let [mean, variance] = moments(z.clone(), (0..D).filter(|dim| *dim != 1));
                let units = z.dims()[1];
                let count = z.shape().num_elements() / units;
                let unbiased = count as f64 / (count.max(2) - 1) as f64;
                trace.follow(running.mean.id, mean.clone().reshape([units]));
                trace.follow(running.variance.id, variance.clone().reshape([units]) * unbiased);
                [mean, variance]
            }
        };
        let normalised = (z - mean) / (variance + EPSILON).sqrt();
        (normalised * by_unit(self.scale.val()) + by_unit(self.bias.val())).cast(dtype)
    }
}

/// Mean and biased variance over some dimensions, which stay with size 1.
fn moments<const D: usize>(x: Tensor<D>, dims: impl Iterator<Item = usize> + Clone) -> [Tensor<D>; 2] {
    let mean = |x: Tensor<D>| dims.clone().fold(x, |x, dim| x.mean_dim(dim));
    let mu = mean(x.clone());
    let variance = mean((x - mu.clone()).square());
    [mu, variance]
}
