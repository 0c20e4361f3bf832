//! `claims.html`: each claim's question, method, figures and verdict, as a page for people.

use std::collections::BTreeMap;

use maud::{Markup, html};
use plotly::{common::ExponentFormat, layout::AxisType};
use rectify_train::{
    claims::{ClaimResult, ClaimsReport, Figure},
    judge::number::number,
    judge::{curve::Curve, verdict::Verdict},
};

use crate::{
    draw::{
        curve::{ends, label, traces},
        page::{self, Section, axis, page, scrolling, sections, swatch},
        style::{Dash, Style},
    },
    report::table::effect,
};

/// The page, one file that needs no network.
pub fn html(report: &ClaimsReport) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for result in &report.claims {
        *counts.entry(result.verdict.to_string()).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
    let lead = format!(
        "Textbook claims about ReLU as experiments, run on {} with {} effort on {} ({}): {}. Thresholds were fixed \
         before anything ran.",
        report.date,
        report.effort,
        report.environment.backend,
        report.environment.cpu,
        if counts.is_empty() { "none tested yet".to_owned() } else { counts.join(", ") }
    );
    let all: Vec<Section> = std::iter::once(summary(report)).chain(report.claims.iter().map(section)).collect();
    page("Claims about ReLU, tested", &lead, &[], &sections(&all))
}

fn summary(report: &ClaimsReport) -> Section {
    let table = html! {
        table {
            thead {
                tr {
                    th scope="col" { "claim" }
                    th scope="col" class="text" { "verdict" }
                    th scope="col" class="text" { "effect (95 % interval)" }
                    th scope="col" { "seconds" }
                    th scope="col" class="text" { "outcome" }
                }
            }
            tbody {
                @for result in &report.claims {
                    tr {
                        th scope="row" { a href={ "#" (result.claim.id) } { (result.claim.id) } }
                        td class="text" { (verdict(result.verdict)) }
                        td class="text" { (effect(result.effect.as_ref(), &result.unit)) }
                        td { (format_args!("{:.0}", result.seconds)) }
                        td class="text long" { (result.sentence) }
                    }
                }
            }
        }
    };
    Section {
        id: "summary",
        title: "Summary",
        body: html! {
            (scrolling("Summary", &table))
            p class="note" {
                "Confirmed: it holds under every condition tried. Refuted: it fails under every one. Qualified: it holds \
                 under some and fails under others, by intervals that hold jointly at 95 %. Not settled: the intervals \
                 are too wide to say. The effect is the first condition's."
            }
        },
    }
}

fn verdict(verdict: Verdict) -> Markup {
    let words = verdict.to_string();
    html! { span class={ "verdict " (words.replace(' ', "-")) } { (words) } }
}

fn section(result: &ClaimResult) -> Section {
    let claim = result.claim;
    let conditions = html! {
        table {
            thead {
                tr {
                    th scope="col" { "condition" }
                    th scope="col" class="text" { "measured" }
                    th scope="col" { "effect (95 % interval)" }
                    th scope="col" { "claim asks for" }
                    th scope="col" class="text" { "verdict" }
                }
            }
            tbody {
                @for condition in &result.conditions {
                    tr {
                        th scope="row" { (condition.condition) }
                        td class="text" { (condition.quantity) }
                        td { (effect(condition.effect.as_ref(), &condition.unit)) }
                        td { (condition.holds) }
                        td class="text" { (verdict(condition.verdict)) }
                    }
                }
            }
        }
    };
    let body = html! {
        p class="lead" { "“" (claim.statement) "” " (verdict(result.verdict)) }
        p { (result.sentence) }
        div class="grid" {
            @for (i, figure) in result.figures.iter().enumerate() { (draw(&format!("{}-{i}", claim.id), figure)) }
        }
        (scrolling(&format!("Conditions of {}", claim.id), &conditions))
        dl {
            dt { "Source" } dd { (claim.source) }
            dt { "Run" } dd { (result.what_was_run) }
            dt { "Took" } dd { (format_args!("{:.1} s", result.seconds)) }
            dt { "Again" } dd { code { (result.command) } }
        }
        details {
            summary { "What decides it" }
            ul {
                @for part in claim.parts {
                    li {
                        (capitalised(part.quantity)) ": the claim holds where this is " (part.hypothesis.to_string())
                        " (" (part.unit) "). " (part.why) " "
                        span class="note" { "Null hypothesis: " (part.null_hypothesis) }
                    }
                }
            }
        }
    };
    Section { id: claim.id, title: claim.id, body }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// A figure with its own legend. Predictions are dots in the text's colour over the measurements: where they agree, both
/// are seen.
fn draw(id: &str, content: &Figure) -> Markup {
    let mut names: Vec<&str> = Vec::new();
    for curve in &content.series {
        if !names.contains(&curve.name.as_str()) {
            names.push(&curve.name);
        }
    }
    let style = |curve: &Curve| match curve.theory {
        true => Style { dash: Dash::Dotted, rgb: [0, 0, 0] },
        false => Style::of(names.iter().position(|name| *name == curve.name).unwrap_or(0)),
    };
    let theory_last = content.series.iter().filter(|c| !c.theory).chain(content.series.iter().filter(|c| c.theory));
    let scaled = |title: &str, log: bool| match log {
        true => axis(title).type_(AxisType::Log).exponent_format(ExponentFormat::Power),
        false => axis(title),
    };
    let figure = page::Figure {
        id,
        title: &content.title,
        alternative: ends(&content.series, |y| number(y)),
        traces: theory_last.flat_map(|curve| traces(curve, style(curve), None)).collect(),
        x: scaled(&content.x, content.log_x),
        y: scaled(&content.y, content.log_y),
        zoom: None,
        height: 320,
    };
    html! {
        div {
            (figure.html())
            p class="key" { @for curve in &content.series { span { (swatch(style(curve))) (label(curve)) } } }
        }
    }
}
