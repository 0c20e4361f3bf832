//! What trials of settings say of an activation.

use super::curve::Curve;
use crate::record::{Trial, Tuning};

/// Trials whose accuracy is at most so far below the best one's are good.
pub const GOOD: f64 = 0.01;

/// The trial whose settings were chosen.
pub fn chosen(tuning: &Tuning) -> Option<&Trial> {
    tuning.trials.iter().find(|trial| trial.settings == tuning.chosen)
}

/// The least and the greatest value of a setting, by its name in the config file, at which accuracy is [`GOOD`], the other
/// settings being as they were chosen. How wide that is tells how much care an activation asks for.
pub fn good_region(tuning: &Tuning, setting: &str) -> Option<(f64, f64)> {
    let best = chosen(tuning)?.validation_accuracy;
    let good = trials_along(tuning, setting).filter(|(_, trial)| trial.validation_accuracy >= best - GOOD);
    good.fold(None, |region, (value, _)| {
        let (low, high) = region.unwrap_or((value, value));
        Some((f64::min(low, value), f64::max(high, value)))
    })
}

/// Accuracy against a setting, the other settings being as they were chosen, with a band from the least to the greatest
/// seed.
pub fn curve(tuning: &Tuning, setting: &str) -> Curve {
    let mut curve = Curve { name: tuning.activation.clone(), ..Curve::default() };
    for (value, trial) in trials_along(tuning, setting) {
        let by_seed = trial.validation_accuracies.iter().map(|accuracy| accuracy.unwrap_or(0.0));
        let (low, high) = by_seed.fold((1.0, 0.0), |(low, high), one| (f64::min(low, one), f64::max(high, one)));
        curve.points.push((value, trial.validation_accuracy));
        curve.band.push((low, high));
    }
    curve
}

fn trials_along<'a>(tuning: &'a Tuning, setting: &'a str) -> impl Iterator<Item = (f64, &'a Trial)> {
    let others_as_chosen = move |trial: &&Trial| {
        trial.settings.iter().all(|(name, value)| name == setting || tuning.chosen.get(name) == Some(value))
    };
    let trials = tuning.trials.iter().filter(others_as_chosen);
    trials.filter_map(move |trial| Some((*trial.settings.get(setting)?, trial)))
}
