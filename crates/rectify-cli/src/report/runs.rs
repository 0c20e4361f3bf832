//! One row a run.

use maud::html;
use rectify_train::{
    judge::number::{fixed, percent},
    record::{Epoch, Run, Status},
};

use super::{Report, at_step};
use crate::draw::page::Section;

/// More runs than this are folded away.
const MOST_OPEN: usize = 12;
/// More than this stand in `results.json` alone.
const MOST_ROWS: usize = 2000;

pub fn section(report: &Report) -> Section {
    let kept = report.runs().iter().any(|run| run.kept_epoch.is_some());
    let mut header = vec!["activation", "seed", "status", "steps", "parameters", "seconds"];
    if kept {
        header.push("kept epoch");
    }
    header.extend(["validation accuracy %", "test accuracy %"]);
    let rows: Vec<Vec<String>> = report.runs().iter().take(MOST_ROWS).map(|run| row(run, kept)).collect();
    let count = report.runs().len();
    Section {
        id: "runs",
        title: "Runs",
        body: html! {
            details open[count <= MOST_OPEN] {
                summary { (count) @if count == 1 { " run" } @else { " runs" } }
                (report.numbers("Runs", &header, &rows))
                @if count > rows.len() {
                    p class="note" { "The first " (rows.len()) "; the others are in " code { "results.json" } "." }
                }
            }
            @if kept {
                p class="note" {
                    "A run that patience watches over keeps the network of its best epoch by validation accuracy; its \
                     accuracies are that epoch's."
                }
            }
        },
    }
}

fn row(run: &Run, with_kept: bool) -> Vec<String> {
    let status = match run.status {
        Status::Completed => "completed".to_owned(),
        Status::Diverged => format!("diverged{}", at_step(run)),
        Status::Interrupted => "interrupted".to_owned(),
    };
    let accuracy = |value: fn(&Epoch) -> Option<f64>| percent(run.outcome().and_then(value), 2);
    let mut row = vec![
        run.activation.clone(),
        run.seed.to_string(),
        status,
        run.steps.to_string(),
        run.parameters.to_string(),
        fixed(run.wall_seconds, 1),
    ];
    if with_kept {
        row.push(run.kept_epoch.map_or("the last".to_owned(), |epoch| epoch.to_string()));
    }
    row.extend([accuracy(|epoch| epoch.validation_accuracy), accuracy(|epoch| epoch.test_accuracy)]);
    row
}
