//! A fused layer beside Burn's layer and activation, the training step of both networks, and what probes add to it.
//!
//! ```text
//! cargo bench --bench step
//! cargo bench --bench step -- layer       what has this in its name
//! ```
//!
//! A layer is timed forward and backward. The steps are those of `benches/peers`, which runs them beside PyTorch and JAX.

use std::time::Duration;

use burn::{
    nn::{LinearConfig, PaddingConfig2d, conv::Conv2dConfig},
    tensor::{Device, Distribution, Tensor, activation},
};
use criterion::{Criterion, criterion_group, criterion_main};
use rectify::{FusedActivation, FusedConv2d, FusedLinear};
use rectify_train::{
    data::{Batch, Dataset},
    experiment::{Experiment, ModelKind},
    network::Model,
    observe::{Backward, Probe, report},
    train::Learner,
};

/// The program's allocator, so that memory costs here what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 128;

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex().autodiff())
}

fn layers(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let mut group = criterion.benchmark_group("layer");
    let relu = FusedActivation::Relu(Default::default());
    for [d_input, d_output] in [[784, 128], [128, 128], [1024, 1024]] {
        let x = random([BATCH, d_input]).require_grad();
        let linear = LinearConfig::new(d_input, d_output).init(&device);
        let fused = FusedLinear::from_linear(linear.clone(), relu).expect("ReLU can be fused");
        group.bench_function(format!("fused-linear/{d_input}x{d_output}"), |bencher| {
            bencher.iter(|| fused.forward(x.clone()).sum().backward())
        });
        group.bench_function(format!("linear-then-relu/{d_input}x{d_output}"), |bencher| {
            bencher.iter(|| activation::relu(linear.forward(x.clone())).sum().backward())
        });
    }
    for (channels, side) in [([1, 6], 28), ([6, 16], 14)] {
        let x = random([BATCH, channels[0], side, side]).require_grad();
        let conv = Conv2dConfig::new(channels, [5, 5]).with_padding(PaddingConfig2d::Same).init(&device);
        let fused = FusedConv2d::from_conv2d(conv.clone(), relu).expect("ReLU can be fused");
        let name = format!("{}x{}x{side}x{side}", channels[0], channels[1]);
        group.bench_function(format!("fused-conv2d/{name}"), |bencher| {
            bencher.iter(|| fused.forward(x.clone()).sum().backward())
        });
        group.bench_function(format!("conv2d-then-relu/{name}"), |bencher| {
            bencher.iter(|| activation::relu(conv.forward(x.clone())).sum().backward())
        });
    }
}

fn steps(criterion: &mut Criterion) {
    let dataset = Dataset::load("mnist", Some(10 * BATCH)).expect("MNIST comes with the repository");
    let shape = dataset.shape();
    let mut group = criterion.benchmark_group("step");
    for (model, hidden) in [(ModelKind::Mlp, Some(vec![128; 4])), (ModelKind::Cnn, None)] {
        for threads in [1, 2] {
            for watch in ["off", "watched"] {
                let experiment =
                    Experiment { model, hidden: hidden.clone(), lr: Some(0.1), threads, ..Experiment::default() };
                let activation = &experiment.activations[0];
                let data = dataset.to_device(&Device::flex(), experiment.dtype.into());
                let network = Model::new(&experiment, activation, shape, 0, &Device::flex().autodiff());
                let probe = (watch == "watched").then(|| Probe::new(activation));
                let mut learner = Some(Learner::new(network, &experiment));
                let mut step = 0;
                group.bench_function(format!("{model}/threads-{threads}/probe-{watch}"), |bencher| {
                    bencher.iter(|| {
                        let begin = step % (data.train.len() / BATCH) * BATCH;
                        step += 1;
                        let batch: Batch = data.train.slice(begin..begin + BATCH);
                        let measured;
                        (learner, measured) = match learner.take() {
                            Some(learner) => {
                                let (learner, step) = learner.step(batch, probe.as_ref(), probe.is_some());
                                // What the training loop makes of a step that was watched.
                                let backward =
                                    Backward { passes: &step.watched, weights: step.weight_gradients, batches: &[] };
                                let layers = report(
                                    &step.watched,
                                    Some(&step.parameters),
                                    Some(&backward),
                                    step.update.as_ref(),
                                );
                                (Some(learner), Some((step.loss, layers)))
                            }
                            None => (None, None),
                        };
                        measured
                    })
                });
            }
        }
    }
}

/// As the grid runs a training: on a pool of one thread, this one, so that Burn's own products stay on it.
fn on_one_thread(_: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    pool.build_global().expect("nothing has used the pool yet");
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    targets = on_one_thread, layers, steps
}
criterion_main!(benches);
