//! Outputs or a loss that do not fit the task.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom};
use crate::record::Role;

pub const DETECTOR: Detector = Detector {
    id: "output-mismatch",
    explanation: "Cross-entropy is taken of logits, which may be any number. An activation behind the last layer \
                  bounds them: ReLU cannot say that a class is unlikely, sigmoid and tanh cannot be sure, and softmax \
                  before a loss that has one of its own flattens everything. As many outputs as classes are needed, \
                  and a loss of classification is never negative.",
    remedies: &["give the loss the last layer's outputs as they are", "give the last layer a unit for each class"],
    reference: "Humbatova et al. 2020, Taxonomy of real faults in deep learning systems",
    detect,
};

fn detect(case: &Case) -> Detected {
    let look = case.looks().next_back().ok_or(NotMeasured("the layers were not probed"))?;
    let mut found = Vec::new();
    let last = look.layers.last().ok_or(NotMeasured("the layers were not probed"))?;
    let symptom = |says: String| Symptom::new(Severity::Warning, says).in_layers(vec![last.layer.clone()]);
    if last.role() == Role::Hidden
        && let Some(activation) = last.activation.as_deref().filter(|name| *name != "none")
    {
        found.push(symptom(format!("{activation} follows the last layer, {}", last.layer)));
    }
    if let Some(data) = case.data.filter(|data| last.role() == Role::Output && data.classes > last.units) {
        let says = format!("{} has {} units for {} classes", last.layer, last.units, data.classes);
        found.push(symptom(says).with("outputs", last.units as f64, "", data.classes as f64));
    }
    if let Some((i, &loss)) =
        case.losses.iter().enumerate().find(|(_, loss)| **loss < 0.0).filter(|_| case.data.is_some())
    {
        let says = "the loss is negative, which that of a classifier never is".to_owned();
        found.push(symptom(says).since(i + 1).with("loss", loss, "nats", 0.0));
    }
    Ok(found)
}
