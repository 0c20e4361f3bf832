//! The operation on each backend, and its explicit backward step on Burn's autodiff graph.

use burn::{
    backend::{
        Autodiff, AutodiffBackend, Backend,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::IntDType,
};

/// The maximum and its gradient. The defaults are Burn's own operations.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Remote: cfg(feature = "remote")
)]
pub trait MaxPoolOps: Backend {
    /// The maximum of each window.
    #[fusion(default)]
    fn rectify_max_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        default::max_pool::<Self>(x)
    }

    /// The gradient of x.
    #[fusion(default)]
    fn rectify_max_pool_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        default::max_pool_backward::<Self>(x, grad)
    }
}

/// Burn's own operations: for every backend, and where a kernel does not apply.
pub mod default {
    use super::{Backend, FloatTensor, IntDType};

    pub fn max_pool<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
        B::max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false)
    }

    pub fn max_pool_backward<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        // Found again and not kept: cheaper than the memory in between.
        let found = B::max_pool2d_with_indices(x.clone(), [2, 2], [2, 2], [0, 0], [1, 1], false, IntDType::I32);
        B::max_pool2d_with_indices_backward(x, [2, 2], [2, 2], [0, 0], [1, 1], false, grad, found.indices).x_grad
    }
}

#[cfg(feature = "ndarray")]
impl MaxPoolOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl MaxPoolOps for burn_cubecl::CubeBackend {}

#[cfg(feature = "remote")]
impl MaxPoolOps for burn::backend::Remote {}

#[derive(Debug)]
struct MaxPoolBackward;

impl<B: MaxPoolOps> Backward<B, 1> for MaxPoolBackward {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, B::rectify_max_pool_backward(ops.state, grad));
        }
    }
}

impl<B: MaxPoolOps, C: CheckpointStrategy> MaxPoolOps for Autodiff<B, C> {
    fn rectify_max_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let x = x.into_primitive();
        match MaxPoolBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let output = B::rectify_max_pool(x.clone());
                prepared.finish(x, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rectify_max_pool(x)),
        }
    }

    // Burn's autodiff is of first order: a gradient is a constant of the graph, and so is this.
    fn rectify_max_pool_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::rectify_max_pool_backward(x.into_primitive(), grad.into_primitive()))
    }
}
