//! Mean and spread of the activations by layer.

use maud::html;
use plotly::{
    Scatter, Trace,
    common::{ErrorData, ErrorType, Mode},
};
use rectify_train::{
    judge::curve::{Moment, arithmetic},
    record::Layer,
};

use super::{Report, StyledGroup, layers};
use crate::draw::page::{Figure, Section, line, plotly_text};

/// An activation's means and standard deviations by layer.
type Spread = (Vec<Option<f64>>, Vec<Option<f64>>);

pub fn section(report: &Report) -> Section {
    let body = if report.hidden.is_empty() {
        layers::none(report)
    } else {
        html! {
            p class="note" {
                "Mean over samples and units; bars reach one standard deviation to each side. Both are means over seeds."
            }
            div class="grid" { @for figure in figures(report) { (figure) } }
        }
    };
    Section { id: "activations", title: "Activations by layer", body }
}

fn figures(report: &Report) -> Vec<maud::Markup> {
    let panels: Vec<(Moment, Vec<Spread>)> = layers::moments(report)
        .into_iter()
        .map(|moment| {
            let by_layer = |group: &StyledGroup, metric: fn(&Layer) -> Option<f64>| {
                group.runs.by_layer(moment, &report.hidden, arithmetic, metric)
            };
            let spread =
                |group| (by_layer(group, |layer| layer.activation_mean), by_layer(group, |layer| layer.activation_std));
            (moment, report.groups.iter().map(spread).collect())
        })
        .collect();
    let ends = || {
        panels
            .iter()
            .flat_map(|(_, lines)| lines)
            .flat_map(|(means, stds)| means.iter().zip(stds))
            .filter_map(|(mean, std)| Some([(*mean)? - std.unwrap_or(0.0), (*mean)? + std.unwrap_or(0.0)]))
            .flatten()
    };
    let panel = |(moment, lines): &(Moment, Vec<Spread>)| {
        let words: Vec<(&str, &[Option<f64>])> =
            report.groups.iter().zip(lines).map(|(group, (means, _))| (group.name(), means.as_slice())).collect();
        let traces = report.groups.iter().zip(lines).enumerate().map(|(index, (group, (means, stds)))| {
            // Bars beside each other, not on top of each other.
            let shift = 0.6 * ((index as f64 + 0.5) / report.groups.len() as f64 - 0.5);
            let bars = stds.iter().map(|std| std.unwrap_or(0.0)).collect();
            Scatter::new((0..report.hidden.len()).map(|at| at as f64 + shift).collect(), means.clone())
                .mode(Mode::LinesMarkers)
                .line(line(group.style).width(1.0))
                .error_y(ErrorData::new(ErrorType::Data).array(bars).thickness(1.5).width(3))
                .name(plotly_text(group.name()))
                .legend_group(group.name()) as Box<dyn Trace>
        });
        let figure = Figure {
            id: &format!("activation-{}", layers::id(*moment)),
            title: &format!("Mean ± standard deviation, {}", layers::words(*moment)),
            alternative: layers::by_layer_words(&report.hidden, &words),
            traces: traces.collect(),
            x: layers::layer_axis(&report.hidden),
            y: layers::shared_axis("activation", ends()),
            zoom: None,
            height: 340,
        };
        figure.html()
    };
    panels.iter().map(panel).collect()
}
