//! What is fixed before a claim is tested, as data with a hash.
//!
//! The seeds of a reported run are derived from the hash. So they cannot be known, and nothing can be tuned on them,
//! before everything else is fixed; and a changed protocol has other seeds. Rates and other choices are made on pilot
//! seeds, which are never reported ones. `protocols.toml` beside this file keeps the history of hashes, each with why.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Claim, Criterion, lab::Effort};
use crate::{
    data::is_here,
    experiment::{Experiment, ProbeEvery, Schedule},
    judge::verdict::ERROR_RATE,
};

/// Which claims' settings are meant: how much is spent, and on which data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How much is spent.
    pub effort: Effort,
    /// Names of data sets; the first is the one of claims that need only one.
    pub datasets: Vec<String>,
}

impl Plan {
    /// On MNIST, and on Fashion-MNIST where it is here.
    pub fn here(effort: Effort) -> Self {
        let fashion = is_here("fashion-mnist").then_some("fashion-mnist");
        let datasets = ["mnist"].into_iter().chain(fashion);
        Self { effort, datasets: datasets.map(str::to_owned).collect() }
    }

    /// One of three by effort.
    pub fn choose<T>(&self, quick: T, default: T, thorough: T) -> T {
        match self.effort {
            Effort::Quick => quick,
            Effort::Default => default,
            Effort::Thorough => thorough,
        }
    }

    /// The settings that claims begin from: those of `rectify compare` on less data, without probes, and with a rate that
    /// decays to 0, after which accuracies spread a third as much from seed to seed.
    pub fn experiment(&self) -> Experiment {
        Experiment {
            dataset: self.datasets.first().cloned().unwrap_or("mnist".to_owned()),
            train_size: self.choose(Some(2000), Some(10_000), None),
            epochs: Some(self.choose(2, 5, 10)),
            schedule: Schedule::Cosine,
            probe_every: ProbeEvery::Off,
            ..Experiment::default()
        }
    }

    /// Rates to begin a search with, for plain gradient descent: a grid of factors 2 about its default, which is widened
    /// where the best lies at an end.
    pub fn rates(&self) -> Vec<f64> {
        self.choose(vec![0.1, 0.4], vec![0.05, 0.1, 0.2, 0.4], vec![0.025, 0.05, 0.1, 0.2, 0.4, 0.8])
    }

    /// Seeds that a claim is tested with before the first look, and at most. Seven settle a clear case with four criteria.
    pub fn seeds(&self) -> (usize, usize) {
        self.choose((2, 2), (7, 20), (10, 60))
    }

    /// Seeds that rates are chosen with. They are over 2³², which no reported seed is.
    pub fn pilot_seeds(&self) -> Vec<u64> {
        (0..self.choose(1, 2, 4)).map(|i| (1 << 32) + i).collect()
    }
}

/// What is fixed before a claim is tested.
#[derive(Debug, Clone, Serialize)]
pub struct Protocol {
    claim: &'static str,
    plan: Plan,
    error_rate: f64,
    first_look: usize,
    most_seeds: usize,
    pilot_seeds: Vec<u64>,
    criteria: Vec<&'static Criterion>,
    settings: serde_json::Value,
}

impl Protocol {
    /// Of a claim with these settings.
    ///
    /// # Panics
    ///
    /// Where settings cannot be written as JSON: they are plain data, written in code.
    pub(super) fn new(claim: &'static Claim, plan: &Plan, settings: &impl Serialize) -> Self {
        let (first_look, most_seeds) = plan.seeds();
        Self {
            claim: claim.id,
            plan: plan.clone(),
            error_rate: ERROR_RATE,
            first_look,
            most_seeds,
            pilot_seeds: plan.pilot_seeds(),
            criteria: claim.criteria.to_vec(),
            settings: serde_json::to_value(settings).expect("settings are plain data"),
        }
    }

    /// The first 12 hexadecimal digits of the SHA-256 of the protocol as JSON.
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let digest = Sha256::digest(&json);
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The seed of a place, from 0: 32 bits of the SHA-256 of hash and place.
    pub fn seed(&self, place: usize) -> u64 {
        let digest = Sha256::digest(format!("{} seed {place}", self.hash()));
        u64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::claims::{CLAIMS, tests::plan};

    /// Why a claim's protocol is what it is, from the oldest to the one in force.
    #[derive(Deserialize)]
    struct Revision {
        claim: String,
        hash: String,
        date: String,
        why: String,
    }

    fn history() -> Vec<Revision> {
        #[derive(Deserialize)]
        struct History {
            revision: Vec<Revision>,
        }
        toml::from_str::<History>(include_str!("protocols.toml")).unwrap().revision
    }

    #[test]
    fn the_protocol_in_force_is_the_last_of_its_history() {
        let history = history();
        let missing: Vec<String> = CLAIMS
            .iter()
            .filter_map(|claim| {
                let hash = claim.protocol(&plan()).hash();
                let last = history.iter().rfind(|revision| revision.claim == claim.id);
                let kept = last.is_some_and(|last| last.hash == hash && !last.why.is_empty() && last.date.len() == 10);
                (!kept).then(|| format!("[[revision]]\nclaim = \"{}\"\nhash = \"{hash}\"", claim.id))
            })
            .collect();
        assert!(
            missing.is_empty(),
            "a protocol changed: add it to claims/protocols.toml with the date and why\n{}",
            missing.join("\n")
        );
    }

    #[test]
    fn claims_begin_from_a_rate_that_decays_and_a_grid_of_factors_of_two() {
        let plan = plan();
        assert_eq!(plan.experiment().schedule, Schedule::Cosine);
        assert!(plan.rates().windows(2).all(|pair| pair[1] == 2.0 * pair[0]));
        assert_eq!(plan.datasets.len(), 2);
    }

    #[test]
    fn a_changed_protocol_has_another_hash_and_other_seeds_and_no_pilot_seed_is_reported() {
        let claim = CLAIMS[0];
        let protocol = claim.protocol(&plan());
        let changed = claim.protocol(&Plan { effort: Effort::Quick, ..plan() });
        assert_ne!(protocol.hash(), changed.hash());
        let seeds = |protocol: &Protocol| (0..60).map(|place| protocol.seed(place)).collect::<BTreeSet<_>>();
        assert_eq!(seeds(&protocol).len(), 60);
        assert!(seeds(&protocol).is_disjoint(&seeds(&changed)));
        assert!(seeds(&protocol).iter().all(|seed| *seed < 1 << 32));
        assert!(plan().pilot_seeds().iter().all(|seed| *seed >= 1 << 32));
        // The same again.
        assert_eq!(seeds(&protocol), seeds(&claim.protocol(&plan())));
    }
}
