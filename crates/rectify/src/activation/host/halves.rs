//! Half types, which are computed in f32 and rounded once: a block is widened, computed and narrowed in one loop.

use std::mem::MaybeUninit;

use burn::tensor::Element;
use bytemuck::Pod;
use half::{bf16, f16};
#[cfg(target_arch = "x86_64")]
use pulp::Arch;
use pulp::NullaryFnOnce;

use super::loops::{self, LANES, compute, fill};
use crate::{
    activation::{Activation, Properties, Visitor},
    host::arch,
    relu::real::Real,
};

/// A type whose numbers are widened to f32, and narrowed again to the nearest, ties to even.
///
/// # Safety
///
/// Where they are `NATIVE`, by instructions that the processor must have: on x86-64 those of F16C.
pub(super) trait Half: Element + Pod {
    unsafe fn widen<const NATIVE: bool>(from: &[Self; LANES], to: &mut [f32; LANES]);
    unsafe fn narrow<const NATIVE: bool>(from: &[f32; LANES], to: &mut [MaybeUninit<Self>; LANES]);
}

impl Half for f16 {
    #[inline(always)]
    unsafe fn widen<const NATIVE: bool>(from: &[f16; LANES], to: &mut [f32; LANES]) {
        #[cfg(target_arch = "x86_64")]
        if NATIVE {
            // SAFETY: the caller's.
            return unsafe { x86::widen(from, to) };
        }
        from.iter().zip(to).for_each(|(from, to)| *to = from.to_f32());
    }

    #[inline(always)]
    unsafe fn narrow<const NATIVE: bool>(from: &[f32; LANES], to: &mut [MaybeUninit<f16>; LANES]) {
        #[cfg(target_arch = "x86_64")]
        if NATIVE {
            // SAFETY: the caller's.
            return unsafe { x86::narrow(from, to) };
        }
        from.iter().zip(to).for_each(|(from, to)| *to = MaybeUninit::new(f16::from_f32(*from)));
    }
}

/// The crate `half` calls a function for every eight numbers, which takes longer than a cheap activation of them.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{
        arch::x86_64::{
            _MM_FROUND_TO_NEAREST_INT, _mm_loadu_si128, _mm_storeu_si128, _mm256_cvtph_ps, _mm256_cvtps_ph,
            _mm256_loadu_ps, _mm256_storeu_ps,
        },
        mem::MaybeUninit,
    };

    use half::f16;
    use pulp::NullaryFnOnce;

    use super::LANES;

    const EIGHT: usize = 8;
    const _: () = assert!(LANES.is_multiple_of(EIGHT));

    #[inline(always)]
    pub(super) unsafe fn widen(from: &[f16; LANES], to: &mut [f32; LANES]) {
        for (from, to) in from.as_chunks::<EIGHT>().0.iter().zip(to.as_chunks_mut::<EIGHT>().0) {
            // SAFETY: eight numbers of either side, and the caller's processor has the instruction.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()))) };
        }
    }

    #[inline(always)]
    pub(super) unsafe fn narrow(from: &[f32; LANES], to: &mut [MaybeUninit<f16>; LANES]) {
        for (from, to) in from.as_chunks::<EIGHT>().0.iter().zip(to.as_chunks_mut::<EIGHT>().0) {
            // SAFETY: as in `widen`.
            unsafe {
                let half = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(from.as_ptr()));
                _mm_storeu_si128(to.as_mut_ptr().cast(), half);
            }
        }
    }

    /// The vectors of pulp's `V3`, which know nothing of F16C, and that.
    #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn with_f16c(work: impl NullaryFnOnce<Output = ()>) {
        work.call();
    }
}

impl Half for bf16 {
    #[inline(always)]
    unsafe fn widen<const NATIVE: bool>(from: &[bf16; LANES], to: &mut [f32; LANES]) {
        from.iter().zip(to).for_each(|(from, to)| *to = f32::from_bits(u32::from(from.to_bits()) << 16));
    }

    /// `bf16::from_f32` has a branch for NaN.
    #[inline(always)]
    unsafe fn narrow<const NATIVE: bool>(from: &[f32; LANES], to: &mut [MaybeUninit<bf16>; LANES]) {
        for (from, to) in from.iter().zip(to) {
            let bits = from.to_bits();
            let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
            // Quiet, as rounding could make an infinity of it.
            let bits = if from.is_nan() { (bits >> 16) | 0x40 } else { rounded };
            to.write(bf16::from_bits(bits as u16));
        }
    }
}

/// Writes φ(x) to `y`, and gives that back.
///
/// # Panics
///
/// Where they are not equally long.
pub(super) fn value<'a, H: Half>(activation: Activation, x: &[H], y: &'a mut [MaybeUninit<H>]) -> &'a [H] {
    assert_eq!(x.len(), y.len());
    let ((x, x_rest), (to, to_rest)) = (x.as_chunks(), y.as_chunks_mut());
    run(activation, Value { blocks: x.len(), x: x.as_ptr(), y: to.as_mut_ptr() });
    value_in_place(activation, to_rest.write_copy_of_slice(x_rest));
    // SAFETY: every element is written: `Value` writes as many blocks as there are of x.
    unsafe { y.assume_init_ref() }
}

/// φ(x) in place of x.
pub(super) fn value_in_place<H: Half>(activation: Activation, x: &mut [H]) {
    let (x, rest) = x.as_chunks_mut();
    let place = x.as_mut_ptr();
    run(activation, Value { blocks: x.len(), x: place, y: place.cast() });
    if !rest.is_empty() {
        let mut filled = fill(rest);
        value_in_place(activation, &mut filled);
        rest.copy_from_slice(&filled[..rest.len()]);
    }
}

/// Writes φ′ · grad to `output`, and gives that back.
///
/// # Panics
///
/// Where the three are not equally long.
pub(super) fn slope_times_into<'a, H: Half>(
    activation: Activation,
    kept: &[H],
    grad: &[H],
    output: &'a mut [MaybeUninit<H>],
) -> &'a [H] {
    assert_eq!([kept.len(), output.len()], [grad.len(); 2]);
    let ((x, x_rest), (g, g_rest)) = (kept.as_chunks(), grad.as_chunks());
    let (to, to_rest) = output.as_chunks_mut();
    run(activation, Slope { blocks: x.len(), kept: x.as_ptr(), grad: g.as_ptr(), output: to.as_mut_ptr() });
    slope_times(activation, x_rest, to_rest.write_copy_of_slice(g_rest));
    // SAFETY: every element is written: `Slope` writes as many blocks as there are of `kept`.
    unsafe { output.assume_init_ref() }
}

/// φ′ · grad in place of `grad`.
///
/// # Panics
///
/// Where `kept` and `grad` are not equally long.
pub(super) fn slope_times<H: Half>(activation: Activation, kept: &[H], grad: &mut [H]) {
    assert_eq!(kept.len(), grad.len());
    let ((x, x_rest), (g, g_rest)) = (kept.as_chunks(), grad.as_chunks_mut());
    let place = g.as_mut_ptr();
    run(activation, Slope { blocks: x.len(), kept: x.as_ptr(), grad: place, output: place.cast() });
    if !x_rest.is_empty() {
        let mut filled = fill(g_rest);
        slope_times(activation, &fill(x_rest), &mut filled);
        g_rest.copy_from_slice(&filled[..g_rest.len()]);
    }
}

/// A loop over blocks of half types, all of it to be inlined.
trait Loop {
    /// # Safety
    ///
    /// [`Half`]'s, and what a loop's pointers ask for.
    unsafe fn run<const NATIVE: bool, F: Properties>(self, function: F);
}

/// As many `blocks` can be read at x, and written at y, which may be the same place.
struct Value<H> {
    blocks: usize,
    x: *const [H; LANES],
    y: *mut [MaybeUninit<H>; LANES],
}

impl<H: Half> Loop for Value<H> {
    #[inline(always)]
    unsafe fn run<const NATIVE: bool, F: Properties>(self, function: F) {
        let zero = f32::hidden_zero();
        let mut x = [0.0; LANES];
        for i in 0..self.blocks {
            // SAFETY: the caller's. A block has been read when it is written.
            unsafe {
                H::widen::<NATIVE>(&*self.x.add(i), &mut x);
                compute(function, &mut loops::ValueInPlace { x: &mut x }, zero);
                H::narrow::<NATIVE>(&x, &mut *self.y.add(i));
            }
        }
    }
}

/// As many `blocks` can be read at `kept` and at `grad`, and written at `output`, which may be the place of either.
struct Slope<H> {
    blocks: usize,
    kept: *const [H; LANES],
    grad: *const [H; LANES],
    output: *mut [MaybeUninit<H>; LANES],
}

impl<H: Half> Loop for Slope<H> {
    #[inline(always)]
    unsafe fn run<const NATIVE: bool, F: Properties>(self, function: F) {
        let zero = f32::hidden_zero();
        let (mut x, mut g) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..self.blocks {
            // SAFETY: the caller's. A block has been read when it is written.
            unsafe {
                H::widen::<NATIVE>(&*self.kept.add(i), &mut x);
                H::widen::<NATIVE>(&*self.grad.add(i), &mut g);
                compute(function, &mut loops::Slope { kept: &x, grad: &mut g }, zero);
                H::narrow::<NATIVE>(&g, &mut *self.output.add(i));
            }
        }
    }
}

fn run(activation: Activation, blocks: impl Loop) {
    struct Dispatched<L>(L);
    impl<L: Loop> Visitor for Dispatched<L> {
        type Output = ();
        fn visit<F: Properties>(self, function: F) {
            dispatch(Kernel { function, blocks: self.0 });
        }
    }
    activation.visit(Dispatched(blocks));
}

#[cfg(target_arch = "x86_64")]
fn dispatch<F: Properties, L: Loop>(kernel: Kernel<F, L>) {
    match arch() {
        // SAFETY: what `V3` says that the processor has, and F16C.
        Arch::V3(_) if is_x86_feature_detected!("f16c") => unsafe { x86::with_f16c(Native(kernel)) },
        // AVX-512 has them.
        Arch::V4(simd) => simd.vectorize(Native(kernel)),
        _ => kernel.call(),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn dispatch<F: Properties, L: Loop>(kernel: Kernel<F, L>) {
    arch().dispatch(kernel);
}

struct Kernel<F, L> {
    function: F,
    blocks: L,
}

impl<F: Properties, L: Loop> NullaryFnOnce for Kernel<F, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        // SAFETY: not native.
        unsafe { self.blocks.run::<false, F>(self.function) };
    }
}

/// For processors with F16C.
#[cfg(target_arch = "x86_64")]
struct Native<F, L>(Kernel<F, L>);

#[cfg(target_arch = "x86_64")]
impl<F: Properties, L: Loop> NullaryFnOnce for Native<F, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        // SAFETY: `dispatch` has looked.
        unsafe { self.0.blocks.run::<true, F>(self.0.function) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Softsign;

    /// Every number of the type as f32, what is `halfway` to the next, and what is a little to either side of that.
    fn numbers(exact: impl Fn(u16) -> f32, halfway: impl Fn(f32) -> u32) -> Vec<f32> {
        let beside =
            |x: f32| [0, 1, halfway(x) - 1, halfway(x), halfway(x) + 1].map(|low| x.to_bits().wrapping_add(low));
        (0..=u16::MAX).map(exact).flat_map(beside).map(f32::from_bits).collect()
    }

    /// Narrows what is `wide` to what is `narrow`, and widens that again.
    struct ThereAndBack<'a, H> {
        wide: &'a mut [[f32; LANES]],
        narrow: &'a mut [[H; LANES]],
    }

    impl<H: Half> Loop for ThereAndBack<'_, H> {
        #[inline(always)]
        unsafe fn run<const NATIVE: bool, F: Properties>(self, _function: F) {
            for (wide, narrow) in self.wide.iter_mut().zip(self.narrow) {
                // SAFETY: the caller's.
                unsafe {
                    let mut half = [const { MaybeUninit::uninit() }; LANES];
                    H::narrow::<NATIVE>(wide, &mut half);
                    narrow.copy_from_slice(half.assume_init_ref());
                    H::widen::<NATIVE>(narrow, wide);
                }
            }
        }
    }

    fn there_and_back<H: Half>(
        x: &[f32],
        rounded: impl Fn(f32) -> H,
        exact: impl Fn(H) -> f32,
        bits: impl Fn(H) -> u16,
    ) {
        let ways: [fn(ThereAndBack<H>); 2] =
            [|blocks| run(Softsign.into(), blocks), |blocks| Kernel { function: Softsign, blocks }.call()];
        for way in ways {
            let mut wide: Vec<[f32; LANES]> = x.chunks(LANES).map(fill).collect();
            let mut narrow = vec![[rounded(0.0); LANES]; wide.len()];
            way(ThereAndBack { wide: &mut wide, narrow: &mut narrow });
            for ((x, found), wide) in x.iter().zip(narrow.as_flattened()).zip(wide.as_flattened()) {
                let expected = rounded(*x);
                assert!(bits(*found) == bits(expected), "{x:e}: {:x}, not {:x}", bits(*found), bits(expected));
                assert!(exact(*found).to_bits() == wide.to_bits(), "{x:e}: {:x} is not {wide:e}", bits(*found));
            }
        }
    }

    #[test]
    fn half_types_are_rounded_to_the_nearest_with_ties_to_even() {
        let x = numbers(|bits| bf16::from_bits(bits).to_f32(), |_| 0x8000);
        there_and_back(&x, bf16::from_f32, bf16::to_f32, bf16::to_bits);
        // Halfway is one bit further to the left for each exponent below the normal ones.
        let halfway = |x: f32| 1 << (12 + (113 - (x.to_bits() >> 23 & 0xff) as i32).clamp(0, 10));
        let x = numbers(|bits| f16::from_bits(bits).to_f32(), halfway);
        there_and_back(&x, f16::from_f32, f16::to_f32, f16::to_bits);
    }
}
