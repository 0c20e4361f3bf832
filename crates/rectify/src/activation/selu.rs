//! Scaled ELU.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{Near, Number};

/// The constants of the paper.
const ALPHA: f64 = 1.673_263_242_354_377_2;
const SCALE: f64 = 1.050_700_987_355_480_5;

/// Scaled ELU: λ x above 0, λ α (eˣ − 1) below, with α = 1.6733 and λ = 1.0507, for which a signal keeps mean 0 and
/// variance 1.
///
/// φ′ = λ for x > 0, otherwise λ α eˣ, which at 0 is λ α; PyTorch's convention. NaN gives NaN, zeros keep their
/// sign, φ(−∞) = −λ α = −1.758 and φ(∞) = ∞.
///
/// Keeps its input. Saturates below 0.
///
/// Klambauer et al. 2017, *Self-normalizing neural networks*.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Selu;

impl Function for Selu {
    const NAME: &'static str = "selu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        N::choose(x.above(0.0), x * N::of(SCALE), x.expm1() * N::of(SCALE * ALPHA))
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        N::choose(x.above(0.0), N::of(SCALE), x.exp_times(SCALE * ALPHA))
    }
}

impl Properties for Selu {
    const FAMILY: Family = Family::SelfNormalizing;
    const SATURATES: Saturates = Saturates::Below;

    fn torch(self) -> Option<String> {
        Some("SELU()".to_owned())
    }

    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [Near::EXPM1; 2]
    }
}

/// [`Selu`] of each element.
pub fn selu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Selu.forward(x)
}
