//! What a pass of training does that one of evaluation does not: units are dropped, and batch statistics are taken.

use burn::{
    module::ParamId,
    tensor::{Tensor, TensorData},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A pass of training: by what units are dropped, and what batch normalisation has seen.
///
/// Which outputs are dropped depends on the seed, the step, the layer and the sample's place in the batch alone: not on
/// the backend, nor on the trainings beside it, nor on the threads that share a batch.
#[derive(Debug, Clone)]
pub struct Training {
    seed: u64,
    step: usize,
    /// Of the batch that this pass has a part of.
    first_sample: usize,
    /// Layers that dropped outputs so far.
    layers: u64,
    statistics: Statistics,
}

/// Means and variances over a batch, each with the parameter that follows it.
pub type Statistics = Vec<(ParamId, Tensor<1>)>;

/// Sets the generator of dropout apart from those of other uses of a training's seed.
const DROPOUT: u64 = 0x6472_6f70_6f75_7421;
/// Streams of the generator that a step has: a network has at most 1000 hidden layers.
const LAYERS: u64 = 1 << 10;

impl Training {
    /// The pass of a step, counted from 0, on a batch's samples from the one of that number on.
    pub fn new(seed: u64, step: usize, first_sample: usize) -> Self {
        Self { seed, step, first_sample, layers: 0, statistics: Vec::new() }
    }

    /// Sets each value to 0 with probability `rate` and divides the others by 1 − `rate`, so that their expectation
    /// stays: Srivastava et al. 2014, *Dropout*, with the scaling at training time.
    pub(super) fn dropout(&mut self, x: Tensor<2>, rate: f64) -> Tensor<2> {
        let [samples, units] = x.dims();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ DROPOUT);
        rng.set_stream(self.step as u64 * LAYERS + self.layers);
        rng.set_word_pos((self.first_sample * units) as u128);
        self.layers += 1;
        let kept = (1.0 / (1.0 - rate)) as f32;
        // One word of the generator for each value, so that a part of a batch finds its own.
        let threshold = (rate * (1u64 << 32) as f64) as u64;
        let mask: Vec<f32> =
            (0..samples * units).map(|_| if u64::from(rng.random::<u32>()) < threshold { 0.0 } else { kept }).collect();
        let mask = Tensor::<2>::from_data(TensorData::new(mask, [samples, units]), (&x.device(), x.dtype()));
        x * mask
    }

    /// Takes down what a parameter that tracks no gradients is to follow.
    pub(super) fn follow(&mut self, parameter: ParamId, statistic: Tensor<1>) {
        self.statistics.push((parameter, statistic.without_autodiff()));
    }

    pub(super) fn take_statistics(&mut self) -> Statistics {
        std::mem::take(&mut self.statistics)
    }
}
