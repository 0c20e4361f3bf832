//! What is known of a run: records only.

use crate::{
    experiment::Experiment,
    judge::{
        number::{self, list},
        statistics::hidden,
    },
    record::{DataRecord, Epoch, Layer, Run},
};

/// What detectors look at.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The run.
    pub run: &'a Run,
    /// Its settings; `None` where the training was not ours.
    pub experiment: Option<&'a Experiment>,
    /// What it was trained on, where that is known.
    pub data: Option<&'a DataRecord>,
    /// The loss of every step, from the first on; empty where they were not kept.
    pub losses: &'a [f64],
}

/// Why a detector cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotMeasured(pub &'static str);

/// Layers that are named where there are at least two more.
const NAMED: usize = 3;

/// Part of the steps, at the end of a training, over which its loss is taken.
const TAIL: f64 = 0.1;

impl<'a> Case<'a> {
    /// A run of which nothing else is known.
    pub fn of(run: &'a Run) -> Self {
        Self { run, experiment: None, data: None, losses: &[] }
    }

    /// The network before training.
    ///
    /// # Errors
    ///
    /// Its layers were not probed.
    pub fn start(&self) -> Result<&'a Epoch, NotMeasured> {
        let start = self.run.epochs.iter().find(|epoch| epoch.step == 0 && !epoch.layers.is_empty());
        start.ok_or(NotMeasured("the layers were not probed before training"))
    }

    /// The last look at the layers after a step.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn end(&self) -> Result<&'a Epoch, NotMeasured> {
        let trained = self.run.epochs.iter().rev().find(|epoch| epoch.step > 0 && !epoch.layers.is_empty());
        trained.ok_or(NotMeasured("the layers were not probed after a training step"))
    }

    /// Every look at the layers, the one before training among them.
    pub fn looks(&self) -> impl DoubleEndedIterator<Item = &'a Epoch> {
        self.run.epochs.iter().filter(|epoch| !epoch.layers.is_empty())
    }

    /// The step from which on a condition held at every look until the last; the last look's where it did not hold there.
    pub fn since(&self, holds: impl Fn(&Epoch) -> bool) -> usize {
        let last = self.looks().next_back().map_or(0, |epoch| epoch.step);
        self.looks().rev().take_while(|epoch| holds(epoch)).last().map_or(last, |epoch| epoch.step)
    }

    /// The hidden layers of an epoch, and an error where there are none.
    pub fn hidden(&self, epoch: &'a Epoch) -> Result<Vec<&'a Layer>, NotMeasured> {
        let hidden = hidden(epoch);
        if hidden.is_empty() { Err(NotMeasured("the network has no hidden layer")) } else { Ok(hidden) }
    }

    /// What people call a layer: in a network of ours `layer 1` for `hidden.0`. A module of one's own has names that its
    /// author gave.
    pub fn called(&self, layer: &str) -> String {
        let ours = self.experiment.is_some() && layer.contains('.');
        let mut layers = self.looks().next().into_iter().flat_map(|epoch| &epoch.layers);
        let place = layers.position(|other| other.layer == layer).filter(|_| ours);
        place.map_or(layer.to_owned(), number::layer)
    }

    /// Several of them: `layer 1, layer 2, layer 3 and 4 more layers`.
    pub fn places(&self, layers: &[String]) -> String {
        let called = |layers: &[String]| layers.iter().map(|layer| self.called(layer)).collect::<Vec<_>>();
        match layers.len().saturating_sub(NAMED) {
            0 | 1 => list(&called(layers)),
            more => format!("{} and {more} more layers", called(&layers[..NAMED]).join(", ")),
        }
    }

    /// The loss of guessing by the frequencies of the classes: of those, only the largest and how many there are is
    /// known, and the others are taken to be alike.
    ///
    /// # Errors
    ///
    /// The classes are not known.
    pub fn guessing_loss(&self) -> Result<f64, NotMeasured> {
        let data = self.data.filter(|data| data.classes > 1 && data.majority_fraction < 1.0);
        let data = data.ok_or(NotMeasured("the classes are not known"))?;
        let (most, others) = (data.majority_fraction, 1.0 - data.majority_fraction);
        Ok(-most * most.ln() - others * (others / (data.classes - 1) as f64).ln())
    }

    /// The loss on training batches at the end: over the last tenth of the steps, or over the last epoch where single
    /// steps were not kept.
    ///
    /// # Errors
    ///
    /// Nothing was trained, or it was not finite.
    pub fn final_loss(&self) -> Result<f64, NotMeasured> {
        let tail = (self.losses.len() as f64 * TAIL).ceil() as usize;
        let last = self.run.epochs.iter().rev().find(|epoch| epoch.step > 0).and_then(|epoch| epoch.train_loss);
        let loss = match self.losses.len() {
            0 => last,
            steps => Some(mean(&self.losses[steps - tail..])),
        };
        loss.filter(|loss| loss.is_finite()).ok_or(NotMeasured("no finite training loss was recorded"))
    }

    /// The part of guessing's loss that is left at the end: 1 where nothing was learned.
    ///
    /// # Errors
    ///
    /// As [`guessing_loss`](Self::guessing_loss) and [`final_loss`](Self::final_loss).
    pub fn remaining(&self) -> Result<f64, NotMeasured> {
        Ok(self.final_loss()? / self.guessing_loss()?)
    }

    /// The mean of a layer's metric over the hidden layers of an epoch, weighted by units; `None` where no layer has it.
    pub fn over_units(&self, epoch: &'a Epoch, metric: fn(&Layer) -> Option<f64>) -> Option<f64> {
        let metrics = hidden(epoch).into_iter().filter_map(|layer| Some((metric(layer)?, layer.units as f64)));
        let (sum, units) = metrics.fold((0.0, 0.0), |(sum, units), (metric, of)| (sum + metric * of, units + of));
        (units > 0.0).then(|| sum / units)
    }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
