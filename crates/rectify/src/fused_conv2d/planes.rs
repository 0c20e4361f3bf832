//! What a convolution's kernels do with whole planes of pre-activations: bias, φ and φ′.

use super::flex::LANES;
use crate::{
    host::{Real, arch},
    relu::host::Apply,
};

/// φ(z + b) in place of z.
pub(super) struct Plane<'a> {
    pub(super) z: &'a mut [f32],
    pub(super) bias: f32,
}

impl Apply<f32> for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn apply(self, phi: impl Fn(f32, f32) -> f32 + Sync) {
        let Self { z, bias } = self;
        arch().dispatch(|| z.iter_mut().for_each(|z| *z = phi(*z, bias)));
    }
}

/// φ(z), elsewhere.
pub(super) struct Fresh<'a>(pub(super) &'a [f32]);

impl Apply<f32> for Fresh<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn apply(self, phi: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
        let mut output = Vec::with_capacity(self.0.len());
        let free = &mut output.spare_capacity_mut()[..self.0.len()];
        arch().dispatch(|| {
            for (z, output) in self.0.iter().zip(free) {
                // −0.0, the neutral element of addition, keeps every bit of z.
                output.write(phi(*z, -0.0));
            }
        });
        // SAFETY: every element is written: both are of the same length.
        unsafe { output.set_len(self.0.len()) };
        output
    }
}

/// φ′ · g in place of g, and its sum over each channel's planes.
pub(super) struct Planes<'a> {
    /// φ(z) or z, which tells φ′.
    pub(super) kept: &'a [f32],
    pub(super) grad: &'a mut [f32],
    pub(super) bias_grad: &'a mut [f32],
    /// Elements of a plane.
    pub(super) area: usize,
}

impl Apply<f32> for Planes<'_> {
    type Output = ();

    #[inline(always)]
    fn apply(self, slope: impl Fn(f32, f32) -> f32 + Sync) {
        let Self { kept, grad, bias_grad, area } = self;
        let channels = bias_grad.len();
        arch().dispatch(|| {
            let zero = f32::hidden_zero();
            for (i, (kept, grad)) in kept.chunks_exact(area).zip(grad.chunks_exact_mut(area)).enumerate() {
                let (grad, grad_rest) = grad.as_chunks_mut::<LANES>();
                let (kept, kept_rest) = kept.as_chunks::<LANES>();
                // Partial sums side by side, so that the loop vectorises.
                let mut sums = [0.0; LANES];
                for (kept, grad) in kept.iter().zip(grad) {
                    for lane in 0..LANES {
                        grad[lane] = slope(kept[lane], grad[lane]).or(zero);
                        sums[lane] += grad[lane];
                    }
                }
                let mut sum: f32 = sums.iter().sum();
                for (a, g) in kept_rest.iter().zip(grad_rest) {
                    *g = slope(*a, *g).or(zero);
                    sum += *g;
                }
                bias_grad[i % channels] += sum;
            }
        });
    }
}
