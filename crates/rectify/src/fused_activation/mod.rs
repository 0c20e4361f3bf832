//! The activations that a layer can have inside of it.

#[cfg(feature = "flex")]
pub(crate) mod flex;
pub(crate) mod node;
pub(crate) mod operations;

use burn::{
    backend::{Backend, Dispatch, ExtensionType, tensor::FloatTensor},
    module::Param,
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use crate::{
    activation::Activation,
    operands::float,
    relu::{ConfigError, GradientRule},
};

/// φ of a [`FusedLinear`](crate::FusedLinear) and of a [`FusedConv2d`](crate::FusedConv2d).
///
/// For the backward pass a layer keeps its output, which the next layer keeps anyway, where that tells φ′; otherwise its
/// pre-activations z as well, see [`keeps_preactivations`](Self::keeps_preactivations).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum FusedActivation {
    /// φ(z) = z, φ′ = 1.
    Identity,
    /// φ(z) = max(0, z), with any rule. Those that [need the input](GradientRule::needs_input) keep z.
    Relu(GradientRule),
    /// φ(z) = a = 1 / (1 + e⁻ᶻ), φ′ = a (1 − a). From z ≈ 16.64 on f32 rounds a to 1 and φ′ is exactly 0, where the value
    /// is 6e-8; below 0 it keeps its digits.
    Sigmoid,
    /// φ(z) = a = tanh z, φ′ = 1 − a². Beyond |z| ≈ 9.0 f32 rounds a to ±1 and φ′ is exactly 0, where the value is 6e-8.
    Tanh,
    /// Any other function, from what [it keeps](Activation::needs_input) by itself: z, or the output. Sigmoid and tanh
    /// stand here too for whoever wants their derivatives to the last digit.
    Function(Activation),
}

impl FusedActivation {
    /// Whether the parameters are in range.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field.
    pub fn check(self) -> Result<(), ConfigError> {
        match self {
            Self::Relu(rule) => rule.check(),
            Self::Function(function) => function.check(),
            Self::Identity | Self::Sigmoid | Self::Tanh => Ok(()),
        }
    }

    /// Whether the backward pass takes z, the pre-activations, and not the output: φ′ needs the input.
    pub fn keeps_preactivations(self) -> bool {
        match self {
            Self::Relu(rule) => rule.needs_input(),
            Self::Function(function) => function.needs_input(),
            Self::Identity | Self::Sigmoid | Self::Tanh => false,
        }
    }
}

/// Sigmoid and tanh as the variants of their names, which keep the output.
impl<F: Into<Activation>> From<F> for FusedActivation {
    fn from(function: F) -> Self {
        match function.into() {
            Activation::Sigmoid(_) => Self::Sigmoid,
            Activation::Tanh(_) => Self::Tanh,
            function => Self::Function(function),
        }
    }
}

/// What a fused layer's backward pass gives. `D` is the rank of its input, its output and its weights.
#[derive(Debug, Clone)]
pub struct FusedGradients<const D: usize> {
    /// Of the input; `None` where nobody asked.
    pub x: Option<Tensor<D>>,
    /// Of W.
    pub weight: Tensor<D>,
    /// Of b; `None` where the layer has none.
    pub bias: Option<Tensor<1>>,
    /// Of the pre-activations.
    pub z: Tensor<D>,
}

/// A layer's b: an `Option` that crosses from the public interface to the backends.
#[derive(Debug, Clone, ExtensionType)]
pub enum Bias<B: Backend> {
    Some(FloatTensor<B>),
    None,
}

impl Bias<Dispatch> {
    /// The parameter's value as floats.
    pub(crate) fn of(parameter: Option<&Param<Tensor<1>>>) -> Self {
        parameter.map(|bias| float(bias.val())).into()
    }
}

impl<B: Backend> Bias<B> {
    pub(crate) fn tensor(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Some(bias) => Some(bias),
            Self::None => None,
        }
    }
}

impl<B: Backend> From<Option<FloatTensor<B>>> for Bias<B> {
    fn from(bias: Option<FloatTensor<B>>) -> Self {
        bias.map_or(Self::None, Self::Some)
    }
}
