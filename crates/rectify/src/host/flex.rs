//! Flex's tensors as slices.

use burn::tensor::{Bytes, Element, Shape};
use burn_flex::{FlexTensor, Layout};
use bytemuck::Pod;

/// Calls `$kernel::<F>` with the float type of a tensor.
macro_rules! by_dtype {
    ($dtype:expr, $kernel:ident($($argument:expr),*)) => {
        match $dtype {
            DType::F32 => $kernel::<f32>($($argument),*),
            DType::F64 => $kernel::<f64>($($argument),*),
            DType::F16 => $kernel::<f16>($($argument),*),
            DType::BF16 => $kernel::<bf16>($($argument),*),
            dtype => unreachable!("a float tensor of burn-flex is not of {dtype:?}"),
        }
    };
}
pub(crate) use by_dtype;

/// The tensor with its elements in order and nothing else in its storage.
pub(crate) fn dense(x: FlexTensor) -> FlexTensor {
    if is_dense(&x) { x } else { x.to_contiguous() }
}

/// Whether its elements are in order and there is nothing else in its storage.
pub(crate) fn is_dense(x: &FlexTensor) -> bool {
    let size = x.layout().num_elements() * x.dtype().size();
    x.is_contiguous() && x.layout().start_offset() == 0 && x.bytes().len() == size
}

/// A tensor of these elements, in order.
pub(crate) fn tensor<F: Element + Pod + Send + Sync>(elements: Vec<F>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(elements), Layout::contiguous(shape.into()), F::dtype())
}
