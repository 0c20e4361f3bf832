//! Swish with a fixed β.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::silu::{ROOT, TAYLOR};
use super::{Family, Function, Properties, Saturates, Silu};
use crate::{
    number::{Number, in_two, pieces::Pieces},
    relu::ConfigError,
};

/// x σ(β x) = x / (1 + e^(−β x)): x / 2 for β = 0, and ever nearer to ReLU as β grows. With β = 1 it is
/// [`Silu`](super::Silu). β does not learn here.
///
/// φ′ = σ(z) (1 + z (1 − σ(z))) with z = β x. Smooth; NaN gives NaN, −0 gives −0; for β > 0 φ(−∞) = −0 and φ(∞) = ∞,
/// for β < 0 φ(−∞) = −∞ and φ(∞) = 0.
///
/// Keeps its input. Saturates below 0 for β > 0.
///
/// Ramachandran, Zoph and Le 2017, *Searching for activation functions*.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Swish {
    /// β. Default: 1.0.
    pub beta: f64,
}

impl Default for Swish {
    fn default() -> Self {
        Self { beta: 1.0 }
    }
}

impl Function for Swish {
    const NAME: &'static str = "swish";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        if self.beta == 1.0 {
            return Silu.value(x);
        }
        let z = (x * N::of(self.beta)).at_least(-800.0).at_most(800.0);
        // Where σ is 0 to rounding, ∞ times it is not.
        let sigmoid = in_two::sigmoid(x, self.beta);
        N::choose(z.above(-750.0), x * sigmoid, N::of(-0.0) * z.or_nan(N::of(1.0)))
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        if self.beta == 1.0 {
            return Silu.slope(x);
        }
        let z = (x * N::of(self.beta)).at_least(-800.0).at_most(800.0);
        let sigmoid = in_two::sigmoid(x, self.beta);
        z.near_root(ROOT, &TAYLOR, sigmoid * (N::of(1.0) + z * (N::of(1.0) - sigmoid)))
    }
}

impl Properties for Swish {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    fn torch(self) -> Option<String> {
        (self.beta == 1.0).then(|| "SiLU()".to_owned())
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
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        if self.beta == 1.0 { Silu.pieces() } else { [None; 2] }
    }

    #[inline(always)]
    fn near(self) -> [f32; 2] {
        Silu.near()
    }

    fn check(self) -> Result<(), ConfigError> {
        super::finite("beta", self.beta)
    }
}

/// [`Swish`] of each element.
pub fn swish<const D: usize>(x: Tensor<D>, beta: f64) -> Tensor<D> {
    Swish { beta }.forward(x)
}
