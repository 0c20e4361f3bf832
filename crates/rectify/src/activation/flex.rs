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
    host::{Blocks, map, map_and_slope, map_in_place, multiply, multiply_in_place},
};
use crate::host::{by_dtype, dense, is_dense, tensor};

impl ActivationOps for Flex {
    fn rectify_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        by_dtype!(x.dtype(), forward(x, activation))
    }

    /// In f32 the slope needs no more room than x, and a backward pass from it is one product. In half types it might
    /// vanish before a scaled gradient meets it.
    fn rectify_activation_and_slope(
        mut x: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        if x.dtype() != DType::F32 || !activation.together() || !is_dense(&x) {
            return (x, None);
        }
        let shape = x.shape();
        match x.try_storage_mut() {
            Some(elements) => {
                let output = tensor(map_and_slope(activation, elements), shape);
                (x, Some(output))
            }
            None => (x, None),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::{Gelu, Tanh};

    #[test]
    fn a_slope_is_kept_where_it_takes_no_more_room_and_no_digits() {
        let kept = |x: FlexTensor, activation| Flex::rectify_activation_and_slope(x, activation).1.is_some();
        let x = || tensor(vec![0.5f32; 6], [2, 3]);
        assert!(kept(x(), Gelu.into()));
        assert!(!kept(x(), Tanh.into()), "one after the other takes as long");
        let held = x();
        assert!(!kept(held.clone(), Gelu.into()), "its memory is somebody else's");
        assert!(!kept(x().narrow(1, 0, 2), Gelu.into()), "a part of a tensor");
        assert!(!kept(x().transpose(0, 1), Gelu.into()));
        assert!(!kept(tensor(vec![0.5f64; 6], [6]), Gelu.into()));
        assert!(!kept(tensor(vec![f16::ONE; 6], [6]), Gelu.into()));
    }
}
