//! The activations that a layer can have inside of it.

#[cfg(feature = "flex")]
pub(crate) mod flex;
pub(crate) mod operations;

use burn::{module::Param, tensor::Tensor};
use serde::{Deserialize, Serialize};

use crate::relu::{ConfigError, GradientRule};

/// φ of a [`FusedLinear`](crate::FusedLinear) and of a [`FusedConv2d`](crate::FusedConv2d): the functions whose derivative their output tells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum FusedActivation {
    /// φ(z) = z, φ′ = 1.
    Identity,
    /// φ(z) = max(0, z), with a rule that needs the output only: `Heaviside { at_zero: 0.0 }`, `Leaky`, `Guided` or
    /// `Deconv`.
    Relu(GradientRule),
    /// φ(z) = a = 1 / (1 + e⁻ᶻ), φ′ = a (1 − a).
    Sigmoid,
    /// φ(z) = a = tanh z, φ′ = 1 − a².
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
    /// Of b.
    pub bias: Tensor<1>,
    /// Of the pre-activations.
    pub z: Tensor<D>,
}

/// The bias of a layer that was made without one: zeros that do not learn.
pub(crate) fn no_bias<const D: usize>(weight: &Param<Tensor<D>>, units: usize) -> Param<Tensor<1>> {
    let weight = weight.val();
    Param::from_tensor(Tensor::zeros([units], (&weight.device(), weight.dtype()))).set_require_grad(false)
}
