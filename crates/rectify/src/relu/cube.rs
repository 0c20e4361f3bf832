//! The kernels of every CubeCL backend.

use burn::backend::{Cube, ops::ActivationOps, tensor::FloatTensor};

use super::{backward::ReluOps, gradient::GradientRule};

impl ReluOps for Cube {
    fn rectify_relu(x: FloatTensor<Self>, _rule: GradientRule) -> FloatTensor<Self> {
        <Self as ActivationOps<Self>>::relu(x)
    }

    fn rectify_relu_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        _rule: GradientRule,
    ) -> FloatTensor<Self> {
        <Self as ActivationOps<Self>>::relu_backward(kept, grad)
    }
}
