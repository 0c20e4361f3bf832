//! `claims.html`: each claim's question, method, figures and verdict, as a page for people.

use std::collections::BTreeMap;

use maud::{Markup, html};
use plotly::{common::ExponentFormat, layout::AxisType};
use rectify_train::{
    claims::{ClaimResult, ClaimsReport, ConditionResult, Figure},
    judge::{
        curve::Curve,
        number::{count, fixed, number},
        verdict::{Sample, Verdict},
    },
};

use crate::{
    draw::{
        curve::{ends, label, traces},
        page::{self, Section, axis, page, prose, scrolling, sections, swatch},
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
        "Textbook claims about ReLU as experiments: {}.",
        if counts.is_empty() { "none tested yet".to_owned() } else { counts.join(", ") }
    );
    let tested = format!(
        "Tested on {} with {} effort on {} ({}). Whatever decides a claim was fixed and hashed before it ran; its seeds \
         follow from the hash.",
        report.date, report.plan.effort, report.environment.backend, report.environment.cpu
    );
    let all: Vec<Section> = std::iter::once(summary(report)).chain(report.claims.iter().map(section)).collect();
    let body = html! { p class="note" { (tested) } (sections(&all)) };
    page("Claims about ReLU, tested", &lead, &[], &body)
}

fn summary(report: &ClaimsReport) -> Section {
    // On a narrow screen its cells stand under each other, which takes their roles away from them.
    let table = html! {
        table class="stack" role="table" {
            thead role="rowgroup" {
                tr role="row" {
                    th scope="col" role="columnheader" { "claim" }
                    th scope="col" class="text" role="columnheader" { "verdict" }
                    th scope="col" class="text" role="columnheader" { "what was found" }
                }
            }
            tbody role="rowgroup" {
                @for result in &report.claims {
                    tr role="row" {
                        th scope="row" role="rowheader" { a href={ "#" (result.claim.id) } { (result.claim.id) } }
                        td class="text" role="cell" { (verdict(result.verdict)) (leaning(result)) }
                        td class="text long" role="cell" { (result.sentence) }
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
                "Confirmed: it holds under every condition that decides. Refuted: it fails under one, and holds under none. \
                 Qualified: it holds under some and fails under others. Not settled: the seeds so far do not tell. A claim \
                 is decided wrongly in one case of twenty at most, however often it was looked at while seeds were added."
            }
        },
    }
}

fn leaning(result: &ClaimResult) -> Markup {
    html! { @if let Some(leaning) = result.leaning { " leans to " (leaning.to_string()) } }
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
                    th scope="col" class="text" { "median (bounds at the level that decides)" }
                    th scope="col" class="text" { "claim asks for" }
                    th scope="col" class="text" { "verdict" }
                    th scope="col" class="text" { "decides" }
                }
            }
            tbody {
                @for condition in &result.conditions {
                    tr {
                        th scope="row" class="long" { (condition.condition) }
                        td class="text long" { (condition.quantity) }
                        td class="text" { (measured(condition)) }
                        td class="text" { (condition.holds) }
                        td class="text" { (verdict(condition.verdict)) }
                        td class="text" { (if condition.primary { "yes" } else { "shown only" }) }
                    }
                }
            }
        }
    };
    let body = html! {
        p class="lead" { "“" (prose(claim.statement)) "” " (verdict(result.verdict)) (leaning(result)) }
        p { (result.sentence) }
        div class="grid" {
            @for (i, figure) in result.figures.iter().enumerate() { (draw(&format!("{}-{i}", claim.id), figure)) }
        }
        details {
            summary { "Numbers, what decides it, and how to run it again" }
            p class="note" { (detail(result)) }
            (scrolling(&format!("Conditions of {}", claim.id), &conditions))
            dl {
                dt { "Source" } dd { (claim.source) }
                dt { "Run" } dd { (result.what_was_run) }
                dt { "Protocol" }
                dd {
                    code { (result.protocol) }
                    @if let Some(other) = &result.judged_by { ", judged again by " code { (other) } ", which was not fixed beforehand" }
                }
                dt { "Took" } dd { (format_args!("{:.1} s", result.seconds)) }
                dt { "Again" } dd { code { (result.command) } }
            }
            ul {
                @for criterion in claim.criteria {
                    li {
                        (capitalised(criterion.quantity)) ": the claim holds where this is "
                        (criterion.hypothesis.to_string()) " (" (criterion.unit) "). " (criterion.why) " "
                        span class="note" { "Null hypothesis: " (criterion.null_hypothesis) }
                    }
                }
            }
        }
    };
    Section { id: claim.id, title: claim.id, body }
}

/// The effect, or why there is none.
fn measured(condition: &ConditionResult) -> String {
    match &condition.sample {
        Sample::Void(why) => why.clone(),
        _ => effect(condition.effect.as_ref(), &condition.unit),
    }
}

/// The headline number with what decides it: seeds, divergences, interval, and what it would take.
pub fn detail(result: &ClaimResult) -> String {
    let what = result.conditions.first();
    let name = what.map_or(String::new(), |first| format!("{} ({}) ", first.quantity, first.condition));
    let seeds = match result.seeds {
        0 => "nothing in it is chance".to_owned(),
        seeds => format!("{}, {} diverged", count(seeds, "seed"), number_of(result.diverged)),
    };
    let open = match (result.verdict, &result.needs) {
        (Verdict::NotSettled, Some(needs)) => format!("; to settle it: {needs}"),
        _ => String::new(),
    };
    format!(
        "{name}is {}; {seeds}, {} s, protocol {}{open}.",
        effect(result.effect.as_ref(), &result.unit),
        fixed(result.seconds, 0),
        result.protocol
    )
}

fn number_of(count: usize) -> String {
    if count == 0 { "none".to_owned() } else { count.to_string() }
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
        alternative: ends(&content.series, number),
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

#[cfg(test)]
mod tests {
    use rectify_train::{
        claims::{CLAIMS, Plan, SCHEMA_VERSION, lab::Effort},
        judge::curve::arithmetic,
        record::Environment,
    };

    use super::*;

    #[test]
    fn names_cannot_become_markup_and_each_claim_has_its_place() {
        let hostile = "</script><script>alert('1')</script>\u{202e}";
        let curves = [
            Curve::measured(hostile, arithmetic, (0..3).map(|x| (f64::from(x), vec![1.0, 2.0]))),
            Curve::predicted(hostile, [(0.0, 1.5), (2.0, 1.5)]),
        ];
        let claim = CLAIMS[0];
        let result = ClaimResult {
            claim,
            verdict: Verdict::NotSettled,
            leaning: Some(Verdict::Qualified),
            effect: None,
            unit: "1".to_owned(),
            needs: Some(hostile.to_owned()),
            seeds: 5,
            trainings: 10,
            diverged: 1,
            protocol: hostile.to_owned(),
            judged_by: Some(hostile.to_owned()),
            conditions: vec![ConditionResult {
                quantity: hostile.to_owned(),
                unit: "1".to_owned(),
                condition: hostile.to_owned(),
                primary: true,
                sample: Sample::Void(hostile.to_owned()),
                effect: None,
                holds: "above 0.5".to_owned(),
                verdict: Verdict::Confirmed,
                leans: None,
                seeds_needed: None,
            }],
            what_was_run: hostile.to_owned(),
            command: hostile.to_owned(),
            seconds: 1.25,
            sentence: hostile.to_owned(),
            figures: vec![Figure { title: hostile.to_owned(), series: curves.into(), ..Figure::default() }],
        };
        let page = html(&ClaimsReport {
            schema_version: SCHEMA_VERSION,
            date: "2026-01-31".to_owned(),
            environment: Environment {
                rectify: "0.1.0".to_owned(),
                burn: "0.22.1".to_owned(),
                backend: "flex".to_owned(),
                adapter: None,
                cpu: hostile.to_owned(),
                threads: 2,
            },
            plan: Plan { effort: Effort::Quick, datasets: vec![hostile.to_owned()] },
            requested: Vec::new(),
            claims: vec![result],
        });
        if let Ok(folder) = std::env::var("RECTIFY_KEEP_PAGES") {
            std::fs::write(format!("{folder}/claims.html"), &page).unwrap();
        }
        let main = page.split_once("<main>").unwrap().1.split_once("</main>").unwrap().0;
        // The figure's data.
        assert_eq!((main.matches("<script").count(), main.matches("</script>").count()), (1, 1));
        assert!(!main.contains("alert('1')</script>") && !main.contains('\u{202e}'));
        let shown = "&lt;/script&gt;&lt;script&gt;alert('1')&lt;/script&gt;[U+202E]";
        for part in [
            format!("<h2 id=\"{}\">", claim.id),
            format!("<a href=\"#{0}\">{0}</a>", claim.id),
            format!("<th scope=\"row\" class=\"long\">{shown}</th>"),
            format!("<figcaption>{shown}</figcaption>"),
            format!("{shown} (theory)"),
            format!("\"name\":\"{} (theory)\"", shown.replace('<', "\\u003c")),
            "<span class=\"verdict not-settled\">not settled</span>".to_owned(),
            "as experiments: 1 not settled.".to_owned(),
            "1.2 s".to_owned(),
        ] {
            assert!(main.contains(&part), "{part} is not in {main}");
        }
    }
}
