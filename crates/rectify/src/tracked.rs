//! Operations of one tensor, as steps of Burn's autodiff graph.

use std::{any::TypeId, fmt::Debug, marker::PhantomData};

use burn::backend::{
    Autodiff, Backend,
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
    tensor::FloatTensor,
};

/// What the graph holds on to between the passes.
pub(crate) enum Holds {
    /// Nothing: the gradient goes through the operation as the input did.
    Nothing,
    /// The input, kept by the checkpointer or computed again by it.
    Input,
    /// What [`OfOne::keep`] gives. Under checkpointing that would defeat its purpose, and the input says the same.
    Values,
}

/// What tells a derivative in a backward pass.
#[derive(Debug, Clone)]
pub(crate) enum Values<T> {
    /// The input or the output, as the operation keeps them.
    Kept(T),
    /// The derivative itself.
    Slope(T),
}

pub(crate) trait OfOne<B: Backend>: Debug + Clone + Send + Sync + 'static {
    fn forward(self, x: FloatTensor<B>) -> FloatTensor<B>;

    fn holds(&self) -> Holds {
        Holds::Input
    }

    /// The output, and what a backward pass takes.
    fn keep(self, x: FloatTensor<B>) -> (FloatTensor<B>, Values<FloatTensor<B>>) {
        (self.forward(x.clone()), Values::Kept(x))
    }

    /// The gradient of x, from the input or from what is kept.
    fn backward(self, kept: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B>;
}

/// The operation, with its backward step where x is tracked.
pub(crate) fn tracked<B: Backend, C: CheckpointStrategy, O: OfOne<B>>(
    x: FloatTensor<Autodiff<B, C>>,
    operation: O,
) -> FloatTensor<Autodiff<B, C>> {
    let retro = Retro::<B, O> { input: x.id(), operation: operation.clone(), backend: PhantomData };
    let prepared = Step(operation.clone()).prepare::<C>([x.node()]).memory_bound().retro_forward(retro);
    match prepared.parents([&x]).stateful() {
        OpsKind::Tracked(mut prepared) => match operation.holds() {
            Holds::Nothing => prepared.finish(State::Nothing, operation.forward(x.into_primitive())),
            Holds::Values if TypeId::of::<C>() == TypeId::of::<NoCheckpointing>() => {
                let (output, values) = operation.keep(x.into_primitive());
                prepared.finish(State::Values(values), output)
            }
            Holds::Values | Holds::Input => {
                let kept = State::Input(prepared.checkpoint(&x));
                prepared.finish(kept, operation.forward(x.into_primitive()))
            }
        },
        OpsKind::UnTracked(prepared) => prepared.finish(operation.forward(x.into_primitive())),
    }
}

#[derive(Debug, Clone)]
enum State<T> {
    Nothing,
    Input(NodeId),
    Values(Values<T>),
}

#[derive(Debug)]
struct Step<O>(O);

impl<B: Backend, O: OfOne<B>> Backward<B, 1> for Step<O> {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        // Retrieved whether or not the parent wants it: the checkpointer counts the retrievals.
        let values = match ops.state {
            State::Nothing => None,
            State::Input(node) => Some(Values::Kept(checkpointer.retrieve_node_output(node))),
            State::Values(values) => Some(values),
        };
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            let grad = match values {
                None => self.0.forward(grad),
                Some(Values::Kept(kept)) => self.0.backward(kept, grad),
                Some(Values::Slope(slope)) => B::float_mul(grad, slope),
            };
            grads.register::<B>(parent.id, grad);
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

impl<B: Backend, O: OfOne<B>> RetroForward for Retro<B, O> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let x = states.get_state::<FloatTensor<B>>(&self.input);
        states.save(out_node, self.operation.clone().forward(x));
    }
}
