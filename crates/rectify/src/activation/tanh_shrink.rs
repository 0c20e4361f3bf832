//! What tanh leaves of x.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{
    Form, Number,
    pieces::{self, Pieces},
    polynomial,
};

/// (x − tanh x) / x³ as a quotient of polynomials in x², to 2⁻⁵⁹ where |x| < [`NEAR_0`]; the last coefficients first.
const ABOVE: [f64; 4] = [3.767_443_997_734_045e-6, 1.113_917_103_488_63e-3, 7.048_188_507_470_37e-2, 1.0];
const BELOW: [f64; 5] =
    [3.852_184_170_609_823e-6, 1.199_217_481_137_665e-3, 8.220_572_768_582_767e-2, 1.411_445_655_224_110_8, 3.0];
const NEAR_0: f64 = 1.5;

/// x − tanh x.
///
/// φ′ = tanh² x. Smooth; NaN gives NaN, zeros keep their sign, φ(±∞) = ±∞. Near 0 it is x³ / 3, by a quotient of
/// polynomials: the difference would have no digits.
///
/// Keeps its input. Saturates nowhere: it is flat at 0. A function of Lua Torch, of which no paper is known to us.
#[doc(alias = "tanhshrink")]
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TanhShrink;

impl Function for TanhShrink {
    const NAME: &'static str = "tanh_shrink";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        let z = x * x;
        let near = x * z * (polynomial(z, ABOVE) / polynomial(z, BELOW));
        let value = N::choose(x.abs().below(NEAR_0), near, x - x.tanh());
        x.by_form(Form::TanhShrink, value)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let t = x.tanh();
        x.by_form(Form::TanhShrinkSlope, t * t)
    }
}

impl Properties for TanhShrink {
    const FAMILY: Family = Family::Sigmoidal;
    const SATURATES: Saturates = Saturates::Nowhere;

    fn torch(self) -> Option<String> {
        Some("Tanhshrink()".to_owned())
    }

    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [Some(&pieces::TANH_SHRINK), Some(&pieces::TANH_SHRINK_SLOPE)]
    }

    #[inline(always)]
    fn together(self) -> bool {
        true
    }
}

/// [`TanhShrink`] of each element.
pub fn tanh_shrink<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    TanhShrink.forward(x)
}
