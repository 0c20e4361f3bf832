//! A threshold.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Bends, Family, Function, Passes, Properties, Saturates};
use crate::number::Number;

/// x above a threshold, a fixed value at and below it.
///
/// φ′ = 1 above the threshold, otherwise 0; PyTorch's convention. NaN gives NaN, zeros above it keep their sign,
/// φ(−∞) = value and φ(∞) = ∞. Where value and threshold differ φ jumps, and φ′ says nothing of the jump.
///
/// Keeps its input. Saturates nowhere: below the threshold it is flat. With both at 0 it is ReLU; PyTorch, which has it of
/// Lua Torch, has no defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The threshold. Default: 0.0.
    pub threshold: f64,
    /// φ at and below it. Default: 0.0.
    pub value: f64,
}

impl Default for Threshold {
    fn default() -> Self {
        Self { threshold: 0.0, value: 0.0 }
    }
}

impl Function for Threshold {
    const NAME: &'static str = "threshold";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        N::choose(x.less_equal(N::of(self.threshold)), N::of(self.value), x)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        x.or_nan(N::choose(x.above(self.threshold), N::of(1.0), N::of(0.0)))
    }
}

impl Properties for Threshold {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Nowhere;

    fn torch(self) -> Option<String> {
        Some(format!("Threshold({}, {})", self.threshold, self.value))
    }

    fn parameter(&mut self) -> Option<&mut f64> {
        Some(&mut self.threshold)
    }

    #[inline(always)]
    fn passes(self) -> Option<Passes> {
        Some(Passes::Beyond([f64::NEG_INFINITY, self.threshold]))
    }
}

impl Bends for Threshold {
    fn kinks(self) -> [f64; 2] {
        [self.threshold; 2]
    }
}

/// [`Threshold`] of each element.
pub fn threshold<const D: usize>(x: Tensor<D>, threshold: f64, value: f64) -> Tensor<D> {
    Threshold { threshold, value }.forward(x)
}
