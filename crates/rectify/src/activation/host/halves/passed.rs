//! Gradients of functions whose slope is 0 or 1, in the vectors of AVX2.

use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_andnot_si256, _mm256_cmpgt_epi16, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_set1_epi16, _mm256_sign_epi16, _mm256_storeu_si256, _mm256_xor_si256,
};

use bytemuck::cast;

use super::Slope;
use crate::{
    activation::Passes,
    host::{Half, LANES, SIXTEEN},
};

impl<H: Half> Slope<H> {
    /// A gradient that passes or does not is no product, and needs no conversion. The bits are a product's: 0 has the
    /// gradient's sign, and ∞ times 0 is NaN.
    ///
    /// # Safety
    ///
    /// [`Half::widen_sixteen`]'s.
    #[inline(always)]
    pub(super) unsafe fn passed(self, passes: Passes) {
        let Self { blocks, kept, grad, output } = self;
        let (kept, grad, output): (*const __m256i, *const __m256i, *mut __m256i) =
            (kept.cast(), grad.cast(), output.cast());
        let ([first, last], inside) = places::<H>(passes);
        // SAFETY: the caller's, and there are so many blocks. One has been read when it is written.
        unsafe {
            let (sign, size) = (_mm256_set1_epi16(i16::MIN), _mm256_set1_epi16(i16::MAX));
            let (first, last) = (_mm256_set1_epi16(first), _mm256_set1_epi16(last));
            let turned = _mm256_set1_epi16(if inside { -1 } else { 0 });
            let (infinity, finite) = (_mm256_set1_epi16(H::INFINITY), _mm256_set1_epi16(H::INFINITY - 1));
            for i in 0..blocks * (LANES / SIXTEEN) {
                let (x, g) = (_mm256_loadu_si256(kept.add(i)), _mm256_loadu_si256(grad.add(i)));
                let size_of_x = _mm256_and_si256(x, size);
                let place = _mm256_sign_epi16(size_of_x, _mm256_or_si256(x, _mm256_set1_epi16(1)));
                let beyond = _mm256_or_si256(_mm256_cmpgt_epi16(first, place), _mm256_cmpgt_epi16(place, last));
                let passes = _mm256_xor_si256(beyond, turned);
                let is_large = _mm256_cmpgt_epi16(_mm256_and_si256(g, size), finite);
                let is_nan =
                    _mm256_or_si256(_mm256_cmpgt_epi16(size_of_x, infinity), _mm256_andnot_si256(passes, is_large));
                let product = _mm256_and_si256(g, _mm256_or_si256(passes, sign));
                _mm256_storeu_si256(output.add(i), _mm256_or_si256(product, _mm256_and_si256(is_nan, size)));
            }
        }
    }
}

/// The first and the last number of a type that gradients pass at, if that is said, or else do not pass at. Numbers are
/// counted from 0 on.
#[inline(always)]
fn places<H: Half>(passes: Passes) -> ([i16; 2], bool) {
    let (Passes::Between(bounds) | Passes::Beyond(bounds)) = passes;
    let inside = matches!(passes, Passes::Between(_));
    let [low, high] = bounds.map(|bound| bound as f32);
    let (first, last) = (H::narrowed(low), H::narrowed(high));
    let after = first.widened() < low || (inside && first.widened() == low);
    let before = last.widened() > high || (inside && last.widened() == high);
    ([place(first) + i16::from(after), place(last) - i16::from(before)], inside)
}

/// The sign and the bits beside it.
#[inline(always)]
fn place<H: Half>(x: H) -> i16 {
    let bits: u16 = cast(x);
    let size = (bits & 0x7fff) as i16;
    if bits >> 15 == 1 { -size } else { size }
}
