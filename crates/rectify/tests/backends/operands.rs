//! Backward passes by hand refuse operands that do not fit each other, before a kernel reads what is not there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{DType, Device, Int, Tensor};
use rectify::{
    FusedActivation, FusedConv2dConfig, FusedLinearConfig, GradientRule, Relu, cross_entropy, cross_entropy_backward,
    max_pool_2x2, max_pool_2x2_backward,
};

use super::{random, relu};

/// What a call panics with.
#[track_caller]
fn refusal<T>(what: &str, call: impl FnOnce() -> T) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(call)) else { panic!("{what} is not refused") };
    let message = payload.downcast_ref::<String>().cloned();
    message.or_else(|| payload.downcast_ref::<&str>().map(|text| text.to_string())).expect("a panic has a message")
}

/// Refused, by this operation and for this operand.
#[track_caller]
fn assert_refused<T>(operation: &str, operand: &str, call: impl FnOnce() -> T) {
    let message = refusal(operand, call);
    let named = message.starts_with(&format!("{operation}: `{operand}` is "));
    assert!(named, "{operation} refuses `{operand}` with: {message}");
}

/// Another type that the device computes in.
fn other_dtype(device: &Device) -> Option<DType> {
    [DType::F64, DType::F16].into_iter().find(|dtype| device.supports_dtype(*dtype))
}

/// Another backend's device.
fn elsewhere(device: &Device) -> Option<Device> {
    let others = [
        #[cfg(feature = "flex")]
        Device::flex(),
        #[cfg(feature = "ndarray")]
        Device::ndarray(),
    ];
    others.into_iter().find(|other| other != device)
}

/// `x` in another type, and elsewhere.
fn strangers<const D: usize>(x: &Tensor<D>) -> Vec<Tensor<D>> {
    let device = x.device();
    let cast = other_dtype(&device).map(|dtype| x.clone().cast(dtype));
    let moved = elsewhere(&device).map(|device| Tensor::from_data(x.to_data(), &device));
    cast.into_iter().chain(moved).collect()
}

fn relus_backward_refuses(device: &Device) {
    for rule in [GradientRule::default(), GradientRule::Heaviside { at_zero: 0.5 }, GradientRule::Deconv] {
        let relu = relu(rule);
        let x = random([3, 4], device);
        for dims in [[3, 3], [3, 5], [2, 4], [4, 3], [1, 4], [0, 4]] {
            assert_refused("Relu::backward", "grad", || relu.backward(x.clone(), random(dims, device)));
            assert_refused("Relu::backward", "grad", || relu.backward(random(dims, device), x.clone()));
        }
        for grad in strangers(&x) {
            assert_refused("Relu::backward", "grad", || relu.backward(x.clone(), grad.clone()));
        }
        assert_eq!(relu.backward(x.clone(), x).dims(), [3, 4]);
    }
}

fn a_linear_layers_backward_refuses(device: &Device) {
    const OPERATION: &str = "FusedLinear::backward";
    for bias in [true, false] {
        let config = FusedLinearConfig::new(4, 3, FusedActivation::Relu(GradientRule::default())).with_bias(bias);
        let layer = config.init(device).unwrap();
        let x = random([5, 4], device);
        let output = layer.forward(x.clone());
        let grad = output.ones_like();
        for dims in [[5, 3], [5, 5]] {
            let x = random(dims, device);
            assert_refused(OPERATION, "x", || layer.backward(x, output.clone(), grad.clone(), true));
        }
        // Another batch than the output's.
        let more = random([6, 4], device);
        assert_refused(OPERATION, "kept", || layer.backward(more, output.clone(), grad.clone(), true));
        for dims in [[5, 2], [5, 4], [4, 3], [6, 3], [0, 3]] {
            let wrong = || random(dims, device);
            assert_refused(OPERATION, "kept", || layer.backward(x.clone(), wrong(), grad.clone(), true));
            assert_refused(OPERATION, "grad", || layer.backward(x.clone(), output.clone(), wrong(), false));
        }
        for x in strangers(&x) {
            assert_refused(OPERATION, "x", || layer.backward(x.clone(), output.clone(), grad.clone(), true));
        }
        for wrong in strangers(&grad) {
            assert_refused(OPERATION, "kept", || layer.backward(x.clone(), wrong.clone(), grad.clone(), true));
            assert_refused(OPERATION, "grad", || layer.backward(x.clone(), output.clone(), wrong.clone(), true));
        }
        let tap = random([5, 4], device).autodiff().require_grad();
        assert_refused("FusedLinear::forward_watched", "tap", || layer.forward_watched(x.clone(), tap));
        assert_eq!(layer.backward(x, output, grad, true).z.dims(), [5, 3]);
    }
}

fn a_convolutions_backward_refuses(device: &Device) {
    const OPERATION: &str = "FusedConv2d::backward";
    for bias in [true, false] {
        let config = FusedConv2dConfig::new([2, 3], [3, 3], FusedActivation::Relu(GradientRule::default()));
        let layer = config.with_bias(bias).init(device).unwrap();
        let x = random([2, 2, 5, 4], device);
        let output = layer.forward(x.clone());
        let grad = output.ones_like();
        let channels = random([2, 3, 5, 4], device);
        assert_refused(OPERATION, "x", || layer.backward(channels, output.clone(), grad.clone(), true));
        for dims in [[1, 2, 5, 4], [2, 2, 4, 4], [2, 2, 5, 5]] {
            let x = random(dims, device);
            assert_refused(OPERATION, "kept", || layer.backward(x, output.clone(), grad.clone(), true));
        }
        for dims in [[2, 2, 5, 4], [1, 3, 5, 4], [2, 3, 4, 5], [2, 3, 5, 3], [0, 3, 5, 4]] {
            let wrong = || random(dims, device);
            assert_refused(OPERATION, "kept", || layer.backward(x.clone(), wrong(), grad.clone(), true));
            assert_refused(OPERATION, "grad", || layer.backward(x.clone(), output.clone(), wrong(), false));
        }
        for x in strangers(&x) {
            assert_refused(OPERATION, "x", || layer.backward(x.clone(), output.clone(), grad.clone(), true));
        }
        for wrong in strangers(&grad) {
            assert_refused(OPERATION, "kept", || layer.backward(x.clone(), wrong.clone(), grad.clone(), true));
            assert_refused(OPERATION, "grad", || layer.backward(x.clone(), output.clone(), wrong.clone(), true));
        }
        let tap = random([2, 3, 5, 5], device).autodiff().require_grad();
        assert_refused("FusedConv2d::forward_watched", "tap", || layer.forward_watched(x.clone(), tap));
        assert_eq!(layer.backward(x, output, grad, true).z.dims(), [2, 3, 5, 4]);
    }
}

fn the_pools_backward_refuses(device: &Device) {
    const OPERATION: &str = "max_pool_2x2_backward";
    let x = random([2, 3, 5, 4], device);
    let grad = max_pool_2x2(x.clone()).ones_like();
    for dims in [[2, 3, 5, 4], [2, 3, 2, 1], [2, 3, 3, 2], [2, 2, 2, 2], [1, 3, 2, 2], [0, 3, 2, 2]] {
        assert_refused(OPERATION, "grad", || max_pool_2x2_backward(x.clone(), random(dims, device)));
    }
    for grad in strangers(&grad) {
        assert_refused(OPERATION, "grad", || max_pool_2x2_backward(x.clone(), grad.clone()));
    }
    assert_eq!(max_pool_2x2_backward(x, grad).dims(), [2, 3, 5, 4]);
}

fn the_loss_refuses(device: &Device) {
    const OPERATION: &str = "cross_entropy_backward";
    let logits = random([3, 4], device);
    let labels = |classes: &[i32], device: &Device| Tensor::<1, Int>::from_ints(classes, device);
    let fit = labels(&[0, 3, 1], device);
    let grad = Tensor::<1>::ones([1], device);
    for wrong in [labels(&[0, 3], device), labels(&[0, 3, 1, 2], device)] {
        assert_refused("cross_entropy", "labels", || cross_entropy(logits.clone(), wrong.clone()));
        assert_refused(OPERATION, "labels", || cross_entropy_backward(logits.clone(), wrong.clone(), grad.clone()));
    }
    if let Some(elsewhere) = elsewhere(device) {
        let wrong = labels(&[0, 3, 1], &elsewhere);
        assert_refused("cross_entropy", "labels", || cross_entropy(logits.clone(), wrong.clone()));
        assert_refused(OPERATION, "labels", || cross_entropy_backward(logits.clone(), wrong, grad.clone()));
    }
    for wrong in [random([0], device), random([2], device), random([3], device)].into_iter().chain(strangers(&grad)) {
        assert_refused(OPERATION, "grad", || cross_entropy_backward(logits.clone(), fit.clone(), wrong.clone()));
    }
    assert_eq!(cross_entropy_backward(logits, fit, grad).dims(), [3, 4]);
}

fn a_refusal_says_what_is_expected(device: &Device) {
    let x = random([3, 4], device);
    let message = refusal("another shape", || Relu::default().backward(x.clone(), random([4, 3], device)));
    assert_eq!(message, "Relu::backward: `grad` is [4, 3], and the other tensors take [3, 4]");
    if let Some(dtype) = other_dtype(device) {
        let message = refusal("another type", || Relu::default().backward(x.clone(), x.clone().cast(dtype)));
        assert_eq!(message, format!("Relu::backward: `grad` is of {dtype:?}, and the other tensors are of F32"));
    }
}

on_every_backend! {
    relus_backward_refuses
    a_linear_layers_backward_refuses
    a_convolutions_backward_refuses
    the_pools_backward_refuses
    the_loss_refuses
    a_refusal_says_what_is_expected
}
