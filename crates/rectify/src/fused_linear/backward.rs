//! The operation on each backend, and its explicit backward step on Burn's autodiff graph.

use burn::backend::{
    Autodiff, AutodiffBackend,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    tensor::FloatTensor,
};

use crate::{
    fused_activation::{FusedActivation, operations},
    relu::ReluOps,
};

/// The layer and the parts of its gradient. The defaults are Burn's own operations.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion")
)]
pub trait FusedLinearOps: ReluOps {
    /// φ(xW + b).
    #[fusion(default)]
    fn rectify_fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> FloatTensor<Self> {
        default::fused_linear::<Self>(x, weight, bias, activation)
    }

    /// (z, φ(z)). `tap` is there for its gradient.
    #[fusion(default)]
    fn rectify_fused_linear_watched(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        tap: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        default::fused_linear_watched::<Self>(x, weight, bias, tap, activation)
    }

    /// The gradients of the pre-activations, φ′ · grad, and of the bias, their sum over the batch.
    #[fusion(default)]
    fn rectify_fused_linear_z_backward(
        output: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        default::fused_linear_z_backward::<Self>(output, grad, activation)
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
    use super::{FloatTensor, FusedActivation, ReluOps, operations};

    pub fn fused_linear<B: ReluOps>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        activation: FusedActivation,
    ) -> FloatTensor<B> {
        operations::value::<B>(B::linear(x, weight, Some(bias)), activation)
    }

    pub fn fused_linear_watched<B: ReluOps>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        _tap: FloatTensor<B>,
        activation: FusedActivation,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let z = B::linear(x, weight, Some(bias));
        (z.clone(), operations::value::<B>(z, activation))
    }

    pub fn fused_linear_z_backward<B: ReluOps>(
        output: FloatTensor<B>,
        grad: FloatTensor<B>,
        activation: FusedActivation,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let grad = operations::slope::<B>(output, grad, activation);
        (grad.clone(), B::linear_bias_backward(grad))
    }

    pub fn fused_linear_weight_backward<B: ReluOps>(x: FloatTensor<B>, z_grad: FloatTensor<B>) -> FloatTensor<B> {
        B::linear_weight_backward(x, z_grad)
    }

    pub fn fused_linear_x_backward<B: ReluOps>(weight: FloatTensor<B>, z_grad: FloatTensor<B>) -> FloatTensor<B> {
        B::linear_x_backward(weight, z_grad)
    }
}

#[cfg(feature = "ndarray")]
impl FusedLinearOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl FusedLinearOps for burn_cubecl::CubeBackend {}

/// What the graph holds on to between the passes: of each product's operands only what a gradient will need.
#[derive(Debug, Clone)]
struct State<T> {
    x: Option<T>,
    weight: Option<T>,
    output: T,
}

#[derive(Debug)]
struct FusedLinearBackward(FusedActivation);

impl FusedLinearBackward {
    /// Gradients of x, weight, bias and z, for those that are asked for.
    fn gradients<B: FusedLinearOps>(
        self,
        state: State<FloatTensor<B>>,
        grad: FloatTensor<B>,
    ) -> [Option<FloatTensor<B>>; 4] {
        let (z_grad, bias_grad) = B::rectify_fused_linear_z_backward(state.output, grad, self.0);
        let weight_grad = state.x.map(|x| B::rectify_fused_linear_weight_backward(x, z_grad.clone()));
        let x_grad = state.weight.map(|weight| B::rectify_fused_linear_x_backward(weight, z_grad.clone()));
        [x_grad, weight_grad, Some(bias_grad), Some(z_grad)]
    }
}

/// One step for the layer (3 parents) and for the watched layer (4: the tap comes last).
impl<B: FusedLinearOps, const N: usize> Backward<B, N> for FusedLinearBackward {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let gradients = self.gradients::<B>(ops.state, grad);
        for (parent, grad) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: FusedLinearOps, C: CheckpointStrategy> FusedLinearOps for Autodiff<B, C> {
    fn rectify_fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> FloatTensor<Self> {
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        match FusedLinearBackward(activation).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let output = B::rectify_fused_linear(x.clone(), weight.clone(), bias, activation);
                let state = State {
                    x: weight_tracked.then_some(x),
                    weight: x_tracked.then_some(weight),
                    output: output.clone(),
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rectify_fused_linear(x, weight, bias, activation)),
        }
    }

    fn rectify_fused_linear_watched(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        tap: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let nodes = [x.node(), weight.node(), bias.node(), tap.node()];
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        let (z, output) =
            B::rectify_fused_linear_watched(x.clone(), weight.clone(), bias, tap.into_primitive(), activation);
        let output = match FusedLinearBackward(activation).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = State {
                    x: weight_tracked.then_some(x),
                    weight: x_tracked.then_some(weight),
                    output: output.clone(),
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        (Self::from_inner(z), output)
    }
}
