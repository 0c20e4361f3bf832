//! The hyperbolic tangent in three pieces.

use burn::tensor::{Tensor, bf16, f16};
use serde::{Deserialize, Serialize};

use super::{Bends, Family, Function, Keeps, Passes, Properties, Saturates};
use crate::{number::Number, relu::ConfigError};

/// x between two bounds, which it does not leave: min(max(low, x), high).
///
/// φ′ = 1 between the bounds, otherwise 0, at both kinks too; PyTorch's convention. NaN gives NaN, −0 between them gives
/// −0, φ(−∞) = low and φ(∞) = high.
///
/// Keeps its output, or its input where a half type does not hold both bounds: rounded, they could lie between them.
/// Saturates on both sides.
///
/// Collobert 2004, *Large scale machine learning*.
#[doc(alias = "hardtanh")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HardTanh {
    /// The lower bound. Default: -1.0.
    pub min_value: f64,
    /// The upper bound, above the lower one. Default: 1.0.
    pub max_value: f64,
}

impl Default for HardTanh {
    fn default() -> Self {
        Self { min_value: -1.0, max_value: 1.0 }
    }
}

impl Function for HardTanh {
    const NAME: &'static str = "hard_tanh";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.at_least(self.min_value).at_most(self.max_value)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        x.inside(self.min_value, self.max_value)
    }
}

impl Properties for HardTanh {
    const FAMILY: Family = Family::Sigmoidal;
    const SATURATES: Saturates = Saturates::Both;

    fn torch(self) -> Option<String> {
        Some(format!("Hardtanh({}, {})", self.min_value, self.max_value))
    }

    #[inline(always)]
    fn passes(self) -> Option<Passes> {
        Some(Passes::Between([self.min_value, self.max_value]))
    }

    fn keeps(self) -> Keeps {
        let holds = |bound: f64| f16::from_f64(bound).to_f64() == bound && bf16::from_f64(bound).to_f64() == bound;
        if holds(self.min_value) && holds(self.max_value) { Keeps::Output } else { Keeps::Input }
    }

    fn check(self) -> Result<(), ConfigError> {
        super::finite("min_value", self.min_value)?;
        let (field, value, ok) = ("max_value", self.max_value, self.max_value > self.min_value);
        super::in_range(field, value, "above min_value", ok && value.is_finite())
    }
}

impl Bends for HardTanh {
    fn kinks(self) -> [f64; 2] {
        [self.min_value, self.max_value]
    }
}

/// [`HardTanh`] of each element.
pub fn hard_tanh<const D: usize>(x: Tensor<D>, min_value: f64, max_value: f64) -> Tensor<D> {
    HardTanh { min_value, max_value }.forward(x)
}
