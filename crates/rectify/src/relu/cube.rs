//! The kernels of every CubeCL backend: CUDA, ROCm, Metal, Vulkan, WebGPU and CubeCL's own for the processor.
//!
//! Numbers are sorted by their bits and not by comparing floats: WGSL lets a driver assume that there are no NaNs, and
//! GPUs may take subnormal numbers for 0. As signed integers, the bits of positive numbers are 1..=∞, and those of
//! −0.0 down to −∞ are the smallest integers up to −∞'s bits; whatever is neither, nor 0, is NaN.

use burn::backend::tensor::FloatTensor;
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use cubecl::{
    ir::ElemType,
    prelude::*,
    std::tensor::layout::linear::{LinearView, LinearViewMut},
};

use super::{backward::ReluOps, gradient::GradientRule};
use crate::{cube::elementwise, formula::cube::multiply};

impl ReluOps for CubeBackend {
    fn rectify_relu(x: FloatTensor<Self>, _rule: GradientRule) -> FloatTensor<Self> {
        launch_forward(x)
    }

    fn rectify_relu_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        rule: GradientRule,
    ) -> FloatTensor<Self> {
        let (rule, number) = match rule {
            GradientRule::Heaviside { at_zero: 0.0 } => (Rule::Heaviside, 0.0),
            GradientRule::Heaviside { at_zero } => (Rule::HeavisideAtZero, at_zero),
            GradientRule::Leaky { slope } => (Rule::Leaky, slope),
            GradientRule::Guided => (Rule::Guided, 0.0),
            GradientRule::Deconv => (Rule::Deconv, 0.0),
            GradientRule::Surrogate(surrogate) => return multiply(&surrogate.program::<true>(), None, kept, grad),
        };
        launch_backward(kept, grad, rule, number)
    }
}

/// A [`GradientRule`] without its number: each is a kernel of its own. Surrogates are programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rule {
    Heaviside,
    HeavisideAtZero,
    Leaky,
    Guided,
    Deconv,
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn forward<F: Float, W: Float, B: Int, N: Size>(
    x: LinearView<'_, Vector<F, N>>,
    mut y: LinearViewMut<'_, Vector<F, N>>,
    #[define(F, W, B)] _types: [ElemType; 3],
) {
    if !y.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    y.write(ABSOLUTE_POS, f::<F, W, B, N>(x.read(ABSOLUTE_POS)));
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn backward<F: Float, W: Float, B: Int, N: Size>(
    kept: LinearView<'_, Vector<F, N>>,
    grad: LinearView<'_, Vector<F, N>>,
    mut output: LinearViewMut<'_, Vector<F, N>>,
    number: InputScalar,
    #[comptime] rule: Rule,
    #[define(F, W, B)] _types: [ElemType; 3],
) {
    if !output.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let (x, g) = (kept.read(ABSOLUTE_POS), grad.read(ABSOLUTE_POS));
    output.write(ABSOLUTE_POS, df::<F, W, B, N>(x, g, number.get::<W>(), rule));
}

/// max(0, x), NaN for NaN, 0.0 for −0.0.
#[cube]
fn f<F: Float, W: Float, B: Int, N: Size>(x: Vector<F, N>) -> Vector<F, N> {
    let bits = bits::<F, W, B, N>(x);
    select_many(is_nonpositive::<B, N>(bits), Vector::new(F::new(0.0)), x)
}

/// What the rule makes of g at x, which is the input or, where the rule keeps that, the output.
#[cube]
fn df<F: Float, W: Float, B: Int, N: Size>(
    x: Vector<F, N>,
    g: Vector<F, N>,
    number: W,
    #[comptime] rule: Rule,
) -> Vector<F, N> {
    let zero = Vector::new(F::new(0.0));
    match comptime![rule] {
        Rule::Heaviside => choose::<F, W, B, N>(x, g, zero),
        Rule::HeavisideAtZero => {
            let at_zero = is_zero::<B, N>(bits::<F, W, B, N>(x));
            let off = select_many(at_zero, times::<F, W, N>(g, Vector::new(number)), zero);
            choose::<F, W, B, N>(x, g, off)
        }
        Rule::Leaky => choose::<F, W, B, N>(x, g, times::<F, W, N>(g, Vector::new(number))),
        Rule::Guided => choose::<F, W, B, N>(x, f::<F, W, B, N>(g), zero),
        Rule::Deconv => f::<F, W, B, N>(g),
    }
}

/// `on` for x > 0, `off` for x ≤ 0, NaN for NaN.
#[cube]
pub(crate) fn choose<F: Float, W: Float, B: Int, N: Size>(
    x: Vector<F, N>,
    on: Vector<F, N>,
    off: Vector<F, N>,
) -> Vector<F, N> {
    let bits = bits::<F, W, B, N>(x);
    // What is left is NaN, and so is x.
    let rest = select_many(is_nonpositive::<B, N>(bits), off, x);
    select_many(is_positive::<B, N>(bits), on, rest)
}

#[cube]
pub(crate) fn times<F: Float, W: Float, N: Size>(g: Vector<F, N>, factor: Vector<W, N>) -> Vector<F, N> {
    Vector::<F, N>::cast_from(Vector::<W, N>::cast_from(g) * factor)
}

#[cube]
fn bits<F: Float, W: Float, B: Int, N: Size>(x: Vector<F, N>) -> Vector<B, N> {
    Vector::<B, N>::reinterpret(Vector::<W, N>::cast_from(x))
}

#[cube]
fn is_positive<B: Int, N: Size>(bits: Vector<B, N>) -> Vector<bool, N> {
    let width = B::size_bits().comptime();
    let infinity = Vector::new(B::new(comptime!(infinity(width))));
    bits.greater_than(&Vector::new(B::new(0))).vec_and(bits.less_equal(&infinity))
}

#[cube]
fn is_nonpositive<B: Int, N: Size>(bits: Vector<B, N>) -> Vector<bool, N> {
    let width = B::size_bits().comptime();
    let minus_infinity = Vector::new(B::new(comptime!(minus_infinity(width))));
    bits.equal(&Vector::new(B::new(0))).or(bits.less_equal(&minus_infinity))
}

#[cube]
fn is_zero<B: Int, N: Size>(bits: Vector<B, N>) -> Vector<bool, N> {
    // Twice the bits lose the sign.
    (bits + bits).equal(&Vector::new(B::new(0)))
}

fn infinity(width: usize) -> i64 {
    match width {
        64 => f64::INFINITY.to_bits() as i64,
        _ => f32::INFINITY.to_bits() as i64,
    }
}

fn minus_infinity(width: usize) -> i64 {
    match width {
        64 => f64::NEG_INFINITY.to_bits() as i64,
        _ => f32::NEG_INFINITY.to_bits() as i32 as i64,
    }
}

fn launch_forward(x: CubeTensor) -> CubeTensor {
    elementwise("relu", [x], |call| {
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
                call.types,
            );
        }
    })
}

fn launch_backward(kept: CubeTensor, grad: CubeTensor, rule: Rule, number: f64) -> CubeTensor {
    elementwise("relu", [kept, grad], |call| {
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
                InputScalar::new(number, call.types[1]),
                rule,
                call.types,
            );
        }
    })
}
