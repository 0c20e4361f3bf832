//! The networks that an experiment trains, and how any network shows its layers.
//!
//! How data flows: a batch of images goes through [`Network::forward`] to logits, past a [`Trace`] that observes each
//! layer; [`Network::loss`] makes one number of logits and labels, and [`backward`] gives that number, the logits and
//! the gradients of all parameters at once. A network is either a list of stages ([`Stacked`], as [`Mlp`] and [`Cnn`]
//! are), which both passes walk, or any Burn module with a `forward` of its own, differentiated by autodiff. `init` draws
//! the parameters that a [`Model`] begins with.

mod activate;
mod cnn;
mod init;
mod mlp;
mod norm;
mod sequential;
mod stages;
mod weights;

use std::sync::{Mutex, PoisonError};

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Bool, DType, Device, Int, Tensor},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rectify::{FusedActivation, cross_entropy};

pub use self::{
    cnn::{Cnn, ConvBlock},
    mlp::{Dense, Mlp, parameters},
    norm::Norm,
    sequential::{SequentialModule, SequentialParameter, sequential},
    stages::{Explicit, Stack, Stacked, Stages},
    weights::{Weights, WeightsError},
};
use self::{init::Draw, mlp::fuse};
use crate::{
    activation::Activation,
    data::{Batch, size_in_words},
    experiment::{Experiment, ExperimentError, ModelKind},
    observe::Trace,
};

/// A classifier of images: what the training loop and the probes need of a network.
///
/// A list of fused layers is one by being [`Stacked`]. Any other Burn module is one by a forward pass of its own, and its
/// gradients are those of Burn's autodiff:
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
///         trace.output("head", self.head.forward(x))
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
    /// Every hidden layer passes its pre-activations through [`Trace::layer`], and the last one through
    /// [`Trace::output`], under the name that its parameters have in the module: a layer `hidden.0` owns the parameters
    /// `hidden.0.…`. A network that calls another one's `forward` does so [`within`](Trace::within) its field.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels · height · width]`
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

    /// What a training step brings down: the loss, and what a network adds to it.
    fn objective(&self, batch: Batch, trace: &mut Trace) -> Objective {
        let outputs = outputs(self, batch.images, trace);
        Objective { value: self.loss(outputs.clone(), batch.labels), outputs }
    }

    /// The backward pass that a [`Stacked`] network has. No other network can give one: see there.
    fn explicit(&self) -> Option<Explicit<'_, Self>> {
        None
    }
}

/// What a training step brings down, and the outputs that it was computed from.
#[derive(Debug, Clone)]
pub struct Objective {
    /// Mean over the batch, `[1]`.
    pub value: Tensor<1>,
    /// Of the batch, as [`outputs`] gives them.
    pub outputs: Tensor<2>,
}

/// What a pass forward and backward gives. Nothing in it tracks gradients.
pub struct Pass {
    /// share · objective, `[1]`.
    pub objective: Tensor<1>,
    /// The batch's outputs, as [`outputs`] gives them.
    pub outputs: Tensor<2>,
    /// Of share · objective, with respect to all parameters that learn.
    pub gradients: GradientsParams,
}

/// The objective of a batch, its outputs and its gradients, observed by `trace`. `share` scales objective and gradients:
/// it is 1, or the batch's share of a larger one.
///
/// # Panics
///
/// Where the network neither has a backward pass of its own ([`needs_graph`]) nor tracks gradients.
pub fn backward<N: Network>(network: &N, batch: Batch, share: f64, trace: &mut Trace) -> Pass {
    match explicit(network) {
        Some(explicit) => explicit.backward(batch, share, trace),
        None => by_autodiff(network, batch, share, trace),
    }
}

/// Whether [`backward`] goes by Burn's autodiff, and the network has to track gradients.
pub fn needs_graph<N: Network>(network: &N) -> bool {
    explicit(network).is_none()
}

fn explicit<N: Network>(network: &N) -> Option<Explicit<'_, N>> {
    network.explicit().filter(|_| all_learn(network))
}

fn by_autodiff<N: Network>(network: &N, batch: Batch, share: f64, trace: &mut Trace) -> Pass {
    let Objective { mut value, outputs } = network.objective(batch, trace);
    if share < 1.0 {
        value = value * share;
    }
    let mut all = value.backward();
    trace.take_gradients(&all);
    let gradients = GradientsParams::from_module(&mut all, network);
    Pass { objective: value.without_autodiff(), outputs: outputs.without_autodiff(), gradients }
}

/// Whether no parameter is frozen. Of a network that tracks no gradients (`network.valid()`) none is.
fn all_learn<N: Module>(network: &N) -> bool {
    struct All(bool);
    impl ModuleVisitor for All {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 &= param.is_require_grad() || !param.val().is_autodiff();
        }
    }
    let mut all = All(true);
    network.visit(&mut all);
    all.0
}

/// A network's outputs in f32 at least: the softmax of half types loses what the loss is about.
pub fn outputs<N: Network>(network: &N, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
    let outputs = network.forward(images, trace);
    match outputs.dtype() {
        DType::F32 | DType::F64 => outputs,
        _ => outputs.cast(DType::F32),
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

impl Stacked for Model {
    fn stack(&self) -> Stack<'_> {
        match self {
            Self::Mlp(mlp) => mlp.stack(),
            Self::Cnn(cnn) => cnn.stack(),
        }
    }
}

/// The images' size and the number of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Channels of an image: 1 if it is grey.
    pub channels: usize,
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
        if self.height.min(self.width) >= least && self.channels > 0 && self.classes > 0 {
            return Ok(());
        }
        let reason = format!(
            "`{model}` needs images of at least {least} × {least} and a class, got {} and {} classes{advice}",
            size_in_words([self.channels, self.height, self.width]),
            self.classes
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
            norm: experiment.norm,
            asymmetry: ChaCha8Rng::seed_from_u64(seed),
            options: (device, experiment.dtype.into()),
            host,
        };

        let (conv, mut width) = match experiment.model {
            ModelKind::Mlp => (Vec::new(), shape.channels * shape.height * shape.width),
            ModelKind::Cnn => {
                let mut channels = shape.channels;
                let mut conv = Vec::new();
                for maps in CHANNELS {
                    conv.push(draw.conv(channels, maps, activation));
                    channels = maps;
                }
                (conv, channels * (shape.height / 4) * (shape.width / 4))
            }
        };
        let mut hidden: Vec<Dense> = Vec::new();
        for units in experiment.hidden() {
            let (linear, norm) = draw.hidden(width, units);
            // Not around the first layer, whose input is no layer's output.
            let skip = experiment.residual && !hidden.is_empty() && width == units;
            hidden.push(Dense::around(linear, norm, activation.init(draw.options), experiment.dropout, skip));
            width = units;
        }
        let output = fuse(draw.linear(width, shape.classes), FusedActivation::Identity);
        match experiment.model {
            ModelKind::Mlp => Self::Mlp(Mlp { hidden, output }),
            ModelKind::Cnn => {
                let Shape { channels, height, width, .. } = shape;
                Self::Cnn(Cnn { conv, hidden, output, channels, height, width })
            }
        }
    }
}

/// Channels that the convolutions give.
pub(crate) const CHANNELS: [usize; 2] = [6, 16];
/// Side of a convolution's kernel.
pub(crate) const KERNEL: usize = 5;
