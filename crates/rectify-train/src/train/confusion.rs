//! Which class a network takes for which.

use crate::{
    data::DeviceSamples,
    network::{Network, outputs},
    observe::Trace,
};

/// Samples a batch.
const BATCH: usize = 1000;

/// How many samples of each class, by row, a network that tracks no gradients takes for each class, by column: the class
/// of the largest logit. A network whose logits are not finite takes samples for some class all the same.
pub fn confusion<N: Network>(network: &N, samples: &DeviceSamples, classes: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; classes]; classes];
    for begin in (0..samples.len()).step_by(BATCH) {
        let batch = samples.slice(begin..samples.len().min(begin + BATCH));
        let taken = outputs(network, batch.images, &mut Trace::off()).argmax(1).into_data();
        for (class, taken) in batch.labels.into_data().iter::<i64>().zip(taken.iter::<i64>()) {
            let place = usize::try_from(class).ok().zip(usize::try_from(taken).ok());
            if let Some(count) = place.and_then(|(class, taken)| counts.get_mut(class)?.get_mut(taken)) {
                *count += 1;
            }
        }
    }
    counts
}
