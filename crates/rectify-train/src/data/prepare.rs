//! A picture of any size and colour as a network takes it.
//!
//! In this order:
//!
//! 1. What is transparent lies on white paper. A network of one channel gets greys.
//! 2. Where training pictures are light on dark and this one is dark on light, or the other way around, it is inverted.
//!    A picture is dark on light if both the median of its border and the mean of all of it are.
//! 3. A picture of the network's own size is left as it is. Another one is fitted by [`Framing`]: of a digit or a
//!    garment the paper is taken off, its contrast stretched, and it is scaled and centred as the authors of its data
//!    set did with theirs; anything else is resized whole.
//!
//! Standardisation comes after this: [`Checkpoint::inputs`](crate::store::Checkpoint::inputs).

use std::{io::Cursor, path::Path};

use image::{DynamicImage, GrayImage, ImageError, Luma, Rgb, RgbImage, imageops, imageops::FilterType, io::Reader};

use crate::network::Shape;

/// How a picture of another size is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As MNIST's digits (LeCun et al. 1998): scaled into a box of 20/28 of the picture, its proportions kept, with its
    /// centre of mass in the middle.
    Digit,
    /// As Fashion-MNIST's garments (Xiao et al. 2017): trimmed, scaled until its longer side fills the picture, in the
    /// middle.
    Garment,
    /// All of it, whatever its proportions.
    Whole,
}

impl Framing {
    /// That of a data set, by its name or path: garments of what is called fashion, digits and letters of what is called
    /// MNIST.
    pub fn of(dataset: &str) -> Self {
        let name = Path::new(dataset).file_name().map_or(String::new(), |name| name.to_string_lossy().to_lowercase());
        match name.contains("mnist") {
            true if name.contains("fashion") => Self::Garment,
            true => Self::Digit,
            false => Self::Whole,
        }
    }
}

/// What a network was trained on, as far as a picture must become like it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The network's.
    pub shape: Shape,
    /// Mean of the training pixels, 0 to 1: under ½ they are light on dark.
    pub mean: f64,
    /// How a picture of another size is fitted.
    pub framing: Framing,
    /// Whether to invert; `None` decides by the picture.
    pub invert: Option<bool>,
}

/// A picture as a network takes it, but for standardisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Channel by channel, in each row by row.
    pub pixels: Vec<u8>,
    /// Whether light and dark were exchanged.
    pub inverted: bool,
    /// Whether it had another size than the network's.
    pub fitted: bool,
}

/// Reads a PNG or JPEG, by its contents.
///
/// # Errors
///
/// What is wrong with it, without its name.
pub fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    let unsound = |error: ImageError| format!("not a sound PNG or JPEG: {error}; save it anew as one of them");
    let reader = || Reader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| unsound(error.into()));
    let (width, height) = reader()?.into_dimensions().map_err(unsound)?;
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(format!(
            "says that it has {width} × {height} pixels; at most {MOST_PIXELS} are read: make it smaller"
        ));
    }
    reader()?.decode().map_err(unsound)
}

/// More than a camera's: some bytes can claim to be billions, all of which would be held.
const MOST_PIXELS: u64 = 100_000_000;

/// Makes a picture what a network takes.
///
/// # Errors
///
/// A network that takes neither grey nor colour pictures.
pub fn prepare(image: &DynamicImage, target: &Target) -> Result<Prepared, String> {
    let Target { shape, mean, framing, invert } = *target;
    let size = [shape.width as u32, shape.height as u32];
    let fitted = [image.width(), image.height()] != size;
    let rgb = on_paper(image);
    let light_on_dark = mean < 0.5;
    match shape.channels {
        1 => {
            let mut grey = DynamicImage::ImageRgb8(rgb).into_luma8();
            // Of a grey picture exactly the values that its file has.
            if let DynamicImage::ImageLuma8(exact) = image {
                grey = exact.clone();
            }
            let inverted = invert.unwrap_or_else(|| has_light_paper(&grey).is_some_and(|light| light == light_on_dark));
            if inverted {
                imageops::invert(&mut grey);
            }
            let grey = match (fitted, framing) {
                (false, _) => grey,
                (true, Framing::Whole) => imageops::resize(&grey, size[0], size[1], FilterType::Triangle),
                (true, framing) => {
                    // Ink is light from here on.
                    if !light_on_dark {
                        imageops::invert(&mut grey);
                    }
                    let mut fitted = frame(&ink(&grey), size, framing);
                    if !light_on_dark {
                        imageops::invert(&mut fitted);
                    }
                    fitted
                }
            };
            Ok(Prepared { pixels: grey.into_raw(), inverted, fitted })
        }
        3 => {
            let mut rgb = if fitted { imageops::resize(&rgb, size[0], size[1], FilterType::Triangle) } else { rgb };
            let inverted = invert.unwrap_or(false);
            if inverted {
                imageops::invert(&mut rgb);
            }
            let interleaved = rgb.into_raw();
            let pixels = (0..3).flat_map(|channel| interleaved.iter().skip(channel).step_by(3).copied()).collect();
            Ok(Prepared { pixels, inverted, fitted })
        }
        channels => Err(format!("the network takes pictures of {channels} channels; a file has 1 or 3")),
    }
}

/// What is transparent shows white paper.
fn on_paper(image: &DynamicImage) -> RgbImage {
    let rgba = image.to_rgba8();
    let blend = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, alpha] = rgba.get_pixel(x, y).0;
        Rgb([r, g, b].map(|value| blend(value, alpha)))
    })
}

/// Whether a picture lies on light or on dark paper; `None` where border and mean disagree.
fn has_light_paper(grey: &GrayImage) -> Option<bool> {
    let border = median(border(grey)) > 127;
    let sum: u64 = grey.as_raw().iter().map(|&value| u64::from(value)).sum();
    let mean = sum > 127 * grey.as_raw().len() as u64;
    (border == mean).then_some(border)
}

fn border(grey: &GrayImage) -> Vec<u8> {
    let (right, bottom) = (grey.width() - 1, grey.height() - 1);
    let at_border = |x: u32, y: u32| x == 0 || y == 0 || x == right || y == bottom;
    grey.enumerate_pixels().filter(|(x, y, _)| at_border(*x, *y)).map(|(_, _, value)| value.0[0]).collect()
}

fn median(mut values: Vec<u8>) -> u8 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Less contrast with the paper than this part of the strongest is the paper's own.
const PAPER: f64 = 0.1;
/// This part of the pixels may be lighter than what counts as the strongest ink: single specks.
const SPECKS: f64 = 0.001;

/// Light ink on paper of 0, with all the contrast that there can be.
fn ink(grey: &GrayImage) -> GrayImage {
    let mut sorted = grey.as_raw().clone();
    sorted.sort_unstable();
    let strongest = sorted[((sorted.len() - 1) as f64 * (1.0 - SPECKS)) as usize];
    let paper = f64::from(median(border(grey)));
    let range = (f64::from(strongest) - paper).max(1.0);
    let mut ink = grey.clone();
    for Luma([value]) in ink.pixels_mut() {
        let contrast = (f64::from(*value) - paper) / range;
        *value = if contrast < PAPER { 0 } else { (255.0 * contrast.min(1.0)).round() as u8 };
    }
    ink
}

/// Crops, scales and centres ink.
fn frame(ink: &GrayImage, [width, height]: [u32; 2], framing: Framing) -> GrayImage {
    let mut framed = GrayImage::new(width, height);
    let inked = || ink.enumerate_pixels().filter(|(_, _, value)| value.0[0] > 0);
    let span = |values: &mut dyn Iterator<Item = u32>| {
        values.fold(None, |span: Option<(u32, u32)>, value| {
            Some(span.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        })
    };
    let (Some((left, right)), Some((top, bottom))) =
        (span(&mut inked().map(|(x, _, _)| x)), span(&mut inked().map(|(_, y, _)| y)))
    else {
        return framed;
    };
    let cropped = imageops::crop_imm(ink, left, top, right - left + 1, bottom - top + 1).to_image();
    let part = if framing == Framing::Digit { 20.0 / 28.0 } else { 1.0 };
    let scale = (f64::from(width) * part / f64::from(cropped.width()))
        .min(f64::from(height) * part / f64::from(cropped.height()));
    let side = |length: u32, most: u32| ((f64::from(length) * scale).round() as u32).clamp(1, most);
    let sides = [side(cropped.width(), width), side(cropped.height(), height)];
    let mut scaled = imageops::resize(&cropped, sides[0], sides[1], FilterType::Triangle);
    // A thin stroke is faint where it is made thinner than a pixel, and those trained on are not.
    let most = scaled.as_raw().iter().copied().max().unwrap_or(0).max(1);
    scaled.pixels_mut().for_each(|Luma([value])| *value = (u32::from(*value) * 255 / u32::from(most)) as u8);

    // The middle of MNIST's pictures is at column and row 14 of 0 to 27: the mean of a thousand centres of mass is 14.00.
    let middle = match framing {
        Framing::Digit => centre_of_mass(&scaled),
        _ => sides.map(|side| f64::from(side) / 2.0),
    };
    let offset = |at: f64, side: u32, inner: u32| {
        let offset = (f64::from(side) / 2.0 - at).round() as i64;
        offset.clamp(0, i64::from(side - inner))
    };
    let [x, y] = [offset(middle[0], width, sides[0]), offset(middle[1], height, sides[1])];
    imageops::replace(&mut framed, &scaled, x, y);
    framed
}

/// Column and row.
fn centre_of_mass(ink: &GrayImage) -> [f64; 2] {
    let sum = |of: fn(u32, u32) -> f64| -> f64 {
        ink.enumerate_pixels().map(|(x, y, value)| f64::from(value.0[0]) * of(x, y)).sum()
    };
    let mass = sum(|_, _| 1.0).max(1.0);
    [sum(|x, _| f64::from(x)) / mass, sum(|_, y| f64::from(y)) / mass]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;

    fn target(invert: Option<bool>) -> Target {
        let shape = Shape { channels: 1, height: 28, width: 28, classes: 10 };
        Target { shape, mean: 0.13, framing: Framing::Digit, invert }
    }

    fn prepared(image: GrayImage) -> Prepared {
        prepare(&DynamicImage::ImageLuma8(image), &target(None)).unwrap()
    }

    #[test]
    fn every_test_picture_of_mnist_and_fashion_mnist_is_taken_as_it_is() {
        for set in ["mnist", "fashion-mnist"] {
            let Ok(dataset) = Dataset::load(set, None) else { continue };
            for (place, pixels) in dataset.test.pixels().chunks(28 * 28).enumerate() {
                let prepared = prepared(GrayImage::from_raw(28, 28, pixels.to_vec()).unwrap());
                let as_it_is = Prepared { pixels: pixels.to_vec(), inverted: false, fitted: false };
                assert_eq!(prepared, as_it_is, "{set} {place}");
            }
        }
    }

    // How well enlarged and shifted ones are known is measured by a network, in the program's tests.
    #[test]
    fn a_digit_that_is_dark_on_light_is_inverted_to_the_bit() {
        let dataset = Dataset::load("mnist", Some(100)).unwrap();
        for pixels in dataset.test.pixels().chunks(28 * 28).take(50) {
            let mut digit = GrayImage::from_raw(28, 28, pixels.to_vec()).unwrap();
            imageops::invert(&mut digit);
            let as_it_was = Prepared { pixels: pixels.to_vec(), inverted: true, fitted: false };
            assert_eq!(prepared(digit), as_it_was);
        }
    }

    #[test]
    fn what_is_told_of_light_and_dark_is_done_and_nothing_is_drawn_from_an_empty_sheet() {
        let light = DynamicImage::ImageLuma8(GrayImage::from_pixel(28, 28, Luma([250])));
        assert!(prepare(&light, &target(None)).unwrap().inverted);
        assert!(!prepare(&light, &target(Some(false))).unwrap().inverted);
        let empty = prepared(GrayImage::from_pixel(100, 50, Luma([250])));
        assert!(empty.pixels.iter().all(|&value| value == 0));
        let trained_on_light = Target { mean: 0.9, ..target(None) };
        assert!(!prepare(&light, &trained_on_light).unwrap().inverted);
    }

    #[test]
    fn transparency_is_paper_and_a_colour_network_gets_channel_after_channel() {
        let transparent = image::RgbaImage::from_pixel(28, 28, image::Rgba([0, 0, 0, 0]));
        let found = prepare(&DynamicImage::ImageRgba8(transparent), &target(None)).unwrap();
        assert!(found.inverted && found.pixels.iter().all(|&value| value == 0), "white paper, inverted");
        let shape = Shape { channels: 3, height: 1, width: 2, classes: 2 };
        let colour = Target { shape, mean: 0.5, framing: Framing::Whole, invert: None };
        let image = DynamicImage::ImageRgb8(RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap());
        assert_eq!(prepare(&image, &colour).unwrap().pixels, [1, 4, 2, 5, 3, 6]);
        let four = Target { shape: Shape { channels: 4, ..shape }, ..colour };
        assert!(prepare(&image, &four).is_err());
    }

    #[test]
    fn framing_is_known_by_the_name_of_the_data_set() {
        for (name, framing) in [
            ("mnist", Framing::Digit),
            ("data/emnist-letters", Framing::Digit),
            ("fashion-mnist", Framing::Garment),
            ("pictures", Framing::Whole),
        ] {
            assert_eq!(Framing::of(name), framing, "{name}");
        }
    }
}
