//! The CPU kernels of the Flex backend.

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::{Bytes, DType},
};
use burn_flex::{FlexTensor, Layout};
use bytemuck::Pod;
use half::{bf16, f16};

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
        elements.iter_mut().for_each(|x| *x = f(*x));
        return x;
    }
    let output: Vec<F> = x.storage::<F>().iter().map(|x| f(*x)).collect();
    tensor(output, &x)
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
            kept.iter().zip(grad).for_each(|(x, g)| *g = df(*x, *g));
            return self.grad;
        }
        let output: Vec<F> = kept.iter().zip(self.grad.storage::<F>()).map(|(x, g)| df(*x, *g)).collect();
        tensor(output, &self.grad)
    }
}

/// The tensor with its elements in order and nothing else in its storage.
fn dense(x: FlexTensor) -> FlexTensor {
    let size = x.layout().num_elements() * x.dtype().size();
    match x.is_contiguous() && x.layout().start_offset() == 0 && x.bytes().len() == size {
        true => x,
        false => x.to_contiguous(),
    }
}

fn tensor<F: Pod + Send + Sync>(elements: Vec<F>, like: &FlexTensor) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(elements), Layout::contiguous(like.shape()), like.dtype())
}
