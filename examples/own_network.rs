//! A network of your own, trained and looked at layer by layer.
//!
//!     cargo run --release --example own_network
//!
//! Whatever is a Burn module can be trained and probed: it passes each layer's pre-activations through the trace, under
//! the name that the layer's parameters have in the module, and the last one's as its output. This one is a residual network with layer normalisation,
//! ReLU with a leak in its backward pass only, and one layer with an initialisation that is far too small.

use std::{error::Error, sync::atomic::AtomicBool};

use burn::{
    module::Module,
    nn::{Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig},
    tensor::{DType, Device, Tensor},
};
use rectify::{GradientRule, Relu, ReluConfig};
use rectify_train::{
    activation::Activation,
    data::Dataset,
    experiment::Experiment,
    network::Network,
    observe::Trace,
    train::{Event, train},
};

#[derive(Module, Debug)]
struct Residual {
    stem: Linear,
    norm: LayerNorm,
    block: Linear,
    weak: Linear,
    head: Linear,
    relu: Relu,
}

impl Residual {
    fn new(device: &Device) -> Result<Self, Box<dyn Error>> {
        let weak = Initializer::Normal { mean: 0.0, std: 1e-4 };
        Ok(Self {
            stem: LinearConfig::new(784, 64).init(device),
            norm: LayerNormConfig::new(64).init(device),
            block: LinearConfig::new(64, 64).init(device),
            weak: LinearConfig::new(64, 64).with_initializer(weak).init(device),
            head: LinearConfig::new(64, 10).init(device),
            relu: ReluConfig::new().with_rule(GradientRule::Leaky { slope: 0.01 }).init()?,
        })
    }
}

impl Network for Residual {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        let relu = |z| self.relu.forward(z);
        let x = trace.layer("stem", self.stem.forward(images), relu);
        let x = x.clone() + trace.layer("block", self.block.forward(self.norm.forward(x)), relu);
        let x = trace.layer("weak", self.weak.forward(x), relu);
        trace.output("head", self.head.forward(x))
    }
}

pub fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let data = Dataset::load("mnist", Some(10_000))?.to_device(&device, DType::F32);
    let experiment = Experiment { epochs: Some(2), ..Experiment::default() }.resolve()?;
    // What the probes take as φ: it decides what counts as saturated.
    let activation: Activation = "relu:leaky=0.01".parse()?;

    device.seed(0);
    let network = Residual::new(&device.clone().autodiff())?;
    let (_network, run) = train(network, &activation, 0, &experiment, &data, &AtomicBool::new(false), &mut |event| {
        if let Event::Epoch(epoch) = event {
            println!("epoch {}: test accuracy {:.2} %", epoch.epoch, 100.0 * epoch.test_accuracy.unwrap_or(f64::NAN));
            for layer in &epoch.layers {
                println!(
                    "  {:<6} gradient rms {:.1e}, zero {:>5.1} %",
                    layer.layer,
                    layer.weight_grad_rms.unwrap_or(f64::NAN),
                    100.0 * layer.zero_fraction.unwrap_or(f64::NAN)
                );
            }
        }
    });
    println!("{} parameters, {} steps, {:.1} s", run.parameters, run.steps, run.wall_seconds);
    Ok(())
}
