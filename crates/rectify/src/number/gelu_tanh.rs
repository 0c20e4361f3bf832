//! GELU's approximation in f32, as `single` describes it: x σ(u), whose u = x (a + b x²) is an exponent, so that what it
//! loses in rounding is carried along.

use super::{
    Number,
    logistic::{gated_slope, over_one_plus_power},
    single::reduced_in_two,
};
use crate::activation::{TANH_CUBIC, TANH_SCALE};

/// a as the sum of two f32.
const A: [f32; 2] = in_two(TANH_SCALE);
/// b.
const B: [f32; 2] = in_two(TANH_SCALE * TANH_CUBIC);
/// 3 b, for u′ = a + 3 b x².
const B_OF_SLOPE: [f32; 2] = in_two(3.0 * TANH_SCALE * TANH_CUBIC);

const fn in_two(x: f64) -> [f32; 2] {
    let high = x as f32;
    [high, (x - high as f64) as f32]
}

#[inline(always)]
pub(super) fn value(x: f32) -> f32 {
    // Further to the left nothing is left of it; beyond 10 σ is 1 to rounding.
    let inner = x.at_least(-12.0).at_most(12.0);
    let (u, u_lost) = times_even(inner, B);
    let (q, lost, n) = reduced_in_two(-u, -u_lost);
    let value = over_one_plus_power::<false>(inner, q + q.mul_add(lost, lost), n);
    if x > 10.0 { x } else { value }
}

#[inline(always)]
pub(super) fn slope(x: f32) -> f32 {
    let z = f32::abs(x.at_least(-12.0).at_most(12.0));
    let (u, u_lost) = times_even(z, B);
    let (size, size_lost) = times_even(z, B_OF_SLOPE);
    let (q, lost, n) = reduced_in_two(-u, -u_lost);
    gated_slope(x, [size, size_lost], q, Some(q.mul_add(lost, lost)), n)
}

/// x (a + c x²), and what that lost.
#[inline(always)]
fn times_even(x: f32, c: [f32; 2]) -> (f32, f32) {
    let square = x * x;
    let square_lost = x.mul_add(x, -square);
    let cubic = c[0] * square;
    let cubic_lost = c[0].mul_add(square, -cubic);
    let sum = cubic + A[0];
    let (large, small) = if cubic > A[0] { (cubic, A[0]) } else { (A[0], cubic) };
    let sum_lost = (small - (sum - large)) + (cubic_lost + c[1].mul_add(square, c[0].mul_add(square_lost, A[1])));
    let product = x * sum;
    (product, x.mul_add(sum_lost, x.mul_add(sum, -product)))
}
