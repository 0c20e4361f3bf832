//! The operation on each backend, and its explicit backward step on Burn's autodiff graph.

use burn::backend::{
    Autodiff, AutodiffBackend, autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension,
    tensor::FloatTensor,
};

use crate::{
    activation::{Activation, ActivationOps},
    tracked::{OfOne, tracked},
};

/// a ⊗ φ(b) of the halves of a tensor along a dimension of even size, and its gradient. The defaults are Burn's own
/// operations.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Remote: cfg(feature = "remote")
)]
pub trait GatedOps: ActivationOps {
    /// a ⊗ φ(b).
    #[fusion(default)]
    fn rectify_gated(x: FloatTensor<Self>, gate: Activation, dim: usize) -> FloatTensor<Self> {
        default::gated::<Self>(x, gate, dim)
    }

    /// The gradient of both halves, in one tensor.
    #[fusion(default)]
    fn rectify_gated_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        gate: Activation,
        dim: usize,
    ) -> FloatTensor<Self> {
        default::gated_backward::<Self>(x, grad, gate, dim)
    }
}

/// Burn's own operations: for every backend without a kernel.
pub mod default {
    use burn::{
        backend::{Backend, TensorMetadata, tensor::FloatTensor},
        tensor::Slice,
    };

    use crate::activation::{Activation, ActivationOps, Keeps};

    fn halves<B: Backend>(x: FloatTensor<B>, dim: usize) -> [FloatTensor<B>; 2] {
        let shape = x.shape();
        let half = shape[dim] / 2;
        [0, half].map(|begin| {
            let whole = shape.iter().map(|size| Slice::from(0..*size));
            let mut slices: Vec<Slice> = whole.collect();
            slices[dim] = Slice::from(begin..begin + half);
            B::float_slice(x.clone(), &slices)
        })
    }

    pub fn gated<B: ActivationOps>(x: FloatTensor<B>, gate: Activation, dim: usize) -> FloatTensor<B> {
        let [a, b] = halves::<B>(x, dim);
        B::float_mul(a, B::rectify_activation(b, gate))
    }

    pub fn gated_backward<B: ActivationOps>(
        x: FloatTensor<B>,
        grad: FloatTensor<B>,
        gate: Activation,
        dim: usize,
    ) -> FloatTensor<B> {
        let [a, b] = halves::<B>(x, dim);
        let value = B::rectify_activation(b.clone(), gate);
        let kept = if gate.keeps() == Keeps::Output { value.clone() } else { b };
        let by_b = B::rectify_activation_backward(kept, B::float_mul(grad.clone(), a), gate);
        B::float_cat(vec![B::float_mul(grad, value), by_b], dim)
    }
}

#[cfg(feature = "ndarray")]
impl GatedOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl GatedOps for burn_cubecl::CubeBackend {}

#[cfg(feature = "remote")]
impl GatedOps for burn::backend::Remote {}

#[derive(Debug, Clone, Copy)]
struct Gate {
    activation: Activation,
    dim: usize,
}

impl<B: GatedOps> OfOne<B> for Gate {
    fn forward(self, x: FloatTensor<B>) -> FloatTensor<B> {
        B::rectify_gated(x, self.activation, self.dim)
    }

    fn backward(self, x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        B::rectify_gated_backward(x, grad, self.activation, self.dim)
    }
}

impl<B: GatedOps, C: CheckpointStrategy> GatedOps for Autodiff<B, C> {
    fn rectify_gated(x: FloatTensor<Self>, activation: Activation, dim: usize) -> FloatTensor<Self> {
        tracked::<B, C, _>(x, Gate { activation, dim })
    }

    // Burn's autodiff is of first order: a gradient is a constant of the graph, and so is this.
    fn rectify_gated_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        gate: Activation,
        dim: usize,
    ) -> FloatTensor<Self> {
        Self::from_inner(B::rectify_gated_backward(x.into_primitive(), grad.into_primitive(), gate, dim))
    }
}
