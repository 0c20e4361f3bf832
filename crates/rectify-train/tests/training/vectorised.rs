//! Trainings that take their steps together, against the same ones by themselves.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use rectify_train::{
    experiment::{NormKind, Schedule},
    record::Layer,
    train::{Group, State},
};

use super::*;

/// Trainings of a network with rates and seeds of their own, on 300 samples of MNIST.
fn trainings(experiment: &Experiment, rates: &[f64]) -> Vec<Training> {
    let training = |(seed, &lr): (usize, &f64)| Training {
        experiment: Experiment { lr: Some(lr), ..experiment.clone() },
        activation: experiment.activations[0].clone(),
        seed: seed as u64 % 2,
    };
    rates.iter().enumerate().map(training).collect()
}

fn experiment(activation: &str) -> Experiment {
    Experiment { batch_size: 32, epochs: Some(3), vectorise: true, ..on_mnist(activation, vec![16, 16]) }
}

fn trainer<'a>(training: &'a Training, data: &'a DeviceDataset) -> Trainer<'a, Model> {
    let Training { experiment, activation, seed } = training;
    let network = Model::new(experiment, activation, data.shape(), *seed, &data.train.device().autodiff());
    Trainer::new(network, activation, *seed, experiment, data)
}

/// What trainings come to, on one thread, by groups; and how many steps were taken by themselves.
fn run(trainings: &[Training], data: &DeviceDataset, groups: &[Vec<usize>]) -> (Vec<(Run, Vec<f64>)>, usize) {
    let (alone, losses) = (AtomicUsize::new(0), Mutex::new(vec![Vec::new(); trainings.len()]));
    let observe = |training: usize, event: Event| match event {
        Event::Step { .. } => drop(alone.fetch_add(1, Ordering::Relaxed)),
        Event::Losses(block) => losses.lock().unwrap()[training].extend(&block.losses),
        _ => {}
    };
    let begin = |i: usize| Ok::<_, ()>(trainer(&trainings[i], data));
    let never = AtomicBool::new(false);
    let runs = grid::run(1, groups, &never, &begin, &observe, &|_, run, _| Ok(run)).unwrap();
    (runs.into_iter().zip(losses.into_inner().unwrap()).collect(), alone.into_inner())
}

fn by_themselves(trainings: &[Training], data: &DeviceDataset) -> Vec<(Run, Vec<f64>)> {
    let each: Vec<Vec<usize>> = (0..trainings.len()).map(|i| vec![i]).collect();
    run(trainings, data, &each).0
}

#[track_caller]
fn near(what: &str, found: f64, expected: f64) {
    let bound = 1e-4 * expected.abs().max(1e-3);
    assert!((found - expected).abs() <= bound, "{what}: {found} together, {expected} alone");
}

/// The same record, but for rounding and time.
#[track_caller]
fn same_records(what: &str, found: &[(Run, Vec<f64>)], expected: &[(Run, Vec<f64>)]) {
    assert_eq!(found.len(), expected.len());
    for ((found, losses), (expected, expected_losses)) in found.iter().zip(expected) {
        let what = &format!("{what}, seed {}", found.seed);
        assert_eq!((found.seed, found.status, found.steps), (expected.seed, expected.status, expected.steps), "{what}");
        assert_eq!(losses.len(), expected_losses.len(), "{what}");
        losses.iter().zip(expected_losses).for_each(|(&a, &b)| near(what, a, b));
        assert_eq!(found.epochs.len(), expected.epochs.len(), "{what}");
        assert!(found.wall_seconds > 0.0 && found.confusion.is_some() == expected.confusion.is_some());
        for (found, expected) in found.epochs.iter().zip(&expected.epochs) {
            assert_eq!(
                (found.epoch, found.step, found.learning_rate),
                (expected.epoch, expected.step, expected.learning_rate)
            );
            near(what, found.validation_loss.unwrap(), expected.validation_loss.unwrap());
            same_layers(what, &found.layers, &expected.layers);
        }
        assert_eq!(found.probes.len(), expected.probes.len(), "{what}");
        for (found, expected) in found.probes.iter().zip(&expected.probes) {
            assert_eq!(found.step, expected.step);
            same_layers(what, &found.layers, &expected.layers);
        }
    }
}

#[track_caller]
fn same_layers(what: &str, found: &[Layer], expected: &[Layer]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.layer, expected.layer);
        let numbers = |layer: &Layer| [layer.weight_rms, layer.weight_grad_norm, layer.update_to_weight_ratio];
        for (found, expected) in numbers(found).into_iter().zip(numbers(expected)) {
            assert_eq!(found.is_some(), expected.is_some(), "{what}");
            found.zip(expected).into_iter().for_each(|(a, b)| near(what, a, b));
        }
    }
}

#[test]
fn together_they_come_to_what_each_comes_to_by_itself() {
    let data = some_of_mnist(300);
    for (activation, optimizer, rates) in [
        ("relu", OptimizerKind::Sgd, [0.1, 0.1, 0.1]),
        ("sigmoid", OptimizerKind::Sgd, [0.03, 0.1, 0.3]),
        ("gelu", OptimizerKind::Momentum, [0.01, 0.02, 0.01]),
        ("relu:nelu=0.1", OptimizerKind::Adam, [1e-3, 2e-3, 1e-3]),
        ("tanh", OptimizerKind::AdamW, [1e-3, 2e-3, 3e-3]),
        ("none", OptimizerKind::Sgd, [0.01, 0.02, 0.03]),
    ] {
        let decay = if optimizer == OptimizerKind::AdamW { 0.1 } else { 1e-4 };
        let experiment = Experiment { optimizer, weight_decay: decay, ..experiment(activation) };
        let trainings = trainings(&experiment, &rates);
        let groups = grid::groups(&trainings, data.shape(), 1);
        assert_eq!(groups, [[0, 1, 2]], "{activation}");
        let (together, alone) = run(&trainings, &data, &groups);
        // Of ten steps an epoch the last is measured, which is each training's own.
        assert_eq!(alone, 3 * 3, "{activation}");
        same_records(&format!("{activation} {optimizer}"), &together, &by_themselves(&trainings, &data));
    }
}

#[test]
fn without_probes_every_step_is_together_and_schedules_and_depths_are_heeded() {
    let data = some_of_mnist(300);
    for hidden in [Vec::new(), vec![8, 4, 8]] {
        let experiment = Experiment {
            probe_every: ProbeEvery::Off,
            schedule: Schedule::Cosine,
            dtype: Dtype::F64,
            hidden: Some(hidden),
            ..experiment("softplus")
        };
        let data = in_f64(&data);
        let trainings = trainings(&experiment, &[0.1, 0.05]);
        let (together, alone) = run(&trainings, &data, &[vec![0, 1]]);
        assert_eq!(alone, 0);
        same_records("f64", &together, &by_themselves(&trainings, &data));
    }
}

fn in_f64(data: &DeviceDataset) -> DeviceDataset {
    let cast = |samples: &DeviceSamples| -> DeviceSamples {
        Batch { images: samples.images().cast(DType::F64), labels: samples.labels() }.into()
    };
    DeviceDataset { train: cast(&data.train), validation: cast(&data.validation), test: cast(&data.test), ..*data }
}

#[test]
fn probed_steps_are_each_trainings_own() {
    let data = some_of_mnist(300);
    let experiment = Experiment { probe_every: ProbeEvery::Steps(4), ..experiment("silu") };
    let trainings = trainings(&experiment, &[0.1, 0.2, 0.1]);
    let (together, alone) = run(&trainings, &data, &[vec![0, 1, 2]]);
    // Seven of the thirty are probed, and the tenth is measured too; the twentieth is both.
    assert_eq!(alone, 3 * (7 + 2));
    same_records("silu", &together, &by_themselves(&trainings, &data));
}

#[test]
fn who_diverges_or_has_no_patience_leaves_the_others_as_they_are() {
    let data = some_of_mnist(300);
    let patient = Experiment { patience: Some(1), epochs: Some(6), ..experiment("relu") };
    let trainings = trainings(&patient, &[0.1, 1e30, 1e-12, 0.2]);
    let (together, _) = run(&trainings, &data, &[vec![0, 1, 2, 3]]);
    let alone = by_themselves(&trainings, &data);
    let of = |runs: &[(Run, Vec<f64>)]| -> Vec<_> {
        runs.iter()
            .map(|(run, _)| (run.status, run.steps, run.diverged_at_step, run.divergence, run.kept_epoch))
            .collect()
    };
    assert_eq!(of(&together), of(&alone));
    assert_eq!((together[1].0.status, together[2].0.steps), (Status::Diverged, 10));
    assert!(together[0].0.steps > 10);
    same_records("the first", &together[..1], &alone[..1]);
    same_records("the last", &together[3..], &alone[3..]);
}

#[test]
fn what_is_stopped_goes_on_and_stragglers_catch_up() {
    let data = some_of_mnist(300);
    let experiment = Experiment { optimizer: OptimizerKind::Momentum, ..experiment("tanh") };
    let trainings = trainings(&experiment, &[0.01, 0.02, 0.03]);
    let (expected, _) = run(&trainings, &data, &[vec![0, 1, 2]]);

    // The first is stopped after a step of the second epoch with the third, and the second before any.
    let saved: Vec<Mutex<Option<State>>> = trainings.iter().map(|_| Mutex::new(None)).collect();
    let stop = AtomicBool::new(false);
    let observe = |training: usize, event: Event| match event {
        Event::Epoch(epoch) if epoch.epoch == 1 => stop.store(true, Ordering::Relaxed),
        Event::Save(snapshot) => {
            let (epochs, probes) = (snapshot.epochs.to_vec(), snapshot.probes.to_vec());
            let state = State { progress: snapshot.progress.clone(), records: snapshot.records(), epochs, probes };
            *saved[training].lock().unwrap() = Some(state);
        }
        _ => {}
    };
    let mut group = Group::new(vec![(0, trainer(&trainings[0], &data)), (2, trainer(&trainings[2], &data))]);
    let mut ended = Vec::new();
    while !group.is_empty() {
        ended.extend(group.epoch(&stop, &observe));
    }
    assert!(ended.iter().all(|(_, _, run)| run.status == Status::Interrupted), "each is interrupted");

    let begin = |i: usize| {
        let trainer = trainer(&trainings[i], &data);
        match saved[i].lock().unwrap().take() {
            Some(state) => trainer.resume(state),
            None => Ok(trainer),
        }
    };
    let never = AtomicBool::new(false);
    let runs = grid::run(1, &[vec![0, 1, 2]], &never, &begin, &|_, _| {}, &|_, run, _| Ok(run)).unwrap();
    for (run, (expected, _)) in runs.iter().zip(&expected) {
        assert_eq!((run.status, run.epochs.len()), (Status::Completed, expected.epochs.len()));
        for (found, expected) in run.epochs.iter().zip(&expected.epochs) {
            assert_eq!(found.step, expected.step);
            near("training loss", found.train_loss.unwrap(), expected.train_loss.unwrap());
            near("test loss", found.test_loss.unwrap(), expected.test_loss.unwrap());
        }
    }
}

#[test]
fn groups_are_of_one_network_and_fit_jobs_and_tensors() {
    let shape = Shape { channels: 1, height: 28, width: 28, classes: 10 };
    let mut all = trainings(&experiment("relu"), &[0.1; 5]);
    all.extend(trainings(&experiment("tanh"), &[0.1, 0.2]));
    all.extend(trainings(&experiment("prelu"), &[0.1, 0.2]));
    all.extend(trainings(&Experiment { vectorise: false, ..experiment("relu") }, &[0.1]));
    all.extend(trainings(&Experiment { weight_decay: 0.1, ..experiment("relu") }, &[0.1]));
    let expected = [vec![0, 1, 2, 3, 4], vec![5, 6], vec![7], vec![8], vec![9], vec![10]];
    assert_eq!(grid::groups(&all, shape, 1), expected);
    assert_eq!(grid::groups(&all, shape, 2)[..4], [vec![0, 1, 2], vec![3, 4], vec![5], vec![6]]);
    // 2²⁷ bytes are the pixels of 20 batches of 2048 samples and some.
    let large = trainings(&Experiment { batch_size: 2048, ..experiment("relu") }, &[0.1; 50]);
    let sizes: Vec<usize> = grid::groups(&large, shape, 1).iter().map(Vec::len).collect();
    assert_eq!(sizes, [20, 20, 10]);
}

#[test]
fn what_is_not_plain_is_refused() {
    for (experiment, setting) in [
        (Experiment { model: ModelKind::Cnn, hidden: None, ..experiment("relu") }, "--model cnn"),
        (Experiment { norm: NormKind::Layer, ..experiment("relu") }, "--norm layer"),
        (Experiment { residual: true, ..experiment("relu") }, "--residual"),
        (Experiment { dropout: 0.1, ..experiment("relu") }, "--dropout 0.1"),
        (Experiment { clip_norm: Some(1.0), ..experiment("relu") }, "--clip-norm"),
        (Experiment { dtype: Dtype::Bf16, ..experiment("relu") }, "--dtype bf16"),
        (Experiment { threads: 2, ..experiment("relu") }, "--threads 2"),
    ] {
        let error = experiment.check().unwrap_err();
        assert!(error.field == "vectorise" && error.reason.contains(setting), "{error}");
    }
    assert!(experiment("prelu").check().is_ok());
    assert!(experiment("prelu").notes(1000)[0].contains("prelu"));
}
