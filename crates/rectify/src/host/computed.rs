//! Float types and what they are computed in: f32 for half types, otherwise themselves.

use std::{
    mem::MaybeUninit,
    ops::{AddAssign, Mul},
};

use burn::tensor::Element;
use bytemuck::Pod;

use super::{Half, narrow, widen};
use crate::relu::real::Real;

/// A float type of Flex's tensors.
pub(crate) trait Computed: Element + Pod {
    /// What it is computed in.
    type In: Real + Mul<Output = Self::In> + AddAssign + Into<f64>;

    /// Its numbers in that type: in the buffer, which is as long, if they are not in it.
    fn widened<'a>(numbers: &'a [Self], buffer: &'a mut [Self::In]) -> &'a [Self::In];

    /// What `compute` writes, rounded.
    ///
    /// # Safety
    ///
    /// `compute` must write every element.
    unsafe fn write<const BLOCK: usize>(
        output: &mut [MaybeUninit<Self>],
        compute: impl FnOnce(&mut [MaybeUninit<Self::In>]),
    );
}

macro_rules! in_itself {
    ($float:ty) => {
        impl Computed for $float {
            type In = Self;

            fn widened<'a>(numbers: &'a [Self], _buffer: &'a mut [Self]) -> &'a [Self] {
                numbers
            }

            unsafe fn write<const BLOCK: usize>(
                output: &mut [MaybeUninit<Self>],
                compute: impl FnOnce(&mut [MaybeUninit<Self>]),
            ) {
                compute(output);
            }
        }
    };
}
in_itself!(f32);
in_itself!(f64);

impl<H: Half> Computed for H {
    type In = f32;

    fn widened<'a>(numbers: &'a [Self], buffer: &'a mut [f32]) -> &'a [f32] {
        let buffer = &mut buffer[..numbers.len()];
        widen(numbers, buffer);
        buffer
    }

    unsafe fn write<const BLOCK: usize>(
        output: &mut [MaybeUninit<Self>],
        compute: impl FnOnce(&mut [MaybeUninit<f32>]),
    ) {
        let mut wide = [MaybeUninit::uninit(); BLOCK];
        let wide = &mut wide[..output.len()];
        compute(wide);
        // SAFETY: the caller's; zeros are numbers.
        let (wide, output) = unsafe {
            output.fill(MaybeUninit::new(Self::zeroed()));
            (wide.assume_init_ref(), output.assume_init_mut())
        };
        narrow(wide, output);
    }
}
