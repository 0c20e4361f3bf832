//! Eight f32 in one of AVX2's vectors, for half types, whose conversions take eight at a time: between them the numbers stay
//! in registers, and a comparison is a mask of the vector's own, which LLVM makes of eight `bool` by way of sixteen bits.

use bytemuck::cast;
use pulp::{Simd, f32x8, m32x8, x86::V3};

use super::{Form, Number, Sealed, softsign};

/// For loops that run on a processor with AVX2 and FMA alone.
#[derive(Clone, Copy)]
pub(crate) struct Eight(pub(crate) f32x8);

#[inline(always)]
fn v3() -> V3 {
    // SAFETY: of the type's loops alone.
    unsafe { V3::new_unchecked() }
}

impl Eight {
    /// One number after the other.
    #[inline(always)]
    fn each(self, f: impl Fn(f32) -> f32) -> Self {
        Self(cast(cast::<_, [f32; 8]>(self.0).map(f)))
    }
}

impl Sealed for Eight {}

macro_rules! operators {
    ($($trait:ident $method:ident $of:ident),*) => {
        $(impl std::ops::$trait for Eight {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(v3().$of(self.0, other.0))
            }
        })*
    };
}
operators!(Add add add_f32s, Sub sub sub_f32s, Mul mul mul_f32s, Div div div_f32s);

impl std::ops::Neg for Eight {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(v3().neg_f32s(self.0))
    }
}

macro_rules! each {
    ($($function:ident),*) => {
        $(#[inline(always)]
        fn $function(self) -> Self {
            self.each(Number::$function)
        })*
    };
}

/// With the bits of f32's. What is not arithmetic, comparison or root is computed number by number, and belongs in loops
/// over f32.
impl Number for Eight {
    type Mask = m32x8;

    #[inline(always)]
    fn of(value: f64) -> Self {
        Self(v3().splat_f32s(value as f32))
    }
    #[inline(always)]
    fn less(self, other: Self) -> m32x8 {
        v3().less_than_f32s(self.0, other.0)
    }
    #[inline(always)]
    fn less_equal(self, other: Self) -> m32x8 {
        v3().less_than_or_equal_f32s(self.0, other.0)
    }
    #[inline(always)]
    fn choose(mask: m32x8, yes: Self, no: Self) -> Self {
        Self(v3().select_f32s(mask, yes.0, no.0))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self(v3().abs_f32s(self.0))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(v3().sqrt_f32s(self.0))
    }
    #[inline(always)]
    fn times_plus(self, factor: Self, sum: Self) -> Self {
        Self(v3().mul_add_f32s(self.0, factor.0, sum.0))
    }
    #[inline(always)]
    fn by_form(self, form: Form, _value: Self) -> Self {
        match form {
            Form::SoftsignSlope => softsign::slope(self),
            form => self.each(|x| x.by_form(form, x)),
        }
    }
    each!(exp, expm1, log, log1p, sin, cos, tanh, sigmoid, softplus);
    #[inline(always)]
    fn exp_times(self, factor: f64) -> Self {
        self.each(|x| x.exp_times(factor))
    }
    #[inline(always)]
    fn sigmoid_slope_times(self, factor: f64) -> Self {
        self.each(|x| x.sigmoid_slope_times(factor))
    }
    #[inline(always)]
    fn pow(self, other: Self) -> Self {
        let other: [f32; 8] = cast(other.0);
        let mut powers: [f32; 8] = cast(self.0);
        powers.iter_mut().zip(other).for_each(|(x, other)| *x = x.pow(other));
        Self(cast(powers))
    }
    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        (self.each(|x| x.normal().0), self.each(|x| x.normal().1))
    }
    #[inline(always)]
    fn near_root(self, root: [f64; 2], taylor: &[f64; 16], value: Self) -> Self {
        let value: [f32; 8] = cast(value.0);
        let mut values: [f32; 8] = cast(self.0);
        values.iter_mut().zip(value).for_each(|(x, value)| *x = x.near_root(root, taylor, value));
        Self(cast(values))
    }
}
