//! The loops over half types, which are computed in f32 and rounded once.

use std::mem::MaybeUninit;

use super::loops::{self, compute};
use crate::{
    activation::{Activation, Properties, Visitor},
    host::{Half, LANES, Work, dispatch, fill},
    relu::real::Real,
};

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
        let zero = f32::hidden_zero();
        let mut x = [0.0; LANES];
        for i in 0..blocks {
            // SAFETY: the caller's, and there are so many blocks. One has been read when it is written.
            unsafe {
                H::widen::<NATIVE>(&*from.add(i), &mut x);
                compute(self.function, &mut loops::ValueInPlace { x: &mut x }, zero);
                H::narrow::<NATIVE>(&x, &mut *to.add(i));
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
        let zero = f32::hidden_zero();
        let (mut x, mut g) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..blocks {
            // SAFETY: the caller's, and there are so many blocks. One has been read when it is written.
            unsafe {
                H::widen::<NATIVE>(&*kept.add(i), &mut x);
                H::widen::<NATIVE>(&*grad.add(i), &mut g);
                compute(self.function, &mut loops::Slope { kept: &x, grad: &mut g }, zero);
                H::narrow::<NATIVE>(&g, &mut *output.add(i));
            }
        }
    }
}
