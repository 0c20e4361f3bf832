//! Fully connected layers: φ(xW + b), and networks of them.

use burn::{
    module::Module,
    nn::Linear,
    tensor::{Tensor, module::linear},
};
use rectify::{FusedActivation, FusedLinear};

use super::{Stack, Stacked, Stages};
use crate::{activation::ActivationLayer, observe::Trace};

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

    /// The layer as one operation with φ; `None` where φ is an operation of its own.
    pub(super) fn fused(&self) -> Option<&FusedLinear> {
        self.activation.activation().fused().map(|_| &self.linear)
    }

    /// φ(xW + b), observed under `name`.
    pub fn forward(&self, name: &str, x: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        match self.fused() {
            Some(layer) => trace.fused_linear(name, x, layer),
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

/// `stages` and then the layers `hidden.0`, `hidden.1`, ….
pub(super) fn hidden<'a>(stages: Stages<'a, 2>, layers: &'a [Dense]) -> Stages<'a, 2> {
    layers.iter().enumerate().fold(stages, |stages, (i, layer)| stages.dense(format!("hidden.{i}"), layer))
}
