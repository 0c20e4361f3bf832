//! max(0, x) with a gradient that its user chooses.

mod backward;
#[cfg(feature = "cube")]
pub(crate) mod cube;
#[cfg(feature = "flex")]
pub(crate) mod flex;
mod gradient;
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) mod host;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "remote")]
mod remote;
mod surrogate;

use burn::{
    backend::Dispatch,
    config::Config,
    module::{Content, DisplaySettings, Module, ModuleDisplay},
    tensor::Tensor,
};

use crate::{
    FusedActivation,
    operands::{Operands, constant, float},
};
pub(crate) use backward::ReluOps;
pub use gradient::{ConfigError, GradientRule};
pub use surrogate::Surrogate;

/// Rectified linear unit: max(0, x), element by element.
///
/// The gradient is that of [`GradientRule::default()`]: 1 for x > 0, otherwise 0. At the kink the derivative is not
/// defined; 0 is the convention of every framework, and Bertoin et al. 2021, *Numerical influence of ReLU'(0) on
/// backpropagation*, measure what other choices do. [`ReluConfig`] takes another rule.
///
/// # Edge values
///
/// The same on every backend, for f64, f32, f16 and bf16 as the backend has them:
///
/// | x | relu(x) | its gradient |
/// |---|---|---|
/// | NaN | NaN | NaN, except under [`GradientRule::Deconv`], which does not look at x |
/// | −0.0, 0.0 | 0.0 | the rule's value at 0 |
/// | −∞ | 0.0 | the rule's value for x < 0 |
/// | ∞ | ∞ | the rule's value for x > 0 |
///
/// # Panics
///
/// On a GPU in a dtype that it does not compute in (`Device::supports_dtype`), as Burn's own operations do or should.
///
/// # Shapes
///
/// Any rank and shape, empty ones too; the output has the input's. Strided, broadcast and transposed inputs work.
///
/// Floats of any type, and quantised ones, which give floats as Burn's own operations do. Integers do not compile:
///
/// ```compile_fail
/// use burn::tensor::{Device, Int, Tensor};
///
/// rectify::relu(Tensor::<1, Int>::from_ints([-1, 2], &Device::flex()));
/// ```
///
/// Nor does a mask:
///
/// ```compile_fail
/// use burn::tensor::{Bool, Device, Tensor};
///
/// rectify::relu(Tensor::<1, Bool>::full([2], true, &Device::flex()));
/// ```
///
/// # Memory
///
/// Works in place where nobody else holds the tensor. For the backward pass it keeps its *output*, which the next
/// layer keeps anyway; rules that need the input keep that instead (see [`GradientRule`]). Untracked tensors keep
/// nothing; with gradient checkpointing the output is computed again.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<1>::from_floats([-1.5, -0.0, f32::INFINITY], &Device::flex());
/// assert_eq!(rectify::relu(x).into_data().to_vec::<f32>().unwrap(), [0.0, 0.0, f32::INFINITY]);
/// ```
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Relu::default().forward(x)
}

/// [`relu`] as a module: no parameters, one [`GradientRule`].
#[derive(Module, Debug, Default, PartialEq)]
#[module(custom_display)]
pub struct Relu {
    #[module(skip)]
    rule: GradientRule,
}

impl Copy for Relu {}

/// Configuration of [`Relu`].
#[derive(Config, Debug)]
pub struct ReluConfig {
    /// What the backward pass computes. Default: `Heaviside { at_zero: 0.0 }`.
    #[config(default = "GradientRule::default()")]
    pub rule: GradientRule,
}

impl ReluConfig {
    /// Builds the module.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field of the rule that is out of its range.
    pub fn init(&self) -> Result<Relu, ConfigError> {
        self.rule.check()?;
        Ok(Relu { rule: self.rule })
    }
}

impl Relu {
    /// The rule of the backward pass.
    pub fn rule(&self) -> GradientRule {
        self.rule
    }

    /// The same as part of a [`FusedLinear`](crate::FusedLinear).
    pub fn fused(&self) -> FusedActivation {
        FusedActivation::Relu(self.rule)
    }

    /// The gradient of the input where that of the output is `grad`: what autodiff computes, for a backward pass that is
    /// written by hand. It tracks nothing: gradients are constants. In place where nobody else holds `grad`.
    ///
    /// `x` is the input or, unless the rule needs that ([`GradientRule::needs_input`]), the output.
    ///
    /// # Shapes
    ///
    /// - x, grad and what is given back: the same
    ///
    /// # Panics
    ///
    /// Where `grad` is not of the shape, type and device of `x`; and as [`relu`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let x = Tensor::<1>::from_floats([-1.0, 2.0], &Device::flex());
    /// let gradient = rectify::Relu::default().backward(x.clone(), x.ones_like());
    /// assert_eq!(gradient.into_data().to_vec::<f32>().unwrap(), [0.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn backward<const D: usize>(&self, x: Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
        let (x, grad) = (constant(x), constant(grad));
        Operands::like("Relu::backward", &x).check("grad", &grad, x.dims());
        Tensor::from_dispatch(Dispatch::rectify_relu_backward(x.into_dispatch(), grad.into_dispatch(), self.rule))
    }

    /// max(0, x); see [`relu`] for shapes and edge values.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        Tensor::from_dispatch(Dispatch::rectify_relu(float(x), self.rule))
    }
}

impl ModuleDisplay for Relu {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content.add("rule", &self.rule.to_string()).optional()
    }
}
