//! What tanh leaves of x.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{Form, Near, Number};

/// Coefficients of (x − tanh x) / x³ in x², the last one first.
const SERIES: [f64; 8] = [
    -6_404_582.0 / 10_854_718_875.0,
    929_569.0 / 638_512_875.0,
    -21_844.0 / 6_081_075.0,
    1_382.0 / 155_925.0,
    -62.0 / 2_835.0,
    17.0 / 315.0,
    -2.0 / 15.0,
    1.0 / 3.0,
];

/// x − tanh x.
///
/// φ′ = tanh² x. Smooth; NaN gives NaN, zeros keep their sign, φ(±∞) = ±∞. Near 0 it is x³ / 3, by its series: the
/// difference would have no digits.
///
/// Keeps its input. Saturates nowhere: it is flat at 0.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TanhShrink;

impl Function for TanhShrink {
    const NAME: &'static str = "tanh_shrink";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        let z = x * x;
        let mut p = N::of(SERIES[0]);
        for coefficient in &SERIES[1..] {
            p = p.times_plus(z, N::of(*coefficient));
        }
        let value = N::choose(x.abs().below(0.125), x * z * p, x - x.tanh());
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

    /// As far as that of tanh's derivative.
    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [0.5 * Near::SIGMOID; 2]
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
