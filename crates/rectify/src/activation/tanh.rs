//! The hyperbolic tangent.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{
    Number,
    pieces::{self, Pieces},
};

/// The hyperbolic tangent.
///
/// φ′ = 1 − tanh² x, computed as 4 σ(2x) σ(−2x). Smooth; NaN gives NaN, zeros keep their sign, φ(±∞) = ±1.
///
/// Keeps its input: from the output φ′ would be 1 − a², which is exactly 0 from |x| = 9.1 on in f32, where the value
/// is 5e-8. A fused layer keeps the output all the same, see [`FusedActivation`](crate::FusedActivation). Saturates
/// on both sides.
///
/// LeCun et al. 1998, *Efficient backprop*.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tanh;

impl Function for Tanh {
    const NAME: &'static str = "tanh";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.tanh()
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        (x + x).sigmoid_slope_times(4.0)
    }
}

impl Properties for Tanh {
    const FAMILY: Family = Family::Sigmoidal;
    const SATURATES: Saturates = Saturates::Both;

    fn torch(self) -> Option<String> {
        Some("Tanh()".to_owned())
    }

    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [Some(&pieces::TANH), Some(&pieces::TANH_SLOPE)]
    }
}

/// [`Tanh`] of each element.
pub fn tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tanh.forward(x)
}
