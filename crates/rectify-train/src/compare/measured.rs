//! What a run's metrics tell of how far it has come.

use crate::{
    record::{Epoch, StepProbe},
    store::Line,
};

/// What a run's metrics tell.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) epochs: Vec<Epoch>,
    pub(super) probes: Vec<StepProbe>,
    /// Steps whose losses are there.
    pub(super) steps: usize,
}

impl Measured {
    pub(super) fn of(lines: Vec<Line>) -> Self {
        let mut measured = Self::default();
        for line in lines {
            match line {
                Line::Epoch(epoch) => measured.epochs.push(epoch),
                Line::Step(probe) => measured.probes.push(probe),
                Line::Losses(losses) => measured.steps = losses.step + losses.losses.len() - 1,
            }
        }
        measured
    }
}

/// Whether so many epochs passed without a better validation accuracy.
pub(super) fn patience_ended(epochs: &[Epoch], patience: usize) -> bool {
    let mut best = (f64::NEG_INFINITY, 0);
    for epoch in epochs {
        if let Some(accuracy) = epoch.validation_accuracy.filter(|accuracy| *accuracy > best.0) {
            best = (accuracy, epoch.epoch);
        }
    }
    epochs.last().is_some_and(|last| last.epoch - best.1 >= patience)
}
