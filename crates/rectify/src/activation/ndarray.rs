//! The operation on the NdArray backend: the kernels of `host` over its arrays, in the order in which they lie in memory.

use burn::backend::{NdArray, TensorMetadata, tensor::FloatTensor};
use burn_ndarray::NdArrayTensor;

use super::{
    Activation,
    backward::ActivationOps,
    host::{map_in_place, multiply_in_place},
};
use crate::host::ndarray;

impl ActivationOps for NdArray {
    fn rectify_activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        match x {
            NdArrayTensor::F32(x) => ndarray::map(x.into_shared(), |x| map_in_place(activation, x)).into(),
            NdArrayTensor::F64(x) => ndarray::map(x.into_shared(), |x| map_in_place(activation, x)).into(),
            x => unreachable!("a float tensor of burn-ndarray is not of {:?}", x.dtype()),
        }
    }

    fn rectify_activation_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        match (kept, grad) {
            (NdArrayTensor::F32(kept), NdArrayTensor::F32(grad)) => {
                let multiply = |kept: &[f32], grad: &mut [f32]| multiply_in_place(activation, kept, grad);
                ndarray::zip(kept.into_shared(), grad.into_shared(), multiply).into()
            }
            (NdArrayTensor::F64(kept), NdArrayTensor::F64(grad)) => {
                let multiply = |kept: &[f64], grad: &mut [f64]| multiply_in_place(activation, kept, grad);
                ndarray::zip(kept.into_shared(), grad.into_shared(), multiply).into()
            }
            (kept, grad) => unreachable!("a gradient of {:?} for a tensor of {:?}", grad.dtype(), kept.dtype()),
        }
    }
}
