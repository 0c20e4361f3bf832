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
use rayon::prelude::*;

use super::backward::{PreluOps, default};
use crate::{
    LeakyRelu,
    activation::ActivationOps,
    host::{
        COMPUTED_BLOCK as BLOCK, COSTLY_PART as PART, Computed, arch, by_dtype, dense, fresh_in_blocks, rows, tensor,
    },
    relu::real::{Real, select},
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
enum Slopes<'a, E: Computed> {
    /// Each element has its own.
    Own(&'a [E]),
    /// So many in turn, repeated for a block beyond their end.
    InTurn(usize, Vec<E::In>),
    /// Each is that of a run of elements.
    Runs(Layout, Vec<E::In>),
}

impl<'a, E: Computed> Slopes<'a, E> {
    /// For so many elements.
    fn new(slopes: &'a [E], layout: Layout, elements: usize) -> Self {
        if layout.slopes == elements {
            return Self::Own(slopes);
        }
        let (mut wide, mut buffer) = (Vec::with_capacity(slopes.len() + BLOCK), [MaybeUninit::uninit(); BLOCK]);
        slopes.chunks(BLOCK).for_each(|slopes| wide.extend_from_slice(E::widened(slopes, &mut buffer)));
        if layout.run > 1 {
            return Self::Runs(layout, wide);
        }
        let repeated = (0..BLOCK).map(|i| wide[i % slopes.len()]).collect::<Vec<_>>();
        wide.extend(repeated);
        Self::InTurn(slopes.len(), wide)
    }

    /// Those of a range of at most a block.
    fn of<'b>(&'b self, range: Range<usize>, buffer: &'b mut [MaybeUninit<E::In>; BLOCK]) -> &'b [E::In] {
        match self {
            Self::Own(slopes) => E::widened(&slopes[range], buffer),
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
fn leak<E: Computed>(x: FlexTensor, slopes: FlexTensor, v: Option<FlexTensor>) -> FlexTensor {
    let (layout, numbers) = (Layout::of(&x, &slopes), x.storage::<E>());
    let slopes = Slopes::new(slopes.storage::<E>(), layout, numbers.len());
    let values = v.as_ref().map(|v| v.storage::<E>());
    let write = |range: Range<usize>, output: &mut [MaybeUninit<E>]| {
        let [mut x, mut v, mut buffer] = [[MaybeUninit::uninit(); BLOCK]; 3];
        let slopes = slopes.of(range.clone(), &mut buffer);
        let x = E::widened(&numbers[range.clone()], &mut x);
        let v = values.map_or(x, |values| E::widened(&values[range], &mut v));
        // SAFETY: `Leak` writes as many numbers as each of the others has.
        unsafe { E::write(output, |output| arch().dispatch(Leak { x, slopes, v, output })) };
    };
    // SAFETY: as above.
    tensor(unsafe { fresh_in_blocks::<E, BLOCK>(numbers.len(), write) }, x.shape())
}

// A functor and not a closure, which the compiler need not inline into the code for the processor's vectors.
struct Leak<'a, F> {
    x: &'a [F],
    slopes: &'a [F],
    v: &'a [F],
    output: &'a mut [MaybeUninit<F>],
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

/// The sum of x · grad over the elements of each slope that are not above 0, in f64 from one block to the next.
fn slopes_backward<E: Computed>(x: FlexTensor, slopes: FlexTensor, grad: FlexTensor) -> FlexTensor {
    let layout = Layout::of(&x, &slopes);
    if layout.slopes == x.shape().num_elements() {
        return default::products::<Flex>(x, grad);
    }
    let (numbers, grads) = (x.storage::<E>(), grad.storage::<E>());
    let part = |part: usize| {
        let end = ((part + 1) * PART).min(numbers.len());
        let mut sums = vec![0.0; layout.slopes];
        let mut wide = [[MaybeUninit::uninit(); BLOCK]; 2];
        for begin in (part * PART..end).step_by(BLOCK) {
            let range = begin..(begin + BLOCK).min(end);
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
    };
    // The same parts whatever threads there are, so that the sums are.
    let parts: Vec<Vec<f64>> = match numbers.len().div_ceil(PART) {
        0 | 1 => vec![part(0)],
        parts => (0..parts).into_par_iter().map(part).collect(),
    };
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
