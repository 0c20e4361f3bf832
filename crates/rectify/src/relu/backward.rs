//! The operation on each backend, and its explicit backward step on Burn's autodiff graph.

use burn::backend::{
    Autodiff, AutodiffBackend, Backend, autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension,
    tensor::FloatTensor,
};

use super::gradient::{GradientRule, Keeps};
use crate::tracked::{Holds, OfOne, Values, tracked};

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

impl<B: ReluOps> OfOne<B> for GradientRule {
    fn forward(self, x: FloatTensor<B>) -> FloatTensor<B> {
        B::rectify_relu(x, self)
    }

    fn holds(&self) -> Holds {
        match self.keeps() {
            // `Deconv` is ReLU applied to the gradient.
            Keeps::Nothing => Holds::Nothing,
            Keeps::Output => Holds::Values,
            Keeps::Input => Holds::Input,
        }
    }

    fn keep(self, x: FloatTensor<B>) -> (FloatTensor<B>, Values<FloatTensor<B>>) {
        let output = B::rectify_relu(x, self);
        (output.clone(), Values::Kept(output))
    }

    fn backward(self, kept: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        B::rectify_relu_backward(kept, grad, self)
    }
}

impl<B: ReluOps, C: CheckpointStrategy> ReluOps for Autodiff<B, C> {
    fn rectify_relu(x: FloatTensor<Self>, rule: GradientRule) -> FloatTensor<Self> {
        tracked::<B, C, _>(x, rule)
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
