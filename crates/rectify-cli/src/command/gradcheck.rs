//! `rectify gradcheck`.

use std::process::ExitCode;

use anyhow::Context;
use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use rectify::{
    GradientRule, Surrogate,
    gradcheck::{GradCheck, GradCheckError, GradCheckReport, gradcheck_against},
};
use rectify_train::{
    activation::Activation,
    backend,
    judge::number::{ABSENT, fixed, number},
};
use serde::Serialize;

use crate::{
    cli::{Activations, Format, GradcheckArgs},
    print,
    report::terminal::{Column, Kind, indented, table, width},
};

/// Away from 0, at 0, near 0, and far out. To these come the places where a function bends or jumps.
const POINTS: [f64; 14] = [-8.0, -3.0, -1.5, -1.0, -0.6, -0.3, -0.1, 0.0, 0.1, 0.3, 0.7, 1.3, 2.5, 6.0];

#[derive(Serialize)]
struct Checked {
    activation: String,
    /// Of a formula: φ′ as it was derived.
    derivative: Option<String>,
    against: &'static str,
    passed: bool,
    /// Points that were left out, as the function is not finite there or a step away.
    not_finite: Vec<f64>,
    report: GradCheckReport,
}

/// Checks activations' gradients against central differences; exit code 1 if one is wrong.
pub fn gradcheck(args: &GradcheckArgs) -> anyhow::Result<ExitCode> {
    let device = backend::open(&args.backend)?;
    backend::supports(&device, args.dtype)?;
    let dtype: DType = args.dtype.into();
    let check = GradCheck { step: args.step, relative: args.tolerance, absolute: args.tolerance };
    let mut all = Vec::new();
    for name in Activations::all(&args.activations) {
        let layer = name.init((&device, dtype));
        let (against, reference) = reference(name);
        let (mut points, mut not_finite) = ([&POINTS[..], &bends(name)].concat(), Vec::new());
        let report = loop {
            let x = Tensor::<1>::from_data(TensorData::new(points.clone(), [points.len()]), (&device, dtype));
            let found = match &reference {
                None => gradcheck_against(|x| layer.forward(x), |x| layer.forward(x), x, &check),
                Some(reference) => gradcheck_against(|x| layer.forward(x), reference, x, &check),
            };
            match found {
                Err(GradCheckError::NotFinite { index, .. }) if points.len() > 1 => {
                    not_finite.push(points.remove(index[0]));
                }
                found => break found.with_context(|| format!("activation `{name}`"))?,
            }
        };
        not_finite.sort_by(f64::total_cmp);
        let derivative = name.formula().map(|formula| formula.derivative().to_owned());
        let passed = report.passed();
        all.push(Checked { activation: name.to_string(), derivative, against, passed, not_finite, report });
    }
    let code = if all.iter().all(|checked| checked.passed) { 0 } else { 1 };
    match args.output.format {
        Format::Json => print(serde_json::to_string_pretty(&all)? + "\n")?,
        Format::Text => print(text(&all))?,
    };
    Ok(ExitCode::from(code))
}

const COLUMNS: [Column; 5] = [
    Column { header: "activation", kind: Kind::Name, rank: 0 },
    Column { header: "gradient", kind: Kind::Words, rank: 1 },
    Column { header: "disagree", kind: Kind::Number, rank: 3 },
    Column { header: "largest error of tolerance", kind: Kind::Number, rank: 2 },
    Column { header: "held against", kind: Kind::Words, rank: 4 },
];

/// The table, what was derived and chosen, and all of what is wrong.
fn text(all: &[Checked]) -> String {
    let row = |c: &Checked| {
        let verdict = match (c.passed, c.report.is_resolved()) {
            (true, _) => "passed",
            (false, true) => "FAILED",
            (false, false) => "not resolved",
        };
        let worst = c.report.worst.as_ref().map_or(ABSENT.to_owned(), |worst| fixed(worst.error, 2));
        let disagree = format!("{} of {}", c.report.failures, c.report.elements);
        vec![c.activation.clone(), verdict.to_owned(), disagree, worst, c.against.to_owned()]
    };
    let mut text = table(&COLUMNS, &all.iter().map(row).collect::<Vec<_>>(), width()) + "\n";
    for Checked { activation, derivative, passed, not_finite, report, .. } in all {
        let mut lines = Vec::new();
        lines.extend(derivative.as_ref().map(|derivative| format!("φ′ = {derivative}")));
        lines.extend(report.kinks.iter().map(|at| {
            let [left, right, chosen] = [at.left, at.right, at.chosen].map(number);
            format!("kink at x = {}: slope {left} to the left, {right} to the right, chosen {chosen}", number(at.x))
        }));
        lines.extend(report.jumps.iter().map(|at| {
            let [height, left, right, chosen] = [at.height, at.left, at.right, at.chosen].map(number);
            format!(
                "jump at x = {} by {height}: slope {left} to the left, {right} to the right, chosen {chosen}",
                number(at.x)
            )
        }));
        if !not_finite.is_empty() {
            let places: Vec<String> = not_finite.iter().map(|x| number(*x)).collect();
            lines.push(format!("not finite at or near x = {}, which are left out", places.join(", ")));
        }
        match (passed, report.unresolved) {
            (false, _) => lines.push(report.to_string()),
            (true, 0) => (),
            (true, hidden) => lines.push(format!(
                "at {hidden} of {} points rounding of its large values hides the gradient; `--dtype f64` or a larger `--step` \
                 may show it",
                report.elements
            )),
        }
        if !lines.is_empty() {
            text += &format!("{activation}\n");
            lines.iter().for_each(|line| text += &(indented(line, 2, width()) + "\n"));
        }
    }
    text
}

/// φ and φ′ of each, in f64.
fn values_and_slopes(activation: &Activation, x: &[f64]) -> Vec<[f64; 2]> {
    let options = (&Device::flex().autodiff(), DType::F64);
    let x = Tensor::<1>::from_data(TensorData::new(x.to_vec(), [x.len()]), options).require_grad();
    let y = activation.init(options).forward(x.clone());
    let slopes = x.grad(&y.clone().sum().backward()).unwrap_or_else(|| x.zeros_like().without_autodiff());
    y.into_data().iter().zip(slopes.into_data().iter()).map(|(y, slope)| [y, slope]).collect()
}

/// Where the function bends or jumps between −10 and 10, but for the points there are: where φ or φ′ in f64 changes over an
/// interval however often that is halved.
fn bends(name: &Activation) -> Vec<f64> {
    const STEPS: i32 = 2000;
    const HALVINGS: usize = 36;
    const MOST: usize = 12;
    let change = |a: &[f64; 2], b: &[f64; 2]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs();
    let mut left: Vec<f64> = (0..STEPS).map(|i| f64::from(i - STEPS / 2) / f64::from(STEPS / 20)).collect();
    let mut right: Vec<f64> = (1..=STEPS).map(|i| f64::from(i - STEPS / 2) / f64::from(STEPS / 20)).collect();
    let [mut at_left, mut at_right] = [&left, &right].map(|x| values_and_slopes(name, x));
    for _ in 0..HALVINGS {
        let middle: Vec<f64> = left.iter().zip(&right).map(|(left, right)| f64::midpoint(*left, *right)).collect();
        for (i, at) in values_and_slopes(name, &middle).into_iter().enumerate() {
            if change(&at_left[i], &at) > change(&at, &at_right[i]) {
                (right[i], at_right[i]) = (middle[i], at);
            } else {
                (left[i], at_left[i]) = (middle[i], at);
            }
        }
    }
    let mut found: Vec<f64> = Vec::new();
    for i in 0..left.len() {
        let size = at_left[i].iter().chain(&at_right[i]).fold(1.0, |size: f64, value| size.max(value.abs()));
        // The number that a person would write.
        let place = (right[i] * 1e9).round() / 1e9;
        let is_new = POINTS.iter().chain(&found).all(|point| (point - place).abs() > 1e-6);
        // Not where it is infinite or NaN.
        if is_new && change(&at_left[i], &at_right[i]) > 1e-5 * size && size.is_finite() {
            found.push(place);
        }
    }
    found.truncate(MOST);
    found
}

type Function = fn(Tensor<1>) -> Tensor<1>;

/// The function whose derivative a rule gives, where that is not the forward pass's own.
fn reference(name: &Activation) -> (&'static str, Option<Box<dyn Fn(Tensor<1>) -> Tensor<1>>>) {
    let boxed = |function: Function| -> Option<Box<dyn Fn(Tensor<1>) -> Tensor<1>>> { Some(Box::new(function)) };
    match name.rule() {
        None | Some(GradientRule::Heaviside { .. }) => ("itself", None),
        Some(GradientRule::Leaky { slope }) if name.relu_rule().is_none() => {
            let plain = name.without_rule();
            let steep = steepest(&plain);
            let tilted = move |x: Tensor<1>| {
                let y = plain.init(&x.device()).forward(x.clone());
                // x less what the steep pieces rise by is what rises where it is flat.
                (x - y.clone() / steep) * slope + y
            };
            ("itself with its flat pieces tilted", Some(Box::new(tilted)))
        }
        Some(GradientRule::Leaky { slope }) => {
            ("leaky ReLU", Some(Box::new(move |x| activation::leaky_relu(x, slope))))
        }
        Some(GradientRule::Surrogate(Surrogate::BSilu)) => {
            ("B-SiLU", boxed(|x| (x.clone() + 1.67) * activation::sigmoid(x) - 1.67 / 2.0))
        }
        Some(GradientRule::Surrogate(Surrogate::NeLu { alpha })) => (
            "NeLU",
            Some(Box::new(move |x| {
                let below = (x.clone().square() + 1.0).recip() * -alpha;
                below.mask_where(x.clone().greater_elem(0.0), x)
            })),
        ),
        // The incoming gradients of the check are positive, and for those guided is ReLU's own and deconv passes all.
        Some(GradientRule::Guided) => ("itself, for positive gradients", None),
        Some(GradientRule::Deconv) => ("the identity, for positive gradients", boxed(|x| x)),
    }
}

/// The slope of a function's pieces that are not flat; 1 where none of them meets the points, so that it does not matter.
fn steepest(function: &Activation) -> f64 {
    let steepest =
        values_and_slopes(function, &POINTS).into_iter().fold(0.0, |steepest: f64, [_, slope]| steepest.max(slope));
    if steepest > 0.0 { steepest } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use rectify_train::activation::NAMES;

    use super::*;

    /// Every activation, and where there is a parameter many.
    fn activations() -> Vec<String> {
        let parameters = [
            ("relu:heaviside=", &[0.0, 0.3, 0.5, 1.0][..]),
            ("relu:leaky=", &[-1.0, 0.0, 0.01, 0.3, 1.0, 2.0]),
            ("relu:nelu=", &[1e-3, 0.01, 0.1, 1.0]),
            ("leaky-relu:", &[-1.0, 0.0, 0.01, 0.3, 2.0]),
            ("prelu:", &[-1.0, 0.01, 0.25, 2.0]),
            ("rrelu:0.1:", &[0.1, 0.7]),
            ("elu:", &[0.01, 0.1, 0.5, 1.0, 3.0]),
            ("celu:", &[0.01, 0.05, 0.1, 0.5, 1.0, 3.0]),
            ("silu:", &[0.1, 1.0, 2.0, 10.0]),
            ("softplus:", &[0.1, 1.0, 5.0, 20.0, 100.0]),
            ("relu6:leaky=", &[-1.0, 0.1, 1.0, 2.0]),
            ("hard-tanh:leaky=", &[0.1, 1.0]),
            ("hard-sigmoid:leaky=", &[0.1, 1.0]),
            ("soft-shrink:leaky=", &[0.1, 1.0]),
            ("hard-shrink:leaky=", &[0.1, 1.0]),
            ("threshold:leaky=", &[0.1, 1.0]),
            ("hard-tanh:heaviside=", &[0.0, 0.3, 1.0]),
            ("leaky-relu:0.2:heaviside=", &[0.0, 0.5, 1.0]),
        ];
        let with_parameter =
            parameters.iter().flat_map(|(name, values)| values.iter().map(move |value| format!("{name}{value}")));
        let rules =
            ["relu:bsilu", "relu:guided", "relu:deconv", "relu6:guided", "hard-shrink:0.25:deconv"].map(String::from);
        NAMES.iter().map(|name| (*name).to_owned()).chain(rules).chain(with_parameter).collect()
    }

    /// The points of the command, those at and beside where a function may bend, and a grid that meets none.
    fn points(dtype: DType) -> Vec<f64> {
        let bends = [-3.0, -2.5, -1.0, 0.0, 1.0, 2.5, 3.0, 6.0];
        // A thousandth from a bend only f64 resolves: at outputs of 6, f32 rounds a difference over so little by as much.
        let beside = if dtype == DType::F64 { &[1e-5, 1e-3, 0.1][..] } else { &[1e-5, 0.1] };
        let beside = bends.iter().flat_map(|x| beside.iter().flat_map(move |by| [x - by, x + by]));
        let grid = (0..40).map(|i| f64::from(i) * 0.31 - 6.13);
        POINTS.into_iter().chain(bends).chain(beside).chain(grid).collect()
    }

    /// The check with a gradient that is off everywhere by so much of itself, or of 1 where it is smaller.
    fn check(name: &str, dtype: DType, off: f64) -> GradCheckReport {
        let (name, device) = (name.parse::<Activation>().expect("a known activation"), Device::flex());
        let layer = name.init((&device, dtype));
        let points = points(dtype);
        let data = TensorData::new(points.clone(), [points.len()]);
        let x = Tensor::<1>::from_data(data, (&device, dtype));
        let leaf = x.clone().autodiff().require_grad();
        let gradients = layer.forward(leaf.clone()).sum().backward();
        let off = leaf.grad(&gradients).expect("the input is tracked").abs().clamp_min(1.0) * off;
        let f = |x: Tensor<1>| {
            let more = x.clone() * off.clone().autodiff();
            layer.forward(x) + more.clone() - more.detach()
        };
        let report = match reference(&name).1 {
            None => gradcheck_against(f, |x| layer.forward(x), x, &GradCheck::default()),
            Some(reference) => gradcheck_against(f, reference, x, &GradCheck::default()),
        };
        report.expect("the gradient can be checked")
    }

    #[test]
    fn every_activation_passes_in_every_type_and_a_gradient_that_is_off_is_caught_at_every_point() {
        let mut faults = Vec::new();
        // What a type can resolve.
        for (dtype, off) in [(DType::F64, 1e-3), (DType::F32, 1e-3), (DType::F16, 0.5), (DType::BF16, 1.5)] {
            let wide = matches!(dtype, DType::F64 | DType::F32);
            // At 0 this is 7, of which half types hold three digits, and its differences one.
            for name in activations().into_iter().filter(|name| wide || name != "softplus:0.1") {
                let right = check(&name, dtype, 0.0);
                if !right.passed() {
                    faults.push(format!("{name} in {dtype:?}: {right}"));
                }
                for off in [off, -off] {
                    let wrong = check(&name, dtype, off);
                    if wrong.failures != wrong.elements - wrong.kinks.len() - wrong.jumps.len() {
                        faults.push(format!("{name} in {dtype:?}, off by {off}, is not caught everywhere: {wrong}"));
                    }
                    // At a kink, what is off to the inside of the two slopes, or onto the other one, is no less a
                    // subgradient. Half types tell the slopes themselves no better.
                    for kink in wrong.kinks.iter().filter(|kink| wide && kink.subgradient) {
                        let (low, high) = (kink.left.min(kink.right), kink.left.max(kink.right));
                        if kink.chosen < low - 5e-4 || kink.chosen > high + 5e-4 {
                            faults.push(format!("{name} in {dtype:?}, off by {off}: {kink:?}"));
                        }
                    }
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
