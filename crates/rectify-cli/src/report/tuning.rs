//! How each activation's settings were chosen.

use maud::html;
use plotly::layout::AxisType;
use rectify_train::{
    judge::{
        curve::Curve,
        number::{percent, points},
        tuning::{GOOD, chosen, curve, good_region},
    },
    record::{Results, Tuning},
};

use super::{
    Report,
    terminal::{Column, Kind, paragraph, table, width},
};
use crate::draw::{
    curve as draw,
    page::{Figure, Section, axis},
};

const COLUMNS: [Column; 5] = [
    Column { header: "activation", kind: Kind::Name, rank: 0 },
    Column { header: "tuned", kind: Kind::Words, rank: 1 },
    Column { header: "validation accuracy %", kind: Kind::Number, rank: 2 },
    Column { header: "within a point of it", kind: Kind::Words, rank: 3 },
    Column { header: "at an end of its grid", kind: Kind::Words, rank: 4 },
];

fn rows(results: &Results) -> Vec<Vec<String>> {
    let row = |tuning: &Tuning| {
        let settings = |words: &dyn Fn(&str, f64) -> String| {
            tuning.chosen.iter().map(|(name, value)| words(name, *value)).collect::<Vec<_>>().join(", ")
        };
        let good = |name: &str, _| match good_region(tuning, name) {
            Some((low, high)) => format!("{} {low} to {high}", flag(name)),
            None => format!("{} none", flag(name)),
        };
        vec![
            tuning.activation.clone(),
            settings(&|name, value| format!("{} {value}", flag(name))),
            percent(chosen(tuning).map(|trial| trial.validation_accuracy), 2),
            settings(&good),
            tuning.at_end.iter().map(|name| flag(name)).collect::<Vec<_>>().join(", "),
        ]
    };
    results.tuning.iter().map(row).collect()
}

/// As the command line spells a setting.
fn flag(field: &str) -> String {
    field.replace('_', "-")
}

fn note(results: &Results) -> String {
    let seeds = results.tuning.first().map_or(0, |tuning| tuning.seeds.len());
    format!(
        "Each activation trained at the settings that had the best validation accuracy, as a mean over {seeds} seeds that \
         are not among those reported; a training that diverged counts as 0 %. Where the best is at an end of its grid, \
         there may be a better one beyond."
    )
}

/// What a terminal shows; empty where nothing was tuned.
pub fn text(results: &Results) -> String {
    match results.tuning.is_empty() {
        true => String::new(),
        false => {
            format!("{}\n{}\n", table(&COLUMNS, &rows(results), width()), paragraph(&note(results), width()))
        }
    }
}

/// `None` where nothing was tuned.
pub fn section(report: &Report) -> Option<Section> {
    let tunings = &report.results.tuning;
    let fields: Vec<&String> = tunings.first()?.chosen.keys().collect();
    let figures = fields.into_iter().map(|field| {
        let curves: Vec<Curve> = tunings
            .iter()
            .map(|tuning| {
                let mut curve = curve(tuning, field);
                // A logarithmic axis has no 0.
                let positive: Vec<bool> = curve.points.iter().map(|(x, _)| *x > 0.0).collect();
                let mut keep = positive.iter();
                curve.points.retain(|_| keep.next() == Some(&true));
                let mut keep = positive.iter();
                curve.band.retain(|_| keep.next() == Some(&true));
                curve
            })
            .collect();
        let style = |name: &str| report.groups.iter().find(|group| group.name() == name).map(|group| group.style);
        let styled = curves.iter().filter_map(|curve| Some((curve, style(&curve.name)?)));
        let title = format!("Validation accuracy against {}", flag(field));
        Figure {
            id: &format!("tuning-{}", flag(field)),
            title: &title,
            alternative: draw::ends(&curves, |accuracy| format!("{} %", percent(accuracy, 1))),
            traces: styled.flat_map(|(curve, style)| draw::traces(curve, style, Some(&curve.name))).collect(),
            x: axis(&flag(field)).type_(AxisType::Log),
            y: axis("accuracy").tick_format(".2~%").hover_format(".2%"),
            zoom: None,
            height: 320,
        }
        .html()
    });
    let header = COLUMNS.map(|column| column.header);
    Some(Section {
        id: "tuning",
        title: "Tuning",
        body: html! {
            (report.numbers("Tuning", &header, &rows(report.results)))
            div class="grid" { @for figure in figures { (figure) } }
            p class="note" {
                (note(report.results))
                " Lines are means over the seeds, bands reach from the least to the greatest; a good region within "
                (points(GOOD)) " points of the best that is wide asks for little care."
            }
        },
    })
}
