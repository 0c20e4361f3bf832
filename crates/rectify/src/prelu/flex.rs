//! The CPU kernels on Flex. One slope for all is leaky ReLU's; several are laid out block by block as they meet x.

use std::{
    mem::MaybeUninit,
    ops::{AddAssign, Mul, Range},
};

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::DType,
};
use burn_flex::FlexTensor;
use half::{bf16, f16};
use pulp::NullaryFnOnce;
#[cfg(target_arch = "x86_64")]
use pulp::f32x8;

use super::backward::{PreluOps, default};
#[cfg(target_arch = "x86_64")]
use crate::number::{Eight, Number};
use crate::{
    LeakyRelu,
    activation::ActivationOps,
    host::{
        COMPUTED_BLOCK as BLOCK, COSTLY_PART as PART, Computed, Half, Real, Work, arch, by_dtype, by_parts, dense,
        dispatch, fresh_in_blocks, rows, select, tensor,
    },
};

impl PreluOps for Flex {
    fn rectify_prelu(x: FloatTensor<Self>, slopes: FloatTensor<Self>) -> FloatTensor<Self> {
        match only_slope(&slopes) {
            Some(negative_slope) => Flex::rectify_activation(x, LeakyRelu { negative_slope }.into()),
            None => by_dtype!(x.dtype(), leak(dense(x), dense(slopes), None)),
        }
    }

    fn rectify_prelu_backward(
        x: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        match only_slope(&slopes) {
            // That keeps its output where the slope is positive, which has the sign of x.
            Some(negative_slope) => Flex::rectify_activation_backward(x, grad, LeakyRelu { negative_slope }.into()),
            None => by_dtype!(x.dtype(), leak(dense(x), dense(slopes), Some(dense(grad)))),
        }
    }

    fn rectify_prelu_slopes_backward(
        x: FloatTensor<Self>,
        slopes: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        by_dtype!(x.dtype(), slopes_backward(dense(x), slopes, dense(grad)))
    }
}

/// The slope, if there is one for all.
fn only_slope(slopes: &FlexTensor) -> Option<f64> {
    fn first<E: Computed>(slopes: FlexTensor) -> f64 {
        slopes.storage::<E>()[0].to_f64()
    }
    (slopes.shape().num_elements() == 1).then(|| by_dtype!(slopes.dtype(), first(dense(slopes.clone()))))
}

/// Which slope an element has: each is that of `run` elements one after the other, and after the last the first follows.
#[derive(Clone, Copy)]
struct Layout {
    slopes: usize,
    run: usize,
}

impl Layout {
    /// Of slopes that are of x's size in dimensions side by side and otherwise 1.
    fn of(x: &FlexTensor, slopes: &FlexTensor) -> Self {
        let (x, slopes) = (x.shape(), slopes.shape());
        let last = (0..x.num_dims()).rev().find(|dim| slopes[*dim] != 1).map_or(0, |dim| dim + 1);
        Self { slopes: slopes.num_elements(), run: x[last..].iter().product() }
    }

    /// The runs of a range of elements, cut at its ends: the slope of each, and its part of the range.
    fn runs(self, range: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
        rows(range, self.run).map(move |(run, _, part)| (run % self.slopes, part))
    }

    /// Where runs are of one element: which slopes a range has, and where it begins with them anew.
    fn rows(self, range: Range<usize>) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        rows(range, self.slopes).map(|(_, slopes, part)| (slopes, part))
    }
}

/// The slopes of blocks of elements.
enum Slopes<'a, E> {
    /// Each element has its own.
    Own(&'a [E]),
    /// So many in turn, repeated for a block beyond their end.
    InTurn(usize, Vec<E>),
    /// Each is that of a run of elements.
    Runs(Layout, &'a [E]),
}

impl<'a, E: Copy> Slopes<'a, E> {
    /// For so many elements.
    fn new(slopes: &'a [E], layout: Layout, elements: usize) -> Self {
        if layout.slopes == elements {
            return Self::Own(slopes);
        }
        if layout.run > 1 {
            return Self::Runs(layout, slopes);
        }
        let mut repeated = Vec::with_capacity(slopes.len() + BLOCK);
        while repeated.len() < slopes.len() + BLOCK {
            repeated.extend_from_slice(&slopes[..slopes.len().min(slopes.len() + BLOCK - repeated.len())]);
        }
        Self::InTurn(slopes.len(), repeated)
    }

    /// Those of a range of at most a block.
    fn of<'b>(&'b self, range: Range<usize>, buffer: &'b mut [MaybeUninit<E>; BLOCK]) -> &'b [E] {
        match self {
            Self::Own(slopes) => &slopes[range],
            Self::InTurn(slopes, repeated) => &repeated[range.start % slopes..][..range.len()],
            Self::Runs(layout, slopes) => {
                let buffer = &mut buffer[..range.len()];
                layout.runs(range).for_each(|(slope, part)| buffer[part].fill(MaybeUninit::new(slopes[slope])));
                // SAFETY: the parts are the whole range.
                unsafe { buffer.assume_init_ref() }
            }
        }
    }
}

/// v where x > 0, slope · v where it is not, NaN where x is. Where no v is given it is x.
fn leak<E: Leaks>(x: FlexTensor, slopes: FlexTensor, v: Option<FlexTensor>) -> FlexTensor {
    let (layout, numbers) = (Layout::of(&x, &slopes), x.storage::<E>());
    let slopes = Slopes::new(slopes.storage::<E>(), layout, numbers.len());
    let values = v.as_ref().map_or(numbers, |v| v.storage::<E>());
    let write = |range: Range<usize>, output: &mut [MaybeUninit<E>]| {
        let mut buffer = [MaybeUninit::uninit(); BLOCK];
        let slopes = slopes.of(range.clone(), &mut buffer);
        E::leak(Leak { x: &numbers[range.clone()], slopes, v: &values[range], output });
    };
    // SAFETY: `Leak` writes as many numbers as each of the others has.
    tensor(unsafe { fresh_in_blocks::<E, BLOCK>(numbers.len(), write) }, x.shape())
}

// A functor and not a closure, which the compiler need not inline into the code for the processor's vectors.
struct Leak<'a, E> {
    x: &'a [E],
    slopes: &'a [E],
    v: &'a [E],
    output: &'a mut [MaybeUninit<E>],
}

/// How a type's numbers are multiplied by their slopes.
trait Leaks: Computed {
    /// Writes as many numbers as each of the others has.
    fn leak(numbers: Leak<'_, Self>);
}

impl Leaks for f32 {
    fn leak(numbers: Leak<'_, f32>) {
        arch().dispatch(numbers);
    }
}

impl Leaks for f64 {
    fn leak(numbers: Leak<'_, f64>) {
        arch().dispatch(numbers);
    }
}

impl<F: Real + Mul<Output = F>> NullaryFnOnce for Leak<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (((x, slope), v), output) in self.x.iter().zip(self.slopes).zip(self.v).zip(self.output) {
            output.write(select(*x, *v, *slope * *v));
        }
    }
}

/// In f32, rounded once.
impl<H: Half> Leaks for H {
    fn leak(numbers: Leak<'_, H>) {
        dispatch(numbers);
    }
}

impl<H: Half> Work for Leak<'_, H> {
    #[inline(always)]
    unsafe fn run<const NATIVE: bool>(self) {
        let Self { mut x, mut slopes, mut v, mut output } = self;
        #[cfg(target_arch = "x86_64")]
        if NATIVE {
            let (whole_x, whole_slopes, whole_v, whole_output);
            (whole_x, x) = x.as_chunks();
            (whole_slopes, slopes) = slopes.as_chunks();
            (whole_v, v) = v.as_chunks();
            (whole_output, output) = output.as_chunks_mut();
            for (((x, slopes), v), output) in whole_x.iter().zip(whole_slopes).zip(whole_v).zip(whole_output) {
                // SAFETY: the caller's.
                unsafe {
                    let ([x, x_too], [slope, slope_too]) = (H::widen_sixteen(x), H::widen_sixteen(slopes));
                    let [v, v_too] = H::widen_sixteen(v);
                    H::narrow_sixteen([leak_eight(x, slope, v), leak_eight(x_too, slope_too, v_too)], output);
                }
            }
        }
        for (((x, slope), v), output) in x.iter().zip(slopes).zip(v).zip(output) {
            let leaked = select(x.widened(), v.widened(), slope.widened() * v.widened());
            output.write(H::narrowed(leaked));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn leak_eight(x: f32x8, slope: f32x8, v: f32x8) -> f32x8 {
    let (x, slope, v) = (Eight(x), Eight(slope), Eight(v));
    x.or_nan(Eight::choose(x.less_equal(Eight::of(0.0)), slope * v, v)).0
}

/// The sum of x · grad over the elements of each slope that are not above 0, in f64 from one block to the next.
fn slopes_backward<E: Computed>(x: FlexTensor, slopes: FlexTensor, grad: FlexTensor) -> FlexTensor {
    let layout = Layout::of(&x, &slopes);
    if layout.slopes == x.shape().num_elements() {
        return default::products::<Flex>(x, grad);
    }
    let (numbers, grads) = (x.storage::<E>(), grad.storage::<E>());
    let parts = by_parts(numbers.len(), PART, |part| {
        let mut sums = vec![0.0; layout.slopes];
        let mut wide = [[MaybeUninit::uninit(); BLOCK]; 2];
        for begin in part.clone().step_by(BLOCK) {
            let range = begin..part.end.min(begin + BLOCK);
            let [x, grad] = &mut wide;
            let (x, grad) = (E::widened(&numbers[range.clone()], x), E::widened(&grads[range.clone()], grad));
            if layout.run == 1 {
                for (these, part) in layout.rows(range) {
                    arch().dispatch(AddProducts { x: &x[part.clone()], grad: &grad[part], sums: &mut sums[these] });
                }
            } else {
                for (slope, part) in layout.runs(range) {
                    sums[slope] += arch().dispatch(SumProducts { x: &x[part.clone()], grad: &grad[part] });
                }
            }
        }
        sums
    });
    let sum = |slope: usize| E::from_elem(parts.iter().map(|sums| sums[slope]).sum::<f64>());
    tensor((0..layout.slopes).map(sum).collect::<Vec<E>>(), slopes.shape())
}

/// x · grad for x ≤ 0, and 0 above.
#[inline(always)]
fn product<F: Real + Mul<Output = F>>(x: F, grad: F) -> F {
    select(x, F::ZERO, x * grad)
}

/// Adds each element's product to a sum of its own.
struct AddProducts<'a, F> {
    x: &'a [F],
    grad: &'a [F],
    sums: &'a mut [f64],
}

impl<F: Real + Mul<Output = F> + Into<f64>> NullaryFnOnce for AddProducts<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for ((x, grad), sum) in self.x.iter().zip(self.grad).zip(self.sums) {
            *sum += product(*x, *grad).into();
        }
    }
}

/// The sum of the products of at most a block.
struct SumProducts<'a, F> {
    x: &'a [F],
    grad: &'a [F],
}

impl<F: Real + Mul<Output = F> + AddAssign + Into<f64>> NullaryFnOnce for SumProducts<'_, F> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let ((x, x_rest), (grad, grad_rest)) = (self.x.as_chunks::<32>(), self.grad.as_chunks::<32>());
        let mut sums = [F::ZERO; 32];
        for (x, grad) in x.iter().zip(grad) {
            for ((x, grad), sum) in x.iter().zip(grad).zip(&mut sums) {
                *sum += product(*x, *grad);
            }
        }
        let mut total = 0.0;
        for sum in sums {
            total += sum.into();
        }
        for (x, grad) in x_rest.iter().zip(grad_rest) {
            total += product(*x, *grad).into();
        }
        total
    }
}
