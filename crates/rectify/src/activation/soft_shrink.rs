//! Soft shrinkage.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Bends, Family, Function, Passes, Properties, Saturates};
use crate::{number::Number, relu::ConfigError};

/// x nearer to 0 by λ, and 0 where |x| ≤ λ.
///
/// φ′ = 1 where |x| > λ, otherwise 0; PyTorch's convention. NaN gives NaN, zeros give 0, φ(±∞) = ±∞.
///
/// Keeps its input. Saturates nowhere: between −λ and λ it is flat.
///
/// Donoho 1995, *De-noising by soft-thresholding*.
#[doc(alias = "softshrink")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SoftShrink {
    /// λ, not negative. Default: 0.5.
    pub lambda: f64,
}

impl Default for SoftShrink {
    fn default() -> Self {
        Self { lambda: 0.5 }
    }
}

impl Function for SoftShrink {
    const NAME: &'static str = "soft_shrink";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x - x.at_least(-self.lambda).at_most(self.lambda)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        x.or_nan(N::choose(x.abs().above(self.lambda), N::of(1.0), N::of(0.0)))
    }
}

impl Properties for SoftShrink {
    const FAMILY: Family = Family::Sigmoidal;
    const SATURATES: Saturates = Saturates::Nowhere;

    fn torch(self) -> Option<String> {
        Some(format!("Softshrink({})", self.lambda))
    }

    fn parameter(&mut self) -> Option<&mut f64> {
        Some(&mut self.lambda)
    }

    #[inline(always)]
    fn passes(self) -> Option<Passes> {
        Some(Passes::Beyond([-self.lambda, self.lambda]))
    }

    fn check(self) -> Result<(), ConfigError> {
        super::not_negative("lambda", self.lambda)
    }
}

impl Bends for SoftShrink {
    fn kinks(self) -> [f64; 2] {
        [-self.lambda, self.lambda]
    }
}

/// [`SoftShrink`] of each element.
pub fn soft_shrink<const D: usize>(x: Tensor<D>, lambda: f64) -> Tensor<D> {
    SoftShrink { lambda }.forward(x)
}
