//! The step of a fused layer on Burn's autodiff graph, for either kind of layer.

use burn::{
    backend::{
        Autodiff, AutodiffBackend, Backend, Dispatch,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, NodeGuard, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    module::Param,
    tensor::Tensor,
};

use super::{Bias, FusedActivation, FusedGradients, Kept, operations};
use crate::{activation::ActivationOps, operands::constant, relu::ReluOps, tracked::Values};

/// A fused layer's operations on a backend without autodiff.
#[derive(Debug)]
pub(crate) struct Layer<B: Backend> {
    /// Whether the weights' gradient needs the weights, for their shape.
    pub(crate) weight_shape: bool,
    /// φ, of x, weight and bias.
    pub(crate) forward: fn(FloatTensor<B>, FloatTensor<B>, Bias<B>, FusedActivation) -> FloatTensor<B>,
    /// (z, φ(z)), of these and a tap, which no backend without autodiff reads.
    pub(crate) watched: Watched<B>,
    /// From what is kept and the output's gradient: those of the pre-activations and of the bias, if there is one.
    pub(crate) z_backward:
        fn(FloatTensor<B>, FloatTensor<B>, FusedActivation, bool) -> (FloatTensor<B>, Option<FloatTensor<B>>),
    /// From x, the weights as far as `weight_shape` asks for them, and the pre-activations' gradient.
    pub(crate) weight_backward: fn(FloatTensor<B>, Option<FloatTensor<B>>, FloatTensor<B>) -> FloatTensor<B>,
    /// From the weights and the pre-activations' gradient.
    pub(crate) x_backward: fn(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
}

type Watched<B> =
    fn(FloatTensor<B>, FloatTensor<B>, Bias<B>, FloatTensor<B>, FusedActivation) -> (FloatTensor<B>, FloatTensor<B>);

impl<B: ReluOps + ActivationOps> Layer<B> {
    /// φ, and what the backward pass takes.
    pub(crate) fn forward_kept(
        &self,
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Bias<B>,
        activation: FusedActivation,
    ) -> (FloatTensor<B>, Values<FloatTensor<B>>) {
        if activation.keeps_preactivations() {
            let z = (self.forward)(x, weight, bias, FusedActivation::Identity);
            return operations::keep::<B>(z, activation);
        }
        let output = (self.forward)(x, weight, bias, activation);
        (output.clone(), Values::Kept(output))
    }
}

impl<B: Backend> Layer<B> {
    /// The gradients of the pre-activations and of the bias, if there is one.
    fn z_gradient(
        &self,
        values: Values<FloatTensor<B>>,
        grad: FloatTensor<B>,
        activation: FusedActivation,
        bias: bool,
    ) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
        match values {
            Values::Kept(kept) => (self.z_backward)(kept, grad, activation, bias),
            Values::Slope(slope) => {
                let grad = B::float_mul(grad, slope.clone());
                (self.z_backward)(slope, grad, FusedActivation::Identity, bias)
            }
        }
    }
}

impl Layer<Dispatch> {
    /// [`forward_kept`](Self::forward_kept) of the public interface, which tracks nothing.
    pub(crate) fn tensors_kept<const D: usize>(
        &self,
        operands: [Tensor<D>; 2],
        bias: Option<&Param<Tensor<1>>>,
        activation: FusedActivation,
    ) -> (Tensor<D>, Kept<D>) {
        let [x, weight] = operands.map(|x| constant(x).into_dispatch());
        let bias = bias.map(|bias| constant(bias.val()).into_dispatch());
        let (output, values) = self.forward_kept(x, weight, bias.into(), activation);
        (Tensor::from_dispatch(output), values.into())
    }

    /// All gradients, of operands that fit each other.
    pub(crate) fn gradients<const D: usize>(
        &self,
        [x, weight]: [Tensor<D>; 2],
        kept: Kept<D>,
        grad: Tensor<D>,
        activation: FusedActivation,
        bias: bool,
        x_grad: bool,
    ) -> FusedGradients<D> {
        let [x, weight, grad] = [x, weight, grad].map(Tensor::into_dispatch);
        let (z, bias) = self.z_gradient(kept.into(), grad, activation, bias);
        let shape = self.weight_shape.then(|| weight.clone());
        FusedGradients {
            weight: Tensor::from_dispatch((self.weight_backward)(x, shape, z.clone())),
            x: x_grad.then(|| Tensor::from_dispatch((self.x_backward)(weight, z.clone()))),
            bias: bias.map(Tensor::from_dispatch),
            z: Tensor::from_dispatch(z),
        }
    }
}

/// What the graph holds on to between the passes: of each product's operands only what a gradient will need.
#[derive(Debug, Clone)]
struct State<T> {
    x: Option<T>,
    weight: Option<T>,
    values: Values<T>,
}

#[derive(Debug)]
struct Step<B: Backend> {
    layer: Layer<B>,
    activation: FusedActivation,
    bias: bool,
    x_tracked: bool,
}

/// One step whose parents are x, weight and, as far as there are any, bias and tap.
impl<B: Backend, const N: usize> Backward<B, N> for Step<B> {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let State { x, weight, values } = ops.state;
        let (z_grad, bias_grad) = self.layer.z_gradient(values, grad, self.activation, self.bias);
        let weight_grad = x.map(|x| (self.layer.weight_backward)(x, weight.clone(), z_grad.clone()));
        let weight = weight.filter(|_| self.x_tracked);
        let x_grad = weight.map(|weight| (self.layer.x_backward)(weight, z_grad.clone()));
        let gradients = [x_grad, weight_grad].into_iter().chain(bias_grad.map(Some)).chain([Some(z_grad)]);
        for (parent, grad) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: Backend> Step<B> {
    /// Puts the output on the graph, where one of its parents is tracked.
    fn record<C: CheckpointStrategy, const N: usize>(
        self,
        parents: [NodeGuard; N],
        state: State<FloatTensor<B>>,
        output: FloatTensor<B>,
    ) -> FloatTensor<Autodiff<B, C>> {
        match self.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// φ of the layer's product, tracked.
pub(crate) fn forward<B: ReluOps + ActivationOps, C: CheckpointStrategy>(
    layer: Layer<B>,
    x: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: Bias<Autodiff<B, C>>,
    activation: FusedActivation,
) -> FloatTensor<Autodiff<B, C>> {
    pass(layer, x, weight, bias, None, activation).1
}

/// (z, φ(z)), of which the second is tracked, and z's gradient that of `tap`.
pub(crate) fn watched<B: ReluOps + ActivationOps, C: CheckpointStrategy>(
    layer: Layer<B>,
    x: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: Bias<Autodiff<B, C>>,
    tap: FloatTensor<Autodiff<B, C>>,
    activation: FusedActivation,
) -> (FloatTensor<Autodiff<B, C>>, FloatTensor<Autodiff<B, C>>) {
    let (z, output) = pass(layer, x, weight, bias, Some(tap), activation);
    (Autodiff::<B, C>::from_inner(z.expect("with a tap there is z")), output)
}

/// z, where there is a tap, and φ(z), tracked.
fn pass<B: ReluOps + ActivationOps, C: CheckpointStrategy>(
    layer: Layer<B>,
    x: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: Bias<Autodiff<B, C>>,
    tap: Option<FloatTensor<Autodiff<B, C>>>,
    activation: FusedActivation,
) -> (Option<FloatTensor<B>>, FloatTensor<Autodiff<B, C>>) {
    let bias = bias.tensor();
    let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
    let tracked = x_tracked || weight_tracked || bias.as_ref().is_some_and(|bias| bias.is_tracked());
    let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
    let (bias, bias_node) = bias.map(|bias| bias.into_parts()).unzip();
    let (tap, tap_node) = tap.map(|tap| tap.into_parts()).unzip();
    let kept_x = weight_tracked.then(|| x.clone());
    let kept_weight = (x_tracked || (weight_tracked && layer.weight_shape)).then(|| weight.clone());
    let keeps_z = activation.keeps_preactivations();
    let step = Step { layer, activation, bias: bias.is_some(), x_tracked };

    let (z, output, values) = match tap {
        Some(tap) => {
            let (z, output) = (step.layer.watched)(x, weight, bias.into(), tap, activation);
            let values = Values::Kept(if keeps_z { z.clone() } else { output.clone() });
            (Some(z), output, values)
        }
        None if tracked => {
            let (output, values) = step.layer.forward_kept(x, weight, bias.into(), activation);
            (None, output, values)
        }
        None => {
            let output = (step.layer.forward)(x, weight, bias.into(), activation);
            (None, output.clone(), Values::Kept(output))
        }
    };
    let state = State { x: kept_x, weight: kept_weight, values };
    let output = match (bias_node, tap_node) {
        (Some(bias), Some(tap)) => step.record::<C, 4>([x_node, weight_node, bias, tap], state, output),
        (Some(node), None) | (None, Some(node)) => step.record::<C, 3>([x_node, weight_node, node], state, output),
        (None, None) => step.record::<C, 2>([x_node, weight_node], state, output),
    };
    (z, output)
}
