//! The fused layer against `Linear` and then the activation, and its gradient against differences.

mod rounding;
mod seeded;

use burn::{
    module::{Param, ParamId},
    nn::{Linear, LinearConfig},
    tensor::{DType, Device, Tensor, TensorData, Tolerance, activation},
};
use rectify::{
    Activation, Elu, FusedActivation, FusedGradients, FusedLinear, FusedLinearConfig, Gelu, GradientRule, HardTanh,
    LeakyRelu, Surrogate,
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

fn phi(z: Tensor<2>, activation: FusedActivation) -> Tensor<2> {
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

fn linear(d_input: usize, d_output: usize, device: &Device) -> Linear {
    let mut linear = LinearConfig::new(d_input, d_output).init(device);
    let std = (d_input as f64).powf(-0.5);
    linear.weight = Param::from_tensor(seeded::normal([d_input, d_output], std, device));
    linear.bias = Some(Param::from_tensor(seeded::normal([d_output], std, device)));
    linear
}

/// The layer in f64, and one of its parameters' magnitudes.
fn reference(linear: &Linear) -> [Linear; 2] {
    let biases = rounding::wide_parameter(linear.bias.as_ref().unwrap());
    let mut parameters = rounding::wide_parameter(&linear.weight).into_iter().zip(biases);
    [linear.clone(), linear.clone()].map(|mut linear| {
        let (weight, bias) = parameters.next().unwrap();
        (linear.weight, linear.bias) = (weight, Some(bias));
        linear
    })
}

/// Output and the gradients of x, W and b for a loss that weighs the outputs differently.
fn run(forward: impl Fn(Tensor<2>) -> Tensor<2>, x: Tensor<2>, linear: &Linear, weigh: Tensor<2>) -> [TensorData; 4] {
    let x = x.require_grad();
    let output = forward(x.clone());
    let gradients = (output.clone() * weigh).sum().backward();
    let bias = linear.bias.as_ref().unwrap().val().grad(&gradients).unwrap();
    [
        output.into_data(),
        x.grad(&gradients).unwrap().into_data(),
        linear.weight.val().grad(&gradients).unwrap().into_data(),
        bias.into_data(),
    ]
}

#[test]
fn output_and_gradients_are_those_of_linear_and_then_the_activation_at_odd_sizes() {
    for device in devices() {
        let device = device.autodiff();
        for batch in [1, 3, 127, 129] {
            for (d_input, d_output) in [(1, 1), (3, 129), (127, 3), (129, 127)] {
                for activation in ACTIVATIONS {
                    let (linear, x, weigh, exact, bounds) = loop {
                        let linear = linear(d_input, d_output, &device);
                        let (x, weigh) = (random([batch, d_input], &device), random([batch, d_output], &device));
                        let [exact, magnitude] = reference(&linear);
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
                            break (linear, x, weigh, exact, bounds);
                        }
                    };
                    let layer = FusedLinear::from_linear(linear.clone(), activation).unwrap();
                    let fused = run(|x| layer.forward(x), x, &linear, weigh);
                    let what = format!("{activation:?}, {batch} × {d_input} by {d_output}");
                    rounding::assert_rounded(&fused, &exact, &bounds, &what);
                }
            }
        }
    }
}

#[test]
fn operands_that_are_not_contiguous_give_the_same_numbers() {
    for device in devices() {
        let device = device.autodiff();
        for activation in ACTIVATIONS {
            let linear = linear(5, 7, &device);
            let layer = FusedLinear::from_linear(linear.clone(), activation).unwrap();
            let base: Tensor<2> = random([9, 11], &device);
            let views = [
                base.clone().narrow(0, 2, 5).narrow(1, 3, 6).transpose(),
                base.clone().narrow(1, 1, 5),
                base.clone().narrow(1, 1, 5).flip([0]),
                base.clone().narrow(1, 1, 5).flip([1]),
                base.narrow(0, 4, 1).narrow(1, 0, 5).expand([6, 5]),
            ];
            for x in views {
                let dense = Tensor::<2>::from_data(x.to_data(), &device);
                let weigh = random([x.dims()[0], 7], &device);
                let expected = run(|x| layer.forward(x), dense, &linear, weigh.clone());
                // A view is no leaf: detached, it is one of the same strides.
                let found = run(|x| layer.forward(x), x.detach(), &linear, weigh.clone().transpose().transpose());
                for (expected, found) in expected.iter().zip(&found) {
                    found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(1e-5, 1e-6));
                }
            }
        }
    }
}

#[test]
fn a_backward_pass_by_hand_takes_operands_that_are_not_contiguous() {
    for device in devices() {
        for activation in ACTIVATIONS {
            let layer = FusedLinear::from_linear(linear(5, 7, &device), activation).unwrap();
            let (x, kept) = (random([5, 4], &device).transpose(), random([7, 4], &device).transpose());
            let grad = random([9, 7], &device).narrow(0, 3, 4);
            let dense = |x: &Tensor<2>| Tensor::<2>::from_data(x.to_data(), &device);
            let expected = layer.backward(dense(&x), dense(&kept), dense(&grad), true);
            let found = layer.backward(x, kept, grad, true);
            let all = |of: FusedGradients<2>| [of.weight.into_data(), of.x.unwrap().into_data(), of.z.into_data()];
            let (expected_bias, found_bias) = (expected.bias.clone().unwrap(), found.bias.clone().unwrap());
            found_bias.into_data().assert_approx_eq::<f32>(&expected_bias.into_data(), Tolerance::rel_abs(1e-5, 1e-6));
            for (expected, found) in all(expected).iter().zip(&all(found)) {
                found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(1e-5, 1e-6));
            }
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
                let x = Tensor::<2>::from_data(TensorData::new(numbers(12, 0.1), [3, 4]), options);
                let weight = Tensor::<2>::from_data(TensorData::new(numbers(20, 0.2), [4, 5]), options);
                let bias = Tensor::<1>::from_data(TensorData::new(numbers(5, 0.3), [5]), options);
                let layer = |weight: Tensor<2>, bias: Tensor<1>| {
                    let (weight, bias) =
                        (Param::initialized(ParamId::new(), weight), Param::initialized(ParamId::new(), bias));
                    FusedLinear::new(weight, Some(bias), activation).unwrap()
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
            let linear = linear(6, 5, &device);
            let layer = FusedLinear::from_linear(linear.clone(), activation).unwrap();
            let x: Tensor<2> = random([4, 6], &device);
            let weigh: Tensor<2> = random([4, 5], &device);
            let tap = Tensor::<2>::zeros([4, 5], &device).require_grad();

            let plain = run(|x| layer.forward(x), x.clone(), &linear, weigh.clone());
            let watched = run(|x| layer.forward_watched(x, tap.clone()).1, x.clone(), &linear, weigh.clone());
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
            let z_leaf = linear.forward(x).detach().require_grad();
            z.into_data().assert_approx_eq::<f32>(&z_leaf.to_data(), Tolerance::rel_abs(1e-5, 1e-6));
            let z_gradients = (phi(z_leaf.clone(), activation) * weigh).sum().backward();
            let expected = z_leaf.grad(&z_gradients).unwrap().into_data();
            tap.grad(&tap_gradients)
                .unwrap()
                .into_data()
                .assert_approx_eq::<f32>(&expected, Tolerance::rel_abs(1e-4, 1e-5));
        }
    }
}

#[test]
fn nan_and_infinity_pass_as_through_linear_and_relu() {
    for device in devices() {
        let weight = Param::from_tensor(Tensor::<2>::from_floats([[1.0]], &device));
        let bias = Param::from_tensor(Tensor::zeros([1], &device));
        let layer = FusedLinear::new(weight, Some(bias), ACTIVATIONS[1]).unwrap();
        let x = Tensor::<2>::from_floats([[f32::NAN], [f32::INFINITY], [f32::NEG_INFINITY], [-0.0]], &device);
        let y: Vec<f32> = layer.forward(x).into_data().iter().collect();
        assert!(y[0].is_nan());
        assert_eq!(y[1..], [f32::INFINITY, 0.0, 0.0]);
        assert_eq!(y[3].to_bits(), 0);
    }
}

#[test]
fn an_empty_batch_gives_an_empty_output() {
    // Not on ndarray, whose matrix product panics on an empty batch, in Burn's Linear too.
    let device = Device::flex();
    for activation in ACTIVATIONS {
        let layer = FusedLinearConfig::new(3, 2, activation).init(&device).unwrap();
        assert_eq!(layer.forward(Tensor::zeros([0, 3], &device)).dims(), [0, 2]);
        assert_eq!(layer.forward(Tensor::<3>::zeros([4, 0, 3], &device)).dims(), [4, 0, 2]);
        assert_eq!(layer.forward(Tensor::<3>::zeros([0, 4, 3], &device)).dims(), [0, 4, 2]);
    }
}

#[test]
fn activations_that_are_out_of_range_are_errors_and_others_know_what_they_keep() {
    let device = Device::flex();
    let init = |rule| FusedLinearConfig::new(4, 3, FusedActivation::Relu(rule)).init(&device);
    for rule in [GradientRule::Leaky { slope: 0.1 }, GradientRule::Guided, GradientRule::Deconv] {
        assert_eq!(init(rule).unwrap().activation(), FusedActivation::Relu(rule));
    }
    for rule in [GradientRule::Heaviside { at_zero: 0.5 }, GradientRule::Surrogate(Surrogate::BSilu)] {
        assert!(init(rule).unwrap().activation().keeps_preactivations());
    }
    assert!(
        FusedActivation::from(Gelu).keeps_preactivations()
            && !FusedActivation::from(LeakyRelu::default()).keeps_preactivations()
    );
    let error = FusedLinearConfig::new(4, 3, Elu { alpha: 0.0 }.into()).init(&device).unwrap_err().to_string();
    assert_eq!(error, "alpha must be positive and finite, got 0");
    assert!(init(GradientRule::Leaky { slope: f64::NAN }).unwrap_err().to_string().contains("slope"));
}

#[test]
fn a_bias_of_another_length_is_no_kernels() {
    let plain = |device: &Device, bias: usize| {
        let weight = Param::from_tensor(random([4, 3], device));
        let bias = Param::from_tensor(random([bias], device));
        FusedLinear::new(weight, Some(bias), FusedActivation::Tanh).unwrap()
    };
    for device in devices() {
        let x = random([1, 4], &device);
        for bias in [2, 4] {
            let layer = plain(&device, bias);
            let watched = || layer.forward_watched(x.clone(), Tensor::zeros([1, 3], &device));
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(watched)).is_err());
            let forward = || layer.forward(x.clone());
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(forward)).is_err());
        }
        assert_eq!(plain(&device, 3).forward(x).dims(), [1, 3]);
    }
}
