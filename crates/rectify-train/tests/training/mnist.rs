//! What is known of networks on MNIST.

use super::*;

#[test]
fn softmax_regression_on_mnist_reaches_about_92_percent() {
    let experiment = Experiment { epochs: Some(2), lr: Some(0.05), ..on_mnist("none", Vec::new()) };
    let (_, run) = trained(&experiment, &whole_mnist(), 0);
    let accuracy = run.last().and_then(|epoch| epoch.test_accuracy).expect("completed");
    // The published figure is 91 to 92.6 %, by optimizer and length of training; 10 000 test samples have a standard
    // error of 0.27 %.
    assert!((0.905..0.93).contains(&accuracy), "{accuracy}");
    assert_eq!(run.parameters, 785 * 10);
}

#[test]
fn a_network_without_activations_is_the_product_of_its_matrices() {
    let experiment = Experiment { epochs: Some(1), bias_init: Some(0.1), ..on_mnist("none", vec![20, 30, 15]) };
    let data = some_of_mnist(512);
    let (model, _) = trained(&experiment, &data, 0);
    let Model::Mlp(mlp) = &model.valid() else { panic!("it is an MLP") };
    // In f64, x W₀ W₁ … + b with b = (…(b₀ W₁ + b₁) W₂ + …).
    let layers = mlp.hidden.iter().map(Dense::parameters).chain([network::parameters(&mlp.output)]);
    let layers = layers.map(|(weight, bias)| (weight.cast(DType::F64), bias.cast(DType::F64).unsqueeze::<2>()));
    let (product, offset) = layers
        .reduce(|(product, offset), (weight, bias)| (product.matmul(weight.clone()), offset.matmul(weight) + bias))
        .expect("there are four layers");
    let images = data.test.slice(0..200).images;
    let expected = images.clone().cast(DType::F64).matmul(product) + offset;
    let found = mlp.forward(images, &mut Trace::off()).cast(DType::F64);
    let size: f64 = expected.clone().abs().max().into_scalar();
    let difference: f64 = (found - expected).abs().max().into_scalar();
    assert!(difference < 1e-5 * size, "{difference} of {size}");
}

/// Gradient RMS of the pre-activations of each hidden layer before training, from the input on.
fn initial_gradients(activation: &str, init: &str, seed: u64, data: &DeviceDataset) -> Vec<f64> {
    let experiment = Experiment { init: init.parse().unwrap(), epochs: Some(0), ..on_mnist(activation, vec![128; 10]) };
    let (_, run) = trained(&experiment, data, seed);
    hidden(&run.epochs[0]).iter().map(|layer| layer.preactivation_grad_rms.expect("finite")).collect()
}

#[test]
fn gradients_vanish_toward_the_input_with_sigmoid_and_small_normal_weights() {
    let data = some_of_mnist(500);
    for seed in 0..3 {
        let gradients = initial_gradients("sigmoid", "normal:0.1", seed, &data);
        // σ′ ≤ ¼ and a matrix of N(0, 0.1²) stretches by about 0.1·√128 = 1.13: each layer keeps under 0.29 or so.
        for pair in gradients.windows(2) {
            assert!(pair[0] < 0.5 * pair[1], "seed {seed}: {gradients:?}");
        }
        assert!(gradients[0] < 1e-3 * gradients[9], "seed {seed}: {gradients:?}");
    }
}

#[test]
fn gradients_stay_within_a_factor_of_a_few_with_relu_and_he() {
    let data = some_of_mnist(500);
    for seed in 0..3 {
        let gradients = initial_gradients("relu", "he-normal", seed, &data);
        let (low, high) = gradients.iter().fold((f64::MAX, 0.0_f64), |(low, high), &g| (low.min(g), high.max(g)));
        assert!(high < 4.0 * low, "seed {seed}: {gradients:?}");
    }
}

#[test]
fn more_training_learns_more() {
    let experiment = Experiment { epochs: Some(3), ..on_mnist("relu", vec![32]) };
    let (_, run) = trained(&experiment, &some_of_mnist(4000), 0);
    let (first, last) = (&run.epochs[0], &run.epochs[3]);
    let [before, after] = [first, last].map(|epoch| epoch.test_accuracy.expect("completed"));
    assert!(before < 0.3 && after > 0.85, "{before} {after}");
    assert!(last.train_loss < first.train_loss);
}
