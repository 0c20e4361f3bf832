//! One training, epoch by epoch: measure, take steps, measure, and end where it has to.

mod group;

use std::{
    ops::{ControlFlow, Range},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use burn::{
    module::{Module, ModuleVisitor, Param},
    store::RecordError,
    tensor::{Int, Tensor, TensorData},
};

pub use self::group::Group;
use super::{
    Event, Learner, Progress, Records, SAVE_EVERY, Snapshot, Step, evaluate,
    measure::{EVALUATION_BATCH, classify_by, evaluate_by, finite, look},
    progress::take_best,
    total_steps,
};
use crate::{
    activation::Activation,
    data::{DeviceDataset, shuffled},
    experiment::{Experiment, NormKind, ProbeEvery},
    network::Network,
    observe::{Backward, Probe, input_sample, report},
    record::{Confusion, Divergence, Epoch, InputSample, Layer, Run, Status, StepProbe},
};

/// Losses are read back at every so many'th step: on a GPU each time is a wait for the device. By the step's number and
/// not by how many there are, so that a resumed training reads, and judges, at the same steps.
const READ_BACK: usize = 64;
/// First training samples, over which the loss before training is taken.
const INITIAL_SAMPLE: usize = 1000;
/// First training samples, of which what the network is fed is measured.
const INPUT_SAMPLE: usize = 256;
/// A loss so many times that of guessing, and that before training, is one of a network that has diverged.
const WILD: f64 = 100.0;

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

/// A training that goes on epoch by epoch, whenever and on whichever thread it is told to. [`train`](super::train) is all of them.
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
    /// Losses of the last steps, on the device.
    unread: Vec<Tensor<1>>,
}

/// An epoch's steps.
struct Steps {
    /// The samples, as they are drawn.
    order: Tensor<1, Int>,
    /// Steps before them.
    first: usize,
    /// Steps when they are all taken.
    end: usize,
}

/// What is due after a step.
#[derive(Clone, Copy)]
struct Pause {
    /// Losses are told, and judged.
    aligned: bool,
    stopped: bool,
    save: bool,
}

impl Pause {
    fn reads(self) -> bool {
        self.aligned || self.save
    }
}

impl<'a, N: Network> Trainer<'a, N> {
    /// A training at its beginning. The arguments are those of [`train`](super::train).
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
            unread: Vec::new(),
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
        let best = take_best(&fresh, &mut records)?;
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
        let begun;
        (self, begun) = self.begin(stop, observe);
        let steps = match begun {
            Ok(steps) => steps,
            Err(ended) => return self.end(Some(ended), stop, observe),
        };
        let mut ended = None;
        while ended.is_none() && self.run.steps < steps.end {
            let started = Instant::now();
            let observed;
            (self, observed) = self.step(&steps, observe);
            let pause = self.pause(&steps, stop);
            if pause.reads() {
                self.read();
            }
            self.progress.seconds += started.elapsed().saturating_sub(observed).as_secs_f64();
            ended = self.judge(pause, observe);
        }
        self.end(ended, stop, observe)
    }

    /// What comes before an epoch's steps; or how the training has ended, if it did.
    fn begin(mut self, stop: &AtomicBool, observe: &mut dyn FnMut(Event<N>)) -> (Self, Result<Steps, Status>) {
        self.begun = Instant::now();
        if self.run.epochs.is_empty() {
            let sample = self.data.train.slice(0..self.data.train.len().min(INITIAL_SAMPLE));
            if self.experiment.norm == NormKind::Batch && self.experiment.from.is_none() {
                // Running means that are those of no batch would show a network without normalisation.
                self.learner = self.learner.calibrate(sample.clone());
            }
            let sample = sample.into();
            let loss = evaluate(&self.learner.network().valid(), &sample).loss;
            if let Some(status) = self.measure(loss, stop, observe) {
                return (self, Err(status));
            }
        }
        // Where steps were taken that are not measured yet, it had not ended.
        if self.progress.losses.is_empty()
            && let Some(status) = self.ended()
        {
            return (self, Err(status));
        }
        let (data, epoch) = (self.data, self.run.epochs.len());
        let order = shuffled(data.train.len(), self.run.seed, epoch);
        let order = Tensor::<1, Int>::from_data(TensorData::new(order, [data.train.len()]), &data.train.device());
        let first = (epoch - 1) * self.steps_an_epoch();
        let end = self.total_steps.min(first + self.steps_an_epoch());
        (self, Ok(Steps { order, first, end }))
    }

    /// What comes after them, unless something has `ended` the training among them.
    fn end(
        mut self,
        mut ended: Option<Status>,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(Event<N>),
    ) -> ControlFlow<(N, Run), Self> {
        if ended.is_none() {
            let losses = &self.progress.losses;
            let train_loss = finite(losses.iter().sum::<f64>() / losses.len() as f64);
            ended = self.measure(train_loss, stop, observe).or_else(|| self.ended());
        }
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

    /// Whether all steps are taken, or patience is at its end.
    fn ended(&self) -> Option<Status> {
        let epoch = self.run.epochs.len() - 1;
        let patient = self.experiment.patience.is_none_or(|patience| epoch - self.progress.best.1 < patience);
        (!patient || self.run.steps >= self.total_steps).then_some(Status::Completed)
    }

    /// Whether the next step is watched, and whether what it does is measured.
    fn watches(&self, steps: &Steps) -> (bool, bool) {
        let step = self.run.steps + 1;
        let probed = match self.experiment.probe_every {
            ProbeEvery::Steps(every) => step.is_multiple_of(every),
            _ => false,
        };
        (probed, probed || (self.probe.is_some() && step == steps.end))
    }

    /// Places of the next step's samples in the epoch's order.
    fn batch(&self, steps: &Steps) -> Range<usize> {
        let begin = (self.run.steps - steps.first) * self.experiment.batch_size;
        begin..self.data.train.len().min(begin + self.experiment.batch_size)
    }

    /// The next step's learning rate.
    fn learning_rate(&self) -> f64 {
        self.experiment.learning_rate_at(self.run.steps, self.total_steps)
    }

    /// A step by itself, and how long it was observed.
    fn step(mut self, steps: &Steps, observe: &mut dyn FnMut(Event<N>)) -> (Self, Duration) {
        let (probed, measure_update) = self.watches(steps);
        let probe = self.probe.as_ref().filter(|_| probed);
        let batch = self.data.train.gather(steps.order.clone().slice(self.batch(steps)));
        self.learner.set_learning_rate(self.learning_rate());
        self.run.steps += 1;
        self.progress.steps += 1;
        let step = self.run.steps;
        let taken;
        (self.learner, taken) = self.learner.step(batch.clone(), probe, measure_update);
        let Step { loss, parameters, watched, update, weight_gradients } = taken;
        let observing = Instant::now();
        if probed {
            let backward = Backward { passes: &watched, weights: weight_gradients, batches: &[] };
            let layers = report(&watched, Some(&parameters), Some(&backward), update.as_ref());
            let probed = StepProbe { step, loss: finite(loss.clone().into_scalar()), layers };
            observe(Event::Probe(&probed));
            self.run.probes.push(probed);
        }
        observe(Event::Step { step, network: self.learner.network(), batch: &batch });
        let observed = observing.elapsed();
        self.progress.update = update;
        self.unread.push(loss);
        (self, observed)
    }

    /// What is due after a step.
    fn pause(&self, steps: &Steps, stop: &AtomicBool) -> Pause {
        let last = self.run.steps == steps.end;
        let stopped = stop.load(Ordering::Relaxed) && !last;
        let save = stopped || self.saved.elapsed() >= self.save_every;
        Pause { aligned: last || self.run.steps.is_multiple_of(READ_BACK), stopped, save }
    }

    /// Time that passes until its next turn, or its next step by itself, is none of this training's.
    fn stop_clock(&mut self) {
        self.progress.wall_seconds += self.begun.elapsed().as_secs_f64();
        self.begun = Instant::now();
    }

    /// Reads losses back.
    fn read(&mut self) {
        if !self.unread.is_empty() {
            let values = Tensor::cat(std::mem::take(&mut self.unread), 0).into_data();
            self.progress.losses.extend(values.iter::<f64>());
        }
    }

    /// Tells the losses that are read, ends what has diverged or is stopped, and saves.
    fn judge(&mut self, pause: Pause, observe: &mut dyn FnMut(Event<N>)) -> Option<Status> {
        if pause.aligned {
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
                return Some(Status::Diverged);
            }
        }
        if pause.stopped {
            return Some(Status::Interrupted);
        }
        if pause.save {
            self.save(observe);
        }
        None
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
