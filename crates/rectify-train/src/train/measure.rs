//! What a network is worth and what goes on in it, measured between steps.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::{optim::GradientsParams, tensor::Tensor};

use super::{learner::shared_gradients, update::Parts};
use crate::{
    data::{Batch, DeviceSamples},
    network::{Network, outputs},
    observe::{Backward, Probe, Trace, Update, report, weight_gradients},
    record::{GradientSample, Layer},
};

/// Samples a batch where nothing is learned.
const EVALUATION_BATCH: usize = 1000;

/// Loss and accuracy over some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean of the network's loss, for classifiers cross-entropy in nats; `None` where it is not finite.
    pub loss: Option<f64>,
    /// Fraction classified rightly. `None` where the loss is not finite: a network that gives NaN classifies nothing.
    pub accuracy: Option<f64>,
}

/// Mean loss and accuracy of a network that tracks no gradients (`network.valid()`).
pub fn evaluate<N: Network>(network: &N, samples: &DeviceSamples) -> Evaluation {
    let (evaluation, _) = watch(network, samples, None, &AtomicBool::new(false)).unwrap_or(NOTHING);
    evaluation
}

const NOTHING: (Evaluation, Vec<Trace>) = (Evaluation { loss: None, accuracy: None }, Vec::new());

/// [`evaluate`], probing the passes if there is a probe. `None` as soon as `stop` is set.
pub(super) fn watch<N: Network>(
    network: &N,
    samples: &DeviceSamples,
    probe: Option<&Probe>,
    stop: &AtomicBool,
) -> Option<(Evaluation, Vec<Trace>)> {
    let mut sums: Vec<Tensor<1>> = Vec::new();
    let mut passes: Vec<Trace> = Vec::new();
    for range in batches(samples.len(), EVALUATION_BATCH) {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let count = range.len() as f64;
        let mut trace = match probe {
            None => Trace::off(),
            // One batch is enough for a picture.
            Some(probe) if passes.is_empty() => Trace::histogram(probe),
            Some(probe) => Trace::activations(probe),
        };
        let Batch { images, labels } = samples.slice(range);
        let outputs = outputs(network, images, &mut trace);
        let right = network.right(outputs.clone(), labels.clone()).float().cast(outputs.dtype());
        sums.push(Tensor::cat(vec![network.loss(outputs, labels) * count, right.sum()], 0));
        passes.push(trace);
    }
    let sums: Vec<f64> = Tensor::cat(sums, 0).into_data().iter().collect();
    let mean = |offset: usize| sums.iter().skip(offset).step_by(2).sum::<f64>() / samples.len() as f64;
    let loss = finite(mean(0));
    Some((Evaluation { loss, accuracy: loss.map(|_| mean(1)) }, passes))
}

/// Every layer, its activations as `passes` saw them, and gradients of the mean objective over `samples`, by batches of
/// `batch_size`. `None` as soon as `stop` is set.
pub(super) fn layers<N: Network>(
    network: &N,
    passes: &[Trace],
    probe: &Probe,
    (samples, batch_size): (&DeviceSamples, usize),
    update: Option<&Update>,
    stop: &AtomicBool,
) -> Option<(GradientSample, Vec<Layer>)> {
    let mut traces = Vec::new();
    let mut total: Option<GradientsParams> = None;
    let mut by_batch = Vec::new();
    for range in batches(samples.len(), batch_size) {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let whole = range.len() == batch_size.min(samples.len());
        let share = range.len() as f64 / samples.len() as f64;
        let mut trace = Trace::gradients(probe);
        let (_, gradients) = shared_gradients(network, samples.slice(range), share, &mut trace);
        traces.push(trace);
        // A last batch that is smaller has more noise in it than a step's.
        if whole {
            by_batch.push((share, weight_gradients(network, &gradients)));
        }
        total = Some(match total {
            None => gradients,
            Some(total) => Parts::new(vec![total, gradients]).sum(network),
        });
    }
    let weights = weight_gradients(network, &total.unwrap_or_default());
    let backward = Backward { passes: &traces, weights, batches: &by_batch };
    let sample = GradientSample {
        set: "validation".to_owned(),
        samples: samples.len(),
        batch_size: batch_size.min(samples.len()),
    };
    Some((sample, report(passes, Some(&backward), update)))
}

fn batches(samples: usize, size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..samples).step_by(size).map(move |begin| begin..samples.min(begin + size))
}

pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
