//! The gradient grows on its way back.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom, when};
use crate::{
    judge::{number::number, statistics::hidden},
    record::Epoch,
};

/// First over last hidden layer: AutoTrainer's threshold (Zhang et al. 2021, table 2). It is taken on the gradient of the
/// pre-activations, since of weights the gradient also grows with the activations that enter the layer, which hides it.
const EXPLODED: f64 = 70.0;

pub const DETECTOR: Detector = Detector {
    id: "exploding-gradient",
    explanation: "Every layer multiplies the gradient on its way back. Where weights are too large, that is by more \
                  than 1 each, and the gradient at the first layers is exponentially larger than at the last: one step \
                  ruins them.",
    remedies: &["use He's or Xavier's initialisation", "clip the gradient's norm at 1", "lower the learning rate"],
    reference: "Pascanu, Mikolov and Bengio 2013; thresholds of Zhang et al. 2021, AutoTrainer",
    detect,
};

fn growth(epoch: &Epoch) -> Option<f64> {
    let [first, .., last] = hidden(epoch)[..] else { return None };
    let ratio = first.preactivation_grad_rms? / last.preactivation_grad_rms?;
    ratio.is_finite().then_some(ratio)
}

fn detect(case: &Case) -> Detected {
    let broken = case.looks().find(|epoch| epoch.layers.iter().any(|layer| layer.nonfinite_gradients > 0));
    if let Some(epoch) = broken {
        let layers = epoch.layers.iter().filter(|layer| layer.nonfinite_gradients > 0);
        let layers: Vec<String> = layers.map(|layer| layer.layer.clone()).collect();
        let says = format!("gradients are not finite, {}", when(epoch.step));
        return Ok(vec![Symptom::new(Severity::Critical, says).in_layers(layers).since(epoch.step)]);
    }
    let (epoch, found) = case
        .looks()
        .filter_map(|epoch| Some((epoch, growth(epoch)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .ok_or(NotMeasured("no gradients of two hidden layers were measured"))?;
    if found < EXPLODED {
        return Ok(Vec::new());
    }
    let first = hidden(epoch)[0].layer.clone();
    let says = format!(
        "the pre-activation gradient explodes: at {} it is {} times that at the last hidden layer, {}",
        case.called(&first),
        number(found),
        when(epoch.step)
    );
    let symptom = Symptom::new(Severity::Warning, says).in_layers(vec![first]).since(epoch.step);
    Ok(vec![symptom.with("first over last layer's pre-activation gradient", found, "", EXPLODED)])
}
