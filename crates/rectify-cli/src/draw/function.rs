//! f and f′ of activations, as the library computes them: f by the layer's forward pass and f′ by its backward pass, both in
//! f64, so a ReLU's gradient rule shows.

use std::ops::RangeInclusive;

use anyhow::anyhow;
use burn::tensor::{DType, Device, Tensor, TensorData};
use maud::{Markup, html};
use plotly::{
    Scatter, Trace,
    common::{Marker, Mode},
};
use rectify_train::{activation::Activation, judge::number::number};

use crate::draw::{
    page,
    style::{Dash, Style},
};

/// More functions than this have a figure each.
const MOST_TOGETHER: usize = 8;

/// Steps between the points that are drawn: more than a panel has pixels.
const STEPS: usize = 2000;

/// Steps between two drawn points where a jump is looked for.
const SUBSTEPS: usize = 16;

pub type Points = Vec<(f64, f64)>;

/// An activation's f and f′, sampled.
pub struct Curve {
    pub name: String,
    pub style: Style,
    /// Pieces of f. Where a value is not finite there is none.
    pub function: Vec<Points>,
    /// Pieces of f′, apart where it jumps.
    pub derivative: Vec<Points>,
    /// f′(0), if f′ jumps there.
    pub at_zero: Option<f64>,
}

impl Curve {
    pub fn of(activation: &Activation, style: Style, low: f64, high: f64) -> anyhow::Result<Self> {
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

/// f and f′ of activations over `range` as figures of a page, in the order of its legend.
///
/// # Errors
///
/// Where a function cannot be computed.
pub fn figures(activations: &[Activation], range: RangeInclusive<f64>) -> anyhow::Result<Markup> {
    let curve = |(index, activation)| Curve::of(activation, Style::of(index), *range.start(), *range.end());
    Ok(panels(&activations.iter().enumerate().map(curve).collect::<anyhow::Result<Vec<_>>>()?))
}

/// The same of functions that are already sampled.
pub fn panels(curves: &[Curve]) -> Markup {
    if curves.len() > MOST_TOGETHER {
        return small_multiples(curves);
    }
    let functions = curves.iter().map(|curve| line(curve, &curve.function, curve.style, &curve.name));
    let derivatives = curves.iter().flat_map(|curve| {
        let line = line(curve, &curve.derivative, curve.style, &curve.name);
        std::iter::once(line).chain(at_zero(curve, &curve.name))
    });
    let all = |of: fn(&Curve) -> &Vec<Points>| -> String {
        let words = |curve: &Curve| Some(format!("{}: {}", curve.name, words(of(curve))?));
        curves.iter().filter_map(words).collect::<Vec<_>>().join("; ") + "."
    };
    let panel = |id, title, traces, alternative| {
        let figure = page::Figure {
            id,
            title,
            alternative,
            traces,
            x: page::axis("x").zero_line(true),
            y: page::axis(title).zero_line(true),
            zoom: None,
            height: 400,
        };
        figure.html()
    };
    html! { div class="grid" { (panel("f", "f(x)", functions.collect(), all(|curve| &curve.function)))
    (panel("derivative", "f′(x)", derivatives.collect(), all(|curve| &curve.derivative))) } }
}

/// A figure for each activation, with both of its lines.
fn small_multiples(curves: &[Curve]) -> Markup {
    let values = || curves.iter().flat_map(|curve| curve.function.iter().chain(&curve.derivative)).flatten();
    let low = values().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
    let high = values().map(|(_, y)| *y).fold(f64::NEG_INFINITY, f64::max);
    let margin = 0.05 * (high - low);
    let figure = |(place, curve): (usize, &Curve)| {
        let style = |dash| Style { dash, ..curve.style };
        let lines = [
            line(curve, &curve.function, style(Dash::Solid), "f(x)"),
            line(curve, &curve.derivative, style(Dash::Dashed), "f′(x)"),
        ];
        let [function, derivative] = [&curve.function, &curve.derivative].map(|pieces| words(pieces));
        let figure = page::Figure {
            id: &format!("f-{place}"),
            title: &curve.name,
            alternative: format!("f: {}; f′: {}.", function.unwrap_or_default(), derivative.unwrap_or_default()),
            traces: lines.into_iter().chain(at_zero(curve, "f′(0)")).collect(),
            x: page::axis("x").zero_line(true),
            y: page::axis("").zero_line(true).range(vec![low - margin, high + margin]),
            zoom: None,
            height: 220,
        };
        figure.html()
    };
    html! {
        p class="note" { "A figure for each activation, all with the same axes: f in full, f′ in dashes." }
        div class="grid three" {
            @for each in curves.iter().enumerate() { div data-activation=(each.1.name) { (figure(each)) } }
        }
    }
}

fn line(curve: &Curve, pieces: &[Points], style: Style, name: &str) -> Box<dyn Trace> {
    // A point without a value parts two pieces of one line.
    let gap = (None, None);
    let points = pieces.iter().flat_map(|piece| piece.iter().map(|(x, y)| (Some(*x), Some(*y))).chain([gap]));
    let (x, y): (Vec<Option<f64>>, Vec<Option<f64>>) = points.unzip();
    Scatter::new(x, y).mode(Mode::Lines).line(page::line(style)).name(page::plotly_text(name)).legend_group(&curve.name)
}

/// The value of a derivative that jumps at 0.
fn at_zero(curve: &Curve, name: &str) -> Option<Box<dyn Trace>> {
    let point = Scatter::new(vec![0.0], vec![curve.at_zero?])
        .mode(Mode::Markers)
        .marker(Marker::new().size(9).color(curve.style.css()))
        .name(page::plotly_text(name))
        .legend_group(&curve.name);
    Some(point)
}

/// Where a line begins and ends, for those who do not see it.
fn words(pieces: &[Points]) -> Option<String> {
    let ((left, low), (right, high)) = (pieces.first()?.first()?, pieces.last()?.last()?);
    let [left, low, right, high] = [left, low, right, high].map(|value| number(*value));
    Some(format!("{low} at {left}, {high} at {right}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str) -> Curve {
        Curve::of(&name.parse().unwrap(), Style::of(0), -5.0, 10.0).unwrap()
    }

    #[test]
    fn relu_is_drawn_as_a_hinge_whose_derivative_jumps_at_zero() {
        let relu = curve("relu");
        let [line] = &relu.function[..] else { panic!("f has {} pieces", relu.function.len()) };
        assert!(line.iter().all(|(x, y)| *y == x.max(0.0)));
        assert!(line.contains(&(0.0, 0.0)));
        assert_eq!((line[0], line[line.len() - 1]), ((-5.0, 0.0), (10.0, 10.0)));
        let [left, right] = &relu.derivative[..] else { panic!("f′ has {} pieces", relu.derivative.len()) };
        assert!(left.iter().all(|(x, y)| *x <= 0.0 && *y == 0.0));
        assert!(right.iter().all(|(x, y)| *x > 0.0 && *y == 1.0));
        assert_eq!(relu.at_zero, Some(0.0));
    }

    #[test]
    fn many_functions_have_a_figure_each() {
        let of = |count: usize| panels(&vec!["relu"; count].into_iter().map(curve).collect::<Vec<_>>()).into_string();
        assert_eq!(of(8).matches("<figure>").count(), 2);
        let many = of(9);
        assert_eq!(many.matches("<figure>").count(), 9);
        assert!(many.contains("relu. f: 0 at -5.00, 10.0 at 10.0; f′: 0 at -5.00, 1.00 at 10.0."), "{many}");
    }

    #[test]
    fn a_gradient_rule_shows_in_the_derivative() {
        assert_eq!(curve("relu:heaviside=0.5").at_zero, Some(0.5));
        assert_eq!(curve("relu:heaviside=1").at_zero, Some(1.0));
        let leaky = curve("relu:leaky=0.2");
        assert_eq!(leaky.derivative[0][0].1, 0.2);
        assert_eq!(leaky.function[0][0].1, 0.0);
        let bsilu = curve("relu:bsilu");
        assert_eq!((bsilu.derivative.len(), bsilu.at_zero), (1, None));
    }

    #[test]
    fn smooth_derivatives_are_one_line_and_kinked_ones_break_where_they_jump() {
        let jumps = [
            ("none", 0),
            ("leaky-relu", 1),
            ("prelu", 1),
            ("relu6", 2),
            ("elu", 0),
            ("elu:2", 1),
            ("celu", 0),
            ("selu", 1),
            ("gelu", 0),
            ("gelu-tanh", 0),
            ("silu", 0),
            ("mish", 0),
            ("softplus", 0),
            ("softplus:50", 0),
            ("softsign", 0),
            ("sigmoid", 0),
            ("tanh", 0),
            ("hard-sigmoid", 2),
            ("hard-tanh", 2),
            ("hard-swish", 2),
        ];
        for (name, jumps) in jumps {
            let curve = curve(name);
            assert_eq!(curve.derivative.len(), jumps + 1, "{name}");
            assert_eq!(curve.function.len(), 1, "{name}");
        }
    }

    #[test]
    fn the_derivative_is_the_mathematical_one() {
        let slope = |name: &str, truth: fn(f64) -> f64| {
            for (x, y) in curve(name).derivative.iter().flatten().filter(|(x, _)| *x != 0.0) {
                assert!((y - truth(*x)).abs() < 1e-12, "{name}'({x}) is {}, not {y}", truth(*x));
            }
        };
        slope("tanh", |x| 1.0 - x.tanh().powi(2));
        slope("sigmoid", |x| (1.0 / (1.0 + (-x).exp())) * (1.0 - 1.0 / (1.0 + (-x).exp())));
        slope("prelu", |x| if x > 0.0 { 1.0 } else { 0.25 });
    }
}
