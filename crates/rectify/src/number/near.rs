//! f32 whose powers of e are normal numbers, as `single` has them in half the time.

use super::{Arithmetic, Float, operators};

/// Each function has the bits of f32's, as far as the constants say.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Near(f32);

operators!(Near);

/// Up to which |x| a function of it is f32's.
impl Near {
    pub(crate) const EXP: f32 = 80.0;
    pub(crate) const EXPM1: f32 = 40.0;
    pub(crate) const TANH: f32 = 40.0;
    /// Of SiLU, too.
    pub(crate) const SIGMOID: f32 = 16.0;
    pub(crate) const SOFTPLUS: f32 = 40.0;
}

/// Whether no |x| is larger; NaN is.
#[inline(always)]
pub(crate) fn all_within<F: Float>(x: &[F], bound: f32) -> bool {
    x.iter().fold(true, |within, x| within & (x.abs() <= F::of(f64::from(bound))))
}

impl From<f32> for Near {
    #[inline(always)]
    fn from(x: f32) -> Self {
        Self(x)
    }
}

impl From<Near> for f32 {
    #[inline(always)]
    fn from(x: Near) -> Self {
        x.0
    }
}

impl Arithmetic for Near {
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        Self(x)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.0
    }
}
