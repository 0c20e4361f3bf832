//! Initial weights against the formulas that they are drawn by.

use burn::tensor::{Device, Tensor};
use rectify_train::{
    activation::NAMES,
    experiment::{Experiment, Init, ModelKind, Moments},
    network::{Model, Shape},
};

/// Pixels of the images below, which is the first layer's fan-in.
const FAN_IN: usize = 400;
/// Units of the first layer.
const FAN_OUT: usize = 250;

const IMAGES: Shape = Shape { channels: 1, height: 20, width: 20, classes: 10 };

fn experiment(init: &str) -> Experiment {
    Experiment { init: init.parse().unwrap(), hidden: Some(vec![FAN_OUT]), ..Experiment::default() }
}

fn network(experiment: &Experiment, activation: &str, seed: u64) -> Model {
    Model::new(experiment, &activation.parse().unwrap(), IMAGES, seed, &Device::flex())
}

fn values<const D: usize>(parameter: Tensor<D>) -> Vec<f64> {
    parameter.into_data().iter().collect()
}

/// The first layer's weights, `[FAN_IN][FAN_OUT]` row by row, and biases.
fn first_layer(model: Model) -> (Vec<f64>, Vec<f64>) {
    let Model::Mlp(mlp) = model else { panic!("the experiment is of an MLP") };
    let (weights, biases) = mlp.hidden[0].parameters();
    assert_eq!(weights.dims(), [FAN_IN, FAN_OUT]);
    (values(weights), values(biases))
}

fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

/// The sample's variance has a relative standard error of √(2/n) for a normal distribution (√(0.8/n) for a uniform
/// one); five of them are allowed, and as many for the mean.
#[track_caller]
fn has_variance(values: &[f64], expected: f64) {
    let n = values.len() as f64;
    let (mean, variance) = (values.iter().sum::<f64>() / n, variance(values));
    assert!(mean.abs() < 5.0 * (expected / n).sqrt(), "mean {mean}");
    assert!((variance / expected - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "variance {variance}, expected {expected}");
}

#[test]
fn each_normal_initialisation_has_the_variance_of_its_formula_and_biases_of_0() {
    let (fan_in, fan_out) = (FAN_IN as f64, FAN_OUT as f64);
    for (init, variance) in [
        ("he-normal", 2.0 / fan_in),
        ("xavier-normal", 2.0 / (fan_in + fan_out)),
        ("lecun-normal", 1.0 / fan_in),
        ("normal:0.1", 0.01),
    ] {
        let (weights, biases) = first_layer(network(&experiment(init), "relu", 0));
        has_variance(&weights, variance);
        // Of a hundred thousand normal numbers some are beyond four deviations, and of uniform ones none beyond two.
        assert!(largest(&weights) > 4.0 * variance.sqrt(), "{init} is not normal");
        assert!(biases.iter().all(|&bias| bias == 0.0), "{init}");
    }
}

#[test]
fn each_uniform_initialisation_has_the_bound_of_its_formula_and_the_variance_that_comes_with_it() {
    let (fan_in, fan_out) = (FAN_IN as f64, FAN_OUT as f64);
    for (init, bound) in [
        ("he-uniform", (6.0 / fan_in).sqrt()),
        ("xavier-uniform", (6.0 / (fan_in + fan_out)).sqrt()),
        ("torch-default", 1.0 / fan_in.sqrt()),
    ] {
        let (weights, _) = first_layer(network(&experiment(init), "relu", 0));
        has_variance(&weights, bound * bound / 3.0);
        let largest = largest(&weights);
        // f32 rounds the bound itself.
        assert!(largest <= bound * (1.0 + 1e-6) && largest > 0.999 * bound, "{init}: {largest}, bound {bound}");
    }
}

#[test]
fn torch_default_draws_biases_as_it_does_weights() {
    let (_, biases) = first_layer(network(&experiment("torch-default"), "relu", 0));
    let bound = 1.0 / (FAN_IN as f64).sqrt();
    has_variance(&biases, bound * bound / 3.0);
    assert!(largest(&biases) <= bound);
}

#[test]
fn orthogonal_weights_have_orthonormal_columns() {
    let (weights, _) = first_layer(network(&experiment("orthogonal"), "relu", 0));
    for i in 0..FAN_OUT {
        for j in 0..=i {
            let product: f64 = (0..FAN_IN).map(|k| weights[k * FAN_OUT + i] * weights[k * FAN_OUT + j]).sum();
            let expected = if i == j { 1.0 } else { 0.0 };
            assert!((product - expected).abs() < 1e-5, "columns {i} and {j}: {product}");
        }
    }
}

#[test]
fn randomized_asymmetric_replaces_one_entry_of_each_unit_by_a_draw_from_beta_2_1() {
    let (weights, biases) = first_layer(network(&experiment("randomized-asymmetric"), "relu", 0));
    // Lu et al. 2019: the others are normal with standard deviation 0.6007 / √fan_in.
    let std = 0.6007 / (FAN_IN as f64).sqrt();
    let mut replaced = Vec::new();
    let mut kept = Vec::new();
    for unit in 0..FAN_OUT {
        let row: Vec<f64> = (0..FAN_IN).map(|k| weights[k * FAN_OUT + unit]).chain([biases[unit]]).collect();
        // Beyond six deviations no normal number is found among a hundred thousand.
        let (large, small): (Vec<f64>, Vec<f64>) = row.into_iter().partition(|value| value.abs() > 6.0 * std);
        assert!(large.len() <= 1, "unit {unit} has {} large entries", large.len());
        replaced.extend(large);
        kept.extend(small);
    }
    // Of Beta(2, 1), P(x ≤ c) = c²: what is not beyond six deviations is not seen.
    let unseen = (6.0 * std).powi(2);
    let expected = FAN_OUT as f64 * (1.0 - unseen);
    let deviation = (expected * unseen).sqrt();
    assert!((replaced.len() as f64 - expected).abs() < 5.0 * deviation, "{} replaced", replaced.len());
    assert!(replaced.iter().all(|&value| value > 0.0 && value <= 1.0));
    // Its mean is 2/3 and its variance 1/18; without the unseen part, 2/3 · (1 − c³)/(1 − c²).
    let mean = replaced.iter().sum::<f64>() / replaced.len() as f64;
    let expected = 2.0 / 3.0 * (1.0 - unseen.powf(1.5)) / (1.0 - unseen);
    assert!((mean - expected).abs() < 5.0 * (1.0 / 18.0 / replaced.len() as f64).sqrt(), "mean {mean}");
    let variance = variance(&kept);
    assert!((variance / (std * std) - 1.0).abs() < 0.05, "variance {variance}, expected {}", std * std);
}

#[test]
fn convolutions_have_the_fan_in_of_their_kernels() {
    for (init, factor) in [("he-normal", 2.0), ("lecun-normal", 1.0)] {
        let experiment = Experiment { model: ModelKind::Cnn, hidden: None, ..experiment(init) };
        // Sixteen channels are few: many seeds give the sample its size.
        let mut weights = Vec::new();
        for seed in 0..20 {
            let Model::Cnn(cnn) = network(&experiment, "relu", seed) else { panic!("the experiment is of a CNN") };
            assert_eq!(cnn.conv[1].convolution.weight.dims(), [16, 6, 5, 5]);
            weights.extend(values(cnn.conv[1].convolution.weight.val()));
        }
        has_variance(&weights, factor / (6.0 * 25.0));
    }
}

#[test]
fn every_initialisation_gives_finite_weights_to_mlp_and_cnn() {
    for init in [
        "auto",
        "he-normal",
        "he-uniform",
        "xavier-normal",
        "xavier-uniform",
        "lecun-normal",
        "torch-default",
        "orthogonal",
        "normal:0",
        "randomized-asymmetric",
    ] {
        let mlp = first_layer(network(&experiment(init), "relu", 0));
        assert!(mlp.0.iter().chain(&mlp.1).all(|value| value.is_finite()), "{init}");
        let experiment = Experiment { model: ModelKind::Cnn, ..experiment(init) };
        let Model::Cnn(cnn) = network(&experiment, "relu", 0) else { panic!("the experiment is of a CNN") };
        for block in &cnn.conv {
            assert!(values(block.convolution.weight.val()).iter().all(|value| value.is_finite()), "{init}");
        }
    }
}

#[test]
fn bias_init_sets_every_bias_whatever_the_weights() {
    for init in ["auto", "torch-default", "randomized-asymmetric"] {
        let experiment = Experiment { bias_init: Some(-0.25), ..experiment(init) };
        let (_, biases) = first_layer(network(&experiment, "relu", 0));
        assert!(biases.iter().all(|&bias| bias == -0.25), "{init}");
    }
}

#[test]
fn auto_is_he_for_relu_lecun_for_selu_and_by_its_moments_for_any_other() {
    for (name, expected) in [
        ("relu", "he-normal"),
        ("relu:bsilu", "he-normal"),
        ("selu", "lecun-normal"),
        ("none", "gain:1"),
        ("tanh", "gain:1.5287"),
        ("sigmoid", "gain:2.9528"),
        ("leaky-relu:0.01", "gain:1.4141"),
        // E φ² E φ′² = 3/2 · 2.
        ("squared-relu", "gain:0.7598"),
    ] {
        assert_eq!(Init::Auto.resolve(&name.parse().unwrap()).to_string(), expected, "{name}");
        let auto = first_layer(network(&experiment("auto"), name, 7));
        assert_eq!(auto, first_layer(network(&experiment(expected), name, 7)), "{name}");
    }
    // The same draws, scaled.
    let [gain, he] = ["gain:2", "he-normal"].map(|init| first_layer(network(&experiment(init), "relu", 7)).0);
    assert!(gain.iter().zip(he).all(|(gain, he)| (gain - he * 2f64.sqrt()).abs() < 1e-6));
}

#[test]
fn auto_keeps_signal_and_gradient_between_them_through_deep_networks() {
    // E φ² E φ′² g⁴ = 1: what a layer takes from the signal it gives to the gradient.
    for name in NAMES.iter() {
        let Init::Gain(gain) = Init::Auto.resolve(&name.parse().unwrap()) else { continue };
        let moments = Moments::of(&name.parse().unwrap());
        let product = moments.value * moments.slope * gain.powi(4);
        assert!((product - 1.0).abs() < 1e-3, "{name}: {product}");
        // A square grows what is above 1; all others shrink a signal or keep it.
        let least = if *name == "squared-relu" { 0.75 } else { 0.9 };
        assert!((least..4.0).contains(&gain), "{name}: {gain}");
    }
}

#[test]
fn a_seed_gives_the_same_weights_again_and_another_seed_gives_others() {
    for init in ["he-normal", "xavier-uniform", "orthogonal", "randomized-asymmetric"] {
        let draw = |seed| first_layer(network(&experiment(init), "relu", seed));
        assert_eq!(draw(3), draw(3), "{init}");
        assert_ne!(draw(3).0, draw(4).0, "{init}");
    }
}

#[test]
fn networks_drawn_side_by_side_are_those_drawn_one_after_the_other() {
    let alone: Vec<_> = (0..4).map(|seed| first_layer(network(&experiment("he-normal"), "relu", seed))).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let draws: Vec<_> = (0..4)
            .map(|seed| scope.spawn(move || first_layer(network(&experiment("he-normal"), "relu", seed))))
            .collect();
        draws.into_iter().map(|draw| draw.join().expect("drawing does not panic")).collect()
    });
    assert!(alone == together);
}

#[test]
#[cfg(feature = "ndarray")]
#[allow(deprecated)] // Upstream deprecates the backend; it stays as long as Burn ships it.
fn a_seed_gives_the_same_weights_on_every_backend() {
    let experiment = experiment("he-normal");
    let relu = "relu".parse().unwrap();
    let on = |device: Device| first_layer(Model::new(&experiment, &relu, IMAGES, 5, &device));
    assert!(on(Device::flex()) == on(Device::ndarray()));
}
