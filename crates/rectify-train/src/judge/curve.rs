//! Curves over seeds: what a picture of runs draws, computed from their records alone.
//!
//! A [`RunGroup`] is an activation's runs, one a seed. A metric over its epochs or steps is a [`Curve`]: the mean over
//! seeds, in a band from the least to the greatest. Only values that are finite count, so a run that diverged is part of
//! a curve until it did.
//!
//! ```
//! use rectify_train::{
//!     judge::curve::{RunGroup, arithmetic},
//!     record::{Epoch, Run, Status},
//! };
//!
//! let run = |seed, losses: [f64; 2]| Run {
//!     activation: "relu".to_owned(),
//!     seed,
//!     status: Status::Completed,
//!     diverged_at_step: None,
//!     divergence: None,
//!     wall_seconds: 1.0,
//!     steps: 100,
//!     parameters: 10,
//!     kept_epoch: None,
//!     epochs: (0..2).map(|epoch| Epoch { epoch, train_loss: Some(losses[epoch]), ..Epoch::default() }).collect(),
//!     probes: Vec::new(),
//!     confusion: None,
//! };
//! let runs = [run(0, [2.0, 1.0]), run(1, [3.0, 1.5])];
//! let loss = RunGroup::all(&runs)[0].by_epoch(arithmetic, |epoch| epoch.train_loss);
//! assert_eq!(loss.points, [(0.0, 2.5), (1.0, 1.25)]);
//! assert_eq!(loss.band, [(2.0, 3.0), (1.0, 1.5)]);
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::{Confusion, Epoch, Layer, Role, Run, Status};

/// A curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Whether it is a prediction rather than a measurement.
    pub theory: bool,
    /// Points (x, y).
    pub points: Vec<(f64, f64)>,
    /// Lower and upper end of each point's interval; empty where there is none.
    pub band: Vec<(f64, f64)>,
}

impl Curve {
    /// A measured curve: at each x the mean over seeds, with a band from the least to the greatest. `mean` is
    /// [`arithmetic`] or, for a logarithmic axis, [`geometric`]. Points without a finite mean are left out.
    pub fn measured(
        name: impl Into<String>,
        mean: fn(&[f64]) -> f64,
        points: impl IntoIterator<Item = (f64, Vec<f64>)>,
    ) -> Self {
        let mut curve = Self { name: name.into(), ..Self::default() };
        for (x, values) in points {
            let mean = mean(&values);
            if mean.is_finite() {
                curve.points.push((x, mean));
                let least = values.iter().copied().fold(f64::INFINITY, f64::min);
                curve.band.push((least, values.iter().copied().fold(f64::NEG_INFINITY, f64::max)));
            }
        }
        curve
    }

    /// A predicted curve.
    pub fn predicted(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), theory: true, points: points.into_iter().collect(), band: Vec::new() }
    }

    /// The curve with `most` of its points or fewer, evenly spread from the first to the last.
    ///
    /// # Panics
    ///
    /// Where `most` is under 2: a curve keeps its ends.
    pub fn thinned(self, most: usize) -> Self {
        assert!(most >= 2, "a curve keeps its ends, so at least 2 points, got {most}");
        let count = self.points.len();
        if count <= most {
            return self;
        }
        let kept = || (0..most).map(|i| i * (count - 1) / (most - 1));
        let points = kept().map(|i| self.points[i]).collect();
        let band = kept().filter_map(|i| self.band.get(i).copied()).collect();
        Self { points, band, ..self }
    }
}

/// Σx / n; NaN of none.
pub fn arithmetic(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The n-th root of the product; NaN of none, 0 where a value is.
pub fn geometric(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// When a layer was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before training.
    Start,
    /// The network that the run gives: see [`Run::outcome`].
    Outcome,
}

impl Moment {
    /// The run's layers then. None for the outcome of a run that diverged, whose metrics say nothing about training, or
    /// of one that was not trained.
    pub fn layers(self, run: &Run) -> &[Layer] {
        match self {
            Self::Start => run.epochs.iter().find(|epoch| epoch.epoch == 0),
            Self::Outcome if run.epochs.len() > 1 && run.status != Status::Diverged => run.outcome(),
            Self::Outcome => None,
        }
        .map_or(&[], |epoch| &epoch.layers)
    }
}

/// An activation's runs, one a seed.
#[derive(Debug, Clone)]
pub struct RunGroup<'a> {
    /// The activation as the user spelt it.
    pub activation: &'a str,
    /// In the order of the records.
    pub runs: Vec<&'a Run>,
}

impl<'a> RunGroup<'a> {
    /// One group an activation, in order of first appearance.
    pub fn all(runs: &'a [Run]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for run in runs {
            match groups.iter_mut().find(|group| group.activation == run.activation) {
                Some(group) => group.runs.push(run),
                None => groups.push(Self { activation: &run.activation, runs: vec![run] }),
            }
        }
        groups
    }

    /// What test samples are taken for, summed over the seeds. `None` where no record has it.
    pub fn confusion(&self) -> Option<Confusion> {
        let mut all = self.runs.iter().filter_map(|run| run.confusion.as_ref());
        let mut sum = all.next()?.clone();
        for Confusion { classes, counts } in all {
            if *classes == sum.classes {
                let pairs = sum.counts.iter_mut().flatten().zip(counts.iter().flatten());
                pairs.for_each(|(sum, count)| *sum += count);
            }
        }
        Some(sum)
    }

    /// A metric at each epoch, by `mean` over the seeds that have it there.
    pub fn by_epoch(&self, mean: fn(&[f64]) -> f64, metric: impl Fn(&Epoch) -> Option<f64>) -> Curve {
        let epochs = self.runs.iter().flat_map(|run| &run.epochs);
        self.curve(mean, epochs.map(|epoch| (epoch.epoch, metric(epoch))))
    }

    /// A metric of one layer at each epoch.
    pub fn layer_by_epoch(
        &self,
        layer: &str,
        mean: fn(&[f64]) -> f64,
        metric: impl Fn(&Layer) -> Option<f64>,
    ) -> Curve {
        self.by_epoch(mean, |epoch| metric(named(&epoch.layers, layer)?))
    }

    /// A metric of one layer at each probed step. Empty where no step was.
    pub fn layer_by_step(&self, layer: &str, mean: fn(&[f64]) -> f64, metric: impl Fn(&Layer) -> Option<f64>) -> Curve {
        let probes = self.runs.iter().flat_map(|run| &run.probes);
        self.curve(mean, probes.map(|probe| (probe.step, named(&probe.layers, layer).and_then(&metric))))
    }

    /// A metric of each of `layers` at one moment, by `mean` over the seeds that have it; `None` where none has.
    pub fn by_layer(
        &self,
        moment: Moment,
        layers: &[&str],
        mean: fn(&[f64]) -> f64,
        metric: impl Fn(&Layer) -> Option<f64>,
    ) -> Vec<Option<f64>> {
        let value = |layer: &&str| {
            let layers = self.runs.iter().filter_map(|run| named(moment.layers(run), layer));
            let values: Vec<f64> = layers.filter_map(&metric).filter(|value| value.is_finite()).collect();
            (!values.is_empty()).then(|| mean(&values))
        };
        layers.iter().map(value).collect()
    }

    fn curve(&self, mean: fn(&[f64]) -> f64, values: impl Iterator<Item = (usize, Option<f64>)>) -> Curve {
        let mut at: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for (x, value) in values {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                at.entry(x).or_default().push(value);
            }
        }
        Curve::measured(self.activation, mean, at.into_iter().map(|(x, values)| (x as f64, values)))
    }
}

/// The network's layers from the input on, as the first probed epoch has them. Empty where none was probed.
pub fn layers(runs: &[Run]) -> &[Layer] {
    let epochs = runs.iter().flat_map(|run| &run.epochs);
    epochs.map(|epoch| epoch.layers.as_slice()).find(|layers| !layers.is_empty()).unwrap_or_default()
}

/// The names of the layers that an activation follows.
pub fn hidden(layers: &[Layer]) -> Vec<&str> {
    layers.iter().filter(|layer| layer.role() == Role::Hidden).map(|layer| layer.layer.as_str()).collect()
}

fn named<'a>(layers: &'a [Layer], name: &str) -> Option<&'a Layer> {
    layers.iter().find(|layer| layer.layer == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StepProbe;

    fn layer(name: &str, role: Role, gradient: f64) -> Layer {
        Layer { layer: name.to_owned(), role: Some(role), weight_grad_rms: Some(gradient), ..Layer::default() }
    }

    /// A run whose loss and gradients are `values`, one an epoch; each epoch is also a probed step.
    fn run(activation: &str, seed: u64, values: &[f64]) -> Run {
        let layers = |value: f64| vec![layer("body", Role::Hidden, value), layer("head", Role::Output, 10.0 * value)];
        let at = || values.iter().copied().enumerate();
        Run {
            activation: activation.to_owned(),
            seed,
            status: Status::Completed,
            diverged_at_step: None,
            divergence: None,
            wall_seconds: 1.0,
            steps: 10 * values.len(),
            parameters: 3,
            kept_epoch: None,
            epochs: at()
                .map(|(epoch, value)| Epoch {
                    epoch,
                    train_loss: Some(value),
                    layers: layers(value),
                    ..Epoch::default()
                })
                .collect(),
            probes: at()
                .map(|(i, value)| StepProbe { step: 10 * (i + 1), loss: Some(value), layers: layers(value) })
                .collect(),
            confusion: None,
        }
    }

    fn gradient(layer: &Layer) -> Option<f64> {
        layer.weight_grad_rms
    }

    #[test]
    fn runs_are_grouped_by_activation_in_order_of_appearance() {
        let runs = [run("tanh", 0, &[]), run("relu", 0, &[]), run("tanh", 1, &[])];
        let groups = RunGroup::all(&runs);
        let seeds = |group: &RunGroup| group.runs.iter().map(|run| run.seed).collect::<Vec<_>>();
        assert_eq!((groups[0].activation, seeds(&groups[0])), ("tanh", vec![0, 1]));
        assert_eq!((groups[1].activation, seeds(&groups[1])), ("relu", vec![0]));
        assert_eq!(groups.len(), 2);
    }

    #[test]
    fn a_curve_is_the_mean_and_the_ends_over_the_seeds_that_have_the_metric() {
        // The second seed has no loss at epoch 1, the third ends there.
        let mut runs = [run("relu", 0, &[1.0, 2.0, 4.0]), run("relu", 1, &[4.0, 0.0, 9.0]), run("relu", 2, &[1.0])];
        runs[1].epochs[1].train_loss = None;
        let group = &RunGroup::all(&runs)[0];
        let mean = group.by_epoch(arithmetic, |epoch| epoch.train_loss);
        assert_eq!(mean.name, "relu");
        assert_eq!(mean.points, [(0.0, 2.0), (1.0, 2.0), (2.0, 6.5)]);
        assert_eq!(mean.band, [(1.0, 4.0), (2.0, 2.0), (4.0, 9.0)]);
        let geometric = group.by_epoch(geometric, |epoch| epoch.train_loss);
        assert!((geometric.points[2].1 - 6.0).abs() < 1e-12, "{geometric:?}");
        // What is not finite is not there.
        runs[0].epochs[0].train_loss = Some(f64::INFINITY);
        runs[2].epochs[0].train_loss = Some(f64::NAN);
        assert_eq!(RunGroup::all(&runs)[0].by_epoch(arithmetic, |epoch| epoch.train_loss).points[0], (0.0, 4.0));
    }

    #[test]
    fn a_layer_has_curves_over_epochs_and_over_probed_steps() {
        let runs = [run("relu", 0, &[1.0, 2.0]), run("relu", 1, &[3.0, 4.0])];
        let group = &RunGroup::all(&runs)[0];
        assert_eq!(group.layer_by_epoch("head", arithmetic, gradient).points, [(0.0, 20.0), (1.0, 30.0)]);
        let steps = group.layer_by_step("body", arithmetic, gradient);
        assert_eq!(steps.points, [(10.0, 2.0), (20.0, 3.0)]);
        assert_eq!(steps.band, [(1.0, 3.0), (2.0, 4.0)]);
        assert_eq!(group.layer_by_step("tail", arithmetic, gradient).points, []);
    }

    #[test]
    fn layers_at_a_moment_leave_out_what_diverged_and_take_the_kept_epoch() {
        let mut runs = [run("relu", 0, &[1.0, 2.0, 3.0]), run("relu", 1, &[4.0, 5.0, 6.0]), run("relu", 2, &[9.0])];
        runs[0].kept_epoch = Some(1);
        runs[1].status = Status::Diverged;
        let group = &RunGroup::all(&runs)[0];
        let at = |moment, mean| group.by_layer(moment, &["body", "tail"], mean, gradient);
        assert!((at(Moment::Start, geometric)[0].unwrap() - 36.0f64.cbrt()).abs() < 1e-12);
        // The third run was not trained, so it has no outcome.
        assert_eq!(at(Moment::Outcome, arithmetic), [Some(2.0), None]);
    }

    #[test]
    fn what_is_taken_for_what_is_summed_over_the_seeds_that_have_it() {
        let mut runs = [run("relu", 0, &[1.0]), run("relu", 1, &[1.0]), run("relu", 2, &[1.0])];
        assert_eq!(RunGroup::all(&runs)[0].confusion(), None);
        let of = |counts: [[usize; 2]; 2]| Confusion {
            classes: vec!["cat".to_owned(), "dog".to_owned()],
            counts: counts.map(Vec::from).to_vec(),
        };
        (runs[0].confusion, runs[2].confusion) = (Some(of([[8, 2], [0, 10]])), Some(of([[9, 1], [3, 7]])));
        assert_eq!(RunGroup::all(&runs)[0].confusion(), Some(of([[17, 3], [3, 17]])));
    }

    #[test]
    fn a_geometric_mean_with_a_zero_is_zero_and_one_of_nothing_is_not_a_number() {
        assert_eq!(geometric(&[0.0, 5.0]), 0.0);
        assert!(geometric(&[]).is_nan() && arithmetic(&[]).is_nan());
        let curve = Curve::measured("relu", arithmetic, [(0.0, vec![]), (1.0, vec![2.0, f64::NAN]), (2.0, vec![3.0])]);
        assert_eq!(curve.points, [(2.0, 3.0)]);
    }

    #[test]
    fn the_hidden_layers_are_those_whose_role_it_is_whatever_they_are_called() {
        let mut runs = [run("relu", 0, &[]), run("relu", 1, &[1.0])];
        assert_eq!(hidden(layers(&runs)), ["body"]);
        assert_eq!(layers(&runs).len(), 2);
        // An older record has names alone.
        for layer in &mut runs[1].epochs[0].layers {
            layer.role = None;
        }
        assert_eq!(hidden(layers(&runs)), ["body", "head"]);
        assert!(layers(&runs[..1]).is_empty());
    }

    #[test]
    fn a_thinned_curve_keeps_its_ends_and_its_band() {
        let points = |count: usize| (0..count).map(|i| (i as f64, vec![i as f64 - 1.0, i as f64 + 1.0]));
        let curve = Curve::measured("relu", arithmetic, points(1001)).thinned(5);
        assert_eq!(curve.points.iter().map(|(x, _)| *x).collect::<Vec<_>>(), [0.0, 250.0, 500.0, 750.0, 1000.0]);
        assert!(curve.points.iter().zip(&curve.band).all(|((_, y), band)| *band == (y - 1.0, y + 1.0)));
        assert_eq!(curve.band.len(), 5);
        let short = Curve::measured("relu", arithmetic, points(5));
        assert_eq!(short.clone().thinned(5), short);
        assert_eq!(Curve::predicted("theory", (0..9).map(|i| (f64::from(i), 1.0))).thinned(2).points.len(), 2);
    }
}
