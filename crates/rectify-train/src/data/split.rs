//! Which training samples are set aside for validation.

use std::sync::Arc;

use super::{DataError, Samples, samples::Features, shuffled};

/// One in this many samples of the training files is set aside for validation.
const VALIDATION_SHARE: usize = 10;

/// Seed of the validation split. Fixed, so that every experiment validates on the same samples.
const VALIDATION_SEED: u64 = 0x7265_6374_6966_7900;

/// Takes the validation samples out of `train`, which has so many values a sample, and keeps the first `train_size` of the rest.
pub(super) fn split(train: &mut Samples, size: usize, train_size: Option<usize>) -> Result<Samples, DataError> {
    let total = train.len();
    let count = (total / VALIDATION_SHARE).max(1);
    let available = total - count;
    let kept = train_size.unwrap_or(available);
    if !(1..=available).contains(&kept) {
        return Err(DataError::TrainSize { asked: kept, available, validation: count });
    }
    let mut chosen = shuffled(total, VALIDATION_SEED, 0);
    chosen.truncate(count);
    let mut is_validation = vec![false; total];
    for &sample in &chosen {
        is_validation[sample as usize] = true;
    }

    let features = match &mut train.features {
        Features::Pixels(pixels) => Features::Pixels(Arc::new(part(Arc::make_mut(pixels), size, &is_validation, kept))),
        Features::Numbers(numbers) => Features::Numbers(part(numbers, size, &is_validation, kept)),
    };
    let labels = part(&mut train.labels, 1, &is_validation, kept);
    Ok(Samples { features, labels, classes: train.classes })
}

/// Takes those samples, of so many values each, out that are set aside, and keeps so many of the others.
fn part<T: Copy>(values: &mut Vec<T>, size: usize, is_aside: &[bool], kept: usize) -> Vec<T> {
    let mut aside = Vec::with_capacity(is_aside.iter().filter(|&&is_aside| is_aside).count() * size);
    let mut next = 0;
    for (sample, &is_aside) in is_aside.iter().enumerate() {
        let range = sample * size..(sample + 1) * size;
        if is_aside {
            aside.extend_from_slice(&values[range]);
        } else if next < kept {
            // In place: the samples that stay move up into the gaps.
            values.copy_within(range, next * size);
            next += 1;
        }
    }
    values.truncate(kept * size);
    values.shrink_to_fit();
    aside
}
