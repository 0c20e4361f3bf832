//! The CPU kernels of the Flex backend.

use std::{mem::MaybeUninit, ops::Range};

use burn::{
    backend::{Flex, TensorMetadata, tensor::FloatTensor},
    tensor::{Bytes, DType, Element, Shape},
};
use burn_flex::{FlexTensor, Layout};
use bytemuck::Pod;
use half::{bf16, f16};
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::{
    backward::ReluOps,
    gradient::GradientRule,
    real::{Apply, Real, df, f},
};

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
pub(crate) use by_dtype;

impl ReluOps for Flex {
    fn rectify_relu(x: FloatTensor<Self>, _rule: GradientRule) -> FloatTensor<Self> {
        by_dtype!(x.dtype(), forward(x))
    }

    fn rectify_relu_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        rule: GradientRule,
    ) -> FloatTensor<Self> {
        by_dtype!(grad.dtype(), backward(kept, grad, rule))
    }
}

fn forward<F: Real>(x: FlexTensor) -> FlexTensor {
    let mut x = dense(x);
    if let Some(elements) = x.try_storage_mut::<F>() {
        in_parts(elements, PART, IN_PLACE_FROM, |elements, _| Arch::new().dispatch(Forward(elements)));
        return x;
    }
    let input = x.storage::<F>();
    // SAFETY: `ForwardInto` writes an output for each of its inputs, which are sliced by the same range.
    let output = unsafe {
        fresh(input.len(), |output, range, way| {
            Arch::new().dispatch(ForwardInto { input: &input[range], output, way });
        })
    };
    tensor(output, x.shape())
}

// Functors and not closures, which the compiler need not inline into the code for the processor's vectors.
struct Forward<'a, F>(&'a mut [F]);

impl<F: Real> NullaryFnOnce for Forward<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.iter_mut().for_each(|x| *x = f(*x));
    }
}

struct ForwardInto<'a, F> {
    input: &'a [F],
    output: &'a mut [MaybeUninit<F>],
    way: Way,
}

impl<F: Real> NullaryFnOnce for ForwardInto<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { input, output, way } = self;
        if way == Way::Stream {
            let (blocks, rest) = input.as_chunks();
            return stream(output, |i| blocks[i].map(f), |i| f(rest[i]));
        }
        for (x, y) in input.iter().zip(output) {
            y.write(f(*x));
        }
    }
}

fn backward<F: Real>(kept: FlexTensor, grad: FlexTensor, rule: GradientRule) -> FlexTensor {
    df::<F, _>(rule, Pair { kept: dense(kept), grad: dense(grad) })
}

struct Pair {
    kept: FlexTensor,
    grad: FlexTensor,
}

impl<F: Real> Apply<F> for Pair {
    type Output = FlexTensor;

    fn apply(mut self, df: impl Fn(F, F) -> F + Sync) -> FlexTensor {
        let kept = self.kept.storage::<F>();
        if let Some(grad) = self.grad.try_storage_mut::<F>() {
            in_parts(grad, PART, IN_PLACE_FROM, |grad, range| {
                Arch::new().dispatch(Backward { kept: &kept[range], grad, df: &df })
            });
            return self.grad;
        }
        let grad = self.grad.storage::<F>();
        // SAFETY: `BackwardInto` writes an output for each pair of its inputs, which are sliced by the same range; a
        // slice that is too short for it panics.
        let output = unsafe {
            fresh(grad.len(), |output, range, way| {
                let (kept, grad) = (&kept[range.clone()], &grad[range]);
                Arch::new().dispatch(BackwardInto { kept, grad, output, way, df: &df });
            })
        };
        tensor(output, self.grad.shape())
    }
}

struct Backward<'a, F, D> {
    kept: &'a [F],
    grad: &'a mut [F],
    df: &'a D,
}

impl<F: Real, D: Fn(F, F) -> F> NullaryFnOnce for Backward<'_, F, D> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.kept.iter().zip(self.grad).for_each(|(x, g)| *g = (self.df)(*x, *g));
    }
}

struct BackwardInto<'a, F, D> {
    kept: &'a [F],
    grad: &'a [F],
    output: &'a mut [MaybeUninit<F>],
    way: Way,
    df: &'a D,
}

impl<F: Real, D: Fn(F, F) -> F> NullaryFnOnce for BackwardInto<'_, F, D> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { kept, grad, output, way, df } = self;
        if way == Way::Stream {
            let ((kept, last_kept), (grad, last_grad)) = (kept.as_chunks::<BLOCK>(), grad.as_chunks::<BLOCK>());
            let block = |i: usize| std::array::from_fn(|j| df(kept[i][j], grad[i][j]));
            return stream(output, block, |i| df(last_kept[i], last_grad[i]));
        }
        for ((x, g), y) in kept.iter().zip(grad).zip(output) {
            y.write(df(*x, *g));
        }
    }
}

/// Elements a thread takes at a time.
const PART: usize = 1 << 17;
/// From how many elements on it is worth waking a thread, for a new tensor, and for one in place, of which half as much
/// is read and written (benches/peers, two threads).
const FRESH_FROM: usize = 2 * PART;
const IN_PLACE_FROM: usize = 4 * PART;

/// Calls `work` with parts of `elements`, of `size` each, and where they are: all at once, or if there are at least `from`
/// on the threads of the current pool.
pub(crate) fn in_parts<T: Send>(
    elements: &mut [T],
    size: usize,
    from: usize,
    work: impl Fn(&mut [T], Range<usize>) + Sync,
) {
    let len = elements.len();
    if len < from || rayon::current_num_threads() == 1 {
        return work(elements, 0..len);
    }
    elements.par_chunks_mut(size).enumerate().for_each(|(i, part)| {
        let begin = i * size;
        let end = begin + part.len();
        work(part, begin..end);
    });
}

/// How a new tensor is written.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Through the cache, where the next operation finds it.
    Cached,
    /// Past the cache, so that no line is read only to be written over.
    Stream,
}

/// Bytes from which on a tensor does not wait in a cache for the next operation anyway. A copy of so many takes as long
/// by either way, of twice as many half as long past the cache (benches/peers/limit.py, two cores of two machines).
const STREAM_FROM: usize = 1 << 25;

/// A vector that `write` writes whole, part by part.
///
/// # Safety
///
/// `write` must write every element of the slice that it is given. The slice is as long as the range.
unsafe fn fresh<F: Real>(len: usize, write: impl Fn(&mut [MaybeUninit<F>], Range<usize>, Way) + Sync) -> Vec<F> {
    let mut output = Vec::with_capacity(len);
    let way = if len * size_of::<F>() > STREAM_FROM { Way::Stream } else { Way::Cached };
    in_parts(&mut output.spare_capacity_mut()[..len], PART, FRESH_FROM, |output, range| write(output, range, way));
    // SAFETY: there is room for `len` elements; the parts of `in_parts` are all of them, and each is written whole, as
    // the caller vouches for.
    unsafe { output.set_len(len) };
    output
}

/// Elements that are written past the cache together: whole lines of 64 bytes in any type.
const BLOCK: usize = 32;

/// Writes every element past the cache, block by block, and the `last` ones, fewer than a block, as usual.
#[inline(always)]
fn stream<F: Real>(output: &mut [MaybeUninit<F>], block: impl Fn(usize) -> [F; BLOCK], last: impl Fn(usize) -> F) {
    let (blocks, rest) = output.as_chunks_mut::<BLOCK>();
    for (i, to) in blocks.iter_mut().enumerate() {
        let from = block(i);
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
            let (to, from) = (to.as_mut_ptr().cast::<__m128i>(), from.as_ptr().cast::<__m128i>());
            if to.is_aligned() {
                for vector in 0..size_of::<[F; BLOCK]>() / size_of::<__m128i>() {
                    // SAFETY: both are blocks of the same size, a multiple of a vector's, and the destination is
                    // aligned. SSE2 is part of x86-64.
                    unsafe { _mm_stream_si128(to.add(vector), _mm_loadu_si128(from.add(vector))) };
                }
                continue;
            }
        }
        *to = from.map(MaybeUninit::new);
    }
    // What was written past the cache is to be seen before whatever tells another thread of it.
    // SAFETY: SSE is part of x86-64.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
    rest.iter_mut().enumerate().for_each(|(i, to)| *to = MaybeUninit::new(last(i)));
}

/// The tensor with its elements in order and nothing else in its storage.
pub(crate) fn dense(x: FlexTensor) -> FlexTensor {
    let size = x.layout().num_elements() * x.dtype().size();
    match x.is_contiguous() && x.layout().start_offset() == 0 && x.bytes().len() == size {
        true => x,
        false => x.to_contiguous(),
    }
}

/// A tensor of these elements, in order.
pub(crate) fn tensor<F: Element + Pod + Send + Sync>(elements: Vec<F>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(elements), Layout::contiguous(shape.into()), F::dtype())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::{PART, STREAM_FROM};

    #[test]
    fn parts_make_the_whole() {
        // The last one is written past the cache.
        for len in [PART - 1, 2 * PART, 3 * PART, 4 * PART + 129, STREAM_FROM / 4 + 77] {
            let values: Vec<f32> = (0..len).map(|i| (i % 1000) as f32 - 499.5).collect();
            let expected: Vec<f32> = values.iter().map(|x| x.max(0.0)).collect();
            let slopes: Vec<f32> = values.iter().map(|x| if *x > 0.0 { *x } else { 0.0 }).collect();
            let data = TensorData::new(values, [len]);
            let x = Tensor::<1>::from_data(data.clone(), &Device::flex());
            assert_eq!(crate::relu(x.clone()).into_data().to_vec::<f32>().unwrap(), expected, "into a new tensor");
            assert_eq!(crate::relu(x).into_data().to_vec::<f32>().unwrap(), expected, "in place");

            let tracked = Tensor::<1>::from_data(data.clone(), &Device::flex().autodiff()).require_grad();
            let factor = Tensor::<1>::from_data(data, &Device::flex().autodiff());
            let gradients = (crate::relu(tracked.clone()) * factor).sum().backward();
            assert_eq!(tracked.grad(&gradients).unwrap().into_data().to_vec::<f32>().unwrap(), slopes, "backward");
        }
    }
}
