//! One row an activation.

use maud::html;

use super::{Report, table};
use crate::draw::page::{Section, prose};

/// `sentences` beyond the first, which the page opens with, stand above the table.
pub fn section(report: &Report, sentences: &[String]) -> Section {
    let table::Comparison { header, rows } = table::comparison_cells(report.results);
    let diverged = report.results.summary.iter().any(|summary| summary.diverged > 0);
    let kept = report.runs().iter().any(|run| run.kept_epoch.is_some());
    Section {
        id: "summary",
        title: "Summary",
        body: html! {
            @for sentence in sentences.iter().skip(1) { p { (prose(sentence)) } }
            (report.numbers("Summary", &header, &rows))
            p class="note" {
                "Test accuracy is the mean over seeds with its 95 % interval, truncated to 0 and 100 %; with one seed there \
                 is no interval. The weight gradient ratio is the root mean square of the first hidden layer's \
                 weight gradient over that of the last hidden layer, before and after training: far below 1, gradients \
                 vanish on their way back; far above 1, they explode. Zero, saturated and dead are means over the \
                 hidden layers after training."
                @if diverged {
                    " A run diverges when its loss, a gradient, a weight or an activation is no longer a finite number, \
                     or its loss is over a hundred times that of guessing."
                }
                @if kept {
                    " Where a run kept the network of an earlier epoch than its last, its numbers after training are \
                     those of the kept epoch."
                }
            }
        },
    }
}
