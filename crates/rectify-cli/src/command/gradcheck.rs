//! `rectify gradcheck`.

use std::process::ExitCode;

use burn::tensor::{DType, Tensor, TensorData, activation};
use rectify::{
    GradientRule, Surrogate,
    gradcheck::{GradCheck, GradCheckReport, gradcheck_against},
};
use rectify_train::{activation::Activation, backend};
use serde::Serialize;

use crate::{
    cli::{Activations, Format, GradcheckArgs},
    print,
};

/// Away from 0, at 0, near 0, and far out.
const POINTS: [f64; 14] = [-8.0, -3.0, -1.5, -1.0, -0.6, -0.3, -0.1, 0.0, 0.1, 0.3, 0.7, 1.3, 2.5, 6.0];

#[derive(Serialize)]
struct Checked {
    activation: String,
    against: &'static str,
    passed: bool,
    report: GradCheckReport,
}

/// Checks activations' gradients against central differences; exit code 1 if one is wrong.
pub fn gradcheck(args: &GradcheckArgs) -> anyhow::Result<ExitCode> {
    let device = backend::open(&args.backend)?;
    backend::supports(&device, args.dtype)?;
    let dtype: DType = args.dtype.into();
    let mut all = Vec::new();
    for name in Activations::all(&args.activations) {
        let data = TensorData::new(POINTS.to_vec(), [POINTS.len()]);
        let x = Tensor::<1>::from_data(data, (&device, dtype));
        let layer = name.init((&device, dtype));
        let (against, reference) = reference(name);
        let report = match reference {
            None => gradcheck_against(|x| layer.forward(x), |x| layer.forward(x), x, &GradCheck::default()),
            Some(reference) => gradcheck_against(|x| layer.forward(x), reference, x, &GradCheck::default()),
        }?;
        all.push(Checked { activation: name.to_string(), against, passed: report.passed(), report });
    }
    let code = if all.iter().all(|checked| checked.passed) { 0 } else { 1 };
    match args.output.format {
        Format::Json => print(serde_json::to_string_pretty(&all)? + "\n")?,
        Format::Text => print(
            all.iter().map(|c| format!("{} (against {}): {}\n", c.activation, c.against, c.report)).collect::<String>(),
        )?,
    };
    Ok(ExitCode::from(code))
}

type Function = fn(Tensor<1>) -> Tensor<1>;

/// The function whose derivative a rule gives, where that is not the forward pass's own.
fn reference(name: &Activation) -> (&'static str, Option<Box<dyn Fn(Tensor<1>) -> Tensor<1>>>) {
    let boxed = |function: Function| -> Option<Box<dyn Fn(Tensor<1>) -> Tensor<1>>> { Some(Box::new(function)) };
    match name.relu_rule() {
        None | Some(GradientRule::Heaviside { .. }) => ("itself", None),
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
