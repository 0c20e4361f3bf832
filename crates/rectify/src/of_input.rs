//! Operations that keep their input alone, as steps of Burn's autodiff graph.

use std::{fmt::Debug, marker::PhantomData};

use burn::backend::{
    Autodiff, Backend,
    autodiff::{
        NodeId,
        checkpoint::{
            base::Checkpointer, retro_forward::RetroForward, state::BackwardStates, strategy::CheckpointStrategy,
        },
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

pub(crate) trait OfInput<B: Backend>: Debug + Clone + Send + Sync + 'static {
    fn forward(self, x: FloatTensor<B>) -> FloatTensor<B>;
    /// The gradient of x.
    fn backward(self, x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B>;
}

/// The operation, with its backward step where x is tracked.
pub(crate) fn tracked<B: Backend, C: CheckpointStrategy, O: OfInput<B>>(
    x: FloatTensor<Autodiff<B, C>>,
    operation: O,
) -> FloatTensor<Autodiff<B, C>> {
    let retro = Retro::<B, O> { input: x.id(), operation: operation.clone(), backend: PhantomData };
    let prepared = Step(operation.clone()).prepare::<C>([x.node()]).memory_bound().retro_forward(retro);
    match prepared.parents([&x]).stateful() {
        OpsKind::Tracked(mut prepared) => {
            let kept = prepared.checkpoint(&x);
            prepared.finish(kept, operation.forward(x.into_primitive()))
        }
        OpsKind::UnTracked(prepared) => prepared.finish(operation.forward(x.into_primitive())),
    }
}

#[derive(Debug)]
struct Step<O>(O);

impl<B: Backend, O: OfInput<B>> Backward<B, 1> for Step<O> {
    /// x, kept by the checkpointer or computed again by it.
    type State = NodeId;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        // Retrieved whether or not the parent wants it: the checkpointer counts the retrievals.
        let x = checkpointer.retrieve_node_output(ops.state);
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, self.0.backward(x, grad));
        }
    }
}

/// Computes the output again when gradient checkpointing has not kept it.
#[derive(Debug)]
struct Retro<B, O> {
    input: NodeId,
    operation: O,
    backend: PhantomData<B>,
}

impl<B: Backend, O: OfInput<B>> RetroForward for Retro<B, O> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let x = states.get_state::<FloatTensor<B>>(&self.input);
        states.save(out_node, self.operation.clone().forward(x));
    }
}
