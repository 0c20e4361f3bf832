//! Smooth functions whose derivatives take the place of ReLU's.

#[cfg(any(feature = "cube", feature = "remote"))]
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::number::Number;
#[cfg(any(feature = "cube", feature = "remote"))]
use crate::{
    formula::{Program, trace},
    remembered::Remembered,
};

/// The smooth function s of [`GradientRule::Surrogate`](super::GradientRule::Surrogate).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Surrogate {
    /// B-SiLU: s(x) = (x + α) σ(x) − α/2 with α = 1.67, so s′(x) = σ(x) + (x + α) σ(x) (1 − σ(x)).
    BSilu,
    /// NeLU: s(x) = x for x > 0, otherwise −α / (1 + x²), so s′(x) = 1 or 2αx / (1 + x²)².
    NeLu {
        /// Depth of the negative part, positive.
        alpha: f64,
    },
}

/// α of [`Surrogate::BSilu`], from the paper.
const BSILU_ALPHA: f64 = 1.67;

impl Surrogate {
    /// s′(x). Far from 0, where it is 0 or 1 to rounding, x is cut off, so that ∞ · 0 and ∞ / ∞ are avoided.
    #[inline(always)]
    pub(crate) fn slope<N: Number>(self, x: N) -> N {
        match self {
            Self::BSilu => {
                let x = x.at_least(-700.0).at_most(700.0);
                let share = x.sigmoid();
                share + (x + N::of(BSILU_ALPHA)) * share * (N::of(1.0) - share)
            }
            Self::NeLu { alpha } => {
                // (1e9)⁴ is within f32.
                let near = x.at_least(-1e9).at_most(0.0);
                let root = near * near + N::of(1.0);
                x.or_nan(N::choose(x.above(0.0), N::of(1.0), N::of(2.0 * alpha) * near / (root * root)))
            }
        }
    }

    /// s′ as a program, for the backends that compute it step by step.
    #[cfg(any(feature = "cube", feature = "remote"))]
    pub(super) fn program<const CUT: bool>(self) -> Arc<Program> {
        static KNOWN: Remembered<(Surrogate, bool), Program> = Remembered::new();
        KNOWN.get((self, CUT), || trace::<CUT>(|x| self.slope(x)))
    }
}
