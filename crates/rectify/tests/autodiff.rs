//! ReLU as one node of a graph and one layer of a model: shared, detached, checkpointed, saved, moved between threads.
#![cfg(feature = "flex")]

mod seeded;

use burn::{
    module::Module,
    nn::{Linear, LinearConfig},
    store::ModuleRecord,
    tensor::{Device, Gradients, Tensor, activation},
};
use rectify::{Activation, GradientRule, Relu, ReluConfig, Surrogate, relu};

const RULES: [GradientRule; 7] = [
    GradientRule::Heaviside { at_zero: 0.0 },
    GradientRule::Heaviside { at_zero: 0.5 },
    GradientRule::Leaky { slope: 0.1 },
    GradientRule::Surrogate(Surrogate::BSilu),
    GradientRule::Surrogate(Surrogate::NeLu { alpha: 0.1 }),
    GradientRule::Guided,
    GradientRule::Deconv,
];

fn layer(rule: GradientRule) -> Relu {
    ReluConfig::new().with_rule(rule).init().expect("the rule is in range")
}

fn leaf(values: &[f32]) -> Tensor<1> {
    Tensor::<1>::from_floats(values, &Device::flex().autodiff()).require_grad()
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn gradient<const D: usize>(x: &Tensor<D>, gradients: &Gradients) -> Vec<f32> {
    values(x.grad(gradients).expect("the tensor is a leaf of the graph"))
}

const X: [f32; 5] = [-2.0, -0.5, 0.0, 0.5, 3.0];

#[test]
fn backward_by_hand_is_that_of_autodiff() {
    let weigh = [1.0, -2.0, 3.0, -4.0, 5.0];
    for rule in RULES {
        let (x, layer) = (leaf(&X), layer(rule));
        let y = layer.forward(x.clone());
        let weigh = Tensor::<1>::from_floats(weigh, &Device::flex());
        let gradients = (y.clone() * weigh.clone().autodiff()).sum().backward();
        let expected = gradient(&x, &gradients);
        assert_eq!(values(layer.backward(x, weigh.clone())), expected, "{rule}, from the input");
        if !rule.needs_input() {
            assert_eq!(values(layer.backward(y, weigh)), expected, "{rule}, from the output");
        }
    }
}

/// What a pass keeps, the input, the output or the slope, in whose place and in how many parts, shows in no bit.
#[test]
fn every_activation_has_the_same_bits_however_its_slope_is_kept() {
    let device = Device::flex();
    for function in Activation::all() {
        for len in [1, 5, 64, 200, 1 << 17] {
            let numbers = (0..len).map(|i| ((i * 7919) % 4001) as f32 / 250.0 - 8.0).collect::<Vec<_>>();
            let x = Tensor::<1>::from_floats(numbers.as_slice(), &device);
            let weigh = x.clone().flip([0]) + 0.3;
            let output = function.forward(x.clone());
            let kept = if function.needs_input() { x.clone() } else { output.clone() };
            let expected = [values(output), values(function.backward(kept, weigh.clone()))];

            let tracked = |device: Device, held: bool| {
                let leaf = Tensor::<1>::from_data(x.to_data(), &device).require_grad();
                // Not the leaf, whose memory the test holds.
                let x = -(-leaf.clone());
                let other = held.then(|| x.clone());
                let output = function.forward(x);
                let loss = (output.clone() * Tensor::from_data(weigh.to_data(), &device)).sum();
                let gradients = loss.backward();
                drop(other);
                [values(output), gradient(&leaf, &gradients)]
            };
            let autodiff = device.clone().autodiff();
            assert!(tracked(autodiff.clone(), false) == expected, "{function:?}, {len}");
            assert!(tracked(autodiff.clone(), true) == expected, "{function:?}, {len}, held elsewhere");
            assert!(tracked(autodiff.gradient_checkpointing(), false) == expected, "{function:?}, {len}, checkpointed");
        }
    }
}

#[test]
fn a_tensor_used_twice_gets_both_gradients() {
    let x = leaf(&X);
    let gradients = (relu(x.clone()) + relu(x.clone()) * 10.0).sum().backward();
    assert_eq!(gradient(&x, &gradients), [0.0, 0.0, 0.0, 11.0, 11.0]);

    // d(x · relu(x))/dx = relu(x) + x · H(x)
    let x = leaf(&X);
    let gradients = (x.clone() * relu(x.clone())).sum().backward();
    assert_eq!(gradient(&x, &gradients), [0.0, 0.0, 0.0, 1.0, 6.0]);

    // One output used twice, once beside the product that keeps it.
    let x = leaf(&X);
    let y = relu(x.clone());
    let gradients = (y.clone() * y.clone() + y).sum().backward();
    assert_eq!(gradient(&x, &gradients), [0.0, 0.0, 0.0, 2.0, 7.0]);
}

#[test]
fn the_kept_output_survives_what_is_done_with_the_output() {
    // Each of these may write over its input where nobody else holds it.
    let cases: [fn(Tensor<1>) -> Tensor<1>; 4] = [|y| y - 5.0, |y| y.neg(), relu, |y| y.clamp(-1.0, 0.0)];
    for (case, then) in cases.into_iter().enumerate() {
        let x = leaf(&X);
        let gradients = (then(relu(x.clone())) * 0.0 + relu(x.clone())).sum().backward();
        assert_eq!(gradient(&x, &gradients), [0.0, 0.0, 0.0, 1.0, 1.0], "case {case}");
    }
}

#[test]
fn a_gradient_shared_by_two_branches_is_written_over_in_neither() {
    let (x, z) = (leaf(&X), leaf(&X));
    // The sum's gradient flows into relu(x) and into z alike.
    let gradients = (relu(x.clone()) + z.clone()).sum().backward();
    assert_eq!(gradient(&x, &gradients), [0.0, 0.0, 0.0, 1.0, 1.0]);
    assert_eq!(gradient(&z, &gradients), [1.0; 5]);
}

#[test]
fn nothing_flows_through_a_detached_tensor() {
    let x = leaf(&X);
    let detached = relu((x.clone() * 2.0).detach());
    assert!(!detached.is_tracked());
    let gradients = (detached + x.clone()).sum().backward();
    assert_eq!(gradient(&x, &gradients), [1.0; 5]);

    let x = leaf(&X);
    let gradients = (relu(x.clone()).detach() * x.clone()).sum().backward();
    assert_eq!(gradient(&x, &gradients), values(relu(Tensor::<1>::from_floats(X, &Device::flex()))));
}

#[test]
fn an_untracked_tensor_gives_an_untracked_output() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        for rule in RULES {
            let y = layer(rule).forward(Tensor::<1>::from_floats(X, &device));
            assert!(!y.is_tracked());
            assert_eq!(values(y), [0.0, 0.0, 0.0, 0.5, 3.0]);
        }
    }
}

#[test]
fn a_parameter_that_joins_after_relu_leaves_the_input_untracked() {
    let device = Device::flex().autodiff();
    let data = Tensor::<1>::from_floats(X, &device);
    let w = leaf(&[1.0; 5]);
    let gradients = (relu(data.clone()) * w.clone()).sum().backward();
    assert_eq!(gradient(&w, &gradients), [0.0, 0.0, 0.0, 0.5, 3.0]);
    assert!(data.grad(&gradients).is_none());
}

#[derive(Module, Debug)]
struct Network {
    layers: Vec<Linear>,
    relu: Relu,
}

impl Network {
    fn new(rule: GradientRule, device: &Device) -> Self {
        let layers = [[6, 16], [16, 16], [16, 16], [16, 3]];
        Self {
            layers: layers.iter().map(|[inputs, outputs]| LinearConfig::new(*inputs, *outputs).init(device)).collect(),
            relu: layer(rule),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.forward_with(x, |x| self.relu.forward(x))
    }

    fn forward_with(&self, x: Tensor<2>, relu: impl Fn(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        let (last, hidden) = self.layers.split_last().expect("a network has layers");
        last.forward(hidden.iter().fold(x, |x, layer| relu(layer.forward(x))))
    }

    /// Gradients of all weights and biases, and of the input.
    fn gradients(&self, x: &Tensor<2>, loss: Tensor<1>) -> Vec<Vec<f32>> {
        let gradients = loss.backward();
        let weights = self.layers.iter().map(|layer| gradient(&layer.weight.val(), &gradients));
        let biases = self.layers.iter().map(|layer| {
            let bias = layer.bias.as_ref().expect("layers have a bias by default");
            gradient(&bias.val(), &gradients)
        });
        weights.chain(biases).chain([gradient(x, &gradients)]).collect()
    }
}

fn batch(device: &Device) -> Tensor<2> {
    seeded::normal([8, 6], 1.0, device)
}

/// The same network and batch on another device.
fn moved(network: &Network, device: &Device) -> Network {
    let record = network.clone().into_record();
    Network::new(network.relu.rule(), device).load_record(record)
}

#[test]
fn a_model_has_the_gradients_that_burns_relu_gives_it() {
    let device = Device::flex().autodiff();
    let network = Network::new(GradientRule::default(), &device);
    let x = batch(&device).require_grad();
    let ours = network.gradients(&x, network.forward(x.clone()).powi_scalar(2).sum());
    let burns = network.gradients(&x, network.forward_with(x.clone(), activation::relu).powi_scalar(2).sum());
    assert_eq!(ours, burns);
    assert!(ours.iter().flatten().any(|gradient| *gradient != 0.0));
}

#[test]
fn gradient_checkpointing_changes_no_gradient_under_any_rule() {
    let plain = Device::flex().autodiff();
    let checkpointing = plain.clone().gradient_checkpointing();
    for rule in RULES {
        let network = Network::new(rule, &plain);
        let x = batch(&plain);
        let run = |network: Network, device: &Device| {
            let x = Tensor::<2>::from_data(x.to_data(), device).require_grad();
            // Elementwise steps between the layers as well, which checkpointing computes again.
            let y = network.forward_with(x.clone(), |x| (network.relu.forward(x) * 1.5 + 0.25).exp().log());
            network.gradients(&x, y.powi_scalar(2).sum())
        };
        let kept = run(moved(&network, &plain), &plain);
        let computed_again = run(moved(&network, &checkpointing), &checkpointing);
        assert_eq!(kept, computed_again, "{rule}");
        assert!(kept.iter().flatten().any(|gradient| *gradient != 0.0), "{rule}");
    }
}

#[test]
fn gradient_checkpointing_serves_one_tensor_used_many_times() {
    for rule in RULES {
        let run = |device: Device| {
            let x = Tensor::<1>::from_floats(X, &device).require_grad();
            let inner = x.clone() * 2.0 - 0.5;
            let y = layer(rule).forward(inner.clone());
            let z = layer(rule).forward(y.clone() - inner.clone()) * y.clone() + layer(rule).forward(inner) * y;
            gradient(&x, &z.sum().backward())
        };
        let device = Device::flex().autodiff();
        assert_eq!(run(device.clone()), run(device.gradient_checkpointing()), "{rule}");
    }
}

#[test]
fn the_modules_text_shows_its_rule() {
    assert_eq!(Relu::default().to_string(), "Relu {rule: heaviside=0}");
    assert_eq!(layer(GradientRule::Leaky { slope: 0.01 }).to_string(), "Relu {rule: leaky=0.01}");
    let network = Network::new(GradientRule::Guided, &Device::flex()).to_string();
    assert!(network.contains("relu: Relu {rule: guided}"), "{network}");
}

#[test]
fn a_model_saved_and_loaded_gives_the_same_outputs() {
    let device = Device::flex();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("network.bpk");
    let network = Network::new(GradientRule::Leaky { slope: 0.3 }, &device);
    let x = batch(&device);
    let expected = values(network.forward(x.clone()));
    let parameters = network.num_params();

    network.clone().save_file(&file).expect("it can be written");
    let loaded = Network::new(GradientRule::Guided, &device).try_load_file(&file).expect("it can be read");
    assert_eq!(values(loaded.forward(x.clone())), expected);
    assert_eq!(loaded.num_params(), parameters, "ReLU has no parameters");
    // As every setting in Burn, the rule is the config's and not the record's.
    assert_eq!(loaded.relu.rule(), GradientRule::Guided);

    let bytes = network.into_record().into_bytes().expect("it can be written");
    let record = ModuleRecord::from_bytes(bytes).expect("it can be read");
    let loaded = Network::new(GradientRule::default(), &device).try_load_record(record).expect("it fits");
    assert_eq!(values(loaded.forward(x)), expected);
}

#[test]
fn validation_tracks_nothing_and_training_comes_back_with_the_rule() {
    let device = Device::flex().autodiff();
    let rule = GradientRule::Heaviside { at_zero: 0.5 };
    let network = Network::new(rule, &device);
    let x = batch(&Device::flex());

    let valid = network.valid();
    assert_eq!(valid.relu.rule(), rule);
    let output = valid.forward(x.clone());
    assert!(!output.is_tracked() && !output.device().is_autodiff());

    let train = valid.train();
    assert_eq!(train.relu.rule(), rule);
    let tracked = train.forward(x.autodiff());
    assert!(tracked.is_tracked());
    assert_eq!(values(tracked), values(output));
}

#[test]
fn forks_on_other_threads_have_the_same_gradients() {
    let device = Device::flex().autodiff();
    for rule in RULES {
        let network = Network::new(rule, &device);
        let x = batch(&device);
        let run = |network: &Network, x: Tensor<2>| {
            let x = x.require_grad();
            let loss = network.forward(x.clone()).powi_scalar(2).sum();
            network.gradients(&x, loss)
        };
        let expected = run(&network, Tensor::from_data(x.to_data(), &device));
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let fork = network.clone().fork(&device);
                    let x = Tensor::<2>::from_data(x.to_data(), &device);
                    scope.spawn(move || run(&fork, x))
                })
                .collect();
            for thread in threads {
                assert_eq!(thread.join().expect("the thread ran to its end"), expected, "{rule}");
            }
        });
    }
}

#[test]
fn a_graph_built_on_one_thread_runs_backward_on_another() {
    let x = leaf(&X);
    let loss = layer(GradientRule::Leaky { slope: 0.5 }).forward(x.clone()).sum();
    let found = std::thread::spawn(move || gradient(&x, &loss.backward())).join().expect("the thread ran to its end");
    assert_eq!(found, [0.5, 0.5, 0.5, 1.0, 1.0]);
}
