//! A tensor's elements in parts: on threads, and past the cache where they would not stay in it.

use std::{mem::MaybeUninit, ops::Range};

use bytemuck::Pod;
use rayon::prelude::*;

/// Elements a thread takes at a time.
pub(crate) const PART: usize = 1 << 17;
/// The same where each takes longer to compute than to read. Fewer than two such parts are not worth waking a thread for.
pub(crate) const COSTLY_PART: usize = 1 << 15;
/// From how many elements on it is worth waking a thread for a tensor in place, of which half as much is read and written
/// as for a new one (benches/peers, two threads).
pub(crate) const IN_PLACE_FROM: usize = 4 * PART;

/// Whether a thread is woken for so many elements, if one is from `from` on.
pub(crate) fn on_threads(elements: usize, from: usize) -> bool {
    elements >= from && rayon::current_num_threads() > 1
}

/// What `work` makes of each part of `size` of so many elements, in order: on the threads of the current pool from two
/// parts on. The parts are the same whatever threads there are, so that what is summed up in each is.
pub(crate) fn by_parts<T: Send>(elements: usize, size: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let parts = 0..elements.div_ceil(size);
    let work = |part: usize| work(part * size..elements.min((part + 1) * size));
    if on_threads(elements, size + 1) { parts.into_par_iter().map(work).collect() } else { parts.map(work).collect() }
}

/// Calls `work` with parts of `elements`, of `size` each, and where they are: all at once, or if there are at least `from`
/// on the threads of the current pool.
pub(crate) fn in_parts<T: Send>(
    elements: &mut [T],
    size: usize,
    from: usize,
    work: impl Fn(&mut [T], Range<usize>) + Sync,
) {
    let len = elements.len();
    if !on_threads(len, from) {
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
pub(crate) enum Way {
    /// Through the cache, where the next operation finds it.
    Cached,
    /// Past the cache, so that no line is read only to be written over.
    Stream,
}

/// Bytes from which on a tensor does not wait in a cache for the next operation anyway. A copy of so many takes as long
/// by either way, of twice as many half as long past the cache (benches/peers/limit.py, two cores of two machines).
pub(crate) const STREAM_FROM: usize = 1 << 25;

/// How a tensor of so many elements is written.
pub(crate) fn way<F>(len: usize) -> Way {
    if len * size_of::<F>() > STREAM_FROM { Way::Stream } else { Way::Cached }
}

/// A vector that `write` writes whole, in parts of `size` elements; on threads from two parts on.
///
/// # Safety
///
/// `write` must write every element of the slice that it is given. The slice is as long as the range.
pub(crate) unsafe fn fresh<F: Send>(
    len: usize,
    size: usize,
    write: impl Fn(&mut [MaybeUninit<F>], Range<usize>, Way) + Sync,
) -> Vec<F> {
    let mut output = Vec::with_capacity(len);
    let way = way::<F>(len);
    in_parts(&mut output.spare_capacity_mut()[..len], size, 2 * size, |output, range| write(output, range, way));
    // SAFETY: there is room for `len` elements; the parts of `in_parts` are all of them, and each is written whole, as
    // the caller vouches for.
    unsafe { output.set_len(len) };
    output
}

/// [`fresh`] in costly parts, by blocks of `BLOCK` elements, as long as the first caches hold, or fewer: `write` is given
/// the range of a block and where its elements go.
///
/// # Safety
///
/// `write` must write every element of the slice that it is given. The slice is as long as the range.
pub(crate) unsafe fn fresh_in_blocks<E: Pod + Send, const BLOCK: usize>(
    len: usize,
    write: impl Fn(Range<usize>, &mut [MaybeUninit<E>]) + Sync,
) -> Vec<E> {
    let work = |output: &mut [MaybeUninit<E>], range: Range<usize>, way: Way| {
        for (output, begin) in output.chunks_mut(BLOCK).zip(range.step_by(BLOCK)) {
            let range = begin..begin + output.len();
            match way {
                Way::Cached => write(range, output),
                Way::Stream => {
                    let mut block = [MaybeUninit::uninit(); BLOCK];
                    let block = &mut block[..output.len()];
                    write(range, block);
                    // SAFETY: the caller's.
                    copy(unsafe { block.assume_init_ref() }, output, way);
                }
            }
        }
        finish_stream();
    };
    // SAFETY: the blocks are all of it, and `write` writes each whole, as the caller vouches for.
    unsafe { fresh(len, COSTLY_PART, work) }
}

/// Where several threads write, each at places of its own.
pub(crate) struct Shared<E> {
    output: *mut MaybeUninit<E>,
    len: usize,
}

// SAFETY: a thread has no more than what `places` lends it.
unsafe impl<E: Send> Sync for Shared<E> {}

impl<E> Shared<E> {
    pub(crate) fn new(output: &mut [MaybeUninit<E>]) -> Self {
        Self { output: output.as_mut_ptr(), len: output.len() }
    }

    /// # Panics
    ///
    /// Where the range is beyond the end.
    ///
    /// # Safety
    ///
    /// What it was made of must be borrowed by nobody else, and no other range that is in use may have places of this one.
    #[allow(clippy::mut_from_ref, reason = "ranges in use have no place in common")]
    pub(crate) unsafe fn places(&self, range: Range<usize>) -> &mut [MaybeUninit<E>] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: within the slice, and the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.output.add(range.start), range.len()) }
    }
}

/// Copies a block to where it goes. [`finish_stream`] has to follow.
///
/// # Panics
///
/// Where they are not equally long.
pub(crate) fn copy<E: Copy>(from: &[E], to: &mut [MaybeUninit<E>], way: Way) {
    match way {
        Way::Cached => _ = to.write_copy_of_slice(from),
        Way::Stream => {
            assert_eq!(from.len(), to.len());
            let (blocks, rest) = from.as_chunks();
            stream(to, |i| blocks[i], |i| rest[i]);
        }
    }
}

/// A range of elements that lie in rows of so many, cut where a row ends: which row, which of its columns, and where these
/// are in the range.
pub(crate) fn rows(range: Range<usize>, columns: usize) -> impl Iterator<Item = (usize, Range<usize>, Range<usize>)> {
    let mut next = range.start;
    std::iter::from_fn(move || {
        let (row, begin) = (next.checked_div(columns)?, next);
        next = range.end.min((row + 1) * columns);
        let columns = begin - row * columns..next - row * columns;
        (begin < next).then(|| (row, columns, begin - range.start..next - range.start))
    })
}

/// Elements that are written past the cache together: whole lines of 64 bytes in any type.
pub(crate) const BLOCK: usize = 32;

/// Writes every element past the cache, block by block, and the `last` ones, fewer than a block, as usual.
/// [`finish_stream`] has to follow.
#[inline(always)]
pub(crate) fn stream<F: Copy>(
    output: &mut [MaybeUninit<F>],
    block: impl Fn(usize) -> [F; BLOCK],
    last: impl Fn(usize) -> F,
) {
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
    rest.iter_mut().enumerate().for_each(|(i, to)| *to = MaybeUninit::new(last(i)));
}

/// Makes what was written past the cache visible before whatever tells another thread of it.
pub(crate) fn finish_stream() {
    // SAFETY: SSE is part of x86-64.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}
