//! Leaky ReLU.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Bends, Family, Function, Keeps, Properties, Saturates};
use crate::{number::Number, relu::ConfigError};

/// Leaky ReLU: x above 0, slope · x below.
///
/// φ′ = 1 for x > 0, otherwise the slope, at 0 too; PyTorch's convention. NaN gives NaN, φ(±∞) = ±∞ for a positive
/// slope, and zeros keep their sign.
///
/// Keeps its output, which has the input's sign; the input where the slope is not positive. Saturates nowhere.
///
/// Maas, Hannun and Ng 2013, *Rectifier nonlinearities improve neural network acoustic models*.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LeakyRelu {
    /// The slope for x ≤ 0. Default: 0.01.
    pub negative_slope: f64,
}

impl Default for LeakyRelu {
    fn default() -> Self {
        Self { negative_slope: 0.01 }
    }
}

impl Function for LeakyRelu {
    const NAME: &'static str = "leaky_relu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        N::choose(x.above(0.0), x, x * N::of(self.negative_slope))
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        x.or_nan(N::choose(x.above(0.0), N::of(1.0), N::of(self.negative_slope)))
    }
}

impl Properties for LeakyRelu {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Nowhere;

    fn torch(self) -> Option<String> {
        Some(format!("LeakyReLU({})", self.negative_slope))
    }

    fn parameter(&mut self) -> Option<&mut f64> {
        Some(&mut self.negative_slope)
    }

    fn keeps(self) -> Keeps {
        if self.negative_slope > 0.0 { Keeps::Output } else { Keeps::Input }
    }

    fn check(self) -> Result<(), ConfigError> {
        super::finite("negative_slope", self.negative_slope)
    }
}

impl Bends for LeakyRelu {
    fn kinks(self) -> [f64; 2] {
        [0.0; 2]
    }
}

/// [`LeakyRelu`] of each element.
pub fn leaky_relu<const D: usize>(x: Tensor<D>, negative_slope: f64) -> Tensor<D> {
    LeakyRelu { negative_slope }.forward(x)
}
