//! What is made of e⁻ˣ, in f32, as `single` describes it: with e⁻ˣ = 2ⁿ (1 + q) the sum 1 + e⁻ˣ is 1 + 2ⁿ, which is exact
//! where it counts, and 2ⁿ q, rounded once.

use super::{
    Number,
    single::{power_of_two, power_or_zero, reduced, scaled},
};

/// With t = e^(−2|x|): (1 − t) / (1 + t), whose numerator is −q near 0.
#[inline(always)]
pub(super) fn tanh<const NEAR: bool>(x: f32) -> f32 {
    let argument = -2.0 * f32::abs(x);
    // Further out it is 1 to rounding.
    let (q, n) = reduced(if NEAR { argument } else { argument.at_least(-40.0) });
    let unit = power_of_two(n);
    (unit.mul_add(-q, 1.0 - unit) / unit.mul_add(q, 1.0 + unit)).copysign(x)
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(super) fn sigmoid<const NEAR: bool>(x: f32) -> f32 {
    // Further out it is 0 to rounding, or 1.
    let (q, n) = reduced(if NEAR { -x } else { (-x).clamp(-150.0, 150.0) });
    over_one_plus_power::<NEAR>(1.0, q, n)
}

/// x / (1 + e⁻ˣ).
#[inline(always)]
pub(super) fn silu<const NEAR: bool>(x: f32) -> f32 {
    // To the left of −150 nothing is left of it, and −∞ times 0 is avoided; beyond 100 σ is 1 to rounding.
    let inner = if NEAR { x } else { x.at_least(-150.0).at_most(150.0) };
    let (q, n) = reduced(-inner);
    let value = over_one_plus_power::<NEAR>(inner, q, n);
    if !NEAR && x > 100.0 { x } else { value }
}

/// y / (1 + 2ⁿ (1 + q)); `NEAR` for |n| < 24.
#[inline(always)]
pub(super) fn over_one_plus_power<const NEAR: bool>(y: f32, q: f32, n: i32) -> f32 {
    if NEAR {
        let unit = power_of_two(n);
        return y / unit.mul_add(q, 1.0 + unit);
    }
    // Both parts of the sum are scaled by half of n, so that neither overflows and only the last product is subnormal.
    let half = n >> 1;
    let (one, unit) = (power_of_two(-half), power_of_two(n - half));
    // From 2²⁴ on the sum of these two would lose 1, which belongs to q.
    let large = n >= 24;
    let q = if large { q + power_of_two(-n.min(126)) } else { q };
    let sum = unit.mul_add(q, if large { unit } else { one + unit });
    y / sum * power_or_zero(-half, -n)
}

/// What the derivatives are made of. With t = 2ⁿ (1 + q), n ≤ 0, 1 / (1 + t) = `inverse` (1 + `lost`), and its square is
/// `square` + `square_lost`.
pub(super) struct Squared {
    /// 2ⁿ, as far as it counts beside 1.
    unit: f32,
    /// 1 + `unit`.
    one: f32,
    pub(super) inverse: f32,
    pub(super) lost: f32,
    pub(super) square: f32,
    pub(super) square_lost: f32,
}

impl Squared {
    #[inline(always)]
    pub(super) fn of(q: f32, q_lost: Option<f32>, n: i32) -> Self {
        let unit = power_of_two(n.max(-100));
        let one = 1.0 + unit;
        let sum = unit.mul_add(q, one);
        // Below 2⁻²³ the first sum is not exact.
        let of_one = (one - sum) + (unit - (one - 1.0));
        let sum_lost = unit.mul_add(q, of_one);
        let sum_lost = q_lost.map_or(sum_lost, |q_lost| unit.mul_add(q_lost, sum_lost));
        let inverse = 1.0 / sum;
        let lost = (-inverse).mul_add(sum_lost, (-inverse).mul_add(sum, 1.0));
        let square = inverse * inverse;
        let square_lost = (2.0 * square).mul_add(lost, inverse.mul_add(inverse, -square));
        Self { unit, one, inverse, lost, square, square_lost }
    }
}

/// σ′(x) · factor. With t = e^(−|x|) σ′ = t / (1 + t)², on both sides of 0.
#[inline(always)]
pub(super) fn sigmoid_slope_times(x: f32, factor: f32) -> f32 {
    // At −150 also a product with a factor up to 10¹⁰ is 0 to rounding.
    let (q, n) = reduced((-f32::abs(x)).at_least(-150.0));
    let Squared { square, square_lost, .. } = Squared::of(q, None, n);
    let mantissa = square + q.mul_add(square, q.mul_add(square_lost, square_lost));
    scaled::<false>(mantissa * factor, n)
}

/// The derivative of x σ(x).
#[inline(always)]
pub(super) fn silu_slope(x: f32) -> f32 {
    // Further out it is 0 or 1 to rounding.
    let size = f32::abs(x.at_least(-150.0).at_most(150.0));
    let (q, n) = reduced(-size);
    gated_slope(x, [size, 0.0], q, None, n)
}

/// The derivative of x σ(u(x)) with an odd u, by t = e^(−|u|) = 2ⁿ (1 + q) and size = x u′: t (1 + t − size) / (1 + t)² on
/// the left, and what that leaves of 1 on the right.
#[inline(always)]
pub(super) fn gated_slope(x: f32, [size, size_lost]: [f32; 2], q: f32, q_lost: Option<f32>, n: i32) -> f32 {
    let Squared { unit, one, square, square_lost, .. } = Squared::of(q, q_lost, n);
    // one − size, which is exact near the zero, and from 2 on what it lost.
    let rest = one - size;
    let rest_lost = (one - (rest + size)) - size_lost;
    let sum = unit.mul_add(q, rest);
    let sum_lost = unit.mul_add(q, rest - sum) + rest_lost;
    let sum_lost = q_lost.map_or(sum_lost, |q_lost| unit.mul_add(q_lost, sum_lost));
    // (1 + q) sum.
    let product = q.mul_add(sum, sum);
    let product_lost = q.mul_add(sum, sum - product) + q.mul_add(sum_lost, sum_lost);
    let product_lost = q_lost.map_or(product_lost, |q_lost| q_lost.mul_add(sum, product_lost));
    let mantissa = product.mul_add(square, product.mul_add(square_lost, product_lost * square));
    let left = scaled::<false>(mantissa, n);
    if x < 0.0 { left } else { 1.0 - left }
}

/// max(0, x) + 2 artanh(t / (2 + t)) with t = e^(−|x|).
#[inline(always)]
pub(super) fn softplus<const NEAR: bool>(x: f32) -> f32 {
    let argument = -f32::abs(x);
    let (q, n) = reduced(if NEAR { argument } else { argument.at_least(-150.0) });
    let t = scaled::<NEAR>(1.0 + q, n);
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
    x.at_least(0.0) + log
}
