//! The gradient is lost on its way back to the first layers.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom, when};
use crate::{
    judge::{
        number::ratio,
        statistics::{gradient_ratio, hidden},
    },
    record::Epoch,
};

/// First over last hidden layer's weight gradient: AutoTrainer's threshold (Zhang et al. 2021, table 2). One rate serves
/// all layers, so the first takes steps a thousand times too small.
const VANISHED: f64 = 1e-3;

pub const DETECTOR: Detector = Detector {
    id: "vanishing-gradient",
    explanation: "On its way back every layer multiplies the gradient by its weights and by its activation's \
                  derivative. Where that is below 1 at each, what arrives at the first layers falls exponentially \
                  with depth: they stay as they were drawn, and the layers behind them learn from noise.",
    remedies: &[
        "use ReLU or another function whose derivative is 1 where it is active",
        "use the initialisation that goes with the activation (He, Xavier)",
        "use fewer layers, residual connections or normalisation",
    ],
    reference: "Hochreiter 1991; Bengio, Simard and Frasconi 1994; thresholds of Zhang et al. 2021, AutoTrainer",
    detect,
};

/// Whether no gradient at all reaches the first of the hidden layers.
fn none_arrives(epoch: &Epoch) -> bool {
    hidden(epoch).first().and_then(|layer| layer.weight_grad_rms) == Some(0.0)
}

fn detect(case: &Case) -> Detected {
    let measured = |epoch: &&Epoch| hidden(epoch).iter().any(|layer| layer.weight_grad_rms.is_some());
    let end = case.looks().rev().find(measured).ok_or(NotMeasured("no gradients were measured"))?;
    if hidden(end).len() < 2 {
        return Err(NotMeasured("the network has fewer than two hidden layers"));
    }
    let first = hidden(end)[0].layer.clone();
    if none_arrives(end) {
        let step = case.since(none_arrives);
        let says = format!("no gradient at all reaches {first}, {}", when(step));
        return Ok(vec![Symptom::new(Severity::Critical, says).in_layers(vec![first]).since(step).with(
            "first over last layer's gradient",
            0.0,
            "",
            VANISHED,
        )]);
    }
    let Some(found) = gradient_ratio(end).filter(|ratio| *ratio < VANISHED) else { return Ok(Vec::new()) };
    let step = case.since(|epoch| gradient_ratio(epoch).is_some_and(|ratio| ratio < VANISHED));
    let says = format!(
        "the gradient vanishes, {}{}: at {first} it is {} of that at the last hidden layer",
        when(step),
        if end.step > step { format!(", and at step {}", end.step) } else { String::new() },
        ratio(found)
    );
    // Where it learns all the same, what is lost are the first layers.
    let severity = if case.remaining().is_ok_and(|left| left < 0.5) { Severity::Warning } else { Severity::Critical };
    Ok(vec![Symptom::new(severity, says).in_layers(vec![first]).since(step).with(
        "first over last layer's gradient",
        found,
        "",
        VANISHED,
    )])
}
