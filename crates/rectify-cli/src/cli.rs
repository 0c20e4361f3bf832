//! The flags, and how they and a config file become one checked [`Experiment`].

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use rectify_train::{
    activation::Activation,
    experiment::{Dtype, Experiment, Init, ModelKind, OptimizerKind, ProbeEvery},
};
use serde::Serialize;

/// An activation laboratory: trains small networks and shows vanishing gradients, saturation, sparsity and dead units.
#[derive(Debug, Parser)]
#[command(name = "rectify", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train ReLU, sigmoid and tanh side by side over several seeds; table, report.html, results.json
    Compare(TrainArgs),
    /// Train one network and keep a checkpoint of it
    Train(TrainArgs),
    /// Test textbook claims about ReLU; table, claims.html, claims.json
    Claims(ClaimsArgs),
    /// Loss and accuracy of a checkpoint
    Eval(EvalArgs),
    /// Draw activations and their derivatives as SVG, PNG or HTML, by the file's ending
    Plot(PlotArgs),
    /// Hold explicit gradients against numeric ones
    Gradcheck(GradcheckArgs),
    /// What this machine can run on
    Backends(Output),
    /// Which data sets are here, checked
    Data(Output),
    /// Print a completion script for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub struct Output {
    /// How to print results on stdout
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// No progress and no notes on stderr
    #[arg(long, short)]
    pub quiet: bool,
}

/// Flags of `compare` and `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    pub experiment: ExperimentFlags,
    /// Read settings from a TOML file; flags given here win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the settings as TOML, ready for --config, and do nothing
    #[arg(long)]
    pub print_config: bool,
    /// Folder for results; a new one under runs/ by default
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

/// The experiment flags. What is not given is left to the config file and then to the defaults.
#[derive(Debug, Default, Args, Serialize)]
#[command(next_help_heading = "Experiment")]
pub struct ExperimentFlags {
    /// mnist, fashion-mnist, or a folder with the four IDX files [default: mnist]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset: Option<String>,
    /// mlp or cnn [default: mlp]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<ModelKind>,
    /// Widths of the hidden layers, or none [default: 128,128,128,128,128; cnn: 120,84]
    #[arg(long, value_name = "N,N,…", value_parser = parse_hidden)]
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<Widths>,
    /// Activations, as in relu,leaky-relu:0.1,relu:heaviside=0.5 [default: relu,sigmoid,tanh; train: relu]
    #[arg(long, visible_alias = "activation", value_name = "NAME,…", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    activations: Option<Vec<Activation>>,
    /// auto, he-normal, he-uniform, xavier-normal, xavier-uniform, lecun-normal, torch-default, orthogonal,
    /// normal:STD or randomized-asymmetric [default: auto]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    init: Option<Init>,
    /// Initial value of every bias [default: 0, or as --init draws]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    bias_init: Option<f64>,
    /// sgd, momentum, adam or adamw [default: sgd]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    optimizer: Option<OptimizerKind>,
    /// Learning rate [default: sgd 0.1, momentum 0.05, adam and adamw 0.001]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    lr: Option<f64>,
    /// Of --optimizer momentum [default: 0.9]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    /// L2 penalty, decoupled with adamw [default: 0]
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_decay: Option<f64>,
    /// Largest L2 norm of the whole gradient
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    clip_norm: Option<f64>,
    /// Samples a step [default: 128]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<usize>,
    /// Passes over the training set; 0 measures the initial network [default: 5]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<usize>,
    /// Training steps, in place of epochs
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<usize>,
    /// End after so many epochs without a better validation accuracy
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    patience: Option<usize>,
    /// How many seeds: 0, 1, 2, … [default: 3; train: 1]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<usize>,
    /// The seeds themselves, in place of --seeds
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', conflicts_with = "seeds")]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<Vec<u64>>,
    /// flex, ndarray, wgpu, wgpu:1, auto, …: see `rectify backends` [default: flex]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<String>,
    /// f32, f64, f16 or bf16 [default: f32]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    dtype: Option<Dtype>,
    /// Training samples to use [default: all but the validation samples]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    train_size: Option<usize>,
    /// Trainings side by side; results do not depend on it [default: one a processor; GPU: 1]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<usize>,
    /// Threads a training: each takes a part of every batch; results depend on it to rounding [default: 1]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<usize>,
    /// When to look at the layers: off, epoch, or every so many steps [default: epoch]
    #[arg(long, value_name = "WHEN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_every: Option<ProbeEvery>,
}

/// `--hidden`; a type of its own because clap takes a `Vec` for a repeated flag.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
struct Widths(Vec<usize>);

fn parse_hidden(text: &str) -> Result<Widths, String> {
    if text == "none" {
        return Ok(Widths(Vec::new()));
    }
    let width = |width: &str| width.trim().parse().map_err(|_| format!("`{width}` is not a number of units"));
    text.split(',').map(width).collect::<Result<_, String>>().map(Widths)
}

/// Flags of `claims`.
#[derive(Debug, Args)]
pub struct ClaimsArgs {
    /// Claims to test, as `--list` names them [default: all]
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Say what each claim says, by what it is judged and why, and do nothing
    #[arg(long)]
    pub list: bool,
    /// See whether everything works, within a minute
    #[arg(long, conflicts_with = "thorough")]
    pub quick: bool,
    /// More seeds, whole training sets, MNIST and Fashion-MNIST
    #[arg(long)]
    pub thorough: bool,
    /// Folder for results; a new one under runs/ by default
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on in a folder: claims that are finished there are not tested again
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "quick", "thorough", "backend"])]
    pub resume: Option<PathBuf>,
    /// flex, ndarray, wgpu, wgpu:1, auto, …: see `rectify backends` [default: flex]
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// Trainings side by side; only times depend on it [default: one a processor; GPU: 1]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub jobs: Option<usize>,
    #[command(flatten)]
    pub output: Output,
}

/// Flags of `eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// A checkpoint's folder, or its training's, as in runs/…/runs/relu-seed0
    pub checkpoint: PathBuf,
    /// Another data set than it was trained on
    #[arg(long)]
    pub dataset: Option<String>,
    /// Another backend than it was trained on
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    #[command(flatten)]
    pub output: Output,
}

/// Flags of `plot`.
#[derive(Debug, Args)]
pub struct PlotArgs {
    /// Activations, as in relu sigmoid leaky-relu:0.1
    #[arg(required = true, value_name = "NAME")]
    pub activations: Vec<Activation>,
    /// From where to where, as in --range=-5..10
    #[arg(long, default_value = "-5..5", value_parser = parse_range, allow_hyphen_values = true)]
    pub range: (f64, f64),
    /// The file, ending in .svg, .png or .html
    #[arg(long, value_name = "FILE", default_value = "activations.svg")]
    pub out: PathBuf,
    /// No note on stderr
    #[arg(long, short)]
    pub quiet: bool,
}

fn parse_range(text: &str) -> Result<(f64, f64), String> {
    let wrong = || format!("`{text}` is not a range such as -5..10");
    let (low, high) = text.split_once("..").ok_or_else(wrong)?;
    let (low, high): (f64, f64) = (low.parse().map_err(|_| wrong())?, high.parse().map_err(|_| wrong())?);
    match low.is_finite() && high.is_finite() && low < high {
        true => Ok((low, high)),
        false => Err(format!("`{text}` must go from a smaller to a larger finite number")),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err(format!("`{text}` is not a positive number, such as 1e-4")),
    }
}

/// Flags of `gradcheck`.
#[derive(Debug, Args)]
pub struct GradcheckArgs {
    /// Activations to check
    #[arg(
        long,
        visible_alias = "activation",
        value_name = "NAME,…",
        value_delimiter = ',',
        default_value = "relu,relu:heaviside=0.5,relu:heaviside=1,relu:leaky=0.01,relu:bsilu,relu:nelu=0.1,relu:guided,relu:deconv"
    )]
    pub activations: Vec<Activation>,
    /// Where to compute
    #[arg(long, value_name = "NAME", default_value = "flex")]
    pub backend: String,
    /// Type to compute in; f64 resolves most
    #[arg(long, default_value = "f32")]
    pub dtype: Dtype,
    /// Step of the differences to begin with, relative to max(1, |x|) [default: by type, 1e-5 in f64, 2e-2 in f32]
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    pub step: Option<f64>,
    /// Absolute and relative tolerance, beside the differences' own error [default: by type, 1e-6 in f64, 3e-4 in f32]
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    pub tolerance: Option<f64>,
    #[command(flatten)]
    pub output: Output,
}

impl TrainArgs {
    /// Flags over config file over the command's defaults, checked.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not TOML, a name that no setting has, a value out of range.
    pub fn resolve(&self, defaults: Experiment) -> anyhow::Result<Experiment> {
        let mut settings = toml::Table::try_from(defaults)?;
        if let Some(path) = &self.config {
            let text = fs::read_to_string(path).with_context(|| format!("--config {}", path.display()))?;
            let file: toml::Table = text.parse().map_err(|error| Usage::config(path, error))?;
            // By itself first, so that an error is about the file and not about what was merged.
            file.clone().try_into::<Experiment>().map_err(|error| Usage::config(path, error))?;
            merge(&mut settings, file);
        }
        // TOML's integers end at 2⁶³ − 1, and that is all that can go wrong here.
        let flags = toml::Table::try_from(&self.experiment)
            .map_err(|error| Usage(format!("a number among the flags is over {}: {error}", i64::MAX)))?;
        merge(&mut settings, flags);
        Ok(settings.try_into::<Experiment>()?.resolve()?)
    }
}

/// A setting given over one that is there. Seeds by number replace a list of them; given both, the list counts.
fn merge(settings: &mut toml::Table, over: toml::Table) {
    if over.contains_key("seeds") {
        settings.remove("seed");
    }
    for (name, value) in over {
        let name = if name == "activation" { "activations".to_owned() } else { name };
        settings.insert(name, value);
    }
}

/// An error of whoever called the program: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

impl Usage {
    fn config(path: &std::path::Path, error: toml::de::Error) -> Self {
        Self(format!("--config {}: {error}", path.display()))
    }
}
