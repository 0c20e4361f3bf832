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

    fn torch(self) -> Option<String> {
        Some("Sigmoid()".to_owned())
    }

    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [None, Some(&pieces::SIGMOID_SLOPE)]
    }

    /// The second is of both together.
    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [Near::SIGMOID; 2]
    }

    #[inline(always)]
    fn shares(self) -> bool {
        true
    }

    /// With s = σ(−|x|), of which 1 − s loses no digits, φ is one of the two and φ′ = s − s².
    #[inline(always)]
    fn value_and_slope<N: Number>(self, x: N) -> [N; 2] {
        let small = (-x.abs()).sigmoid();
        let value = N::choose(x.below(0.0), small, N::of(1.0) - small);
        [value, (-small).times_plus(small, small)]
    }
}

/// [`Sigmoid`] of each element.
pub fn sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Sigmoid.forward(x)
}
