//! The float types of the CPU backends, by the sign of one number.

use std::hint::black_box;

use burn::tensor::Element;
use bytemuck::Pod;
use half::{bf16, f16};

/// A float type of the CPU backends.
///
/// The comparisons are selects, never branches, so that loops over them vectorise; the half types compare by bits,
/// which needs no conversion.
pub(crate) trait Real: Element + Pod {
    const ZERO: Self;
    const NAN: Self;
    /// x > 0.
    fn is_positive(self) -> bool;
    /// x ≤ 0: false for NaN.
    fn is_nonpositive(self) -> bool;
    fn is_zero(self) -> bool;
    fn widen(self) -> f64;
    fn times(self, factor: f64) -> Self;
    /// The bits of both.
    fn or(self, other: Self) -> Self;

    /// 0, as the compiler cannot know. It belongs to what is written in an element's place, by [`or`](Self::or): of a
    /// choice between the element and something else LLVM would make a masked store, and those of AVX2 take nearly ten
    /// times as long on AMD's processors.
    #[inline(always)]
    fn hidden_zero() -> Self {
        black_box(Self::ZERO)
    }
}

macro_rules! real {
    ($float:ty) => {
        impl Real for $float {
            const ZERO: Self = 0.0;
            const NAN: Self = Self::NAN;
            #[inline(always)]
            fn is_positive(self) -> bool {
                self > 0.0
            }
            #[inline(always)]
            fn is_nonpositive(self) -> bool {
                self <= 0.0
            }
            #[inline(always)]
            fn is_zero(self) -> bool {
                self == 0.0
            }
            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn times(self, factor: f64) -> Self {
                self * factor as $float
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                Self::from_bits(self.to_bits() | other.to_bits())
            }
        }
    };
}
real!(f32);
real!(f64);

macro_rules! half_real {
    ($half:ty) => {
        impl Real for $half {
            const ZERO: Self = Self::ZERO;
            const NAN: Self = Self::NAN;
            #[inline(always)]
            fn is_positive(self) -> bool {
                self.to_bits().wrapping_sub(1) < Self::INFINITY.to_bits()
            }
            #[inline(always)]
            fn is_nonpositive(self) -> bool {
                self.to_bits() == 0 || self.to_bits() ^ 0x8000 <= Self::INFINITY.to_bits()
            }
            #[inline(always)]
            fn is_zero(self) -> bool {
                self.to_bits() << 1 == 0
            }
            #[inline(always)]
            fn widen(self) -> f64 {
                self.to_f64()
            }
            #[inline(always)]
            fn times(self, factor: f64) -> Self {
                Self::from_f32(self.to_f32() * factor as f32)
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                Self::from_bits(self.to_bits() | other.to_bits())
            }
        }
    };
}
half_real!(f16);
half_real!(bf16);

/// What x makes of a gradient: `on` for x > 0, `off` for x ≤ 0, NaN for NaN.
#[inline(always)]
pub(crate) fn select<F: Real>(x: F, on: F, off: F) -> F {
    if x.is_positive() {
        on
    } else if x.is_nonpositive() {
        off
    } else {
        F::NAN
    }
}
