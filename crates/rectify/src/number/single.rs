//! f32, without branches, so that loops over it vectorise. `tests` below hold each function against f64.
//!
//! The exponential is 2ⁿ times the sum of two floats, so that what is made of it is rounded once or twice and no more:
//! tanh, sigmoid and their like are within one or two units in the last place, subnormal results among them.
//! `tests/accuracy/coefficients.py` makes its coefficients.

use super::{Float, Number, number};

impl Number for f32 {
    number!();

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }

    #[inline(always)]
    fn times_plus(self, factor: Self, sum: Self) -> Self {
        self.mul_add(factor, sum)
    }

    /// Down to subnormal results; ∞ from 88.73 on.
    #[inline(always)]
    fn exp(self) -> Self {
        let power = Power::of(self.clamp(-104.0, 89.0));
        scaled(power.mantissa(), power.n)
    }

    /// The factor comes before a subnormal result is rounded.
    #[inline(always)]
    fn exp_times(self, factor: f64) -> Self {
        let power = Power::of(self.clamp(-150.0, 89.0));
        scaled(power.mantissa() * factor as f32, power.n)
    }

    #[inline(always)]
    fn expm1(self) -> Self {
        let (high, low) = expm1_in_two(self.clamp(-40.0, 89.0));
        if self == 0.0 { self } else { high + low }
    }

    /// By the logarithm of the rounded sum, corrected by what rounding lost (Higham 2002, *Accuracy and stability of
    /// numerical algorithms*, §1.14).
    #[inline(always)]
    fn log1p(self) -> Self {
        let sum = 1.0 + self;
        let lost = (self - (sum - 1.0)) / sum;
        let plain = sum == 0.0 || sum == f32::INFINITY;
        let value = Number::log(sum) + if plain { 0.0 } else { lost };
        if self == 0.0 { self } else { value }
    }

    /// Beyond 0.55, with t = e^(−2|x|): 1 − 2 t / (1 + t), where what is rounded is a quarter of the result and less. Nearer
    /// to 0 a polynomial.
    #[inline(always)]
    fn tanh(self) -> Self {
        let x = f32::abs(self);
        let (top, n) = power((-2.0 * x).at_least(-40.0));
        let t = top * power_of_two(n);
        let far = (-2.0f32).mul_add(t / (1.0 + t), 1.0);
        let square = x * x;
        let mut p = 2.526_390_7e-3_f32;
        p = p.mul_add(square, -8.526_333e-3);
        p = p.mul_add(square, 2.181_845e-2);
        p = p.mul_add(square, -5.396_47e-2);
        p = p.mul_add(square, 1.333_332_4e-1);
        p = p.mul_add(square, -3.333_333_3e-1);
        let near = (square * x).mul_add(p, x);
        (if x < 0.55 { near } else { far }).copysign(self)
    }

    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        const DENSITY_AT_0: f32 = 0.398_942_3;
        let probability = 0.5 * (1.0 + Float::erf(self * std::f32::consts::FRAC_1_SQRT_2));
        (probability, DENSITY_AT_0 * Number::exp(-0.5 * self * self))
    }

    #[inline(always)]
    fn sigmoid(self) -> Self {
        self.sigmoid_times(1.0)
    }

    /// With t = e⁻ˣ = 2ⁿ top: 2⁻ʰ / (2⁻ʰ + 2ⁿ⁻ʰ top), where h is half of n, so that nothing overflows and only the last
    /// product is subnormal; corrected by what sum and quotient lost in rounding.
    #[inline(always)]
    fn sigmoid_times(self, factor: f32) -> Self {
        // At −150 also a product with a factor up to 10¹⁰ is 0 to rounding.
        let (top, n) = power((-self).clamp(-150.0, 150.0));
        let half = n >> 1;
        let (one, t) = (power_of_two(-half), top * power_of_two(n.wrapping_sub(half)));
        let d = one + t;
        let (larger, smaller) = if one > t { (one, t) } else { (t, one) };
        let inverse = 1.0 / d;
        let lost = inverse * ((-inverse).mul_add(d, 1.0) - inverse * (smaller - (d - larger)));
        inverse.mul_add(factor, lost * factor) * one
    }

    /// With t = e^(−|x|): t / (1 + t)², on both sides of 0.
    #[inline(always)]
    fn sigmoid_slope_times(self, factor: f64) -> Self {
        let Logistic { power, top, inverse, lost } = Logistic::of(self);
        let top = top * factor as f32;
        let square = inverse * inverse;
        let square_lost = (2.0 * inverse).mul_add(lost, inverse.mul_add(inverse, -square));
        scaled(top.mul_add(square, top * square_lost), power)
    }

    /// With t = e^(−|x|): t (1 + t − |x|) / (1 + t)² on the left, where the sum is exact near its zero but for what t lost,
    /// and (1 + t (1 + x)) / (1 + t)² on the right.
    #[inline(always)]
    fn silu_slope(self) -> Self {
        // Further out it is 0 or 1 to rounding.
        let x = self.clamp(-150.0, 150.0);
        let size = f32::abs(x);
        let Power { high, low, n } = Power::of(-size);
        let top = high + low;
        let top_lost = low - (top - high);
        // Subnormal and smaller ones are lost beside 1.
        let unit = power_of_two(n.max(-100));
        let (t, t_lost) = (top * unit, top_lost * unit);
        let d = 1.0 + t;
        let d_lost = t - (d - 1.0);
        let inverse = 1.0 / d;
        let lost = inverse * ((-inverse).mul_add(d, 1.0) - inverse * d_lost);
        let square = inverse * inverse;
        let square_lost = (2.0 * inverse).mul_add(lost, inverse.mul_add(inverse, -square));

        let rest = 1.0 - size;
        let sum = rest + t;
        let of_t = sum - rest;
        let sum_lost = (rest - (sum - of_t)) + (t - of_t) + t_lost;
        let product = top * sum;
        let product_lost = top.mul_add(sum_lost, top.mul_add(sum, -product)) + top_lost * sum;
        let left = scaled(product.mul_add(square, product.mul_add(square_lost, product_lost * square)), n);

        let right = t.mul_add(1.0 + size, 1.0);
        let right = right.mul_add(square, right * square_lost);
        if x < 0.0 { left } else { right }
    }

    /// Near a simple zero at `root` the Taylor series is right to 2⁻²⁹, and the value beyond has lost few digits.
    #[inline(always)]
    fn near_root(self, root: f64, taylor: [f64; 4], value: Self) -> Self {
        let high = root as f32;
        let x = (self - high) - (root - f64::from(high)) as f32;
        let [a, b, c, d] = taylor.map(|coefficient| coefficient as f32);
        let a_lost = (taylor[0] - f64::from(a)) as f32;
        let near = x.mul_add(a, x * d.mul_add(x, c).mul_add(x, b).mul_add(x, a_lost));
        if f32::abs(x) < 1.0 / 128.0 { near } else { value }
    }

    /// max(0, x) + 2 artanh(t / (2 + t)) with t = e^(−|x|).
    #[inline(always)]
    fn softplus(self) -> Self {
        let t = Number::exp(-f32::abs(self));
        let d = 2.0 + t;
        let inverse = 1.0 / d;
        let s = t * inverse;
        let s_lost = inverse * ((-s).mul_add(d, t) - s * (t - (d - 2.0)));
        let z = s * s;
        let mut p = 1.161_216_5e-1_f32;
        p = p.mul_add(z, 1.085_328_8e-1);
        p = p.mul_add(z, 1.429_617_9e-1);
        p = p.mul_add(z, 1.999_985_3e-1);
        p = p.mul_add(z, 3.333_333_4e-1);
        let log = 2.0f32.mul_add(s, 2.0 * (s * z).mul_add(p, s_lost));
        self.at_least(0.0) + log
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }

    /// Moshier, *Cephes*, logf.
    #[inline(always)]
    fn log(self) -> Self {
        // Subnormal numbers are made normal.
        let small = self < f32::MIN_POSITIVE;
        let x = if small { self * 16_777_216.0 } else { self };
        let offset = if small { -24.0 } else { 0.0 };
        // x = m · 2ᵉ with m in [√½, √2).
        let shifted = x.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
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
        let value = if self == f32::INFINITY { self } else { value };
        let value = if self == 0.0 { f32::NEG_INFINITY } else { value };
        // Below 0, and for NaN.
        if self >= 0.0 { value } else { f32::NAN }
    }

    #[inline(always)]
    fn sin(self) -> Self {
        let (rest, quarter) = reduced_angle(self);
        let value = if quarter & 1 == 0 { sin_of_rest(rest) } else { cos_of_rest(rest) };
        let value = if quarter & 2 == 0 { value } else { -value };
        if self == 0.0 { self } else { value }
    }

    #[inline(always)]
    fn cos(self) -> Self {
        let (rest, quarter) = reduced_angle(self);
        let value = if quarter & 1 == 0 { cos_of_rest(rest) } else { sin_of_rest(rest) };
        if (quarter + 1) & 2 == 0 { value } else { -value }
    }

    #[inline(always)]
    fn pow(self, other: Self) -> Self {
        self.powf(other)
    }
}

impl Float for f32 {
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

/// eˣ = 2ⁿ top, as (top, n), to a unit in the last place of top, for |x| ≤ 150.
#[inline(always)]
fn power(x: f32) -> (f32, i32) {
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let rest = n.mul_add(LN_2[1], n.mul_add(-LN_2[0], x));
    (1.0 + (rest + expm1_of_rest(rest)), (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32))
}

/// Adding it leaves a whole number, rounded, in the last bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 = first − second. The first has few bits, so that a whole number times it is exact.
const LN_2: [f32; 2] = [0.693_359_4, 2.121_944_4e-4];

/// eˣ = 2ⁿ (high + low), to 2⁻²⁸.
struct Power {
    high: f32,
    low: f32,
    n: i32,
}

impl Power {
    /// For |x| ≤ 150.
    #[inline(always)]
    fn of(x: f32) -> Self {
        let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
        let n = shifted - ROUND;
        let near = n.mul_add(-LN_2[0], x);
        let rest = n.mul_add(LN_2[1], near);
        let lost = n.mul_add(LN_2[1], near - rest);
        let high = 1.0 + rest;
        let low = rest - (high - 1.0) + (expm1_of_rest(rest) + lost);
        Self { high, low, n: (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32) }
    }

    #[inline(always)]
    fn mantissa(&self) -> f32 {
        self.high + self.low
    }
}

/// eˣ − 1 as the sum of two floats, for −40 ≤ x ≤ 89.
#[inline(always)]
fn expm1_in_two(x: f32) -> (f32, f32) {
    let power = Power::of(x);
    let large = scaled(power.high, power.n);
    let high = large - 1.0;
    // Above 2²⁴ 1 is lost in rounding; what it leaves must not be ∞ − ∞.
    let lost = if large > 1e7 { 0.0 } else { large - (high + 1.0) };
    (high, scaled(power.low, power.n) + lost)
}

/// What the functions around the sigmoid are made of. With t = e^(−|x|) = 2ⁿ top, 1 / (1 + t) = inverse + lost.
struct Logistic {
    power: i32,
    top: f32,
    inverse: f32,
    lost: f32,
}

impl Logistic {
    #[inline(always)]
    fn of(x: f32) -> Self {
        // At −150 also a product with a factor up to 10¹⁰ is 0 to rounding.
        let power = Power::of((-f32::abs(x)).clamp(-150.0, 0.0));
        let top = power.mantissa();
        let t = scaled(top, power.n);
        let d = 1.0 + t;
        let inverse = 1.0 / d;
        let lost = inverse * ((-inverse).mul_add(d, 1.0) - inverse * (t - (d - 1.0)));
        Self { power: power.n, top, inverse, lost }
    }
}

/// eˣ − 1 − x for |x| ≤ ln 2 / 2.
#[inline(always)]
fn expm1_of_rest(x: f32) -> f32 {
    let mut p = 1.989_098_1e-4_f32;
    p = p.mul_add(x, 1.393_364e-3);
    p = p.mul_add(x, 8.333_311e-3);
    p = p.mul_add(x, 4.166_646_5e-2);
    p = p.mul_add(x, 1.666_666_7e-1);
    p = p.mul_add(x, 0.5);
    x * x * p
}

/// 2ⁿ, where that is a normal number.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// x · 2ⁿ, by two factors, so that results may be subnormal.
#[inline(always)]
fn scaled(x: f32, n: i32) -> f32 {
    let half = n >> 1;
    x * power_of_two(half) * power_of_two(n.wrapping_sub(half))
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
