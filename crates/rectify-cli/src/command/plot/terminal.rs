//! What `rectify plot` prints.

use std::process::ExitCode;

use rectify_train::activation::Activation;

use super::{
    Curve,
    braille::{Panel, beside, panel},
};
use crate::{
    draw::style::Style,
    note, print,
    report::terminal::{paragraph, width},
};

/// φ and φ′ of each activation over `range` for a terminal, beside each other where there is room.
///
/// # Errors
///
/// As [`plot`], but for the file.
pub fn text(activations: &[Activation], (low, high): (f64, f64), width: usize) -> anyhow::Result<String> {
    let mut text = String::new();
    for activation in activations {
        let Curve { name, function, derivative, at_zero, .. } = Curve::of(activation, Style::of(0), low, high)?;
        let function = Panel { title: format!("φ, {name}"), pieces: &function, at_zero: None };
        let derivative = Panel { title: "φ′".to_owned(), pieces: &derivative, at_zero };
        text += &match width / 2 {
            half @ 25.. => {
                let half = half.min(LARGEST_PANEL);
                let [left, right] = [function, derivative].map(|of| panel(&of, (low, high), half - 1));
                beside(&left, &right, half)
            }
            _ => [function, derivative].map(|of| panel(&of, (low, high), width).join("\n") + "\n").concat(),
        };
        text += "\n";
    }
    Ok(text)
}

/// Columns of a panel, at most.
const LARGEST_PANEL: usize = 60;

/// Prints each formula's derivative, and on stderr what may not be expected of it.
pub fn derivatives(activations: &[Activation], quiet: bool) -> anyhow::Result<ExitCode> {
    let mut lines = String::new();
    for (activation, formula) in activations.iter().filter_map(|activation| Some((activation, activation.formula()?))) {
        let label = activation.label();
        lines += &(paragraph(&format!("{label}: φ′ = {}", formula.derivative()), width()) + "\n");
        if !quiet {
            formula.notes().iter().for_each(|text| note(format_args!("note: {label}: {text}")));
        }
    }
    print(lines)
}
