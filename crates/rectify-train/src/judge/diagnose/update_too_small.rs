//! Steps that do nothing.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom, data::still_learns};
use crate::{judge::number, record::Layer};

/// ‖Δw‖/‖w‖ of one step, in every layer: a tenth of the 10⁻³ that is right (Karpathy 2015).
pub(super) const SMALL: f64 = 1e-4;
/// What is right. Where no layer moves by that much and the loss falls all the same, slowly and until the end, longer steps
/// are what it lacks.
const RIGHT: f64 = 1e-3;
/// Steps become small as the loss does: only with so much of guessing's loss left are they too small.
const REMAINING: f64 = 0.5;

pub const DETECTOR: Detector = Detector {
    id: "update-too-small",
    explanation: "How much one step changes a layer, ‖Δw‖/‖w‖, should be about a thousandth. Where it is under a \
                  tenth of that in every layer while the loss is still high, or under all of it while the loss falls to \
                  the end, the network learns, but nobody will live to see it.",
    remedies: &["raise the learning rate by a factor of 10", "loosen or drop gradient clipping", "use Adam"],
    reference: "Karpathy 2015, CS231n: Babysitting the learning process",
    detect,
};

fn detect(case: &Case) -> Detected {
    let end = case.end()?;
    let ratio = |layer: &Layer| layer.update_to_weight_ratio;
    let most = end.layers.iter().filter_map(ratio).reduce(f64::max);
    let most = most.ok_or(NotMeasured("no update of the weights was measured"))?;
    let remaining = case.remaining()?;
    let limit = if still_learns(case) { RIGHT } else { SMALL };
    if most >= limit || most == 0.0 || remaining < REMAINING {
        return Ok(Vec::new());
    }
    let largest = |epoch: &crate::record::Epoch| epoch.layers.iter().filter_map(ratio).reduce(f64::max);
    let step = case.since(|epoch| largest(epoch).is_none_or(|most| most < limit));
    let says =
        format!("a step changes no layer by more than {} of its size, with the loss still high", number::ratio(most));
    Ok(vec![
        Symptom::new(Severity::Warning, says)
            .since(step)
            .with("update over weight, largest of a layer", most, "", limit)
            .with("loss over that of guessing", remaining, "", REMAINING),
    ])
}
