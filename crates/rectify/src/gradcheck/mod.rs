//! Numeric against analytic gradients, for any function of tensors.
//!
//! The function f: ℝⁿ → ℝᵐ is reduced to a number v·f, so that one backward pass gives vᵀJ, and that is held, element by
//! element, against central differences (v·f(x + h eᵢ) − v·f(x − h eᵢ)) / 2h, whose sums are taken in f64. This is done
//! twice: with v = 1, whose gradient is what `f(x).sum().backward()` gives and what is shown; and with fixed weights that
//! differ, so that gradients which went to the wrong elements are caught.
//!
//! h is halved until the difference settles, and the difference is extrapolated to h = 0. How much it still moved, and
//! how much rounding can move it, is added to the tolerance: where the curvature jumps, as ELU's at 0, a difference is off
//! by h/4 times the jump, which is no fault of the gradient.
//!
//! Where the two one-sided differences still disagree as h shrinks, the function has a kink at x or so near to it that the
//! differences straddle it, and any value between them is taken for a subgradient. Where they grow like 1/h, the function
//! itself jumps; there it has no derivative, and the gradient must lie between the slopes beside the jump. Kinks and jumps
//! are listed with the value that the gradient chose.

mod differences;

use std::fmt;

use burn::tensor::{Tensor, TensorData};
use serde::Serialize;

use differences::{Around, Finding, Point, Precision};

/// Tolerances of [`gradcheck`].
///
/// An element passes where |analytic − numeric| ≤ `absolute` + `relative` · max(|analytic|, |numeric|) + the difference's
/// own estimated error, of which no more than ten times the tolerance is granted.
/// The defaults of `None` depend on the dtype: steps of 1e-5 in f64, 2e-2 in f32, 6e-2 in f16 and 2e-1 in bf16, which keep
/// truncation and rounding small (Press et al., *Numerical recipes*, §5.7), and tolerances of what such differences can
/// resolve, 1e-6, 3e-4, 5e-2 and 1e-1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GradCheck {
    /// The h to begin with, relative to max(1, |x|).
    pub step: Option<f64>,
    /// Relative tolerance.
    pub relative: Option<f64>,
    /// Absolute tolerance.
    pub absolute: Option<f64>,
}

/// One element's gradient, both ways: of the sum of the outputs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Element {
    /// Where it is in the input.
    pub index: Vec<usize>,
    /// The input there.
    pub x: f64,
    /// From the backward pass.
    pub analytic: f64,
    /// From central differences, extrapolated.
    pub numeric: f64,
    /// |analytic − numeric| over its tolerance: above 1 it fails.
    pub error: f64,
    /// Whether these are gradients of a weighted sum, which alone disagrees: the outputs' gradients are mixed up.
    pub weighted: bool,
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

/// A point where the function is not continuous. Its slopes are as in [`Element`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Jump {
    /// Where it is in the input.
    pub index: Vec<usize>,
    /// The input there.
    pub x: f64,
    /// By how much the function rises there.
    pub height: f64,
    /// Slope beside the jump, to the left.
    pub left: f64,
    /// Slope beside the jump, to the right.
    pub right: f64,
    /// What the backward pass chose.
    pub chosen: f64,
    /// Whether that lies between the two slopes.
    pub between: bool,
}

/// What [`gradcheck`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GradCheckReport {
    /// Elements of the input.
    pub elements: usize,
    /// Elements away from kinks and jumps whose gradients disagree.
    pub failures: usize,
    /// Elements of which nothing can be said: the outputs are so large that their rounding hides the gradient.
    pub unresolved: usize,
    /// The element with the largest error; `None` where all are at kinks or jumps, or there are none.
    pub worst: Option<Element>,
    /// Points where the function bends.
    pub kinks: Vec<Kink>,
    /// Points where the function jumps.
    pub jumps: Vec<Jump>,
}

impl GradCheckReport {
    /// Whether every element of which anything can be said agrees, there is one, and the value at every kink and jump is
    /// between the slopes beside it.
    pub fn passed(&self) -> bool {
        self.is_resolved() && self.agrees()
    }

    /// Whether anything can be said of any element.
    pub fn is_resolved(&self) -> bool {
        self.unresolved == 0 || self.unresolved < self.elements
    }

    fn agrees(&self) -> bool {
        self.failures == 0
            && self.kinks.iter().all(|kink| kink.subgradient)
            && self.jumps.iter().all(|jump| jump.between)
    }
}

impl fmt::Display for GradCheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.is_resolved(), self.agrees()) {
            (_, false) => "FAILED",
            (false, true) => "not resolved",
            (true, true) => "passed",
        };
        write!(f, "{verdict}: {} elements, {} disagree", self.elements, self.failures)?;
        if self.unresolved > 0 {
            write!(f, ", {} not resolved: rounding of large outputs hides their gradients", self.unresolved)?;
        }
        if let Some(worst) = &self.worst {
            let weighted = if worst.weighted { " of the outputs' weighted sum" } else { "" };
            write!(
                f,
                "; worst at {:?}: x = {}, analytic {}, numeric {}{weighted} ({:.2} of the tolerance)",
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
        for jump in &self.jumps {
            let which = if jump.between { "between them" } else { "NOT between them" };
            write!(
                f,
                "; jump at {:?}: x = {}, by {:.3e}, no derivative, slope {} on its left, {} on its right, chosen {}, {which}",
                jump.index, jump.x, jump.height, jump.left, jump.right, jump.chosen
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
    let x = x.dequantize();
    // Autodiff as x's device has it, with or without gradient checkpointing.
    let autodiff = x.device().autodiff();
    let device = autodiff.clone().without_autodiff();
    let dtype = x.dtype();
    let dims = x.dims();
    let values = numbers(x.into_data());
    let make = |values: &[f64]| TensorData::new(values.to_vec(), dims);

    // The outputs' weights as the backend holds them, rounded to the dtype, and the gradient of the weighted sum.
    let weigh = |weight: fn(usize) -> f64| -> Result<[Vec<f64>; 2], GradCheckError> {
        let leaf = Tensor::<D>::from_data(make(&values), (&autodiff, dtype)).require_grad();
        let output = f(leaf.clone());
        let weights: Vec<f64> = (0..output.shape().num_elements()).map(weight).collect();
        let options = (&output.device(), output.dtype());
        let seed = Tensor::<E>::from_data(TensorData::new(weights, output.dims()), options);
        let weights = numbers(seed.to_data());
        if !output.is_tracked() {
            return Err(GradCheckError::NoGradient);
        }
        let gradients = (output * seed).sum().backward();
        let analytic = leaf.grad(&gradients).ok_or(GradCheckError::NoGradient)?;
        Ok([weights, numbers(analytic.into_data())])
    };
    let [ones, analytic] = weigh(|_| 1.0)?;
    // Fixed, so that a report can be repeated.
    let [weights, weighted_analytic] = weigh(|i| 0.5 + (i as f64 * 0.618_033_988_749_895).fract())?;
    let outputs = ones.len();

    let precision = Precision::of(dtype, check);
    let mut report = GradCheckReport {
        elements: values.len(),
        failures: 0,
        unresolved: 0,
        worst: None,
        kinks: Vec::new(),
        jumps: Vec::new(),
    };
    // With as many outputs as inputs each is taken for one input's, so that the error names that.
    let here = numbers(reference(Tensor::from_data(make(&values), (&device, dtype))).into_data());
    let alike = here.len() == values.len();
    if let Some(i) = here.iter().position(|output| !output.is_finite()).filter(|_| alike) {
        return Err(GradCheckError::NotFinite { index: unravel(i, &dims), x: values[i] });
    }
    for (i, &x) in values.iter().enumerate() {
        let index = unravel(i, &dims);
        // The input's element i as the dtype rounds it, and the outputs with it in place.
        let at = |moved: f64| -> Result<Point, GradCheckError> {
            let mut values = values.clone();
            values[i] = moved;
            let input = Tensor::<D>::from_data(make(&values), (&device, dtype));
            let rounded = numbers(input.to_data())[i];
            let outputs_there = numbers(reference(input).into_data());
            if outputs_there.len() != outputs {
                let (expected, found) = (outputs, outputs_there.len());
                return Err(GradCheckError::ShapeChanged { index: index.clone(), x, expected, found });
            }
            match outputs_there.iter().all(|output| output.is_finite()) {
                true => Ok(Point { x: rounded, outputs: outputs_there }),
                false => Err(GradCheckError::NotFinite { index: index.clone(), x }),
            }
        };
        let step = precision.step * x.abs().max(1.0);
        let mut around = Around::new(x, step, alike.then_some(i), at)?;
        if !around.add()? {
            return Err(GradCheckError::StepTooSmall { index, x, step });
        }

        let mut weighted = false;
        let mut found = around.judge(&ones, analytic[i], &precision)?;
        if found.is_right() {
            let by_weights = around.judge(&weights, weighted_analytic[i], &precision)?;
            // What the plain sum shows as well is told by it, without weights.
            weighted = !by_weights.is_right() || (found.is_smooth() && !by_weights.is_smooth());
            if weighted {
                found = by_weights;
            }
        }
        let chosen = if weighted { weighted_analytic[i] } else { analytic[i] };
        match found {
            Finding::Kink { slopes: [left, right], between, .. } => {
                report.kinks.push(Kink { index, x, left, right, chosen, subgradient: between });
            }
            Finding::Jump { height, slopes: [left, right], between } => {
                report.jumps.push(Jump { index, x, height, left, right, chosen, between });
            }
            Finding::Unresolved => report.unresolved += 1,
            Finding::Smooth { numeric, error } => {
                // A NaN gradient fails, and is the worst there is.
                let fails = error > 1.0 || error.is_nan();
                report.failures += usize::from(fails);
                if report.worst.as_ref().is_none_or(|worst| error > worst.error || error.is_nan()) {
                    report.worst = Some(Element { index, x, analytic: chosen, numeric, error, weighted });
                }
            }
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
