//! Gradients by layer, before and after training and, where steps were probed, while it went on.

use maud::{Markup, html};
use plotly::{Scatter, Trace, common::Mode};
use rectify_train::{
    experiment::Init,
    judge::{
        curve::{Moment, geometric},
        theory::{TEXTBOOK, of_record},
    },
    record::{GradientSample, Layer, Run},
};

use super::{Report, StyledGroup, layers};
use crate::draw::{
    page::{Figure, Section, axis, line, plotly_text},
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

/// Before training or after, what was measured of each activation by layer, and what theory has of it.
type Panel = (Moment, Vec<(Vec<Option<f64>>, Ratios)>);

pub fn section(report: &Report) -> Section {
    let theory: Vec<Ratios> = report.groups.iter().map(|group| theory(report, group)).collect();
    let body = if report.layers.is_empty() {
        layers::none(report)
    } else {
        html! {
            p class="note" {
                "Root mean square of the loss's gradient, on a logarithmic axis, layers in the network's order; \
                 geometric mean over seeds. A gradient of exactly 0 has no place on this axis and is left out."
                @if let Some(sample) = sample(report.runs()) { " " (sample) }
                @if theory.iter().any(|ratios| !ratios.is_empty()) {
                    " Broken lines are mean-field theory, relative to the last hidden layer: dashed for these weights, \
                     dotted for Xavier's, the textbook's case of a gradient that vanishes."
                }
            }
            div class="grid" { @for (id, title, metric) in KINDS { (by_layer(report, &theory, id, title, metric)) } }
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
    let panels: Vec<Panel> = layers::moments(report)
        .into_iter()
        .map(|moment| {
            let lines = |(group, ratios): (&StyledGroup, &Ratios)| {
                let values = group.runs.by_layer(moment, &report.layers, geometric, metric).into_iter();
                let measured: Vec<Option<f64>> = values.map(|value| value.filter(|value| *value > 0.0)).collect();
                // Theory is of pre-activations before training.
                let predicted = match (id, moment) {
                    ("preactivation", Moment::Start) => scaled(ratios, &measured),
                    _ => Vec::new(),
                };
                (measured, predicted)
            };
            (moment, report.groups.iter().zip(theory).map(lines).collect())
        })
        .collect();
    let every_value = || {
        let lines = panels.iter().flat_map(|(_, lines)| lines);
        lines.flat_map(|(measured, predicted)| {
            measured.iter().flatten().chain(predicted.iter().flat_map(|(_, line)| line)).copied()
        })
    };
    if every_value().next().is_none() {
        return html! {};
    }
    let panel = |(moment, lines): &Panel| {
        let drawn = report.groups.iter().zip(lines);
        let broken = drawn.clone().flat_map(|(group, (_, predicted))| {
            predicted.iter().map(|(dash, values)| {
                Scatter::new((0..values.len()).collect(), values.clone())
                    .mode(Mode::Lines)
                    .line(line(Style { dash: *dash, ..group.style }).width(1.0))
                    .name(format!("{} (theory)", plotly_text(group.name())))
                    .legend_group(group.name()) as Box<dyn Trace>
            })
        });
        let broken: Vec<Box<dyn Trace>> = broken.collect();
        let words: Vec<(&str, &[Option<f64>])> =
            drawn.clone().map(|(group, (measured, _))| (group.name(), measured.as_slice())).collect();
        let traces = drawn.map(|(group, (values, _))| {
            Scatter::new((0..report.layers.len()).collect(), values.clone())
                .mode(Mode::LinesMarkers)
                .line(line(group.style))
                .name(plotly_text(group.name()))
                .legend_group(group.name()) as Box<dyn Trace>
        });
        let figure = Figure {
            id: &format!("gradient-{id}-{}", layers::id(*moment)),
            title: &format!("{title}, {}", layers::words(*moment)),
            alternative: layers::by_layer_words(&report.layers, &words),
            traces: traces.chain(broken).collect(),
            x: layers::layer_axis(&report.layers),
            y: layers::shared_log_axis("root mean square", every_value()),
            zoom: None,
            height: 340,
        };
        figure.html()
    };
    html! { @for each in &panels { (panel(each)) } }
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
