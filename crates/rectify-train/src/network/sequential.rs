//! A network as PyTorch writes it: an `nn.Sequential`, whose parameters are named by the place of their module.

use super::{CHANNELS, KERNEL, Shape};
use crate::{
    activation::Activation,
    experiment::{Experiment, ExperimentError, ModelKind, NormKind},
};

/// A module of an `nn.Sequential`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequentialModule {
    /// How PyTorch makes it, as in `nn.Linear(784, 128)`; of a function that PyTorch has no module for, `Phi()`.
    pub python: String,
    /// What it learns, and what it remembers.
    pub parameters: Vec<SequentialParameter>,
}

/// A tensor of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequentialParameter {
    /// Behind the module's place: `weight` of `0.weight`.
    pub name: &'static str,
    /// Its path in the network here.
    pub path: String,
    /// Whether its two dimensions are the other way around: PyTorch's linear weights are `[out, in]`.
    pub transposed: bool,
}

impl SequentialParameter {
    fn new(name: &'static str, path: String) -> Self {
        Self { name, path, transposed: false }
    }
}

/// The modules of an experiment's network, from the input on: rows of standardised pixels for the MLP, images for the CNN.
///
/// | here | module |
/// |---|---|
/// | a fully connected layer | `Linear`, its norm, its activation, with dropout `Dropout` |
/// | a convolution | `Conv2d`, its norm, its activation, `MaxPool2d` |
/// | between them | `Flatten` |
/// | `--norm batch` | `BatchNorm1d`, `BatchNorm2d`; the layer before it has no bias |
/// | `--norm layer` | `LayerNorm`, for a convolution `GroupNorm` of one group |
///
/// # Errors
///
/// A network with skips: a `Sequential` has none.
pub fn sequential(
    experiment: &Experiment,
    activation: &Activation,
    shape: Shape,
) -> Result<Vec<SequentialModule>, ExperimentError> {
    if experiment.residual {
        let reason = "a network with skips is no nn.Sequential; its weights cannot go to or come from one";
        return Err(ExperimentError { field: "residual", reason: reason.to_owned() });
    }
    let mut modules = Vec::new();
    let normalised = experiment.norm != NormKind::None;
    let bias = if normalised { ", bias=False" } else { "" };
    let mut width = match experiment.model {
        ModelKind::Mlp => shape.channels * shape.height * shape.width,
        ModelKind::Cnn => {
            let mut channels = shape.channels;
            for (i, maps) in CHANNELS.into_iter().enumerate() {
                let python = format!("nn.Conv2d({channels}, {maps}, {KERNEL}, padding={}{bias})", KERNEL / 2);
                modules.push(product(python, &format!("conv.{i}.convolution"), !normalised, false));
                modules.extend(norm(experiment.norm, maps, &format!("conv.{i}"), true));
                modules.push(phi(activation, &format!("conv.{i}")));
                modules.push(SequentialModule { python: "nn.MaxPool2d(2)".to_owned(), parameters: Vec::new() });
                channels = maps;
            }
            modules.push(SequentialModule { python: "nn.Flatten()".to_owned(), parameters: Vec::new() });
            channels * (shape.height / 4) * (shape.width / 4)
        }
    };
    for (i, units) in experiment.hidden().into_iter().enumerate() {
        let python = format!("nn.Linear({width}, {units}{bias})");
        modules.push(product(python, &format!("hidden.{i}.linear"), !normalised, true));
        modules.extend(norm(experiment.norm, units, &format!("hidden.{i}"), false));
        modules.push(phi(activation, &format!("hidden.{i}")));
        if experiment.dropout > 0.0 {
            let python = format!("nn.Dropout({})", experiment.dropout);
            modules.push(SequentialModule { python, parameters: Vec::new() });
        }
        width = units;
    }
    modules.push(product(format!("nn.Linear({width}, {})", shape.classes), "output", true, true));
    Ok(modules)
}

fn product(python: String, path: &str, bias: bool, transposed: bool) -> SequentialModule {
    let mut parameters =
        vec![SequentialParameter { transposed, ..SequentialParameter::new("weight", format!("{path}.weight")) }];
    if bias {
        parameters.push(SequentialParameter::new("bias", format!("{path}.bias")));
    }
    SequentialModule { python, parameters }
}

fn norm(kind: NormKind, units: usize, layer: &str, images: bool) -> Option<SequentialModule> {
    let python = match (kind, images) {
        (NormKind::None, _) => return None,
        (NormKind::Batch, true) => format!("nn.BatchNorm2d({units})"),
        (NormKind::Batch, false) => format!("nn.BatchNorm1d({units})"),
        (NormKind::Layer, true) => format!("nn.GroupNorm(1, {units})"),
        (NormKind::Layer, false) => format!("nn.LayerNorm({units})"),
    };
    let mut parameters = vec![("weight", "scale"), ("bias", "bias")];
    if kind == NormKind::Batch {
        parameters.extend([("running_mean", "running.mean"), ("running_var", "running.variance")]);
    }
    let parameter = |(name, own): (&'static str, &str)| SequentialParameter::new(name, format!("{layer}.norm.{own}"));
    Some(SequentialModule { python, parameters: parameters.into_iter().map(parameter).collect() })
}

fn phi(activation: &Activation, layer: &str) -> SequentialModule {
    let python = activation.torch().map_or("Phi()".to_owned(), |module| format!("nn.{module}"));
    let parameters = match activation.learns() {
        true => vec![SequentialParameter::new("weight", format!("{layer}.activation.prelu.alpha"))],
        false => Vec::new(),
    };
    SequentialModule { python, parameters }
}
