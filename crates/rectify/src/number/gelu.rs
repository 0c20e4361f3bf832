//! GELU in f32, as `single` describes it. With z = |x|, the bell B = e^(−z²/2) and T = (1 − Φ(z)) / B, which changes slowly,
//! φ(−z) = −B z T, φ′(−z) = B (T − z / √(2π)), φ(z) = z + φ(−z) and φ′(z) = 1 − φ′(−z): nothing cancels.
//!
//! T = S v and T − z / √(2π) = K (z₀ − z), with polynomials S and K in v = 1 / (4 + z) and the zero of φ′ at −z₀. What
//! products lose in rounding is carried along.

use super::{
    Number,
    single::{reduced_in_two, scaled},
};

/// The zero of φ′ is at −(first + second).
const ZERO: [f32; 2] = [0.751_791_54, -1.211_444_9e-8];
/// Where the polynomials are centred, in v.
const CENTRE: f32 = 0.140_625;
/// From the highest power's coefficient on.
const S: [f32; 10] = [
    17_949.52,
    5_464.825_7,
    -2_763.502_2,
    -1_254.088_9,
    144.167_4,
    262.878_8,
    111.488_48,
    29.624_273,
    5.711_236,
    0.837_700_5,
];
const K: [f32; 10] = [
    1_993.693,
    106.114_815,
    -394.705_5,
    -84.798_645,
    52.711_884,
    43.311_428,
    16.951_183,
    4.602_844,
    0.958_995_5,
    0.476_133_94,
];

/// x Φ(x).
#[inline(always)]
pub(super) fn value(x: f32) -> f32 {
    let Parts { z, v, v_lost, centred, bell } = Parts::of(x);
    let (s, s_lost) = polynomial(centred, S);
    let tail = v * s;
    let tail_lost = v.mul_add(s_lost, v_lost.mul_add(s, v.mul_add(s, -tail)));
    let product = z * tail;
    let left = bell.times(product, z.mul_add(tail_lost, z.mul_add(tail, -product)));
    if x < 0.0 { -left } else { x - left }
}

/// Φ(x) + x Φ′(x).
#[inline(always)]
pub(super) fn slope(x: f32) -> f32 {
    let Parts { z, centred, bell, .. } = Parts::of(x);
    let (k, k_lost) = polynomial(centred, K);
    let first = ZERO[0] - z;
    let distance = first + ZERO[1];
    let distance_lost = ZERO[1] - (distance - first);
    let product = distance * k;
    let product_lost = distance_lost.mul_add(k, distance.mul_add(k_lost, distance.mul_add(k, -product)));
    let left = bell.times(product, product_lost);
    if x < 0.0 { left } else { 1.0 - left }
}

struct Parts {
    z: f32,
    /// v, and what it lost in rounding.
    v: f32,
    v_lost: f32,
    /// v − [`CENTRE`].
    centred: f32,
    bell: Bell,
}

impl Parts {
    #[inline(always)]
    fn of(x: f32) -> Self {
        let z = f32::abs(x);
        // Nothing is left of the bell further out.
        let z = z.at_most(17.0);
        let sum = z + 4.0;
        let (large, small) = if z > 4.0 { (z, 4.0) } else { (4.0, z) };
        let v = 1.0 / sum;
        let v_lost = v * ((-v).mul_add(sum, 1.0) - v * (small - (sum - large)));
        Self { z, v, v_lost, centred: (v - CENTRE) + v_lost, bell: Bell::of(z) }
    }
}

/// e^(−z²/2) = 2ⁿ (1 + q) (1 + lost).
struct Bell {
    q: f32,
    n: i32,
    lost: f32,
}

impl Bell {
    #[inline(always)]
    fn of(z: f32) -> Self {
        let square = z * z;
        let square_lost = z.mul_add(z, -square);
        let argument = -0.5 * square;
        let (q, lost, n) = reduced_in_two(argument, -0.5 * square_lost);
        Self { q, n, lost }
    }

    /// The bell times a number and what it lost.
    #[inline(always)]
    fn times(&self, x: f32, x_lost: f32) -> f32 {
        let lost = x.mul_add(self.lost, x_lost);
        scaled::<false>(x + self.q.mul_add(x, self.q.mul_add(lost, lost)), self.n)
    }
}

/// By Horner's rule, and what the last step lost in rounding.
#[inline(always)]
fn polynomial(x: f32, coefficients: [f32; 10]) -> (f32, f32) {
    let mut slope = coefficients[0];
    for coefficient in &coefficients[1..9] {
        slope = slope.mul_add(x, *coefficient);
    }
    let value = slope.mul_add(x, coefficients[9]);
    (value, slope.mul_add(x, coefficients[9] - value))
}
