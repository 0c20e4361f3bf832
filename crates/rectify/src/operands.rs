//! What the public operations make of their tensors before a kernel sees them.

use burn::{
    backend::DispatchTensor,
    tensor::{DType, Device, Tensor, kind::Basic},
};

/// The tensor as Burn's own operations take it: quantised numbers become floats.
pub(crate) fn float<const D: usize>(x: Tensor<D>) -> DispatchTensor {
    x.dequantize().into_dispatch()
}

/// An operand of a backward pass by hand: floats that track nothing.
pub(crate) fn constant<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.dequantize().without_autodiff()
}

/// Where and in what type an operation computes. The kernels of a backward pass trust that its operands fit each other;
/// with others they would read beyond a tensor's end.
pub(crate) struct Operands {
    operation: &'static str,
    device: Device,
    dtype: DType,
}

impl Operands {
    /// Those of `operation` have `like`'s device and type.
    pub(crate) fn like<const D: usize>(operation: &'static str, like: &Tensor<D>) -> Self {
        Self { operation, device: like.device(), dtype: like.dtype() }
    }

    /// # Panics
    ///
    /// Where `x` is of another shape than `dims`, of another type, or elsewhere.
    #[track_caller]
    pub(crate) fn check<const D: usize>(&self, name: &str, x: &Tensor<D>, dims: [usize; D]) {
        self.check_place(name, x, dims);
        let (operation, expected, found) = (self.operation, self.dtype, x.dtype());
        assert!(found == expected, "{operation}: `{name}` is of {found:?}, and the other tensors are of {expected:?}");
    }

    /// [`check`](Self::check) for a tensor whose type is its own.
    #[track_caller]
    pub(crate) fn check_place<K: Basic, const D: usize>(&self, name: &str, x: &Tensor<D, K>, dims: [usize; D]) {
        let (operation, found) = (self.operation, x.dims());
        assert!(found == dims, "{operation}: `{name}` is {found:?}, and the other tensors take {dims:?}");
        let (expected, found) = (&self.device, x.device());
        assert!(found == *expected, "{operation}: `{name}` is on {found:?}, and the other tensors are on {expected:?}");
    }
}
