//! Float types and what they are computed in: f32 for half types, otherwise themselves.

use std::{
    mem::MaybeUninit,
    ops::{AddAssign, Mul},
};

use burn::tensor::Element;
use bytemuck::Pod;

use super::{Half, Real, narrow_into, widen_into};

/// Elements that are computed at once: what is between the steps stays in the first cache.
pub(crate) const COMPUTED_BLOCK: usize = 512;

/// A float type of Flex's tensors.
pub(crate) trait Computed: Element + Pod {
    /// What it is computed in.
    type In: Real + Mul<Output = Self::In> + AddAssign + Into<f64>;

    /// Its numbers in that type: in the buffer, which is at least as long, if they are of another.
    fn widened<'a>(numbers: &'a [Self], buffer: &'a mut [MaybeUninit<Self::In>]) -> &'a [Self::In];

    /// What `compute` writes, rounded, of at most [`COMPUTED_BLOCK`] numbers.
    ///
    /// # Safety
    ///
    /// `compute` must write every element.
    unsafe fn write(output: &mut [MaybeUninit<Self>], compute: impl FnOnce(&mut [MaybeUninit<Self::In>]));
}

macro_rules! in_itself {
    ($float:ty) => {
        impl Computed for $float {
            type In = Self;

            fn widened<'a>(numbers: &'a [Self], _buffer: &'a mut [MaybeUninit<Self>]) -> &'a [Self] {
                numbers
            }

            unsafe fn write(output: &mut [MaybeUninit<Self>], compute: impl FnOnce(&mut [MaybeUninit<Self>])) {
                compute(output);
            }
        }
    };
}
in_itself!(f32);
in_itself!(f64);

impl<H: Half> Computed for H {
    type In = f32;

    fn widened<'a>(numbers: &'a [Self], buffer: &'a mut [MaybeUninit<f32>]) -> &'a [f32] {
        widen_into(numbers, &mut buffer[..numbers.len()])
    }

    unsafe fn write(output: &mut [MaybeUninit<Self>], compute: impl FnOnce(&mut [MaybeUninit<f32>])) {
        let mut wide = [MaybeUninit::uninit(); COMPUTED_BLOCK];
        let wide = &mut wide[..output.len()];
        compute(wide);
        // SAFETY: the caller's.
        narrow_into(unsafe { wide.assume_init_ref() }, output);
    }
}
