//! Continuously differentiable ELU.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::{
    number::{Near, Number, in_two},
    relu::ConfigError,
};

/// Continuously differentiable ELU: x above 0, α (e^(x / α) − 1) below.
///
/// φ′ = 1 for x > 0, otherwise e^(x / α), which at 0 is 1 as well. NaN gives NaN, zeros keep their sign, φ(−∞) = −α
/// and φ(∞) = ∞.
///
/// Keeps its input. Saturates below 0.
///
/// Barron 2017, *Continuously differentiable exponential linear units*.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Celu {
    /// α, positive. Default: 1.0.
    pub alpha: f64,
}

impl Default for Celu {
    fn default() -> Self {
        Self { alpha: 1.0 }
    }
}

impl Function for Celu {
    const NAME: &'static str = "celu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        N::choose(x.above(0.0), x, in_two::expm1(x, self.factor()) * N::of(self.alpha))
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        N::choose(x.above(0.0), N::of(1.0), in_two::exp(x, self.factor()))
    }
}

impl Celu {
    /// 1 / α, and what that was rounded by.
    #[inline(always)]
    fn factor(self) -> [f64; 2] {
        let factor = 1.0 / self.alpha;
        [factor, (-self.alpha).mul_add(factor, 1.0) / self.alpha]
    }
}

impl Properties for Celu {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    fn torch(self) -> Option<String> {
        Some(format!("CELU({})", self.alpha))
    }

    fn parameter(&mut self) -> Option<&mut f64> {
        Some(&mut self.alpha)
    }

    /// e^(x / α) shows by how much x / α has been rounded.
    #[inline(always)]
    fn is_wide(self) -> [bool; 2] {
        [self.alpha != 1.0; 2]
    }

    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [Near::EXPM1; 2]
    }

    fn check(self) -> Result<(), ConfigError> {
        super::positive("alpha", self.alpha)
    }
}

/// [`Celu`] of each element.
pub fn celu<const D: usize>(x: Tensor<D>, alpha: f64) -> Tensor<D> {
    Celu { alpha }.forward(x)
}
