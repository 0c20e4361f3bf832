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

use super::gradient::{GradientRule, Keeps};

/// ReLU and its derivative, as each backend computes them.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Remote: cfg(feature = "remote")
)]
pub trait ReluOps: Backend {
    /// max(0, x).
    #[fusion(dtype = x, shape = x)]
    fn rectify_relu(x: FloatTensor<Self>, rule: GradientRule) -> FloatTensor<Self>;

    /// The gradient with respect to the input. `kept` is the input, or the output where that says enough.
    #[fusion(dtype = grad, shape = grad)]
    fn rectify_relu_backward(kept: FloatTensor<Self>, grad: FloatTensor<Self>, rule: GradientRule)
    -> FloatTensor<Self>;
}

/// What the graph holds on to between the passes.
#[derive(Debug, Clone)]
enum Kept<T> {
    Nothing,
    Output(T),
    /// Kept by the checkpointer, or computed again by it.
    Input(NodeId),
}

#[derive(Debug)]
struct ReluBackward(GradientRule);

impl<B: ReluOps> Backward<B, 1> for ReluBackward {
    type State = Kept<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        // Retrieved whether or not the parent wants it: the checkpointer counts the retrievals.
        let kept = match ops.state {
            Kept::Nothing => None,
            Kept::Output(output) => Some(output),
            Kept::Input(node) => Some(checkpointer.retrieve_node_output(node)),
        };
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            let grad = match kept {
                Some(kept) => B::rectify_relu_backward(kept, grad, self.0),
                // The one rule that keeps nothing, `Deconv`, is ReLU applied to the gradient.
                None => B::rectify_relu(grad, self.0),
            };
            grads.register::<B>(parent.id, grad);
        }
    }
}

/// Computes the output again when gradient checkpointing has not kept it.
#[derive(Debug)]
struct RetroRelu<B> {
    input: NodeId,
    rule: GradientRule,
    backend: PhantomData<B>,
}

impl<B: ReluOps> RetroForward for RetroRelu<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let input = states.get_state::<FloatTensor<B>>(&self.input);
        states.save(out_node, B::rectify_relu(input, self.rule));
    }
}

impl<B: ReluOps, C: CheckpointStrategy> ReluOps for Autodiff<B, C> {
    fn rectify_relu(x: FloatTensor<Self>, rule: GradientRule) -> FloatTensor<Self> {
        let retro = RetroRelu::<B> { input: x.id(), rule, backend: PhantomData };
        let prepared =
            ReluBackward(rule).prepare::<C>([x.node()]).memory_bound().retro_forward(retro).parents([&x]).stateful();
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                let keeps = match rule.keeps() {
                    // Under checkpointing an output held here would defeat its purpose; the input says the same.
                    Keeps::Output if TypeId::of::<C>() != TypeId::of::<NoCheckpointing>() => Keeps::Input,
                    keeps => keeps,
                };
                match keeps {
                    Keeps::Nothing => {
                        let output = B::rectify_relu(x.into_primitive(), rule);
                        prepared.finish(Kept::Nothing, output)
                    }
                    Keeps::Output => {
                        let output = B::rectify_relu(x.into_primitive(), rule);
                        prepared.finish(Kept::Output(output.clone()), output)
                    }
                    Keeps::Input => {
                        let kept = Kept::Input(prepared.checkpoint(&x));
                        let output = B::rectify_relu(x.into_primitive(), rule);
                        prepared.finish(kept, output)
                    }
                }
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rectify_relu(x.into_primitive(), rule)),
        }
    }

    // Burn's autodiff is of first order: a gradient is a constant of the graph, and so is this.
    fn rectify_relu_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        rule: GradientRule,
    ) -> FloatTensor<Self> {
        Self::from_inner(B::rectify_relu_backward(kept.into_primitive(), grad.into_primitive(), rule))
    }
}
