//! How often a training waits for the GPU. A file of its own: the counter is the process's logger.
#![cfg(feature = "wgpu")]

use std::{
    io::Write,
    ops::ControlFlow,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use log::{LevelFilter, Log, Metadata, Record};
use rectify_train::{
    backend,
    data::{Dataset, DeviceDataset, DeviceSamples},
    experiment::{Experiment, ProbeEvery},
    network::Model,
    train::Trainer,
};

/// Counts what wgpu writes to its log whenever memory of the GPU is mapped to be read.
struct Maps(AtomicUsize);

impl Log for Maps {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) && format!("{}", record.args()).starts_with("Buffer::map_async") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

static MAPS: Maps = Maps(AtomicUsize::new(0));

#[test]
fn losses_are_read_back_once_in_64_steps_and_nothing_else_is() {
    let device = match backend::open("wgpu") {
        Ok(device) => device,
        Err(error) if std::env::var_os("CI").is_some() => panic!("with CI set there must be a GPU: {error}"),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "skipped: {error}");
            return;
        }
    };
    log::set_logger(&MAPS).expect("no other logger is set");
    log::set_max_level(LevelFilter::Trace);

    let dataset = Dataset::load("mnist", Some(1040)).expect("MNIST comes with the repository");
    let shape = dataset.shape();
    let data = dataset.to_device(&device, burn::tensor::DType::F32);
    let some = |samples: &DeviceSamples, count: usize| -> DeviceSamples { samples.slice(0..count).into() };
    let (validation, test) = (some(&data.validation, 50), some(&data.test, 50));
    let data = DeviceDataset { validation, test, ..data };
    let read_backs = |steps: usize, probe_every: ProbeEvery| {
        let experiment = Experiment {
            activations: vec!["relu".parse().expect("the name is known")],
            hidden: Some(vec![16, 16]),
            batch_size: 8,
            steps: Some(steps),
            probe_every,
            ..Experiment::default()
        };
        let activation = &experiment.activations[0];
        let network = Model::new(&experiment, activation, shape, 0, &device.clone().autodiff());
        let before = MAPS.0.load(Ordering::Relaxed);
        // However slow the software driver is, no state is saved, for which losses would be read.
        let mut trainer = Trainer::new(network, activation, 0, &experiment, &data).save_every(Duration::MAX);
        while let ControlFlow::Continue(next) = trainer.epoch(&AtomicBool::new(false), &mut |_| {}) {
            trainer = next;
        }
        MAPS.0.load(Ordering::Relaxed) - before
    };

    // Before: the loss that epoch 0 calls its training loss, validation, test, and whether the weights are finite. After:
    // the last three again, and which test samples are taken for which class. One for losses.
    assert_eq!(read_backs(3, ProbeEvery::Off), 9);
    assert_eq!(read_backs(64, ProbeEvery::Off), 9);
    assert_eq!(read_backs(65, ProbeEvery::Off), 10);
    // All layers' metrics together are one, before and after, and tell whether the weights are finite; and what the
    // network is fed is one, before.
    assert_eq!(read_backs(3, ProbeEvery::Epoch), 10);
}
