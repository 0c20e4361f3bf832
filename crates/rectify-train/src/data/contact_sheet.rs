//! Some pictures of each class, side by side.

use std::path::Path;

use image::{Rgb, RgbImage};

use super::{DataError, Dataset};

/// Pictures of a class, at most.
const COLUMNS: usize = 12;
/// Between two pictures.
const GAP: usize = 2;

impl Dataset {
    /// Writes the first training pictures of each class as a PNG, a row a class, as they are fed to a network but for
    /// standardisation.
    ///
    /// # Errors
    ///
    /// [`DataError::File`] where there are no pictures, [`DataError::Io`] where the file cannot be written.
    pub fn write_contact_sheet(&self, path: &Path) -> Result<(), DataError> {
        if self.train.pixels().is_empty() {
            let reason = "a table has no pictures".to_owned();
            return Err(DataError::File { path: self.source.clone(), field: "contact sheet", reason });
        }
        let [cell_width, cell_height] = [self.width + GAP, self.height + GAP];
        let size = [COLUMNS * cell_width + GAP, self.classes * cell_height + GAP].map(|side| side as u32);
        let mut sheet = RgbImage::from_pixel(size[0], size[1], Rgb([128; 3]));
        let plane = self.height * self.width;
        let mut placed = vec![0; self.classes];
        for (picture, label) in self.train.pixels().chunks(self.channels * plane).zip(self.train.labels()) {
            let class = usize::from(*label);
            if placed[class] == COLUMNS {
                continue;
            }
            let [left, top] = [placed[class] * cell_width + GAP, class * cell_height + GAP];
            placed[class] += 1;
            for at in 0..plane {
                // Two channels are grey with something else; four are colour with something else.
                let colour = match self.channels {
                    1 | 2 => [picture[at]; 3],
                    _ => [0, 1, 2].map(|channel| picture[channel * plane + at]),
                };
                let [x, y] = [left + at % self.width, top + at / self.width];
                sheet.put_pixel(x as u32, y as u32, Rgb(colour));
            }
        }
        sheet.save_with_format(path, image::ImageFormat::Png).map_err(|error| {
            let cause = match error {
                image::ImageError::IoError(cause) => cause,
                other => std::io::Error::other(other.to_string()),
            };
            DataError::Io { path: path.to_owned(), cause }
        })
    }
}
