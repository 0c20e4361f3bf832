//! Every activation by backend, dtype and size, forward and backward, beside a plain copy and Burn's own functions.
//!
//! ```text
//! cargo bench --bench activation                            everything, more than an hour
//! cargo bench --bench activation -- forward/flex-f32        what has this in its name
//! cargo bench --bench activation -- 'f32/(burn-)?gelu/'     one function and Burn's
//! ```
//!
//! `RECTIFY_VECTORS=avx2` takes shorter vectors than the processor may have, and `RAYON_NUM_THREADS=1` one thread.
//!
//! Throughput is in elements a second. A copy into a buffer that is used again is the limit of whatever reads and
//! writes every element once; what is not in place allocates its output as well. Backward is the whole backward pass of
//! a graph of this one operation: the incoming gradient is filled with ones, and the graph is walked.
#![allow(deprecated)] // Device::ndarray

use std::{hint::black_box, time::Duration};

use burn::tensor::{DType, Device, Distribution, Tensor};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rectify::Activation;

mod burns;

use burns::BURNS;

/// The program's allocator, so that an output costs here what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Function = Box<dyn Fn(Tensor<1>) -> Tensor<1>>;

/// All of this crate, and Burn's under the same names with a prefix.
fn functions() -> Vec<(String, Function)> {
    let own = Activation::all().into_iter().map(|function| {
        let f: Function = Box::new(move |x| function.forward(x));
        (function.name().to_owned(), f)
    });
    let relu: Function = Box::new(rectify::relu);
    let burn = BURNS.into_iter().map(|(name, f)| {
        let f: Function = Box::new(f);
        (format!("burn-{name}"), f)
    });
    [("relu".to_owned(), relu)].into_iter().chain(own).chain(burn).collect()
}

/// Those that are measured in place as well.
const IN_PLACE: [&str; 6] = ["relu", "burn-relu", "relu6", "sigmoid", "tanh", "softsign"];

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
            for (name, f) in &functions() {
                group.bench_function(BenchmarkId::new(&**name, size), |bencher| bencher.iter(|| f(x.clone())));
            }
            // The tensor goes round: nobody else holds it, and it is its own output. All take the same time whatever the
            // numbers are, but subnormal ones, to which no function here leads.
            for (name, f) in functions().into_iter().filter(|(name, _)| IN_PLACE.contains(&&**name)) {
                let mut own = Some(x.clone() + 0.0);
                group.bench_function(BenchmarkId::new(format!("{name}-in-place"), size), |bencher| {
                    bencher.iter(|| own = own.take().map(&f))
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
            for (name, f) in &functions() {
                group.bench_function(BenchmarkId::new(&**name, size), |bencher| {
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
