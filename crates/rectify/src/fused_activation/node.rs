//! The step of a fused layer on Burn's autodiff graph, for either kind of layer.

use std::{fmt::Debug, marker::PhantomData};

use burn::backend::{
    Autodiff, AutodiffBackend, Backend,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, NodeGuard, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{Bias, FusedActivation};

/// A fused layer's operations on a backend without autodiff.
pub(crate) trait Layer<B: Backend>: Debug + Send + 'static {
    /// Whether the weights' gradient needs the weights, for their shape.
    const WEIGHT_SHAPE: bool;

    fn forward(x: FloatTensor<B>, weight: FloatTensor<B>, bias: Bias<B>, activation: FusedActivation)
    -> FloatTensor<B>;
    /// (z, φ(z)). No backend without autodiff reads the tap.
    fn watched(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Bias<B>,
        tap: FloatTensor<B>,
        activation: FusedActivation,
    ) -> (FloatTensor<B>, FloatTensor<B>);
    /// The gradients of the pre-activations and of the bias, if there is one.
    fn z_backward(
        kept: FloatTensor<B>,
        grad: FloatTensor<B>,
        activation: FusedActivation,
        bias: bool,
    ) -> (FloatTensor<B>, Option<FloatTensor<B>>);
    /// `weight` is there where [`WEIGHT_SHAPE`](Self::WEIGHT_SHAPE) asks for it.
    fn weight_backward(x: FloatTensor<B>, weight: Option<FloatTensor<B>>, z_grad: FloatTensor<B>) -> FloatTensor<B>;
    fn x_backward(weight: FloatTensor<B>, z_grad: FloatTensor<B>) -> FloatTensor<B>;
}

/// What the graph holds on to between the passes: of each product's operands only what a gradient will need.
#[derive(Debug, Clone)]
struct State<T> {
    x: Option<T>,
    weight: Option<T>,
    /// The output, or z where φ′ needs that.
    kept: T,
}

#[derive(Debug)]
struct Step<L> {
    activation: FusedActivation,
    bias: bool,
    x_tracked: bool,
    layer: PhantomData<L>,
}

/// One step whose parents are x, weight and, as far as there are any, bias and tap.
impl<B: Backend, L: Layer<B>, const N: usize> Backward<B, N> for Step<L> {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let State { x, weight, kept } = ops.state;
        let (z_grad, bias_grad) = L::z_backward(kept, grad, self.activation, self.bias);
        let weight_grad = x.map(|x| L::weight_backward(x, weight.clone(), z_grad.clone()));
        let weight = weight.filter(|_| self.x_tracked);
        let x_grad = weight.map(|weight| L::x_backward(weight, z_grad.clone()));
        let gradients = [x_grad, weight_grad].into_iter().chain(bias_grad.map(Some)).chain([Some(z_grad)]);
        for (parent, grad) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<L> Step<L> {
    /// Puts the output on the graph, where one of its parents is tracked.
    fn record<B: Backend, C: CheckpointStrategy, const N: usize>(
        self,
        parents: [NodeGuard; N],
        state: impl FnOnce(FloatTensor<B>) -> State<FloatTensor<B>>,
        output: FloatTensor<B>,
        kept: FloatTensor<B>,
    ) -> FloatTensor<Autodiff<B, C>>
    where
        L: Layer<B>,
    {
        match self.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state(kept), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// φ of the layer's product, tracked.
pub(crate) fn forward<B: Backend, C: CheckpointStrategy, L: Layer<B>>(
    x: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: Bias<Autodiff<B, C>>,
    activation: FusedActivation,
) -> FloatTensor<Autodiff<B, C>> {
    let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
    let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
    let kept_x = weight_tracked.then(|| x.clone());
    let kept_weight = (x_tracked || (weight_tracked && L::WEIGHT_SHAPE)).then(|| weight.clone());
    let state = |kept| State { x: kept_x, weight: kept_weight, kept };
    let bias = bias.tensor();
    let bias_tracked = bias.as_ref().is_some_and(|bias| bias.is_tracked());
    let (bias, bias_node) = bias.map(|bias| bias.into_parts()).unzip();
    let step = Step::<L> { activation, bias: bias.is_some(), x_tracked, layer: PhantomData };
    let tracked = x_tracked || weight_tracked || bias_tracked;
    let (output, kept) = if tracked && activation.keeps_preactivations() {
        let tap = x.clone();
        let (z, output) = L::watched(x, weight, bias.into(), tap, activation);
        (output, z)
    } else {
        let output = L::forward(x, weight, bias.into(), activation);
        (output.clone(), output)
    };
    match bias_node {
        Some(bias_node) => step.record::<B, C, 3>([x_node, weight_node, bias_node], state, output, kept),
        None => step.record::<B, C, 2>([x_node, weight_node], state, output, kept),
    }
}

/// (z, φ(z)), of which the second is tracked, and z's gradient that of `tap`.
pub(crate) fn watched<B: Backend, C: CheckpointStrategy, L: Layer<B>>(
    x: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: Bias<Autodiff<B, C>>,
    tap: FloatTensor<Autodiff<B, C>>,
    activation: FusedActivation,
) -> (FloatTensor<Autodiff<B, C>>, FloatTensor<Autodiff<B, C>>) {
    let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
    let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
    let kept_x = weight_tracked.then(|| x.clone());
    let kept_weight = (x_tracked || (weight_tracked && L::WEIGHT_SHAPE)).then(|| weight.clone());
    let state = |kept| State { x: kept_x, weight: kept_weight, kept };
    let (tap, tap_node) = tap.into_parts();
    let (bias, bias_node) = bias.tensor().map(|bias| bias.into_parts()).unzip();
    let step = Step::<L> { activation, bias: bias.is_some(), x_tracked, layer: PhantomData };
    let (z, output) = L::watched(x, weight, bias.into(), tap, activation);
    let kept = if activation.keeps_preactivations() { z.clone() } else { output.clone() };
    let output = match bias_node {
        Some(bias_node) => step.record::<B, C, 4>([x_node, weight_node, bias_node, tap_node], state, output, kept),
        None => step.record::<B, C, 3>([x_node, weight_node, tap_node], state, output, kept),
    };
    (Autodiff::<B, C>::from_inner(z), output)
}
