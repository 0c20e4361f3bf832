//! A program as one kernel of every CubeCL backend: its steps are unrolled, each element is read once and written once,
//! and what is between is in registers. Half types are computed in f32 and rounded once.
//!
//! A program is a function of one number, so its result for NaN is known before there is a kernel. That is decided by the
//! bits of x, whatever comparisons with NaN give on the device.

use std::sync::Arc;

use burn::{backend::tensor::FloatTensor, tensor::DType};
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use cubecl::{
    ir::ElemType,
    prelude::*,
    std::tensor::layout::linear::{LinearView, LinearViewMut},
};

use super::{
    Formula,
    backward::FormulaOps,
    graph::{Binary, Unary},
    operations,
    program::{Operation, Program},
};
use crate::{
    cube::elementwise,
    number::cube::{density, erf, exp, expm1, is_nan, log, log1p, of, probability, sigmoid, softplus, tanh, upper},
};

/// Longer programs, which only formulas can be, are Burn's operations one after the other: compilers take more than the
/// square of a kernel's length.
const MOST_STEPS: usize = 256;

impl FormulaOps for CubeBackend {
    fn rectify_formula(x: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        map(formula.program(), x)
    }

    fn rectify_formula_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>, formula: Formula) -> FloatTensor<Self> {
        multiply(formula.slope_program(), None, x, grad)
    }
}

/// The program's result for each element of `x`.
pub(crate) fn map(program: &Arc<Program>, x: CubeTensor) -> CubeTensor {
    if !is_unrolled(program, x.dtype) {
        return operations::map::<CubeBackend>(program, x);
    }
    elementwise("activation", [x], |call| {
        let [x] = call.inputs;
        // SAFETY: as `elementwise` says.
        unsafe {
            forward::launch_unchecked(
                &call.client,
                call.count,
                call.dim,
                call.address,
                call.vector_size,
                x,
                call.output,
                program.clone(),
                call.types,
            );
        }
    })
}

/// The result of `slope` for each element of `kept`, times what `passed` lets through of `grad`.
pub(crate) fn multiply(
    slope: &Arc<Program>,
    passed: Option<&Arc<Program>>,
    kept: CubeTensor,
    grad: CubeTensor,
) -> CubeTensor {
    let dtype = grad.dtype;
    if ![Some(slope), passed].into_iter().flatten().all(|program| is_unrolled(program, dtype)) {
        return operations::multiply::<CubeBackend>(slope, passed.map(Arc::as_ref), kept, grad);
    }
    elementwise("activation", [kept, grad], |call| {
        let [kept, grad] = call.inputs;
        // SAFETY: as `elementwise` says.
        unsafe {
            backward::launch_unchecked(
                &call.client,
                call.count,
                call.dim,
                call.address,
                call.vector_size,
                kept,
                grad,
                call.output,
                slope.clone(),
                passed.cloned(),
                call.types,
            );
        }
    })
}

/// Whether a kernel computes it; otherwise it is Burn's operations.
fn is_unrolled(program: &Program, dtype: DType) -> bool {
    // A shader's text has no other numbers.
    let finite = |number: f64| match dtype {
        DType::F64 => number.is_finite(),
        _ => (number as f32).is_finite(),
    };
    let at_nan = program.at_nan();
    program.steps.len() <= MOST_STEPS && program.constants().all(finite) && (at_nan.is_nan() || finite(at_nan))
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn forward<F: Float, W: Float, B: Int, N: Size>(
    x: LinearView<'_, Vector<F, N>>,
    mut y: LinearViewMut<'_, Vector<F, N>>,
    #[comptime] program: Arc<Program>,
    #[define(F, W, B)] _types: [ElemType; 3],
) {
    if !y.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let x = Vector::<W, N>::cast_from(x.read(ABSOLUTE_POS));
    y.write(ABSOLUTE_POS, Vector::<F, N>::cast_from(run::<W, B, N>(x, program)));
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn backward<F: Float, W: Float, B: Int, N: Size>(
    kept: LinearView<'_, Vector<F, N>>,
    grad: LinearView<'_, Vector<F, N>>,
    mut output: LinearViewMut<'_, Vector<F, N>>,
    #[comptime] slope: Arc<Program>,
    #[comptime] passed: Option<Arc<Program>>,
    #[define(F, W, B)] _types: [ElemType; 3],
) {
    if !output.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let x = Vector::<W, N>::cast_from(kept.read(ABSOLUTE_POS));
    let g = Vector::<W, N>::cast_from(grad.read(ABSOLUTE_POS));
    let g = match comptime![passed] {
        Some(passed) => run::<W, B, N>(g, passed),
        None => g,
    };
    output.write(ABSOLUTE_POS, Vector::<F, N>::cast_from(run::<W, B, N>(x, slope) * g));
}

#[cube]
#[allow(clippy::extra_unused_type_parameters, reason = "its expansion uses them")]
fn run<W: Float, B: Int, N: Size>(x: Vector<W, N>, #[comptime] program: Arc<Program>) -> Vector<W, N> {
    intrinsic!(|scope| {
        let number = |number: f64| of::expand::<W, N>(scope, number);
        let mut registers = vec![x];
        registers.extend(program.constants().map(number));
        registers.resize(program.registers, x);
        for step in &program.steps {
            let at = |register: usize| registers[register];
            registers[step.output] = match step.operation {
                Operation::Unary(function, a) => unary::expand::<W, B, N>(scope, at(a), function),
                Operation::Binary(function, a, b) => binary::expand::<W, B, N>(scope, at(a), at(b), function),
                Operation::Where(condition, a, b) => choose::expand::<W, N>(scope, at(condition), at(a), at(b)),
            };
        }
        let at_nan = program.at_nan();
        let at_nan = if at_nan.is_nan() { x } else { number(at_nan) };
        select_many::expand(scope, is_nan::expand::<W, B, N>(scope, x), at_nan, registers[program.result])
    })
}

#[cube]
fn unary<W: Float, B: Int, N: Size>(a: Vector<W, N>, #[comptime] function: Unary) -> Vector<W, N> {
    let zero = of::<W, N>(0.0);
    match comptime![function] {
        Unary::Neg => -a,
        Unary::Exp => exp::<W, B, N>(a),
        Unary::Expm1 => expm1::<W, B, N>(a),
        Unary::Log => log::<W, B, N>(a),
        Unary::Log1p => log1p::<W, B, N>(a),
        Unary::Sqrt => a.sqrt(),
        Unary::Abs => a.abs(),
        // 0 of either sign, or NaN, stays.
        Unary::Sign => {
            let below = select_many(a.less_than(&zero), of::<W, N>(-1.0), a.abs());
            select_many(a.greater_than(&zero), of::<W, N>(1.0), below)
        }
        // These three are the GPU's own, in f32: WGSL has none for f64, and what comes out where one asks for it is not even
        // an error.
        Unary::Sin => Vector::<W, N>::cast_from(Vector::<f32, N>::cast_from(a).sin()),
        Unary::Cos => Vector::<W, N>::cast_from(Vector::<f32, N>::cast_from(a).cos()),
        Unary::Tanh => tanh::<W, B, N>(a),
        Unary::Sigmoid => sigmoid::<W, B, N>(a),
        Unary::Erf => erf::<W, B, N>(a),
        Unary::Relu => select_many(a.less_equal(&zero), zero, a),
        Unary::Softplus => softplus::<W, B, N>(a),
        Unary::Probability => probability::<W, B, N>(a),
        Unary::Density => density::<W, B, N>(a),
        Unary::Upper => upper::<W, B, N>(a),
    }
}

#[cube]
fn binary<W: Float, B: Int, N: Size>(a: Vector<W, N>, b: Vector<W, N>, #[comptime] function: Binary) -> Vector<W, N> {
    match comptime![function] {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => Vector::<W, N>::cast_from(Vector::<f32, N>::cast_from(a).powf(Vector::<f32, N>::cast_from(b))),
        Binary::Max => unless_nan::<W, B, N>(a, b, select_many(a.greater_than(&b), a, b)),
        Binary::Min => unless_nan::<W, B, N>(a, b, select_many(a.less_than(&b), a, b)),
        Binary::Less => truth::<W, N>(a.less_than(&b)),
        Binary::LessEqual => truth::<W, N>(a.less_equal(&b)),
        Binary::Greater => truth::<W, N>(a.greater_than(&b)),
        Binary::GreaterEqual => truth::<W, N>(a.greater_equal(&b)),
        Binary::Equal => truth::<W, N>(a.equal(&b)),
        Binary::NotEqual => truth::<W, N>(a.not_equal(&b)),
    }
}

/// `value`, or NaN where either operand is.
#[cube]
fn unless_nan<W: Float, B: Int, N: Size>(a: Vector<W, N>, b: Vector<W, N>, value: Vector<W, N>) -> Vector<W, N> {
    let value = select_many(is_nan::<W, B, N>(b), b, value);
    select_many(is_nan::<W, B, N>(a), a, value)
}

/// 1 or 0.
#[cube]
fn truth<W: Float, N: Size>(mask: Vector<bool, N>) -> Vector<W, N> {
    select_many(mask, of::<W, N>(1.0), of::<W, N>(0.0))
}

#[cube]
fn choose<W: Float, N: Size>(condition: Vector<W, N>, a: Vector<W, N>, b: Vector<W, N>) -> Vector<W, N> {
    select_many(condition.not_equal(&of::<W, N>(0.0)), a, b)
}
