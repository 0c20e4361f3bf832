//! The CPU kernels on Flex. Whatever the dimension, a tensor is rows of a and rows of b in turn.

use std::{
    mem::MaybeUninit,
    ops::{Mul, Range},
};

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::DType,
};
use burn_flex::FlexTensor;
use half::{bf16, f16};
use pulp::NullaryFnOnce;

use super::backward::GatedOps;
use crate::{
    activation::{Activation, host::Blocks},
    host::{
        COMPUTED_BLOCK as BLOCK, COSTLY_PART, Computed, Shared, Way, arch, by_dtype, by_parts, copy, dense,
        finish_stream, fresh_in_blocks, rows, tensor, way,
    },
};

impl GatedOps for Flex {
    fn rectify_gated(x: FloatTensor<Self>, gate: Activation, dim: usize) -> FloatTensor<Self> {
        by_dtype!(x.dtype(), forward(dense(x), gate, dim))
    }

    fn rectify_gated_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        gate: Activation,
        dim: usize,
    ) -> FloatTensor<Self> {
        by_dtype!(x.dtype(), backward(dense(x), dense(grad), gate, dim))
    }
}

/// A tensor's halves: rows of a and of b in turn, each of so many columns. A half's elements are counted row after row.
#[derive(Clone, Copy)]
struct Halves {
    columns: usize,
}

impl Halves {
    fn of(x: &FlexTensor, dim: usize) -> Self {
        Self { columns: x.shape()[dim..].iter().product::<usize>() / 2 }
    }

    /// Where elements of a are in the tensor, row by row, and in their range. Those of b are `columns` later.
    fn places(self, range: Range<usize>) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        rows(range, self.columns).map(move |(row, within, part)| {
            let begin = 2 * row * self.columns;
            (begin + within.start..begin + within.end, part)
        })
    }

    /// Where elements of a are, if they are of one row.
    fn in_a_row(self, range: &Range<usize>) -> Option<Range<usize>> {
        self.places(range.clone()).next().filter(|(_, part)| part.len() == range.len()).map(|(place, _)| place)
    }

    /// Elements of a; with the tensor from `columns` on, of b.
    fn read<'a, E: Computed>(self, numbers: &'a [E], range: &Range<usize>, buffers: &'a mut Buffers<E>) -> &'a [E::In] {
        if let Some(place) = self.in_a_row(range) {
            return E::widened(&numbers[place], &mut buffers.wide);
        }
        let gathered = &mut buffers.gathered[..range.len()];
        self.places(range.clone()).for_each(|(place, part)| _ = gathered[part].write_copy_of_slice(&numbers[place]));
        // SAFETY: the parts are the whole range.
        E::widened(unsafe { gathered.assume_init_ref() }, &mut buffers.wide)
    }
}

/// For a block of numbers, side by side and widened.
struct Buffers<E: Computed> {
    gathered: [MaybeUninit<E>; BLOCK],
    wide: [MaybeUninit<E::In>; BLOCK],
}

impl<E: Computed> Buffers<E> {
    fn new() -> Self {
        Self { gathered: [MaybeUninit::uninit(); BLOCK], wide: [MaybeUninit::uninit(); BLOCK] }
    }
}

fn forward<E: Computed<In: Blocks>>(x: FlexTensor, gate: Activation, dim: usize) -> FlexTensor {
    let (numbers, halves) = (x.storage::<E>(), Halves::of(&x, dim));
    let write = |range: Range<usize>, output: &mut [MaybeUninit<E>]| {
        let [mut a, mut b] = [Buffers::new(), Buffers::new()];
        let a = halves.read(numbers, &range, &mut a);
        let b = halves.read(&numbers[halves.columns..], &range, &mut b);
        // SAFETY: `gated` writes as many numbers as b has.
        unsafe { E::write(output, |output| gated(gate, b, a, output)) };
    };
    let mut shape = x.shape();
    shape[dim] /= 2;
    // SAFETY: as above.
    tensor(unsafe { fresh_in_blocks::<E, BLOCK>(numbers.len() / 2, write) }, shape)
}

/// By a: φ(b) · grad; by b: a · grad · φ′(b).
fn backward<E: Computed<In: Blocks>>(x: FlexTensor, grad: FlexTensor, gate: Activation, dim: usize) -> FlexTensor {
    let (numbers, grads, halves) = (x.storage::<E>(), grad.storage::<E>(), Halves::of(&x, dim));
    let mut output = Vec::with_capacity(numbers.len());
    let (way, shared) = (way::<E>(numbers.len()), Shared::new(&mut output.spare_capacity_mut()[..numbers.len()]));
    let compute = |range: &Range<usize>, by_a: &mut [MaybeUninit<E>], by_b: &mut [MaybeUninit<E>]| {
        let ([mut a, mut b], mut grad) = ([Buffers::new(), Buffers::new()], [MaybeUninit::uninit(); BLOCK]);
        let a = halves.read(numbers, range, &mut a);
        let b = halves.read(&numbers[halves.columns..], range, &mut b);
        let grad = E::widened(&grads[range.clone()], &mut grad);
        // SAFETY: `gradients` writes as many numbers to each as b has.
        unsafe { E::write(by_a, |by_a| E::write(by_b, |by_b| gradients(gate, [a, b, grad], by_a, by_b))) };
    };
    let block = |range: Range<usize>| {
        // SAFETY: no two blocks have an element in common, and no place is of both halves.
        let by_a = |place: Range<usize>| unsafe { shared.places(place) };
        let by_b = |place: Range<usize>| by_a(place.start + halves.columns..place.end + halves.columns);
        match halves.in_a_row(&range) {
            Some(place) if way == Way::Cached => compute(&range, by_a(place.clone()), by_b(place)),
            _ => {
                let [mut a, mut b] = [[MaybeUninit::uninit(); BLOCK]; 2];
                let (a, b) = (&mut a[..range.len()], &mut b[..range.len()]);
                compute(&range, a, b);
                // SAFETY: `compute` writes every element.
                let (a, b) = unsafe { (a.assume_init_ref(), b.assume_init_ref()) };
                for (place, part) in halves.places(range) {
                    copy(&a[part.clone()], by_a(place.clone()), way);
                    copy(&b[part], by_b(place), way);
                }
            }
        }
    };
    by_parts(grads.len(), COSTLY_PART / 2, |part| {
        part.clone().step_by(BLOCK).for_each(|begin| block(begin..part.end.min(begin + BLOCK)));
        finish_stream();
    });
    // SAFETY: the blocks' places in both halves are all there are.
    unsafe { output.set_len(numbers.len()) };
    tensor(output, x.shape())
}

/// Writes φ(b) · a.
fn gated<F: Blocks + Mul<Output = F>>(gate: Activation, b: &[F], a: &[F], output: &mut [MaybeUninit<F>]) {
    F::value(gate, b, output);
    // SAFETY: `value` has written every element.
    arch().dispatch(Times { numbers: unsafe { output.assume_init_mut() }, by: a });
}

/// Writes φ(b) · grad and a · grad · φ′(b).
fn gradients<F: Blocks + Mul<Output = F>>(
    gate: Activation,
    [a, b, grad]: [&[F]; 3],
    by_a: &mut [MaybeUninit<F>],
    by_b: &mut [MaybeUninit<F>],
) {
    let by_b = by_b.write_copy_of_slice(grad);
    arch().dispatch(Times { numbers: by_b, by: a });
    let value = F::value_and_slope_times(gate, b, by_a, by_b);
    arch().dispatch(Times { numbers: value, by: grad });
}

// A functor and not a closure, which the compiler need not inline into the code for the processor's vectors.
struct Times<'a, F> {
    numbers: &'a mut [F],
    by: &'a [F],
}

impl<F: Copy + Mul<Output = F>> NullaryFnOnce for Times<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.numbers.iter_mut().zip(self.by).for_each(|(x, by)| *x = *x * *by);
    }
}
