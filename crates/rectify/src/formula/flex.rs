//! The operation on the Flex backend: the kernels of `host` over its tensors.

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::{DType, Element},
};
use burn_flex::FlexTensor;
use bytemuck::Pod;
use half::{bf16, f16};

use super::{
    Formula,
    backward::FormulaOps,
    evaluate::Stored,
    host::{map, map_in_place, multiply},
    program::Program,
};
use crate::host::{by_dtype, dense, tensor};

impl FormulaOps for Flex {
    fn rectify_formula(x: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        by_dtype!(x.dtype(), forward(x, formula.program()))
    }

    fn rectify_formula_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        by_dtype!(grad.dtype(), backward(x, grad, formula.slope_program()))
    }
}

fn forward<F: Stored + Element + Pod>(x: FlexTensor, program: &Program) -> FlexTensor {
    let mut x = dense(x);
    if let Some(elements) = x.try_storage_mut::<F>() {
        map_in_place(program, elements);
        return x;
    }
    let input = x.storage::<F>();
    let mut output = vec![F::zeroed(); input.len()];
    map(program, input, &mut output);
    tensor(output, x.shape())
}

fn backward<F: Stored + Element + Pod>(x: FlexTensor, grad: FlexTensor, program: &Program) -> FlexTensor {
    let (x, mut grad) = (dense(x), dense(grad));
    let input = x.storage::<F>();
    if let Some(elements) = grad.try_storage_mut::<F>() {
        multiply(program, input, elements);
        return grad;
    }
    let mut output = grad.storage::<F>().to_vec();
    multiply(program, input, &mut output);
    tensor(output, grad.shape())
}
