//! How weights begin.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Moments;
use crate::{
    activation::{Activation, Family},
    words::Vocabulary,
};

/// How weights begin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Init {
    /// What each activation asks for: He's for ReLU, LeCun's for SELU, and for others `gain:G` with
    /// [`Moments::gain`].
    Auto,
    /// N(0, 2 / fan_in): He et al. 2015.
    HeNormal,
    /// U(±√(6 / fan_in)).
    HeUniform,
    /// N(0, 2 / (fan_in + fan_out)): Glorot and Bengio 2010.
    XavierNormal,
    /// U(±√(6 / (fan_in + fan_out))).
    XavierUniform,
    /// N(0, 1 / fan_in): LeCun et al. 1998, *Efficient backprop*.
    LecunNormal,
    /// U(±1 / √fan_in) for weights and biases: what PyTorch's `Linear` and `Conv2d` do.
    TorchDefault,
    /// (Semi-)orthogonal: Saxe et al. 2013.
    Orthogonal,
    /// N(0, STD²): `normal:STD`.
    Normal(f64),
    /// N(0, G² / fan_in): `gain:G`. `he-normal` is √2, `lecun-normal` 1.
    Gain(f64),
    /// N(0, 0.6007² / fan_in) for weights and biases, with one randomly chosen entry of each unit's drawn from
    /// Beta(2, 1), so that fewer units are born dead: Lu et al. 2019.
    RandomizedAsymmetric,
}

/// Those without a parameter.
const NAMED: [(&str, Init); 9] = [
    ("auto", Init::Auto),
    ("he-normal", Init::HeNormal),
    ("he-uniform", Init::HeUniform),
    ("xavier-normal", Init::XavierNormal),
    ("xavier-uniform", Init::XavierUniform),
    ("lecun-normal", Init::LecunNormal),
    ("torch-default", Init::TorchDefault),
    ("orthogonal", Init::Orthogonal),
    ("randomized-asymmetric", Init::RandomizedAsymmetric),
];

const ALIASES: &[(&str, &str)] = &[
    ("kaiming-normal", "he-normal"),
    ("kaiming-uniform", "he-uniform"),
    ("glorot-normal", "xavier-normal"),
    ("glorot-uniform", "xavier-uniform"),
    ("pytorch-default", "torch-default"),
    ("randomised-asymmetric", "randomized-asymmetric"),
    ("rai", "randomized-asymmetric"),
];

const HINTS: &[(&str, &[&str])] = &[
    ("gain", &["gain:1"]),
    ("normal", &["normal:0.01"]),
    ("gaussian", &["normal:0.01"]),
    ("zeros", &["normal:0"]),
    ("zero", &["normal:0"]),
    ("default", &["auto", "torch-default"]),
    ("torch", &["torch-default"]),
    ("pytorch", &["torch-default"]),
];

impl Init {
    /// Every initialisation's name, `normal:STD` and `gain:G` among them.
    pub fn names() -> Vec<&'static str> {
        NAMED.iter().map(|(name, _)| *name).chain(["normal:STD", "gain:G"]).collect()
    }

    /// What `auto` means for an activation; itself otherwise.
    pub fn resolve(self, activation: &Activation) -> Self {
        match self {
            // Whatever its backward pass does: the rule is part of what is compared, the weights are not.
            Self::Auto if activation.relu_rule().is_some() => Self::HeNormal,
            // A signal's mean and variance go to their fixed point (0, 1) with this variance: Klambauer et al. 2017.
            Self::Auto if activation.family() == Family::SelfNormalizing => Self::LecunNormal,
            Self::Auto => Self::Gain(Moments::of(activation).gain()),
            init => init,
        }
    }

    /// Whether it draws biases, too.
    pub fn draws_biases(self) -> bool {
        matches!(self, Self::TorchDefault | Self::RandomizedAsymmetric)
    }
}

/// The gain g of the weights that `auto` draws, of variance g² / fan_in.
pub(crate) fn auto_gain(activation: &Activation) -> f64 {
    match Init::Auto.resolve(activation) {
        Init::HeNormal => std::f64::consts::SQRT_2,
        Init::Gain(gain) => gain,
        // LeCun's, for SELU.
        _ => 1.0,
    }
}

impl FromStr for Init {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::names();
        let vocabulary = Vocabulary { kind: "initialisation", names: &names, aliases: ALIASES, hints: HINTS };
        let (name, parameter) = match text.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter.trim())),
            None => (text, None),
        };
        let named = vocabulary.find(name).and_then(|word| NAMED.iter().find(|(name, _)| *name == word));
        match (named, parameter) {
            (Some((_, init)), None) => Ok(*init),
            (Some((name, _)), Some(_)) => {
                Err(format!("`{text}`: `{name}` takes no parameter; a deviation is `normal:0.1`, a gain `gain:0.5`"))
            }
            (None, Some(std)) if name.trim().eq_ignore_ascii_case("normal") => match std.parse::<f64>() {
                Ok(std) if std.is_finite() && std >= 0.0 => Ok(Self::Normal(std)),
                _ => Err(format!("`{text}`: the standard deviation must be a number that is not negative")),
            },
            (None, Some(gain)) if name.trim().eq_ignore_ascii_case("gain") => match gain.parse::<f64>() {
                Ok(gain) if gain.is_finite() && gain >= 0.0 => Ok(Self::Gain(gain)),
                _ => Err(format!("`{text}`: the gain must be a number that is not negative")),
            },
            (None, _) => Err(vocabulary.unknown(text)),
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, NAMED.iter().find(|(_, init)| init == self)) {
            (Self::Normal(std), _) => write!(f, "normal:{std}"),
            (Self::Gain(gain), _) => write!(f, "gain:{gain}"),
            (_, named) => f.write_str(named.map_or("", |(name, _)| name)),
        }
    }
}

super::as_string!(Init);
