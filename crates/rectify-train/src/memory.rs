//! Tensors whose values are in this process's memory.

#[cfg(feature = "flex")]
use burn::backend::{BackendTensor, DispatchTensorKind};
use burn::tensor::Tensor;

/// What `read` makes of the tensors' values, if all of them are f32 in this process's memory, in order.
#[cfg(feature = "flex")]
pub(crate) fn in_memory<const D: usize, R>(tensors: &[&Tensor<D>], read: impl FnOnce(&[&[f32]]) -> R) -> Option<R> {
    let tensors: Option<Vec<_>> = tensors
        .iter()
        .map(|&x| match x.clone().without_autodiff().into_dispatch().kind {
            DispatchTensorKind::Flex(BackendTensor::Float(x)) => Some(x),
            _ => None,
        })
        .collect();
    let values: Option<Vec<&[f32]>> = tensors.as_ref()?.iter().map(|x| x.as_slice::<f32>()).collect();
    values.map(|values| read(&values))
}

#[cfg(not(feature = "flex"))]
pub(crate) fn in_memory<const D: usize, R>(_: &[&Tensor<D>], _: impl FnOnce(&[&[f32]]) -> R) -> Option<R> {
    None
}
