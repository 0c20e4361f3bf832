//! The flags, and how they and a config file become one checked [`Experiment`].

mod claims;
mod diagnose;
mod experiment;
mod export;
mod sweep;
mod value;

use std::{
    fs,
    net::SocketAddr,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use rectify_train::{
    backend, data,
    experiment::{Dtype, Experiment, ExperimentError},
    words::Vocabulary,
};
use strum::VariantNames;

use crate::note;

pub use claims::ClaimsArgs;
pub use diagnose::DiagnoseArgs;
use experiment::ExperimentFlags;
pub use export::ExportArgs;
pub use value::Activations;

/// An activation laboratory: trains small networks and shows vanishing gradients, saturation, sparsity and dead units.
#[derive(Debug, Parser)]
#[command(name = "rectify", version, propagate_version = true, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done; a training that diverges is a result, even if all do
  1    failed: a damaged file, a full disk, a driver; of gradcheck, a gradient that is wrong
  2    not begun: a flag, a name, a number or a config file that is wrong, a file or folder that is not there or is
       taken, a backend or a dtype that this machine does not have
  128+ stopped by a signal, such as 130 after Ctrl-C; what was measured until then is kept";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train ReLU, sigmoid and tanh side by side over several seeds; table, report.html, results.json
    #[command(after_help = EXIT_CODES)]
    Compare(TrainArgs),
    /// Train one network and keep a checkpoint of it
    #[command(after_help = EXIT_CODES)]
    Train(TrainArgs),
    /// Test textbook claims about ReLU; table, claims.html, claims.json
    Claims(ClaimsArgs),
    /// Loss and accuracy of a checkpoint; as JSON by class too, with the confusion matrix
    Eval(EvalArgs),
    /// What is wrong with the runs of a folder, which layers, why, and what to change
    Diagnose(DiagnoseArgs),
    /// Results and report of one or many folders of runs, again and without training
    Report(ReportArgs),
    /// Metrics as CSV or Parquet, weights as safetensors for PyTorch
    #[command(after_help = export::SEQUENTIAL)]
    Export(ExportArgs),
    /// Draw activations and their derivatives as SVG, PNG or HTML, by the file's ending
    Plot(PlotArgs),
    /// Hold explicit gradients against numeric ones
    Gradcheck(GradcheckArgs),
    /// Serve a device of this machine, for `--backend remote:HOST:PORT` elsewhere
    Serve(ServeArgs),
    /// What this machine can run on
    Backends(Output),
    /// Which data sets are here, checked
    Data(DataArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell.
        #[arg(ignore_case = true)]
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
    #[arg(long, value_enum, default_value = "text", ignore_case = true)]
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
    /// Go on in a folder with its settings; more --seeds, --epochs and --activations are added to what is there
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "config"])]
    pub resume: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

/// Flags of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders of one experiment or of its shards, as in runs/2026-01-31-compare-mnist; of one sweep; of claims; or of
    /// experiments on several data sets, whose activations are ranked over them
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    /// Folder for results.json and report.html [default: the folder itself, if it is one]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

/// Flags of `eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The folder of a run, of its checkpoint, or of an experiment with one checkpoint
    pub checkpoint: PathBuf,
    /// Another data set than it was trained on
    #[arg(long, value_name = "SET", value_parser = value::text())]
    pub dataset: Option<String>,
    /// The column of a table that holds the labels [default: as it was trained]
    #[arg(long, value_name = "COLUMN", value_parser = value::text())]
    pub label_column: Option<String>,
    /// Another backend than it was trained on
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    #[command(flatten)]
    pub output: Output,
}

/// Flags of `serve`.
#[derive(Debug, Args)]
#[command(after_help = SERVE)]
pub struct ServeArgs {
    /// What to serve: flex, ndarray, wgpu, wgpu:1, auto, …
    #[arg(long, value_name = "NAME", default_value = "flex", value_parser = value::word::<String>(backend::NAMES), hide_possible_values = true)]
    pub backend: String,
    /// Where clients connect; with port 0 a free one is taken and told
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
    /// Encrypt, over Iroh (QUIC), as the server whose secret key is in this file; it is made where there is none
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

const SERVE: &str = "\
It tells the name by which clients use it, --backend remote:HOST:PORT. For any address but this machine's own, \
127.0.0.1, a token is needed: RECTIFY_TOKEN in the environment of the server and of every client.

Without --key the connection is a WebSocket and not encrypted: whoever can read the traffic reads the token and the data. \
With --key it is encrypted, and clients name the server, --backend remote:SERVER@HOST:PORT, so that no other can pose as \
it; it listens on a UDP port of every address, as in --listen 0.0.0.0:3000, and contacts nobody. An SSH tunnel does as \
well: ssh -L 3000:127.0.0.1:3000 gpu-box.

Logs go to stdout; RUST_LOG=warn has less of them. Needs a program that was built with --features remote.";

/// Flags of `data`.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Only this one: a name, or a folder as --dataset takes it [default: all that have names]
    #[arg(value_parser = value::text())]
    pub set: Option<String>,
    /// Resize the pictures of a folder to so many pixels a side
    #[arg(long, value_name = "N", value_parser = value::count(), allow_negative_numbers = true, requires = "set")]
    pub image_size: Option<usize>,
    /// The column of a table that holds the labels [default: label, class, target, species or y, otherwise the last]
    #[arg(long, value_name = "COLUMN", value_parser = value::text(), requires = "set")]
    pub label_column: Option<String>,
    /// Write some pictures of each class, as they are read, to a PNG file
    #[arg(long, value_name = "FILE", requires = "set")]
    pub contact_sheet: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

/// Flags of `plot`.
#[derive(Debug, Args)]
pub struct PlotArgs {
    /// Names or formulas, as in relu leaky-relu:0.1 'bent = (sqrt(x^2+1)-1)/2 + x'
    #[arg(required = true, value_name = "NAME", value_parser = value::activations(), hide_possible_values = true)]
    pub activations: Vec<Activations>,
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
    /// Activations to check: names or formulas
    #[arg(
        long,
        visible_alias = "activation",
        value_name = "NAME,…",
        value_parser = value::activations(),
        hide_possible_values = true,
        default_value = "relu,relu:heaviside=0.5,relu:heaviside=1,relu:leaky=0.01,relu:bsilu,relu:nelu=0.1,relu:guided,relu:deconv"
    )]
    pub activations: Vec<Activations>,
    /// Where to compute
    #[arg(
        long,
        value_name = "NAME",
        default_value = "flex",
        value_parser = value::word::<String>(backend::NAMES),
        hide_possible_values = true
    )]
    pub backend: String,
    /// Type to compute in; f64 resolves most
    #[arg(long, default_value = "f32", value_parser = value::word::<Dtype>(Dtype::VARIANTS))]
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

/// What one training of `train` and the grid of `compare` differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trainings {
    /// One activation, one seed.
    One,
    /// Every activation with every seed.
    Grid,
}

impl TrainArgs {
    /// Flags over the settings of an experiment that is there.
    ///
    /// # Errors
    ///
    /// A value out of range.
    pub fn over(&self, there: Experiment) -> anyhow::Result<Experiment> {
        let mut settings = toml::Table::try_from(there)?;
        merge(&mut settings, self.flags()?);
        Ok(settings.try_into::<Experiment>()?)
    }

    fn flags(&self) -> anyhow::Result<toml::Table> {
        // TOML's integers end at 2⁶³ − 1, and that is all that can go wrong here.
        let flags = toml::Table::try_from(&self.experiment)
            .map_err(|error| Usage(format!("a number among the flags is over {}: {error}", i64::MAX)))?;
        Ok(flags)
    }

    /// Flags over config file over the command's defaults, checked. Tells on stderr what has no effect or less than
    /// was asked for.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not TOML, a name that no setting has, a value out of range, a flag without
    /// effect, several trainings where there can be but one.
    pub fn resolve(&self, defaults: Experiment, trainings: Trainings) -> anyhow::Result<Experiment> {
        let mut settings = toml::Table::try_from(defaults)?;
        let flags = toml::Table::try_from(&self.experiment)?;
        let mut given = match &self.config {
            Some(path) => read_config(path)?,
            None => toml::Table::new(),
        };
        merge(&mut given, flags.clone());
        if let Some(toml::Value::String(from)) = given.get("from")
            && trainings == Trainings::One
        {
            merge(&mut settings, experiment::of_checkpoint(from, given.contains_key("dataset"))?);
        }
        merge(&mut settings, given);
        let mut experiment = settings.try_into::<Experiment>()?;
        experiment.check()?;
        if trainings == Trainings::One {
            one_training(&experiment)?;
        }
        // What has no effect at one point of a sweep may have one at another.
        let idle = if experiment.sweep.is_none() { experiment.without_effect() } else { Vec::new() };
        for idle in idle {
            if flags.contains_key(idle.field) {
                return Err(idle.into());
            }
            self.output.note(&idle.to_string());
        }
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        if experiment.threads > cores {
            let asked = experiment.threads;
            self.output.note(&format!("threads: {asked} are more than this machine's cores; {cores} are used"));
            experiment.threads = cores;
        }
        experiment.dataset = data::canonical(experiment.dataset);
        experiment.backend = backend::canonical(experiment.backend);
        Ok(experiment.resolve()?)
    }
}

/// Whether an experiment is one training.
fn one_training(experiment: &Experiment) -> Result<(), ExperimentError> {
    let several = |field, what, count| {
        let reason = format!("`train` trains one network, got {count} {what}; `rectify compare` trains several");
        Err(ExperimentError { field, reason })
    };
    if let Some(sweep) = &experiment.sweep {
        return several("sweep", "points", sweep.len());
    }
    match (experiment.activations.len(), experiment.seeds().len()) {
        (1, 1) => Ok(()),
        (1, seeds) => several(if experiment.seed.is_some() { "seed" } else { "seeds" }, "seeds", seeds),
        (activations, _) => several("activations", "activations", activations),
    }
}

impl Output {
    /// Tells something on stderr, unless it is to be quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            note(format_args!("note: {text}"));
        }
    }
}

/// The settings of a config file.
fn read_config(path: &Path) -> Result<toml::Table, Usage> {
    let wrong = |reason: String| Usage(format!("--config {}: {reason}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let keys = keys();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let vocabulary = Vocabulary { kind: "setting", names: &keys, aliases: &[], hints: KEY_HINTS };
    if let Some(unknown) = table.keys().find(|key| !keys.contains(&key.as_str())) {
        return Err(wrong(vocabulary.unknown(unknown)));
    }
    // By itself, so that an error is about the file, with the line, and not about what is merged.
    toml::from_str::<Experiment>(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(table)
}

/// The keys of a config file: the experiment's flags with underscores.
fn keys() -> Vec<String> {
    let flags = ExperimentFlags::augment_args(clap::Command::new("rectify"));
    let keys = flags.get_arguments().map(|arg| arg.get_id().to_string());
    keys.chain(["activation".to_owned()]).collect()
}

/// What others call settings.
const KEY_HINTS: &[(&str, &[&str])] = &[
    ("learning_rate", &["lr"]),
    ("layers", &["hidden"]),
    ("widths", &["hidden"]),
    ("units", &["hidden"]),
    ("batch", &["batch_size"]),
    ("device", &["backend"]),
    ("precision", &["dtype"]),
    ("samples", &["train_size"]),
    ("gradient_clipping", &["clip_norm"]),
    ("l2", &["weight_decay"]),
    ("lr_schedule", &["schedule"]),
    ("batch_norm", &["norm"]),
    ("layer_norm", &["norm"]),
    ("normalization", &["norm"]),
    ("skip", &["residual"]),
];

/// A setting given over one that is there. Seeds by number replace a list of them, and epochs steps, and the other way
/// around; given both, the list and the steps count.
fn merge(settings: &mut toml::Table, over: toml::Table) {
    for [one, other] in [["seeds", "seed"], ["epochs", "steps"], ["steps", "epochs"]] {
        if over.contains_key(one) {
            settings.remove(other);
        }
    }
    for (name, value) in over {
        // A setting's values take the place of those that it had; the other settings stay swept.
        if let ("sweep", toml::Value::Table(axes), Some(toml::Value::Table(there))) =
            (name.as_str(), &value, settings.get_mut("sweep"))
        {
            there.extend(axes.clone());
            continue;
        }
        let name = if name == "activation" { "activations".to_owned() } else { name };
        settings.insert(name, value);
    }
}

/// An error of whoever called the program: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
