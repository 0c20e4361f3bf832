//! The CPU maths of a fused layer's activation: φ and, below it, φ′ from what the layer keeps.

use super::FusedActivation;
use crate::relu::host::{self, Apply};

/// Hands φ(z + b) to `elements`, as a function of z and b, or z + b where the kernel of
/// [`FusedActivation::function`] follows.
pub(crate) fn value<A: Apply<f32>>(activation: FusedActivation, elements: A) -> A::Output {
    match activation {
        FusedActivation::Relu(_) => elements.apply(|z, b| host::f(z + b)),
        _ => elements.apply(|z, b| z + b),
    }
}

/// Hands φ′ · g to `elements`, as a function of what is kept, the output a = φ(z) or z, and of g; it is g where
/// [`FusedActivation::function`]'s kernel came before.
pub(crate) fn slope<A: Apply<f32>>(activation: FusedActivation, elements: A) -> A::Output {
    match activation {
        FusedActivation::Relu(rule) => host::df(rule, elements),
        _ => elements.apply(|_, g| g),
    }
}
