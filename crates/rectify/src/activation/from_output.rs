//! Sigmoid and tanh as fused layers have them: with φ′ from the output, which the next layer keeps anyway.

use serde::{Deserialize, Serialize};

use super::{Activation, Family, Function, Keeps, Properties, Saturates, Sigmoid, Tanh, Visitor};
use crate::number::{Number, pieces::Pieces};

/// The function, with φ′ from the output.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum FromOutput {
    Sigmoid,
    Tanh,
}

impl FromOutput {
    #[inline]
    pub(super) fn visit<V: Visitor>(self, visitor: V) -> V::Output {
        match self {
            Self::Sigmoid => visitor.visit(Kept(Sigmoid)),
            Self::Tanh => visitor.visit(Kept(Tanh)),
        }
    }
}

impl From<FromOutput> for Activation {
    fn from(function: FromOutput) -> Self {
        Self::FromOutput(function)
    }
}

#[derive(Clone, Copy)]
struct Kept<F>(F);

/// φ′ as a function of a = φ(x).
trait OfOutput: Properties {
    fn slope_of_output<N: Number>(self, output: N) -> N;
}

impl OfOutput for Sigmoid {
    #[inline(always)]
    fn slope_of_output<N: Number>(self, output: N) -> N {
        output * (N::of(1.0) - output)
    }
}

impl OfOutput for Tanh {
    #[inline(always)]
    fn slope_of_output<N: Number>(self, output: N) -> N {
        N::of(1.0) - output * output
    }
}

impl<F: OfOutput> Function for Kept<F> {
    const NAME: &'static str = F::NAME;

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        self.0.value(x)
    }

    #[inline(always)]
    fn slope<N: Number>(self, output: N) -> N {
        self.0.slope_of_output(output)
    }
}

impl<F: OfOutput> Properties for Kept<F> {
    const FAMILY: Family = F::FAMILY;
    const SATURATES: Saturates = F::SATURATES;
    const CAN_BE_ZERO: bool = F::CAN_BE_ZERO;

    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [self.0.pieces()[0], None]
    }

    #[inline(always)]
    fn near(self) -> [f32; 2] {
        [self.0.near()[0], 0.0]
    }

    fn keeps(self) -> Keeps {
        Keeps::Output
    }
}
