//! The operation on each backend.

use burn::backend::{
    Autodiff, autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension, tensor::FloatTensor,
};

use crate::{
    activation::ActivationOps,
    fused_activation::{
        Bias, FusedActivation,
        node::{self, Layer},
        operations,
    },
    relu::ReluOps,
};

/// The layer and the parts of its gradient. The defaults are Burn's own operations.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Remote: cfg(feature = "remote")
)]
pub trait FusedLinearOps: ReluOps + ActivationOps {
    /// φ(xW + b).
    #[fusion(default)]
    fn rectify_fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
        activation: FusedActivation,
    ) -> FloatTensor<Self> {
        default::fused_linear::<Self>(x, weight, bias, activation)
    }

    /// (z, φ(z)). `tap` is there for its gradient.
    #[fusion(default)]
    fn rectify_fused_linear_watched(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
        tap: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        default::fused_linear_watched::<Self>(x, weight, bias, tap, activation)
    }

    /// From the output, or z where the activation keeps that: the gradients of the pre-activations, φ′ · grad, and of the bias where there is one, their sum over the batch.
    #[fusion(default)]
    fn rectify_fused_linear_z_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: FusedActivation,
        bias: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        default::fused_linear_z_backward::<Self>(kept, grad, activation, bias)
    }

    /// xᵀ · z_grad.
    #[fusion(default)]
    fn rectify_fused_linear_weight_backward(x: FloatTensor<Self>, z_grad: FloatTensor<Self>) -> FloatTensor<Self> {
        default::fused_linear_weight_backward::<Self>(x, z_grad)
    }

    /// z_grad · Wᵀ.
    #[fusion(default)]
    fn rectify_fused_linear_x_backward(weight: FloatTensor<Self>, z_grad: FloatTensor<Self>) -> FloatTensor<Self> {
        default::fused_linear_x_backward::<Self>(weight, z_grad)
    }
}

/// Burn's own operations in the layer's order: for every backend, and where a kernel does not apply.
pub mod default {
    use super::{ActivationOps, Bias, FloatTensor, FusedActivation, ReluOps, operations};

    pub fn fused_linear<B: ReluOps + ActivationOps>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Bias<B>,
        activation: FusedActivation,
    ) -> FloatTensor<B> {
        operations::value::<B>(B::linear(x, weight, bias.tensor()), activation)
    }

    pub fn fused_linear_watched<B: ReluOps + ActivationOps>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Bias<B>,
        _tap: FloatTensor<B>,
        activation: FusedActivation,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let z = B::linear(x, weight, bias.tensor());
        (z.clone(), operations::value::<B>(z, activation))
    }

    pub fn fused_linear_z_backward<B: ReluOps + ActivationOps>(
        kept: FloatTensor<B>,
        grad: FloatTensor<B>,
        activation: FusedActivation,
        bias: bool,
    ) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
        let grad = operations::slope::<B>(kept, grad, activation);
        (grad.clone(), bias.then(|| B::linear_bias_backward(grad)))
    }

    pub fn fused_linear_weight_backward<B: ReluOps + ActivationOps>(
        x: FloatTensor<B>,
        z_grad: FloatTensor<B>,
    ) -> FloatTensor<B> {
        B::linear_weight_backward(x, z_grad)
    }

    pub fn fused_linear_x_backward<B: ReluOps + ActivationOps>(
        weight: FloatTensor<B>,
        z_grad: FloatTensor<B>,
    ) -> FloatTensor<B> {
        B::linear_x_backward(weight, z_grad)
    }
}

#[cfg(feature = "ndarray")]
impl FusedLinearOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl FusedLinearOps for burn_cubecl::CubeBackend {}

#[cfg(feature = "remote")]
impl FusedLinearOps for burn::backend::Remote {}

/// The layer as a step on the graph.
pub(super) fn layer<B: FusedLinearOps>() -> Layer<B> {
    Layer {
        weight_shape: false,
        forward: B::rectify_fused_linear,
        watched: B::rectify_fused_linear_watched,
        z_backward: B::rectify_fused_linear_z_backward,
        weight_backward: |x, _, z_grad| B::rectify_fused_linear_weight_backward(x, z_grad),
        x_backward: B::rectify_fused_linear_x_backward,
    }
}

impl<B: FusedLinearOps, C: CheckpointStrategy> FusedLinearOps for Autodiff<B, C> {
    fn rectify_fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        activation: FusedActivation,
    ) -> FloatTensor<Self> {
        node::forward(layer(), x, weight, bias, activation)
    }

    fn rectify_fused_linear_watched(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        tap: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        node::watched(layer(), x, weight, bias, tap, activation)
    }
}
