//! φ(x ∗ W + b) as one operation.

mod backward;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod planes;

use burn::{
    backend::Dispatch,
    config::Config,
    module::{Content, DisplaySettings, Module, ModuleDisplay, Param},
    nn::{
        Initializer, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor},
};

use crate::{
    fused_activation::{Bias, FusedActivation, FusedGradients, Kept},
    operands::{Operands, constant, float},
    relu::ConfigError,
};
use backward::{FusedConv2dOps as _, layer};

/// Configuration of a [`FusedConv2d`].
#[derive(Config, Debug)]
pub struct FusedConv2dConfig {
    /// Channels of the input and of the output.
    pub channels: [usize; 2],
    /// Height and width of the kernel, both odd.
    pub kernel_size: [usize; 2],
    /// φ.
    pub activation: FusedActivation,
    /// Whether there is a b. Default: there is.
    #[config(default = true)]
    pub bias: bool,
    /// What W and b are drawn from. Default: as [`Conv2dConfig`]'s.
    #[config(default = "Initializer::KaimingUniform { gain: 1.0 / f64::sqrt(3.0), fan_out_only: false }")]
    pub initializer: Initializer,
}

impl FusedConv2dConfig {
    /// Builds the layer with the weights that [`Conv2dConfig`] draws.
    ///
    /// # Errors
    ///
    /// As [`FusedActivation::check`]; and for a kernel with an even side.
    pub fn init(&self, device: &Device) -> Result<FusedConv2d, FusedConv2dError> {
        let conv = Conv2dConfig::new(self.channels, self.kernel_size)
            .with_padding(PaddingConfig2d::Same)
            .with_bias(self.bias)
            .with_initializer(self.initializer.clone());
        FusedConv2d::from_conv2d(conv.init(device), self.activation)
    }
}

/// φ(x ∗ W + b) as one operation with an explicit gradient: the numbers of [`Conv2d`] and then the activation, to
/// rounding, in less time.
///
/// The convolution has stride 1 and a kernel of odd sides, and keeps height and width ([`PaddingConfig2d::Same`]). On
/// Flex in f32 this is one kernel, which reads shifted rows of the padded image where others copy each kernel's window
/// out of it, and applies bias and φ while a sample is in cache; the backward pass leaves out the gradient of an input
/// that nobody asks for. Elsewhere it is Burn's own operations in the same order.
///
/// It has the parameters of a [`Conv2d`] under the same names, with or without bias, so a record of one loads into the
/// other.
///
/// # Edge values
///
/// Padding is computed with as zeros: next to the border an infinite weight, or for the weights' gradient an infinite
/// input, gives NaN.
///
/// ```
/// use burn::{nn::{PaddingConfig2d, conv::Conv2dConfig}, tensor::{Device, Tensor}};
/// use rectify::{FusedActivation, FusedConv2d};
///
/// let device = Device::flex();
/// let conv = Conv2dConfig::new([3, 8], [5, 5]).with_padding(PaddingConfig2d::Same).init(&device);
/// let x = Tensor::<4>::ones([2, 3, 12, 12], &device);
/// let expected = rectify::relu(conv.forward(x.clone()));
/// let fused = FusedConv2d::from_conv2d(conv, FusedActivation::Relu(Default::default()))?;
/// fused.forward(x).into_data().assert_approx_eq::<f32>(&expected.into_data(), Default::default());
/// # Ok::<(), rectify::FusedConv2dError>(())
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct FusedConv2d {
    /// W, `[channels_out, channels_in, kernel_height, kernel_width]`.
    pub weight: Param<Tensor<4>>,
    /// b, `[channels_out]`, if the layer has one.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    activation: FusedActivation,
}

/// Why a convolution cannot be fused with an activation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FusedConv2dError {
    /// The activation.
    #[error(transparent)]
    Activation(#[from] ConfigError),
    /// A setting of the convolution.
    #[error("{field} must be {expected} for a fused convolution, got {found}; use Conv2d and then the activation")]
    Convolution {
        /// The setting's name.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        found: String,
    },
}

impl FusedConv2d {
    /// Takes over a [`Conv2d`]'s parameters.
    ///
    /// # Errors
    ///
    /// As [`FusedActivation::check`]; and for a stride, dilation or number of groups other than 1, a kernel with an
    /// even side, and a padding that does not keep height and width.
    pub fn from_conv2d(conv: Conv2d, activation: FusedActivation) -> Result<Self, FusedConv2dError> {
        activation.check()?;
        let wrong = |field, expected, found| Err(FusedConv2dError::Convolution { field, expected, found });
        let [height, width] = conv.kernel_size;
        let same = PaddingConfig2d::Explicit(height / 2, width / 2, height / 2, width / 2);
        if conv.stride != [1, 1] {
            return wrong("stride", "[1, 1]", format!("{:?}", conv.stride));
        }
        if conv.dilation != [1, 1] {
            return wrong("dilation", "[1, 1]", format!("{:?}", conv.dilation));
        }
        if conv.groups != 1 {
            return wrong("groups", "1", conv.groups.to_string());
        }
        if height % 2 == 0 || width % 2 == 0 {
            return wrong("kernel_size", "odd", format!("{:?}", conv.kernel_size));
        }
        if conv.padding != PaddingConfig2d::Same && conv.padding != same {
            return wrong("padding", "Same", format!("{:?}", conv.padding));
        }
        let Conv2d { weight, bias, .. } = conv;
        Ok(Self { weight, bias, activation })
    }

    /// φ.
    pub fn activation(&self) -> FusedActivation {
        self.activation
    }

    /// φ(x ∗ W + b). Quantised tensors and parameters are made floats first.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels_in, height, width]`
    /// - output: `[batch, channels_out, height, width]`
    ///
    /// # Panics
    ///
    /// Where the channels of `x` are not `channels_in`, as [`Conv2d`] does.
    #[track_caller]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.check_channels(&x);
        let bias = Bias::of(self.bias.as_ref());
        let weight = float(self.weight.val());
        Tensor::from_dispatch(Dispatch::rectify_fused_conv2d(float(x), weight, bias, self.activation))
    }

    /// (z, φ(z)) with z = x ∗ W + b, for whoever watches a layer: the output has the bits of
    /// [`forward`](Self::forward).
    ///
    /// The pre-activations are a by-product outside of the graph. Where `tap` requires gradients, its gradient is that
    /// of z; its values are not read.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels_in, height, width]`
    /// - z, the output and, where it requires gradients, tap: `[batch, channels_out, height, width]`
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward), and where a `tap` that requires gradients is of another shape or elsewhere.
    #[track_caller]
    pub fn forward_watched(&self, x: Tensor<4>, tap: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        self.check_channels(&x);
        if tap.is_tracked() {
            let ([batch, _, height, width], [channels_out, ..]) = (x.dims(), self.weight.shape().dims::<4>());
            let expected = [batch, channels_out, height, width];
            Operands::like("FusedConv2d::forward_watched", &x).check_place("tap", &tap, expected);
        }
        let bias = Bias::of(self.bias.as_ref());
        let (x, weight, tap) = (float(x), float(self.weight.val()), float(tap));
        let (z, output) = Dispatch::rectify_fused_conv2d_watched(x, weight, bias, tap, self.activation);
        (Tensor::from_dispatch(z), Tensor::from_dispatch(output))
    }

    /// φ(x ∗ W + b), and what [`backward`](Self::backward) takes. Neither tracks anything.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels_in, height, width]`
    /// - the output and what is kept: `[batch, channels_out, height, width]`
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    #[track_caller]
    pub fn forward_kept(&self, x: Tensor<4>) -> (Tensor<4>, Kept<4>) {
        self.check_channels(&x);
        layer().tensors_kept([x, self.weight.val()], self.bias.as_ref(), self.activation)
    }

    /// The gradients where that of the output is `grad`: what autodiff computes, to the bit, for a backward pass that
    /// is written by hand. It tracks nothing: gradients are constants.
    ///
    /// `x` is what [`forward_kept`](Self::forward_kept) took and `kept` what it keeps. What [`forward`](Self::forward) gave
    /// does as well or, where the activation [keeps z](FusedActivation::keeps_preactivations), z as
    /// [`forward_watched`](Self::forward_watched) gives it. `x_grad` tells whether the gradient of `x` is wanted.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels_in, height, width]`
    /// - kept and grad: `[batch, channels_out, height, width]`
    ///
    /// # Panics
    ///
    /// Where a tensor is of another shape, or not of the type and device of the weights.
    #[track_caller]
    pub fn backward(&self, x: Tensor<4>, kept: impl Into<Kept<4>>, grad: Tensor<4>, x_grad: bool) -> FusedGradients<4> {
        let ([x, grad, weight], kept) = ([x, grad, self.weight.val()].map(constant), kept.into().constant());
        let ([batch, _, height, width], [channels_out, channels_in, ..]) = (x.dims(), weight.dims());
        let operands = Operands::like("FusedConv2d::backward", &weight);
        operands.check("x", &x, [batch, channels_in, height, width]);
        operands.check("kept", kept.tensor(), [batch, channels_out, height, width]);
        operands.check("grad", &grad, [batch, channels_out, height, width]);

        layer().gradients([x, weight], kept, grad, self.activation, self.bias.is_some(), x_grad)
    }

    #[track_caller]
    fn check_channels(&self, x: &Tensor<4>) {
        let ([_, found, ..], [_, channels_in, ..]) = (x.dims(), self.weight.shape().dims::<4>());
        assert_eq!(found, channels_in, "FusedConv2d: the input has {found} channels and the layer takes {channels_in}");
    }
}

impl ModuleDisplay for FusedConv2d {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [channels_out, channels_in, height, width] = self.weight.shape().dims();
        content
            .add_debug_attribute("channels", &[channels_in, channels_out])
            .add_debug_attribute("kernel_size", &[height, width])
            .add_debug_attribute("activation", &self.activation)
            .optional()
    }
}
