//! The comparison in figures: one row an activation, for the terminal and for the report.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use rectify_train::record::{Estimate, Results, Status};

/// What stands where there is no figure.
pub const NO_FIGURE: &str = "–";

/// The summary as text: one row an activation.
pub struct Comparison {
    /// The columns' names.
    pub header: Vec<&'static str>,
    /// As wide as the header. The first cell is the activation's name, as the user spelt it.
    pub rows: Vec<Vec<String>>,
}

/// The summary's figures, rounded for people. The last column, status, is there only if a run did not complete.
pub fn comparison_cells(results: &Results) -> Comparison {
    let mut header = vec![
        "activation",
        "test accuracy %",
        "s/epoch",
        "first/last gradient, start",
        "first/last gradient, end",
        "zero %",
        "saturated %",
        "dead %",
    ];
    let with_status = results.runs.iter().any(|run| run.status != Status::Completed);
    if with_status {
        header.push("status");
    }
    let mean = |estimate: Option<Estimate>| estimate.map(|estimate| estimate.mean);
    let rows = results
        .summary
        .iter()
        .map(|summary| {
            let mut row = vec![
                summary.activation.clone(),
                summary.test_accuracy.map_or(NO_FIGURE.to_owned(), percent_plus_minus),
                figure(mean(summary.seconds_per_epoch), |seconds| format!("{seconds:.2}")),
                scientific(mean(summary.gradient_ratio_start)),
                scientific(mean(summary.gradient_ratio)),
                percent(mean(summary.zero_fraction)),
                percent(mean(summary.saturated_fraction)),
                percent(mean(summary.dead_fraction)),
            ];
            if with_status {
                row.push(status(results, &summary.activation));
            }
            row
        })
        .collect();
    Comparison { header, rows }
}

/// The comparison as a table with borders: as wide as the terminal at most, or as wide as it needs where standard
/// output is none. Without colour.
pub fn comparison(results: &Results) -> String {
    comparison_table(results).to_string()
}

fn comparison_table(results: &Results) -> Table {
    let Comparison { header, rows } = comparison_cells(results);
    // Long names would make the table wider than most terminals.
    let header = header.into_iter().map(|name| name.replace(", ", "\n").replace("first/last ", "first/last\n"));
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header)
        .add_rows(rows);
    for column in table.column_iter_mut().skip(1).take(7) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `97.51 ± 0.21`: in percent, with half the width of the interval; the mean alone where one seed gives no interval.
pub fn percent_plus_minus(estimate: Estimate) -> String {
    let mean = figure(Some(estimate.mean), |mean| format!("{:.2}", 100.0 * mean));
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) if (high - low).is_finite() => format!("{mean} ± {:.2}", 50.0 * (high - low)),
        _ => mean,
    }
}

/// `1.2e-4`.
pub fn scientific(value: Option<f64>) -> String {
    figure(value, |value| format!("{value:.1e}"))
}

/// A fraction in percent, with one decimal.
pub fn percent(fraction: Option<f64>) -> String {
    figure(fraction, |fraction| format!("{:.1}", 100.0 * fraction))
}

/// A figure as `format` writes it; a dash for one that is missing or not finite.
pub fn figure(value: Option<f64>, format: impl Fn(f64) -> String) -> String {
    value.filter(|value| value.is_finite()).map_or(NO_FIGURE.to_owned(), format)
}

/// `0.0512 (0.0490 to 0.0534)` with the unit where it is not a pure number.
pub fn effect(estimate: Option<&Estimate>, unit: &str) -> String {
    let Some(estimate) = estimate else { return NO_FIGURE.to_owned() };
    let unit = if ["1", "fraction", "ratio"].contains(&unit) { String::new() } else { format!(" {unit}") };
    let mean = significant(estimate.mean);
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) if estimate.confidence < 1.0 => {
            format!("{mean} ({} to {}){unit}", significant(low), significant(high))
        }
        _ => format!("{mean}{unit}"),
    }
}

/// Three significant digits.
fn significant(value: f64) -> String {
    figure(Some(value), |value| match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.2e}"),
        size => format!("{value:.*}", (2 - size.log10().floor() as i32).max(0) as usize),
    })
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
    use crate::report::tests::results;

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

    fn text(results: &Results) -> String {
        // A test may run in a narrow terminal.
        comparison_table(results).force_no_tty().to_string()
    }

    #[test]
    fn a_comparison_is_one_row_an_activation_with_dashes_for_missing_figures() {
        let expected = "\
┌────────────┬─────────────────┬─────────┬────────────┬────────────┬────────┬─────────────┬────────┐
│ activation ┆ test accuracy % ┆ s/epoch ┆ first/last ┆ first/last ┆ zero % ┆ saturated % ┆ dead % │
│            ┆                 ┆         ┆   gradient ┆   gradient ┆        ┆             ┆        │
│            ┆                 ┆         ┆      start ┆        end ┆        ┆             ┆        │
╞════════════╪═════════════════╪═════════╪════════════╪════════════╪════════╪═════════════╪════════╡
│ relu       ┆    97.51 ± 0.21 ┆    1.23 ┆     8.5e-1 ┆      1.2e0 ┆   54.3 ┆           – ┆    0.0 │
│ sigmoid    ┆           11.35 ┆    1.23 ┆     1.2e-4 ┆          – ┆    0.0 ┆         3.4 ┆    0.0 │
└────────────┴─────────────────┴─────────┴────────────┴────────────┴────────┴─────────────┴────────┘";
        assert_eq!(text(&two_activations()), expected);
    }

    #[test]
    fn a_run_that_did_not_complete_adds_a_status_column() {
        let mut results = two_activations();
        results.runs[3].status = Status::Diverged;
        results.runs[4].status = Status::Interrupted;
        let text = text(&results);
        let last_cells: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_suffix('│')?.rsplit('┆').next().map(str::trim))
            .filter(|cell| !cell.is_empty())
            .collect();
        assert_eq!(last_cells, ["status", "completed", "1 of 3 diverged, 1 of 3 interrupted"]);
    }
}
