//! The flags, and how they and a config file become one checked [`Experiment`].

mod claims;
mod config;
mod diagnose;
mod examples;
mod experiment;
mod export;
mod plot;
mod predict;
mod sweep;
mod value;

use std::{net::SocketAddr, num::NonZero, path::PathBuf, thread};

use clap::{Args, Parser, Subcommand, ValueEnum};
use rectify_train::{
    backend, data,
    experiment::{Dtype, Experiment, ExperimentError},
};
use strum::VariantNames;

use crate::note;

pub use claims::ClaimsArgs;
pub use config::commented;
use config::{KEY_HINTS, merge, read_config};
pub use diagnose::DiagnoseArgs;
use experiment::ExperimentFlags;
pub use export::ExportArgs;
pub use plot::PlotArgs;
pub use predict::{Invert, PredictArgs};
pub use value::Activations;

/// An activation laboratory: trains small networks and shows what goes on in them
#[derive(Debug, Parser)]
#[command(
    name = "rectify",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 80,
    help_template = "{about}\n{usage-heading} {usage}\n\nCommands:\n{subcommands}{after-help}",
    after_help = "`rectify COMMAND --help` begins with examples. `rectify -V` is the version.\n\
                  Exit codes: 0 done, 1 failed, 2 not begun, 130 stopped by Ctrl-C."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0     done; a training that diverges is a result, even if all do
  1     failed: a damaged file, a full disk, a driver
  2     not begun: a flag, a name, a number or a config file that is wrong, a
        file or folder that is not there or is taken, a backend or a dtype that
        this machine does not have
  128+  stopped by a signal, such as 130 after Ctrl-C; what was measured until
        then is kept";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train activations side by side over seeds: table, page, JSON
    #[command(before_help = examples::COMPARE, after_help = EXIT_CODES)]
    Compare(TrainArgs),
    /// Train one network and keep a checkpoint of it
    #[command(before_help = examples::TRAIN, after_help = EXIT_CODES, mut_args = experiment::of_one_training)]
    Train(TrainArgs),
    /// What a trained network takes a picture for, and why
    #[command(before_help = examples::PREDICT, after_help = predict::PREPARATION)]
    Predict(PredictArgs),
    /// Test textbook claims about ReLU: verdicts, page, JSON
    #[command(before_help = examples::CLAIMS)]
    Claims(ClaimsArgs),
    /// Loss, accuracy and what is confused with what, of a checkpoint
    #[command(before_help = examples::EVAL)]
    Eval(EvalArgs),
    /// What is wrong with runs, in which layers, why, and what helps
    #[command(before_help = examples::DIAGNOSE)]
    Diagnose(DiagnoseArgs),
    /// Results and page of folders of runs again, without training
    #[command(before_help = examples::REPORT)]
    Report(ReportArgs),
    /// Metrics as CSV or Parquet, weights as safetensors for PyTorch
    #[command(before_help = examples::EXPORT, after_help = export::SEQUENTIAL)]
    Export(ExportArgs),
    /// Draw activations and their derivatives, here or into a file
    #[command(before_help = examples::PLOT)]
    Plot(PlotArgs),
    /// Hold explicit gradients against numeric ones
    #[command(before_help = examples::GRADCHECK, mut_arg("quiet", never_talks))]
    Gradcheck(GradcheckArgs),
    /// Serve a device to other machines' --backend remote:HOST:PORT
    #[command(before_help = examples::SERVE, after_help = SERVE, hide = cfg!(not(feature = "remote")))]
    Serve(ServeArgs),
    /// What this machine can run on
    #[command(before_help = examples::BACKENDS, mut_arg("quiet", never_talks))]
    Backends(Output),
    /// Which data sets are here; some of their pictures as files
    #[command(before_help = examples::DATA)]
    Data(DataArgs),
    /// Print a completion script for a shell
    #[command(before_help = examples::COMPLETIONS)]
    Completions {
        /// The shell.
        #[arg(ignore_case = true)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page of a command, or write all of them
    #[command(before_help = examples::MAN)]
    Man {
        /// The command [default: of the program]
        #[arg(conflicts_with = "out")]
        command: Option<String>,
        /// Write the page of the program and of each command into a folder
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// Of a command that has neither progress nor notes: scripts may say `--quiet` to all, and help need not offer it.
fn never_talks(quiet: clap::Arg) -> clap::Arg {
    quiet.hide(true)
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
    #[arg(long, value_name = "SET", value_parser = value::among(&data::names()), hide_possible_values = true)]
    pub dataset: Option<String>,
    /// The column of a table that holds the labels [default: as it was trained]
    #[arg(long, value_name = "COLUMN", value_parser = value::text())]
    pub label_column: Option<String>,
    /// Another backend than it was trained on
    #[arg(long, value_name = "NAME", value_parser = value::word::<String>(backend::NAMES), hide_possible_values = true)]
    pub backend: Option<String>,
    /// Write the test pictures that it is most wrong about, the worst first, to a PNG file
    #[arg(long, value_name = "FILE")]
    pub contact_sheet: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

/// Flags of `serve`.
#[derive(Debug, Args)]
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
it; it listens on a UDP port of every address, as in --listen 0.0.0.0:3000, and uses no relay and no directory: beside \
its clients it sends one UPnP search for routers into the local network. An SSH tunnel does as well: ssh -L 3000:127.0.0.1:3000 gpu-box.

Logs go to stdout; RUST_LOG=warn has less of them. Needs a program that was built with --features remote.";

/// Flags of `data`.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Only this one: a name, or a folder as --dataset takes it [default: all that have names]
    #[arg(value_parser = value::among(&data::names()), hide_possible_values = true)]
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
    /// Write so many test pictures as PNG files into --out, for `rectify predict`
    #[arg(long, value_name = "N", value_parser = value::count(), allow_negative_numbers = true, requires_all = ["set", "out"])]
    pub samples: Option<usize>,
    /// With --samples: the folder, which is made where it is not there
    #[arg(long, value_name = "DIR", requires = "samples")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
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
    /// Activations to check: names or formulas [default: relu with each of its rules]
    #[arg(
        long,
        visible_alias = "activation",
        value_name = "NAME,…",
        value_parser = value::activations(),
        hide_possible_values = true,
        hide_default_value = true,
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
    /// A value out of range, a flag without effect, several trainings where there can be but one.
    pub fn over(&self, there: Experiment, trainings: Trainings) -> anyhow::Result<Experiment> {
        let (mut settings, flags) = (toml::Table::try_from(there)?, self.flags()?);
        merge(&mut settings, flags.clone());
        let experiment = settings.try_into::<Experiment>()?;
        if let Some(idle) = without_effect(&experiment).into_iter().find(|idle| flags.contains_key(idle.field)) {
            return Err(idle.into());
        }
        if trainings == Trainings::One {
            one_training(&experiment)?;
        }
        Ok(experiment)
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
        for idle in without_effect(&experiment) {
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

/// Settings without effect. What has none at one point of a sweep may have one at another.
fn without_effect(experiment: &Experiment) -> Vec<ExperimentError> {
    if experiment.sweep.is_none() { experiment.without_effect() } else { Vec::new() }
}

/// Whether an experiment is one training.
fn one_training(experiment: &Experiment) -> Result<(), ExperimentError> {
    let several = |field, what, count| {
        let reason = format!("`train` trains one network, got {count} {what}; `rectify compare` trains several");
        Err(ExperimentError { field, reason })
    };
    if experiment.shard.is_some() {
        let reason =
            "`train` trains one network, which has no parts; `rectify compare` deals its trainings out".to_owned();
        return Err(ExperimentError { field: "shard", reason });
    }
    if experiment.vectorise {
        let reason = "`train` trains one network, which steps by itself; `rectify compare` trains several".to_owned();
        return Err(ExperimentError { field: "vectorise", reason });
    }
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

/// An error of whoever called the program: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
