//! x − tanh x in f32, as `single` describes it: with t = e^(−2|x|) tanh |x| is (1 − t) / (1 + t), and what it loses in
//! rounding is carried along.

use super::{
    Number,
    logistic::Squared,
    polynomial,
    single::{power_of_two, reduced},
};

/// (x − tanh x) / x³ as a polynomial in x², the last coefficient first.
const NEAR_0: [f64; 8] = [
    -2.249_870_3e-4,
    1.170_896_7e-3,
    -3.502_497_7e-3,
    8.876_033e-3,
    -2.188_624_8e-2,
    5.397_249e-2,
    -1.333_337_3e-1,
    3.333_333_4e-1,
];
/// (tanh x / x)².
const SLOPE_NEAR_0: [f64; 5] = [9.080_021e-2, -1.964_867_7e-1, 3.777_710_8e-1, -6.666_666e-1, 1.0];

#[inline(always)]
pub(super) fn value(x: f32) -> f32 {
    let size = f32::abs(x);
    let (top, top_lost, Squared { inverse, lost, .. }) = quotient(size);
    let tanh = top * inverse;
    let tanh_lost = top.mul_add(inverse, -tanh) + inverse * top.mul_add(lost, top_lost);
    let far = (size - tanh) - tanh_lost;
    let square = size * size;
    let cube = size * square;
    let cube_lost = size.mul_add(square, -cube) + size * size.mul_add(size, -square);
    let p = polynomial(square, NEAR_0);
    let near = cube.mul_add(p, cube_lost * p);
    (if size < 0.9 { near } else { far }).copysign(x)
}

/// tanh² x.
#[inline(always)]
pub(super) fn slope(x: f32) -> f32 {
    let (top, top_lost, Squared { square, square_lost, .. }) = quotient(f32::abs(x));
    let product = top * square;
    let product_lost = top.mul_add(square, -product) + top.mul_add(square_lost, top_lost * square);
    let far = product.mul_add(top, product_lost.mul_add(top, product * top_lost));
    let near = x * x * polynomial(x * x, SLOPE_NEAR_0);
    if f32::abs(x) < 0.25 { near } else { far }
}

/// 1 − t, what that lost, and 1 / (1 + t)² for x ≥ 0.
#[inline(always)]
fn quotient(x: f32) -> (f32, f32, Squared) {
    let argument = -2.0 * x;
    // Further out nothing is left of t.
    let (q, n) = reduced(argument.at_least(-40.0));
    let unit = power_of_two(n);
    let one = 1.0 - unit;
    let top = unit.mul_add(-q, one);
    (top, unit.mul_add(-q, one - top), Squared::of(q, None, n))
}
