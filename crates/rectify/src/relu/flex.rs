//! The CPU kernels of the Flex backend.

use std::{mem::MaybeUninit, ops::Range};

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::{Bytes, DType},
};
use burn_flex::{FlexTensor, Layout};
use bytemuck::Pod;
use half::{bf16, f16};
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::{
    backward::ReluOps,
    gradient::GradientRule,
    real::{Apply, Real, df, f},
};

/// Calls `$kernel::<F>` with the float type of a tensor.
macro_rules! by_dtype {
    ($dtype:expr, $kernel:ident($($argument:expr),*)) => {
        match $dtype {
            DType::F32 => $kernel::<f32>($($argument),*),
            DType::F64 => $kernel::<f64>($($argument),*),
            DType::F16 => $kernel::<f16>($($argument),*),
            DType::BF16 => $kernel::<bf16>($($argument),*),
            dtype => unreachable!("a float tensor of burn-flex is not of {dtype:?}"),
        }
    };
}

impl ReluOps for Flex {
    fn rectify_relu(x: FloatTensor<Self>, _rule: GradientRule) -> FloatTensor<Self> {
        by_dtype!(x.dtype(), forward(x))
    }

    fn rectify_relu_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        rule: GradientRule,
    ) -> FloatTensor<Self> {
        by_dtype!(grad.dtype(), backward(kept, grad, rule))
    }
}

fn forward<F: Real>(x: FlexTensor) -> FlexTensor {
    let mut x = dense(x);
    if let Some(elements) = x.try_storage_mut::<F>() {
        in_parts(elements, |elements, _| Arch::new().dispatch(Forward(elements)));
        return x;
    }
    let input = x.storage::<F>();
    let output = fresh(input.len(), |output, range| Arch::new().dispatch(ForwardInto(&input[range], output)));
    tensor(output, &x)
}

// Functors and not closures, which the compiler need not inline into the code for the processor's vectors.
struct Forward<'a, F>(&'a mut [F]);

impl<F: Real> NullaryFnOnce for Forward<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.iter_mut().for_each(|x| *x = f(*x));
    }
}

struct ForwardInto<'a, F>(&'a [F], &'a mut [MaybeUninit<F>]);

impl<F: Real> NullaryFnOnce for ForwardInto<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (x, y) in self.0.iter().zip(self.1) {
            y.write(f(*x));
        }
    }
}

fn backward<F: Real>(kept: FlexTensor, grad: FlexTensor, rule: GradientRule) -> FlexTensor {
    df::<F, _>(rule, Pair { kept: dense(kept), grad: dense(grad) })
}

struct Pair {
    kept: FlexTensor,
    grad: FlexTensor,
}

impl<F: Real> Apply<F> for Pair {
    type Output = FlexTensor;

    fn apply(mut self, df: impl Fn(F, F) -> F + Sync) -> FlexTensor {
        let kept = self.kept.storage::<F>();
        if let Some(grad) = self.grad.try_storage_mut::<F>() {
            in_parts(grad, |grad, range| Arch::new().dispatch(Backward { kept: &kept[range], grad, df: &df }));
            return self.grad;
        }
        let grad = self.grad.storage::<F>();
        let output = fresh(grad.len(), |output, range| {
            let (kept, grad) = (&kept[range.clone()], &grad[range]);
            Arch::new().dispatch(BackwardInto { kept, grad, output, df: &df });
        });
        tensor(output, &self.grad)
    }
}

struct Backward<'a, F, D> {
    kept: &'a [F],
    grad: &'a mut [F],
    df: &'a D,
}

impl<F: Real, D: Fn(F, F) -> F> NullaryFnOnce for Backward<'_, F, D> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.kept.iter().zip(self.grad).for_each(|(x, g)| *g = (self.df)(*x, *g));
    }
}

struct BackwardInto<'a, F, D> {
    kept: &'a [F],
    grad: &'a [F],
    output: &'a mut [MaybeUninit<F>],
    df: &'a D,
}

impl<F: Real, D: Fn(F, F) -> F> NullaryFnOnce for BackwardInto<'_, F, D> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for ((x, g), y) in self.kept.iter().zip(self.grad).zip(self.output) {
            y.write((self.df)(*x, *g));
        }
    }
}

/// Elements a thread takes at a time. What is smaller than two of these is not worth waking one.
const PART: usize = 1 << 17;

/// Calls `work` with parts of `elements` and where they are, on the threads of the current pool.
fn in_parts<T: Send>(elements: &mut [T], work: impl Fn(&mut [T], Range<usize>) + Sync) {
    let len = elements.len();
    if len < 2 * PART || rayon::current_num_threads() == 1 {
        return work(elements, 0..len);
    }
    elements.par_chunks_mut(PART).enumerate().for_each(|(i, part)| {
        let begin = i * PART;
        let end = begin + part.len();
        work(part, begin..end);
    });
}

/// A vector that `write` writes whole, part by part.
fn fresh<F: Real>(len: usize, write: impl Fn(&mut [MaybeUninit<F>], Range<usize>) + Sync) -> Vec<F> {
    let mut output = Vec::with_capacity(len);
    in_parts(&mut output.spare_capacity_mut()[..len], write);
    // SAFETY: there is room for `len` elements, and both callers write every one of them: their inputs are sliced by
    // the same range as the output, and zipped with it.
    unsafe { output.set_len(len) };
    output
}

/// The tensor with its elements in order and nothing else in its storage.
pub(crate) fn dense(x: FlexTensor) -> FlexTensor {
    let size = x.layout().num_elements() * x.dtype().size();
    match x.is_contiguous() && x.layout().start_offset() == 0 && x.bytes().len() == size {
        true => x,
        false => x.to_contiguous(),
    }
}

fn tensor<F: Pod + Send + Sync>(elements: Vec<F>, like: &FlexTensor) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(elements), Layout::contiguous(like.shape()), like.dtype())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::PART;

    #[test]
    fn parts_make_the_whole() {
        for len in [PART - 1, 2 * PART, 3 * PART + 129] {
            let values: Vec<f32> = (0..len).map(|i| (i % 1000) as f32 - 499.5).collect();
            let expected: Vec<f32> = values.iter().map(|x| x.max(0.0)).collect();
            let slopes: Vec<f32> = values.iter().map(|x| if *x > 0.0 { *x } else { 0.0 }).collect();
            let data = TensorData::new(values, [len]);
            let x = Tensor::<1>::from_data(data.clone(), &Device::flex());
            assert_eq!(crate::relu(x.clone()).into_data().to_vec::<f32>().unwrap(), expected, "into a new tensor");
            assert_eq!(crate::relu(x).into_data().to_vec::<f32>().unwrap(), expected, "in place");

            let tracked = Tensor::<1>::from_data(data.clone(), &Device::flex().autodiff()).require_grad();
            let factor = Tensor::<1>::from_data(data, &Device::flex().autodiff());
            let gradients = (crate::relu(tracked.clone()) * factor).sum().backward();
            assert_eq!(tracked.grad(&gradients).unwrap().into_data().to_vec::<f32>().unwrap(), slopes, "backward");
        }
    }
}
