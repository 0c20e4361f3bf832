//! Where a training stands, and what resuming it needs.

use std::collections::BTreeMap;

use burn::store::{ModuleRecord, RecordError};
use serde::{Deserialize, Serialize};

use super::Learner;
use crate::{
    network::Network,
    observe::Update,
    record::{Epoch, StepLosses, StepProbe, float},
};

/// Where a training stands between two steps, beside its network and optimizer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Training steps taken.
    pub steps: usize,
    /// Epochs measured, the network before training among them.
    pub epochs: usize,
    /// Losses of the steps since the last measured epoch, as far as they are read back.
    #[serde(with = "float::many")]
    pub(super) losses: Vec<f64>,
    /// How many of those have been told as [`StepLosses`].
    pub(super) told: usize,
    /// Seconds that those steps took.
    pub(super) seconds: f64,
    /// Seconds of training, measuring and evaluating, over all processes.
    pub(super) wall_seconds: f64,
    /// What the last step did, where the epoch is to be measured by it.
    pub(super) update: Option<Update>,
    /// The best validation accuracy so far and the epoch that had it.
    pub(super) best: (f64, usize),
}

impl Progress {
    /// The losses not told yet.
    pub(super) fn tell(&mut self) -> StepLosses {
        let step = self.steps - self.losses.len() + self.told + 1;
        let losses = self.losses[self.told..].to_vec();
        self.told = self.losses.len();
        StepLosses { step, losses }
    }
}

/// A training's state at one moment, to be written.
pub struct Snapshot<'a, N> {
    /// Where it stands.
    pub progress: &'a Progress,
    /// The epochs measured so far.
    pub epochs: &'a [Epoch],
    /// The steps probed so far.
    pub probes: &'a [StepProbe],
    pub(super) learner: &'a Learner<N>,
    /// The best network by validation accuracy, where that is what is kept.
    pub(super) best: Option<&'a N>,
}

/// The modules of a training's state, by name.
pub type Records = BTreeMap<String, ModuleRecord>;

const BEST: &str = "best";

impl<N: Network> Snapshot<'_, N> {
    /// Weights, as exact as the optimizer has them, the optimizer's memories, and the best network where that is kept.
    pub fn records(&self) -> Records {
        let mut records = self.learner.records();
        records.extend(self.best.map(|best| (BEST.to_owned(), best.clone().into_record())));
        records
    }
}

/// A record that must be there.
pub(super) fn take(records: &mut Records, name: &str) -> Result<ModuleRecord, RecordError> {
    records.remove(name).ok_or_else(|| RecordError::Validation(format!("there is no `{name}`")))
}

/// The best network, if it was kept.
pub(super) fn take_best<N: Network>(fresh: &N, records: &mut Records) -> Result<Option<N>, RecordError> {
    records.remove(BEST).map(|record| fresh.valid().try_load_record(record)).transpose()
}
