//! The activations that an experiment can name, and the layer that applies them.

mod parse;

use std::{fmt, sync::LazyLock};

use burn::{
    module::{Module, Param},
    nn::PRelu,
    tensor::{Tensor, TensorCreationOptions},
};
pub use rectify::Family;
use rectify::{
    Activation as Known, Formula, FormulaError, FusedActivation, GradientRule, Relu, Rrelu, Saturates, Surrogate,
};
use serde::{Deserialize, Serialize};

use crate::words::Vocabulary;

/// An activation, parsed from the name that the command line and the config file use.
///
/// A parameter follows a colon: `leaky-relu:0.1`, `rrelu:0.1:0.3`, `relu:nelu=0.1`. The name, in the spelling of
/// [`NAMES`], with the parameter as given is what [`Display`](fmt::Display) gives back and what `results.json` holds. What
/// is made of straight pieces takes a gradient rule, too, behind its number if that is given: `hard-tanh:leaky=1`,
/// `leaky-relu:0.1:guided`.
///
/// Case, spaces, hyphens and underscores do not matter, and some functions have other names elsewhere, see [`ALIASES`]:
///
/// ```
/// # use rectify_train::activation::Activation;
/// assert_eq!(" Leaky_ReLU:0.10 ".parse::<Activation>()?.name(), "leaky-relu:0.10");
/// assert_eq!("swish".parse::<Activation>()?.name(), "silu");
/// # Ok::<(), rectify_train::activation::ActivationError>(())
/// ```
///
/// What has operators, parentheses or `x` in it is a [`Formula`], and its text is its name:
///
/// ```
/// # use rectify_train::activation::Activation;
/// let bent: Activation = "bent = (sqrt(x^2 + 1) - 1)/2 + x".parse()?;
/// assert_eq!((bent.name(), &*bent.label()), ("bent = (sqrt(x^2 + 1) - 1)/2 + x", "bent"));
/// # Ok::<(), rectify_train::activation::ActivationError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Activation {
    name: String,
    function: Function,
}

#[derive(Debug, Clone, PartialEq)]
enum Function {
    Identity,
    Relu(Relu),
    PRelu {
        slope: f64,
    },
    Rrelu(Rrelu),
    /// One of the crate's, which says of itself what there is to know.
    Known(Known),
    Formula(Formula),
}

/// Every activation's name, in the order that an error message lists them: those that are no function of one number alone,
/// then the crate's, by its list. Its `swish` is `silu` with a parameter.
pub static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let others = ["none", "relu", "prelu", "rrelu"].map(str::to_owned);
    let own = Known::all().into_iter().map(known_name).filter(|name| name != "swish");
    // As long as the program: whatever asks for a name holds it.
    others.into_iter().chain(own).map(|name| &*name.leak()).collect()
});

/// The name here of one of the crate's functions.
fn known_name(function: Known) -> String {
    function.name().replace('_', "-")
}

/// What stands for every one of [`NAMES`] where a list is asked for.
pub const ALL: &str = "all";

/// What the same functions are called elsewhere, each with its name here.
pub const ALIASES: &[(&str, &str)] = &[
    ("identity", "none"),
    ("linear", "none"),
    ("logistic", "sigmoid"),
    ("swish", "silu"),
    ("hard-silu", "hard-swish"),
    ("gelu-approximate", "gelu-tanh"),
    ("parametric-relu", "prelu"),
    ("randomized-relu", "rrelu"),
    ("randomized-leaky-relu", "rrelu"),
    ("relu-squared", "squared-relu"),
    ("relu2", "squared-relu"),
];

/// Their functions are others, or the name leaves open which one is meant.
const HINTS: &[(&str, &[&str])] = &[
    ("leaky", &["leaky-relu"]),
    ("lrelu", &["leaky-relu"]),
    ("quick-gelu", &["gelu-tanh"]),
    ("gelu-new", &["gelu-tanh"]),
    ("heaviside", &["relu:heaviside=0.5"]),
    ("bsilu", &["relu:bsilu"]),
    ("nelu", &["relu:nelu=0.1"]),
];

/// Gated units, each with the activation of its gate. They halve the width, so none stands where an activation does.
const GATED: &[(&str, &str)] = &[("glu", "sigmoid"), ("swiglu", "silu"), ("geglu", "gelu")];

static VOCABULARY: LazyLock<Vocabulary> =
    LazyLock::new(|| Vocabulary { kind: "activation", names: &NAMES, aliases: ALIASES, hints: HINTS });

/// Why a name is not an activation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ActivationError {
    /// No such function.
    #[error("{}, or a formula such as x*sigmoid(x)", VOCABULARY.unknown(.0))]
    Unknown(String),
    /// A gated unit, which is a module of its own.
    #[error(
        "`{name}` is a gated unit and no activation: it multiplies one half of its input by {gate} of the other, and gives \
         half of the width. Programs have it as the module `rectify::Gated::{unit}()`; its gate alone is `{gate}`"
    )]
    Gated {
        /// The name as given.
        name: String,
        /// The unit.
        unit: &'static str,
        /// The activation of its gate.
        gate: &'static str,
    },
    /// A text that looks like a formula and is none.
    #[error(transparent)]
    Formula(#[from] FormulaError),
    /// A formula with the name of another activation.
    #[error("the formula's name `{0}` is that of a known activation; give it another one")]
    Taken(String),
    /// The part behind the colon is wrong.
    #[error("activation `{name}`: {reason}")]
    Parameter {
        /// The name as given.
        name: String,
        /// What is wrong with it and what would work.
        reason: String,
    },
}

impl TryFrom<String> for Activation {
    type Error = ActivationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Activation> for String {
    fn from(activation: Activation) -> Self {
        match activation.function {
            Function::Formula(formula) => formula.text().to_owned(),
            _ => activation.name,
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Activation {
    /// Every function of [`NAMES`] but `none`, with its parameter's default.
    pub fn all() -> Vec<Self> {
        let names = NAMES.iter().filter(|name| **name != "none");
        names.map(|name| name.parse().expect("a name in the list is an activation's")).collect()
    }

    /// Names and formulas, with [`ALL`] for every function that the list does not name itself: `relu,x*sigmoid(2*x),all`
    /// begins with ReLU and has it once.
    ///
    /// # Errors
    ///
    /// What is no activation.
    pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, ActivationError> {
        let is_all = |name: &str| name.trim().eq_ignore_ascii_case(ALL);
        let read = |name: &'a str| if is_all(name) { Ok(None) } else { name.parse().map(Some) };
        let read: Vec<Option<Self>> = names.into_iter().map(read).collect::<Result<_, _>>()?;
        let named: Vec<Self> = read.iter().flatten().cloned().collect();
        let others = || Self::all().into_iter().filter(|one| !named.iter().any(|named| named.same_function(one)));
        Ok(read.into_iter().flat_map(|one| one.map_or_else(|| others().collect(), |one| vec![one])).collect())
    }

    /// The name in its usual spelling, with the parameter as the user gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the other is this function by the same or another name: `leaky-relu` is `leaky-relu:0.01`.
    pub fn same_function(&self, other: &Self) -> bool {
        match (&self.function, &other.function) {
            (Function::Formula(one), Function::Formula(other)) => one.same_function(other),
            (one, other) => one == other,
        }
    }

    /// The formula; `None` for functions that have a name.
    pub fn formula(&self) -> Option<&Formula> {
        match &self.function {
            Function::Formula(formula) => Some(formula),
            _ => None,
        }
    }

    /// What a formula is called by whoever wrote it: what stands before `=`.
    pub(crate) fn name_given(&self) -> Option<&str> {
        self.formula()?.name()
    }

    /// What tables and pictures call it: the name, or of a formula what stands before `=`, otherwise its beginning.
    pub fn label(&self) -> String {
        let Some(formula) = self.formula() else { return self.name.clone() };
        if let Some(name) = self.name_given() {
            return name.to_owned();
        }
        match formula.text().char_indices().nth(LONGEST_LABEL) {
            None => formula.text().to_owned(),
            Some(_) => formula.text().chars().take(LONGEST_LABEL - 1).chain(['…']).collect(),
        }
    }

    /// The same function by another name, for people; as a setting it is written in full.
    pub(crate) fn labelled(self, label: &str) -> Self {
        Self { name: label.to_owned(), ..self }
    }

    /// The function without its gradient rule, where it has one that is not ReLU's.
    fn plain(&self) -> Function {
        match &self.function {
            Function::Known(Known::Ruled(ruled)) => Function::Known(ruled.function()),
            function => function.clone(),
        }
    }

    /// The same function with the gradient that is its own, where it is not ReLU.
    pub fn without_rule(&self) -> Self {
        let rule = self.name.rsplit_once(':').filter(|_| matches!(self.function, Function::Known(Known::Ruled(_))));
        Self { name: rule.map_or(&*self.name, |(name, _)| name).to_owned(), function: self.plain() }
    }

    /// The function's parameters, given or the defaults.
    pub(crate) fn parameters(&self) -> Vec<f64> {
        match self.plain() {
            Function::PRelu { slope } => vec![slope],
            Function::Rrelu(Rrelu { lower, upper }) => vec![lower, upper],
            Function::Known(function) => function.parameter().into_iter().collect(),
            Function::Relu(relu) => match relu.rule() {
                GradientRule::Heaviside { at_zero } => vec![at_zero],
                GradientRule::Leaky { slope } => vec![slope],
                GradientRule::Surrogate(Surrogate::NeLu { alpha }) => vec![alpha],
                GradientRule::Surrogate(Surrogate::BSilu) | GradientRule::Guided | GradientRule::Deconv => vec![],
            },
            _ => vec![],
        }
    }

    /// How PyTorch makes the module, as in `LeakyReLU(0.1)`; `None` for formulas and for what PyTorch has no module
    /// for. Gradient rules are not PyTorch's: it is the function's forward pass.
    pub fn torch(&self) -> Option<String> {
        match self.plain() {
            Function::Identity => Some("Identity()".to_owned()),
            Function::Relu(_) => Some("ReLU()".to_owned()),
            Function::PRelu { slope } => Some(format!("PReLU(init={slope})")),
            Function::Rrelu(Rrelu { lower, upper }) => Some(format!("RReLU({lower}, {upper})")),
            Function::Known(function) => function.torch(),
            Function::Formula(_) => None,
        }
    }

    /// Whether it has a parameter that is trained: PReLU's slope.
    pub(crate) fn learns(&self) -> bool {
        matches!(self.function, Function::PRelu { .. })
    }

    /// The bounds of the slopes that a training step draws, where it draws any.
    pub(crate) fn random_slopes(&self) -> Option<Rrelu> {
        match self.function {
            Function::Rrelu(rrelu) => Some(rrelu),
            _ => None,
        }
    }

    /// The family whose initialisation `--init auto` takes.
    pub fn family(&self) -> Family {
        match self.function {
            Function::Identity => Family::Sigmoidal,
            Function::Known(function) => function.family(),
            Function::Relu(_) | Function::PRelu { .. } | Function::Rrelu(_) | Function::Formula(_) => Family::Rectifier,
        }
    }

    /// The function as part of a fused layer; `None` for what has parameters, random slopes or text of its own.
    pub fn fused(&self) -> Option<FusedActivation> {
        match self.function {
            Function::Identity => Some(FusedActivation::Identity),
            Function::Relu(relu) => Some(relu.fused()),
            Function::Known(function) => Some(function.into()),
            Function::PRelu { .. } | Function::Rrelu(_) | Function::Formula(_) => None,
        }
    }

    /// The gradient rule, where the function is ReLU or has another gradient than its own.
    pub fn rule(&self) -> Option<GradientRule> {
        match self.function {
            Function::Known(Known::Ruled(ruled)) => Some(ruled.rule()),
            _ => self.relu_rule(),
        }
    }

    /// The ReLU's gradient rule; `None` for other functions.
    pub fn relu_rule(&self) -> Option<GradientRule> {
        match self.function {
            Function::Relu(relu) => Some(relu.rule()),
            _ => None,
        }
    }

    /// Whether *saturated* says something: the function is curved and flattens out.
    ///
    /// For the piecewise linear functions without an upper bound (identity, ReLU, leaky ReLU, PReLU, RReLU) a flat half is
    /// not saturation but sparsity, which `zero_fraction` and `dead_fraction` measure. Of formulas that is told from φ′
    /// (see [`Formula::is_piecewise_linear`]) and from its values at ±10⁶.
    pub fn saturates(&self) -> bool {
        match &self.function {
            Function::Identity | Function::Relu(_) | Function::PRelu { .. } | Function::Rrelu(_) => false,
            Function::Known(function) => function.saturates() != Saturates::Nowhere,
            Function::Formula(formula) => {
                let unbounded = formula.slope(FAR) > 0.0 || formula.slope(-FAR) < 0.0;
                !(formula.is_piecewise_linear() && unbounded)
            }
        }
    }

    /// Whether φ(z) = 0 for any z, so that exact zeros and dead units say something: of all but sigmoid, softplus
    /// and log-sigmoid, which never are. (That they round to 0 far below is their saturation.) Of formulas by evaluation, see
    /// [`Formula::can_be_zero`].
    pub fn can_be_zero(&self) -> bool {
        match &self.function {
            Function::Known(function) => function.can_be_zero(),
            Function::Formula(formula) => formula.can_be_zero(),
            _ => true,
        }
    }

    /// Builds the layer on a device, or on a device in a dtype: `(&device, dtype)`, which is that of its inputs.
    ///
    /// Only PReLU's slope lives there, in the dtype or else in the device's default one.
    pub fn init(&self, options: impl Into<TensorCreationOptions>) -> ActivationLayer {
        let prelu = match self.function {
            Function::PRelu { slope } => {
                Some(PRelu { alpha: Param::from_tensor(Tensor::full([1], slope, options)), alpha_value: slope })
            }
            _ => None,
        };
        ActivationLayer { activation: self.clone(), prelu }
    }
}

/// Applies an [`Activation`] to a tensor of any shape.
#[derive(Module, Debug)]
pub struct ActivationLayer {
    #[module(skip)]
    activation: Activation,
    prelu: Option<PRelu>,
}

impl ActivationLayer {
    /// The activation that this layer applies.
    pub fn activation(&self) -> &Activation {
        &self.activation
    }

    /// φ(x), element by element, as it is evaluated: RReLU with the mean of its slopes. Those that a training step takes are
    /// drawn by the network that it trains; in a model of your own [`Rrelu`] draws them.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self.activation.function {
            Function::Formula(ref formula) => formula.forward(x),
            Function::Identity => x,
            Function::Relu(relu) => relu.forward(x),
            Function::PRelu { .. } => match &self.prelu {
                Some(prelu) => rectify::prelu(x, prelu.alpha.val()),
                None => x,
            },
            Function::Rrelu(rrelu) => rrelu.mean().forward(x),
            Function::Known(function) => function.forward(x),
        }
    }
}

/// Most characters of a formula in a table.
const LONGEST_LABEL: usize = 28;

/// Where a piecewise linear formula is taken to have no more kinks.
const FAR: f64 = 1e6;
