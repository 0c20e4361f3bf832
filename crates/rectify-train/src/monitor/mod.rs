//! A diagnosis for a training loop of one's own, of any Burn module.
//!
//! ```
//! use burn::{
//!     module::Module,
//!     nn::{Linear, LinearConfig, loss::CrossEntropyLossConfig},
//!     optim::{GradientsParams, SgdConfig},
//!     tensor::{Device, Distribution, Int, Tensor, activation::relu},
//! };
//! use rectify_train::monitor::Monitor;
//!
//! #[derive(Module, Debug)]
//! struct Net { body: Linear, head: Linear }
//!
//! let device = Device::flex().autodiff();
//! let mut model =
//!     Net { body: LinearConfig::new(4, 16).init(&device), head: LinearConfig::new(16, 3).init(&device) };
//! let mut optimizer = SgdConfig::new().init();
//! let mut monitor = Monitor::new(&model);
//! for step in 1..=50 {
//!     let x = Tensor::<2>::random([32, 4], Distribution::Default, &device);
//!     let labels = Tensor::<1, Int>::zeros([32], &device);
//!     let logits = model.head.forward(relu(model.body.forward(x)));
//!     let loss = CrossEntropyLossConfig::new().init(&device).forward(logits, labels);
//!     let gradients = GradientsParams::from_grads(loss.backward(), &model);
//!     monitor.step(step, &loss, &model, &gradients);
//!     model = optimizer.step(0.1, model, gradients);
//! }
//! println!("{}", monitor.diagnosis());
//! ```
//!
//! Layers are found by path: what has a weight (a parameter of rank 2 or more) is one, in the order of the module's
//! fields, which is taken to be that from the input to the output; the last gives the outputs. Losses, weights, gradients and
//! updates need no change of the model. Activations are seen where they pass through [`Taps`]. Gains and biases, as those
//! of a normalisation, count to no layer.
//!
//! Where the loop is another's, as burn-train's, the model holds a [`Callback`].
//!
//! A monitor draws no random number and changes nothing: with and without it weights are the same to the bit. A look at all
//! layers is taken before the first step and then at every so many ([`Sampling`]). Where there would be more than
//! [`MOST_LOOKS`], every second is forgotten and the distance doubled, so that a long training needs no more memory than
//! a short one.

mod callback;
mod losses;
mod tap;

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
};

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{Device, Tensor},
};

use self::losses::Losses;
pub use self::{
    callback::Callback,
    tap::{Tapped, Taps},
};
use crate::{
    environment,
    experiment::Experiment,
    judge::diagnose::{Case, DETECTORS, Detector, Diagnosis, Finding, LIVE, Severity, diagnose},
    observe::{Backward, Observed, Trace, Weights, parameters, report, update_between, weight_gradients, weights},
    record::{DataRecord, Divergence, Epoch, GradientSample, Layer, Role, Run, Status},
    store::{Line, Mark, RunFolder, StoreError},
};

/// Looks that are kept, at most.
pub const MOST_LOOKS: usize = 256;

/// Looks over which a unit must give zeros only to count as dead: a batch alone does not tell.
const DEAD_WINDOW: usize = 16;

/// How often a monitor looks at the layers. Losses are taken down at every step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sampling {
    /// At every 200th step.
    Light,
    /// At every 20th.
    #[default]
    Balanced,
    /// At every third.
    Thorough,
}

impl Sampling {
    fn interval(self) -> usize {
        match self {
            Self::Light => 200,
            Self::Balanced => 20,
            Self::Thorough => 3,
        }
    }
}

/// Watches a training loop; see the [module](self).
#[derive(Debug)]
pub struct Monitor {
    /// Names of the layers, from the input on.
    layers: Vec<(String, Role)>,
    parameters: usize,
    device: Device,
    interval: usize,
    taps: Taps,
    batch_size: Option<usize>,
    classes: Option<DataRecord>,
    losses: Losses,
    /// The weights before the step that comes next, where a look is taken after it.
    before: Option<(usize, Weights)>,
    run: Run,
    /// By layer: which part of a look's samples each unit was not zero on, of the last looks.
    nonzero: BTreeMap<String, VecDeque<Vec<f32>>>,
    told: Vec<&'static str>,
}

impl Monitor {
    /// For a model. Its parameters' paths are read, nothing else.
    pub fn new<M: Module>(model: &M) -> Self {
        let mut layers: Vec<(String, Role)> = Vec::new();
        for (path, parameter) in parameters(model) {
            let layer = path.rsplit_once('.').map_or(path.as_str(), |(layer, _)| layer).to_owned();
            if parameter.shape.len() > 1 && layers.last().is_none_or(|(last, _)| *last != layer) {
                layers.push((layer, Role::Hidden));
            }
        }
        if let Some((_, role)) = layers.last_mut() {
            *role = Role::Output;
        }
        Self {
            layers,
            parameters: model.num_params(),
            device: model.devices().into_iter().next().unwrap_or_default(),
            interval: Sampling::default().interval(),
            taps: Taps::default(),
            batch_size: None,
            classes: None,
            losses: Losses::default(),
            before: None,
            run: Run::new("model", 0),
            nonzero: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// Looks as often as that.
    pub fn sampling(self, sampling: Sampling) -> Self {
        Self { interval: sampling.interval(), ..self }
    }

    /// With the activations that pass through `taps`, which are the model's.
    pub fn taps(self, taps: &Taps) -> Self {
        taps.watch(true);
        Self { taps: taps.clone(), ..self }
    }

    /// By its name, as diagnosis and report call the run.
    pub fn named(mut self, name: &str, seed: u64) -> Self {
        (self.run.activation, self.run.seed) = (name.to_owned(), seed);
        self
    }

    /// Of a classifier, with how many training samples each class has. Without it nothing tells whether the loss is that of
    /// guessing.
    pub fn class_counts(self, counts: &[usize]) -> Self {
        let samples: usize = counts.iter().sum();
        let most = counts.iter().copied().max().unwrap_or(0);
        let classes = DataRecord {
            train: samples,
            validation: 0,
            test: 0,
            classes: counts.len(),
            majority_fraction: most as f64 / samples.max(1) as f64,
            duplicates: None,
            mean: 0.0,
            std: 1.0,
        };
        Self { classes: Some(classes), ..self }
    }

    /// With so many samples a step.
    pub fn batch_size(self, samples: usize) -> Self {
        Self { batch_size: Some(samples), ..self }
    }

    /// The layer of that name gives the outputs, not the last one.
    pub fn output(mut self, layer: &str) -> Self {
        for (name, role) in &mut self.layers {
            *role = if name == layer { Role::Output } else { Role::Hidden };
        }
        self
    }

    /// A step, between its backward pass and the optimizer's: `step` counts from 1, `model` has the weights that `loss` was
    /// computed with, `gradients` are those of the loss.
    pub fn step<M: Module>(&mut self, step: usize, loss: &Tensor<1>, model: &M, gradients: &GradientsParams) {
        self.losses.push(step, loss.clone());
        self.run.steps = step;
        let due = |step: usize, interval: usize| step == 1 || step.is_multiple_of(interval);
        if due(step, self.interval) {
            self.look(step, model, gradients);
        }
        let next = due(step + 1, self.interval);
        self.before = next.then(|| (step + 1, weights(model)));
        self.taps.watch(next);
    }

    /// What the validation set said after a step, for the detectors that ask.
    pub fn validation(&mut self, step: usize, loss: f64, accuracy: f64) {
        let train_loss = self.losses.since_last();
        self.run.epochs.push(Epoch {
            epoch: self.run.epochs.len(),
            step,
            train_loss,
            validation_loss: Some(loss).filter(|loss| loss.is_finite()),
            validation_accuracy: Some(accuracy).filter(|accuracy| accuracy.is_finite()),
            ..Epoch::default()
        });
    }

    /// What is wrong, as far as the steps so far tell.
    pub fn diagnosis(&mut self) -> Diagnosis {
        self.diagnosis_by(DETECTORS)
    }

    /// The same by detectors of one's own.
    pub fn diagnosis_by(&mut self, detectors: &[Detector]) -> Diagnosis {
        let run = self.record();
        let case = Case { run: &run, experiment: None, data: self.classes.as_ref(), losses: self.losses.values() };
        diagnose(&case, detectors)
    }

    /// What has come to light since the last call, each once, of what can be said while a training goes on.
    pub fn news(&mut self) -> Vec<Finding> {
        let told = std::mem::take(&mut self.told);
        let found = self.diagnosis_by(LIVE).findings.into_iter();
        let new: Vec<Finding> =
            found.filter(|finding| finding.severity > Severity::Info && !told.contains(&finding.detector)).collect();
        self.told = told.into_iter().chain(new.iter().map(|finding| finding.detector)).collect();
        new
    }

    /// The run so far: the look before training, those after steps, and whether the loss stopped being finite.
    pub fn record(&mut self) -> Run {
        let mut run = self.run.clone();
        run.parameters = self.parameters;
        let bad = self.losses.read().iter().position(|loss| !loss.is_finite());
        (run.status, run.diverged_at_step, run.divergence) = match bad {
            Some(place) => (Status::Diverged, Some(self.losses.first_step() + place), Some(Divergence::Loss)),
            None => (Status::Completed, None, None),
        };
        run
    }

    /// Writes what was recorded to a new folder, which `rectify diagnose` and `rectify report` read.
    ///
    /// # Errors
    ///
    /// The folder holds an experiment already, or cannot be written.
    pub fn save(&mut self, folder: &Path) -> Result<(), StoreError> {
        let run = self.record();
        let experiment = Experiment {
            own: Some(run.activation.clone()),
            seeds: 1,
            seed: Some(vec![run.seed]),
            ..Experiment::default()
        };
        let folder = RunFolder::create(folder, &experiment)?;
        let mut metrics = folder.metrics(&run.activation, run.seed, &Mark::default())?;
        metrics.append(&Line::Losses(self.losses.block()))?;
        for epoch in &run.epochs {
            metrics.append(&Line::Epoch(epoch.clone()))?;
        }
        metrics.sync()?;
        folder.write_run(&experiment, &run, metrics.mark(), &environment::of_own(&self.device), self.classes)
    }

    fn look<M: Module>(&mut self, step: usize, model: &M, gradients: &GradientsParams) {
        let update = self.before.take().filter(|(of, _)| *of == step);
        let update = update.map(|(_, before)| update_between(before, weights(model)));
        let mut seen = self.taps.take();
        let layers = self.layers.iter().map(|(name, role)| {
            let at = seen.iter().position(|layer| {
                name.strip_prefix(layer.name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            match at {
                Some(at) => seen.remove(at).named(name.clone(), *role),
                None => Observed::parameters_only(name.clone(), *role),
            }
        });
        let mut layers: Vec<Observed> = layers.collect();
        // What has no weights of its own has its place before the outputs.
        let end = layers.len().saturating_sub(1);
        layers.splice(end..end, seen);
        let passes = [Trace::of_layers(layers)];
        let gradients = weight_gradients(model, gradients);
        let backward = Backward { passes: &[], weights: gradients, batches: &[] };
        let mut layers = report(&passes, Some(&parameters(model)), Some(&backward), update.as_ref());
        for layer in &mut layers {
            self.count_dead(layer);
        }
        let gradient =
            self.batch_size.map(|batch| GradientSample { set: "batch".to_owned(), samples: batch, batch_size: batch });
        let train_loss = self.losses.since_last();
        self.run.epochs.push(Epoch {
            epoch: self.run.epochs.len(),
            // The weights are those that the step before left.
            step: step - 1,
            train_loss,
            gradient,
            layers,
            ..Epoch::default()
        });
        self.thin();
    }

    /// Over the last looks, as a unit that is zero on one batch need not be on the next.
    fn count_dead(&mut self, layer: &mut Layer) {
        if layer.dead_fraction.is_none() {
            return;
        }
        let looks = self.nonzero.entry(layer.layer.clone()).or_default();
        looks.push_back(std::mem::take(&mut layer.unit_nonzero_fraction));
        if looks.len() > DEAD_WINDOW {
            looks.pop_front();
        }
        let mean = |unit: usize| looks.iter().map(|look| look[unit]).sum::<f32>() / looks.len() as f32;
        layer.unit_nonzero_fraction = (0..layer.units).map(mean).collect();
        let dead = layer.unit_nonzero_fraction.iter().filter(|nonzero| **nonzero == 0.0).count();
        layer.dead_fraction = Some(dead as f64 / layer.units.max(1) as f64);
    }

    fn thin(&mut self) {
        let is_look = |epoch: &Epoch| !epoch.layers.is_empty();
        if self.run.epochs.iter().filter(|epoch| is_look(epoch)).count() <= MOST_LOOKS {
            return;
        }
        self.interval *= 2;
        let mut place = 0;
        self.run.epochs.retain(|epoch| {
            if !is_look(epoch) {
                return true;
            }
            place += 1;
            place % 2 == 1
        });
        for (epoch, place) in self.run.epochs.iter_mut().zip(0..) {
            epoch.epoch = place;
        }
    }
}
