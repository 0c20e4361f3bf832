//! Which class a network takes for which.

use crate::{
    data::DeviceSamples,
    network::{Network, outputs},
    observe::Trace,
};

/// Samples a batch.
const BATCH: usize = 1000;

/// What a network says of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Its place in the set, from 0.
    pub sample: usize,
    /// Its class.
    pub class: usize,
    /// The class that it is taken for: that of the largest logit.
    pub taken: usize,
    /// The probability that the network gives its class.
    pub of_class: f64,
    /// The probability of the class that it is taken for.
    pub of_taken: f64,
}

/// What a network that tracks no gradients says of samples, in their order; nothing of those whose logits are not finite.
pub fn answers<N: Network>(network: &N, samples: &DeviceSamples) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(samples.len());
    for begin in (0..samples.len()).step_by(BATCH) {
        let batch = samples.slice(begin..samples.len().min(begin + BATCH));
        let logits = outputs(network, batch.images, &mut Trace::off());
        let ([_, classes], taken) = (logits.dims(), logits.clone().argmax(1).into_data());
        let logits: Vec<f64> = logits.into_data().iter::<f64>().collect();
        let labels = batch.labels.into_data();
        let batch = logits.chunks(classes).zip(labels.iter::<i64>()).zip(taken.iter::<i64>());
        for (sample, ((logits, class), taken)) in (begin..).zip(batch) {
            if !logits.iter().all(|logit| logit.is_finite()) {
                continue;
            }
            let probabilities = softmax(logits);
            let [class, taken] = [class, taken].map(|class| usize::try_from(class).unwrap_or(0).min(classes - 1));
            answers.push(Answer {
                sample,
                class,
                taken,
                of_class: probabilities[class],
                of_taken: probabilities[taken],
            });
        }
    }
    answers
}

/// How many samples of each class, by row, are taken for each class, by column.
pub fn confusion(answers: &[Answer], classes: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; classes]; classes];
    for answer in answers {
        if let Some(count) = counts.get_mut(answer.class).and_then(|row| row.get_mut(answer.taken)) {
            *count += 1;
        }
    }
    counts
}

/// The probabilities of classes with these logits.
///
/// ```
/// # use rectify_train::train::softmax;
/// assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
/// ```
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
