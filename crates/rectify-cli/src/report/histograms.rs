//! Distributions by layer and epoch: activations, pre-activations and their gradients.

use maud::{Markup, html};
use plotly::{
    Scatter, Trace,
    common::{Fill, HoverInfo, Line, Mode},
};
use rectify_train::record::{Histogram, Layer, Run};

use super::{
    Report,
    layers::{self, MOST_TOGETHER},
};
use crate::draw::{
    page::{Figure, Frame, Row, Section, Shows, axis, plotly_text},
    style::Style,
};

/// A kind: id, title, metric.
type Kind = (&'static str, &'static str, fn(&Layer) -> Option<&Histogram>);

const KINDS: [Kind; 3] = [
    ("histogram-activation", "Activations", |layer| layer.histogram.as_ref()),
    ("histogram-preactivation", "Pre-activations", |layer| layer.preactivation_histogram.as_ref()),
    ("histogram-gradient", "Gradients of the pre-activations", |layer| layer.preactivation_grad_histogram.as_ref()),
];

/// Histograms of one kind in a page, at most: with more, fewer epochs are shown.
const MOST_HISTOGRAMS: usize = 3000;

/// Before training.
const GREY: [u8; 3] = [150; 3];

/// `None` where there are no histograms.
pub fn section(report: &Report) -> Option<Section> {
    let kinds: Vec<(&str, Markup)> =
        KINDS.into_iter().filter_map(|kind| Some((kind.1, figures(report, kind)?))).collect();
    (!kinds.is_empty()).then(|| Section {
        id: "histograms",
        title: "Histograms",
        body: html! {
            p class="note" {
                "A row a layer, of each activation's first seed: grey before training, in colour at the slider's epoch. \
                 All layers and epochs of an activation share one horizontal axis. Heights are square roots of the \
                 density, so that thin tails show beside a spike, and each outline is scaled to its highest bin."
            }
            // So many are folded away, but for the first kind.
            @for (place, (title, figures)) in kinds.iter().enumerate() {
                details class="each" open[place == 0 || report.groups.len() <= MOST_TOGETHER] {
                    summary { (title) }
                    div class="grid three" { (figures) }
                }
            }
        },
    })
}

/// A figure an activation, of its first seed that has histograms.
fn figures(report: &Report, (id, title, of): Kind) -> Option<Markup> {
    let with = report.first_runs(|layer| of(layer).is_some_and(sound));
    let most = MOST_HISTOGRAMS / (with.len() * report.hidden.len()).max(1);
    (!with.is_empty()).then(|| {
        html! {
            @for (place, group, run) in with {
                div data-activation=(group.name()) {
                    (ridge(report, &format!("{id}-{place}"), &format!("{title}: {}", group.name()), group.style, run, of, most))
                }
            }
        }
    })
}

fn sound(histogram: &Histogram) -> bool {
    let finite = histogram.low.is_finite() && histogram.high.is_finite() && histogram.low <= histogram.high;
    finite && histogram.counts.iter().any(|count| *count > 0)
}

fn ridge(
    report: &Report,
    id: &str,
    title: &str,
    style: Style,
    run: &Run,
    of: fn(&Layer) -> Option<&Histogram>,
    most: usize,
) -> Markup {
    let shown = layers::epochs([run], most);
    let at = |epoch: usize| -> Vec<Option<&Histogram>> {
        let layers = run.epochs.iter().find(|other| other.epoch == epoch).map_or(&[][..], |epoch| &epoch.layers);
        let named = |name: &&str| layers.iter().find(|layer| layer.layer == *name).and_then(of);
        report.hidden.iter().map(|name| named(name).filter(|histogram| sound(histogram))).collect()
    };
    let by_epoch: Vec<(usize, Vec<Option<&Histogram>>)> = shown.iter().map(|epoch| (*epoch, at(*epoch))).collect();
    let by_epoch: Vec<_> = by_epoch.into_iter().filter(|(_, rows)| rows.iter().any(Option::is_some)).collect();
    let every = || by_epoch.iter().flat_map(|(_, rows)| rows).flatten();
    let low = every().map(|histogram| histogram.low).fold(f64::INFINITY, f64::min);
    let high = every().map(|histogram| histogram.high).fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };

    // The script fills the outlines in.
    let [r, g, b] = style.rgb;
    let outline = |fill: [u8; 3], opacity: f64, name: &str| {
        Scatter::<f64, f64>::new(Vec::new(), Vec::new())
            .mode(Mode::Lines)
            .fill(Fill::ToSelf)
            .fill_color(plotly::color::Rgba::new(fill[0], fill[1], fill[2], opacity))
            .line(Line::new().width(1.0).color(plotly::color::Rgb::new(fill[0], fill[1], fill[2])).simplify(false))
            .hover_info(HoverInfo::Skip)
            .name(name) as Box<dyn Trace>
    };
    let count = report.hidden.len();
    let before = (0..count).map(|_| outline(GREY, 0.35, "before training"));
    let now = (0..count).map(|_| outline([r, g, b], 0.6, "at this epoch"));
    let frames = by_epoch
        .iter()
        .map(|(epoch, rows)| Frame {
            epoch: *epoch,
            shows: Shows::Rows(rows.iter().map(|histogram| Some(row((*histogram)?, high - low))).collect()),
        })
        .collect();
    let words = |(epoch, rows): &(usize, Vec<Option<&Histogram>>)| {
        let ends = report.hidden.iter().zip(rows).filter_map(|(layer, histogram)| {
            let histogram = (*histogram)?;
            Some(format!("{} from {} to {}", report.layer(layer), short(histogram.low), short(histogram.high)))
        });
        format!("At epoch {epoch}: {}.", ends.collect::<Vec<_>>().join(", "))
    };
    let margin = 0.02 * (high - low);
    let names = report.hidden.iter().map(|name| plotly_text(&report.layer(name))).collect();
    let figure = Figure {
        id,
        title,
        alternative: by_epoch.last().map_or(String::new(), words),
        traces: before.chain(now).collect(),
        x: axis("").range(vec![low - margin, high + margin]),
        y: axis("")
            .range(vec![-0.1, count as f64])
            .tick_values((0..count).map(|place| (count - 1 - place) as f64).collect())
            .tick_text(names),
        zoom: None,
        height: 90 + 46 * count.max(2),
    };
    figure.over_epochs(frames)
}

/// Heights of the bins, and ends at which a single value is as wide as a line in an axis as wide as this.
fn row(histogram: &Histogram, axis: f64) -> Row {
    let highest = histogram.counts.iter().copied().max().unwrap_or(1) as f64;
    let height = |count: &u64| (1000.0 * (*count as f64 / highest).sqrt()).round() as u16;
    if histogram.high > histogram.low {
        return (histogram.low, histogram.high, histogram.counts.iter().map(height).collect());
    }
    (histogram.low, histogram.low + axis / 100.0, vec![1000])
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
    fn a_histogram_of_one_value_is_as_wide_as_a_line() {
        let spike = Histogram { low: 0.0, high: 0.0, counts: vec![7, 0] };
        assert_eq!(row(&spike, 1.0), (0.0, 0.01, vec![1000]));
    }

    #[test]
    fn heights_are_square_roots_of_the_density_as_part_of_the_highest() {
        let histogram = Histogram { low: -1.0, high: 1.0, counts: vec![0, 1, 4, 16] };
        assert_eq!(row(&histogram, 9.0), (-1.0, 1.0, vec![0, 250, 500, 1000]));
    }
}
