//! The maths of the CPU kernels, for one element: the function and, below it, its derivative under each rule.

use std::hint::black_box;

use burn::tensor::Element;
use bytemuck::Pod;
use half::{bf16, f16};

use super::gradient::{BSILU_ALPHA, GradientRule, Surrogate};

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

/// max(0, x), NaN for NaN, 0.0 for −0.0.
#[inline(always)]
pub(crate) fn f<F: Real>(x: F) -> F {
    if x.is_nonpositive() { F::ZERO } else { x }
}

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

/// Something that applies a derivative (kept value, incoming gradient) → outgoing gradient to all elements.
///
/// It is generic over the closure, so that the rule is decided once and not per element.
pub(crate) trait Apply<F> {
    type Output;
    fn apply(self, df: impl Fn(F, F) -> F + Sync) -> Self::Output;
}

/// Hands the derivative of `rule` to `elements`. `x` is the input or, where the rule keeps that, the output.
pub(crate) fn df<F: Real, A: Apply<F>>(rule: GradientRule, elements: A) -> A::Output {
    match rule {
        GradientRule::Heaviside { at_zero: 0.0 } => elements.apply(|x, g| select(x, g, F::ZERO)),
        GradientRule::Heaviside { at_zero } => {
            elements.apply(|x, g: F| select(x, g, if x.is_zero() { g.times(at_zero) } else { F::ZERO }))
        }
        GradientRule::Leaky { slope } => elements.apply(|x, g: F| select(x, g, g.times(slope))),
        GradientRule::Surrogate(Surrogate::BSilu) => elements.apply(|x: F, g: F| g.times(bsilu(x.widen()))),
        GradientRule::Surrogate(Surrogate::NeLu { alpha }) => {
            elements.apply(|x: F, g: F| select(x, g, g.times(nelu(x.widen(), alpha))))
        }
        GradientRule::Guided => elements.apply(|x, g| select(x, f(g), F::ZERO)),
        GradientRule::Deconv => elements.apply(|_, g| f(g)),
    }
}

/// s′ of B-SiLU. Beyond ±100 it is 0 or 1 to rounding, and ∞ · 0 is avoided.
#[inline(always)]
fn bsilu(x: f64) -> f64 {
    let x = x.clamp(-100.0, 100.0);
    let sigmoid = 1.0 / (1.0 + (-x).exp());
    sigmoid + (x + BSILU_ALPHA) * sigmoid * (1.0 - sigmoid)
}

/// s′ of NeLU for x ≤ 0. Beyond −1e9 it is 0 to rounding, and ∞ / ∞ is avoided.
#[inline(always)]
fn nelu(x: f64, alpha: f64) -> f64 {
    let x = x.max(-1e9);
    2.0 * alpha * x / (1.0 + x * x).powi(2)
}
