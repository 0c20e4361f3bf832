//! A curve's line and band.

use plotly::{
    Scatter, Trace,
    color::Rgba,
    common::{Fill, HoverInfo, Line, Marker, Mode},
};
use rectify_train::judge::curve::Curve;

use crate::draw::{
    page::{line, plotly_text},
    style::Style,
};

/// More points than this are drawn as a line alone.
const MOST_MARKERS: usize = 100;

/// The curve's band, where it has a width, and its line. With a `group` both follow that activation's box in the
/// legend.
pub fn traces(curve: &Curve, style: Style, group: Option<&str>) -> Vec<Box<dyn Trace>> {
    let grouped = |trace: Box<Scatter<f64, f64>>| -> Box<dyn Trace> {
        match group {
            Some(group) => trace.legend_group(group),
            None => trace,
        }
    };
    let xs = || curve.points.iter().map(|(x, _)| *x);
    let mut traces = Vec::new();
    if curve.points.len() > 1
        && curve.band.len() == curve.points.len()
        && curve.band.iter().any(|(low, high)| low < high)
    {
        let [r, g, b] = style.rgb;
        let edge = curve.band.iter().map(|(_, high)| *high).chain(curve.band.iter().rev().map(|(low, _)| *low));
        traces.push(grouped(
            Scatter::new(xs().chain(xs().rev()).collect(), edge.collect())
                .mode(Mode::Lines)
                .line(Line::new().width(0.0))
                .fill(Fill::ToSelf)
                .fill_color(Rgba::new(r, g, b, 0.2))
                .hover_info(HoverInfo::Skip),
        ));
    }
    let mode = if curve.theory || curve.points.len() > MOST_MARKERS { Mode::Lines } else { Mode::LinesMarkers };
    traces.push(grouped(
        Scatter::new(xs().collect(), curve.points.iter().map(|(_, y)| *y).collect())
            .mode(mode)
            .line(line(style))
            .marker(Marker::new().size(5))
            .name(plotly_text(&label(curve))),
    ));
    traces
}

/// The curve's name in a legend.
pub fn label(curve: &Curve) -> String {
    if curve.theory { format!("{} (theory)", curve.name) } else { curve.name.clone() }
}

/// The curves' ends in words, as a figure's text alternative: `relu: 0.1 to 0.9; tanh: 0.1 to 0.8.`
pub fn ends(curves: &[Curve], format: impl Fn(f64) -> String) -> String {
    let ends = |curve: &Curve| {
        let (first, last) = (curve.points.first()?.1, curve.points.last()?.1);
        Some(format!("{}: {} to {}", label(curve), format(first), format(last)))
    };
    let words: Vec<String> = curves.iter().filter_map(ends).collect();
    if words.is_empty() { "There is nothing to draw.".to_owned() } else { format!("{}.", words.join("; ")) }
}

/// The vertical range of the second half of the curves, bands included, with a margin. `None` where it is not much
/// smaller than that of the whole: a curve that has risen leaves no room for what tells it from others.
pub fn second_half(curves: &[Curve]) -> Option<[f64; 2]> {
    let points = || {
        curves.iter().flat_map(|curve| {
            let band = |at: usize, y| curve.band.get(at).copied().unwrap_or((y, y));
            curve.points.iter().enumerate().map(move |(at, (x, y))| (*x, band(at, *y)))
        })
    };
    let last = points().map(|(x, _)| x).fold(f64::NEG_INFINITY, f64::max);
    let range = |from: f64| {
        points()
            .filter(|(x, _)| *x >= from)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, band)| (low.min(band.0), high.max(band.1)))
    };
    let (whole, half) = (range(f64::NEG_INFINITY), range(last / 2.0));
    let (whole_height, height) = (whole.1 - whole.0, half.1 - half.0);
    let margin = (0.1 * height).max(0.005 * whole_height);
    (height < 0.5 * whole_height).then_some([half.0 - margin, half.1 + margin])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, ys: &[f64]) -> Curve {
        Curve::predicted(name, ys.iter().enumerate().map(|(x, y)| (x as f64, *y)))
    }

    #[test]
    fn the_second_half_of_risen_curves_is_shown_alone() {
        let curves = [curve("a", &[0.1, 0.9, 0.95, 0.96, 0.97]), curve("b", &[0.1, 0.92, 0.96, 0.965, 0.968])];
        let [low, high] = second_half(&curves).unwrap();
        assert!((0.93..0.95).contains(&low) && (0.97..0.98).contains(&high), "{low}..{high}");
    }

    #[test]
    fn a_curve_that_stays_behind_is_shown_too() {
        assert_eq!(second_half(&[curve("a", &[0.1, 0.9, 0.95, 0.97]), curve("b", &[0.1; 4])]), None);
        assert_eq!(second_half(&[]), None);
        assert_eq!(second_half(&[curve("a", &[0.1])]), None);
        assert_eq!(second_half(&[curve("a", &[0.1, 0.1])]), None);
    }

    #[test]
    fn a_band_is_drawn_where_seeds_differ_and_both_follow_the_legend() {
        let measured = |values: Vec<f64>| {
            Curve::measured(
                "relu",
                rectify_train::judge::curve::arithmetic,
                (0..3).map(|x| (f64::from(x), values.clone())),
            )
        };
        let drawn = traces(&measured(vec![1.0, 2.0]), Style::of(0), Some("relu"));
        assert_eq!(drawn.len(), 2);
        assert!(drawn.iter().all(|trace| trace.to_json().contains("\"legendgroup\":\"relu\"")));
        assert_eq!(traces(&measured(vec![1.0]), Style::of(0), None).len(), 1);
    }

    #[test]
    fn the_text_alternative_says_where_curves_begin_and_end() {
        let theory = curve("a", &[0.1, 0.5, 0.9]);
        let words = ends(&[theory, Curve { name: "empty".to_owned(), ..Curve::default() }], |y| format!("{y:.1}"));
        assert_eq!(words, "a (theory): 0.1 to 0.9.");
        assert_eq!(ends(&[], |y| y.to_string()), "There is nothing to draw.");
    }
}
