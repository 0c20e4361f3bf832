//! Rectify's side of the comparison with PyTorch and JAX: what `run.py` calls, and whose protocol it describes.

use std::{env, hint::black_box, path::Path, sync::atomic::AtomicBool, time::Instant};

use anyhow::{Context, bail};
use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{DType, Device, Distribution, Int, Tensor, TensorData, activation},
};
use gemm::Parallelism;
use rectify::{Activation, FusedActivation, Gated, GradientRule, Kept, Prelu, Sigmoid, Tanh};
use rectify_train::{
    data::{Batch, Dataset, IdxContent},
    experiment::{Experiment, Init, ModelKind},
    network::{Model, parameters},
    train::{Learner, evaluate, train},
};

#[path = "../burns.rs"]
mod burns;

use burns::BURNS;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 128;
const BLOCK: usize = 50;
/// As in step.py, which tells why.
const CHECK_STEPS: usize = 6;

fn main() -> anyhow::Result<()> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let flag =
        |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1)).map(String::as_str);
    let threads: usize = flag("--threads").unwrap_or("1").parse().context("--threads")?;
    match arguments.first().map(String::as_str) {
        Some("step") => {
            let model = flag("--model").unwrap_or("mlp").parse().map_err(anyhow::Error::msg)?;
            step(model, flag("--activation").unwrap_or("relu"), threads)
        }
        Some("activation") => activations(flag("--dtype").unwrap_or("f32"), threads),
        Some("limit") => limit(threads),
        Some("gradients") => gradients(arguments.get(1).context("gradients: a folder is asked for")?.as_ref()),
        _ => bail!(
            "usage: step --model mlp|cnn --activation NAME --threads N, activation --dtype f32|bf16|f16 --threads N, \
             limit --threads N, gradients FOLDER"
        ),
    }
}

/// Runs a training as the grid does: in a pool of one thread, so that Burn's own products stay on it.
fn on_one_thread<R: Send>(work: impl FnOnce() -> R + Send) -> anyhow::Result<R> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(1).build()?.install(work))
}

fn step(kind: ModelKind, activation: &str, threads: usize) -> anyhow::Result<()> {
    let experiment = Experiment {
        model: kind,
        hidden: (kind == ModelKind::Mlp).then(|| vec![128; 4]),
        activations: vec![activation.parse()?],
        lr: Some(0.1),
        threads,
        ..Experiment::default()
    };
    let (milliseconds, loss, accuracy) = on_one_thread(|| -> anyhow::Result<_> {
        let dataset = Dataset::load("mnist", None)?;
        let device = Device::flex();
        let (train, test) = in_file_order(&dataset, &device)?;
        let shape = dataset.shape();
        let model = Model::new(&experiment, &experiment.activations[0], shape, 0, &device.clone().autodiff());
        let mut learner = Learner::new(model.map(&mut Shared { drawn: 0 }), &experiment);
        let batches = train.labels.dims()[0] / BATCH;
        let mut k = 0;
        let mut run = |learner: Learner<Model>, steps: usize| {
            (0..steps).fold(learner, |learner, _| {
                let begin = BATCH * (k % batches);
                k += 1;
                let images = train.images.clone().slice(begin..begin + BATCH);
                let labels = train.labels.clone().slice(begin..begin + BATCH);
                learner.step(Batch { images, labels }, None, false).0
            })
        };
        learner = run(learner, CHECK_STEPS);
        let loss = evaluate(&learner.network().valid(), &test).loss;
        learner = run(learner, BLOCK);
        let mut milliseconds = Vec::new();
        for _ in 0..10 {
            let started = Instant::now();
            learner = run(learner, BLOCK);
            milliseconds.push(started.elapsed().as_secs_f64() * 1e3 / BLOCK as f64);
        }
        Ok((milliseconds, loss, evaluate(&learner.network().valid(), &test).accuracy.unwrap_or(f64::NAN)))
    })??;
    let (median, min) = median_and_min(milliseconds);
    let loss = loss.context("the loss is not finite")?;
    println!(
        "{{\"who\": \"rectify\", \"what\": \"{kind}-step\", \"activation\": \"{activation}\", \"threads\": {threads}, \
         \"median_ms\": {median}, \"min_ms\": {min}, \"loss\": {loss}, \"accuracy\": {accuracy}}}"
    );
    Ok(())
}

fn median_and_min(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    ((values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0, values[0])
}

/// Writes an untrained network, the samples that its gradients are measured on and what was measured to a folder, for
/// `gradients.py` to hold against PyTorch's.
fn gradients(folder: &Path) -> anyhow::Result<()> {
    let experiment = Experiment {
        hidden: Some(vec![128; 6]),
        activations: vec!["relu".parse()?],
        init: Init::TorchDefault,
        epochs: Some(0),
        ..Experiment::default()
    }
    .resolve()?;
    let (device, activation) = (Device::flex(), &experiment.activations[0]);
    let data = Dataset::load("mnist", None)?.to_device(&device, DType::F32);
    let network = Model::new(&experiment, activation, data.shape(), 0, &device.clone().autodiff());
    let (network, run) = train(network, activation, 0, &experiment, &data, &AtomicBool::new(false), &mut |_| {});

    std::fs::create_dir_all(folder)?;
    let write = |name: &str, data: TensorData| -> anyhow::Result<()> {
        let bytes: Vec<u8> = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        Ok(std::fs::write(folder.join(name), bytes)?)
    };
    let Model::Mlp(mlp) = &network else { bail!("it is an MLP") };
    let layers = mlp.hidden.iter().map(|dense| dense.parameters()).chain([parameters(&mlp.output)]);
    for (i, (weight, bias)) in layers.enumerate() {
        write(&format!("weight.{i}"), weight.into_data())?;
        write(&format!("bias.{i}"), bias.into_data())?;
    }
    let samples = data.validation.slice(0..data.validation.len());
    write("images", samples.images.into_data())?;
    write("labels", samples.labels.float().into_data())?;
    Ok(std::fs::write(folder.join("measured.json"), serde_json::to_vec(&run.epochs[0])?)?)
}

/// The weights that everyone starts from: splitmix64 over the whole network, scaled to ±√(6 / fan_in).
struct Shared {
    drawn: u64,
}

impl ModuleMapper for Shared {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let dims = param.shape().dims::<D>();
        // Linear weights are [in, out], kernels [out, in, height, width].
        let fan_in = match D {
            1 => return param,
            2 => dims[0],
            _ => dims[1..].iter().product(),
        };
        let bound = (6.0 / fan_in as f64).sqrt();
        let values: Vec<f32> = (0..dims.iter().product::<usize>())
            .map(|_| {
                self.drawn = self.drawn.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut x = self.drawn;
                x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                let u = ((x ^ (x >> 31)) >> 40) as f64 / f64::from(1 << 24);
                ((2.0 * u - 1.0) * bound) as f32
            })
            .collect();
        param.map(|tensor| Tensor::from_data(TensorData::new(values, dims), &tensor.device()).require_grad())
    }
}

/// All 60000 training and 10000 test samples in the files' order, standardised by all training pixels.
fn in_file_order(dataset: &Dataset, device: &Device) -> anyhow::Result<(Batch, rectify_train::data::DeviceSamples)> {
    let read = |name: &str, content| rectify_train::data::read_idx(&dataset.source.join(name), content);
    let train = read("train-images-idx3-ubyte.gz", IdxContent::Images)?;
    let n = train.bytes.len() as f64;
    let mean = train.bytes.iter().map(|&b| f64::from(b) / 255.0).sum::<f64>() / n;
    let variance = train.bytes.iter().map(|&b| (f64::from(b) / 255.0 - mean).powi(2)).sum::<f64>() / n;
    let images = |bytes: &[u8]| {
        let values: Vec<f32> =
            bytes.iter().map(|&b| ((f64::from(b) / 255.0 - mean) / variance.sqrt()) as f32).collect();
        Tensor::<2>::from_data(TensorData::new(values, [bytes.len() / 784, 784]), (device, DType::F32))
    };
    let labels = |bytes: &[u8]| {
        let values: Vec<i64> = bytes.iter().map(|&b| i64::from(b)).collect();
        Tensor::<1, Int>::from_data(TensorData::new(values, [bytes.len()]), device)
    };
    let test = Batch {
        images: images(&read("t10k-images-idx3-ubyte.gz", IdxContent::Images)?.bytes),
        labels: labels(&read("t10k-labels-idx1-ubyte.gz", IdxContent::Labels)?.bytes),
    };
    let train_labels = labels(&read("train-labels-idx1-ubyte.gz", IdxContent::Labels)?.bytes);
    Ok((Batch { images: images(&train.bytes), labels: train_labels }, test.into()))
}

/// Nanoseconds an element, forward and backward, as the peers' `activation.py` tells them: a fresh output at each call,
/// or for `-into` the input's own memory. Backward is from what a layer keeps, which for sigmoid and tanh is the output as it
/// is for the peers; `-from-input` is what these two do by themselves. `-training` is both as a layer does them, whose
/// input nobody else needs.
fn activations(dtype: &str, threads: usize) -> anyhow::Result<()> {
    let dtype_of = match dtype {
        "f32" => DType::F32,
        "f16" => DType::F16,
        "bf16" => DType::BF16,
        other => bail!("--dtype {other}: f32, f16 or bf16"),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| {
        for exponent in (8..=24).step_by(2) {
            let elements = 1usize << exponent;
            let line = |who: &str, what: &str, work: &mut dyn FnMut() -> f64| {
                // What is slow is slow by more than it varies by.
                let (mut measured, started) = (Vec::new(), Instant::now());
                while measured.len() < 3 || measured.len() < 9 && started.elapsed().as_secs() < 2 {
                    measured.push(work());
                }
                let (ns, _) = median_and_min(measured);
                println!(
                    "{{\"who\": \"{who}\", \"what\": \"{what}\", \"dtype\": \"{dtype}\", \"threads\": {threads}, \
                     \"elements\": {elements}, \"ns_per_element\": {ns}}}"
                );
            };
            let normal = Distribution::Normal(0.0, 1.0);
            let x = Tensor::<1>::random([elements], normal, (&Device::flex(), dtype_of));
            let grad = x.clone() + 0.5;

            let relu = ("relu", FusedActivation::Relu(GradientRule::default()));
            let all = Activation::all().into_iter().map(|function| (function.name(), function.into()));
            for (name, function) in [relu].into_iter().chain(all) {
                let name = name.replace('_', "-");
                let print =
                    |what: &str, work: &mut dyn FnMut() -> f64| line("rectify", &format!("{name}-{what}"), work);
                let fresh = |tensor: Tensor<1>| drop(black_box(tensor));
                let kept = if function.keeps_preactivations() { x.clone() } else { function.forward(x.clone()) };
                print("forward", &mut || time(elements, || fresh(function.forward(x.clone()))));
                print("forward-into", &mut || time_in_place(&x, |x| function.forward(x)));
                print("backward", &mut || time(elements, || fresh(function.backward(kept.clone(), grad.clone()))));
                print("backward-into", &mut || time_in_place(&grad, |grad| function.backward(kept.clone(), grad)));
                let by_itself: Option<Activation> = match function {
                    FusedActivation::Sigmoid => Some(Sigmoid.into()),
                    FusedActivation::Tanh => Some(Tanh.into()),
                    _ => None,
                };
                if let Some(function) = by_itself {
                    let mut backward = || time(elements, || fresh(function.backward(x.clone(), grad.clone())));
                    print("backward-from-input", &mut backward);
                }
                let mut training = training(function, &x);
                print("training", &mut || time(elements, &mut training));
            }
            // Burn's derivatives are several operations each, but for four, and are not measured.
            for (name, function) in BURNS {
                let name = name.replace('_', "-");
                let mut forward = || time(elements, || drop(black_box(function(x.clone()))));
                line("burn", &format!("{name}-forward"), &mut forward);
                line("burn", &format!("{name}-forward-into"), &mut || time_in_place(&x, function));
            }
            in_rows(&x, &grad, elements, &line);
        }
    });
    Ok(())
}

/// What takes more than one number for one of the output: slopes that learn, one or one for each of 256 channels, and gates of
/// 128 channels. An element is one of x.
fn in_rows(x: &Tensor<1>, grad: &Tensor<1>, elements: usize, line: &dyn Fn(&str, &str, &mut dyn FnMut() -> f64)) {
    const CHANNELS: usize = 256;
    let rows = |tensor: &Tensor<1>| tensor.clone().reshape([elements / CHANNELS, CHANNELS]);
    let (x, grad) = (rows(x), rows(grad));
    let measure = |name: &str, forward: &dyn Fn(), backward: &dyn Fn()| {
        line("rectify", &format!("{name}-forward"), &mut || time(elements, forward));
        line("rectify", &format!("{name}-backward"), &mut || time(elements, backward));
        let both = || {
            forward();
            backward();
        };
        line("rectify", &format!("{name}-training"), &mut || time(elements, both));
    };
    for (name, slopes) in [("prelu", 1), ("prelu-by-channel", CHANNELS)] {
        let alpha = Tensor::full([slopes], 0.25, (&x.device(), x.dtype()));
        let prelu = Prelu { alpha: Param::from_tensor(alpha.clone()) };
        let forward = || drop(black_box(prelu.forward(x.clone())));
        measure(name, &forward, &|| drop(black_box(prelu.backward(x.clone(), grad.clone()))));
        let burns = || drop(black_box(activation::prelu(x.clone(), alpha.clone())));
        line("burn", &format!("{name}-forward"), &mut || time(elements, burns));
    }
    let half = grad.clone().narrow(1, 0, CHANNELS / 2) + 0.0;
    for (name, gated) in [("glu", Gated::glu()), ("swiglu", Gated::swiglu()), ("geglu", Gated::geglu())] {
        let forward = || drop(black_box(gated.forward(x.clone())));
        measure(name, &forward, &|| drop(black_box(gated.backward(x.clone(), half.clone()))));
    }
    line("burn", "glu-forward", &mut || time(elements, || drop(black_box(activation::glu(x.clone(), 1)))));
}

/// A tensor that nobody else holds goes round, but only twice: its numbers would end at 0 or at infinity, or for a while
/// subnormal, which processors take longer for where they are not told, as JAX tells them, to take 0 instead.
fn time_in_place(from: &Tensor<1>, step: impl Fn(Tensor<1>) -> Tensor<1>) -> f64 {
    const PASSES: usize = 2;
    let [elements] = from.dims();
    let rounds = ((1 << 22) / elements / PASSES).clamp(1, 500);
    let mut seconds = 0.0;
    for _ in 0..rounds {
        let mut own = from.clone() + 0.0;
        let started = Instant::now();
        for _ in 0..PASSES {
            own = step(own);
        }
        seconds += started.elapsed().as_secs_f64();
        drop(black_box(own));
    }
    seconds * 1e9 / (rounds * PASSES * elements) as f64
}

/// Forward and backward in rows, where what one call keeps is the next one's input.
fn training(function: FusedActivation, x: &Tensor<1>) -> impl FnMut() + use<> {
    let [elements] = x.dims();
    let [x, grad] = [0.0, 0.5].map(|shift| (x.clone() + shift).reshape([elements / 256, 256]));
    let mut own = Some(x);
    move || {
        let Some(x) = own.take() else { return };
        let (output, kept) = function.forward_kept(x);
        drop(black_box((output, function.backward(kept.clone(), grad.clone()))));
        let (Kept::Values(x) | Kept::Slope(x)) = kept;
        own = Some(x);
    }
}

fn time(elements: usize, mut work: impl FnMut()) -> f64 {
    let repeat = ((1 << 22) / elements).clamp(1, 4000);
    work();
    let started = Instant::now();
    (0..repeat).for_each(|_| work());
    started.elapsed().as_secs_f64() * 1e9 / (repeat * elements) as f64
}

/// The 14 products of the MLP's step through `gemm`, each thread doing all of them on its part of the batch.
fn limit(threads: usize) -> anyhow::Result<()> {
    let widths = [784, 128, 128, 128, 128, 10];
    let part = BATCH / threads;
    // (rows, inner, columns) of forward, weight gradient and input gradient; the first layer has no input gradient.
    let shapes: Vec<[usize; 3]> = widths
        .windows(2)
        .enumerate()
        .flat_map(|(i, pair)| {
            let [input, output] = [pair[0], pair[1]];
            let all = [[part, input, output], [input, part, output], [part, output, input]];
            all.into_iter().take(if i == 0 { 2 } else { 3 })
        })
        .collect();
    let flops: usize = threads * shapes.iter().map(|[m, k, n]| 2 * m * k * n).sum::<usize>();
    let blocks: Vec<f64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut operands: Vec<_> = shapes
                        .iter()
                        .map(|[m, k, n]| (vec![0.5f32; m * k], vec![0.5f32; k * n], vec![0.0f32; m * n]))
                        .collect();
                    let mut all = || {
                        for ([m, k, n], (a, b, c)) in shapes.iter().zip(&mut operands) {
                            // SAFETY: the slices are as long as the row-major shapes that are passed with them.
                            unsafe {
                                gemm::gemm(
                                    *m,
                                    *n,
                                    *k,
                                    c.as_mut_ptr(),
                                    1,
                                    *n as isize,
                                    false,
                                    a.as_ptr(),
                                    1,
                                    *k as isize,
                                    b.as_ptr(),
                                    1,
                                    *n as isize,
                                    0.0,
                                    1.0,
                                    false,
                                    false,
                                    false,
                                    Parallelism::None,
                                );
                            }
                        }
                        black_box(&operands);
                    };
                    all();
                    (0..10)
                        .map(|_| {
                            let started = Instant::now();
                            (0..200).for_each(|_| all());
                            started.elapsed().as_secs_f64() * 1e3 / 200.0
                        })
                        .collect::<Vec<f64>>()
                })
            })
            .collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect()
    });
    let (median, _) = median_and_min(blocks);
    println!(
        "{{\"who\": \"gemm, batch split\", \"what\": \"mlp-products\", \"threads\": {threads}, \"median_ms\": {median}, \
         \"gflops\": {}}}",
        flops as f64 / median / 1e6
    );
    Ok(())
}
