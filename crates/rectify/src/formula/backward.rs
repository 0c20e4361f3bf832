//! The operation on each backend, and its explicit backward step on Burn's autodiff graph.

use std::marker::PhantomData;

use burn::backend::{
    Autodiff, AutodiffBackend, Backend,
    autodiff::{
        NodeId,
        checkpoint::{
            base::Checkpointer, retro_forward::RetroForward, state::BackwardStates, strategy::CheckpointStrategy,
        },
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    tensor::FloatTensor,
};

use super::{Formula, operations};

/// A formula and its derivative. The defaults are Burn's own operations, which devices elsewhere and kernel fusion know.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Remote: cfg(feature = "remote")
)]
pub trait FormulaOps: Backend {
    /// φ(x).
    #[fusion(default)]
    fn rectify_formula(x: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        operations::map::<Self>(formula.program(), x)
    }

    /// φ′(x) · grad.
    #[fusion(default)]
    fn rectify_formula_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        operations::multiply::<Self>(formula.slope_program(), None, x, grad)
    }
}

#[cfg(feature = "remote")]
impl FormulaOps for burn::backend::Remote {}

#[derive(Debug)]
struct FormulaBackward(Formula);

impl<B: FormulaOps> Backward<B, 1> for FormulaBackward {
    /// The input, kept by the checkpointer or computed again by it.
    type State = NodeId;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        // Retrieved whether or not the parent wants it: the checkpointer counts the retrievals.
        let x = checkpointer.retrieve_node_output(ops.state);
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, B::rectify_formula_backward(x, grad, self.0));
        }
    }
}

/// Computes the output again when gradient checkpointing has not kept it.
#[derive(Debug)]
struct RetroFormula<B> {
    input: NodeId,
    formula: Formula,
    backend: PhantomData<B>,
}

impl<B: FormulaOps> RetroForward for RetroFormula<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let input = states.get_state::<FloatTensor<B>>(&self.input);
        states.save(out_node, B::rectify_formula(input, self.formula.clone()));
    }
}

impl<B: FormulaOps, C: CheckpointStrategy> FormulaOps for Autodiff<B, C> {
    fn rectify_formula(x: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        let retro = RetroFormula::<B> { input: x.id(), formula: formula.clone(), backend: PhantomData };
        let backward = FormulaBackward(formula.clone());
        let prepared = backward.prepare::<C>([x.node()]).memory_bound().retro_forward(retro).parents([&x]).stateful();
        match prepared {
            OpsKind::Tracked(mut prepared) => {
                let kept = prepared.checkpoint(&x);
                prepared.finish(kept, B::rectify_formula(x.into_primitive(), formula))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rectify_formula(x.into_primitive(), formula)),
        }
    }

    // Burn's autodiff is of first order: a gradient is a constant of the graph, and so is this.
    fn rectify_formula_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        Self::from_inner(B::rectify_formula_backward(x.into_primitive(), grad.into_primitive(), formula))
    }
}
