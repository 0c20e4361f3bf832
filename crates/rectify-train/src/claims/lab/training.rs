//! A claim's trainings: watched, saved as they go on, and gone on with where they were saved.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{ClaimError, LOSS_SAMPLE, Lab, Setup, Trained, first};
use crate::{
    data::DeviceDataset,
    experiment::{Experiment, ProbeEvery},
    network::{Mlp, Model, Network, Shape},
    record::{Epoch, Run, Status, StepProbe},
    store::StoreError,
    train::{Event, Progress, State, Trainer, evaluate, grid::Training},
};

thread_local! {
    /// The piece of work that is kept and that this thread is at, and how many of its trainings have begun.
    static PIECE: RefCell<Option<(String, usize)>> = const { RefCell::new(None) };
}

/// Says which piece of work that is kept this thread is at from now on.
pub(super) fn begin_piece(work: Option<String>) {
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

/// Samples that a network is evaluated on between epochs, where nothing is read from that.
const UNUSED: usize = 100;

/// What is kept of a training beside its modules and what was seen of it.
#[derive(Serialize, Deserialize)]
struct Meta {
    progress: Progress,
    epochs: Vec<Epoch>,
    probes: Vec<StepProbe>,
}

impl Lab<'_> {
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
