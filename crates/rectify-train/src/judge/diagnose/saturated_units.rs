//! Activations on the flat parts of their function.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom, when};
use crate::{
    activation::{Activation, Family},
    judge::number::percent,
    observe::SATURATION,
    record::{Epoch, Layer},
};

/// Of the gradient's size, what all hidden layers together pass back at the most: a saturated activation passes under
/// [`SATURATION`] of the largest derivative. A tenth, as one learning rate serves the layers on both sides.
const PASSED: f64 = 0.1;
/// Of one layer, for functions that are flat on one side and so are meant to rest there half of the time.
const ONE_SIDED: f64 = 0.95;

pub const DETECTOR: Detector = Detector {
    id: "saturated-units",
    explanation: "Sigmoid, tanh and their kin are flat for inputs far from 0. A unit that is pushed out there by large \
                  weights, inputs or biases has a derivative of nearly 0: it hardly reacts to its input, and hardly \
                  any gradient passes it on the way back. Layers multiply this.",
    remedies: &[
        "use ReLU or another function without an upper bound",
        "scale the inputs to mean 0 and deviation 1",
        "begin with smaller weights and biases of 0",
    ],
    reference: "Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks",
    detect,
};

/// What the saturated layers leave of a gradient, as a fraction.
fn passed(epoch: &Epoch) -> f64 {
    let layers = epoch.layers.iter().filter_map(|layer| layer.saturated_fraction);
    layers.map(|saturated| 1.0 - (1.0 - SATURATION) * saturated).product()
}

fn detect(case: &Case) -> Detected {
    let saturated = |layer: &Layer| layer.saturated_fraction;
    let has = |epoch: &&Epoch| epoch.layers.iter().any(|layer| saturated(layer).is_some());
    let end =
        case.looks().rev().find(has).ok_or(NotMeasured("the activation does not saturate, or it was not counted"))?;
    let hidden = case.hidden(end)?;
    let two_sided = |layer: &&&Layer| {
        let name = layer.activation.as_deref().unwrap_or(&case.run.activation);
        matches!(name.parse::<Activation>(), Ok(activation) if activation.family() == Family::Sigmoidal)
    };
    let layers = |least: f64| -> Vec<String> {
        let found = hidden.iter().filter(|layer| saturated(layer).is_some_and(|fraction| fraction >= least));
        found.map(|layer| layer.layer.clone()).collect()
    };
    let most = hidden.iter().filter_map(|layer| saturated(layer)).fold(0.0, f64::max);
    if hidden.iter().filter(two_sided).count() == 0 {
        let layers = layers(ONE_SIDED);
        if layers.is_empty() {
            return Ok(Vec::new());
        }
        let step =
            case.since(|epoch| epoch.layers.iter().any(|layer| saturated(layer).is_some_and(|s| s >= ONE_SIDED)));
        let says =
            format!("{} % of the activations of {} are on the flat side", percent(most, 0), case.places(&layers));
        let symptom = Symptom::new(Severity::Warning, says).in_layers(layers).since(step);
        return Ok(vec![symptom.with("saturated activations", most, "", ONE_SIDED)]);
    }
    let left = passed(end);
    if left >= PASSED {
        return Ok(Vec::new());
    }
    let step = case.since(|epoch| passed(epoch) < PASSED);
    let layers = layers(most / 2.0);
    let says = format!(
        "up to {} % of the activations of {} are saturated, {}: at most {} % of a gradient passes all hidden layers",
        percent(most, 0),
        case.places(&layers),
        when(step),
        percent(left, 1)
    );
    let severity = if most > ONE_SIDED { Severity::Critical } else { Severity::Warning };
    Ok(vec![
        Symptom::new(severity, says)
            .in_layers(layers)
            .since(step)
            .with("gradient that passes", left, "", PASSED)
            .with_context("saturated activations, most in a layer", most, ""),
    ])
}
