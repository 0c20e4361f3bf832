//! The training ended because a number was no longer finite, or the loss far beyond any use.

use super::{Case, Detected, Detector, Severity, Symptom};
use crate::record::Status;

pub const DETECTOR: Detector = Detector {
    id: "divergence",
    explanation: "A step that overshoots makes the loss larger, its gradient larger still, and the next step overshoots \
                  more: within a few steps numbers leave the range of floating point and nothing can be computed any \
                  more. What stands at the first layer with numbers that are not finite is where it broke, which is \
                  not always where it began.",
    remedies: &["lower the learning rate by a factor of 3 to 10", "clip the gradient's norm at 1", "check the inputs"],
    reference: "Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks",
    detect,
};

fn detect(case: &Case) -> Detected {
    let run = case.run;
    if run.status != Status::Diverged {
        return Ok(Vec::new());
    }
    let step = run.diverged_at_step.unwrap_or(run.steps);
    let broken = run.epochs.iter().flat_map(|epoch| &epoch.layers).filter(|layer| {
        layer.nonfinite_weights > 0 || layer.nonfinite_activations > 0 || layer.nonfinite_gradients > 0
    });
    let mut layers: Vec<String> = broken.map(|layer| layer.layer.clone()).collect();
    layers.dedup();
    let from = if layers.is_empty() { String::new() } else { format!("; not finite in {}", case.places(&layers)) };
    let how = run.divergence.map_or("its loss is not finite", |divergence| divergence.words());
    let symptom = Symptom::new(Severity::Critical, format!("the training diverged at step {step}: {how}{from}"))
        .in_layers(layers)
        .since(step);
    // What the loss was when it was last a number.
    let last = case.losses.iter().rev().find(|loss| loss.is_finite());
    Ok(vec![match last {
        Some(&loss) => symptom.with_context("last finite loss", loss, "nats"),
        None => symptom,
    }])
}
