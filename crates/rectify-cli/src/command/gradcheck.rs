//! `rectify gradcheck`.

use std::process::ExitCode;

use burn::tensor::{DType, Tensor, TensorData, activation};
use rectify::{
    GradientRule, Surrogate,
    gradcheck::{GradCheck, GradCheckReport, gradcheck_against},
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

/// Away from 0, at 0, near 0, and far out.
const POINTS: [f64; 14] = [-8.0, -3.0, -1.5, -1.0, -0.6, -0.3, -0.1, 0.0, 0.1, 0.3, 0.7, 1.3, 2.5, 6.0];

#[derive(Serialize)]
struct Checked {
    activation: String,
    /// Of a formula: φ′ as it was derived.
    derivative: Option<String>,
    against: &'static str,
    passed: bool,
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
        let data = TensorData::new(POINTS.to_vec(), [POINTS.len()]);
        let x = Tensor::<1>::from_data(data, (&device, dtype));
        let layer = name.init((&device, dtype));
        let (against, reference) = reference(name);
        let report = match reference {
            None => gradcheck_against(|x| layer.forward(x), |x| layer.forward(x), x, &check),
            Some(reference) => gradcheck_against(|x| layer.forward(x), reference, x, &check),
        }?;
        let derivative = name.formula().map(|formula| formula.derivative().to_owned());
        let passed = report.passed();
        all.push(Checked { activation: name.to_string(), derivative, against, passed, report });
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
        let verdict = if c.passed { "passed" } else { "FAILED" };
        let worst = c.report.worst.as_ref().map_or(ABSENT.to_owned(), |worst| fixed(worst.error, 2));
        let disagree = format!("{} of {}", c.report.failures, c.report.elements);
        vec![c.activation.clone(), verdict.to_owned(), disagree, worst, c.against.to_owned()]
    };
    let mut text = table(&COLUMNS, &all.iter().map(row).collect::<Vec<_>>(), width()) + "\n";
    for Checked { activation, derivative, passed, report, .. } in all {
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
        if !passed {
            lines.push(report.to_string());
        }
        if !lines.is_empty() {
            text += &format!("{activation}\n");
            lines.iter().for_each(|line| text += &(indented(line, 2, width()) + "\n"));
        }
    }
    text
}

type Function = fn(Tensor<1>) -> Tensor<1>;

/// The function whose derivative a rule gives, where that is not the forward pass's own.
fn reference(name: &Activation) -> (&'static str, Option<Box<dyn Fn(Tensor<1>) -> Tensor<1>>>) {
    let boxed = |function: Function| -> Option<Box<dyn Fn(Tensor<1>) -> Tensor<1>>> { Some(Box::new(function)) };
    match name.rule() {
        None | Some(GradientRule::Heaviside { .. }) => ("itself", None),
        Some(GradientRule::Leaky { slope }) if name.relu_rule().is_none() => {
            let plain = name.without_rule();
            let steep = if plain.name() == "hard-sigmoid" { 1.0 / 6.0 } else { 1.0 };
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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
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
