//! The operation on each backend, and its explicit backward step on Burn's autodiff graph.

use burn::backend::{
    Autodiff, AutodiffBackend, TensorMetadata,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, NodeGuard, Ops, OpsKind},
    },
    backend_extension,
    tensor::FloatTensor,
};

use crate::{
    activation::ActivationOps,
    fused_activation::{Bias, FusedActivation, operations},
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

/// What the graph holds on to between the passes.
#[derive(Debug, Clone)]
struct State<T> {
    /// `None` where W does not learn.
    x: Option<T>,
    x_tracked: bool,
    weight: T,
    /// The output, or z where φ′ needs that.
    kept: T,
}

#[derive(Debug)]
struct FusedConv2dBackward {
    activation: FusedActivation,
    bias: bool,
}

/// One step whose parents are x, weight and, as far as there are any, bias and tap.
impl<B: FusedConv2dOps, const N: usize> Backward<B, N> for FusedConv2dBackward {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let State { x, x_tracked, weight, kept } = ops.state;
        let (z_grad, bias_grad) = B::rectify_fused_conv2d_z_backward(kept, grad, self.activation, self.bias);
        let weight_grad = x.map(|x| B::rectify_fused_conv2d_weight_backward(x, weight.clone(), z_grad.clone()));
        let x_grad = x_tracked.then(|| B::rectify_fused_conv2d_x_backward(weight, z_grad.clone()));
        let gradients = [x_grad, weight_grad].into_iter().chain(bias_grad.map(Some)).chain([Some(z_grad)]);
        for (parent, grad) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl FusedConv2dBackward {
    /// Puts the output on the graph, where one of its parents is tracked.
    fn record<B: FusedConv2dOps, C: CheckpointStrategy, const N: usize>(
        self,
        parents: [NodeGuard; N],
        state: impl FnOnce(FloatTensor<B>) -> State<FloatTensor<B>>,
        output: FloatTensor<B>,
        kept: FloatTensor<B>,
    ) -> FloatTensor<Autodiff<B, C>> {
        match self.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state(kept), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

impl<B: FusedConv2dOps, C: CheckpointStrategy> FusedConv2dOps for Autodiff<B, C> {
    fn rectify_fused_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        activation: FusedActivation,
    ) -> FloatTensor<Self> {
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (kept_x, kept_weight) = (weight_tracked.then(|| x.clone()), weight.clone());
        let state = |kept| State { x: kept_x, x_tracked, weight: kept_weight, kept };
        let bias = bias.tensor();
        let bias_tracked = bias.as_ref().is_some_and(|bias| bias.is_tracked());
        let (bias, bias_node) = bias.map(|bias| bias.into_parts()).unzip();
        let step = FusedConv2dBackward { activation, bias: bias.is_some() };
        let tracked = x_tracked || weight_tracked || bias_tracked;
        let (output, kept) = if tracked && activation.keeps_preactivations() {
            // No backend below reads a tap.
            let tap = x.clone();
            let (z, output) = B::rectify_fused_conv2d_watched(x, weight, bias.into(), tap, activation);
            (output, z)
        } else {
            let output = B::rectify_fused_conv2d(x, weight, bias.into(), activation);
            (output.clone(), output)
        };
        match bias_node {
            Some(bias_node) => step.record::<B, C, 3>([x_node, weight_node, bias_node], state, output, kept),
            None => step.record::<B, C, 2>([x_node, weight_node], state, output, kept),
        }
    }

    fn rectify_fused_conv2d_watched(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        tap: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (kept_x, kept_weight) = (weight_tracked.then(|| x.clone()), weight.clone());
        let state = |kept| State { x: kept_x, x_tracked, weight: kept_weight, kept };
        let (tap, tap_node) = tap.into_parts();
        let (bias, bias_node) = bias.tensor().map(|bias| bias.into_parts()).unzip();
        let step = FusedConv2dBackward { activation, bias: bias.is_some() };
        let (z, output) = B::rectify_fused_conv2d_watched(x, weight, bias.into(), tap, activation);
        let kept = if activation.keeps_preactivations() { z.clone() } else { output.clone() };
        let output = match bias_node {
            Some(bias_node) => step.record::<B, C, 4>([x_node, weight_node, bias_node, tap_node], state, output, kept),
            None => step.record::<B, C, 3>([x_node, weight_node, tap_node], state, output, kept),
        };
        (Self::from_inner(z), output)
    }
}
