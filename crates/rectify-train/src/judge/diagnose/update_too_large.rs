//! Steps that change weights by too much of themselves.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom};
use crate::{judge::number::number, record::Layer};

/// ‖Δw‖/‖w‖ of one step. About 10⁻³ is right (Karpathy 2015, CS231n, *Babysitting the learning process*); ten steps of
/// a tenth each leave nothing of what a layer had learned.
const LARGE: f64 = 0.1;

pub const DETECTOR: Detector = Detector {
    id: "update-too-large",
    explanation: "How much one step changes a layer, ‖Δw‖/‖w‖, should be about a thousandth. At a tenth the layer is \
                  another one after a few steps: the gradient, which is right only nearby, has been trusted far beyond \
                  where it holds.",
    remedies: &["lower the learning rate by a factor of 3 to 10", "clip the gradient's norm", "warm the rate up"],
    reference: "Karpathy 2015, CS231n: Babysitting the learning process",
    detect,
};

fn detect(case: &Case) -> Detected {
    let ratio = |layer: &Layer| layer.update_to_weight_ratio;
    let mut worst: Option<(usize, f64)> = None;
    for epoch in case.looks().filter(|epoch| epoch.step > 0) {
        let most = epoch.layers.iter().filter_map(ratio).fold(0.0, f64::max);
        if worst.is_none_or(|(_, worst)| most > worst) {
            worst = Some((epoch.step, most));
        }
    }
    let (step, most) = worst.ok_or(NotMeasured("no update of the weights was measured"))?;
    if most < LARGE {
        return Ok(Vec::new());
    }
    let epoch = case.looks().find(|epoch| epoch.step == step);
    let layers: Vec<String> = epoch
        .into_iter()
        .flat_map(|epoch| &epoch.layers)
        .filter(|layer| ratio(layer).is_some_and(|ratio| ratio >= LARGE))
        .map(|layer| layer.layer.clone())
        .collect();
    let says = format!("one step changes {} by {} times its size", case.places(&layers), number(most));
    let symptom = Symptom::new(Severity::Warning, says).in_layers(layers).since(step);
    Ok(vec![symptom.with("update over weight", most, "", LARGE)])
}
