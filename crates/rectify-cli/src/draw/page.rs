//! HTML pages with figures, each page one file that needs no network.

use plotly::{
    Configuration, Layout, Plot, Trace,
    common::{DashType, Font, Title},
    configuration::DisplayModeBar,
    layout::{Axis, HoverMode, Margin},
};

use crate::draw::style::{Dash, Style};

const STYLE_SHEET: &str = include_str!("page.css");

/// Lets the legend's boxes hide and show an activation in every figure of the page at once.
const SCRIPT: &str = include_str!("page.js");

/// A page: its title, what it says in a few words, one legend for all of its figures, and its body.
///
/// `title`, `lead` and the legend's names are plain text; `body` is HTML.
pub fn page(title: &str, lead: &str, legend: &[(&str, Style)], body: &str) -> String {
    let (title, lead) = (escape(title), escape(lead));
    let legend: String = legend
        .iter()
        .map(|(name, style)| {
            let name = escape(name);
            format!(
                "<label><input type=\"checkbox\" checked autocomplete=\"off\" value=\"{name}\">{}{name}</label>\n",
                swatch(*style)
            )
        })
        .collect();
    let legend = match legend.is_empty() {
        true => legend,
        false => format!("<form class=\"legend\">\n{legend}</form>\n"),
    };
    // The crate gives plotly.js and MathJax, one script element each. No figure here has formulas, and MathJax is 2 MB.
    let scripts = Plot::offline_js_sources();
    let plotly_js = scripts.split_inclusive("</script>").next().unwrap_or_default();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE_SHEET}</style>\n{plotly_js}\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n<p class=\"lead\">{lead}</p>\n{legend}{body}\n</main>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// A piece of the line that stands for an activation in the figures.
pub fn swatch(style: Style) -> String {
    let dashes = match style.dash {
        Dash::Solid => "",
        Dash::Dashed => " stroke-dasharray=\"7 4\"",
        Dash::Dotted => " stroke-dasharray=\"2 3\"",
    };
    format!(
        "<svg class=\"swatch\" width=\"26\" height=\"10\" aria-hidden=\"true\">\
         <line x1=\"0\" y1=\"5\" x2=\"26\" y2=\"5\" stroke=\"{}\" stroke-width=\"3\"{dashes}/></svg>",
        style.css()
    )
}

/// A figure with two axes, `height` pixels high. `id` is unique in its page and `title` is plain text.
///
/// Traces whose `legend_group` is an activation's name follow that activation's box in the legend.
pub fn figure(id: &str, title: &str, traces: Vec<Box<dyn Trace>>, x: Axis, y: Axis, height: usize) -> String {
    let mut plot = Plot::new();
    plot.add_traces(traces);
    plot.set_layout(
        Layout::new()
            .x_axis(x)
            .y_axis(y)
            .show_legend(false)
            .hover_mode(HoverMode::Closest)
            .font(Font::new().family("system-ui, sans-serif").size(12))
            .margin(Margin::new().left(60).right(15).top(28).bottom(45)),
    );
    plot.set_configuration(
        Configuration::new().responsive(true).display_logo(false).display_mode_bar(DisplayModeBar::Hover),
    );
    format!(
        "<figure><figcaption>{}</figcaption><div style=\"height:{height}px\">{}</div></figure>\n",
        escape(title),
        plot.to_inline_html(Some(id))
    )
}

/// An axis with a grid. `title` is plain text.
pub fn axis(title: &str) -> Axis {
    Axis::new()
        .title(Title::with_text(escape(title)))
        .auto_margin(true)
        .grid_color("#e4e4e4")
        .line_color("#666666")
        .show_line(true)
        .zero_line(false)
}

/// An activation's line in a figure.
pub fn line(style: Style) -> plotly::common::Line {
    plotly::common::Line::new().simplify(false).color(style.css()).width(2.0).dash(match style.dash {
        Dash::Solid => DashType::Solid,
        Dash::Dashed => DashType::Dash,
        Dash::Dotted => DashType::Dot,
    })
}

/// Plain text as HTML, for content and for attributes in double quotes. Plotly's texts are HTML, too.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href=\"x\">'&amp;"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;");
    }

    #[test]
    fn a_page_holds_plotly_once_and_no_mathjax() {
        let page = page("t", "", &[("relu", Style::of(0))], "");
        assert_eq!(page.matches("<script").count() - page.matches("\"<script").count(), 2);
        assert!(page.contains("Plotly.js") || page.contains("plotly.js"));
        assert!(!page.contains("MathJax=") && page.len() < 6_000_000, "{}", page.len());
    }
}
