//! HTML pages with figures, each page one file that needs no network.
//!
//! Markup comes from `maud`, which escapes whatever is put into it. Two places need more: a figure's data stand in a
//! `script` element, and plotly reads its texts as HTML ([`plotly_text`]).

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotly::{
    Layout, Trace, Traces,
    common::{DashType, Font, Title},
    layout::{Axis, HoverMode, Margin},
};

use serde::Serialize;

use crate::draw::style::{Dash, Style};

const STYLE_SHEET: &str = include_str!("page.css");

/// Draws the figures, in light or dark; the legend's boxes hide and show an activation in all of them at once, and one
/// slider moves them all over the epochs.
const SCRIPT: &str = include_str!("page.js");

/// Of plotly.js what the pages use; `npm install && npm run build` in its folder makes it from the npm package.
const PLOTLY: &str = include_str!("plotly/plotly.min.js");

/// A page: its title, what it says in a few words, one legend for all of its figures, and its body.
pub fn page(title: &str, lead: &str, legend: &[(&str, Style)], body: &Markup) -> String {
    let main = html! {
        main {
            h1 { (title) }
            @if !lead.is_empty() { p class="lead" { (prose(lead)) } }
            div class="controls" {
                @if !legend.is_empty() {
                    form class="legend" aria-label="Activations shown" {
                        @for (name, style) in legend {
                            label {
                                input type="checkbox" checked autocomplete="off" value=(name);
                                (swatch(*style)) (name)
                            }
                        }
                    }
                }
            }
            (body)
        }
    };
    let draws = body.0.contains("class=\"plot\"");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (visible_controls(title)) }
                style { (PreEscaped(STYLE_SHEET)) }
            }
            body {
                (PreEscaped(visible_controls(&main.into_string())))
                // After the text, which can be read while it loads.
                @if draws { script { (PreEscaped(PLOTLY)) } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Characters that turn the direction of the text after them, as their code points: in a name they could make a page
/// say something else than it holds.
fn visible_controls(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match turns(c) {
            true => shown += &format!("[U+{:04X}]", c as u32),
            false => shown.push(c),
        }
        shown
    })
}

/// A part of a page with a heading.
pub struct Section {
    /// Unique in its page, among figures too.
    pub id: &'static str,
    /// The heading.
    pub title: &'static str,
    /// What comes after it.
    pub body: Markup,
}

/// Sections one after another, with a table of contents before them.
pub fn sections(sections: &[Section]) -> Markup {
    html! {
        nav aria-label="Contents" {
            @for Section { id, title, .. } in sections {
                a href={ "#" (id) } { (title) }
                " "
            }
        }
        @for Section { id, title, body } in sections {
            section {
                h2 id=(id) { (title) }
                (body)
            }
        }
    }
}

/// A sentence in which what stands between backticks, as commands do, looks like code.
pub fn prose(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A table that scrolls by itself where the page is narrow. `label` names it for those who do not see it.
pub fn scrolling(label: &str, table: &Markup) -> Markup {
    html! { div class="scroll" role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// A piece of the line that stands for an activation in the figures.
pub fn swatch(style: Style) -> Markup {
    let dashes = match style.dash {
        Dash::Solid => None,
        Dash::Dashed => Some("7 4"),
        Dash::Dotted => Some("2 3"),
    };
    html! {
        svg class="swatch" width="26" height="10" aria-hidden="true" {
            line x1="0" y1="5" x2="26" y2="5" stroke=(style.ink()) stroke-width="3" stroke-dasharray=[dashes];
        }
    }
}

/// A figure with two axes. Traces whose `legend_group` is an activation's name follow that activation's box in the
/// legend.
pub struct Figure<'a> {
    /// Unique in its page; a downloaded picture has this name.
    pub id: &'a str,
    /// Stands above it.
    pub title: &'a str,
    /// What it shows, for those who do not see it.
    pub alternative: String,
    /// What is drawn.
    pub traces: Vec<Box<dyn Trace>>,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The part of the vertical axis that is shown first; a button shows the whole.
    pub zoom: Option<[f64; 2]>,
    /// Pixels.
    pub height: usize,
}

/// A figure at an epoch.
#[derive(Debug, Serialize)]
pub struct Frame {
    /// The epoch.
    pub epoch: usize,
    /// What it holds.
    #[serde(flatten)]
    pub shows: Shows,
}

/// What changes in a figure from epoch to epoch.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shows {
    /// By plotly's names, as `y`, the values of each of the figure's first traces.
    Values(BTreeMap<&'static str, Vec<serde_json::Value>>),
    /// A histogram a row, from the top down. The figure has a trace a row for the first epoch's, then one for this epoch's.
    Rows(Vec<Option<Row>>),
}

/// A histogram: its ends, and the height of each bin in thousandths of the row's.
pub type Row = (f64, f64, Vec<u16>);

/// What plotly draws.
#[derive(Serialize)]
struct Drawing {
    data: Traces,
    layout: Layout,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    frames: Vec<Frame>,
}

impl Figure<'_> {
    /// The figure, which the page's script draws.
    pub fn html(self) -> Markup {
        self.over_epochs(Vec::new())
    }

    /// The figure at the epoch that the page's slider is at. Its traces are of the last one.
    pub fn over_epochs(self, frames: Vec<Frame>) -> Markup {
        let layout = Layout::new()
            .x_axis(self.x)
            .y_axis(match self.zoom {
                Some([low, high]) => self.y.range(vec![low, high]),
                None => self.y,
            })
            .show_legend(false)
            .hover_mode(HoverMode::Closest)
            .font(Font::new().family("system-ui, sans-serif").size(12))
            .margin(Margin::new().left(60).right(15).top(28).bottom(45));
        let mut data = Traces::new();
        self.traces.into_iter().for_each(|trace| data.push(trace));
        // `<` stands in strings alone. Escaped, it can neither end the element nor begin a comment.
        let moves = frames.len() > 1;
        let drawing = serde_json::to_string(&Drawing { data, layout, frames }).expect("traces are plain data");
        let data = drawing.replace('<', "\\u003c");
        html! {
            figure {
                figcaption {
                    (self.title)
                    @if moves { span class="moment" {} }
                    @if self.zoom.is_some() {
                        button type="button" class="whole" aria-pressed="false" { "whole range" }
                    }
                }
                div id=(self.id) class="plot" role="img" aria-label={ (self.title) ". " (self.alternative) }
                    style={ "height:" (self.height) "px" } {}
                script type="application/json" { (PreEscaped(data)) }
            }
        }
    }
}

/// An axis with a grid. `title` is plain text.
pub fn axis(title: &str) -> Axis {
    Axis::new().title(Title::with_text(plotly_text(title))).auto_margin(true).show_line(true).zero_line(false)
}

/// A value for a frame, with five significant digits: more than a picture shows. `null` where there is none.
pub fn rounded(value: Option<f64>) -> serde_json::Value {
    let short = value.filter(|value| value.is_finite()).and_then(|value| format!("{value:.4e}").parse::<f64>().ok());
    short.into()
}

/// A line in a figure.
pub fn line(style: Style) -> plotly::common::Line {
    plotly::common::Line::new().simplify(false).color(style.css()).width(2.0).dash(match style.dash {
        Dash::Solid => DashType::Solid,
        Dash::Dashed => DashType::Dash,
        Dash::Dotted => DashType::Dot,
    })
}

/// Plain text for plotly's labels, names and categories, in which some tags and entities of HTML work.
pub fn plotly_text(text: &str) -> String {
    html! { (text) }.into_string()
}

#[cfg(test)]
mod tests {
    use plotly::Scatter;

    use super::*;

    const HOSTILE: &str = "</script><script>alert(1)</script><!--\"'&amp;";

    fn drawn(name: &str) -> String {
        let trace: Box<dyn Trace> = Scatter::new(vec![0.0], vec![1.0]).name(plotly_text(name)).legend_group(name);
        Figure {
            id: "f",
            title: name,
            alternative: name.to_owned(),
            traces: vec![trace],
            x: axis(name),
            y: axis(""),
            zoom: None,
            height: 300,
        }
        .html()
        .into_string()
    }

    #[test]
    fn text_cannot_become_markup_nor_leave_a_script() {
        let html = drawn(HOSTILE);
        assert_eq!(html.matches("<script").count(), 1, "{html}");
        assert_eq!(html.matches("</script").count(), 1, "{html}");
        assert!(!html.contains("<!--"), "{html}");
        assert!(html.contains("aria-label=\"&lt;/script&gt;"), "{html}");
        let json = html.split_once("json\">").and_then(|(_, rest)| rest.split_once("</script>")).unwrap().0;
        let data: serde_json::Value = serde_json::from_str(json).unwrap();
        // The legend's boxes find a trace by the name itself; plotly shows it by its own HTML.
        assert_eq!(data["data"][0]["legendgroup"], HOSTILE);
        let shown = "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!--&quot;'&amp;amp;";
        assert_eq!(data["data"][0]["name"], shown);
        assert_eq!(data["layout"]["xaxis"]["title"]["text"], shown);
    }

    #[test]
    fn a_name_cannot_turn_the_text_around_it() {
        let name = "relu\u{202e}ulg\u{2066}";
        let page = page(name, name, &[(name, Style::of(0))], &PreEscaped(drawn(name)));
        let content = page.split_once("<main>").unwrap().1;
        assert!(!content.contains(['\u{202e}', '\u{2066}']));
        assert!(page.contains("<title>relu[U+202E]ulg[U+2066]</title>"));
        // Box and trace still go by the same name.
        assert!(page.contains("value=\"relu[U+202E]ulg[U+2066]\""));
        assert!(page.contains("\"legendgroup\":\"relu[U+202E]ulg[U+2066]\""));
    }

    #[test]
    fn a_page_with_a_figure_holds_the_small_plotly_once_and_one_without_holds_none() {
        let drawn = page("t", "", &[("relu", Style::of(0))], &PreEscaped(drawn("relu")));
        assert_eq!(drawn.matches("/* plotly.js ").count(), 1);
        assert!(drawn.len() < 1_200_000, "{}", drawn.len());
        let plain = page("t", "", &[("relu", Style::of(0))], &html! {});
        assert!(plain.len() < 50_000, "{}", plain.len());
    }

    #[test]
    fn commands_in_a_sentence_look_like_code() {
        let shown = prose("`--tune lr` finds <it>, `a` < b.").into_string();
        assert_eq!(shown, "<code>--tune lr</code> finds &lt;it&gt;, <code>a</code> &lt; b.");
    }

    #[test]
    fn a_frame_is_what_the_script_reads() {
        let values = BTreeMap::from([("y", vec![serde_json::json!([rounded(Some(0.123_456_789)), rounded(None)])])]);
        let frame = Frame { epoch: 3, shows: Shows::Values(values) };
        assert_eq!(serde_json::to_string(&frame).unwrap(), r#"{"epoch":3,"values":{"y":[[0.12346,null]]}}"#);
        let rows = Frame { epoch: 0, shows: Shows::Rows(vec![None, Some((-1.0, 1.0, vec![0, 1000]))]) };
        assert_eq!(serde_json::to_string(&rows).unwrap(), r#"{"epoch":0,"rows":[null,[-1.0,1.0,[0,1000]]]}"#);
        assert_eq!(rounded(Some(f64::NAN)), serde_json::Value::Null);
    }

    #[test]
    fn a_figure_with_a_zoom_has_a_button_for_the_whole() {
        assert!(!drawn("relu").contains("<button"));
        let figure = Figure {
            id: "f",
            title: "t",
            alternative: String::new(),
            traces: Vec::new(),
            x: axis(""),
            y: axis(""),
            zoom: Some([0.5, 1.0]),
            height: 300,
        };
        let html = figure.html().into_string();
        assert!(html.contains("<button") && html.contains("\"range\":[0.5,1.0]"), "{html}");
    }
}
