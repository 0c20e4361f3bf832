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
use crate::formula::operations;

/// An activation and its derivative. The defaults are Burn's own operations.
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
        operations::map::<Self>(&activation.program(), x)
    }

    /// φ′ · grad. `kept` is what the activation keeps, the input or the output.
    #[fusion(default)]
    fn rectify_activation_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let grad = match activation.passed_program() {
            Some(passed) => operations::map::<Self>(&passed, grad),
            None => grad,
        };
        Self::float_mul(operations::map::<Self>(&activation.slope_program(), kept), grad)
    }
}

#[cfg(feature = "ndarray")]
impl ActivationOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl ActivationOps for burn_cubecl::CubeBackend {}

#[cfg(feature = "remote")]
impl ActivationOps for burn::backend::Remote {}

/// What the graph holds on to between the passes.
#[derive(Debug, Clone)]
enum Kept<T> {
    /// Kept by the checkpointer, or computed again by it.
    Input(NodeId),
    Output(T),
}

#[derive(Debug)]
struct ActivationBackward(Activation);

impl<B: ActivationOps> Backward<B, 1> for ActivationBackward {
    type State = Kept<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        // Retrieved whether or not the parent wants it: the checkpointer counts the retrievals.
        let kept = match ops.state {
            Kept::Input(node) => checkpointer.retrieve_node_output(node),
            Kept::Output(output) => output,
        };
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, B::rectify_activation_backward(kept, grad, self.0));
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
                // Under checkpointing an output held here would defeat its purpose; the input says the same.
                let plain = TypeId::of::<C>() == TypeId::of::<NoCheckpointing>();
                if activation.keeps() == Keeps::Output && plain {
                    let output = B::rectify_activation(x.into_primitive(), activation);
                    return prepared.finish(Kept::Output(output.clone()), output);
                }
                let kept = Kept::Input(prepared.checkpoint(&x));
                prepared.finish(kept, B::rectify_activation(x.into_primitive(), activation))
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
