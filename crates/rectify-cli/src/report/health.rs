//! What is wrong, in words, and where and since when, by layer and epoch.

use maud::{Markup, html};
use rectify_train::{
    judge::diagnose::{Diagnosis, Finding, Severity},
    record::{Epoch, Run},
};

use super::{Report, StyledGroup};
use crate::draw::page::{Section, scrolling};

/// More runs that are not healthy than this are folded away.
const MOST_OPEN: usize = 6;
/// More are left to `rectify diagnose`.
const MOST_IN_WORDS: usize = 200;

/// Nothing where no run was diagnosed.
pub fn section(report: &Report, diagnoses: &[Diagnosis]) -> Option<Section> {
    let of_runs: Vec<(&Run, &Diagnosis)> = report.runs().iter().zip(diagnoses).collect();
    if of_runs.is_empty() {
        return None;
    }
    let ill: Vec<&(&Run, &Diagnosis)> = of_runs.iter().filter(|(_, diagnosis)| !diagnosis.healthy).collect();
    let body = html! {
        @if ill.is_empty() {
            p { "Every run is healthy: no detector found more than what is worth knowing." }
        } @else {
            p { (ill.len()) " of " (of_runs.len()) " runs are not healthy." }
            details open[ill.len() <= MOST_OPEN] {
                summary { "Findings" }
                @for (run, diagnosis) in ill.iter().take(MOST_IN_WORDS) { (in_words(run, diagnosis)) }
                @if ill.len() > MOST_IN_WORDS {
                    p { "And of " (ill.len() - MOST_IN_WORDS) " more; " code { "rectify diagnose" } " has all." }
                }
            }
        }
        p class="note" {
            "The worst finding in a layer at an epoch, over seeds: · nothing, i worth knowing, ! a warning, !! critical. \
             Findings of the whole network stand in words alone."
        }
        div class="grid three" {
            @for group in &report.groups { (heat_map(report, group, &of_runs)) }
        }
    };
    Some(Section { id: "health", title: "Health", body })
}

fn in_words(run: &Run, diagnosis: &Diagnosis) -> Markup {
    let above = diagnosis.findings.iter().filter(|finding| finding.severity > Severity::Info);
    html! {
        h3 { (run.activation) " seed " (run.seed) }
        ul {
            @for finding in above { li { (finding.says) } }
        }
        @if let Some(cause) = diagnosis.causes.first() {
            p { "Likely cause: " (cause.cause) ", as " (cause.because) ". Remedy: " (cause.remedy.text) "." }
        }
    }
}

/// Layers from the top down, epochs from the left.
fn heat_map(report: &Report, group: &StyledGroup, of_runs: &[(&Run, &Diagnosis)]) -> Markup {
    let of_group = of_runs.iter().filter(|(run, _)| run.activation == group.name());
    let findings: Vec<&Finding> = of_group.flat_map(|(_, diagnosis)| &diagnosis.findings).collect();
    let Some(run) = group.runs.runs.iter().max_by_key(|run| run.epochs.len()) else { return html! {} };
    let looks: Vec<&Epoch> = run.epochs.iter().filter(|epoch| !epoch.layers.is_empty()).collect();
    let worst = |layer: &str, epoch: &Epoch| {
        let here = findings.iter().filter(|finding| finding.layers.iter().any(|name| name == layer));
        here.filter(|finding| finding.first_step <= epoch.step).map(|finding| finding.severity).max()
    };
    let cell = |severity: Option<Severity>| {
        let (class, sign, words) = match severity {
            None => ("", "·", "nothing"),
            Some(Severity::Info) => ("info", "i", "worth knowing"),
            Some(Severity::Warning) => ("warning", "!", "warning"),
            Some(Severity::Critical) => ("critical", "!!", "critical"),
        };
        html! { td class=(class) title=(words) { (sign) } }
    };
    let label = format!("Health by layer and epoch: {}", group.name());
    let table = html! {
        table class="health" {
            thead { tr { th scope="col" { "layer" } @for epoch in &looks { th scope="col" { (epoch.epoch) } } } }
            tbody {
                @for layer in &report.layers {
                    tr {
                        th scope="row" { (layer) }
                        @for epoch in &looks { (cell(worst(layer, epoch))) }
                    }
                }
            }
        }
    };
    html! { div { h3 { (group.name()) } (scrolling(&label, &table)) } }
}
