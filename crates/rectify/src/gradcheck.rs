//! Numeric against analytic gradients, for any function of tensors.
//!
//! The function f: ℝⁿ → ℝᵐ is reduced to a number by fixed weights v in 0.5..=1.5, one for each output, so that one
//! backward pass gives vᵀJ, and that is held, element by element, against central differences
//! (v·f(x + h eᵢ) − v·f(x − h eᵢ)) / 2h, whose sums are taken in f64.
//!
//! Where the two one-sided differences still disagree as the step shrinks, the function has a kink at x or so near to
//! it that the differences straddle it, and any value between them is taken for a subgradient. Kinks are listed with
//! the value that the gradient chose and count as failures only where that value is no subgradient.

use std::fmt;

use burn::tensor::{DType, Tensor, TensorData};
use serde::Serialize;

/// Tolerances of [`gradcheck`].
///
/// An element passes where |analytic − numeric| ≤ `absolute` + `relative` · max(|analytic|, |numeric|).
/// The defaults of `None` depend on the dtype: the step that balances truncation against rounding is about ε^⅓ of x's
/// size, and the tolerance is what such a difference can resolve (Press et al., *Numerical recipes*, §5.7).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GradCheck {
    /// h, relative to max(1, |x|).
    pub step: Option<f64>,
    /// Relative tolerance.
    pub relative: Option<f64>,
    /// Absolute tolerance.
    pub absolute: Option<f64>,
}

/// One element's gradient, both ways: of v·f, or of the output itself where only one output depends on the element, as
/// in an activation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Element {
    /// Where it is in the input.
    pub index: Vec<usize>,
    /// The input there.
    pub x: f64,
    /// From the backward pass.
    pub analytic: f64,
    /// From central differences.
    pub numeric: f64,
    /// |analytic − numeric| over its tolerance: above 1 it fails.
    pub error: f64,
}

/// A point where the function bends. Its slopes are as in [`Element`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kink {
    /// Where it is in the input.
    pub index: Vec<usize>,
    /// The input there.
    pub x: f64,
    /// Slope to the left.
    pub left: f64,
    /// Slope to the right.
    pub right: f64,
    /// What the backward pass chose.
    pub chosen: f64,
    /// Whether that lies between the two slopes.
    pub subgradient: bool,
}

/// What [`gradcheck`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GradCheckReport {
    /// Elements of the input.
    pub elements: usize,
    /// Elements away from kinks whose gradients disagree.
    pub failures: usize,
    /// The element with the largest error; `None` where all are at kinks or there are none.
    pub worst: Option<Element>,
    /// Points where the function bends.
    pub kinks: Vec<Kink>,
}

impl GradCheckReport {
    /// Whether every element agrees and every kink's value is a subgradient.
    pub fn passed(&self) -> bool {
        self.failures == 0 && self.kinks.iter().all(|kink| kink.subgradient)
    }
}

impl fmt::Display for GradCheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "passed" } else { "FAILED" };
        write!(f, "{verdict}: {} elements, {} disagree", self.elements, self.failures)?;
        if let Some(worst) = &self.worst {
            write!(
                f,
                "; worst at {:?}: x = {}, analytic {}, numeric {} ({:.2} of the tolerance)",
                worst.index, worst.x, worst.analytic, worst.numeric, worst.error
            )?;
        }
        for kink in &self.kinks {
            let which = if kink.subgradient { "a subgradient" } else { "NOT a subgradient" };
            write!(
                f,
                "; kink at {:?}: x = {}, slope {} to the left, {} to the right, chosen {}, {which}",
                kink.index, kink.x, kink.left, kink.right, kink.chosen
            )?;
        }
        Ok(())
    }
}

/// Why a gradient could not be checked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GradCheckError {
    /// The output does not depend on the input, as far as the autodiff graph knows.
    #[error("the output has no gradient with respect to the input: is it detached or built from data?")]
    NoGradient,
    /// The function is NaN or infinite near the input, so differences say nothing.
    #[error("the function is not finite near x = {x} at {index:?}")]
    NotFinite {
        /// Where in the input.
        index: Vec<usize>,
        /// The input there.
        x: f64,
    },
    /// The step is lost in rounding, or is not a positive number.
    #[error("a step of {step} does not move x = {x} at {index:?} to both sides; choose a larger one")]
    StepTooSmall {
        /// Where in the input.
        index: Vec<usize>,
        /// The input there.
        x: f64,
        /// h, in absolute terms.
        step: f64,
    },
    /// The output's shape depends on the input's values, or is not the reference's.
    #[error("the output has {found} elements near x = {x} at {index:?}, and {expected} at the input itself")]
    ShapeChanged {
        /// Where in the input.
        index: Vec<usize>,
        /// The input there.
        x: f64,
        /// Elements of f(input).
        expected: usize,
        /// Elements of f(input + h).
        found: usize,
    },
}

/// Checks f's gradient at `x`, on `x`'s device and in its dtype.
///
/// For a function of several tensors, check each with the others captured by the closure.
///
/// # Errors
///
/// [`GradCheckError`] where the gradient cannot be checked. A wrong gradient is not an error: it is in the report.
pub fn gradcheck<const D: usize, const E: usize>(
    f: impl Fn(Tensor<D>) -> Tensor<E>,
    x: Tensor<D>,
    check: &GradCheck,
) -> Result<GradCheckReport, GradCheckError> {
    gradcheck_against(&f, &f, x, check)
}

/// Checks the gradient that `f` gives against differences of another function.
///
/// For a gradient that is not f's own by design: the leaky rule's is leaky ReLU's, a surrogate's is the surrogate's.
///
/// # Errors
///
/// As [`gradcheck`].
pub fn gradcheck_against<const D: usize, const E: usize>(
    f: impl Fn(Tensor<D>) -> Tensor<E>,
    reference: impl Fn(Tensor<D>) -> Tensor<E>,
    x: Tensor<D>,
    check: &GradCheck,
) -> Result<GradCheckReport, GradCheckError> {
    // Autodiff as x's device has it, with or without gradient checkpointing.
    let autodiff = x.device().autodiff();
    let device = autodiff.clone().without_autodiff();
    let dtype = x.dtype();
    let dims = x.dims();
    let values = numbers(x.into_data());
    let make = |values: &[f64]| TensorData::new(values.to_vec(), dims);

    let leaf = Tensor::<D>::from_data(make(&values), (&autodiff, dtype)).require_grad();
    let output = f(leaf.clone());
    let outputs = output.shape().num_elements();
    // Weights that differ, so that a gradient that mixes outputs up is caught; fixed, so that a report can be repeated.
    let weights: Vec<f64> = (0..outputs).map(|i| 0.5 + (i as f64 * 0.618_033_988_749_895).fract()).collect();
    let seed = Tensor::<E>::from_data(TensorData::new(weights, output.dims()), (&output.device(), output.dtype()));
    // As the backend holds them: rounded to the dtype.
    let weights = numbers(seed.to_data());
    if !output.is_tracked() {
        return Err(GradCheckError::NoGradient);
    }
    let gradients = (output * seed).sum().backward();
    let analytic = numbers(leaf.grad(&gradients).ok_or(GradCheckError::NoGradient)?.into_data());

    let (default_step, default_tolerance) = match dtype {
        DType::F64 => (1e-5, 1e-6),
        DType::F32 => (5e-3, 2e-3),
        DType::BF16 => (2e-1, 1e-1),
        _ => (6e-2, 5e-2),
    };
    let tolerance = |a: f64, b: f64| {
        check.absolute.unwrap_or(default_tolerance) + check.relative.unwrap_or(default_tolerance) * a.abs().max(b.abs())
    };

    let mut report = GradCheckReport { elements: values.len(), failures: 0, worst: None, kinks: Vec::new() };
    for (i, &value) in values.iter().enumerate() {
        let index = unravel(i, &dims);
        // The input's element i as the dtype rounds it, and the outputs with it in place.
        let at = |moved: f64| -> Result<(f64, Vec<f64>), GradCheckError> {
            let mut values = values.clone();
            values[i] = moved;
            let input = Tensor::<D>::from_data(make(&values), (&device, dtype));
            let rounded = numbers(input.to_data())[i];
            let output = numbers(reference(input).into_data());
            if output.len() != outputs {
                let (expected, found) = (outputs, output.len());
                return Err(GradCheckError::ShapeChanged { index: index.clone(), x: value, expected, found });
            }
            match output.iter().all(|output| output.is_finite()) {
                true => Ok((rounded, output)),
                false => Err(GradCheckError::NotFinite { index: index.clone(), x: value }),
            }
        };
        let step = check.step.unwrap_or(default_step) * value.abs().max(1.0);
        let here = at(value)?;
        let around = |step: f64| -> Result<_, GradCheckError> {
            let (below, above) = (at(value - step)?, at(value + step)?);
            let moves = below.0 < here.0 && here.0 < above.0;
            match moves {
                true => Ok((below, above)),
                false => Err(GradCheckError::StepTooSmall { index: index.clone(), x: value, step }),
            }
        };
        let (below, above) = around(step)?;
        let mut moving = (0..outputs).filter(|&j| below.1[j] != here.1[j] || here.1[j] != above.1[j]);
        // Where one output moves its derivative is told without its weight.
        let unit = match (moving.next(), moving.next()) {
            (Some(j), None) => weights[j],
            _ => 1.0,
        };
        let slope = |a: &(f64, Vec<f64>), b: &(f64, Vec<f64>)| {
            let rise: f64 = a.1.iter().zip(&b.1).zip(&weights).map(|((a, b), weight)| (b - a) * weight).sum();
            rise / (b.0 - a.0) / unit
        };
        // To the left, to the right, and over both.
        let slopes = |(below, above)| (slope(&below, &here), slope(&here, &above), slope(&below, &above));
        let analytic = analytic[i] / unit;
        let (left, right, mut numeric) = slopes((below, above));
        if (left - right).abs() > tolerance(left, right) {
            // Curvature's gap falls to a quarter with the step. That of a kink at a distance of u steps goes as 1 − u
            // and is gone beyond the step, so it falls by less than half where u < 1/7.
            let (near_left, near_right, near) = slopes(around(step / 4.0)?);
            let gap = (near_left - near_right).abs();
            let slack = tolerance(near_left, near_right);
            if gap > slack && gap > 0.5 * (left - right).abs() {
                let (low, high) = (near_left.min(near_right) - slack, near_left.max(near_right) + slack);
                report.kinks.push(Kink {
                    index,
                    x: value,
                    left: near_left,
                    right: near_right,
                    chosen: analytic,
                    subgradient: (low..=high).contains(&analytic),
                });
                continue;
            }
            // What still disagrees is curvature, or a kink more than an eighth of a step away.
            numeric = if gap > slack { slopes(around(step / 8.0)?).2 } else { near };
        }
        let error_of = |numeric: f64| (analytic - numeric).abs() / tolerance(analytic, numeric);
        let mut error = error_of(numeric);
        if error > 1.0 {
            // From nearer: a wrong gradient stays wrong, the difference's own error falls. Where the slopes on both
            // sides are equal and fall away alike, as softsign's at 0, nothing before told of it.
            numeric = slopes(around(step / 8.0)?).2;
            error = error_of(numeric);
        }
        // A NaN gradient fails, and is the worst there is.
        if error > 1.0 || error.is_nan() {
            report.failures += 1;
        }
        if report.worst.as_ref().is_none_or(|worst| error > worst.error || error.is_nan()) {
            report.worst = Some(Element { index, x: value, analytic, numeric, error });
        }
    }
    Ok(report)
}

fn numbers(data: TensorData) -> Vec<f64> {
    data.iter::<f64>().collect()
}

fn unravel(mut i: usize, dims: &[usize]) -> Vec<usize> {
    let mut index = vec![0; dims.len()];
    for (position, size) in index.iter_mut().zip(dims).rev() {
        *position = i % size;
        i /= size;
    }
    index
}
