//! How weights begin.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    activation::{Activation, Family},
    words::Vocabulary,
};

/// How weights begin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Init {
    /// What suits each activation: see [`Family`], and for formulas [`Activation::variance_scale`].
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
    /// N(0, V / fan_in): `variance-scaling:V`. He's is 2 and LeCun's 1; `auto` takes it for formulas, with
    /// [`Activation::variance_scale`].
    VarianceScaling(f64),
    /// N(0, STD²): `normal:STD`.
    Normal(f64),
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
    ("normal", &["normal:0.01"]),
    ("variance-scaling", &["variance-scaling:2"]),
    ("gaussian", &["normal:0.01"]),
    ("zeros", &["normal:0"]),
    ("zero", &["normal:0"]),
    ("default", &["auto", "torch-default"]),
    ("torch", &["torch-default"]),
    ("pytorch", &["torch-default"]),
];

/// The one name with a parameter that people may spell in several ways.
const VARIANCE_SCALING: Vocabulary =
    Vocabulary { kind: "initialisation", names: &["variance-scaling"], aliases: &[], hints: &[] };

impl Init {
    /// Every initialisation's name, `normal:STD` and `variance-scaling:V` among them.
    pub fn names() -> Vec<&'static str> {
        NAMED.iter().map(|(name, _)| *name).chain(["normal:STD", "variance-scaling:V"]).collect()
    }

    /// What `auto` means for an activation; itself otherwise.
    pub fn resolve(self, activation: &Activation) -> Self {
        if let (Self::Auto, Some(scale)) = (self, activation.variance_scale()) {
            return Self::VarianceScaling(scale);
        }
        match (self, activation.family()) {
            (Self::Auto, Family::Rectifier) => Self::HeNormal,
            (Self::Auto, Family::Sigmoidal) => Self::XavierNormal,
            (Self::Auto, Family::SelfNormalizing) => Self::LecunNormal,
            (init, _) => init,
        }
    }

    /// Whether it draws biases, too.
    pub fn draws_biases(self) -> bool {
        matches!(self, Self::TorchDefault | Self::RandomizedAsymmetric)
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
            (Some((name, _)), Some(_)) => Err(format!("`{text}`: `{name}` takes no parameter")),
            (None, Some(std)) if name.trim().eq_ignore_ascii_case("normal") => match std.parse::<f64>() {
                Ok(std) if std.is_finite() && std >= 0.0 => Ok(Self::Normal(std)),
                _ => Err(format!("`{text}`: the standard deviation must be a number that is not negative")),
            },
            (None, Some(scale)) if VARIANCE_SCALING.find(name).is_some() => match scale.parse::<f64>() {
                Ok(scale) if scale.is_finite() && scale > 0.0 => Ok(Self::VarianceScaling(scale)),
                _ => Err(format!("`{text}`: what is divided by fan_in must be a positive number")),
            },
            (None, _) => Err(vocabulary.unknown(text)),
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, NAMED.iter().find(|(_, init)| init == self)) {
            (Self::Normal(std), _) => write!(f, "normal:{std}"),
            (Self::VarianceScaling(scale), _) => write!(f, "variance-scaling:{scale}"),
            (_, named) => f.write_str(named.map_or("", |(name, _)| name)),
        }
    }
}

super::as_string!(Init);
