//! The approximation of GELU by tanh.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{
    Form, Number, in_two,
    pieces::{self, Pieces},
};

/// Where φ′ is 0, as the sum of two, and its coefficients about that.
const ROOT: [f64; 2] = [-0.752_461_422_071_016_3, 3.635_560_509_207_687e-17];
const TAYLOR: [f64; 16] = [
    0.430_400_091_024_858_5,
    0.387_518_446_135_788_95,
    -0.015_782_853_521_848_03,
    -0.113_944_483_080_958_99,
    -0.016_619_328_343_052_565,
    0.019_682_309_459_833_118,
    0.005_261_059_254_921_912,
    -0.002_422_731_845_875_097_4,
    -0.000_927_442_023_020_544_9,
    0.000_263_927_640_526_810_53,
    0.000_124_252_278_026_397_82,
    -3.495_617_169_443_611_6e-5,
    -1.595_089_687_164_510_5e-5,
    5.918_611_710_894_005e-6,
    2.433_551_634_429_954_3e-6,
    -9.898_647_747_433_667e-7,
];
/// u = x (a + b x²), with a = √(8/π) and b = 0.044715 a, and 3 b of its derivative, each as the sum of two.
pub(crate) const LINEAR: [f64; 2] = [1.595_769_121_605_730_8, -9.969_308_809_110_92e-17];
pub(crate) const CUBIC: [f64; 2] = [0.071_354_816_272_600_25, -6.175_149_918_155_315e-19];
pub(crate) const CUBIC_OF_SLOPE: [f64; 2] = [0.214_064_448_817_800_73, 1.202_524_283_236_786_2e-17];

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
        let value = N::choose(x.above(30.0), x, inner * in_two::sigmoids_of_odd(inner, LINEAR, CUBIC)[0]);
        x.by_form(Form::GeluTanh, value)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let inner = x.at_least(-30.0).at_most(30.0);
        let [gate, rest] = in_two::sigmoids_of_odd(inner, LINEAR, CUBIC);
        let argument_slope = N::of(LINEAR[0]) + N::of(CUBIC_OF_SLOPE[0]) * inner * inner;
        let slope = gate * (N::of(1.0) + inner * rest * argument_slope);
        x.near_root(ROOT, &TAYLOR, x.by_form(Form::GeluTanhSlope, slope))
    }
}

impl Properties for GeluTanh {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    fn torch(self) -> Option<String> {
        Some("GELU(approximate='tanh')".to_owned())
    }

    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [Some(&pieces::GELU_TANH), Some(&pieces::GELU_TANH_SLOPE)]
    }
}

/// [`GeluTanh`] of each element.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    GeluTanh.forward(x)
}
