//! Gaussian error linear unit.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{
    Form, Number,
    pieces::{self, Pieces},
};

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
        x.by_form(Form::Gelu, N::choose(x.above(40.0), x, inner * inner.normal().0))
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let inner = x.at_least(-40.0).at_most(40.0);
        let (probability, density) = inner.normal();
        x.by_form(Form::GeluSlope, probability + inner * density)
    }
}

impl Properties for Gelu {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [Some(&pieces::GELU), Some(&pieces::GELU_SLOPE)]
    }

    #[inline(always)]
    fn together(self) -> bool {
        true
    }
}

/// [`Gelu`] of each element.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Gelu.forward(x)
}
