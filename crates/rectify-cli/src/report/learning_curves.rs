//! Loss and accuracy by epoch.

use maud::{Markup, html};
use plotly::layout::{Axis, AxisType};
use rectify_train::{
    judge::{
        self,
        curve::{Curve, arithmetic},
    },
    record::{Epoch, Status},
};

use super::{
    Report, at_step,
    layers::{epoch_axis, shared_axis, shared_log_axis},
};
use crate::draw::{
    curve,
    page::{Figure, Section, axis},
    style::{Dash, Style},
};

/// A figure: id, title, metric, vertical axis, number as text, whether it starts with the second half of training.
type Kind = (&'static str, &'static str, fn(&Epoch) -> Option<f64>, fn() -> Axis, fn(f64) -> String, bool);

/// More runs that diverged than this are counted, not named.
const MOST_NAMED: usize = 100;

/// More activations than this have a figure each.
const MOST_LINES: usize = 8;

const KINDS: [Kind; 4] = [
    ("train-loss", "Training loss", |epoch| epoch.train_loss, loss, nats, false),
    ("validation-loss", "Validation loss", |epoch| epoch.validation_loss, loss, nats, false),
    ("validation-accuracy", "Validation accuracy", |epoch| epoch.validation_accuracy, accuracy, percent, true),
    ("test-accuracy", "Test accuracy", |epoch| epoch.test_accuracy, accuracy, percent, true),
];

fn loss() -> Axis {
    axis("loss, nats a sample").type_(AxisType::Log)
}

fn nats(loss: f64) -> String {
    format!("{loss:.3}")
}

fn accuracy() -> Axis {
    axis("accuracy").tick_format(".2~%").hover_format(".2%")
}

fn percent(fraction: f64) -> String {
    format!("{} %", judge::number::percent(fraction, 1))
}

pub fn section(report: &Report) -> Section {
    let figure = |(id, title, metric, y, words, zooms): Kind| {
        let curves: Vec<Curve> = report.groups.iter().map(|group| group.runs.by_epoch(arithmetic, metric)).collect();
        let traces = report.groups.iter().zip(&curves);
        let last_epoch = curves.iter().filter_map(|curve| curve.points.last()).map(|(x, _)| *x).fold(0.0, f64::max);
        Figure {
            id,
            title,
            alternative: curve::ends(&curves, words),
            traces: traces.flat_map(|(group, line)| curve::traces(line, group.style, Some(group.name()))).collect(),
            x: epoch_axis(last_epoch),
            y: y(),
            zoom: if zooms { curve::second_half(&curves) } else { None },
            height: 320,
        }
    };
    let diverged: Vec<String> = report
        .groups
        .iter()
        .flat_map(|group| &group.runs.runs)
        .filter(|run| run.status == Status::Diverged)
        .map(|run| format!("{} with seed {}{}", run.activation, run.seed, at_step(run)))
        .collect();
    Section {
        id: "learning-curves",
        title: "Learning curves",
        body: html! {
            @if report.groups.len() > MOST_LINES {
                // The first and the last: what is trained on, and what is judged by.
                @for kind in [KINDS[0], KINDS[3]] { (small_multiples(report, kind)) }
            } @else {
                div class="grid" { @for kind in KINDS { (figure(kind).html()) } }
            }
            p class="note" {
                "Lines are means over seeds; bands reach from the least to the greatest seed. Epoch 0 is the network \
                 before training. The training loss is, from epoch 1 on, the mean over the epoch's batches as they were \
                 trained on; at epoch 0, over the samples that gradients are measured on."
            }
            @if !diverged.is_empty() {
                p class="note" {
                    span class="diverged" { "Diverged:" }
                    " " (diverged[..diverged.len().min(MOST_NAMED)].join(", "))
                    @if diverged.len() > MOST_NAMED { " and " (diverged.len() - MOST_NAMED) " more" }
                    ". Where its loss is not finite, a run is not part of a line, and at the end of training it is not \
                     part of the figures below."
                }
            }
        },
    }
}

/// A figure for each activation, all with the same axes, with the curve of the one that is best at the end in each.
fn small_multiples(report: &Report, (id, title, metric, _, words, _): Kind) -> Markup {
    let curves: Vec<Curve> = report.groups.iter().map(|group| group.runs.by_epoch(arithmetic, metric)).collect();
    let end = |curve: &Curve| curve.points.last().map(|(_, y)| *y);
    let ends = curves.iter().enumerate().filter_map(|(at, curve)| Some((at, end(curve)?)));
    // Of losses the least is the best, of accuracies the greatest.
    let best = match id.ends_with("loss") {
        true => ends.min_by(|a, b| a.1.total_cmp(&b.1)),
        false => ends.max_by(|a, b| a.1.total_cmp(&b.1)),
    };
    let values = || {
        curves.iter().flat_map(|curve| {
            let band = curve.band.iter().flat_map(|(low, high)| [*low, *high]);
            curve.points.iter().map(|(_, y)| *y).chain(band)
        })
    };
    let y = || match id.ends_with("loss") {
        true => shared_log_axis("nats a sample", values()),
        false => shared_axis("accuracy", values()).tick_format(".2~%").hover_format(".2%"),
    };
    let last_epoch = curves.iter().filter_map(|curve| curve.points.last()).map(|(x, _)| *x).fold(0.0, f64::max);
    let grey = Style { rgb: [150; 3], dash: Dash::Dashed };
    let figure = |at: usize| {
        let (group, own) = (&report.groups[at], &curves[at]);
        let reference =
            best.filter(|(place, _)| *place != at).map(|(place, _)| curve::traces(&curves[place], grey, None));
        let traces = reference.into_iter().flatten().chain(curve::traces(own, group.style, Some(group.name())));
        Figure {
            id: &format!("{id}-{at}"),
            title: group.name(),
            alternative: curve::ends(std::slice::from_ref(own), words),
            traces: traces.collect(),
            x: epoch_axis(last_epoch),
            y: y(),
            zoom: None,
            height: 220,
        }
        .html()
    };
    let best = best.map_or(String::new(), |(place, _)| {
        format!(" The dashed line is {}, the best at the end.", report.groups[place].name())
    });
    html! {
        h3 { (title) }
        div class="grid three" { @for at in 0..curves.len() { (figure(at)) } }
        p class="note" { "A figure for each activation, all with the same axes." (best) }
    }
}
