//! Differences between activations, seed by seed.

use maud::html;

use super::{
    Report,
    table::{self, NO_FIGURE},
};
use crate::draw::page::Section;

/// `None` where nothing was compared.
pub fn section(report: &Report) -> Option<Section> {
    let differences = &report.results.paired_differences;
    if differences.is_empty() {
        return None;
    }
    let header = ["activation", "compared with", "seeds", "difference in test accuracy, points", "95 % interval"];
    let points = |fraction| table::figure(fraction, |fraction| format!("{:+.2}", 100.0 * fraction));
    let rows: Vec<Vec<String>> = differences
        .iter()
        .map(|difference| {
            let estimate = difference.test_accuracy;
            let interval = match (estimate.low, estimate.high) {
                (None, _) | (_, None) => NO_FIGURE.to_owned(),
                (low, high) => format!("{} to {}", points(low), points(high)),
            };
            vec![
                difference.activation.clone(),
                difference.baseline.clone(),
                difference.seeds.to_string(),
                points(Some(estimate.mean)),
                interval,
            ]
        })
        .collect();
    Some(Section {
        id: "differences",
        title: "Paired differences",
        body: html! {
            (report.numbers("Paired differences", &header, &rows))
            p class="note" {
                "Seed by seed, over the seeds that both completed: the same seed means the same order of samples. An \
                 interval without 0 is a difference that these seeds settle."
            }
        },
    })
}
