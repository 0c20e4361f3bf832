//! What goes wrong in a training, said while it goes on.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use rectify_train::{
    judge::diagnose::{Case, LIVE, Severity, diagnose},
    record::{Epoch, Run},
    train::grid::Training,
};

/// What a run in work is called.
pub fn name(training: &Training) -> String {
    format!("{} seed {}", training.activation.label(), training.seed)
}

/// The runs in work, by activation and seed.
#[derive(Default)]
pub struct Live(Mutex<BTreeMap<(String, u64), Observed>>);

struct Observed {
    /// The epochs since this process began.
    run: Run,
    told: Vec<&'static str>,
}

impl Live {
    /// What an epoch brings to light: of every detector, once a run, its id and a sentence.
    pub fn epoch(&self, training: &Training, epoch: &Epoch) -> Vec<(&'static str, String)> {
        let Training { activation, seed, .. } = training;
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Observed { run, told } = runs
            .entry((activation.to_string(), *seed))
            .or_insert_with(|| Observed { run: Run::new(activation.to_string(), *seed), told: Vec::new() });
        run.epochs.push(epoch.clone());
        run.steps = epoch.step;
        let findings =
            diagnose(&Case { experiment: Some(&training.experiment), ..Case::of(run) }, LIVE).findings.into_iter();
        let new = findings.filter(|finding| finding.severity > Severity::Info && !told.contains(&finding.detector));
        let new: Vec<_> = new.map(|finding| (finding.detector, finding.says)).collect();
        told.extend(new.iter().map(|(detector, _)| detector));
        new.into_iter().map(|(id, says)| (id, format!("{}: {says}", name(training)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use rectify_train::{
        experiment::Experiment,
        record::{Layer, Role},
    };

    use super::*;

    #[test]
    fn a_layer_that_dies_is_told_once_with_the_step() {
        let training = Training { experiment: Experiment::default(), activation: "relu".parse().unwrap(), seed: 3 };
        let epoch = |epoch: usize, dead: f64| {
            let layer = |layer: &str, role, dead_fraction| Layer {
                layer: layer.to_owned(),
                role: Some(role),
                units: 8,
                dead_fraction,
                ..Layer::default()
            };
            let layers = vec![layer("hidden.0", Role::Hidden, Some(dead)), layer("output", Role::Output, None)];
            Epoch { epoch, step: 10 * epoch, layers, ..Epoch::default() }
        };
        let live = Live::default();
        assert!(live.epoch(&training, &epoch(0, 0.0)).is_empty());
        assert_eq!(
            live.epoch(&training, &epoch(1, 1.0)),
            [("dead-units", "relu seed 3: layer 1 has no living unit at step 10: nothing passes it".to_owned())]
        );
        assert!(live.epoch(&training, &epoch(2, 1.0)).is_empty(), "once");
    }
}
