//! φ and its gradient by Burn's own operations: for every backend, and where a kernel does not apply.

use burn::backend::tensor::FloatTensor;

use super::FusedActivation;
use crate::relu::ReluOps;

/// φ(z).
pub(crate) fn value<B: ReluOps>(z: FloatTensor<B>, activation: FusedActivation) -> FloatTensor<B> {
    match activation {
        FusedActivation::Identity => z,
        FusedActivation::Relu(rule) => B::rectify_relu(z, rule),
        FusedActivation::Sigmoid => B::sigmoid(z),
        FusedActivation::Tanh => B::float_tanh(z),
    }
}

/// φ′ · grad, from the output φ(z).
pub(crate) fn slope<B: ReluOps>(
    output: FloatTensor<B>,
    grad: FloatTensor<B>,
    activation: FusedActivation,
) -> FloatTensor<B> {
    match activation {
        FusedActivation::Identity => grad,
        FusedActivation::Relu(rule) => B::rectify_relu_backward(output, grad, rule),
        FusedActivation::Sigmoid => B::sigmoid_backward(output, grad),
        FusedActivation::Tanh => {
            let square = B::float_mul(output.clone(), output);
            let slope = B::float_add_scalar(B::float_neg(square), 1.0.into());
            B::float_mul(grad, slope)
        }
    }
}
