//! The maximum over windows of 2 × 2.

mod backward;
#[cfg(feature = "flex")]
mod flex;

use burn::{backend::Dispatch, tensor::Tensor};

use crate::operands::{Operands, float};
use backward::MaxPoolOps as _;

/// The largest value of each window of 2 × 2, windows side by side: what Burn's `max_pool2d` gives for a kernel and
/// stride of 2 without padding, and its gradient.
///
/// A window's gradient goes to its largest value, to the first in reading order where several are equal. An odd last
/// row or column is in no window. On Flex, NaN is larger than everything; elsewhere it is as with Burn's own.
///
/// For the backward pass it keeps its input, which the layer before it keeps anyway; Burn's keeps an integer for each
/// window as well. On Flex in f32 this is one kernel each way; elsewhere it is Burn's own operation.
///
/// # Shapes
///
/// - x: `[batch, channels, height, width]`
/// - output: `[batch, channels, height / 2, width / 2]`
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<4>::from_floats([[[[1.0, 4.0], [3.0, 2.0]]]], &Device::flex().autodiff()).require_grad();
/// let y = rectify::max_pool_2x2(x.clone());
/// let gradients = y.clone().sum().backward();
/// assert_eq!(y.into_data().to_vec::<f32>().unwrap(), [4.0]);
/// assert_eq!(x.grad(&gradients).unwrap().into_data().to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0, 0.0]);
/// ```
pub fn max_pool_2x2(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::rectify_max_pool(float(x)))
}

/// The gradient of `x` where that of [`max_pool_2x2`]'s output is `grad`: what autodiff computes, for a backward pass
/// that is written by hand.
///
/// # Shapes
///
/// - x and what is given back: `[batch, channels, height, width]`
/// - grad: `[batch, channels, height / 2, width / 2]`
///
/// # Panics
///
/// Where `grad` is of another shape, or not of the type and device of `x`.
#[track_caller]
pub fn max_pool_2x2_backward(x: Tensor<4>, grad: Tensor<4>) -> Tensor<4> {
    let (x, grad) = (x.dequantize(), grad.dequantize());
    let [batch, channels, height, width] = x.dims();
    Operands::like("max_pool_2x2_backward", &x).check("grad", &grad, [batch, channels, height / 2, width / 2]);
    Tensor::from_dispatch(Dispatch::rectify_max_pool_backward(x.into_dispatch(), grad.into_dispatch()))
}
