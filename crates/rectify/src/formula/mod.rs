//! Activations from formulas that people type, and from functions that they write.

mod backward;
#[cfg(feature = "cube")]
pub(crate) mod cube;
mod derivative;
mod error;
mod evaluate;
#[cfg(feature = "flex")]
mod flex;
mod graph;
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod host;
mod inspect;
#[cfg(feature = "ndarray")]
mod ndarray;
pub(crate) mod operations;
mod parse;
mod print;
mod program;
mod trace;

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, OnceLock},
};

use burn::{
    backend::Dispatch,
    module::{Content, DisplaySettings, Module, ModuleDisplay},
    tensor::Tensor,
};

use crate::{
    activation::Function,
    operands::{Operands, constant, float},
};
use backward::FormulaOps;
pub use error::FormulaError;
use graph::{Graph, Id};
pub(crate) use program::Program;
pub(crate) use trace::trace;

/// An activation from a formula in `x`, with the derivative that follows from it; or [of a function](Self::of) in Rust, with
/// the one that stands there.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use rectify::Formula;
///
/// let quick_gelu = Formula::new("x*sigmoid(1.702*x)")?;
/// let x = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &Device::flex().autodiff()).require_grad();
/// let gradients = quick_gelu.forward(x.clone()).sum().backward();
/// let slopes = x.grad(&gradients).unwrap().into_data().to_vec::<f32>().unwrap();
/// assert_eq!(slopes[1], 0.5);
/// assert_eq!(quick_gelu.derivative(), "sigmoid(1.702*x) + 1.702*x*sigmoid(1.702*x)*(1 - sigmoid(1.702*x))");
/// # Ok::<(), rectify::FormulaError>(())
/// ```
///
/// # Grammar
///
/// ```text
/// text       = [name "="] expression {";" parameter "=" expression without x}
/// expression = number | "x" | constant | parameter | "(" expression ")"
///            | function "(" expression {"," expression} ")"
///            | "-" expression | expression operator expression
/// ```
///
/// Operators, from the one that binds most strongly: `^` (or `**`, from right to left; −x² is −(x²)), a sign, `*` and
/// `/`, `+` and `-`, and comparisons `<`, `<=`, `>`, `>=`, `==`, `!=`, which are 1 or 0. A product needs its `*`.
///
/// | function | value | derivative |
/// |---|---|---|
/// | `exp(u)`, `expm1(u)` | eᵘ, eᵘ − 1 | eᵘ |
/// | `log(u)` or `ln(u)`, `log1p(u)` | ln u, ln(1 + u); NaN below 0, −∞ at it | 1/u, 1/(1 + u) |
/// | `sqrt(u)` | √u, NaN below 0 | 1/(2√u), ∞ at 0 |
/// | `abs(u)` | \|u\| | sign u, 0 at 0 |
/// | `sign(u)` | −1, 0 or 1 | 0 |
/// | `sin(u)`, `cos(u)` | | cos u, −sin u |
/// | `tanh(u)` | | 1 − tanh² u |
/// | `sigmoid(u)` | 1 / (1 + e⁻ᵘ) | σ(u) (1 − σ(u)) |
/// | `erf(u)` | | 2/√π e^(−u²) |
/// | `relu(u)` | max(0, u) | 1 above 0, otherwise 0 |
/// | `softplus(u)` | ln(1 + eᵘ) | σ(u) |
/// | `max(u, v)`, `min(u, v)` | NaN if one is | that of the one taken, the mean of both at a tie |
/// | `where(c, u, v)` or `if(c, u, v)` | u where c ≠ 0, otherwise v | u′ or v′ |
/// | `u^v` | | v uᵛ⁻¹ u′ + uᵛ ln(u) v′, of which the second is 0 at u = 0 |
///
/// Constants are `pi` (or `π`) and `e`. The conventions at kinks are PyTorch's (`torch.maximum` halves the gradient at a
/// tie, `abs`, `relu` and `sign` give 0 at 0). So `max(x, 0)` has a derivative of ½ at 0, where `relu(x)` has 0.
/// Comparisons have no derivative. With NaN they are false (`!=` is true), so `where` may turn NaN into a number. That
/// holds on a GPU where x is NaN; a NaN that arises on the way is what the driver makes of it, which may assume that
/// there are none.
///
/// Names and parameters: `swish2 = x*sigmoid(b*x); b=2`. A parameter is a number; it does not learn.
///
/// # The derivative
///
/// It is symbolic: the rules above, applied to a graph in which nothing stands twice, and simplified. It is not
/// rearranged for the sake of rounding: where a formula loses digits or overflows, its derivative does as well, as
/// autodiff's would. `1/(1 + exp(-x))` has a derivative of NaN in f32 below −88, where `sigmoid(x)` has none of that.
/// [`notes`](Self::notes) says where the derivative and differences disagree.
///
/// # Limits
///
/// A formula has at most 1000 characters and 64 levels of parentheses, signs and powers, and a graph is no larger than
/// its text, so nothing that is typed can exhaust memory or stack. There are no loops, and nothing is executed but
/// arithmetic.
///
/// # Backends
///
/// On Flex and NdArray a formula is computed block by block in the first cache, in f32 with vectors (half types too,
/// rounded once; f64 by the platform's functions); a power with an exponent that is no whole number is computed number by
/// number. On a GPU it is one kernel, in f32 for half types, with elementary functions of its own that are right to a few
/// units in the last place; sin, cos and powers are the GPU's in f32, in a kernel of f64 as well. There a formula of more
/// than 256 steps is Burn's operations one after the other, as on devices elsewhere and under kernel fusion; of f64 a GPU
/// has those by CUDA and ROCm, and not by WGSL. The backward pass keeps the input.
///
/// # Why not a crate
///
/// Of the expression crates, exmex differentiates, but neither abs, sign, max, min, erf nor functions of its user's,
/// tells no place in its errors, and keeps its tree to itself, from which vector code is to be made. The others
/// (evalexpr, fasteval, meval) do not differentiate.
#[derive(Module)]
#[module(custom_display)]
pub struct Formula {
    #[module(skip)]
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    text: String,
    name: Option<String>,
    expression: String,
    derivative: String,
    value: Arc<Program>,
    slope: Arc<Program>,
    piecewise_linear: bool,
    // Thousands of points each, so not before somebody asks: a file that names the formula is read without them.
    can_be_zero: OnceLock<bool>,
    notes: OnceLock<Vec<String>>,
}

impl Formula {
    /// Reads a formula and differentiates it. [`notes`](Self::notes) checks the derivative.
    ///
    /// # Errors
    ///
    /// [`FormulaError`] says what is wrong and where.
    pub fn new(text: &str) -> Result<Self, FormulaError> {
        let text = text.trim();
        let parse::Parsed { name, expression, mut graph, value } = parse::parse(text)?;
        let slope = derivative::derivative(&mut graph, value);
        Ok(Self::built(text.to_owned(), name, expression, (&graph, value), (&graph, slope)))
    }

    /// A function that is written in Rust, φ and φ′, see [`Function`]. It is called once, and its constants are kept as they
    /// are then.
    ///
    /// Beside text it has all that a formula has. [`text`](Self::text) is φ as a formula reads it, behind its name, and ends
    /// in `…` where it is longer than 2000 bytes.
    ///
    /// # Panics
    ///
    /// Where it has more than 65 536 operations, as a loop may.
    pub fn of<F: Function>(function: F) -> Self {
        let (graph, value) = trace::graph::<false>(|x| function.value(x));
        let (slope_graph, slope) = trace::graph::<false>(|x| function.slope(x));
        let expression = print::text(&graph, value);
        let text = format!("{} = {expression}", F::NAME);
        Self::built(text, Some(F::NAME.to_owned()), expression, (&graph, value), (&slope_graph, slope))
    }

    fn built(
        text: String,
        name: Option<String>,
        expression: String,
        (value_graph, value_root): (&Graph, Id),
        (slope_graph, slope_root): (&Graph, Id),
    ) -> Self {
        let (value, slope) = (Program::new(value_graph, value_root), Program::new(slope_graph, slope_root));
        Self {
            inner: Arc::new(Inner {
                text,
                name,
                expression,
                derivative: print::text(slope_graph, slope_root),
                piecewise_linear: inspect::is_piecewise_constant(slope_graph, slope_root),
                can_be_zero: OnceLock::new(),
                notes: OnceLock::new(),
                value: Arc::new(value),
                slope: Arc::new(slope),
            }),
        }
    }

    /// The text as it was given, without spaces around it. It reads as this formula again, but for a long one
    /// [of Rust](Self::of): texts end at 1000 characters, and names at 32.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// What stands in front of `=`.
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// The formula without name and parameters.
    pub fn expression(&self) -> &str {
        &self.inner.expression
    }

    /// φ′ as text, simplified, with parameters as numbers. It ends in `…` where it is longer than 2000 bytes.
    pub fn derivative(&self) -> &str {
        &self.inner.derivative
    }

    /// What may not be expected: φ or φ′ is not finite somewhere on −50..50, φ is constant there, or φ′ disagrees with
    /// differences of φ. Each goes on from the formula's name: `it is NaN at x = -50, and at …`.
    pub fn notes(&self) -> &[String] {
        let Inner { value, slope, notes, .. } = &*self.inner;
        notes.get_or_init(|| inspect::notes(value, slope))
    }

    /// Whether φ′ changes in steps only.
    pub fn is_piecewise_linear(&self) -> bool {
        self.inner.piecewise_linear
    }

    /// Whether φ is 0 somewhere on −10..10: at a multiple of 1/256, or between two of them, where its sign changes.
    pub fn can_be_zero(&self) -> bool {
        *self.inner.can_be_zero.get_or_init(|| inspect::can_be_zero(&self.inner.value))
    }

    /// Whether the other is the same function after simplification. Two ways of writing one function may differ.
    pub fn same_function(&self, other: &Self) -> bool {
        self.inner.value == other.inner.value
    }

    /// φ(x), in f64.
    pub fn value(&self, x: f64) -> f64 {
        let mut value = [0.0];
        evaluate::map(&self.inner.value, &[x], &mut value);
        value[0]
    }

    /// φ′(x), in f64.
    pub fn slope(&self, x: f64) -> f64 {
        let mut slope = [0.0];
        evaluate::map(&self.inner.slope, &[x], &mut slope);
        slope[0]
    }

    /// φ(x), element by element: any shape, and any float type that the backend has. In place where nobody else holds
    /// `x`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        Tensor::from_dispatch(Dispatch::rectify_formula(float(x), self.clone()))
    }

    /// φ′(x) · grad: what autodiff computes, for a backward pass that is written by hand. It tracks nothing.
    ///
    /// # Shapes
    ///
    /// - x (the input), grad and what is given back: the same
    ///
    /// # Panics
    ///
    /// Where `grad` is not of the shape, type and device of `x`.
    #[track_caller]
    pub fn backward<const D: usize>(&self, x: Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
        let (x, grad) = (constant(x), constant(grad));
        Operands::like("Formula::backward", &x).check("grad", &grad, x.dims());
        let (x, grad) = (x.into_dispatch(), grad.into_dispatch());
        Tensor::from_dispatch(Dispatch::rectify_formula_backward(x, grad, self.clone()))
    }

    fn program(&self) -> &Arc<Program> {
        &self.inner.value
    }

    fn slope_program(&self) -> &Arc<Program> {
        &self.inner.slope
    }
}

impl FromStr for Formula {
    type Err = FormulaError;

    fn from_str(text: &str) -> Result<Self, FormulaError> {
        Self::new(text)
    }
}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Formula").field(&self.text()).finish()
    }
}

/// By the text, and by φ′, which of a function in Rust no text tells. [`Formula::same_function`] compares what it means.
impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() && self.same_function(other) && self.inner.slope == other.inner.slope
    }
}

impl ModuleDisplay for Formula {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content.add("formula", &self.text().to_owned()).optional()
    }
}
