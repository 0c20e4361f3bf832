//! The CPU kernels of the Flex backend: parts of a tensor on threads, blocks of a part in cache.

use std::ops::Range;

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::{DType, Element},
};
use burn_flex::FlexTensor;
use bytemuck::Pod;
use half::{bf16, f16};
use pulp::NullaryFnOnce;

use super::{
    Formula,
    backward::FormulaOps,
    evaluate::{self, Stored},
    program::Program,
};
use crate::host::{arch, by_dtype, dense, in_parts, tensor};

/// Elements that a thread takes at a time.
const PART: usize = 1 << 14;
/// Fewer than two parts are not worth waking a thread.
const FROM: usize = 2 * PART;

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
        in_parts(elements, PART, FROM, |elements, _| arch().dispatch(InPlace { program, elements }));
        return x;
    }
    let input = x.storage::<F>();
    let mut output = vec![F::zeroed(); input.len()];
    in_parts(&mut output, PART, FROM, |output, range| {
        arch().dispatch(MapInto { program, input: &input[range], output });
    });
    tensor(output, x.shape())
}

fn backward<F: Stored + Element + Pod>(x: FlexTensor, grad: FlexTensor, program: &Program) -> FlexTensor {
    let (x, mut grad) = (dense(x), dense(grad));
    let input = x.storage::<F>();
    let multiply = |grad: &mut [F], range: Range<usize>| {
        arch().dispatch(Multiply { program, input: &input[range], grad });
    };
    if let Some(elements) = grad.try_storage_mut::<F>() {
        in_parts(elements, PART, FROM, multiply);
        return grad;
    }
    let mut output = grad.storage::<F>().to_vec();
    in_parts(&mut output, PART, FROM, multiply);
    tensor(output, grad.shape())
}

// Functors and not closures, which the compiler need not inline into the code for the processor's vectors.
struct InPlace<'a, F> {
    program: &'a Program,
    elements: &'a mut [F],
}

impl<F: Stored> NullaryFnOnce for InPlace<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        evaluate::map_in_place(self.program, self.elements);
    }
}

struct MapInto<'a, F> {
    program: &'a Program,
    input: &'a [F],
    output: &'a mut [F],
}

impl<F: Stored> NullaryFnOnce for MapInto<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        evaluate::map(self.program, self.input, self.output);
    }
}

struct Multiply<'a, F> {
    program: &'a Program,
    input: &'a [F],
    grad: &'a mut [F],
}

impl<F: Stored> NullaryFnOnce for Multiply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        evaluate::multiply(self.program, self.input, self.grad);
    }
}
