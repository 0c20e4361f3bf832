//! The operation on each backend, and its explicit backward step on Burn's autodiff graph.

use burn::{
    backend::{
        Autodiff, AutodiffBackend, Backend, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::{FloatTensor, IntTensor},
    },
    tensor::IndexingUpdateOp,
};

/// The loss and its gradient. The defaults are Burn's own operations.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Remote: cfg(feature = "remote")
)]
pub trait CrossEntropyOps: Backend {
    /// The mean loss, `[1]`.
    #[fusion(default)]
    fn rectify_cross_entropy(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self> {
        default::cross_entropy::<Self>(logits, labels)
    }

    /// The gradient of the logits.
    #[fusion(default)]
    fn rectify_cross_entropy_backward(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        default::cross_entropy_backward::<Self>(logits, labels, grad)
    }
}

/// Burn's own operations: for every backend, and where a kernel does not apply.
pub mod default {
    use super::{Backend, FloatTensor, IndexingUpdateOp, IntTensor, TensorMetadata};

    pub fn cross_entropy<B: Backend>(logits: FloatTensor<B>, labels: IntTensor<B>) -> FloatTensor<B> {
        let [batch, _] = logits.shape().dims();
        let labels = B::int_reshape(labels, [batch, 1].into());
        B::float_neg(B::float_mean(B::float_gather(1, B::log_softmax(logits, 1), labels)))
    }

    pub fn cross_entropy_backward<B: Backend>(
        logits: FloatTensor<B>,
        labels: IntTensor<B>,
        grad: FloatTensor<B>,
    ) -> FloatTensor<B> {
        let [batch, _] = logits.shape().dims();
        let labels = B::int_reshape(labels, [batch, 1].into());
        let grad = B::float_reshape(B::float_div_scalar(grad, (batch as f64).into()), [1, 1].into());
        let softmax = B::float_mul(B::float_exp(B::log_softmax(logits, 1)), grad.clone());
        let minus = B::float_expand(B::float_neg(grad), [batch, 1].into());
        B::float_scatter(1, softmax, labels, minus, IndexingUpdateOp::Add)
    }
}

#[cfg(feature = "ndarray")]
impl CrossEntropyOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl CrossEntropyOps for burn_cubecl::CubeBackend {}

#[cfg(feature = "remote")]
impl CrossEntropyOps for burn::backend::Remote {}

#[derive(Debug)]
struct CrossEntropyBackward;

impl<B: CrossEntropyOps> Backward<B, 1> for CrossEntropyBackward {
    type State = (FloatTensor<B>, IntTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let ((logits, labels), [parent]) = (ops.state, ops.parents);
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, B::rectify_cross_entropy_backward(logits, labels, grad));
        }
    }
}

impl<B: CrossEntropyOps, C: CheckpointStrategy> CrossEntropyOps for Autodiff<B, C> {
    fn rectify_cross_entropy(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self> {
        let node = logits.node();
        let logits = logits.into_primitive();
        match CrossEntropyBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let loss = B::rectify_cross_entropy(logits.clone(), labels.clone());
                prepared.finish((logits, labels), loss)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::rectify_cross_entropy(logits, labels)),
        }
    }

    // Burn's autodiff is of first order: a gradient is a constant of the graph, and so is this.
    fn rectify_cross_entropy_backward(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (logits, grad) = (logits.into_primitive(), grad.into_primitive());
        Self::from_inner(B::rectify_cross_entropy_backward(logits, labels, grad))
    }
}
