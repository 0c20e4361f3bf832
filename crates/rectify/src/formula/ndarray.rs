//! The operation on the NdArray backend: the kernels of `host` over its arrays, in the order in which they lie in memory.

use burn::backend::{NdArray, TensorMetadata, tensor::FloatTensor};
use burn_ndarray::NdArrayTensor;

use super::{
    Formula,
    backward::FormulaOps,
    host::{map_in_place, multiply},
};
use crate::host::ndarray;

impl FormulaOps for NdArray {
    fn rectify_formula(x: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        let program = formula.program();
        match x {
            NdArrayTensor::F32(x) => ndarray::map(x.into_shared(), |x| map_in_place(program, x)).into(),
            NdArrayTensor::F64(x) => ndarray::map(x.into_shared(), |x| map_in_place(program, x)).into(),
            x => unreachable!("a float tensor of burn-ndarray is not of {:?}", x.dtype()),
        }
    }

    fn rectify_formula_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        let slope = formula.slope_program();
        match (x, grad) {
            (NdArrayTensor::F32(x), NdArrayTensor::F32(grad)) => {
                ndarray::zip(x.into_shared(), grad.into_shared(), |x, grad| multiply(slope, x, grad)).into()
            }
            (NdArrayTensor::F64(x), NdArrayTensor::F64(grad)) => {
                ndarray::zip(x.into_shared(), grad.into_shared(), |x, grad| multiply(slope, x, grad)).into()
            }
            (x, grad) => unreachable!("a gradient of {:?} for a tensor of {:?}", grad.dtype(), x.dtype()),
        }
    }
}
