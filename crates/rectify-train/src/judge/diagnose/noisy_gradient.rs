//! Batches too small for a step's gradient to mean anything.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom};
use crate::{
    judge::number::number,
    record::{Epoch, Status},
};

/// Noise scale over batch size. The best rate falls as 1 / (1 + noise scale / batch size) (McCandlish et al. 2018,
/// equation 2.7): at so many it is a tenth of what a large batch takes.
const NOISE: f64 = 10.0;
/// Above so many samples a batch is not what is small.
pub(super) const SMALL_BATCH: usize = 16;

pub const DETECTOR: Detector = Detector {
    id: "noisy-gradient",
    explanation: "A batch's gradient is that of all samples plus noise, whose variance falls with the batch's size. \
                  The noise scale is the size at which the two are equal. With batches far below it, steps go \
                  astray and average out only over many of them, at a rate that must be small.",
    remedies: &["use larger batches", "lower the learning rate in proportion to the batch's size"],
    reference: "McCandlish, Kaplan and Amodei 2018, An empirical model of large-batch training",
    detect,
};

/// The simple noise scale tr(Σ)/|G|² at an epoch, in samples: from the gradient over many samples and the mean of those
/// over batches. Infinite where the gradient over many is not told from noise.
///
/// The mean of the batches' RMS stands for the root of their mean square, which is a little larger: the noise scale is
/// a little low.
pub(super) fn noise_scale(epoch: &Epoch) -> Option<f64> {
    let sample = epoch.gradient.as_ref()?;
    let (batch, many) = (sample.batch_size as f64, sample.samples as f64);
    if sample.samples < 2 * sample.batch_size {
        return None;
    }
    let (mut of_batch, mut of_many) = (0.0, 0.0);
    for layer in &epoch.layers {
        let (Some(rms), Some(norm), Some(by_batch)) =
            (layer.weight_grad_rms, layer.weight_grad_norm, layer.batch_weight_grad_rms)
        else {
            continue;
        };
        if rms > 0.0 {
            of_many += norm * norm;
            of_batch += (by_batch * norm / rms).powi(2);
        }
    }
    let noise = (of_batch - of_many) / (1.0 / batch - 1.0 / many);
    let signal = of_many - noise / many;
    match () {
        () if of_many == 0.0 || !noise.is_finite() => None,
        () if noise <= 0.0 => Some(0.0),
        () if signal <= 0.0 => Some(f64::INFINITY),
        () => Some(noise / signal),
    }
}

fn detect(case: &Case) -> Detected {
    let sample = case.looks().find_map(|epoch| epoch.gradient.as_ref());
    let batch = sample.ok_or(NotMeasured("no gradients of batches were measured"))?.batch_size;
    // In the first half of the training: near its end every gradient is mostly noise.
    let half = case.run.steps / 2;
    let (step, scale) = case
        .looks()
        .filter(|epoch| epoch.step <= half.max(1))
        .filter_map(|epoch| Some((epoch.step, noise_scale(epoch)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .ok_or(NotMeasured("gradients of too few batches were measured"))?;
    let over = scale / batch as f64;
    if batch > SMALL_BATCH || over < NOISE {
        return Ok(Vec::new());
    }
    let says = match scale.is_finite() {
        true => format!("batches of {batch} are mostly noise: the gradient's noise scale is {} samples", number(scale)),
        false => format!("batches of {batch} are nothing but noise"),
    };
    // A rate that was made for the noise copes with it.
    let copes = case.run.status != Status::Diverged && case.remaining().is_ok_and(|left| left < 0.5);
    let severity = if copes { Severity::Info } else { Severity::Warning };
    Ok(vec![Symptom::new(severity, says).since(step).with("noise scale over batch size", over, "", NOISE)])
}
