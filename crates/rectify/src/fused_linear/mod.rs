//! φ(xW + b) as one operation.

mod backward;
#[cfg(feature = "flex")]
mod flex;

use crate::{
    fused_activation::{FusedActivation, FusedGradients, no_bias},
    relu::ConfigError,
};
use backward::FusedLinearOps as _;
use burn::{
    backend::Dispatch,
    config::Config,
    module::{Content, DisplaySettings, Module, ModuleDisplay, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor},
};

/// Configuration of a [`FusedLinear`].
#[derive(Config, Debug)]
pub struct FusedLinearConfig {
    /// Width of the input.
    pub d_input: usize,
    /// Width of the output.
    pub d_output: usize,
    /// φ.
    pub activation: FusedActivation,
}

impl FusedLinearConfig {
    /// Builds the layer with the weights that [`LinearConfig`] draws by default.
    ///
    /// # Errors
    ///
    /// As [`FusedActivation::check`].
    pub fn init(&self, device: &Device) -> Result<FusedLinear, ConfigError> {
        FusedLinear::from_linear(LinearConfig::new(self.d_input, self.d_output).init(device), self.activation)
    }
}

/// φ(xW + b) as one operation with an explicit gradient: the numbers of [`Linear`] and then the activation, to
/// rounding, in less time.
///
/// Bias and φ are applied while the product is in cache; the backward pass scales by φ′ and sums the bias's gradient in
/// one pass, takes transposes as strides, and leaves out the gradient of an input that nobody asks for. On Flex in f32
/// this is one kernel; elsewhere it is Burn's own operations in the same order.
///
/// It has the parameters of a [`Linear`] under the same names, so a record of one loads into the other.
///
/// ```
/// use burn::{nn::LinearConfig, tensor::{Device, Tensor}};
/// use rectify::{FusedActivation, FusedLinear};
///
/// let device = Device::flex();
/// let linear = LinearConfig::new(4, 3).init(&device);
/// let x = Tensor::<2>::ones([2, 4], &device);
/// let expected = rectify::relu(linear.forward(x.clone()));
/// let fused = FusedLinear::from_linear(linear, FusedActivation::Relu(Default::default()))?;
/// fused.forward(x).into_data().assert_approx_eq::<f32>(&expected.into_data(), Default::default());
/// # Ok::<(), rectify::ConfigError>(())
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct FusedLinear {
    /// W, `[d_input, d_output]`.
    pub weight: Param<Tensor<2>>,
    /// b, `[d_output]`. Zeros that do not learn where the layer was made of a [`Linear`] without bias.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: FusedActivation,
}

impl FusedLinear {
    /// Puts parameters together: weight `[d_input, d_output]`, bias `[d_output]`.
    ///
    /// # Errors
    ///
    /// As [`FusedActivation::check`].
    pub fn new(
        weight: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
        activation: FusedActivation,
    ) -> Result<Self, ConfigError> {
        activation.check()?;
        Ok(Self { weight, bias, activation })
    }

    /// Takes over a [`Linear`]'s parameters.
    ///
    /// # Errors
    ///
    /// As [`FusedActivation::check`].
    pub fn from_linear(linear: Linear, activation: FusedActivation) -> Result<Self, ConfigError> {
        let Linear { weight, bias } = linear;
        let [_, d_output] = weight.shape().dims();
        let bias = bias.unwrap_or_else(|| no_bias(&weight, d_output));
        Self::new(weight, bias, activation)
    }

    /// φ.
    pub fn activation(&self) -> FusedActivation {
        self.activation
    }

    /// φ(xW + b).
    ///
    /// # Shapes
    ///
    /// - x: `[batch, d_input]`
    /// - output: `[batch, d_output]`
    ///
    /// # Panics
    ///
    /// Where the width of `x` is not `d_input`, as [`Linear`] does.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.check_width(&x);
        Tensor::from_dispatch(Dispatch::rectify_fused_linear(
            x.into_dispatch(),
            self.weight.val().into_dispatch(),
            self.bias.val().into_dispatch(),
            self.activation,
        ))
    }

    /// (z, φ(z)) with z = xW + b, for whoever watches a layer: the output has the bits of [`forward`](Self::forward).
    ///
    /// The pre-activations are a by-product outside of the graph. Where `tap`, of the output's shape, requires
    /// gradients, its gradient is that of z; its values are not read.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_watched(&self, x: Tensor<2>, tap: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        self.check_width(&x);
        let (z, output) = Dispatch::rectify_fused_linear_watched(
            x.into_dispatch(),
            self.weight.val().into_dispatch(),
            self.bias.val().into_dispatch(),
            tap.into_dispatch(),
            self.activation,
        );
        (Tensor::from_dispatch(z), Tensor::from_dispatch(output))
    }

    /// The gradients where that of the output is `grad`: what autodiff computes, to the bit, for a backward pass that
    /// is written by hand. It tracks nothing: gradients are constants.
    ///
    /// `x` and `output` are what [`forward`](Self::forward) took and gave; `x_grad` tells whether the gradient of `x` is
    /// wanted.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use rectify::{FusedActivation, FusedLinearConfig};
    ///
    /// let layer = FusedLinearConfig::new(4, 3, FusedActivation::Tanh).init(&Device::flex())?;
    /// let x = Tensor::<2>::ones([2, 4], &Device::flex());
    /// let output = layer.forward(x.clone());
    /// let gradients = layer.backward(x, output.clone(), output.ones_like(), false);
    /// assert_eq!(gradients.weight.dims(), [4, 3]);
    /// # Ok::<(), rectify::ConfigError>(())
    /// ```
    pub fn backward(&self, x: Tensor<2>, output: Tensor<2>, grad: Tensor<2>, x_grad: bool) -> FusedGradients<2> {
        let [x, output, grad, weight] =
            [x, output, grad, self.weight.val()].map(|tensor| tensor.without_autodiff().into_dispatch());
        let (z, bias) = Dispatch::rectify_fused_linear_z_backward(output, grad, self.activation);
        FusedGradients {
            weight: Tensor::from_dispatch(Dispatch::rectify_fused_linear_weight_backward(x, z.clone())),
            x: x_grad.then(|| Tensor::from_dispatch(Dispatch::rectify_fused_linear_x_backward(weight, z.clone()))),
            bias: Tensor::from_dispatch(bias),
            z: Tensor::from_dispatch(z),
        }
    }

    fn check_width(&self, x: &Tensor<2>) {
        let ([_, width], [d_input, _]) = (x.dims(), self.weight.shape().dims());
        assert_eq!(width, d_input, "FusedLinear: the input is {width} wide and the layer takes {d_input}");
    }
}

impl ModuleDisplay for FusedLinear {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new().with_new_line_after_attribute(false).optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [d_input, d_output] = self.weight.shape().dims();
        content
            .add("d_input", &d_input)
            .add("d_output", &d_output)
            .add_debug_attribute("activation", &self.activation)
            .optional()
    }
}
