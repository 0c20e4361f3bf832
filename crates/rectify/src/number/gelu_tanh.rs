//! GELU's approximation in f32, as `single` describes it, and in f64: x σ(u), whose u = x (a + b x²) is an exponent, so that
//! what it loses in rounding is carried along.

use super::{
    Number,
    logistic::{gated_slope, over_one_plus_power},
    single::reduced_in_two,
};
use crate::activation::{CUBIC, CUBIC_OF_SLOPE, LINEAR};

#[inline(always)]
pub(super) fn value(x: f32) -> f32 {
    // Further to the left nothing is left of it; beyond 10 σ is 1 to rounding.
    let inner = x.at_least(-12.0).at_most(12.0);
    let (u, u_lost) = times_even(inner, singles(LINEAR), singles(CUBIC));
    let (q, lost, n) = reduced_in_two(-u, -u_lost);
    let value = over_one_plus_power::<false>(inner, q + q.mul_add(lost, lost), n);
    if x > 10.0 { x } else { value }
}

#[inline(always)]
pub(super) fn slope(x: f32) -> f32 {
    let z = f32::abs(x.at_least(-12.0).at_most(12.0));
    let (u, u_lost) = times_even(z, singles(LINEAR), singles(CUBIC));
    let (size, size_lost) = times_even(z, singles(LINEAR), singles(CUBIC_OF_SLOPE));
    let (q, lost, n) = reduced_in_two(-u, -u_lost);
    gated_slope(x, [size, size_lost], q, Some(q.mul_add(lost, lost)), n)
}

/// In f64: in the tail nothing is left of x σ(u) but what e^u is.
#[inline(always)]
pub(super) fn value_in_double(x: f64) -> f64 {
    let inner = x.at_least(-30.0).at_most(30.0);
    if x > 30.0 { x } else { inner * gate(inner)[0] }
}

/// The same, in f64.
#[inline(always)]
pub(super) fn slope_in_double(x: f64) -> f64 {
    let x = x.at_least(-30.0).at_most(30.0);
    let [gate, rest] = gate(x);
    gate * (1.0 + x * rest * CUBIC_OF_SLOPE[0].mul_add(x * x, LINEAR[0]))
}

/// σ(u), and what it leaves of 1.
#[inline(always)]
fn gate(x: f64) -> [f64; 2] {
    let (u, lost) = times_even_in_double(x, LINEAR, CUBIC);
    let (gate, rest) = (u.sigmoid(), (-u).sigmoid());
    let lost = gate * rest * lost;
    [gate + lost, rest - lost]
}

/// Two f32 of two f64.
#[inline(always)]
fn singles([high, low]: [f64; 2]) -> [f32; 2] {
    let single = high as f32;
    [single, (high - f64::from(single) + low) as f32]
}

macro_rules! times_even {
    ($name:ident, $type:ty) => {
        /// x (a + c x²), and what that lost, with a and c as the sums of two.
        #[inline(always)]
        fn $name(x: $type, a: [$type; 2], c: [$type; 2]) -> ($type, $type) {
            let square = x * x;
            let square_lost = x.mul_add(x, -square);
            let cubic = c[0] * square;
            let cubic_lost = c[0].mul_add(square, -cubic);
            let sum = cubic + a[0];
            let (large, small) = if cubic > a[0] { (cubic, a[0]) } else { (a[0], cubic) };
            let sum_lost =
                (small - (sum - large)) + (cubic_lost + c[1].mul_add(square, c[0].mul_add(square_lost, a[1])));
            let product = x * sum;
            (product, x.mul_add(sum_lost, x.mul_add(sum, -product)))
        }
    };
}
times_even!(times_even, f32);
times_even!(times_even_in_double, f64);
