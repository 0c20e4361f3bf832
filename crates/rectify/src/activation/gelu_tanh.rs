//! The approximation of GELU by tanh.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{
    Form, Number,
    pieces::{self, Pieces},
};

/// Where φ′ is 0, and its first coefficients about that.
const ROOT: f64 = -0.752_461_422_071_016_3;
const TAYLOR: [f64; 6] = [
    0.430_400_091_024_858_5,
    0.387_518_446_135_789,
    -0.015_782_853_521_848_03,
    -0.113_944_483_080_958_99,
    -0.016_619_328_343_052_563,
    0.019_682_309_459_833_117,
];
/// √(8/π), and the cubic term's factor.
pub(crate) const TANH_SCALE: f64 = 1.595_769_121_605_731;
pub(crate) const TANH_CUBIC: f64 = 0.044_715;

/// The approximation of GELU by tanh: x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), which is x σ(u) with u = √(8/π) (x +
/// 0.044715 x³).
///
/// φ′ = σ(u) (1 + x (1 − σ(u)) u′). Smooth; NaN gives NaN, −0 gives −0, φ(−∞) = −0 (PyTorch: NaN) and φ(∞) = ∞. It
/// differs from [`Gelu`](super::Gelu) by up to 5e-4.
///
/// Keeps its input. Saturates below 0, sooner than GELU: at −4.5 two thirds of
/// the tail are gone.
///
/// Hendrycks and Gimpel 2016, *Gaussian error linear units*. PyTorch: `approximate="tanh"`.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GeluTanh;

impl Function for GeluTanh {
    const NAME: &'static str = "gelu_tanh";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        // σ(u) is 0 or 1 to rounding beyond, where u's cube would overflow, or −∞ meet 0.
        let inner = x.at_least(-30.0).at_most(30.0);
        let value = N::choose(x.above(30.0), x, inner * argument(inner).sigmoid());
        x.by_form(Form::GeluTanh, value)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let inner = x.at_least(-30.0).at_most(30.0);
        let sigmoid = argument(inner).sigmoid();
        let argument_slope = N::of(TANH_SCALE) + N::of(3.0 * TANH_SCALE * TANH_CUBIC) * inner * inner;
        let slope = sigmoid * (N::of(1.0) + inner * (N::of(1.0) - sigmoid) * argument_slope);
        x.near_root(ROOT, TAYLOR, x.by_form(Form::GeluTanhSlope, slope))
    }
}

impl Properties for GeluTanh {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [Some(&pieces::GELU_TANH), Some(&pieces::GELU_TANH_SLOPE)]
    }
}

/// u.
#[inline(always)]
fn argument<N: Number>(x: N) -> N {
    x * N::of(TANH_SCALE * TANH_CUBIC).times_plus(x * x, N::of(TANH_SCALE))
}

/// [`GeluTanh`] of each element.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    GeluTanh.forward(x)
}
