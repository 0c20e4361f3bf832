//! The experiment flags.

use std::path::Path;

use clap::{Arg, Args};
use rectify_train::{
    backend, data,
    experiment::{Dtype, Experiment, Init, Log, ModelKind, NormKind, OptimizerKind, ProbeEvery, Schedule, Shard, Tune},
    store::SavedCheckpoint,
};
use serde::Serialize;
use strum::VariantNames;

use super::{
    sweep::{self, Axis},
    value::{self, Activations, Widths},
};

/// The experiment flags. What is not given is left to the config file and then to the defaults.
#[derive(Debug, Default, Args, Serialize)]
#[command(next_help_heading = "Experiment")]
pub struct ExperimentFlags {
    /// mnist, fashion-mnist, or a folder with four IDX files of bytes, grey or in colour, where several sets lie in a
    /// folder DIR/PREFIX as in DIR/emnist-letters; a folder with a folder of PNG or JPEG files for each class, with or
    /// without train/ and test/ around them; a table in .csv (or .parquet, where the program was built with that feature)
    /// or a folder with train.csv and test.csv. At most 1000 classes [default: mnist]
    #[arg(long, value_name = "SET", value_parser = value::among(&data::names()), hide_possible_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset: Option<String>,
    /// Resize the pictures of a folder to so many pixels a side [default: they have one size]
    #[arg(long, value_name = "N", value_parser = value::whole::<usize>(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    image_size: Option<usize>,
    /// The column of a table that holds the labels: its name, or its place from 1 [default: label, class, target, species
    /// or y, otherwise the last]
    #[arg(long, value_name = "COLUMN", value_parser = value::text())]
    #[serde(skip_serializing_if = "Option::is_none")]
    label_column: Option<String>,
    /// Begin with the weights of a checkpoint (the folder of a run, of its checkpoint, or of an experiment with one), or of
    /// a .safetensors file with the names of PyTorch's nn.Sequential
    #[arg(long, value_name = "CHECKPOINT", value_parser = value::text())]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Kind of network [default: mlp]
    #[arg(long, value_parser = value::word::<ModelKind>(ModelKind::VARIANTS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<ModelKind>,
    /// Widths of the hidden layers, or none [default: 128,128,128,128,128; cnn: 120,84]
    #[arg(long, value_name = "N,N,…", value_parser = value::widths(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<Widths>,
    /// What normalises the pre-activations of hidden layers, in training over the batch or over the layer [default: none]
    #[arg(long, value_parser = value::word::<NormKind>(NormKind::VARIANTS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    norm: Option<NormKind>,
    /// Add the input of each fully connected hidden layer to its output, where it is as wide
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    residual: bool,
    /// Fraction of the outputs of each fully connected hidden layer that a training step sets to 0 [default: 0]
    #[arg(long, value_name = "P", value_parser = value::number(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    dropout: Option<f64>,
    /// Names or formulas, as in relu,leaky-relu:0.1,'x*sigmoid(b*x); b=2', or all of them: all [default:
    /// relu,sigmoid,tanh]
    #[arg(
        long,
        visible_alias = "activation",
        value_name = "NAME,…",
        value_parser = value::activations(),
        hide_possible_values = true
    )]
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "Activations::serialize_all")]
    activations: Vec<Activations>,
    /// Initial weights [default: auto]
    #[arg(long, value_parser = value::word::<Init>(&Init::names()))]
    #[serde(skip_serializing_if = "Option::is_none")]
    init: Option<Init>,
    /// Initial value of every bias, also where --init draws them [default: 0, or as --init draws]
    #[arg(long, value_name = "F", value_parser = value::number(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    bias_init: Option<f64>,
    /// What turns gradients into steps [default: sgd]
    #[arg(long, value_parser = value::word::<OptimizerKind>(OptimizerKind::VARIANTS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    optimizer: Option<OptimizerKind>,
    /// Learning rate [default: sgd 0.1, momentum 0.05, adam and adamw 0.001]
    #[arg(long, value_name = "F", value_parser = value::number(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    lr: Option<f64>,
    /// How the learning rate goes: as it is, down to 0 along half a cosine, or to a tenth at half of the steps and to a
    /// hundredth at three quarters [default: constant]
    #[arg(long, value_parser = value::word::<Schedule>(Schedule::VARIANTS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
    /// Train each activation at its own best value of lr, of weight-decay, or of both between commas, by validation
    /// accuracy on two seeds that are not reported; as in lr, lr=0.01..1, lr,weight-decay=1e-5..1e-2
    #[arg(long, value_name = "WHAT", value_parser = value::word::<Tune>(&["lr", "weight-decay"]), hide_possible_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tune: Option<Tune>,
    /// Of --optimizer momentum [default: 0.9]
    #[arg(long, value_name = "F", value_parser = value::number(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    /// L2 penalty, decoupled with adamw [default: 0]
    #[arg(long, value_name = "F", value_parser = value::number(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_decay: Option<f64>,
    /// Largest L2 norm of the whole gradient
    #[arg(long, value_name = "F", value_parser = value::number(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    clip_norm: Option<f64>,
    /// Samples a step [default: 128]
    #[arg(long, value_name = "N", value_parser = value::whole::<usize>(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<usize>,
    /// Passes over the training set; 0 measures the initial network [default: 5]
    #[arg(long, value_name = "N", value_parser = value::whole::<usize>(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<usize>,
    /// Training steps, in place of epochs
    #[arg(long, value_name = "N", value_parser = value::whole::<usize>(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<usize>,
    /// End after so many epochs without a better validation accuracy
    #[arg(long, value_name = "N", value_parser = value::whole::<usize>(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    patience: Option<usize>,
    /// With --patience: save and report the last network, and not the best by validation accuracy
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    keep_last: bool,
    /// How many seeds: 0, 1, 2, … [default: 3]
    #[arg(long, value_name = "N", value_parser = value::whole::<usize>(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    seeds: Option<usize>,
    /// The seeds themselves, in place of --seeds
    #[arg(
        long,
        value_name = "A,B,…",
        value_delimiter = ',',
        value_parser = value::whole::<u64>(),
        allow_negative_numbers = true,
        conflicts_with = "seeds"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<Vec<u64>>,
    /// Do every Nth of the trainings, from the Ith of 0 to N-1 on; `rectify report` joins the folders [default: all]
    #[arg(long, value_name = "I/N", value_parser = value::word::<Shard>(&[]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<Shard>,
    /// flex, ndarray, wgpu, wgpu:1, auto, …: see `rectify backends` [default: flex]
    #[arg(
        long,
        value_name = "NAME",
        value_parser = value::word::<String>(backend::NAMES),
        hide_possible_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<String>,
    /// Type of weights and activations [default: f32]
    #[arg(long, value_parser = value::word::<Dtype>(Dtype::VARIANTS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    dtype: Option<Dtype>,
    /// Write each run's metrics as an event file of TensorBoard too, into the run's folder
    #[arg(long, value_parser = value::word::<Log>(Log::VARIANTS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Log>,
    /// Training samples to use [default: all but the validation samples]
    #[arg(long, value_name = "N", value_parser = value::whole::<usize>(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    train_size: Option<usize>,
    /// Trainings side by side; results do not depend on it [default: one a core; GPU: 1]
    #[arg(long, value_name = "N", value_parser = value::whole::<usize>(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<usize>,
    /// Threads a training: each takes a part of every batch; results depend on it to rounding [default: 1]
    #[arg(long, value_name = "N", value_parser = value::whole::<usize>(), allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<usize>,
    /// Take the steps of trainings that differ in seeds, rates or initial weights together, as one batched program: for
    /// small fully connected networks on a GPU; results depend on it to rounding
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    vectorise: bool,
    /// When to look at the layers: off, epoch, or every so many steps [default: epoch]
    #[arg(
        long,
        value_name = "WHEN",
        value_parser = value::word::<ProbeEvery>(&["off", "epoch"]),
        allow_negative_numbers = true,
        hide_possible_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_every: Option<ProbeEvery>,
    /// Train with every combination of some values of some settings: given once for each setting, as in lr=0.01,0.03,0.1
    /// and hidden=64,64:128,128, where values that have commas themselves stand between colons
    #[arg(long, value_name = "SETTING=A,B,…", value_parser = sweep::axis())]
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "sweep::serialize_all")]
    sweep: Vec<Axis>,
}

/// What `train` says of a flag, where it is not what `compare` does. Those that ask for several trainings are not offered;
/// where they are given all the same, what refuses them names `compare`.
pub fn of_one_training(flag: Arg) -> Arg {
    match flag.get_id().as_str() {
        // `None` takes back the aliases that there are.
        "activations" => flag
            .visible_alias(None::<&str>)
            .long("activation")
            .visible_alias("activations")
            .value_name("NAME")
            .help("A name or a formula, as in relu, leaky-relu:0.1 or 'x*sigmoid(b*x); b=2' [default: relu]"),
        "from" => flag.help(
            "Begin with the weights of a checkpoint (the folder of a run, of its checkpoint, or of an experiment with one), \
             whose settings are taken where no others are given; or of a .safetensors file with the names of PyTorch's \
             nn.Sequential",
        ),
        "tune" => flag.help(
            "Train at the best value of lr, of weight-decay, or of both between commas, by validation accuracy on two seeds \
             that are not reported; as in lr, lr=0.01..1, lr,weight-decay=1e-5..1e-2",
        ),
        "seed" => flag.value_name("N").help("The seed [default: 0]"),
        "jobs" => flag.help("With --tune: trainings side by side; results do not depend on it [default: one a core; GPU: 1]"),
        "resume" => flag.help("Go on in a folder with its settings; with more --epochs, that much longer"),
        "seeds" | "shard" | "sweep" | "vectorise" => flag.hide(true),
        _ => flag,
    }
}

/// The settings that a training goes on with from a checkpoint, unless it is given others: those of the checkpoint, but for
/// how long it trains and what else is of one process. With `other_data`, without those that are of its data.
///
/// Empty for a file of weights, which has no settings.
pub fn of_checkpoint(from: &str, other_data: bool) -> anyhow::Result<toml::Table> {
    let path = Path::new(from);
    if path.is_file() || path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors")) {
        return Ok(toml::Table::new());
    }
    let checkpoint = SavedCheckpoint::open(path)?.checkpoint;
    let settings = Experiment { activations: vec![checkpoint.activation], ..checkpoint.experiment };
    let mut settings = toml::Table::try_from(settings)?;
    let of_process =
        ["from", "epochs", "steps", "seeds", "seed", "shard", "tune", "sweep", "jobs", "threads", "vectorise"];
    let of_data = ["dataset", "image_size", "label_column", "train_size"];
    let left = of_process.iter().chain(if other_data { &of_data[..] } else { &[] });
    left.for_each(|setting| {
        settings.remove(*setting);
    });
    Ok(settings)
}
