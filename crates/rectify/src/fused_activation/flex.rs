//! The CPU maths of a fused layer's activation: φ and, below it, φ′ from what the layer keeps.

use super::FusedActivation;
use crate::{
    activation::{Activation, Sigmoid, Tanh},
    relu::real::{self, Apply},
};

/// The function whose own kernel computes φ, over a block that is in cache, after [`value`]; `None` where that has done it.
pub(crate) fn kernel(activation: FusedActivation) -> Option<Activation> {
    match activation {
        FusedActivation::Identity | FusedActivation::Relu(_) => None,
        FusedActivation::Sigmoid => Some(Sigmoid.into()),
        FusedActivation::Tanh => Some(Tanh.into()),
        FusedActivation::Function(function) => Some(function),
    }
}

/// Hands φ(z + b) to `elements`, as a function of z and b, or z + b where a [`kernel`] follows.
pub(crate) fn value<A: Apply<f32>>(activation: FusedActivation, elements: A) -> A::Output {
    match activation {
        FusedActivation::Relu(_) => elements.apply(|z, b| real::f(z + b)),
        _ => elements.apply(|z, b| z + b),
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
