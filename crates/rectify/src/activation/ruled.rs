//! Piecewise linear functions with another gradient than their own.

use serde::{Deserialize, Serialize};

use super::{
    Activation, Bends, Family, Function, HardShrink, HardSigmoid, HardTanh, Keeps, LeakyRelu, Properties, Relu6,
    Saturates, SoftShrink, Threshold, Visitor, module,
};
use crate::{
    number::Number,
    relu::{ConfigError, GradientRule},
};

/// A function of straight pieces, forward as it is, with a [`GradientRule`] in its backward pass.
///
/// | rule | the gradient is g times |
/// |---|---|
/// | `Heaviside { at_zero }` | φ′; at each kink `at_zero` of the way from the smaller to the larger slope beside it |
/// | `Leaky { slope }` | φ′; `slope` where φ is flat |
/// | `Guided` | φ′, where g is positive, otherwise 0 |
/// | `Deconv` | 1, where g is positive, otherwise 0 |
///
/// They are ReLU's own, which is [`Relu`](crate::Relu), for the others. Surrogates are made for ReLU alone.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use rectify::{Activation, GradientRule, HardTanh};
///
/// // A straight-through estimator: gradients pass where the function is flat, too.
/// let through = Activation::from(HardTanh::default()).with_rule(GradientRule::Leaky { slope: 1.0 })?;
/// let x = Tensor::<1>::from_floats([-2.0, 0.5, 2.0], &Device::flex().autodiff()).require_grad();
/// let y = through.forward(x.clone());
/// let gradient = x.grad(&y.clone().sum().backward()).unwrap();
/// assert_eq!(y.into_data().to_vec::<f32>().unwrap(), [-1.0, 0.5, 1.0]);
/// assert_eq!(gradient.into_data().to_vec::<f32>().unwrap(), [1.0, 1.0, 1.0]);
/// # Ok::<(), rectify::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ruled {
    function: Bent,
    rule: GradientRule,
}

macro_rules! bent {
    ($($type:ident),*) => {
        /// The functions of straight pieces. By themselves: what holds any activation would hold itself.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        enum Bent {
            $($type($type)),*
        }

        impl Bent {
            fn of(activation: Activation) -> Option<Self> {
                match activation {
                    $(Activation::$type(function) => Some(Self::$type(function)),)*
                    _ => None,
                }
            }

            fn activation(self) -> Activation {
                match self {
                    $(Self::$type(function) => Activation::$type(function)),*
                }
            }

            fn visit<V: Visitor>(self, rule: GradientRule, visitor: V) -> V::Output {
                match self {
                    $(Self::$type(function) => visitor.visit(WithRule::new(function, rule))),*
                }
            }
        }
    };
}

bent!(LeakyRelu, Relu6, HardTanh, HardSigmoid, HardShrink, SoftShrink, Threshold);

impl Ruled {
    /// The function without the rule.
    pub fn function(self) -> Activation {
        self.function.activation()
    }

    /// The rule.
    pub fn rule(self) -> GradientRule {
        self.rule
    }

    #[inline]
    pub(super) fn visit<V: Visitor>(self, visitor: V) -> V::Output {
        self.function.visit(self.rule, visitor)
    }
}

module::module!(Ruled);

impl From<Ruled> for Activation {
    fn from(ruled: Ruled) -> Self {
        Self::Ruled(ruled)
    }
}

impl Activation {
    /// Whether it is made of straight pieces, so that it takes a [`GradientRule`].
    pub fn is_piecewise_linear(self) -> bool {
        matches!(self, Self::Ruled(_)) || Bent::of(self).is_some()
    }

    /// The same function with another gradient, see [`Ruled`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the rule's parameter is out of range, and where it says nothing of this function: it is curved,
    /// or the rule is a surrogate, or `Leaky` and no piece is flat.
    pub fn with_rule(self, rule: GradientRule) -> Result<Self, ConfigError> {
        rule.check()?;
        let function = match self {
            Self::Ruled(ruled) => Some(ruled.function),
            other => Bent::of(other),
        };
        let refused = |why| Err(ConfigError::NoRule { function: self.name(), rule: rule.to_string(), why });
        let Some(function) = function else { return refused("it is not made of straight pieces") };
        match (rule, function) {
            (GradientRule::Surrogate(_), _) => refused("surrogates are made for ReLU"),
            (GradientRule::Leaky { .. }, Bent::LeakyRelu(LeakyRelu { negative_slope })) if negative_slope != 0.0 => {
                refused("no piece of it is flat")
            }
            _ => Ok(Self::Ruled(Ruled { function, rule })),
        }
    }
}

/// A function and what its rule comes to, as numbers: so that one kernel serves all rules, and has no branches.
#[derive(Clone, Copy)]
struct WithRule<F> {
    function: F,
    /// φ′ where the function's own is 0.
    flat: f64,
    kinks: [f64; 2],
    /// φ′ there; `None` where that is the function's own.
    at_kinks: Option<[f64; 2]>,
    /// Gradients that are not positive are 0.
    positive_only: bool,
    /// The input does not matter.
    passes_all: bool,
}

impl<F: Bends> WithRule<F> {
    fn new(function: F, rule: GradientRule) -> Self {
        let kinks = function.kinks();
        let plain = Self { function, flat: 0.0, kinks, at_kinks: None, positive_only: false, passes_all: false };
        match rule {
            GradientRule::Leaky { slope } => Self { flat: slope, ..plain },
            GradientRule::Heaviside { at_zero } => {
                // Not beyond the other kink.
                let gap = kinks[1] - kinks[0];
                let slope = |kink: f64| {
                    let beside = kink.abs().max(1.0) * 1e-6;
                    let beside = if gap > 0.0 { beside.min(gap / 2.0) } else { beside };
                    let [left, right]: [f64; 2] = [kink - beside, kink + beside].map(|x| function.slope(x));
                    let [low, high] = [left.min(right), left.max(right)];
                    low + at_zero * (high - low)
                };
                Self { at_kinks: Some(kinks.map(slope)), ..plain }
            }
            GradientRule::Guided => Self { positive_only: true, ..plain },
            GradientRule::Deconv => Self { positive_only: true, passes_all: true, ..plain },
            // `with_rule` lets none through.
            GradientRule::Surrogate(_) => plain,
        }
    }
}

impl<F: Function> Function for WithRule<F> {
    const NAME: &'static str = F::NAME;

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        self.function.value(x)
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        if self.passes_all {
            return N::of(1.0);
        }
        let own = self.function.slope(x);
        // NaN is not at most 0, and stays.
        let slope = N::choose(own.abs().less_equal(N::of(0.0)), N::of(self.flat), own);
        let Some(at_kinks) = self.at_kinks else { return slope };
        let mut slope = slope;
        for (kink, at_kink) in self.kinks.into_iter().zip(at_kinks) {
            let kink = N::of(kink);
            slope = N::choose(x.less_equal(kink), N::choose(kink.less_equal(x), N::of(at_kink), slope), slope);
        }
        slope
    }
}

impl<F: Properties> Properties for WithRule<F> {
    const FAMILY: Family = F::FAMILY;
    const SATURATES: Saturates = F::SATURATES;
    const CAN_BE_ZERO: bool = F::CAN_BE_ZERO;

    #[inline(always)]
    fn passed<N: Number>(self, grad: N) -> N {
        if self.positive_only { grad.at_least(0.0) } else { grad }
    }

    fn keeps(self) -> Keeps {
        // At a kink the output may be that of the flat piece beside it.
        if self.at_kinks.is_some() { Keeps::Input } else { self.function.keeps() }
    }

    fn torch(self) -> Option<String> {
        self.function.torch()
    }

    fn check(self) -> Result<(), ConfigError> {
        self.function.check()
    }
}
