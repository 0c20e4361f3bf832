//! Softplus.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::{
    number::{Near, Number, in_two},
    relu::ConfigError,
};

/// ln(1 + e^(β x)) / β: a smooth ReLU, and ever nearer to it as β grows.
///
/// φ′ = σ(β x). Smooth; NaN gives NaN, φ(−∞) = 0 and φ(∞) = ∞. PyTorch gives x itself where β x > 20; here the
/// function is computed everywhere, which in f32 is the same from β x = 17 on.
///
/// Keeps its input. Saturates below 0, and is never 0.
///
/// Dugas et al. 2001, *Incorporating second-order functional knowledge for better option pricing*.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Softplus {
    /// β, positive. Default: 1.0.
    pub beta: f64,
}

impl Default for Softplus {
    fn default() -> Self {
        Self { beta: 1.0 }
    }
}

impl Function for Softplus {
    const NAME: &'static str = "softplus";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        in_two::softplus(x, self.beta) * N::of(1.0 / self.beta)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        in_two::sigmoid(x, self.beta)
    }
}

impl Properties for Softplus {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;
    const CAN_BE_ZERO: bool = false;

    fn torch(self) -> Option<String> {
        Some(format!("Softplus({})", self.beta))
    }

    fn parameter(&mut self) -> Option<&mut f64> {
        Some(&mut self.beta)
    }

    /// In a tail e^(β x) shows by how much β x has been rounded.
    #[inline(always)]
    fn is_wide(self) -> [bool; 2] {
        [self.beta != 1.0; 2]
    }

    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [Near::SOFTPLUS, Near::SIGMOID]
    }

    fn check(self) -> Result<(), ConfigError> {
        super::positive("beta", self.beta)
    }
}

/// [`Softplus`] of each element.
pub fn softplus<const D: usize>(x: Tensor<D>, beta: f64) -> Tensor<D> {
    Softplus { beta }.forward(x)
}
