//! Gaussian error linear unit.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::Number;

/// Where φ′ is 0, and its first coefficients about that.
const ROOT: f64 = -0.751_791_524_693_564_5;
const TAYLOR: [f64; 4] =
    [0.431_493_992_314_046_9, 0.388_284_982_990_552, -0.018_199_676_398_671_087, -0.114_008_233_297_221_7];

/// Gaussian error linear unit: x Φ(x), with the normal distribution's probability Φ.
///
/// φ′ = Φ(x) + x Φ′(x). Smooth; it falls to −0.170 at x = −0.752 and rises to 0 to the left. NaN gives NaN, −0 gives
/// −0, φ(−∞) = −0 (PyTorch: NaN) and φ(∞) = ∞.
///
/// Keeps its input. Saturates below 0: φ is −1.4e-6 at −5 and keeps its digits down to f32's smallest
/// numbers at −14.3.
///
/// Hendrycks and Gimpel 2016, *Gaussian error linear units*.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gelu;

impl Function for Gelu {
    const NAME: &'static str = "gelu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        // Further to the left nothing is left of it, and −∞ times 0 is avoided.
        let inner = x.at_least(-40.0).at_most(40.0);
        N::choose(x.above(40.0), x, inner * inner.normal().0)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let x = x.at_least(-40.0).at_most(40.0);
        let (probability, density) = x.normal();
        x.near_root(ROOT, TAYLOR, probability + x * density)
    }
}

impl Properties for Gelu {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;
    const WIDE_VALUE: bool = true;
    const WIDE_SLOPE: bool = true;
}

/// [`Gelu`] of each element.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Gelu.forward(x)
}
