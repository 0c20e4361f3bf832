//! What test samples are taken for: a confusion matrix for each activation.

use maud::{Markup, html};
use plotly::{
    HeatMap, Trace,
    common::{ColorScale, ColorScaleElement},
    layout::AxisType,
};
use rectify_train::{judge::number::list, record::Confusion};
use serde::Serialize;

use super::{Report, StyledGroup};
use crate::draw::page::{Figure, Section, axis, plotly_text};

/// More classes than this leave no room for numbers in their cells.
const MOST_NUMBERED: usize = 20;
/// More cells than this, over all activations, would make a page too large.
const MOST_CELLS: usize = 60_000;
/// Mistakes in words.
const TOLD: usize = 3;
/// Cividis, in even steps.
const COLOURS: [&str; 10] =
    ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];

/// `None` where no record has it.
pub fn section(report: &Report) -> Option<Section> {
    let groups = report.groups.iter().enumerate();
    let with: Vec<(usize, &StyledGroup, Confusion)> =
        groups.filter_map(|(place, group)| Some((place, group, group.runs.confusion()?))).collect();
    let cells: usize = with.iter().map(|(_, _, confusion)| confusion.classes.len().pow(2)).sum();
    (!with.is_empty()).then(|| Section {
        id: "confusion",
        title: "Confusion matrix",
        body: html! {
            p class="note" {
                "Test samples by their class, a row each, and across the class that they are taken for, summed over \
                 seeds; blank is none. What is right is on the diagonal. The colours are logarithmic, so that rare \
                 mistakes show beside it. " code { "rectify eval --contact-sheet" } " draws the pictures that a network is \
                 most wrong about."
            }
            @if cells <= MOST_CELLS {
                div class="grid" {
                    @for (place, group, confusion) in with {
                        div data-activation=(group.name()) { (matrix(place, group.name(), &confusion)) }
                    }
                }
            } @else {
                p { "There are too many classes to draw; " code { "results.json" } " has all." }
            }
        },
    })
}

/// A heat map with its values in the cells, which the library's has no setting for.
#[derive(Clone, Serialize)]
struct Numbered<T> {
    #[serde(flatten)]
    map: T,
    texttemplate: &'static str,
}

impl<T: Serialize + Clone> Trace for Numbered<T> {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("it is plain data")
    }
}

fn matrix(place: usize, activation: &str, confusion: &Confusion) -> Markup {
    let Confusion { classes, counts } = confusion;
    let names: Vec<String> = classes.iter().map(|class| plotly_text(class)).collect();
    let most = counts.iter().flatten().copied().max().unwrap_or(0).max(1) as f64;
    let rows: Vec<Vec<Option<usize>>> =
        counts.iter().map(|row| row.iter().map(|count| Some(*count).filter(|count| *count > 0)).collect()).collect();
    // From one sample on: 1 / most, up to 1, in even steps of the logarithm.
    let colour = |(step, colour): (usize, &&str)| {
        let part = step as f64 / (COLOURS.len() - 1) as f64;
        ColorScaleElement(most.powf(part - 1.0), (*colour).to_owned())
    };
    let first = ColorScaleElement(0.0, COLOURS[0].to_owned());
    let scale = std::iter::once(first).chain(COLOURS.iter().enumerate().map(colour)).collect();
    let map = HeatMap::new(names.clone(), names, rows)
        .zmin(0.0)
        .zmax(most)
        .color_scale(ColorScale::Vector(scale))
        .show_scale(false)
        .hover_on_gaps(false)
        .hover_template("%{y} taken for %{x}: %{z}<extra></extra>");
    let texttemplate = if classes.len() <= MOST_NUMBERED { "%{z}" } else { "" };
    let mistake = |(count, class, taken): &(usize, usize, usize)| {
        format!("{} for {} ({count})", classes[*class], classes[*taken])
    };
    let told: Vec<String> = Confusion::mistakes(counts).iter().take(TOLD).map(mistake).collect();
    let title = format!("Confusion matrix: {activation}");
    let figure = Figure {
        id: &format!("confusion-{place}"),
        title: &title,
        alternative: match told.is_empty() {
            true => "Every sample is taken for its class.".to_owned(),
            false => format!("Most often {}.", list(&told)),
        },
        traces: vec![Box::new(Numbered { map: *map, texttemplate })],
        x: axis("taken for").type_(AxisType::Category).show_grid(false),
        y: axis("class").type_(AxisType::Category).range(vec![classes.len() as f64 - 0.5, -0.5]).show_grid(false),
        zoom: None,
        height: 100 + 26 * classes.len().clamp(5, 20),
    };
    figure.html()
}
