//! The functions over slices of a CPU's memory: a loop for each over a block of f32 or f64, and around them, once for all
//! functions, threads, half types and ways of writing.

#[cfg(feature = "flex")]
mod halves;
mod loops;
mod pieces;

use std::{mem::MaybeUninit, ops::Range};

use burn::tensor::Element;
use bytemuck::Pod;
#[cfg(feature = "flex")]
use rayon::prelude::*;

#[cfg(feature = "flex")]
use super::Keeps;
use super::{Activation, Properties, Visitor};
#[cfg(feature = "flex")]
use crate::host::Half;
#[cfg(feature = "flex")]
use crate::host::on_threads;
use crate::host::{COSTLY_PART as PART, fresh_in_blocks, in_parts};
use loops::slope_times_into;
#[cfg(feature = "flex")]
pub(crate) use loops::values;
pub(crate) use loops::{slope_times, value, value_in_place};
#[cfg(feature = "flex")]
use loops::{value_and_slope, value_and_slope_times};

/// Elements of a block: what is made of it on the way stays in the first caches, and which function it is costs little.
const BLOCK: usize = 4096;

/// φ(x) in place of each x.
pub(super) fn map_in_place<E: Blocks>(activation: Activation, elements: &mut [E]) {
    in_parts(elements, PART, 2 * PART, |elements, _| {
        elements.chunks_mut(BLOCK).for_each(|block| E::value_in_place(activation, block));
    });
}

/// φ(x), elsewhere.
pub(super) fn map<E: Blocks>(activation: Activation, input: &[E]) -> Vec<E> {
    let write = |range: Range<usize>, output: &mut [MaybeUninit<E>]| {
        E::value(activation, &input[range], output);
    };
    // SAFETY: `value` writes every element.
    unsafe { fresh_in_blocks::<E, BLOCK>(input.len(), write) }
}

/// φ(x), elsewhere, and φ′(x) in place of each x.
#[cfg(feature = "flex")]
pub(super) fn map_and_slope(activation: Activation, x: &mut [f32]) -> Vec<f32> {
    let mut output = Vec::with_capacity(x.len());
    let free = &mut output.spare_capacity_mut()[..x.len()];
    let work = |(x, y): (&mut [f32], &mut [MaybeUninit<f32>])| value_and_slope(activation, x, y);
    if on_threads(x.len(), 2 * PART) {
        x.par_chunks_mut(PART).zip(free.par_chunks_mut(PART)).for_each(work);
    } else {
        work((x, free));
    }
    // SAFETY: both are in the same parts, and `value_and_slope` writes as many elements as it is given.
    unsafe { output.set_len(x.len()) };
    output
}

/// φ′ · grad in place of each of `grad`.
///
/// # Panics
///
/// Where `kept` is shorter.
pub(super) fn multiply_in_place<E: Blocks>(activation: Activation, kept: &[E], grad: &mut [E]) {
    in_parts(grad, PART, 2 * PART, |grad, range| {
        for (kept, grad) in kept[range].chunks(BLOCK).zip(grad.chunks_mut(BLOCK)) {
            E::slope_times(activation, kept, grad);
        }
    });
}

/// φ′ · grad, elsewhere.
///
/// # Panics
///
/// Where `kept` is shorter.
pub(super) fn multiply<E: Blocks>(activation: Activation, kept: &[E], grad: &[E]) -> Vec<E> {
    let write = |range: Range<usize>, output: &mut [MaybeUninit<E>]| {
        E::slope_times_into(activation, &kept[range.clone()], &grad[range], output);
    };
    // SAFETY: `slope_times_into` writes every element.
    unsafe { fresh_in_blocks::<E, BLOCK>(grad.len(), write) }
}

/// The functions over a block of a float type, of at most [`BLOCK`] elements.
pub(crate) trait Blocks: Element + Pod {
    /// Writes φ(x) to `y`, and gives that back.
    fn value<'a>(activation: Activation, x: &[Self], y: &'a mut [MaybeUninit<Self>]) -> &'a [Self] {
        let y = y.write_copy_of_slice(x);
        Self::value_in_place(activation, y);
        y
    }
    /// φ(x) in place of `x`.
    fn value_in_place(activation: Activation, x: &mut [Self]);
    /// φ′ · grad in place of `grad`.
    fn slope_times(activation: Activation, kept: &[Self], grad: &mut [Self]);
    /// Writes φ′ · grad to `output`, and gives that back.
    fn slope_times_into<'a>(
        activation: Activation,
        kept: &[Self],
        grad: &[Self],
        output: &'a mut [MaybeUninit<Self>],
    ) -> &'a [Self] {
        let output = output.write_copy_of_slice(grad);
        Self::slope_times(activation, kept, output);
        output
    }
    /// Writes φ(x) to `y`, which it gives back, and φ′(x) · grad in place of `grad`.
    #[cfg(feature = "flex")]
    fn value_and_slope_times<'a>(
        activation: Activation,
        x: &[Self],
        y: &'a mut [MaybeUninit<Self>],
        grad: &mut [Self],
    ) -> &'a mut [Self] {
        value_then_slope_times(activation, x, y, grad)
    }
}

/// One after the other.
#[cfg(feature = "flex")]
fn value_then_slope_times<'a, E: Blocks>(
    activation: Activation,
    x: &[E],
    y: &'a mut [MaybeUninit<E>],
    grad: &mut [E],
) -> &'a mut [E] {
    let value = E::value(activation, x, y);
    E::slope_times(activation, if activation.keeps() == Keeps::Output { value } else { x }, grad);
    // SAFETY: `value` has written every element.
    unsafe { y.assume_init_mut() }
}

impl Blocks for f32 {
    #[cfg(feature = "flex")]
    fn value_and_slope_times<'a>(
        activation: Activation,
        x: &[f32],
        y: &'a mut [MaybeUninit<f32>],
        grad: &mut [f32],
    ) -> &'a mut [f32] {
        if !activation.shares() {
            return value_then_slope_times(activation, x, y, grad);
        }
        value_and_slope_times(activation, x, y, grad);
        // SAFETY: it has written every element.
        unsafe { y.assume_init_mut() }
    }

    fn value<'a>(activation: Activation, x: &[f32], y: &'a mut [MaybeUninit<f32>]) -> &'a [f32] {
        value(activation, x, y)
    }

    fn value_in_place(activation: Activation, x: &mut [f32]) {
        value_in_place(activation, x);
    }

    fn slope_times(activation: Activation, kept: &[f32], grad: &mut [f32]) {
        slope_times(activation, kept, grad);
    }

    fn slope_times_into<'a>(
        activation: Activation,
        kept: &[f32],
        grad: &[f32],
        output: &'a mut [MaybeUninit<f32>],
    ) -> &'a [f32] {
        slope_times_into(activation, kept, grad, output)
    }
}

impl Blocks for f64 {
    fn value_in_place(activation: Activation, x: &mut [f64]) {
        struct Value<'a>(&'a mut [f64]);
        impl Visitor for Value<'_> {
            type Output = ();
            fn visit<F: Properties>(self, function: F) {
                self.0.iter_mut().for_each(|x| *x = function.value(*x));
            }
        }
        activation.visit(Value(x));
    }

    fn slope_times(activation: Activation, kept: &[f64], grad: &mut [f64]) {
        struct Slope<'a>(&'a [f64], &'a mut [f64]);
        impl Visitor for Slope<'_> {
            type Output = ();
            fn visit<F: Properties>(self, function: F) {
                self.0.iter().zip(self.1).for_each(|(x, g)| *g = function.passed(*g) * function.slope(*x));
            }
        }
        activation.visit(Slope(kept, grad));
    }
}

#[cfg(feature = "flex")]
impl<H: Half> Blocks for H {
    fn value<'a>(activation: Activation, x: &[H], y: &'a mut [MaybeUninit<H>]) -> &'a [H] {
        halves::value(activation, x, y)
    }

    fn value_in_place(activation: Activation, x: &mut [H]) {
        halves::value_in_place(activation, x);
    }

    fn slope_times(activation: Activation, kept: &[H], grad: &mut [H]) {
        halves::slope_times(activation, kept, grad);
    }

    fn slope_times_into<'a>(
        activation: Activation,
        kept: &[H],
        grad: &[H],
        output: &'a mut [MaybeUninit<H>],
    ) -> &'a [H] {
        halves::slope_times_into(activation, kept, grad, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        activation::{HardTanh, Softsign},
        host::STREAM_FROM,
    };

    /// Numbers of both signs, and some whose φ is not exact.
    fn numbers<E: Element>(len: usize) -> Vec<E> {
        (0..len).map(|i| E::from_elem((i % 1009) as f64 / 7.0 - 70.0)).collect()
    }

    fn past_the_cache_as_within_it<E: Blocks + PartialEq>(activation: Activation) {
        let len = STREAM_FROM / size_of::<E>() + 77;
        let x = numbers::<E>(len);
        let grad: Vec<E> = x.iter().rev().copied().collect();
        let within = |of: &dyn Fn(&[E], &[E]) -> Vec<E>| -> Vec<E> {
            x.chunks(PART).zip(grad.chunks(PART)).flat_map(|(x, grad)| of(x, grad)).collect()
        };
        assert!(map(activation, &x) == within(&|x, _| map(activation, x)), "{activation:?}");
        assert!(multiply(activation, &x, &grad) == within(&|x, grad| multiply(activation, x, grad)), "{activation:?}");
    }

    /// Every sign and exponent up to a bound, subnormal numbers and zeros among them.
    fn near_to_0(bound: f32) -> impl Iterator<Item = f32> {
        let sizes = (0..=bound.to_bits()).step_by(30_011).chain([bound.to_bits()]).map(f32::from_bits);
        sizes.flat_map(|x| [x, -x])
    }

    #[test]
    fn the_bits_of_a_number_do_not_depend_on_what_stands_beside_it() {
        struct Bounds;
        impl Visitor for Bounds {
            type Output = [f32; 2];
            fn visit<F: Properties>(self, function: F) -> [f32; 2] {
                let (near, pieces) = (function.near(), function.pieces());
                std::array::from_fn(|i| pieces[i].map_or(near[i], |pieces| pieces.bound))
            }
        }
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let mut tried = 0;
        for activation in Activation::all() {
            for (bound, of) in activation.visit(Bounds).into_iter().zip(["φ", "φ′"]) {
                let computed = |x: &[f32]| {
                    let mut output = if of == "φ" { x.to_vec() } else { vec![1.0; x.len()] };
                    match of {
                        "φ" => value_in_place(activation, &mut output),
                        _ => slope_times(activation, x, &mut output),
                    }
                    output
                };
                // Blocks of 64 are computed alike; here one of each is too large.
                let near: Vec<f32> = near_to_0(bound).collect();
                let beside: Vec<f32> = near.chunks(63).flat_map(|x| x.iter().copied().chain([1e30])).collect();
                let (near, mut beside) = (computed(&near), computed(&beside));
                let mut place = 0..;
                beside.retain(|_| place.next().is_some_and(|place: usize| place % 64 != 63));
                beside.truncate(near.len());
                assert!(bits(&near) == bits(&beside), "{activation:?}, {of}");
                tried += usize::from(bound > 0.0);
            }
        }
        assert!(tried >= 16, "only {tried} functions have a faster form");
    }

    #[test]
    fn tensors_too_large_for_a_cache_have_the_numbers_of_small_ones() {
        past_the_cache_as_within_it::<f32>(HardTanh::default().into());
        past_the_cache_as_within_it::<f64>(Softsign.into());
    }
}
