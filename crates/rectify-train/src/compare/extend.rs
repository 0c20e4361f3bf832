//! More seeds, epochs and activations for an experiment that has begun.

use std::{collections::HashSet, fmt};

use super::{Compare, CompareError};
use crate::{
    activation::Activation,
    experiment::{Experiment, Shard},
    store::{Difference, difference},
};

/// A setting that cannot be changed in an experiment that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendError {
    /// The setting, as the config file spells it; the flag has hyphens for underscores.
    pub setting: String,
    /// What it was and what was asked for.
    pub reason: String,
}

impl fmt::Display for ExtendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, reason } = self;
        write!(f, "--{}: {reason}; begin another experiment for that", setting.replace('_', "-"))
    }
}

impl std::error::Error for ExtendError {}

impl Compare {
    /// Goes on with other settings: further activations and seeds beside those that are there, more epochs, another
    /// number of jobs.
    ///
    /// `asked` is the folder's experiment with what was asked for changed in it. Activations and seeds that are there stay
    /// whether or not they are among those asked for.
    ///
    /// # Errors
    ///
    /// [`CompareError::Extend`] names a setting that would make runs of one experiment no runs of the other.
    pub fn extend(&mut self, asked: Experiment) -> Result<(), CompareError> {
        let extended = extended(self.experiment(), asked.resolve()?)?;
        if extended != *self.experiment() {
            self.folder.set_experiment(extended)?;
        }
        Ok(())
    }
}

/// The settings of both, where their runs can lie in one folder.
pub(super) fn extended(there: &Experiment, asked: Experiment) -> Result<Experiment, ExtendError> {
    let refuse = |setting: &str, there: String, asked: String| {
        let reason = format!("the experiment has {there}, and cannot be continued with {asked}");
        Err(ExtendError { setting: setting.to_owned(), reason })
    };
    let (there, asked) = &match there.sweep.as_ref().zip(asked.sweep.as_ref()).and_then(|(a, b)| a.union(b)) {
        Some(sweep) => {
            (Experiment { sweep: Some(sweep.clone()), ..there.clone() }, Experiment { sweep: Some(sweep), ..asked })
        }
        None => (there.clone(), asked),
    };
    if let Some(Difference { setting, first, second }) = difference(there, asked) {
        let value = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        return refuse(&setting, value(first), value(second));
    }
    if there.steps != asked.steps {
        let value = |steps: Option<usize>| steps.map_or("no number of steps".to_owned(), |steps| steps.to_string());
        return refuse("steps", value(there.steps), value(asked.steps));
    }
    if there.shard != asked.shard {
        let value = |shard: Option<Shard>| shard.map_or("all of them".to_owned(), |shard| shard.to_string());
        return refuse("shard", value(there.shard), value(asked.shard));
    }
    if asked.epochs() < there.epochs() {
        return refuse("epochs", there.epochs().to_string(), format!("fewer, {}", asked.epochs()));
    }
    let with = |mut all: Vec<Activation>, more: Vec<Activation>| {
        for activation in more {
            if !all.contains(&activation) {
                all.push(activation);
            }
        }
        all
    };
    for asked in &asked.activations {
        let twin = there.activations.iter().find(|there| *there != asked && there.same_function(asked));
        if let Some(twin) = twin {
            return refuse("activations", format!("`{twin}`"), format!("`{asked}`, which is the same function"));
        }
    }
    let mut seeds = there.seeds();
    let known: HashSet<u64> = seeds.iter().copied().collect();
    seeds.extend(asked.seeds().into_iter().filter(|seed| !known.contains(seed)));
    let counted = seeds.iter().enumerate().all(|(i, seed)| i as u64 == *seed);
    Ok(Experiment {
        activations: with(there.activations.clone(), asked.activations.clone()),
        seeds: seeds.len(),
        seed: (!counted).then_some(seeds),
        ..asked.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment() -> Experiment {
        Experiment { seeds: 3, ..Experiment::default() }.resolve().unwrap()
    }

    #[test]
    fn seeds_epochs_activations_and_jobs_are_added() {
        let there = experiment();
        let gelu: Activation = "gelu".parse().unwrap();
        let asked = Experiment {
            seeds: 5,
            epochs: Some(7),
            jobs: Some(1),
            activations: vec![gelu.clone(), there.activations[0].clone()],
            ..there.clone()
        };
        let found = extended(&there, asked).unwrap();
        assert_eq!(found.seeds(), [0, 1, 2, 3, 4]);
        assert_eq!((found.epochs, found.jobs), (Some(7), Some(1)));
        assert_eq!(found.activations, [&there.activations[..], &[gelu]].concat());
        let twin = Experiment { activations: vec!["leaky-relu:0".parse().unwrap()], ..there.clone() };
        let with_flat = Experiment { activations: vec!["threshold:0".parse().unwrap()], ..there.clone() };
        assert!(extended(&there, with_flat).is_ok(), "another function");
        let leaky = Experiment { activations: vec!["leaky-relu:0.0".parse().unwrap()], ..twin.clone() };
        let error = extended(&twin, leaky).unwrap_err();
        assert_eq!(
            error.reason,
            "the experiment has `leaky-relu:0`, and cannot be continued with `leaky-relu:0.0`, which is the same function"
        );
        let other = extended(&there, Experiment { seed: Some(vec![9]), ..there.clone() }).unwrap();
        assert_eq!(other.seeds(), [0, 1, 2, 9]);
    }

    #[test]
    fn a_sweep_gets_more_values_and_no_other_settings() {
        let swept =
            |sweep: &str| toml::from_str::<Experiment>(&format!("[sweep]\n{sweep}")).unwrap().resolve().unwrap();
        let there = swept("lr = [0.1, 0.2]");
        let more = extended(&there, swept("lr = [0.3, 0.1]")).unwrap();
        assert_eq!(more, swept("lr = [0.1, 0.2, 0.3]"));
        for other in [swept("momentum = [0.1]"), experiment()] {
            assert_eq!(extended(&there, other).unwrap_err().setting, "sweep");
        }
    }

    #[test]
    fn what_would_make_other_runs_is_refused_with_both_values() {
        let there = experiment();
        for (asked, setting, values) in [
            (Experiment { lr: Some(0.5), ..there.clone() }, "lr", ["0.1", "0.5"]),
            (Experiment { epochs: Some(4), ..there.clone() }, "epochs", ["5", "4"]),
            (Experiment { shard: "1/2".parse().ok(), ..there.clone() }, "shard", ["all", "1/2"]),
            (Experiment { steps: Some(9), ..there.clone() }, "steps", ["no number", "9"]),
            (Experiment { train_size: Some(9), ..there.clone() }, "train_size", ["none", "9"]),
            (Experiment { patience: Some(2), ..there.clone() }, "patience", ["none", "2"]),
        ] {
            let error = extended(&there, asked).unwrap_err();
            assert_eq!(error.setting, setting);
            assert!(values.iter().all(|value| error.reason.contains(value)), "{error}");
        }
    }
}
