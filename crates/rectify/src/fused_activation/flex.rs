//! The CPU maths of a fused layer's activation: φ and, below it, φ′ from what the layer keeps.

use super::FusedActivation;
use crate::{
    number::Number,
    relu::real::{self, Apply},
};

/// Hands φ(z + b) to `elements`, as a function of z and b. Of a `Function` it is z + b: its
/// own kernel follows, over a block that is in cache.
pub(crate) fn value<A: Apply<f32>>(activation: FusedActivation, elements: A) -> A::Output {
    match activation {
        FusedActivation::Identity | FusedActivation::Function(_) => elements.apply(|z, b| z + b),
        FusedActivation::Relu(_) => elements.apply(|z, b| real::f(z + b)),
        FusedActivation::Sigmoid => elements.apply(|z, b| (z + b).sigmoid()),
        FusedActivation::Tanh => elements.apply(|z, b| Number::tanh(z + b)),
    }
}

/// Hands φ′ · g to `elements`, as a function of what is kept, the output a = φ(z) or z, and of g. Of a
/// `Function` it is g: its own kernel came before.
pub(crate) fn slope<A: Apply<f32>>(activation: FusedActivation, elements: A) -> A::Output {
    match activation {
        FusedActivation::Identity | FusedActivation::Function(_) => elements.apply(|_, g| g),
        FusedActivation::Relu(rule) => real::df(rule, elements),
        FusedActivation::Sigmoid => elements.apply(|a, g| g * (a * (1.0 - a))),
        FusedActivation::Tanh => elements.apply(|a, g| g * (1.0 - a * a)),
    }
}
