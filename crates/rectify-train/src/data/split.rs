//! Which training samples are set aside for validation.

use super::{DataError, Samples, shuffled};

/// One in this many samples of the training files is set aside for validation.
const VALIDATION_SHARE: usize = 10;

/// Seed of the validation split. Fixed, so that every experiment validates on the same samples.
const VALIDATION_SEED: u64 = 0x7265_6374_6966_7900;

/// Takes the validation samples out of `train` and keeps the first `train_size` of the rest.
pub(super) fn split(train: &mut Samples, pixels: usize, train_size: Option<usize>) -> Result<Samples, DataError> {
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

    let mut validation = Samples {
        pixels: Vec::with_capacity(count * pixels),
        labels: Vec::with_capacity(count),
        classes: train.classes,
    };
    let mut next = 0;
    for (sample, &aside) in is_validation.iter().enumerate() {
        let range = sample * pixels..(sample + 1) * pixels;
        if aside {
            validation.pixels.extend_from_slice(&train.pixels[range]);
            validation.labels.push(train.labels[sample]);
        } else if next < kept {
            // In place: the samples that stay move up into the gaps.
            train.pixels.copy_within(range, next * pixels);
            train.labels[next] = train.labels[sample];
            next += 1;
        }
    }
    train.pixels.truncate(kept * pixels);
    train.pixels.shrink_to_fit();
    train.labels.truncate(kept);
    Ok(validation)
}
