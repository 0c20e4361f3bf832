//! A monitor on burn-train: its `Learner` trains, and the model hands each step to the monitor.
//!
//!     cargo run --release --manifest-path examples/burn_train/Cargo.toml
//!
//! `TrainStep::step` is the callback that burn-train offers: there the loss, the model and its gradients meet, between the
//! backward pass and the optimizer.

use std::{
    error::Error,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use burn::{
    data::{
        dataloader::{DataLoader, DataLoaderBuilder, batcher::Batcher},
        dataset::InMemDataset,
    },
    lr_scheduler::constant::ConstantLr,
    module::{Module, Param},
    nn::{Linear, LinearConfig, loss::CrossEntropyLossConfig},
    optim::SgdConfig,
    tensor::{Device, Int, Tensor, TensorData},
};
use burn_train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep,
    logger::InMemoryMetricLogger,
};
use rectify_train::{
    judge::diagnose::Diagnosis,
    monitor::{Monitor, Tapped, Taps},
};

/// A monitor and the steps that it has seen, shared by the model's clones.
#[derive(Debug, Clone, Default)]
struct Watch(Arc<Mutex<Option<(Monitor, usize)>>>);

#[derive(Module, Debug)]
struct Net {
    body: Linear,
    activation: Tapped,
    head: Linear,
    #[module(skip)]
    watch: Watch,
}

#[derive(Debug, Clone)]
struct Batch {
    points: Tensor<2>,
    labels: Tensor<1, Int>,
}

impl Net {
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
        if let Some((monitor, step)) = &mut *self.watch.0.lock().unwrap_or_else(PoisonError::into_inner) {
            *step += 1;
            monitor.step(*step, &loss, self, &output.grads);
        }
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
        // A lattice that no line through the middle fits.
        let at = |n: u32, factor: f32| (n as f32 * factor).fract() * 2.0 - 1.0;
        let points: Vec<f32> = items.iter().flat_map(|n| [at(*n, 0.754_877_7), at(*n, 0.569_840_3)]).collect();
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
    DataLoaderBuilder::new(Quarters).batch_size(32).build(InMemDataset::new(items.collect()))
}

/// Trains for three epochs, and diagnoses.
fn train(bias: f64, logs: &Path) -> Result<Diagnosis, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let taps = Taps::default();
    let mut body = LinearConfig::new(2, 32).init(&device);
    body.bias = Some(Param::from_tensor(Tensor::full([32], bias, &device)));
    let model = Net {
        body,
        activation: taps.tap("body", &"relu".parse()?, &device),
        head: LinearConfig::new(32, 4).init(&device),
        watch: Watch::default(),
    };
    let watch = model.watch.clone();
    let monitor = Monitor::new(&model).taps(&taps).batch_size(32).class_counts(&[800; 4]);
    *watch.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((monitor, 0));
    SupervisedTraining::new(logs, loader(0..3200), loader(3200..3520))
        .num_epochs(3)
        .with_metric_logger(InMemoryMetricLogger::new())
        .with_application_logger(None)
        .launch(Learner::new(model, SgdConfig::new().init(), ConstantLr::new(0.3)));
    let mut seen = watch.0.lock().unwrap_or_else(PoisonError::into_inner);
    let (monitor, steps) = seen.as_mut().ok_or("the monitor is gone")?;
    println!("{steps} steps");
    Ok(monitor.diagnosis())
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
    assert!(dead.findings.iter().any(|finding| finding.detector == "dead-units"), "{dead}");
}
