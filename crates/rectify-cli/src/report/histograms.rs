//! Distributions by layer: activations, pre-activations and their gradients.

use maud::{Markup, html};
use rectify_train::{
    judge::curve::Moment,
    record::{Histogram, Layer, Run},
};

use super::{Report, StyledGroup};
use crate::draw::{
    page::{Section, scrolling, swatch},
    style::Style,
};

type Kind = (&'static str, fn(&Layer) -> Option<&Histogram>);

const KINDS: [Kind; 3] = [
    ("Activations", |layer| layer.histogram.as_ref()),
    ("Pre-activations", |layer| layer.preactivation_histogram.as_ref()),
    ("Gradients of the pre-activations", |layer| layer.preactivation_grad_histogram.as_ref()),
];

/// Before training and after it.
type Cell<'a> = [Option<&'a Histogram>; 2];

/// `None` where there are no histograms.
pub fn section(report: &Report) -> Option<Section> {
    let tables: Vec<(&str, Markup)> =
        KINDS.into_iter().filter_map(|(title, of)| Some((title, table(report, title, of)?))).collect();
    (!tables.is_empty()).then(|| Section {
        id: "histograms",
        title: "Histograms",
        body: html! {
            p class="note" {
                "Each activation's first seed: grey before training, in colour at the end. All layers of one activation \
                 share one horizontal axis. Heights are square roots of the density, so that thin tails show beside a \
                 spike, and each picture is scaled to its highest bar."
            }
            @for (title, table) in &tables { h3 { (title) } (table) }
        },
    })
}

/// Layers × activations, of each activation's first seed that has histograms.
fn table(report: &Report, title: &str, of: fn(&Layer) -> Option<&Histogram>) -> Option<Markup> {
    let columns: Vec<(&StyledGroup, Vec<Cell>)> = report
        .groups
        .iter()
        .filter_map(|group| {
            let mut columns = group.runs.runs.iter().map(|run| column(run, &report.hidden, of));
            Some((group, columns.find(|cells| cells.iter().flatten().any(Option::is_some))?))
        })
        .collect();
    if columns.is_empty() {
        return None;
    }
    let ranges: Vec<(f64, f64)> = columns.iter().map(|(_, cells)| range(cells)).collect();
    let table = html! {
        table class="histograms" {
            thead {
                tr {
                    td {}
                    @for (group, _) in &columns { th scope="col" { (swatch(group.style)) (group.name()) } }
                }
            }
            tbody {
                @for (row, layer) in report.hidden.iter().enumerate() {
                    tr {
                        th scope="row" { (layer) }
                        @for ((group, cells), range) in columns.iter().zip(&ranges) {
                            td { (bins(cells[row], *range, group.style)) }
                        }
                    }
                }
                tr {
                    td {}
                    @for (low, high) in &ranges {
                        td { div class="range" { span { (short(*low)) } span { (short(*high)) } } }
                    }
                }
            }
        }
    };
    Some(scrolling(&format!("Histograms: {title}"), &table))
}

fn column<'a>(run: &'a Run, layers: &[&str], of: fn(&Layer) -> Option<&Histogram>) -> Vec<Cell<'a>> {
    let histogram = |moment: Moment, name: &str| {
        let layer = moment.layers(run).iter().find(|layer| layer.layer == name)?;
        of(layer).filter(|histogram| {
            let sound = histogram.low.is_finite() && histogram.high.is_finite() && histogram.low <= histogram.high;
            sound && histogram.counts.iter().any(|count| *count > 0)
        })
    };
    layers.iter().map(|name| [Moment::Start, Moment::Outcome].map(|moment| histogram(moment, name))).collect()
}

/// From the lowest to the highest end of a column's histograms.
fn range(cells: &[Cell]) -> (f64, f64) {
    let histograms = || cells.iter().flatten().flatten();
    let low = histograms().map(|histogram| histogram.low).fold(f64::INFINITY, f64::min);
    let high = histograms().map(|histogram| histogram.high).fold(f64::NEG_INFINITY, f64::max);
    if high > low { (low, high) } else { (low - 0.5, low + 0.5) }
}

/// Two histograms on top of each other in a picture of 100 × 50 units that stretches to its place.
fn bins(histograms: Cell, (low, high): (f64, f64), style: Style) -> Markup {
    let x = |value: f64| 100.0 * (value - low) / (high - low);
    let bars = |histogram: &Histogram| -> Vec<(f64, f64, f64)> {
        let total: u64 = histogram.counts.iter().sum();
        let width = (histogram.high - histogram.low) / histogram.counts.len() as f64;
        let bar = |(index, count): (usize, &u64)| {
            let left = histogram.low + width * index as f64;
            // A layer with a single value is a bar without width; draw it as wide as a line.
            let drawn = width.max((high - low) / 100.0);
            (x(left), x(left + drawn), (*count as f64 / total as f64 / drawn).sqrt())
        };
        histogram.counts.iter().enumerate().map(bar).filter(|(_, _, height)| *height > 0.0).collect()
    };
    let [start, end] = histograms.map(|histogram| histogram.map(bars).unwrap_or_default());
    let highest = start.iter().chain(&end).map(|(_, _, height)| *height).fold(0.0, f64::max);
    let path = |bars: &[(f64, f64, f64)]| -> String {
        bars.iter().map(|(x0, x1, y)| format!("M{x0:.2} 50V{:.2}H{x1:.2}V50Z", 50.0 - 48.0 * y / highest)).collect()
    };
    html! {
        svg class="bins" viewBox="0 0 100 50" preserveAspectRatio="none" aria-hidden="true" {
            path d=(path(&start)) fill="#b4b4b4" {}
            path d=(path(&end)) fill=(style.ink()) fill-opacity="0.6" {}
        }
    }
}

/// An axis' end: `-0.35`, `12.3`, `1.2e-5`.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        0.01..1000.0 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_of_one_value_is_a_visible_bar() {
        let spike = Histogram { low: 0.0, high: 0.0, counts: vec![7] };
        let svg = bins([Some(&spike), None], (-0.5, 0.5), Style::of(0)).into_string();
        assert!(svg.contains("M50.00 50V2.00H51.00V50Z"), "{svg}");
    }
}
