//! Differences between activations, seed by seed.

use maud::html;

use rectify_train::judge::{
    number::{ABSENT, number, percent, points},
    paired::settled,
};

use super::Report;
use crate::draw::page::Section;

/// `None` where nothing was compared.
pub fn section(report: &Report) -> Option<Section> {
    let differences = &report.results.paired_differences;
    if differences.is_empty() {
        return None;
    }
    let header = [
        "activation",
        "compared with",
        "seeds",
        "difference in test accuracy, points",
        "interval",
        "p",
        "p, adjusted",
        "settled",
    ];
    let rows: Vec<Vec<String>> = differences
        .iter()
        .map(|difference| {
            let interval = difference.interval.map_or(ABSENT.to_owned(), |interval| {
                format!(
                    "{} to {} at {} %",
                    points(interval.low),
                    points(interval.high),
                    percent(interval.confidence, 2)
                )
            });
            vec![
                difference.activation.clone(),
                difference.baseline.clone(),
                difference.seeds.to_string(),
                points(difference.test_accuracy.mean),
                interval,
                number(difference.p_value),
                number(difference.adjusted_p_value),
                if settled(difference) { "yes" } else { "no" }.to_owned(),
            ]
        })
        .collect();
    Some(Section {
        id: "differences",
        title: "Paired differences",
        body: html! {
            (report.numbers("Paired differences", &header, &rows))
            p class="note" {
                "Seed by seed, over the seeds that both completed: the same seed means the same order of samples. Each \
                 activation is compared with the first that was named, and the two best with each other. A difference is \
                 settled where its p-value, adjusted for the number of comparisons (Holm 1979), is at most 0.05; exactly \
                 then the interval, at the level that this asks for, is without 0."
            }
        },
    })
}
