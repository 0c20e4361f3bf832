//! From findings to causes: rules that a reader can follow.
//!
//! Findings are symptoms. A rule names the symptoms that a cause leaves, and what must not be there: large initial
//! weights make gradients explode and trainings diverge, and so does a high rate; where the weights were drawn too large,
//! the rate is not to blame. A rule's confidence is counted, not judged: of the trainings of the tuning half of the planted
//! faults in which it held, those in which its cause was the planted one. `rectify diagnose --self-test --format json`
//! prints these counts as `named`, for the tuning half, from which they are taken, and for the other, which says what
//! they are worth.

use serde::Serialize;

use super::{Case, Finding, Severity, data, initial_scale, noisy_gradient::SMALL_BATCH, weight_growth};
use crate::{
    activation::Activation,
    experiment::{Experiment, Init},
    record::{Epoch, Layer},
};

/// What explains findings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    /// As in `learning-rate-too-high`.
    pub cause: &'static str,
    /// The probability that this is the cause, where its rule holds: Laplace's rule of succession, (right + 1) / (named + 2),
    /// on the tuning half of the planted faults. It is of faults alike in kind and number; in the wild they are not.
    pub confidence: f64,
    /// Why these findings point to it.
    pub because: &'static str,
    /// The detectors whose findings it explains.
    pub findings: Vec<&'static str>,
    /// What to change.
    pub remedy: Remedy,
}

/// What to change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Remedy {
    /// For whatever model.
    pub text: String,
    /// The same as settings of an experiment; empty where no setting is at fault, or they are not known.
    pub settings: toml::Table,
}

/// What a rule looks at.
struct Signs<'a> {
    case: &'a Case<'a>,
    findings: &'a [Finding],
}

impl Signs<'_> {
    /// Whether a detector has found more than a piece of information.
    fn seen(&self, detector: &str) -> bool {
        self.findings.iter().any(|finding| finding.detector == detector && finding.severity > Severity::Info)
    }

    fn gain(&self) -> f64 {
        initial_scale::gain(self.case).unwrap_or(1.0)
    }

    fn small_weights(&self) -> bool {
        self.seen("initial-scale") && self.gain() < initial_scale::GAIN[0]
    }

    fn large_weights(&self) -> bool {
        self.seen("initial-scale") && self.gain() > initial_scale::GAIN[1]
    }

    fn biased(&self) -> bool {
        // Where the weights are small, so are the pre-activations, and any bias is large beside them.
        !self.small_weights() && initial_scale::bias(self.case).is_some_and(|ratio| ratio > initial_scale::BIAS)
    }

    fn unscaled(&self) -> bool {
        data::is_scaled(self.case) == Some(false)
    }

    /// Whether numbers were not finite before the first step.
    fn began_not_finite(&self) -> bool {
        let not_finite = |layer: &Layer| layer.nonfinite_activations > 0 || layer.nonfinite_gradients > 0;
        self.case.looks().any(|epoch| epoch.step == 0 && epoch.layers.iter().any(not_finite))
    }

    /// Whether the network was sound when it began: what happened to it since is the training's doing.
    fn began_sound(&self) -> bool {
        !self.small_weights() && !self.large_weights() && !self.biased() && !self.unscaled() && !self.began_not_finite()
    }

    /// Whether a sound network broke as too long a step breaks it.
    fn overstepped(&self) -> bool {
        let broke =
            ["divergence", "update-too-large", "oscillating-loss", "dead-units", "weight-growth", "saturated-units"];
        self.began_sound() && !self.shrank() && broke.iter().any(|detector| self.seen(detector))
    }

    /// Whether batches are small and the rate is not too high for usual ones, but for these. Where a batch is a part of
    /// another, so is the rate that suits it (Goyal et al. 2017, *Accurate, large minibatch SGD: training ImageNet in 1
    /// hour*). A rate that is not known may be either.
    fn small_batches(&self) -> bool {
        let of_looks = self.case.looks().find_map(|epoch| epoch.gradient.as_ref()).map(|sample| sample.batch_size);
        let Some(batch) = self.case.experiment.map(|experiment| experiment.batch_size).or(of_looks) else {
            return false;
        };
        let high_for_these = self.case.experiment.is_none_or(|experiment| {
            let part = experiment.learning_rate() / usual_rate(experiment);
            part <= 1.0 && part > batch as f64 / USUAL_BATCH as f64
        });
        batch <= SMALL_BATCH && high_for_these
    }

    fn shrank(&self) -> bool {
        let growth = weight_growth::growth(self.case).unwrap_or_default();
        growth.iter().any(|(_, ratio)| *ratio < weight_growth::SHRUNK)
    }

    fn contradicts(&self) -> bool {
        data::independent_labels(self.case).is_some()
    }

    /// Whether clipping takes nine tenths of the gradient and more at every look.
    fn clips_all(&self) -> bool {
        let Some(norm) = self.case.experiment.and_then(|experiment| experiment.clip_norm) else { return false };
        let gradient =
            |epoch: &Epoch| epoch.layers.iter().filter_map(|layer| layer.weight_grad_norm).fold(0.0, f64::hypot);
        self.case.looks().all(|epoch| gradient(epoch) > 10.0 * norm)
    }
}

/// A cause and the signs that it leaves.
struct Rule {
    cause: &'static str,
    because: &'static str,
    /// The detectors whose findings it explains, where they have found something.
    explains: &'static [&'static str],
    /// Trainings of the tuning half (`--self-test --seeds 2`) in which the rule held, and those whose planted cause it was.
    named: (u32, u32),
    holds: fn(&Signs) -> bool,
}

impl Rule {
    fn confidence(&self) -> f64 {
        let (named, right) = self.named;
        f64::from(right + 1) / f64::from(named + 2)
    }
}

/// Where a network learns slowly, less of a gradient's loss explains it than would be remarked otherwise: a first layer
/// whose steps are a tenth of the last one's needs ten times as many.
const A_TENTH: f64 = 0.1;

/// Samples of a batch that default rates are made for: the default.
const USUAL_BATCH: usize = 128;

const RULES: &[Rule] = &[
    Rule {
        cause: "frozen-layer",
        because: "a layer stays as it was drawn while others move",
        explains: &["frozen-layer", "slow-learning"],
        named: (8, 8),
        holds: |signs| signs.seen("frozen-layer"),
    },
    Rule {
        cause: "no-nonlinearity",
        because: "the layers act linearly on the data",
        explains: &["no-nonlinearity"],
        named: (4, 4),
        holds: |signs| signs.seen("no-nonlinearity"),
    },
    Rule {
        cause: "inputs-unscaled",
        because: "initialisations and rates are made for inputs of mean 0 and deviation 1, and these are not",
        explains: &["data", "divergence", "dead-units", "saturated-units", "exploding-gradient", "not-learning"],
        named: (4, 4),
        holds: |signs| signs.unscaled(),
    },
    Rule {
        cause: "initial-bias",
        because: "the initial biases decide the sign of the pre-activations, and the inputs do not",
        explains: &["initial-scale", "dead-units", "saturated-units", "vanishing-gradient", "not-learning"],
        named: (16, 16),
        holds: |signs| signs.biased() && !signs.unscaled(),
    },
    Rule {
        cause: "not-finite-at-start",
        because: "numbers are not finite before the first step already, which no rate does",
        explains: &["divergence", "exploding-gradient", "not-learning"],
        named: (0, 0),
        holds: |signs| signs.began_not_finite() && !signs.large_weights() && !signs.unscaled(),
    },
    Rule {
        cause: "initial-weights-too-small",
        because: "the initial weights are a fraction of what keeps a signal's size, so that it dies out from layer to layer",
        explains: &["initial-scale", "vanishing-gradient", "rank-collapse", "not-learning", "slow-learning"],
        named: (16, 16),
        holds: |signs| signs.small_weights(),
    },
    Rule {
        cause: "initial-weights-too-large",
        because: "the initial weights are a multiple of what keeps a signal's size, so that it grows from layer to layer or saturates",
        explains: &[
            "initial-scale",
            "exploding-gradient",
            "saturated-units",
            "divergence",
            "dead-units",
            "not-learning",
        ],
        named: (8, 8),
        holds: |signs| signs.large_weights() && !signs.unscaled(),
    },
    Rule {
        cause: "weight-decay-too-strong",
        because: "the weights shrank, which the gradient alone does not do",
        explains: &["weight-growth", "vanishing-gradient", "rank-collapse", "not-learning", "slow-learning"],
        named: (12, 12),
        holds: |signs| signs.shrank() && !signs.large_weights(),
    },
    Rule {
        cause: "clipping-too-tight",
        because: "the gradient is more than ten times what clipping lets through, and the steps are too short",
        explains: &["update-too-small", "slow-learning", "not-learning"],
        named: (6, 6),
        holds: |signs| {
            signs.clips_all()
                && (signs.seen("update-too-small") || signs.seen("slow-learning") || signs.seen("not-learning"))
        },
    },
    Rule {
        cause: "batch-too-small",
        because: "the gradient of so few samples is mostly noise, and astray at a rate that suits large batches",
        explains: &[
            "noisy-gradient",
            "divergence",
            "update-too-large",
            "oscillating-loss",
            "slow-learning",
            "not-learning",
            "dead-units",
        ],
        named: (6, 6),
        holds: |signs| signs.seen("noisy-gradient") || (signs.small_batches() && signs.overstepped()),
    },
    Rule {
        cause: "learning-rate-too-low",
        because: "no layer moves by a noticeable part of itself, though gradients arrive and nothing clips them",
        explains: &["update-too-small", "slow-learning", "not-learning"],
        named: (8, 8),
        holds: |signs| signs.seen("update-too-small") && signs.began_sound() && !signs.clips_all(),
    },
    Rule {
        cause: "learning-rate-too-high",
        because: "the network was sound when it began, and steps that were too long broke it",
        explains: &[
            "divergence",
            "update-too-large",
            "oscillating-loss",
            "dead-units",
            "saturated-units",
            "weight-growth",
            "exploding-gradient",
            "not-learning",
        ],
        named: (23, 16),
        holds: |signs| signs.overstepped(),
    },
    Rule {
        cause: "too-deep-for-activation",
        because: "with initial weights of the right size the gradient shrinks over the layers: the activation's slope is too small for so many",
        explains: &["initial-scale", "vanishing-gradient", "rank-collapse", "not-learning", "slow-learning"],
        named: (4, 4),
        holds: |signs| {
            signs.began_sound()
                && initial_scale::backward(signs.case).is_some_and(|ratio| {
                    ratio < 1.0 / initial_scale::SIX_DEPTH_SCALES || (ratio < A_TENTH && signs.seen("slow-learning"))
                })
        },
    },
    Rule {
        cause: "activation-saturates",
        because: "the units are on the flat parts of their function",
        explains: &["saturated-units", "vanishing-gradient", "not-learning", "slow-learning"],
        named: (22, 0),
        holds: |signs| signs.seen("saturated-units"),
    },
    Rule {
        cause: "labels-do-not-fit-inputs",
        because: "everything is sound, and batches contradict each other",
        explains: &["data", "not-learning", "slow-learning", "overfitting"],
        named: (7, 7),
        holds: |signs| {
            let broken = [
                "initial-scale",
                "vanishing-gradient",
                "dead-units",
                "saturated-units",
                "weight-growth",
                "update-too-large",
                "noisy-gradient",
            ];
            signs.contradicts() && !broken.iter().any(|detector| signs.seen(detector))
        },
    },
    Rule {
        cause: "overfits",
        because: "the validation loss rises while the training loss falls",
        explains: &["overfitting"],
        named: (0, 0),
        holds: |signs| signs.seen("overfitting"),
    },
];

/// The causes that explain what was found, the likeliest first. None where nothing is above `info`.
pub(super) fn causes(case: &Case, findings: &[Finding]) -> Vec<Cause> {
    if findings.iter().all(|finding| finding.severity == Severity::Info) {
        return Vec::new();
    }
    let signs = Signs { case, findings };
    let mut causes: Vec<Cause> = RULES
        .iter()
        .filter(|rule| (rule.holds)(&signs))
        .map(|rule| Cause {
            cause: rule.cause,
            confidence: rule.confidence(),
            because: rule.because,
            findings: rule.explains.iter().copied().filter(|detector| signs.seen(detector)).collect(),
            remedy: remedy(rule.cause, case),
        })
        .collect();
    // Stable: of two alike, the one whose rule stands first.
    causes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    causes
}

/// The confidence of the rule with this cause.
pub(crate) fn confidence(cause: &str) -> Option<f64> {
    RULES.iter().find(|rule| rule.cause == cause).map(Rule::confidence)
}

/// What to change where `cause` is right.
fn remedy(cause: &str, case: &Case) -> Remedy {
    let experiment = case.experiment;
    let mut settings = toml::Table::new();
    let mut set = |name: &str, value: toml::Value| {
        if experiment.is_some() {
            settings.insert(name.to_owned(), value);
        }
    };
    let text = match cause {
        "frozen-layer" => "let the layer learn, or know why it does not".to_owned(),
        "no-nonlinearity" if rectifies(case) => {
            "let more than one side of the activation be used: smaller biases, or inputs of mean 0".to_owned()
        }
        "no-nonlinearity" => {
            set("activations", strings("relu"));
            "put an activation such as ReLU behind every hidden layer".to_owned()
        }
        "inputs-unscaled" => "standardise the inputs to mean 0 and deviation 1".to_owned(),
        "initial-bias" => {
            set("bias_init", 0.0.into());
            "begin with biases of 0".to_owned()
        }
        "not-finite-at-start" => {
            let formula =
                case.run.activation.parse().is_ok_and(|activation: Activation| activation.formula().is_some());
            let text = match formula {
                true => {
                    "make the formula and its derivative finite for whatever is put in, as with sqrt(abs(x) + 1e-6)"
                }
                false => "look for what is not finite: an input, an initial weight, or what a function makes of them",
            };
            text.to_owned()
        }
        "initial-weights-too-small" | "initial-weights-too-large" => {
            set("init", Init::Auto.to_string().into());
            let resolved = case.run.activation.parse().map(|activation| Init::Auto.resolve(&activation).to_string());
            format!("draw the initial weights by {}", resolved.as_deref().unwrap_or("what suits the activation"))
        }
        "weight-decay-too-strong" => {
            set("weight_decay", 0.0.into());
            "lower the weight decay, to 0 to begin with".to_owned()
        }
        "clipping-too-tight" => {
            set("clip_norm", 10.0.into());
            "clip the gradient's norm at 10, or at what only outliers reach, or not at all".to_owned()
        }
        "batch-too-small" => {
            set("batch_size", (USUAL_BATCH as i64).into());
            format!("use larger batches, such as {USUAL_BATCH}, or lower the learning rate in proportion to their size")
        }
        "learning-rate-too-low" | "learning-rate-too-high" => {
            let usual = experiment.map(usual_rate);
            let lr = experiment.map(Experiment::learning_rate).zip(usual).map(|(now, usual)| match cause {
                "learning-rate-too-low" => {
                    if now < usual {
                        usual
                    } else {
                        now * 10.0
                    }
                }
                _ => {
                    if now > usual {
                        usual
                    } else {
                        now / 10.0
                    }
                }
            });
            if let Some(lr) = lr {
                set("lr", lr.into());
            }
            let direction = if cause == "learning-rate-too-low" { "raise" } else { "lower" };
            match lr {
                Some(lr) => format!("{direction} the learning rate to {lr}"),
                None => format!("{direction} the learning rate by a factor of 10"),
            }
        }
        // He et al. 2016, *Deep residual learning for image recognition*.
        "too-deep-for-activation" if rectifies(case) => {
            if experiment.is_some_and(|experiment| !experiment.residual && experiment.has_residual()) {
                set("residual", true.into());
            }
            "add the input of a layer to its output (residual connections), or use fewer layers".to_owned()
        }
        "too-deep-for-activation" if experiment.is_some_and(|experiment| !draws_its_own(experiment, case)) => {
            set("init", Init::Auto.to_string().into());
            "draw the initial weights as the activation's own moments ask, or use ReLU".to_owned()
        }
        "too-deep-for-activation" | "activation-saturates" => {
            set("activations", strings("relu"));
            set("init", "auto".into());
            "use ReLU, with the initialisation that goes with it".to_owned()
        }
        "labels-do-not-fit-inputs" => "look at samples with their labels: they hardly depend on each other".to_owned(),
        "overfits" => {
            set("patience", 2.into());
            "stop at the epoch with the best validation accuracy, or use more data".to_owned()
        }
        _ => String::new(),
    };
    Remedy { text, settings }
}

/// Whether the activation is the one that is advised where another is at fault.
fn rectifies(case: &Case) -> bool {
    case.run.activation.parse().is_ok_and(|activation: Activation| activation.relu_rule().is_some())
}

/// Whether the weights begin as `auto` would draw them.
fn draws_its_own(experiment: &Experiment, case: &Case) -> bool {
    let auto = |activation: Activation| experiment.init.resolve(&activation) == Init::Auto.resolve(&activation);
    case.run.activation.parse().is_ok_and(auto)
}

/// The optimizer's default, which suits batches of [`USUAL_BATCH`].
fn usual_rate(experiment: &Experiment) -> f64 {
    Experiment { lr: None, ..experiment.clone() }.learning_rate()
}

fn strings(one: &str) -> toml::Value {
    toml::Value::Array(vec![one.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Run;

    #[test]
    fn a_cause_that_was_never_named_is_as_likely_as_not() {
        let confidences = ["overfits", "frozen-layer", "activation-saturates", "of my own"].map(confidence);
        assert_eq!(confidences, [Some(0.5), Some(0.9), Some(1.0 / 24.0), None]);
    }

    #[test]
    fn what_is_so_already_is_no_remedy() {
        let too_deep = |activation: &str, experiment: Experiment| {
            let run = Run::new(activation, 0);
            remedy("too-deep-for-activation", &Case { experiment: Some(&experiment), ..Case::of(&run) }).settings
        };
        let deep = || Experiment { hidden: Some(vec![32; 200]), ..Experiment::default() };
        let sigmoid = too_deep("sigmoid", deep());
        assert_eq!((sigmoid.get("activations"), sigmoid.get("init")), (Some(&strings("relu")), Some(&"auto".into())));
        let xavier = too_deep("sigmoid", Experiment { init: Init::XavierNormal, ..deep() });
        assert_eq!((xavier.len(), xavier.get("init")), (1, Some(&"auto".into())));
        let relu = too_deep("relu", deep());
        assert_eq!((relu.len(), relu.get("residual")), (1, Some(&true.into())));
        // No two layers are of one width, or it has them.
        assert!(too_deep("relu", Experiment { hidden: Some(vec![32, 16, 8]), ..Experiment::default() }).is_empty());
        assert!(too_deep("relu:leaky=0.1", Experiment { residual: true, ..deep() }).is_empty());
    }
}
