//! The kernels of every CubeCL backend: CUDA, ROCm, Metal, Vulkan, WebGPU and CubeCL's own for the processor.
//!
//! Numbers are sorted by their bits and not by comparing floats: WGSL lets a driver assume that there are no NaNs, and
//! GPUs may take subnormal numbers for 0. As signed integers, the bits of positive numbers are 1..=∞, and those of
//! −0.0 down to −∞ are the smallest integers up to −∞'s bits; whatever is neither, nor 0, is NaN.

use burn::{
    backend::{Backend as _, cubecl::dtype_to_storage_type, tensor::FloatTensor},
    tensor::DType,
};
use burn_cubecl::{CubeBackend, ops::numeric::empty_device_dtype, tensor::CubeTensor};
use cubecl::{
    calculate_cube_count_elemwise,
    ir::ElemType,
    prelude::*,
    std::tensor::layout::linear::{LinearView, LinearViewMut},
    tensor_vector_size_parallel,
    zspace::metadata::Metadata,
};

use super::{
    backward::ReluOps,
    gradient::{BSILU_ALPHA, GradientRule, Surrogate},
};

impl ReluOps for CubeBackend {
    fn rectify_relu(x: FloatTensor<Self>, _rule: GradientRule) -> FloatTensor<Self> {
        launch_forward(x)
    }

    fn rectify_relu_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        rule: GradientRule,
    ) -> FloatTensor<Self> {
        launch_backward(kept, grad, rule)
    }
}

/// A [`GradientRule`] without its number: each is a kernel of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rule {
    Heaviside,
    HeavisideAtZero,
    Leaky,
    BSilu,
    NeLu,
    Guided,
    Deconv,
}

/// The kernel of a rule, and the rule's number.
fn kernel_of(rule: GradientRule) -> (Rule, f64) {
    match rule {
        GradientRule::Heaviside { at_zero: 0.0 } => (Rule::Heaviside, 0.0),
        GradientRule::Heaviside { at_zero } => (Rule::HeavisideAtZero, at_zero),
        GradientRule::Leaky { slope } => (Rule::Leaky, slope),
        GradientRule::Surrogate(Surrogate::BSilu) => (Rule::BSilu, BSILU_ALPHA),
        GradientRule::Surrogate(Surrogate::NeLu { alpha }) => (Rule::NeLu, alpha),
        GradientRule::Guided => (Rule::Guided, 0.0),
        GradientRule::Deconv => (Rule::Deconv, 0.0),
    }
}

/// The tensor's type F, the type W that it is computed in, and the integer B of W's bits.
fn types(dtype: DType) -> [ElemType; 3] {
    let (wide, bits) = match dtype {
        DType::F64 => (DType::F64, DType::I64),
        _ => (DType::F32, DType::I32),
    };
    [dtype, wide, bits].map(dtype_to_storage_type)
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
    let wide = Vector::<W, N>::cast_from(x);
    match comptime![rule] {
        Rule::Heaviside => choose::<F, W, B, N>(x, g, zero),
        Rule::HeavisideAtZero => {
            let at_zero = is_zero::<B, N>(bits::<F, W, B, N>(x));
            let off = select_many(at_zero, times::<F, W, N>(g, Vector::new(number)), zero);
            choose::<F, W, B, N>(x, g, off)
        }
        Rule::Leaky => choose::<F, W, B, N>(x, g, times::<F, W, N>(g, Vector::new(number))),
        Rule::BSilu => {
            let all = times::<F, W, N>(g, bsilu::<W, N>(wide, number));
            choose::<F, W, B, N>(x, all, all)
        }
        Rule::NeLu => choose::<F, W, B, N>(x, g, times::<F, W, N>(g, nelu::<W, N>(wide, number))),
        Rule::Guided => choose::<F, W, B, N>(x, f::<F, W, B, N>(g), zero),
        Rule::Deconv => f::<F, W, B, N>(g),
    }
}

/// `on` for x > 0, `off` for x ≤ 0, NaN for NaN.
#[cube]
fn choose<F: Float, W: Float, B: Int, N: Size>(x: Vector<F, N>, on: Vector<F, N>, off: Vector<F, N>) -> Vector<F, N> {
    let bits = bits::<F, W, B, N>(x);
    // What is left is NaN, and so is x.
    let rest = select_many(is_nonpositive::<B, N>(bits), off, x);
    select_many(is_positive::<B, N>(bits), on, rest)
}

#[cube]
fn times<F: Float, W: Float, N: Size>(g: Vector<F, N>, factor: Vector<W, N>) -> Vector<F, N> {
    Vector::<F, N>::cast_from(Vector::<W, N>::cast_from(g) * factor)
}

/// s′ of B-SiLU. Beyond ±80 it is 0 or 1 to rounding, and exp(80) is within f32.
///
/// σ is computed in f32 for all types: WGSL has no exp in f64, and what comes out where one asks for it is not even an
/// error.
#[cube]
fn bsilu<W: Float, N: Size>(x: Vector<W, N>, alpha: W) -> Vector<W, N> {
    let x = clamp(x, Vector::new(W::new(-80.0)), Vector::new(W::new(80.0)));
    let one = Vector::<f32, N>::new(1.0f32);
    let sigmoid = Vector::<W, N>::cast_from(one / (one + Vector::exp(-Vector::<f32, N>::cast_from(x))));
    sigmoid + (x + Vector::new(alpha)) * sigmoid * (Vector::new(W::new(1.0)) - sigmoid)
}

/// s′ of NeLU for x ≤ 0. Beyond −1e9 it is 0 to rounding, and (1e9)⁴ is within f32.
#[cube]
fn nelu<W: Float, N: Size>(x: Vector<W, N>, alpha: W) -> Vector<W, N> {
    let x = clamp(x, Vector::new(W::new(-1e9)), Vector::new(W::new(0.0)));
    let root = Vector::new(W::new(1.0)) + x * x;
    Vector::new(W::new(2.0) * alpha) * x / (root * root)
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
    assert_computes(&x);
    if x.meta.num_elements() == 0 {
        return x;
    }
    let ([x], layout) = flattened([x]);
    let in_place = x.can_mut() && x.is_nonoverlapping();
    let y = if in_place { x.clone() } else { empty_like(&x) };
    let launch = Launch::over(&[&x, &y]);
    let types = types(x.dtype);
    // SAFETY: a unit beyond the end stops by the kernel's own test, and the views have the same number of elements.
    unsafe {
        forward::launch_unchecked(
            &y.client,
            launch.count,
            launch.dim,
            launch.address,
            launch.vector_size,
            x.into_linear_view(),
            if in_place { y.as_linear_view_alias(0) } else { y.clone().into_linear_view() },
            types,
        );
    }
    restored(y, layout)
}

fn launch_backward(kept: CubeTensor, grad: CubeTensor, rule: GradientRule) -> CubeTensor {
    assert_computes(&grad);
    if grad.meta.num_elements() == 0 {
        return grad;
    }
    let ([kept, grad], layout) = flattened([kept, grad]);
    let in_place = grad.can_mut() && grad.is_nonoverlapping();
    let output = if in_place { grad.clone() } else { empty_like(&grad) };
    let launch = Launch::over(&[&kept, &grad, &output]);
    let (rule, number) = kernel_of(rule);
    let types = types(grad.dtype);
    // SAFETY: as in `launch_forward`.
    unsafe {
        backward::launch_unchecked(
            &output.client,
            launch.count,
            launch.dim,
            launch.address,
            launch.vector_size,
            kept.into_linear_view(),
            grad.into_linear_view(),
            if in_place { output.as_linear_view_alias(1) } else { output.clone().into_linear_view() },
            InputScalar::new(number, types[1]),
            rule,
            types,
        );
    }
    restored(output, layout)
}

/// A kernel in a type that the device lacks fails where nobody hears it, and leaves its output as it was.
fn assert_computes(x: &CubeTensor) {
    assert!(
        CubeBackend::supports_dtype(&x.device, x.dtype),
        "relu: {} does not compute in {}",
        x.client.properties().identity.name,
        x.dtype.name()
    );
}

/// How many units walk the tensors, and in what steps.
struct Launch {
    count: CubeCount,
    dim: CubeDim,
    address: AddressType,
    vector_size: usize,
}

impl Launch {
    fn over(tensors: &[&CubeTensor]) -> Self {
        let first = tensors[0];
        let vector_size = tensors
            .iter()
            .map(|tensor| {
                let sizes = tensor.client.io_optimized_vector_sizes(tensor.dtype.size());
                let last = tensor.meta.num_dims() - 1;
                tensor_vector_size_parallel(sizes, tensor.meta.shape(), tensor.meta.strides(), last)
            })
            .min()
            .unwrap_or(1);
        let units = first.meta.num_elements() / vector_size;
        let dim = CubeDim::new(&first.client, units);
        Self {
            count: calculate_cube_count_elemwise(&first.client, units, dim),
            dim,
            address: tensors.iter().map(|tensor| tensor.required_address_type()).max().unwrap_or_default(),
            vector_size,
        }
    }
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

fn restored(tensor: CubeTensor, layout: Option<Metadata>) -> CubeTensor {
    match layout {
        Some(layout) => CubeTensor { meta: Box::new(layout), ..tensor },
        None => tensor,
    }
}
