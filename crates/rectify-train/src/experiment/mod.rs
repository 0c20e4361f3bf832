//! The settings of an experiment: the same names as the command line's flags, the config file and `results.json`.

/// Reads and writes types as the strings of their `FromStr` and `Display`.
macro_rules! as_string {
    ($($type:ty),*) => {
        $(
            impl TryFrom<String> for $type {
                type Error = String;

                fn try_from(text: String) -> Result<Self, String> {
                    text.parse()
                }
            }

            impl From<$type> for String {
                fn from(value: $type) -> Self {
                    value.to_string()
                }
            }
        )*
    };
}
use as_string;

mod choice;
mod init;
mod moments;
mod notes;
mod shard;
mod size;
mod sweep;
mod tune;
mod vectorise;

pub use choice::{Dtype, Log, ModelKind, NormKind, OptimizerKind, ProbeEvery, Schedule};
pub use init::Init;
pub(crate) use init::auto_gain;
pub use moments::Moments;
pub use shard::Shard;
pub use sweep::{Cell, Point, Sweep, label, value_in_words};
pub use tune::{Axis, TUNING_SEEDS, Tunable, Tune};

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{activation::Activation, data::DataOptions, words::entries};

/// Everything that decides what is trained and on what.
///
/// [`check`](Self::check) is called by whatever runs an experiment, so one that runs is a valid one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Experiment {
    /// `mnist`, `fashion-mnist`, a folder with the four IDX files, one with a folder of pictures for each class, or a table.
    pub dataset: String,
    /// Side of the square that the pictures of a folder are resized to. Without it they have one size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,
    /// The column of a table with the labels: its name, or its place from 1. Without it the one that is called `label`,
    /// `class`, `target`, `species` or `y`, otherwise the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// What the networks begin with, in place of drawn weights: a checkpoint's folder, or a safetensors file with the names
    /// of PyTorch's `nn.Sequential`. The output layer is drawn where the classes are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What a loop of one's own calls the run that its [`Monitor`](crate::monitor::Monitor) saved. Such a run can be shown and
    /// diagnosed, not trained; but for the seed, the other settings say nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<String>,
    /// The kind of network.
    pub model: ModelKind,
    /// Widths of the hidden layers; for the CNN, of the layers behind the convolutions. Empty is softmax regression.
    /// Without it 128, five times, for the MLP and 120, 84 for the CNN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
    /// What normalises the pre-activations of hidden layers.
    pub norm: NormKind,
    /// Whether the input of a fully connected hidden layer that is as wide as the layer is added to its output.
    pub residual: bool,
    /// Fraction of the outputs of each fully connected hidden layer that a training step sets to 0.
    pub dropout: f64,
    /// The activations to compare, or the one to train with.
    #[serde(alias = "activation", deserialize_with = "one_or_many")]
    pub activations: Vec<Activation>,
    /// Initial weights.
    pub init: Init,
    /// Initial value of every bias. Without it 0, or what `torch-default` draws.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias_init: Option<f64>,
    /// The optimizer.
    pub optimizer: OptimizerKind,
    /// Learning rate. Without it 0.1 for `sgd`, 0.05 for `momentum` and 0.001 for `adam` and `adamw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// How the learning rate goes over the training.
    pub schedule: Schedule,
    /// Settings that each activation has its own value of, chosen before the runs that are reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tune: Option<Tune>,
    /// Of `--optimizer momentum`. Without it 0.9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// L2 penalty (decoupled with `adamw`).
    pub weight_decay: f64,
    /// Largest L2 norm of the whole gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Samples a step.
    pub batch_size: usize,
    /// Passes over the training set. 0 measures the initial network. Without it 5, unless `steps` are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Steps, if that is what to count, in place of `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Epochs without a better validation accuracy after which training ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// With `patience`: whether the last network is saved and reported, and not the best by validation accuracy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_last: bool,
    /// How many seeds: 0, 1, 2, ….
    pub seeds: usize,
    /// The seeds themselves, in place of `seeds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<Vec<u64>>,
    /// Which of the experiment's trainings are done here; without it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Where to compute: `flex`, `ndarray`, `wgpu`, ….
    pub backend: String,
    /// Type of weights and activations.
    pub dtype: Dtype,
    /// Training samples to use, after the validation samples are set aside. Without it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_size: Option<usize>,
    /// Trainings side by side. Without it one a core on CPU backends, one on a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<usize>,
    /// Threads a training: each takes a part of every batch. Results depend on it to rounding.
    pub threads: usize,
    /// Whether trainings of one network that differ in seeds, rates and initial weights take their steps together, each
    /// matrix product of all of them as one. Results depend on it to rounding.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub vectorise: bool,
    /// When layers are looked at.
    pub probe_every: ProbeEvery,
    /// What metrics are written as too. Results do not depend on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// Settings of which every combination of some values is an experiment; see [`points`](Self::points).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            dataset: "mnist".to_owned(),
            image_size: None,
            label_column: None,
            from: None,
            own: None,
            model: ModelKind::Mlp,
            hidden: None,
            norm: NormKind::None,
            residual: false,
            dropout: 0.0,
            activations: ["relu", "sigmoid", "tanh"].map(|name| name.parse().expect("these names are known")).to_vec(),
            init: Init::Auto,
            bias_init: None,
            optimizer: OptimizerKind::Sgd,
            lr: None,
            schedule: Schedule::Constant,
            tune: None,
            momentum: None,
            weight_decay: 0.0,
            clip_norm: None,
            batch_size: 128,
            epochs: None,
            steps: None,
            patience: None,
            keep_last: false,
            seeds: 3,
            seed: None,
            shard: None,
            backend: "flex".to_owned(),
            dtype: Dtype::F32,
            train_size: None,
            jobs: None,
            threads: 1,
            vectorise: false,
            probe_every: ProbeEvery::Epoch,
            log: None,
            sweep: None,
        }
    }
}

/// A setting that no experiment can run with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ExperimentError {
    /// The field, as the config file spells it; the flag has hyphens for underscores.
    pub field: &'static str,
    /// What is wrong and what would work.
    pub reason: String,
}

impl Experiment {
    /// The widths, given or the model's default.
    pub fn hidden(&self) -> Vec<usize> {
        match (&self.hidden, self.model) {
            (Some(widths), _) => widths.clone(),
            (None, ModelKind::Mlp) => vec![128; 5],
            (None, ModelKind::Cnn) => vec![120, 84],
        }
    }

    /// The same experiment as it is recorded: every default that depends on another setting written out, and what
    /// has no effect (see [`without_effect`](Self::without_effect)) left out. With a sweep both are left to its points,
    /// which may have other ones.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); several activations where the network has none; two names for one function.
    pub fn resolve(self) -> Result<Self, ExperimentError> {
        self.check()?;
        if self.sweep.is_some() {
            return Self { seeds: self.seeds().len(), ..self }.with_canonical_sweep();
        }
        let several = self.activations.len() > 1;
        if several && self.has_no_activation() {
            let reason = "without hidden layers the network has no activation to compare; give hidden layers, or one \
                          activation: `none`";
            return Err(ExperimentError { field: "hidden", reason: reason.to_owned() });
        }
        for (i, one) in self.activations.iter().enumerate() {
            if let Some(other) = self.activations[..i].iter().find(|other| other.same_function(one)) {
                let reason = format!("`{other}` and `{one}` are the same function");
                return Err(ExperimentError { field: "activations", reason });
            }
        }
        Ok(Self {
            hidden: Some(self.hidden()),
            norm: if self.has_no_activation() { NormKind::None } else { self.norm },
            residual: self.residual && self.has_residual(),
            dropout: if self.hidden().is_empty() { 0.0 } else { self.dropout },
            lr: Some(self.learning_rate()),
            momentum: (self.optimizer == OptimizerKind::Momentum).then(|| self.momentum()),
            epochs: self.steps.is_none().then(|| self.epochs()),
            keep_last: self.keep_last && self.patience.is_some(),
            seeds: self.seeds().len(),
            ..self
        })
    }

    /// How its data set is read.
    pub fn data_options(&self) -> DataOptions {
        DataOptions {
            train_size: self.train_size,
            image_size: self.image_size,
            label_column: self.label_column.clone(),
        }
    }

    /// The epochs, given or the default; `steps` count in their place where they are given.
    pub fn epochs(&self) -> usize {
        self.epochs.unwrap_or(5)
    }

    /// The momentum, given or the default; only the optimizer `momentum` has one.
    pub fn momentum(&self) -> f64 {
        self.momentum.unwrap_or(0.9)
    }

    /// The learning rate, given or the optimizer's default.
    pub fn learning_rate(&self) -> f64 {
        self.lr.unwrap_or(match self.optimizer {
            OptimizerKind::Sgd => 0.1,
            OptimizerKind::Momentum => 0.05,
            OptimizerKind::Adam | OptimizerKind::AdamW => 0.001,
        })
    }

    /// The learning rate of a step, counted from 0, of so many.
    pub fn learning_rate_at(&self, step: usize, steps: usize) -> f64 {
        self.learning_rate() * self.schedule.factor(step, steps)
    }

    /// The seeds, given or counted.
    pub fn seeds(&self) -> Vec<u64> {
        match &self.seed {
            Some(seeds) => seeds.clone(),
            None => (0..self.seeds as u64).collect(),
        }
    }

    /// How many trainings there are, or are in the shard.
    pub fn trainings(&self) -> usize {
        let (activations, seeds) = (self.activations.len(), self.seeds().len());
        match self.shard {
            None => activations.saturating_mul(seeds),
            Some(shard) => {
                let of_seed = |seed| (0..activations).filter(|&place| shard.takes(place, seed, activations)).count();
                (0..seeds).map(of_seed).sum()
            }
        }
    }

    /// Whether every setting is in its range.
    ///
    /// # Errors
    ///
    /// The first setting that is not, and what would work.
    pub fn check(&self) -> Result<(), ExperimentError> {
        let ensure = |ok: bool, field, reason: String| if ok { Ok(()) } else { Err(ExperimentError { field, reason }) };
        let not_negative = |field, value: f64| {
            ensure(value.is_finite() && value >= 0.0, field, format!("must not be negative, got {value}"))
        };
        let positive = |field, value: f64| {
            ensure(value.is_finite() && value > 0.0, field, format!("must be positive, got {value}"))
        };
        let at_least_one = |field, value: usize| ensure(value > 0, field, "must be at least 1, got 0".to_owned());
        let held = |dtype: Dtype, field, value| dtype.holds(value).map_err(|reason| ExperimentError { field, reason });

        ensure(!self.activations.is_empty(), "activations", "must name at least one".to_owned())?;
        for (i, activation) in self.activations.iter().enumerate() {
            let twice = self.activations[..i].contains(activation);
            ensure(!twice, "activations", format!("`{activation}` is named twice"))?;
            let name = activation.name_given();
            let taken = name.is_some() && self.activations[..i].iter().any(|other| other.name_given() == name);
            let reason = format!("two formulas have the name `{}`; give each its own", name.unwrap_or_default());
            ensure(!taken, "activations", reason)?;
            for parameter in activation.parameters() {
                let held = self.dtype.holds(parameter);
                held.map_err(|reason| ExperimentError {
                    field: "activations",
                    reason: format!("`{activation}`: {reason}"),
                })?;
            }
        }
        let side = self.image_size.unwrap_or(1);
        ensure((1..=1024).contains(&side), "image_size", format!("must be in 1..=1024, got {side}"))?;
        if self.from.is_some() {
            let reason =
                format!("weights are of one network, and {} activations are asked for", self.activations.len());
            ensure(self.activations.len() == 1, "from", reason)?;
        }
        let hidden = self.hidden();
        for &width in &hidden {
            ensure(width > 0, "hidden", "a layer has at least 1 unit, got 0; `none` is no hidden layer".to_owned())?;
            ensure(width <= 1 << 16, "hidden", format!("a layer has at most 65536 units, got {width}"))?;
        }
        ensure(hidden.len() <= 1000, "hidden", format!("at most 1000 layers, got {}", hidden.len()))?;
        positive("lr", self.learning_rate())?;
        held(self.dtype.of_steps(), "lr", self.learning_rate())?;
        if self.norm == NormKind::Layer {
            let reason = "a layer of 1 unit, normalised over itself, is 0 whatever its input is; `batch` takes it";
            ensure(!hidden.contains(&1), "norm", reason.to_owned())?;
        }
        if self.norm == NormKind::Batch {
            let reason = format!(
                "`batch` takes the mean and variance of a whole batch, which {} threads share; give 1 thread, or `layer`",
                self.threads
            );
            ensure(self.threads <= 1, "norm", reason)?;
            let reason = "`batch` takes mean and variance of a batch, got a batch_size of 1; `layer` takes it";
            ensure(self.batch_size > 1, "norm", reason.to_owned())?;
        }
        let dropout = self.dropout;
        ensure((0.0..1.0).contains(&dropout), "dropout", format!("must be in 0..1, got {dropout}"))?;
        let momentum = self.momentum();
        ensure((0.0..1.0).contains(&momentum), "momentum", format!("must be in 0..1, got {momentum}"))?;
        not_negative("weight_decay", self.weight_decay)?;
        // Burn keeps it in f32, whatever the dtype.
        held(Dtype::F32, "weight_decay", self.weight_decay)?;
        if let Some(norm) = self.clip_norm {
            positive("clip_norm", norm)?;
            held(self.dtype.of_steps(), "clip_norm", norm)?;
        }
        if let Some(bias) = self.bias_init {
            ensure(bias.is_finite(), "bias_init", format!("must be finite, got {bias}"))?;
            // Drawn in f32.
            held(Dtype::F32, "bias_init", bias).and_then(|()| held(self.dtype, "bias_init", bias))?;
        }
        if let Init::Normal(size) | Init::Gain(size) = self.init {
            not_negative("init", size)?;
            held(Dtype::F32, "init", size).and_then(|()| held(self.dtype, "init", size))?;
        }
        at_least_one("batch_size", self.batch_size)?;
        at_least_one("train_size", self.train_size.unwrap_or(1))?;
        at_least_one("patience", self.patience.unwrap_or(1))?;
        at_least_one("jobs", self.jobs.unwrap_or(1))?;
        at_least_one("threads", self.threads)?;
        let count = self.seed.as_ref().map_or(self.seeds, Vec::len);
        at_least_one("seeds", count)?;
        ensure(count <= MAX_SEEDS, "seeds", format!("at most {MAX_SEEDS}, got {count}"))?;
        if let Some(sweep) = &self.sweep {
            sweep.check(self)?;
        } else if let Some(shard) = self.shard {
            let reason = format!("{shard} has none of the {} trainings", self.activations.len() * count);
            ensure(self.trainings() > 0, "shard", reason)?;
        }
        if self.vectorise {
            self.is_plain()?;
        }
        if self.tune.is_some() {
            let trained = self.steps.unwrap_or(self.epochs()) > 0;
            ensure(trained, "tune", "what is not trained cannot be tuned; give steps or epochs".to_owned())?;
            let taken = self.seeds().into_iter().find(|seed| TUNING_SEEDS.contains(seed));
            let reason = format!("{} is a seed that settings are tuned on; take another", taken.unwrap_or_default());
            ensure(taken.is_none(), "seed", reason)?;
        }
        let mut seen = HashSet::new();
        for seed in self.seeds() {
            ensure(seen.insert(seed), "seed", format!("{seed} is given twice"))?;
        }
        Ok(())
    }
}

/// Beyond it a number of seeds is a slip of the keyboard.
const MAX_SEEDS: usize = 100_000;

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Activation>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    let names = match Names::deserialize(deserializer)? {
        Names::One(names) => entries(&names).into_iter().map(str::to_owned).collect(),
        Names::Many(names) => names,
    };
    Activation::list(names.iter().map(String::as_str)).map_err(serde::de::Error::custom)
}
