//! How much training changes the weights of each layer.

use maud::{Markup, html};
use plotly::layout::Axis;
use rectify_train::{
    judge::curve::{Curve, geometric},
    record::Layer,
};

use super::{
    Report, StyledGroup,
    layers::{epoch_axis, over_training},
};
use crate::draw::page::{Section, axis};

fn ratio(layer: &Layer) -> Option<f64> {
    layer.update_to_weight_ratio
}

/// `None` where no update was measured.
pub fn section(report: &Report) -> Option<Section> {
    let figures = |id, x: fn(f64) -> Axis, lines: fn(&StyledGroup, &str) -> Curve| {
        over_training(report, id, "Update to weight", x, "‖Δw‖ / ‖w‖", &report.layers, lines)
    };
    let by_epoch: Markup =
        figures("update-epoch", epoch_axis, |group, layer| group.runs.layer_by_epoch(layer, geometric, ratio));
    let by_step: Markup =
        figures("update-step", |_| axis("step"), |group, layer| group.runs.layer_by_step(layer, geometric, ratio));
    let empty = |figures: &Markup| figures.0.is_empty();
    if empty(&by_epoch) && empty(&by_step) {
        return None;
    }
    Some(Section {
        id: "updates",
        title: "Updates by layer",
        body: html! {
            p class="note" {
                "Norm of a training step's change of a layer's weights over the norm of the weights, on a logarithmic \
                 axis: far below the other layers', a layer hardly learns. Geometric mean over seeds."
            }
            @if !empty(&by_epoch) {
                h3 { "By epoch" }
                p class="note" { "Of each epoch's last step." }
                (by_epoch)
            }
            @if !empty(&by_step) {
                h3 { "By step" }
                p class="note" { "Of each probed step." }
                (by_step)
            }
        },
    })
}
