//! The activations that a layer can have inside of it.

#[cfg(feature = "flex")]
pub(crate) mod flex;
pub(crate) mod operations;

use burn::{
    backend::{Backend, Dispatch, ExtensionType, tensor::FloatTensor},
    module::Param,
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use crate::{
    operands::float,
    relu::{ConfigError, GradientRule},
};

/// φ of a [`FusedLinear`](crate::FusedLinear) and of a [`FusedConv2d`](crate::FusedConv2d): the functions whose derivative their output tells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum FusedActivation {
    /// φ(z) = z, φ′ = 1.
    Identity,
    /// φ(z) = max(0, z), with a rule that needs the output only: `Heaviside { at_zero: 0.0 }`, `Leaky`, `Guided` or
    /// `Deconv`.
    Relu(GradientRule),
    /// φ(z) = a = 1 / (1 + e⁻ᶻ), φ′ = a (1 − a). From z ≈ 16.64 on f32 rounds a to 1 and φ′ is exactly 0, where the value
    /// is 6e-8; below 0 it keeps its digits.
    Sigmoid,
    /// φ(z) = a = tanh z, φ′ = 1 − a². Beyond |z| ≈ 9.0 f32 rounds a to ±1 and φ′ is exactly 0, where the value is 6e-8.
    Tanh,
}

impl FusedActivation {
    /// Whether the parameters are in range and the output is all that the derivative needs.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field, or the rule that needs the input.
    pub fn check(self) -> Result<(), ConfigError> {
        match self {
            Self::Relu(rule) => {
                rule.check()?;
                match rule.needs_input() {
                    false => Ok(()),
                    true => Err(ConfigError::NeedsInput(rule)),
                }
            }
            Self::Identity | Self::Sigmoid | Self::Tanh => Ok(()),
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
