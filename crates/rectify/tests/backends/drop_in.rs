//! What Burn's own layers and operations take, these take, with the same result.

use burn::{
    module::{Module, Quantizer},
    nn::{
        LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
        loss::CrossEntropyLossConfig,
    },
    optim::GradientsParams,
    store::ModuleRecord,
    tensor::{
        DType, Device, Int, Tensor, TensorData, Tolerance, activation,
        module::max_pool2d,
        ops::MaxPoolOptions,
        quantization::{Calibration, QuantScheme, QuantStore, QuantValue},
    },
};
use rectify::{
    Activation, FusedActivation, FusedConv2d, FusedConv2dConfig, FusedLinear, FusedLinearConfig, Gelu, GradientRule,
    HardTanh, Relu, cross_entropy, cross_entropy_backward, max_pool_2x2, max_pool_2x2_backward,
};

use super::{is_gpu, random};

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

fn phi<const D: usize>(z: Tensor<D>, activation: FusedActivation) -> Tensor<D> {
    match activation {
        FusedActivation::Identity => z,
        FusedActivation::Relu(_) => activation::relu(z),
        FusedActivation::Sigmoid => activation::sigmoid(z),
        FusedActivation::Tanh => activation::tanh(z),
        FusedActivation::Function(function) => function.forward(z),
    }
}

/// What a backward pass by hand takes.
fn kept<const D: usize>(activation: FusedActivation, z: Tensor<D>, output: Tensor<D>) -> Tensor<D> {
    if activation.keeps_preactivations() { z } else { output }
}

#[track_caller]
fn assert_close(found: TensorData, expected: TensorData) {
    assert_eq!((found.shape(), found.dtype()), (expected.shape(), expected.dtype()));
    found.assert_approx_eq::<f32>(&expected, Tolerance::rel_abs(1e-4, 1e-5));
}

/// Eight bits, one scale for all. GPUs keep four numbers in a word, so their rows must be multiples of four.
fn scheme(device: &Device) -> QuantScheme {
    let store = if is_gpu(device) { QuantStore::PackedU32(0) } else { QuantStore::Native };
    QuantScheme::default().with_value(QuantValue::Q8S).with_store(store)
}

fn quantized<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let scheme = scheme(&x.device());
    let x = x.quantize_dynamic(&scheme);
    assert!(matches!(x.dtype(), DType::QFloat(_)));
    x
}

fn same(channels: [usize; 2]) -> Conv2dConfig {
    Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same)
}

fn quantised_tensors_give_what_burns_own_operations_give(device: &Device) {
    let x = quantized(random([6, 12], device));
    assert_close(rectify::relu(x.clone()).into_data(), activation::relu(x.clone()).into_data());
    let relu = Relu::default();
    let grad = quantized(random([6, 12], device));
    let expected = relu.backward(x.clone().dequantize(), grad.clone().dequantize()).into_data();
    assert_close(relu.backward(x.clone(), grad.clone()).into_data(), expected);

    let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 3, 4, 5], device);
    let expected = CrossEntropyLossConfig::new().init(device).forward(x.clone().dequantize(), labels.clone());
    assert_close(cross_entropy(x.clone(), labels.clone()).into_data(), expected.into_data());
    let one = Tensor::<1>::ones([1], device);
    let one = if is_gpu(device) { one } else { quantized(one) };
    let expected = cross_entropy_backward(x.clone().dequantize(), labels.clone(), one.clone().dequantize());
    assert_close(cross_entropy_backward(x, labels, one).into_data(), expected.into_data());

    let images = quantized(random([2, 3, 4, 8], device));
    let expected = max_pool2d(images.clone(), MaxPoolOptions::new([2, 2])).into_data();
    assert_close(max_pool_2x2(images.clone()).into_data(), expected);
    let pooled = quantized(random([2, 3, 2, 4], device));
    let expected = max_pool_2x2_backward(images.clone().dequantize(), pooled.clone().dequantize());
    assert_close(max_pool_2x2_backward(images, pooled).into_data(), expected.into_data());
}

fn layers_take_quantised_inputs_and_parameters(device: &Device) {
    for activation in ACTIVATIONS {
        let mut quantizer = Quantizer::new(Calibration::MinMax, scheme(device));
        let (x, plain) = (random([5, 8], device), LinearConfig::new(8, 4).init(device));
        let linear = plain.clone().quantize_weights(&mut quantizer);
        let layer = FusedLinear::from_linear(plain, activation).unwrap().quantize_weights(&mut quantizer);
        assert!(matches!(layer.weight.val().dtype(), DType::QFloat(_)));
        for x in [x.clone(), quantized(x)] {
            let expected = phi(linear.forward(x.clone()), activation);
            let found = layer.forward(x.clone());
            assert_close(found.clone().into_data(), expected.into_data());
            let (z, watched) = layer.forward_watched(x.clone(), found.zeros_like());
            assert_close(watched.into_data(), found.clone().into_data());
            let gradients = layer.backward(x, kept(activation, z, found.clone()), found.ones_like(), true);
            assert_eq!((gradients.weight.dims(), gradients.x.unwrap().dims()), ([8, 4], [5, 8]));
        }

        let (x, plain) = (random([2, 4, 6, 8], device), same([4, 8]).init(device));
        let mut conv = plain.clone();
        let mut layer = FusedConv2d::from_conv2d(plain, activation).unwrap();
        if !is_gpu(device) {
            (conv, layer) = (conv.quantize_weights(&mut quantizer), layer.quantize_weights(&mut quantizer));
        }
        for x in [x.clone(), quantized(x)] {
            let expected = phi(conv.forward(x.clone()), activation);
            let found = layer.forward(x.clone());
            assert_close(found.clone().into_data(), expected.into_data());
            let (z, watched) = layer.forward_watched(x.clone(), found.zeros_like());
            assert_close(watched.into_data(), found.clone().into_data());
            let gradients = layer.backward(x, kept(activation, z, found.clone()), found.ones_like(), true);
            assert_eq!((gradients.weight.dims(), gradients.x.unwrap().dims()), ([8, 4, 3, 3], [2, 4, 6, 8]));
        }
    }
}

fn a_linear_layer_takes_any_rank(device: &Device) {
    let linear = LinearConfig::new(4, 3).init(device);
    let layer = FusedLinear::from_linear(linear.clone(), FusedActivation::Tanh).unwrap();
    let x = random([4], device);
    assert_close(layer.forward(x.clone()).into_data(), activation::tanh(linear.forward(x)).into_data());
    let x = random([2, 5, 4], device);
    assert_close(layer.forward(x.clone()).into_data(), activation::tanh(linear.forward(x)).into_data());
    let x = random([4, 2, 3, 1], device).swap_dims(0, 3);
    assert_close(layer.forward(x.clone()).into_data(), activation::tanh(linear.forward(x)).into_data());
}

fn a_layer_without_bias_has_burns_parameters_and_gradients(device: &Device) {
    let device = &device.clone().autodiff();
    for activation in ACTIVATIONS {
        let linear = LinearConfig::new(4, 3).with_bias(false).init(device);
        let layer = FusedLinear::from_linear(linear.clone(), activation).unwrap();
        assert_eq!((layer.num_params(), layer.bias.is_none()), (12, true));
        let (x, weigh) = (random([5, 4], device).require_grad(), random([5, 3], device));
        let expected = phi(linear.forward(x.clone()), activation);
        let output = layer.forward(x.clone());
        assert_close(output.to_data(), expected.to_data());
        let tap = Tensor::<2>::zeros([5, 3], device).require_grad();
        let (z, watched) = layer.forward_watched(x.clone(), tap.clone());
        watched.to_data().assert_eq(&output.to_data(), true);

        let by_hand = layer.backward(x.clone(), kept(activation, z, output.clone()), weigh.clone(), true);
        assert!(by_hand.bias.is_none());
        let of = |output: Tensor<2>| (output * weigh.clone()).sum().backward();
        let (by_burn, by_layer, by_watched) = (of(expected), of(output), of(watched));
        for found in [&by_layer, &by_watched] {
            assert_close(x.grad(found).unwrap().into_data(), x.grad(&by_burn).unwrap().into_data());
            let weight = layer.weight.val().grad(found).unwrap().into_data();
            assert_close(weight, linear.weight.val().grad(&by_burn).unwrap().into_data());
        }
        by_hand.weight.into_data().assert_eq(&layer.weight.val().grad(&by_layer).unwrap().into_data(), true);
        by_hand.x.unwrap().into_data().assert_eq(&x.grad(&by_layer).unwrap().into_data(), true);
        by_hand.z.into_data().assert_eq(&tap.grad(&by_watched).unwrap().into_data(), true);

        let conv = same([2, 3]).with_bias(false).init(device);
        let layer = FusedConv2d::from_conv2d(conv.clone(), activation).unwrap();
        assert_eq!((layer.num_params(), layer.bias.is_none()), (54, true));
        let (x, weigh) = (random([2, 2, 5, 4], device).require_grad(), random([2, 3, 5, 4], device));
        let expected = phi(conv.forward(x.clone()), activation);
        let output = layer.forward(x.clone());
        assert_close(output.to_data(), expected.to_data());
        let tap = Tensor::<4>::zeros([2, 3, 5, 4], device).require_grad();
        let (z, watched) = layer.forward_watched(x.clone(), tap.clone());
        watched.to_data().assert_eq(&output.to_data(), true);

        let by_hand = layer.backward(x.clone(), kept(activation, z, output.clone()), weigh.clone(), true);
        assert!(by_hand.bias.is_none());
        let of = |output: Tensor<4>| (output * weigh.clone()).sum().backward();
        let (by_burn, by_layer, by_watched) = (of(expected), of(output), of(watched));
        for found in [&by_layer, &by_watched] {
            assert_close(x.grad(found).unwrap().into_data(), x.grad(&by_burn).unwrap().into_data());
            let weight = layer.weight.val().grad(found).unwrap().into_data();
            assert_close(weight, conv.weight.val().grad(&by_burn).unwrap().into_data());
        }
        by_hand.z.into_data().assert_eq(&tap.grad(&by_watched).unwrap().into_data(), true);
    }
}

/// Through a file's bytes.
fn stored<M: Module>(module: M) -> ModuleRecord {
    ModuleRecord::from_bytes(module.into_record().into_bytes().unwrap()).unwrap()
}

fn records_load_both_ways_with_and_without_bias(device: &Device) {
    for bias in [true, false] {
        let linear = LinearConfig::new(4, 3).with_bias(bias);
        let fused = FusedLinearConfig::new(4, 3, FusedActivation::Identity).with_bias(bias);
        let (theirs, ours) = (linear.init(device), fused.init(device).unwrap());
        let x = random([2, 4], device);
        let loaded = fused.init(device).unwrap().load_record(stored(theirs.clone()));
        assert_close(loaded.forward(x.clone()).into_data(), theirs.forward(x.clone()).into_data());
        let loaded = linear.init(device).load_record(stored(ours.clone()));
        assert_close(loaded.forward(x.clone()).into_data(), ours.forward(x.clone()).into_data());
        let loaded = fused.init(device).unwrap().load_record(stored(ours.clone()));
        assert_close(loaded.forward(x.clone()).into_data(), ours.forward(x).into_data());
        // A missing or a superfluous bias is told, as by Burn's.
        let other = linear.clone().with_bias(!bias);
        assert!(ours.try_load_record(stored(other.init(device))).is_err());
        assert!(theirs.try_load_record(stored(other.init(device))).is_err());

        let conv = same([2, 3]).with_bias(bias);
        let fused = FusedConv2dConfig::new([2, 3], [3, 3], FusedActivation::Identity).with_bias(bias);
        let (theirs, ours) = (conv.init(device), fused.init(device).unwrap());
        let x = random([2, 2, 4, 4], device);
        let loaded = fused.init(device).unwrap().load_record(stored(theirs.clone()));
        assert_close(loaded.forward(x.clone()).into_data(), theirs.forward(x.clone()).into_data());
        let loaded = conv.init(device).load_record(stored(ours.clone()));
        assert_close(loaded.forward(x.clone()).into_data(), ours.forward(x).into_data());
        let other = conv.clone().with_bias(!bias);
        assert!(ours.try_load_record(stored(other.init(device))).is_err());
    }
    // No parameters, no record.
    assert!(Relu::default().into_record().is_empty());
}

fn half_precision_records_load_and_compute(device: &Device) {
    for dtype in [DType::F16, DType::BF16].into_iter().filter(|dtype| device.supports_dtype(*dtype)) {
        let linear = LinearConfig::new(4, 3).init((device, dtype).0);
        let half = FusedLinear::from_linear(linear.clone(), FusedActivation::Tanh).unwrap();
        let half = half.map(&mut Cast(dtype));
        assert_eq!(half.weight.val().dtype(), dtype);
        let fresh = || FusedLinearConfig::new(4, 3, FusedActivation::Tanh).init(device).unwrap();
        let loaded = fresh().load_record(stored(half.clone()));
        assert_eq!((loaded.weight.val().dtype(), loaded.bias.as_ref().unwrap().val().dtype()), (dtype, dtype));
        let x = random([2, 4], device);
        let expected = activation::tanh(linear.forward(x.clone())).into_data();
        let found = loaded.forward(x.clone().cast(dtype));
        assert_eq!(found.dtype(), dtype);
        found.into_data().convert::<f32>().assert_approx_eq::<f32>(&expected, Tolerance::rel_abs(5e-2, 5e-2));
        let widened = fresh().load_record(stored(half).cast_to_module_dtype());
        let found = widened.forward(x).into_data();
        found.assert_approx_eq::<f32>(&expected, Tolerance::rel_abs(5e-2, 5e-2));
    }
}

/// Turns a module's parameters into another type.
struct Cast(DType);

impl burn::module::ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: burn::module::Param<Tensor<D>>) -> burn::module::Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}

fn layers_can_be_validated_forked_and_moved(device: &Device) {
    let tracked = device.clone().autodiff();
    for bias in [true, false] {
        let config = FusedLinearConfig::new(4, 3, FusedActivation::Sigmoid).with_bias(bias);
        let layer = config.init(&tracked).unwrap();
        let x = random([2, 4], device);
        let expected = layer.forward(x.clone()).into_data();
        let valid = layer.valid();
        assert!(!valid.forward(x.clone()).is_autodiff());
        valid.forward(x.clone()).into_data().assert_eq(&expected, true);
        let forked = layer.clone().fork(&tracked);
        let gradients = forked.forward(x.clone().autodiff()).sum().backward();
        let gradients = GradientsParams::from_grads(gradients, &forked);
        assert_eq!(gradients.len(), if bias { 2 } else { 1 });
        layer.to_device(device).forward(x).into_data().assert_eq(&expected, true);

        let config = FusedConv2dConfig::new([2, 3], [3, 5], FusedActivation::Sigmoid).with_bias(bias);
        let layer = config.init(&tracked).unwrap();
        let x = random([1, 2, 6, 6], device);
        let expected = layer.forward(x.clone()).into_data();
        layer.valid().forward(x.clone()).into_data().assert_eq(&expected, true);
        let forked = layer.clone().fork(&tracked);
        let gradients = forked.forward(x.clone().autodiff()).sum().backward();
        assert_eq!(GradientsParams::from_grads(gradients, &forked).len(), if bias { 2 } else { 1 });
        layer.to_device(device).forward(x).into_data().assert_eq(&expected, true);
    }
}

fn configs_draw_the_numbers_that_burns_configs_draw(device: &Device) {
    use burn::{config::Config, nn::Initializer};
    let constant = Initializer::Constant { value: 0.25 };
    let config = FusedLinearConfig::new(4, 3, FusedActivation::Tanh).with_initializer(constant.clone());
    let config = FusedLinearConfig::load_binary(config.to_string().as_bytes()).unwrap();
    let layer = config.init(device).unwrap();
    assert_eq!(layer.weight.val().into_data().iter::<f32>().collect::<Vec<_>>(), [0.25; 12]);
    let config = FusedConv2dConfig::new([2, 3], [3, 3], FusedActivation::Tanh).with_initializer(constant);
    let layer = config.init(device).unwrap();
    assert_eq!(layer.weight.val().into_data().iter::<f32>().collect::<Vec<_>>(), [0.25; 54]);
    let even = FusedConv2dConfig::new([2, 3], [3, 4], FusedActivation::Tanh).init(device).unwrap_err();
    assert!(even.to_string().starts_with("kernel_size must be odd"), "{even}");
    // Burn's default, whose text says what it is.
    let ours = FusedConv2dConfig::new([2, 3], [3, 3], FusedActivation::Tanh).initializer;
    let burns = Conv2dConfig::new([2, 3], [3, 3]).initializer;
    assert_eq!(format!("{ours:?}"), format!("{burns:?}"));
    let ours = FusedLinearConfig::new(2, 3, FusedActivation::Tanh).initializer;
    assert_eq!(format!("{ours:?}"), format!("{:?}", LinearConfig::new(2, 3).initializer));
    let _: Conv2d = same([2, 3]).init(device);
}

on_every_backend! {
    quantised_tensors_give_what_burns_own_operations_give
    layers_take_quantised_inputs_and_parameters
    a_linear_layer_takes_any_rank
    a_layer_without_bias_has_burns_parameters_and_gradients
    records_load_both_ways_with_and_without_bias
    half_precision_records_load_and_compute
    layers_can_be_validated_forked_and_moved
    configs_draw_the_numbers_that_burns_configs_draw
}
