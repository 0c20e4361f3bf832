//! What a GPU operation costs the host: many launches of a tensor so small that the device has next to nothing to do.
//!
//! ```text
//! cargo bench --bench launch
//! ```
//!
//! Throughput is in launches a second. It decides how the crates between Burn and the driver are to be optimised, see
//! the build profile in `Cargo.toml`.

use std::time::Duration;

use burn::tensor::{Tensor, activation};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rectify_train::backend;

/// Between two waits for the device, as many launches as some steps of training have.
const LAUNCHES: u64 = 1000;

type Activation = (&'static str, fn(Tensor<1>) -> Tensor<1>);

fn launches(criterion: &mut Criterion) {
    let device = match backend::open("wgpu") {
        Ok(device) => device,
        Err(error) => {
            eprintln!("nothing to measure: {error}");
            return;
        }
    };

    let x = Tensor::<1>::from_floats([-1.0, 0.0, 1.0, 2.0], &device);
    let mut group = criterion.benchmark_group("launch");
    group.throughput(Throughput::Elements(LAUNCHES));
    let activations: [Activation; 2] = [("relu", rectify::relu), ("burn-relu", activation::relu)];
    for (name, f) in activations {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for _ in 0..LAUNCHES {
                    f(x.clone());
                }
                device.sync().expect("a device that is lost on the way leaves nothing to measure");
            })
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    targets = launches
}
criterion_main!(benches);
