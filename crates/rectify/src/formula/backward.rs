//! The operation on each backend, and its explicit backward step on Burn's autodiff graph.

use burn::backend::{
    Autodiff, AutodiffBackend, Backend, autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension,
    tensor::FloatTensor,
};

use super::{Formula, operations};
use crate::tracked::{OfOne, tracked};

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

impl<B: FormulaOps> OfOne<B> for Formula {
    fn forward(self, x: FloatTensor<B>) -> FloatTensor<B> {
        B::rectify_formula(x, self)
    }

    fn backward(self, x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        B::rectify_formula_backward(x, grad, self)
    }
}

impl<B: FormulaOps, C: CheckpointStrategy> FormulaOps for Autodiff<B, C> {
    fn rectify_formula(x: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        tracked::<B, C, _>(x, formula)
    }

    // Burn's autodiff is of first order: a gradient is a constant of the graph, and so is this.
    fn rectify_formula_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        Self::from_inner(B::rectify_formula_backward(x.into_primitive(), grad.into_primitive(), formula))
    }
}
