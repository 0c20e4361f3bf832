//! The launch of an elementwise kernel: in what steps its units walk the tensors, and where the result goes.

use burn::{
    backend::{Backend as _, cubecl::dtype_to_storage_type},
    tensor::DType,
};
use burn_cubecl::{CubeBackend, ops::numeric::empty_device_dtype, tensor::CubeTensor};
use cubecl::{
    calculate_cube_count_elemwise, client::Client, ir::ElemType, prelude::*,
    std::tensor::layout::linear::LinearViewLaunch, tensor_vector_size_parallel, zspace::metadata::Metadata,
};

/// What a kernel is launched with.
pub(crate) struct Call<const N: usize> {
    pub(crate) client: Client,
    pub(crate) count: CubeCount,
    pub(crate) dim: CubeDim,
    pub(crate) address: AddressType,
    pub(crate) vector_size: usize,
    pub(crate) inputs: [LinearViewLaunch; N],
    pub(crate) output: LinearViewLaunch,
    /// The tensors' type F, the type W that it is computed in, and the integer B of W's bits.
    pub(crate) types: [ElemType; 3],
}

/// What `kernel` makes of tensors of one shape, type and device, element by element. The result takes the last tensor's
/// place where nobody else holds it.
///
/// A kernel stops beyond the output's end; the views have the same number of elements.
///
/// # Panics
///
/// Where the device does not compute in the type: such a kernel fails asynchronously, without an error, and leaves its
/// output as it was.
pub(crate) fn elementwise<const N: usize>(
    operation: &str,
    inputs: [CubeTensor; N],
    kernel: impl FnOnce(Call<N>),
) -> CubeTensor {
    let last = &inputs[N - 1];
    assert!(
        CubeBackend::supports_dtype(&last.device, last.dtype),
        "{operation}: {} does not compute in {}",
        last.client.properties().identity.name,
        last.dtype.name()
    );
    if last.meta.num_elements() == 0 {
        return last.clone();
    }
    let (inputs, layout) = flattened(inputs);
    let last = &inputs[N - 1];
    let in_place = last.can_mut() && last.is_nonoverlapping();
    let output = if in_place { last.clone() } else { empty_like(last) };
    let vector_size = inputs.iter().chain([&output]).map(vector_size).min().unwrap_or(1);
    let units = output.meta.num_elements() / vector_size;
    let dim = CubeDim::new(&output.client, units);
    let address = inputs.iter().chain([&output]).map(CubeTensor::required_address_type).max().unwrap_or_default();
    kernel(Call {
        client: output.client.clone(),
        count: calculate_cube_count_elemwise(&output.client, units, dim),
        dim,
        address,
        vector_size,
        inputs: inputs.map(CubeTensor::into_linear_view),
        output: if in_place { output.as_linear_view_alias(N - 1) } else { output.clone().into_linear_view() },
        types: types(output.dtype),
    });
    match layout {
        Some(layout) => CubeTensor { meta: Box::new(layout), ..output },
        None => output,
    }
}

fn types(dtype: DType) -> [ElemType; 3] {
    let (wide, bits) = match dtype {
        DType::F64 => (DType::F64, DType::I64),
        _ => (DType::F32, DType::I32),
    };
    [dtype, wide, bits].map(dtype_to_storage_type)
}

fn vector_size(tensor: &CubeTensor) -> usize {
    let sizes = tensor.client.io_optimized_vector_sizes(tensor.dtype.size());
    tensor_vector_size_parallel(sizes, tensor.meta.shape(), tensor.meta.strides(), tensor.meta.num_dims() - 1)
}

fn empty_like(x: &CubeTensor) -> CubeTensor {
    empty_device_dtype(x.client.clone(), x.device.clone(), x.meta.shape().clone(), x.dtype)
}

/// Tensors that fill their memory without a gap, and all in the same order, as rows of numbers, so that a transposed
/// tensor is walked as fast as any other; and the layout to give back to the result. Others as they are.
fn flattened<const N: usize>(tensors: [CubeTensor; N]) -> ([CubeTensor; N], Option<Metadata>) {
    let layout = (*tensors[0].meta).clone();
    let dense = |tensor: &CubeTensor| {
        let extent: usize =
            tensor.meta.shape().iter().zip(tensor.meta.strides().iter()).map(|(n, s)| (n - 1) * s).sum();
        tensor.is_nonoverlapping() && extent + 1 == tensor.meta.num_elements()
    };
    if !tensors.iter().all(|tensor| *tensor.meta == layout && dense(tensor)) {
        return (tensors, None);
    }
    let row = Metadata::new([layout.num_elements()], [1]);
    (tensors.map(|tensor| CubeTensor { meta: Box::new(row.clone()), ..tensor }), Some(layout))
}
