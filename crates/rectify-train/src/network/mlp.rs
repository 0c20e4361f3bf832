//! Fully connected layers: φ(xW + b), and networks of them.

use burn::{
    module::Module,
    nn::Linear,
    tensor::{Tensor, module::linear},
};
use rectify::{FusedActivation, FusedLinear};

use super::{Norm, Stack, Stacked, Stages, activate::activate};
use crate::{activation::ActivationLayer, observe::Trace};

/// φ(xW + b), and what an experiment puts around it: x + dropout(φ(norm(xW + b))).
///
/// Normalisation stands before φ (Ioffe and Szegedy 2015), dropout behind it (Srivastava et al. 2014). The skip goes
/// around the whole layer and nothing stands behind the sum, so that a signal passes all skips unchanged, forward and
/// backward (He et al. 2016, *Identity mappings in deep residual networks*; a branch has one layer here, and two there).
#[derive(Module, Debug)]
pub struct Dense {
    /// The weights, `[fan_in, fan_out]`, the bias and, if nothing stands between and its derivative can be told from its
    /// output, φ.
    linear: FusedLinear,
    norm: Option<Norm>,
    /// φ by itself.
    pub activation: ActivationLayer,
    /// Fraction of the outputs that a training step sets to 0.
    dropout: f64,
    /// Whether the input is added to the output.
    skip: bool,
}

impl Dense {
    /// Puts a layer together; φ becomes one operation with the product unless it has parameters, random slopes or a formula.
    pub fn new(linear: Linear, activation: ActivationLayer) -> Self {
        Self::around(linear, None, activation, 0.0, false)
    }

    /// [`new`](Self::new), with what stands around it.
    pub(super) fn around(
        linear: Linear,
        norm: Option<Norm>,
        activation: ActivationLayer,
        dropout: f64,
        skip: bool,
    ) -> Self {
        let fused = activation.activation().fused().filter(|_| norm.is_none()).unwrap_or(FusedActivation::Identity);
        Self { linear: fuse(linear, fused), norm, activation, dropout, skip }
    }

    /// The layer as one operation with φ, if it is nothing else; `None` where φ is an operation of its own or something
    /// stands around it.
    pub(super) fn explicit(&self) -> Option<&FusedLinear> {
        self.fused().filter(|_| self.dropout == 0.0 && !self.skip)
    }

    fn fused(&self) -> Option<&FusedLinear> {
        self.activation.activation().fused().filter(|_| self.norm.is_none()).map(|_| &self.linear)
    }

    /// The layer's output, observed under `name`: what is observed as its pre-activations is what φ takes.
    pub fn forward(&self, name: &str, x: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        let skipped = self.skip.then(|| x.clone());
        let activation = match self.fused() {
            Some(layer) => trace.fused_linear(name, x, layer),
            None => {
                let z = self.linear.forward(x);
                let z = self.norm.iter().fold(z, |z, norm| norm.forward(z, trace));
                activate(&self.activation, name, z, trace)
            }
        };
        let output = trace.dropout(activation, self.dropout);
        match skipped {
            Some(x) => x + output,
            None => output,
        }
    }

    /// xW + b, before normalisation.
    pub fn preactivation(&self, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = self.parameters();
        linear(x, weight, Some(bias))
    }

    /// W, `[fan_in, fan_out]`, and b.
    pub fn parameters(&self) -> (Tensor<2>, Tensor<1>) {
        parameters(&self.linear)
    }
}

/// W, `[fan_in, fan_out]`, and b: zeros where the layer has none.
pub fn parameters(layer: &FusedLinear) -> (Tensor<2>, Tensor<1>) {
    let weight = layer.weight.val();
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([weight.dims()[1]], (&weight.device(), weight.dtype())),
    };
    (weight, bias)
}

pub(super) fn fuse(linear: Linear, activation: FusedActivation) -> FusedLinear {
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

impl Stacked for Mlp {
    fn stack(&self) -> Stack<'_> {
        hidden(Stages::new(), &self.hidden).output("output", &self.output)
    }
}

impl Mlp {
    /// The layers from the input on, if they are all that there is: `None` where φ is an operation of its own or something
    /// stands around a layer.
    pub(crate) fn plain(&self) -> Option<Vec<&FusedLinear>> {
        self.hidden.iter().map(Dense::explicit).chain([Some(&self.output)]).collect()
    }
}

/// `stages` and then the layers `hidden.0`, `hidden.1`, ….
pub(super) fn hidden<'a>(stages: Stages<'a, 2>, layers: &'a [Dense]) -> Stages<'a, 2> {
    layers.iter().enumerate().fold(stages, |stages, (i, layer)| stages.dense(format!("hidden.{i}"), layer))
}
