//! Logarithm of the sigmoid.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{Near, Number};

/// ln σ(x) = −ln(1 + e⁻ˣ).
///
/// φ′ = σ(−x). Smooth; NaN gives NaN, φ(−∞) = −∞ and φ(∞) = −0.
///
/// Keeps its input. Saturates above 0, and is never 0.
///
/// The logarithm of [`Sigmoid`](super::Sigmoid), whose paper is there: by itself it is a part of losses.
#[doc(alias = "logsigmoid")]
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogSigmoid;

impl Function for LogSigmoid {
    const NAME: &'static str = "log_sigmoid";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        -(-x).softplus()
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        (-x).sigmoid()
    }
}

impl Properties for LogSigmoid {
    const FAMILY: Family = Family::Sigmoidal;
    const SATURATES: Saturates = Saturates::Above;
    const CAN_BE_ZERO: bool = false;

    fn torch(self) -> Option<String> {
        Some("LogSigmoid()".to_owned())
    }

    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [Near::SOFTPLUS, Near::SIGMOID]
    }
}

/// [`LogSigmoid`] of each element.
pub fn log_sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    LogSigmoid.forward(x)
}
