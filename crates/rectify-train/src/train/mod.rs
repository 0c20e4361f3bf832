//! The training loop, the only one in the project.
//!
//! It is not burn-train's `Learner`: that owns the loop, so a step's gradients cannot be looked at between backward
//! pass and update, a loss that is no longer finite is not an outcome, and it reads metrics back at every step. What
//! it is built from is Burn's: modules, losses, optimizers.

mod confusion;
pub mod grid;
mod learner;
mod measure;
mod optimizer;
mod progress;
pub mod schedule;
mod statistics;
mod update;

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use burn::{
    module::{Module, ModuleVisitor, Param},
    store::RecordError,
    tensor::{Int, Tensor, TensorData},
};

use self::measure::{EVALUATION_BATCH, classify_by, evaluate_by, finite, look};
pub use self::{
    confusion::{Answer, answers, confusion, softmax},
    learner::{Learner, Step, gradients},
    measure::{Evaluation, evaluate, evaluate_in_batches},
    progress::{Progress, Records, Snapshot},
};
use crate::{
    activation::Activation,
    data::{Batch, DeviceDataset, shuffled},
    experiment::{Experiment, NormKind, ProbeEvery},
    network::{Model, Network},
    observe::{Backward, Probe, input_sample, report},
    record::{Confusion, Divergence, Epoch, InputSample, Layer, Run, Status, StepLosses, StepProbe},
};

/// Losses are read back at every so many'th step: on a GPU each time is a wait for the device. By the step's number and
/// not by how many there are, so that a resumed training reads, and judges, at the same steps.
const READ_BACK: usize = 64;
/// How much training a killed process may lose, unless it is told otherwise.
pub const SAVE_EVERY: Duration = Duration::from_secs(10);
/// First training samples, over which the loss before training is taken.
const INITIAL_SAMPLE: usize = 1000;
/// First training samples, of which what the network is fed is measured.
const INPUT_SAMPLE: usize = 256;
/// A loss so many times that of guessing, and that before training, is one of a network that has diverged.
const WILD: f64 = 100.0;

/// What a training reports while it runs.
pub enum Event<'a, N = Model> {
    /// So many steps more are done.
    Steps(usize),
    /// A step is done. What observes it is not counted in the epoch's seconds.
    Step {
        /// The step, from 1.
        step: usize,
        /// The network after it, as [`Learner::network`] gives it: for gradients of it there is [`gradients`], and
        /// `network.valid().train()` tracks them.
        network: &'a N,
        /// What it was taken on.
        batch: &'a Batch,
    },
    /// The losses of the steps since the last such event.
    Losses(&'a StepLosses),
    /// A step was probed.
    Probe(&'a StepProbe),
    /// An epoch is measured; the first one is the network before training.
    Epoch(&'a Epoch),
    /// Now is a time to save: about ten seconds after the last, when told to stop, and when the training is complete.
    Save(Snapshot<'a, N>),
}

/// Training steps that an experiment takes on a training set of so many samples.
pub fn total_steps(experiment: &Experiment, samples: usize) -> usize {
    let steps_an_epoch = samples.div_ceil(experiment.batch_size);
    experiment.steps.unwrap_or(experiment.epochs().saturating_mul(steps_an_epoch))
}

/// How many numbers of a network learn.
fn trainable<N: Module>(network: &N) -> usize {
    struct Trainable(usize);
    impl ModuleVisitor for Trainable {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0 += param.shape().num_elements();
            }
        }
    }
    let mut trainable = Trainable(0);
    network.visit(&mut trainable);
    trainable.0
}

/// Trains a network by the experiment's settings.
///
/// `network` must track gradients (its device is an autodiff one), and `data` must be on the same device. The run ends
/// after the experiment's steps, by patience, by [`Divergence`], or soon after `stop` is set.
///
/// Gives back the network as it was at the end (with patience, unless `keep_last`, the best one), and what was measured.
pub fn train<N: Network>(
    network: N,
    activation: &Activation,
    seed: u64,
    experiment: &Experiment,
    data: &DeviceDataset,
    stop: &AtomicBool,
    observe: &mut dyn FnMut(Event<N>),
) -> (N, Run) {
    Trainer::new(network, activation, seed, experiment, data).run(stop, observe)
}

/// What a training is resumed from.
pub struct State {
    /// Where it stood.
    pub progress: Progress,
    /// What [`Snapshot::records`] gave.
    pub records: Records,
    /// The epochs measured until then.
    pub epochs: Vec<Epoch>,
    /// The steps probed until then.
    pub probes: Vec<StepProbe>,
}

/// A training that goes on epoch by epoch, whenever and on whichever thread it is told to. [`train`] is all of them.
pub struct Trainer<'a, N> {
    experiment: &'a Experiment,
    data: &'a DeviceDataset,
    learner: Learner<N>,
    probe: Option<Probe>,
    total_steps: usize,
    run: Run,
    progress: Progress,
    /// The network of the best epoch, where that is what is kept.
    best: Option<N>,
    saved: Instant,
    save_every: Duration,
    /// When the turn in work began.
    begun: Instant,
}

impl<'a, N: Network> Trainer<'a, N> {
    /// A training at its beginning. The arguments are those of [`train`].
    pub fn new(
        network: N,
        activation: &Activation,
        seed: u64,
        experiment: &'a Experiment,
        data: &'a DeviceDataset,
    ) -> Self {
        let parameters = trainable(&network);
        let learner = Learner::new(network, experiment).with_seed(seed);
        let run = Run { parameters, ..Run::new(activation.to_string(), seed) };
        Self {
            experiment,
            data,
            learner,
            probe: (experiment.probe_every != ProbeEvery::Off).then(|| Probe::new(activation)),
            total_steps: total_steps(experiment, data.train.len()),
            run,
            progress: Progress::default(),
            best: None,
            saved: Instant::now(),
            save_every: SAVE_EVERY,
            begun: Instant::now(),
        }
    }

    /// The same, with [`Event::Save`] after so much time each.
    pub fn save_every(self, time: Duration) -> Self {
        Self { save_every: time, ..self }
    }

    /// This training, [`new`](Self::new), as it was at a [`Snapshot`].
    ///
    /// # Errors
    ///
    /// The records are not those of such a network and optimizer.
    pub fn resume(self, at: State) -> Result<Self, RecordError> {
        let State { progress, mut records, epochs, probes } = at;
        let fresh = self.learner.into_network();
        let best = progress::take_best(&fresh, &mut records)?;
        let learner = Learner::load(fresh, self.experiment, &mut records, progress.steps)?.with_seed(self.run.seed);
        let (steps, wall_seconds) = (progress.steps, progress.wall_seconds);
        let run = Run { epochs, probes, steps, wall_seconds, ..self.run };
        Ok(Self { learner, best, run, progress, ..self })
    }

    /// Epochs that are still to come, unless something ends the training before.
    pub fn epochs_left(&self) -> usize {
        (self.total_steps - self.run.steps.min(self.total_steps)).div_ceil(self.steps_an_epoch())
    }

    /// Trains to the end: the network, and all that was measured.
    pub fn run(mut self, stop: &AtomicBool, observe: &mut dyn FnMut(Event<N>)) -> (N, Run) {
        loop {
            match self.epoch(stop, observe) {
                ControlFlow::Continue(next) => self = next,
                ControlFlow::Break(done) => return done,
            }
        }
    }

    /// Trains for an epoch, or what is left of one, and measures. The first one measures before, too. When that was the
    /// last one: the network and all that was measured.
    pub fn epoch(mut self, stop: &AtomicBool, observe: &mut dyn FnMut(Event<N>)) -> ControlFlow<(N, Run), Self> {
        self.begun = Instant::now();
        let ended;
        (self, ended) = self.turn(stop, observe);
        self.progress.wall_seconds += self.begun.elapsed().as_secs_f64();
        self.begun = Instant::now();
        self.run.wall_seconds = self.progress.wall_seconds;
        let Some(status) = ended else { return ControlFlow::Continue(self) };
        self.run.status = status;
        let last = self.run.epochs.last().map(|epoch| epoch.epoch);
        let best = self.best.as_ref().map(|_| self.progress.best.1);
        self.run.kept_epoch = best.filter(|best| Some(*best) != last);
        if status != Status::Completed || self.run.kept_epoch.is_some() {
            // It is another network's.
            self.run.confusion = None;
        }
        if status != Status::Diverged {
            self.save(observe);
        }
        let Self { learner, best, run, .. } = self;
        let network = match best {
            Some(best) => best.train(),
            None => learner.into_network(),
        };
        ControlFlow::Break((network, run))
    }

    /// How the training ended, if it did.
    fn turn(mut self, stop: &AtomicBool, observe: &mut dyn FnMut(Event<N>)) -> (Self, Option<Status>) {
        if self.run.epochs.is_empty() {
            let sample = self.data.train.slice(0..self.data.train.len().min(INITIAL_SAMPLE));
            if self.experiment.norm == NormKind::Batch && self.experiment.from.is_none() {
                // Running means that are those of no batch would show a network without normalisation.
                self.learner = self.learner.calibrate(sample.clone());
            }
            let sample = sample.into();
            let loss = evaluate(&self.learner.network().valid(), &sample).loss;
            if let Some(status) = self.measure(loss, stop, observe) {
                return (self, Some(status));
            }
        }
        // Where steps were taken that are not measured yet, it had not ended.
        if self.progress.losses.is_empty()
            && let Some(status) = self.ended()
        {
            return (self, Some(status));
        }
        let ended;
        (self, ended) = self.steps(stop, observe);
        if ended.is_some() {
            return (self, ended);
        }
        let losses = &self.progress.losses;
        let train_loss = finite(losses.iter().sum::<f64>() / losses.len() as f64);
        let ended = self.measure(train_loss, stop, observe).or_else(|| self.ended());
        (self, ended)
    }

    /// Whether all steps are taken, or patience is at its end.
    fn ended(&self) -> Option<Status> {
        let epoch = self.run.epochs.len() - 1;
        let patient = self.experiment.patience.is_none_or(|patience| epoch - self.progress.best.1 < patience);
        (!patient || self.run.steps >= self.total_steps).then_some(Status::Completed)
    }

    /// The steps of an epoch that are left.
    fn steps(mut self, stop: &AtomicBool, observe: &mut dyn FnMut(Event<N>)) -> (Self, Option<Status>) {
        let data = self.data;
        let epoch = self.run.epochs.len();
        let order = shuffled(data.train.len(), self.run.seed, epoch);
        let order = Tensor::<1, Int>::from_data(TensorData::new(order, [data.train.len()]), &data.train.device());
        let first_step = (epoch - 1) * self.steps_an_epoch();
        let last_step = self.total_steps.min(first_step + self.steps_an_epoch());
        let mut unread = Vec::new();
        while self.run.steps < last_step {
            let started = Instant::now();
            let mut observed = Duration::ZERO;
            let begin = (self.run.steps - first_step) * self.experiment.batch_size;
            let end = data.train.len().min(begin + self.experiment.batch_size);
            let batch = data.train.gather(order.clone().slice(begin..end));
            self.run.steps += 1;
            self.progress.steps += 1;
            let step = self.run.steps;
            let probe = match self.experiment.probe_every {
                ProbeEvery::Steps(every) if step.is_multiple_of(every) => self.probe.as_ref(),
                _ => None,
            };
            self.learner.set_learning_rate(self.experiment.learning_rate_at(step - 1, self.total_steps));
            let measure_update = probe.is_some() || (self.probe.is_some() && step == last_step);
            let taken;
            (self.learner, taken) = self.learner.step(batch.clone(), probe, measure_update);
            let Step { loss, parameters, watched, update, weight_gradients } = taken;
            let observing = Instant::now();
            if probe.is_some() {
                let backward = Backward { passes: &watched, weights: weight_gradients, batches: &[] };
                let layers = report(&watched, Some(&parameters), Some(&backward), update.as_ref());
                let probed = StepProbe { step, loss: finite(loss.clone().into_scalar()), layers };
                observe(Event::Probe(&probed));
                self.run.probes.push(probed);
            }
            observe(Event::Step { step, network: self.learner.network(), batch: &batch });
            observed += observing.elapsed();
            self.progress.update = update;
            unread.push(loss);

            let aligned = step.is_multiple_of(READ_BACK) || step == last_step;
            let stopped = stop.load(Ordering::Relaxed) && step < last_step;
            let save = stopped || self.saved.elapsed() >= self.save_every;
            if aligned || save {
                let values = Tensor::cat(std::mem::take(&mut unread), 0).into_data();
                self.progress.losses.extend(values.iter::<f64>());
            }
            self.progress.seconds += started.elapsed().saturating_sub(observed).as_secs_f64();
            if aligned {
                let losses = self.progress.tell();
                observe(Event::Losses(&losses));
                observe(Event::Steps(losses.losses.len()));
                if let Some(i) = losses.losses.iter().position(|loss| !loss.is_finite()) {
                    self.run.diverged_at_step = Some(losses.step + i);
                    self.run.divergence = Some(Divergence::Loss);
                    // The steps that were taken blindly after it are none.
                    self.run.steps = losses.step + i;
                    let epoch = self.diverged_epoch();
                    self.push(epoch, observe);
                    return (self, Some(Status::Diverged));
                }
            }
            if stopped {
                return (self, Some(Status::Interrupted));
            }
            if save {
                self.save(observe);
            }
        }
        (self, None)
    }

    /// Measures the network as it is after an epoch's steps, or before the first, and judges whether it has diverged.
    fn measure(
        &mut self,
        train_loss: Option<f64>,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(Event<N>),
    ) -> Option<Status> {
        let Some((mut measured, confusion)) = self.look(train_loss, stop) else { return Some(Status::Interrupted) };
        self.run.confusion = confusion;
        let guessing = (self.data.classes as f64).ln();
        let before = self.run.epochs.first().and_then(|epoch| epoch.validation_loss).unwrap_or(guessing);
        let wild = |loss: Option<f64>| loss.is_some_and(|loss| loss > WILD * guessing.max(before));
        let any = |count: fn(&Layer) -> u64| measured.layers.iter().any(|layer| count(layer) > 0);
        let divergence = if any(|layer| layer.nonfinite_weights) {
            Some(Divergence::Weights)
        } else if let Some(divergence) = self.learner.divergence(self.probe.is_none()) {
            Some(divergence)
        } else if measured.validation_loss.is_none() {
            Some(Divergence::ValidationLoss)
        } else if any(|layer| layer.nonfinite_activations) {
            Some(Divergence::Activations)
        } else if any(|layer| layer.nonfinite_gradients) {
            Some(Divergence::Gradient)
        } else if !self.run.epochs.is_empty() && (wild(measured.train_loss) || wild(measured.validation_loss)) {
            Some(Divergence::WildLoss)
        } else {
            None
        };
        self.run.divergence = divergence;
        if divergence.is_some() {
            (measured.validation_accuracy, measured.test_accuracy) = (None, None);
            self.run.diverged_at_step = Some(self.run.steps);
        }
        let (epoch, accuracy) = (measured.epoch, measured.validation_accuracy);
        if let Some(accuracy) = accuracy.filter(|accuracy| epoch == 0 || *accuracy > self.progress.best.0) {
            self.progress.best = (accuracy, epoch);
            if self.experiment.patience.is_some() && !self.experiment.keep_last {
                self.best = Some(self.learner.network().valid());
            }
        }
        self.push(Some(measured), observe);
        divergence.map(|_| Status::Diverged)
    }

    fn push(&mut self, measured: Option<Epoch>, observe: &mut dyn FnMut(Event<N>)) {
        let Some(measured) = measured else { return };
        observe(Event::Epoch(&measured));
        self.run.epochs.push(measured);
        let Progress { steps, wall_seconds, best, .. } = self.progress;
        self.progress = Progress { steps, epochs: self.run.epochs.len(), wall_seconds, best, ..Progress::default() };
    }

    /// The layers of a network whose loss is not finite any more.
    fn diverged_epoch(&self) -> Option<Epoch> {
        // Not stopped half way: what a training ended by is not to depend on when somebody asked it to stop.
        let (epoch, _) = self.look(None, &AtomicBool::new(false))?;
        Some(Epoch { validation_accuracy: None, test_accuracy: None, ..epoch })
    }

    /// What an epoch is measured by; of the last one, how test samples are classified too.
    fn look(&self, train_loss: Option<f64>, stop: &AtomicBool) -> Option<(Epoch, Option<Confusion>)> {
        let network = self.learner.network();
        let (validation, batch_size) = (&self.data.validation, self.experiment.batch_size);
        let (validation, gradient, layers) = match &self.probe {
            Some(probe) => {
                let update = self.progress.update.as_ref();
                let (evaluation, sample, layers) = look(network, validation, batch_size, probe, update, stop)?;
                (evaluation, Some(sample), layers)
            }
            None => (evaluate_by(&network.valid(), validation, batch_size, stop)?, None, Vec::new()),
        };
        let (untracked, test, classes) = (network.valid(), &self.data.test, self.data.classes);
        let (test, confusion) = if self.run.steps >= self.total_steps && classes <= Confusion::MOST_CLASSES {
            let (test, counts) = classify_by(&untracked, test, classes, EVALUATION_BATCH, stop)?;
            (test, Some(Confusion::of_numbered(counts)))
        } else {
            (evaluate_by(&untracked, test, EVALUATION_BATCH, stop)?, None)
        };
        let epoch = Epoch {
            epoch: self.run.epochs.len(),
            step: self.run.steps,
            seconds: self.progress.seconds,
            learning_rate: Some(self.experiment.learning_rate_at(self.run.steps.saturating_sub(1), self.total_steps)),
            train_loss,
            validation_loss: validation.loss,
            validation_accuracy: validation.accuracy,
            test_loss: test.loss,
            test_accuracy: test.accuracy,
            inputs: self.inputs(),
            gradient,
            layers,
        };
        Some((epoch, confusion))
    }

    /// What the network is fed, before training.
    fn inputs(&self) -> Option<InputSample> {
        let train = &self.data.train;
        let before = self.probe.is_some() && self.run.epochs.is_empty();
        before.then(|| input_sample(train.slice(0..train.len().min(INPUT_SAMPLE)).images))
    }

    fn save(&mut self, observe: &mut dyn FnMut(Event<N>)) {
        let Self { progress, learner, best, run, .. } = self;
        let wall_seconds = progress.wall_seconds + self.begun.elapsed().as_secs_f64();
        let progress = &Progress { wall_seconds, ..progress.clone() };
        let (epochs, probes) = (&run.epochs, &run.probes);
        observe(Event::Save(Snapshot { progress, epochs, probes, learner, best: best.as_ref() }));
        self.saved = Instant::now();
    }

    fn steps_an_epoch(&self) -> usize {
        self.data.train.len().div_ceil(self.experiment.batch_size)
    }
}
