//! The CPU kernels of the Flex backend: parts of a tensor on threads, blocks of a part in cache.

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::{DType, Element},
};
use burn_flex::FlexTensor;
use bytemuck::Pod;
use half::{bf16, f16};
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::{
    Formula,
    backward::FormulaOps,
    evaluate::{self, Stored},
    program::Program,
};
use crate::relu::flex::{dense, tensor};

/// Elements that a thread takes at a time; fewer than two parts are not worth waking one.
const PART: usize = 1 << 14;

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
        parts(elements, |_, elements| Arch::new().dispatch(InPlace { program, elements }));
        return x;
    }
    let input = x.storage::<F>();
    let mut output = vec![F::zeroed(); input.len()];
    parts(&mut output, |begin, output| {
        let input = &input[begin..begin + output.len()];
        Arch::new().dispatch(MapInto { program, input, output });
    });
    tensor(output, x.shape())
}

fn backward<F: Stored + Element + Pod>(x: FlexTensor, grad: FlexTensor, program: &Program) -> FlexTensor {
    let (x, mut grad) = (dense(x), dense(grad));
    let input = x.storage::<F>();
    let multiply = |begin: usize, grad: &mut [F]| {
        let input = &input[begin..begin + grad.len()];
        Arch::new().dispatch(Multiply { program, input, grad });
    };
    if let Some(elements) = grad.try_storage_mut::<F>() {
        parts(elements, multiply);
        return grad;
    }
    let mut output = grad.storage::<F>().to_vec();
    parts(&mut output, multiply);
    tensor(output, grad.shape())
}

/// Calls `work` with parts of `elements` and where they begin, on the threads of the current pool where it is worth it.
fn parts<F: Send>(elements: &mut [F], work: impl Fn(usize, &mut [F]) + Sync) {
    if elements.len() < 2 * PART || rayon::current_num_threads() == 1 {
        return work(0, elements);
    }
    elements.par_chunks_mut(PART).enumerate().for_each(|(i, part)| work(i * PART, part));
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
