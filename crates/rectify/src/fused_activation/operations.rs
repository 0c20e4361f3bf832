//! φ and its gradient by Burn's own operations: for every backend, and where a kernel does not apply.

use burn::backend::tensor::FloatTensor;

use super::FusedActivation;
use crate::{
    activation::{self, ActivationOps, Sigmoid, Tanh, Values},
    relu::ReluOps,
};

/// φ(z).
pub(crate) fn value<B: ReluOps + ActivationOps>(z: FloatTensor<B>, activation: FusedActivation) -> FloatTensor<B> {
    match activation {
        FusedActivation::Identity => z,
        FusedActivation::Relu(rule) => B::rectify_relu(z, rule),
        FusedActivation::Sigmoid => B::rectify_activation(z, Sigmoid.into()),
        FusedActivation::Tanh => B::rectify_activation(z, Tanh.into()),
        FusedActivation::Function(function) => B::rectify_activation(z, function),
    }
}

/// φ(z), and what the backward pass takes.
pub(crate) fn keep<B: ReluOps + ActivationOps>(
    z: FloatTensor<B>,
    activation: FusedActivation,
) -> (FloatTensor<B>, Values<FloatTensor<B>>) {
    match activation {
        FusedActivation::Function(function) => activation::keep::<B>(z, function),
        _ if activation.keeps_preactivations() => (value::<B>(z.clone(), activation), Values::Kept(z)),
        _ => {
            let output = value::<B>(z, activation);
            (output.clone(), Values::Kept(output))
        }
    }
}

/// φ′ · grad, from z or the output.
pub(crate) fn slope<B: ReluOps + ActivationOps>(
    kept: FloatTensor<B>,
    grad: FloatTensor<B>,
    activation: FusedActivation,
) -> FloatTensor<B> {
    match activation {
        FusedActivation::Identity => grad,
        FusedActivation::Relu(rule) => B::rectify_relu_backward(kept, grad, rule),
        FusedActivation::Sigmoid => B::sigmoid_backward(kept, grad),
        FusedActivation::Tanh => {
            let square = B::float_mul(kept.clone(), kept);
            let slope = B::float_add_scalar(B::float_neg(square), 1.0.into());
            B::float_mul(grad, slope)
        }
        FusedActivation::Function(function) => B::rectify_activation_backward(kept, grad, function),
    }
}
