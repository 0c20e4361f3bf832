//! The 2 × 2 maximum against Burn's own, and its gradient.

mod seeded;

use burn::tensor::{DType, Device, Tensor, TensorData, module::max_pool2d, ops::MaxPoolOptions};
use rectify::{
    gradcheck::{GradCheck, gradcheck},
    max_pool_2x2, max_pool_2x2_backward,
};

fn devices() -> Vec<Device> {
    vec![
        #[cfg(feature = "flex")]
        Device::flex(),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        Device::ndarray(),
    ]
}

fn burn(x: Tensor<4>) -> Tensor<4> {
    max_pool2d(x, MaxPoolOptions::new([2, 2]))
}

/// Output and gradient for a loss that weighs the outputs differently.
fn run(pool: impl Fn(Tensor<4>) -> Tensor<4>, x: Tensor<4>, weigh: Tensor<4>) -> [TensorData; 2] {
    let x = x.require_grad();
    let output = pool(x.clone());
    let gradients = (output.clone() * weigh).sum().backward();
    [output.into_data(), x.grad(&gradients).unwrap().into_data()]
}

fn random(shape: [usize; 4], device: &Device) -> Tensor<4> {
    seeded::normal(shape, 1.0, device)
}

#[test]
fn output_and_gradient_are_burns_at_any_size() {
    for device in devices() {
        let device = device.autodiff();
        for (height, width) in [(2, 2), (3, 3), (5, 2), (2, 15), (4, 16), (7, 17), (6, 18), (14, 14), (28, 28), (9, 67)]
        {
            for (batch, channels) in [(1, 1), (3, 5), (2, 129)] {
                // Rounded, so that windows have several maxima, of which the first takes the gradient.
                let x = (random([batch, channels, height, width], &device) * 2.0).round();
                let weigh = random([batch, channels, height / 2, width / 2], &device);
                let [output, gradient] = run(max_pool_2x2, x.clone().detach(), weigh.clone());
                let [expected_output, expected_gradient] = run(burn, x.detach(), weigh);
                output.assert_eq(&expected_output, true);
                gradient.assert_eq(&expected_gradient, true);
            }
        }
    }
}

#[test]
fn nan_wins_and_takes_the_gradient() {
    let device = Device::flex().autodiff();
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let x = Tensor::<4>::from_floats([[[[1.0, nan, -inf, -inf], [inf, 2.0, -inf, -inf]]]], &device);
    let [output, gradient] = run(max_pool_2x2, x, Tensor::ones([1, 1, 1, 2], &device));
    let output: Vec<f32> = output.iter().collect();
    assert!(output[0].is_nan() && output[1] == -inf, "{output:?}");
    assert_eq!(gradient.iter::<f32>().collect::<Vec<_>>(), [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn strided_inputs_other_types_and_empty_ones_work() {
    let device = Device::flex().autodiff();
    let x = random([3, 5, 8, 6], &device).detach();
    let weigh = random([5, 3, 3, 4], &device);
    let views = |x: Tensor<4>| max_pool_2x2(x.swap_dims(0, 1).swap_dims(2, 3));
    let expected = run(|x| burn(x.swap_dims(0, 1).swap_dims(2, 3)), x.clone(), weigh.clone());
    for (found, expected) in run(views, x.clone(), weigh).iter().zip(&expected) {
        found.assert_eq(expected, true);
    }
    let narrow = |x: Tensor<4>| x.narrow(1, 1, 3).narrow(2, 2, 4);
    max_pool_2x2(narrow(x.clone())).into_data().assert_eq(&burn(narrow(x.clone())).into_data(), true);

    let wide = max_pool_2x2(x.clone().cast(DType::F64)).cast(DType::F32).into_data();
    wide.assert_eq(&max_pool_2x2(x).into_data(), true);

    let flat = Tensor::<4>::ones([2, 3, 1, 8], &Device::flex());
    let pooled = max_pool_2x2(flat.clone());
    assert_eq!(pooled.dims(), [2, 3, 0, 4]);
    let gradient = max_pool_2x2_backward(flat.clone(), pooled).into_data();
    gradient.assert_eq(&flat.zeros_like().into_data(), true);
}

#[test]
fn the_gradient_is_that_of_differences() {
    for device in devices() {
        let x = Tensor::<4>::from_data(
            TensorData::new((0..90).map(|i| f64::from(i * 37 % 101)).collect(), [1, 2, 5, 9]),
            (&device, DType::F64),
        );
        let report = gradcheck(max_pool_2x2, x, &GradCheck::default()).unwrap();
        assert!(report.passed(), "{report}");
    }
}
