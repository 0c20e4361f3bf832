//! `rectify plot`: activations and their derivatives on the terminal or as a picture.
//!
//! What is drawn is sampled in [`function`](crate::draw::function).

mod braille;
mod terminal;

use std::{ffi::OsStr, io::Cursor, ops::RangeInclusive, path::Path};

use anyhow::{Context, anyhow, bail, ensure};
use image::{ImageFormat, RgbImage};
use plotters::{
    chart::ChartBuilder,
    coord::Shift,
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, DashedPathElement, DynElement, IntoDynElement, PathElement, Text},
    prelude::{BitMapBackend, DrawingBackend, SVGBackend},
    style::{
        BLACK, Color, FontStyle, IntoTextStyle, RGBColor, TRANSPARENT, WHITE, register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};
use rectify_train::{activation::Activation, store};

pub use self::terminal::{derivatives, text};
use crate::{
    cli::Usage,
    draw::{
        function::{Curve, Points, panels},
        page,
        style::{Dash, Style},
    },
};

/// Width of a picture and height of its panels, in pixels.
const SIZE: (u32, u32) = (1200, 500);

/// Drawing units a pixel. The drawing library rounds to whole units, which shows as steps in a line if a unit is a
/// pixel.
const UNITS: u32 = 4;

/// Activations in a row of the legend.
const LEGEND_COLUMNS: usize = 6;

/// Height of a row of the legend, in pixels.
const LEGEND_ROW: u32 = 28;

/// Writes a picture of f (left) and f′ (right) over `range`, as SVG, PNG or HTML by the ending of `path`.
///
/// A jump of f′ is a gap in its line, and a dot shows the value at 0 if it jumps there. The file appears whole or not
/// at all.
///
/// # Errors
///
/// An ending other than these, a range that is empty or not finite, no activation, and whatever stops the file from
/// being written.
pub fn plot(activations: &[Activation], range: RangeInclusive<f64>, path: &Path) -> anyhow::Result<()> {
    let (low, high) = (*range.start(), *range.end());
    ensure!(low.is_finite() && high.is_finite(), "the range must have finite ends, got {low}..{high}");
    ensure!(low < high, "the range must go up, got {low}..{high}");
    ensure!(!activations.is_empty(), "name at least one activation to plot");
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_lowercase();
    let render: fn(&[Curve]) -> anyhow::Result<Vec<u8>> = match ending.as_str() {
        "svg" => svg,
        "png" => png,
        "html" => html,
        _ => bail!(Usage(format!(
            "--out {}: the file's ending picks the picture's format; it must be .svg, .png or .html",
            path.display()
        ))),
    };
    let curves = activations
        .iter()
        .enumerate()
        .map(|(index, activation)| Curve::of(activation, Style::of(index), low, high))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(store::write(path, &render(&curves)?)?)
}

/// Width and height in pixels.
fn size(curves: &[Curve]) -> (u32, u32) {
    (SIZE.0, SIZE.1 + LEGEND_ROW * curves.len().div_ceil(LEGEND_COLUMNS) as u32)
}

fn svg(curves: &[Curve]) -> anyhow::Result<Vec<u8>> {
    let (width, height) = size(curves);
    let units = (width * UNITS, height * UNITS);
    let mut svg = String::new();
    draw(SVGBackend::with_string(&mut svg, units), curves)?;
    // The view box keeps the units.
    let in_units = format!("<svg width=\"{}\" height=\"{}\"", units.0, units.1);
    let in_pixels = format!("<svg width=\"{width}\" height=\"{height}\"");
    Ok(svg.replacen(&in_units, &in_pixels, 1).into_bytes())
}

fn png(curves: &[Curve]) -> anyhow::Result<Vec<u8>> {
    let (width, height) = size(curves);
    let mut units = vec![0; 3 * (width * UNITS * height * UNITS) as usize];
    draw(BitMapBackend::with_buffer(&mut units, (width * UNITS, height * UNITS)), curves)?;
    // Each pixel is the mean of its square of units, which smooths the lines.
    let channel = |x: u32, y: u32, channel: u32| {
        let square = (0..UNITS * UNITS).map(|at| (x * UNITS + at % UNITS, y * UNITS + at / UNITS));
        let sum: u32 = square.map(|(x, y)| u32::from(units[(3 * (y * width * UNITS + x) + channel) as usize])).sum();
        (sum / (UNITS * UNITS)) as u8
    };
    let pixels: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |rgb| (x, y, rgb))))
        .map(|(x, y, rgb)| channel(x, y, rgb))
        .collect();
    let pixels = RgbImage::from_raw(width, height, pixels).context("three numbers make a pixel")?;
    let mut png = Cursor::new(Vec::new());
    pixels.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

const FONT: &str = "sans-serif";

fn draw<B: DrawingBackend>(backend: B, curves: &[Curve]) -> anyhow::Result<()> {
    // The picture must not depend on the machine's fonts.
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| anyhow!("the built-in font is damaged"))?;
    draw_panels(backend.into_drawing_area(), curves).map_err(|error| anyhow!("{error}"))
}

type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

fn draw_panels<B: DrawingBackend>(area: DrawingArea<B, Shift>, curves: &[Curve]) -> Drawn<B> {
    area.fill(&WHITE)?;
    let (panels, legend) = area.split_vertically(SIZE.1 * UNITS);
    let panels = panels.split_evenly((1, 2));
    draw_panel(&panels[0], "f(x)", curves, |curve| (&curve.function, None))?;
    draw_panel(&panels[1], "f'(x)", curves, |curve| (&curve.derivative, curve.at_zero))?;
    for (index, curve) in curves.iter().enumerate() {
        let place = |count: usize, size: u32| count as i32 * (size * UNITS) as i32;
        let x = place(index % LEGEND_COLUMNS, SIZE.0 / LEGEND_COLUMNS as u32) + place(1, 20);
        let y = place(index / LEGEND_COLUMNS, LEGEND_ROW) + place(1, LEGEND_ROW / 2);
        legend.draw(&stroke(vec![(x, y), (x + place(1, 30), y)], curve.style))?;
        let middle = Pos::new(HPos::Left, VPos::Center);
        let font = (FONT, 16 * UNITS).into_text_style(&legend).pos(middle);
        legend.draw(&Text::new(curve.name.as_str(), (x + place(1, 38), y), font))?;
    }
    area.present()
}

/// A line through points in an activation's style.
fn stroke<B: DrawingBackend, C: Clone + 'static>(points: Vec<C>, style: Style) -> DynElement<'static, B, C> {
    let [r, g, b] = style.rgb;
    let stroke = RGBColor(r, g, b).stroke_width(5 * UNITS / 2);
    let dashed = |dash, gap| DashedPathElement::new(points.clone(), dash * UNITS, gap * UNITS, stroke);
    match style.dash {
        Dash::Solid => PathElement::new(points, stroke).into_dyn(),
        Dash::Dashed => dashed(10, 5).into_dyn(),
        Dash::Dotted => dashed(2, 4).into_dyn(),
    }
}

fn draw_panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    curves: &[Curve],
    of: impl Fn(&Curve) -> (&Vec<Points>, Option<f64>),
) -> Drawn<B> {
    let span = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let points = || curves.iter().flat_map(|curve| of(curve).0).flatten();
    let dots = curves.iter().filter_map(|curve| of(curve).1);
    let (left, right) = span(&mut points().map(|(x, _)| *x));
    let (bottom, top) = span(&mut points().map(|(_, y)| *y).chain(dots));
    let (left, right) = if left < right { (left, right) } else { (-1.0, 1.0) };
    let margin = if bottom < top { 0.05 * (top - bottom) } else { 0.5 };
    let (bottom, top) = if bottom <= top { (bottom - margin, top + margin) } else { (-1.0, 1.0) };

    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 24 * UNITS))
        .margin(14 * UNITS)
        .margin_right(24 * UNITS)
        .x_label_area_size(46 * UNITS)
        .y_label_area_size(64 * UNITS)
        .build_cartesian_2d(left..right, bottom..top)?;
    chart
        .configure_mesh()
        .x_desc("x")
        .y_desc(title)
        .set_all_tick_mark_size(5 * UNITS)
        .label_style((FONT, 16 * UNITS))
        .axis_desc_style((FONT, 18 * UNITS))
        .axis_style(BLACK.stroke_width(UNITS))
        .bold_line_style(RGBColor(225, 225, 225).stroke_width(UNITS))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let axes = [((left, 0.0), (right, 0.0)), ((0.0, bottom), (0.0, top))];
    let inside = |(x, y): (f64, f64)| (left..=right).contains(&x) && (bottom..=top).contains(&y);
    let axes = axes.into_iter().filter(|(from, to)| inside(*from) && inside(*to));
    chart.draw_series(axes.map(|(from, to)| PathElement::new([from, to], BLACK.mix(0.6).stroke_width(UNITS))))?;
    for curve in curves {
        let (pieces, dot) = of(curve);
        chart.draw_series(pieces.iter().map(|piece| stroke(piece.clone(), curve.style)))?;
        let [r, g, b] = curve.style.rgb;
        chart.draw_series(dot.map(|y| Circle::new((0.0, y), 5 * UNITS, RGBColor(r, g, b).filled())))?;
    }
    Ok(())
}

fn html(curves: &[Curve]) -> anyhow::Result<Vec<u8>> {
    let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
    let legend: Vec<(&str, Style)> = curves.iter().map(|curve| (curve.name.as_str(), curve.style)).collect();
    let lead = "As computed by the forward and the backward pass. Where f′ jumps at 0, a dot shows its value there.";
    Ok(page::page(&names.join(", "), lead, &legend, &panels(curves)).into_bytes())
}

#[cfg(test)]
mod tests;
