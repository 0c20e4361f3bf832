//! A monitor beside loops that are not ours.

use burn::{
    module::{Module, Param},
    nn::{
        Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig,
        attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig},
        conv::{Conv2d, Conv2dConfig},
        gru::{Gru, GruConfig},
        loss::CrossEntropyLossConfig,
    },
    optim::{GradientsParams, SgdConfig},
    tensor::{Device, Int, Tensor, TensorData},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rectify_train::{
    compare::{Compare, join, join_and_diagnose},
    examine::diagnoses,
    judge::diagnose::{Diagnosis, Severity},
    monitor::{Callback, MOST_LOOKS, Monitor, Sampling, Tapped, Taps},
    observe::weights,
    record::{Role, Run, Status},
};

/// Random numbers in −1..1.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
    (0..count).map(|_| 2.0 * random.random::<f32>() - 1.0).collect()
}

/// Points of a square, and in which quarter of it they are.
fn batch(step: usize, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    const SIZE: usize = 64;
    let points = numbers(2 * SIZE, step);
    let quarter = |point: &[f32]| i32::from(point[0] > 0.0) + 2 * i32::from(point[1] > 0.0);
    let labels: Vec<i32> = points.chunks(2).map(quarter).collect();
    (
        Tensor::from_data(TensorData::new(points, [SIZE, 2]), device),
        Tensor::from_data(TensorData::new(labels, [SIZE]), device),
    )
}

#[derive(Module, Debug)]
struct Net {
    hidden: Vec<Linear>,
    activations: Vec<Tapped>,
    head: Linear,
}

impl Net {
    /// So many hidden layers; weights of that standard deviation and biases of `bias`.
    fn new(activation: &str, layers: usize, std: f64, bias: f64, taps: &Taps, device: &Device) -> Self {
        let activation = activation.parse().expect("a known activation");
        // Not by the device's generator, which tests side by side share.
        let drawn = |place: usize, width: usize, units: usize, std: f64, bias: f64| {
            // A uniform number in −1..1 has the deviation 1/√3.
            let scale = std as f32 * 3f32.sqrt();
            let weights: Vec<f32> = numbers(width * units, 1000 + place).into_iter().map(|x| scale * x).collect();
            Linear {
                weight: Param::from_tensor(Tensor::from_data(TensorData::new(weights, [width, units]), device)),
                bias: Some(Param::from_tensor(Tensor::full([units], bias, device))),
            }
        };
        let linear = |place: usize| drawn(place, if place == 0 { 2 } else { 32 }, 32, std, bias);
        let tap = |place: usize| taps.tap(&format!("hidden.{place}"), &activation, device);
        Self {
            hidden: (0..layers).map(linear).collect(),
            activations: (0..layers).map(tap).collect(),
            head: drawn(layers, 32, 4, 0.1, 0.0),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let layers = self.hidden.iter().zip(&self.activations);
        self.head.forward(layers.fold(x, |x, (linear, activation)| activation.forward(linear.forward(x))))
    }
}

/// Trains for some steps, and hands each to the monitor, where there is one.
fn train(mut net: Net, steps: usize, lr: f64, mut monitor: Option<&mut Monitor>, device: &Device) -> Net {
    let mut optimizer = SgdConfig::new().init();
    for step in 1..=steps {
        let (x, labels) = batch(step, device);
        let loss = CrossEntropyLossConfig::new().init(device).forward(net.forward(x), labels);
        let gradients = GradientsParams::from_grads(loss.clone().backward(), &net);
        if let Some(monitor) = &mut monitor {
            monitor.step(step, &loss, &net, &gradients);
        }
        net = optimizer.step(lr, net, gradients);
    }
    net
}

fn monitored(activation: &str, layers: usize, std: f64, bias: f64, lr: f64) -> (Run, Diagnosis) {
    let (device, taps) = (Device::flex().autodiff(), Taps::default());
    let net = Net::new(activation, layers, std, bias, &taps, &device);
    let mut monitor = Monitor::new(&net).taps(&taps).class_counts(&[100; 4]).batch_size(64);
    train(net, 400, lr, Some(&mut monitor), &device);
    (monitor.record(), monitor.diagnosis())
}

fn found(diagnosis: &Diagnosis) -> Vec<&str> {
    let bad = diagnosis.findings.iter().filter(|finding| finding.severity > Severity::Info);
    bad.map(|finding| finding.detector).collect()
}

#[test]
fn a_healthy_loop_is_healthy_and_every_layer_is_measured() {
    let (run, diagnosis) = monitored("relu", 2, 0.35, 0.0, 0.1);
    assert!(diagnosis.healthy, "{diagnosis}");
    assert_eq!((run.status, run.steps), (Status::Completed, 400));
    let [start, .., end] = &run.epochs[..] else { panic!("{} looks", run.epochs.len()) };
    assert_eq!((start.step, start.layers.len()), (0, 3));
    assert!(start.layers.iter().all(|layer| layer.update_to_weight_ratio.is_none()), "nothing moved before step 1");
    assert_eq!(end.step, 399);
    for layer in &end.layers {
        let measured = [layer.weight_rms, layer.weight_grad_rms, layer.update_to_weight_ratio];
        assert!(measured.iter().all(|value| value.is_some_and(|value| value > 0.0)), "{layer:?}");
    }
    let hidden = &end.layers[0];
    assert_eq!(
        (&*hidden.layer, hidden.role, hidden.units, hidden.fan_in),
        ("hidden.0", Some(Role::Hidden), 32, Some(2))
    );
    assert_eq!(hidden.activation.as_deref(), Some("relu"));
    assert!(hidden.zero_fraction.is_some_and(|zero| (0.2..0.8).contains(&zero)), "{hidden:?}");
    let head = &end.layers[2];
    assert_eq!((&*head.layer, head.role, head.units, head.zero_fraction), ("head", Some(Role::Output), 4, None));
    // The ratio of a plain step is lr · ‖g‖ / ‖w‖, of the step before the look: near that of the look's own.
    let expected = 0.1 * head.weight_grad_rms.unwrap() / head.weight_rms.unwrap();
    let ratio = head.update_to_weight_ratio.unwrap() / expected;
    assert!((0.3..3.0).contains(&ratio), "{ratio}");
}

#[test]
fn planted_faults_are_found_with_their_layer() {
    let (_, small) = monitored("sigmoid", 6, 0.02, 0.0, 0.1);
    assert!(found(&small).contains(&"vanishing-gradient"), "{small}");
    assert!(found(&small).contains(&"not-learning"), "{small}");
    let (_, dead) = monitored("relu", 2, 0.35, -10.0, 0.1);
    assert!(found(&dead).contains(&"dead-units"), "{dead}");
    let layers = &dead.findings.iter().find(|finding| finding.detector == "dead-units").unwrap().layers;
    assert_eq!(layers, &["hidden.0", "hidden.1"]);
    let (run, wild) = monitored("relu", 2, 0.35, 0.0, 1e6);
    assert!(found(&wild).contains(&"divergence"), "{wild}");
    assert_eq!(run.status, Status::Diverged);
}

#[test]
fn with_and_without_a_monitor_weights_are_the_same_to_the_bit() {
    let device = Device::flex().autodiff();
    let trained = |monitored: bool| {
        let taps = Taps::default();
        let net = Net::new("gelu", 3, 0.3, 0.0, &taps, &device);
        let mut monitor = monitored.then(|| Monitor::new(&net).taps(&taps).sampling(Sampling::Thorough));
        let net = train(net, 50, 0.1, monitor.as_mut(), &device);
        weights(&net).into_iter().map(|(path, values)| (path, values.into_data())).collect::<Vec<_>>()
    };
    assert_eq!(trained(true), trained(false));
}

/// A model that is trained by a loop which knows no monitor, as burn-train's is.
#[derive(Module, Debug)]
struct Held {
    net: Net,
    #[module(skip)]
    callback: Callback,
}

#[test]
fn a_callback_in_the_model_sees_what_a_monitor_in_the_loop_sees() {
    let device = Device::flex().autodiff();
    let fresh = |taps: &Taps| Net::new("relu", 2, 0.35, 0.0, taps, &device);
    let taps = Taps::default();
    let net = fresh(&taps);
    let mut monitor = Monitor::new(&net).taps(&taps);
    train(net, 50, 0.1, Some(&mut monitor), &device);

    let taps = Taps::default();
    let mut held = Held { net: fresh(&taps), callback: Callback::default() };
    let callback = held.callback.clone();
    assert!(callback.take().is_none());
    callback.watch(Monitor::new(&held).taps(&taps));
    let mut optimizer = SgdConfig::new().init();
    for step in 1..=50 {
        let (x, labels) = batch(step, &device);
        let loss = CrossEntropyLossConfig::new().init(&device).forward(held.net.forward(x), labels);
        let gradients = GradientsParams::from_grads(loss.clone().backward(), &held);
        held.callback.step(&loss, &held, &gradients);
        held = optimizer.step(0.1, held, gradients);
    }
    let mut called = callback.take().unwrap().record();
    assert_eq!(called.steps, 50);
    // The taps know the layers by the names that they were given, the monitor by their paths, `net.hidden.0`.
    for layer in called.epochs.iter_mut().flat_map(|epoch| &mut epoch.layers) {
        layer.layer = layer.layer.trim_start_matches("net.").to_owned();
    }
    let weights_of = |run: &Run| -> Vec<_> {
        let layers = run.epochs.iter().flat_map(|epoch| &epoch.layers);
        layers.filter_map(|layer| Some((layer.layer.clone(), layer.weight_rms?, layer.weight_grad_norm))).collect()
    };
    assert!(!weights_of(&called).is_empty());
    assert_eq!(weights_of(&called), weights_of(&monitor.record()));
    assert!(held.callback.take().is_none(), "there is one of it, whoever holds it");
}

#[test]
fn news_are_told_once() {
    let (device, taps) = (Device::flex().autodiff(), Taps::default());
    let net = Net::new("relu", 2, 0.35, -10.0, &taps, &device);
    let mut monitor = Monitor::new(&net).taps(&taps);
    train(net, 30, 0.1, Some(&mut monitor), &device);
    let first: Vec<&str> = monitor.news().iter().map(|finding| finding.detector).collect();
    assert!(first.contains(&"dead-units"), "{first:?}");
    assert!(monitor.news().is_empty());
}

#[test]
fn a_long_loop_takes_no_more_looks_than_a_short_one() {
    let (device, taps) = (Device::flex().autodiff(), Taps::default());
    let net = Net::new("tanh", 1, 0.5, 0.0, &taps, &device);
    let mut monitor = Monitor::new(&net).taps(&taps).sampling(Sampling::Thorough);
    train(net, 4 * MOST_LOOKS, 0.05, Some(&mut monitor), &device);
    let run = monitor.record();
    assert!(run.epochs.len() <= MOST_LOOKS, "{}", run.epochs.len());
    assert_eq!(run.epochs[0].step, 0);
    let steps: Vec<usize> = run.epochs.iter().map(|epoch| epoch.step).collect();
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
}

#[test]
fn a_saved_loop_is_diagnosed_as_it_was_and_trained_by_nothing() {
    let (device, taps) = (Device::flex().autodiff(), Taps::default());
    let net = Net::new("sigmoid", 6, 0.02, 0.0, &taps, &device);
    let mut monitor = Monitor::new(&net).taps(&taps).class_counts(&[100; 4]).named("deep-sigmoid", 3);
    train(net, 100, 0.1, Some(&mut monitor), &device);
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("run");
    monitor.save(&folder).unwrap();
    let joined = join(std::slice::from_ref(&folder)).unwrap();
    assert_eq!(joined.notes, Vec::<String>::new());
    assert_eq!(joined.results.runs, [monitor.record()]);
    let read: Vec<Diagnosis> = diagnoses(&joined.results, &[&folder]);
    assert_eq!(read, [monitor.diagnosis()]);
    assert_eq!(join_and_diagnose(std::slice::from_ref(&folder)).unwrap().1, read);
    assert_eq!((&*read[0].activation, read[0].seed), ("deep-sigmoid", 3));
    // A second time the folder is taken, and what is there stays.
    assert!(monitor.save(&folder).is_err());
    let error = match Compare::resume(&folder) {
        Ok(compare) => compare.run(&false.into(), &|_| {}).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("deep-sigmoid") && error.contains("loop of its own"), "{error}");
}

#[derive(Module, Debug)]
struct Zoo {
    conv: Conv2d,
    embedding: Embedding,
    norm: LayerNorm,
    attention: MultiHeadAttention,
    gru: Gru,
    head: Linear,
}

#[test]
fn every_kind_of_module_has_its_layers() {
    let device = Device::flex().autodiff();
    let mut zoo = Zoo {
        conv: Conv2dConfig::new([1, 4], [2, 2]).init(&device),
        embedding: EmbeddingConfig::new(8, 4).init(&device),
        norm: LayerNormConfig::new(4).init(&device),
        attention: MultiHeadAttentionConfig::new(4, 2).init(&device),
        gru: GruConfig::new(4, 4, true).init(&device),
        head: LinearConfig::new(4, 2).init(&device),
    };
    let mut optimizer = SgdConfig::new().init();
    let mut monitor = Monitor::new(&zoo).sampling(Sampling::Thorough);
    for step in 1..=4 {
        let image = Tensor::<4>::from_data(TensorData::new(numbers(3 * 16, step), [3, 1, 4, 4]), &device);
        let seen = zoo.conv.forward(image).mean_dim(3).mean_dim(2).reshape([3, 1, 4]);
        let tokens = Tensor::<2, Int>::from_data([[0, 1, 2], [3, 4, 5], [6, 7, 0]], &device);
        let x = zoo.norm.forward(zoo.embedding.forward(tokens) + seen);
        let x = zoo.attention.forward(MhaInput::self_attn(x)).context;
        let x = zoo.gru.forward(x, None).mean_dim(1).reshape([3, 4]);
        let labels = Tensor::<1, Int>::from_data([0, 1, 0], &device);
        let loss = CrossEntropyLossConfig::new().init(&device).forward(zoo.head.forward(x), labels);
        let gradients = GradientsParams::from_grads(loss.clone().backward(), &zoo);
        monitor.step(step, &loss, &zoo, &gradients);
        zoo = optimizer.step(0.1, zoo, gradients);
    }
    let run = monitor.record();
    let last = run.epochs.last().unwrap();
    let names: Vec<&str> = last.layers.iter().map(|layer| layer.layer.as_str()).collect();
    let expected = ["conv", "embedding", "attention.query", "attention.key", "attention.value", "attention.output"];
    assert_eq!(names[..6], expected);
    assert!(names.contains(&"gru.update_gate.input_transform"), "{names:?}");
    assert_eq!((last.layers.last().unwrap().role, names.last()), (Some(Role::Output), Some(&"head")));
    assert!(last.layers.iter().all(|layer| layer.weight_grad_rms.is_some() && layer.units > 0), "{last:?}");
    // Without taps nothing tells of activations, and the detectors that ask for them say so.
    let skipped: Vec<&str> = monitor.diagnosis().skipped.iter().map(|skipped| skipped.detector).collect();
    assert!(skipped.contains(&"dead-units") && skipped.contains(&"saturated-units"), "{skipped:?}");
}
