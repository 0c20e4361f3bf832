//! f16 and bf16, whose kernels compute in f32: what is between the types, for loops that have both in registers.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m128i, __m256, __m256i, _CMP_UNORD_Q, _MM_FROUND_TO_NEAREST_INT as NEAREST, _mm256_add_epi32, _mm256_and_si256,
    _mm256_blend_epi16, _mm256_blendv_epi8, _mm256_cmp_ps, _mm256_cvtph_ps, _mm256_cvtps_ph, _mm256_or_si256,
    _mm256_set1_epi32, _mm256_slli_epi32, _mm256_srli_epi32,
};
use std::mem::MaybeUninit;

use burn::tensor::Element;
use bytemuck::Pod;
#[cfg(target_arch = "x86_64")]
use bytemuck::cast;
use half::{bf16, f16};
use pulp::NullaryFnOnce;
#[cfg(target_arch = "x86_64")]
use pulp::{Arch, f32x8};

use super::{LANES, arch, fill};

/// A type whose numbers are widened to f32, and narrowed again to the nearest, ties to even.
pub(crate) trait Half: Element + Pod {
    /// Whether [`widen_sixteen`](Self::widen_sixteen) leaves them in their order.
    const IN_ORDER: bool;
    /// The bits of ∞.
    const INFINITY: i16;

    fn widened(self) -> f32;
    fn narrowed(x: f32) -> Self;

    /// In an order that [`narrow_sixteen`](Self::narrow_sixteen) undoes.
    ///
    /// # Safety
    ///
    /// The processor must have AVX2 and F16C.
    #[cfg(target_arch = "x86_64")]
    unsafe fn widen_sixteen(from: &[Self; SIXTEEN]) -> [f32x8; 2];
    /// # Safety
    ///
    /// As [`widen_sixteen`](Self::widen_sixteen).
    #[cfg(target_arch = "x86_64")]
    unsafe fn narrow_sixteen(from: [f32x8; 2], to: &mut [MaybeUninit<Self>; SIXTEEN]);

    /// In an order that [`narrow`](Self::narrow) undoes.
    ///
    /// # Safety
    ///
    /// Where they are `NATIVE`, as [`widen_sixteen`](Self::widen_sixteen).
    #[inline(always)]
    unsafe fn widen<'a, const NATIVE: bool>(
        from: &[Self; LANES],
        to: &'a mut [MaybeUninit<f32>; LANES],
    ) -> &'a mut [f32; LANES] {
        #[cfg(target_arch = "x86_64")]
        if NATIVE {
            for (from, to) in from.as_chunks().0.iter().zip(to.as_chunks_mut::<SIXTEEN>().0) {
                // SAFETY: the caller's.
                to.write_copy_of_slice(&cast::<_, [f32; SIXTEEN]>(unsafe { Self::widen_sixteen(from) }));
            }
        }
        if !NATIVE {
            from.iter().zip(&mut *to).for_each(|(from, to)| _ = to.write(from.widened()));
        }
        // SAFETY: all are written, and an array of them is laid out as one of numbers.
        unsafe { &mut *std::ptr::from_mut(to).cast() }
    }

    /// # Safety
    ///
    /// As [`widen`](Self::widen).
    #[inline(always)]
    unsafe fn narrow<const NATIVE: bool>(from: &[f32; LANES], to: &mut [MaybeUninit<Self>; LANES]) {
        #[cfg(target_arch = "x86_64")]
        if NATIVE {
            for (from, to) in from.as_chunks::<SIXTEEN>().0.iter().zip(to.as_chunks_mut().0) {
                // SAFETY: the caller's.
                unsafe { Self::narrow_sixteen(cast(*from), to) };
            }
            return;
        }
        from.iter().zip(to).for_each(|(from, to)| *to = MaybeUninit::new(Self::narrowed(*from)));
    }
}

/// Half numbers of a vector of AVX2.
pub(crate) const SIXTEEN: usize = 16;
const _: () = assert!(LANES.is_multiple_of(SIXTEEN));

impl Half for f16 {
    const IN_ORDER: bool = true;
    const INFINITY: i16 = 0x7c00;

    #[inline(always)]
    fn widened(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn narrowed(x: f32) -> Self {
        Self::from_f32(x)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn widen_sixteen(from: &[f16; SIXTEEN]) -> [f32x8; 2] {
        let [low, high]: [__m128i; 2] = cast(*from);
        // SAFETY: the caller's.
        unsafe { [cast(_mm256_cvtph_ps(low)), cast(_mm256_cvtph_ps(high))] }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn narrow_sixteen(from: [f32x8; 2], to: &mut [MaybeUninit<f16>; SIXTEEN]) {
        let [low, high] = from;
        // SAFETY: the caller's.
        let half: [__m128i; 2] =
            unsafe { [_mm256_cvtps_ph::<NEAREST>(cast(low)), _mm256_cvtps_ph::<NEAREST>(cast(high))] };
        to.write_copy_of_slice(&cast::<_, [f16; SIXTEEN]>(half));
    }
}

impl Half for bf16 {
    const IN_ORDER: bool = false;
    const INFINITY: i16 = 0x7f80;

    #[inline(always)]
    fn widened(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    /// `bf16::from_f32` has a branch for NaN.
    #[inline(always)]
    fn narrowed(x: f32) -> Self {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        // Quiet, as rounding could make an infinity of it.
        let bits = if x.is_nan() { (bits >> 16) | 0x40 } else { rounded };
        Self::from_bits(bits as u16)
    }

    /// Those of even places, and those of odd ones, which need not be moved.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn widen_sixteen(from: &[bf16; SIXTEEN]) -> [f32x8; 2] {
        let pairs = cast(*from);
        // SAFETY: the caller's.
        unsafe { [cast(_mm256_slli_epi32::<16>(pairs)), cast(_mm256_and_si256(pairs, _mm256_set1_epi32(!0xffff)))] }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn narrow_sixteen(from: [f32x8; 2], to: &mut [MaybeUninit<bf16>; SIXTEEN]) {
        let [even, odd] = from;
        // SAFETY: the caller's.
        let pairs: __m256i = unsafe {
            let even = _mm256_srli_epi32::<16>(upper_half(cast(even)));
            _mm256_blend_epi16::<0b1010_1010>(even, upper_half(cast(odd)))
        };
        to.write_copy_of_slice(&cast::<_, [bf16; SIXTEEN]>(pairs));
    }
}

/// As bf16's `narrowed`, in the upper half of each.
///
/// # Safety
///
/// The processor must have AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn upper_half(x: __m256) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        let bits = cast(x);
        let last = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(last, _mm256_set1_epi32(0x7fff)));
        let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x40_0000));
        _mm256_blendv_epi8(rounded, quiet, cast(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x)))
    }
}

/// The vectors of pulp's `V3`, which know nothing of F16C, and that.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
fn with_f16c(work: impl NullaryFnOnce<Output = ()>) {
    work.call();
}

/// A loop over half types, all of it to be inlined.
pub(crate) trait Work {
    /// # Safety
    ///
    /// [`Half::widen`]'s.
    unsafe fn run<const NATIVE: bool>(self);
}

/// Runs it with the processor's vectors.
pub(crate) fn dispatch(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    match arch() {
        // SAFETY: what `V3` says that the processor has, and F16C.
        Arch::V3(_) if is_x86_feature_detected!("f16c") => unsafe { with_f16c(Native(work)) },
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
    // SAFETY: of the same layout, and nothing but numbers is written.
    widen_into(from, unsafe { &mut *(std::ptr::from_mut(to) as *mut [MaybeUninit<f32>]) });
}

/// [`widen`] to what holds no numbers yet.
pub(crate) fn widen_into<'a, H: Half>(from: &[H], to: &'a mut [MaybeUninit<f32>]) -> &'a [f32] {
    assert_eq!(from.len(), to.len());
    let ((from, from_rest), (whole, rest)) = (from.as_chunks(), to.as_chunks_mut());
    dispatch(Widen { from, to: whole });
    if !from_rest.is_empty() {
        let mut filled = [MaybeUninit::uninit(); LANES];
        dispatch(Widen { from: &[fill(from_rest)], to: std::slice::from_mut(&mut filled) });
        rest.copy_from_slice(&filled[..from_rest.len()]);
    }
    // SAFETY: `Widen` writes as many blocks as it reads.
    unsafe { to.assume_init_ref() }
}

/// # Panics
///
/// Where they are not equally long.
pub(crate) fn narrow<H: Half>(from: &[f32], to: &mut [H]) {
    // SAFETY: of the same layout, and nothing but numbers is written.
    narrow_into(from, unsafe { &mut *(std::ptr::from_mut(to) as *mut [MaybeUninit<H>]) });
}

/// [`narrow`] to what holds no numbers yet. It writes them all.
pub(crate) fn narrow_into<H: Half>(from: &[f32], to: &mut [MaybeUninit<H>]) {
    assert_eq!(from.len(), to.len());
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks(), to.as_chunks_mut());
    dispatch(Narrow { from, to });
    if !from_rest.is_empty() {
        let mut filled = [MaybeUninit::uninit(); LANES];
        dispatch(Narrow { from: &[fill(from_rest)], to: std::slice::from_mut(&mut filled) });
        to_rest.copy_from_slice(&filled[..from_rest.len()]);
    }
}

struct Widen<'a, H> {
    from: &'a [[H; LANES]],
    to: &'a mut [[MaybeUninit<f32>; LANES]],
}

impl<H: Half> Work for Widen<'_, H> {
    #[inline(always)]
    unsafe fn run<const NATIVE: bool>(self) {
        for (from, to) in self.from.iter().zip(self.to) {
            // SAFETY: the caller's.
            unsafe { if H::IN_ORDER { H::widen::<NATIVE>(from, to) } else { H::widen::<false>(from, to) } };
        }
    }
}

struct Narrow<'a, H> {
    from: &'a [[f32; LANES]],
    to: &'a mut [[MaybeUninit<H>; LANES]],
}

impl<H: Half> Work for Narrow<'_, H> {
    #[inline(always)]
    unsafe fn run<const NATIVE: bool>(self) {
        for (from, to) in self.from.iter().zip(self.to) {
            // SAFETY: the caller's.
            unsafe { if H::IN_ORDER { H::narrow::<NATIVE>(from, to) } else { H::narrow::<false>(from, to) } }
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
        let (mut half, mut wide) = (Vec::new(), Vec::new());
        for x in &x {
            let (mut narrow, mut wider) = ([MaybeUninit::uninit(); LANES], [MaybeUninit::uninit(); LANES]);
            Plain(Narrow { from: &[*x], to: std::slice::from_mut(&mut narrow) }).call();
            // SAFETY: `Narrow` has written all of it.
            let narrow = narrow.map(|x: MaybeUninit<H>| unsafe { x.assume_init() });
            Plain(Widen { from: &[narrow], to: std::slice::from_mut(&mut wider) }).call();
            half.extend(narrow);
            // SAFETY: `Widen` has written all of it.
            wide.extend(wider.map(|x| unsafe { x.assume_init() }));
        }
        check(&half, &wide);
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
