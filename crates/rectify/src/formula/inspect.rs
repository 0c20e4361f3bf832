//! What can be said of a formula before it is used: by evaluating it, and by looking at its derivative's graph.

use super::{
    evaluate,
    graph::{Graph, Id, Node, Unary},
    program::Program,
};

/// Where a formula is looked at, in steps that are whole powers of two, so that 0 is met.
const FAR: i32 = 50;
const STEPS: i32 = 64;

/// Whether a derivative depends on x through comparisons and signs only.
pub(super) fn is_piecewise_constant(graph: &Graph, of: Id) -> bool {
    let mut constant = Vec::new();
    for (id, node) in graph.nodes().take_while(|(id, _)| *id <= of) {
        let is = |operand: Id| constant[operand.index()];
        let here = match node {
            Node::X => false,
            Node::Constant(_) | Node::Unary(Unary::Sign, _) => true,
            Node::Unary(_, a) => is(a),
            Node::Binary(function, a, b) => function.compares() || (is(a) && is(b)),
            // The condition, too: a number that is 0 at some x only is one.
            Node::Where(condition, a, b) => is(condition) && is(a) && is(b),
        };
        debug_assert_eq!(id.index(), constant.len());
        constant.push(here);
    }
    constant[of.index()]
}

/// Whether φ is 0 or changes its sign on a grid over −10..10.
pub(super) fn can_be_zero(value: &Program) -> bool {
    let grid: Vec<f64> = (-10 * 256..=10 * 256).map(|i| f64::from(i) / 256.0).collect();
    let f = of(value, &grid);
    f.contains(&0.0) || f.windows(2).any(|pair| pair[0] * pair[1] < 0.0)
}

/// Sentences about what a user may not expect of φ with the given derivative.
pub(super) fn notes(value: &Program, slope: &Program) -> Vec<String> {
    let x: Vec<f64> = (-FAR * STEPS..=FAR * STEPS).map(|i| f64::from(i) / f64::from(STEPS)).collect();
    let (f, df) = (of(value, &x), of(slope, &x));
    let mut notes = Vec::new();
    let infinite = |values: &[f64]| {
        let mut places = x.iter().zip(values).filter(|(_, value)| !value.is_finite());
        places.next().map(|(x, value)| (*x, *value, places.count()))
    };
    let more =
        |more: usize| if more > 0 { format!(", and at {more} more of {} points", x.len()) } else { String::new() };
    let not_finite = infinite(&f);
    if let Some((at, value, others)) = not_finite {
        notes.push(format!("it is {value} at x = {at}{} on -{FAR}..{FAR}", more(others)));
    } else if f.iter().all(|value| *value == f[0]) {
        // 0 of either sign.
        notes.push(format!("it is {} everywhere on -{FAR}..{FAR}: no gradient passes", f[0] + 0.0));
    } else if df.iter().all(|slope| *slope == 0.0) {
        notes.push(format!("its derivative is 0 everywhere on -{FAR}..{FAR}: no gradient passes"));
    }
    // Of no interest where φ itself is not finite.
    let beside: Vec<f64> = f.iter().zip(&df).map(|(f, df)| if f.is_finite() { *df } else { 0.0 }).collect();
    if let Some((at, value, others)) = infinite(&beside) {
        notes.push(format!("its derivative is {value} at x = {at}{} on -{FAR}..{FAR}", more(others)));
    }
    notes.extend(mismatch(value, slope));
    notes
}

/// Where the derivative and differences of φ disagree, away from kinks and jumps.
fn mismatch(value: &Program, slope: &Program) -> Option<String> {
    // A grid that meets no number that people write.
    let points: Vec<f64> = (-80..=80).map(|i| f64::from(i) * 0.1 + 0.012_345_678).collect();
    let slopes = of(slope, &points);
    points.into_iter().zip(slopes).find_map(|(x, slope)| {
        let h = 1e-5 * x.abs().max(1.0);
        let f = of(value, &[x - h, x - h / 2.0, x, x + h / 2.0, x + h]);
        let difference = (f[3] - f[1]) / h;
        let (wide, left, right) = ((f[4] - f[0]) / (2.0 * h), (f[2] - f[1]) / (h / 2.0), (f[3] - f[2]) / (h / 2.0));
        // Differences that have not settled say nothing; nor do those of numbers that are not finite.
        let settled = |other: f64| (other - difference).abs() <= 1e-3 * difference.abs().max(1e-3);
        // Twice the step has four times the error.
        let curvature = (wide - difference).abs();
        let tolerance = curvature + 1e-4 * difference.abs().max(slope.abs()) + 1e-9 * f[2].abs() + 1e-9;
        let disagree = settled(wide) && settled(left) && settled(right) && (difference - slope).abs() > tolerance;
        disagree.then(|| {
            format!("its derivative is {slope} at x = {x}, where differences of the formula itself give {difference}")
        })
    })
}

fn of(program: &Program, x: &[f64]) -> Vec<f64> {
    let mut values = vec![0.0; x.len()];
    evaluate::map(program, x, &mut values);
    values
}
