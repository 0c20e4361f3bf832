//! Guided backpropagation (Springenberg et al. 2015, *Striving for simplicity*): what in a picture speaks for its class.
//!
//!     cargo run --release --example guided_backprop      # writes guided.png
//!
//! A small CNN is trained with the ordinary ReLU. Then its ReLU is given another gradient rule, and one backward pass to
//! the pixels draws the map. The picture has a row for each of ten digits: input, plain gradient, guided gradient.

use std::{error::Error, path::Path, sync::atomic::AtomicBool};

use burn::{
    module::Module,
    nn::{
        Linear, LinearConfig,
        conv::{Conv2d, Conv2dConfig},
        pool::{MaxPool2d, MaxPool2dConfig},
    },
    tensor::{DType, Device, Tensor},
};
use image::{GrayImage, Luma};
use rectify::{GradientRule, Relu, ReluConfig};
use rectify_train::{
    data::{Dataset, DeviceDataset},
    experiment::{Experiment, ProbeEvery},
    network::Network,
    observe::Trace,
    train::train,
};

const SIDE: usize = 28;

#[derive(Module, Debug)]
struct Cnn {
    first: Conv2d,
    second: Conv2d,
    head: Linear,
    pool: MaxPool2d,
    relu: Relu,
}

impl Cnn {
    fn new(device: &Device) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            first: Conv2dConfig::new([1, 8], [5, 5]).init(device),
            second: Conv2dConfig::new([8, 16], [5, 5]).init(device),
            head: LinearConfig::new(16 * 4 * 4, 10).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            relu: ReluConfig::new().init()?,
        })
    }
}

impl Network for Cnn {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        let [batch, _] = images.dims();
        let relu = |z| self.relu.forward(z);
        let x = trace.layer("first", self.first.forward(images.reshape([batch, 1, SIDE, SIDE])), relu);
        let x = trace.layer("second", self.second.forward(self.pool.forward(x)), relu);
        trace.output("head", self.head.forward(self.pool.forward(x).flatten(1, 3)))
    }
}

/// The gradient of the largest logit of each picture by its pixels.
fn saliency(network: &Cnn, images: Tensor<2>) -> Result<Vec<f32>, Box<dyn Error>> {
    let images = images.require_grad();
    let logits = network.forward(images.clone(), &mut Trace::off());
    let gradients = logits.max_dim(1).sum().backward();
    let gradient = images.grad(&gradients).ok_or("no gradient reached the pixels")?;
    Ok(gradient.into_data().iter::<f32>().collect())
}

/// Numbers as grey: 0 is black, the largest size white.
fn grey(values: &[f32]) -> Vec<u8> {
    let most = values.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    values.iter().map(|value| (255.0 * value.abs() / most) as u8).collect()
}

/// Trains, draws, and gives the share of pixels that speak: with the plain gradient and guided.
fn draw(train_size: usize, path: &Path) -> Result<[f64; 2], Box<dyn Error>> {
    let device = Device::flex();
    let dataset = Dataset::load("mnist", Some(train_size))?;
    let data: DeviceDataset = dataset.to_device(&device, DType::F32);
    let experiment = Experiment { epochs: Some(2), probe_every: ProbeEvery::Off, ..Experiment::default() }.resolve()?;
    device.seed(0);
    let network = Cnn::new(&device.clone().autodiff())?;
    let stop = AtomicBool::new(false);
    let (mut network, run) = train(network, &"relu".parse()?, 0, &experiment, &data, &stop, &mut |_| {});
    let accuracy = run.last().and_then(|epoch| epoch.test_accuracy).unwrap_or(f64::NAN);
    println!("test accuracy {:.1} %", 100.0 * accuracy);

    let images = Tensor::from_data(data.test.slice(0..10).images.into_data(), &device.autodiff());
    let plain = saliency(&network, images.clone())?;
    network.relu = ReluConfig::new().with_rule(GradientRule::Guided).init()?;
    let guided = saliency(&network, images)?;

    let mut picture = GrayImage::new(3 * SIDE as u32, 10 * SIDE as u32);
    let area = SIDE * SIDE;
    for digit in 0..10 {
        let part = digit * area..(digit + 1) * area;
        let columns = [dataset.test.pixels()[part.clone()].to_vec(), grey(&plain[part.clone()]), grey(&guided[part])];
        for (column, pixels) in columns.iter().enumerate() {
            for (at, value) in pixels.iter().enumerate() {
                let (x, y) = (column * SIDE + at % SIDE, digit * SIDE + at / SIDE);
                picture.put_pixel(x as u32, y as u32, Luma([*value]));
            }
        }
    }
    picture.save(path)?;
    let speaking = |map: &[f32]| map.iter().filter(|value| **value != 0.0).count() as f64 / map.len() as f64;
    Ok([speaking(&plain), speaking(&guided)])
}

pub fn main() -> Result<(), Box<dyn Error>> {
    draw(10_000, Path::new("guided.png"))?;
    println!("guided.png: input, gradient, guided gradient");
    Ok(())
}

#[test]
fn guided_maps_are_sparser_than_plain_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guided.png");
    let [plain, guided] = draw(1000, &path).unwrap();
    assert!(guided < plain && guided > 0.0, "{plain} {guided}");
    assert_eq!(image::image_dimensions(&path).unwrap(), (84, 280));
}
