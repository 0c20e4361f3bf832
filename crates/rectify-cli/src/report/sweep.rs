//! A sweep: the best point of each activation, and how its accuracy depends on each setting.

use anyhow::Context;
use maud::{Markup, html};
use plotly::layout::AxisType;
use rectify_train::{
    activation::Activation,
    experiment::value_in_words,
    judge::{
        number::{ABSENT, count, percent},
        sweep::{Response, Scored, best, is_numeric, response, scored},
    },
    record::{RunEnd, Status, SweepResults},
};

use super::{
    again, settings,
    terminal::{Column, Kind, paragraph, table, width},
};
use crate::draw::{
    curve as draw,
    page::{Figure, Section, axis, page, scrolling, sections},
    style::Style,
};

/// More rows than this stand in `sweep.json` alone.
const MOST_ROWS: usize = 200;
/// The same on a terminal.
const MOST_LINES: usize = 60;
/// An axis whose numbers span this factor or more is logarithmic.
const LOGARITHMIC: f64 = 20.0;

const COLUMNS: [Column; 5] = [
    Column { header: "activation", kind: Kind::Name, rank: 0 },
    Column { header: "settings", kind: Kind::Words, rank: 1 },
    Column { header: "validation accuracy %", kind: Kind::Number, rank: 2 },
    Column { header: "test accuracy %", kind: Kind::Number, rank: 3 },
    Column { header: "runs", kind: Kind::Words, rank: 4 },
];

const RESPONSES: [Column; 4] = [
    Column { header: "setting", kind: Kind::Name, rank: 0 },
    Column { header: "value", kind: Kind::Words, rank: 1 },
    Column { header: "activation", kind: Kind::Words, rank: 2 },
    Column { header: "validation accuracy %", kind: Kind::Number, rank: 3 },
];

fn row(scored: &Scored) -> Vec<String> {
    let runs = || scored.point.runs.iter().filter(|run| run.activation == scored.activation);
    let ended = |status: Status| runs().filter(|run| run.status == status).count();
    let test: Vec<f64> =
        runs().filter(|run| run.status == Status::Completed).filter_map(|run| run.test_accuracy).collect();
    let mean = (!test.is_empty()).then(|| test.iter().sum::<f64>() / test.len() as f64);
    let others = [(Status::Diverged, "diverged"), (Status::Interrupted, "interrupted")];
    let others = others.into_iter().filter(|(status, _)| ended(*status) > 0);
    let others: Vec<String> = others.map(|(status, word)| format!(", {} {word}", ended(status))).collect();
    vec![
        label(scored.activation),
        scored.point.label.clone(),
        percent(scored.validation_accuracy, 2),
        mean.map_or(ABSENT.to_owned(), |mean| percent(mean, 2)),
        format!("{}{}", runs().count(), others.concat()),
    ]
}

fn label(name: &str) -> String {
    name.parse().map_or(name.to_owned(), |activation: Activation| activation.label())
}

fn flag(field: &str) -> String {
    field.replace('_', "-")
}

/// The settings that have a curve, each with those of the activations.
fn responses<'a>(results: &'a SweepResults, best: &[Scored]) -> Vec<(&'a str, Vec<Response>)> {
    let axes = results.experiment.sweep.iter().flat_map(|sweep| sweep.axes().keys());
    let of = |setting: &'a String| {
        let curves: Vec<Response> = best.iter().filter_map(|best| response(results, best, setting)).collect();
        (!curves.is_empty()).then_some((setting.as_str(), curves))
    };
    axes.filter_map(of).collect()
}

fn sentences(results: &SweepResults, best: &[Scored]) -> Vec<String> {
    let runs = || results.points.iter().flat_map(|point| &point.runs);
    let done = runs().filter(|run| run.is_done()).count();
    let wanted = results.points.len() * results.experiment.activations.len() * results.experiment.seeds().len();
    let diverged = runs().filter(|run: &&RunEnd| run.status == Status::Diverged).count();
    let mut sentences = vec![match best.first() {
        Some(best) => format!(
            "{} is best, with {} % of the validation set at {}.",
            label(best.activation),
            percent(best.validation_accuracy, 2),
            best.point.label
        ),
        None => "No training has ended yet.".to_owned(),
    }];
    sentences.push(format!(
        "{} of {} at {} done{}.",
        done,
        count(wanted, "training"),
        count(results.points.len(), "point"),
        if diverged > 0 { format!(", {diverged} of them diverged") } else { String::new() }
    ));
    sentences
}

const NOTE: &str = "Accuracies are means over seeds, in which a training that diverged counts as 0 %. Points are chosen by \
                    validation accuracy: of many, the best one's is better than it would be on other data, and the test \
                    accuracy beside it was not chosen by. A response is along one setting, the others being as at the \
                    activation's best point.";

/// For a terminal.
pub fn text(results: &SweepResults) -> String {
    let best = best(&scored(results));
    let rows: Vec<Vec<String>> = best.iter().map(row).collect();
    let mut lines: Vec<Vec<String>> = Vec::new();
    for (setting, responses) in responses(results, &best) {
        for Response { curve, values } in responses {
            let points = values.into_iter().zip(curve.points);
            lines
                .extend(points.map(|(value, (_, accuracy))| {
                    vec![flag(setting), value, label(&curve.name), percent(accuracy, 2)]
                }));
        }
    }
    let left_out = match lines.len().saturating_sub(MOST_LINES) {
        0 => String::new(),
        more => format!("{more} more lines are in report.html.\n"),
    };
    lines.truncate(MOST_LINES);
    let sentences = paragraph(&sentences(results, &best).join(" "), width());
    let responses = if lines.is_empty() { String::new() } else { table(&RESPONSES, &lines, width()) + "\n" };
    let note = paragraph(NOTE, width());
    format!("{sentences}\n\n{}\n{responses}{left_out}\n{note}\n", table(&COLUMNS, &rows, width()))
}

/// The page.
///
/// # Errors
///
/// If the settings cannot be written as TOML.
pub fn html(results: &SweepResults) -> anyhow::Result<String> {
    let scored = scored(results);
    let best = best(&scored);
    let activations = &results.experiment.activations;
    let style = |name: &str| Style::of(activations.iter().position(|one| one.name() == name).unwrap_or(0));
    let legend: Vec<(String, Style)> =
        best.iter().map(|best| (label(best.activation), style(best.activation))).collect();
    let legend: Vec<(&str, Style)> = legend.iter().map(|(name, style)| (name.as_str(), *style)).collect();
    let figures: Vec<Markup> = responses(results, &best)
        .iter()
        .map(|(setting, responses)| figure(results, setting, responses, &style))
        .collect();
    let config = toml::to_string(&results.experiment).context("the settings cannot be written as TOML")?;
    let mut all = vec![
        Section { id: "best", title: "The best point of each activation", body: rows("Best", &best) },
        Section {
            id: "responses",
            title: "Responses to each setting",
            body: html! {
                div class="grid" { @for figure in &figures { (figure) } }
                @if figures.is_empty() { p { "No setting has two values with runs yet." } }
                p class="note" { (NOTE) " Bands reach from the least to the greatest seed." }
            },
        },
        Section {
            id: "points",
            title: "Points",
            body: html! {
                (rows("Points", &scored[..scored.len().min(MOST_ROWS)]))
                @if scored.len() > MOST_ROWS {
                    p class="note" {
                        "The best " (MOST_ROWS) " of " (scored.len()) "; all are in " code { "sweep.json" } ", and each "
                        "point has a folder that " code { "rectify report" } " makes a page of."
                    }
                }
            },
        },
    ];
    if !results.notes.is_empty() {
        all.push(Section {
            id: "missing",
            title: "Missing, not finished or there twice",
            body: missing(&results.notes),
        });
    }
    all.push(Section { id: "settings", title: "Environment", body: settings::environment(&results.environment) });
    all.push(again::of_config(&config));
    let swept: Vec<&str> =
        results.experiment.sweep.iter().flat_map(|sweep| sweep.axes().keys().map(String::as_str)).collect();
    let title = format!("A sweep of {} on {}", swept.join(", "), results.experiment.dataset);
    Ok(page(&title, &sentences(results, &best).join(" "), &legend, &sections(&all)))
}

fn rows(name: &str, scored: &[Scored]) -> Markup {
    let rows = html! {
        table class="numbers" {
            thead { tr { @for column in COLUMNS { th scope="col" { (column.header) } } } }
            tbody {
                @for scored in scored {
                    @let cells = row(scored);
                    tr { th scope="row" { (cells[0]) } @for cell in &cells[1..] { td { (cell) } } }
                }
            }
        }
    };
    scrolling(name, &rows)
}

fn missing(notes: &[String]) -> Markup {
    html! {
        ul { @for note in notes.iter().take(MOST_ROWS) { li { (note) } } }
        @if notes.len() > MOST_ROWS { p { "and " (notes.len() - MOST_ROWS) " more, in " code { "sweep.json" } "." } }
    }
}

fn figure(results: &SweepResults, setting: &str, responses: &[Response], style: &impl Fn(&str) -> Style) -> Markup {
    let curves: Vec<_> = responses.iter().map(|response| response.curve.clone()).collect();
    let xs = || curves.iter().flat_map(|curve| curve.points.iter().map(|(x, _)| *x));
    let (least, most) = (xs().fold(f64::INFINITY, f64::min), xs().fold(f64::NEG_INFINITY, f64::max));
    let x = axis(&flag(setting));
    let x = match results.experiment.sweep.as_ref().and_then(|sweep| sweep.axes().get(setting)) {
        Some(values) if !is_numeric(results, setting) => {
            let words = values.iter().map(value_in_words).collect();
            x.tick_values((0..values.len()).map(|place| place as f64).collect()).tick_text(words)
        }
        _ if least > 0.0 && most / least >= LOGARITHMIC => x.type_(AxisType::Log),
        _ => x,
    };
    let title = format!("Validation accuracy against {}", flag(setting));
    Figure {
        id: &format!("response-{}", flag(setting)),
        title: &title,
        alternative: draw::ends(&curves, |accuracy| format!("{} %", percent(accuracy, 1))),
        traces: curves
            .iter()
            .flat_map(|curve| draw::traces(curve, style(&curve.name), Some(&label(&curve.name))))
            .collect(),
        x,
        y: axis("accuracy").tick_format(".2~%").hover_format(".2%"),
        zoom: None,
        height: 320,
    }
    .html()
}
