//! Randomised leaky ReLU.

use burn::tensor::{Distribution, Tensor};
use serde::{Deserialize, Serialize};

use super::{Activation, LeakyRelu, module, prelu::below};
use crate::relu::relu;

/// Leaky ReLU whose slope is drawn anew for each element from U(lower, upper) while training, and is the mean of both
/// otherwise.
///
/// PyTorch takes training from the module's mode; here, as in Burn's dropout, an input on a device with autodiff is
/// training. The derivative is 1 for x > 0, otherwise the slope.
///
/// Xu et al. 2015, *Empirical evaluation of rectified activations in convolutional network*.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rrelu {
    /// The smallest slope. Default: 1/8.
    pub lower: f64,
    /// The largest slope. Default: 1/3.
    pub upper: f64,
}

impl Default for Rrelu {
    fn default() -> Self {
        Self { lower: 0.125, upper: 1.0 / 3.0 }
    }
}

impl Rrelu {
    /// [`rrelu`]; it trains where `x` is on a device with autodiff.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let training = x.device().is_autodiff();
        rrelu(x, self.lower, self.upper, training)
    }
}

module::constant!(Rrelu);

/// [`Rrelu`]; `training` tells whether slopes are drawn.
pub fn rrelu<const D: usize>(x: Tensor<D>, lower: f64, upper: f64, training: bool) -> Tensor<D> {
    if !training {
        return Activation::from(LeakyRelu { negative_slope: (lower + upper) / 2.0 }).forward(x);
    }
    let slopes = x.random_like(Distribution::Uniform(lower, upper));
    relu(x.clone()) - slopes * below(x)
}
