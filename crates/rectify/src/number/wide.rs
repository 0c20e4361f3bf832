//! f64 that vectorises, for results that are rounded to f32.
//!
//! Its functions are right to 2⁻³³, a thousandth of an f32's last place, over all f32 and some way beyond, and its range
//! holds what would overflow or vanish on the way in f32. `tests/accuracy/coefficients.py` makes the coefficients.

use super::{Arithmetic, Number, comparisons, operators, polynomial};

#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Wide(f64);

operators!(Wide);

impl Arithmetic for Wide {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        Self(f64::from(x))
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.0 as f32
    }
}

impl Number for Wide {
    comparisons!();

    #[inline(always)]
    fn of(value: f64) -> Self {
        Self(value)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.abs())
    }

    #[inline(always)]
    fn times_plus(self, factor: Self, sum: Self) -> Self {
        Self(self.0.mul_add(factor.0, sum.0))
    }

    /// Within 10⁻³⁰⁷ to 10³⁰⁷, which f32 rounds to 0 and ∞.
    #[inline(always)]
    fn exp(self) -> Self {
        let (rest, power) = reduced(self.0);
        Self(power.mul_add(expm1_of_rest(rest), power))
    }

    #[inline(always)]
    fn expm1(self) -> Self {
        let (rest, power) = reduced(self.0);
        Self(power.mul_add(expm1_of_rest(rest), power - 1.0))
    }

    /// For 0 ≤ x ≤ 1: 2 artanh(x / (2 + x)) by its series.
    #[inline(always)]
    fn log1p(self) -> Self {
        let s = self.0 / (2.0 + self.0);
        let z = s * s;
        let Self(p) = polynomial(
            Self(z),
            [
                8.904_143_097_896_165e-2,
                6.076_680_915_027_026e-2,
                7.749_909_664_004_84e-2,
                9.087_843_785_035_063e-2,
                1.111_119_894_601_153_1e-1,
                1.428_571_305_620_841_7e-1,
                2.000_000_000_653_155_6e-1,
                3.333_333_333_332_766e-1,
            ],
        );
        let s = 2.0 * s;
        Self((s * z).mul_add(p, s))
    }

    #[inline(always)]
    fn tanh(self) -> Self {
        let power = Self(2.0 * self.0).expm1();
        power / Self(power.0 + 2.0)
    }

    /// [`exp`](Number::exp) keeps e⁻ˣ within f64.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self(1.0 / (1.0 + (-self).exp().0))
    }

    // By the platform, without vectors: no function that is computed in `Wide` has these.
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }
    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        let (probability, density) = self.0.normal();
        (Self(probability), Self(density))
    }
    #[inline(always)]
    fn log(self) -> Self {
        Self(self.0.ln())
    }
    #[inline(always)]
    fn sin(self) -> Self {
        Self(self.0.sin())
    }
    #[inline(always)]
    fn cos(self) -> Self {
        Self(self.0.cos())
    }
    #[inline(always)]
    fn pow(self, other: Self) -> Self {
        Self(self.0.powf(other.0))
    }

    #[inline(always)]
    fn near_root(self, [root, _]: [f64; 2], taylor: &[f64; 16], value: Self) -> Self {
        // Here the Taylor series is right to 2⁻³¹; without, terms that cancel leave as much.
        const NEAR: f64 = 1.0 / 32.0;
        let x = self.0 - root;
        let [a, b, c, d, e, f, ..] = *taylor;
        let near = x * polynomial(Self(x), [f, e, d, c, b, a]).0;
        Self(if x.abs() < NEAR { near } else { value.0 })
    }
}

/// x = n ln 2 + rest, as (rest, 2ⁿ).
#[inline(always)]
fn reduced(x: f64) -> (f64, f64) {
    // Adding it leaves n, rounded, in the last bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let x = x.clamp(-708.0, 709.0);
    let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // In one part: n times its error is below 10⁻¹³.
    let rest = n.mul_add(-std::f64::consts::LN_2, x);
    (rest, f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52))
}

/// eˣ − 1 for |x| ≤ ln 2 / 2.
#[inline(always)]
fn expm1_of_rest(x: f64) -> f64 {
    let Wide(p) = polynomial(
        Wide(x),
        [
            2.485_957_822_262_529_5e-5,
            1.989_927_395_864_936e-4,
            1.388_885_404_961_482e-3,
            8.333_298_483_754_886e-3,
            4.166_666_671_898_085e-2,
            1.666_666_671_899_750_9e-1,
            0.5,
        ],
    );
    (p * x).mul_add(x, x)
}
