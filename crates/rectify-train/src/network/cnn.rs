//! Convolutions with pooling, and a network of them.

use burn::{module::Module, tensor::Tensor};
use rectify::{FusedConv2d, FusedLinear};

use super::{Dense, Norm, Stack, Stacked, Stages, activate::activate, mlp::hidden};
use crate::{activation::ActivationLayer, observe::Trace};

/// A convolution with its activation and 2 × 2 pooling: pool(φ(norm(x ∗ W + b))).
#[derive(Module, Debug)]
pub struct ConvBlock {
    /// 5 × 5 kernels and, if nothing stands between and its derivative can be told from its output, φ.
    pub convolution: FusedConv2d,
    pub(super) norm: Option<Norm>,
    /// φ by itself.
    pub activation: ActivationLayer,
}

impl ConvBlock {
    /// The convolution as one operation with φ; `None` where φ is an operation of its own or a normalisation stands between.
    pub(super) fn fused(&self) -> Option<&FusedConv2d> {
        self.activation.activation().fused().filter(|_| self.norm.is_none()).map(|_| &self.convolution)
    }

    /// φ(x ∗ W + b), observed under `name`, before pooling.
    pub(super) fn convolve(&self, name: &str, x: Tensor<4>, trace: &mut Trace) -> Tensor<4> {
        match self.fused() {
            Some(layer) => trace.fused_conv2d(name, x, layer),
            None => {
                let z = self.convolution.forward(x);
                let z = self.norm.iter().fold(z, |z, norm| norm.forward(z, trace));
                activate(&self.activation, name, z, trace)
            }
        }
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
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Stacked for Cnn {
    fn stack(&self) -> Stack<'_> {
        let images = Stages::new().images(self.channels, self.height, self.width);
        let blocks = self.conv.iter().enumerate();
        let conv = blocks.fold(images, |stages, (i, block)| stages.conv_block(format!("conv.{i}"), block));
        hidden(conv.flatten(), &self.hidden).output("output", &self.output)
    }
}
