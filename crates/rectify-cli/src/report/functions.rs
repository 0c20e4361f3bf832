//! What is compared: φ and φ′.

use maud::html;

use super::Report;
use crate::draw::{function, page::Section};

/// Beyond these, the usual activations are straight lines.
const ENDS: (f64, f64) = (-4.0, 4.0);

/// `None` where the functions are not ours to draw.
pub fn section(report: &Report) -> Option<Section> {
    let experiment = &report.results.experiment;
    let figures = match experiment.own {
        Some(_) => None,
        None => function::figures(&experiment.activations, ENDS.0..=ENDS.1).ok(),
    }?;
    Some(Section {
        id: "functions",
        title: "φ and φ′",
        body: html! {
            p class="note" {
                "The functions and their derivatives, as computed by the forward and the backward pass. Going back, a \
                 layer's gradient is multiplied by φ′ at its pre-activations: where φ′ is small, so is what arrives below."
            }
            (figures)
        },
    })
}
