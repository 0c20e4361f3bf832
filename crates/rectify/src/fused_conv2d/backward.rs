//! The operation on each backend.

use burn::backend::{
    Autodiff, TensorMetadata, autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension,
    tensor::FloatTensor,
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
pub trait FusedConv2dOps: ReluOps + ActivationOps {
    /// φ(x ∗ W + b).
    #[fusion(default)]
    fn rectify_fused_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
        activation: FusedActivation,
    ) -> FloatTensor<Self> {
        default::fused_conv2d::<Self>(x, weight, bias, activation)
    }

    /// (z, φ(z)). `tap` is there for its gradient.
    #[fusion(default)]
    fn rectify_fused_conv2d_watched(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
        tap: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        default::fused_conv2d_watched::<Self>(x, weight, bias, tap, activation)
    }

    /// From the output, or z where the activation keeps that: the gradients of the pre-activations, φ′ · grad, and of the bias where there is one, their sum over batch, height
    /// and width.
    #[fusion(default)]
    fn rectify_fused_conv2d_z_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: FusedActivation,
        bias: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        default::fused_conv2d_z_backward::<Self>(kept, grad, activation, bias)
    }

    /// The gradient of W. `weight` is there for its shape.
    #[fusion(default)]
    fn rectify_fused_conv2d_weight_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        z_grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        default::fused_conv2d_weight_backward::<Self>(x, weight, z_grad)
    }

    /// The gradient of x.
    #[fusion(default)]
    fn rectify_fused_conv2d_x_backward(weight: FloatTensor<Self>, z_grad: FloatTensor<Self>) -> FloatTensor<Self> {
        default::fused_conv2d_x_backward::<Self>(weight, z_grad)
    }
}

/// Burn's own operations in the layer's order: for every backend, and where a kernel does not apply.
pub mod default {
    use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

    use super::{ActivationOps, Bias, FloatTensor, FusedActivation, ReluOps, TensorMetadata, operations};

    /// On each side as much as keeps height and width.
    fn padding<B: ReluOps + ActivationOps>(weight: &FloatTensor<B>) -> [usize; 2] {
        let [_, _, height, width] = weight.shape().dims();
        [height / 2, width / 2]
    }

    fn conv2d<B: ReluOps + ActivationOps>(x: FloatTensor<B>, weight: FloatTensor<B>, bias: Bias<B>) -> FloatTensor<B> {
        let options = ConvOptions::new([1, 1], padding::<B>(&weight), [1, 1], 1);
        B::conv2d(x, weight, bias.tensor(), options)
    }

    pub fn fused_conv2d<B: ReluOps + ActivationOps>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Bias<B>,
        activation: FusedActivation,
    ) -> FloatTensor<B> {
        operations::value::<B>(conv2d::<B>(x, weight, bias), activation)
    }

    pub fn fused_conv2d_watched<B: ReluOps + ActivationOps>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Bias<B>,
        _tap: FloatTensor<B>,
        activation: FusedActivation,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let z = conv2d::<B>(x, weight, bias);
        (z.clone(), operations::value::<B>(z, activation))
    }

    pub fn fused_conv2d_z_backward<B: ReluOps + ActivationOps>(
        kept: FloatTensor<B>,
        grad: FloatTensor<B>,
        activation: FusedActivation,
        bias: bool,
    ) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
        let grad = operations::slope::<B>(kept, grad, activation);
        let sums = bias.then(|| {
            let [batch, channels, height, width] = grad.shape().dims();
            let planes = B::float_reshape(grad.clone(), [batch, channels, height * width].into());
            let sums = B::float_sum_dim(B::float_sum_dim(planes, 2), 0);
            B::float_reshape(sums, [channels].into())
        });
        (grad, sums)
    }

    pub fn fused_conv2d_weight_backward<B: ReluOps + ActivationOps>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        z_grad: FloatTensor<B>,
    ) -> FloatTensor<B> {
        let options = ConvOptions::new([1, 1], padding::<B>(&weight), [1, 1], 1);
        B::conv2d_weight_backward(x, weight, z_grad, options)
    }

    pub fn fused_conv2d_x_backward<B: ReluOps + ActivationOps>(
        weight: FloatTensor<B>,
        z_grad: FloatTensor<B>,
    ) -> FloatTensor<B> {
        let options = ConvTransposeOptions::new([1, 1], padding::<B>(&weight), [0, 0], [1, 1], 1);
        B::conv_transpose2d(z_grad, weight, None, options)
    }
}

#[cfg(feature = "ndarray")]
impl FusedConv2dOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl FusedConv2dOps for burn_cubecl::CubeBackend {}

#[cfg(feature = "remote")]
impl FusedConv2dOps for burn::backend::Remote {}

/// The layer as a step on the graph.
pub(super) fn layer<B: FusedConv2dOps>() -> Layer<B> {
    Layer {
        weight_shape: true,
        forward: B::rectify_fused_conv2d,
        watched: B::rectify_fused_conv2d_watched,
        z_backward: B::rectify_fused_conv2d_z_backward,
        weight_backward: |x, weight, z_grad| {
            B::rectify_fused_conv2d_weight_backward(x, weight.expect("it is kept for its shape"), z_grad)
        },
        x_backward: B::rectify_fused_conv2d_x_backward,
    }
}

impl<B: FusedConv2dOps, C: CheckpointStrategy> FusedConv2dOps for Autodiff<B, C> {
    fn rectify_fused_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        activation: FusedActivation,
    ) -> FloatTensor<Self> {
        node::forward(layer(), x, weight, bias, activation)
    }

    fn rectify_fused_conv2d_watched(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        tap: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        node::watched(layer(), x, weight, bias, tap, activation)
    }
}
