//! The square of ReLU.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::Number;

/// max(0, x)².
///
/// φ′ = 2 max(0, x). NaN gives NaN, −0 gives 0, φ(−∞) = 0 and φ(∞) = ∞.
///
/// Keeps its input. Saturates nowhere: to the left it is flat.
///
/// So et al. 2021, *Primer: searching for efficient transformers for language modeling*.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SquaredRelu;

impl Function for SquaredRelu {
    const NAME: &'static str = "squared_relu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        let above = x.at_least(0.0);
        above * above
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let above = x.at_least(0.0);
        above + above
    }
}

impl Properties for SquaredRelu {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Nowhere;
}

/// [`SquaredRelu`] of each element.
pub fn squared_relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    SquaredRelu.forward(x)
}
