//! Units that are exactly zero on every sample, and layers of them.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom, when};
use crate::{
    judge::number::percent,
    record::{Epoch, Layer},
};

/// Over all hidden units: "as much as 40 % of your network can be dead" is what Stanford's CS231n notes give as the sign
/// of too large a learning rate.
const DEAD: f64 = 0.4;
/// A layer with fewer living units than a hundredth passes on nothing (Lu et al. 2019).
const ALL: f64 = 0.99;
/// As many dormant units, which Sokar et al. 2023 find to go with a network that no longer learns what is new. Told as a
/// number: on a fixed task a network can do without them.
const DORMANT: f64 = 0.4;
/// More units that died during training than this are a trend.
const DYING: f64 = 0.1;
/// Of a layer's units: more died during training than live on.
const MOST: f64 = 0.5;

pub const DETECTOR: Detector = Detector {
    id: "dead-units",
    explanation: "A ReLU unit whose pre-activation is below 0 for every sample gives 0 for every sample, and as its \
                  derivative there is 0 too, no gradient reaches its weights: it stays as it is. One large step or a \
                  large negative bias puts it there. A layer of dead units cuts the network in two: nothing passes it \
                  in either direction.",
    remedies: &[
        "lower the learning rate",
        "begin with biases of 0",
        "use a function with a slope below 0 (leaky ReLU, ELU, GELU) or a leak in the gradient only",
    ],
    reference: "Lu, Shin, Su and Karniadakis 2019, Dying ReLU and initialization; Sokar et al. 2023, The dormant neuron \
                phenomenon in deep reinforcement learning",
    detect,
};

fn dead(layer: &Layer) -> Option<f64> {
    layer.dead_fraction
}

fn detect(case: &Case) -> Detected {
    let last = case.looks().next_back().ok_or(NotMeasured("the layers were not probed"))?;
    let mut found = dead_or_dying(case, last)?;
    let dormant = case.over_units(last, |layer| layer.dormant_fraction);
    if let Some(dormant) = dormant.filter(|dormant| found.is_empty() && *dormant >= DORMANT) {
        let says = format!("{} % of the hidden units are dormant: small beside their layers", percent(dormant, 0));
        found.push(Symptom::new(Severity::Info, says).since(last.step).with(
            "dormant hidden units",
            dormant,
            "",
            DORMANT,
        ));
    }
    Ok(found)
}

fn dead_or_dying<'a>(case: &Case<'a>, last: &'a Epoch) -> Detected {
    // A diverged network's zeros are not those of its units: the last look with numbers counts.
    let end = case.looks().rev().find(|epoch| case.over_units(epoch, dead).is_some()).unwrap_or(last);
    let overall = case.over_units(end, dead).ok_or(NotMeasured("the activation has no zeros, or none were counted"))?;
    let hidden = case.hidden(end)?;
    let layers = |least: f64| -> Vec<String> {
        let dead = hidden.iter().filter(|layer| layer.dead_fraction.is_some_and(|dead| dead >= least));
        dead.map(|layer| layer.layer.clone()).collect()
    };
    let whole = layers(ALL);
    let first = |least: f64| case.since(|epoch| case_dead(epoch, least));
    if !whole.is_empty() {
        let step = case.since(|epoch| epoch.layers.iter().any(|layer| layer.dead_fraction.is_some_and(|d| d >= ALL)));
        let says = format!("{} has no living unit {}: nothing passes it", case.places(&whole), when(step));
        return Ok(vec![
            Symptom::new(Severity::Critical, says)
                .in_layers(whole)
                .since(step)
                .with("dead units in the layer", 1.0, "", ALL)
                .with_context("dead hidden units", overall, ""),
        ]);
    }
    if overall >= DEAD {
        let step = first(DEAD);
        let worst = layers(DEAD);
        let says = format!("{} % of the hidden units are dead, {}", percent(overall, 0), when(step));
        return Ok(vec![Symptom::new(Severity::Warning, says).in_layers(worst).since(step).with(
            "dead hidden units",
            overall,
            "",
            DEAD,
        )]);
    }
    let start = case.start().ok();
    if let Some(symptom) = start.and_then(|start| most_died(case, start, end)) {
        return Ok(vec![symptom]);
    }
    let before = start.and_then(|start| case.over_units(start, dead)).unwrap_or(0.0);
    if overall - before >= DYING {
        let says = format!("{} % of the hidden units died during training", percent(overall - before, 0));
        let rate = (overall - before) / end.step.max(1) as f64;
        return Ok(vec![
            Symptom::new(Severity::Info, says)
                .in_layers(layers(DYING))
                .since(first(before + DYING))
                .with("units that died", overall - before, "", DYING)
                .with_context("units that die", rate * 1000.0, "in 1000 steps"),
        ]);
    }
    // A few in one layer: a number, no alarm.
    let most = hidden.iter().filter_map(|layer| dead(layer)).fold(0.0, f64::max);
    if most >= DEAD {
        let says = format!("{} % of the units of {} are dead", percent(most, 0), case.places(&layers(DEAD)));
        return Ok(vec![Symptom::new(Severity::Info, says).in_layers(layers(DEAD)).since(end.step).with(
            "dead units",
            most,
            "",
            DEAD,
        )]);
    }
    Ok(Vec::new())
}

/// Layers of which training killed more than it left: what they were drawn with cannot be blamed for that.
fn most_died(case: &Case, start: &Epoch, end: &Epoch) -> Option<Symptom> {
    let of = |epoch: &Epoch, name: &str| epoch.layers.iter().find(|layer| layer.layer == name).and_then(dead);
    let died = |name: &str, at: &Epoch| Some(of(at, name)? - of(start, name)?);
    let hit = |epoch: &Epoch| -> Vec<(String, f64)> {
        let died = epoch.layers.iter().filter_map(|layer| Some((layer.layer.clone(), died(&layer.layer, epoch)?)));
        died.filter(|(_, died)| *died > MOST).collect()
    };
    let (layers, parts): (Vec<String>, Vec<f64>) = hit(end).into_iter().unzip();
    let most = parts.into_iter().reduce(f64::max)?;
    let says = format!("{} % of the units of {} died during training", percent(most, 0), case.places(&layers));
    let symptom = Symptom::new(Severity::Warning, says).in_layers(layers).since(case.since(|at| !hit(at).is_empty()));
    Some(symptom.with("units that died", most, "", MOST))
}

fn case_dead(epoch: &Epoch, least: f64) -> bool {
    let (dead, units) = epoch
        .layers
        .iter()
        .filter_map(|layer| Some((layer.dead_fraction?, layer.units as f64)))
        .fold((0.0, 0.0), |(dead, all), (fraction, units)| (dead + fraction * units, all + units));
    units > 0.0 && dead / units >= least
}
