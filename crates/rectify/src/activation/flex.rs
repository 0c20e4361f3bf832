//! The operation on the Flex backend: the kernels of `host` over its tensors.

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::DType,
};
use burn_flex::FlexTensor;
use half::{bf16, f16};

use super::{
    Activation,
    backward::ActivationOps,
    host::{Blocks, map, map_in_place, multiply, multiply_in_place},
};
use crate::host::{by_dtype, dense, tensor};

impl ActivationOps for Flex {
    fn rectify_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        by_dtype!(x.dtype(), forward(x, activation))
    }

    fn rectify_activation_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        by_dtype!(grad.dtype(), backward(kept, grad, activation))
    }
}

fn forward<E: Blocks>(x: FlexTensor, activation: Activation) -> FlexTensor {
    let mut x = dense(x);
    if let Some(elements) = x.try_storage_mut::<E>() {
        map_in_place(activation, elements);
        return x;
    }
    tensor(map(activation, x.storage::<E>()), x.shape())
}

fn backward<E: Blocks>(kept: FlexTensor, grad: FlexTensor, activation: Activation) -> FlexTensor {
    let (kept, mut grad) = (dense(kept), dense(grad));
    let kept = kept.storage::<E>();
    if let Some(elements) = grad.try_storage_mut::<E>() {
        multiply_in_place(activation, kept, elements);
        return grad;
    }
    tensor(multiply(activation, kept, grad.storage()), grad.shape())
}
