//! The layer's CPU kernels on Flex, in f32: the function and, below it, its gradient. Other types take the defaults.

use std::{borrow::Cow, mem::MaybeUninit, sync::Once};

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::DType,
};
use burn_flex::FlexTensor;
use gemm::Parallelism;

use super::{
    Bias, FusedActivation,
    backward::{FusedLinearOps, default},
};
use crate::{
    activation,
    fused_activation::flex::{slope, value},
    host::{Real, arch, tensor},
    relu::host::Apply,
};

impl FusedLinearOps for Flex {
    fn rectify_fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        activation: FusedActivation,
    ) -> FloatTensor<Self> {
        let Some((matrices, bias)) = Matrices::with_bias(&x, &weight, &bias) else {
            return default::fused_linear::<Self>(x, weight, bias, activation);
        };
        let mut z = matrices.product();
        for z in z.chunks_mut(block(bias.len())) {
            value(activation, Rows { z, bias: &bias });
            if let Some(function) = activation.function() {
                activation::host::value_in_place(function, z);
            }
        }
        tensor(z, [matrices.rows, matrices.columns])
    }

    fn rectify_fused_linear_watched(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        tap: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let Some((matrices, bias)) = Matrices::with_bias(&x, &weight, &bias) else {
            return default::fused_linear_watched::<Self>(x, weight, bias, tap, activation);
        };
        let mut z = matrices.product();
        let mut output = Vec::with_capacity(z.len());
        let free = &mut output.spare_capacity_mut()[..z.len()];
        let block = block(bias.len());
        for (z, output) in z.chunks_mut(block).zip(free.chunks_mut(block)) {
            match activation.function() {
                Some(function) => {
                    value(FusedActivation::Identity, Rows { z, bias: &bias });
                    activation::host::value(function, z, output);
                }
                None => value(activation, WatchedRows { z, output, bias: &bias }),
            }
        }
        // SAFETY: every element is written: both are of the same length, and `with_bias` has checked that their rows are as
        // long as the bias, by which they are taken.
        unsafe { output.set_len(z.len()) };
        let shape = [matrices.rows, matrices.columns];
        (tensor(z, shape), tensor(output, shape))
    }

    fn rectify_fused_linear_z_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: FusedActivation,
        bias: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        let (Some(values), Some(_)) = (matrix(&kept), matrix(&grad)) else {
            return default::fused_linear_z_backward::<Self>(kept, grad, activation, bias);
        };
        let columns = kept.shape()[1];
        let mut grad = grad;
        let mut bias_grad = vec![0.0; columns];
        let z_grad = match grad.try_storage_mut::<f32>() {
            Some(gradients) => {
                z_gradient(activation, values, gradients, &mut bias_grad);
                grad
            }
            None => {
                let mut gradients = grad.storage::<f32>().to_vec();
                z_gradient(activation, values, &mut gradients, &mut bias_grad);
                tensor(gradients, [kept.shape()[0], columns])
            }
        };
        // Summed in the same pass, asked for or not.
        (z_grad, bias.then(|| tensor(bias_grad, [columns])))
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

/// Elements of so many whole rows that they stay in the first cache.
fn block(columns: usize) -> usize {
    (1024 / columns).max(1) * columns
}

/// φ′ · g in place of g, and its sum over the rows.
fn z_gradient(activation: FusedActivation, kept: &[f32], grad: &mut [f32], bias_grad: &mut [f32]) {
    let block = block(bias_grad.len());
    for (kept, grad) in kept.chunks(block).zip(grad.chunks_mut(block)) {
        if let Some(function) = activation.function() {
            activation::host::slope_times(function, kept, grad);
        }
        slope(activation, GradientRows { kept, grad, bias_grad: &mut *bias_grad });
    }
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
            if !plain {
                return None;
            }
            let values = x.storage::<f32>().get(x.layout().start_offset()..)?;
            // The last element must be in the storage: what the unsafe product below relies on.
            let last = (rows - 1) * row as usize + (columns - 1) * column as usize;
            (last < values.len()).then_some((values, [row, column], [rows, columns]))
        }
        let (left, left_strides, [rows, inner]) = operand(left)?;
        let (right, right_strides, [right_rows, columns]) = operand(right)?;
        (inner == right_rows).then_some(Self { left, left_strides, right, right_strides, rows, inner, columns })
    }

    /// [`of`](Self::of), and a bias with a number for each column: −0.0, the neutral element of addition, where there is
    /// none.
    fn with_bias(left: &'a FlexTensor, right: &'a FlexTensor, bias: &'a Bias<Flex>) -> Option<(Self, Cow<'a, [f32]>)> {
        let matrices = Self::of(left, right)?;
        let bias = match bias {
            Bias::Some(bias) => Cow::Borrowed(row(bias)?),
            Bias::None => Cow::Owned(vec![-0.0; matrices.columns]),
        };
        (bias.len() == matrices.columns).then_some((matrices, bias))
    }

    /// The product, in rows.
    fn product(&self) -> Vec<f32> {
        let size = self.rows * self.columns;
        let mut product = Vec::with_capacity(size);
        // One thread: products of a layer's size are won by overheads, and trainings run side by side.
        let parallelism = Parallelism::None;
        // Up to 32 · 6 samples read a layer's weights where they are: from the second-level cache that is as fast as from
        // a copy in order, which takes 3 to 5 % of an MLP's step to make (batches of 64 and 128, AVX-512).
        static COPY_FROM: Once = Once::new();
        COPY_FROM.call_once(|| gemm::set_lhs_packing_threshold_single_thread(32));
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

/// φ(z + b) in place of z, row by row.
struct Rows<'a> {
    z: &'a mut [f32],
    bias: &'a [f32],
}

impl Apply<f32> for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn apply(self, phi: impl Fn(f32, f32) -> f32 + Sync) {
        let Self { z, bias } = self;
        arch().dispatch(|| {
            for row in z.chunks_exact_mut(bias.len()) {
                for (z, b) in row.iter_mut().zip(bias) {
                    *z = phi(*z, *b);
                }
            }
        });
    }
}

/// z + b in place of z and φ(z + b) in place of `output`, row by row.
struct WatchedRows<'a> {
    z: &'a mut [f32],
    output: &'a mut [MaybeUninit<f32>],
    bias: &'a [f32],
}

impl Apply<f32> for WatchedRows<'_> {
    type Output = ();

    #[inline(always)]
    fn apply(self, phi: impl Fn(f32, f32) -> f32 + Sync) {
        let Self { z, output, bias } = self;
        arch().dispatch(|| {
            for (row, output) in z.chunks_exact_mut(bias.len()).zip(output.chunks_exact_mut(bias.len())) {
                for ((z, a), b) in row.iter_mut().zip(output).zip(bias) {
                    *z += *b;
                    // −0.0, the neutral element of addition, keeps every bit of z.
                    a.write(phi(*z, -0.0));
                }
            }
        });
    }
}

/// φ′ · g in place of g, row by row, and its sum over the rows.
struct GradientRows<'a> {
    /// φ(z) or z, which tells φ′.
    kept: &'a [f32],
    grad: &'a mut [f32],
    bias_grad: &'a mut [f32],
}

impl Apply<f32> for GradientRows<'_> {
    type Output = ();

    #[inline(always)]
    fn apply(self, slope: impl Fn(f32, f32) -> f32 + Sync) {
        let Self { kept, grad, bias_grad } = self;
        let columns = bias_grad.len();
        arch().dispatch(|| {
            let zero = f32::hidden_zero();
            for (kept, grad) in kept.chunks_exact(columns).zip(grad.chunks_exact_mut(columns)) {
                for ((a, g), b) in kept.iter().zip(grad).zip(bias_grad.iter_mut()) {
                    *g = slope(*a, *g).or(zero);
                    *b += *g;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix_of(shape: [usize; 2]) -> FlexTensor {
        tensor((0..shape[0] * shape[1]).map(|i| i as f32).collect(), shape)
    }

    #[test]
    fn the_kernel_takes_operands_of_any_strides_and_leaves_others_to_burn() {
        let product = |left: &FlexTensor, right: &FlexTensor| Matrices::of(left, right).map(|of| of.product());
        // (0 1 2; 3 4 5) (0 1; 2 3; 4 5), and the product of both transposes.
        let (left, right) = (matrix_of([2, 3]), matrix_of([3, 2]));
        assert_eq!(product(&left, &right), Some(vec![10.0, 13.0, 28.0, 40.0]));
        let product_of_transposes = product(&right.transpose(0, 1), &left.transpose(0, 1));
        assert_eq!(product_of_transposes, Some(vec![10.0, 28.0, 13.0, 40.0]));
        // (1 2; 4 5) (0 1; 2 3): columns of a matrix, up to the end of its storage.
        assert_eq!(product(&left.narrow(1, 1, 2), &matrix_of([2, 2])), Some(vec![4.0, 7.0, 10.0, 19.0]));

        let doubles = tensor(vec![1.0f64; 6], [3, 2]);
        assert_eq!(product(&left, &doubles), None);
        assert_eq!(product(&doubles, &matrix_of([2, 3])), None);
        assert_eq!(product(&left, &left), None, "3 columns by 2 rows");
        for [rows, columns] in [[0, 3], [3, 0]] {
            let empty = matrix_of([rows, columns]);
            assert_eq!(product(&empty, &matrix_of([columns, 2])), None);
            assert_eq!(product(&matrix_of([2, rows]), &empty), None);
        }
        assert_eq!(product(&tensor(vec![1.0f32; 6], [1, 2, 3]), &right), None);
    }

    #[test]
    fn a_bias_is_one_number_for_each_column() {
        let (left, right) = (matrix_of([2, 3]), matrix_of([3, 2]));
        let bias = |bias: Bias<Flex>| Matrices::with_bias(&left, &right, &bias).map(|(_, bias)| bias.into_owned());
        assert_eq!(bias(Bias::Some(tensor(vec![0.5f32, -1.0], [2]))), Some(vec![0.5, -1.0]));
        // The sign shows: −0.0 + −0.0 stays −0.0.
        assert_eq!(bias(Bias::None).map(|bias| bias.iter().map(|b| b.to_bits()).collect()), Some(vec![1u32 << 31; 2]));
        assert_eq!(bias(Bias::Some(tensor(vec![0.5f32; 3], [3]))), None);
        assert_eq!(bias(Bias::Some(tensor(vec![0.5f64; 2], [2]))), None);
    }

    #[test]
    fn a_storage_that_holds_more_than_a_matrix_in_order_is_not_read_as_one() {
        let whole = matrix_of([2, 3]);
        assert_eq!(matrix(&whole), Some(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0][..]));
        for view in [whole.transpose(0, 1), whole.narrow(0, 0, 1), whole.narrow(0, 1, 1), whole.narrow(1, 0, 2)] {
            assert_eq!(matrix(&view), None, "{:?}", view.layout());
        }
        assert_eq!(matrix(&tensor(vec![1.0f64; 6], [2, 3])), None);
        assert_eq!(matrix(&tensor(vec![1.0f32; 6], [1, 2, 3])), None);
        assert_eq!(matrix(&matrix_of([0, 3])), None);
    }
}
