//! Programs over slices of a CPU's memory: parts on threads, blocks of a part in cache.

use std::ops::Range;

use pulp::NullaryFnOnce;

use super::{
    evaluate::{self, Stored},
    program::Program,
};
use crate::host::{arch, in_parts};

/// Elements that a thread takes at a time.
const PART: usize = 1 << 14;
/// Fewer than two parts are not worth waking a thread.
const FROM: usize = 2 * PART;

/// The program's result in place of each element.
pub(super) fn map_in_place<S: Stored + Send + Sync>(program: &Program, elements: &mut [S]) {
    in_parts(elements, PART, FROM, |elements, _| arch().dispatch(InPlace { program, elements }));
}

/// The program's result for each number of `input`.
///
/// # Panics
///
/// Where `input` is shorter than `output`.
#[cfg(feature = "flex")]
pub(super) fn map<S: Stored + Send + Sync>(program: &Program, input: &[S], output: &mut [S]) {
    in_parts(output, PART, FROM, |output, range| {
        arch().dispatch(MapInto { program, input: &input[range], output });
    });
}

/// Multiplies each of `grad` with the program's result for the number of `input` at the same place.
///
/// # Panics
///
/// Where `input` is shorter.
pub(super) fn multiply<S: Stored + Send + Sync>(program: &Program, input: &[S], grad: &mut [S]) {
    in_parts(grad, PART, FROM, |grad: &mut [S], range: Range<usize>| {
        arch().dispatch(Multiply { program, input: &input[range], grad });
    });
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

#[cfg(feature = "flex")]
struct MapInto<'a, F> {
    program: &'a Program,
    input: &'a [F],
    output: &'a mut [F],
}

#[cfg(feature = "flex")]
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
