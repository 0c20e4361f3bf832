//! Softsign.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{Form, Number};

/// x / (1 + |x|): like tanh, with tails that fade slowly.
///
/// φ′ = 1 / (1 + |x|)². NaN gives NaN, zeros keep their sign, φ(±∞) = ±1 (PyTorch: NaN).
///
/// Keeps its input. Saturates on both sides.
///
/// Turian, Bergstra and Bengio 2009, *Quadratic features and deep architectures for chunking*.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Softsign;

impl Function for Softsign {
    const NAME: &'static str = "softsign";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        // Beyond it is ±1 to rounding, and ∞ / ∞ is avoided.
        let x = x.at_least(-1e30).at_most(1e30);
        x / (N::of(1.0) + x.abs())
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let d = N::of(1.0) + x.abs();
        x.by_form(Form::SoftsignSlope, N::of(1.0) / (d * d))
    }
}

impl Properties for Softsign {
    const FAMILY: Family = Family::Sigmoidal;
    const SATURATES: Saturates = Saturates::Both;

    fn torch(self) -> Option<String> {
        Some("Softsign()".to_owned())
    }
}

/// [`Softsign`] of each element.
pub fn softsign<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Softsign.forward(x)
}
