//! Whether several seeds of one network as one batched program are faster than one after another, or side by side: whole
//! training steps of an MLP 784-128-128-128-128-128-10, batch 128, with ReLU.
//!
//! `cargo bench --bench vectorise`: microseconds a step of one network, the less the better.

use std::{sync::atomic::AtomicBool, time::Instant};

use rectify_train::{
    backend,
    data::{Dataset, DeviceDataset},
    experiment::{Experiment, ProbeEvery},
    network::Model,
    train::{
        Trainer,
        grid::{self, Training},
    },
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Microseconds of a training, of which so many are done by groups on `jobs` threads; of `steps` steps each, which is what
/// they cost beyond a training of one.
fn microseconds(data: &DeviceDataset, seeds: usize, steps: usize, jobs: usize, groups: &[Vec<usize>]) -> f64 {
    let train = |steps: usize| {
        let experiment = Experiment {
            activations: vec!["relu".parse().expect("the name is known")],
            seeds,
            steps: Some(steps),
            probe_every: ProbeEvery::Off,
            ..Experiment::default()
        };
        let trainings = grid::trainings(&experiment);
        let device = data.train.device().autodiff();
        let begin = |i: usize| {
            let Training { experiment, activation, seed } = &trainings[i];
            let network = Model::new(experiment, activation, data.shape(), *seed, &device);
            Ok::<_, ()>(Trainer::new(network, activation, *seed, experiment, data))
        };
        let began = Instant::now();
        let never = AtomicBool::new(false);
        let done = grid::run(jobs, groups, &never, &begin, &|_, _| {}, &|_, _, _| Ok(()));
        assert_eq!(done.map(|done| done.len()), Ok(seeds));
        began.elapsed().as_secs_f64()
    };
    train(1);
    let least = train(1);
    1e6 * (train(1 + steps) - least) / (steps * seeds) as f64
}

fn measure(name: &str, steps: usize, threads: usize) {
    let device = match backend::open(name) {
        Ok(device) => device,
        Err(error) => return println!("{name}: {error}"),
    };
    let dataset = Dataset::load("mnist", Some(12_800)).expect("MNIST comes with the repository");
    let data = dataset.to_device(&device, Experiment::default().dtype.into());
    // Steps are measured, not evaluations.
    let few = |samples: &rectify_train::data::DeviceSamples| samples.slice(0..100).into();
    let data = DeviceDataset { validation: few(&data.validation), test: few(&data.test), ..data };
    for seeds in [1, 2, 4, 8, 16] {
        let each: Vec<Vec<usize>> = (0..seeds).map(|i| vec![i]).collect();
        let all = [(0..seeds).collect()];
        let of = |jobs: usize, groups: &[Vec<usize>]| microseconds(&data, seeds, steps, jobs, groups);
        let [in_turn, beside, together] = [of(1, &each), of(threads, &each), of(1, &all)];
        println!("| {name} | {seeds} | {in_turn:.0} | {beside:.0} | {together:.0} |");
    }
}

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!(
        "| backend | networks | one after another | side by side, {cores} threads | together |\n|---|---|---|---|---|"
    );
    measure("flex", 400, cores);
    measure("wgpu", 24, 2);
}
