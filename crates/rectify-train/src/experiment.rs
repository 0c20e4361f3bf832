//! The settings of an experiment: the same names as the command line's flags, the config file and `results.json`.

use std::{fmt, str::FromStr};

use burn::tensor::DType;
use serde::{Deserialize, Deserializer, Serialize};

use crate::activation::{Activation, Family};

/// Everything that decides what is trained and on what.
///
/// [`check`](Self::check) is called by whatever runs an experiment, so one that runs is a valid one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Experiment {
    /// `mnist`, `fashion-mnist`, or a folder with the four IDX files.
    pub dataset: String,
    /// The kind of network.
    pub model: ModelKind,
    /// Widths of the hidden layers; for the CNN, of the layers behind the convolutions. Empty is softmax regression.
    /// Without it 128, five times, for the MLP and 120, 84 for the CNN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
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
    /// Of `--optimizer momentum`.
    pub momentum: f64,
    /// L2 penalty (decoupled with `adamw`).
    pub weight_decay: f64,
    /// Largest L2 norm of the whole gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Samples a step.
    pub batch_size: usize,
    /// Passes over the training set. 0 measures the initial network.
    pub epochs: usize,
    /// Steps, if that is what to count; overrides `epochs`.
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
    /// Where to compute: `flex`, `ndarray`, `wgpu`, ….
    pub backend: String,
    /// Type of weights and activations.
    pub dtype: Dtype,
    /// Training samples to use, after the validation samples are set aside. Without it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_size: Option<usize>,
    /// Trainings side by side. Without it one a processor on CPU backends, one on a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<usize>,
    /// Threads a training: each takes a part of every batch. Results depend on it to rounding.
    pub threads: usize,
    /// When layers are looked at.
    pub probe_every: ProbeEvery,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            dataset: "mnist".to_owned(),
            model: ModelKind::Mlp,
            hidden: None,
            activations: ["relu", "sigmoid", "tanh"].map(|name| name.parse().expect("these names are known")).to_vec(),
            init: Init::Auto,
            bias_init: None,
            optimizer: OptimizerKind::Sgd,
            lr: None,
            momentum: 0.9,
            weight_decay: 0.0,
            clip_norm: None,
            batch_size: 128,
            epochs: 5,
            steps: None,
            patience: None,
            keep_last: false,
            seeds: 3,
            seed: None,
            backend: "flex".to_owned(),
            dtype: Dtype::F32,
            train_size: None,
            jobs: None,
            threads: 1,
            probe_every: ProbeEvery::Epoch,
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

    /// The same experiment with every default that depends on another setting written out, as it is recorded.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn resolve(self) -> Result<Self, ExperimentError> {
        self.check()?;
        Ok(Self { hidden: Some(self.hidden()), lr: Some(self.learning_rate()), seeds: self.seeds().len(), ..self })
    }

    /// The learning rate, given or the optimizer's default.
    pub fn learning_rate(&self) -> f64 {
        self.lr.unwrap_or(match self.optimizer {
            OptimizerKind::Sgd => 0.1,
            OptimizerKind::Momentum => 0.05,
            OptimizerKind::Adam | OptimizerKind::AdamW => 0.001,
        })
    }

    /// The seeds, given or counted.
    pub fn seeds(&self) -> Vec<u64> {
        match &self.seed {
            Some(seeds) => seeds.clone(),
            None => (0..self.seeds as u64).collect(),
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

        ensure(!self.activations.is_empty(), "activations", "must name at least one".to_owned())?;
        for (i, activation) in self.activations.iter().enumerate() {
            let twice = self.activations[..i].contains(activation);
            ensure(!twice, "activations", format!("`{activation}` is named twice"))?;
        }
        let hidden = self.hidden();
        for &width in &hidden {
            ensure(width > 0, "hidden", "a layer has at least 1 unit, got 0; `none` is no hidden layer".to_owned())?;
            ensure(width <= 1 << 16, "hidden", format!("a layer has at most 65536 units, got {width}"))?;
        }
        ensure(hidden.len() <= 1000, "hidden", format!("at most 1000 layers, got {}", hidden.len()))?;
        positive("lr", self.learning_rate())?;
        ensure((0.0..1.0).contains(&self.momentum), "momentum", format!("must be in 0..1, got {}", self.momentum))?;
        not_negative("weight_decay", self.weight_decay)?;
        if let Some(norm) = self.clip_norm {
            positive("clip_norm", norm)?;
        }
        if let Some(bias) = self.bias_init {
            ensure(bias.is_finite(), "bias_init", format!("must be finite, got {bias}"))?;
        }
        if let Init::Normal(std) = self.init {
            not_negative("init", std)?;
        }
        at_least_one("batch_size", self.batch_size)?;
        at_least_one("train_size", self.train_size.unwrap_or(1))?;
        at_least_one("patience", self.patience.unwrap_or(1))?;
        at_least_one("jobs", self.jobs.unwrap_or(1))?;
        at_least_one("threads", self.threads)?;
        at_least_one("seeds", self.seeds().len())?;
        let seeds = self.seeds();
        for (i, seed) in seeds.iter().enumerate() {
            ensure(!seeds[..i].contains(seed), "seed", format!("{seed} is given twice"))?;
        }
        Ok(())
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Activation>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    let names = match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    };
    names.iter().map(|name| name.parse().map_err(serde::de::Error::custom)).collect()
}

/// An enum whose variants are words, with the same spelling for flags, files and messages.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $name {
            $($(#[$variant_doc])* $variant),*
        }

        impl $name {
            /// The words for it.
            pub const WORDS: &[&str] = &[$($word),*];
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!(concat!("unknown ", $what, " `{}`; known are {}"), word, Self::WORDS.join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),* })
            }
        }
    };
}

words! {
    /// The kinds of network.
    ModelKind, "model" {
        /// Fully connected layers.
        Mlp = "mlp",
        /// Two convolutions with pooling, then fully connected layers: LeNet-like (LeCun et al. 1998).
        Cnn = "cnn",
    }
}

words! {
    /// Burn's optimizers that an experiment can name.
    OptimizerKind, "optimizer" {
        /// Stochastic gradient descent.
        Sgd = "sgd",
        /// The same with momentum.
        Momentum = "momentum",
        /// Kingma and Ba 2015.
        Adam = "adam",
        /// Adam with decoupled weight decay: Loshchilov and Hutter 2019.
        AdamW = "adamw",
    }
}

words! {
    /// Float types.
    Dtype, "dtype" {
        /// 32 bits.
        F32 = "f32",
        /// 64 bits.
        F64 = "f64",
        /// IEEE half precision.
        F16 = "f16",
        /// Brain float.
        Bf16 = "bf16",
    }
}

impl From<Dtype> for DType {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::F64 => Self::F64,
            Dtype::F16 => Self::F16,
            Dtype::Bf16 => Self::BF16,
        }
    }
}

/// When layers are looked at during training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ProbeEvery {
    /// Never: `off`.
    Off,
    /// Before training and after every epoch: `epoch`.
    Epoch,
    /// That, and on every Nth step's own batch: a number.
    Steps(usize),
}

impl FromStr for ProbeEvery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "epoch" => Ok(Self::Epoch),
            steps => match steps.parse() {
                Ok(steps) if steps > 0 => Ok(Self::Steps(steps)),
                _ => Err(format!("`{steps}` is not off, epoch or a number of steps of at least 1")),
            },
        }
    }
}

impl fmt::Display for ProbeEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Epoch => f.write_str("epoch"),
            Self::Steps(steps) => write!(f, "{steps}"),
        }
    }
}

/// How weights begin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Init {
    /// What suits each activation: see [`Family`].
    Auto,
    /// N(0, 2 / fan_in): He et al. 2015.
    HeNormal,
    /// U(±√(6 / fan_in)).
    HeUniform,
    /// N(0, 2 / (fan_in + fan_out)): Glorot and Bengio 2010.
    XavierNormal,
    /// U(±√(6 / (fan_in + fan_out))).
    XavierUniform,
    /// N(0, 1 / fan_in): LeCun et al. 1998, *Efficient backprop*.
    LecunNormal,
    /// U(±1 / √fan_in) for weights and biases: what PyTorch's `Linear` and `Conv2d` do.
    TorchDefault,
    /// (Semi-)orthogonal: Saxe et al. 2013.
    Orthogonal,
    /// N(0, STD²): `normal:STD`.
    Normal(f64),
    /// N(0, 0.6007² / fan_in) for weights and biases, with one randomly chosen entry of each unit's drawn from
    /// Beta(2, 1), so that fewer units are born dead: Lu et al. 2019.
    RandomizedAsymmetric,
}

const INITS: &str = "auto, he-normal, he-uniform, xavier-normal, xavier-uniform, lecun-normal, torch-default, \
                     orthogonal, normal:STD, randomized-asymmetric";

impl FromStr for Init {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "he-normal" => Self::HeNormal,
            "he-uniform" => Self::HeUniform,
            "xavier-normal" => Self::XavierNormal,
            "xavier-uniform" => Self::XavierUniform,
            "lecun-normal" => Self::LecunNormal,
            "torch-default" => Self::TorchDefault,
            "orthogonal" => Self::Orthogonal,
            "randomized-asymmetric" => Self::RandomizedAsymmetric,
            _ => match text.strip_prefix("normal:").map(str::parse::<f64>) {
                Some(Ok(std)) if std.is_finite() && std >= 0.0 => Self::Normal(std),
                Some(_) => {
                    return Err(format!("`{text}`: the standard deviation must be a number that is not negative"));
                }
                None => return Err(format!("unknown initialisation `{text}`; known are {INITS}")),
            },
        })
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::HeNormal => "he-normal",
            Self::HeUniform => "he-uniform",
            Self::XavierNormal => "xavier-normal",
            Self::XavierUniform => "xavier-uniform",
            Self::LecunNormal => "lecun-normal",
            Self::TorchDefault => "torch-default",
            Self::Orthogonal => "orthogonal",
            Self::Normal(std) => return write!(f, "normal:{std}"),
            Self::RandomizedAsymmetric => "randomized-asymmetric",
        })
    }
}

impl Init {
    /// What `auto` means for an activation; itself otherwise.
    pub fn resolve(self, activation: &Activation) -> Self {
        match (self, activation.family()) {
            (Self::Auto, Family::Rectifier) => Self::HeNormal,
            (Self::Auto, Family::Sigmoidal) => Self::XavierNormal,
            (Self::Auto, Family::SelfNormalizing) => Self::LecunNormal,
            (init, _) => init,
        }
    }
}

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
as_string!(ModelKind, OptimizerKind, Dtype, Init, ProbeEvery);
