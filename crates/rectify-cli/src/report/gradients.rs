//! Gradients by layer, over the epochs and, where steps were probed, over those.

use maud::{Markup, html};
use plotly::{
    HeatMap, Scatter, Trace,
    color::Rgba,
    common::{ColorBar, ColorScale, ColorScalePalette, Line, Mode},
    layout::AxisType,
};
use rectify_train::{
    experiment::Init,
    judge::{
        curve::geometric,
        theory::{TEXTBOOK, of_record},
    },
    record::{GradientSample, Layer, Run},
};

use super::{
    Report, StyledGroup,
    layers::{self, MOST_TOGETHER, OverEpochs},
};
use crate::draw::{
    page::{Figure, Section, Shows, axis, line, plotly_text},
    style::{Dash, Style},
};

type Metric = fn(&Layer) -> Option<f64>;

const KINDS: [(&str, &str, Metric); 3] = [
    ("weight", "Gradient of the weights", |layer| layer.weight_grad_rms),
    ("batch", "Gradient of the weights on a batch", |layer| layer.batch_weight_grad_rms),
    ("preactivation", "Gradient of the pre-activations", |layer| layer.preactivation_grad_rms),
];

/// What theory has of an activation's hidden layers: how a line is drawn, and the gradients relative to the last layer's.
type Ratios = Vec<(Dash, Vec<f64>)>;

/// Epochs between the first and the last that the opening picture shows as pale lines.
const MOST_PALE: usize = 6;

/// What the page opens with: the gradient of the weights by layer, over training. `None` where there is none.
pub fn opening(report: &Report) -> Option<Markup> {
    let (_, _, metric) = KINDS[0];
    let values = positive(OverEpochs::of(report, &report.layers, geometric, metric));
    values.all().next()?;
    let all: Vec<usize> = (0..report.groups.len()).collect();
    let (id, title) = ("opening", "Gradient of the weights by layer, over training");
    let few = all.len() <= MOST_TOGETHER;
    let figure = if few {
        let pale = (0..=MOST_PALE).map(|part| part * values.epochs.len() / (MOST_PALE + 1)).collect();
        lines(report, &values, id, title, &all, pale, Vec::new())
    } else {
        heat_map(report, &values, id, title)
    };
    Some(html! {
        div class="opening" { (figure) }
        p class="note" {
            "How much of the loss's gradient each layer's weights get (root mean square, on a logarithmic scale)"
            @if few { "; the first layer is on the left. Pale lines are before training, thin ones epochs between" }
            ". The slider moves this and other figures over the epochs."
        }
    })
}

/// What has a place on a logarithmic axis.
fn positive(mut values: OverEpochs) -> OverEpochs {
    for value in values.values.iter_mut().flatten().flatten() {
        *value = value.filter(|value| *value > 0.0);
    }
    values
}

pub fn section(report: &Report) -> Section {
    let theory: Vec<Ratios> = report.groups.iter().map(|group| theory(report, group)).collect();
    let body = if report.layers.is_empty() {
        layers::none(report)
    } else {
        html! {
            p class="note" {
                "Root mean square of the loss's gradient, on a logarithmic axis, layers in the network's order; \
                 geometric mean over seeds. Pale lines are before training. A gradient of exactly 0 has no place on this \
                 axis and is left out."
                @if let Some(sample) = sample(report.runs()) { " " (sample) }
                @if theory.iter().any(|ratios| !ratios.is_empty()) {
                    " Broken lines are mean-field theory's gradient of the pre-activations before training, scaled to the \
                     measured one of the last hidden layer: dashed for these weights, dotted for Xavier's, the textbook's \
                     case of a gradient that vanishes."
                }
            }
            div class="grid three" { @for (id, title, metric) in KINDS { (by_layer(report, &theory, id, title, metric)) } }
            (by_step(report))
        }
    };
    Section { id: "gradients", title: "Gradient by layer", body }
}

/// What gradients were measured on.
fn sample(runs: &[Run]) -> Option<String> {
    let GradientSample { set, samples, batch_size } =
        runs.iter().flat_map(|run| &run.epochs).find_map(|epoch| epoch.gradient.as_ref())?;
    let count = |samples: usize| if samples == 1 { "1 sample".to_owned() } else { format!("{samples} samples") };
    Some(format!(
        "It is the gradient of the mean loss over {} of the {set} set; what a step sees, the gradient on a batch, is the mean of the root mean squares over its batches of {}.",
        count(*samples),
        count(*batch_size)
    ))
}

/// Nothing where no record has the metric.
fn by_layer(report: &Report, theory: &[Ratios], id: &str, title: &str, metric: Metric) -> Markup {
    let values = positive(OverEpochs::of(report, &report.layers, geometric, metric));
    if values.all().next().is_none() {
        return html! {};
    }
    layers::together_or_each(report, &format!("gradient-{id}"), title, |figure, title, groups| {
        // Theory is of pre-activations before training.
        let predicted = |group: &usize| match id {
            "preactivation" => scaled(&theory[*group], values.first(*group)),
            _ => Vec::new(),
        };
        lines(report, &values, figure, title, groups, vec![0], groups.iter().map(predicted).collect())
    })
}

/// A line an activation by layer, which the slider moves; in the same colour the lines of other epochs, by their places
/// among all, and broken lines of theory.
fn lines(
    report: &Report,
    values: &OverEpochs,
    id: &str,
    title: &str,
    groups: &[usize],
    pale: Vec<usize>,
    theory: Vec<Ratios>,
) -> Markup {
    let places: Vec<usize> = (0..report.layers.len()).collect();
    let scatter = |group: &StyledGroup, y: Vec<Option<f64>>| {
        Scatter::new(places.clone(), y).name(plotly_text(group.name())).legend_group(group.name())
    };
    let moving = groups.iter().map(|&group| {
        let styled = &report.groups[group];
        let last = values.last(group).to_vec();
        scatter(styled, last).mode(Mode::LinesMarkers).line(line(styled.style)) as Box<dyn Trace>
    });
    let still = groups.iter().flat_map(|&group| {
        let styled = &report.groups[group];
        let [r, g, b] = styled.style.rgb;
        let mut epochs: Vec<usize> = pale.iter().copied().filter(|at| *at + 1 < values.epochs.len()).collect();
        epochs.dedup();
        epochs.into_iter().map(move |at| {
            let (width, opacity) = if at == 0 { (2.0, 0.5) } else { (1.0, 0.2) };
            let name = format!("{}, epoch {}", plotly_text(styled.name()), values.epochs[at]);
            scatter(styled, values.values[group][at].clone())
                .mode(Mode::Lines)
                .line(Line::new().width(width).color(Rgba::new(r, g, b, opacity)))
                .name(name)
                .show_legend(false) as Box<dyn Trace>
        })
    });
    let broken = groups.iter().zip(&theory).flat_map(|(&group, predicted)| {
        let styled = &report.groups[group];
        predicted.iter().map(|(dash, line_of)| {
            let y = line_of.iter().copied().map(Some).collect();
            scatter(styled, y)
                .mode(Mode::Lines)
                .line(line(Style { dash: *dash, ..styled.style }).width(1.0))
                .name(format!("{} (theory)", plotly_text(styled.name()))) as Box<dyn Trace>
        })
    });
    let traces = moving.chain(still).chain(broken).collect();
    let predicted = theory.iter().flatten().flat_map(|(_, line)| line.iter().copied());
    let figure = Figure {
        id,
        title,
        alternative: values.words(report, &report.layers, groups),
        traces,
        x: layers::layer_axis(report, &report.layers),
        y: layers::shared_log_axis("root mean square", values.all().chain(predicted)),
        zoom: None,
        height: if groups.len() == 1 { 260 } else { 360 },
    };
    figure.over_epochs(values.frames(groups, "y"))
}

/// Many activations on one scale: a row each, a column a layer, the colour the power of ten.
fn heat_map(report: &Report, values: &OverEpochs, id: &str, title: &str) -> Markup {
    let all: Vec<usize> = (0..report.groups.len()).collect();
    let powers = OverEpochs {
        epochs: values.epochs.clone(),
        values: values
            .values
            .iter()
            .map(|epochs| {
                epochs.iter().map(|layers| layers.iter().map(|value| value.map(f64::log10)).collect()).collect()
            })
            .collect(),
    };
    let names: Vec<String> = report.groups.iter().map(|group| plotly_text(group.name())).collect();
    let columns: Vec<String> = report.layers.iter().map(|name| plotly_text(&report.layer(name))).collect();
    let rows = all.iter().map(|group| powers.last(*group).to_vec()).collect();
    let (low, high) =
        powers.all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), power| (low.min(power), high.max(power)));
    let trace = HeatMap::new(columns, names, rows)
        .zmin(low)
        .zmax(high)
        .color_scale(ColorScale::Palette(ColorScalePalette::Cividis))
        .color_bar(ColorBar::new().tick_prefix("10<sup>").tick_suffix("</sup>").thickness(12))
        .hover_template("%{y}, %{x}: 10<sup>%{z:.2f}</sup><extra></extra>");
    // A heat map's values are one matrix of all its rows.
    let mut frames = powers.frames(&all, "z");
    for frame in &mut frames {
        if let Shows::Values(by_name) = &mut frame.shows {
            by_name.values_mut().for_each(|rows| *rows = vec![rows.clone().into()]);
        }
    }
    let figure = Figure {
        id,
        title,
        alternative: values.words(report, &report.layers, &all),
        traces: vec![trace],
        x: axis("").type_(AxisType::Category).show_grid(false),
        y: axis("").type_(AxisType::Category).range(vec![all.len() as f64 - 0.5, -0.5]).show_grid(false),
        zoom: None,
        height: 120 + 22 * all.len(),
    };
    figure.of_powers(frames)
}

/// With the weights that were drawn and with the textbook's. Each is an integral a layer.
fn theory(report: &Report, group: &StyledGroup) -> Ratios {
    let init = report.results.experiment.init;
    let textbook = (init != TEXTBOOK).then_some((Dash::Dotted, TEXTBOOK));
    let ratios = |(dash, init): (Dash, Init)| Some((dash, of_record(report.results, group.name(), init)?));
    [(Dash::Dashed, init)].into_iter().chain(textbook).filter_map(ratios).collect()
}

/// The gradients themselves, where the last hidden layer's is the measured one.
fn scaled(ratios: &Ratios, measured: &[Option<f64>]) -> Ratios {
    let line = |(dash, ratios): &(Dash, Vec<f64>)| {
        let last = measured.get(ratios.len() - 1).copied()??;
        Some((*dash, ratios.iter().map(|ratio| ratio * last).collect()))
    };
    ratios.iter().filter_map(line).collect()
}

/// Nothing where no step was probed.
fn by_step(report: &Report) -> Markup {
    if report.runs().iter().all(|run| run.probes.is_empty()) {
        return html! {};
    }
    html! {
        h3 { "By step" }
        p class="note" {
            "The weights' gradient on each probed step's own batch, which is noisier than on a whole set. Geometric \
             mean over seeds."
        }
        (layers::over_training(
            report,
            "gradient-step",
            "Gradient of the weights",
            |_| axis("step"),
            "root mean square",
            &report.layers,
            |group, layer| group.runs.layer_by_step(layer, geometric, |layer| layer.weight_grad_rms),
        ))
    }
}
