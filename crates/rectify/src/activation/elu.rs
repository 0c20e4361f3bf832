//! Exponential linear unit.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::{
    number::{Near, Number},
    relu::ConfigError,
};

/// Exponential linear unit: x above 0, α (eˣ − 1) below.
///
/// φ′ = 1 for x > 0, otherwise α eˣ, which at 0 is α; PyTorch's convention. NaN gives NaN, zeros keep their sign,
/// φ(−∞) = −α and φ(∞) = ∞.
///
/// Keeps its input: the output tells α eˣ with ever fewer digits as it nears −α. Saturates below 0.
///
/// Clevert, Unterthiner and Hochreiter 2015, *Fast and accurate deep network learning by exponential linear units*.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Elu {
    /// α, positive. Default: 1.0.
    pub alpha: f64,
}

impl Default for Elu {
    fn default() -> Self {
        Self { alpha: 1.0 }
    }
}

impl Function for Elu {
    const NAME: &'static str = "elu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        N::choose(x.above(0.0), x, x.expm1() * N::of(self.alpha))
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        N::choose(x.above(0.0), N::of(1.0), x.exp_times(self.alpha))
    }
}

impl Properties for Elu {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    fn torch(self) -> Option<String> {
        Some(format!("ELU({})", self.alpha))
    }

    fn parameter(&mut self) -> Option<&mut f64> {
        Some(&mut self.alpha)
    }

    /// With a smaller α some results are subnormal numbers.
    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [if self.alpha > 1e-6 { Near::EXPM1 } else { 0.0 }; 2]
    }

    fn check(self) -> Result<(), ConfigError> {
        super::positive("alpha", self.alpha)
    }
}

/// [`Elu`] of each element.
pub fn elu<const D: usize>(x: Tensor<D>, alpha: f64) -> Tensor<D> {
    Elu { alpha }.forward(x)
}
