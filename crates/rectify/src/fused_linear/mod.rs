//! φ(xW + b) as one operation.

mod backward;
#[cfg(feature = "flex")]
mod flex;

use crate::{
    fused_activation::{Bias, FusedActivation, FusedGradients, Kept},
    operands::{Operands, constant, float},
    relu::ConfigError,
};
pub(crate) use backward::FusedLinearOps;
use backward::layer;
use burn::{
    backend::{Dispatch, DispatchTensor},
    config::Config,
    module::{Content, DisplaySettings, Module, ModuleDisplay, Param},
    nn::{Initializer, Linear, LinearConfig},
    tensor::{DType, Device, Tensor},
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
    /// Whether there is a b. Default: there is.
    #[config(default = true)]
    pub bias: bool,
    /// What W and b are drawn from. Default: as [`LinearConfig`]'s.
    #[config(default = "Initializer::KaimingUniform { gain: 1.0 / f64::sqrt(3.0), fan_out_only: false }")]
    pub initializer: Initializer,
}

impl FusedLinearConfig {
    /// Builds the layer with the weights that [`LinearConfig`] draws.
    ///
    /// # Errors
    ///
    /// As [`FusedActivation::check`].
    pub fn init(&self, device: &Device) -> Result<FusedLinear, ConfigError> {
        let linear = LinearConfig::new(self.d_input, self.d_output)
            .with_bias(self.bias)
            .with_initializer(self.initializer.clone());
        FusedLinear::from_linear(linear.init(device), self.activation)
    }
}

/// φ(xW + b) as one operation with an explicit gradient: the numbers of [`Linear`] and then the activation, to
/// rounding, in less time.
///
/// Bias and φ are applied while the product is in cache; the backward pass scales by φ′ and sums the bias's gradient in
/// one pass, takes transposes as strides, and leaves out the gradient of an input that nobody asks for. On Flex in f32
/// this is one kernel; elsewhere it is Burn's own operations in the same order.
///
/// It has the parameters of a [`Linear`] under the same names, with or without bias, so a record of one loads into the
/// other.
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
    /// b, `[d_output]`, if the layer has one.
    pub bias: Option<Param<Tensor<1>>>,
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
        bias: Option<Param<Tensor<1>>>,
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
        Self::new(weight, bias, activation)
    }

    /// φ.
    pub fn activation(&self) -> FusedActivation {
        self.activation
    }

    /// φ(xW + b).
    ///
    /// Quantised tensors and parameters are made floats first, of the type of `x` where only the weights are quantised.
    ///
    /// # Shapes
    ///
    /// - x: `[.., d_input]`
    /// - output: `[.., d_output]`
    ///
    /// # Panics
    ///
    /// Where the width of `x` is not `d_input`, as [`Linear`] does.
    #[track_caller]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.check_width(&x);
        let x = x.dequantize();
        // The layer's own rank takes no detour.
        if D == 2 {
            let (x, weight, bias) = self.operands(x);
            return Tensor::from_dispatch(Dispatch::rectify_fused_linear(x, weight, bias, self.activation));
        }
        let [d_input, d_output] = self.weight.shape().dims();
        let mut dims = x.dims();
        let rows = dims[..D - 1].iter().product();
        dims[D - 1] = d_output;
        if rows == 0 {
            // Burn's `reshape` takes a 0 for what the dimension was.
            return Tensor::zeros(dims, (&x.device(), x.dtype()));
        }
        self.forward(x.reshape([rows, d_input])).reshape(dims)
    }

    /// (z, φ(z)) with z = xW + b, for whoever watches a layer: the output has the bits of [`forward`](Self::forward).
    ///
    /// The pre-activations are a by-product outside of the graph. Where `tap` requires gradients, its gradient is that
    /// of z; its values are not read.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, d_input]`
    /// - z, the output and, where it requires gradients, tap: `[batch, d_output]`
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward), and where a `tap` that requires gradients is of another shape or elsewhere.
    #[track_caller]
    pub fn forward_watched(&self, x: Tensor<2>, tap: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        self.check_width(&x);
        if tap.is_tracked() {
            let ([batch, _], [_, d_output]) = (x.dims(), self.weight.shape().dims());
            Operands::like("FusedLinear::forward_watched", &x).check_place("tap", &tap, [batch, d_output]);
        }
        let (x, weight, bias) = self.operands(x);
        let (z, output) = Dispatch::rectify_fused_linear_watched(x, weight, bias, float(tap), self.activation);
        (Tensor::from_dispatch(z), Tensor::from_dispatch(output))
    }

    /// φ(xW + b), and what [`backward`](Self::backward) takes. Neither tracks anything.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, d_input]`
    /// - the output and what is kept: `[batch, d_output]`
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    #[track_caller]
    pub fn forward_kept(&self, x: Tensor<2>) -> (Tensor<2>, Kept<2>) {
        self.check_width(&x);
        let x = constant(x);
        let weight = self.float_weight(x.dtype());
        layer().tensors_kept([x, weight], self.bias.as_ref(), self.activation)
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
    /// - x: `[batch, d_input]`
    /// - kept and grad: `[batch, d_output]`
    ///
    /// # Panics
    ///
    /// Where a tensor is of another shape, or not of the type and device of the weights.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use rectify::{FusedActivation, FusedLinearConfig};
    ///
    /// let layer = FusedLinearConfig::new(4, 3, FusedActivation::Tanh).init(&Device::flex())?;
    /// let x = Tensor::<2>::ones([2, 4], &Device::flex());
    /// let (output, kept) = layer.forward_kept(x.clone());
    /// let gradients = layer.backward(x, kept, output.ones_like(), false);
    /// assert_eq!(gradients.weight.dims(), [4, 3]);
    /// # Ok::<(), rectify::ConfigError>(())
    /// ```
    #[track_caller]
    pub fn backward(&self, x: Tensor<2>, kept: impl Into<Kept<2>>, grad: Tensor<2>, x_grad: bool) -> FusedGradients<2> {
        let ([x, grad], kept) = ([x, grad].map(constant), kept.into().constant());
        let weight = constant(self.float_weight(x.dtype()));
        let ([batch, _], [d_input, d_output]) = (x.dims(), weight.dims());
        let operands = Operands::like("FusedLinear::backward", &weight);
        operands.check("x", &x, [batch, d_input]);
        operands.check("kept", kept.tensor(), [batch, d_output]);
        operands.check("grad", &grad, [batch, d_output]);

        layer().gradients([x, weight], kept, grad, self.activation, self.bias.is_some(), x_grad)
    }

    #[track_caller]
    fn check_width<const D: usize>(&self, x: &Tensor<D>) {
        let (width, [d_input, _]) = (x.dims()[D - 1], self.weight.shape().dims());
        assert_eq!(width, d_input, "FusedLinear: the input is {width} wide and the layer takes {d_input}");
    }

    /// x, W and b as floats.
    fn operands<const D: usize>(&self, x: Tensor<D>) -> (DispatchTensor, DispatchTensor, Bias<Dispatch>) {
        let x = x.dequantize();
        let weight = self.float_weight(x.dtype());
        (x.into_dispatch(), weight.into_dispatch(), Bias::of(self.bias.as_ref()))
    }

    /// W; where it is quantised, as floats of `dtype`.
    fn float_weight(&self, dtype: DType) -> Tensor<2> {
        let weight = self.weight.val();
        match weight.dtype() {
            DType::QFloat(_) => weight.dequantize().cast(dtype),
            _ => weight,
        }
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
