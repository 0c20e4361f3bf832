//! Swish in pieces.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::Number;

/// 1/6 as the sum of an f32 and what that lost: as exact as a quotient, which takes longer.
const SIXTH: [f64; 2] = [(1.0_f64 / 6.0) as f32 as f64, 1.0 / 6.0 - (1.0_f64 / 6.0) as f32 as f64];

/// Swish in pieces: x min(max(0, x + 3), 6) / 6.
///
/// φ′ = x / 3 + ½ for −3 < x < 3, 0 to the left and 1 to the right, at the kinks too. NaN gives NaN, zeros keep their
/// sign, φ(−∞) = −0 (PyTorch: NaN) and φ(∞) = ∞.
///
/// Keeps its input. Saturates below −3.
///
/// Howard et al. 2019, *Searching for MobileNetV3*.
#[doc(alias = "hardswish")]
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HardSwish;

impl Function for HardSwish {
    const NAME: &'static str = "hard_swish";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        let left = x.at_least(-3.0);
        let sum = left + N::of(3.0);
        N::choose(x.above(3.0), x, left * sum.times_plus(N::of(SIXTH[0]), sum * N::of(SIXTH[1])))
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let inner = (x + x + N::of(3.0)) * N::of(1.0 / 6.0);
        let left = N::choose(x.above(-3.0), inner, x.or_nan(N::of(0.0)));
        N::choose(x.below(3.0), left, x.or_nan(N::of(1.0)))
    }
}

impl Properties for HardSwish {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    fn torch(self) -> Option<String> {
        Some("Hardswish()".to_owned())
    }
}

/// [`HardSwish`] of each element.
pub fn hard_swish<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    HardSwish.forward(x)
}
