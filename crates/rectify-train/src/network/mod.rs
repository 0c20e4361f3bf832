//! The networks that an experiment trains, and how any network shows its layers.

mod explicit;

use std::{
    f64::consts::SQRT_2,
    sync::{Mutex, PoisonError},
};

use burn::{
    module::{Module, Param},
    nn::{Initializer, Linear, PaddingConfig2d, conv::Conv2dConfig},
    optim::GradientsParams,
    tensor::{Bool, DType, Device, Int, Tensor, TensorData, module::linear},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rectify::{FusedActivation, FusedConv2d, FusedLinear, cross_entropy, max_pool_2x2};

use crate::{
    activation::{Activation, ActivationLayer},
    data::Batch,
    experiment::{Experiment, ExperimentError, Init, ModelKind},
    observe::Trace,
};

/// A classifier of images: what the training loop and the probes need of a network.
///
/// Any Burn module is one by these two lines of its own:
///
/// ```
/// use burn::{module::Module, nn::{Linear, LinearConfig}, tensor::{Device, Tensor, activation::relu}};
/// use rectify_train::{network::Network, observe::Trace};
///
/// #[derive(Module, Debug)]
/// struct Residual { stem: Linear, block: Linear, head: Linear }
///
/// impl Network for Residual {
///     fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
///         let x = trace.layer("stem", self.stem.forward(images), relu);
///         let x = x.clone() + trace.layer("block", self.block.forward(x), relu);
///         trace.layer("head", self.head.forward(x), |logits| logits)
///     }
/// }
///
/// let device = Device::flex();
/// let network = Residual {
///     stem: LinearConfig::new(4, 3).init(&device),
///     block: LinearConfig::new(3, 3).init(&device),
///     head: LinearConfig::new(3, 2).init(&device),
/// };
/// assert_eq!(network.forward(Tensor::ones([5, 4], &device), &mut Trace::off()).dims(), [5, 2]);
/// ```
pub trait Network: Module + 'static {
    /// Logits of a batch.
    ///
    /// Every layer passes its pre-activations through [`Trace::layer`] under the name that its parameters have in the
    /// module: a layer `hidden.0` owns the parameters whose path begins with `hidden.0.`.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, height · width]`
    /// - output: `[batch, classes]`
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2>;

    /// Mean loss of a batch's outputs, `[1]`: cross-entropy, unless a network is for something else.
    fn loss(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        cross_entropy(outputs, labels)
    }

    /// Which samples of a batch are classified rightly, `[batch]`: those whose largest logit is their class's.
    fn right(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1, Bool> {
        outputs.argmax(1).squeeze_dim::<1>(1).equal(labels)
    }

    /// What a training step brings down, `[1]`: the loss, and what a network adds to it.
    fn objective(&self, batch: Batch, trace: &mut Trace) -> Tensor<1> {
        self.loss(outputs(self, batch.images, trace), batch.labels)
    }

    /// The objective's gradients by a backward pass that the network writes out itself. `None` leaves them to Burn's
    /// autodiff, which is right for every network; without its graph a small network's step is a tenth shorter.
    fn explicit(&self) -> Option<Explicit<Self>> {
        None
    }
}

/// Of a network, a batch and its share of a larger one: share · objective, and the gradients of all parameters.
///
/// The network may or may not track gradients; neither does what this gives. The trace watches.
pub type Explicit<N> = fn(&N, Batch, f64, &mut Trace) -> (Tensor<1>, GradientsParams);

/// A network's outputs in f32 at least: the softmax of half types loses what the loss is about.
pub fn outputs<N: Network>(network: &N, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
    let outputs = network.forward(images, trace);
    match outputs.dtype() {
        DType::F32 | DType::F64 => outputs,
        _ => outputs.cast(DType::F32),
    }
}

/// φ(xW + b).
#[derive(Module, Debug)]
pub struct Dense {
    /// The weights, `[fan_in, fan_out]`, the bias and, if its derivative can be told from its output, φ.
    linear: FusedLinear,
    /// φ by itself.
    pub activation: ActivationLayer,
}

impl Dense {
    /// Puts a layer together; φ becomes one operation with the product where its output tells its derivative.
    pub fn new(linear: Linear, activation: ActivationLayer) -> Self {
        let fused = activation.activation().fused().unwrap_or(FusedActivation::Identity);
        Self { linear: fuse(linear, fused), activation }
    }

    /// φ(xW + b), watched under `name`.
    pub fn forward(&self, name: &str, x: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        match self.activation.activation().fused() {
            Some(_) => trace.fused_linear(name, x, &self.linear),
            None => trace.layer(name, self.linear.forward(x), |z| self.activation.forward(z)),
        }
    }

    /// xW + b.
    pub fn preactivation(&self, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = self.parameters();
        linear(x, weight, Some(bias))
    }

    /// W, `[fan_in, fan_out]`, and b.
    pub fn parameters(&self) -> (Tensor<2>, Tensor<1>) {
        (self.linear.weight.val(), self.linear.bias.val())
    }
}

fn fuse(linear: Linear, activation: FusedActivation) -> FusedLinear {
    FusedLinear::from_linear(linear, activation).expect("`Activation::fused` gives only what a fused layer takes")
}

/// Fully connected layers. Without hidden layers it is softmax regression.
#[derive(Module, Debug)]
pub struct Mlp {
    /// From the input on.
    pub hidden: Vec<Dense>,
    /// To the logits.
    pub output: FusedLinear,
}

impl Network for Mlp {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        head(&self.hidden, &self.output, images, trace)
    }

    fn explicit(&self) -> Option<Explicit<Self>> {
        explicit::applies(&[], &self.hidden, &self.output).then_some(explicit::mlp)
    }
}

fn head(hidden: &[Dense], output: &FusedLinear, mut x: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
    for (i, dense) in hidden.iter().enumerate() {
        x = dense.forward(&format!("hidden.{i}"), x, trace);
    }
    trace.fused_linear("output", x, output)
}

/// A convolution with its activation and 2 × 2 pooling.
#[derive(Module, Debug)]
pub struct ConvBlock {
    /// 5 × 5 kernels and, if its derivative can be told from its output, φ.
    pub convolution: FusedConv2d,
    /// φ by itself.
    pub activation: ActivationLayer,
}

impl ConvBlock {
    fn forward(&self, name: &str, x: Tensor<4>, trace: &mut Trace) -> Tensor<4> {
        let activation = match self.activation.activation().fused() {
            Some(_) => trace.fused_conv2d(name, x, &self.convolution),
            None => trace.layer(name, self.convolution.forward(x), |z| self.activation.forward(z)),
        };
        max_pool_2x2(activation)
    }
}

/// LeNet-like (LeCun et al. 1998): convolutions of 6 and 16 channels with max pooling, then fully connected layers.
#[derive(Module, Debug)]
pub struct Cnn {
    /// From the input on.
    pub conv: Vec<ConvBlock>,
    /// Fully connected layers.
    pub hidden: Vec<Dense>,
    /// To the logits.
    pub output: FusedLinear,
    height: usize,
    width: usize,
}

impl Network for Cnn {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        let [batch, _] = images.dims();
        let mut x = images.reshape([batch, 1, self.height, self.width]);
        for (i, block) in self.conv.iter().enumerate() {
            x = block.forward(&format!("conv.{i}"), x, trace);
        }
        head(&self.hidden, &self.output, x.flatten(1, 3), trace)
    }

    fn explicit(&self) -> Option<Explicit<Self>> {
        explicit::applies(&self.conv, &self.hidden, &self.output).then_some(explicit::cnn)
    }
}

/// The model of an experiment.
#[derive(Module, Debug)]
pub enum Model {
    /// `--model mlp`.
    Mlp(Mlp),
    /// `--model cnn`.
    Cnn(Cnn),
}

impl Network for Model {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        match self {
            Self::Mlp(mlp) => mlp.forward(images, trace),
            Self::Cnn(cnn) => cnn.forward(images, trace),
        }
    }

    fn explicit(&self) -> Option<Explicit<Self>> {
        let explicit = match self {
            Self::Mlp(mlp) => mlp.explicit().is_some(),
            Self::Cnn(cnn) => cnn.explicit().is_some(),
        };
        explicit.then_some(|model, batch, share, trace| match model {
            Self::Mlp(mlp) => explicit::mlp(mlp, batch, share, trace),
            Self::Cnn(cnn) => explicit::cnn(cnn, batch, share, trace),
        })
    }
}

/// The images' size and the number of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Classes.
    pub classes: usize,
}

impl Shape {
    /// Whether there is such a model for such images.
    ///
    /// # Errors
    ///
    /// Images without pixels or classes, and for the CNN, which halves their sides twice, images under 4 × 4.
    pub fn check(&self, model: ModelKind) -> Result<(), ExperimentError> {
        let (least, advice) = match model {
            ModelKind::Mlp => (1, ""),
            ModelKind::Cnn => (4, "; `mlp` takes images of any size"),
        };
        if self.height.min(self.width) >= least && self.classes > 0 {
            return Ok(());
        }
        let reason = format!(
            "`{model}` needs images of at least {least} × {least} and a class, got {} × {} and {} classes{advice}",
            self.height, self.width, self.classes
        );
        Err(ExperimentError { field: "model", reason })
    }
}

impl Model {
    /// A network with fresh weights on `device` (which decides whether it tracks gradients).
    ///
    /// The weights are drawn by Burn's initializers on the host, whatever the device, so the same seed gives the same
    /// network on every backend.
    ///
    /// # Panics
    ///
    /// May, where [`Experiment::check`] or [`Shape::check`] gives an error.
    pub fn new(experiment: &Experiment, activation: &Activation, shape: Shape, seed: u64, device: &Device) -> Self {
        // Flex has one generator for the whole process: two trainings that begin at once must not share its numbers.
        static DRAWING: Mutex<()> = Mutex::new(());
        // The lock protects no data, so a panic elsewhere while it was held has broken nothing.
        let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
        let host = Device::flex();
        host.seed(seed);
        let mut draw = Draw {
            init: experiment.init.resolve(activation),
            bias: experiment.bias_init,
            asymmetry: ChaCha8Rng::seed_from_u64(seed),
            options: (device, experiment.dtype.into()),
            host,
        };

        let (conv, mut width) = match experiment.model {
            ModelKind::Mlp => (Vec::new(), shape.height * shape.width),
            ModelKind::Cnn => {
                let conv = CHANNELS.windows(2).map(|pair| draw.conv(pair[0], pair[1], activation)).collect();
                (conv, CHANNELS[CHANNELS.len() - 1] * (shape.height / 4) * (shape.width / 4))
            }
        };
        let mut hidden = Vec::new();
        for units in experiment.hidden() {
            hidden.push(Dense::new(draw.linear(width, units), activation.init(draw.options)));
            width = units;
        }
        let output = fuse(draw.linear(width, shape.classes), FusedActivation::Identity);
        match experiment.model {
            ModelKind::Mlp => Self::Mlp(Mlp { hidden, output }),
            ModelKind::Cnn => Self::Cnn(Cnn { conv, hidden, output, height: shape.height, width: shape.width }),
        }
    }
}

/// Channels of the image and of the convolutions.
pub(crate) const CHANNELS: [usize; 3] = [1, 6, 16];
/// Side of a convolution's kernel.
pub(crate) const KERNEL: usize = 5;

/// Draws parameters, layer after layer.
struct Draw<'a> {
    init: Init,
    bias: Option<f64>,
    /// For the entries that `randomized-asymmetric` replaces.
    asymmetry: ChaCha8Rng,
    options: (&'a Device, DType),
    host: Device,
}

impl Draw<'_> {
    fn linear(&mut self, fan_in: usize, fan_out: usize) -> Linear {
        let [weight, bias] = self.values([fan_in, fan_out], 1, fan_in, fan_out);
        Linear { weight: self.parameter(weight), bias: Some(self.parameter(bias)) }
    }

    fn conv(&mut self, channels_in: usize, channels_out: usize, activation: &Activation) -> ConvBlock {
        let area = KERNEL * KERNEL;
        let shape = [channels_out, channels_in, KERNEL, KERNEL];
        let [weight, bias] = self.values(shape, 0, channels_in * area, channels_out * area);
        let mut convolution = Conv2dConfig::new([channels_in, channels_out], [KERNEL, KERNEL])
            .with_padding(PaddingConfig2d::Same)
            .with_bias(false)
            .init(self.options.0);
        convolution.weight = self.parameter(weight);
        convolution.bias = Some(self.parameter(bias));
        let fused = activation.fused().unwrap_or(FusedActivation::Identity);
        let convolution = FusedConv2d::from_conv2d(convolution, fused)
            .expect("`Activation::fused` gives only what a fused layer takes, and the kernel is odd");
        ConvBlock { convolution, activation: activation.init(self.options) }
    }

    fn parameter<const D: usize>(&self, data: TensorData) -> Param<Tensor<D>> {
        let (device, dtype) = self.options;
        Param::from_tensor(Tensor::from_data(data, (device, dtype)))
    }

    /// Weights and biases of one layer; its units lie along dimension `unit_dim` of the weights.
    fn values<const D: usize>(
        &mut self,
        shape: [usize; D],
        unit_dim: usize,
        fan_in: usize,
        fan_out: usize,
    ) -> [TensorData; 2] {
        let units = shape[unit_dim];
        let weights = match self.init {
            Init::HeNormal | Init::Auto => Initializer::KaimingNormal { gain: SQRT_2, fan_out_only: false },
            Init::HeUniform => Initializer::KaimingUniform { gain: SQRT_2, fan_out_only: false },
            Init::XavierNormal => Initializer::XavierNormal { gain: 1.0 },
            Init::XavierUniform => Initializer::XavierUniform { gain: 1.0 },
            Init::LecunNormal => Initializer::KaimingNormal { gain: 1.0, fan_out_only: false },
            Init::TorchDefault => Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false },
            Init::Orthogonal => Initializer::Orthogonal { gain: 1.0 },
            Init::Normal(std) => Initializer::Normal { mean: 0.0, std },
            // The gain for which the length of a signal is kept, from Lu et al. 2019.
            Init::RandomizedAsymmetric => Initializer::KaimingNormal { gain: 0.6007, fan_out_only: false },
        };
        let biases = match (self.bias, self.init) {
            (Some(value), _) => Initializer::Constant { value },
            (None, Init::TorchDefault | Init::RandomizedAsymmetric) => weights.clone(),
            (None, _) => Initializer::Zeros,
        };
        let mut weight = weights.init_with::<D, _>(shape, Some(fan_in), Some(fan_out), &self.host).val();
        let mut bias = biases.init_with::<1, _>([units], Some(fan_in), Some(fan_out), &self.host).val();

        if self.init == Init::RandomizedAsymmetric {
            // One entry of each unit's weights and bias is drawn from Beta(2, 1), whose quantile function is a root.
            let weights = weight.swap_dims(0, unit_dim);
            let dims = weights.dims();
            let rows = Tensor::cat(vec![weights.reshape([units, fan_in]), bias.clone().reshape([units, 1])], 1);
            let mut values: Vec<f32> = rows.into_data().iter().collect();
            for row in values.chunks_mut(fan_in + 1) {
                let entry = self.asymmetry.random_range(0..row.len());
                row[entry] = self.asymmetry.random::<f32>().sqrt();
            }
            let rows = Tensor::<2>::from_data(TensorData::new(values, [units, fan_in + 1]), &self.host);
            weight = rows.clone().narrow(1, 0, fan_in).reshape(dims).swap_dims(0, unit_dim);
            if self.bias.is_none() {
                bias = rows.narrow(1, fan_in, 1).reshape([units]);
            }
        }
        [weight.into_data(), bias.into_data()]
    }
}
