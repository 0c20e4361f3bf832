//! What in a picture speaks for its class: guided backpropagation (Springenberg et al. 2015).

use std::io::Cursor;

use anyhow::Context;
use burn::tensor::Device;
use image::{DynamicImage, GrayImage, ImageFormat, Luma, imageops::FilterType};
use rectify_train::{
    network::{Model, outputs},
    observe::Trace,
    store::{Checkpoint, SavedCheckpoint},
};

/// A side of the written picture is at least so many pixels long.
const SIDE: u32 = 224;

/// A network whose gradients by its pixels can be taken.
pub struct Saliency<'a> {
    checkpoint: &'a Checkpoint,
    model: Model,
    device: Device,
    /// Whether only positive gradients pass its ReLUs; otherwise all do.
    pub guided: bool,
}

impl<'a> Saliency<'a> {
    /// The network of a checkpoint; its ReLU, if that is its function, with the guided rule.
    ///
    /// # Errors
    ///
    /// A checkpoint that cannot be read.
    pub fn new(saved: &'a SavedCheckpoint, device: &Device) -> anyhow::Result<Self> {
        let device = device.clone().autodiff();
        let guided = saved.checkpoint.activation.relu_rule().is_some();
        let mut with_rule = saved.clone();
        if guided {
            with_rule.checkpoint.activation = "relu:guided".parse()?;
        }
        let model = with_rule.load_model(&device)?;
        Ok(Self { checkpoint: &saved.checkpoint, model, device, guided })
    }

    /// The gradient of a class's logit by the picture's pixels, of all channels together.
    fn gradient(&self, pixels: &[u8], class: usize) -> anyhow::Result<Vec<f32>> {
        let picture = self.checkpoint.inputs(&[pixels], &self.device).require_grad();
        let logits = outputs(&self.model, picture.clone(), &mut Trace::off());
        let gradients = logits.narrow(1, class, 1).sum().backward();
        let gradient = picture.grad(&gradients).context("no gradient reaches the pixels")?;
        let gradient: Vec<f32> = gradient.into_data().iter::<f32>().map(f32::abs).collect();
        let plane = self.checkpoint.height * self.checkpoint.width;
        Ok((0..plane).map(|at| gradient.iter().skip(at).step_by(plane).copied().fold(0.0, f32::max)).collect())
    }

    /// The picture, as the network gets it, and the map beside it, as a PNG.
    ///
    /// # Errors
    ///
    /// A network whose output does not depend on its pixels.
    pub fn png(&self, pixels: &[u8], class: usize) -> anyhow::Result<Vec<u8>> {
        let map = self.gradient(pixels, class)?;
        let most = map.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let (width, height) = (self.checkpoint.width as u32, self.checkpoint.height as u32);
        let sheet = GrayImage::from_fn(2 * width, height, |x, y| {
            let at = (y * width + x % width) as usize;
            Luma([if x < width { pixels[at] } else { (255.0 * map[at] / most) as u8 }])
        });
        let scale = (SIDE / height.max(1)).max(1);
        let sheet = DynamicImage::from(sheet).resize_exact(2 * width * scale, height * scale, FilterType::Nearest);
        let mut png = Vec::new();
        sheet.write_to(&mut Cursor::new(&mut png), ImageFormat::Png)?;
        Ok(png)
    }
}
