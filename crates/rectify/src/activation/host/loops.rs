//! The loops over f32, of any length.

use std::{mem::MaybeUninit, ops::Range};

use pulp::NullaryFnOnce;

use crate::{
    activation::{Activation, Properties, Visitor},
    host::{LANES, Real, arch, fill},
    number::{Arithmetic, Near, Wide, all_within},
};

/// Writes φ(x) to `y`, and gives that back.
///
/// # Panics
///
/// Where they are not equally long.
pub(crate) fn value<'a>(activation: Activation, x: &[f32], y: &'a mut [MaybeUninit<f32>]) -> &'a [f32] {
    assert_eq!(x.len(), y.len());
    let (x, x_rest) = x.split_at(x.len() / LANES * LANES);
    let (y_whole, y_rest) = y.split_at_mut(x.len());
    run(activation, Value { x, y: y_whole });
    value_of_few(activation, y_rest.write_copy_of_slice(x_rest));
    // SAFETY: every element is written: `Value` writes one for each of its inputs.
    unsafe { y.assume_init_ref() }
}

/// φ(x) in place of x.
pub(crate) fn value_in_place(activation: Activation, x: &mut [f32]) {
    let (x, rest) = x.split_at_mut(x.len() / LANES * LANES);
    run(activation, ValueInPlace { x });
    value_of_few(activation, rest);
}

/// φ(x) in place of x, for fewer than [`LANES`].
fn value_of_few(activation: Activation, x: &mut [f32]) {
    if !x.is_empty() {
        let mut filled = fill(x);
        run(activation, ValueInPlace { x: filled.as_mut_slice() });
        x.copy_from_slice(&filled[..x.len()]);
    }
}

#[cfg(feature = "flex")]
/// φ(x), elsewhere.
pub(crate) fn values(activation: Activation, x: &[f32]) -> Vec<f32> {
    let mut output = Vec::with_capacity(x.len());
    value(activation, x, &mut output.spare_capacity_mut()[..x.len()]);
    // SAFETY: `value` has written every element.
    unsafe { output.set_len(x.len()) };
    output
}

/// φ′ · grad in place of `grad`.
///
/// # Panics
///
/// Where `kept` and `grad` are not equally long.
pub(crate) fn slope_times(activation: Activation, kept: &[f32], grad: &mut [f32]) {
    assert_eq!(kept.len(), grad.len());
    let (kept, kept_rest) = kept.split_at(kept.len() / LANES * LANES);
    let (grad, grad_rest) = grad.split_at_mut(kept.len());
    run(activation, Slope { kept, grad });
    if !kept_rest.is_empty() {
        let mut filled = fill(grad_rest);
        run(activation, Slope { kept: &fill(kept_rest), grad: filled.as_mut_slice() });
        grad_rest.copy_from_slice(&filled[..grad_rest.len()]);
    }
}

/// Writes φ′ · grad to `output`, and gives that back.
///
/// # Panics
///
/// Where the three are not equally long.
pub(super) fn slope_times_into<'a>(
    activation: Activation,
    kept: &[f32],
    grad: &[f32],
    output: &'a mut [MaybeUninit<f32>],
) -> &'a [f32] {
    assert_eq!([kept.len(), output.len()], [grad.len(); 2]);
    let whole = kept.len() / LANES * LANES;
    let (to, rest) = output.split_at_mut(whole);
    run(activation, SlopeInto { kept: &kept[..whole], grad: &grad[..whole], output: to });
    slope_times(activation, &kept[whole..], rest.write_copy_of_slice(&grad[whole..]));
    // SAFETY: every element is written: `SlopeInto` writes one for each pair of its inputs.
    unsafe { output.assume_init_ref() }
}

/// Writes φ(x) to `y`, and φ′(x) in place of x.
///
/// # Panics
///
/// Where they are not equally long.
#[cfg(feature = "flex")]
pub(super) fn value_and_slope(activation: Activation, x: &mut [f32], y: &mut [MaybeUninit<f32>]) {
    assert_eq!(x.len(), y.len());
    let whole = x.len() / LANES * LANES;
    let ((x, x_rest), (y, y_rest)) = (x.split_at_mut(whole), y.split_at_mut(whole));
    run(activation, ValueAndSlope { x, y });
    if !x_rest.is_empty() {
        let (mut filled, mut values) = (fill(x_rest), [MaybeUninit::uninit(); LANES]);
        run(activation, ValueAndSlope { x: &mut filled, y: &mut values });
        x_rest.copy_from_slice(&filled[..x_rest.len()]);
        y_rest.copy_from_slice(&values[..y_rest.len()]);
    }
}

/// Writes φ(x) to `y`, and φ′(x) · grad in place of `grad`.
///
/// # Panics
///
/// Where they are not equally long.
#[cfg(feature = "flex")]
pub(super) fn value_and_slope_times(activation: Activation, x: &[f32], y: &mut [MaybeUninit<f32>], grad: &mut [f32]) {
    assert_eq!([x.len(), grad.len()], [y.len(); 2]);
    let whole = x.len() / LANES * LANES;
    let ((x, x_rest), (y, y_rest), (grad, grad_rest)) =
        (x.split_at(whole), y.split_at_mut(whole), grad.split_at_mut(whole));
    run(activation, ValueAndSlopeTimes { x, y, grad });
    if !x_rest.is_empty() {
        let (mut values, mut filled) = ([MaybeUninit::uninit(); LANES], fill(grad_rest));
        run(activation, ValueAndSlopeTimes { x: &fill(x_rest), y: &mut values, grad: &mut filled });
        y_rest.copy_from_slice(&values[..y_rest.len()]);
        grad_rest.copy_from_slice(&filled[..grad_rest.len()]);
    }
}

/// A loop over slices, for the vectors of the processor at hand. All of it is to be inlined, without closures around the
/// functions: the compiler need not inline those.
pub(super) trait Loop {
    /// Which of φ and φ′ it computes.
    const COMPUTES: [bool; 2];
    /// Of which that is.
    fn x(&self) -> &[f32];
    /// Over a range of the slices. What is written in an element's place is joined with `zero`, see [`Real::hidden_zero`].
    fn run<N: Arithmetic, F: Properties>(&mut self, function: F, range: Range<usize>, zero: f32);
    /// Over a range of the slices, from φ and φ′ as far as it computes them.
    fn put<F: Properties>(&mut self, function: F, range: Range<usize>, values: &[f32], slopes: &[f32]);
}

fn run(activation: Activation, slices: impl Loop) {
    struct Dispatched<L>(L);
    impl<L: Loop> Visitor for Dispatched<L> {
        type Output = ();
        fn visit<F: Properties>(self, function: F) {
            arch().dispatch(Kernel { function, slices: self.0 });
        }
    }
    activation.visit(Dispatched(slices));
}

struct Kernel<F, L> {
    function: F,
    slices: L,
}

impl<F: Properties, L: Loop> NullaryFnOnce for Kernel<F, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { function, mut slices } = self;
        compute::<F, L, 512>(function, &mut slices, f32::hidden_zero());
    }
}

/// The whole loop, in the arithmetic that the function and its numbers need. Of so many, at most, those that are far are
/// computed together.
#[inline(always)]
pub(super) fn compute<F: Properties, L: Loop, const SPAN: usize>(function: F, slices: &mut L, zero: f32) {
    let len = slices.x().len();
    let ([value, slope], [wide_value, wide_slope]) = (L::COMPUTES, function.is_wide());
    let pieces = function.pieces();
    let [near_value, near_slope] = function.near();
    let near = (if value { near_value } else { f32::MAX }).min(if slope { near_slope } else { f32::MAX });
    let [value_pieces, slope_pieces] = pieces.map(|pieces| pieces.is_some());
    // Together only if both have them: otherwise the one's formula has most of the other's.
    if (value || slope) && (!value || value_pieces) && (!slope || slope_pieces) {
        let (mut values, mut slopes) = ([0.0; SPAN], [0.0; SPAN]);
        for start in (0..len).step_by(SPAN) {
            let range = start..len.min(start + SPAN);
            let x = &slices.x()[range.clone()];
            let (values, slopes) = (&mut values[..x.len()], &mut slopes[..x.len()]);
            if value {
                numbers::<F, false, SPAN>(function, x, values);
            }
            if slope {
                numbers::<F, true, SPAN>(function, x, slopes);
            }
            slices.put(function, range, values, slopes);
        }
    } else if (value && wide_value) || (slope && wide_slope) {
        slices.run::<Wide, F>(function, 0..len, zero);
    } else if near > 0.0 {
        for start in (0..len).step_by(LANES) {
            let range = start..start + LANES;
            if all_within(&slices.x()[range.clone()], near) {
                slices.run::<Near, F>(function, range, zero);
            } else {
                slices.run::<f32, F>(function, range, zero);
            }
        }
    } else {
        slices.run::<f32, F>(function, 0..len, zero);
    }
}

/// φ, or φ′, by its pieces, and by its formula where they do not hold: for those numbers alone, and many at a time, as one
/// vector of them takes as long as several.
#[inline(always)]
fn numbers<F: Properties, const SLOPE: bool, const SPAN: usize>(function: F, x: &[f32], numbers: &mut [f32]) {
    const TOGETHER: usize = 16;
    let pieces = function.pieces()[usize::from(SLOPE)];
    let bound = pieces.map_or(-1.0, |pieces| pieces.bound);
    let mut far = [MaybeUninit::uninit(); SPAN];
    let mut places = [MaybeUninit::uninit(); SPAN];
    let mut count = 0;
    let blocks = x.as_chunks::<LANES>().0.iter().zip(numbers.as_chunks_mut::<LANES>().0);
    for (block, (x, numbers)) in blocks.enumerate() {
        if let Some(pieces) = pieces {
            pieces.of(x, numbers);
        }
        if all_within(x, bound) {
            continue;
        }
        // NaN is, too.
        let is_far: [u8; LANES] = std::array::from_fn(|i| u8::from(!all_within(&x[i..=i], bound)));
        let mut left = bits(&is_far);
        for (far, place) in far[count..].iter_mut().zip(&mut places[count..]) {
            if left == 0 {
                break;
            }
            let i = left.trailing_zeros() as usize % LANES;
            far.write(x[i]);
            place.write((block * LANES + i) as u32);
            left &= left - 1;
            count += 1;
        }
    }
    if count == 0 {
        return;
    }
    far[count..].iter_mut().take(TOGETHER - 1).for_each(|x| _ = x.write(0.0));
    for far in &mut far.as_chunks_mut::<TOGETHER>().0[..count.div_ceil(TOGETHER)] {
        for x in far {
            // SAFETY: one of `count`, or of those behind them.
            let number = unsafe { x.assume_init() };
            x.write(if SLOPE { function.slope(number) } else { function.value(number) });
        }
    }
    for (place, y) in places[..count].iter().zip(far) {
        // SAFETY: of `count`.
        unsafe { numbers[place.assume_init() as usize] = y.assume_init() };
    }
}

/// A bit for each byte, which is 0 or 1.
#[inline(always)]
fn bits(bytes: &[u8; LANES]) -> u64 {
    let mut bits = 0;
    for (i, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
        // The product's highest byte has each byte's bit at its place.
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    bits
}

struct Value<'a> {
    x: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
}

impl Loop for Value<'_> {
    const COMPUTES: [bool; 2] = [true, false];

    #[inline(always)]
    fn x(&self) -> &[f32] {
        self.x
    }

    #[inline(always)]
    fn run<N: Arithmetic, F: Properties>(&mut self, function: F, range: Range<usize>, _zero: f32) {
        for (x, y) in self.x[range.clone()].iter().zip(&mut self.y[range]) {
            y.write(function.value(N::from_f32(*x)).to_f32());
        }
    }

    #[inline(always)]
    fn put<F: Properties>(&mut self, _function: F, range: Range<usize>, values: &[f32], _slopes: &[f32]) {
        self.y[range].write_copy_of_slice(values);
    }
}

pub(super) struct ValueInPlace<'a> {
    pub(super) x: &'a mut [f32],
}

impl Loop for ValueInPlace<'_> {
    const COMPUTES: [bool; 2] = [true, false];

    #[inline(always)]
    fn x(&self) -> &[f32] {
        self.x
    }

    #[inline(always)]
    fn run<N: Arithmetic, F: Properties>(&mut self, function: F, range: Range<usize>, zero: f32) {
        for x in &mut self.x[range] {
            *x = function.value(N::from_f32(*x)).to_f32().or(zero);
        }
    }

    #[inline(always)]
    fn put<F: Properties>(&mut self, _function: F, range: Range<usize>, values: &[f32], _slopes: &[f32]) {
        self.x[range].copy_from_slice(values);
    }
}

pub(super) struct Slope<'a> {
    pub(super) kept: &'a [f32],
    pub(super) grad: &'a mut [f32],
}

impl Loop for Slope<'_> {
    const COMPUTES: [bool; 2] = [false, true];

    #[inline(always)]
    fn x(&self) -> &[f32] {
        self.kept
    }

    #[inline(always)]
    fn run<N: Arithmetic, F: Properties>(&mut self, function: F, range: Range<usize>, zero: f32) {
        for (x, g) in self.kept[range.clone()].iter().zip(&mut self.grad[range]) {
            *g = (function.passed(*g) * function.slope(N::from_f32(*x)).to_f32()).or(zero);
        }
    }

    #[inline(always)]
    fn put<F: Properties>(&mut self, function: F, range: Range<usize>, _values: &[f32], slopes: &[f32]) {
        self.grad[range].iter_mut().zip(slopes).for_each(|(g, slope)| *g = function.passed(*g) * slope);
    }
}

struct SlopeInto<'a> {
    kept: &'a [f32],
    grad: &'a [f32],
    output: &'a mut [MaybeUninit<f32>],
}

impl Loop for SlopeInto<'_> {
    const COMPUTES: [bool; 2] = [false, true];

    #[inline(always)]
    fn x(&self) -> &[f32] {
        self.kept
    }

    #[inline(always)]
    fn run<N: Arithmetic, F: Properties>(&mut self, function: F, range: Range<usize>, _zero: f32) {
        let of = self.kept[range.clone()].iter().zip(&self.grad[range.clone()]);
        for ((x, g), output) in of.zip(&mut self.output[range]) {
            output.write(function.passed(*g) * function.slope(N::from_f32(*x)).to_f32());
        }
    }

    #[inline(always)]
    fn put<F: Properties>(&mut self, function: F, range: Range<usize>, _values: &[f32], slopes: &[f32]) {
        for ((g, slope), output) in self.grad[range.clone()].iter().zip(slopes).zip(&mut self.output[range]) {
            output.write(function.passed(*g) * slope);
        }
    }
}

struct ValueAndSlope<'a> {
    x: &'a mut [f32],
    y: &'a mut [MaybeUninit<f32>],
}

impl Loop for ValueAndSlope<'_> {
    const COMPUTES: [bool; 2] = [true, true];

    #[inline(always)]
    fn x(&self) -> &[f32] {
        self.x
    }

    /// In one loop, where the compiler finds what the two have in common.
    #[inline(always)]
    fn run<N: Arithmetic, F: Properties>(&mut self, function: F, range: Range<usize>, zero: f32) {
        for (x, y) in self.x[range.clone()].iter_mut().zip(&mut self.y[range]) {
            let [value, slope] = function.value_and_slope(N::from_f32(*x));
            y.write(value.to_f32());
            *x = slope.to_f32().or(zero);
        }
    }

    #[inline(always)]
    fn put<F: Properties>(&mut self, _function: F, range: Range<usize>, values: &[f32], slopes: &[f32]) {
        self.y[range.clone()].write_copy_of_slice(values);
        self.x[range].copy_from_slice(slopes);
    }
}

struct ValueAndSlopeTimes<'a> {
    x: &'a [f32],
    y: &'a mut [MaybeUninit<f32>],
    grad: &'a mut [f32],
}

impl Loop for ValueAndSlopeTimes<'_> {
    const COMPUTES: [bool; 2] = [true, true];

    #[inline(always)]
    fn x(&self) -> &[f32] {
        self.x
    }

    #[inline(always)]
    fn run<N: Arithmetic, F: Properties>(&mut self, function: F, range: Range<usize>, zero: f32) {
        let of = self.x[range.clone()].iter().zip(&mut self.y[range.clone()]);
        for ((x, y), g) in of.zip(&mut self.grad[range]) {
            let [value, slope] = function.value_and_slope(N::from_f32(*x));
            y.write(value.to_f32());
            *g = (function.passed(*g) * slope.to_f32()).or(zero);
        }
    }

    #[inline(always)]
    fn put<F: Properties>(&mut self, function: F, range: Range<usize>, values: &[f32], slopes: &[f32]) {
        self.y[range.clone()].write_copy_of_slice(values);
        self.grad[range].iter_mut().zip(slopes).for_each(|(g, slope)| *g = function.passed(*g) * slope);
    }
}
