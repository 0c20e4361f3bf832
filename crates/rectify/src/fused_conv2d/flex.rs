//! The layer's CPU kernels on Flex, in f32: the function and, below it, its gradient. Other types take the defaults.
//!
//! A sample is padded so that a row's right padding is the next row's left one. Then a kernel's element ("tap") sees
//! the image as the same sequence of numbers, some places further on, and a convolution is a matrix product whose one
//! operand, a row for each tap, is never written out. What it computes between the rows, at the padding, is left out in
//! the end.

use burn::{
    backend::{Flex, TensorMetadata, ops::FloatTensorOps, tensor::FloatTensor},
    tensor::{DType, Shape},
};
use burn_flex::FlexTensor;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{
    backward::{FusedConv2dOps, default},
    planes::{Fresh, Plane, Planes},
};
use crate::{
    activation,
    fused_activation::{
        Bias, FusedActivation,
        flex::{slope, value},
    },
    host::{arch, dense, tensor},
};

impl FusedConv2dOps for Flex {
    fn rectify_fused_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        activation: FusedActivation,
    ) -> FloatTensor<Self> {
        let [channels_out, ..] = weight.shape().dims::<4>();
        let fits = match &bias {
            Bias::Some(bias) => bias.dtype() == DType::F32 && bias.shape().num_elements() == channels_out,
            Bias::None => true,
        };
        let Some(images) = Images::of(&x, &weight).filter(|_| fits) else {
            return default::fused_conv2d::<Self>(x, weight, bias, activation);
        };
        // −0.0 is the neutral element of addition.
        let bias = bias.tensor().unwrap_or_else(|| tensor(vec![-0.0f32; channels_out], [channels_out]));
        let (x, bias) = (dense(x), dense(bias));
        // A row of weights for each tap.
        let weights = dense(dense(weight).reshape(Shape::from([channels_out, images.taps])).transpose(0, 1));
        let output = convolve(&images, x.storage(), weights.storage(), bias.storage(), activation);
        tensor(output, [images.batch, channels_out, images.height, images.width])
    }

    fn rectify_fused_conv2d_watched(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        tap: FloatTensor<Self>,
        activation: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if Images::of(&x, &weight).is_none() {
            return default::fused_conv2d_watched::<Self>(x, weight, bias, tap, activation);
        }
        let z = Self::rectify_fused_conv2d(x, weight, bias, FusedActivation::Identity);
        let output = match activation.function() {
            Some(function) => activation::host::values(function, z.storage()),
            None => value(activation, Fresh(z.storage())),
        };
        let output = tensor(output, z.shape().dims::<4>());
        (z, output)
    }

    fn rectify_fused_conv2d_z_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: FusedActivation,
        bias: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        let [_, channels, height, width] = kept.shape().dims();
        if kept.dtype() != DType::F32 || kept.shape().num_elements() == 0 {
            return default::fused_conv2d_z_backward::<Self>(kept, grad, activation, bias);
        }
        let (kept, mut grad) = (dense(kept), dense(grad));
        let mut bias_grad = vec![0.0; channels];
        // In place, unless somebody else holds the gradient.
        let area = height * width;
        let samples = kept.storage::<f32>().chunks(channels * area);
        for (kept, grad) in samples.zip(grad.storage_mut::<f32>().chunks_mut(channels * area)) {
            if let Some(function) = activation.function() {
                activation::host::slope_times(function, kept, grad);
            }
            slope(activation, Planes { kept, grad, bias_grad: &mut bias_grad, area });
        }
        // Summed in the same pass, asked for or not.
        (grad, bias.then(|| tensor(bias_grad, [channels])))
    }

    fn rectify_fused_conv2d_weight_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        z_grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let Some(images) = Images::of(&x, &weight) else {
            return default::fused_conv2d_weight_backward::<Self>(x, weight, z_grad);
        };
        let (x, z_grad) = (dense(x), dense(z_grad));
        let [channels_out, ..] = weight.shape().dims::<4>();
        let by_tap =
            tensor(weight_gradient(&images, x.storage(), z_grad.storage(), channels_out), [images.taps, channels_out]);
        dense(by_tap.transpose(0, 1)).reshape(weight.shape())
    }

    fn rectify_fused_conv2d_x_backward(weight: FloatTensor<Self>, z_grad: FloatTensor<Self>) -> FloatTensor<Self> {
        if Images::of(&z_grad, &weight.transpose(0, 1)).is_none() {
            return default::fused_conv2d_x_backward::<Self>(weight, z_grad);
        }
        // The way back is a convolution too, from the channels that came out, with the kernel turned round.
        let weight = Self::float_flip(weight.transpose(0, 1), &[2, 3]);
        Self::rectify_fused_conv2d(z_grad, weight, Bias::None, FusedActivation::Identity)
    }
}

/// A vector's numbers on every processor are a divisor of this.
pub(super) const LANES: usize = 16;
/// Samples a thread takes at a time, small enough to stay in its cache.
const SAMPLES: usize = 8;

/// How a batch of images lies in memory.
struct Images {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    kernel: [usize; 2],
    /// Elements of a kernel, over all channels.
    taps: usize,
}

impl Images {
    /// `None` where the kernels do not apply: another type, nothing to compute, or even sides.
    fn of(x: &FlexTensor, weight: &FlexTensor) -> Option<Self> {
        let ([batch, channels, height, width], [channels_out, channels_in, rows, columns]) =
            (x.shape().dims(), weight.shape().dims());
        let f32s = x.dtype() == DType::F32 && weight.dtype() == DType::F32;
        let some = batch * channels * height * width * channels_out > 0 && channels == channels_in;
        (f32s && some && rows % 2 == 1 && columns % 2 == 1).then_some(Self {
            batch,
            channels,
            height,
            width,
            kernel: [rows, columns],
            taps: channels * rows * columns,
        })
    }

    /// From a row to the next, padding included.
    fn stride(&self) -> usize {
        self.width + self.kernel[1] / 2
    }

    /// Places that are computed in a plane: image, padding between its rows, and what fills the last vector.
    fn places(&self) -> usize {
        (self.height * self.stride()).next_multiple_of(LANES)
    }

    /// Where a padded plane's image begins.
    fn origin(&self) -> usize {
        self.kernel[0] / 2 * self.stride() + self.kernel[1] / 2
    }

    /// Numbers of a padded plane.
    fn plane(&self) -> usize {
        self.places() + 2 * self.origin()
    }

    /// Where each tap's row begins in a padded sample.
    fn tap_offsets(&self) -> Vec<usize> {
        let [rows, columns] = self.kernel;
        let plane = |channel| (0..rows).map(move |row| channel * self.plane() + row * self.stride());
        (0..self.channels).flat_map(plane).flat_map(|begin| (0..columns).map(move |column| begin + column)).collect()
    }

    /// Copies planes into padded ones. The padding is not written: it is zero already.
    fn pad(&self, planes: &[f32], padded: &mut [f32]) {
        let area = self.height * self.width;
        for (plane, padded) in planes.chunks_exact(area).zip(padded.chunks_exact_mut(self.plane())) {
            let rows = padded[self.origin()..].chunks_mut(self.stride());
            for (row, padded) in plane.chunks_exact(self.width).zip(rows) {
                padded[..self.width].copy_from_slice(row);
            }
        }
    }
}

/// φ(x ∗ W + b), with a row of `weights` for each tap.
fn convolve(images: &Images, x: &[f32], weights: &[f32], bias: &[f32], activation: FusedActivation) -> Vec<f32> {
    let (area, channels_out, places) = (images.height * images.width, bias.len(), images.places());
    let offsets = images.tap_offsets();
    let size = images.batch * channels_out * area;
    let mut output = Vec::with_capacity(size);
    let free = &mut output.spare_capacity_mut()[..size];
    let parts = free.par_chunks_mut(SAMPLES * channels_out * area).zip(x.par_chunks(SAMPLES * images.channels * area));
    let buffers = || (vec![0.0; images.channels * images.plane()], vec![0.0; channels_out * places]);
    parts.for_each_init(buffers, |(padded, planes), (output, x)| {
        let samples = output.chunks_exact_mut(channels_out * area).zip(x.chunks_exact(images.channels * area));
        for (output, x) in samples {
            images.pad(x, padded);
            arch().dispatch(Correlate { padded, offsets: &offsets, weights, planes, places });
            for ((plane, &bias), output) in planes.chunks_exact_mut(places).zip(bias).zip(output.chunks_exact_mut(area))
            {
                value(activation, Plane { z: &mut *plane, bias });
                if let Some(function) = activation.function() {
                    activation::host::value_in_place(function, plane);
                }
                for (row, plane) in output.chunks_exact_mut(images.width).zip(plane.chunks(images.stride())) {
                    row.write_copy_of_slice(&plane[..images.width]);
                }
            }
        }
    });
    // SAFETY: there is room for `size` numbers, and every one is written: `x` has `batch` samples, so the chunks of both
    // are equally many, each sample's output has `channels_out` planes as `planes` has, and each plane `height` rows.
    unsafe { output.set_len(size) };
    output
}

/// Σₜ weights[t][c] · padded[offsets[t] + i] for every channel c that comes out and every place i.
struct Correlate<'a> {
    padded: &'a [f32],
    offsets: &'a [usize],
    weights: &'a [f32],
    planes: &'a mut [f32],
    places: usize,
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let channels = self.planes.len() / self.places;
        let mut channel = 0;
        while channel < channels {
            match channels - channel {
                4.. => channel += self.rows::<S, 4>(simd, channel),
                2.. => channel += self.rows::<S, 2>(simd, channel),
                _ => channel += self.rows::<S, 1>(simd, channel),
            }
        }
    }
}

impl Correlate<'_> {
    /// `C` channels from `channel` on; gives back `C`.
    #[inline(always)]
    fn rows<S: Simd, const C: usize>(&mut self, simd: S, channel: usize) -> usize {
        let vectors = self.places / S::F32_LANES;
        let mut vector = 0;
        while vector < vectors {
            // As many sums at once as stay in registers, beside what they are made of.
            vector += match vectors - vector {
                6.. if S::REGISTER_COUNT >= 32 => self.tile::<S, C, 6>(simd, channel, vector),
                3.. => self.tile::<S, C, 3>(simd, channel, vector),
                2 => self.tile::<S, C, 2>(simd, channel, vector),
                _ => self.tile::<S, C, 1>(simd, channel, vector),
            };
        }
        C
    }

    /// `V` vectors of `C` channels; gives back `V`.
    #[inline(always)]
    fn tile<S: Simd, const C: usize, const V: usize>(&mut self, simd: S, channel: usize, vector: usize) -> usize {
        let channels = self.planes.len() / self.places;
        let begin = vector * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); V]; C];
        for (offset, weights) in self.offsets.iter().zip(self.weights.chunks_exact(channels)) {
            let (x, _) = S::as_simd_f32s(&self.padded[offset + begin..][..V * S::F32_LANES]);
            let weights = &weights[channel..][..C];
            for c in 0..C {
                let weight = simd.splat_f32s(weights[c]);
                for v in 0..V {
                    sums[c][v] = simd.mul_add_f32s(weight, x[v], sums[c][v]);
                }
            }
        }
        for (c, sums) in sums.iter().enumerate() {
            let place = (channel + c) * self.places + begin;
            let (plane, _) = S::as_mut_simd_f32s(&mut self.planes[place..][..V * S::F32_LANES]);
            plane.copy_from_slice(sums);
        }
        V
    }
}

/// The gradient of the weights, a row for each tap.
///
/// Samples are summed in parts of a fixed size, and these in order: its bits do not depend on the threads.
fn weight_gradient(images: &Images, x: &[f32], z_grad: &[f32], channels_out: usize) -> Vec<f32> {
    let area = images.height * images.width;
    let offsets = images.tap_offsets();
    let parts = x.par_chunks(SAMPLES * images.channels * area).zip(z_grad.par_chunks(SAMPLES * channels_out * area));
    let buffer = |channels| vec![0.0; SAMPLES * channels * images.plane()];
    let buffers = || (buffer(images.channels), buffer(channels_out));
    let parts = parts.map_init(buffers, |(padded, grads), (x, z_grad)| {
        // The last part may have fewer samples.
        let (padded, grads) =
            (&mut padded[..x.len() / area * images.plane()], &mut grads[..z_grad.len() / area * images.plane()]);
        images.pad(x, padded);
        images.pad(z_grad, grads);
        let mut gradient = vec![0.0; images.taps * channels_out];
        arch().dispatch(WeightGradient {
            padded,
            sample: images.channels * images.plane(),
            offsets: &offsets,
            grads,
            plane: images.plane(),
            origin: images.origin(),
            gradient: &mut gradient,
        });
        gradient
    });
    let add = |mut sum: Vec<f32>, part: Vec<f32>| {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        sum
    };
    parts.collect::<Vec<_>>().into_iter().reduce(add).unwrap_or_default()
}

/// Σ grads[c][origin + i] · padded[offsets[t] + i] over places i and samples, for every tap t and channel c. As the
/// gradients' padding is zero, what lies between the rows adds nothing.
struct WeightGradient<'a> {
    padded: &'a [f32],
    /// Numbers of a padded sample.
    sample: usize,
    offsets: &'a [usize],
    grads: &'a [f32],
    plane: usize,
    origin: usize,
    gradient: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let channels = self.gradient.len() / self.offsets.len();
        let mut channel = 0;
        while channel < channels {
            match channels - channel {
                4.. => channel += self.columns::<S, 4>(simd, channel),
                2.. => channel += self.columns::<S, 2>(simd, channel),
                _ => channel += self.columns::<S, 1>(simd, channel),
            }
        }
    }
}

impl WeightGradient<'_> {
    /// `C` channels from `channel` on; gives back `C`.
    #[inline(always)]
    fn columns<S: Simd, const C: usize>(&mut self, simd: S, channel: usize) -> usize {
        let taps = self.offsets.len();
        let mut tap = 0;
        while tap < taps {
            tap += match taps - tap {
                6.. if S::REGISTER_COUNT >= 32 => self.tile::<S, C, 6>(simd, channel, tap),
                3.. => self.tile::<S, C, 3>(simd, channel, tap),
                _ => self.tile::<S, C, 1>(simd, channel, tap),
            };
        }
        C
    }

    /// `T` taps of `C` channels; gives back `T`.
    #[inline(always)]
    fn tile<S: Simd, const C: usize, const T: usize>(&mut self, simd: S, channel: usize, tap: usize) -> usize {
        let channels = self.gradient.len() / self.offsets.len();
        let places = self.plane - 2 * self.origin;
        let mut sums = [[simd.splat_f32s(0.0); C]; T];
        let samples = self.padded.chunks_exact(self.sample).zip(self.grads.chunks_exact(channels * self.plane));
        for (padded, grads) in samples {
            let rows: [&[S::f32s]; T] =
                std::array::from_fn(|t| S::as_simd_f32s(&padded[self.offsets[tap + t]..][..places]).0);
            let grads: [&[S::f32s]; C] = std::array::from_fn(|c| {
                S::as_simd_f32s(&grads[(channel + c) * self.plane + self.origin..][..places]).0
            });
            for i in 0..places / S::F32_LANES {
                let grads = grads.map(|grads| grads[i]);
                for t in 0..T {
                    let x = rows[t][i];
                    for c in 0..C {
                        sums[t][c] = simd.mul_add_f32s(x, grads[c], sums[t][c]);
                    }
                }
            }
        }
        for (t, sums) in sums.iter().enumerate() {
            for (c, sum) in sums.iter().enumerate() {
                self.gradient[(tap + t) * channels + channel + c] = simd.reduce_sum_f32s(*sum);
            }
        }
        T
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_take_f32_and_odd_sides_and_leave_others_to_burn() {
        let zeros = |shape: [usize; 4]| tensor(vec![0.0f32; shape.iter().product()], shape);
        let (x, weight) = (zeros([2, 3, 4, 5]), zeros([6, 3, 3, 1]));
        let images = Images::of(&x, &weight).expect("the kernels take it");
        assert_eq!([images.batch, images.channels, images.height, images.width], [2, 3, 4, 5]);
        assert_eq!((images.kernel, images.taps), ([3, 1], 9));

        let none = |x: &FlexTensor, weight: &FlexTensor| Images::of(x, weight).is_none();
        for even in [[6, 3, 2, 1], [6, 3, 3, 2]] {
            assert!(none(&x, &zeros(even)), "{even:?}");
        }
        for empty in [[0, 3, 4, 5], [2, 3, 0, 5], [2, 3, 4, 0]] {
            assert!(none(&zeros(empty), &weight), "{empty:?}");
        }
        assert!(none(&zeros([2, 0, 4, 5]), &zeros([6, 0, 3, 1])));
        assert!(none(&x, &zeros([0, 3, 3, 1])));
        assert!(none(&x, &zeros([6, 2, 3, 1])), "3 channels for 2");
        assert!(none(&tensor(vec![0.0f64; 120], [2, 3, 4, 5]), &weight));
        assert!(none(&x, &tensor(vec![0.0f64; 54], [6, 3, 3, 1])));
    }

    /// Both kernels on `simd`'s vectors, on numbers that are the same at every call.
    fn run(simd: impl Simd) -> [Vec<f32>; 2] {
        let numbers = |n: usize| (0..n).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect::<Vec<f32>>();
        let images = Images { batch: 1, channels: 3, height: 9, width: 13, kernel: [3, 5], taps: 45 };
        let (area, channels_out, places) = (images.height * images.width, 7, images.places());
        let offsets = images.tap_offsets();
        let pad = |planes: &[f32]| {
            let mut padded = vec![0.0; planes.len() / area * images.plane()];
            images.pad(planes, &mut padded);
            padded
        };
        let padded = pad(&numbers(images.channels * area));
        let weights = numbers(images.taps * channels_out);
        let mut planes = vec![0.0; channels_out * places];
        simd.vectorize(Correlate {
            padded: &padded,
            offsets: &offsets,
            weights: &weights,
            planes: &mut planes,
            places,
        });
        let mut gradient = vec![0.0; images.taps * channels_out];
        simd.vectorize(WeightGradient {
            padded: &padded,
            sample: padded.len(),
            offsets: &offsets,
            grads: &pad(&numbers(channels_out * area)),
            plane: images.plane(),
            origin: images.origin(),
            gradient: &mut gradient,
        });
        [planes, gradient]
    }

    #[test]
    fn vectors_of_every_length_give_the_same_numbers() {
        let expected = run(pulp::Scalar::new());
        assert!(expected.iter().all(|values| values.iter().any(|value| *value != 0.0)));
        let close = |found: [Vec<f32>; 2]| {
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((found - expected).abs() < 1e-4, "{found}, one by one {expected}");
            }
        };
        #[cfg(target_arch = "x86_64")]
        {
            pulp::x86::V3::try_new().map(run).map(close);
            pulp::x86::V4::try_new().map(run).map(close);
        }
    }
}
