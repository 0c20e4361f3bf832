//! f64 that vectorises, for results that are rounded to f32.
//!
//! Its functions are right to 2⁻³³, a thousandth of an f32's last place, over all f32 and some way beyond, and its range
//! holds what would overflow or vanish on the way in f32. `tests/accuracy/coefficients.py` makes the coefficients.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::{Number, Sealed, normal};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Wide(pub(crate) f64);

macro_rules! operator {
    ($($trait:ident $method:ident $operator:tt)*) => {
        $(impl $trait for Wide {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0 $operator other.0)
            }
        })*
    };
}
operator!(Add add + Sub sub - Mul mul * Div div /);

impl Neg for Wide {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sealed for Wide {}

impl Number for Wide {
    type Mask = bool;

    #[inline(always)]
    fn of(value: f64) -> Self {
        Self(value)
    }

    #[inline(always)]
    fn less(self, other: Self) -> bool {
        self.0 < other.0
    }

    #[inline(always)]
    fn less_equal(self, other: Self) -> bool {
        self.0 <= other.0
    }

    #[inline(always)]
    fn choose(mask: bool, yes: Self, no: Self) -> Self {
        if mask { yes } else { no }
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
        let p = polynomial(
            z,
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

    /// Below 0 Φ is e^(−x²/2) times a function that changes slowly.
    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        const DENSITY_AT_0: f64 = 0.398_942_280_401_432_7;
        let z = self.0.abs();
        let (above, below) = (polynomial(z, normal::ABOVE), polynomial(z, normal::BELOW));
        let bell = Self(-0.5 * z * z).exp().0;
        // Beyond 40 both polynomials may overflow, and the bell is 0 to rounding.
        let tail = if z > 40.0 { 0.0 } else { bell * above / below };
        let probability = if self.0 > 0.0 { 1.0 - tail } else { tail };
        (Self(probability), Self(DENSITY_AT_0 * bell))
    }

    // By the platform, without vectors: no function that is computed in `Wide` has these.
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
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
    fn near_root(self, root: f64, taylor: [f64; 4], value: Self) -> Self {
        // Here the Taylor series is right to 2⁻²⁹; without, terms that cancel leave as much.
        const NEAR: f64 = 1.0 / 128.0;
        let x = self.0 - root;
        let [a, b, c, d] = taylor;
        let near = x * d.mul_add(x, c).mul_add(x, b).mul_add(x, a);
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
    let p = polynomial(
        x,
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

/// By Horner's rule, from the highest power's coefficient on.
#[inline(always)]
fn polynomial<const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    let mut sum = coefficients[0];
    for coefficient in &coefficients[1..] {
        sum = sum.mul_add(x, *coefficient);
    }
    sum
}
