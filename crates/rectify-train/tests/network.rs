//! Networks: stacks of stages against autodiff, and networks with a loss of their own.

use burn::{
    module::{Module, ModuleDisplay, ModuleVisitor, Param},
    nn::{Linear, LinearConfig, PaddingConfig2d, conv::Conv2dConfig},
    optim::GradientsParams,
    tensor::{DType, Device, Distribution, Int, Tensor, activation},
};
use rectify::{FusedActivation, FusedConv2d, FusedLinear, FusedLinearConfig};
use rectify_train::{
    data::Batch,
    experiment::{Dtype, Experiment, ModelKind},
    network::{Mlp, Model, Network, Objective, Shape, Stack, Stacked, Stages, backward, needs_graph},
    observe::{Backward, Probe, Trace, parameters, report, weight_gradients},
    record::{Layer, Role},
};

const SHAPE: Shape = Shape { channels: 1, height: 6, width: 6, classes: 3 };

fn batch(device: &Device) -> Batch {
    let labels: Vec<i32> = (0..7).map(|i| i % 3).collect();
    Batch {
        images: Tensor::random([7, 36], Distribution::Normal(0.0, 1.0), device),
        labels: Tensor::<1, Int>::from_ints(labels.as_slice(), device),
    }
}

fn model(kind: ModelKind, activation: &str) -> Model {
    let experiment = Experiment { model: kind, hidden: Some(vec![5, 4]), ..Experiment::default() };
    Model::new(&experiment, &activation.parse().unwrap(), SHAPE, 0, &Device::flex().autodiff())
}

fn mlp(activation: &str) -> Mlp {
    match model(ModelKind::Mlp, activation) {
        Model::Mlp(mlp) => mlp,
        Model::Cnn(_) => panic!("it is an MLP"),
    }
}

/// All gradients, in the order of the parameters; `None` where one has none.
fn values<N: Module>(network: &N, gradients: &GradientsParams) -> Vec<Option<Vec<f64>>> {
    struct Values<'a>(&'a GradientsParams, Vec<Option<Vec<f64>>>);
    impl ModuleVisitor for Values<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id);
            self.1.push(gradient.map(|gradient| gradient.into_data().iter().collect()));
        }
    }
    let mut values = Values(gradients, Vec::new());
    network.visit(&mut values);
    values.1
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    assert!(!tensor.is_autodiff(), "what a pass gives tracks nothing");
    tensor.into_data().iter().collect()
}

/// Convolution, pooling, and rows that become images in the middle: not one of the models that this crate has.
#[derive(Module, Debug)]
struct Odd {
    widen: FusedLinear,
    conv: FusedConv2d,
    narrow: FusedLinear,
    head: FusedLinear,
}

impl Odd {
    fn new(device: &Device) -> Self {
        let linear = |d_input, d_output, activation| {
            FusedLinearConfig::new(d_input, d_output, activation).init(device).expect("it can be fused")
        };
        let conv = Conv2dConfig::new([2, 3], [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self {
            widen: linear(36, 32, FusedActivation::Tanh),
            conv: FusedConv2d::from_conv2d(conv, FusedActivation::Relu(Default::default())).expect("it can be fused"),
            narrow: linear(12, 5, FusedActivation::Sigmoid),
            head: linear(5, 3, FusedActivation::Identity),
        }
    }
}

impl Stacked for Odd {
    fn stack(&self) -> Stack<'_> {
        let images = Stages::new().linear("widen", &self.widen).images(2, 4, 4);
        let rows = images.convolution("conv", &self.conv).max_pool_2x2().flatten();
        rows.linear("narrow", &self.narrow).output("head", &self.head)
    }
}

/// A stacked network whose loss and objective are scaled.
#[derive(Module, Debug)]
struct Scaled<N: Module> {
    inner: N,
    loss: f64,
    objective: f64,
}

impl<N: Network + ModuleDisplay> Network for Scaled<N> {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        trace.within("inner", |trace| self.inner.forward(images, trace))
    }

    fn loss(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.inner.loss(outputs, labels) * self.loss
    }

    fn objective(&self, batch: Batch, trace: &mut Trace) -> Objective {
        let outputs = self.forward(batch.images, trace);
        Objective { value: self.loss(outputs.clone(), batch.labels) * self.objective, outputs }
    }
}

#[track_caller]
fn agrees_with_autodiff<N: Network + ModuleDisplay>(network: N) {
    let device = Device::flex().autodiff();
    assert!(!needs_graph(&network));
    let implicit = Scaled { inner: network.clone(), loss: 1.0, objective: 1.0 };
    assert!(needs_graph(&implicit));
    let batch = batch(&device);
    for share in [1.0, 0.3] {
        let expected = backward(&implicit, batch.clone(), share, &mut Trace::off());
        let untracked = Batch { images: batch.images.clone().without_autodiff(), labels: batch.labels.clone() };
        // With gradients tracked, and without.
        for (network, batch) in [(network.clone(), batch.clone()), (network.valid(), untracked)] {
            let found = backward(&network, batch, share, &mut Trace::off());
            let gradients = values(&network, &found.gradients);
            assert!(gradients.iter().all(|gradient| gradient.as_ref().is_some_and(|g| g.iter().any(|g| *g != 0.0))));
            assert_eq!(gradients, values(&implicit, &expected.gradients));
            assert_eq!(numbers(found.objective), numbers(expected.objective.clone()));
            assert_eq!(numbers(found.outputs), numbers(expected.outputs.clone()));
        }
    }
}

#[test]
fn stacks_have_the_outputs_and_the_gradients_of_autodiff_to_the_bit() {
    // The last three keep their pre-activations.
    for activation in
        ["relu", "sigmoid", "tanh", "none", "relu:leaky=0.1", "leaky-relu", "gelu", "silu", "relu:heaviside=0.5"]
    {
        agrees_with_autodiff(model(ModelKind::Mlp, activation));
        agrees_with_autodiff(model(ModelKind::Cnn, activation));
    }
    agrees_with_autodiff(mlp("relu"));
}

#[test]
fn a_stack_of_someones_own_has_them_too() {
    agrees_with_autodiff(Odd::new(&Device::flex().autodiff()));
}

#[test]
fn a_loss_or_objective_of_its_own_is_what_a_network_learns_by() {
    let (inner, batch) = (mlp("relu"), batch(&Device::flex().autodiff()));
    let plain = backward(&inner, batch.clone(), 1.0, &mut Trace::off());
    for (loss, objective) in [(4.0, 1.0), (1.0, 2.0), (-1.0, 8.0)] {
        // By powers of two, which leave every bit but the exponent's.
        let scale = loss * objective;
        let network = Scaled { inner: inner.clone(), loss, objective };
        let found = backward(&network, batch.clone(), 1.0, &mut Trace::off());
        let scaled = |values: Vec<f64>| values.into_iter().map(|value| scale * value).collect::<Vec<_>>();
        assert_eq!(numbers(found.objective), scaled(numbers(plain.objective.clone())));
        assert_eq!(numbers(found.outputs), numbers(plain.outputs.clone()));
        let expected = values(&inner, &plain.gradients).into_iter().map(|gradient| gradient.map(scaled));
        assert_eq!(values(&network, &found.gradients), expected.collect::<Vec<_>>());
    }
}

#[test]
fn what_a_stack_cannot_differentiate_is_left_to_autodiff() {
    for activation in ["prelu", "rrelu", "x*sigmoid(x)"] {
        assert!(needs_graph(&model(ModelKind::Mlp, activation)), "{activation} is no part of a layer");
        assert!(needs_graph(&model(ModelKind::Cnn, activation)), "{activation} is no part of a layer");
    }
    let half = Experiment { dtype: Dtype::Bf16, ..Experiment::default() };
    assert!(needs_graph(&Model::new(&half, &"relu".parse().unwrap(), SHAPE, 0, &Device::flex().autodiff())));

    let mut frozen = mlp("relu");
    frozen.output.weight = frozen.output.weight.set_require_grad(false);
    assert!(needs_graph(&frozen));
    let pass = backward(&frozen, batch(&Device::flex().autodiff()), 1.0, &mut Trace::off());
    let learnt: Vec<bool> = values(&frozen, &pass.gradients).iter().map(Option::is_some).collect();
    assert_eq!(learnt, [true, true, true, true, false, true], "all but the frozen weight");
}

fn observed<N: Network>(network: &N, probe: &Probe) -> (Vec<Layer>, GradientsParams) {
    let mut trace = Trace::gradients(probe).with_histograms();
    let pass = backward(network, batch(&Device::flex().autodiff()), 1.0, &mut trace);
    let passes = &[trace];
    let backward = Backward { passes, weights: weight_gradients(network, &pass.gradients), batches: &[] };
    (report(passes, Some(&parameters(network)), Some(&backward), None), pass.gradients)
}

/// Layers whose names end alike, begin alike, and say nothing of what they are for.
#[derive(Module, Debug)]
struct LookAlikes {
    encoder: Half,
    decoder: Half,
    hidden: Vec<Linear>,
    output: Linear,
    head: Linear,
}

#[derive(Module, Debug)]
struct Half {
    hidden: Vec<Linear>,
}

impl Network for LookAlikes {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        let mut x = trace.layer("encoder.hidden.0", self.encoder.hidden[0].forward(images), activation::tanh);
        x = trace
            .within("decoder", |trace| trace.layer("hidden.0", self.decoder.hidden[0].forward(x), activation::tanh));
        for (i, layer) in self.hidden.iter().enumerate() {
            x = trace.layer(&format!("hidden.{i}"), layer.forward(x), activation::tanh);
        }
        x = trace.layer("output", self.output.forward(x), activation::tanh);
        trace.output("head", self.head.forward(x))
    }
}

#[test]
fn each_layer_has_its_own_parameters_whatever_names_look_like() {
    let device = Device::flex().autodiff();
    let linear = |d_input, d_output| LinearConfig::new(d_input, d_output).init(&device);
    let network = LookAlikes {
        encoder: Half { hidden: vec![linear(36, 4)] },
        decoder: Half { hidden: vec![linear(4, 5)] },
        hidden: (0..11).map(|i| linear(5 + usize::from(i == 1), 5 + usize::from(i == 0))).collect(),
        output: linear(5, 6),
        head: linear(6, 3),
    };
    let (layers, gradients) = observed(&network, &Probe::new(&"tanh".parse().unwrap()));
    let linears = [&network.encoder.hidden[0], &network.decoder.hidden[0]].into_iter().chain(&network.hidden);
    let linears: Vec<&Linear> = linears.chain([&network.output, &network.head]).collect();
    assert_eq!(
        (layers.len(), layers[0].layer.as_str(), layers[1].layer.as_str()),
        (linears.len(), "encoder.hidden.0", "decoder.hidden.0")
    );
    let rms = |values: Vec<f64>| (values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64).sqrt();
    for (i, (layer, linear)) in layers.iter().zip(&linears).enumerate() {
        let close = |found: Option<f64>, expected: f64| {
            let found = found.unwrap_or_else(|| panic!("{} lacks a metric", layer.layer));
            assert!((found - expected).abs() <= 1e-5 * expected, "{}: {found}, not {expected}", layer.layer);
        };
        let [fan_in, fan_out] = linear.weight.shape().dims();
        assert_eq!((layer.fan_in, layer.fan_out, layer.units), (Some(fan_in), Some(fan_out), fan_out));
        let gradient = gradients.get::<2>(linear.weight.id).expect("every layer learns");
        close(layer.weight_grad_rms, rms(numbers(gradient)));
        close(layer.weight_rms, rms(numbers(linear.weight.val().without_autodiff())));
        let bias = linear.bias.as_ref().expect("it has one by default");
        close(layer.bias_rms, rms(numbers(bias.val().without_autodiff())));

        let last = i + 1 == linears.len();
        assert_eq!(layer.role, Some(if last { Role::Output } else { Role::Hidden }), "{}", layer.layer);
        assert_eq!(layer.activation.as_deref(), (!last).then_some("tanh"), "{}", layer.layer);
        assert_eq!(layer.zero_fraction.is_some(), !last, "{}", layer.layer);
    }
}

#[test]
fn the_layers_of_an_enum_have_the_names_of_its_variants_fields() {
    let (layers, _) = observed(&model(ModelKind::Cnn, "relu"), &Probe::new(&"relu".parse().unwrap()));
    let names: Vec<_> = layers.iter().map(|layer| (layer.layer.as_str(), layer.fan_in, layer.fan_out)).collect();
    let fans = |name, fan_in, fan_out| (name, Some(fan_in), Some(fan_out));
    assert_eq!(
        names,
        [
            fans("conv.0", 25, 6 * 25),
            fans("conv.1", 6 * 25, 16 * 25),
            fans("hidden.0", 16, 5),
            fans("hidden.1", 5, 4),
            fans("output", 4, 3)
        ]
    );
    assert!(layers.iter().all(|layer| layer.weight_grad_rms.is_some() && layer.weight_rms.is_some()));
}

#[test]
fn a_layer_is_not_said_to_have_an_activation_that_it_has_not() {
    // The experiment's is tanh, which one layer has.
    let (layers, _) = observed(&Odd::new(&Device::flex().autodiff()), &Probe::new(&"tanh".parse().unwrap()));
    let found: Vec<_> = layers.iter().map(|layer| (layer.layer.as_str(), layer.activation.as_deref())).collect();
    assert_eq!(found, [("widen", Some("tanh")), ("conv", None), ("narrow", None), ("head", None)]);
    let saturated: Vec<bool> = layers.iter().map(|layer| layer.saturated_fraction.is_some()).collect();
    assert_eq!(saturated, [true, false, false, false]);
}

#[test]
fn what_is_not_finite_is_counted_and_no_number_is_made_of_it() {
    let mut network = mlp("relu");
    // One weight of unit 2 of the first layer; all samples have an input for it.
    let weight = network.hidden[1].parameters().0.into_data();
    let mut values: Vec<f32> = weight.iter().collect();
    values[2] = f32::NAN;
    network.hidden[1] = {
        let device = Device::flex().autodiff();
        let (_, bias) = network.hidden[1].parameters();
        let data = burn::tensor::TensorData::new(values, [5, 4]);
        let linear = Linear {
            weight: Param::from_tensor(Tensor::from_data(data, (&device, DType::F32))),
            bias: Some(Param::from_tensor(bias.without_autodiff().autodiff())),
        };
        rectify_train::network::Dense::new(linear, network.hidden[1].activation.clone())
    };
    let (layers, _) = observed(&network, &Probe::new(&"relu".parse().unwrap()));
    let counts: Vec<_> = layers.iter().map(|layer| (layer.nonfinite_weights, layer.nonfinite_activations)).collect();
    // Unit 2 is NaN on all 7 samples, and all of the output with it.
    assert_eq!(counts, [(0, 0), (1, 7), (0, 21)]);

    let whole = &layers[0];
    assert!(whole.activation_std.is_some() && whole.zero_fraction.is_some() && whole.weight_rms.is_some());
    assert!(whole.histogram.is_some() && whole.unit_nonzero_fraction.len() == 5);
    // The gradient that comes down from NaN is NaN.
    assert_eq!(
        (whole.weight_grad_rms, whole.weight_grad_norm, whole.preactivation_grad_histogram.is_some()),
        (None, None, false)
    );
    assert!(layers.iter().all(|layer| layer.nonfinite_gradients > 0));
    let spoilt = &layers[1];
    let none = [
        spoilt.weight_rms,
        spoilt.preactivation_mean,
        spoilt.preactivation_std,
        spoilt.activation_mean,
        spoilt.activation_std,
        spoilt.zero_fraction,
        spoilt.dead_fraction,
        spoilt.preactivation_grad_rms,
        spoilt.preactivation_grad_norm,
    ];
    assert_eq!(none, [None; 9]);
    assert!(spoilt.histogram.is_none() && spoilt.preactivation_histogram.is_none());
    assert!(spoilt.unit_nonzero_fraction.is_empty());
    assert_eq!(spoilt.bias_rms, Some(0.0), "its biases are fine");
}
