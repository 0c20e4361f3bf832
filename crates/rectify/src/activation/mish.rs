//! Mish.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::Number;

/// Where φ′ is 0, as the sum of two, and its coefficients about that.
const ROOT: [f64; 2] = [-1.192_431_214_515_495_2, -4.848_482_984_803_104_4e-17];
const TAYLOR: [f64; 16] = [
    0.266_947_914_049_534_5,
    0.204_731_264_080_105_86,
    0.041_907_821_043_609_87,
    -0.020_271_822_716_684_245,
    -0.015_821_126_561_733_38,
    -0.003_360_684_927_023_268_5,
    0.001_092_405_540_944_585_4,
    0.000_989_818_102_128_919_6,
    0.000_254_129_363_861_910_73,
    -4.196_149_603_169_612_6e-5,
    -5.582_891_567_360_688e-5,
    -1.729_927_081_030_44e-5,
    9.427_361_327_376_651e-7,
    2.908_819_936_491_222_3e-6,
    1.071_676_702_702_074e-6,
    2.687_941_785_555_772_8e-8,
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
        x.near_root(ROOT, &TAYLOR, slope)
    }
}

impl Properties for Mish {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    fn torch(self) -> Option<String> {
        Some("Mish()".to_owned())
    }

    #[inline(always)]
    fn is_wide(self) -> [bool; 2] {
        [true; 2]
    }
}

/// [`Mish`] of each element.
pub fn mish<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Mish.forward(x)
}
