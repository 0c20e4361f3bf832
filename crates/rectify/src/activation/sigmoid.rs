//! The logistic function.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{
    Near, Number,
    pieces::{self, Pieces},
};

/// The logistic function: σ(x) = 1 / (1 + e⁻ˣ).
///
/// φ′ = σ(x) σ(−x). Smooth; NaN gives NaN, φ(−∞) = 0 and φ(∞) = 1.
///
/// Keeps its input: from the output φ′ would be a (1 − a), which is exactly 0 from x = 16.7 on in f32, where the
/// value is 6e-8. A fused layer keeps the output all the same, see [`FusedActivation`](crate::FusedActivation).
/// Saturates on both sides.
///
/// Rumelhart, Hinton and Williams 1986, *Learning representations by back-propagating errors*.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sigmoid;

impl Function for Sigmoid {
    const NAME: &'static str = "sigmoid";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.sigmoid()
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        x.sigmoid_slope_times(1.0)
    }
}

impl Properties for Sigmoid {
    const FAMILY: Family = Family::Sigmoidal;
    const SATURATES: Saturates = Saturates::Both;
    const CAN_BE_ZERO: bool = false;

    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [None, Some(&pieces::SIGMOID_SLOPE)]
    }

    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [Near::SIGMOID, 0.0]
    }
}

/// [`Sigmoid`] of each element.
pub fn sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Sigmoid.forward(x)
}
