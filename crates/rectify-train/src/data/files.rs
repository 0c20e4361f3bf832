//! Pictures as files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage};

use super::{DataError, Dataset, Samples};

/// Pictures of a class, or in a row, at most.
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
        let mut rows = vec![Vec::new(); self.classes];
        for (sample, label) in self.train.labels().iter().enumerate() {
            let row = &mut rows[usize::from(*label)];
            if row.len() < COLUMNS {
                row.push(sample);
            }
        }
        self.write_sheet(&self.train, &rows, path)
    }

    /// Writes test pictures as a PNG, in their order row by row.
    ///
    /// # Errors
    ///
    /// As [`write_contact_sheet`](Self::write_contact_sheet).
    pub fn write_test_sheet(&self, samples: &[usize], path: &Path) -> Result<(), DataError> {
        let rows: Vec<Vec<usize>> = samples.chunks(COLUMNS).map(<[usize]>::to_vec).collect();
        self.write_sheet(&self.test, &rows, path)
    }

    /// Writes the first pictures of the test set as PNG files `CLASS-PLACE.png` into a folder, which is made where it is
    /// not there.
    ///
    /// # Errors
    ///
    /// As [`write_contact_sheet`](Self::write_contact_sheet).
    pub fn write_test_pictures(&self, count: usize, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
        self.has_pictures("samples")?;
        fs::create_dir_all(folder).map_err(|cause| DataError::Io { path: folder.to_owned(), cause })?;
        let write = |sample: usize| {
            let class = usize::from(self.test.labels()[sample]);
            let label = self.class_labels.get(class).map_or(class.to_string(), ToString::to_string);
            let name = self.class_names.get(class).cloned().unwrap_or(label);
            let path = folder.join(format!("{name}-{sample:05}.png"));
            save(&self.picture(&self.test, sample), &path)?;
            Ok(path)
        };
        (0..count.min(self.test.len())).map(write).collect()
    }

    fn has_pictures(&self, field: &'static str) -> Result<(), DataError> {
        match self.train.pixels().is_empty() {
            true => {
                let reason = "a table has no pictures; leave it out".to_owned();
                Err(DataError::File { path: self.source.clone(), field, reason })
            }
            false => Ok(()),
        }
    }

    /// A sample as a file shows it. Two channels are grey with something else; four are colour with something else.
    fn picture(&self, samples: &Samples, sample: usize) -> DynamicImage {
        let (width, height, plane) = (self.width as u32, self.height as u32, self.height * self.width);
        let pixels = &samples.pixels()[sample * self.channels * plane..][..self.channels * plane];
        let at = |x: u32, y: u32| y as usize * self.width + x as usize;
        match self.channels {
            1 | 2 => DynamicImage::from(GrayImage::from_fn(width, height, |x, y| image::Luma([pixels[at(x, y)]]))),
            _ => {
                let colour = |x, y| Rgb([0, 1, 2].map(|channel| pixels[channel * plane + at(x, y)]));
                DynamicImage::from(RgbImage::from_fn(width, height, colour))
            }
        }
    }

    fn write_sheet(&self, samples: &Samples, rows: &[Vec<usize>], path: &Path) -> Result<(), DataError> {
        self.has_pictures("contact sheet")?;
        let [cell_width, cell_height] = [self.width + GAP, self.height + GAP];
        let size = [COLUMNS * cell_width + GAP, rows.len() * cell_height + GAP].map(|side| side as u32);
        let mut sheet = RgbImage::from_pixel(size[0], size[1], Rgb([128; 3]));
        for (row, pictures) in rows.iter().enumerate() {
            for (column, &sample) in pictures.iter().enumerate() {
                let [x, y] = [column * cell_width + GAP, row * cell_height + GAP].map(|at| at as i64);
                image::imageops::replace(&mut sheet, &self.picture(samples, sample).into_rgb8(), x, y);
            }
        }
        save(&DynamicImage::from(sheet), path)
    }
}

fn save(image: &DynamicImage, path: &Path) -> Result<(), DataError> {
    image.save_with_format(path, ImageFormat::Png).map_err(|error| {
        let cause = match error {
            image::ImageError::IoError(cause) => cause,
            other => std::io::Error::other(other.to_string()),
        };
        DataError::Io { path: path.to_owned(), cause }
    })
}
