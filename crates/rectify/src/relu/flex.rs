//! The CPU kernels of the Flex backend.

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::DType,
};
use burn_flex::FlexTensor;
use half::{bf16, f16};
use pulp::NullaryFnOnce;
use std::mem::MaybeUninit;

use super::{
    backward::ReluOps,
    gradient::GradientRule,
    host::{Apply, df, f},
};
use crate::host::{
    BLOCK, IN_PLACE_FROM, PART, Real, Way, arch, by_dtype, dense, finish_stream, fresh, in_parts, stream, tensor,
};

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
        in_parts(elements, PART, IN_PLACE_FROM, |elements, _| arch().dispatch(Forward(elements)));
        return x;
    }
    let input = x.storage::<F>();
    // SAFETY: `ForwardInto` writes an output for each of its inputs, which are sliced by the same range.
    let output = unsafe {
        fresh(input.len(), PART, |output, range, way| {
            arch().dispatch(ForwardInto { input: &input[range], output, way });
        })
    };
    tensor(output, x.shape())
}

// Functors and not closures, which the compiler need not inline into the code for the processor's vectors.
struct Forward<'a, F>(&'a mut [F]);

impl<F: Real> NullaryFnOnce for Forward<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let zero = F::hidden_zero();
        self.0.iter_mut().for_each(|x| *x = f(*x).or(zero));
    }
}

struct ForwardInto<'a, F> {
    input: &'a [F],
    output: &'a mut [MaybeUninit<F>],
    way: Way,
}

impl<F: Real> NullaryFnOnce for ForwardInto<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { input, output, way } = self;
        if way == Way::Stream {
            let (blocks, rest) = input.as_chunks();
            stream(output, |i| blocks[i].map(f), |i| f(rest[i]));
            return finish_stream();
        }
        for (x, y) in input.iter().zip(output) {
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
            in_parts(grad, PART, IN_PLACE_FROM, |grad, range| {
                arch().dispatch(Backward { kept: &kept[range], grad, df: &df })
            });
            return self.grad;
        }
        let grad = self.grad.storage::<F>();
        // SAFETY: `BackwardInto` writes an output for each pair of its inputs, which are sliced by the same range; a
        // slice that is too short for it panics.
        let output = unsafe {
            fresh(grad.len(), PART, |output, range, way| {
                let (kept, grad) = (&kept[range.clone()], &grad[range]);
                arch().dispatch(BackwardInto { kept, grad, output, way, df: &df });
            })
        };
        tensor(output, self.grad.shape())
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
        let zero = F::hidden_zero();
        self.kept.iter().zip(self.grad).for_each(|(x, g)| *g = (self.df)(*x, *g).or(zero));
    }
}

struct BackwardInto<'a, F, D> {
    kept: &'a [F],
    grad: &'a [F],
    output: &'a mut [MaybeUninit<F>],
    way: Way,
    df: &'a D,
}

impl<F: Real, D: Fn(F, F) -> F> NullaryFnOnce for BackwardInto<'_, F, D> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { kept, grad, output, way, df } = self;
        if way == Way::Stream {
            let ((kept, last_kept), (grad, last_grad)) = (kept.as_chunks::<BLOCK>(), grad.as_chunks::<BLOCK>());
            let block = |i: usize| std::array::from_fn(|j| df(kept[i][j], grad[i][j]));
            stream(output, block, |i| df(last_kept[i], last_grad[i]));
            return finish_stream();
        }
        for ((x, g), y) in kept.iter().zip(grad).zip(output) {
            y.write(df(*x, *g));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use crate::host::{PART, STREAM_FROM};

    #[test]
    fn parts_make_the_whole() {
        // The last one is written past the cache.
        for len in [PART - 1, 2 * PART, 3 * PART, 4 * PART + 129, STREAM_FROM / 4 + 77] {
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
