//! What a pass of training does that one of evaluation does not: units are dropped, slopes are drawn, and batch statistics
//! are taken.

use burn::{
    module::ParamId,
    tensor::{Tensor, TensorData},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A pass of training: by what units are dropped and slopes drawn, and what batch normalisation has seen.
///
/// Which outputs are dropped, and which slopes drawn, depends on the seed, the step, the layer and the sample's place in the
/// batch alone: not on the backend, nor on the trainings beside it, nor on the threads that share a batch, nor on where the
/// training was resumed.
#[derive(Debug, Clone)]
pub struct Training {
    seed: u64,
    step: usize,
    /// Of the batch that this pass has a part of.
    first_sample: usize,
    /// Layers that dropped outputs so far, and those that drew slopes.
    dropping: u64,
    sloping: u64,
    statistics: Statistics,
}

/// Means and variances over a batch, each with the parameter that follows it.
pub type Statistics = Vec<(ParamId, Tensor<1>)>;

/// Set the generators apart from each other, and from those of other uses of a training's seed.
const DROPOUT: u64 = 0x6472_6f70_6f75_7421;
const SLOPES: u64 = 0x736c_6f70_6573_2121;
/// Streams of a generator that a step has: a network has at most 1000 hidden layers, and two convolutions.
const LAYERS: u64 = 1 << 10;
/// Words that the generator gives.
const WORDS: f64 = (1u64 << 32) as f64;

impl Training {
    /// The pass of a step, counted from 0, on a batch's samples from the one of that number on.
    pub fn new(seed: u64, step: usize, first_sample: usize) -> Self {
        Self { seed, step, first_sample, dropping: 0, sloping: 0, statistics: Vec::new() }
    }

    /// Sets each value to 0 with probability `rate` and divides the others by 1 − `rate`, so that their expectation
    /// stays: Srivastava et al. 2014, *Dropout*, with the scaling at training time.
    pub(super) fn dropout(&mut self, x: Tensor<2>, rate: f64) -> Tensor<2> {
        let kept = (1.0 / (1.0 - rate)) as f32;
        let threshold = (rate * WORDS) as u64;
        let mask = self.draw(DROPOUT, self.dropping, &x, |word| if u64::from(word) < threshold { 0.0 } else { kept });
        self.dropping += 1;
        x * mask
    }

    /// A slope from U(lower, upper) for each value of `z`.
    pub(super) fn slopes<const D: usize>(&mut self, z: &Tensor<D>, lower: f64, upper: f64) -> Tensor<D> {
        let slope = |word| (lower + (upper - lower) * f64::from(word) / WORDS) as f32;
        let slopes = self.draw(SLOPES, self.sloping, z, slope);
        self.sloping += 1;
        slopes
    }

    /// What `value` makes of a word of the generator for each value of `like`, whose first dimension is the batch's: one
    /// word each, so that a part of a batch finds its own.
    fn draw<const D: usize>(
        &self,
        purpose: u64,
        layer: u64,
        like: &Tensor<D>,
        value: impl Fn(u32) -> f32,
    ) -> Tensor<D> {
        let dims = like.dims();
        let units: usize = dims[1..].iter().product();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ purpose);
        rng.set_stream(self.step as u64 * LAYERS + layer);
        rng.set_word_pos((self.first_sample * units) as u128);
        let values: Vec<f32> = (0..dims[0] * units).map(|_| value(rng.random::<u32>())).collect();
        Tensor::from_data(TensorData::new(values, dims), (&like.device(), like.dtype()))
    }

    /// Takes down what a parameter that tracks no gradients is to follow.
    pub(super) fn follow(&mut self, parameter: ParamId, statistic: Tensor<1>) {
        self.statistics.push((parameter, statistic.without_autodiff()));
    }

    pub(super) fn take_statistics(&mut self) -> Statistics {
        std::mem::take(&mut self.statistics)
    }
}
