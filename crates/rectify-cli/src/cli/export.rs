//! Flags of `export`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `export`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").args(["metrics", "weights"]).required(true).multiple(true)))]
pub struct ExportArgs {
    /// The folder of an experiment or of a run; for --weights one with one checkpoint
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Write what was measured as one table: a file in .csv, or in .parquet where the program was built with that feature
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Write the network's weights, by the names and layouts of PyTorch's nn.Sequential, and print that
    #[arg(long, value_name = "FILE.safetensors")]
    pub weights: Option<PathBuf>,
    /// No notes on stderr
    #[arg(long, short)]
    pub quiet: bool,
}

/// How a network becomes an `nn.Sequential`.
pub const SEQUENTIAL: &str = "\
The table has a column `kind`: a row is an `epoch` (losses and accuracies), a `layer` at an epoch or a probed step, or
a `step` (its batch's loss).

The nn.Sequential has, from the input on:
  MLP  Linear, activation for each hidden layer, then Linear; it takes rows of standardised numbers
  CNN  Conv2d(…, 5, padding=2), activation, MaxPool2d(2), twice; Flatten; then as the MLP; it takes images
  with --norm batch a BatchNorm1d or BatchNorm2d before each activation, with --norm layer a LayerNorm or, behind a
  convolution, a GroupNorm(1, …), and the layer before it has no bias; with --dropout a Dropout behind each activation
  of the fully connected layers. Networks with --residual are refused. Phi() stands for a function that PyTorch has
  no module for: a formula. Every module counts: 0.weight, 0.bias, 2.weight, …";
