//! The elementary functions on a GPU, for vectors of f32 or f64.
//!
//! Of additions, products, quotients and bits alone, and not by the GPU's own functions: WGSL grants exp(x) an error of
//! 3 + 2|x| units in the last place and log(x) about 1 one of 2⁻²¹, has neither for f64, and what is made of them loses all
//! digits near 0. The algorithms are those of `single` and `wide`, without the corrections of what rounding lost: a driver
//! may rearrange sums, and would cancel them.
//!
//! NaN goes through each by its bits, for WGSL lets a driver assume that there is none. Subnormal numbers are what the GPU
//! makes of them.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LOG2_E, SQRT_2};

use cubecl::prelude::*;

/// A number in every place.
#[cube]
pub(crate) fn of<W: Float, N: Size>(#[comptime] value: f64) -> Vector<W, N> {
    intrinsic!(|scope| {
        let value: NativeExpand<W> = W::elem_type(scope).constant(value.into()).into();
        Vector::<W, N>::__expand_new(scope, value)
    })
}

#[cube]
fn whole<B: Int, N: Size>(#[comptime] value: i64) -> Vector<B, N> {
    Vector::new(B::new(value))
}

/// A float type by its width in bits.
#[derive(Debug, Clone, Copy)]
struct Format {
    /// Of the mantissa.
    digits: u32,
    bias: i64,
    infinity: i64,
    sign: i64,
    /// The smallest number that is not subnormal.
    smallest: f64,
    /// Between these the exponential neither overflows nor vanishes.
    exponents: [f64; 2],
    /// First and second part of ln 2, of which the first has few bits.
    ln_2: [f64; 2],
    /// Terms of the series of expm1, artanh and erf.
    terms: [u32; 3],
    /// Below this eˣ − 1 is x to rounding.
    tiny: f64,
    /// Leaves half of the mantissa.
    upper_half: i64,
}

impl Format {
    fn of(width: usize) -> Self {
        match width {
            64 => Self {
                digits: 52,
                bias: 1023,
                infinity: f64::INFINITY.to_bits() as i64,
                sign: i64::MIN,
                smallest: f64::MIN_POSITIVE,
                exponents: [-746.0, 710.0],
                ln_2: [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10],
                terms: [13, 11, 22],
                tiny: 2f64.powi(-54),
                upper_half: !0 << 27,
            },
            _ => Self {
                digits: 23,
                bias: 127,
                infinity: i64::from(f32::INFINITY.to_bits()),
                sign: i64::from(i32::MIN),
                smallest: f64::from(f32::MIN_POSITIVE),
                exponents: [-104.0, 89.0],
                ln_2: [0.693_359_375, -2.121_944_400_546_905_8e-4],
                terms: [7, 5, 12],
                tiny: 2f64.powi(-25),
                upper_half: !0 << 12,
            },
        }
    }
}

#[cube]
#[allow(clippy::extra_unused_type_parameters, reason = "its expansion uses them")]
fn format<W: Float>() -> comptime_type!(Format) {
    intrinsic!(|scope| Format::of(W::__expand_size_bits(scope)))
}

/// (eˣ − 1 − x) / x², from the highest power's coefficient on.
fn exponential_series(terms: u32) -> Vec<f64> {
    let mut factorial = 1.0;
    let mut series: Vec<f64> = (2..=terms)
        .map(|k| {
            factorial *= f64::from(k);
            1.0 / factorial
        })
        .collect();
    series.reverse();
    series
}

/// (2 artanh(s) − 2 s) / (s z) with z = s².
fn logarithm_series(terms: u32) -> Vec<f64> {
    (1..terms).rev().map(|k| 2.0 / f64::from(2 * k + 1)).collect()
}

/// erf(x) / x in x².
fn erf_series(terms: u32) -> Vec<f64> {
    let mut factor = FRAC_2_SQRT_PI;
    let mut series: Vec<f64> = (0..terms)
        .map(|k| {
            factor = if k == 0 { factor } else { -factor / f64::from(k) };
            factor / f64::from(2 * k + 1)
        })
        .collect();
    series.reverse();
    series
}

/// By Horner's rule, from the highest power's coefficient on.
#[cube]
fn polynomial<W: Float, N: Size>(x: Vector<W, N>, #[comptime] coefficients: Vec<f64>) -> Vector<W, N> {
    intrinsic!(|scope| {
        let mut sum = of::expand::<W, N>(scope, 0.0);
        for (i, coefficient) in coefficients.into_iter().enumerate() {
            let coefficient = of::expand::<W, N>(scope, coefficient);
            sum = if i == 0 { coefficient } else { multiply_add::expand::<W, N>(scope, sum, x.clone(), coefficient) };
        }
        sum
    })
}

#[cube]
fn multiply_add<W: Float, N: Size>(a: Vector<W, N>, b: Vector<W, N>, c: Vector<W, N>) -> Vector<W, N> {
    a * b + c
}

/// Whether x is NaN.
#[cube]
pub(crate) fn is_nan<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<bool, N> {
    let format = format::<W>();
    let size = Vector::<B, N>::reinterpret(x) & whole::<B, N>(comptime!(!format.sign));
    size.greater_than(&whole::<B, N>(comptime!(format.infinity)))
}

/// x between two bounds; NaN for NaN.
#[cube]
fn between<W: Float, B: Int, N: Size>(x: Vector<W, N>, #[comptime] low: f64, #[comptime] high: f64) -> Vector<W, N> {
    select_many(is_nan::<W, B, N>(x), x, clamp(x, of::<W, N>(low), of::<W, N>(high)))
}

/// The size of x with the sign of `sign`.
#[cube]
fn with_sign<W: Float, B: Int, N: Size>(x: Vector<W, N>, sign: Vector<W, N>) -> Vector<W, N> {
    let format = format::<W>();
    let size = Vector::<B, N>::reinterpret(x) & whole::<B, N>(comptime!(!format.sign));
    let sign = Vector::<B, N>::reinterpret(sign) & whole::<B, N>(comptime!(format.sign));
    Vector::<W, N>::reinterpret(size | sign)
}

/// 2ⁿ, where that is a normal number.
#[cube]
fn power_of_two<W: Float, B: Int, N: Size>(n: Vector<W, N>) -> Vector<W, N> {
    let format = format::<W>();
    let exponent = Vector::<B, N>::cast_from(n) + whole::<B, N>(comptime!(format.bias));
    Vector::<W, N>::reinterpret(exponent << whole::<B, N>(comptime!(i64::from(format.digits))))
}

/// n of x = n ln 2 + rest.
#[cube]
fn whole_powers<W: Float, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    (x * of::<W, N>(LOG2_E)).round()
}

/// eʳ − 1 for r, the rest of x.
#[cube]
fn expm1_of_rest<W: Float, N: Size>(x: Vector<W, N>, n: Vector<W, N>) -> Vector<W, N> {
    let format = format::<W>();
    // x − n · first is exact. What n · second is in x and the rest, and not by n: a driver would join both products.
    let near = x - n * of::<W, N>(comptime!(format.ln_2[0]));
    let second = comptime!(format.ln_2[1] / LN_2);
    let rest = near * of::<W, N>(comptime!(1.0 / (1.0 - second))) - x * of::<W, N>(comptime!(second / (1.0 - second)));
    rest + rest * rest * polynomial::<W, N>(rest, comptime!(exponential_series(format.terms[0])))
}

/// eˣ.
#[cube]
pub(crate) fn exp<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let format = format::<W>();
    let x = between::<W, B, N>(x, comptime!(format.exponents[0]), comptime!(format.exponents[1]));
    let n = whole_powers::<W, N>(x);
    let value = of::<W, N>(1.0) + expm1_of_rest::<W, N>(x, n);
    // By two factors, each of which is a normal number.
    let half = (n * of::<W, N>(0.5)).floor();
    value * power_of_two::<W, B, N>(half) * power_of_two::<W, B, N>(n - half)
}

/// eˣ − 1.
#[cube]
pub(crate) fn expm1<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let format = format::<W>();
    let bounded = between::<W, B, N>(x, -50.0, comptime!(format.exponents[1]));
    let n = whole_powers::<W, N>(bounded);
    let rest = expm1_of_rest::<W, N>(bounded, n);
    // Half of it, which does not overflow before the whole does.
    let half_power = power_of_two::<W, B, N>(n - of::<W, N>(1.0));
    let half = rest * half_power + (half_power - of::<W, N>(0.5));
    select_many(x.abs().less_than(&of::<W, N>(comptime!(format.tiny))), x, half + half)
}

/// ln(1 + f) + e ln 2, for |f| < 0.42 (Sun Microsystems, *fdlibm*, e_log.c).
#[cube]
fn log_of_parts<W: Float, N: Size>(e: Vector<W, N>, f: Vector<W, N>) -> Vector<W, N> {
    let format = format::<W>();
    let s = f / (of::<W, N>(2.0) + f);
    let z = s * s;
    let series = z * polynomial::<W, N>(z, comptime!(logarithm_series(format.terms[1])));
    let half_square = of::<W, N>(0.5) * f * f;
    let low = s * (half_square + series) + e * of::<W, N>(comptime!(format.ln_2[1]));
    e * of::<W, N>(comptime!(format.ln_2[0])) + (f - (half_square - low))
}

/// e of x = m · 2ᵉ with m in [√½, √2).
#[cube]
fn exponent_of<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<B, N> {
    let format = format::<W>();
    let shifted = Vector::<B, N>::reinterpret(x) - Vector::<B, N>::reinterpret(of::<W, N>(comptime!(SQRT_2 / 2.0)));
    shifted >> whole::<B, N>(comptime!(i64::from(format.digits)))
}

/// ln x, for what is `value` where x is neither 0 nor below nor infinite.
#[cube]
fn log_or_limit<W: Float, B: Int, N: Size>(x: Vector<W, N>, value: Vector<W, N>) -> Vector<W, N> {
    let format = format::<W>();
    let bits = Vector::<B, N>::reinterpret(x);
    // What is no number in a shader's text is made of bits that are known only when it runs.
    let minus_infinity = Vector::<W, N>::reinterpret(bits | whole::<B, N>(comptime!(format.sign | format.infinity)));
    let infinity = whole::<B, N>(comptime!(format.infinity));
    let nan = Vector::<W, N>::reinterpret(bits | whole::<B, N>(comptime!(format.infinity | format.infinity >> 1)));
    let zero = whole::<B, N>(0);
    let value = select_many(bits.less_than(&infinity), value, x);
    let value = select_many(bits.less_than(&zero), nan, value);
    select_many((bits + bits).equal(&zero), minus_infinity, value)
}

/// m of x = m · 2ᵉ.
#[cube]
fn mantissa_of<W: Float, B: Int, N: Size>(x: Vector<W, N>, e: Vector<B, N>) -> Vector<W, N> {
    let format = format::<W>();
    let exponent = e << whole::<B, N>(comptime!(i64::from(format.digits)));
    Vector::<W, N>::reinterpret(Vector::<B, N>::reinterpret(x) - exponent)
}

/// ln x.
#[cube]
pub(crate) fn log<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let format = format::<W>();
    // Subnormal numbers are made normal.
    let small = x.less_than(&of::<W, N>(comptime!(format.smallest)));
    let normal = select_many(small, x * of::<W, N>(comptime!(2f64.powi(format.digits as i32 + 1))), x);
    let offset = select_many(small, of::<W, N>(comptime!(-f64::from(format.digits + 1))), of::<W, N>(0.0));
    let e = exponent_of::<W, B, N>(normal);
    let f = mantissa_of::<W, B, N>(normal, e) - of::<W, N>(1.0);
    log_or_limit::<W, B, N>(x, log_of_parts::<W, N>(Vector::<W, N>::cast_from(e) + offset, f))
}

/// ln(1 + x).
#[cube]
pub(crate) fn log1p<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let sum = of::<W, N>(1.0) + x;
    let e = exponent_of::<W, B, N>(sum);
    let m = mantissa_of::<W, B, N>(sum, e);
    // Near 0 what the sum lost in rounding is most of x.
    let f = select_many(e.equal(&whole::<B, N>(0)), x, m - of::<W, N>(1.0));
    let value = log_of_parts::<W, N>(Vector::<W, N>::cast_from(e), f);
    let value = log_or_limit::<W, B, N>(sum, value);
    select_many(is_nan::<W, B, N>(x), x, value)
}

/// With e = e^(−2|x|) − 1: −e / (2 + e).
#[cube]
pub(crate) fn tanh<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let e = expm1::<W, B, N>(of::<W, N>(-2.0) * x.abs());
    let size = -e / (of::<W, N>(2.0) + e);
    select_many(is_nan::<W, B, N>(x), x, with_sign::<W, B, N>(size, x))
}

/// 1 / (1 + e⁻ˣ), from e^(−|x|).
#[cube]
pub(crate) fn sigmoid<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let t = exp::<W, B, N>(-x.abs());
    let share = of::<W, N>(1.0) / (of::<W, N>(1.0) + t);
    select_many(x.less_than(&of::<W, N>(0.0)), t * share, share)
}

/// ln(1 + eˣ).
#[cube]
pub(crate) fn softplus<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let above = select_many(x.less_than(&of::<W, N>(0.0)), of::<W, N>(0.0), x);
    above + log1p::<W, B, N>(exp::<W, B, N>(-x.abs()))
}

/// x to half of its digits, so that what is left of x has no more than half of them either.
#[cube]
pub(crate) fn upper<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let format = format::<W>();
    let rounded = Vector::<B, N>::reinterpret(x) + whole::<B, N>(comptime!((!format.upper_half >> 1) + 1));
    Vector::<W, N>::reinterpret(rounded & whole::<B, N>(comptime!(format.upper_half)))
}

/// e^(−x²/2). The square of x's upper half is exact.
#[cube]
fn bell<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let upper = upper::<W, B, N>(x);
    let rest = of::<W, N>(-0.5) * (x - upper) * (x + upper);
    let of_rest = rest + rest * rest * (of::<W, N>(0.5) + rest * of::<W, N>(comptime!(1.0 / 6.0)));
    let of_upper = exp::<W, B, N>(of::<W, N>(-0.5) * upper * upper);
    of_upper + of_upper * of_rest
}

/// The normal distribution's density.
#[cube]
pub(crate) fn density<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let x = between::<W, B, N>(x, -40.0, 40.0);
    bell::<W, B, N>(x) * of::<W, N>(0.398_942_280_401_432_7)
}

/// The normal distribution's probability beyond x ≥ 0, as exact as the polynomials are.
#[cube]
fn tail<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let x = between::<W, B, N>(x, 0.0, 40.0);
    let above = polynomial::<W, N>(x, comptime!(crate::number::normal::ABOVE.to_vec()));
    let below = polynomial::<W, N>(x, comptime!(crate::number::normal::BELOW.to_vec()));
    bell::<W, B, N>(x) * above / below
}

/// The normal distribution's probability up to x.
#[cube]
pub(crate) fn probability<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let tail = tail::<W, B, N>(x.abs());
    select_many(x.less_than(&of::<W, N>(0.0)), tail, of::<W, N>(1.0) - tail)
}

/// Below 1 by its series.
#[cube]
pub(crate) fn erf<W: Float, B: Int, N: Size>(x: Vector<W, N>) -> Vector<W, N> {
    let format = format::<W>();
    let size = x.abs();
    let far = of::<W, N>(1.0) - of::<W, N>(2.0) * tail::<W, B, N>(size * of::<W, N>(SQRT_2));
    let square = between::<W, B, N>(x * x, 0.0, 1.0);
    let near = size * polynomial::<W, N>(square, comptime!(erf_series(format.terms[2])));
    let value = select_many(size.less_than(&of::<W, N>(1.0)), near, far);
    with_sign::<W, B, N>(value, x)
}
