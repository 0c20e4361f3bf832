//! The operation on each backend, and its explicit backward step on Burn's autodiff graph.

use burn::backend::{
    Autodiff, AutodiffBackend, Backend, autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension,
    tensor::FloatTensor,
};

use super::{Activation, Keeps};
#[cfg(feature = "cube")]
use crate::formula::cube;
use crate::{
    formula::operations,
    tracked::{Holds, OfOne, Values, tracked},
};

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

impl<B: ActivationOps> OfOne<B> for Activation {
    fn forward(self, x: FloatTensor<B>) -> FloatTensor<B> {
        B::rectify_activation(x, self)
    }

    fn holds(&self) -> Holds {
        Holds::Values
    }

    fn keep(self, x: FloatTensor<B>) -> (FloatTensor<B>, Values<FloatTensor<B>>) {
        if self.keeps() == Keeps::Output {
            let output = B::rectify_activation(x, self);
            return (output.clone(), Values::Kept(output));
        }
        match B::rectify_activation_and_slope(x, self) {
            (slope, Some(output)) => (output, Values::Slope(slope)),
            (x, None) => (B::rectify_activation(x.clone(), self), Values::Kept(x)),
        }
    }

    fn backward(self, kept: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        B::rectify_activation_backward(kept, grad, self)
    }
}

impl<B: ActivationOps, C: CheckpointStrategy> ActivationOps for Autodiff<B, C> {
    fn rectify_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        tracked::<B, C, _>(x, activation)
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
