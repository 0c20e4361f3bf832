//! Initial weights and biases that let signals or gradients shrink or grow from layer to layer.

use std::collections::BTreeMap;

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom, case::median};
use crate::{
    activation::Activation,
    experiment::auto_gain,
    judge::number::{number, ratio},
};

/// A signal passes about six depth scales ξ (Schoenholz et al. 2017, section 5), over which its mean square changes by
/// e⁶: between first and last layer its RMS may change by e³ = 20.
pub(super) const SIX_DEPTH_SCALES: f64 = 20.085_536_923_187_668;
/// Gain: the weights' deviation times √fan_in, over what the activation's own moments ask for
/// ([`Moments::gain`](crate::experiment::Moments::gain); √2 for ReLU). Every published initialisation lies between 0.3
/// (Xavier's for sigmoid) and 1.5 (Xavier's for layers that narrow); less than two thirds of the one and more than the
/// other by a third are mistakes.
pub(super) const GAIN: [f64; 2] = [0.2, 2.0];
/// A bias that is larger than the deviation of the pre-activations decides their sign, and the input does not.
pub(super) const BIAS: f64 = 1.0;

pub const DETECTOR: Detector = Detector {
    id: "initial-scale",
    explanation: "At the start every layer multiplies the variance of what passes it, forwards and backwards, by a \
                  factor that depends on its weights' variance and on its activation: χ on the way back. Below 1 \
                  signals die out after some layers, above 1 they explode; the depth scale ξ = 1/|ln χ| says after \
                  how many, and networks much deeper than 6 ξ do not train. He's and Xavier's initialisations are \
                  those for which χ is about 1 for ReLU and tanh; for other functions `auto` draws what their own \
                  moments ask for, which for sigmoid is three times as much as Xavier's.",
    remedies: &[
        "use the initialisation that goes with the activation (`auto`; He for ReLU, Xavier for tanh)",
        "begin with biases of 0",
        "use fewer layers, or an activation with a slope of about 1",
    ],
    reference: "Glorot and Bengio 2010; He et al. 2015; Schoenholz et al. 2017, Deep information propagation",
    detect,
};

/// The median over the hidden layers of the initial weights' gain.
pub(super) fn gain(case: &Case) -> Option<f64> {
    let hidden = case.hidden(case.start().ok()?).ok()?;
    // Most layers have the same activation, and what it asks for is an integral.
    let mut asked: BTreeMap<&str, Option<f64>> = BTreeMap::new();
    let gains = hidden.into_iter().filter_map(|layer| {
        let name = layer.activation.as_deref().unwrap_or(&case.run.activation);
        let asked = asked.entry(name).or_insert_with(|| Some(auto_gain(&name.parse::<Activation>().ok()?)));
        Some(layer.weight_rms? * (layer.fan_in? as f64).sqrt() / (*asked)?)
    });
    median(gains.collect())
}

/// The largest over the hidden layers of initial bias over the deviation of the pre-activations.
pub(super) fn bias(case: &Case) -> Option<f64> {
    let hidden = case.hidden(case.start().ok()?).ok()?;
    let ratios = hidden.iter().filter_map(|layer| Some(layer.bias_rms? / layer.preactivation_std?));
    ratios.filter(|ratio| ratio.is_finite()).reduce(f64::max)
}

/// First over last hidden layer's RMS gradient of the pre-activations before training.
pub(super) fn backward(case: &Case) -> Option<f64> {
    let hidden = case.hidden(case.start().ok()?).ok()?;
    let [first, .., last] = hidden[..] else { return None };
    let ratio = first.preactivation_grad_rms? / last.preactivation_grad_rms?;
    ratio.is_finite().then_some(ratio)
}

fn forward(case: &Case) -> Option<f64> {
    let hidden = case.hidden(case.start().ok()?).ok()?;
    let [first, .., last] = hidden[..] else { return None };
    let ratio = last.preactivation_std? / first.preactivation_std?;
    ratio.is_finite().then_some(ratio)
}

fn detect(case: &Case) -> Detected {
    if case.experiment.is_some_and(|experiment| experiment.from.is_some()) {
        return Err(NotMeasured("the weights that it began with were trained before, and not drawn"));
    }
    let start = case.start()?;
    let hidden = case.hidden(start)?;
    let names: Vec<String> = hidden.iter().map(|layer| layer.layer.clone()).collect();
    let (gain, bias, backward, forward) = (gain(case), bias(case), backward(case), forward(case));
    if gain.is_none() && backward.is_none() {
        return Err(NotMeasured("neither the initial weights nor their gradients were measured"));
    }
    let beyond = |ratio: f64| !(1.0 / SIX_DEPTH_SCALES..=SIX_DEPTH_SCALES).contains(&ratio);
    let depth = hidden.len() as f64;
    let mut found = Vec::new();
    if let Some(gain) = gain.filter(|gain| !(GAIN[0]..=GAIN[1]).contains(gain)) {
        let (size, limit) = if gain < 1.0 { ("small", GAIN[0]) } else { ("large", GAIN[1]) };
        let says = format!("the initial weights are too {size}: {} times what keeps a signal's size", number(gain));
        found.push(Symptom::new(Severity::Warning, says).in_layers(names.clone()).with(
            "gain of the initial weights",
            gain,
            "",
            limit,
        ));
    }
    if let Some(bias) = bias.filter(|bias| *bias > BIAS) {
        let says = format!("the initial biases are {} times the deviation of the pre-activations", number(bias));
        found.push(Symptom::new(Severity::Warning, says).in_layers(names.clone()).with(
            "bias over deviation of the pre-activations",
            bias,
            "",
            BIAS,
        ));
    }
    if let Some(backward) = backward.filter(|ratio| beyond(*ratio)) {
        let chi = backward.powf(2.0 / (depth - 1.0));
        let (what, limit) =
            if backward < 1.0 { ("shrinks", 1.0 / SIX_DEPTH_SCALES) } else { ("grows", SIX_DEPTH_SCALES) };
        let says = format!(
            "before training the pre-activation gradient {what} over {} hidden layers to {} of its size",
            hidden.len(),
            ratio(backward)
        );
        found.push(
            Symptom::new(Severity::Warning, says)
                .in_layers(names.clone())
                .with("first over last layer's pre-activation gradient", backward, "", limit)
                .with_context("χ, a layer's factor of the gradient's mean square", chi, "")
                .with_context("depth scale ξ", 1.0 / chi.ln().abs(), "layers"),
        );
    } else if let Some(forward) = forward.filter(|ratio| beyond(*ratio)) {
        let what = if forward < 1.0 { "shrinks" } else { "grows" };
        let limit = if forward < 1.0 { 1.0 / SIX_DEPTH_SCALES } else { SIX_DEPTH_SCALES };
        let says =
            format!("before training the signal {what} over the hidden layers to {} of its size", ratio(forward));
        found.push(Symptom::new(Severity::Warning, says).in_layers(names).with(
            "last over first layer's deviation",
            forward,
            "",
            limit,
        ));
    }
    Ok(found)
}
