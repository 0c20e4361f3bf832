//! A monitor on burn-train: its `Learner` trains, and at each of its steps the model calls the monitor. Three places,
//! marked by `monitor`.
//!
//!     cargo run --release --manifest-path examples/burn_train/Cargo.toml
//!
//! `TrainStep::step` is where burn-train lets a model do something of its own with loss and gradients; a metric sees
//! neither. It is trained twice: as it should be, and with a bias that leaves every unit of its hidden layer dead.

mod quiet;

use std::{error::Error, path::Path, sync::Arc};

use burn::{
    data::{
        dataloader::{DataLoader, DataLoaderBuilder, batcher::Batcher},
        dataset::InMemDataset,
    },
    lr_scheduler::constant::ConstantLr,
    module::{Module, Param},
    nn::{Initializer, Linear, LinearConfig, loss::CrossEntropyLossConfig},
    optim::SgdConfig,
    tensor::{Device, Int, Tensor, TensorData},
};
use burn_train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep,
    logger::InMemoryMetricLogger,
};
use rectify_train::{
    judge::diagnose::Diagnosis,
    monitor::{Callback, Monitor, Tapped, Taps},
};

const BATCH: usize = 32;
const TRAINING: u32 = 100 * BATCH as u32;
const VALIDATION: u32 = 10 * BATCH as u32;

#[derive(Module, Debug)]
struct Net {
    body: Linear,
    // In place of an activation module, so that the monitor sees what passes.
    activation: Tapped,
    head: Linear,
    // monitor: where a step finds it.
    #[module(skip)]
    callback: Callback,
}

#[derive(Debug, Clone)]
struct Batch {
    points: Tensor<2>,
    labels: Tensor<1, Int>,
}

impl Net {
    fn new(taps: &Taps, bias: f64, device: &Device) -> Result<Self, Box<dyn Error>> {
        device.seed(0);
        // He's, for ReLU. Burn's default is smaller.
        let he = Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: false };
        let linear = |from, to| LinearConfig::new(from, to).with_initializer(he.clone()).init(device);
        let mut body: Linear = linear(2, 32);
        body.bias = Some(Param::from_tensor(Tensor::full([32], bias, device)));
        Ok(Self {
            body,
            activation: taps.tap("body", &"relu".parse()?, device),
            head: linear(32, 4),
            callback: Callback::default(),
        })
    }

    fn forward(&self, batch: Batch) -> ClassificationOutput {
        let Batch { points, labels } = batch;
        let logits = self.head.forward(self.activation.forward(self.body.forward(points)));
        let loss = CrossEntropyLossConfig::new().init(&logits.device()).forward(logits.clone(), labels.clone());
        ClassificationOutput::new(loss, logits, labels)
    }
}

impl TrainStep for Net {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let item = self.forward(batch);
        let loss = item.loss.clone();
        let output = TrainOutput::new(self, loss.clone().backward(), item);
        // monitor: a step.
        self.callback.step(&loss, self, &output.grads);
        output
    }
}

impl InferenceStep for Net {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.forward(batch)
    }
}

/// Points of a square, and in which quarter of it they are.
struct Quarters;

impl Batcher<u32, Batch> for Quarters {
    fn batch(&self, items: Vec<u32>, device: &Device) -> Batch {
        // The R₂ sequence, which fills a square evenly.
        let at = |n: u32, step: f64| (f64::from(n) * step).fract() as f32 * 2.0 - 1.0;
        let points: Vec<f32> =
            items.iter().flat_map(|n| [at(*n, 0.754_877_666_246_693), at(*n, 0.569_840_290_998_053)]).collect();
        let quarter = |point: &[f32]| i32::from(point[0] > 0.0) + 2 * i32::from(point[1] > 0.0);
        let labels: Vec<i32> = points.chunks(2).map(quarter).collect();
        let count = items.len();
        Batch {
            points: Tensor::from_data(TensorData::new(points, [count, 2]), device),
            labels: Tensor::from_data(TensorData::new(labels, [count]), device),
        }
    }
}

fn loader(items: std::ops::Range<u32>) -> Arc<dyn DataLoader<Batch>> {
    DataLoaderBuilder::new(Quarters).batch_size(BATCH).build(InMemDataset::new(items.collect()))
}

fn train(bias: f64, logs: &Path) -> Result<Diagnosis, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let taps = Taps::default();
    let model = Net::new(&taps, bias, &device)?;
    // monitor: begins, and says at the end what it has seen.
    let callback = model.callback.clone();
    callback.watch(Monitor::new(&model).taps(&taps).batch_size(BATCH).class_counts(&[TRAINING as usize / 4; 4]));
    SupervisedTraining::new(logs, loader(0..TRAINING), loader(TRAINING..TRAINING + VALIDATION))
        .num_epochs(3)
        .renderer(Box::new(quiet::Quiet))
        .with_metric_logger(InMemoryMetricLogger::new())
        .with_application_logger(None)
        .launch(Learner::new(model, SgdConfig::new().init(), ConstantLr::new(0.1)));
    Ok(callback.take().ok_or("nothing was watched")?.diagnosis())
}

fn main() -> Result<(), Box<dyn Error>> {
    let logs = std::env::temp_dir().join("rectify-burn-train");
    println!("as it should be:\n{}\n\nwith a bias of -10:\n{}", train(0.0, &logs)?, train(-10.0, &logs)?);
    Ok(())
}

#[test]
fn the_sound_one_is_healthy_and_the_dead_layer_is_found() {
    let logs = tempfile::tempdir().unwrap();
    let sound = train(0.0, logs.path()).unwrap();
    assert!(sound.healthy, "{sound}");
    let dead = train(-10.0, logs.path()).unwrap();
    let found = dead.findings.iter().find(|finding| finding.detector == "dead-units");
    assert_eq!(found.map(|finding| finding.layers.as_slice()), Some(&["body".to_owned()][..]), "{dead}");
}
