//! What the kernels of CubeCL have in common: how elementwise ones are launched, over any layout and in place.

mod launch;

pub(crate) use launch::elementwise;
