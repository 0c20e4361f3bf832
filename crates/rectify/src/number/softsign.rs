//! The derivative of softsign in f32, as `single` describes it.

use super::Number;

/// 1 / (1 + |x|)², with what the sum, the quotient and the square lose carried along.
#[inline(always)]
pub(super) fn slope<N: Number>(x: N) -> N {
    let one = N::of(1.0);
    // Further out it is 0, and ∞ times 0 is avoided.
    let x = x.abs().at_most(1e30);
    let sum = one + x;
    let large = x.above(1.0);
    let sum_lost = N::choose(large, one, x) - (sum - N::choose(large, x, one));
    let inverse = one / sum;
    let lost = (-inverse).times_plus(sum_lost, (-inverse).times_plus(sum, one));
    let square = inverse * inverse;
    (square + square).times_plus(lost, inverse.times_plus(inverse, -square)) + square
}
