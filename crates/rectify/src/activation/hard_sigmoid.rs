//! The sigmoid in three pieces.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Bends, Family, Function, Properties, Saturates};
use crate::number::Number;

/// The sigmoid in three pieces: min(max(0, x / 6 + ½), 1).
///
/// φ′ = ⅙ for −3 < x < 3, otherwise 0, at both kinks too. NaN gives NaN, φ(−∞) = 0 and φ(∞) = 1. This is PyTorch's
/// function; Keras's older one, which Burn's default is, has the slope 0.2 between −2.5 and 2.5.
///
/// Keeps its input: next to 3 the output rounds to 1. Saturates on both sides.
///
/// Courbariaux, Bengio and David 2015, *BinaryConnect*; with ⅙ Howard et al. 2019, *Searching for MobileNetV3*.
#[doc(alias = "hardsigmoid")]
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HardSigmoid;

impl Function for HardSigmoid {
    const NAME: &'static str = "hard_sigmoid";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        ((x + N::of(3.0)) * N::of(1.0 / 6.0)).at_least(0.0).at_most(1.0)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        x.inside(-3.0, 3.0) * N::of(1.0 / 6.0)
    }
}

impl Properties for HardSigmoid {
    const FAMILY: Family = Family::Sigmoidal;
    const SATURATES: Saturates = Saturates::Both;

    fn torch(self) -> Option<String> {
        Some("Hardsigmoid()".to_owned())
    }
}

impl Bends for HardSigmoid {
    fn kinks(self) -> [f64; 2] {
        [-3.0, 3.0]
    }
}

/// [`HardSigmoid`] of each element.
pub fn hard_sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    HardSigmoid.forward(x)
}
