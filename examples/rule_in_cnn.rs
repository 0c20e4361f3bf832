//! Another gradient rule in a convolutional network: forward it stays max(0, x), backward a little leaks through units that
//! are off.
//!
//!     cargo run --release --example rule_in_cnn

use std::error::Error;

use burn::{
    module::Module,
    nn::{
        Linear, LinearConfig,
        conv::{Conv2d, Conv2dConfig},
        loss::CrossEntropyLossConfig,
    },
    optim::{GradientsParams, SgdConfig},
    tensor::{Device, Int, Tensor, TensorData},
};
use rectify::{GradientRule, Relu, ReluConfig};

#[derive(Module, Debug)]
struct Cnn {
    conv: Conv2d,
    head: Linear,
    relu: Relu,
}

impl Cnn {
    fn new(rule: GradientRule, device: &Device) -> Result<Self, Box<dyn Error>> {
        device.seed(0);
        let conv = Conv2dConfig::new([1, 8], [3, 3]).init(device);
        let head = LinearConfig::new(8 * 6 * 6, 2).init(device);
        Ok(Self { conv, head, relu: ReluConfig::new().with_rule(rule).init()? })
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.head.forward(self.relu.forward(self.conv.forward(images)).flatten(1, 3))
    }
}

/// Pictures of a horizontal or a vertical bar.
fn bars(device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let lit = |i: usize, row: usize, column: usize| {
        let at = i / 2 % 8;
        if i.is_multiple_of(2) { row == at } else { column == at }
    };
    let pixel = move |i: usize, p: usize| f32::from(u8::from(lit(i, p / 8, p % 8)));
    let pixels: Vec<f32> = (0..16).flat_map(|i| (0..64).map(move |p| pixel(i, p))).collect();
    let classes: Vec<i32> = (0..16).map(|i| i % 2).collect();
    (
        Tensor::from_data(TensorData::new(pixels, [16, 1, 8, 8]), device),
        Tensor::from_data(TensorData::new(classes, [16]), device),
    )
}

/// The size of the first gradient of the convolution's weights, and the loss after 200 steps.
fn train(rule: GradientRule) -> Result<[f64; 2], Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let mut network = Cnn::new(rule, &device)?;
    let mut optimizer = SgdConfig::new().init();
    let (images, labels) = bars(&device);
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let loss = |network: &Cnn| cross_entropy.forward(network.forward(images.clone()), labels.clone());
    let mut first = None;
    for _ in 0..200 {
        let gradients = GradientsParams::from_grads(loss(&network).backward(), &network);
        let of_weights = gradients.get::<4>(network.conv.weight.id).ok_or("no gradient reached the weights")?;
        first.get_or_insert_with(|| of_weights.square().mean().sqrt().into_scalar::<f64>());
        network = optimizer.step(0.1, network, gradients);
    }
    Ok([first.unwrap_or(f64::NAN), loss(&network).into_scalar::<f64>()])
}

pub fn main() -> Result<(), Box<dyn Error>> {
    for rule in [GradientRule::default(), GradientRule::Leaky { slope: 0.1 }] {
        let [gradient, loss] = train(rule)?;
        println!("{rule:?}: first gradient {gradient:.4}, loss {loss:.4} after 200 steps");
    }
    Ok(())
}

#[test]
fn both_rules_learn_by_other_gradients() {
    let [plain, leaky] = [GradientRule::default(), GradientRule::Leaky { slope: 0.1 }].map(|rule| train(rule).unwrap());
    assert!((plain[0] - leaky[0]).abs() > 1e-6, "{plain:?} {leaky:?}");
    assert!(plain[1] < 0.3 && leaky[1] < 0.3, "{plain:?} {leaky:?}");
}
