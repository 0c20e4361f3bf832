//! The training loop, the only one in the project.
//!
//! It is not burn-train's `Learner`: that owns the loop, so a step's gradients cannot be looked at between backward
//! pass and update, a loss that is no longer finite is not an outcome, and it reads metrics back at every step. What
//! it is built from is Burn's: modules, losses, optimizers.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use burn::tensor::{Int, Tensor, TensorData};

pub mod grid;
mod learner;
pub mod schedule;
mod update;

pub use learner::{Learner, Step, gradients};

use crate::{
    activation::Activation,
    data::{Batch, DeviceDataset, DeviceSamples, shuffled},
    experiment::{Experiment, ProbeEvery},
    network::{Model, Network, outputs},
    observe::{Backward, Probe, Trace, Update, report, weight_gradients},
    record::{Epoch, Layer, Run, Status, StepProbe},
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
        /// The network after it, as [`Learner::network`] gives it: for gradients of it there is [`gradients`], and
        /// `network.valid().train()` tracks them.
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
    experiment.steps.unwrap_or(experiment.epochs().saturating_mul(steps_an_epoch))
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
    let mut trainer = Trainer::begin(network, activation, seed, experiment, data, observe);
    loop {
        match trainer.epoch(stop, observe) {
            ControlFlow::Continue(next) => trainer = next,
            ControlFlow::Break(done) => return done,
        }
    }
}

/// A training that goes on epoch by epoch, whenever and on whichever thread it is told to. [`train`] is all of them.
pub struct Trainer<'a, N> {
    experiment: &'a Experiment,
    data: &'a DeviceDataset,
    learner: Learner<N>,
    probe: Option<Probe>,
    /// What gradients are measured on.
    sample: Batch,
    total_steps: usize,
    run: Run,
    /// The best validation accuracy, and the epoch that had it.
    best: (f64, usize),
}

impl<'a, N: Network> Trainer<'a, N> {
    /// Measures the network before training. The arguments are those of [`train`].
    pub fn begin(
        network: N,
        activation: &Activation,
        seed: u64,
        experiment: &'a Experiment,
        data: &'a DeviceDataset,
        observe: &mut dyn FnMut(Event<N>),
    ) -> Self {
        let started = Instant::now();
        let learner = Learner::new(network, experiment);
        let run = Run {
            activation: activation.to_string(),
            seed,
            status: Status::Completed,
            diverged_at_step: None,
            divergence: None,
            kept_epoch: None,
            wall_seconds: 0.0,
            steps: 0,
            parameters: learner.network().num_params(),
            epochs: Vec::new(),
            probes: Vec::new(),
        };
        let mut trainer = Self {
            experiment,
            data,
            learner,
            probe: (experiment.probe_every != ProbeEvery::Off).then(|| Probe::new(activation)),
            sample: data.train.slice(0..data.train.len().min(GRADIENT_SAMPLE)),
            total_steps: total_steps(experiment, data.train.len()),
            run,
            best: (0.0, 0),
        };
        let loss = evaluate(&trainer.learner.network().valid(), &trainer.sample.clone().into()).loss;
        let measured = trainer.measure(0.0, loss, None);
        observe(Event::Epoch(&measured));
        trainer.best.0 = measured.validation_accuracy.unwrap_or(0.0);
        trainer.run.epochs.push(measured);
        trainer.run.wall_seconds = started.elapsed().as_secs_f64();
        trainer
    }

    /// Epochs that are still to come, unless something ends the training before.
    pub fn epochs_left(&self) -> usize {
        (self.total_steps - self.run.steps).div_ceil(self.steps_an_epoch())
    }

    /// Trains for an epoch and measures. When that was the last one: the network and all that was measured.
    pub fn epoch(mut self, stop: &AtomicBool, observe: &mut dyn FnMut(Event<N>)) -> ControlFlow<(N, Run), Self> {
        if self.run.steps == self.total_steps {
            return ControlFlow::Break((self.learner.into_network(), self.run));
        }
        let started = Instant::now();
        let Self { experiment, data, total_steps, .. } = self;
        let epoch = self.run.epochs.len();
        let mut looked_on = Duration::ZERO;
        let order = shuffled(data.train.len(), self.run.seed, epoch);
        let order = Tensor::<1, Int>::from_data(TensorData::new(order, [data.train.len()]), &data.train.device());
        let first_step = self.run.steps;
        let last_step = total_steps.min(first_step + self.steps_an_epoch());
        let mut update = None;
        let mut unread = Vec::new();
        let mut losses: Vec<f64> = Vec::with_capacity(last_step - first_step);

        let run = &mut self.run;
        while run.steps < last_step && run.status == Status::Completed {
            let begin = (run.steps - first_step) * experiment.batch_size;
            let end = data.train.len().min(begin + experiment.batch_size);
            let batch = data.train.gather(order.clone().slice(begin..end));
            run.steps += 1;
            let watched = match (&self.probe, experiment.probe_every) {
                (Some(probe), ProbeEvery::Steps(every)) if run.steps.is_multiple_of(every) => Some(probe),
                _ => None,
            };
            let measure_update = watched.is_some() || (self.probe.is_some() && run.steps == last_step);

            let step;
            (self.learner, step) = self.learner.step(batch.clone(), watched, measure_update);
            update = step.update;
            let looking_on = Instant::now();
            if watched.is_some() {
                let backward = Backward { passes: &step.watched, weights: step.weight_gradients };
                let layers = report(&step.watched, Some(&backward), update.as_ref());
                let probed = StepProbe { step: run.steps, loss: finite(step.loss.clone().into_scalar()), layers };
                observe(Event::Probe(&probed));
                run.probes.push(probed);
            }
            observe(Event::Step { step: run.steps, network: self.learner.network(), batch: &batch });
            looked_on += looking_on.elapsed();
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
                } else if run.steps < total_steps && stop.load(Ordering::Relaxed) {
                    run.status = Status::Interrupted;
                }
            }
        }
        let seconds = started.elapsed().saturating_sub(looked_on).as_secs_f64();
        let mut patient = true;
        if run.status != Status::Diverged {
            let train_loss = finite(losses.iter().sum::<f64>() / losses.len() as f64);
            let measured = self.measure(seconds, train_loss, update);
            if let Some(accuracy) = measured.validation_accuracy.filter(|accuracy| *accuracy > self.best.0) {
                self.best = (accuracy, epoch);
            }
            patient = experiment.patience.is_none_or(|patience| epoch - self.best.1 < patience);
            observe(Event::Epoch(&measured));
            self.run.epochs.push(measured);
        }
        self.run.wall_seconds += started.elapsed().as_secs_f64();
        if patient && self.run.status == Status::Completed && self.run.steps < total_steps {
            return ControlFlow::Continue(self);
        }
        ControlFlow::Break((self.learner.into_network(), self.run))
    }

    fn steps_an_epoch(&self) -> usize {
        self.data.train.len().div_ceil(self.experiment.batch_size)
    }

    /// The network as it is after the epoch's steps, which took so many `seconds`.
    fn measure(&self, seconds: f64, train_loss: Option<f64>, update: Option<Update>) -> Epoch {
        let (network, probe) = (self.learner.network(), self.probe.as_ref());
        let valid = network.valid();
        let (validation, passes) = watch(&valid, &self.data.validation, probe);
        let test = evaluate(&valid, &self.data.test);
        let layers = probe.map(|probe| look(network, &passes, probe, self.sample.clone(), update));
        Epoch {
            epoch: self.run.epochs.len(),
            step: self.run.steps,
            seconds,
            train_loss,
            validation_loss: validation.loss,
            validation_accuracy: Some(validation.accuracy),
            test_loss: test.loss,
            test_accuracy: Some(test.accuracy),
            layers: layers.unwrap_or_default(),
            ..Epoch::default()
        }
    }
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
