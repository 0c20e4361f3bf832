//! A deep network that is linear on its data: no activation, or one of whose sides all samples are.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom};
use crate::{activation::Activation, record::Layer};

/// Units of a piecewise linear function that are 0 on some samples and not on others are all that bends a network.
/// A layer with none of them is linear on the data; rounding, not a fraction, is allowed for.
const BENT: f64 = 0.0;

pub const DETECTOR: Detector = Detector {
    id: "no-nonlinearity",
    explanation: "A product of matrices is a matrix: layers without an activation between them are one linear layer, \
                  however many there are. The same holds for ReLU units that are above 0 for every sample (they pass \
                  everything) or for none (they pass nothing). Such a network is softmax regression with more work.",
    remedies: &["put an activation such as ReLU behind every hidden layer", "bring biases back to 0"],
    reference: "Goodfellow, Bengio and Courville 2016, Deep learning, section 6.1",
    detect,
};

fn detect(case: &Case) -> Detected {
    let end = case.end().or_else(|_| case.start())?;
    let hidden = case.hidden(end)?;
    let is_identity = |layer: &&&Layer| {
        let name = layer.activation.as_deref().unwrap_or(&case.run.activation);
        matches!(name.parse::<Activation>(), Ok(activation) if activation.name() == "none")
    };
    let identity = hidden.iter().filter(is_identity).count();
    if identity == hidden.len() {
        let layers: Vec<String> = hidden.iter().map(|layer| layer.layer.clone()).collect();
        let says = format!("no activation follows {}: the network is a linear model", case.places(&layers));
        return Ok(vec![Symptom::new(Severity::Warning, says).in_layers(layers).with(
            "bent hidden layers",
            0.0,
            "",
            1.0,
        )]);
    }
    // Only of functions that are linear on both sides of 0 does a side say that they are linear.
    let piecewise = |layer: &&Layer| {
        let name = layer.activation.as_deref().unwrap_or(&case.run.activation);
        ["relu", "leaky-relu", "prelu", "rrelu"].contains(&name.split(':').next().unwrap_or(name))
    };
    if !hidden.iter().all(piecewise) {
        return Ok(Vec::new());
    }
    if hidden.iter().any(|layer| layer.unit_nonzero_fraction.is_empty()) {
        return Err(NotMeasured("which units are 0 was not recorded"));
    }
    let bent = |layer: &&Layer| {
        let mixed = layer.unit_nonzero_fraction.iter().filter(|&&nonzero| nonzero > 0.0 && nonzero < 1.0).count();
        mixed as f64 / layer.unit_nonzero_fraction.len() as f64
    };
    let most = hidden.iter().map(bent).fold(0.0, f64::max);
    // A network all of whose units are 0 is dead, which another detector says better.
    let alive = hidden.iter().all(|layer| layer.dead_fraction.is_none_or(|dead| dead < 1.0));
    // Leaky functions have no zeros to count: their units are never 0.
    let counts =
        hidden.iter().all(|layer| layer.activation.as_deref().unwrap_or(&case.run.activation).starts_with("relu"));
    if most > BENT || !alive || !counts {
        return Ok(Vec::new());
    }
    let says = "every hidden unit is on one side of 0 for all samples: the network is linear on the data";
    Ok(vec![Symptom::new(Severity::Warning, says).since(end.step).with(
        "units that bend, most in a layer",
        most,
        "",
        BENT,
    )])
}
