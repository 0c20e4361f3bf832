//! Cross-entropy against Burn's own, and its gradient against differences.

mod seeded;

use burn::{
    nn::loss::CrossEntropyLossConfig,
    tensor::{DType, Device, Int, Tensor, TensorData, Tolerance},
};
use rectify::{
    cross_entropy, cross_entropy_backward,
    gradcheck::{GradCheck, gradcheck},
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

fn labels(batch: usize, classes: usize, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i64> = (0..batch).map(|i| (i * 7 % classes) as i64).collect();
    Tensor::from_data(TensorData::new(labels, [batch]), device)
}

/// The loss, and the gradient of three times the loss.
fn run(loss: impl Fn(Tensor<2>) -> Tensor<1>, logits: Tensor<2>) -> [TensorData; 2] {
    let logits = logits.require_grad();
    let loss = loss(logits.clone());
    let gradients = (loss.clone() * 3.0).backward();
    [loss.into_data(), logits.grad(&gradients).unwrap().into_data()]
}

#[test]
fn loss_and_gradient_are_burns_at_any_size() {
    for device in devices() {
        let device = device.autodiff();
        for (batch, classes) in [(1, 1), (1, 10), (3, 2), (64, 10), (127, 129)] {
            for spread in [1.0, 30.0] {
                let logits = seeded::normal([batch, classes], spread, &device);
                let labels = labels(batch, classes, &device);
                let burn = CrossEntropyLossConfig::new().init(&device);
                let expected = run(|logits| burn.forward(logits, labels.clone()), logits.clone());
                let found = run(|logits| cross_entropy(logits, labels.clone()), logits.clone());
                for (found, expected) in found.iter().zip(&expected) {
                    found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(1e-5, 1e-6));
                }
                let grad = Tensor::<1>::from_floats([3.0], &device);
                let by_hand = cross_entropy_backward(logits, labels, grad).into_data();
                by_hand.assert_eq(&found[1], true);
            }
        }
    }
}

#[test]
fn views_are_not_misread() {
    let device = Device::flex().autodiff();
    let burn = CrossEntropyLossConfig::new().init(&device);
    let all = seeded::normal([40, 30], 1.0, &device);
    let all_labels = labels(300, 10, &device);
    for begin in [0, 1, 13] {
        let labels = all_labels.clone().slice(begin..begin + 20);
        for logits in [
            all.clone().narrow(0, begin, 20).narrow(1, 3, 10),
            all.clone().transpose().narrow(0, 4, 20).narrow(1, begin, 10),
        ] {
            let expected = run(|logits| burn.forward(logits, labels.clone()), logits.clone().detach());
            let found = run(|logits| cross_entropy(logits, labels.clone()), logits.detach());
            for (found, expected) in found.iter().zip(&expected) {
                found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(1e-5, 1e-6));
            }
        }
    }
}

#[test]
fn the_gradient_is_that_of_differences() {
    for device in devices() {
        let values = (0..24).map(|i| (f64::from(i) * 0.754_877_666).fract() * 4.0 - 2.0).collect();
        let logits = Tensor::<2>::from_data(TensorData::new(values, [6, 4]), (&device, DType::F64));
        let labels = labels(6, 4, &device);
        let report = gradcheck(|x| cross_entropy(x, labels.clone()), logits.clone(), &GradCheck::default()).unwrap();
        assert!(report.passed(), "{report}");
        let logits = logits.cast(DType::F32);
        let report = gradcheck(|x| cross_entropy(x, labels.clone()), logits, &GradCheck::default()).unwrap();
        assert!(report.passed(), "{report}");
    }
}

#[test]
fn an_empty_batch_has_no_mean_loss_and_an_empty_gradient() {
    // Not on ndarray, whose operations panic on an empty batch, in Burn's loss too.
    let device = Device::flex();
    let (logits, labels) = (Tensor::<2>::zeros([0, 3], &device), Tensor::<1, Int>::zeros([0], &device));
    assert!(cross_entropy(logits.clone(), labels.clone()).into_scalar::<f32>().is_nan());
    assert_eq!(cross_entropy_backward(logits, labels, Tensor::ones([1], &device)).dims(), [0, 3]);
}

#[test]
fn the_gradient_of_a_sample_that_is_classified_well_keeps_its_digits() {
    // softmax(20, 0) = (1 − p, p) with p = 1 / (1 + e²⁰), so that in f32 the first is 1. Other backends compute so.
    let device = Device::flex();
    let (logits, labels) =
        (Tensor::<2>::from_floats([[20.0, 0.0]], &device), Tensor::<1, Int>::from_ints([0], &device));
    let gradient = cross_entropy_backward(logits, labels, Tensor::ones([1], &device)).into_data();
    let p = 1.0 / (1.0 + 20f64.exp());
    for (found, expected) in gradient.iter::<f64>().zip([-p, p]) {
        assert!((found / expected - 1.0).abs() < 1e-6, "{found:e}, not {expected:e}");
    }
}

#[test]
fn large_logits_do_not_run_over_and_nan_stays() {
    for device in devices() {
        let loss = |logits: [f32; 2]| -> f32 {
            let logits = Tensor::<2>::from_floats([logits], &device);
            cross_entropy(logits, Tensor::<1, Int>::from_ints([1], &device)).into_scalar()
        };
        assert_eq!(loss([1e30, 1e30]), 2f32.ln());
        assert_eq!(loss([-1e30, 1e30]), 0.0);
        assert_eq!(loss([1e4, 0.0]), 1e4);
        assert_eq!(loss([f32::NEG_INFINITY, 0.0]), 0.0);
        assert!(loss([f32::NAN, 0.0]).is_nan());
    }
}
