//! Flags of `plot`.

use std::path::PathBuf;

use clap::Args;

use super::value::{self, Activations};

/// Flags of `plot`.
#[derive(Debug, Args)]
pub struct PlotArgs {
    /// Names or formulas, as in relu leaky-relu:0.1 'bent = (sqrt(x^2+1)-1)/2 + x'
    #[arg(required = true, value_name = "NAME", value_parser = value::activations(), hide_possible_values = true)]
    pub activations: Vec<Activations>,
    /// From where to where, as in --range=-5..10
    #[arg(long, default_value = "-5..5", value_parser = parse_range, allow_hyphen_values = true)]
    pub range: (f64, f64),
    /// Draw into a file, ending in .svg, .png or .html [default: on the terminal]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
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
