//! A layer that does not move while others do.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom};
use crate::record::{Epoch, Layer};

/// A layer moves if a step changes its weights at all.
const MOVED: f64 = 0.0;

/// Of the largest gradient of a layer: below it the gradient is lost on its way, and steps round to nothing; other
/// detectors say where.
const LOST: f64 = 1e-3;

pub const DETECTOR: Detector = Detector {
    id: "frozen-layer",
    explanation: "A layer whose weights take no gradient, or are left out of the optimizer, stays as it was drawn. \
                  That may be meant, as when a pretrained network is tuned; a layer of random weights that was \
                  forgotten passes on only what its randomness lets through.",
    remedies: &[
        "look for no_grad, detach or set_require_grad(false) on the layer",
        "see that the optimizer has its parameters",
    ],
    reference: "Humbatova et al. 2020, Taxonomy of real faults in deep learning systems",
    detect,
};

/// Whether the layer stood still, though a gradient that others move by was there for it, or it took none.
fn is_frozen(layer: &Layer, largest: f64) -> bool {
    let still = layer.update_to_weight_ratio.is_none_or(|ratio| ratio <= MOVED);
    let lost = layer.weight_grad_rms.is_some_and(|gradient| gradient < LOST * largest);
    still && layer.weight_rms.is_some() && !lost && layer.nonfinite_weights == 0
}

fn detect(case: &Case) -> Detected {
    let moving =
        |epoch: &Epoch| epoch.layers.iter().any(|layer| layer.update_to_weight_ratio.is_some_and(|r| r > MOVED));
    let looks: Vec<&Epoch> = case.looks().filter(|epoch| epoch.step > 0 && moving(epoch)).collect();
    let Some(end) = looks.last() else { return Err(NotMeasured("no update of the weights was measured")) };
    let largest = |epoch: &Epoch| epoch.layers.iter().filter_map(|layer| layer.weight_grad_rms).fold(0.0, f64::max);
    // At every look: a step may round to nothing.
    let always = |name: &str| {
        looks
            .iter()
            .all(|epoch| epoch.layers.iter().any(|layer| layer.layer == name && is_frozen(layer, largest(epoch))))
    };
    let frozen: Vec<String> = end.layers.iter().map(|layer| layer.layer.clone()).filter(|name| always(name)).collect();
    if frozen.is_empty() {
        return Ok(Vec::new());
    }
    let says = format!("{} does not learn: its weights stay as they were, while others move", case.places(&frozen));
    let symptom = Symptom::new(Severity::Warning, says).in_layers(frozen).since(looks[0].step);
    Ok(vec![symptom.with("update over weight", 0.0, "", MOVED)])
}
