//! The kernels of every CubeCL backend, of which the rules of numbers are those of ReLU.

use burn::backend::{TensorMetadata, ops::FloatTensorOps, tensor::FloatTensor};
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use cubecl::{
    ir::ElemType,
    prelude::*,
    std::tensor::layout::linear::{LinearView, LinearViewMut},
};

use super::backward::{PreluOps, default};
use crate::{
    cube::elementwise,
    relu::cube::{choose, times},
};

impl PreluOps for CubeBackend {
    fn rectify_prelu(x: FloatTensor<Self>, slopes: FloatTensor<Self>) -> FloatTensor<Self> {
        launch_leak(x.clone(), slopes, x)
    }

    fn rectify_prelu_backward(
        x: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        launch_leak(x, slopes, grad)
    }

    fn rectify_prelu_slopes_backward(
        x: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        default::sum_to::<Self>(launch_products(x, grad), slopes)
    }
}

/// v where x > 0, slope · v where it is not, NaN where x is.
#[cube(launch_unchecked, address_type = "dynamic")]
fn leak<F: Float, W: Float, B: Int, N: Size>(
    x: LinearView<'_, Vector<F, N>>,
    slopes: LinearView<'_, Vector<F, N>>,
    v: LinearView<'_, Vector<F, N>>,
    mut output: LinearViewMut<'_, Vector<F, N>>,
    #[define(F, W, B)] _types: [ElemType; 3],
) {
    if !output.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let (x, v) = (x.read(ABSOLUTE_POS), v.read(ABSOLUTE_POS));
    let leaked = times::<F, W, N>(v, Vector::<W, N>::cast_from(slopes.read(ABSOLUTE_POS)));
    output.write(ABSOLUTE_POS, choose::<F, W, B, N>(x, v, leaked));
}

/// The gradient of each element's slope: 0 where x > 0, otherwise x · grad.
#[cube(launch_unchecked, address_type = "dynamic")]
fn products<F: Float, W: Float, B: Int, N: Size>(
    x: LinearView<'_, Vector<F, N>>,
    grad: LinearView<'_, Vector<F, N>>,
    mut output: LinearViewMut<'_, Vector<F, N>>,
    #[define(F, W, B)] _types: [ElemType; 3],
) {
    if !output.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let (x, g) = (x.read(ABSOLUTE_POS), grad.read(ABSOLUTE_POS));
    let product = times::<F, W, N>(g, Vector::<W, N>::cast_from(x));
    output.write(ABSOLUTE_POS, choose::<F, W, B, N>(x, Vector::new(F::new(0.0)), product));
}

fn launch_leak(x: CubeTensor, slopes: CubeTensor, v: CubeTensor) -> CubeTensor {
    let slopes = CubeBackend::float_expand(slopes, x.shape());
    elementwise("prelu", [x, slopes, v], |call| {
        let [x, slopes, v] = call.inputs;
        // SAFETY: as `elementwise` says.
        unsafe {
            leak::launch_unchecked(
                &call.client,
                call.count,
                call.dim,
                call.address,
                call.vector_size,
                x,
                slopes,
                v,
                call.output,
                call.types,
            );
        }
    })
}

fn launch_products(x: CubeTensor, grad: CubeTensor) -> CubeTensor {
    elementwise("prelu", [x, grad], |call| {
        let [x, grad] = call.inputs;
        // SAFETY: as `elementwise` says.
        unsafe {
            products::launch_unchecked(
                &call.client,
                call.count,
                call.dim,
                call.address,
                call.vector_size,
                x,
                grad,
                call.output,
                call.types,
            );
        }
    })
}
