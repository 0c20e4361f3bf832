//! What a GPU operation costs the host: many launches of a tensor so small that the device has next to nothing to do.
//!
//! ```text
//! cargo bench --bench launch
//! ```
//!
//! Throughput is in launches a second. It decides how the crates between Burn and the driver are to be optimised, see
//! the build profile in `Cargo.toml`.

use std::time::Duration;

use burn::tensor::{Device, Tensor, activation, wgpu::WgpuBackend};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Between two waits for the device, as many launches as some steps of training have.
const LAUNCHES: u64 = 1000;

type Activation = (&'static str, fn(Tensor<1>) -> Tensor<1>);

fn launches(criterion: &mut Criterion) {
    let device = [WgpuBackend::Vulkan, WgpuBackend::Metal, WgpuBackend::Dx12]
        .into_iter()
        .find_map(|api| Device::wgpu_options().graphics_api(api).init().ok());
    let Some(device) = device else {
        eprintln!("no adapter for wgpu: nothing to measure; Debian's mesa-vulkan-drivers has a software one");
        return;
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
                device.sync().expect("the device answers");
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
