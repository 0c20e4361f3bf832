//! The loops over half types, which are computed in f32 and rounded once.

#[cfg(target_arch = "x86_64")]
mod passed;

use std::mem::MaybeUninit;

use super::loops::{self, compute};
use crate::{
    activation::{Activation, Properties, Visitor},
    host::{Half, LANES, Real, Work, dispatch, fill},
};
#[cfg(target_arch = "x86_64")]
use crate::{host::SIXTEEN, number::Eight};

/// Writes φ(x) to `y`, and gives that back.
///
/// # Panics
///
/// Where they are not equally long.
pub(super) fn value<'a, H: Half>(activation: Activation, x: &[H], y: &'a mut [MaybeUninit<H>]) -> &'a [H] {
    assert_eq!(x.len(), y.len());
    let ((x, x_rest), (to, to_rest)) = (x.as_chunks(), y.as_chunks_mut());
    activation.visit(Value { blocks: x.len(), x: x.as_ptr(), y: to.as_mut_ptr() });
    value_in_place(activation, to_rest.write_copy_of_slice(x_rest));
    // SAFETY: every element is written: `Value` writes as many blocks as there are of x.
    unsafe { y.assume_init_ref() }
}

/// φ(x) in place of x.
pub(super) fn value_in_place<H: Half>(activation: Activation, x: &mut [H]) {
    let (x, rest) = x.as_chunks_mut();
    let place = x.as_mut_ptr();
    activation.visit(Value { blocks: x.len(), x: place, y: place.cast() });
    if !rest.is_empty() {
        let mut filled = fill(rest);
        value_in_place(activation, &mut filled);
        rest.copy_from_slice(&filled[..rest.len()]);
    }
}

/// Writes φ′ · grad to `output`, and gives that back.
///
/// # Panics
///
/// Where the three are not equally long.
pub(super) fn slope_times_into<'a, H: Half>(
    activation: Activation,
    kept: &[H],
    grad: &[H],
    output: &'a mut [MaybeUninit<H>],
) -> &'a [H] {
    assert_eq!([kept.len(), output.len()], [grad.len(); 2]);
    let ((x, x_rest), (g, g_rest)) = (kept.as_chunks(), grad.as_chunks());
    let (to, to_rest) = output.as_chunks_mut();
    activation.visit(Slope { blocks: x.len(), kept: x.as_ptr(), grad: g.as_ptr(), output: to.as_mut_ptr() });
    slope_times(activation, x_rest, to_rest.write_copy_of_slice(g_rest));
    // SAFETY: every element is written: `Slope` writes as many blocks as there are of `kept`.
    unsafe { output.assume_init_ref() }
}

/// φ′ · grad in place of `grad`.
///
/// # Panics
///
/// Where `kept` and `grad` are not equally long.
pub(super) fn slope_times<H: Half>(activation: Activation, kept: &[H], grad: &mut [H]) {
    assert_eq!(kept.len(), grad.len());
    let ((x, x_rest), (g, g_rest)) = (kept.as_chunks(), grad.as_chunks_mut());
    let place = g.as_mut_ptr();
    activation.visit(Slope { blocks: x.len(), kept: x.as_ptr(), grad: place, output: place.cast() });
    if !x_rest.is_empty() {
        let mut filled = fill(g_rest);
        slope_times(activation, &fill(x_rest), &mut filled);
        g_rest.copy_from_slice(&filled[..g_rest.len()]);
    }
}

/// Whether φ, or φ′, is simple: computed in f32, all numbers alike, and so in [`Eight`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn is_simple<F: Properties>(function: F, slope: bool) -> bool {
    let which = usize::from(slope);
    !function.is_wide()[which] && function.pieces()[which].is_none() && function.near()[which] == 0.0
}

/// A function, and the blocks that it is computed of.
struct Of<F, B> {
    function: F,
    blocks: B,
}

/// As many `blocks` can be read at x, and written at y, which may be the same place.
struct Value<H> {
    blocks: usize,
    x: *const [H; LANES],
    y: *mut [MaybeUninit<H>; LANES],
}

impl<H: Half> Visitor for Value<H> {
    type Output = ();

    fn visit<F: Properties>(self, function: F) {
        dispatch(Of { function, blocks: self });
    }
}

impl<F: Properties, H: Half> Work for Of<F, Value<H>> {
    #[inline(always)]
    unsafe fn run<const NATIVE: bool>(self) {
        let Value { blocks, x: from, y: to } = self.blocks;
        #[cfg(target_arch = "x86_64")]
        if NATIVE && is_simple(self.function, false) {
            let (from, to): (*const [H; SIXTEEN], *mut [_; SIXTEEN]) = (from.cast(), to.cast());
            for i in 0..blocks * (LANES / SIXTEEN) {
                // SAFETY: as below.
                unsafe {
                    let [x, x_too] = H::widen_sixteen(&*from.add(i));
                    let values = [self.function.value(Eight(x)).0, self.function.value(Eight(x_too)).0];
                    H::narrow_sixteen(values, &mut *to.add(i));
                }
            }
            return;
        }
        let zero = f32::hidden_zero();
        let mut wide = [MaybeUninit::uninit(); LANES];
        for i in 0..blocks {
            // SAFETY: the caller's, and there are so many blocks. One has been read when it is written.
            unsafe {
                let x = H::widen::<NATIVE>(&*from.add(i), &mut wide);
                compute::<_, _, LANES>(self.function, &mut loops::ValueInPlace { x }, zero);
                H::narrow::<NATIVE>(x, &mut *to.add(i));
            }
        }
    }
}

/// As many `blocks` can be read at `kept` and at `grad`, and written at `output`, which may be the place of either.
struct Slope<H> {
    blocks: usize,
    kept: *const [H; LANES],
    grad: *const [H; LANES],
    output: *mut [MaybeUninit<H>; LANES],
}

impl<H: Half> Visitor for Slope<H> {
    type Output = ();

    fn visit<F: Properties>(self, function: F) {
        dispatch(Of { function, blocks: self });
    }
}

impl<F: Properties, H: Half> Work for Of<F, Slope<H>> {
    #[inline(always)]
    unsafe fn run<const NATIVE: bool>(self) {
        let Slope { blocks, kept, grad, output } = self.blocks;
        #[cfg(target_arch = "x86_64")]
        if NATIVE && let Some(passes) = self.function.passes() {
            // SAFETY: the caller's.
            return unsafe { self.blocks.passed(passes) };
        }
        #[cfg(target_arch = "x86_64")]
        if NATIVE && is_simple(self.function, true) {
            let (kept, grad): (*const [H; SIXTEEN], *const [H; SIXTEEN]) = (kept.cast(), grad.cast());
            let output: *mut [_; SIXTEEN] = output.cast();
            for i in 0..blocks * (LANES / SIXTEEN) {
                // SAFETY: as below.
                unsafe {
                    let [x, x_too] = H::widen_sixteen(&*kept.add(i));
                    let [g, g_too] = H::widen_sixteen(&*grad.add(i));
                    let (slope, slope_too) = (self.function.slope(Eight(x)), self.function.slope(Eight(x_too)));
                    let g = self.function.passed(Eight(g)) * slope;
                    let g_too = self.function.passed(Eight(g_too)) * slope_too;
                    H::narrow_sixteen([g.0, g_too.0], &mut *output.add(i));
                }
            }
            return;
        }
        let zero = f32::hidden_zero();
        let [mut x, mut g] = [[MaybeUninit::uninit(); LANES]; 2];
        for i in 0..blocks {
            // SAFETY: the caller's, and there are so many blocks. One has been read when it is written.
            unsafe {
                let x = H::widen::<NATIVE>(&*kept.add(i), &mut x);
                let grad = H::widen::<NATIVE>(&*grad.add(i), &mut g);
                compute::<_, _, LANES>(self.function, &mut loops::Slope { kept: x, grad }, zero);
                H::narrow::<NATIVE>(grad, &mut *output.add(i));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;
    use crate::{
        GradientRule,
        activation::{FromOutput, HardShrink, HardTanh, LeakyRelu, Relu6, SoftShrink, Threshold},
    };

    fn with_other_parameters() -> Vec<Activation> {
        let guided = Activation::from(Relu6).with_rule(GradientRule::Guided).unwrap();
        let leaky = LeakyRelu { negative_slope: -0.2 };
        let mut functions = vec![guided, leaky.into(), FromOutput::Sigmoid.into(), FromOutput::Tanh.into()];
        for threshold in [-0.3, 0.0, 0.1, 1e-7, 3.3e38] {
            functions.push(Threshold { threshold, value: 20.0 }.into());
        }
        for [min_value, max_value] in [[-1.0, 0.0], [0.0, 1e-30], [-0.3, 0.7], [-1e39, 1e39]] {
            functions.push(HardTanh { min_value, max_value }.into());
        }
        for lambda in [0.0, 0.3, 1e10] {
            functions.extend([Activation::from(HardShrink { lambda }), SoftShrink { lambda }.into()]);
        }
        functions
    }

    /// Every number of the type, with gradients of every kind.
    fn as_f32_rounded<H: Half>() {
        let number = |bits: u16| -> H { bytemuck::cast(bits) };
        let bits = |x: H| -> u16 { bytemuck::cast(x) };
        let x: Vec<H> = (0..=u16::MAX).map(number).collect();
        let kinds = [1.0, -1.0, 0.1, -3.0, 0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-7, 6e4];
        let grad: Vec<H> = (0..x.len()).map(|i| H::narrowed(kinds[i % kinds.len()])).collect();
        for activation in Activation::all().into_iter().chain(with_other_parameters()) {
            let mut wide: [Vec<f32>; 2] = [&x, &grad].map(|x| x.iter().map(|x| x.widened()).collect());
            let [wide_x, wide_grad] = &mut wide;
            loops::slope_times(activation, wide_x, wide_grad);
            loops::value_in_place(activation, wide_x);
            let (mut y, mut product) = (x.clone(), grad.clone());
            value_in_place(activation, &mut y);
            slope_times(activation, &x, &mut product);
            for (found, expected) in [(y, wide_x), (product, wide_grad)] {
                for ((x, found), expected) in x.iter().zip(found).zip(expected) {
                    let same = bits(found) == bits(H::narrowed(*expected));
                    assert!(same || expected.is_nan() && found.widened().is_nan(), "{activation:?} at {x}: {found}");
                }
            }
        }
    }

    #[test]
    fn a_half_number_is_what_f32_makes_of_it() {
        as_f32_rounded::<f16>();
        as_f32_rounded::<bf16>();
    }
}
