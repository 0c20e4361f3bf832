//! Every setting that the flags allow trains, or is refused before anything runs.

use std::{convert::Infallible, io::Write, panic, sync::atomic::AtomicBool};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use rectify_train::{
    activation::{Activation, NAMES},
    backend,
    data::{Batch, DeviceDataset, DeviceSamples},
    experiment::{Dtype, Experiment, Init, ModelKind, NormKind, OptimizerKind},
    network::{Model, Shape},
    observe::weights,
    record::Status,
    train::{grid::jobs, schedule::side_by_side, train},
};
use strum::VariantArray;

const SIDE: usize = 6;
const CLASSES: usize = 3;
const SAMPLES: usize = 8;

/// Every rule of ReLU's, and parameters at the ends of what is usual.
const WITH_PARAMETER: [&str; 11] = [
    "relu:heaviside=0.5",
    "relu:leaky=0.1",
    "relu:bsilu",
    "relu:nelu=0.1",
    "relu:guided",
    "relu:deconv",
    "leaky-relu:0.3",
    "prelu:0.1",
    "rrelu:0:0.1",
    "celu:0.1",
    "softplus:10",
];

fn samples(device: &Device, dtype: DType) -> DeviceDataset {
    let pixels: Vec<f64> = (0..SAMPLES * SIDE * SIDE).map(|i| ((i * 2_654_435_761) % 97) as f64 / 30.0 - 1.6).collect();
    let labels: Vec<i32> = (0..SAMPLES).map(|i| (i % CLASSES) as i32).collect();
    let samples: DeviceSamples = Batch {
        images: Tensor::from_data(TensorData::new(pixels, [SAMPLES, SIDE * SIDE]), (device, dtype)),
        labels: Tensor::<1, Int>::from_data(TensorData::new(labels, [SAMPLES]), device),
    }
    .into();
    DeviceDataset {
        train: samples.clone(),
        validation: samples.clone(),
        test: samples,
        height: SIDE,
        width: SIDE,
        channels: 1,
        classes: CLASSES,
    }
}

/// Trains, and tells what is wrong with that.
fn fault(experiment: &Experiment, data: &DeviceDataset) -> Option<String> {
    let activation = &experiment.activations[0];
    let outcome = panic::catch_unwind(|| {
        let shape = Shape { channels: 1, height: SIDE, width: SIDE, classes: CLASSES };
        let network = Model::new(experiment, activation, shape, 0, &data.train.device().autodiff());
        let before = numbers(&network);
        let (network, run) = train(network, activation, 0, experiment, data, &AtomicBool::new(false), &mut |_| {});
        (run, before, numbers(&network))
    });
    let Ok((run, before, after)) = outcome else { return Some("panics".to_owned()) };
    if run.status != Status::Completed {
        return Some(format!("{:?} at step {:?}", run.status, run.diverged_at_step));
    }
    if !after.iter().all(|weight| weight.is_finite()) {
        return Some("has weights that are not finite".to_owned());
    }
    if before == after {
        return Some("has not moved".to_owned());
    }
    let epochs = run.epochs.iter().flat_map(|epoch| [epoch.train_loss, epoch.validation_loss, epoch.test_loss]);
    (epochs.flatten().count() < 3 * run.epochs.len()).then(|| "has losses that are not finite".to_owned())
}

fn numbers(network: &Model) -> Vec<f64> {
    weights(network).into_iter().flat_map(|(_, weight)| weight.into_data().iter().collect::<Vec<f64>>()).collect()
}

fn activations() -> Vec<Activation> {
    // The default one first.
    ["relu"]
        .iter()
        .chain(NAMES.iter().filter(|name| **name != "relu"))
        .chain(&WITH_PARAMETER)
        .map(|name| name.parse().expect("the name is known"))
        .collect()
}

fn inits() -> Vec<Init> {
    let named = Init::names().into_iter().filter_map(|name| name.parse().ok());
    named.chain([Init::Normal(0.1), Init::Gain(1.5)]).collect()
}

/// Which combinations are trained, in every dtype that the backend has.
///
/// An initialisation draws f32 numbers on the host, whatever the activation, the optimizer and the backend are: what can
/// go wrong with it is the model's shapes and the dtype, which it meets all of on the CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breadth {
    /// Model × (activation × optimizer, initialisation).
    Whole,
    /// One of the three differs from the default at a time; with the CNN few activations. For a GPU in software, which
    /// takes half a second to compile the kernels of a training.
    OneByOne,
}

/// Trains everything on a backend in every dtype that it has, and says which dtypes it has not.
#[track_caller]
fn train_everything(name: &str, breadth: Breadth) -> Vec<Dtype> {
    let device = match backend::open(name) {
        Ok(device) => device,
        Err(error) if std::env::var_os("CI").is_some() => panic!("with CI set there must be every backend: {error}"),
        Err(error) => {
            // Not `eprintln!`, which a passing test's output swallows.
            let _ = writeln!(std::io::stderr(), "skipped: {error}");
            return Vec::new();
        }
    };
    let (dtypes, refused): (Vec<Dtype>, Vec<Dtype>) =
        Dtype::VARIANTS.iter().partition(|dtype| backend::supports(&device, **dtype).is_ok());
    let jobs = jobs(&Experiment::default(), &device);
    let (mut trained, mut faults) = (0, Vec::new());
    for dtype in dtypes {
        let data = samples(&device, dtype.into());
        let experiments = experiments(dtype, breadth);
        trained += experiments.len();
        let never = AtomicBool::new(false);
        let found = side_by_side(jobs, &never, &experiments, &|experiment| {
            let Experiment { model, activations, init, optimizer, .. } = experiment;
            let fault = fault(experiment, &data);
            Ok::<_, Infallible>(
                fault.map(|fault| format!("{dtype} {model} {} {init} {optimizer}: {fault}", activations[0])),
            )
        });
        let Ok(found) = found;
        assert_eq!(found.len(), experiments.len());
        faults.extend(found.into_iter().flatten());
    }
    assert!(faults.is_empty(), "{} of {trained} on {name}:\n{}", faults.len(), faults.join("\n"));
    refused
}

fn experiments(dtype: Dtype, breadth: Breadth) -> Vec<Experiment> {
    let default = |model, activation: &Activation| Experiment {
        model,
        hidden: Some(vec![5, 4]),
        activations: vec![activation.clone()],
        dtype,
        lr: Some(0.01),
        steps: Some(1),
        batch_size: SAMPLES,
        ..Experiment::default()
    };
    // One whose fused layer is one operation, one whose is not, one with a parameter.
    const KINDS: [&str; 3] = ["relu", "gelu", "prelu"];
    let mut experiments = Vec::new();
    for &model in ModelKind::VARIANTS {
        for activation in activations() {
            let of_its_kind = KINDS.contains(&activation.name());
            if breadth == Breadth::OneByOne && model == ModelKind::Cnn && !of_its_kind {
                continue;
            }
            for &optimizer in OptimizerKind::VARIANTS {
                if breadth == Breadth::Whole || optimizer == OptimizerKind::Sgd || activation.name() == "relu" {
                    experiments.push(Experiment { optimizer, ..default(model, &activation) });
                }
            }
            if of_its_kind {
                let norms = [NormKind::Batch, NormKind::Layer];
                let around = |norm| Experiment { norm, residual: true, dropout: 0.2, ..default(model, &activation) };
                let around = |norm| Experiment { hidden: Some(vec![5, 5]), ..around(norm) };
                experiments.extend(norms.into_iter().map(around));
            }
            if breadth == Breadth::Whole && of_its_kind {
                experiments.extend(inits().into_iter().map(|init| Experiment { init, ..default(model, &activation) }));
            }
        }
    }
    let resolve = |experiment: Experiment| experiment.resolve().expect("every setting is in its range");
    experiments.into_iter().map(resolve).collect()
}

#[test]
fn every_setting_trains_on_flex() {
    assert_eq!(train_everything("flex", Breadth::Whole), [], "flex has every dtype");
}

#[test]
#[cfg(feature = "ndarray")]
fn every_setting_trains_on_ndarray_or_is_refused() {
    assert_eq!(train_everything("ndarray", Breadth::Whole), [Dtype::F16, Dtype::Bf16]);
}

#[test]
#[cfg(feature = "wgpu")]
fn every_setting_trains_on_wgpu_or_is_refused() {
    // Which dtypes an adapter has is its own business.
    assert!(!train_everything("wgpu", Breadth::OneByOne).contains(&Dtype::F32));
}
