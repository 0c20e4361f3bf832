//! Samples with their classes, and what they are standardised by.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::Arc,
};

use rayon::prelude::*;

use super::classes::Classes;

/// Pictures or rows of a table, and their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    pub(super) features: Features,
    pub(super) labels: Vec<u16>,
    /// Of the whole data set.
    pub(super) classes: usize,
}

/// What a network is fed, before standardisation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Features {
    /// Of pictures. A device whose memory is this process's shares them.
    Pixels(Arc<Vec<u8>>),
    /// Of a table, row by row.
    Numbers(Vec<f64>),
}

impl Samples {
    /// Number of samples, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a data set's samples are never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// All pictures one after the other, each channel by channel and row by row; 0 to 255. Empty for a table.
    pub fn pixels(&self) -> &[u8] {
        match &self.features {
            Features::Pixels(pixels) => pixels,
            Features::Numbers(_) => &[],
        }
    }

    /// All rows of a table one after the other, as they are in the file. Empty for pictures.
    pub fn numbers(&self) -> &[f64] {
        match &self.features {
            Features::Pixels(_) => &[],
            Features::Numbers(numbers) => numbers,
        }
    }

    /// The class of each sample, under [`Dataset::classes`](super::Dataset::classes).
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// How many samples each class has.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }

    /// Bytes of memory that they take.
    pub fn bytes(&self) -> usize {
        self.pixels().len() + size_of_val(self.numbers()) + size_of_val(self.labels())
    }

    /// A hash of each sample's features, of which there are `width`; those of equal samples are equal in one process, and of
    /// a million different ones two are in one case of forty million.
    pub(super) fn hashes(&self, width: usize) -> Vec<u64> {
        let of = |write: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            write(&mut hasher);
            hasher.finish()
        };
        match &self.features {
            Features::Pixels(pixels) => {
                pixels.par_chunks(width).map(|pixels| of(&|hasher| hasher.write(pixels))).collect()
            }
            Features::Numbers(numbers) => {
                let row = |row: &[f64]| of(&|hasher| row.iter().for_each(|number| hasher.write_u64(number.to_bits())));
                numbers.par_chunks(width).map(row).collect()
            }
        }
    }

    /// Puts classes in place of labels, or gives the first sample that has none and its label.
    pub(super) fn classify(&mut self, classes: &Classes) -> Result<(), (usize, u16)> {
        self.classes = classes.len();
        classes.replace(&mut self.labels).map_err(|sample| (sample, self.labels[sample]))
    }

    /// Mean and population standard deviation of all values.
    pub(super) fn mean_and_std(&self) -> (f64, f64) {
        match &self.features {
            Features::Pixels(pixels) => of_pixels(pixels),
            Features::Numbers(numbers) => of_numbers(numbers.iter().copied()),
        }
    }

    /// The same by channel of a picture, of so many pixels, or by column of a table.
    pub(super) fn means_and_stds(&self, channels: usize, plane: usize) -> Vec<(f64, f64)> {
        let of_channel = |channel: usize| match &self.features {
            Features::Pixels(pixels) if channels == 1 => of_pixels(pixels),
            Features::Pixels(pixels) => {
                let images = pixels.chunks_exact(channels * plane);
                let planes = images.flat_map(|image| image[channel * plane..(channel + 1) * plane].chunks(CHUNK));
                let sums = planes.map(sums).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
                of_sums(pixels.len() / channels, sums)
            }
            Features::Numbers(numbers) => of_numbers(numbers.iter().skip(channel).step_by(channels).copied()),
        };
        (0..channels).into_par_iter().map(of_channel).collect()
    }
}

/// The squares of so many pixels fit a u32, so that the compiler can use its narrow vector lanes.
const CHUNK: usize = (u32::MAX / (255 * 255)) as usize;

/// Of pixels scaled to 0..=1, from exact integer sums.
fn of_pixels(pixels: &[u8]) -> (f64, f64) {
    let sums = pixels.par_chunks(CHUNK).map(sums).reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    of_sums(pixels.len(), sums)
}

/// Sum and sum of squares of at most [`CHUNK`] pixels.
fn sums(pixels: &[u8]) -> (u64, u64) {
    let sum: u32 = pixels.iter().map(|&pixel| u32::from(pixel)).sum();
    let squares: u32 = pixels.iter().map(|&pixel| u32::from(pixel) * u32::from(pixel)).sum();
    (u64::from(sum), u64::from(squares))
}

fn of_sums(count: usize, (sum, squares): (u64, u64)) -> (f64, f64) {
    let n = count as f64;
    // n Σx² − (Σx)² in integers: no digits cancel.
    let spread = u128::from(count as u64) * u128::from(squares) - u128::from(sum) * u128::from(sum);
    (sum as f64 / n / 255.0, (spread as f64).sqrt() / n / 255.0)
}

fn of_numbers(numbers: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = numbers.clone().count() as f64;
    // From the first one on, so that those of equal numbers are exact: a column that tells nothing is to be seen.
    let first = numbers.clone().next().unwrap_or(0.0);
    let mean = first + numbers.clone().map(|number| (number - first) / count).sum::<f64>();
    let spread = |number: f64| (number - mean) / count.sqrt();
    let variance: f64 = numbers.map(|number| spread(number) * spread(number)).sum();
    (mean, variance.sqrt())
}
