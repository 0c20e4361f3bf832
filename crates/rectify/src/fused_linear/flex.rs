//! The layer's CPU kernels on Flex, in f32: the function and, below it, its gradient. Other types take the defaults.

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::{Bytes, DType, Shape},
};
use burn_flex::{FlexTensor, Layout};
use gemm::Parallelism;
use pulp::Arch;

use super::{
    FusedActivation,
    backward::{FusedLinearOps, default},
};
use crate::relu::real::{self, Apply};

impl FusedLinearOps for Flex {
    fn rectify_fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> FloatTensor<Self> {
        let (Some(matrices), Some(bias)) = (Matrices::of(&x, &weight), row(&bias)) else {
            return default::fused_linear::<Self>(x, weight, bias, activation);
        };
        let mut z = matrices.product();
        for_each_value(&mut z, bias, activation);
        tensor(z, [matrices.rows, matrices.columns])
    }

    fn rectify_fused_linear_watched(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        tap: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if Matrices::of(&x, &weight).is_none() {
            return default::fused_linear_watched::<Self>(x, weight, bias, tap, activation);
        }
        let z = Self::rectify_fused_linear(x, weight, bias, FusedActivation::Identity);
        let mut output = z.storage::<f32>().to_vec();
        let columns = z.shape()[1];
        // −0.0, the neutral element of addition, keeps every bit of z.
        for_each_value(&mut output, &vec![-0.0; columns], activation);
        let output = tensor(output, [z.shape()[0], columns]);
        (z, output)
    }

    fn rectify_fused_linear_z_backward(
        output: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (Some(values), Some(_)) = (matrix(&output), matrix(&grad)) else {
            return default::fused_linear_z_backward::<Self>(output, grad, activation);
        };
        let columns = output.shape()[1];
        let mut grad = grad;
        let mut bias_grad = vec![0.0; columns];
        let z_grad = match grad.try_storage_mut::<f32>() {
            Some(gradients) => {
                for_each_slope(values, gradients, &mut bias_grad, activation);
                grad
            }
            None => {
                let mut gradients = grad.storage::<f32>().to_vec();
                for_each_slope(values, &mut gradients, &mut bias_grad, activation);
                tensor(gradients, [output.shape()[0], columns])
            }
        };
        (z_grad, tensor(bias_grad, [columns]))
    }

    fn rectify_fused_linear_weight_backward(x: FloatTensor<Self>, z_grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let transposed = x.transpose(0, 1);
        match Matrices::of(&transposed, &z_grad) {
            Some(matrices) => tensor(matrices.product(), [matrices.rows, matrices.columns]),
            None => default::fused_linear_weight_backward::<Self>(x, z_grad),
        }
    }

    fn rectify_fused_linear_x_backward(weight: FloatTensor<Self>, z_grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let transposed = weight.transpose(0, 1);
        match Matrices::of(&z_grad, &transposed) {
            Some(matrices) => tensor(matrices.product(), [matrices.rows, matrices.columns]),
            None => default::fused_linear_x_backward::<Self>(weight, z_grad),
        }
    }
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::from(shape)), DType::F32)
}

/// All values of a matrix whose storage holds nothing else.
fn matrix(x: &FlexTensor) -> Option<&[f32]> {
    let values = x.layout().num_elements();
    let whole = x.dtype() == DType::F32 && x.is_contiguous() && x.bytes().len() == 4 * values && values > 0;
    (whole && x.rank() == 2).then(|| x.storage())
}

fn row(x: &FlexTensor) -> Option<&[f32]> {
    if x.dtype() == DType::F32 { x.as_slice() } else { None }
}

/// The operands of a product, of any strides.
struct Matrices<'a> {
    left: &'a [f32],
    left_strides: [isize; 2],
    right: &'a [f32],
    right_strides: [isize; 2],
    rows: usize,
    inner: usize,
    columns: usize,
}

impl<'a> Matrices<'a> {
    /// `None` where the kernel does not apply: another type or rank, nothing to multiply, flipped operands.
    fn of(left: &'a FlexTensor, right: &'a FlexTensor) -> Option<Self> {
        fn operand(x: &FlexTensor) -> Option<(&[f32], [isize; 2], [usize; 2])> {
            let (&[rows, columns], &[row, column]) = (&x.layout().shape()[..], x.layout().strides()) else {
                return None;
            };
            let plain = x.dtype() == DType::F32 && rows > 0 && columns > 0 && row >= 0 && column >= 0;
            let values = x.storage::<f32>().get(x.layout().start_offset()..);
            // The last element must be in the storage: what the unsafe product below relies on.
            let last = (rows - 1) * row as usize + (columns - 1) * column as usize;
            plain
                .then_some(values?)
                .filter(|values| last < values.len())
                .map(|values| (values, [row, column], [rows, columns]))
        }
        if left.dtype() != DType::F32 || right.dtype() != DType::F32 {
            return None;
        }
        let (left, left_strides, [rows, inner]) = operand(left)?;
        let (right, right_strides, [right_rows, columns]) = operand(right)?;
        (inner == right_rows).then_some(Self { left, left_strides, right, right_strides, rows, inner, columns })
    }

    /// The product, in rows.
    fn product(&self) -> Vec<f32> {
        let size = self.rows * self.columns;
        let mut product = Vec::with_capacity(size);
        // One thread: products of a layer's size are won by overheads, and trainings run side by side.
        let parallelism = Parallelism::None;
        // SAFETY: `of` has checked that both operands' last elements are in their slices; the destination has room for
        // `size` values in rows, is not read (`read_dst` is false) and is written whole, so its length may be set.
        unsafe {
            gemm::gemm(
                self.rows,
                self.columns,
                self.inner,
                product.as_mut_ptr(),
                1,
                self.columns as isize,
                false,
                self.left.as_ptr(),
                self.left_strides[1],
                self.left_strides[0],
                self.right.as_ptr(),
                self.right_strides[1],
                self.right_strides[0],
                0.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
            product.set_len(size);
        }
        product
    }
}

/// φ(z + b), row by row.
fn for_each_value(z: &mut [f32], bias: &[f32], activation: FusedActivation) {
    #[inline(always)]
    fn each(z: &mut [f32], bias: &[f32], phi: impl Fn(f32) -> f32) {
        Arch::new().dispatch(|| {
            for row in z.chunks_exact_mut(bias.len()) {
                for (z, b) in row.iter_mut().zip(bias) {
                    *z = phi(*z + *b);
                }
            }
        });
    }
    match activation {
        FusedActivation::Identity => each(z, bias, |z| z),
        FusedActivation::Relu(_) => each(z, bias, real::f),
        FusedActivation::Sigmoid => each(z, bias, sigmoid),
        FusedActivation::Tanh => each(z, bias, tanh),
    }
}

/// φ′ · g in place of g, row by row, and its sum over the rows. `values` are φ(z), which tell φ′.
fn for_each_slope(values: &[f32], grad: &mut [f32], bias_grad: &mut [f32], activation: FusedActivation) {
    struct Rows<'a>(&'a [f32], &'a mut [f32], &'a mut [f32]);
    impl Apply<f32> for Rows<'_> {
        type Output = ();

        #[inline(always)]
        fn apply(self, slope: impl Fn(f32, f32) -> f32 + Sync) {
            let Self(values, grad, bias_grad) = self;
            let columns = bias_grad.len();
            Arch::new().dispatch(|| {
                for (values, grad) in values.chunks_exact(columns).zip(grad.chunks_exact_mut(columns)) {
                    for ((a, g), b) in values.iter().zip(grad).zip(bias_grad.iter_mut()) {
                        *g = slope(*a, *g);
                        *b += *g;
                    }
                }
            });
        }
    }
    let rows = Rows(values, grad, bias_grad);
    match activation {
        FusedActivation::Identity => rows.apply(|_, g| g),
        FusedActivation::Relu(rule) => real::df(rule, rows),
        FusedActivation::Sigmoid => rows.apply(|a, g| g * (a * (1.0 - a))),
        FusedActivation::Tanh => rows.apply(|a, g| g * (1.0 - a * a)),
    }
}

/// 1 / (1 + e⁻ᶻ).
#[inline(always)]
fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + exp(-z))
}

/// tanh z, to two units in the last place: the rational form away from 0, a polynomial near it (Moshier, *Cephes*,
/// tanhf).
#[inline(always)]
fn tanh(z: f32) -> f32 {
    let far = 1.0 - 2.0 / (exp(2.0 * z.abs()) + 1.0);
    let square = z * z;
    let mut p = -5.704_988_7e-3;
    p = p * square + 2.063_908_8e-2;
    p = p * square - 5.373_971_5e-2;
    p = p * square + 1.333_144_2e-1;
    p = p * square - 3.333_328e-1;
    let near = p * square * z + z;
    // Odd, also in its sign at 0.
    if z.abs() > 0.625 { far } else { near }.copysign(z)
}

/// eˣ without a branch, so that loops over it vectorise: 2ⁿ times a polynomial in the rest (Moshier, *Cephes*, expf).
/// ∞ from 88.4 on, the smallest normal number below −87.3.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding it leaves n, rounded, in the last bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 89.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, of which the first has few bits, so that n times it is exact.
    let rest = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * rest + 1.398_199_9e-3;
    p = p * rest + 8.333_452e-3;
    p = p * rest + 4.166_579_6e-2;
    p = p * rest + 1.666_666_6e-1;
    p = p * rest + 0.5;
    let p = p * rest * rest + rest + 1.0;
    p * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = f32> {
        (-400_000..=400_000).map(|i| i as f32 * 2.5e-4)
    }

    #[test]
    fn tanh_and_sigmoid_are_right_to_rounding() {
        for z in grid() {
            let (exact, found) = (f64::from(z).tanh(), f64::from(tanh(z)));
            assert!((exact - found).abs() <= 2.5e-7 * exact.abs().max(1e-30), "tanh({z}): {found}, not {exact}");
            let (exact, found) = (1.0 / (1.0 + (-f64::from(z)).exp()), f64::from(sigmoid(z)));
            // Below −87 the result is under f32's normal range.
            assert!((exact - found).abs() <= 2.5e-7 * exact + 1e-37, "sigmoid({z}): {found}, not {exact}");
        }
    }

    #[test]
    fn tanh_and_sigmoid_keep_nan_and_reach_their_limits() {
        assert!(tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY)), (1.0, 0.0));
        assert_eq!(tanh(-0.0).to_bits(), (-0.0f32).to_bits());
    }
}
