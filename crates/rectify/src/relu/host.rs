//! The maths of the CPU kernels, for one element: the function and, below it, its derivative under each rule.

use super::gradient::GradientRule;
use crate::host::{Real, select};

/// max(0, x), NaN for NaN, 0.0 for −0.0.
#[inline(always)]
pub(crate) fn f<F: Real>(x: F) -> F {
    if x.is_nonpositive() { F::ZERO } else { x }
}

/// Something that applies a derivative (kept value, incoming gradient) → outgoing gradient to all elements.
///
/// It is generic over the closure, so that the rule is decided once and not per element.
pub(crate) trait Apply<F> {
    type Output;
    fn apply(self, df: impl Fn(F, F) -> F + Sync) -> Self::Output;
}

/// Hands the derivative of `rule` to `elements`. `x` is the input or, where the rule keeps that, the output.
pub(crate) fn df<F: Real, A: Apply<F>>(rule: GradientRule, elements: A) -> A::Output {
    match rule {
        GradientRule::Heaviside { at_zero: 0.0 } => elements.apply(|x, g| select(x, g, F::ZERO)),
        GradientRule::Heaviside { at_zero } => {
            elements.apply(|x, g: F| select(x, g, if x.is_zero() { g.times(at_zero) } else { F::ZERO }))
        }
        GradientRule::Leaky { slope } => elements.apply(|x, g: F| select(x, g, g.times(slope))),
        GradientRule::Surrogate(surrogate) => elements.apply(|x, g: F| g.times(surrogate.slope(x.widen()))),
        GradientRule::Guided => elements.apply(|x, g| select(x, f(g), F::ZERO)),
        GradientRule::Deconv => elements.apply(|_, g| f(g)),
    }
}
