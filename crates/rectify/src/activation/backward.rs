//! The operation on each backend, and its explicit backward step on Burn's autodiff graph.

use std::{any::TypeId, marker::PhantomData};

use burn::backend::{
    Autodiff, AutodiffBackend, Backend,
    autodiff::{
        NodeId,
        checkpoint::{
            base::Checkpointer,
            retro_forward::RetroForward,
            state::BackwardStates,
            strategy::{CheckpointStrategy, NoCheckpointing},
        },
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    tensor::FloatTensor,
};

use super::{Activation, Keeps};
#[cfg(feature = "cube")]
use crate::formula::cube;
use crate::formula::operations;

/// An activation and its derivative. The defaults are Burn's own operations, which devices elsewhere and kernel fusion
/// know.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Remote: cfg(feature = "remote")
)]
pub trait ActivationOps: Backend {
    /// φ(x).
    #[fusion(default)]
    fn rectify_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        operations::map::<Self>(&activation.programs::<false>().value, x)
    }

    /// For a backward pass to come: φ′(x), in the place of x, and φ(x). x as it was and nothing where the backend computes
    /// φ′ from x later, as most do.
    #[fusion(default)]
    fn rectify_activation_and_slope(
        x: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        let _ = activation;
        (x, None)
    }

    /// φ′ · grad. `kept` is what the activation keeps, the input or the output.
    #[fusion(default)]
    fn rectify_activation_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let programs = activation.programs::<false>();
        operations::multiply::<Self>(&programs.slope, programs.passed.as_deref(), kept, grad)
    }
}

#[cfg(feature = "cube")]
impl ActivationOps for burn_cubecl::CubeBackend {
    fn rectify_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        cube::map(&activation.programs::<true>().value, x)
    }

    fn rectify_activation_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let programs = activation.programs::<true>();
        cube::multiply(&programs.slope, programs.passed.as_ref(), kept, grad)
    }
}

#[cfg(feature = "remote")]
impl ActivationOps for burn::backend::Remote {}

/// What the graph holds on to between the passes.
#[derive(Debug, Clone)]
enum Kept<T> {
    /// The input, kept by the checkpointer or computed again by it.
    Node(NodeId),
    Values(Values<T>),
}

/// What tells φ′ in a backward pass.
#[derive(Debug, Clone)]
pub(crate) enum Values<T> {
    /// The input or the output, as the activation keeps them.
    Kept(T),
    /// φ′ itself.
    Slope(T),
}

/// φ(x), and what the backward pass takes.
pub(crate) fn keep<B: ActivationOps>(
    x: FloatTensor<B>,
    activation: Activation,
) -> (FloatTensor<B>, Values<FloatTensor<B>>) {
    if activation.keeps() == Keeps::Output {
        let output = B::rectify_activation(x, activation);
        return (output.clone(), Values::Kept(output));
    }
    match B::rectify_activation_and_slope(x, activation) {
        (slope, Some(output)) => (output, Values::Slope(slope)),
        (x, None) => (B::rectify_activation(x.clone(), activation), Values::Kept(x)),
    }
}

#[derive(Debug)]
struct ActivationBackward(Activation);

impl<B: ActivationOps> Backward<B, 1> for ActivationBackward {
    type State = Kept<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        // Retrieved whether or not the parent wants it: the checkpointer counts the retrievals.
        let values = match ops.state {
            Kept::Node(node) => Values::Kept(checkpointer.retrieve_node_output(node)),
            Kept::Values(values) => values,
        };
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            let grad = match values {
                Values::Kept(kept) => B::rectify_activation_backward(kept, grad, self.0),
                Values::Slope(slope) => B::float_mul(grad, slope),
            };
            grads.register::<B>(parent.id, grad);
        }
    }
}

/// Computes the output again when gradient checkpointing has not kept it.
#[derive(Debug)]
struct RetroActivation<B> {
    input: NodeId,
    activation: Activation,
    backend: PhantomData<B>,
}

impl<B: ActivationOps> RetroForward for RetroActivation<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let input = states.get_state::<FloatTensor<B>>(&self.input);
        states.save(out_node, B::rectify_activation(input, self.activation));
    }
}

impl<B: ActivationOps, C: CheckpointStrategy> ActivationOps for Autodiff<B, C> {
    fn rectify_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let retro = RetroActivation::<B> { input: x.id(), activation, backend: PhantomData };
        let step = ActivationBackward(activation);
        let prepared = step.prepare::<C>([x.node()]).memory_bound().retro_forward(retro).parents([&x]).stateful();
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                // Under checkpointing whatever is held here would defeat its purpose; the input says the same.
                if TypeId::of::<C>() != TypeId::of::<NoCheckpointing>() {
                    let kept = Kept::Node(prepared.checkpoint(&x));
                    return prepared.finish(kept, B::rectify_activation(x.into_primitive(), activation));
                }
                let (output, values) = keep::<B>(x.into_primitive(), activation);
                prepared.finish(Kept::Values(values), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rectify_activation(x.into_primitive(), activation)),
        }
    }

    // Burn's autodiff is of first order: a gradient is a constant of the graph, and so is this.
    fn rectify_activation_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        Self::from_inner(B::rectify_activation_backward(kept.into_primitive(), grad.into_primitive(), activation))
    }
}
