//! φ and its gradient by Burn's own operations: for every backend, and where a kernel does not apply.

use burn::backend::tensor::FloatTensor;

use super::FusedActivation;
use crate::{
    activation::ActivationOps,
    relu::ReluOps,
    tracked::{OfOne, Values},
};

/// φ(z).
pub(crate) fn value<B: ReluOps + ActivationOps>(z: FloatTensor<B>, activation: FusedActivation) -> FloatTensor<B> {
    match (activation, activation.function()) {
        (FusedActivation::Relu(rule), _) => B::rectify_relu(z, rule),
        (_, Some(function)) => B::rectify_activation(z, function),
        (_, None) => z,
    }
}

/// φ(z), and what the backward pass takes.
pub(crate) fn keep<B: ReluOps + ActivationOps>(
    z: FloatTensor<B>,
    activation: FusedActivation,
) -> (FloatTensor<B>, Values<FloatTensor<B>>) {
    if let Some(function) = activation.function() {
        return OfOne::<B>::keep(function, z);
    }
    let kept = activation.keeps_preactivations().then(|| z.clone());
    let output = value::<B>(z, activation);
    (output.clone(), Values::Kept(kept.unwrap_or(output)))
}

/// φ′ · grad.
pub(crate) fn slope<B: ReluOps + ActivationOps>(
    kept: FloatTensor<B>,
    grad: FloatTensor<B>,
    activation: FusedActivation,
) -> FloatTensor<B> {
    match (activation, activation.function()) {
        (FusedActivation::Relu(rule), _) => B::rectify_relu_backward(kept, grad, rule),
        (_, Some(function)) => B::rectify_activation_backward(kept, grad, function),
        (_, None) => grad,
    }
}

/// φ′ · grad, from whatever was kept.
pub(crate) fn backward<B: ReluOps + ActivationOps>(
    kept: Values<FloatTensor<B>>,
    grad: FloatTensor<B>,
    activation: FusedActivation,
) -> FloatTensor<B> {
    match kept {
        Values::Kept(kept) => slope::<B>(kept, grad, activation),
        Values::Slope(slope) => B::float_mul(grad, slope),
    }
}
