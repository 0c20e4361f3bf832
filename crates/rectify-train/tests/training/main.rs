//! The training loop against textbook formulas, and what is known of networks on MNIST.

mod mnist;
mod updates;
mod vectorised;

use std::sync::{
    LazyLock,
    atomic::{AtomicBool, Ordering},
};

use burn::{
    module::Module,
    tensor::{DType, Device, Int, Tensor, TensorData},
};
use rectify_train::{
    activation::Activation,
    data::{Batch, Dataset, DeviceDataset, DeviceSamples},
    experiment::{Dtype, Experiment, ModelKind, OptimizerKind, ProbeEvery, Schedule},
    judge::statistics::hidden,
    network::{self, Dense, Mlp, Model, Network, Shape},
    observe::Trace,
    record::{Layer, Run, Status},
    train::{
        Event, Trainer,
        grid::{self, Training},
        train,
    },
};

const INPUTS: usize = 3;
const CLASSES: usize = 2;
/// Six samples of three inputs.
const IMAGES: [[f64; INPUTS]; 6] =
    [[0.5, -1.2, 2.0], [1.5, 0.3, -0.7], [-0.4, 0.9, 0.1], [2.2, -0.6, 0.8], [-1.1, -1.4, 0.6], [0.2, 1.7, -2.0]];
const LABELS: [usize; 6] = [0, 1, 1, 0, 1, 0];

/// Softmax regression has gradients that fit on a line, so its training can be done by hand.
fn regression() -> Experiment {
    Experiment {
        activations: vec!["none".parse().unwrap()],
        hidden: Some(Vec::new()),
        dtype: Dtype::F64,
        batch_size: LABELS.len(),
        lr: Some(0.2),
        ..Experiment::default()
    }
}

fn six_samples() -> DeviceDataset {
    let device = Device::flex();
    let images = TensorData::new(IMAGES.as_flattened().to_vec(), [LABELS.len(), INPUTS]);
    let labels = TensorData::new(LABELS.map(|label| label as i32).to_vec(), [LABELS.len()]);
    let samples: DeviceSamples = Batch {
        images: Tensor::from_data(images, (&device, DType::F64)),
        labels: Tensor::<1, Int>::from_data(labels, &device),
    }
    .into();
    DeviceDataset {
        train: samples.clone(),
        validation: samples.clone(),
        test: samples,
        channels: 1,
        height: 1,
        width: INPUTS,
        classes: CLASSES,
    }
}

fn trained(experiment: &Experiment, data: &DeviceDataset, seed: u64) -> (Model, Run) {
    let shape = data.shape();
    let device = data.train.device().autodiff();
    let network = Model::new(experiment, &experiment.activations[0], shape, seed, &device);
    train(network, &experiment.activations[0], seed, experiment, data, &AtomicBool::new(false), &mut |_| {})
}

/// Weights row by row, then biases.
fn parameters(model: &Model) -> Vec<f64> {
    let Model::Mlp(mlp) = model else { panic!("it is an MLP") };
    let (weight, bias) = network::parameters(&mlp.output);
    weight.into_data().iter::<f64>().chain(bias.into_data().iter::<f64>()).collect()
}

/// Gradient of the mean cross-entropy: Xᵀ(P − Y)/n, and the mean of P − Y.
fn gradient(parameters: &[f64]) -> Vec<f64> {
    let mut gradient = vec![0.0; parameters.len()];
    let n = LABELS.len() as f64;
    for (x, label) in IMAGES.iter().zip(LABELS) {
        let logit = |j: usize| -> f64 {
            (0..INPUTS).map(|i| x[i] * parameters[i * CLASSES + j]).sum::<f64>() + parameters[INPUTS * CLASSES + j]
        };
        let sum: f64 = (0..CLASSES).map(|j| logit(j).exp()).sum();
        for j in 0..CLASSES {
            let error = (logit(j).exp() / sum - f64::from(j == label)) / n;
            for i in 0..INPUTS {
                gradient[i * CLASSES + j] += x[i] * error;
            }
            gradient[INPUTS * CLASSES + j] += error;
        }
    }
    gradient
}

const STEPS: usize = 3;
const RATE: f64 = 0.2;
const DECAY: f64 = 0.01;
/// Burn keeps weight decay and momentum in f32: seven digits.
const SEVEN_DIGITS: f64 = 1e-6;
/// Adam's bias correction takes 1 − βᵗ in f32, where an ulp of 6e-8 is 6e-5 of 1 − 0.999, and half of that after the
/// root: a step of 0.2 is known to 6e-6.
const ADAMS_DIGITS: f64 = 2e-5;

/// Trains for three steps, and by hand with `update`, which changes the parameters by their gradient at a step from 1.
#[track_caller]
fn agrees_with(experiment: Experiment, tolerance: f64, mut update: impl FnMut(usize, &mut [f64], &[f64])) {
    let data = six_samples();
    let mut expected = parameters(&trained(&Experiment { steps: Some(0), ..experiment.clone() }, &data, 0).0);
    for step in 1..=STEPS {
        let gradient = gradient(&expected);
        update(step, &mut expected, &gradient);
    }
    let found = parameters(&trained(&Experiment { steps: Some(STEPS), ..experiment }, &data, 0).0);
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < tolerance * expected.abs().max(0.1), "{found}, by hand {expected}");
    }
}

#[test]
fn threads_share_a_training_whatever_the_optimizer_even_where_there_are_more_of_them_than_samples() {
    use OptimizerKind::{Adam, AdamW, Momentum, Sgd};
    // The last batch of an epoch has two samples: some threads have no part in it, and must learn from it all the same.
    let batches = Experiment { batch_size: 4, epochs: Some(5), weight_decay: 0.01, ..regression() };
    for (optimizer, clip_norm) in [(Sgd, None), (Sgd, Some(0.1)), (Momentum, None), (Adam, None), (AdamW, None)] {
        let experiment = Experiment { optimizer, clip_norm, ..batches.clone() };
        let (alone, _) = trained(&experiment, &six_samples(), 0);
        for threads in [2, 3, 5] {
            let (shared, _) = trained(&Experiment { threads, ..experiment.clone() }, &six_samples(), 0);
            for (one, many) in parameters(&alone).into_iter().zip(parameters(&shared)) {
                assert!((one - many).abs() < 1e-9, "{optimizer:?}, {threads} threads: {many}, alone {one}");
            }
        }
    }
    let plain = Experiment { weight_decay: 0.0, ..batches };
    let [alone, shared] = [1, 3].map(|threads| trained(&Experiment { threads, ..plain.clone() }, &six_samples(), 0).0);
    for (one, many) in parameters(&alone).into_iter().zip(parameters(&shared)) {
        assert!((one - many).abs() < 1e-9, "plain gradient descent: {many}, alone {one}");
    }
}

/// The same network, its gradients left to Burn's autodiff.
#[derive(Module, Debug)]
struct Implicit {
    model: Model,
}

impl Network for Implicit {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        trace.within("model", |trace| self.model.forward(images, trace))
    }
}

#[test]
fn explicit_gradients_are_those_of_autodiff_to_the_bit() {
    let data = some_of_mnist(200);
    let device = data.train.device().autodiff();
    let shape = data.shape();
    for (model, activation, threads) in [
        (ModelKind::Mlp, "relu", 1),
        (ModelKind::Mlp, "sigmoid", 2),
        (ModelKind::Mlp, "relu:leaky=0.1", 2),
        (ModelKind::Cnn, "tanh", 1),
        (ModelKind::Cnn, "relu", 2),
    ] {
        let activation: Activation = activation.parse().unwrap();
        let experiment = Experiment {
            model,
            hidden: Some(vec![24, 17]),
            activations: vec![activation.clone()],
            batch_size: 50,
            lr: Some(0.1),
            epochs: Some(2),
            threads,
            probe_every: ProbeEvery::Steps(1),
            ..Experiment::default()
        };
        let model = Model::new(&experiment, &activation, shape, 3, &device);
        assert!(model.explicit().is_some());
        let implicit = Implicit { model: model.clone() };
        let stop = AtomicBool::new(false);
        let (_, explicit) = train(model, &activation, 3, &experiment, &data, &stop, &mut |_| {});
        let (_, implicit) = train(implicit, &activation, 3, &experiment, &data, &stop, &mut |_| {});
        let bits = |run: &Run| {
            let named = |layer: &Layer| {
                let name = layer.layer.strip_prefix("model.").unwrap_or(&layer.layer);
                Layer { layer: name.to_owned(), ..layer.clone() }
            };
            let layers = |layers: &[Layer]| layers.iter().map(named).collect::<Vec<_>>();
            let probes = run.probes.iter().map(|probe| (probe.loss, layers(&probe.layers)));
            let epochs = run.epochs.iter().map(|epoch| (epoch.test_loss, layers(&epoch.layers)));
            probes.chain(epochs).collect::<Vec<_>>()
        };
        assert_eq!(bits(&explicit), bits(&implicit), "{activation}");
    }
}

#[test]
fn a_frozen_parameter_stays_as_it_is() {
    let data = some_of_mnist(200);
    let experiment = Experiment { hidden: Some(vec![8]), steps: Some(3), ..Experiment::default() };
    let shape = data.shape();
    let relu = "relu".parse().unwrap();
    let Model::Mlp(mut mlp) = Model::new(&experiment, &relu, shape, 0, &data.train.device().autodiff()) else {
        panic!("it is an MLP")
    };
    mlp.output.weight = mlp.output.weight.set_require_grad(false);
    let weights = |mlp: &Mlp| [mlp.output.weight.val().into_data(), mlp.hidden[0].parameters().0.into_data()];
    let before = weights(&mlp);
    let (after, _) = train(mlp, &relu, 0, &experiment, &data, &AtomicBool::new(false), &mut |_| {});
    let after = weights(&after);
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
}

#[test]
fn zero_epochs_measure_the_initial_network_and_change_nothing() {
    let (_, run) = trained(&Experiment { epochs: Some(0), ..regression() }, &six_samples(), 0);
    assert_eq!((run.status, run.steps, run.epochs.len()), (Status::Completed, 0, 1));
    assert_eq!((run.epochs[0].epoch, run.epochs[0].step, run.epochs[0].seconds), (0, 0, 0.0));
}

#[test]
fn the_last_epoch_may_be_cut_short_by_steps() {
    let experiment = Experiment { batch_size: 4, steps: Some(5), ..regression() };
    let (_, run) = trained(&experiment, &six_samples(), 0);
    let steps: Vec<_> = run.epochs.iter().map(|epoch| (epoch.epoch, epoch.step)).collect();
    assert_eq!(steps, [(0, 0), (1, 2), (2, 4), (3, 5)]);
    assert_eq!(run.steps, 5);
}

#[test]
fn patience_ends_a_training_that_no_longer_improves() {
    // A rate that moves nothing: no epoch is better than the first.
    let experiment = Experiment { epochs: Some(10), lr: Some(1e-12), patience: Some(3), ..regression() };
    let (_, run) = trained(&experiment, &six_samples(), 0);
    assert_eq!((run.status, run.epochs.len()), (Status::Completed, 4));
    assert!(run.epochs[3].layers[0].histogram.is_some(), "the last epoch is looked at as a last one");
}

#[test]
fn divergence_is_an_outcome_with_the_step_whose_loss_was_not_finite() {
    let experiment =
        Experiment { activations: vec!["relu".parse().unwrap()], hidden: Some(vec![8; 4]), ..regression() };
    let experiment = Experiment { epochs: Some(300), lr: Some(1e100), ..experiment };
    let (_, run) = trained(&experiment, &six_samples(), 0);
    assert_eq!(run.status, Status::Diverged);
    let at = run.diverged_at_step.expect("a diverged run says when");
    // Stopped before it, every loss is finite; the step before it was the last good one.
    let (_, before) = trained(&Experiment { steps: Some(at - 1), ..experiment.clone() }, &six_samples(), 0);
    assert_eq!(before.status, Status::Completed, "diverged at {at}");
    let (_, then) = trained(&Experiment { steps: Some(at), ..experiment }, &six_samples(), 0);
    assert_eq!((then.status, then.diverged_at_step), (Status::Diverged, Some(at)));
}

#[test]
fn a_training_told_to_stop_is_interrupted_at_once_with_its_state() {
    let data = six_samples();
    let shape = Shape { channels: 1, height: 1, width: INPUTS, classes: CLASSES };
    // In steps from 0 on, where 0 is before the first.
    for stop_at in [0, 1, 7] {
        let experiment = Experiment { steps: Some(1000), ..regression() };
        let none = &experiment.activations[0];
        let network = Model::new(&experiment, none, shape, 0, &Device::flex().autodiff());
        let stop = AtomicBool::new(stop_at == 0);
        let mut saved = None;
        let (_, run) = train(network, none, 0, &experiment, &data, &stop, &mut |event| match event {
            Event::Step { step, .. } if step == stop_at => stop.store(true, Ordering::Relaxed),
            Event::Save(snapshot) => saved = Some(snapshot.progress.steps),
            _ => {}
        });
        assert_eq!((run.status, run.steps, saved), (Status::Interrupted, stop_at, Some(stop_at)));
    }
}

#[test]
fn observers_hear_of_every_step_and_epoch() {
    let experiment = Experiment { batch_size: 4, epochs: Some(3), ..regression() };
    let shape = Shape { channels: 1, height: 1, width: INPUTS, classes: CLASSES };
    let none = &experiment.activations[0];
    let network = Model::new(&experiment, none, shape, 0, &Device::flex().autodiff());
    let (mut steps, mut each, mut epochs, mut losses, mut saved) = (0, Vec::new(), Vec::new(), Vec::new(), None);
    let (_, run) =
        train(network, none, 0, &experiment, &six_samples(), &AtomicBool::new(false), &mut |event| match event {
            Event::Steps(more) => steps += more,
            Event::Step { step, batch, .. } => each.push((step, batch.labels.dims()[0])),
            Event::Epoch(epoch) => epochs.push(epoch.clone()),
            Event::Losses(block) => losses.extend(block.losses.clone()),
            Event::Save(snapshot) => saved = Some(snapshot.progress.steps),
            Event::Probe(_) => panic!("no step was to be probed"),
        });
    assert_eq!((steps, &epochs, losses.len(), saved), (6, &run.epochs, 6, Some(6)));
    assert_eq!(each, [(1, 4), (2, 2), (3, 4), (4, 2), (5, 4), (6, 2)], "each step with the size of its batch");
}

fn whole_mnist() -> DeviceDataset {
    Dataset::load("mnist", None).expect("it comes with the repository").to_device(&Device::flex(), DType::F32)
}

fn on_mnist(activation: &str, hidden: Vec<usize>) -> Experiment {
    Experiment { activations: vec![activation.parse().unwrap()], hidden: Some(hidden), ..Experiment::default() }
}

/// The first samples of MNIST's training, and a few hundred to validate and test with.
fn some_of_mnist(train_size: usize) -> DeviceDataset {
    static MNIST: LazyLock<DeviceDataset> = LazyLock::new(whole_mnist);
    let first = |samples: &DeviceSamples, count: usize| -> DeviceSamples { samples.slice(0..count).into() };
    DeviceDataset {
        train: first(&MNIST.train, train_size),
        validation: first(&MNIST.validation, 300),
        test: first(&MNIST.test, 500),
        ..*MNIST
    }
}

/// Trains an experiment's grid; `finished` gets each training's number and record.
fn on_grid<R: Send, E: Send>(
    experiment: &Experiment,
    shape: Shape,
    data: &DeviceDataset,
    finished: &(dyn Fn(usize, Run) -> Result<R, E> + Sync),
) -> Result<Vec<R>, E> {
    let device = data.train.device();
    let trainings = grid::trainings(experiment);
    let begin = |i: usize| {
        let Training { activation, seed, .. } = &trainings[i];
        let network = Model::new(experiment, activation, shape, *seed, &device.clone().autodiff());
        Ok(Trainer::new(network, activation, *seed, experiment, data))
    };
    let jobs = grid::jobs(experiment, &device);
    let groups = grid::groups(&trainings, shape, jobs);
    let finished = |i: usize, run: Run, _: Model| finished(i, run);
    grid::run(jobs, &groups, &AtomicBool::new(false), &begin, &|_, _| {}, &finished)
}

#[test]
fn a_seed_gives_the_same_bits_whatever_the_number_of_jobs() {
    let data = some_of_mnist(300);
    let shape = Shape { channels: 1, height: 28, width: 28, classes: 10 };
    let runs = |jobs, model| {
        let activations = ["relu", "tanh"].map(|name| name.parse().unwrap()).to_vec();
        let jobs = Some(jobs);
        let experiment = Experiment {
            activations,
            model,
            jobs,
            seeds: 2,
            epochs: Some(3),
            hidden: Some(vec![16]),
            ..Experiment::default()
        };
        let mut runs = on_grid(&experiment, shape, &data, &|_, run| Ok::<_, ()>(run)).expect("never fails");
        for run in &mut runs {
            run.wall_seconds = 0.0;
            run.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
        }
        runs
    };
    for model in [ModelKind::Mlp, ModelKind::Cnn] {
        let one = runs(1, model);
        let order: Vec<_> = one.iter().map(|run| (run.activation.as_str(), run.seed)).collect();
        assert_eq!(order, [("relu", 0), ("tanh", 0), ("relu", 1), ("tanh", 1)]);
        assert_eq!(one, runs(2, model));
        // The fourth takes turns with the others.
        assert_eq!(one, runs(3, model));
        assert_ne!(one[0].epochs, one[2].epochs, "another seed is another training");
    }
}

#[test]
fn an_error_of_whoever_takes_the_networks_ends_the_grid() {
    let data = six_samples();
    let shape = Shape { channels: 1, height: 1, width: INPUTS, classes: CLASSES };
    let experiment = Experiment { seeds: 50, epochs: Some(1), jobs: Some(1), ..regression() };
    let result =
        on_grid(&experiment, shape, &data, &|training, _| if training == 1 { Err("disk full") } else { Ok(()) });
    assert_eq!(result, Err("disk full"));
}

#[test]
fn every_layer_of_a_cnn_is_measured() {
    let experiment = Experiment { model: ModelKind::Cnn, epochs: Some(1), ..on_mnist("relu", vec![32]) };
    let (_, run) = trained(&experiment, &some_of_mnist(256), 0);
    let epoch = run.last().expect("measured");
    let layers: Vec<_> = epoch.layers.iter().map(|layer| (layer.layer.as_str(), layer.units)).collect();
    assert_eq!(layers, [("conv.0", 6), ("conv.1", 16), ("hidden.0", 32), ("output", 10)]);
    for layer in &epoch.layers {
        let positive = [layer.weight_grad_rms, layer.preactivation_grad_rms, layer.update_to_weight_ratio];
        assert!(positive.iter().all(|figure| figure.is_some_and(|figure| figure > 0.0)), "{layer:?}");
    }
    // 6·(25 + 1) + 16·(6·25 + 1) + 32·(16·7·7 + 1) + 10·(32 + 1)
    assert_eq!(run.parameters, 156 + 2416 + 25_120 + 330);
}
