//! The networks' gradients, written out: forward, keeping what each layer took and gave, and the same way back.
//!
//! They are those of Burn's autodiff to the bit, without its graph.

use burn::{
    optim::GradientsParams,
    tensor::{DType, Int, Tensor},
};
use rectify::{FusedLinear, cross_entropy, cross_entropy_backward, max_pool_2x2, max_pool_2x2_backward};

use super::{Cnn, ConvBlock, Dense, Mlp};
use crate::{data::Batch, observe::Trace};

/// Whether every φ is part of its layer, and the loss is computed in the layers' own type.
pub fn applies(conv: &[ConvBlock], hidden: &[Dense], output: &FusedLinear) -> bool {
    let conv = conv.iter().map(|block| &block.activation);
    let mut activations = conv.chain(hidden.iter().map(|dense| &dense.activation));
    let fused = activations.all(|activation| activation.activation().fused().is_some());
    fused && matches!(output.weight.val().dtype(), DType::F32 | DType::F64)
}

pub fn mlp(mlp: &Mlp, batch: Batch, share: f64, trace: &mut Trace) -> (Tensor<1>, GradientsParams) {
    let mut pass = Pass { labels: batch.labels, share, trace, gradients: GradientsParams::new() };
    let (loss, _) = pass.head(&mlp.hidden, &mlp.output, batch.images, false);
    (loss, pass.gradients)
}

pub fn cnn(cnn: &Cnn, batch: Batch, share: f64, trace: &mut Trace) -> (Tensor<1>, GradientsParams) {
    let mut pass = Pass { labels: batch.labels, share, trace, gradients: GradientsParams::new() };
    let [samples, _] = batch.images.dims();
    let mut x = batch.images.reshape([samples, cnn.channels, cnn.height, cnn.width]);
    let mut passed = Vec::new();
    for (i, block) in cnn.conv.iter().enumerate() {
        let output = pass.trace.fused_conv2d(&format!("conv.{i}"), x.clone(), &block.convolution).without_autodiff();
        passed.push((x, output.clone()));
        x = max_pool_2x2(output);
    }
    let shape = x.dims();
    let (loss, x_grad) = pass.head(&cnn.hidden, &cnn.output, x.flatten(1, 3), true);

    let mut grad = x_grad.map(|grad| grad.reshape(shape));
    for (i, (block, (x, output))) in cnn.conv.iter().zip(passed).enumerate().rev() {
        let Some(pooled) = grad else { break };
        let layer = &block.convolution;
        let gradients = layer.backward(x, output.clone(), max_pool_2x2_backward(output, pooled), i > 0);
        pass.gradients.register(layer.weight.id, gradients.weight);
        if let (Some(bias), Some(gradient)) = (&layer.bias, gradients.bias) {
            pass.gradients.register(bias.id, gradient);
        }
        pass.trace.set_gradient(&format!("conv.{i}"), gradients.z);
        grad = gradients.x;
    }
    (loss, pass.gradients)
}

/// A pass there and back.
struct Pass<'a> {
    labels: Tensor<1, Int>,
    share: f64,
    trace: &'a mut Trace,
    gradients: GradientsParams,
}

impl Pass<'_> {
    /// Fully connected layers and the loss: share · loss and, where it is wanted, the gradient of `x`.
    fn head(
        &mut self,
        hidden: &[Dense],
        output: &FusedLinear,
        x: Tensor<2>,
        x_grad: bool,
    ) -> (Tensor<1>, Option<Tensor<2>>) {
        let names = (0..hidden.len()).map(|i| format!("hidden.{i}")).chain(["output".to_owned()]);
        let layers = hidden.iter().map(|dense| &dense.linear).chain([output]);
        let layers: Vec<(String, &FusedLinear)> = names.zip(layers).collect();
        // What each layer takes, and at the end the logits: what one gives is what the next takes.
        let mut passed = vec![x];
        for (name, layer) in &layers {
            let x = passed[passed.len() - 1].clone();
            passed.push(self.trace.fused_linear(name, x, layer).without_autodiff());
        }

        let logits = passed[passed.len() - 1].clone();
        let mut loss = cross_entropy(logits.clone(), self.labels.clone());
        if self.share < 1.0 {
            loss = loss * self.share;
        }
        let share = Tensor::full([1], self.share, (&logits.device(), logits.dtype()));
        let mut grad = Some(cross_entropy_backward(logits, self.labels.clone(), share));
        for (i, (name, layer)) in layers.iter().enumerate().rev() {
            let (Some(after), Some(output)) = (grad, passed.pop()) else { return (loss, None) };
            let gradients = layer.backward(passed[i].clone(), output, after, i > 0 || x_grad);
            self.gradients.register(layer.weight.id, gradients.weight);
            if let (Some(bias), Some(gradient)) = (&layer.bias, gradients.bias) {
                self.gradients.register(bias.id, gradient);
            }
            self.trace.set_gradient(name, gradients.z);
            grad = gradients.x;
        }
        (loss, grad)
    }
}
