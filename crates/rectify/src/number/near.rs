//! f32 whose powers of e are normal numbers, as `single` has them in half the time.

use super::{Arithmetic, operators};

/// Each function has the bits of f32's, as far as its activation [says](crate::activation::Properties::near).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Near(f32);

operators!(Near);

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
