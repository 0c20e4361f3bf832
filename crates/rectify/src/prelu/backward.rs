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

/// x above 0 and slope · x elsewhere, and its gradients. Slopes have the rank of x, and its size or 1 in each dimension. The
/// defaults are Burn's own operations.
#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "fusion"),
    Remote: cfg(feature = "remote")
)]
pub trait PreluOps: Backend {
    /// φ(x).
    #[fusion(default)]
    fn rectify_prelu(x: FloatTensor<Self>, slopes: FloatTensor<Self>) -> FloatTensor<Self> {
        default::leak::<Self>(x.clone(), slopes, x)
    }

    /// The gradient of x.
    #[fusion(default)]
    fn rectify_prelu_backward(
        x: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        default::leak::<Self>(x, slopes, grad)
    }

    /// The gradient of the slopes, which are asked for their shape.
    #[fusion(default)]
    fn rectify_prelu_slopes_backward(
        x: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        default::sum_to::<Self>(default::products::<Self>(x, grad), slopes)
    }
}

/// Burn's own operations: for every backend, and where a kernel does not apply.
pub mod default {
    use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings, tensor::FloatTensor};

    /// v where x > 0, slope · v where it is not, NaN where x is.
    pub fn leak<B: Backend>(x: FloatTensor<B>, slopes: FloatTensor<B>, v: FloatTensor<B>) -> FloatTensor<B> {
        let bools = get_or_init_device_settings::<B>(&x.device()).bool_dtype;
        let positive = B::float_greater_elem(x.clone(), 0.0.into(), bools);
        let leaked = B::float_mask_where(B::float_mul(v.clone(), slopes), positive, v);
        B::float_mask_where(leaked, B::float_is_nan(x.clone(), bools), x)
    }

    /// The gradient of each element's slope: 0 where x > 0, otherwise x · grad.
    pub fn products<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
        let bools = get_or_init_device_settings::<B>(&x.device()).bool_dtype;
        let positive = B::float_greater_elem(x.clone(), 0.0.into(), bools);
        B::float_mask_fill(B::float_mul(x, grad), positive, 0.0.into())
    }

    /// The sum over the dimensions in which `like` is 1.
    pub fn sum_to<B: Backend>(x: FloatTensor<B>, like: FloatTensor<B>) -> FloatTensor<B> {
        let (from, to) = (x.shape(), like.shape());
        let dims: Vec<usize> = (0..from.num_dims()).filter(|dim| to[*dim] != from[*dim]).collect();
        B::float_sum_dims(x, &dims)
    }
}

#[cfg(feature = "ndarray")]
impl PreluOps for burn::backend::NdArray {}

#[cfg(feature = "remote")]
impl PreluOps for burn::backend::Remote {}

#[derive(Debug)]
struct PreluBackward;

impl<B: PreluOps> Backward<B, 2> for PreluBackward {
    /// x and the slopes, kept by the checkpointer or computed again by it.
    type State = [NodeId; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        // Retrieved whether or not the parents want them: the checkpointer counts the retrievals.
        let [x, slopes] = ops.state.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let [x_parent, slopes_parent] = ops.parents;
        if let Some(parent) = slopes_parent {
            let grad = B::rectify_prelu_slopes_backward(x.clone(), slopes.clone(), grad.clone());
            grads.register::<B>(parent.id, grad);
        }
        if let Some(parent) = x_parent {
            grads.register::<B>(parent.id, B::rectify_prelu_backward(x, slopes, grad));
        }
    }
}

/// Computes the output again when gradient checkpointing has not kept it.
#[derive(Debug)]
struct RetroPrelu<B> {
    inputs: [NodeId; 2],
    backend: PhantomData<B>,
}

impl<B: PreluOps> RetroForward for RetroPrelu<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let [x, slopes] = self.inputs.map(|node| states.get_state::<FloatTensor<B>>(&node));
        states.save(out_node, B::rectify_prelu(x, slopes));
    }
}

impl<B: PreluOps, C: CheckpointStrategy> PreluOps for Autodiff<B, C> {
    fn rectify_prelu(x: FloatTensor<Self>, slopes: FloatTensor<Self>) -> FloatTensor<Self> {
        let retro = RetroPrelu::<B> { inputs: [x.id(), slopes.id()], backend: PhantomData };
        let prepared = PreluBackward.prepare::<C>([x.node(), slopes.node()]).memory_bound().retro_forward(retro);
        match prepared.parents([&x, &slopes]).stateful() {
            OpsKind::Tracked(mut prepared) => {
                let kept = [&x, &slopes].map(|tensor| prepared.checkpoint(tensor));
                prepared.finish(kept, B::rectify_prelu(x.into_primitive(), slopes.into_primitive()))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::rectify_prelu(x.into_primitive(), slopes.into_primitive()))
            }
        }
    }

    // Burn's autodiff is of first order: gradients are constants of the graph, and so are these.
    fn rectify_prelu_backward(
        x: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [x, slopes, grad] = [x, slopes, grad].map(|tensor| tensor.into_primitive());
        Self::from_inner(B::rectify_prelu_backward(x, slopes, grad))
    }

    fn rectify_prelu_slopes_backward(
        x: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [x, slopes, grad] = [x, slopes, grad].map(|tensor| tensor.into_primitive());
        Self::from_inner(B::rectify_prelu_slopes_backward(x, slopes, grad))
    }
}
