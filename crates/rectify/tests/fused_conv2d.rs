//! The fused convolution against `Conv2d` and then the activation, and its gradient against differences.

mod rounding;
mod seeded;

use burn::{
    module::{Param, ParamId},
    nn::{
        PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{DType, Device, Tensor, TensorData, Tolerance, activation},
};
use rectify::{
    Activation, FusedActivation, FusedConv2d, Gelu, GradientRule, HardTanh,
    gradcheck::{GradCheck, gradcheck},
    relu,
};

const ACTIVATIONS: [FusedActivation; 7] = [
    FusedActivation::Identity,
    FusedActivation::Relu(GradientRule::Heaviside { at_zero: 0.0 }),
    FusedActivation::Sigmoid,
    FusedActivation::Tanh,
    // Both keep the pre-activations.
    FusedActivation::Relu(GradientRule::Heaviside { at_zero: 0.5 }),
    FusedActivation::Function(Activation::Gelu(Gelu)),
    // Keeps the output.
    FusedActivation::Function(Activation::HardTanh(HardTanh { min_value: -0.75, max_value: 0.5 })),
];

fn phi(z: Tensor<4>, activation: FusedActivation) -> Tensor<4> {
    match activation {
        FusedActivation::Identity => z,
        FusedActivation::Relu(_) => relu(z),
        FusedActivation::Sigmoid => activation::sigmoid(z),
        FusedActivation::Tanh => activation::tanh(z),
        FusedActivation::Function(function) => function.forward(z),
    }
}

fn devices() -> Vec<Device> {
    vec![
        #[cfg(feature = "flex")]
        Device::flex(),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        Device::ndarray(),
    ]
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    seeded::normal(shape, 1.0, device)
}

fn conv(channels: [usize; 2], kernel: [usize; 2], device: &Device) -> Conv2d {
    let mut conv = Conv2dConfig::new(channels, kernel).with_padding(PaddingConfig2d::Same).init(device);
    let [inputs, outputs] = channels;
    let std = ((inputs * kernel[0] * kernel[1]) as f64).powf(-0.5);
    conv.weight = Param::from_tensor(seeded::normal([outputs, inputs, kernel[0], kernel[1]], std, device));
    conv.bias = Some(Param::from_tensor(seeded::normal([outputs], std, device)));
    conv
}

/// The convolution in f64, and one of its parameters' magnitudes.
fn reference(conv: &Conv2d) -> [Conv2d; 2] {
    let biases = rounding::wide_parameter(conv.bias.as_ref().unwrap());
    let mut parameters = rounding::wide_parameter(&conv.weight).into_iter().zip(biases);
    [conv.clone(), conv.clone()].map(|mut conv| {
        let (weight, bias) = parameters.next().unwrap();
        (conv.weight, conv.bias) = (weight, Some(bias));
        conv
    })
}

/// Output and the gradients of x, W and b for a loss that weighs the outputs differently.
fn run(forward: impl Fn(Tensor<4>) -> Tensor<4>, x: Tensor<4>, conv: &Conv2d, weigh: Tensor<4>) -> [TensorData; 4] {
    let x = x.require_grad();
    let output = forward(x.clone());
    let gradients = (output.clone() * weigh).sum().backward();
    let bias = conv.bias.as_ref().unwrap().val().grad(&gradients).unwrap();
    [
        output.into_data(),
        x.grad(&gradients).unwrap().into_data(),
        conv.weight.val().grad(&gradients).unwrap().into_data(),
        bias.into_data(),
    ]
}

#[test]
fn output_and_gradients_are_those_of_conv2d_and_then_the_activation_at_odd_sizes() {
    for device in devices() {
        let device = device.autodiff();
        let sizes = [(1, 1), (1, 17), (3, 16), (13, 3), (28, 28)];
        let layers = [(1, 1, [1, 1]), (1, 6, [5, 5]), (3, 7, [3, 3]), (6, 4, [3, 5]), (5, 9, [7, 1])];
        for (i, (height, width)) in sizes.into_iter().enumerate() {
            for (j, (channels_in, channels_out, kernel)) in layers.into_iter().enumerate() {
                // One sample less and one more than are computed at a time.
                for batch in [1, 9] {
                    let activation = ACTIVATIONS[(i + j) % ACTIVATIONS.len()];
                    let (conv, x, weigh, exact, bounds) = loop {
                        let conv = conv([channels_in, channels_out], kernel, &device);
                        let x = random([batch, channels_in, height, width], &device);
                        let weigh = random([batch, channels_out, height, width], &device);
                        let [exact, magnitude] = reference(&conv);
                        let bounds = rounding::bounds(&run(
                            |x| magnitude.forward(x),
                            rounding::wide(&x).abs(),
                            &magnitude,
                            rounding::wide(&weigh).abs(),
                        ));
                        let z = exact.forward(rounding::wide(&x)).into_data();
                        if !rounding::is_near_kink(&z, &bounds[0], activation) {
                            let forward = |x| phi(exact.forward(x), activation);
                            let exact = run(forward, rounding::wide(&x), &exact, rounding::wide(&weigh));
                            break (conv, x, weigh, exact, bounds);
                        }
                    };
                    let layer = FusedConv2d::from_conv2d(conv.clone(), activation).unwrap();
                    let fused = run(|x| layer.forward(x), x, &conv, weigh);
                    let what = format!("{activation:?}, {batch} × {channels_in} × {height} × {width} by {kernel:?}");
                    rounding::assert_rounded(&fused, &exact, &bounds, &what);
                }
            }
        }
    }
}

#[test]
fn operands_that_are_not_contiguous_give_the_same_numbers() {
    let device = Device::flex().autodiff();
    let conv = conv([4, 3], [3, 3], &device);
    let layer = FusedConv2d::from_conv2d(conv.clone(), ACTIVATIONS[1]).unwrap();
    let base = random([6, 7, 9, 5], &device);
    let views = [
        base.clone().narrow(1, 2, 4),
        base.clone().narrow(1, 1, 4).swap_dims(2, 3),
        base.clone().narrow(0, 1, 4).swap_dims(0, 1).flip([2]),
        base.narrow(1, 0, 1).expand([6, 4, 9, 5]),
    ];
    for x in views {
        let dense = Tensor::<4>::from_data(x.to_data(), &device);
        let [batch, _, height, width] = x.dims();
        let weigh = random([batch, width, height, 3], &device).swap_dims(1, 3);
        let expected = run(|x| layer.forward(x), dense, &conv, weigh.clone());
        // A view is no leaf: detached, it is one of the same strides.
        let found = run(|x| layer.forward(x), x.detach(), &conv, weigh);
        for (expected, found) in expected.iter().zip(&found) {
            found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(1e-5, 1e-6));
        }
    }
}

#[test]
fn the_gradient_is_right_for_the_input_the_weights_and_the_bias() {
    for device in devices() {
        for dtype in [DType::F32, DType::F64] {
            for activation in ACTIVATIONS {
                let options = (&device, dtype);
                let numbers = |n: usize, shift: f64| {
                    (0..n).map(|i| ((i as f64 * 0.754_877_666) + shift).fract() * 2.0 - 1.0).collect::<Vec<f64>>()
                };
                let x = Tensor::<4>::from_data(TensorData::new(numbers(80, 0.1), [2, 2, 5, 4]), options);
                let weight = Tensor::<4>::from_data(TensorData::new(numbers(54, 0.2), [3, 2, 3, 3]), options);
                let bias = Tensor::<1>::from_data(TensorData::new(numbers(3, 0.3), [3]), options);
                let layer = |weight: Tensor<4>, bias: Tensor<1>| {
                    let mut conv = conv([2, 3], [3, 3], &device);
                    conv.weight = Param::initialized(ParamId::new(), weight);
                    conv.bias = Some(Param::initialized(ParamId::new(), bias));
                    FusedConv2d::from_conv2d(conv, activation).unwrap()
                };
                let check = GradCheck::default();
                let of_x = gradcheck(|x| layer(weight.clone(), bias.clone()).forward(x), x.clone(), &check).unwrap();
                let of_weight =
                    gradcheck(|w| layer(w, bias.clone()).forward(x.clone()), weight.clone(), &check).unwrap();
                let of_bias = gradcheck(|b| layer(weight.clone(), b).forward(x.clone()), bias.clone(), &check).unwrap();
                for report in [of_x, of_weight, of_bias] {
                    assert!(report.passed(), "{activation:?} in {dtype:?}: {report}");
                }
            }
        }
    }
}

#[test]
fn watched_or_by_hand_a_layer_has_the_same_bits_and_shows_its_preactivations_and_their_gradient() {
    for device in devices() {
        let device = device.autodiff();
        for activation in ACTIVATIONS {
            let conv = conv([2, 5], [3, 3], &device);
            let layer = FusedConv2d::from_conv2d(conv.clone(), activation).unwrap();
            let x = random([4, 2, 6, 7], &device);
            let weigh = random([4, 5, 6, 7], &device);
            let tap = Tensor::<4>::zeros([4, 5, 6, 7], &device).require_grad();

            let plain = run(|x| layer.forward(x), x.clone(), &conv, weigh.clone());
            let watched = run(|x| layer.forward_watched(x, tap.clone()).1, x.clone(), &conv, weigh.clone());
            let (output, kept) = layer.forward_kept(x.clone());
            let hand = layer.backward(x.clone(), kept, weigh.clone(), true);
            let by_hand = [output.into_data(), hand.x.unwrap().into_data(), hand.weight.into_data()];
            let by_hand = by_hand.into_iter().chain([hand.bias.unwrap().into_data()]);
            for ((plain, watched), by_hand) in plain.iter().zip(&watched).zip(by_hand) {
                watched.assert_eq(plain, true);
                by_hand.assert_eq(plain, true);
            }

            let (z, output) = layer.forward_watched(x.clone(), tap.clone());
            let tap_gradients = (output * weigh.clone()).sum().backward();
            let z_leaf = conv.forward(x).detach().require_grad();
            z.into_data().assert_approx_eq::<f32>(&z_leaf.to_data(), Tolerance::rel_abs(1e-5, 1e-5));
            let z_gradients = (phi(z_leaf.clone(), activation) * weigh).sum().backward();
            let expected = z_leaf.grad(&z_gradients).unwrap().into_data();
            let found = tap.grad(&tap_gradients).unwrap().into_data();
            found.assert_approx_eq::<f32>(&expected, Tolerance::rel_abs(1e-4, 1e-5));
        }
    }
}

#[test]
fn its_bits_do_not_depend_on_the_threads() {
    let device = Device::flex().autodiff();
    let conv = conv([3, 8], [5, 5], &device);
    let layer = FusedConv2d::from_conv2d(conv.clone(), ACTIVATIONS[1]).unwrap();
    let (x, weigh) = (random([67, 3, 9, 9], &device), random([67, 8, 9, 9], &device));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(|x| layer.forward(x), x.clone(), &conv, weigh.clone()))
    };
    let expected = with(1);
    for threads in [2, 3] {
        for (expected, found) in expected.iter().zip(&with(threads)) {
            found.assert_eq(expected, true);
        }
    }
}

#[test]
fn an_empty_batch_gives_an_empty_output() {
    let device = Device::flex();
    let layer = FusedConv2d::from_conv2d(conv([3, 2], [3, 3], &device), ACTIVATIONS[1]).unwrap();
    assert_eq!(layer.forward(Tensor::zeros([0, 3, 4, 4], &device)).dims(), [0, 2, 4, 4]);
}

#[test]
fn what_cannot_be_fused_is_an_error_that_names_the_setting() {
    let device = Device::flex();
    let config = || Conv2dConfig::new([2, 4], [3, 3]).with_padding(PaddingConfig2d::Same);
    let error = |conv: Conv2d| FusedConv2d::from_conv2d(conv, FusedActivation::Identity).unwrap_err().to_string();
    let cases = [
        (config().with_stride([2, 1]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)), "stride"),
        (config().with_dilation([2, 2]), "dilation"),
        (config().with_groups(2), "groups"),
        (Conv2dConfig::new([2, 4], [3, 4]).with_padding(PaddingConfig2d::Same), "kernel_size"),
        (Conv2dConfig::new([2, 4], [4, 3]).with_padding(PaddingConfig2d::Same), "kernel_size"),
        (Conv2dConfig::new([2, 4], [5, 3]).with_padding(PaddingConfig2d::Explicit(1, 2, 1, 2)), "padding"),
        (config().with_padding(PaddingConfig2d::Valid), "padding"),
        (config().with_padding(PaddingConfig2d::Explicit(1, 1, 1, 2)), "padding"),
    ];
    for (config, setting) in cases {
        let error = error(config.init(&device));
        assert!(error.starts_with(setting) && error.contains("use Conv2d"), "{error}");
    }
    // As much as keeps height and width, on each side of its own.
    for (kernel, [height, width]) in [([5, 3], [2, 1]), ([3, 5], [1, 2]), ([1, 7], [0, 3])] {
        let padding = PaddingConfig2d::Explicit(height, width, height, width);
        let conv = Conv2dConfig::new([2, 4], kernel).with_padding(padding).init(&device);
        let layer = FusedConv2d::from_conv2d(conv, FusedActivation::Identity).expect("it keeps height and width");
        assert_eq!(layer.forward(Tensor::zeros([1, 2, 6, 7], &device)).dims(), [1, 4, 6, 7]);
    }
}
