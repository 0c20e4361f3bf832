//! Zero, dead and saturated, by layer and epoch.

use maud::{Markup, html};
use plotly::{
    HeatMap,
    common::{ColorBar, ColorScale, ColorScaleElement},
    layout::AxisType,
};
use rectify_train::{
    judge::curve::{Curve, arithmetic},
    judge::number::percent,
    record::Layer,
};

use super::{
    Report,
    layers::{self, epoch_axis},
};
use crate::draw::page::{Figure, Section, axis, plotly_text};

/// A measure: id, title, meaning, metric.
type Kind = (&'static str, &'static str, &'static str, fn(&Layer) -> Option<f64>);

const KINDS: [Kind; 3] = [
    ("zero", "Zero", "Fraction of activations that are exactly 0.", |layer| layer.zero_fraction),
    ("dead", "Dead", "Fraction of units that are exactly 0 on every sample of the probe set.", |layer| {
        layer.dead_fraction
    }),
    (
        "saturated",
        "Saturated",
        "Fraction of activations where the derivative is under 5 % of its maximum. It has no meaning for piecewise \
         linear functions without an upper bound, such as ReLU.",
        |layer| layer.saturated_fraction,
    ),
];

pub fn section(report: &Report) -> Section {
    let body = if report.hidden.is_empty() {
        layers::none(report)
    } else {
        html! { @for kind in KINDS { (measure(report, kind)) } }
    };
    Section { id: "units", title: "Zero, dead and saturated, by layer and epoch", body }
}

fn measure(report: &Report, (id, title, meaning, metric): Kind) -> Markup {
    let (mut panels, mut all_zero, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for (index, group) in report.groups.iter().enumerate() {
        let curves: Vec<Curve> =
            report.hidden.iter().map(|layer| group.runs.layer_by_epoch(layer, arithmetic, metric)).collect();
        let mut points = curves.iter().flat_map(|curve| &curve.points).peekable();
        if points.peek().is_none() {
            missing.push(group.name());
        } else if points.all(|(_, y)| *y == 0.0) {
            all_zero.push(group.name());
        } else {
            let title = format!("{title}: {}", group.name());
            panels.push(heat_map(&format!("{id}-{index}"), &title, &report.hidden, &curves));
        }
    }
    html! {
        h3 { (title) }
        p class="note" { (meaning) " Mean over seeds." }
        @if !panels.is_empty() { div class="grid three" { @for panel in &panels { (panel) } } }
        @for (names, words) in [(all_zero, "0 in every layer and epoch"), (missing, "No figure")] {
            @if !names.is_empty() { p { (words) ": " (names.join(", ")) "." } }
        }
    }
}

/// Layers from the top down, epochs from the left, white at 0 and dark at 1; blank where there is no value.
fn heat_map(id: &str, title: &str, layers: &[&str], curves: &[Curve]) -> Markup {
    let mut epochs: Vec<f64> = curves.iter().flat_map(|curve| &curve.points).map(|(epoch, _)| *epoch).collect();
    epochs.sort_unstable_by(f64::total_cmp);
    epochs.dedup();
    let at = |curve: &Curve, epoch| curve.points.iter().find(|(x, _)| *x == epoch).map(|(_, y)| *y);
    let rows = curves.iter().map(|curve| epochs.iter().map(|epoch| at(curve, *epoch)).collect::<Vec<_>>()).collect();
    let last = epochs.last().copied().unwrap_or(0.0);
    let ends = curves.iter().zip(layers).filter_map(|(curve, layer)| {
        let value = at(curve, last)?;
        Some(format!("{layer} {} %", percent(value, 1)))
    });
    let alternative = format!("At epoch {last}: {}.", ends.collect::<Vec<_>>().join(", "));
    let colours = [(0.0, "#ffffff"), (0.5, "#6baed6"), (1.0, "#08306b")];
    let trace = HeatMap::new(epochs, layers.iter().map(|name| plotly_text(name)).collect(), rows)
        .zmin(0.0)
        .zmax(1.0)
        .zhover_format(".1%")
        .color_scale(ColorScale::Vector(colours.map(|(at, colour)| ColorScaleElement(at, colour.to_owned())).to_vec()))
        .color_bar(ColorBar::new().tick_format(".0%").thickness(12));
    let figure = Figure {
        id,
        title,
        alternative,
        traces: vec![trace],
        x: epoch_axis(last).show_grid(false).mirror(true),
        y: axis("")
            .type_(AxisType::Category)
            .range(vec![layers.len() as f64 - 0.5, -0.5])
            .show_grid(false)
            .mirror(true),
        zoom: None,
        height: 150 + 20 * layers.len().max(3),
    };
    figure.html()
}
