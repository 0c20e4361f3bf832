//! Whether several seeds of one network as one batched program are faster than one after another, or side by side: the
//! matrix products of a training step of an MLP 784-128-128-128-128-128-10, batch 128, which are most of it.
//!
//! `cargo bench --bench vectorise`: microseconds a step of one network, the less the better. What batching cannot win with
//! the products alone, it cannot win with a whole step.

use std::{
    convert::Infallible,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use burn::tensor::{Device, Distribution, Tensor};
use rectify_train::{backend, train::schedule::side_by_side};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WIDTHS: [usize; 7] = [784, 128, 128, 128, 128, 128, 10];
const BATCH: usize = 128;
const TIME: Duration = Duration::from_secs(3);

/// A layer's operands: its input, its weights, the gradient of its output; for one network or, batched, for several.
struct Layer<const D: usize> {
    x: Tensor<D>,
    weight: Tensor<D>,
    grad: Tensor<D>,
}

/// `leading` is empty for one network, and the number of networks for several.
fn network<const D: usize>(leading: &[usize], device: &Device) -> Vec<Layer<D>> {
    let random = |rows: usize, columns: usize| {
        let dims: Vec<usize> = leading.iter().copied().chain([rows, columns]).collect();
        Tensor::<D>::random(dims, Distribution::Default, device)
    };
    let layer = |pair: &[usize]| Layer {
        x: random(BATCH, pair[0]),
        weight: random(pair[0], pair[1]),
        grad: random(BATCH, pair[1]),
    };
    WIDTHS.windows(2).map(layer).collect()
}

/// Every product of a step: outputs, gradients of weights, gradients of inputs but the first. Of each a number, so that who
/// waits for them waits for all.
fn products<const D: usize>(layers: &[Layer<D>]) -> Tensor<1> {
    let first = |product: Tensor<D>| product.flatten::<1>(0, D - 1).narrow(0, 0, 1);
    let mut numbers = Vec::new();
    for (place, Layer { x, weight, grad }) in layers.iter().enumerate() {
        numbers.push(first(x.clone().matmul(weight.clone())));
        numbers.push(first(x.clone().swap_dims(D - 2, D - 1).matmul(grad.clone())));
        if place > 0 {
            numbers.push(first(grad.clone().matmul(weight.clone().swap_dims(D - 2, D - 1))));
        }
    }
    Tensor::cat(numbers, 0)
}

/// Waits for what was asked of a device.
fn wait(result: Tensor<1>) {
    std::hint::black_box(result.into_data());
}

/// Microseconds of `run`, the mean of many: on wgpu a step waits for work of others, so that five in turn take 10, 50, 15, 50
/// and 40 ms, and the best of them says nothing.
fn microseconds(mut run: impl FnMut()) -> f64 {
    (0..5).for_each(|_| run());
    let (began, mut runs) = (Instant::now(), 0);
    while began.elapsed() < TIME {
        run();
        runs += 1;
    }
    1e6 * began.elapsed().as_secs_f64() / f64::from(runs)
}

fn measure(name: &str, threads: usize) {
    let device = match backend::open(name) {
        Ok(device) => device,
        Err(error) => return println!("{name}: {error}"),
    };
    for seeds in [1, 2, 4, 8, 16] {
        let networks: Vec<Vec<Layer<2>>> = (0..seeds).map(|_| network(&[], &device)).collect();
        let in_turn = microseconds(|| networks.iter().map(|layers| products(layers)).for_each(wait));
        let beside = microseconds(|| {
            let run = |layers: &Vec<Layer<2>>| -> Result<(), Infallible> {
                wait(products(layers));
                Ok(())
            };
            let stop = AtomicBool::new(false);
            if let Err(never) = side_by_side(threads, &stop, &networks, &run) {
                match never {}
            }
        });
        let batched: Vec<Layer<3>> = network(&[seeds], &device);
        let batched = microseconds(|| wait(products(&batched)));
        let [in_turn, beside, batched] = [in_turn, beside, batched].map(|all| all / seeds as f64);
        println!("| {name} | {seeds} | {in_turn:.0} | {beside:.0} | {batched:.0} |");
    }
}

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!(
        "| backend | networks | one after another | side by side, {cores} threads | batched |\n|---|---|---|---|---|"
    );
    measure("flex", cores);
    measure("wgpu", 1);
}
