//! The derivative of softsign in f32, as `single` describes it.

use super::Number;

/// 1 / (1 + |x|)², with what the sum, the quotient and the square lose carried along.
#[inline(always)]
pub(super) fn slope(x: f32) -> f32 {
    // Further out it is 0, and ∞ times 0 is avoided.
    let x = f32::abs(x).at_most(1e30);
    let sum = 1.0 + x;
    let (large, small) = if x > 1.0 { (x, 1.0) } else { (1.0, x) };
    let sum_lost = small - (sum - large);
    let inverse = 1.0 / sum;
    let lost = (-inverse).mul_add(sum_lost, (-inverse).mul_add(sum, 1.0));
    let square = inverse * inverse;
    (2.0 * square).mul_add(lost, inverse.mul_add(inverse, -square)) + square
}
