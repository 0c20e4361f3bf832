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
use bytemuck::Zeroable;
use half::{bf16, f16};
use pulp::NullaryFnOnce;

use super::backward::GatedOps;
use crate::{
    activation::{Activation, Keeps, host::Blocks},
    host::{Computed, arch, by_dtype, dense, fresh_in_blocks, rows, tensor},
};

/// Elements that are computed at once.
const BLOCK: usize = 1024;
/// Elements that a thread takes at a time.
const PART: usize = 1 << 15;

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

/// Elements of a row.
fn columns(x: &FlexTensor, dim: usize) -> usize {
    x.shape()[dim..].iter().product::<usize>() / 2
}

/// Those in some columns of a row, in the buffer if they are widened.
fn widened<'a, E: Computed>(
    numbers: &'a [E],
    row: usize,
    columns: usize,
    within: &Range<usize>,
    buffer: &'a mut [E::In],
) -> &'a [E::In] {
    E::widened(&numbers[row * columns..][within.clone()], buffer)
}

fn forward<E: Computed<In: Blocks>>(x: FlexTensor, gate: Activation, dim: usize) -> FlexTensor {
    let (numbers, columns) = (x.storage::<E>(), columns(&x, dim));
    let write = |range: Range<usize>, output: &mut [MaybeUninit<E>]| {
        let [mut a, mut b] = [[E::In::zeroed(); BLOCK]; 2];
        for (row, within, part) in rows(range, columns) {
            let a = widened(numbers, 2 * row, columns, &within, &mut a);
            let b = widened(numbers, 2 * row + 1, columns, &within, &mut b);
            // SAFETY: `gated` writes as many numbers as b has.
            unsafe { E::write::<BLOCK>(&mut output[part], |output| gated(gate, b, a, output)) };
        }
    };
    let mut shape = x.shape();
    shape[dim] /= 2;
    // SAFETY: as above, and the rows' parts are the whole range.
    tensor(unsafe { fresh_in_blocks::<E, BLOCK>(numbers.len() / 2, PART, write) }, shape)
}

/// By a: φ(b) · grad; by b: a · grad · φ′(b).
fn backward<E: Computed<In: Blocks>>(x: FlexTensor, grad: FlexTensor, gate: Activation, dim: usize) -> FlexTensor {
    let (numbers, grads, columns) = (x.storage::<E>(), grad.storage::<E>(), columns(&x, dim));
    let write = |range: Range<usize>, output: &mut [MaybeUninit<E>]| {
        let [mut a, mut b, mut grad] = [[E::In::zeroed(); BLOCK]; 3];
        for (half, within, part) in rows(range, columns) {
            let row = half / 2;
            let b = widened(numbers, 2 * row + 1, columns, &within, &mut b);
            let grad = widened(grads, row, columns, &within, &mut grad);
            let output = &mut output[part];
            let compute = |output: &mut [MaybeUninit<E::In>]| match half == 2 * row {
                true => gated(gate, b, grad, output),
                false => {
                    let a = widened(numbers, 2 * row, columns, &within, &mut a);
                    gradient(gate, b, a, grad, output);
                }
            };
            // SAFETY: either writes as many numbers as b has.
            unsafe { E::write::<BLOCK>(output, compute) };
        }
    };
    // SAFETY: as above, and the rows' parts are the whole range.
    tensor(unsafe { fresh_in_blocks::<E, BLOCK>(numbers.len(), PART, write) }, x.shape())
}

/// Writes φ(b) · a.
fn gated<F: Blocks + Mul<Output = F>>(gate: Activation, b: &[F], a: &[F], output: &mut [MaybeUninit<F>]) {
    F::value(gate, b, output);
    // SAFETY: `value` has written every element.
    arch().dispatch(Times { numbers: unsafe { output.assume_init_mut() }, by: a });
}

/// Writes a · grad · φ′(b).
fn gradient<F: Blocks + Mul<Output = F>>(
    gate: Activation,
    b: &[F],
    a: &[F],
    grad: &[F],
    output: &mut [MaybeUninit<F>],
) {
    let output = output.write_copy_of_slice(grad);
    arch().dispatch(Times { numbers: output, by: a });
    let mut value = [MaybeUninit::uninit(); BLOCK];
    let kept = match gate.keeps() {
        Keeps::Input => b,
        Keeps::Output => F::value(gate, b, &mut value[..b.len()]),
    };
    F::slope_times(gate, kept, output);
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
