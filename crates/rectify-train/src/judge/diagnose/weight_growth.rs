//! Weights that grow without bound, or are decayed away.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom};
use crate::{
    judge::number::{number, ratio},
    record::Layer,
};

/// The weights' RMS at the end over that before training. Training adds to it: from He's initialisation by a few tens of
/// per cent. At three times, nine tenths of a layer's squared weights are not those that it was drawn with.
const GROWN: f64 = 3.0;
/// Gradients alone do not make weights smaller: of half of its weights' size, a penalty took the other half.
pub(super) const SHRUNK: f64 = 0.5;

pub const DETECTOR: Detector = Detector {
    id: "weight-growth",
    explanation: "The size of the weights sets the scale of everything in a network. Where they grow to a multiple, \
                  steps were too large or nothing holds them; where they shrink to a part, weight decay takes more \
                  than the gradient gives, and the outputs fade towards one answer for all.",
    remedies: &["lower the learning rate where weights grow", "lower the weight decay where they shrink"],
    reference: "Krogh and Hertz 1991, A simple weight decay can improve generalization",
    detect,
};

/// By layer, its weights' RMS at the end over that before training.
pub(super) fn growth(case: &Case) -> Result<Vec<(String, f64)>, NotMeasured> {
    let (start, end) = (case.start()?, case.end()?);
    let of = |layer: &Layer| {
        let before = start.layers.iter().find(|before| before.layer == layer.layer)?.weight_rms?;
        let ratio = layer.weight_rms? / before;
        ratio.is_finite().then(|| (layer.layer.clone(), ratio))
    };
    let growth: Vec<_> = end.layers.iter().filter_map(of).collect();
    if growth.is_empty() { Err(NotMeasured("the size of the weights was not measured")) } else { Ok(growth) }
}

fn detect(case: &Case) -> Detected {
    let growth = growth(case)?;
    let end = case.end()?.step;
    let of = |holds: &dyn Fn(f64) -> bool| -> Vec<String> {
        growth.iter().filter(|(_, ratio)| holds(*ratio)).map(|(layer, _)| layer.clone()).collect()
    };
    let mut found = Vec::new();
    let grown = of(&|ratio| ratio > GROWN);
    // One small layer may well grow: the output's weights do where the targets are sure.
    if 2 * grown.len() >= growth.len() {
        let most = growth.iter().map(|(_, ratio)| *ratio).fold(0.0, f64::max);
        let says = format!("the weights of {} grew to up to {} times their size", case.places(&grown), number(most));
        found.push(Symptom::new(Severity::Warning, says).in_layers(grown).since(end).with(
            "growth of the weights",
            most,
            "",
            GROWN,
        ));
    }
    let shrunk = of(&|ratio| ratio < SHRUNK);
    if !shrunk.is_empty() {
        let least = growth.iter().map(|(_, ratio)| *ratio).fold(f64::INFINITY, f64::min);
        let says = format!("the weights of {} shrank to {} of their size", case.places(&shrunk), ratio(least));
        found.push(Symptom::new(Severity::Warning, says).in_layers(shrunk).since(end).with(
            "growth of the weights",
            least,
            "",
            SHRUNK,
        ));
    }
    Ok(found)
}
