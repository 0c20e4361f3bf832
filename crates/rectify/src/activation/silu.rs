//! Sigmoid linear unit.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{
    Form, Near, Number,
    pieces::{self, Pieces},
};

/// Where φ′ is 0, as the sum of two, and its coefficients about that.
pub(super) const ROOT: [f64; 2] = [-1.278_464_542_761_073_7, -1.094_699_418_309_343_7e-16];
pub(super) const TAYLOR: [f64; 16] = [
    0.217_811_705_719_800_1,
    0.146_648_796_996_946_9,
    0.018_874_814_223_782_312,
    -0.015_222_655_223_188_032,
    -0.006_606_589_138_356_696,
    0.000_126_627_410_081_122,
    0.000_798_521_881_839_799_8,
    0.000_185_707_243_611_864_96,
    -4.090_534_237_428_612e-5,
    -2.973_354_221_326_391_7e-5,
    -2.942_631_888_842_464e-6,
    2.346_029_682_463_866e-6,
    8.599_695_028_268_575e-7,
    -3.051_244_750_055_421e-8,
    -9.266_646_309_267_441e-8,
    -1.887_762_290_772_795_7e-8,
];

/// Sigmoid linear unit: x σ(x) = x / (1 + e⁻ˣ). [`Swish`](super::Swish) with β = 1.
///
/// φ′ = σ(x) (1 + x (1 − σ(x))). Smooth; it falls to −0.278 at x = −1.278 and rises to 0 to the left. NaN gives NaN,
/// −0 gives −0, φ(−∞) = −0 (PyTorch: NaN) and φ(∞) = ∞.
///
/// Keeps its input. Saturates below 0.
///
/// Elfwing, Uchibe and Doya 2017, *Sigmoid-weighted linear units for neural network function approximation in
/// reinforcement learning*.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Silu;

impl Function for Silu {
    const NAME: &'static str = "silu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        // Nothing is left of it further to the left, and −∞ times 0 is avoided; beyond 100 σ is 1 to rounding.
        let value = N::choose(x.above(100.0), x, x.sigmoid() * x.at_least(-800.0));
        x.by_form(Form::Silu, value)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let inner = x.at_least(-800.0).at_most(800.0);
        let sigmoid = inner.sigmoid();
        let slope = sigmoid * (N::of(1.0) + inner * (N::of(1.0) - sigmoid));
        x.near_root(ROOT, &TAYLOR, x.by_form(Form::SiluSlope, slope))
    }
}

impl Properties for Silu {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    fn torch(self) -> Option<String> {
        Some("SiLU()".to_owned())
    }

    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [None, Some(&pieces::SILU_SLOPE)]
    }

    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [Near::SIGMOID, 0.0]
    }
}

/// [`Silu`] of each element.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Silu.forward(x)
}
