//! What stands around a layer's activation: normalisation against Burn's own, dropout, skips.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::{
    module::{Module, Param},
    nn::{BatchNormConfig, GroupNormConfig, Initializer, LayerNormConfig, LinearConfig},
    tensor::{DType, Device, Distribution, Int, Tensor, TensorData, Tolerance},
};
use rectify_train::{
    activation::Activation,
    data::Batch,
    experiment::{Experiment, ModelKind, NormKind},
    network::{Dense, Model, Network, Norm, Shape, backward, needs_graph},
    observe::{Trace, Training, weights},
    train::Learner,
};

const SHAPE: Shape = Shape { channels: 1, height: 6, width: 6, classes: 3 };

fn device() -> Device {
    Device::flex()
}

fn norm(kind: NormKind, units: usize) -> Norm {
    Norm::new(kind, units, 0.0, (&device().autodiff(), DType::F32)).expect("it normalises")
}

/// Flex has one generator for the whole process: whoever draws by a seed must not share its numbers with another test.
fn drawing() -> MutexGuard<'static, ()> {
    static DRAWING: Mutex<()> = Mutex::new(());
    DRAWING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn values<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let _drawing = drawing();
    Tensor::random(shape, Distribution::Normal(2.0, 3.0), &device()).autodiff()
}

fn in_training() -> Trace {
    Trace::off().in_training(Training::new(0, 0, 0))
}

fn same<const D: usize>(found: Tensor<D>, expected: Tensor<D>) {
    found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(2e-5));
}

/// Output and the input's gradient, of a loss that weighs every output differently.
fn passed<const D: usize>(x: Tensor<D>, pass: impl FnOnce(Tensor<D>) -> Tensor<D>) -> [Tensor<D>; 2] {
    let x = x.without_autodiff().autodiff().require_grad();
    let output = pass(x.clone());
    let count = output.shape().num_elements() as i64;
    let weight = Tensor::<1, Int>::arange(0..count, &x.device()).float().reshape(x.dims()) / count as f64;
    let gradients = (output.clone() * weight).sum().backward();
    [output.without_autodiff(), x.grad(&gradients).expect("it is tracked")]
}

fn same_passes<const D: usize>(
    x: Tensor<D>,
    ours: impl FnOnce(Tensor<D>) -> Tensor<D>,
    burns: impl FnOnce(Tensor<D>) -> Tensor<D>,
) {
    for (found, expected) in passed(x.clone(), ours).into_iter().zip(passed(x, burns)) {
        same(found, expected);
    }
}

#[test]
fn normalisation_gives_what_burns_own_gives_forward_and_backward() {
    let tracked = device().autodiff();
    let rows = values([7, 5]);
    let images = values([4, 3, 5, 2]);
    same_passes(
        rows.clone(),
        |x| norm(NormKind::Layer, 5).forward(x, &mut in_training()),
        |x| LayerNormConfig::new(5).init(&tracked).forward(x),
    );
    same_passes(
        images.clone(),
        |x| norm(NormKind::Layer, 3).forward(x, &mut in_training()),
        |x| GroupNormConfig::new(1, 3).init(&tracked).forward(x),
    );
    same_passes(
        rows,
        |x| norm(NormKind::Batch, 5).forward(x, &mut in_training()),
        |x| BatchNormConfig::new(5).init(&tracked).forward(x),
    );
    same_passes(
        images,
        |x| norm(NormKind::Batch, 3).forward(x, &mut in_training()),
        |x| BatchNormConfig::new(3).init(&tracked).forward(x),
    );
}

fn model(experiment: &Experiment) -> Model {
    let _drawing = drawing();
    Model::new(experiment, &experiment.activations[0], SHAPE, 0, &device().autodiff())
}

fn experiment() -> Experiment {
    Experiment { hidden: Some(vec![8, 8, 8]), lr: Some(0.1), ..Experiment::default() }
}

fn batch(samples: usize) -> Batch {
    let _drawing = drawing();
    let labels: Vec<i32> = (0..samples).map(|i| (i % 3) as i32).collect();
    Batch {
        images: Tensor::random([samples, 36], Distribution::Normal(0.0, 1.0), &device()),
        labels: Tensor::<1, Int>::from_data(TensorData::new(labels, [samples]), &device()),
    }
}

fn outputs(model: &Model, images: &Tensor<2>) -> Vec<f32> {
    model.valid().forward(images.clone(), &mut Trace::off()).into_data().iter().collect()
}

#[test]
fn batch_normalisation_evaluates_by_running_means_of_its_batches() {
    // One layer, rate as good as 0, so that what is normalised stays: z = x W.
    for kind in [ModelKind::Mlp, ModelKind::Cnn] {
        let experiment = Experiment {
            model: kind,
            norm: NormKind::Batch,
            hidden: Some(vec![4]),
            activations: vec!["none".parse().expect("known")],
            lr: Some(1e-30),
            ..Experiment::default()
        };
        let network = model(&experiment);
        let batch = batch(50);
        let mut trace = in_training();
        let in_training = network.valid().forward(batch.images.clone(), &mut trace);
        let expected: Vec<f32> = in_training.into_data().iter().collect();
        let largest_difference = |found: Vec<f32>| {
            found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
        };
        let before = largest_difference(outputs(&network, &batch.images));
        let mut learner = Learner::new(network, &experiment);
        for _ in 0..150 {
            learner = learner.step(batch.clone(), None, false).0;
        }
        let after = largest_difference(outputs(&learner.into_network(), &batch.images));
        // The same batch again and again: running means come to its own, 0.9¹⁵⁰ = 1e-7 away from them; the unbiased
        // variance is 50 / 49 times the batch's.
        assert!(before > 0.1 && after < 0.04, "{kind}: {before} before, {after} after");
    }
}

#[test]
fn dropout_drops_its_fraction_keeps_the_mean_and_does_nothing_in_evaluation() {
    let ones = Tensor::<2>::ones([200, 100], &device());
    let drop = |rate, seed, step, first| -> Vec<f32> {
        let mut trace = Trace::off().in_training(Training::new(seed, step, first));
        trace.dropout(ones.clone(), rate).into_data().iter().collect()
    };
    for rate in [0.1, 0.5, 0.9] {
        let dropped = drop(rate, 3, 5, 0);
        let zeros = dropped.iter().filter(|value| **value == 0.0).count() as f64 / dropped.len() as f64;
        // Four standard errors of a proportion of 20 000.
        assert!((zeros - rate).abs() < 4.0 * (rate * (1.0 - rate) / 20_000.0).sqrt(), "{zeros} of {rate}");
        let kept = 1.0 / (1.0 - rate as f32);
        assert!(dropped.iter().all(|value| *value == 0.0 || (value / kept - 1.0).abs() < 1e-6));
    }
    assert_eq!(drop(0.5, 3, 5, 0), drop(0.5, 3, 5, 0));
    assert!([(4, 5), (3, 6)].iter().all(|(seed, step)| drop(0.5, *seed, *step, 0) != drop(0.5, 3, 5, 0)));
    // A part of a batch drops what the whole drops of it.
    assert_eq!(drop(0.5, 3, 5, 50)[..100 * 100], drop(0.5, 3, 5, 0)[50 * 100..150 * 100]);
    let evaluated: Vec<f32> = Trace::off().dropout(ones.clone(), 0.5).into_data().iter().collect();
    assert!(evaluated.iter().all(|value| *value == 1.0));
}

#[test]
fn layers_drop_independently_and_threads_drop_what_one_drops() {
    let dropping = Experiment { dropout: 0.5, ..experiment() };
    let batch = batch(12);
    let after = |threads: usize| -> Vec<f64> {
        let experiment = Experiment { threads, ..dropping.clone() };
        let mut learner = Learner::new(model(&experiment), &experiment).with_seed(7);
        for _ in 0..3 {
            learner = learner.step(batch.clone(), None, false).0;
        }
        let weights = weights(learner.network());
        weights.into_iter().flat_map(|(_, weight)| weight.into_data().iter::<f64>().collect::<Vec<_>>()).collect()
    };
    let alone = after(1);
    assert_eq!(after(1), alone);
    for (shared, alone) in after(3).iter().zip(&alone) {
        assert!((shared - alone).abs() < 1e-6, "{shared} and {alone}");
    }
    let mut trace = in_training();
    let ones = Tensor::<2>::ones([40, 40], &device());
    let [one, other] = [(); 2].map(|()| trace.dropout(ones.clone(), 0.5).into_data());
    assert_ne!(one, other);
}

#[test]
fn a_skip_adds_the_input_of_layers_that_are_as_wide() {
    // Without weights φ gives 0, and what the first layer gives passes the others unchanged.
    let images = batch(5).images;
    for (init, hidden) in [("normal:0", vec![8, 8]), ("he-normal", vec![8, 4])] {
        let plain = Experiment { hidden: Some(hidden), init: init.parse().expect("known"), ..experiment() };
        let skipping = Experiment { residual: true, ..plain.clone() };
        assert_eq!(outputs(&model(&plain), &images), outputs(&model(&skipping), &images), "{init}");
    }
    let plain = experiment();
    let skipping = Experiment { residual: true, ..plain.clone() };
    let (Model::Mlp(skipping), Model::Mlp(plain)) = (model(&skipping), model(&plain)) else { panic!("they are MLPs") };
    let trace = &mut Trace::off();
    let by_hand = plain.hidden.iter().enumerate().fold(images.clone(), |x, (i, layer)| {
        let output = layer.forward("", x.clone(), trace);
        if i == 0 { output } else { x + output }
    });
    let found = skipping.hidden.iter().fold(images, |x, layer| layer.forward("", x, trace));
    same(found.without_autodiff(), by_hand.without_autodiff());
}

#[test]
fn what_stands_around_layers_takes_gradients_by_autodiff_and_nothing_else_does() {
    for (experiment, by_autodiff) in [
        (experiment(), false),
        (Experiment { schedule: "cosine".parse().expect("known"), ..experiment() }, false),
        (Experiment { norm: NormKind::Batch, ..experiment() }, true),
        (Experiment { norm: NormKind::Layer, model: ModelKind::Cnn, ..experiment() }, true),
        (Experiment { dropout: 0.1, ..experiment() }, true),
        (Experiment { residual: true, ..experiment() }, true),
    ] {
        let network = model(&experiment);
        assert_eq!(needs_graph(&network), by_autodiff);
        let pass = backward(&network, batch(9), 1.0, &mut in_training());
        assert!(pass.objective.into_scalar::<f32>().is_finite());
    }
}

#[test]
fn rrelu_draws_slopes_in_training_by_seed_step_and_place_and_takes_their_mean_in_evaluation() {
    for kind in [ModelKind::Mlp, ModelKind::Cnn] {
        let with = |activation: &str| -> Experiment {
            let activations = vec![activation.parse().expect("known")];
            Experiment { model: kind, hidden: Some(vec![20]), activations, ..experiment() }
        };
        let (network, mean) = (model(&with("rrelu:0.1:0.5")).valid(), model(&with("leaky-relu:0.3")));
        let images = batch(50).images;
        same(
            network.forward(images.clone(), &mut Trace::off()),
            mean.valid().forward(images.clone(), &mut Trace::off()),
        );

        let drawn = |seed, step, first| -> Vec<f32> {
            let mut trace = Trace::off().in_training(Training::new(seed, step, first));
            network.forward(images.clone().slice(first..50), &mut trace).into_data().iter().collect()
        };
        assert_eq!(drawn(3, 5, 0), drawn(3, 5, 0));
        assert_ne!(drawn(3, 5, 0), outputs(&network, &images));
        assert!([(4, 5), (3, 6)].iter().all(|(seed, step)| drawn(*seed, *step, 0) != drawn(3, 5, 0)));
        // A part of a batch draws what the whole draws of it.
        for (part, whole) in drawn(3, 5, 20).iter().zip(&drawn(3, 5, 0)[20 * 3..]) {
            assert!((part - whole).abs() < 1e-5, "{part} and {whole}");
        }
    }
    // A layer whose pre-activations are -1 gives its slopes, and the next one others.
    let mut linear = LinearConfig::new(36, 100).with_initializer(Initializer::Zeros).init(&device());
    linear.bias = Some(Param::from_tensor(Tensor::full([100], -1.0, &device())));
    let activation: Activation = "rrelu:0.1:0.5".parse().expect("known");
    let layer = Dense::new(linear, activation.init(&device()));
    let mut trace = in_training();
    let [slopes, others] = [(); 2].map(|()| -> Vec<f64> {
        let output = layer.forward("", Tensor::zeros([200, 36], &device()), &mut trace);
        output.into_data().iter::<f64>().map(|value| -value).collect()
    });
    assert_ne!(slopes, others);
    assert!(slopes.iter().all(|slope| (0.1..=0.5).contains(slope)));
    // Four standard errors of 20 000 uniform numbers.
    let mean = slopes.iter().sum::<f64>() / slopes.len() as f64;
    assert!((mean - 0.3).abs() < 4.0 * 0.4 / (12.0 * 20_000.0_f64).sqrt(), "{mean}");
}

#[test]
fn a_training_with_rrelu_has_the_same_bits_again_and_threads_draw_what_one_draws() {
    let rrelu = Experiment { activations: vec!["rrelu".parse().expect("known")], dropout: 0.2, ..experiment() };
    let batches = [(); 3].map(|()| batch(12));
    let after = |experiment: &Experiment, seed| -> Vec<f64> {
        let mut learner = Learner::new(model(experiment), experiment).with_seed(seed);
        for batch in &batches {
            learner = learner.step(batch.clone(), None, false).0;
        }
        let weights = weights(learner.network());
        weights.into_iter().flat_map(|(_, weight)| weight.into_data().iter::<f64>().collect::<Vec<_>>()).collect()
    };
    let alone = after(&rrelu, 7);
    assert_eq!(after(&rrelu, 7), alone);
    assert_ne!(after(&rrelu, 8), alone);
    let mean = Experiment { activations: vec!["rrelu:0.2291666:0.2291667".parse().expect("known")], ..rrelu.clone() };
    assert!(after(&mean, 7).iter().zip(&alone).any(|(mean, drawn)| (mean - drawn).abs() > 1e-4), "slopes were drawn");
    for (shared, alone) in after(&Experiment { threads: 3, ..rrelu }, 7).iter().zip(&alone) {
        assert!((shared - alone).abs() < 1e-6, "{shared} and {alone}");
    }
}
