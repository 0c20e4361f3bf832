//! What a network is worth and what goes on in it, measured between steps.

use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use burn::{
    optim::GradientsParams,
    tensor::{Int, Tensor},
};

use super::update::Parts;
use crate::{
    data::{Batch, DeviceSamples},
    network::{Network, Pass, backward, outputs},
    observe::{Backward, Probe, Trace, Update, parameters, report, weight_gradients},
    record::{GradientSample, Layer},
};

/// Samples a batch where only outputs are wanted.
pub(super) const EVALUATION_BATCH: usize = 1000;

/// Samples that an epoch's gradients are of, rounded up to whole batches. Differentiating all 6000 of a default
/// validation set costs 8 % of a default training, these a quarter of that.
const GRADIENT_SAMPLES: usize = 2048;

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
    evaluate_in_batches(network, samples, EVALUATION_BATCH)
}

/// [`evaluate`] by batches of a size, on which the last bits of the loss depend. A training evaluates its validation set
/// by batches of a step's size.
pub fn evaluate_in_batches<N: Network>(network: &N, samples: &DeviceSamples, batch_size: usize) -> Evaluation {
    let never = AtomicBool::new(false);
    evaluate_by(network, samples, batch_size.max(1), &never).unwrap_or(Evaluation { loss: None, accuracy: None })
}

/// [`evaluate_in_batches`]. `None` as soon as `stop` is set.
pub(super) fn evaluate_by<N: Network>(
    network: &N,
    samples: &DeviceSamples,
    batch_size: usize,
    stop: &AtomicBool,
) -> Option<Evaluation> {
    let mut scores = Scores::default();
    for range in batches(samples.len(), batch_size) {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let Batch { images, labels } = samples.slice(range);
        scores.add(network, outputs(network, images, &mut Trace::off()), labels);
    }
    Some(scores.read(samples.len()))
}

/// [`evaluate_by`], with how many samples of each class, by row, are taken for each class, by column.
pub(super) fn classify_by<N: Network>(
    network: &N,
    samples: &DeviceSamples,
    classes: usize,
    batch_size: usize,
    stop: &AtomicBool,
) -> Option<(Evaluation, Vec<Vec<usize>>)> {
    let (mut scores, mut codes) = (Scores::default(), Vec::new());
    for range in batches(samples.len(), batch_size) {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let Batch { images, labels } = samples.slice(range);
        let outputs = outputs(network, images, &mut Trace::off());
        // Both classes in one number, for one wait for the device.
        codes.push(labels.clone() * classes as i64 + outputs.clone().argmax(1).flatten::<1>(0, 1));
        scores.add(network, outputs, labels);
    }
    let mut counts = vec![vec![0; classes]; classes];
    for code in Tensor::cat(codes, 0).into_data().iter::<i64>().filter_map(|code| usize::try_from(code).ok()) {
        if let Some(count) = counts.get_mut(code / classes).and_then(|row| row.get_mut(code % classes)) {
            *count += 1;
        }
    }
    Some((scores.read(samples.len()), counts))
}

/// Loss, accuracy and every layer over all `samples`, with the gradients of the mean objective over the first of them and
/// those of batches of a training step's size. The scores have the bits that [`evaluate_by`] gives.
///
/// `network` tracks gradients unless it needs no graph. `None` as soon as `stop` is set.
pub(super) fn look<N: Network>(
    network: &N,
    samples: &DeviceSamples,
    batch_size: usize,
    probe: &Probe,
    update: Option<&Update>,
    stop: &AtomicBool,
) -> Option<(Evaluation, GradientSample, Vec<Layer>)> {
    let batch_size = batch_size.min(samples.len());
    let differentiated = (batch_size * GRADIENT_SAMPLES.div_ceil(batch_size)).min(samples.len());
    let untracked = network.valid();
    let mut scores = Scores::default();
    let (mut passes, mut forward_only) = (Vec::new(), Vec::new());
    let mut total: Option<GradientsParams> = None;
    let mut by_batch = Vec::new();
    for range in batches(samples.len(), batch_size) {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let (begin, size) = (range.start, range.len());
        let batch = samples.slice(range);
        let labels = batch.labels.clone();
        if begin >= differentiated {
            let mut trace = Trace::activations(probe);
            let outputs = outputs(&untracked, batch.images, &mut trace);
            scores.add(network, outputs, labels);
            forward_only.push(trace);
            continue;
        }
        let share = size as f64 / differentiated as f64;
        let trace = Trace::gradients(probe);
        // One batch is enough for a picture.
        let mut trace = if passes.is_empty() { trace.with_histograms() } else { trace };
        let Pass { outputs, gradients, .. } = backward(network, batch, share, &mut trace);
        scores.add(network, outputs, labels);
        passes.push(trace);
        // A last batch that is smaller has more noise in it than a step's.
        if size == batch_size {
            by_batch.push((share, weight_gradients(network, &gradients)));
        }
        total = Some(match total {
            None => gradients,
            Some(total) => Parts::new(vec![total, gradients]).sum(network),
        });
    }
    let count = passes.len();
    passes.append(&mut forward_only);
    let weights = weight_gradients(network, &total.unwrap_or_default());
    let backward = Backward { passes: &passes[..count], weights, batches: &by_batch };
    let layers = report(&passes, Some(&parameters(network)), Some(&backward), update);
    let sample = GradientSample { set: "validation".to_owned(), samples: differentiated, batch_size };
    Some((scores.read(samples.len()), sample, layers))
}

/// Losses and right answers, not yet read back.
#[derive(Default)]
struct Scores(Vec<Tensor<1>>);

impl Scores {
    fn add<N: Network>(&mut self, network: &N, outputs: Tensor<2>, labels: Tensor<1, Int>) {
        let count = labels.dims()[0] as f64;
        let right = network.right(outputs.clone(), labels.clone()).float().cast(outputs.dtype());
        self.0.push(Tensor::cat(vec![network.loss(outputs, labels) * count, right.sum()], 0));
    }

    fn read(self, samples: usize) -> Evaluation {
        let sums: Vec<f64> = Tensor::cat(self.0, 0).into_data().iter().collect();
        let mean = |offset: usize| sums.iter().skip(offset).step_by(2).sum::<f64>() / samples as f64;
        let loss = finite(mean(0));
        Evaluation { loss, accuracy: loss.map(|_| mean(1)) }
    }
}

fn batches(samples: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..samples).step_by(size).map(move |begin| begin..samples.min(begin.saturating_add(size)))
}

pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
