//! What a type does not hold, and what is not finite: training that goes on in spite of it, or an outcome that says so.

use std::sync::{LazyLock, atomic::AtomicBool};

use burn::tensor::Device;
use rectify_train::{
    data::{Dataset, DeviceDataset},
    experiment::{Dtype, Experiment, Init, OptimizerKind},
    network::Model,
    record::{Divergence, Run, Status},
    train::{evaluate, train},
};

/// Some of MNIST on Flex, in a type.
fn mnist(dtype: Dtype) -> DeviceDataset {
    static SET: LazyLock<Dataset> = LazyLock::new(|| Dataset::load("mnist", Some(3000)).expect("it comes along"));
    let data = SET.to_device(&Device::flex(), dtype.into());
    let first = |samples: &rectify_train::data::DeviceSamples| samples.slice(0..1000).into();
    DeviceDataset { validation: first(&data.validation), test: first(&data.test), ..data }
}

fn trained(experiment: &Experiment) -> (Model, Run) {
    let data = mnist(experiment.dtype);
    let activation = &experiment.activations[0];
    let network = Model::new(experiment, activation, data.shape(), 0, &Device::flex().autodiff());
    train(network, activation, 0, experiment, &data, &AtomicBool::new(false), &mut |_| {})
}

fn experiment(activation: &str) -> Experiment {
    Experiment {
        activations: vec![activation.parse().expect("known")],
        hidden: Some(vec![32]),
        epochs: Some(3),
        ..Experiment::default()
    }
}

fn test_accuracy(run: &Run) -> f64 {
    run.outcome().and_then(|epoch| epoch.test_accuracy).unwrap_or_else(|| panic!("{:?}", run.status))
}

#[test]
fn half_types_learn_what_f32_learns_with_every_optimizer() {
    for optimizer in [OptimizerKind::Sgd, OptimizerKind::Momentum, OptimizerKind::Adam, OptimizerKind::AdamW] {
        let with = |dtype| {
            let experiment = Experiment { dtype, optimizer, ..experiment("relu") };
            test_accuracy(&trained(&experiment).1)
        };
        let expected = with(Dtype::F32);
        for dtype in [Dtype::F16, Dtype::Bf16] {
            let found = with(dtype);
            assert!(expected > 0.8 && (found - expected).abs() < 0.01, "{optimizer} {dtype}: {found}, f32 {expected}");
        }
    }
}

#[test]
fn clipping_is_right_for_gradients_whose_squares_overflow() {
    // Each layer stretches by 0.25·√128 = 2.8: after 64 of them gradients are beyond 1e25, and their squares beyond f32.
    let deep = Experiment {
        hidden: Some(vec![128; 64]),
        init: Init::Normal(0.25),
        clip_norm: Some(1.0),
        lr: Some(0.01),
        steps: Some(1),
        epochs: None,
        ..experiment("relu")
    };
    let (_, run) = trained(&deep);
    let norm = |layer: &rectify_train::record::Layer| layer.weight_grad_norm.expect("finite");
    assert!(run.epochs[0].layers.iter().map(norm).fold(0.0, f64::max) > 1e20, "{:?}", run.epochs[0].layers[0]);
    let last = run.last().expect("measured");
    let moved: f64 = last.layers.iter().filter_map(|layer| layer.update_to_weight_ratio).fold(0.0, f64::max);
    assert!(moved > 0.0, "a step of length 0.01 was taken: {:?}", last.layers[0]);
    // ‖Δw‖ over all layers is lr · 1.
    let squares = last.layers.iter().map(|layer| {
        let values = (layer.fan_in.expect("a matrix") * layer.units) as f64;
        (layer.update_to_weight_ratio.unwrap_or(0.0) * layer.weight_rms.expect("finite")).powi(2) * values
    });
    let distance = squares.sum::<f64>().sqrt();
    assert!((distance / 0.01 - 1.0).abs() < 0.05, "{distance}");
}

#[test]
fn what_is_not_finite_is_divergence_and_leaves_no_invented_numbers() {
    // In the first step's update, which no batch's loss shows any more.
    for (experiment, expected) in [
        (Experiment { lr: Some(1e39), steps: Some(1), epochs: None, ..experiment("relu") }, Divergence::Weights),
        (
            Experiment { lr: Some(1e9), dtype: Dtype::F16, steps: Some(1), epochs: None, ..experiment("relu") },
            Divergence::Weights,
        ),
        (Experiment { lr: Some(1e9), hidden: Some(vec![32; 3]), ..experiment("tanh") }, Divergence::WildLoss),
        (Experiment { lr: Some(1e30), ..experiment("relu") }, Divergence::Loss),
    ] {
        let (network, run) = trained(&experiment);
        let what = format!("lr {:?}: {:?}", experiment.lr, run.divergence);
        assert_eq!((run.status, run.divergence), (Status::Diverged, Some(expected)), "{what}");
        assert_eq!(run.diverged_at_step, Some(run.steps), "{what}");
        let last = run.last().expect("measured");
        assert_eq!((last.validation_accuracy, last.test_accuracy), (None, None), "{what}");
        if expected != Divergence::WildLoss {
            assert!(last.layers.iter().any(|layer| layer.nonfinite_weights > 0), "{what}");
            for layer in last.layers.iter().filter(|layer| layer.nonfinite_activations > 0) {
                let made_of_them =
                    [layer.activation_mean, layer.activation_std, layer.zero_fraction, layer.dead_fraction];
                assert_eq!(made_of_them, [None; 4], "{what}: {layer:?}");
            }
            use burn::module::Module;
            let evaluation = evaluate(&network.valid(), &mnist(experiment.dtype).test);
            assert_eq!((evaluation.loss, evaluation.accuracy), (None, None), "{what}");
        }
    }
}

#[test]
fn with_patience_the_best_network_is_kept_unless_the_last_is_wanted() {
    // A rate at which accuracy goes up and down.
    let restless = Experiment {
        optimizer: OptimizerKind::Adam,
        lr: Some(0.02),
        patience: Some(2),
        epochs: Some(40),
        ..experiment("relu")
    };
    let (best, run) = trained(&restless);
    let kept = run.kept_epoch.expect("patience ended it after the best");
    let last = run.last().expect("measured");
    assert_eq!(last.epoch, kept + 2, "two epochs without a better one");
    let best_accuracy = run.epochs.iter().filter_map(|epoch| epoch.validation_accuracy).fold(0.0, f64::max);
    assert_eq!(run.outcome().and_then(|epoch| epoch.validation_accuracy), Some(best_accuracy));
    use burn::module::Module;
    let data = mnist(Dtype::F32);
    let of = |network: &Model| evaluate(&network.valid(), &data.test).accuracy;
    assert_eq!(of(&best), run.outcome().and_then(|epoch| epoch.test_accuracy), "the network is that epoch's");

    let (last_network, run) = trained(&Experiment { keep_last: true, ..restless });
    assert_eq!(run.kept_epoch, None);
    assert_eq!(of(&last_network), run.last().and_then(|epoch| epoch.test_accuracy));
}

#[test]
fn a_gradient_is_of_the_whole_validation_set_and_a_steps_is_the_mean_over_batches() {
    let untrained = Experiment { epochs: Some(0), batch_size: 300, ..experiment("relu") };
    let (_, run) = trained(&untrained);
    let sample = run.epochs[0].gradient.clone().expect("probed");
    assert_eq!((sample.set.as_str(), sample.samples, sample.batch_size), ("validation", 1000, 300));
    let (_, whole) = trained(&Experiment { batch_size: 1000, ..untrained });
    for (layer, whole) in run.epochs[0].layers.iter().zip(&whole.epochs[0].layers) {
        let [by_batches, at_once] = [layer, whole].map(|layer| layer.weight_grad_rms.expect("finite"));
        assert!((by_batches / at_once - 1.0).abs() < 1e-4, "the batch size is not in it: {by_batches} {at_once}");
        // A batch's gradient is the whole's and its own noise.
        let step = layer.batch_weight_grad_rms.expect("finite");
        assert!(step > by_batches && step < 4.0 * by_batches, "{step} {by_batches}");
        let one = whole.batch_weight_grad_rms.expect("finite");
        assert!((one / at_once - 1.0).abs() < 1e-6, "one batch is the whole: {one} {at_once}");
    }
}
