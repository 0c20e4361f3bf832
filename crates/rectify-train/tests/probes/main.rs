//! What is measured inside of a network, against the same figures computed with plain loops.

mod looking;

use std::sync::atomic::AtomicBool;

use burn::{
    module::{Module, Param},
    nn::Linear,
    tensor::{Device, Int, Tensor, TensorData, activation},
};
use rectify::{FusedActivation, FusedLinear};
use rectify_train::{
    activation::Activation,
    data::{Batch, DeviceDataset, DeviceSamples},
    experiment::{Dtype, Experiment, OptimizerKind, ProbeEvery},
    network::{Dense, Mlp, Network},
    observe::Trace,
    record::{Layer, Role, Run},
    train::{evaluate, train},
};

/// Rows of numbers: `[in][out]` for weights, `[sample][unit]` for values.
type Matrix = Vec<Vec<f64>>;

/// Numbers that look random, the same everywhere: van der Corput's sequence, scaled to −`scale`..`scale`.
fn numbers(skip: u32, scale: f64) -> impl Iterator<Item = f64> {
    (skip + 1..).map(move |n| (f64::from(n.reverse_bits()) / f64::from(u32::MAX) * 2.0 - 1.0) * scale)
}

fn matrix(rows: usize, columns: usize, skip: u32, scale: f64) -> Matrix {
    let mut numbers = numbers(skip, scale);
    (0..rows).map(|_| numbers.by_ref().take(columns).collect()).collect()
}

fn tensor(matrix: &Matrix, device: &Device, dtype: Dtype) -> Tensor<2> {
    let data = TensorData::new(matrix.concat(), [matrix.len(), matrix[0].len()]);
    Tensor::from_data(data, (device, dtype.into()))
}

fn linear(weights: &Matrix, biases: &[f64], device: &Device, dtype: Dtype) -> Linear {
    let bias = Tensor::from_data(TensorData::new(biases.to_vec(), [biases.len()]), (device, dtype.into()));
    Linear { weight: Param::from_tensor(tensor(weights, device, dtype)), bias: Some(Param::from_tensor(bias)) }
}

fn dense(linear: Linear, activation: &Activation, device: &Device) -> Dense {
    Dense::new(linear, activation.init(device))
}

fn output(linear: Linear) -> FusedLinear {
    FusedLinear::from_linear(linear, FusedActivation::Identity).expect("the identity can be fused")
}

/// One hidden layer, in f64.
fn shallow(name: &str, hidden: (&Matrix, &[f64]), last: (&Matrix, &[f64])) -> Mlp {
    let device = Device::flex().autodiff();
    let hidden = linear(hidden.0, hidden.1, &device, Dtype::F64);
    let last = linear(last.0, last.1, &device, Dtype::F64);
    Mlp { hidden: vec![dense(hidden, &name.parse().unwrap(), &device)], output: output(last) }
}

/// A training set that is its own validation and test set.
fn data(inputs: &Matrix, labels: &[usize], classes: usize) -> DeviceDataset {
    data_in(Dtype::F64, inputs, labels, classes)
}

fn data_in(dtype: Dtype, inputs: &Matrix, labels: &[usize], classes: usize) -> DeviceDataset {
    let device = Device::flex();
    let numbers: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
    let samples: DeviceSamples = Batch {
        images: tensor(inputs, &device, dtype),
        labels: Tensor::<1, Int>::from_data(TensorData::new(numbers, [labels.len()]), &device),
    }
    .into();
    DeviceDataset {
        train: samples.clone(),
        validation: samples.clone(),
        test: samples,
        channels: 1,
        height: 1,
        width: inputs[0].len(),
        classes,
    }
}

fn experiment(activation: &str) -> Experiment {
    Experiment {
        activations: vec![activation.parse().unwrap()],
        dtype: Dtype::F64,
        epochs: Some(0),
        lr: Some(0.1),
        ..Experiment::default()
    }
}

fn trained<N: Network>(network: N, experiment: &Experiment, data: &DeviceDataset) -> (N, Run) {
    train(network, &experiment.activations[0], 0, experiment, data, &AtomicBool::new(false), &mut |_| {})
}

#[track_caller]
fn close(what: &str, found: Option<f64>, expected: f64) {
    // Gradients are scaled and squared in f32, whatever the weights are.
    close_to(1e-5, what, found, expected);
}

#[track_caller]
fn close_to(tolerance: f64, what: &str, found: Option<f64>, expected: f64) {
    let found = found.unwrap_or_else(|| panic!("{what} is missing, expected {expected}"));
    let slack = tolerance * (expected.abs() + 1e-6);
    assert!((found - expected).abs() <= slack, "{what} is {found}, expected {expected}");
}

/// An MLP in plain loops.
struct Reference {
    weights: Vec<Matrix>,
    biases: Vec<Vec<f64>>,
    phi: fn(f64) -> f64,
    derivative: fn(f64) -> f64,
}

/// Everything a pass forward and backward computes.
struct Pass {
    loss: f64,
    /// Of each layer, the last one being the output.
    preactivations: Vec<Matrix>,
    activations: Vec<Matrix>,
    preactivation_gradients: Vec<Matrix>,
    weight_gradients: Vec<Matrix>,
}

impl Reference {
    /// 3 inputs, 5 and 4 hidden units, 3 classes. Unit 2 of the first layer is far below zero for any input here.
    fn new(phi: fn(f64) -> f64, derivative: fn(f64) -> f64) -> Self {
        let weights = vec![matrix(3, 5, 0, 3.0), matrix(5, 4, 100, 2.0), matrix(4, 3, 200, 1.0)];
        let mut biases: Vec<Vec<f64>> =
            [5, 4, 3].iter().map(|&units| numbers(300, 0.5).take(units).collect()).collect();
        biases[0][2] = -40.0;
        Self { weights, biases, phi, derivative }
    }

    fn network(&self, activation: &str) -> Mlp {
        self.network_in(Dtype::F64, activation)
    }

    fn network_in(&self, dtype: Dtype, activation: &str) -> Mlp {
        let device = Device::flex().autodiff();
        let layer = |l: usize| linear(&self.weights[l], &self.biases[l], &device, dtype);
        let last = self.weights.len() - 1;
        let activation = activation.parse::<Activation>().unwrap();
        Mlp { hidden: (0..last).map(|l| dense(layer(l), &activation, &device)).collect(), output: output(layer(last)) }
    }

    fn pass(&self, inputs: &Matrix, labels: &[usize]) -> Pass {
        let last = self.weights.len() - 1;
        let (mut preactivations, mut activations) = (Vec::new(), vec![inputs.clone()]);
        for l in 0..=last {
            let z: Matrix = activations[l]
                .iter()
                .map(|x| {
                    let unit = |j: usize| (0..x.len()).map(|i| x[i] * self.weights[l][i][j]).sum::<f64>();
                    (0..self.biases[l].len()).map(|j| unit(j) + self.biases[l][j]).collect()
                })
                .collect();
            let phi = |z: f64| if l == last { z } else { (self.phi)(z) };
            activations.push(z.iter().map(|row| row.iter().map(|&z| phi(z)).collect()).collect());
            preactivations.push(z);
        }

        let n = inputs.len() as f64;
        let mut loss = 0.0;
        let mut gradient: Matrix = preactivations[last]
            .iter()
            .zip(labels)
            .map(|(logits, &label)| {
                let sum: f64 = logits.iter().map(|z| z.exp()).sum();
                loss += (sum.ln() - logits[label]) / n;
                (0..logits.len()).map(|j| (logits[j].exp() / sum - f64::from(j == label)) / n).collect()
            })
            .collect();
        let (mut preactivation_gradients, mut weight_gradients) = (Vec::new(), Vec::new());
        for l in (0..=last).rev() {
            let x = &activations[l];
            let weight = |i: usize, j: usize| x.iter().zip(&gradient).map(|(x, dz)| x[i] * dz[j]).sum();
            let weights = &self.weights[l];
            weight_gradients
                .push((0..weights.len()).map(|i| (0..weights[0].len()).map(|j| weight(i, j)).collect()).collect());
            let below: Matrix = match l {
                0 => Vec::new(),
                _ => gradient
                    .iter()
                    .zip(&preactivations[l - 1])
                    .map(|(dz, z)| {
                        let dx = |i: usize| (0..dz.len()).map(|j| weights[i][j] * dz[j]).sum::<f64>();
                        (0..z.len()).map(|i| dx(i) * (self.derivative)(z[i])).collect()
                    })
                    .collect(),
            };
            preactivation_gradients.push(std::mem::replace(&mut gradient, below));
        }
        preactivation_gradients.reverse();
        weight_gradients.reverse();
        activations.remove(0);
        Pass { loss, preactivations, activations, preactivation_gradients, weight_gradients }
    }
}

fn norm(matrix: &Matrix) -> f64 {
    matrix.iter().flatten().map(|x| x * x).sum::<f64>().sqrt()
}

fn rms(matrix: &Matrix) -> f64 {
    norm(matrix) / (matrix.iter().flatten().count() as f64).sqrt()
}

fn mean(matrix: &Matrix) -> f64 {
    matrix.iter().flatten().sum::<f64>() / matrix.iter().flatten().count() as f64
}

fn std(matrix: &Matrix) -> f64 {
    let mean = mean(matrix);
    rms(&matrix.iter().map(|row| row.iter().map(|x| x - mean).collect()).collect())
}

fn fraction(values: impl Iterator<Item = bool>) -> f64 {
    let (count, yes) = values.fold((0, 0), |(count, yes), value| (count + 1, yes + usize::from(value)));
    f64::from(u32::try_from(yes).expect("few")) / f64::from(count)
}

fn relu(z: f64) -> f64 {
    z.max(0.0)
}

fn step(z: f64) -> f64 {
    f64::from(z > 0.0)
}

fn leaky_relu(z: f64) -> f64 {
    if z > 0.0 { z } else { 0.1 * z }
}

fn leaky_step(z: f64) -> f64 {
    if z > 0.0 { 1.0 } else { 0.1 }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn sigmoid_slope(z: f64) -> f64 {
    sigmoid(z) * (1.0 - sigmoid(z))
}

fn tanh_slope(z: f64) -> f64 {
    1.0 - z.tanh().powi(2)
}

fn inputs_and_labels() -> (Matrix, Vec<usize>) {
    (matrix(40, 3, 500, 2.0), (0..40).map(|i| i * 7 % 3).collect())
}

fn gradients_are(tolerance: f64, layers: &[Layer], pass: &Pass) {
    for (l, layer) in layers.iter().enumerate() {
        let (weights, preactivations) = (&pass.weight_gradients[l], &pass.preactivation_gradients[l]);
        close_to(tolerance, "weight_grad_rms", layer.weight_grad_rms, rms(weights));
        close_to(tolerance, "weight_grad_norm", layer.weight_grad_norm, norm(weights));
        close_to(tolerance, "preactivation_grad_rms", layer.preactivation_grad_rms, rms(preactivations));
        close_to(tolerance, "preactivation_grad_norm", layer.preactivation_grad_norm, norm(preactivations));
    }
}

/// Name, φ, φ′, and the largest |φ′| where φ saturates. The last one is not fused with its layer.
type Case = (&'static str, fn(f64) -> f64, fn(f64) -> f64, Option<f64>);
const CASES: [Case; 4] = [
    ("relu", relu, step, None),
    ("sigmoid", sigmoid, sigmoid_slope, Some(0.25)),
    ("tanh", f64::tanh, tanh_slope, Some(1.0)),
    ("leaky-relu:0.1", leaky_relu, leaky_step, None),
];

fn every_figure_agrees(dtype: Dtype, tolerance: f64) {
    let close = |what: &str, found, expected| close_to(tolerance, what, found, expected);
    let (inputs, labels) = inputs_and_labels();
    for (name, phi, derivative, steepest) in CASES {
        let reference = Reference::new(phi, derivative);
        let pass = reference.pass(&inputs, &labels);
        let experiment = Experiment { dtype, ..experiment(name) };
        let network = reference.network_in(dtype, name);
        let (_, run) = trained(network, &experiment, &data_in(dtype, &inputs, &labels, 3));
        assert_eq!(run.epochs.len(), 1);
        close("train_loss", run.epochs[0].train_loss, pass.loss);
        close("test_loss", run.epochs[0].test_loss, pass.loss);

        let layers = &run.epochs[0].layers;
        let names: Vec<(&str, usize)> = layers.iter().map(|layer| (layer.layer.as_str(), layer.units)).collect();
        assert_eq!(names, [("hidden.0", 5), ("hidden.1", 4), ("output", 3)]);
        gradients_are(tolerance, layers, &pass);
        for (l, layer) in layers.iter().enumerate() {
            let (z, a) = (&pass.preactivations[l], &pass.activations[l]);
            close("preactivation_mean", layer.preactivation_mean, mean(z));
            close("preactivation_std", layer.preactivation_std, std(z));
            close("activation_mean", layer.activation_mean, mean(a));
            close("activation_std", layer.activation_std, std(a));
            assert_eq!(layer.update_to_weight_ratio, None, "no step was taken");
            close("weight_rms", layer.weight_rms, rms(&reference.weights[l]));
            close("bias_rms", layer.bias_rms, rms(&vec![reference.biases[l].clone()]));
            let fans = (reference.weights[l].len(), layer.units);
            assert_eq!((layer.fan_in, layer.fan_out), (Some(fans.0), Some(fans.1)));
            assert_eq!((layer.nonfinite_weights, layer.nonfinite_gradients, layer.nonfinite_activations), (0, 0, 0));
            for (what, histogram, values) in [
                ("activations", &layer.histogram, a),
                ("pre-activations", &layer.preactivation_histogram, z),
                ("gradients", &layer.preactivation_grad_histogram, &pass.preactivation_gradients[l]),
            ] {
                let histogram = histogram.as_ref().unwrap_or_else(|| panic!("no histogram of {what}"));
                assert_eq!(histogram.counts.iter().sum::<u64>() as usize, inputs.len() * layer.units);
                let extreme = |pick: fn(f64, f64) -> f64| values.iter().flatten().copied().reduce(pick).expect("some");
                close(what, Some(histogram.low), extreme(f64::min));
                close(what, Some(histogram.high), extreme(f64::max));
            }
            if l == 2 {
                let none = (layer.zero_fraction, layer.dead_fraction, layer.saturated_fraction);
                assert_eq!(none, (None, None, None), "logits pass no activation");
                assert_eq!((layer.role, &layer.activation), (Some(Role::Output), &None));
                assert!(layer.unit_nonzero_fraction.is_empty());
                continue;
            }
            assert_eq!((layer.role, layer.activation.as_deref()), (Some(Role::Hidden), Some(name)));
            if name == "sigmoid" {
                let none = (layer.zero_fraction, layer.dead_fraction, layer.unit_nonzero_fraction.len());
                assert_eq!(none, (None, None, 0), "a sigmoid is above 0");
            } else {
                close("zero_fraction", layer.zero_fraction, fraction(a.iter().flatten().map(|&a| a == 0.0)));
                let dead = fraction((0..layer.units).map(|unit| a.iter().all(|row| row[unit] == 0.0)));
                close("dead_fraction", layer.dead_fraction, dead);
                let nonzero = |unit: usize| fraction(a.iter().map(|row| row[unit] != 0.0)) as f32;
                assert_eq!(layer.unit_nonzero_fraction, (0..layer.units).map(nonzero).collect::<Vec<_>>());
            }
            match steepest {
                None => assert_eq!(layer.saturated_fraction, None, "{name} does not saturate"),
                Some(steepest) => {
                    let flat = fraction(z.iter().flatten().map(|&z| derivative(z) < 0.05 * steepest));
                    assert!(l > 0 || flat > 0.0 && flat < 1.0, "the case says nothing: {flat}");
                    close("saturated_fraction", layer.saturated_fraction, flat);
                }
            }
        }
        if name == "relu" {
            close("dead_fraction", layers[0].dead_fraction, 0.2);
        }
    }
}

#[test]
fn every_figure_of_every_layer_is_what_plain_loops_compute() {
    every_figure_agrees(Dtype::F64, 1e-5);
}

#[test]
fn in_f32_too_every_figure_is_what_plain_loops_compute() {
    // Of f32's seven digits, sums whose parts cancel keep five.
    every_figure_agrees(Dtype::F32, 1e-4);
}

#[test]
fn a_sigmoid_is_saturated_beyond_4_357_on_either_side() {
    // σ′ < 5 % of ¼ where σ = (1 ± √0.95) / 2, so at |z| = ln((1 + √0.95) / (1 − √0.95)).
    let border = ((1.0 + 0.95_f64.sqrt()) / (1.0 - 0.95_f64.sqrt())).ln();
    assert!((border - 4.357).abs() < 1e-3);
    let inputs: Matrix = [-9.0, -border - 0.01, -border + 0.01, 0.0, border - 0.01, border + 0.01, 60.0, 1e4]
        .iter()
        .map(|&z| vec![z])
        .collect();
    let network = shallow("sigmoid", (&vec![vec![1.0]], &[0.0]), (&vec![vec![1.0, -1.0]], &[0.0; 2]));
    let (_, run) = trained(network, &experiment("sigmoid"), &data(&inputs, &[0, 1, 0, 1, 0, 1, 0, 1], 2));
    assert_eq!(run.epochs[0].layers[0].saturated_fraction, Some(5.0 / 8.0));
}

#[test]
fn a_unit_that_one_sample_of_any_batch_wakes_is_not_dead() {
    // Measuring goes in batches of a thousand; the sample that wakes unit 1 is in the second.
    let mut inputs = vec![vec![-1.0]; 1500];
    inputs[1400] = vec![2.0];
    let network = shallow("relu", (&vec![vec![0.1, 1.0]], &[-1.0; 2]), (&vec![vec![1.0, 0.0]; 2], &[0.0; 2]));
    let (_, run) = trained(network, &experiment("relu"), &data(&inputs, &[0; 1500], 2));
    let layer = &run.epochs[0].layers[0];
    assert_eq!(layer.dead_fraction, Some(0.5));
    close("zero_fraction", layer.zero_fraction, 2999.0 / 3000.0);
}

#[test]
fn the_update_is_measured_against_the_weights_before_the_step() {
    let (inputs, labels) = inputs_and_labels();
    let reference = Reference::new(f64::tanh, tanh_slope);
    let pass = reference.pass(&inputs, &labels);
    let experiment = Experiment { epochs: Some(1), batch_size: 40, lr: Some(0.3), ..experiment("tanh") };
    let (_, run) = trained(reference.network("tanh"), &experiment, &data(&inputs, &labels, 3));
    for (l, layer) in run.epochs[1].layers.iter().enumerate() {
        let ratio = 0.3 * norm(&pass.weight_gradients[l]) / norm(&reference.weights[l]);
        close("update_to_weight_ratio", layer.update_to_weight_ratio, ratio);
    }
}

/// A module that this crate knows nothing of.
#[derive(Module, Debug)]
struct Residual {
    stem: Linear,
    block: Linear,
    head: Linear,
}

impl Network for Residual {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        let x = trace.layer("stem", self.stem.forward(images), activation::tanh);
        let x = x.clone() + trace.layer("block", self.block.forward(x), activation::tanh);
        trace.output("head", self.head.forward(x))
    }
}

#[test]
fn a_foreign_residual_network_is_measured_as_finite_differences_say() {
    let (inputs, labels) = inputs_and_labels();
    let data = data(&inputs, &labels, 3);
    let [stem, block, head] = [matrix(3, 4, 0, 1.0), matrix(4, 4, 50, 1.0), matrix(4, 3, 90, 1.0)];
    let residual = |block: &Matrix, device: &Device| Residual {
        stem: linear(&stem, &[0.1; 4], device, Dtype::F64),
        block: linear(block, &[0.2; 4], device, Dtype::F64),
        head: linear(&head, &[0.0; 3], device, Dtype::F64),
    };
    let loss = |block: &Matrix| evaluate(&residual(block, &Device::flex()), &data.train).loss.expect("finite");
    let h = 1e-5;
    let mut numeric = block.clone();
    for i in 0..4 {
        for j in 0..4 {
            let at = |shift: f64| {
                let mut shifted = block.clone();
                shifted[i][j] += shift;
                loss(&shifted)
            };
            numeric[i][j] = (at(h) - at(-h)) / (2.0 * h);
        }
    }

    let experiment = Experiment { epochs: Some(1), batch_size: 64, ..experiment("tanh") };
    let (_, run) = trained(residual(&block, &Device::flex().autodiff()), &experiment, &data);
    let layers = &run.epochs[0].layers;
    assert_eq!(layers.iter().map(|layer| layer.layer.as_str()).collect::<Vec<_>>(), ["stem", "block", "head"]);
    let found = layers[1].weight_grad_norm.expect("the block has weights");
    assert!((found - norm(&numeric)).abs() < 1e-5 * found, "{found}, by differences {}", norm(&numeric));
    assert!(layers.iter().all(|layer| layer.preactivation_grad_rms.is_some_and(|rms| rms > 0.0)));
    assert!(run.epochs[1].train_loss.is_some());
    let update = run.epochs[1].layers[1].update_to_weight_ratio;
    close("update_to_weight_ratio", update, 0.1 * norm(&numeric) / norm(&block));
}
