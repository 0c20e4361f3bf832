//! Mish.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::Number;

/// Where φ′ is 0, and its first coefficients about that.
const ROOT: f64 = -1.192_431_214_515_495_2;
const TAYLOR: [f64; 6] = [
    0.266_947_914_049_534_5,
    0.204_731_264_080_105_9,
    0.041_907_821_043_609_87,
    -0.020_271_822_716_684_246,
    -0.015_821_126_561_733_38,
    -0.003_360_684_927_023_268_7,
];

/// x tanh(softplus(x)) = x n / (n + 2) with n = eˣ (eˣ + 2).
///
/// φ′ = (n + 4 x eˣ (1 + eˣ) / (n + 2)) / (n + 2). Smooth; it falls to −0.309 at x = −1.192 and rises to 0 to the
/// left. NaN gives NaN, −0 gives −0, φ(−∞) = −0 (PyTorch: NaN) and φ(∞) = ∞.
///
/// Keeps its input. Saturates below 0.
///
/// Misra 2019, *Mish: a self regularized non-monotonic activation function*.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mish;

impl Function for Mish {
    const NAME: &'static str = "mish";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        // n / (n + 2) is 1 to rounding from 20 on; −∞ times 0 is avoided.
        let left = x.at_least(-800.0);
        let e = left.at_most(20.0).exp();
        let n = e * (e + N::of(2.0));
        left * n / (n + N::of(2.0))
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let x = x.at_least(-800.0).at_most(20.0);
        let e = x.exp();
        let n = e * (e + N::of(2.0));
        let share = N::of(1.0) / (n + N::of(2.0));
        let slope = share * (n + N::of(4.0) * x * e * (N::of(1.0) + e) * share);
        x.near_root(ROOT, TAYLOR, slope)
    }
}

impl Properties for Mish {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    #[inline(always)]
    fn is_wide(self) -> [bool; 2] {
        [true; 2]
    }
}

/// [`Mish`] of each element.
pub fn mish<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Mish.forward(x)
}
