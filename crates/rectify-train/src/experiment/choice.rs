//! The settings that are one of a few words.

use std::{f64::consts::PI, fmt, str::FromStr};

use burn::tensor::{DType, bf16, f16};
use serde::{Deserialize, Serialize};
use strum::{VariantArray, VariantNames};

use crate::words::Vocabulary;

/// The kinds of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, VariantNames, VariantArray)]
#[serde(try_from = "String", into = "String")]
#[strum(serialize_all = "lowercase")]
pub enum ModelKind {
    /// Fully connected layers.
    Mlp,
    /// Two convolutions with pooling, then fully connected layers: LeNet-like (LeCun et al. 1998).
    Cnn,
}

/// Burn's optimizers that an experiment can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, VariantNames, VariantArray)]
#[serde(try_from = "String", into = "String")]
#[strum(serialize_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent.
    Sgd,
    /// The same with momentum.
    Momentum,
    /// Kingma and Ba 2015.
    Adam,
    /// Adam with decoupled weight decay: Loshchilov and Hutter 2019.
    AdamW,
}

/// How the learning rate goes over a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, VariantNames, VariantArray)]
#[serde(try_from = "String", into = "String")]
#[strum(serialize_all = "lowercase")]
pub enum Schedule {
    /// The same at every step.
    Constant,
    /// From `lr` down to 0 along half a cosine: Loshchilov and Hutter 2017, *SGDR*, without restarts.
    Cosine,
    /// A tenth of `lr` from half of the steps on, and a hundredth from three quarters on: He et al. 2016, *Deep residual
    /// learning*, section 4.2.
    Step,
}

impl Schedule {
    /// By what the learning rate is multiplied at a step, counted from 0, of so many.
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        let done = step as f64 / steps.max(1) as f64;
        match self {
            Self::Constant => 1.0,
            Self::Cosine => 0.5 * (1.0 + (PI * done.min(1.0)).cos()),
            Self::Step if done < 0.5 => 1.0,
            Self::Step if done < 0.75 => 0.1,
            Self::Step => 0.01,
        }
    }
}

/// What normalises the pre-activations of hidden layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, VariantNames, VariantArray)]
#[serde(try_from = "String", into = "String")]
#[strum(serialize_all = "lowercase")]
pub enum NormKind {
    /// Nothing.
    None,
    /// Over the batch, unit by unit: Ioffe and Szegedy 2015.
    Batch,
    /// Over the layer, sample by sample: Ba et al. 2016.
    Layer,
}

/// What metrics are written as, beside what they are always written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, VariantNames, VariantArray)]
#[serde(try_from = "String", into = "String")]
#[strum(serialize_all = "lowercase")]
pub enum Log {
    /// Event files of TensorBoard.
    Tensorboard,
}

/// Float types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, VariantNames, VariantArray)]
#[serde(try_from = "String", into = "String")]
#[strum(serialize_all = "lowercase")]
pub enum Dtype {
    /// 32 bits.
    F32,
    /// 64 bits.
    F64,
    /// IEEE half precision.
    F16,
    /// Brain float.
    Bf16,
}

/// The variant that is meant by a word.
pub(super) fn choose<T: VariantArray + VariantNames + Copy>(
    kind: &str,
    text: &str,
    aliases: &[(&'static str, &'static str)],
    hints: &[(&'static str, &[&'static str])],
) -> Result<T, String> {
    let names = <T as VariantNames>::VARIANTS;
    let vocabulary = Vocabulary { kind, names, aliases, hints };
    let variants = || names.iter().zip(<T as VariantArray>::VARIANTS);
    vocabulary
        .find(text)
        .and_then(|word| variants().find(|(name, _)| **name == word))
        .map(|(_, variant)| *variant)
        .ok_or_else(|| vocabulary.unknown(text))
}

impl FromStr for ModelKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hints: &[(_, &[_])] = &[
            ("lenet", &["cnn"]),
            ("convnet", &["cnn"]),
            ("convolutional", &["cnn"]),
            ("dense", &["mlp"]),
            ("fully-connected", &["mlp"]),
        ];
        choose("model", text, &[("multilayer-perceptron", "mlp")], hints)
    }
}

impl FromStr for OptimizerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let aliases = [("sgd-momentum", "momentum"), ("sgdm", "momentum")];
        choose("optimizer", text, &aliases, &[("gradient-descent", &["sgd"]), ("nesterov", &["momentum"])])
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let aliases = [("none", "constant"), ("cosine-annealing", "cosine"), ("multi-step", "step")];
        choose("schedule", text, &aliases, &[("decay", &["cosine", "step"]), ("warmup", &["cosine"])])
    }
}

impl FromStr for NormKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let aliases = [("batch-norm", "batch"), ("layer-norm", "layer"), ("bn", "batch"), ("ln", "layer")];
        choose("norm", text, &aliases, &[("group", &["layer"]), ("instance", &["layer"]), ("rms", &["layer"])])
    }
}

impl FromStr for Log {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        choose("log", text, &[("tb", "tensorboard"), ("tfevents", "tensorboard")], &[("wandb", &["tensorboard"])])
    }
}

impl FromStr for Dtype {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let aliases = [
            ("float32", "f32"),
            ("fp32", "f32"),
            ("single", "f32"),
            ("float64", "f64"),
            ("fp64", "f64"),
            ("double", "f64"),
            ("float16", "f16"),
            ("fp16", "f16"),
            ("half", "f16"),
            ("bfloat16", "bf16"),
        ];
        // A `float` has 32 bits in C and PyTorch and 64 in NumPy and Python.
        choose("dtype", text, &aliases, &[("float", &["f32", "f64"])])
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

impl Dtype {
    /// Whether a number is one in this type: neither infinite nor, unless it is 0, zero.
    ///
    /// # Errors
    ///
    /// What becomes of it.
    pub fn holds(self, value: f64) -> Result<(), String> {
        let (rounded, largest) = match self {
            Self::F64 => (value, f64::MAX),
            Self::F32 => (f64::from(value as f32), f64::from(f32::MAX)),
            Self::F16 => (f16::from_f64(value).to_f64(), f16::MAX.to_f64()),
            Self::Bf16 => (bf16::from_f64(value).to_f64(), bf16::MAX.to_f64()),
        };
        match rounded {
            rounded if !rounded.is_finite() => Err(format!("{value:e} is beyond {self}, which ends at {largest:.3e}")),
            0.0 if value != 0.0 => Err(format!("{value:e} is 0 in {self}")),
            _ => Ok(()),
        }
    }

    /// The type that steps are computed in: f32 at least.
    pub(super) fn of_steps(self) -> Self {
        match self {
            Self::F64 => Self::F64,
            _ => Self::F32,
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
        match text.trim().to_lowercase().as_str() {
            "off" => Ok(Self::Off),
            "epoch" => Ok(Self::Epoch),
            steps => match steps.parse() {
                Ok(steps) if steps > 0 => Ok(Self::Steps(steps)),
                _ => Err(format!("`{text}` is not off, epoch or a number of steps of at least 1")),
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

super::as_string!(ModelKind, OptimizerKind, Schedule, NormKind, Log, Dtype, ProbeEvery);
