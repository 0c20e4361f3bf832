//! What a claim's experiment works with: a device, data sets, rates, and trainings side by side.

use std::{
    any::type_name,
    cell::RefCell,
    collections::HashMap,
    fmt::{self, Debug},
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use burn::{module::Module, tensor::Device};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::protocol::Plan;
use crate::{
    activation::Activation,
    backend::{self, BackendError},
    data::{DataError, Dataset, DeviceDataset, DeviceSamples},
    experiment::{Dtype, Experiment, ProbeEvery},
    network::{Mlp, Model, Network, Shape},
    record::{Epoch, Run, Status, StepProbe},
    store::{Evidence, StoreError},
    train::{
        Event, Progress, SAVE_EVERY, State, Trainer, evaluate,
        grid::{Training, jobs},
        schedule::side_by_side,
    },
};

thread_local! {
    /// The piece of work that is kept and that this thread is at, and how many of its trainings have begun.
    static PIECE: RefCell<Option<(String, usize)>> = const { RefCell::new(None) };
}

fn begin_piece(work: Option<String>) {
    PIECE.set(work.map(|work| (work, 0)));
}

/// The piece that this thread is at, and which of its trainings begins now: by that, a training is the same in another
/// process.
fn next_training() -> Option<(String, usize)> {
    PIECE.with_borrow_mut(|piece| {
        let (work, begun) = piece.as_mut()?;
        *begun += 1;
        Some((work.clone(), *begun))
    })
}

/// What is kept of a training beside its modules and what was seen of it.
#[derive(Serialize, Deserialize)]
struct Meta {
    progress: Progress,
    epochs: Vec<Epoch>,
    probes: Vec<StepProbe>,
}

/// How much is spent on each claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// All claims within a minute: two seeds, which settle nothing that has chance in it but show what it leans to.
    Quick,
    /// All claims within ten minutes on two cores.
    #[default]
    Default,
    /// More seeds, whole training sets.
    Thorough,
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Quick => "quick",
            Self::Default => "default",
            Self::Thorough => "thorough",
        })
    }
}

/// Why a claim could not be tested.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// A data set is not there.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A backend is not there.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// What was measured could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stopped from outside.
    #[error("interrupted")]
    Interrupted,
}

/// A training but for its seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setup {
    /// The settings.
    pub experiment: Experiment,
    /// The activation.
    pub activation: Activation,
}

impl Setup {
    /// Settings with an activation.
    ///
    /// # Panics
    ///
    /// Where the name is no activation: names are written in code, not read from a user.
    pub fn new(experiment: Experiment, activation: &str) -> Self {
        Self { experiment, activation: activation.parse().expect("claims name known activations") }
    }

    /// The same at another learning rate.
    pub fn with_rate(&self, rate: f64) -> Self {
        Self { experiment: Experiment { lr: Some(rate), ..self.experiment.clone() }, ..self.clone() }
    }

    /// The training of a seed.
    pub fn training(&self, seed: u64) -> Training {
        Training { experiment: self.experiment.clone(), activation: self.activation.clone(), seed }
    }
}

/// What a training came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// Test accuracy; 0 where it diverged, as what gives NaN classifies nothing.
    pub accuracy: f64,
    /// Mean loss over the first training samples, at the end; infinite where it diverged.
    pub loss: f64,
    /// Whether it diverged.
    pub diverged: bool,
}

/// A learning rate, chosen on pilot seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The best one.
    pub rate: f64,
    /// Whether it lies at an end of the grid, after all widening.
    pub at_end: bool,
    /// Every rate that was tried, ascending, with its mean score.
    pub tried: Vec<(f64, f64)>,
}

/// What is there to work with, and how much of it may be used.
pub struct Lab<'a> {
    plan: Plan,
    backend: String,
    device: Device,
    jobs: Option<usize>,
    stop: &'a AtomicBool,
    /// Told how many of how many pieces of work are done.
    progress: &'a (dyn Fn(usize, usize) + Sync),
    data: Mutex<Vec<(DataKey, DeviceDataset)>>,
    /// What is odd about the data sets' files.
    notes: Mutex<Vec<String>>,
    /// By what they were chosen for, so that claims that ask for the same share them.
    rates: Mutex<HashMap<String, Rate>>,
    /// Where what was measured is kept.
    evidence: Option<Evidence>,
    save_every: Duration,
    /// Told of every epoch of a training, and of its end.
    watch: Option<&'a Watch<'a>>,
}

/// Hears of an epoch of a training, or of its end.
pub type Watch<'a> = dyn Fn(&Training, Option<&Epoch>) + Sync + 'a;

/// Data set, training samples, type.
type DataKey = (String, Option<usize>, Dtype);

/// Test samples of a quick experiment.
const QUICK_TEST: usize = 1000;
/// Samples that a network is evaluated on between epochs, where nothing is read from that.
const UNUSED: usize = 100;
/// Training samples that the final loss is the mean over.
const LOSS_SAMPLE: usize = 2000;
/// How often a grid of rates is widened, each time by one factor.
const WIDENED: usize = 4;

impl<'a> Lab<'a> {
    /// A lab on a backend.
    ///
    /// `jobs` trainings run side by side, without it one a core. After `stop` is set every experiment ends soon with
    /// [`ClaimError::Interrupted`]. `progress` hears how many of how many pieces of work are done.
    ///
    /// # Errors
    ///
    /// The backend is not there.
    pub fn new(
        plan: Plan,
        backend: &str,
        jobs: Option<usize>,
        stop: &'a AtomicBool,
        progress: &'a (dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, BackendError> {
        let device = backend::open(backend)?;
        Ok(Self {
            plan,
            backend: backend.to_owned(),
            device,
            jobs,
            stop,
            progress,
            data: Mutex::default(),
            notes: Mutex::default(),
            rates: Mutex::default(),
            evidence: None,
            save_every: SAVE_EVERY,
            watch: None,
        })
    }

    /// The same lab, whose trainings are watched: `watch` hears of each of their epochs, and with `None` of their ends.
    pub fn watched(self, watch: &'a Watch<'a>) -> Self {
        Self { watch: Some(watch), ..self }
    }

    fn tell(&self, training: &Training, epoch: Option<&Epoch>) {
        if let Some(watch) = self.watch {
            watch(training, epoch);
        }
    }

    /// The same lab, which keeps each piece of work in a folder as it is done, and does none that is kept there.
    pub fn keeping(self, folder: &Path) -> Self {
        Self { evidence: Some(Evidence::of(folder)), ..self }
    }

    /// The same lab, which saves its trainings after so much time each, not [`SAVE_EVERY`].
    pub fn save_every(self, time: Duration) -> Self {
        Self { save_every: time, ..self }
    }

    /// Where what was measured is kept, if it is.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// How much is spent, and on which data.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it is computed; without autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The backend's name.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The data of an experiment, read once.
    ///
    /// # Errors
    ///
    /// The set is not there, or the device does not compute in the experiment's type.
    pub fn data(&self, experiment: &Experiment) -> Result<DeviceDataset, ClaimError> {
        let key = (experiment.dataset.clone(), experiment.train_size, experiment.dtype);
        // The lock is held while reading, so that nobody reads the same set at the same time.
        let mut sets = lock(&self.data);
        if let Some((_, data)) = sets.iter().find(|(other, _)| *other == key) {
            return Ok(data.clone());
        }
        backend::supports(&self.device, experiment.dtype)?;
        let data = Dataset::load(&experiment.dataset, experiment.train_size)?;
        let mut notes = lock(&self.notes);
        for note in &data.notes {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        let data = data.to_device(&self.device, experiment.dtype.into());
        let tested = self.plan.choose(QUICK_TEST, usize::MAX, usize::MAX);
        let data = DeviceDataset { test: first(&data.test, tested), ..data };
        sets.push((key, data.clone()));
        Ok(data)
    }

    /// What is odd about the files of the data sets that were read so far: [`Dataset::notes`], each once.
    pub fn data_notes(&self) -> Vec<String> {
        lock(&self.notes).clone()
    }

    /// A network with fresh weights that tracks gradients.
    pub fn network(&self, training: &Training, data: &DeviceDataset) -> Model {
        self.network_of(training, data.shape())
    }

    /// The same with another number of outputs, or for other images.
    pub fn network_of(&self, training: &Training, shape: Shape) -> Model {
        let device = self.device.clone().autodiff();
        Model::new(&training.experiment, &training.activation, shape, training.seed, &device)
    }

    /// A fully connected network with fresh weights that tracks gradients, to build another one from.
    ///
    /// # Panics
    ///
    /// Where the experiment's model is not `mlp`: claims set it themselves.
    pub fn mlp(&self, training: &Training, data: &DeviceDataset) -> Mlp {
        match self.network(training, data) {
            Model::Mlp(mlp) => mlp,
            Model::Cnn(_) => panic!("the experiment asks for a CNN"),
        }
    }

    /// Trains a network.
    ///
    /// What is evaluated between epochs is a few samples, unless the experiment is probed: then the layers are measured on
    /// the whole validation set.
    ///
    /// In a piece of work that is [kept](Self::keeping), a long training is saved as it goes on, and begins where it was
    /// saved.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Interrupted`], [`ClaimError::Store`].
    pub fn train<N: Network>(
        &self,
        network: N,
        training: &Training,
        data: &DeviceDataset,
    ) -> Result<(N, Run), ClaimError> {
        let (network, run, ()) = self.train_observed(network, training, data, (), &mut |(), _| {})?;
        Ok((network, run))
    }

    /// [`train`](Self::train), of which `observe` gathers in `seen` what it sees: all that it remembers, since it is saved
    /// with the training.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train).
    pub fn train_observed<N: Network, S: Serialize + DeserializeOwned>(
        &self,
        network: N,
        training: &Training,
        data: &DeviceDataset,
        seen: S,
        observe: &mut dyn FnMut(&mut S, Event<N>),
    ) -> Result<(N, Run, S), ClaimError> {
        self.train_until(None, network, training, data, seen, observe)
    }

    /// [`train_observed`](Self::train_observed) that also ends, soon after what was seen is `enough`, as if it had been
    /// meant to.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train).
    pub fn train_until<N: Network, S: Serialize + DeserializeOwned>(
        &self,
        enough: Option<fn(&S) -> bool>,
        network: N,
        training: &Training,
        data: &DeviceDataset,
        mut seen: S,
        observe: &mut dyn FnMut(&mut S, Event<N>),
    ) -> Result<(N, Run, S), ClaimError> {
        let Training { experiment, activation, seed } = training;
        let data = light(data, experiment);
        let mut trainer = Trainer::new(network, activation, *seed, experiment, &data).save_every(self.save_every);
        let kept = self.evidence.as_ref().zip(next_training());
        if let Some((evidence, (work, nth))) = &kept
            && let Some((meta, before, records)) = evidence.load_state::<Meta, S>((work, *nth))?
        {
            let Meta { progress, epochs, probes } = meta;
            seen = before;
            trainer = trainer
                .resume(State { progress, records, epochs, probes })
                .map_err(|error| StoreError::damaged(&evidence.path(work), error))?;
        }

        let began = Instant::now();
        let (reached, mut failed) = (AtomicBool::new(false), None);
        let stopped = || self.stop.load(Ordering::Relaxed);
        let halt = if enough.is_some() { &AtomicBool::new(stopped()) } else { self.stop };
        let mut watch = |event: Event<N>| {
            match &event {
                Event::Epoch(epoch) => self.tell(training, Some(*epoch)),
                // What is sooner done again than saved is not saved.
                Event::Save(snapshot) if stopped() || began.elapsed() >= self.save_every => {
                    if let Some((evidence, (work, nth))) = &kept
                        && !reached.load(Ordering::Relaxed)
                    {
                        let (epochs, probes) = (snapshot.epochs.to_vec(), snapshot.probes.to_vec());
                        let meta = Meta { progress: snapshot.progress.clone(), epochs, probes };
                        let saved = evidence.save_state((work, *nth), &meta, &seen, &|| snapshot.records());
                        failed = failed.take().or(saved.err());
                    }
                }
                _ => {}
            }
            observe(&mut seen, event);
            if let Some(enough) = enough {
                reached.fetch_or(enough(&seen), Ordering::Relaxed);
                halt.fetch_or(stopped() || reached.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        };
        let (network, run) = trainer.run(halt, &mut watch);
        self.tell(training, None);
        match failed {
            Some(error) => Err(error.into()),
            None if run.status == Status::Interrupted && !reached.load(Ordering::Relaxed) => {
                Err(ClaimError::Interrupted)
            }
            None => Ok((network, run, seen)),
        }
    }

    /// [`train`](Self::train), and what it came to on the whole test set.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train).
    pub fn fit<N: Network>(
        &self,
        network: N,
        training: &Training,
        data: &DeviceDataset,
    ) -> Result<(N, Run, Trained), ClaimError> {
        let (network, run) = self.train(network, training, data)?;
        let trained = trained(&network, &run, data);
        Ok((network, run, trained))
    }

    /// The network that the settings name, trained.
    ///
    /// # Errors
    ///
    /// As [`data`](Self::data) and [`train`](Self::train).
    pub fn fit_setup(&self, setup: &Setup, seed: u64) -> Result<(Run, Trained), ClaimError> {
        let (training, data) = (setup.training(seed), self.data(&setup.experiment)?);
        let (_, run, trained) = self.fit(self.network(&training, &data), &training, &data)?;
        Ok((run, trained))
    }

    /// The learning rate of each setup with the highest validation accuracy, mean over pilot seeds; setups that were
    /// asked for before are not tried again.
    ///
    /// # Errors
    ///
    /// As [`fit_setup`](Self::fit_setup).
    pub fn tune(&self, setups: &[Setup]) -> Result<Vec<Rate>, ClaimError> {
        let known = |setup: &Setup| format!("{setup:?}");
        let new: Vec<Setup> = {
            let rates = lock(&self.rates);
            setups.iter().filter(|setup| !rates.contains_key(&known(setup))).cloned().collect()
        };
        let found = self.best_rates("validation accuracy", &new, &|setup, rate, seed| {
            let training = setup.with_rate(rate).training(seed);
            let data = self.data(&training.experiment)?;
            let (network, run) = self.train(self.network(&training, &data), &training, &data)?;
            let diverged = run.status == Status::Diverged;
            let validation = first(&data.validation, LOSS_SAMPLE);
            Ok(if diverged { 0.0 } else { evaluate(&network.valid(), &validation).accuracy.unwrap_or(0.0) })
        })?;
        let mut rates = lock(&self.rates);
        rates.extend(new.iter().map(known).zip(found));
        Ok(setups.iter().filter_map(|setup| rates.get(&known(setup)).cloned()).collect())
    }

    /// For each arm the rate with the highest mean score over pilot seeds, from the plan's grid, which is widened where
    /// the best lies at an end. `score` is called with arm, rate and seed; `name` tells it from other scores.
    ///
    /// # Errors
    ///
    /// Those of `score`.
    pub fn best_rates<A: Debug + Sync>(
        &self,
        name: &str,
        arms: &[A],
        score: &(dyn Fn(&A, f64, u64) -> Result<f64, ClaimError> + Sync),
    ) -> Result<Vec<Rate>, ClaimError> {
        #[derive(Debug)]
        struct Try<'a, A> {
            #[expect(dead_code, reason = "its Debug is the name under which the score is kept")]
            score: &'a str,
            arm: (usize, &'a A),
            rate: f64,
            seed: u64,
        }
        let (grid, seeds) = (self.plan.rates(), self.plan.pilot_seeds());
        let factor = grid[1] / grid[0];
        let mut tried: Vec<Vec<(f64, f64)>> = arms.iter().map(|_| Vec::new()).collect();
        let mut wanted: Vec<Vec<f64>> = arms.iter().map(|_| grid.clone()).collect();
        for round in 0..=WIDENED {
            let of_arm = |(place, rates): (usize, &Vec<f64>)| -> Vec<Try<A>> {
                let of_rate = |&rate: &f64| seeds.iter().map(move |&seed| (rate, seed));
                let arm = (place, &arms[place]);
                rates.iter().flat_map(of_rate).map(|(rate, seed)| Try { score: name, arm, rate, seed }).collect()
            };
            let items: Vec<Try<A>> = wanted.iter().enumerate().flat_map(of_arm).collect();
            if items.is_empty() {
                break;
            }
            let scores = self.side_by_side(&items, &|item| score(item.arm.1, item.rate, item.seed))?;
            for (items, scores) in items.chunks(seeds.len()).zip(scores.chunks(seeds.len())) {
                let mean = scores.iter().sum::<f64>() / scores.len() as f64;
                tried[items[0].arm.0].push((items[0].rate, mean));
            }
            for (tried, wanted) in tried.iter_mut().zip(&mut wanted) {
                tried.sort_by(|a, b| a.0.total_cmp(&b.0));
                let (best, ends) = (best(tried), (tried[0].0, tried[tried.len() - 1].0));
                *wanted = match () {
                    () if round == WIDENED => Vec::new(),
                    () if best == ends.0 => vec![ends.0 / factor],
                    () if best == ends.1 => vec![ends.1 * factor],
                    () => Vec::new(),
                };
            }
        }
        let rate = |tried: Vec<(f64, f64)>| {
            let rate = best(&tried);
            let at_end =
                tried.first().is_some_and(|(r, _)| *r == rate) || tried.last().is_some_and(|(r, _)| *r == rate);
            Rate { rate, at_end, tried }
        };
        Ok(tried.into_iter().map(rate).collect())
    }

    /// Does `work` for every item, as many at a time as there are cores; see [`side_by_side`]. An item whose outcome is
    /// [kept](Self::keeping) is not worked on again: it is known by what it is (its `Debug`), where the work is written
    /// and what it gives.
    ///
    /// # Errors
    ///
    /// What `work` returned first, [`ClaimError::Store`] or [`ClaimError::Interrupted`].
    pub fn side_by_side<T, R, W>(&self, items: &[T], work: &W) -> Result<Vec<R>, ClaimError>
    where
        T: Debug + Sync,
        R: Serialize + DeserializeOwned + Send,
        W: Fn(&T) -> Result<R, ClaimError> + Sync,
    {
        let names = [type_name::<W>(), type_name::<R>()].join(" ");
        self.each(items, &|item| {
            let Some(evidence) = &self.evidence else { return work(item) };
            let description = format!("{names} {item:?}");
            if let Some(outcome) = evidence.load(&description)? {
                return Ok(outcome);
            }
            begin_piece(Some(description.clone()));
            let outcome = work(item);
            begin_piece(None);
            let outcome = outcome?;
            evidence.save(&description, &outcome)?;
            evidence.remove_states(&description)?;
            Ok(outcome)
        })
    }

    /// Does `work` on a thread of its own and by itself: what is timed. Nothing of it is kept.
    ///
    /// # Errors
    ///
    /// Those of `work`, or [`ClaimError::Interrupted`].
    pub fn alone<R: Send>(&self, work: &(dyn Fn() -> Result<R, ClaimError> + Sync)) -> Result<R, ClaimError> {
        self.each(&[()], &|()| work())?.pop().ok_or(ClaimError::Interrupted)
    }

    fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: &(dyn Fn(&T) -> Result<R, ClaimError> + Sync),
    ) -> Result<Vec<R>, ClaimError> {
        let done = AtomicUsize::new(0);
        (self.progress)(0, items.len());
        let experiment = Experiment { jobs: self.jobs, ..Experiment::default() };
        let outcomes = side_by_side(jobs(&experiment, &self.device), self.stop, items, &|item| {
            let outcome = work(item);
            (self.progress)(1 + done.fetch_add(1, Ordering::Relaxed), items.len());
            outcome
        })?;
        if outcomes.len() < items.len() { Err(ClaimError::Interrupted) } else { Ok(outcomes) }
    }
}

/// Data, model, optimizer and length in words; the rate, where it is not chosen for each activation.
pub fn describe(experiment: &Experiment) -> String {
    let size = experiment.train_size.map_or("all".to_owned(), |size| size.to_string());
    let hidden = experiment.hidden();
    let widths = match hidden.as_slice() {
        [] => "no hidden layer".to_owned(),
        [width, rest @ ..] if rest.iter().all(|other| other == width) => format!("{} × {width}", hidden.len()),
        widths => widths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let length = match experiment.steps {
        Some(steps) => format!("{steps} steps"),
        None => format!("{} epochs", experiment.epochs()),
    };
    let rate = experiment.lr.map_or(String::new(), |rate| format!(" {rate}"));
    format!(
        "{}, {size} training samples, {} {widths}, {}{rate} ({}), batches of {}, {length}",
        experiment.dataset, experiment.model, experiment.optimizer, experiment.schedule, experiment.batch_size,
    )
}

/// The first samples, as many as `count` or all.
pub fn first(samples: &DeviceSamples, count: usize) -> DeviceSamples {
    samples.slice(0..samples.len().min(count)).into()
}

/// The data of a training between whose epochs nothing is read from validation and test set, unless it is probed.
fn light(data: &DeviceDataset, experiment: &Experiment) -> DeviceDataset {
    let validated = if experiment.probe_every == ProbeEvery::Off { UNUSED } else { usize::MAX };
    DeviceDataset { validation: first(&data.validation, validated), test: first(&data.test, UNUSED), ..data.clone() }
}

/// What a training came to.
pub fn trained<N: Network>(network: &N, run: &Run, data: &DeviceDataset) -> Trained {
    if run.status == Status::Diverged {
        return Trained { accuracy: 0.0, loss: f64::INFINITY, diverged: true };
    }
    let network = network.valid();
    let loss = evaluate(&network, &first(&data.train, LOSS_SAMPLE)).loss.unwrap_or(f64::INFINITY);
    Trained { accuracy: evaluate(&network, &data.test).accuracy.unwrap_or(0.0), loss, diverged: false }
}

/// The rate of the highest score; of equal ones the smallest.
fn best(tried: &[(f64, f64)]) -> f64 {
    let higher = |best: (f64, f64), other: &(f64, f64)| if other.1 > best.1 { *other } else { best };
    tried.iter().fold((f64::NAN, f64::NEG_INFINITY), higher).0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the locks guard is whole even if what is done while one is held panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The flags that make another lab like one of this plan on this backend.
pub(super) fn flags(plan: &Plan, backend: &str) -> String {
    let effort = plan.choose(" --quick", "", " --thorough");
    match backend {
        "flex" => effort.to_owned(),
        backend => format!("{effort} --backend {backend}"),
    }
}

/// As in `relu 0.1, tanh 0.05`.
pub fn rates_in_words<'a>(names: impl IntoIterator<Item = &'a str>, rates: &[Rate]) -> String {
    let one =
        |(name, rate): (&str, &Rate)| format!("{name} {}{}", rate.rate, if rate.at_end { " (grid's end)" } else { "" });
    names.into_iter().zip(rates).map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab<'a>(stop: &'a AtomicBool, effort: Effort) -> Lab<'a> {
        let plan = Plan { effort, datasets: vec!["mnist".to_owned()] };
        Lab::new(plan, "flex", Some(1), stop, &|_, _| {}).unwrap()
    }

    #[test]
    fn work_that_is_kept_is_not_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
        let work = |until: usize| {
            let done = &done;
            move |item: &usize| match *item < until {
                true => {
                    done.fetch_add(1, Ordering::Relaxed);
                    Ok(*item as f64 / 3.0)
                }
                false => Err(ClaimError::Interrupted),
            }
        };
        let items = [0, 1, 2, 3];
        let lab = || {
            stop.store(false, Ordering::Relaxed);
            lab(&stop, Effort::Quick).keeping(folder.path())
        };
        assert!(matches!(lab().side_by_side(&items, &work(2)), Err(ClaimError::Interrupted)));
        assert_eq!(done.load(Ordering::Relaxed), 2);
        let outcomes = lab().side_by_side(&items, &work(4)).unwrap();
        assert_eq!((outcomes, done.load(Ordering::Relaxed)), (items.map(|item| item as f64 / 3.0).to_vec(), 4));
    }

    #[test]
    fn the_best_rate_is_found_beyond_the_grid_and_marked_where_it_is_not_found() {
        let stop = AtomicBool::new(false);
        let lab = lab(&stop, Effort::Default);
        // Best at 0.1, at 1.6 (two factors beyond the grid's 0.4), and at no rate however high.
        let optimum = [0.1f64, 1.6, f64::INFINITY];
        let score = |best: &f64, rate: f64, _| Ok(if best.is_finite() { -(rate / best).ln().abs() } else { rate });
        let rates = lab.best_rates("test", &optimum, &score).unwrap();
        assert_eq!([rates[0].rate, rates[1].rate], [0.1, 1.6]);
        assert_eq!(rates.iter().map(|rate| rate.at_end).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(
            rates[1].tried.iter().map(|(rate, _)| *rate).collect::<Vec<_>>(),
            [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
        );
    }
}
