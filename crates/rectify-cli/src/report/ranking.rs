//! Many activations in the order of their accuracy.

use maud::html;
use rectify_train::{
    judge::number::{ABSENT, share},
    record::{Ranked, Results},
};

use super::{
    Report,
    terminal::{Column, Kind, paragraph, table, width},
};
use crate::draw::page::Section;

const COLUMNS: [Column; 4] = [
    Column { header: "activation", kind: Kind::Name, rank: 0 },
    Column { header: "test accuracy %", kind: Kind::Number, rank: 1 },
    Column { header: "not told apart", kind: Kind::Words, rank: 2 },
    Column { header: "diverged", kind: Kind::Number, rank: 3 },
];

const NOTE: &str = "The best first, by the mean over completed runs. Those that share a letter are not told apart: seed by \
                    seed, every pair, with Holm's correction for the number of pairs.";

fn rows(results: &Results) -> Vec<Vec<String>> {
    let row = |ranked: &Ranked| {
        vec![
            ranked.activation.clone(),
            ranked.test_accuracy.map_or(ABSENT.to_owned(), |estimate| share(&estimate, "")),
            ranked.groups.clone(),
            if ranked.diverged > 0 { ranked.diverged.to_string() } else { ABSENT.to_owned() },
        ]
    };
    results.ranking.iter().map(row).collect()
}

/// What a terminal shows; empty where there is no ranking.
pub fn text(results: &Results) -> String {
    match results.ranking.is_empty() {
        true => String::new(),
        false => format!("{}\n{}\n", table(&COLUMNS, &rows(results), width()), paragraph(NOTE, width())),
    }
}

/// `None` where there is no ranking.
pub fn section(report: &Report) -> Option<Section> {
    (!report.results.ranking.is_empty()).then(|| Section {
        id: "ranking",
        title: "Ranking",
        body: html! {
            (report.numbers("Ranking", &COLUMNS.map(|column| column.header), &rows(report.results)))
            p class="note" { (NOTE) }
        },
    })
}
