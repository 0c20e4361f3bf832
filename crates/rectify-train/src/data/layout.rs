//! How images lie in a file, and one order for all of them: channel by channel, in each row by row.

use rayon::prelude::*;

/// The size of an image, and where its channels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// Whether each pixel's channels lie side by side in the file.
    channels_last: bool,
}

impl Layout {
    /// Of an array with these dimensions, the first of which counts the samples; `None` if images have no such shape.
    ///
    /// `[n, h, w]` is grey. With four dimensions the last is the channels if it is 1 to 4, otherwise the second is if it
    /// is 1, 3 or 4.
    pub fn of(dims: &[usize]) -> Option<Self> {
        match *dims {
            [_, height, width] => Some(Self { channels: 1, height, width, channels_last: false }),
            [_, height, width, channels @ 1..=4] => Some(Self { channels, height, width, channels_last: true }),
            [_, channels @ (1 | 3 | 4), height, width] => Some(Self { channels, height, width, channels_last: false }),
            _ => None,
        }
    }

    pub fn pixels(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Channels, rows and columns.
    pub fn size(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Brings all images into the one order, in place.
    pub fn arrange(&self, images: &mut [u8]) {
        if !self.channels_last || self.channels == 1 {
            return;
        }
        let plane = self.height * self.width;
        images.par_chunks_mut(self.pixels()).with_min_len(1 << 7).for_each_init(Vec::new, |file, image| {
            file.clear();
            file.extend_from_slice(image);
            for (channel, plane) in image.chunks_exact_mut(plane).enumerate() {
                for (place, pixel) in plane.iter_mut().zip(file.chunks_exact(self.channels)) {
                    *place = pixel[channel];
                }
            }
        });
    }
}

/// An image's size in words: `28 × 28`, and in colour `32 × 32 × 3 channels`.
pub fn size_in_words([channels, height, width]: [usize; 3]) -> String {
    match channels {
        1 => format!("{height} × {width}"),
        _ => format!("{height} × {width} × {channels} channels"),
    }
}
