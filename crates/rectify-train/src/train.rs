//! The training loop, the only one in the project.
//!
//! It is not burn-train's `Learner`: that owns the loop, so a step's gradients cannot be looked at between backward
//! pass and update, a loss that is no longer finite is not an outcome, and it reads metrics back at every step. What
//! it is built from is Burn's: modules, losses, optimizers.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use burn::tensor::{Int, Tensor, TensorData};

mod learner;
mod update;

pub use learner::{Learner, Step, gradients};

use crate::{
    activation::Activation,
    data::{Batch, DeviceDataset, DeviceSamples, shuffled},
    experiment::{Experiment, ProbeEvery},
    model::{Model, Network, outputs},
    probe::{Backward, Probe, Trace, Update, report, weight_gradients},
    results::{Epoch, Layer, Run, Status, StepProbe},
};

/// Steps between two read-backs of losses. On a GPU each is a wait for the device.
const READ_BACK: usize = 64;
/// Samples a batch where nothing is learned.
const EVALUATION_BATCH: usize = 1000;
/// Training samples whose gradient is measured before training and after every epoch.
const GRADIENT_SAMPLE: usize = 1000;

/// What a training reports while it runs.
#[derive(Debug)]
pub enum Event<'a, N = Model> {
    /// So many steps more are done.
    Steps(usize),
    /// A step is done. What looks on here is not counted in the epoch's seconds.
    Step {
        /// The step, from 1.
        step: usize,
        /// The network after it.
        network: &'a N,
        /// What it was taken on.
        batch: &'a Batch,
    },
    /// An epoch is measured; the first one is the network before training.
    Epoch(&'a Epoch),
    /// A step was probed.
    Probe(&'a StepProbe),
}

/// Loss and accuracy over some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean of the network's loss, for classifiers cross-entropy in nats; `None` where it is not finite.
    pub loss: Option<f64>,
    /// Fraction classified rightly.
    pub accuracy: f64,
}

/// Training steps that an experiment takes on a training set of so many samples.
pub fn total_steps(experiment: &Experiment, samples: usize) -> usize {
    let steps_an_epoch = samples.div_ceil(experiment.batch_size);
    experiment.steps.unwrap_or(experiment.epochs.saturating_mul(steps_an_epoch))
}

/// Trains a network by the experiment's settings.
///
/// `network` must track gradients (its device is an autodiff one), and `data` must be on the same device. The run ends
/// after the experiment's steps, by patience, by a loss that is not finite, or soon after `stop` is set.
///
/// Gives back the network as it was at the end, and what was measured.
pub fn train<N: Network>(
    network: N,
    activation: &Activation,
    seed: u64,
    experiment: &Experiment,
    data: &DeviceDataset,
    stop: &AtomicBool,
    observe: &mut dyn FnMut(Event<N>),
) -> (N, Run) {
    let started = Instant::now();
    let device = data.train.device();
    let mut learner = Learner::new(network, experiment);
    let total = total_steps(experiment, data.train.len());
    let steps_an_epoch = data.train.len().div_ceil(experiment.batch_size);
    let probe = (experiment.probe_every != ProbeEvery::Off).then(|| Probe::new(activation));

    let mut run = Run {
        activation: activation.to_string(),
        seed,
        status: Status::Completed,
        diverged_at_step: None,
        wall_seconds: 0.0,
        steps: 0,
        parameters: learner.network().num_params(),
        epochs: Vec::new(),
        probes: Vec::new(),
    };
    let sample = data.train.slice(0..data.train.len().min(GRADIENT_SAMPLE));
    let measure = |network: &N, epoch, step, seconds, train_loss, update: Option<Update>| {
        let valid = network.valid();
        let (validation, passes) = watch(&valid, &data.validation, probe.as_ref());
        let test = evaluate(&valid, &data.test);
        let layers = probe.as_ref().map(|probe| look(network, &passes, probe, sample.clone(), update));
        Epoch {
            epoch,
            step,
            seconds,
            train_loss,
            validation_loss: validation.loss,
            validation_accuracy: validation.accuracy,
            test_loss: test.loss,
            test_accuracy: test.accuracy,
            layers: layers.unwrap_or_default(),
        }
    };
    let initial = evaluate(&learner.network().valid(), &sample.clone().into()).loss;
    run.epochs.push(measure(learner.network(), 0, 0, 0.0, initial, None));
    observe(Event::Epoch(&run.epochs[0]));

    let mut best = (run.epochs[0].validation_accuracy, 0);
    let mut epoch = 0;
    while run.steps < total && run.status == Status::Completed {
        epoch += 1;
        let epoch_started = Instant::now();
        let mut probing = 0.0;
        let order = shuffled(data.train.len(), seed, epoch);
        let order = Tensor::<1, Int>::from_data(TensorData::new(order, [data.train.len()]), &device);
        let last_step = total.min(run.steps + steps_an_epoch);
        let mut update = None;
        let mut unread = Vec::new();
        let mut losses: Vec<f64> = Vec::with_capacity(steps_an_epoch);

        let first_step = run.steps;
        while run.steps < last_step && run.status == Status::Completed {
            let begin = (run.steps - first_step) * experiment.batch_size;
            let end = data.train.len().min(begin + experiment.batch_size);
            let batch = data.train.gather(order.clone().slice(begin..end));
            run.steps += 1;
            let watched = match (&probe, experiment.probe_every) {
                (Some(probe), ProbeEvery::Steps(every)) if run.steps.is_multiple_of(every) => Some(probe),
                _ => None,
            };
            let measure_update = watched.is_some() || (probe.is_some() && run.steps == last_step);

            let step;
            (learner, step) = learner.step(batch.clone(), watched, measure_update);
            update = step.update;
            if watched.is_some() {
                let probing_started = Instant::now();
                let backward = Backward { passes: &step.watched, weights: step.weight_gradients };
                let layers = report(&step.watched, Some(&backward), update.as_ref());
                let probed = StepProbe { step: run.steps, loss: finite(step.loss.clone().into_scalar()), layers };
                observe(Event::Probe(&probed));
                run.probes.push(probed);
                probing += probing_started.elapsed().as_secs_f64();
            }
            let looking_on = Instant::now();
            observe(Event::Step { step: run.steps, network: learner.network(), batch: &batch });
            probing += looking_on.elapsed().as_secs_f64();
            unread.push(step.loss);
            if unread.len() == READ_BACK || run.steps == last_step {
                let first_unread = run.steps - unread.len();
                observe(Event::Steps(unread.len()));
                let values = Tensor::cat(std::mem::take(&mut unread), 0).into_data();
                losses.extend(values.iter::<f64>());
                let seen = losses.len();
                if let Some(i) = losses.iter().position(|loss| !loss.is_finite()) {
                    run.status = Status::Diverged;
                    run.diverged_at_step = Some(first_unread + 1 + i - (seen - (run.steps - first_unread)));
                } else if run.steps < total && stop.load(Ordering::Relaxed) {
                    run.status = Status::Interrupted;
                }
            }
        }
        if run.status == Status::Diverged {
            break;
        }
        let seconds = epoch_started.elapsed().as_secs_f64() - probing;
        let train_loss = finite(losses.iter().sum::<f64>() / losses.len() as f64);
        let measured = measure(learner.network(), epoch, run.steps, seconds, train_loss, update.take());
        if measured.validation_accuracy > best.0 {
            best = (measured.validation_accuracy, epoch);
        }
        let out_of_patience = experiment.patience.is_some_and(|patience| epoch - best.1 >= patience);
        observe(Event::Epoch(&measured));
        run.epochs.push(measured);
        if out_of_patience {
            break;
        }
    }
    run.wall_seconds = started.elapsed().as_secs_f64();
    (learner.into_network(), run)
}

/// Mean loss and accuracy of a network that tracks no gradients (`network.valid()`).
pub fn evaluate<N: Network>(network: &N, samples: &DeviceSamples) -> Evaluation {
    watch(network, samples, None).0
}

/// [`evaluate`], watching the passes if there is a probe.
fn watch<N: Network>(network: &N, samples: &DeviceSamples, probe: Option<&Probe>) -> (Evaluation, Vec<Trace>) {
    let mut sums: Vec<Tensor<1>> = Vec::new();
    let mut passes: Vec<Trace> = Vec::new();
    for range in batches(samples.len()) {
        let count = range.len() as f64;
        let mut trace = match probe {
            None => Trace::off(),
            // One batch is enough for a picture.
            Some(probe) if passes.is_empty() => Trace::histogram(probe),
            Some(probe) => Trace::activations(probe),
        };
        let Batch { images, labels } = samples.slice(range);
        let outputs = outputs(network, images, &mut trace);
        let right = network.right(outputs.clone(), labels.clone()).float().cast(outputs.dtype());
        sums.push(Tensor::cat(vec![network.loss(outputs, labels) * count, right.sum()], 0));
        passes.push(trace);
    }
    let sums: Vec<f64> = Tensor::cat(sums, 0).into_data().iter().collect();
    let mean = |offset: usize| sums.iter().skip(offset).step_by(2).sum::<f64>() / samples.len() as f64;
    (Evaluation { loss: finite(mean(0)), accuracy: mean(1) }, passes)
}

/// Every layer's figures: activations as `passes` saw them, gradients of the mean loss over `sample`.
fn look<N: Network>(network: &N, passes: &[Trace], probe: &Probe, sample: Batch, update: Option<Update>) -> Vec<Layer> {
    let mut trace = Trace::gradients(probe);
    let (_, gradients) = gradients(network, sample, &mut trace);
    let backward = Backward { passes: &[trace], weights: weight_gradients(network, &gradients) };
    report(passes, Some(&backward), update.as_ref())
}

fn batches(samples: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..samples).step_by(EVALUATION_BATCH).map(move |begin| begin..samples.min(begin + EVALUATION_BATCH))
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
