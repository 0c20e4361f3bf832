//! `claims.html`: each claim's question, method, figures and verdict, as a page for people.

use std::collections::BTreeMap;

use plotly::{
    Scatter, Trace,
    color::Rgba,
    common::{ExponentFormat, Fill, HoverInfo, Line, Marker, Mode},
    layout::AxisType,
};
use rectify_train::claims::{ClaimResult, ClaimsReport, Figure, Series};

use crate::{
    draw::{
        page::{axis, escape, figure, line, page, swatch},
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
    let body: String = std::iter::once(summary(report)).chain(report.claims.iter().map(section)).collect();
    page("Claims about ReLU, tested", &lead, &[], &body)
}

fn summary(report: &ClaimsReport) -> String {
    let rows: String = report
        .claims
        .iter()
        .map(|result| {
            format!(
                "<tr><th scope=\"row\"><a href=\"#{0}\">{0}</a></th><td class=\"text\">{1}</td>\
                 <td class=\"text\">{2}</td><td>{3:.0}</td><td class=\"text\">{4}</td></tr>\n",
                result.claim.id,
                verdict(&result.verdict.to_string()),
                escape(&effect(result.effect.as_ref(), &result.unit)),
                result.seconds,
                escape(&result.sentence)
            )
        })
        .collect();
    format!(
        "<h2>Summary</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">claim</th>\
         <th scope=\"col\" class=\"text\">verdict</th><th scope=\"col\" class=\"text\">effect (95 % interval)</th>\
         <th scope=\"col\">seconds</th><th scope=\"col\" class=\"text\">outcome</th></tr></thead>\n\
         <tbody>{rows}</tbody></table></div>\n<p class=\"note\">Confirmed: it holds under every condition tried. \
         Refuted: it fails under every one. Qualified: it holds under some and fails under others, by intervals that \
         hold jointly at 95 %. Not settled: the intervals are too wide to say. The effect is the first condition's.</p>\n"
    )
}

fn verdict(words: &str) -> String {
    format!("<span class=\"verdict {}\">{words}</span>", words.replace(' ', "-"))
}

fn section(result: &ClaimResult) -> String {
    let claim = result.claim;
    let parts: String = claim
        .parts
        .iter()
        .map(|part| {
            format!(
                "<li>{}: the claim holds where this is {} ({}). {} <span class=\"note\">Null hypothesis: {}</span></li>\n",
                capitalised(&escape(part.quantity)),
                part.hypothesis,
                escape(part.unit),
                escape(part.why),
                escape(part.null_hypothesis)
            )
        })
        .collect();
    let conditions: String = result
        .conditions
        .iter()
        .map(|condition| {
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td><td>{}</td>\
                 <td class=\"text\">{}</td></tr>\n",
                escape(&condition.condition),
                escape(&condition.quantity),
                escape(&effect(condition.effect.as_ref(), &condition.unit)),
                escape(&condition.holds),
                verdict(&condition.verdict.to_string())
            )
        })
        .collect();
    let figures: String =
        result.figures.iter().enumerate().map(|(i, figure)| draw(&format!("{}-{i}", claim.id), figure)).collect();
    format!(
        "<h2 id=\"{id}\">{id}</h2>\n<p class=\"lead\">“{statement}” {verdict}</p>\n<p>{sentence}</p>\n\
         <div class=\"grid\">\n{figures}</div>\n\
         <div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">condition</th>\
         <th scope=\"col\" class=\"text\">measured</th><th scope=\"col\">effect (95 % interval)</th>\
         <th scope=\"col\">claim asks for</th><th scope=\"col\" class=\"text\">verdict</th></tr></thead>\n\
         <tbody>{conditions}</tbody></table></div>\n\
         <dl><dt>Source</dt><dd>{source}</dd><dt>Run</dt><dd>{run}</dd><dt>Took</dt><dd>{seconds:.1} s</dd>\
         <dt>Again</dt><dd><code>{command}</code></dd></dl>\n<details><summary>What decides it</summary>\n\
         <ul>{parts}</ul></details>\n",
        id = claim.id,
        statement = escape(claim.statement),
        verdict = verdict(&result.verdict.to_string()),
        sentence = escape(&result.sentence),
        source = escape(claim.source),
        run = escape(&result.what_was_run),
        seconds = result.seconds,
        command = escape(&result.command),
    )
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// A figure with its own legend. Predictions are black dots over the measurements: where they agree, both are seen.
fn draw(id: &str, content: &Figure) -> String {
    let mut names: Vec<&str> = Vec::new();
    for series in &content.series {
        if !names.contains(&series.name.as_str()) {
            names.push(&series.name);
        }
    }
    let style = |series: &Series| {
        let index = names.iter().position(|name| *name == series.name).unwrap_or(0);
        let style = Style::of(index);
        if series.theory { Style { dash: Dash::Dotted, rgb: [0, 0, 0] } } else { style }
    };
    let mut traces: Vec<Box<dyn Trace>> = Vec::new();
    for series in content.series.iter().filter(|s| !s.theory).chain(content.series.iter().filter(|s| s.theory)) {
        let style = style(series);
        let xs = || series.points.iter().map(|(x, _)| *x);
        if series.points.len() > 1 && series.band.len() == series.points.len() {
            let [r, g, b] = style.rgb;
            let edge = series.band.iter().map(|(_, high)| *high).chain(series.band.iter().rev().map(|(low, _)| *low));
            traces.push(
                Scatter::new(xs().chain(xs().rev()).collect(), edge.collect())
                    .mode(Mode::Lines)
                    .line(Line::new().width(0.0))
                    .fill(Fill::ToSelf)
                    .fill_color(Rgba::new(r, g, b, 0.2))
                    .hover_info(HoverInfo::Skip),
            );
        }
        let mode = if series.theory || series.points.len() > 100 { Mode::Lines } else { Mode::LinesMarkers };
        traces.push(
            Scatter::new(xs().collect(), series.points.iter().map(|(_, y)| *y).collect())
                .mode(mode)
                .line(line(style))
                .marker(Marker::new().size(5))
                .name(escape(&label(series))),
        );
    }
    let scaled = |title: &str, log: bool| match log {
        true => axis(title).type_(AxisType::Log).exponent_format(ExponentFormat::Power),
        false => axis(title),
    };
    let legend: String = content
        .series
        .iter()
        .map(|series| format!("<span>{}{}</span>", swatch(style(series)), escape(&label(series))))
        .collect();
    let x = scaled(&content.x, content.log_x);
    let drawn = figure(id, &content.title, traces, x, scaled(&content.y, content.log_y), 320);
    format!("<div>{drawn}<p class=\"series\">{legend}</p></div>\n")
}

fn label(series: &Series) -> String {
    if series.theory { format!("{} (theory)", series.name) } else { series.name.clone() }
}
