//! The activations that a layer can have inside of it.

#[cfg(feature = "flex")]
pub(crate) mod flex;
pub(crate) mod node;
pub(crate) mod operations;

use burn::{
    backend::{Backend, Dispatch, DispatchTensor, ExtensionType, tensor::FloatTensor},
    module::Param,
    tensor::Tensor,
};
use serde::{Deserialize, Serialize};

use crate::{
    activation::{Activation, FromOutput},
    operands::{Operands, constant, float},
    relu::{ConfigError, GradientRule},
    tracked::Values,
};

/// φ of a [`FusedLinear`](crate::FusedLinear) and of a [`FusedConv2d`](crate::FusedConv2d).
///
/// For the backward pass a layer keeps its output, which the next layer keeps anyway, where that tells φ′; otherwise its
/// pre-activations z as well, see [`keeps_preactivations`](Self::keeps_preactivations), or φ′(z) in their place, see
/// [`Kept`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum FusedActivation {
    /// φ(z) = z, φ′ = 1.
    Identity,
    /// φ(z) = max(0, z), with any rule. Those that [need the input](GradientRule::needs_input) keep z.
    Relu(GradientRule),
    /// φ(z) = a = 1 / (1 + e⁻ᶻ), φ′ = a (1 − a). From z ≈ 16.64 on f32 rounds a to 1 and φ′ is exactly 0, where the value
    /// is 6e-8; below 0 it keeps its digits.
    Sigmoid,
    /// φ(z) = a = tanh z, φ′ = 1 − a². From |z| = 9.1 on f32 rounds a to ±1 and φ′ is exactly 0, where the value is 5e-8.
    Tanh,
    /// Any other function, from what [it keeps](Activation::needs_input) by itself: z, or the output. Sigmoid and tanh
    /// stand here too for whoever wants their derivatives to the last digit.
    Function(Activation),
}

impl FusedActivation {
    /// φ where it is one of the activations, as a layer has it.
    pub(crate) fn function(self) -> Option<Activation> {
        match self {
            Self::Identity | Self::Relu(_) => None,
            Self::Sigmoid => Some(FromOutput::Sigmoid.into()),
            Self::Tanh => Some(FromOutput::Tanh.into()),
            Self::Function(function) => Some(function),
        }
    }

    /// Whether the parameters are in range.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field.
    pub fn check(self) -> Result<(), ConfigError> {
        match self {
            Self::Relu(rule) => rule.check(),
            _ => self.function().map_or(Ok(()), Activation::check),
        }
    }

    /// Whether the backward pass takes z, the pre-activations, and not the output: φ′ needs the input.
    pub fn keeps_preactivations(self) -> bool {
        match self {
            Self::Relu(rule) => rule.needs_input(),
            _ => self.function().is_some_and(Activation::needs_input),
        }
    }

    /// φ(z) by itself, for a layer whose product is computed elsewhere; any shape.
    pub fn forward<const D: usize>(self, z: Tensor<D>) -> Tensor<D> {
        Tensor::from_dispatch(operations::value::<Dispatch>(float(z), self))
    }

    /// φ(z), and what [`backward`](Self::backward) takes. Neither tracks anything. Where nobody else holds `z`, what is
    /// kept may stand in its place; any shape.
    pub fn forward_kept<const D: usize>(self, z: Tensor<D>) -> (Tensor<D>, Kept<D>) {
        let (output, values) = operations::keep::<Dispatch>(constant(z).into_dispatch(), self);
        (Tensor::from_dispatch(output), values.into())
    }

    /// φ′ · grad, as a layer's backward pass computes it. It tracks nothing: gradients are constants.
    ///
    /// `kept` is what [`forward_kept`](Self::forward_kept) gives or, just as well, z where the activation [keeps
    /// that](Self::keeps_preactivations), and otherwise φ(z).
    ///
    /// # Shapes
    ///
    /// - kept, grad and what is given back: the same
    ///
    /// # Panics
    ///
    /// Where `grad` is not of the shape, type and device of `kept`.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use rectify::FusedActivation;
    ///
    /// let output = FusedActivation::Sigmoid.forward(Tensor::<3>::zeros([2, 3, 4], &Device::flex()));
    /// let gradient = FusedActivation::Sigmoid.backward(output.clone(), output.ones_like());
    /// assert_eq!(gradient.into_data().to_vec::<f32>().unwrap(), [0.25; 24]);
    /// ```
    #[track_caller]
    pub fn backward<const D: usize>(self, kept: impl Into<Kept<D>>, grad: Tensor<D>) -> Tensor<D> {
        let (kept, grad) = (kept.into().constant(), constant(grad));
        let dims = kept.tensor().dims();
        Operands::like("FusedActivation::backward", kept.tensor()).check("grad", &grad, dims);
        Tensor::from_dispatch(operations::backward::<Dispatch>(kept.into(), grad.into_dispatch(), self))
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

/// What a backward pass by hand takes of an activation, see [`FusedActivation::forward_kept`].
#[derive(Debug, Clone)]
pub enum Kept<const D: usize> {
    /// The pre-activations z or the output φ(z), whichever [the activation keeps](FusedActivation::keeps_preactivations).
    Values(Tensor<D>),
    /// φ′(z): what Flex keeps, in f32, of functions whose φ and φ′ take less time together.
    Slope(Tensor<D>),
}

impl<const D: usize> Kept<D> {
    pub(crate) fn tensor(&self) -> &Tensor<D> {
        let (Self::Values(kept) | Self::Slope(kept)) = self;
        kept
    }

    pub(crate) fn constant(self) -> Self {
        match self {
            Self::Values(kept) => Self::Values(constant(kept)),
            Self::Slope(slope) => Self::Slope(constant(slope)),
        }
    }
}

impl<const D: usize> From<Tensor<D>> for Kept<D> {
    fn from(values: Tensor<D>) -> Self {
        Self::Values(values)
    }
}

impl<const D: usize> From<Values<DispatchTensor>> for Kept<D> {
    fn from(values: Values<DispatchTensor>) -> Self {
        match values {
            Values::Kept(kept) => Self::Values(Tensor::from_dispatch(kept)),
            Values::Slope(slope) => Self::Slope(Tensor::from_dispatch(slope)),
        }
    }
}

impl<const D: usize> From<Kept<D>> for Values<DispatchTensor> {
    fn from(kept: Kept<D>) -> Self {
        match kept {
            Kept::Values(kept) => Self::Kept(kept.into_dispatch()),
            Kept::Slope(slope) => Self::Slope(slope.into_dispatch()),
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
