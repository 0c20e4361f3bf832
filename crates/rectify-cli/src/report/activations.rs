//! Mean and spread of the activations by layer.

use maud::{Markup, html};
use plotly::{
    Scatter, Trace,
    common::{ErrorData, ErrorType, Mode},
};
use rectify_train::judge::curve::arithmetic;

use super::{
    Report,
    layers::{self, OverEpochs},
};
use crate::draw::page::{Figure, Frame, Section, Shows, line, plotly_text};

pub fn section(report: &Report) -> Section {
    let body = if report.hidden.is_empty() {
        layers::none(report)
    } else {
        html! {
            p class="note" {
                "Mean over samples and units; bars reach one standard deviation to each side. Both are means over seeds."
            }
            (layers::together_or_each(report, "activation", "Mean ± standard deviation", figure(report)))
        }
    };
    Section { id: "activations", title: "Activations by layer", body }
}

fn figure(report: &Report) -> impl Fn(&str, &str, &[usize]) -> Markup {
    let means = OverEpochs::of(report, &report.hidden, arithmetic, |layer| layer.activation_mean);
    let stds = OverEpochs::of(report, &report.hidden, arithmetic, |layer| layer.activation_std);
    move |id, title, groups| {
        let ends = means.values.iter().flatten().flatten().zip(stds.values.iter().flatten().flatten());
        let ends = ends.filter_map(|(mean, std)| Some((((*mean)?), std.unwrap_or(0.0))));
        let ends: Vec<f64> = ends.flat_map(|(mean, std)| [mean - std, mean + std]).collect();
        let traces = groups.iter().enumerate().map(|(place, &group)| {
            let styled = &report.groups[group];
            // Bars beside each other, not on top of each other.
            let shift = 0.6 * ((place as f64 + 0.5) / groups.len() as f64 - 0.5);
            let bars = stds.last(group).iter().map(|std| std.unwrap_or(0.0)).collect();
            Scatter::new((0..report.hidden.len()).map(|at| at as f64 + shift).collect(), means.last(group).to_vec())
                .mode(Mode::LinesMarkers)
                .line(line(styled.style).width(1.0))
                .error_y(ErrorData::new(ErrorType::Data).array(bars).thickness(1.5).width(3))
                .name(plotly_text(styled.name()))
                .legend_group(styled.name()) as Box<dyn Trace>
        });
        let with_bars = |(mut frame, bars): (Frame, Frame)| {
            if let (Shows::Values(values), Shows::Values(bars)) = (&mut frame.shows, bars.shows) {
                values.extend(bars);
            }
            frame
        };
        let bars = stds.frames(groups, "error_y.array");
        let frames = means.frames(groups, "y").into_iter().zip(bars).map(with_bars).collect();
        let figure = Figure {
            id,
            title,
            alternative: means.words(report, &report.hidden, groups),
            traces: traces.collect(),
            x: layers::layer_axis(report, &report.hidden),
            y: layers::shared_axis("activation", ends.into_iter()),
            zoom: None,
            height: if groups.len() == 1 { 260 } else { 340 },
        };
        figure.over_epochs(frames)
    }
}
