//! Flags of `predict`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rectify_train::backend;

use super::{Output, value};

/// Flags of `predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// PNG or JPEG files of any size, folders of them, or - for one on standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// The folder of a run, of its checkpoint, or of an experiment with one checkpoint [default: the newest of runs/]
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,
    /// Whether to exchange light and dark, so that a picture is as those that were trained on
    #[arg(long, value_enum, default_value = "auto", ignore_case = true)]
    pub invert: Invert,
    /// Write what in a picture speaks for its class, by guided backpropagation: a PNG, or a folder for several pictures
    #[arg(long, value_name = "FILE.png|DIR")]
    pub saliency: Option<PathBuf>,
    /// Write a page that shows one picture on its way through the network: which units fire, which are dead
    #[arg(long, value_name = "FILE.html")]
    pub inside: Option<PathBuf>,
    /// Another backend than it was trained on
    #[arg(long, value_name = "NAME", value_parser = value::word::<String>(backend::NAMES), hide_possible_values = true)]
    pub backend: Option<String>,
    #[command(flatten)]
    pub output: Output,
}

/// Whether to exchange light and dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Invert {
    /// By the picture's border and its mean.
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// What is done to a picture.
pub const PREPARATION: &str = "\
A picture of the network's own size is taken as it is. Of another size it
becomes like those that were trained on: for MNIST the paper is taken off, the
contrast stretched, the digit scaled into 20 of 28 pixels and its centre of
mass put in the middle; for Fashion-MNIST the garment is trimmed and fills the
picture; for pictures of your own all of it is resized. It is inverted if both
the median of its border and its mean are on the other side of the training
pictures'. What is transparent is white.";
