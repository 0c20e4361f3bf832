//! Softmax and cross-entropy as one operation.

mod backward;
#[cfg(feature = "flex")]
mod flex;

use burn::{
    backend::Dispatch,
    tensor::{Int, Tensor},
};

use crate::operands::Operands;
use backward::CrossEntropyOps as _;

/// Mean cross-entropy of the softmax of `logits` with the classes `labels`, in nats: the number of Burn's
/// `CrossEntropyLoss`, to rounding, as one operation.
///
/// L = −1/n Σᵢ log softmax(zᵢ)\[labelᵢ\], and its gradient is (softmax(zᵢ) − onehot(labelᵢ)) / n. For the backward pass
/// it keeps `logits` and `labels`, not what the softmax made of them.
///
/// # Shapes
///
/// - logits: `[batch, classes]`
/// - labels: `[batch]`, each from 0 to classes − 1
/// - output: `[1]`
///
/// # Panics
///
/// Where there is not one label for each sample, or the labels are on another device than the logits; as Burn's own
/// where a label is no class.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
///
/// let device = Device::flex().autodiff();
/// let logits = Tensor::<2>::from_floats([[0.0, 0.0]], &device).require_grad();
/// let loss = rectify::cross_entropy(logits.clone(), Tensor::<1, Int>::from_ints([1], &device));
/// let gradients = loss.clone().backward();
/// assert_eq!(loss.into_scalar::<f32>(), 2f32.ln());
/// assert_eq!(logits.grad(&gradients).unwrap().into_data().to_vec::<f32>().unwrap(), [0.5, -0.5]);
/// ```
#[track_caller]
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let logits = logits.dequantize();
    let [batch, _] = logits.dims();
    Operands::like("cross_entropy", &logits).check_place("labels", &labels, [batch]);
    Tensor::from_dispatch(Dispatch::rectify_cross_entropy(logits.into_dispatch(), labels.into_dispatch()))
}

/// The gradient of `logits` where that of [`cross_entropy`] is `grad`: what autodiff computes, for a backward pass that
/// is written by hand.
///
/// # Shapes
///
/// - logits and what is given back: `[batch, classes]`
/// - labels: `[batch]`, each from 0 to classes − 1
/// - grad: `[1]`
///
/// # Panics
///
/// As [`cross_entropy`], and where `grad` is of another shape, or not of the type and device of `logits`.
#[track_caller]
pub fn cross_entropy_backward(logits: Tensor<2>, labels: Tensor<1, Int>, grad: Tensor<1>) -> Tensor<2> {
    let (logits, grad) = (logits.dequantize(), grad.dequantize());
    let [batch, _] = logits.dims();
    let operands = Operands::like("cross_entropy_backward", &logits);
    operands.check_place("labels", &labels, [batch]);
    operands.check("grad", &grad, [1]);
    let (logits, labels, grad) = (logits.into_dispatch(), labels.into_dispatch(), grad.into_dispatch());
    Tensor::from_dispatch(Dispatch::rectify_cross_entropy_backward(logits, labels, grad))
}
