//! Rectify's ReLU in a plain Burn network: it stands where Burn's stood, and nothing else changes.
//!
//!     cargo run --release --example plain_mlp

use std::error::Error;

use burn::{
    module::Module,
    nn::{Linear, LinearConfig, loss::CrossEntropyLossConfig},
    optim::{AdamConfig, GradientsParams},
    tensor::{Device, Int, Tensor, TensorData},
};
use rectify::{Relu, ReluConfig};

#[derive(Module, Debug)]
struct Mlp {
    first: Linear,
    second: Linear,
    head: Linear,
    relu: Relu,
}

impl Mlp {
    fn new(device: &Device) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            first: LinearConfig::new(2, 32).init(device),
            second: LinearConfig::new(32, 32).init(device),
            head: LinearConfig::new(32, 2).init(device),
            relu: ReluConfig::new().init()?,
        })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.relu.forward(self.first.forward(x));
        let x = self.relu.forward(self.second.forward(x));
        self.head.forward(x)
    }
}

/// Two spirals, a class each.
fn spirals(device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    const POINTS: usize = 200;
    let point = |i: usize| {
        let (class, t) = (i % 2, 0.5 + 4.0 * (i / 2) as f32 / (POINTS / 2) as f32);
        let angle = 1.5 * t + std::f32::consts::PI * class as f32;
        [t / 4.5 * angle.cos(), t / 4.5 * angle.sin()]
    };
    let points: Vec<f32> = (0..POINTS).flat_map(point).collect();
    let classes: Vec<i32> = (0..POINTS as i32).map(|i| i % 2).collect();
    (
        Tensor::from_data(TensorData::new(points, [POINTS, 2]), device),
        Tensor::from_data(TensorData::new(classes, [POINTS]), device),
    )
}

/// Trains, and gives the fraction classified rightly.
fn train(steps: usize) -> Result<f64, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let mut network = Mlp::new(&device)?;
    let mut optimizer = AdamConfig::new().init();
    let (x, labels) = spirals(&device);
    let loss = CrossEntropyLossConfig::new().init(&device);
    for _ in 0..steps {
        let loss = loss.forward(network.forward(x.clone()), labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(0.01, network, gradients);
    }
    let right = network.forward(x).argmax(1).reshape([labels.dims()[0]]).equal(labels);
    Ok(right.float().mean().into_scalar::<f64>())
}

pub fn main() -> Result<(), Box<dyn Error>> {
    println!("two spirals: {:.1} % classified rightly after 300 steps", 100.0 * train(300)?);
    Ok(())
}

#[test]
fn it_learns() {
    let accuracy = train(300).unwrap();
    assert!(accuracy > 0.95, "{accuracy}");
}
