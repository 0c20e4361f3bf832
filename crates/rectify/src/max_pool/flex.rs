//! The CPU kernels on Flex, in f32: the maximum and, below it, its gradient. Other types take the defaults.

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::DType,
};
use pulp::NullaryFnOnce;
use rayon::prelude::*;

use super::backward::{MaxPoolOps, default};
use crate::host::{arch, dense, tensor};

impl MaxPoolOps for Flex {
    fn rectify_max_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let [batch, channels, height, width] = x.shape().dims();
        let output_shape = [batch, channels, height / 2, width / 2];
        let size: usize = output_shape.iter().product();
        if x.dtype() != DType::F32 || size == 0 {
            return default::max_pool::<Self>(x);
        }
        let x = dense(x);
        let mut output = vec![0.0; size];
        let planes = x.storage::<f32>().par_chunks_exact(height * width);
        let planes = planes.zip(output.par_chunks_exact_mut((height / 2) * (width / 2)));
        planes.with_min_len(PLANES).for_each(|(x, output)| arch().dispatch(Maximum { x, width, output }));
        tensor(output, output_shape)
    }

    fn rectify_max_pool_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let [_, _, height, width] = x.shape().dims();
        if x.dtype() != DType::F32 || grad.shape().num_elements() == 0 {
            return default::max_pool_backward::<Self>(x, grad);
        }
        let (x, grad) = (dense(x), dense(grad));
        let mut x_grad = vec![0.0; x.shape().num_elements()];
        let planes = x.storage::<f32>().par_chunks_exact(height * width);
        let planes = planes.zip(grad.storage::<f32>().par_chunks_exact((height / 2) * (width / 2)));
        let planes = planes.zip(x_grad.par_chunks_exact_mut(height * width));
        planes.with_min_len(PLANES).for_each(|((x, grad), x_grad)| {
            arch().dispatch(MaximumGradient { x, width, grad, x_grad });
        });
        tensor(x_grad, x.shape().dims::<4>())
    }
}

/// Planes that a thread takes at a time at least.
const PLANES: usize = 64;

/// Whether the maximum of two is the second: the first is it where they are equal, the last NaN where there is one.
#[inline(always)]
fn is_second(first: f32, second: f32) -> bool {
    (second > first) | second.is_nan()
}

#[inline(always)]
fn larger(first: f32, second: f32) -> f32 {
    if is_second(first, second) { second } else { first }
}

// A functor and not a closure, which the compiler need not inline into the code for the processor's vectors.
struct Maximum<'a> {
    x: &'a [f32],
    width: usize,
    output: &'a mut [f32],
}

impl NullaryFnOnce for Maximum<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { x, width, output } = self;
        for (rows, output) in x.chunks_exact(2 * width).zip(output.chunks_exact_mut(width / 2)) {
            let (upper, lower) = rows.split_at(width);
            let (upper, _) = upper.as_chunks::<2>();
            let (lower, _) = lower.as_chunks::<2>();
            for ((upper, lower), output) in upper.iter().zip(lower).zip(output) {
                *output = larger(larger(upper[0], upper[1]), larger(lower[0], lower[1]));
            }
        }
    }
}

/// Windows that are computed at once.
const WINDOWS: usize = 8;
const COLUMNS: usize = 2 * WINDOWS;

/// Puts each window's gradient where its maximum is.
struct MaximumGradient<'a> {
    x: &'a [f32],
    width: usize,
    grad: &'a [f32],
    /// Zero before.
    x_grad: &'a mut [f32],
}

impl NullaryFnOnce for MaximumGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { x, width, grad, x_grad } = self;
        for row in 0..x.len() / (2 * width) {
            // The last ones first: what they write beyond their row is written again by the first ones of the next.
            for window in (0..width / 2).step_by(WINDOWS).rev() {
                let upper = 2 * row * width + 2 * window;
                let mut grads = read::<WINDOWS>(grad, row * (width / 2) + window);
                // Windows of the next row get nothing here.
                for (i, grad) in grads.iter_mut().enumerate() {
                    *grad = if window + i < width / 2 { *grad } else { 0.0 };
                }
                let [upper_grad, lower_grad] = give(read(x, upper), read(x, upper + width), grads);
                write(x_grad, upper, upper_grad);
                write(x_grad, upper + width, lower_grad);
            }
        }
    }
}

/// The gradients of two rows from those of their windows. Selects, never branches, so that it is one vector's work.
#[inline(always)]
fn give(upper: [f32; COLUMNS], lower: [f32; COLUMNS], grads: [f32; WINDOWS]) -> [[f32; COLUMNS]; 2] {
    let mut given = [[0.0; COLUMNS]; 2];
    for i in 0..COLUMNS {
        let (left, right) = (i & !1, i | 1);
        let up = larger(upper[left], upper[right]);
        let is_right = [is_second(upper[left], upper[right]), is_second(lower[left], lower[right])];
        let is_lower = is_second(up, larger(lower[left], lower[right]));
        let grad = grads[i / 2];
        given[0][i] = if !is_lower & (is_right[0] == (i == right)) { grad } else { 0.0 };
        given[1][i] = if is_lower & (is_right[1] == (i == right)) { grad } else { 0.0 };
    }
    given
}

/// So many values from `begin` on; zeros beyond the end.
#[inline(always)]
fn read<const N: usize>(x: &[f32], begin: usize) -> [f32; N] {
    let x = &x[begin..];
    match x.first_chunk() {
        Some(values) => *values,
        None => std::array::from_fn(|i| x.get(i).copied().unwrap_or(0.0)),
    }
}

/// Values from `begin` on, as far as there is room.
#[inline(always)]
fn write<const N: usize>(x: &mut [f32], begin: usize, values: [f32; N]) {
    let x = &mut x[begin..];
    match x.first_chunk_mut() {
        Some(x) => *x = values,
        None => x.iter_mut().zip(values).for_each(|(x, value)| *x = value),
    }
}
