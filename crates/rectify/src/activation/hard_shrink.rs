//! Hard shrinkage.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Bends, Family, Function, Keeps, Passes, Properties, Saturates};
use crate::{number::Number, relu::ConfigError};

/// x where |x| > λ, otherwise 0.
///
/// φ′ = 1 where |x| > λ, otherwise 0; PyTorch's convention. NaN gives NaN, −0 gives 0 for λ > 0, φ(±∞) = ±∞. At ±λ φ
/// jumps, and φ′ says nothing of the jump. Shrinking to other than 0, as Burn's `shrink` can, is a formula.
///
/// Keeps its output. Saturates nowhere: between −λ and λ it is flat.
///
/// Donoho and Johnstone 1994, *Ideal spatial adaptation by wavelet shrinkage*.
#[doc(alias = "hardshrink")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HardShrink {
    /// λ, not negative. Default: 0.5.
    pub lambda: f64,
}

impl Default for HardShrink {
    fn default() -> Self {
        Self { lambda: 0.5 }
    }
}

impl Function for HardShrink {
    const NAME: &'static str = "hard_shrink";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        N::choose(x.abs().less_equal(N::of(self.lambda)), N::of(0.0), x)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        x.or_nan(N::choose(x.abs().above(self.lambda), N::of(1.0), N::of(0.0)))
    }
}

impl Properties for HardShrink {
    const FAMILY: Family = Family::Sigmoidal;
    const SATURATES: Saturates = Saturates::Nowhere;

    fn torch(self) -> Option<String> {
        Some(format!("Hardshrink({})", self.lambda))
    }

    fn parameter(&mut self) -> Option<&mut f64> {
        Some(&mut self.lambda)
    }

    #[inline(always)]
    fn passes(self) -> Option<Passes> {
        Some(Passes::Beyond([-self.lambda, self.lambda]))
    }

    fn keeps(self) -> Keeps {
        Keeps::Output
    }

    fn check(self) -> Result<(), ConfigError> {
        super::not_negative("lambda", self.lambda)
    }
}

impl Bends for HardShrink {
    fn kinks(self) -> [f64; 2] {
        [-self.lambda, self.lambda]
    }
}

/// [`HardShrink`] of each element.
pub fn hard_shrink<const D: usize>(x: Tensor<D>, lambda: f64) -> Tensor<D> {
    HardShrink { lambda }.forward(x)
}
