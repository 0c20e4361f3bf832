//! ReLU with a ceiling.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Bends, Family, Function, Keeps, Passes, Properties, Saturates};
use crate::number::Number;

/// ReLU with a ceiling: min(max(0, x), 6).
///
/// φ′ = 1 for 0 < x < 6, otherwise 0, at both kinks too; PyTorch's convention. NaN gives NaN, −0 gives 0, φ(−∞) = 0
/// and φ(∞) = 6.
///
/// Keeps its output. Saturates above 6.
///
/// Krizhevsky 2010, *Convolutional deep belief networks on CIFAR-10*.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Relu6;

impl Function for Relu6 {
    const NAME: &'static str = "relu6";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        x.at_least(0.0).at_most(6.0)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        x.inside(0.0, 6.0)
    }
}

impl Properties for Relu6 {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Above;

    fn torch(self) -> Option<String> {
        Some("ReLU6()".to_owned())
    }

    #[inline(always)]
    fn passes(self) -> Option<Passes> {
        Some(Passes::Between([0.0, 6.0]))
    }

    fn keeps(self) -> Keeps {
        Keeps::Output
    }
}

impl Bends for Relu6 {
    fn kinks(self) -> [f64; 2] {
        [0.0, 6.0]
    }
}

/// [`Relu6`] of each element.
pub fn relu6<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Relu6.forward(x)
}
