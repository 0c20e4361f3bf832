//! ReLU, sigmoid and tanh by backend, dtype and size, forward and backward, beside a plain copy and Burn's own ReLU.
//!
//! ```text
//! cargo bench --bench activation                       everything, a few minutes
//! cargo bench --bench activation -- forward/flex-f32   what has this in its name
//! ```
//!
//! Throughput is in elements a second. A copy into a buffer that is used again is the limit of whatever reads and
//! writes every element once; what is not in place allocates its output as well. Backward is the whole backward pass of
//! a graph of this one operation: the incoming gradient is filled with ones, and the graph is walked.
#![allow(deprecated)] // Device::ndarray

use std::{hint::black_box, time::Duration};

use burn::tensor::{DType, Device, Distribution, Tensor, activation};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// The program's allocator, so that an output costs here what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Activation = (&'static str, fn(Tensor<1>) -> Tensor<1>);

const ACTIVATIONS: [Activation; 4] = [
    ("relu", rectify::relu),
    ("burn-relu", activation::relu),
    ("sigmoid", activation::sigmoid),
    ("tanh", activation::tanh),
];

/// 2¹⁰ to 2²⁴ elements: from the first-level cache to main memory.
fn sizes() -> impl Iterator<Item = usize> {
    (10..=24).step_by(2).map(|exponent| 1 << exponent)
}

/// A name, and the device with its dtype. NdArray has no half precision.
fn places() -> [(&'static str, Device, DType); 4] {
    [
        ("flex-f32", Device::flex(), DType::F32),
        ("flex-f16", Device::flex(), DType::F16),
        ("flex-bf16", Device::flex(), DType::BF16),
        ("ndarray-f32", Device::ndarray(), DType::F32),
    ]
}

fn normal(size: usize, device: &Device, dtype: DType) -> Tensor<1> {
    Tensor::<1>::random([size], Distribution::Normal(0.0, 1.0), device).cast(dtype)
}

fn forward(criterion: &mut Criterion) {
    for (place, device, dtype) in places() {
        let mut group = criterion.benchmark_group(format!("forward/{place}"));
        for size in sizes() {
            group.throughput(Throughput::Elements(size as u64));
            let x = normal(size, &device, dtype);

            let source = vec![1_u8; size * dtype.size()];
            let mut buffer = source.clone();
            group.bench_function(BenchmarkId::new("copy", size), |bencher| {
                bencher.iter(|| black_box(&mut buffer).copy_from_slice(black_box(&source)))
            });
            for (name, f) in ACTIVATIONS {
                group.bench_function(BenchmarkId::new(name, size), |bencher| bencher.iter(|| f(x.clone())));
            }
            // The tensor goes round: nobody else holds it, and it is its own output. For ReLU only, which takes the same
            // time whatever the numbers are; those of sigmoid and tanh would change from round to round.
            for (name, f) in ACTIVATIONS.into_iter().filter(|(name, _)| name.ends_with("relu")) {
                let mut own = Some(x.clone() + 0.0);
                group.bench_function(BenchmarkId::new(format!("{name}-in-place"), size), |bencher| {
                    bencher.iter(|| own = own.take().map(f))
                });
            }
        }
    }
}

fn backward(criterion: &mut Criterion) {
    for (place, device, dtype) in places() {
        let mut group = criterion.benchmark_group(format!("backward/{place}"));
        for size in sizes() {
            group.throughput(Throughput::Elements(size as u64));
            let x = normal(size, &device, dtype).autodiff();
            for (name, f) in ACTIVATIONS {
                group.bench_function(BenchmarkId::new(name, size), |bencher| {
                    bencher.iter_batched(|| f(x.clone().require_grad()), |y| (y.backward(), y), BatchSize::PerIteration)
                });
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = forward, backward
}
criterion_main!(benches);
