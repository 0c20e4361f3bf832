//! Half types, which are computed in f32 and rounded once: what is between the two.

use std::mem::MaybeUninit;

use burn::tensor::Element;
use bytemuck::Pod;
use half::{bf16, f16};
use pulp::NullaryFnOnce;

use crate::host::arch;

/// A type whose numbers are widened to f32 and narrowed again. Both write every element of a slice as long as the first,
/// and give it back.
///
/// # Panics
///
/// Where they are not equally long.
pub(super) trait Half: Element + Pod {
    fn widen<'a>(from: &[Self], to: &'a mut [MaybeUninit<f32>]) -> &'a mut [f32];
    /// To the nearest, ties to even.
    fn narrow<'a>(from: &[f32], to: &'a mut [MaybeUninit<Self>]) -> &'a [Self];
}

/// As a place to [`narrow`](Half::narrow) to.
pub(super) fn written_over<H: Half>(numbers: &mut [H]) -> &mut [MaybeUninit<H>] {
    // SAFETY: the same layout, and nothing but numbers is ever written to it: `narrow` alone takes it.
    unsafe { &mut *(std::ptr::from_mut(numbers) as *mut [MaybeUninit<H>]) }
}

impl Half for f16 {
    fn widen<'a>(from: &[f16], to: &'a mut [MaybeUninit<f32>]) -> &'a mut [f32] {
        assert_eq!(from.len(), to.len());
        #[cfg(target_arch = "x86_64")]
        if x86::available() {
            // SAFETY: the processor has what it takes, and `widen` writes all.
            return unsafe {
                x86::widen(from, to);
                to.assume_init_mut()
            };
        }
        from.iter().zip(&mut *to).for_each(|(from, to)| *to = MaybeUninit::new(from.to_f32()));
        // SAFETY: as long as `from`, of which each has been written.
        unsafe { to.assume_init_mut() }
    }

    fn narrow<'a>(from: &[f32], to: &'a mut [MaybeUninit<f16>]) -> &'a [f16] {
        assert_eq!(from.len(), to.len());
        #[cfg(target_arch = "x86_64")]
        if x86::available() {
            // SAFETY: as in `widen`.
            return unsafe {
                x86::narrow(from, to);
                to.assume_init_ref()
            };
        }
        from.iter().zip(&mut *to).for_each(|(from, to)| *to = MaybeUninit::new(f16::from_f32(*from)));
        // SAFETY: as in `widen`.
        unsafe { to.assume_init_ref() }
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
    use pulp::Arch;

    use crate::host::arch;

    const LANES: usize = 8;

    pub(super) fn available() -> bool {
        // Shorter vectors may have been asked for.
        !matches!(arch(), Arch::Scalar) && is_x86_feature_detected!("avx") && is_x86_feature_detected!("f16c")
    }

    #[target_feature(enable = "avx,f16c")]
    pub(super) fn widen(from: &[f16], to: &mut [MaybeUninit<f32>]) {
        let ((blocks, rest), (wide, wide_rest)) = (from.as_chunks::<LANES>(), to.as_chunks_mut::<LANES>());
        for (from, to) in blocks.iter().zip(wide) {
            // SAFETY: eight numbers of either side.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr().cast(), _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()))) };
        }
        rest.iter().zip(wide_rest).for_each(|(from, to)| *to = MaybeUninit::new(from.to_f32()));
    }

    #[target_feature(enable = "avx,f16c")]
    pub(super) fn narrow(from: &[f32], to: &mut [MaybeUninit<f16>]) {
        let ((blocks, rest), (half, half_rest)) = (from.as_chunks::<LANES>(), to.as_chunks_mut::<LANES>());
        for (from, to) in blocks.iter().zip(half) {
            // SAFETY: eight numbers of either side.
            unsafe {
                let half = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(from.as_ptr()));
                _mm_storeu_si128(to.as_mut_ptr().cast(), half);
            }
        }
        rest.iter().zip(half_rest).for_each(|(from, to)| *to = MaybeUninit::new(f16::from_f32(*from)));
    }
}

impl Half for bf16 {
    fn widen<'a>(from: &[bf16], to: &'a mut [MaybeUninit<f32>]) -> &'a mut [f32] {
        assert_eq!(from.len(), to.len());
        arch().dispatch(Widen { from, to: &mut *to });
        // SAFETY: as long as `from`, of which each has been written.
        unsafe { to.assume_init_mut() }
    }

    fn narrow<'a>(from: &[f32], to: &'a mut [MaybeUninit<bf16>]) -> &'a [bf16] {
        assert_eq!(from.len(), to.len());
        arch().dispatch(Narrow { from, to: &mut *to });
        // SAFETY: as in `widen`.
        unsafe { to.assume_init_ref() }
    }
}

struct Widen<'a> {
    from: &'a [bf16],
    to: &'a mut [MaybeUninit<f32>],
}

impl NullaryFnOnce for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (from, to) in self.from.iter().zip(self.to) {
            to.write(f32::from_bits(u32::from(from.to_bits()) << 16));
        }
    }
}

struct Narrow<'a> {
    from: &'a [f32],
    to: &'a mut [MaybeUninit<bf16>],
}

impl NullaryFnOnce for Narrow<'_> {
    type Output = ();

    /// `bf16::from_f32` has a branch for NaN.
    #[inline(always)]
    fn call(self) {
        for (from, to) in self.from.iter().zip(self.to) {
            let bits = from.to_bits();
            let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
            // Quiet, as rounding could make an infinity of it.
            let bits = if from.is_nan() { (bits >> 16) | 0x40 } else { rounded };
            to.write(bf16::from_bits(bits as u16));
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
        let (mut narrow, mut wide) = (vec![MaybeUninit::uninit(); x.len()], vec![MaybeUninit::uninit(); x.len()]);
        let narrow = H::narrow(x, &mut narrow);
        for (x, found) in x.iter().zip(narrow) {
            let expected = rounded(*x);
            assert!(bits(*found) == bits(expected), "{x:e}: {:x}, not {:x}", bits(*found), bits(expected));
        }
        let wide = H::widen(narrow, &mut wide);
        assert!(narrow.iter().zip(wide).all(|(half, wide)| exact(*half).to_bits() == wide.to_bits()));
    }

    #[test]
    fn half_types_are_rounded_to_the_nearest_with_ties_to_even() {
        let x = numbers(|bits| bf16::from_bits(bits).to_f32(), |_| 0x8000);
        there_and_back(&x, bf16::from_f32, bf16::to_f32, bf16::to_bits);
        // Halfway is one bit further to the left for each exponent below the normal ones.
        let halfway = |x: f32| 1 << (12 + (113 - (x.to_bits() >> 23 & 0xff) as i32).clamp(0, 10));
        let x = numbers(|bits| f16::from_bits(bits).to_f32(), halfway);
        there_and_back(&x, f16::from_f32, f16::to_f32, f16::to_bits);
        // What is left over of eight.
        there_and_back(&x[..5], f16::from_f32, f16::to_f32, f16::to_bits);
    }
}
