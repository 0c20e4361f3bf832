//! An activation as a layer's operation of its own.

use burn::tensor::Tensor;
use rectify::{Rrelu, rrelu_with_slopes};

use crate::{activation::ActivationLayer, observe::Trace};

/// φ(z) of the layer `name`, observed; in training with the slopes of this step, where φ draws any.
pub(super) fn activate<const D: usize>(
    activation: &ActivationLayer,
    name: &str,
    z: Tensor<D>,
    trace: &mut Trace,
) -> Tensor<D> {
    let bounds = activation.activation().random_slopes();
    match bounds.and_then(|Rrelu { lower, upper }| trace.slopes(&z, lower, upper)) {
        Some(slopes) => trace.layer(name, z, |z| rrelu_with_slopes(z, slopes)),
        None => trace.layer(name, z, |z| activation.forward(z)),
    }
}
