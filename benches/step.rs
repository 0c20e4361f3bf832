//! A fused layer beside Burn's layer and activation, the training step of both networks with what probes add to it, and a
//! step of a loop of one's own with what a monitor adds.
//!
//! ```text
//! cargo bench --bench step
//! cargo bench --bench step -- layer       what has this in its name
//! cargo bench --bench step -- monitor     what a monitor adds to a step, in per cent
//! ```
//!
//! A layer is timed forward and backward. The steps are those of `benches/peers`, which runs them beside PyTorch and JAX.

use std::time::{Duration, Instant};

use burn::{
    module::Module,
    nn::{
        Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
        loss::CrossEntropyLossConfig,
    },
    optim::{GradientsParams, SgdConfig},
    tensor::{Device, Distribution, Int, Tensor, activation},
};
use criterion::{Criterion, criterion_group, criterion_main};
use rectify::{FusedActivation, FusedConv2d, FusedLinear, max_pool_2x2};
use rectify_train::{
    data::{Batch, Dataset},
    experiment::{Experiment, ModelKind},
    monitor::{Monitor, Sampling, Tapped, Taps},
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

/// A network in a loop of its own, of Burn's layers: what a monitor is put beside.
#[derive(Module, Debug)]
struct Own {
    convolutions: Vec<Conv2d>,
    hidden: Vec<Linear>,
    activations: Vec<Tapped>,
    head: Linear,
}

impl Own {
    fn new(cnn: bool, taps: &Taps, device: &Device) -> Self {
        let relu = "relu".parse().expect("a known activation");
        let channels: &[[usize; 2]] = if cnn { &[[1, 6], [6, 16]] } else { &[] };
        let widths: &[[usize; 2]] = if cnn {
            &[[16 * 7 * 7, 120], [120, 84]]
        } else {
            &[[784, 128], [128, 128], [128, 128], [128, 128], [128, 128]]
        };
        let conv = |channels: &[usize; 2]| {
            Conv2dConfig::new(*channels, [5, 5]).with_padding(PaddingConfig2d::Same).init(device)
        };
        let names = (0..channels.len()).map(|i| format!("convolutions.{i}"));
        let names = names.chain((0..widths.len()).map(|i| format!("hidden.{i}")));
        Self {
            convolutions: channels.iter().map(conv).collect(),
            hidden: widths.iter().map(|[input, output]| LinearConfig::new(*input, *output).init(device)).collect(),
            activations: names.map(|name| taps.tap(&name, &relu, device)).collect(),
            head: LinearConfig::new(widths[widths.len() - 1][1], 10).init(device),
        }
    }

    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        let mut activations = self.activations.iter();
        let mut next = || activations.next().expect("one for each layer");
        let x = match self.convolutions.is_empty() {
            true => images,
            false => {
                let maps = images.reshape([BATCH, 1, 28, 28]);
                let conv = |x: Tensor<4>, conv: &Conv2d| max_pool_2x2(next().forward(conv.forward(x)));
                self.convolutions.iter().fold(maps, conv).flatten(1, 3)
            }
        };
        let x = self.hidden.iter().fold(x, |x, linear| next().forward(linear.forward(x)));
        self.head.forward(x)
    }
}

/// Steps that are timed at once: `balanced` looks at one of them, `thorough` at every third.
const BLOCK: usize = 20;
/// Steps after which a monitor begins anew, before it looks less often, as it does in a long training.
const YOUNG: usize = 20 * BLOCK;

/// Takes a block of steps of a loop of its own, with a monitor or without, and tells the seconds of a step.
fn own_loop(cnn: bool, sampling: Option<Sampling>) -> impl FnMut() -> f64 {
    let (device, taps, mut step) = (Device::flex().autodiff(), Taps::default(), 0);
    let mut model = Own::new(cnn, &taps, &device);
    let mut optimizer = SgdConfig::new().init();
    let mut monitor = None;
    let images = random([BATCH, 784]);
    let labels = Tensor::<1, Int>::zeros([BATCH], &device);
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    move || {
        if step % YOUNG == 0 {
            (step, monitor) = (0, sampling.map(|sampling| Monitor::new(&model).taps(&taps).sampling(sampling)));
        }
        let begin = Instant::now();
        for _ in 0..BLOCK {
            step += 1;
            let loss = cross_entropy.forward(model.forward(images.clone()), labels.clone());
            let gradients = GradientsParams::from_grads(loss.clone().backward(), &model);
            if let Some(monitor) = &mut monitor {
                monitor.step(step, &loss, &model, &gradients);
            }
            model = optimizer.step(1e-6, model.clone(), gradients);
        }
        begin.elapsed().as_secs_f64() / BLOCK as f64
    }
}

/// What a monitor adds is less than a machine's speed wanders between two benchmarks of Criterion's: blocks with and without
/// it take turns, and each is compared with its neighbour.
fn monitors(_: &mut Criterion) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let asked = names.is_empty() || names.iter().any(|name| name.starts_with("monitor"));
    if !asked || !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let samplings = [Sampling::Light, Sampling::Balanced, Sampling::Thorough];
    for (name, cnn, rounds) in [("mlp", false, 100), ("cnn", true, 10)] {
        let mut without = own_loop(cnn, None);
        let mut with = samplings.map(|sampling| own_loop(cnn, Some(sampling)));
        without();
        with.iter_mut().for_each(|block| {
            block();
        });
        let (mut alone, mut added) = (Vec::new(), [const { Vec::new() }; 3]);
        for round in 0..rounds {
            for (block, added) in with.iter_mut().zip(&mut added) {
                // Whoever is first now is second next time.
                let [off, on] = match round % 2 {
                    0 => [without(), block()],
                    _ => {
                        let on = block();
                        [without(), on]
                    }
                };
                alone.push(off);
                added.push(100.0 * (on / off - 1.0));
            }
        }
        println!("monitor/{name}/off            {:.3} ms a step", 1000.0 * quartiles(alone)[1]);
        for (sampling, added) in samplings.into_iter().zip(added) {
            let label = format!("{sampling:?}").to_lowercase();
            let [low, median, high] = quartiles(added);
            println!(
                "monitor/{name}/{label:<14} {median:+.1} % (quartiles {low:+.1} to {high:+.1} % of {rounds} pairs)"
            );
        }
    }
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[quarter * (values.len() - 1) / 4])
}

/// As the grid runs a training: on a pool of one thread, this one, so that Burn's own products stay on it.
fn on_one_thread(_: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    pool.build_global().expect("nothing has used the pool yet");
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    targets = on_one_thread, layers, steps, monitors
}
criterion_main!(benches);
