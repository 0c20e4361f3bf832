//! The CPU maths of a fused layer's activation, for one element: φ and, below it, what its output tells of φ′.

use super::FusedActivation;
use crate::relu::real::{self, Apply};

/// Hands φ(z + b) to `elements`, as a function of z and b.
pub(crate) fn value<A: Apply<f32>>(activation: FusedActivation, elements: A) -> A::Output {
    match activation {
        FusedActivation::Identity => elements.apply(|z, b| z + b),
        FusedActivation::Relu(_) => elements.apply(|z, b| real::f(z + b)),
        FusedActivation::Sigmoid => elements.apply(|z, b| sigmoid(z + b)),
        FusedActivation::Tanh => elements.apply(|z, b| tanh(z + b)),
    }
}

/// Hands φ′ · g to `elements`, as a function of the output a = φ(z) and of g.
pub(crate) fn slope<A: Apply<f32>>(activation: FusedActivation, elements: A) -> A::Output {
    match activation {
        FusedActivation::Identity => elements.apply(|_, g| g),
        FusedActivation::Relu(rule) => real::df(rule, elements),
        FusedActivation::Sigmoid => elements.apply(|a, g| g * (a * (1.0 - a))),
        FusedActivation::Tanh => elements.apply(|a, g| g * (1.0 - a * a)),
    }
}

// Products are added by `mul_add`: one instruction of all processors with vectors of eight numbers, the same bits by
// slower ways on the others.

/// 1 / (1 + e⁻ᶻ).
#[inline(always)]
fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + exp(-z))
}

/// tanh z, to two units in the last place: the rational form away from 0, a polynomial near it (Moshier, *Cephes*,
/// tanhf).
#[inline(always)]
fn tanh(z: f32) -> f32 {
    let far = 1.0 - 2.0 / (exp(2.0 * z.abs()) + 1.0);
    let square = z * z;
    let mut p = -5.704_988_7e-3f32;
    p = p.mul_add(square, 2.063_908_8e-2);
    p = p.mul_add(square, -5.373_971_5e-2);
    p = p.mul_add(square, 1.333_144_2e-1);
    p = p.mul_add(square, -3.333_328e-1);
    let near = (p * square).mul_add(z, z);
    // Odd, also in its sign at 0.
    if z.abs() > 0.625 { far } else { near }.copysign(z)
}

/// eˣ without a branch, so that loops over it vectorise: 2ⁿ times a polynomial in the rest (Moshier, *Cephes*, expf).
/// ∞ from 88.4 on, the smallest normal number below −87.3.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding it leaves n, rounded, in the last bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 89.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, of which the first has few bits, so that n times it is exact.
    let rest = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let mut p = 1.987_569_1e-4f32;
    p = p.mul_add(rest, 1.398_199_9e-3);
    p = p.mul_add(rest, 8.333_452e-3);
    p = p.mul_add(rest, 4.166_579_6e-2);
    p = p.mul_add(rest, 1.666_666_6e-1);
    p = p.mul_add(rest, 0.5);
    let p = (p * rest).mul_add(rest, rest) + 1.0;
    p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = f32> {
        (-400_000..=400_000).map(|i| i as f32 * 2.5e-4)
    }

    #[test]
    fn tanh_and_sigmoid_are_right_to_rounding() {
        for z in grid() {
            let (exact, found) = (f64::from(z).tanh(), f64::from(tanh(z)));
            assert!((exact - found).abs() <= 2.5e-7 * exact.abs().max(1e-30), "tanh({z}): {found}, not {exact}");
            let (exact, found) = (1.0 / (1.0 + (-f64::from(z)).exp()), f64::from(sigmoid(z)));
            // Below −87 the result is under f32's normal range.
            assert!((exact - found).abs() <= 2.5e-7 * exact + 1e-37, "sigmoid({z}): {found}, not {exact}");
        }
    }

    #[test]
    fn tanh_and_sigmoid_keep_nan_and_reach_their_limits() {
        assert!(tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY)), (1.0, 0.0));
        assert_eq!(tanh(-0.0).to_bits(), (-0.0f32).to_bits());
    }
}
