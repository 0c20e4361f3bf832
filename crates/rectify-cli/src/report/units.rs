//! Zero, dead and saturated, by layer and epoch, and single units.

use std::collections::BTreeMap;

use maud::{Markup, html};
use plotly::{
    HeatMap,
    common::{ColorBar, ColorScale, ColorScalePalette},
    layout::{Axis, AxisType},
};
use rectify_train::{
    judge::{
        curve::{Curve, arithmetic},
        number::{count, percent},
    },
    record::{Layer, Run},
};

use super::{Report, StyledGroup, layers};
use crate::draw::page::{Figure, Frame, Section, Shows, axis, plotly_text};

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

/// Activations beside each other in a heat map, at most.
const MOST_BESIDE: usize = 6;

/// Epochs of an activation in a heat map, at most.
const MOST_COLUMNS: usize = 40;

/// Single units in a page, over activations, layers and epochs: with more, fewer epochs are shown, and none where even one
/// epoch has more.
const MOST_UNITS: usize = 60_000;

/// Dead units of a layer that are named, at most.
const MOST_NAMED: usize = 20;

pub fn section(report: &Report) -> Section {
    let body = if report.hidden.is_empty() {
        layers::none(report)
    } else {
        html! { @for kind in KINDS { (measure(report, kind)) } }
    };
    Section { id: "units", title: "Zero, dead and saturated, by layer and epoch", body }
}

/// An activation's curves of its layers.
type Column<'a> = (&'a str, Vec<Curve>);

fn measure(report: &Report, (id, title, meaning, metric): Kind) -> Markup {
    let (mut columns, mut all_zero, mut missing): (Vec<Column>, _, _) = (Vec::new(), Vec::new(), Vec::new());
    for group in &report.groups {
        let curves: Vec<Curve> = report
            .hidden
            .iter()
            .map(|layer| group.runs.layer_by_epoch(layer, arithmetic, metric).thinned(MOST_COLUMNS))
            .collect();
        let mut points = curves.iter().flat_map(|curve| &curve.points).peekable();
        if points.peek().is_none() {
            missing.push(group.name());
        } else if points.all(|(_, y)| *y == 0.0) {
            all_zero.push(group.name());
        } else {
            columns.push((group.name(), curves));
        }
    }
    let labels: Vec<String> = report.hidden.iter().map(|layer| report.layer(layer)).collect();
    let most = columns.iter().flat_map(|(_, curves)| curves).flat_map(|curve| &curve.points).map(|(_, y)| *y);
    let most = most.fold(0.0, f64::max);
    html! {
        h3 { (title) }
        p class="note" { (meaning) " Mean over seeds." @if !columns.is_empty() { " One scale, from 0 to the greatest, " (percent(most, 1)) " %." } }
        @for (place, some) in columns.chunks(MOST_BESIDE).enumerate() {
            (heat_map(&format!("{id}-{place}"), title, &labels, some, most))
        }
        @for (names, words) in [(all_zero, "0 in every layer and epoch"), (missing, "Not measured")] {
            @if !names.is_empty() { p { (words) ": " (names.join(", ")) "." } }
        }
    }
}

/// Layers from the top down; activations beside each other, each with its epochs from the left. Blank where there is no
/// value.
fn heat_map(id: &str, title: &str, layers: &[String], columns: &[Column], most: f64) -> Markup {
    let mut rows: Vec<Vec<Option<f64>>> = vec![Vec::new(); layers.len()];
    let (mut labels, mut starts, mut words): (Vec<String>, Vec<f64>, Vec<String>) = Default::default();
    for (name, curves) in columns {
        if !labels.is_empty() {
            labels.push(String::new());
            rows.iter_mut().for_each(|row| row.push(None));
        }
        let mut epochs: Vec<f64> = curves.iter().flat_map(|curve| &curve.points).map(|(epoch, _)| *epoch).collect();
        epochs.sort_unstable_by(f64::total_cmp);
        epochs.dedup();
        starts.push(labels.len() as f64 + 0.5 * (epochs.len() as f64 - 1.0));
        labels.extend(epochs.iter().map(|epoch| format!("{}, epoch {epoch}", plotly_text(name))));
        let at = |curve: &Curve, epoch: f64| curve.points.iter().find(|(x, _)| *x == epoch).map(|(_, y)| *y);
        for (row, curve) in rows.iter_mut().zip(curves) {
            row.extend(epochs.iter().map(|epoch| at(curve, *epoch)));
        }
        let last = epochs.last().copied().unwrap_or(0.0);
        let ends = curves.iter().zip(layers).filter_map(|(curve, layer)| {
            let value = at(curve, last)?;
            Some(format!("{layer} {} %", percent(value, 1)))
        });
        words.push(format!("{name} at epoch {last}: {}.", ends.collect::<Vec<_>>().join(", ")));
    }
    let count = labels.len();
    let trace = HeatMap::new((0..count).collect(), layers.iter().map(|name| plotly_text(name)).collect(), rows)
        .zmin(0.0)
        .zmax(most)
        .color_scale(ColorScale::Palette(ColorScalePalette::Cividis))
        .color_bar(ColorBar::new().tick_format(".1~%").thickness(12))
        .text_array(labels)
        .hover_on_gaps(false);
    let names = columns.iter().map(|(name, _)| plotly_text(name)).collect();
    let figure = Figure {
        id,
        title,
        alternative: words.join(" "),
        traces: vec![trace],
        x: axis("epochs, from the left")
            .tick_values(starts)
            .tick_text(names)
            .show_grid(false)
            .range(vec![-0.5, count as f64 - 0.5]),
        y: layer_rows(layers.len()),
        zoom: None,
        height: 120 + 26 * layers.len().max(3),
    };
    figure.html()
}

/// Layers from the top down.
fn layer_rows(count: usize) -> Axis {
    axis("").type_(AxisType::Category).range(vec![count as f64 - 0.5, -0.5]).show_grid(false)
}

/// How often each single unit is on, of each activation's first seed. `None` where no record has it.
pub fn single(report: &Report) -> Option<Section> {
    let with = report.first_runs(|layer| !layer.unit_nonzero_fraction.is_empty());
    let units = |run: &Run| -> usize {
        let epoch = run.epochs.iter().find(|epoch| !epoch.layers.is_empty());
        epoch.map_or(0, |epoch| epoch.layers.iter().map(|layer| layer.units).sum())
    };
    let an_epoch: usize = with.iter().map(|(_, _, run)| units(run)).sum();
    let most = MOST_UNITS / an_epoch.max(1);
    (!with.is_empty()).then(|| Section {
        id: "single-units",
        title: "Single units",
        body: html! {
            p class="note" {
                "On how many of the probe set's samples each unit's activation is not 0, at the slider's epoch; of each \
                 activation's first seed. A unit at 0 % is dead: it gives nothing on any sample and, where the derivative \
                 there is 0, it learns nothing from any."
            }
            @if most >= 2 {
                div class="grid" {
                    @for (place, group, run) in &with {
                        div data-activation=(group.name()) { (unit_map(report, *place, group, run, most)) }
                    }
                }
            } @else {
                p { "There are too many units to draw; " code { "results.json" } " has all." }
            }
            @for (_, group, run) in &with { (dead(report, group, run)) }
        },
    })
}

fn fractions<'a>(run: &'a Run, epoch: usize, layer: &str) -> &'a [f32] {
    let layers = run.epochs.iter().find(|other| other.epoch == epoch).map_or(&[][..], |epoch| &epoch.layers);
    layers.iter().find(|other| other.layer == layer).map_or(&[], |layer| &layer.unit_nonzero_fraction)
}

/// Layers from the top down, units from the left.
fn unit_map(report: &Report, place: usize, group: &StyledGroup, run: &Run, most: usize) -> Markup {
    // Only what is exactly 0 is shown as 0.
    let value = |fraction: &f32| match fraction {
        0.0 => 0.0,
        fraction => (1000.0 * f64::from(*fraction)).round().max(1.0) / 10.0,
    };
    let rows = |epoch: usize| -> Vec<Vec<f64>> {
        report.hidden.iter().map(|layer| fractions(run, epoch, layer).iter().map(value).collect()).collect()
    };
    let epochs = layers::epochs([run], most);
    let last = epochs.last().copied().unwrap_or(0);
    let widest = rows(last).iter().map(Vec::len).max().unwrap_or(0);
    let names = report.hidden.iter().map(|name| plotly_text(&report.layer(name))).collect();
    let trace = HeatMap::new((0..widest).collect(), names, rows(last))
        .zmin(0.0)
        .zmax(100.0)
        .color_scale(ColorScale::Palette(ColorScalePalette::Cividis))
        .color_bar(ColorBar::new().tick_suffix(" %").thickness(12))
        .hover_template("%{y}, unit %{x}: on for %{z} % of samples<extra></extra>");
    let frame = |epoch: &usize| Frame {
        epoch: *epoch,
        shows: Shows::Values(BTreeMap::from([("z", vec![serde_json::json!(rows(*epoch))])])),
    };
    let words = report.hidden.iter().zip(rows(last)).map(|(layer, row)| {
        let dead = row.iter().filter(|value| **value == 0.0).count();
        format!("{} {dead} of {} dead", report.layer(layer), row.len())
    });
    let figure = Figure {
        id: &format!("unit-{place}"),
        title: &format!("Share of samples that turn a unit on: {}", group.name()),
        alternative: format!("At epoch {last}: {}.", words.collect::<Vec<_>>().join(", ")),
        traces: vec![trace],
        x: axis("unit").show_grid(false),
        y: layer_rows(report.hidden.len()),
        zoom: None,
        height: 120 + 26 * report.hidden.len().max(3),
    };
    figure.over_epochs(epochs.iter().map(frame).collect())
}

/// Which units are dead at the end.
fn dead(report: &Report, group: &StyledGroup, run: &Run) -> Markup {
    let Some(outcome) = run.outcome() else { return html! {} };
    let of_layer = |layer: &&str| {
        let all = fractions(run, outcome.epoch, layer);
        let dead: Vec<String> =
            all.iter().enumerate().filter(|(_, on)| **on == 0.0).map(|(unit, _)| unit.to_string()).collect();
        let more = dead.len().saturating_sub(MOST_NAMED);
        let named = dead[..dead.len() - more].join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!dead.is_empty())
            .then(|| format!("{}: {} of {} ({named}{more})", report.layer(layer), dead.len(), count(all.len(), "unit")))
    };
    let layers: Vec<String> = report.hidden.iter().filter_map(of_layer).collect();
    html! { @if !layers.is_empty() { p { "Dead with " (group.name()) ", seed " (run.seed) ", at the end: " (layers.join("; ")) "." } } }
}
