//! Every activation, defined once: a file a function, with φ above φ′.
//!
//! From there come the functions and modules of the public interface, the kernels of CPUs and GPUs, the operations of
//! devices elsewhere, the fused layers, the tables of the docs, and the command line's name with what may stand behind it.
//! A new one is a file like the others and a line in `activations!` below.
#![cfg_attr(not(feature = "flex"), allow(dead_code, reason = "the kernels of CPUs use it"))]

mod backward;
#[cfg(feature = "flex")]
mod flex;
mod from_output;
mod function;
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) mod host;
pub(crate) mod module;
#[cfg(feature = "ndarray")]
mod ndarray;
mod programs;
mod rrelu;
mod ruled;

use burn::{backend::Dispatch, tensor::Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    number::{Number, pieces::Pieces},
    operands::{Operands, constant, float},
    relu::ConfigError,
};
pub(crate) use backward::ActivationOps;
#[doc(hidden)]
pub use from_output::FromOutput;
pub use function::Function;
pub use rrelu::{Rrelu, rrelu, rrelu_with_slopes};
pub use ruled::Ruled;

/// What is known about a function. One that keeps its output has φ′(φ(x)) = φ′(x).
pub(crate) trait Properties: Function {
    const FAMILY: Family;
    const SATURATES: Saturates;
    /// Whether φ is 0 anywhere.
    const CAN_BE_ZERO: bool = true;
    /// Whether f32 tensors are computed in [`Wide`](crate::number::Wide), for φ and for φ′: where f32 would lose more than
    /// two units in the last place.
    #[inline(always)]
    fn is_wide(self) -> [bool; 2] {
        [false; 2]
    }

    /// Up to which |x| [`Near`](crate::number::Near) has f32's bits of φ and of φ′; 0 where it is of no use.
    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [0.0; 2]
    }

    /// Where φ′ is 1, if elsewhere it is 0.
    #[inline(always)]
    fn passes(self) -> Option<Passes> {
        None
    }

    /// What φ and φ′ of f32 are near to 0, on a CPU, where that takes less time than their formulas.
    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [None; 2]
    }

    /// Whether φ and φ′ of an f32 tensor take less time together than one after the other.
    #[inline(always)]
    fn together(self) -> bool {
        self.is_wide() == [true; 2]
    }

    /// Whether they do by [`value_and_slope`](Self::value_and_slope), whose last digits may be others.
    #[inline(always)]
    fn shares(self) -> bool {
        self.together()
    }

    /// φ(x) and φ′(x).
    #[inline(always)]
    fn value_and_slope<N: Number>(self, x: N) -> [N; 2] {
        [self.value(x), self.slope(x)]
    }

    /// What of an incoming gradient passes, before it is multiplied by φ′.
    #[inline(always)]
    fn passed<N: Number>(self, grad: N) -> N {
        grad
    }

    /// How PyTorch makes the module; `None` where it has none.
    fn torch(self) -> Option<String> {
        None
    }

    /// The number that may stand behind its name, as in `elu:2`.
    fn parameter(&mut self) -> Option<&mut f64> {
        None
    }

    /// What φ′ is computed from in a backward pass.
    fn keeps(self) -> Keeps {
        Keeps::Input
    }

    /// Whether the parameters are in range.
    fn check(self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Where a gradient passes as it is; elsewhere it is 0.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Passes {
    /// For low < x < high.
    Between([f64; 2]),
    /// For x < low and for x > high.
    Beyond([f64; 2]),
}

/// A function of straight pieces.
trait Bends: Properties {
    /// Where it bends or jumps: twice the same where it does so once.
    fn kinks(self) -> [f64; 2];
}

/// What a backward pass computes φ′ from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Input,
    /// The next layer keeps it anyway.
    Output,
}

/// Which initialisation keeps a signal's variance through a layer with an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Half of the signal is lost below zero: He et al. 2015, Var(w) = 2 / fan_in.
    Rectifier,
    /// Symmetric or bounded: Glorot and Bengio 2010, Var(w) = 2 / (fan_in + fan_out).
    Sigmoidal,
    /// Self-normalising: Klambauer et al. 2017, Var(w) = 1 / fan_in.
    SelfNormalizing,
}

/// Where an activation flattens out, so that its derivative fades. A flat half of a piecewise linear function is sparsity
/// and not saturation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saturates {
    /// Nowhere.
    Nowhere,
    /// To the left.
    Below,
    /// To the right.
    Above,
    /// On both sides.
    Both,
}

/// Something to do with a function whose type is known only at run time.
pub(crate) trait Visitor {
    type Output;
    fn visit<F: Properties>(self, function: F) -> Self::Output;
}

macro_rules! activations {
    ($($module:ident::$type:ident),* $(,)?) => {
        $(
            mod $module;
            pub use $module::*;
            module::module!($type);

            impl From<$type> for Activation {
                fn from(function: $type) -> Self {
                    Self::$type(function)
                }
            }
        )*

        /// Any of the activations of one number, chosen at run time. ReLU with its gradient rules is
        /// [`Relu`](crate::Relu).
        ///
        /// Where PyTorch has the function, this is its function, its convention at kinks among it, but for three things. φ′
        /// of NaN is NaN; PyTorch passes the gradient of functions of straight pieces as if x were large, or small. φ′(±∞) is
        /// the limit; PyTorch's is NaN for GELU, SiLU, mish and softsign. And parameters that turn a function over, α < 0,
        /// β < 0 of softplus or λ < 0, are out of [range](Self::check).
        ///
        #[doc = include_str!("functions.md")]
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "each is documented at its type")]
        pub enum Activation {
            $($type($type)),*,
            Ruled(Ruled),
            #[doc(hidden)]
            FromOutput(FromOutput),
        }

        impl Activation {
            /// Every one of them, with its default parameters.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$type($type::default())),*]
            }

            fn parameter_mut(&mut self) -> Option<&mut f64> {
                match self {
                    $(Self::$type(function) => Properties::parameter(function),)*
                    Self::Ruled(_) | Self::FromOutput(_) => None,
                }
            }

            #[inline]
            pub(crate) fn visit<V: Visitor>(self, visitor: V) -> V::Output {
                match self {
                    $(Self::$type(function) => visitor.visit(function),)*
                    Self::Ruled(ruled) => ruled.visit(visitor),
                    Self::FromOutput(function) => function.visit(visitor),
                }
            }
        }
    };
}

activations! {
    celu::Celu,
    elu::Elu,
    gelu::Gelu,
    gelu_tanh::GeluTanh,
    hard_shrink::HardShrink,
    hard_sigmoid::HardSigmoid,
    hard_swish::HardSwish,
    hard_tanh::HardTanh,
    leaky_relu::LeakyRelu,
    log_sigmoid::LogSigmoid,
    mish::Mish,
    relu6::Relu6,
    selu::Selu,
    sigmoid::Sigmoid,
    silu::Silu,
    soft_shrink::SoftShrink,
    softplus::Softplus,
    softsign::Softsign,
    squared_relu::SquaredRelu,
    swish::Swish,
    tanh::Tanh,
    tanh_shrink::TanhShrink,
    threshold::Threshold,
}

/// A visitor that reads one thing of any function.
macro_rules! ask {
    ($activation:expr, $output:ty, $function:ident => $answer:expr) => {{
        struct Ask;
        impl Visitor for Ask {
            type Output = $output;
            fn visit<F: Properties>(self, $function: F) -> $output {
                $answer
            }
        }
        $activation.visit(Ask)
    }};
}

impl Activation {
    /// The function's name here: PyTorch's, of which words are parted, so that its `hardtanh` is `hard_tanh`. PyTorch has no
    /// `swish`, `squared_relu` or, but as a flag of `gelu`, `gelu_tanh`.
    pub fn name(self) -> &'static str {
        ask!(self, &'static str, _function => F::NAME)
    }

    /// How PyTorch makes the module, as in `LeakyReLU(0.1)`; `None` where it has none. Of a [`Ruled`] it is the function
    /// without the rule.
    pub fn torch(self) -> Option<String> {
        ask!(self, Option<String>, function => function.torch())
    }

    /// The number that the command line takes behind the name, as in `elu:2`: the parameter, or of two the first that one
    /// would change.
    ///
    /// ```
    /// use rectify::{Activation, Elu, Tanh};
    ///
    /// let elu = Activation::from(Elu::default());
    /// assert_eq!(elu.parameter(), Some(1.0));
    /// assert_eq!(elu.with_parameter(2.0), Some(Elu { alpha: 2.0 }.into()));
    /// assert_eq!(Activation::from(Tanh).with_parameter(2.0), None);
    /// ```
    pub fn parameter(mut self) -> Option<f64> {
        self.parameter_mut().copied()
    }

    /// The same function with another [parameter](Self::parameter), in range or [not](Self::check); `None` where it has none.
    pub fn with_parameter(mut self, parameter: f64) -> Option<Self> {
        *self.parameter_mut()? = parameter;
        Some(self)
    }

    /// Whether the parameters are in range. Outside of it the function is computed all the same, and is of no use.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field.
    pub fn check(self) -> Result<(), ConfigError> {
        ask!(self, Result<(), ConfigError>, function => function.check())
    }

    /// Which initialisation suits it.
    pub fn family(self) -> Family {
        ask!(self, Family, _function => F::FAMILY)
    }

    /// Where it flattens out.
    pub fn saturates(self) -> Saturates {
        ask!(self, Saturates, _function => F::SATURATES)
    }

    /// Whether φ(x) = 0 for any x.
    pub fn can_be_zero(self) -> bool {
        ask!(self, bool, _function => F::CAN_BE_ZERO)
    }

    /// Whether the backward pass needs the input; otherwise the output tells φ′.
    ///
    /// On Flex, in f32, autodiff keeps φ′ itself where the input was, if nobody else holds that, of the functions whose φ
    /// and φ′ share an exponential: [`Gelu`], [`Mish`], [`TanhShrink`], and [`Celu`], [`Softplus`] and [`Swish`] with a
    /// parameter other than 1. The backward pass is a product then, and its bits are the same.
    pub fn needs_input(self) -> bool {
        self.keeps() == Keeps::Input
    }

    /// Whether φ and φ′ of an f32 tensor take less time together.
    #[cfg(feature = "flex")]
    pub(crate) fn together(self) -> bool {
        ask!(self, bool, function => function.together())
    }

    /// Whether they do with other last digits than one after the other.
    #[cfg(feature = "flex")]
    pub(crate) fn shares(self) -> bool {
        ask!(self, bool, function => function.shares())
    }

    pub(crate) fn keeps(self) -> Keeps {
        ask!(self, Keeps, function => function.keeps())
    }

    /// φ(x), in f64.
    ///
    /// ```
    /// use rectify::{Activation, Silu};
    ///
    /// let silu = Activation::from(Silu);
    /// assert_eq!((silu.value(0.0), silu.slope(0.0)), (0.0, 0.5));
    /// ```
    pub fn value(self, x: f64) -> f64 {
        struct Value(f64);
        impl Visitor for Value {
            type Output = f64;
            fn visit<F: Properties>(self, function: F) -> f64 {
                function.value(self.0)
            }
        }
        self.visit(Value(x))
    }

    /// φ′(x), in f64.
    pub fn slope(self, x: f64) -> f64 {
        struct Slope(f64);
        impl Visitor for Slope {
            type Output = f64;
            fn visit<F: Properties>(self, function: F) -> f64 {
                function.slope(self.0)
            }
        }
        self.visit(Slope(x))
    }

    /// φ(x), element by element: any shape, and any float type that the backend has. In place where nobody else holds
    /// `x`.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        Tensor::from_dispatch(Dispatch::rectify_activation(float(x), self))
    }

    /// φ′ · grad: what autodiff computes, for a backward pass that is written by hand. It tracks nothing. In place where
    /// nobody else holds `grad`.
    ///
    /// `kept` is the input or, unless that [is needed](Self::needs_input), the output.
    ///
    /// # Shapes
    ///
    /// - kept, grad and what is given back: the same
    ///
    /// # Panics
    ///
    /// Where `grad` is not of the shape, type and device of `kept`.
    #[track_caller]
    pub fn backward<const D: usize>(self, kept: Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
        let (kept, grad) = (constant(kept), constant(grad));
        Operands::like("Activation::backward", &kept).check("grad", &grad, kept.dims());
        let (kept, grad) = (kept.into_dispatch(), grad.into_dispatch());
        Tensor::from_dispatch(Dispatch::rectify_activation_backward(kept, grad, self))
    }
}

fn in_range(field: &'static str, value: f64, expected: &'static str, ok: bool) -> Result<(), ConfigError> {
    match ok {
        true => Ok(()),
        false => Err(ConfigError::OutOfRange { field, value, expected }),
    }
}

fn finite(field: &'static str, value: f64) -> Result<(), ConfigError> {
    in_range(field, value, "finite", value.is_finite())
}

fn positive(field: &'static str, value: f64) -> Result<(), ConfigError> {
    in_range(field, value, "positive and finite", value > 0.0 && value.is_finite())
}

fn not_negative(field: &'static str, value: f64) -> Result<(), ConfigError> {
    in_range(field, value, "finite and not negative", value >= 0.0 && value.is_finite())
}
