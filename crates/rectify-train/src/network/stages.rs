//! A network as a list of stages, and the two passes that walk it: forward, keeping what each stage took and gave, and
//! the same way back.
//!
//! The gradients of the walk are those of Burn's autodiff to the bit, without its graph.

use std::marker::PhantomData;

use burn::{
    module::{Module, Param},
    optim::GradientsParams,
    tensor::{DType, Int, Tensor, TensorData},
};
use rectify::{
    FusedConv2d, FusedLinear, Kept, cross_entropy, cross_entropy_backward, max_pool_2x2, max_pool_2x2_backward,
};

use super::{ConvBlock, Dense, Network, Pass};
use crate::{data::Batch, observe::Trace, record::Role};

/// A classifier that is a list of stages, trained on cross-entropy.
///
/// Being `Stacked` makes a module a [`Network`], whose gradients are computed stage by stage without the graph of Burn's
/// autodiff: a small network's step is a tenth shorter, and its bits are the same. Stages whose φ keeps its input or that
/// have normalisation, dropout or a skip ([`Stages::dense`]), half types and frozen parameters leave the gradients to
/// autodiff.
///
/// ```
/// use burn::{module::Module, tensor::{Device, Tensor}};
/// use rectify::{FusedActivation, FusedLinear, FusedLinearConfig};
/// use rectify_train::{network::{Network, Stack, Stacked, Stages}, observe::Trace};
///
/// #[derive(Module, Debug)]
/// struct Perceptron { stem: FusedLinear, head: FusedLinear }
///
/// impl Stacked for Perceptron {
///     fn stack(&self) -> Stack<'_> {
///         Stages::new().linear("stem", &self.stem).output("head", &self.head)
///     }
/// }
///
/// let device = Device::flex();
/// let network = Perceptron {
///     stem: FusedLinearConfig::new(4, 3, FusedActivation::Tanh).init(&device)?,
///     head: FusedLinearConfig::new(3, 2, FusedActivation::Identity).init(&device)?,
/// };
/// assert_eq!(network.forward(Tensor::ones([5, 4], &device), &mut Trace::off()).dims(), [5, 2]);
/// # Ok::<(), rectify::ConfigError>(())
/// ```
///
/// The walk knows no other loss. A module with a loss or an objective of its own implements [`Network`] and may hold a
/// stacked one, whose layers it shows [`within`](Trace::within) its field; its gradients are autodiff's. It cannot be
/// both, which would train on something other than it says:
///
/// ```compile_fail,E0119
/// # use burn::{module::Module, tensor::{Int, Tensor}};
/// # use rectify::FusedLinear;
/// # use rectify_train::{network::{Network, Stack, Stacked, Stages}, observe::Trace};
/// # #[derive(Module, Debug)]
/// # struct Regression { head: FusedLinear }
/// impl Stacked for Regression {
///     fn stack(&self) -> Stack<'_> {
///         Stages::new().output("head", &self.head)
///     }
/// }
///
/// impl Network for Regression {
///     fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
///         trace.output("head", self.head.forward(images))
///     }
///
///     fn loss(&self, outputs: Tensor<2>, _: Tensor<1, Int>) -> Tensor<1> {
///         outputs.square().mean()
///     }
/// }
/// ```
pub trait Stacked: Module + 'static {
    /// The stages from the images, `[batch, pixels]`, to the logits, `[batch, classes]`.
    ///
    /// A layer has the name that its parameters have in the module, as in [`Trace::layer`].
    fn stack(&self) -> Stack<'_>;
}

impl<N: Stacked> Network for N {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        self.stack().forward(images, trace)
    }

    fn explicit(&self) -> Option<Explicit<'_, Self>> {
        let stack = self.stack();
        stack.is_explicit().then_some(Explicit { stack, network: PhantomData })
    }
}

/// A [`Stacked`] network's own backward pass. Nothing else has one, so it is always of the loss that the network has.
pub struct Explicit<'a, N> {
    stack: Stack<'a>,
    network: PhantomData<fn(&N)>,
}

impl<N> Explicit<'_, N> {
    /// As [`backward`](super::backward). The network may or may not track gradients; neither does what this gives.
    pub(super) fn backward(&self, batch: Batch, share: f64, trace: &mut Trace) -> Pass {
        self.stack.backward(batch, share, trace)
    }
}

/// Stages in the making, of which the last one gives tensors of rank `D`: rows, `[batch, width]`, or images,
/// `[batch, channels, height, width]`.
pub struct Stages<'a, const D: usize> {
    stages: Vec<Stage<'a>>,
}

impl Default for Stages<'_, 2> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, const D: usize> Stages<'a, D> {
    fn then<const NEXT: usize>(mut self, name: impl Into<String>, operation: Operation<'a>) -> Stages<'a, NEXT> {
        self.stages.push(Stage { name: name.into(), operation });
        Stages { stages: self.stages }
    }
}

impl<'a> Stages<'a, 2> {
    /// None so far: rows of pixels, as they come.
    pub fn new() -> Self {
        Self { stages: Vec::new() }
    }

    /// Takes each row as an image of so many channels, rows and columns.
    pub fn images(self, channels: usize, height: usize, width: usize) -> Stages<'a, 4> {
        self.then("", Operation::Images([channels, height, width]))
    }

    /// A hidden layer that is one operation with its activation.
    pub fn linear(self, name: impl Into<String>, layer: &'a FusedLinear) -> Self {
        self.then(name, Operation::Linear { layer, role: Role::Hidden })
    }

    /// A hidden layer whose activation may be an operation of its own, and that may have normalisation, dropout or a skip.
    /// Where any of these is, the whole network's gradients are autodiff's.
    pub fn dense(self, name: impl Into<String>, layer: &'a Dense) -> Self {
        match layer.explicit() {
            Some(layer) => self.linear(name, layer),
            None => self.then(name, Operation::UnfusedLinear(layer)),
        }
    }

    /// The layer that gives the logits, which ends the list.
    pub fn output(self, name: impl Into<String>, layer: &'a FusedLinear) -> Stack<'a> {
        let Stages { stages } = self.then::<2>(name, Operation::Linear { layer, role: Role::Output });
        Stack { stages, dtype: layer.weight.val().dtype() }
    }
}

impl<'a> Stages<'a, 4> {
    /// A convolution that is one operation with its activation.
    pub fn convolution(self, name: impl Into<String>, layer: &'a FusedConv2d) -> Self {
        self.then(name, Operation::Convolution(layer))
    }

    /// A convolution whose activation may be an operation of its own, and that may have normalisation, and pooling. Where
    /// either is, the whole network's gradients are autodiff's.
    pub fn conv_block(self, name: impl Into<String>, block: &'a ConvBlock) -> Self {
        let convolution = match block.fused() {
            Some(layer) => self.convolution(name, layer),
            None => self.then(name, Operation::UnfusedConvolution(block)),
        };
        convolution.max_pool_2x2()
    }

    /// [`rectify::max_pool_2x2`].
    pub fn max_pool_2x2(self) -> Self {
        self.then("", Operation::MaxPool)
    }

    /// Takes each image as a row.
    pub fn flatten(self) -> Stages<'a, 2> {
        self.then("", Operation::Flatten)
    }
}

/// All stages of a network, from its images to its logits.
pub struct Stack<'a> {
    stages: Vec<Stage<'a>>,
    /// Of the logits.
    dtype: DType,
}

impl Stack<'_> {
    /// Whether every stage has a backward pass, and the loss is computed in the layers' own type.
    fn is_explicit(&self) -> bool {
        let unfused =
            |stage: &Stage| matches!(stage.operation, Operation::UnfusedLinear(_) | Operation::UnfusedConvolution(_));
        !self.stages.iter().any(unfused) && matches!(self.dtype, DType::F32 | DType::F64)
    }

    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        self.stages.iter().fold(Signal::Rows(images), |x, stage| stage.forward(x, trace, false).0).rows()
    }

    /// What each layer gives of `images`, by its name, from the input on: `[batch, units]` or
    /// `[batch, channels, height, width]`. The last are the logits.
    pub fn activations(&self, images: Tensor<2>) -> Vec<(String, TensorData)> {
        let mut signal = Signal::Rows(images);
        let mut activations = Vec::new();
        for stage in &self.stages {
            signal = stage.forward(signal, &mut Trace::off(), false).0;
            if !stage.name.is_empty() {
                let data = match signal.clone() {
                    Signal::Rows(x) => x.into_data(),
                    Signal::Images(x) => x.into_data(),
                };
                activations.push((stage.name.clone(), data));
            }
        }
        activations
    }

    fn backward(&self, batch: Batch, share: f64, trace: &mut Trace) -> Pass {
        // What each stage takes, and at the end the logits: what one gives is what the next takes.
        let mut passed = vec![Signal::Rows(batch.images)];
        let mut kept = Vec::with_capacity(self.stages.len());
        let mut observed = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let x = passed[passed.len() - 1].clone();
            observed.push(trace.observed());
            let (output, keeps) = stage.forward(x, trace, true);
            passed.push(output.without_autodiff());
            kept.push(keeps);
        }

        let outputs = passed[passed.len() - 1].clone().rows();
        let (mut loss, grad) = loss_and_gradient(outputs.clone(), batch.labels, share);
        if share < 1.0 {
            loss = loss * share;
        }
        let mut gradients = GradientsParams::new();
        let mut grad = Some(Signal::Rows(grad));
        // What comes before the first layer with parameters needs no gradient.
        let first = self.stages.iter().position(Stage::learns).unwrap_or(self.stages.len());
        for (i, stage) in self.stages.iter().enumerate().rev() {
            let (Some(after), Some(kept), Some(_)) = (grad, kept.pop(), passed.pop()) else { break };
            let mut backward =
                Backward { x_grad: i > first, gradients: &mut gradients, trace: &mut *trace, observed: observed[i] };
            grad = stage.backward(passed[i].clone(), kept, after, &mut backward);
        }
        // Labels of a device that tracks gradients make a loss of it.
        Pass { objective: loss.without_autodiff(), outputs, gradients }
    }
}

/// Cross-entropy, and share · its gradient with respect to the logits.
fn loss_and_gradient(logits: Tensor<2>, labels: Tensor<1, Int>, share: f64) -> (Tensor<1>, Tensor<2>) {
    let loss = cross_entropy(logits.clone(), labels.clone());
    let share = Tensor::full([1], share, (&logits.device(), logits.dtype()));
    (loss, cross_entropy_backward(logits, labels, share))
}

struct Stage<'a> {
    /// Empty where there is nothing to observe.
    name: String,
    operation: Operation<'a>,
}

enum Operation<'a> {
    Images([usize; 3]),
    Flatten,
    MaxPool,
    Linear {
        layer: &'a FusedLinear,
        role: Role,
    },
    Convolution(&'a FusedConv2d),
    /// Layers whose φ has parameters, random slopes or a formula, and those with something around φ, have no backward pass of their own.
    UnfusedLinear(&'a Dense),
    UnfusedConvolution(&'a ConvBlock),
}

/// What goes from stage to stage.
#[derive(Clone)]
enum Signal {
    Rows(Tensor<2>),
    Images(Tensor<4>),
}

/// What a stage with parameters keeps for its backward pass.
enum Keeps {
    Nothing,
    Rows(Kept<2>),
    Images(Kept<4>),
}

const MISFIT: &str = "`Stages` puts no stage behind one of another rank";

impl Signal {
    fn rows(self) -> Tensor<2> {
        match self {
            Self::Rows(x) => x,
            Self::Images(_) => unreachable!("{MISFIT}"),
        }
    }

    fn without_autodiff(self) -> Self {
        match self {
            Self::Rows(x) => Self::Rows(x.without_autodiff()),
            Self::Images(x) => Self::Images(x.without_autodiff()),
        }
    }
}

/// What a stage's backward pass is told, and where it leaves the gradients of its parameters.
struct Backward<'a> {
    /// Whether the gradient of its input is wanted.
    x_grad: bool,
    gradients: &'a mut GradientsParams,
    trace: &'a mut Trace,
    /// The stage's place in the trace.
    observed: usize,
}

impl Backward<'_> {
    fn register<const D: usize>(
        &mut self,
        weight: (&Param<Tensor<D>>, Tensor<D>),
        bias: Option<(&Param<Tensor<1>>, Tensor<1>)>,
        z: Tensor<D>,
    ) {
        self.gradients.register(weight.0.id, weight.1);
        if let Some((bias, gradient)) = bias {
            self.gradients.register(bias.id, gradient);
        }
        self.trace.set_gradient(self.observed, z);
    }
}

impl Stage<'_> {
    fn learns(&self) -> bool {
        !matches!(self.operation, Operation::Images(_) | Operation::Flatten | Operation::MaxPool)
    }

    /// The output and, if a backward pass is to `keep` it, what that takes beside the input.
    fn forward(&self, x: Signal, trace: &mut Trace, keep: bool) -> (Signal, Keeps) {
        let output = match (&self.operation, x) {
            (&Operation::Images([channels, height, width]), Signal::Rows(x)) => {
                let [batch, _] = x.dims();
                Signal::Images(x.reshape([batch, channels, height, width]))
            }
            (Operation::Flatten, Signal::Images(x)) => Signal::Rows(x.flatten(1, 3)),
            (Operation::MaxPool, Signal::Images(x)) => Signal::Images(max_pool_2x2(x)),
            (Operation::Linear { layer, role }, Signal::Rows(x)) => {
                let (output, kept) = trace.fused_linear_as(*role, &self.name, x, layer, keep);
                return (Signal::Rows(output), kept.map_or(Keeps::Nothing, Keeps::Rows));
            }
            (Operation::Convolution(layer), Signal::Images(x)) => {
                let (output, kept) = trace.fused_conv2d_as(&self.name, x, layer, keep);
                return (Signal::Images(output), kept.map_or(Keeps::Nothing, Keeps::Images));
            }
            (Operation::UnfusedLinear(dense), Signal::Rows(x)) => Signal::Rows(dense.forward(&self.name, x, trace)),
            (Operation::UnfusedConvolution(block), Signal::Images(x)) => {
                Signal::Images(block.convolve(&self.name, x, trace))
            }
            _ => unreachable!("{MISFIT}"),
        };
        (output, Keeps::Nothing)
    }

    /// The gradient of `x`, if it is wanted, where that of the output is `grad`.
    fn backward(&self, x: Signal, kept: Keeps, grad: Signal, pass: &mut Backward) -> Option<Signal> {
        match (&self.operation, x, kept, grad) {
            (Operation::Images(_), _, _, Signal::Images(grad)) => Some(Signal::Rows(grad.flatten(1, 3))),
            (Operation::Flatten, Signal::Images(x), _, Signal::Rows(grad)) => {
                Some(Signal::Images(grad.reshape(x.dims())))
            }
            (Operation::MaxPool, Signal::Images(x), _, Signal::Images(grad)) => {
                Some(Signal::Images(max_pool_2x2_backward(x, grad)))
            }
            (Operation::Linear { layer, .. }, Signal::Rows(x), Keeps::Rows(kept), Signal::Rows(grad)) => {
                let of = layer.backward(x, kept, grad, pass.x_grad);
                pass.register((&layer.weight, of.weight), layer.bias.as_ref().zip(of.bias), of.z);
                of.x.map(Signal::Rows)
            }
            (Operation::Convolution(layer), Signal::Images(x), Keeps::Images(kept), Signal::Images(grad)) => {
                let of = layer.backward(x, kept, grad, pass.x_grad);
                pass.register((&layer.weight, of.weight), layer.bias.as_ref().zip(of.bias), of.z);
                of.x.map(Signal::Images)
            }
            (Operation::UnfusedLinear(_) | Operation::UnfusedConvolution(_), ..) => {
                unreachable!("an explicit stack has no such stage")
            }
            _ => unreachable!("{MISFIT}"),
        }
    }
}
