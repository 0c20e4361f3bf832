//! The comparison in figures: one row an activation, for the terminal and for the report.

use rectify_train::{
    judge::{
        number::{ABSENT, number, percent, ratio, share},
        verdict::Effect,
    },
    record::{Estimate, Results, Status},
};

use super::{
    ranking,
    terminal::{Column, Kind, paragraph, table, width},
    tuning,
};

const COLUMNS: [Column; 8] = [
    Column { header: "activation", kind: Kind::Name, rank: 0 },
    Column { header: "test accuracy %", kind: Kind::Number, rank: 1 },
    Column { header: "s/epoch", kind: Kind::Number, rank: 8 },
    Column { header: "weight gradient ratio, start", kind: Kind::Number, rank: 4 },
    Column { header: "weight gradient ratio, end", kind: Kind::Number, rank: 5 },
    Column { header: "zero %", kind: Kind::Number, rank: 7 },
    Column { header: "saturated %", kind: Kind::Number, rank: 6 },
    Column { header: "dead %", kind: Kind::Number, rank: 3 },
];
/// There only if a run did not complete.
const STATUS: Column = Column { header: "status", kind: Kind::Words, rank: 2 };

fn columns() -> impl Iterator<Item = Column> {
    COLUMNS.into_iter().chain([STATUS])
}

/// The summary as text: one row an activation.
pub struct Comparison {
    /// The columns' names.
    pub header: Vec<&'static str>,
    /// As wide as the header. The first cell is the activation's name, as the user spelt it.
    pub rows: Vec<Vec<String>>,
}

/// The summary's figures, rounded for people. The last column, status, is there only if a run did not complete.
pub fn comparison_cells(results: &Results) -> Comparison {
    let with_status = results.runs.iter().any(|run| run.status != Status::Completed);
    let header = columns().take(COLUMNS.len() + usize::from(with_status)).map(|column| column.header).collect();
    let mean = |estimate: Option<Estimate>| estimate.map(|estimate| estimate.mean);
    let rows = results
        .summary
        .iter()
        .map(|summary| {
            let mut row = vec![
                summary.activation.clone(),
                summary.test_accuracy.map_or(ABSENT.to_owned(), |estimate| share(&estimate, "")),
                number(mean(summary.seconds_per_epoch)),
                ratio(mean(summary.gradient_ratio_start)),
                ratio(mean(summary.gradient_ratio)),
                percent(mean(summary.zero_fraction), 1),
                percent(mean(summary.saturated_fraction), 1),
                percent(mean(summary.dead_fraction), 1),
            ];
            if with_status {
                row.push(status(results, &summary.activation));
            }
            row
        })
        .collect();
    Comparison { header, rows }
}

/// What a terminal shows: the answer, the figures, then the other sentences.
pub fn text(results: &Results, sentences: &[String]) -> String {
    let (answer, others) = sentences.split_at(sentences.len().min(1));
    let lines = |sentences: &[String]| -> String {
        sentences.iter().map(|sentence| paragraph(sentence, width()) + "\n").collect()
    };
    let parts = [
        lines(answer),
        comparison(results, width()) + "\n",
        ranking::text(results),
        tuning::text(results),
        lines(others),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The comparison as a table of at most `width` characters, without colour. A formula without a name of its own stands in
/// full, or beneath the table where it does not fit.
pub fn comparison(results: &Results, width: usize) -> String {
    let Comparison { header, mut rows } = comparison_cells(results);
    for name in rows.iter_mut().filter_map(|row| row.first_mut()) {
        let activation = results.experiment.activations.iter().find(|activation| activation.name() == name);
        let formula = activation.and_then(|activation| activation.formula()).filter(|formula| formula.name().is_none());
        if let Some(formula) = formula {
            formula.text().clone_into(name);
        }
    }
    let columns: Vec<Column> = columns().take(header.len()).collect();
    table(&columns, &rows, width)
}

/// `1.51 (1.49 to 1.53 at 98.75 %)` with the unit where it is not a pure number; the level is that of each end.
pub fn effect(effect: Option<&Effect>, unit: &str) -> String {
    let Some(effect) = effect else { return ABSENT.to_owned() };
    let (unit, number): (_, fn(f64) -> String) = match unit {
        "1" | "fraction" | "ratio" | "share" => (String::new(), ratio),
        unit => (format!(" {unit}"), number),
    };
    let median = if effect.median.is_finite() { number(effect.median) } else { "over all that was tried".to_owned() };
    let level = percent(effect.confidence, 2);
    let level = level.trim_end_matches('0').trim_end_matches('.');
    match (effect.low, effect.high) {
        _ if effect.confidence == 1.0 => median + &unit,
        (Some(low), Some(high)) => format!("{median}{unit} ({} to {} at {level} %)", number(low), number(high)),
        (Some(low), None) => format!("{median}{unit} (at least {} at {level} %)", number(low)),
        (None, Some(high)) => format!("{median}{unit} (at most {} at {level} %)", number(high)),
        (None, None) => format!("{median}{unit}"),
    }
}

fn status(results: &Results, activation: &str) -> String {
    let runs = || results.runs.iter().filter(|run| run.activation == activation);
    let words: Vec<String> = [(Status::Diverged, "diverged"), (Status::Interrupted, "interrupted")]
        .into_iter()
        .map(|(status, word)| (runs().filter(|run| run.status == status).count(), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} of {} {word}", runs().count()))
        .collect();
    if words.is_empty() { "completed".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use rectify_train::record::Summary;

    use super::*;
    use crate::report::{terminal::tests::body, tests::results};

    fn estimate(mean: f64, half_width: Option<f64>) -> Option<Estimate> {
        let [low, high] = [-1.0, 1.0].map(|sign| half_width.map(|half| mean + sign * half));
        Some(Estimate { mean, std: half_width, low, high, confidence: 0.95 })
    }

    fn two_activations() -> Results {
        let mut results = results(&["relu", "sigmoid"], 2, 2, 3);
        let relu = Summary {
            activation: "relu".to_owned(),
            seeds: 3,
            diverged: 0,
            interrupted: 0,
            test_accuracy: estimate(0.97512, Some(0.0021)),
            validation_accuracy: None,
            seconds_per_epoch: estimate(1.234, None),
            gradient_ratio_start: estimate(0.853, None),
            gradient_ratio: estimate(1.24, None),
            zero_fraction: estimate(0.5432, None),
            dead_fraction: estimate(0.0, None),
            saturated_fraction: None,
        };
        let sigmoid = Summary {
            activation: "sigmoid".to_owned(),
            test_accuracy: estimate(0.1135, None),
            gradient_ratio_start: estimate(1.23e-4, None),
            gradient_ratio: estimate(f64::NAN, None),
            zero_fraction: estimate(0.0, None),
            saturated_fraction: estimate(0.034, None),
            ..relu.clone()
        };
        results.summary = vec![relu, sigmoid];
        results
    }

    #[test]
    fn a_comparison_is_one_row_an_activation_with_dashes_for_missing_figures() {
        let expected = "\
┌────────────┬──────────────┬─────────┬──────────┬──────────┬──────┬───────────┬──────┐
│ activation ┆         test ┆ s/epoch ┆   weight ┆   weight ┆ zero ┆ saturated ┆ dead │
│            ┆   accuracy % ┆         ┆ gradient ┆ gradient ┆    % ┆         % ┆    % │
│            ┆              ┆         ┆   ratio, ┆   ratio, ┆      ┆           ┆      │
│            ┆              ┆         ┆    start ┆      end ┆      ┆           ┆      │
╞════════════╪══════════════╪═════════╪══════════╪══════════╪══════╪═══════════╪══════╡
│ relu       ┆ 97.51 ± 0.21 ┆    1.23 ┆    0.853 ┆     1.24 ┆ 54.3 ┆         – ┆  0.0 │
│ sigmoid    ┆        11.35 ┆    1.23 ┆   1/8130 ┆        – ┆  0.0 ┆       3.4 ┆  0.0 │
└────────────┴──────────────┴─────────┴──────────┴──────────┴──────┴───────────┴──────┘";
        assert_eq!(comparison(&two_activations(), 100), expected);
    }

    #[test]
    fn a_run_that_did_not_complete_adds_a_status_column() {
        let mut results = two_activations();
        results.runs[3].status = Status::Diverged;
        results.runs[4].status = Status::Interrupted;
        let rows = body(&comparison(&results, 200), 200);
        let last: Vec<&str> = rows.iter().filter_map(|row| row.last()).map(String::as_str).collect();
        assert_eq!(last, ["completed", "1 of 3 diverged, 1 of 3 interrupted"]);
    }

    #[test]
    fn every_width_shows_whole_cells_with_the_accuracy_first() {
        let mut results = two_activations();
        results.runs[3].status = Status::Diverged;
        results.summary[1].test_accuracy = estimate(0.3283, Some(1.141));
        results.summary[1].activation = format!("leaky-relu:0.{}", "1".repeat(60));
        let all: Vec<String> = comparison_cells(&results).rows.concat();
        let mut shown = Vec::new();
        for width in [40, 60, 80, 100, 200] {
            let rows = body(&comparison(&results, width), width);
            let accuracies: Vec<&str> = rows.iter().map(|row| row[1].as_str()).collect();
            assert_eq!(accuracies, ["97.51 ± 0.21", "32.83 (0.00 to 100.00)"], "at {width}");
            assert!(rows[1][0] == results.summary[1].activation || rows[1][0].ends_with('…'), "at {width}");
            assert!(rows.iter().flat_map(|row| &row[1..]).all(|cell| all.contains(cell)), "at {width}: {rows:?}");
            shown.push(rows[0].len());
        }
        assert!(shown.is_sorted() && shown[4] == 9, "{shown:?}");
    }

    #[test]
    fn a_formula_is_whole_in_its_row_or_beneath_the_table_and_a_named_one_has_its_name() {
        let long = "max(0.1*x, x*sigmoid(1.702*x)) + 0*x";
        let formulas = [long, "swish2 = x*sigmoid(b*x); b=2"];
        let mut results = two_activations();
        results.experiment.activations = formulas.map(|text| text.parse().unwrap()).to_vec();
        for (summary, text) in results.summary.iter_mut().zip(formulas) {
            summary.activation = text.to_owned();
        }
        let shown = results.labelled();
        for width in [60, 80, 100, 200] {
            let text = comparison(&shown, width);
            let names: Vec<String> = body(&text, width).into_iter().map(|cells| cells[0].clone()).collect();
            assert!(names[0].starts_with("max(0.1*x,") && names[1] == "swish2", "{text}");
            assert!(text.contains(long), "{text}");
        }
    }

    #[test]
    fn the_answer_stands_before_the_table_and_the_rest_behind_it() {
        let text = text(&two_activations(), &["The answer.".to_owned(), "More.".to_owned()]);
        assert!(
            text.starts_with("The answer.\n\n┌") && text.contains("┘\n") && text.ends_with("\n\nMore.\n"),
            "{text}"
        );
        assert!(super::text(&two_activations(), &[]).starts_with('┌'));
    }
}
