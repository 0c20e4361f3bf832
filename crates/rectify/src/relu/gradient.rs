//! The rules of the backward pass.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::surrogate::Surrogate;

/// What [`Relu`](crate::Relu)'s backward pass makes of the incoming gradient g at the input x.
///
/// | rule | for x > 0 | for x < 0 | at 0 | keeps |
/// |---|---|---|---|---|
/// | `Heaviside { at_zero }` | g | 0 | `at_zero` · g | output; input where `at_zero` ≠ 0 |
/// | `Leaky { slope }` | g | `slope` · g | `slope` · g | output |
/// | `Surrogate(..)` | s′(x) · g | s′(x) · g | s′(0) · g | input |
/// | `Guided` | max(0, g) | 0 | 0 | output |
/// | `Deconv` | max(0, g) | max(0, g) | max(0, g) | nothing |
///
/// Where a rule gives 0 it is 0 whatever g is, infinite or NaN; a NaN in g passes where g passes. A NaN in x gives
/// NaN, except under `Deconv`, which does not look at x.
///
/// As text, for flags and config files: `heaviside=0.5`, `leaky=0.01`, `bsilu`, `nelu=0.1`, `guided`, `deconv`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum GradientRule {
    /// The derivative itself, H(x), with a chosen value at the kink.
    ///
    /// Every value in 0..=1 is a subgradient. Bertoin et al. 2021, *Numerical influence of ReLU'(0) on
    /// backpropagation*.
    Heaviside {
        /// The derivative at 0, in 0..=1.
        at_zero: f64,
    },
    /// A leak in the backward pass only: the forward pass stays max(0, x).
    ///
    /// A straight-through estimator in the family of Bengio, Léonard and Courville 2013, *Estimating or propagating
    /// gradients through stochastic neurons*.
    Leaky {
        /// The derivative for x ≤ 0. Any finite number.
        slope: f64,
    },
    /// The derivative of a smooth function in place of ReLU's own, so that units which are off still learn.
    ///
    /// Horuz et al. 2025, *The resurrection of the ReLU* (SUGAR).
    Surrogate(Surrogate),
    /// Passes positive gradients through positive inputs.
    ///
    /// Guided backpropagation: Springenberg et al. 2015, *Striving for simplicity: the all convolutional net*.
    Guided,
    /// Passes positive gradients, whatever the input: ReLU applied to the gradient.
    ///
    /// Deconvnet: Zeiler and Fergus 2014, *Visualizing and understanding convolutional networks*.
    Deconv,
}

impl Default for GradientRule {
    fn default() -> Self {
        Self::Heaviside { at_zero: 0.0 }
    }
}

/// What the backward pass needs of the forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Nothing,
    /// The output tells what the input would: its sign decides.
    Output,
    Input,
}

impl GradientRule {
    pub(crate) fn keeps(self) -> Keeps {
        match self {
            Self::Heaviside { at_zero: 0.0 } => Keeps::Output,
            Self::Heaviside { .. } | Self::Surrogate(_) => Keeps::Input,
            Self::Leaky { .. } | Self::Guided => Keeps::Output,
            Self::Deconv => Keeps::Nothing,
        }
    }

    /// Whether the derivative needs the input: the output does not tell it.
    pub fn needs_input(self) -> bool {
        self.keeps() == Keeps::Input
    }

    /// Whether every parameter is in its range.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] names the field.
    pub fn check(self) -> Result<(), ConfigError> {
        let (field, value, expected, ok) = match self {
            Self::Heaviside { at_zero } => ("at_zero", at_zero, "in 0..=1", (0.0..=1.0).contains(&at_zero)),
            Self::Leaky { slope } => ("slope", slope, "finite", slope.is_finite()),
            Self::Surrogate(Surrogate::NeLu { alpha }) => {
                ("alpha", alpha, "positive and finite", alpha > 0.0 && alpha.is_finite())
            }
            Self::Surrogate(Surrogate::BSilu) | Self::Guided | Self::Deconv => return Ok(()),
        };
        match ok {
            true => Ok(()),
            false => Err(ConfigError::OutOfRange { field, value, expected }),
        }
    }
}

/// Why a configuration is not accepted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A field is outside of its range.
    #[error("{field} must be {expected}, got {value}")]
    OutOfRange {
        /// The field's name.
        field: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A gradient rule that says nothing of a function.
    #[error("{function} has no gradient rule {rule}: {why}")]
    NoRule {
        /// The function.
        function: &'static str,
        /// The rule.
        rule: String,
        /// Why not.
        why: &'static str,
    },
    /// Text that is not a gradient rule.
    #[error("unknown gradient rule `{0}`; known are heaviside=VALUE, leaky=SLOPE, bsilu, nelu=ALPHA, guided, deconv")]
    UnknownRule(String),
}

impl FromStr for GradientRule {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || ConfigError::UnknownRule(text.to_owned());
        let rule = match text.split_once('=') {
            Some((name, value)) => {
                let value = value.parse().map_err(|_| unknown())?;
                match name {
                    "heaviside" => Self::Heaviside { at_zero: value },
                    "leaky" => Self::Leaky { slope: value },
                    "nelu" => Self::Surrogate(Surrogate::NeLu { alpha: value }),
                    _ => return Err(unknown()),
                }
            }
            None => match text {
                "bsilu" => Self::Surrogate(Surrogate::BSilu),
                "guided" => Self::Guided,
                "deconv" => Self::Deconv,
                _ => return Err(unknown()),
            },
        };
        rule.check()?;
        Ok(rule)
    }
}

impl fmt::Display for GradientRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heaviside { at_zero } => write!(f, "heaviside={at_zero}"),
            Self::Leaky { slope } => write!(f, "leaky={slope}"),
            Self::Surrogate(Surrogate::BSilu) => write!(f, "bsilu"),
            Self::Surrogate(Surrogate::NeLu { alpha }) => write!(f, "nelu={alpha}"),
            Self::Guided => write!(f, "guided"),
            Self::Deconv => write!(f, "deconv"),
        }
    }
}
