//! One training on several backends: the same initial weights and batches give the same numbers to rounding.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use rectify_train::{
    backend,
    data::{Dataset, DeviceDataset, DeviceSamples},
    experiment::{Experiment, ModelKind, ProbeEvery},
    network::Model,
    observe::weights,
    train::{Group, Trainer},
};

/// What training leaves behind: losses on the way, and all weights.
struct Trained {
    losses: Vec<f64>,
    weights: Vec<f64>,
}

/// The training of seed 0, by itself or with its steps together with those of another seed at another rate.
fn run(experiment: &Experiment, device: &Device, together: bool) -> Trained {
    let dataset = Dataset::load("mnist", Some(1024)).expect("MNIST comes with the repository");
    let shape = dataset.shape();
    let data = dataset.to_device(device, experiment.dtype.into());
    // Few samples to evaluate on, as a GPU in software is slow.
    let some = |samples: &DeviceSamples, count: usize| samples.slice(0..count).into();
    let data = DeviceDataset {
        train: some(&data.train, experiment.batch_size * experiment.steps.expect("the experiment counts steps")),
        validation: some(&data.validation, 50),
        test: some(&data.test, 50),
        ..data
    };
    let activation = &experiment.activations[0];
    let other = Experiment { lr: Some(experiment.learning_rate() / 2.0), ..experiment.clone() };
    let trainer = |experiment, seed| {
        let network = Model::new(experiment, activation, shape, seed, &device.clone().autodiff());
        Trainer::new(network, activation, seed, experiment, &data)
    };
    let mut all = vec![(0, trainer(experiment, 0))];
    all.extend(together.then(|| (1, trainer(&other, 1))));
    let (mut group, mut ended) = (Group::new(all), Vec::new());
    while !group.is_empty() {
        ended.extend(group.epoch(&AtomicBool::new(false), &|_, _| {}));
    }
    let (_, network, run) = ended.into_iter().find(|(training, ..)| *training == 0).expect("it has ended");
    let weights = weights(&network).into_iter().flat_map(|(_, weight)| weight.into_data().iter().collect::<Vec<f64>>());
    Trained {
        losses: run.probes.iter().map(|step| step.loss.expect("the loss is finite")).collect(),
        weights: weights.collect(),
    }
}

/// Trains on flex and on every other backend that is here, and holds the others against it.
///
/// A sum of n ≤ 1024 f32 numbers in another order differs by some √n ε ≈ 4e-6 of its size. Steps of a small learning
/// rate add such differences up without magnifying them: what was measured after 50 is 5e-7 of the loss. The tolerance
/// leaves a factor of 20 for other hardware, and the sabotage of a single rounding rule would exceed it.
fn stay_together(experiment: &Experiment) {
    const TOLERANCE: f64 = 1e-5;

    let reference = run(experiment, &backend::open("flex").expect("flex needs nothing"), false);
    assert!(reference.losses.len() > 1, "there is something to compare");
    // A network with convolutions takes its steps by itself.
    let batched = experiment.model == ModelKind::Mlp;
    let others = ["flex", "ndarray", "wgpu"].into_iter().flat_map(|name| [(name, false), (name, true)]);
    for (name, together) in others.filter(|(name, together)| if *together { batched } else { *name != "flex" }) {
        let device = match backend::open(name) {
            Ok(device) => device,
            Err(error) if std::env::var_os("CI").is_some() => {
                panic!("with CI set there must be every backend: {error}")
            }
            Err(error) => {
                use std::io::Write;
                // Not `eprintln!`, which a passing test's output swallows.
                let _ = writeln!(std::io::stderr(), "skipped: {error}");
                continue;
            }
        };
        let found = run(experiment, &device, together);
        let name = if together { &format!("{name}, together") } else { name };
        assert_eq!(found.losses.len(), reference.losses.len());
        for (i, (expected, found)) in reference.losses.iter().zip(&found.losses).enumerate() {
            let error = (found - expected).abs() / expected;
            assert!(error <= TOLERANCE, "{name}, loss {i}: {found}, on flex {expected}");
        }
        assert_eq!(found.weights.len(), reference.weights.len());
        for (i, (expected, found)) in reference.weights.iter().zip(&found.weights).enumerate() {
            let error = (found - expected).abs();
            assert!(error <= TOLERANCE, "{name}, weight {i} at the end: {found}, on flex {expected}");
        }
    }
}

fn experiment(activation: &str) -> Experiment {
    Experiment {
        activations: vec![activation.parse().expect("the name is known")],
        hidden: Some(vec![64, 64, 64]),
        batch_size: 20,
        steps: Some(50),
        probe_every: ProbeEvery::Steps(7),
        ..Experiment::default()
    }
}

#[test]
fn fifty_steps_with_relu_stay_together() {
    stay_together(&experiment("relu"));
}

#[test]
fn fifty_steps_with_sigmoid_stay_together() {
    // Xavier's variance and more learning rate, as sigmoid has learnt next to nothing after 50 plain steps.
    stay_together(&Experiment { lr: Some(0.5), ..experiment("sigmoid") });
}

#[test]
fn fifty_steps_with_tanh_stay_together() {
    stay_together(&experiment("tanh"));
}

#[test]
fn fifty_steps_with_a_surrogate_gradient_and_momentum_stay_together() {
    let optimizer = "momentum".parse().expect("it is an optimizer");
    stay_together(&Experiment { optimizer, lr: Some(0.01), ..experiment("relu:bsilu") });
}

#[test]
fn convolutions_stay_together() {
    let model = ModelKind::Cnn;
    stay_together(&Experiment {
        model,
        steps: Some(4),
        batch_size: 16,
        hidden: Some(vec![32]),
        probe_every: ProbeEvery::Steps(2),
        ..experiment("relu")
    });
}
