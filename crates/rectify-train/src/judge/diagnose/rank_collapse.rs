//! Representations that vary in a single direction.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom};
use crate::{judge::number::number, record::Layer};

/// Effective rank. In one direction two classes can be told apart by a threshold; C classes that are all told apart
/// spread to C − 1 (Papyan et al. 2020), so that 1.5 is none of a classifier of three and more.
const RANK: f64 = 1.5;

pub const DETECTOR: Detector = Detector {
    id: "rank-collapse",
    explanation: "The activations of a batch are points in a space with as many directions as units. Where they lie on \
                  a line, the network tells samples apart by one number only, and no later layer can bring back what \
                  is lost. Deep networks of random layers do this to all inputs alike.",
    remedies: &[
        "use the initialisation that goes with the activation",
        "use residual connections or normalisation",
        "lower the learning rate",
    ],
    reference: "Roy and Vetterli 2007, The effective rank; Daneshmand et al. 2020, Batch normalization provably avoids \
                rank collapse",
    detect,
};

fn detect(case: &Case) -> Detected {
    let end = case.end().or_else(|_| case.start())?;
    let hidden = case.hidden(end)?;
    if hidden.iter().all(|layer| layer.effective_rank.is_none()) {
        return Err(NotMeasured("the rank of no layer was measured"));
    }
    let wide = |layer: &&&Layer| layer.units > 2;
    let collapsed: Vec<&&Layer> =
        hidden.iter().filter(wide).filter(|layer| layer.effective_rank.is_some_and(|rank| rank < RANK)).collect();
    if collapsed.is_empty() || case.data.is_some_and(|data| data.classes < 3) {
        return Ok(Vec::new());
    }
    let least = collapsed.iter().filter_map(|layer| layer.effective_rank).fold(f64::INFINITY, f64::min);
    let layers: Vec<String> = collapsed.iter().map(|layer| layer.layer.clone()).collect();
    let says = format!("the activations of {} vary in {} directions only", case.places(&layers), number(least));
    // One that learns in spite of it has put its classes on a line.
    let severity = if case.remaining().is_ok_and(|left| left < 0.5) { Severity::Info } else { Severity::Warning };
    Ok(vec![Symptom::new(severity, says).in_layers(layers).since(end.step).with("effective rank", least, "", RANK)])
}
