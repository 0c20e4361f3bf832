//! The elementary functions, for one number, in each kind of arithmetic that activations are computed in.
//!
//! | type | what it is for |
//! |---|---|
//! | `f32` | f32, f16 and bf16 tensors: without branches, so that loops over it vectorise |
//! | [`Near`] | the same, and the same bits, where all of a block is near to 0: in half the time |
//! | `Eight` | functions without exponentials of f16 and bf16 tensors: f32 in a vector |
//! | `f64` | f64 tensors, by the platform's functions |
//! | [`Wide`] | f32 tensors where rounding in f32 would be seen: f64 that vectorises, with the digits that an f32 needs |
//! | [`pieces`] | some functions of f32 tensors near to 0: no arithmetic, but tables that take their place |
//! | `formula::Symbol` | what is computed, taken down: for the kernels of CubeCL, whose functions are in `cube`, and for Burn's operations elsewhere |
#![cfg_attr(not(feature = "flex"), allow(dead_code, reason = "the kernels of CPUs use it"))]

#[cfg(feature = "cube")]
pub(crate) mod cube;
mod double;
#[cfg(all(feature = "flex", target_arch = "x86_64"))]
mod eight;
mod gelu;
mod gelu_tanh;
pub(crate) mod in_two;
mod logistic;
mod near;
#[cfg(feature = "cube")]
mod normal;
pub(crate) mod pieces;
mod single;
mod softsign;
mod tanh_shrink;
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod wide;

use std::ops::{Add, Div, Mul, Neg, Sub};

#[cfg(all(feature = "flex", target_arch = "x86_64"))]
pub(crate) use eight::Eight;
pub use in_two::Exponents;
pub(crate) use near::{Near, all_within};
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) use wide::Wide;

/// What is a [`Number`] is decided here.
pub trait Sealed {}

impl Sealed for f32 {}
impl Sealed for f64 {}

/// The functions of x that f32, or f64, computes in a form of its own.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    Silu,
    SiluSlope,
    Gelu,
    GeluSlope,
    GeluTanh,
    GeluTanhSlope,
    SoftsignSlope,
    TanhShrink,
    TanhShrinkSlope,
}

/// What a [`Function`](crate::Function) is written in, once for every arithmetic: f64, f32, and one that takes down what is
/// computed, from which the kernels of every backend are made.
///
/// `N::of` makes numbers of constants, `N::choose` takes the place of `if`, and there are `+`, `-`, `*` and `/`. NaN goes
/// through each operation and is neither below nor above anything, so `choose` takes its second number there.
///
/// It is implemented here alone.
pub trait Number:
    Sealed + Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// What a comparison gives.
    type Mask: Copy;
    /// A constant.
    fn of(value: f64) -> Self;
    /// Whether self < other.
    fn less(self, other: Self) -> Self::Mask;
    /// Whether self ≤ other.
    fn less_equal(self, other: Self) -> Self::Mask;
    /// `yes` where the mask holds, otherwise `no`. Both are computed.
    fn choose(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// |x|.
    fn abs(self) -> Self;
    /// √x; NaN below 0.
    fn sqrt(self) -> Self;
    /// eˣ.
    fn exp(self) -> Self;
    /// eˣ − 1, to the last digits near 0.
    fn expm1(self) -> Self;
    /// ln x; −∞ at 0, NaN below.
    fn log(self) -> Self;
    /// ln(1 + x), to the last digits near 0.
    fn log1p(self) -> Self;
    /// sin x. A single f32 loses its digits beyond 10⁶; tensors do not.
    fn sin(self) -> Self;
    /// cos x, as [`sin`](Self::sin).
    fn cos(self) -> Self;
    /// tanh x.
    fn tanh(self) -> Self;
    /// 1 / (1 + e⁻ˣ).
    fn sigmoid(self) -> Self;
    /// self to the power of other. Where that is a constant and a whole number, the kernels of tensors multiply.
    fn pow(self, other: Self) -> Self;
    /// Φ and its derivative: the normal distribution's probability and density.
    fn normal(self) -> (Self, Self);

    /// self · factor + sum, rounded once where that is as fast.
    #[doc(hidden)]
    #[inline(always)]
    fn times_plus(self, factor: Self, sum: Self) -> Self {
        self * factor + sum
    }

    /// ln(1 + eˣ), without overflow.
    #[inline(always)]
    fn softplus(self) -> Self {
        self.at_least(0.0) + (-self.abs()).exp().log1p()
    }

    /// eˣ · factor.
    #[doc(hidden)]
    #[inline(always)]
    fn exp_times(self, factor: f64) -> Self {
        self.exp() * Self::of(factor)
    }

    /// σ′(x) · factor = σ(x) σ(−x) · factor.
    #[doc(hidden)]
    #[inline(always)]
    fn sigmoid_slope_times(self, factor: f64) -> Self {
        self.sigmoid() * (-self).sigmoid() * Self::of(factor)
    }

    /// `value`, or where that would lose digits what has them, see [`Form`].
    #[doc(hidden)]
    #[inline(always)]
    fn by_form(self, _form: Form, value: Self) -> Self {
        value
    }

    /// `value`, a function of x with a zero at the sum of `root`, by its Taylor coefficients there, from the first power's on,
    /// where its own terms cancel.
    #[doc(hidden)]
    #[inline(always)]
    fn near_root(self, _root: [f64; 2], _taylor: &[f64; 16], value: Self) -> Self {
        value
    }

    /// `value`, but NaN where x is.
    #[inline(always)]
    fn or_nan(self, value: Self) -> Self {
        Self::choose(self.less_equal(self), value, self)
    }

    /// 1 where low < x < high, otherwise 0; NaN for NaN.
    #[inline(always)]
    fn inside(self, low: f64, high: f64) -> Self {
        let below_high = Self::choose(self.below(high), Self::of(1.0), Self::of(0.0));
        self.or_nan(Self::choose(self.above(low), below_high, Self::of(0.0)))
    }

    /// Whether x > bound.
    #[inline(always)]
    fn above(self, bound: f64) -> Self::Mask {
        Self::of(bound).less(self)
    }

    /// Whether x < bound.
    #[inline(always)]
    fn below(self, bound: f64) -> Self::Mask {
        self.less(Self::of(bound))
    }

    /// How products that are exponents are computed.
    #[doc(hidden)]
    const EXPONENTS: Exponents = Exponents::Rounded;

    /// x · factor and what rounding took of it, where [`EXPONENTS`](Self::EXPONENTS) asks for that.
    #[doc(hidden)]
    #[inline(always)]
    fn product(self, factor: [f64; 2]) -> [Self; 2] {
        [self * Self::of(factor[0]), Self::of(0.0)]
    }

    /// x to half of its digits, where that is of use: for kernels that have nothing wider.
    #[doc(hidden)]
    #[inline(always)]
    fn upper(self) -> Self {
        self
    }

    /// The larger one of x and a bound; NaN for NaN.
    #[inline(always)]
    fn at_least(self, bound: f64) -> Self {
        let bound = Self::of(bound);
        Self::choose(self.less_equal(bound), bound, self)
    }

    /// The smaller one of x and a bound; NaN for NaN.
    #[inline(always)]
    fn at_most(self, bound: f64) -> Self {
        let bound = Self::of(bound);
        Self::choose(bound.less_equal(self), bound, self)
    }
}

/// A polynomial by Horner's rule, from the highest power's coefficient on.
#[inline(always)]
pub(crate) fn polynomial<T: Number, const N: usize>(x: T, coefficients: [f64; N]) -> T {
    let mut sum = T::of(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = sum.times_plus(x, T::of(*coefficient));
    }
    sum
}

/// What f32 tensors are computed in.
pub(crate) trait Arithmetic: Number {
    fn from_f32(x: f32) -> Self;
    fn to_f32(self) -> f32;
}

impl Arithmetic for f32 {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

/// What of a [`Number`] is the same for every type that is compared by `<`.
macro_rules! comparisons {
    () => {
        type Mask = bool;
        #[inline(always)]
        fn less(self, other: Self) -> bool {
            self < other
        }
        #[inline(always)]
        fn less_equal(self, other: Self) -> bool {
            self <= other
        }
        #[inline(always)]
        fn choose(mask: bool, yes: Self, no: Self) -> Self {
            if mask { yes } else { no }
        }
    };
}
use comparisons;

/// The operators of a number that wraps another.
macro_rules! operators {
    ($type:ident) => {
        operators!($type, Add add + Sub sub - Mul mul * Div div /);

        impl std::ops::Neg for $type {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl super::Sealed for $type {}
    };
    ($type:ident, $($trait:ident $method:ident $operator:tt)*) => {
        $(impl std::ops::$trait for $type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0 $operator other.0)
            }
        })*
    };
}
use operators;

/// A type that formulas are computed in. Half types are computed in f32.
pub(crate) trait Float: Number<Mask = bool> + PartialOrd + Send + Sync + 'static {
    /// The same near to 0, where that takes less time.
    type Near: Number + From<Self> + Into<Self>;
    const ZERO: Self;
    const ONE: Self;
    fn wide(self) -> f64;
    fn erf(self) -> Self;

    /// −1, 0 or 1; NaN for NaN.
    #[inline(always)]
    fn sign(self) -> Self {
        if self > Self::ZERO {
            Self::ONE
        } else if self < Self::ZERO {
            -Self::ONE
        } else {
            // 0 of either sign, or NaN.
            self.abs()
        }
    }

    /// max(0, x): NaN for NaN.
    #[inline(always)]
    fn relu(self) -> Self {
        self.at_least(0.0)
    }

    /// The larger one; NaN if either is.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other || self.is_nan() { self } else { other }
    }

    /// The smaller one; NaN if either is.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self < other || self.is_nan() { self } else { other }
    }

    #[inline(always)]
    #[allow(clippy::eq_op, reason = "only NaN differs from itself")]
    fn is_nan(self) -> bool {
        self != self
    }

    /// 1 where a comparison holds, otherwise 0.
    #[inline(always)]
    fn truth(holds: bool) -> Self {
        if holds { Self::ONE } else { Self::ZERO }
    }
}
