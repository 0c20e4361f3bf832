//! What figures by layer share.

use maud::{Markup, html};
use plotly::{
    common::ExponentFormat,
    layout::{Axis, AxisType},
};
use rectify_train::judge::{
    curve::{Curve, Moment},
    number::number,
};

use super::{Report, StyledGroup};
use crate::draw::{
    curve,
    page::{Figure, axis, plotly_text, swatch},
    style::Style,
};

/// Points of a line over steps: as many as a panel has pixels.
const MOST_POINTS: usize = 500;

/// What stands in place of figures of layers where there are none.
pub fn none(report: &Report) -> Markup {
    html! {
        p class="note" {
            @if report.layers.is_empty() {
                "Layers were not watched in these runs (" code { "--probe-every off" } ")."
            } @else {
                "The network has no hidden layer."
            }
        }
    }
}

/// Before training and after it, or only before where nothing was trained.
pub fn moments(report: &Report) -> Vec<Moment> {
    let trained = report.runs().iter().any(|run| run.epochs.len() > 1);
    if trained { vec![Moment::Start, Moment::Outcome] } else { vec![Moment::Start] }
}

pub fn words(moment: Moment) -> &'static str {
    match moment {
        Moment::Start => "before training",
        Moment::Outcome => "at the end",
    }
}

pub fn id(moment: Moment) -> &'static str {
    match moment {
        Moment::Start => "start",
        Moment::Outcome => "end",
    }
}

pub fn epoch_axis(last_epoch: f64) -> Axis {
    let axis = axis("epoch");
    // Plotly would put ticks between the epochs of a short training.
    if last_epoch <= 12.0 { axis.dtick(1.0) } else { axis }
}

/// Layers at 0, 1, 2, … from the input on, by their names.
pub fn layer_axis(names: &[&str]) -> Axis {
    axis("")
        .tick_values((0..names.len()).map(|index| index as f64).collect())
        .tick_text(names.iter().map(|name| plotly_text(name)).collect())
        .range(vec![-0.4, names.len() as f64 - 0.6])
}

/// A linear axis over all of the values, so that panels beside each other compare.
pub fn shared_axis(title: &str, values: impl Iterator<Item = f64>) -> Axis {
    ranged(axis(title), values)
}

/// The same on a logarithmic scale.
pub fn shared_log_axis(title: &str, values: impl Iterator<Item = f64>) -> Axis {
    let axis = axis(title).type_(AxisType::Log).exponent_format(ExponentFormat::Power);
    ranged(axis, values.map(f64::log10))
}

fn ranged(axis: Axis, values: impl Iterator<Item = f64>) -> Axis {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let margin = if high > low { 0.06 * (high - low) } else { 0.5 };
    if low <= high { axis.range(vec![low - margin, high + margin]) } else { axis }
}

/// The groups' values by layer in words, as a figure's text alternative.
pub fn by_layer_words(layers: &[&str], lines: &[(&str, &[Option<f64>])]) -> String {
    let line = |(name, values): &(&str, &[Option<f64>])| {
        let known = || layers.iter().zip(*values).filter_map(|(layer, value)| Some((layer, (*value)?)));
        let ((first, low), (last, high)) = (known().next()?, known().next_back()?);
        let [low, high] = [low, high].map(number);
        Some(format!("{name}: {low} at {first}, {high} at {last}"))
    };
    let words: Vec<String> = lines.iter().filter_map(line).collect();
    if words.is_empty() { "There is nothing to draw.".to_owned() } else { format!("{}.", words.join("; ")) }
}

/// A metric over training: a panel an activation, in it a line a layer, on one logarithmic axis. Empty where no
/// activation has it. `lines` gives an activation's curve of a layer.
pub fn over_training(
    report: &Report,
    id: &str,
    title: &str,
    x: impl Fn(f64) -> Axis,
    y: &str,
    layers: &[&str],
    lines: impl Fn(&StyledGroup, &str) -> Curve,
) -> Markup {
    let curves = |group| -> Vec<Curve> {
        let curve = |layer: &&str| {
            let mut curve = Curve { name: (*layer).to_owned(), ..lines(group, layer) };
            // A logarithmic axis has no place for 0.
            curve.points.retain(|(_, y)| *y > 0.0);
            // The bands of so many lines would hide them.
            curve.band.clear();
            curve.thinned(MOST_POINTS)
        };
        layers.iter().map(curve).collect()
    };
    let panels: Vec<(usize, &StyledGroup, Vec<Curve>)> = report
        .groups
        .iter()
        .enumerate()
        .map(|(index, group)| (index, group, curves(group)))
        .filter(|(_, _, curves)| curves.iter().any(|curve| !curve.points.is_empty()))
        .collect();
    if panels.is_empty() {
        return html! {};
    }
    let points = || panels.iter().flat_map(|(_, _, curves)| curves).flat_map(|curve| &curve.points);
    let last = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let style = |index| Style::of_layer(index, layers.len());
    let panel = |(index, group, curves): &(usize, &StyledGroup, Vec<Curve>)| {
        let title = format!("{title}: {}", group.name());
        let figure = Figure {
            id: &format!("{id}-{index}"),
            title: &title,
            alternative: curve::ends(curves, number),
            traces: curves.iter().enumerate().flat_map(|(at, line)| curve::traces(line, style(at), None)).collect(),
            x: x(last),
            y: shared_log_axis(y, points().map(|(_, y)| *y)),
            zoom: None,
            height: 300,
        };
        figure.html()
    };
    html! {
        p class="key" { @for (at, layer) in layers.iter().enumerate() { span { (swatch(style(at))) (layer) } } }
        div class="grid three" { @for each in &panels { (panel(each)) } }
    }
}
