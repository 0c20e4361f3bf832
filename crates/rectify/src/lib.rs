//! Activations for [Burn](https://burn.dev), each with an explicit gradient: written out, checked, and for ReLU chosen by
//! you.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use rectify::relu;
//!
//! let device = Device::flex().autodiff();
//! let x = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &device).require_grad();
//! let y = relu(x.clone());
//! let gradients = y.clone().sum().backward();
//!
//! assert_eq!(y.into_data().to_vec::<f32>().unwrap(), [0.0, 0.0, 2.0]);
//! assert_eq!(x.grad(&gradients).unwrap().into_data().to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0]);
//! ```
//!
//! # Drop-in in a model
//!
//! [`Relu`] is a Burn module without parameters: config, `init`, `forward`, as every layer of Burn.
//!
//! ```
//! use burn::{module::Module, nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
//! use rectify::{Relu, ReluConfig};
//!
//! #[derive(Module, Debug)]
//! struct Block {
//!     linear: Linear,
//!     relu: Relu,
//! }
//!
//! impl Block {
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         self.relu.forward(self.linear.forward(x))
//!     }
//! }
//!
//! let device = Device::flex();
//! let block = Block {
//!     linear: LinearConfig::new(4, 3).init(&device),
//!     relu: ReluConfig::new().init()?,
//! };
//! let y = block.forward(Tensor::ones([2, 4], &device));
//! assert_eq!(y.dims(), [2, 3]);
//! # Ok::<(), rectify::ConfigError>(())
//! ```
//!
//! # Choosing a rule
//!
//! The forward pass is always max(0, x). What flows back is a [`GradientRule`]: the derivative with a chosen value at
//! 0, a leak, the derivative of a smooth surrogate, or the rules of guided backpropagation and of deconvnets.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use rectify::{GradientRule, ReluConfig};
//!
//! let relu = ReluConfig::new().with_rule(GradientRule::Heaviside { at_zero: 0.5 }).init()?;
//! let x = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &Device::flex().autodiff()).require_grad();
//! let gradients = relu.forward(x.clone()).sum().backward();
//! assert_eq!(x.grad(&gradients).unwrap().into_data().to_vec::<f32>().unwrap(), [0.0, 0.5, 1.0]);
//!
//! let error = ReluConfig::new().with_rule(GradientRule::Heaviside { at_zero: 2.0 }).init().unwrap_err();
//! assert_eq!(error.to_string(), "at_zero must be in 0..=1, got 2");
//! # Ok::<(), rectify::ConfigError>(())
//! ```
//!
//! The other functions of straight pieces, such as [`HardTanh`] and [`Relu6`], take a rule by
//! [`Activation::with_rule`].
//!
//! # Every activation
//!
//! | here | φ(x) | in PyTorch |
//! |---|---|---|
//! | [`Relu`], [`relu`] | max(0, x), with a [`GradientRule`] | `relu` |
//! | [`LeakyRelu`], [`leaky_relu`] | x for x > 0, otherwise slope · x | `leaky_relu` |
//! | [`Prelu`], [`prelu`] | the same with a slope that learns | `prelu` |
//! | [`Rrelu`], [`rrelu`] | the same with a slope that is drawn | `rrelu` |
//! | [`Relu6`], [`relu6`] | min(max(0, x), 6) | `relu6` |
//! | [`SquaredRelu`], [`squared_relu`] | max(0, x)² | – |
//! | [`Threshold`], [`threshold`] | x above a threshold, otherwise a value | `threshold` |
//! | [`Elu`], [`elu`] | x for x > 0, otherwise α (eˣ − 1) | `elu` |
//! | [`Celu`], [`celu`] | x for x > 0, otherwise α (e^(x / α) − 1) | `celu` |
//! | [`Selu`], [`selu`] | λ ELU(x) with the α that keeps mean and variance | `selu` |
//! | [`Gelu`], [`gelu`] | x Φ(x) | `gelu` |
//! | [`GeluTanh`], [`gelu_tanh`] | its approximation by tanh | `gelu`, `approximate='tanh'` |
//! | [`Silu`], [`silu`] | x σ(x) | `silu` |
//! | [`Swish`], [`swish`] | x σ(β x) | – |
//! | [`Mish`], [`mish`] | x tanh(ln(1 + eˣ)) | `mish` |
//! | [`Softplus`], [`softplus`] | ln(1 + e^(β x)) / β | `softplus` |
//! | [`Softsign`], [`softsign`] | x / (1 + ∣x∣) | `softsign` |
//! | [`Sigmoid`], [`sigmoid`] | σ(x) = 1 / (1 + e⁻ˣ) | `sigmoid` |
//! | [`LogSigmoid`], [`log_sigmoid`] | ln σ(x) | `logsigmoid` |
//! | [`Tanh`], [`tanh`] | tanh x | `tanh` |
//! | [`TanhShrink`], [`tanh_shrink`] | x − tanh x | `tanhshrink` |
//! | [`HardSigmoid`], [`hard_sigmoid`] | min(max(0, x / 6 + ½), 1) | `hardsigmoid` |
//! | [`HardTanh`], [`hard_tanh`] | min(max(low, x), high) | `hardtanh` |
//! | [`HardSwish`], [`hard_swish`] | x min(max(0, x + 3), 6) / 6 | `hardswish` |
//! | [`HardShrink`], [`hard_shrink`] | x where ∣x∣ > λ, otherwise 0 | `hardshrink` |
//! | [`SoftShrink`], [`soft_shrink`] | x nearer to 0 by λ, 0 where ∣x∣ ≤ λ | `softshrink` |
//! | [`Gated`], [`glu`] | a ⊗ σ(b), of the halves of the input | `glu` |
//! | [`Gated`], [`swiglu`] | a ⊗ b σ(b) | – |
//! | [`Gated`], [`geglu`] | a ⊗ b Φ(b) | – |
//!
//! [`Activation`] is any of those of one number, with what each keeps for its backward pass and how exact it is. Each is
//! a type that is a module of Burn, and a function; both have PyTorch's conventions and, but for the lines between
//! words, its names, and say where they differ.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use rectify::{Activation, FusedLinearConfig, LeakyRelu, Silu, gelu};
//!
//! let device = Device::flex();
//! let x = Tensor::<2>::from_floats([[-1.0, 0.0, 2.0]], &device);
//! let y = gelu(x.clone());
//! let y = LeakyRelu { negative_slope: 0.1 }.forward(y);
//! // Chosen at run time, and inside of a layer.
//! let chosen = Activation::from(Silu);
//! let layer = FusedLinearConfig::new(3, 2, chosen.into()).init(&device)?;
//! assert_eq!((chosen.forward(y).dims(), layer.forward(x).dims()), ([1, 3], [1, 2]));
//! # Ok::<(), rectify::ConfigError>(())
//! ```
//!
//! One of your own is a [`Function`], φ and φ′, or a text, and either is a [`Formula`]:
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use rectify::Formula;
//!
//! let swish2 = Formula::new("x*sigmoid(b*x); b=2")?;
//! assert_eq!(swish2.forward(Tensor::<1>::zeros([3], &Device::flex())).dims(), [3]);
//! assert_eq!(swish2.slope(0.0), 0.5);
//! # Ok::<(), rectify::FormulaError>(())
//! ```
//!
//! # Checking a gradient
//!
//! [`gradcheck()`](gradcheck::gradcheck) holds the gradient of any function of tensors against central differences.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use rectify::{gradcheck::{GradCheck, gradcheck}, relu};
//!
//! let x = Tensor::<2>::from_floats([[-1.0, 0.5], [2.0, -0.25]], &Device::flex());
//! let report = gradcheck(|x| relu(x.powi_scalar(3)), x, &GradCheck::default())?;
//! assert!(report.passed(), "{report}");
//! # Ok::<(), rectify::gradcheck::GradCheckError>(())
//! ```
#![warn(missing_docs)]
#![allow(deprecated)] // burn-ndarray is deprecated upstream; it is kept here as long as Burn ships it.

#[cfg(not(any(feature = "flex", feature = "ndarray", feature = "cube")))]
compile_error!("rectify needs a backend: enable at least one of the features flex, ndarray, wgpu");

mod activation;
mod cross_entropy;
#[cfg(feature = "cube")]
mod cube;
mod formula;
mod fused_activation;
mod fused_conv2d;
mod fused_linear;
mod gated;
pub mod gradcheck;
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod host;
mod max_pool;
mod number;
mod operands;
mod prelu;
mod relu;
mod remembered;
mod tracked;

pub use activation::*;
pub use cross_entropy::{cross_entropy, cross_entropy_backward};
pub use formula::{Formula, FormulaError};
pub use fused_activation::{FusedActivation, FusedGradients, Kept};
pub use fused_conv2d::{FusedConv2d, FusedConv2dConfig, FusedConv2dError};
pub use fused_linear::{FusedLinear, FusedLinearConfig};
pub use gated::{Gated, geglu, glu, swiglu};
pub use max_pool::{max_pool_2x2, max_pool_2x2_backward};
pub use number::Number;
pub use prelu::{Prelu, PreluConfig, prelu};
pub use relu::{ConfigError, GradientRule, Relu, ReluConfig, Surrogate, relu};

/// The README's examples are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
