//! The elementary functions on a CPU, for one number.
//!
//! Those of f32 have no branches, so that loops over them vectorise; each is within a few units in the last place of
//! the exact value, which `tests` below hold against f64. Those of f64 are the platform's.

/// A type that formulas are computed in. Half types are computed in f32.
pub(super) trait Number: Copy + PartialOrd + Send + Sync + 'static {
    const ZERO: Self;
    const ONE: Self;
    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn pow(self, other: Self) -> Self;
    fn neg(self) -> Self;
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
    /// eˣ − 1.
    fn expm1(self) -> Self;
    fn log(self) -> Self;
    /// ln(1 + x).
    fn log1p(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tanh(self) -> Self;
    fn erf(self) -> Self;

    /// −1, 0 or 1; NaN for NaN.
    #[inline(always)]
    fn sign(self) -> Self {
        if self > Self::ZERO {
            Self::ONE
        } else if self < Self::ZERO {
            Self::ONE.neg()
        } else {
            // 0 of either sign, or NaN.
            self.abs()
        }
    }

    /// 1 / (1 + e⁻ˣ).
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::ONE.div(Self::ONE.add(self.neg().exp()))
    }

    /// max(0, x): NaN for NaN.
    #[inline(always)]
    fn relu(self) -> Self {
        if self <= Self::ZERO { Self::ZERO } else { self }
    }

    /// ln(1 + eˣ), without overflow.
    #[inline(always)]
    fn softplus(self) -> Self {
        self.relu().add(self.abs().neg().exp().log1p())
    }

    /// The larger one; NaN if either is.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other || self.is_nan() { self } else { other }
    }

    /// The smaller one; NaN if either is.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self < other || self.is_nan() { self } else { other }
    }

    #[inline(always)]
    #[allow(clippy::eq_op, reason = "only NaN differs from itself")]
    fn is_nan(self) -> bool {
        self != self
    }

    /// 1 where a comparison holds, otherwise 0.
    #[inline(always)]
    fn truth(holds: bool) -> Self {
        if holds { Self::ONE } else { Self::ZERO }
    }
}

/// The operators, which both types have alike.
macro_rules! operators {
    ($float:ty) => {
        const ZERO: Self = 0.0;
        const ONE: Self = 1.0;
        #[inline(always)]
        fn of(value: f64) -> Self {
            value as $float
        }
        #[inline(always)]
        fn wide(self) -> f64 {
            f64::from(self)
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            self + other
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            self - other
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            self * other
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            self / other
        }
        #[inline(always)]
        fn neg(self) -> Self {
            -self
        }
        #[inline(always)]
        fn abs(self) -> Self {
            <$float>::abs(self)
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            <$float>::sqrt(self)
        }
        #[inline(always)]
        fn pow(self, other: Self) -> Self {
            self.powf(other)
        }
    };
}

impl Number for f64 {
    operators!(f64);

    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn expm1(self) -> Self {
        self.exp_m1()
    }
    #[inline(always)]
    fn log(self) -> Self {
        self.ln()
    }
    #[inline(always)]
    fn log1p(self) -> Self {
        self.ln_1p()
    }
    #[inline(always)]
    fn sin(self) -> Self {
        f64::sin(self)
    }
    #[inline(always)]
    fn cos(self) -> Self {
        f64::cos(self)
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        f64::tanh(self)
    }
    #[inline(always)]
    fn erf(self) -> Self {
        libm::erf(self)
    }
}

impl Number for f32 {
    operators!(f32);

    /// Down to subnormal results; ∞ from 88.73 on.
    #[inline(always)]
    fn exp(self) -> Self {
        let (rest, n) = reduced(self.clamp(-104.0, 89.0));
        scaled(expm1_of_rest(rest) + 1.0, n)
    }

    #[inline(always)]
    fn expm1(self) -> Self {
        // Where 1 is lost in rounding, the next step would be ∞ − ∞.
        let large = self > 40.0;
        let (rest, n) = reduced(self.clamp(-104.0, 40.0));
        let power = scaled(1.0, n);
        let near = power.mul_add(expm1_of_rest(rest), power - 1.0);
        let near = if self == 0.0 { self } else { near };
        if large { Number::exp(self) } else { near }
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

    /// The rational form away from 0, a polynomial near it (Moshier, *Cephes*, tanhf).
    #[inline(always)]
    fn tanh(self) -> Self {
        let far = 1.0 - 2.0 / (Number::exp(2.0 * f32::abs(self)) + 1.0);
        let square = self * self;
        let mut p = -5.704_988_7e-3f32;
        p = p.mul_add(square, 2.063_908_8e-2);
        p = p.mul_add(square, -5.373_971_5e-2);
        p = p.mul_add(square, 1.333_144_2e-1);
        p = p.mul_add(square, -3.333_328e-1);
        let near = (p * square).mul_add(self, self);
        // Odd, also in its sign at 0.
        if f32::abs(self) > 0.625 { far } else { near }.copysign(self)
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

/// x = n ln 2 + rest, as (rest, n).
#[inline(always)]
fn reduced(x: f32) -> (f32, i32) {
    // Adding it leaves n, rounded, in the last bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, of which the first has few bits, so that n times it is exact.
    let rest = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    (rest, (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32))
}

/// eˣ − 1 for |x| ≤ ln 2 / 2 (Moshier, *Cephes*, expf).
#[inline(always)]
fn expm1_of_rest(rest: f32) -> f32 {
    let mut p = 1.987_569_1e-4f32;
    p = p.mul_add(rest, 1.398_199_9e-3);
    p = p.mul_add(rest, 8.333_452e-3);
    p = p.mul_add(rest, 4.166_579_6e-2);
    p = p.mul_add(rest, 1.666_666_6e-1);
    p = p.mul_add(rest, 0.5);
    (p * rest).mul_add(rest, rest)
}

/// x · 2ⁿ, by two factors, so that results may be subnormal.
#[inline(always)]
fn scaled(x: f32, n: i32) -> f32 {
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    let half = n >> 1;
    x * power(half) * power(n.wrapping_sub(half))
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
    use super::Number;

    type Pair = (&'static str, fn(f32) -> f32, fn(f64) -> f64);

    const FUNCTIONS: [Pair; 10] = [
        ("exp", Number::exp, f64::exp),
        ("expm1", Number::expm1, f64::exp_m1),
        ("log", Number::log, f64::ln),
        ("log1p", Number::log1p, f64::ln_1p),
        ("sin", Number::sin, f64::sin),
        ("cos", Number::cos, f64::cos),
        ("tanh", Number::tanh, f64::tanh),
        ("erf", Number::erf, libm::erf),
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
            // A sigmoid below −87.3 is 1 / e⁻ˣ, and e⁻ˣ overflows where the result would be subnormal: those are 0.
            let small = name == "sigmoid" && at < -87.0;
            assert!(worst <= 4.0 || small, "{name}({at}) is {}, {worst} ulp from {}", f(at), exact(f64::from(at)));
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
