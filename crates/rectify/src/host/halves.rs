//! f16 and bf16, whose kernels compute in f32: what is between the types, for loops that have both in registers.

use std::mem::MaybeUninit;

use burn::tensor::Element;
use bytemuck::Pod;
use half::{bf16, f16};
use pulp::NullaryFnOnce;

#[cfg(target_arch = "x86_64")]
use pulp::Arch;

use super::{LANES, arch, fill};

/// A type whose numbers are widened to f32, and narrowed again to the nearest, ties to even.
///
/// # Safety
///
/// Where they are `NATIVE`, by instructions that the processor must have: on x86-64 those of F16C.
pub(crate) trait Half: Element + Pod {
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

/// A loop over half types, all of it to be inlined.
pub(crate) trait Work {
    /// # Safety
    ///
    /// [`Half`]'s.
    unsafe fn run<const NATIVE: bool>(self);
}

/// Runs it with the processor's vectors.
pub(crate) fn dispatch(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    match arch() {
        // SAFETY: what `V3` says that the processor has, and F16C.
        Arch::V3(_) if is_x86_feature_detected!("f16c") => unsafe { x86::with_f16c(Native(work)) },
        // AVX-512 has them.
        Arch::V4(simd) => simd.vectorize(Native(work)),
        _ => Plain(work).call(),
    }
    #[cfg(not(target_arch = "x86_64"))]
    arch().dispatch(Plain(work));
}

struct Plain<W>(W);

impl<W: Work> NullaryFnOnce for Plain<W> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        // SAFETY: not native.
        unsafe { self.0.run::<false>() };
    }
}

#[cfg(target_arch = "x86_64")]
struct Native<W>(W);

#[cfg(target_arch = "x86_64")]
impl<W: Work> NullaryFnOnce for Native<W> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        // SAFETY: `dispatch` has looked.
        unsafe { self.0.run::<true>() };
    }
}

/// # Panics
///
/// Where they are not equally long.
pub(crate) fn widen<H: Half>(from: &[H], to: &mut [f32]) {
    assert_eq!(from.len(), to.len());
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks(), to.as_chunks_mut());
    dispatch(Widen { from, to });
    if !from_rest.is_empty() {
        let mut filled = [0.0; LANES];
        dispatch(Widen { from: &[fill(from_rest)], to: std::slice::from_mut(&mut filled) });
        to_rest.copy_from_slice(&filled[..from_rest.len()]);
    }
}

/// # Panics
///
/// Where they are not equally long.
pub(crate) fn narrow<H: Half>(from: &[f32], to: &mut [H]) {
    assert_eq!(from.len(), to.len());
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks(), to.as_chunks_mut());
    dispatch(Narrow { from, to });
    if !from_rest.is_empty() {
        let mut filled = [H::zeroed(); LANES];
        dispatch(Narrow { from: &[fill(from_rest)], to: std::slice::from_mut(&mut filled) });
        to_rest.copy_from_slice(&filled[..from_rest.len()]);
    }
}

struct Widen<'a, H> {
    from: &'a [[H; LANES]],
    to: &'a mut [[f32; LANES]],
}

impl<H: Half> Work for Widen<'_, H> {
    #[inline(always)]
    unsafe fn run<const NATIVE: bool>(self) {
        for (from, to) in self.from.iter().zip(self.to) {
            // SAFETY: the caller's.
            unsafe { H::widen::<NATIVE>(from, to) };
        }
    }
}

struct Narrow<'a, H> {
    from: &'a [[f32; LANES]],
    to: &'a mut [[H; LANES]],
}

impl<H: Half> Work for Narrow<'_, H> {
    #[inline(always)]
    unsafe fn run<const NATIVE: bool>(self) {
        for (from, to) in self.from.iter().zip(self.to) {
            // SAFETY: of the same layout, and `narrow` writes nothing but numbers; the caller's.
            unsafe { H::narrow::<NATIVE>(from, &mut *std::ptr::from_mut(to).cast()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number of the type as f32, what is `halfway` to the next, and what is a little to either side of that.
    fn numbers(exact: impl Fn(u16) -> f32, halfway: impl Fn(f32) -> u32) -> Vec<f32> {
        let beside =
            |x: f32| [0, 1, halfway(x) - 1, halfway(x), halfway(x) + 1].map(|low| x.to_bits().wrapping_add(low));
        (0..=u16::MAX).map(exact).flat_map(beside).map(f32::from_bits).collect()
    }

    fn there_and_back<H: Half>(
        x: &[f32],
        rounded: impl Fn(f32) -> H,
        exact: impl Fn(H) -> f32,
        bits: impl Fn(H) -> u16,
    ) {
        let check = |narrow: &[H], wide: &[f32]| {
            for ((x, found), wide) in x.iter().zip(narrow).zip(wide) {
                let expected = rounded(*x);
                assert!(bits(*found) == bits(expected), "{x:e}: {:x}, not {:x}", bits(*found), bits(expected));
                assert!(exact(*found).to_bits() == wide.to_bits(), "{x:e}: {:x} is not {wide:e}", bits(*found));
            }
        };
        let (mut half, mut wide) = (vec![rounded(0.0); x.len()], vec![0.0; x.len()]);
        narrow(x, &mut half);
        widen(&half, &mut wide);
        check(&half, &wide);
        // As on a processor without F16C.
        let x: Vec<[f32; LANES]> = x.chunks(LANES).map(fill).collect();
        let (mut half, mut wide) = (vec![[rounded(0.0); LANES]; x.len()], vec![[0.0; LANES]; x.len()]);
        Plain(Narrow { from: &x, to: &mut half }).call();
        Plain(Widen { from: &half, to: &mut wide }).call();
        check(half.as_flattened(), wide.as_flattened());
    }

    #[test]
    fn half_types_are_rounded_to_the_nearest_with_ties_to_even() {
        let x = numbers(|bits| bf16::from_bits(bits).to_f32(), |_| 0x8000);
        there_and_back(&x, bf16::from_f32, bf16::to_f32, bf16::to_bits);
        // Halfway is one bit further to the left for each exponent below the normal ones.
        let halfway = |x: f32| 1 << (12 + (113 - (x.to_bits() >> 23 & 0xff) as i32).clamp(0, 10));
        let x = numbers(|bits| f16::from_bits(bits).to_f32(), halfway);
        there_and_back(&x, f16::from_f32, f16::to_f32, f16::to_bits);
        // Less than a block.
        there_and_back(&x[..5], f16::from_f32, f16::to_f32, f16::to_bits);
    }
}
