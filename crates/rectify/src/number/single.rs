//! f32, without branches, so that loops over it vectorise. `tests` below hold each function against f64.
//!
//! Each is written for any number and, `NEAR`, for those whose powers of e are normal numbers: without what overflow and
//! subnormal results need it takes half the time, and where both apply their bits are the same.
//! `tests/accuracy/coefficients.py` makes the coefficients.

use super::{Float, Form, Near, Number, comparisons, gelu, gelu_tanh, logistic, softsign, tanh_shrink};

/// [`Number`] for f32 and for [`Near`].
macro_rules! single {
    ($type:ty, $near:literal) => {
        impl Number for $type {
            comparisons!();
            #[inline(always)]
            fn of(value: f64) -> Self {
                (value as f32).into()
            }
            #[inline(always)]
            fn abs(self) -> Self {
                f32::abs(self.into()).into()
            }
            #[inline(always)]
            fn times_plus(self, factor: Self, sum: Self) -> Self {
                f32::mul_add(self.into(), factor.into(), sum.into()).into()
            }
            #[inline(always)]
            fn exp(self) -> Self {
                exp_times::<$near>(self.into(), 1.0).into()
            }
            #[inline(always)]
            fn exp_times(self, factor: f64) -> Self {
                exp_times::<$near>(self.into(), factor as f32).into()
            }
            #[inline(always)]
            fn expm1(self) -> Self {
                expm1::<$near>(self.into()).into()
            }
            #[inline(always)]
            fn log1p(self) -> Self {
                log1p(self.into()).into()
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                logistic::tanh::<$near>(self.into()).into()
            }
            #[inline(always)]
            fn normal(self) -> (Self, Self) {
                let (probability, density) = normal(self.into());
                (probability.into(), density.into())
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                logistic::sigmoid::<$near>(self.into()).into()
            }
            #[inline(always)]
            fn sigmoid_slope_times(self, factor: f64) -> Self {
                logistic::sigmoid_slope_times(self.into(), factor as f32).into()
            }
            #[inline(always)]
            fn softplus(self) -> Self {
                logistic::softplus::<$near>(self.into()).into()
            }
            #[inline(always)]
            fn by_form(self, form: Form, _value: Self) -> Self {
                let x = self.into();
                let value = match form {
                    Form::Silu => logistic::silu::<$near>(x),
                    Form::SiluSlope => logistic::silu_slope(x),
                    Form::Gelu => gelu::value(x),
                    Form::GeluSlope => gelu::slope(x),
                    Form::GeluTanh => gelu_tanh::value(x),
                    Form::GeluTanhSlope => gelu_tanh::slope(x),
                    Form::SoftsignSlope => softsign::slope(x),
                    Form::TanhShrink => tanh_shrink::value(x),
                    Form::TanhShrinkSlope => tanh_shrink::slope(x),
                };
                value.into()
            }
            #[inline(always)]
            fn near_root(self, root: [f64; 2], taylor: &[f64; 16], value: Self) -> Self {
                near_root(self.into(), root, taylor, value.into()).into()
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                f32::sqrt(self.into()).into()
            }
            #[inline(always)]
            fn log(self) -> Self {
                log(self.into()).into()
            }
            #[inline(always)]
            fn sin(self) -> Self {
                sin(self.into()).into()
            }
            #[inline(always)]
            fn cos(self) -> Self {
                cos(self.into()).into()
            }
            #[inline(always)]
            fn pow(self, other: Self) -> Self {
                f32::powf(self.into(), other.into()).into()
            }
        }
    };
}
single!(f32, false);
single!(Near, true);

/// eˣ · factor, down to subnormal results: the factor comes before they are rounded.
#[inline(always)]
fn exp_times<const NEAR: bool>(x: f32, factor: f32) -> f32 {
    let (q, n) = reduced(if NEAR { x } else { x.clamp(-150.0, 89.0) });
    let mantissa = (1.0 + q) * factor;
    if NEAR {
        return mantissa * power_of_two(n);
    }
    // Not `scaled`: any factor may come.
    let half = n >> 1;
    mantissa * power_of_two(half) * power_of_two(n - half)
}

/// 2ⁿ − 1 + 2ⁿ q.
#[inline(always)]
fn expm1<const NEAR: bool>(x: f32) -> f32 {
    let (q, n) = reduced(if NEAR { x } else { x.clamp(-40.0, 89.0) });
    let value = if NEAR {
        let unit = power_of_two(n);
        unit.mul_add(q, unit - 1.0)
    } else {
        // 2¹²⁸ is no number, but half of it is.
        let (n, one, twice) = if n == 128 { (127, 0.5, 2.0) } else { (n, 1.0, 1.0) };
        let unit = power_of_two(n);
        twice * unit.mul_add(q, unit - one)
    };
    if x == 0.0 { x } else { value }
}

/// By the logarithm of the rounded sum, corrected by what rounding lost (Higham 2002, *Accuracy and stability of numerical
/// algorithms*, §1.14).
#[inline(always)]
fn log1p(x: f32) -> f32 {
    let sum = 1.0 + x;
    let lost = (x - (sum - 1.0)) / sum;
    let plain = sum == 0.0 || sum == f32::INFINITY;
    let value = log(sum) + if plain { 0.0 } else { lost };
    if x == 0.0 { x } else { value }
}

#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const DENSITY_AT_0: f32 = 0.398_942_3;
    let probability = 0.5 * (1.0 + Float::erf(x * std::f32::consts::FRAC_1_SQRT_2));
    (probability, DENSITY_AT_0 * Number::exp(-0.5 * x * x))
}

/// Near a simple zero at `root` the Taylor series is right to 2⁻³¹, and the value beyond has lost few digits.
#[inline(always)]
fn near_root(x: f32, [root, _]: [f64; 2], taylor: &[f64; 16], value: f32) -> f32 {
    let high = root as f32;
    let x = (x - high) - (root - f64::from(high)) as f32;
    let first = taylor[0] as f32;
    let mut rest = taylor[5] as f32;
    for coefficient in [taylor[4], taylor[3], taylor[2], taylor[1], taylor[0] - f64::from(first)] {
        rest = rest.mul_add(x, coefficient as f32);
    }
    let near = x.mul_add(first, x * rest);
    if f32::abs(x) < 1.0 / 32.0 { near } else { value }
}

/// Moshier, *Cephes*, logf.
#[inline(always)]
fn log(x: f32) -> f32 {
    // Subnormal numbers are made normal.
    let small = x < f32::MIN_POSITIVE;
    let normal = if small { x * 16_777_216.0 } else { x };
    let offset = if small { -24.0 } else { 0.0 };
    // normal = m · 2ᵉ with m in [√½, √2).
    let shifted = normal.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let exponent = (shifted as i32 >> 23) as f32 + offset;
    let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(std::f32::consts::FRAC_1_SQRT_2.to_bits()));
    let r = m - 1.0;
    let square = r * r;
    let mut p = 7.037_683_6e-2_f32;
    p = p.mul_add(r, -1.151_461e-1);
    p = p.mul_add(r, 1.167_699_9e-1);
    p = p.mul_add(r, -1.242_014_1e-1);
    p = p.mul_add(r, 1.424_932_3e-1);
    p = p.mul_add(r, -1.666_805_8e-1);
    p = p.mul_add(r, 2.000_071_4e-1);
    p = p.mul_add(r, -2.499_999_4e-1);
    p = p.mul_add(r, 3.333_333e-1);
    let mut y = r * square * p;
    y = exponent.mul_add(-2.121_944_4e-4, y);
    y = square.mul_add(-0.5, y);
    let value = exponent.mul_add(0.693_359_4, r + y);
    let value = if x == f32::INFINITY { x } else { value };
    let value = if x == 0.0 { f32::NEG_INFINITY } else { value };
    // Below 0, and for NaN.
    if x >= 0.0 { value } else { f32::NAN }
}

#[inline(always)]
fn sin(x: f32) -> f32 {
    let (rest, quarter) = reduced_angle(x);
    let value = if quarter & 1 == 0 { sin_of_rest(rest) } else { cos_of_rest(rest) };
    let value = if quarter & 2 == 0 { value } else { -value };
    if x == 0.0 { x } else { value }
}

#[inline(always)]
fn cos(x: f32) -> f32 {
    let (rest, quarter) = reduced_angle(x);
    let value = if quarter & 1 == 0 { cos_of_rest(rest) } else { sin_of_rest(rest) };
    if (quarter + 1) & 2 == 0 { value } else { -value }
}

impl Float for f32 {
    type Near = Near;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }

    /// Two minimax polynomials, the second in the exponent of 1 − e^p.
    #[inline(always)]
    fn erf(self) -> Self {
        let t = f32::abs(self);
        let square = self * self;
        let mut far = (-1.728_534_7e-5_f32).mul_add(t, 3.831_971_3e-4);
        let low = (-3.883_964_4e-3_f32).mul_add(t, 2.425_462_2e-2);
        far = far.mul_add(square, low);
        far = far.mul_add(t, -1.067_778_8e-1);
        far = far.mul_add(t, -6.348_467e-1);
        far = far.mul_add(t, -1.287_175_1e-1);
        far = far.mul_add(t, -t);
        let far = (1.0 - Number::exp(far)).copysign(self);
        let mut near = -5.967_617e-4_f32;
        near = near.mul_add(square, 4.991_194_2e-3);
        near = near.mul_add(square, -2.676_813_5e-2);
        near = near.mul_add(square, 1.128_199_25e-1);
        near = near.mul_add(square, -3.761_253_4e-1);
        near = near.mul_add(square, 1.283_791_7e-1);
        let near = near.mul_add(self, self);
        if t > 0.927_734_4 { far } else { near }
    }
}

/// eˣ = 2ⁿ (1 + q), as (q, n), for |x| ≤ 150.
#[inline(always)]
pub(super) fn reduced(x: f32) -> (f32, i32) {
    let (q, _, n) = reduced_in_two(x, 0.0);
    (q, n)
}

/// e^(x + x_lost) = 2ⁿ (1 + q) (1 + lost), as (q, lost, n).
#[inline(always)]
pub(super) fn reduced_in_two(x: f32, x_lost: f32) -> (f32, f32, i32) {
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let near = n.mul_add(-LN_2[0], x);
    let rest = n.mul_add(LN_2[1], near);
    let whole = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    (expm1_of_rest(rest), x_lost + n.mul_add(LN_2[1], near - rest), whole)
}

/// Adding it leaves a whole number, rounded, in the last bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 = first − second. The first has few bits, so that a whole number times it is exact.
const LN_2: [f32; 2] = [0.693_359_4, 2.121_944_4e-4];

/// eˣ − 1 for |x| ≤ ln 2 / 2.
#[inline(always)]
fn expm1_of_rest(x: f32) -> f32 {
    let mut p = 1.989_098_1e-4_f32;
    p = p.mul_add(x, 1.393_364e-3);
    p = p.mul_add(x, 8.333_311e-3);
    p = p.mul_add(x, 4.166_646_5e-2);
    p = p.mul_add(x, 1.666_666_7e-1);
    p = p.mul_add(x, 0.5);
    (x * x).mul_add(p, x)
}

/// 2ⁿ, where that is a normal number.
#[inline(always)]
pub(super) fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// x · 2ⁿ for |x| ≤ 10¹⁰: by two factors, so that results may be subnormal, or `NEAR` by one.
#[inline(always)]
pub(super) fn scaled<const NEAR: bool>(x: f32, n: i32) -> f32 {
    if NEAR {
        return x * power_of_two(n);
    }
    let half = n >> 1;
    x * power_of_two(half) * power_or_zero(n - half, n)
}

/// 2ⁿ, or 0 where a product with 2ᵃˡˡ is 0 to rounding: processors take their time over results that are too small.
#[inline(always)]
pub(super) fn power_or_zero(n: i32, all: i32) -> f32 {
    if all < -190 { 0.0 } else { power_of_two(n) }
}

/// x = n π / 2 + rest, as (rest, n mod 4). In f64, which is exact enough up to 10⁶; beyond, the caller takes the
/// platform's functions (see `evaluate`).
#[inline(always)]
fn reduced_angle(x: f32) -> (f32, u32) {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let x = f64::from(x);
    let shifted = x.mul_add(std::f64::consts::FRAC_2_PI, ROUND);
    let n = shifted - ROUND;
    let rest = n.mul_add(-std::f64::consts::FRAC_PI_2, x);
    (rest as f32, shifted.to_bits() as u32 & 3)
}

/// For |x| ≤ π / 4 (Moshier, *Cephes*, sinf).
#[inline(always)]
fn sin_of_rest(x: f32) -> f32 {
    let square = x * x;
    let mut p = -1.951_529_6e-4_f32;
    p = p.mul_add(square, 8.332_161e-3);
    p = p.mul_add(square, -1.666_665_5e-1);
    (p * square).mul_add(x, x)
}

#[inline(always)]
fn cos_of_rest(x: f32) -> f32 {
    let square = x * x;
    let mut p = 2.443_315_7e-5_f32;
    p = p.mul_add(square, -1.388_731_6e-3);
    p = p.mul_add(square, 4.166_664_6e-2);
    (p * square).mul_add(square, square.mul_add(-0.5, 1.0))
}

#[cfg(test)]
mod tests {
    use crate::number::{Float, Number};

    type Pair = (&'static str, fn(f32) -> f32, fn(f64) -> f64);

    const FUNCTIONS: [Pair; 10] = [
        ("exp", Number::exp, f64::exp),
        ("expm1", Number::expm1, f64::exp_m1),
        ("log", Number::log, f64::ln),
        ("log1p", Number::log1p, f64::ln_1p),
        ("sin", Number::sin, f64::sin),
        ("cos", Number::cos, f64::cos),
        ("tanh", Number::tanh, f64::tanh),
        ("erf", Float::erf, libm::erf),
        ("sigmoid", Number::sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
        ("softplus", Number::softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
    ];

    /// The distance of two numbers in units in the last place of the exact one.
    fn ulps(found: f32, exact: f64) -> f64 {
        let rounded = exact as f32;
        if found == rounded || (found.is_nan() && exact.is_nan()) {
            return 0.0;
        }
        let unit = f64::from(f32::from_bits((rounded.abs().to_bits()).max(1 << 23) & 0x7f80_0000)) * 2f64.powi(-23);
        (f64::from(found) - exact).abs() / unit
    }

    /// Every sign and exponent with many mantissas, and a grid where functions are curved.
    fn inputs() -> impl Iterator<Item = f32> {
        let spread = (0..1 << 17).map(|i: u32| f32::from_bits(i.wrapping_mul(32_768).wrapping_add(i % 1021)));
        let grid = (-400_000..=400_000).map(|i| i as f32 * 2.5e-4);
        spread.chain(grid)
    }

    #[test]
    fn functions_of_f32_are_right_to_a_few_units_in_the_last_place() {
        for (name, f, exact) in FUNCTIONS {
            let angle = name == "sin" || name == "cos";
            let (mut worst, mut at) = (0.0, 0.0);
            for x in inputs().filter(|x| !angle || x.abs() <= 1e6) {
                // Near a multiple of π what is left of an angle is held against the size of 1.
                let truth = exact(f64::from(x));
                let error = if angle && truth.abs() < 0.1 {
                    (f64::from(f(x)) - truth).abs() / f64::from(f32::EPSILON)
                } else {
                    ulps(f(x), truth)
                };
                if error > worst || error.is_nan() {
                    (worst, at) = (error, x);
                }
            }
            let most = if ["exp", "expm1", "tanh", "sigmoid", "softplus"].contains(&name) { 2.0 } else { 4.0 };
            assert!(worst <= most, "{name}({at}) is {}, {worst} ulp from {}", f(at), exact(f64::from(at)));
        }
    }

    #[test]
    fn functions_of_f32_keep_nan_and_reach_their_limits() {
        for (name, f, exact) in FUNCTIONS {
            assert!(f(f32::NAN).is_nan(), "{name}(NaN)");
            if name != "sin" && name != "cos" {
                for x in [f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, -1.0, 200.0, -200.0] {
                    let truth = exact(f64::from(x)) as f32;
                    assert!(
                        f(x) == truth || (f(x).is_nan() && truth.is_nan()) || (f(x) - truth).abs() < 1e-6,
                        "{name}({x})"
                    );
                }
            }
        }
    }
}
