//! What figures by layer share.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use plotly::{
    common::ExponentFormat,
    layout::{Axis, AxisType},
};
use rectify_train::{
    judge::{curve::Curve, number::number},
    record::{Layer, Run},
};

use super::{Report, StyledGroup};
use crate::draw::{
    curve,
    page::{Figure, Frame, Shows, axis, plotly_text, rounded, swatch},
    style::Style,
};

/// More activations than this have a figure each.
pub const MOST_TOGETHER: usize = 8;

/// Epochs that the slider stops at, at most: enough for an animation.
const MOST_FRAMES: usize = 60;

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

/// The epochs with probed layers, `most` of them or fewer, evenly spread from the first to the last.
pub fn epochs<'a>(runs: impl IntoIterator<Item = &'a Run>, most: usize) -> Vec<usize> {
    let probed = runs.into_iter().flat_map(|run| &run.epochs).filter(|epoch| !epoch.layers.is_empty());
    let all: Vec<usize> = probed.map(|epoch| epoch.epoch).collect::<BTreeSet<_>>().into_iter().collect();
    match most.max(2) {
        most if all.len() > most => (0..most).map(|place| all[place * (all.len() - 1) / (most - 1)]).collect(),
        _ => all,
    }
}

/// A metric by layer, at each epoch that the slider stops at.
pub struct OverEpochs {
    pub epochs: Vec<usize>,
    /// By activation, then epoch, then layer.
    pub values: Vec<Vec<Vec<Option<f64>>>>,
}

impl OverEpochs {
    /// By `mean` over the seeds. Where an activation's trainings ended earlier than others', it stays as it ended.
    pub fn of(
        report: &Report,
        layers: &[&str],
        mean: fn(&[f64]) -> f64,
        metric: impl Fn(&Layer) -> Option<f64>,
    ) -> Self {
        let epochs = epochs(report.runs(), MOST_FRAMES);
        let of_group = |group: &StyledGroup| {
            let last = group.runs.runs.iter().flat_map(|run| &run.epochs).map(|epoch| epoch.epoch).max().unwrap_or(0);
            let of_layer = |layer: &&str| -> BTreeMap<usize, f64> {
                let curve = group.runs.layer_by_epoch(layer, mean, &metric);
                curve.points.iter().map(|(epoch, value)| (*epoch as usize, *value)).collect()
            };
            let by_layer: Vec<BTreeMap<usize, f64>> = layers.iter().map(of_layer).collect();
            let at = |epoch: &usize| by_layer.iter().map(|values| values.get(epoch.min(&last)).copied()).collect();
            epochs.iter().map(at).collect()
        };
        Self { values: report.groups.iter().map(of_group).collect(), epochs }
    }

    /// Every value that there is.
    pub fn all(&self) -> impl Iterator<Item = f64> {
        self.values.iter().flatten().flatten().flatten().copied()
    }

    pub fn first(&self, group: usize) -> &[Option<f64>] {
        self.values[group].first().map_or(&[], Vec::as_slice)
    }

    pub fn last(&self, group: usize) -> &[Option<f64>] {
        self.values[group].last().map_or(&[], Vec::as_slice)
    }

    /// The frames of a figure whose first traces are of `groups`, under plotly's `name` of the values.
    pub fn frames(&self, groups: &[usize], name: &'static str) -> Vec<Frame> {
        let values = |at: usize| {
            let line = |group: &usize| self.values[*group][at].iter().map(|value| rounded(*value)).collect();
            groups.iter().map(line).collect()
        };
        let frame = |(at, epoch): (usize, &usize)| Frame {
            epoch: *epoch,
            shows: Shows::Values(BTreeMap::from([(name, values(at))])),
        };
        self.epochs.iter().enumerate().map(frame).collect()
    }

    /// Its ends in words, as a figure's text alternative.
    pub fn words(&self, report: &Report, layers: &[&str], groups: &[usize]) -> String {
        let layers: Vec<String> = layers.iter().map(|name| report.layer(name)).collect();
        let words = |of: &dyn Fn(usize) -> Vec<Option<f64>>| {
            let values: Vec<Vec<Option<f64>>> = groups.iter().map(|group| of(*group)).collect();
            let lines: Vec<(&str, &[Option<f64>])> = groups
                .iter()
                .zip(&values)
                .map(|(group, values)| (report.groups[*group].name(), values.as_slice()))
                .collect();
            by_layer_words(&layers, &lines)
        };
        let start = words(&|group| self.first(group).to_vec());
        match self.epochs.last() {
            Some(last) if *last > 0 => {
                format!("Before training: {start} After epoch {last}: {}", words(&|group| self.last(group).to_vec()))
            }
            _ => format!("Before training: {start}"),
        }
    }
}

/// One figure of all activations or, where they would hide each other, one each. `figure` is given an id, a title and the
/// activations' places.
pub fn together_or_each(
    report: &Report,
    id: &str,
    title: &str,
    figure: impl Fn(&str, &str, &[usize]) -> Markup,
) -> Markup {
    let all: Vec<usize> = (0..report.groups.len()).collect();
    if all.len() <= MOST_TOGETHER {
        return html! { div { (figure(id, title, &all)) } };
    }
    html! {
        // So many are folded away, but for the first kind.
        details class="each" open[id == "gradient-weight"] {
            summary { (title) }
            div class="grid three" {
                @for (place, group) in report.groups.iter().enumerate() {
                    div data-activation=(group.name()) { (figure(&format!("{id}-{place}"), &format!("{title}: {}", group.name()), &[place])) }
                }
            }
        }
    }
}

pub fn epoch_axis(last_epoch: f64) -> Axis {
    let axis = axis("epoch");
    // Plotly would put ticks between the epochs of a short training.
    if last_epoch <= 12.0 { axis.dtick(1.0) } else { axis }
}

/// Layers at 0, 1, 2, … from the input on: 1, 2, 3, …, or by their names.
pub fn layer_axis(report: &Report, names: &[&str]) -> Axis {
    let label = |name: &&str| {
        let label = report.layer(name);
        plotly_text(label.strip_prefix("layer ").unwrap_or(&label))
    };
    axis("layer")
        .tick_values((0..names.len()).map(|index| index as f64).collect())
        .tick_text(names.iter().map(label).collect())
        .range(vec![-0.4, names.len() as f64 - 0.6])
}

/// A linear axis over all of the values, so that panels beside each other compare.
pub fn shared_axis(title: &str, values: impl Iterator<Item = f64>) -> Axis {
    ranged(axis(title), values)
}

/// The same on a logarithmic scale.
pub fn shared_log_axis(title: &str, values: impl Iterator<Item = f64>) -> Axis {
    let powers: Vec<f64> = values.map(f64::log10).filter(|power| power.is_finite()).collect();
    let (low, high) = ends(powers.iter().copied());
    let axis = axis(title).type_(AxisType::Log).exponent_format(ExponentFormat::Power);
    // Over several powers of ten, what is between two of them would crowd the axis.
    let axis = if high - low >= 1.5 { axis.dtick(((high - low) / 8.0).ceil()) } else { axis };
    ranged(axis, powers.into_iter())
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

fn ranged(axis: Axis, values: impl Iterator<Item = f64>) -> Axis {
    let (low, high) = ends(values);
    let margin = if high > low { 0.06 * (high - low) } else { 0.5 };
    if low <= high { axis.range(vec![low - margin, high + margin]) } else { axis }
}

/// The groups' values by layer in words, as a figure's text alternative.
fn by_layer_words(layers: &[String], lines: &[(&str, &[Option<f64>])]) -> String {
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
            let mut curve = Curve { name: report.layer(layer), ..lines(group, layer) };
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
        p class="key" { @for (at, layer) in layers.iter().enumerate() { span { (swatch(style(at))) (report.layer(layer)) } } }
        div class="grid three" {
            @for each in &panels { div data-activation=(each.1.name()) { (panel(each)) } }
        }
    }
}
