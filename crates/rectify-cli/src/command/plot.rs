//! `rectify plot`: activations and their derivatives on the terminal or as a picture.
//!
//! Drawn is what the library computes: f by the layer's forward pass and f′ by its backward pass, both in f64, so a
//! ReLU's gradient rule shows.

mod braille;
mod terminal;

use std::{ffi::OsStr, fs, ops::RangeInclusive, path::Path};

use anyhow::{Context, anyhow, bail, ensure};
use burn::tensor::{DType, Device, Tensor, TensorData};
use maud::html;
use plotly::{
    Scatter, Trace,
    common::{Marker, Mode},
};
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
use rectify_train::activation::Activation;

use self::braille::Points;
pub use self::terminal::{derivatives, text};
use crate::{
    cli::Usage,
    draw::{
        page,
        style::{Dash, Style},
    },
};

/// Steps between the points that are drawn: more than a panel has pixels.
const STEPS: usize = 2000;

/// Steps between two drawn points where a jump is looked for.
const SUBSTEPS: usize = 16;

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
    let render: fn(&[Curve], &Path) -> anyhow::Result<()> = match ending.as_str() {
        "svg" => write_svg,
        "png" => write_png,
        "html" => write_html,
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
    write_whole(path, &format!(".{ending}"), |path| render(&curves, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Lets `write` fill a file beside `path`, then gives it that name.
fn write_whole(path: &Path, ending: &str, write: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".rectify-").suffix(ending);
    // A temporary file is its owner's alone, unlike the picture that it becomes.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder)?.into_temp_path();
    write(&file)?;
    Ok(file.persist(path)?)
}

/// An activation's f and f′, sampled.
struct Curve {
    name: String,
    style: Style,
    /// Pieces of f. Where a value is not finite there is none.
    function: Vec<Points>,
    /// Pieces of f′, apart where it jumps.
    derivative: Vec<Points>,
    /// f′(0), if f′ jumps there.
    at_zero: Option<f64>,
}

impl Curve {
    fn of(activation: &Activation, style: Style, low: f64, high: f64) -> anyhow::Result<Self> {
        let x = samples(low, high);
        let (f, derivative) = evaluate(activation, x.clone())?;
        let points = |y: &[f64]| -> Points { x.iter().copied().zip(y.iter().copied()).step_by(SUBSTEPS).collect() };
        let jumps = jumps(&derivative);
        let derivative = points(&derivative);
        let zero = derivative.iter().position(|(x, _)| *x == 0.0);
        let at_zero = zero.filter(|at| jumps.contains(at) || jumps.contains(&(at + 1))).map(|at| derivative[at].1);
        Ok(Self {
            name: activation.label(),
            style,
            function: pieces(&points(&f), &[]),
            derivative: pieces(&derivative, &jumps),
            at_zero,
        })
    }
}

/// Points from `low` to `high`, every [`SUBSTEPS`]th of which is drawn. 0 is one of those if it is between.
fn samples(low: f64, high: f64) -> Vec<f64> {
    let between = |low: f64, high: f64, t: f64| low * (1.0 - t) + high * t;
    let mut drawn: Vec<f64> = (0..=STEPS).map(|step| between(low, high, step as f64 / STEPS as f64)).collect();
    if let Err(at) = drawn.binary_search_by(|x| x.total_cmp(&0.0))
        && at > 0
        && at <= STEPS
    {
        drawn.insert(at, 0.0);
    }
    let fractions = (0..SUBSTEPS).map(|step| step as f64 / SUBSTEPS as f64);
    let mut samples: Vec<f64> =
        drawn.windows(2).flat_map(|ends| fractions.clone().map(|t| between(ends[0], ends[1], t))).collect();
    samples.extend(drawn.last());
    samples
}

/// f(x) and f′(x) at each x, in f64.
fn evaluate(activation: &Activation, x: Vec<f64>) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let device = Device::flex().autodiff();
    let layer = activation.init((&device, DType::F64));
    let count = x.len();
    let x = Tensor::<1>::from_data(TensorData::new(x, [count]), (&device, DType::F64)).require_grad();
    let y = layer.forward(x.clone());
    let gradients = y.clone().sum().backward();
    let numbers =
        |tensor: Tensor<1>| tensor.into_data().try_to_vec::<f64>().map_err(|error| anyhow!("{activation}: {error}"));
    // Without a gradient for x, f is constant.
    let derivative = x.grad(&gradients).map_or(Ok(vec![0.0; count]), numbers)?;
    Ok((numbers(y)?, derivative))
}

/// The drawn points before which a sampled function jumps: between the two, one substep makes up most of the change,
/// while a smooth function spreads it over all of them.
fn jumps(samples: &[f64]) -> Vec<usize> {
    let finite = samples.iter().filter(|value| value.is_finite());
    let scale = finite.fold(0.0, |scale: f64, value| scale.max(value.abs()));
    let jumps = |from: &usize| {
        let step = &samples[from * SUBSTEPS..=(from + 1) * SUBSTEPS];
        let change = (step[SUBSTEPS] - step[0]).abs();
        let largest = step.windows(2).map(|ends| (ends[1] - ends[0]).abs()).fold(0.0, f64::max);
        // A smaller jump than this could not be seen.
        change > 0.002 * scale && largest > 0.5 * change
    };
    (0..samples.len() / SUBSTEPS).filter(jumps).map(|from| from + 1).collect()
}

/// Cuts a line before each of `cuts` and leaves out what is not finite.
fn pieces(points: &[(f64, f64)], cuts: &[usize]) -> Vec<Points> {
    let mut pieces = vec![Points::new()];
    for (index, point) in points.iter().enumerate() {
        if cuts.contains(&index) || !point.1.is_finite() {
            pieces.push(Points::new());
        }
        if point.1.is_finite() {
            pieces.last_mut().expect("there is always one").push(*point);
        }
    }
    // A point alone is no line: it is the value at a jump.
    pieces.retain(|piece| piece.len() > 1);
    let values = || pieces.iter().flatten().map(|(_, y)| *y);
    let height = values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min);
    // A twentieth of a pixel.
    pieces.iter().map(|piece| simplify(piece, 1e-4 * height)).collect()
}

/// The line without the points that are no further than `tolerance` in y from the straight line between their
/// neighbours: the algorithm of Ramer (1972) and Douglas and Peucker (1973). Corners stay where they are.
fn simplify(points: &[(f64, f64)], tolerance: f64) -> Points {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Points::new() };
    let off = |point: &(f64, f64)| {
        let t = (point.0 - first.0) / (last.0 - first.0);
        (point.1 - (first.1 * (1.0 - t) + last.1 * t)).abs()
    };
    let inner = points.iter().enumerate().skip(1).take(points.len().saturating_sub(2));
    match inner.map(|(index, point)| (index, off(point))).max_by(|(_, a), (_, b)| a.total_cmp(b)) {
        Some((index, distance)) if distance > tolerance => {
            let mut line = simplify(&points[..=index], tolerance);
            line.pop();
            line.extend(simplify(&points[index..], tolerance));
            line
        }
        _ => vec![*first, *last],
    }
}

/// Width and height in pixels.
fn size(curves: &[Curve]) -> (u32, u32) {
    (SIZE.0, SIZE.1 + LEGEND_ROW * curves.len().div_ceil(LEGEND_COLUMNS) as u32)
}

fn write_svg(curves: &[Curve], path: &Path) -> anyhow::Result<()> {
    let (width, height) = size(curves);
    let units = (width * UNITS, height * UNITS);
    let mut svg = String::new();
    draw(SVGBackend::with_string(&mut svg, units), curves)?;
    // The view box keeps the units.
    let in_units = format!("<svg width=\"{}\" height=\"{}\"", units.0, units.1);
    let in_pixels = format!("<svg width=\"{width}\" height=\"{height}\"");
    Ok(fs::write(path, svg.replacen(&in_units, &in_pixels, 1))?)
}

fn write_png(curves: &[Curve], path: &Path) -> anyhow::Result<()> {
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
    let mut png = BitMapBackend::new(path, (width, height));
    png.blit_bitmap((0, 0), (width, height), &pixels)?;
    Ok(png.present()?)
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

fn write_html(curves: &[Curve], path: &Path) -> anyhow::Result<()> {
    let (mut functions, mut derivatives): (Vec<Box<dyn Trace>>, Vec<Box<dyn Trace>>) = (Vec::new(), Vec::new());
    for curve in curves {
        for (traces, pieces) in [(&mut functions, &curve.function), (&mut derivatives, &curve.derivative)] {
            // A point without a value parts two pieces of one line.
            let gap = (None, None);
            let points = pieces.iter().flat_map(|piece| piece.iter().map(|(x, y)| (Some(*x), Some(*y))).chain([gap]));
            let (x, y): (Vec<Option<f64>>, Vec<Option<f64>>) = points.unzip();
            traces.push(
                Scatter::new(x, y)
                    .mode(Mode::Lines)
                    .line(page::line(curve.style))
                    .name(page::plotly_text(&curve.name))
                    .legend_group(&curve.name),
            );
        }
        if let Some(y) = curve.at_zero {
            derivatives.push(
                Scatter::new(vec![0.0], vec![y])
                    .mode(Mode::Markers)
                    .marker(Marker::new().size(9).color(curve.style.css()))
                    .name(page::plotly_text(&curve.name))
                    .legend_group(&curve.name),
            );
        }
    }
    let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
    let legend: Vec<(&str, Style)> = curves.iter().map(|curve| (curve.name.as_str(), curve.style)).collect();
    let panel = |id, title, traces| {
        let figure = page::Figure {
            id,
            title,
            alternative: format!("Of {}.", names.join(", ")),
            traces,
            x: page::axis("x").zero_line(true),
            y: page::axis(title).zero_line(true),
            zoom: None,
            height: 460,
        };
        figure.html()
    };
    let lead = "As computed by the forward and the backward pass. Where f′ jumps at 0, a dot shows its value there.";
    let body = html! {
        div class="grid" { (panel("f", "f(x)", functions)) (panel("derivative", "f′(x)", derivatives)) }
    };
    Ok(fs::write(path, page::page(&names.join(", "), lead, &legend, &body))?)
}

#[cfg(test)]
mod tests;
