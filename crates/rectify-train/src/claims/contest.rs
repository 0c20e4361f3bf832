//! Activations beside each other on the same data, each at its own best rate: what many claims compare.

use serde::Serialize;

use super::{
    Plan,
    lab::{ClaimError, Lab, Rate, Setup, describe, rates_in_words},
};
use crate::experiment::{Experiment, ModelKind};

/// Which activations meet, in which networks, on which data.
#[derive(Debug, Serialize)]
pub struct Contest {
    /// One for each model.
    pub experiments: Vec<Experiment>,
    /// The activations.
    pub activations: Vec<String>,
    /// The data sets; claims decide on the first, or on all.
    pub datasets: Vec<String>,
}

/// One activation in one network on one data set.
#[derive(Debug, Clone)]
pub struct Contender {
    /// The activation.
    pub activation: String,
    /// The data set.
    pub dataset: String,
    /// The kind of network.
    pub model: ModelKind,
    /// What is trained.
    pub setup: Setup,
}

impl Contest {
    /// One of MLPs, with the settings that claims begin from, on all data sets.
    pub fn of(activations: &[&str], plan: &Plan) -> Self {
        Self {
            experiments: vec![plan.experiment()],
            activations: activations.iter().map(|activation| (*activation).to_owned()).collect(),
            datasets: plan.datasets.clone(),
        }
    }

    /// The data set that decides where only one does.
    pub fn dataset(&self) -> &str {
        self.datasets.first().map_or("", String::as_str)
    }

    fn setups(&self) -> Vec<Setup> {
        let mut setups = Vec::new();
        for experiment in &self.experiments {
            for dataset in &self.datasets {
                let experiment = Experiment { dataset: dataset.clone(), ..experiment.clone() };
                setups.extend(self.activations.iter().map(|activation| Setup::new(experiment.clone(), activation)));
            }
        }
        setups
    }

    /// Each contender's best rate, by validation accuracy on pilot seeds.
    ///
    /// # Errors
    ///
    /// As [`Lab::tune`].
    pub fn tune(&self, lab: &Lab) -> Result<Vec<Rate>, ClaimError> {
        lab.tune(&self.setups())
    }

    /// The contenders at the rates that [`tune`](Self::tune) gave.
    pub fn contenders(&self, rates: &[Rate]) -> Vec<Contender> {
        let contender = |(setup, rate): (Setup, &Rate)| Contender {
            activation: setup.activation.name().to_owned(),
            dataset: setup.experiment.dataset.clone(),
            model: setup.experiment.model,
            setup: setup.with_rate(rate.rate),
        };
        self.setups().into_iter().zip(rates).map(contender).collect()
    }

    /// What was run, with the rates that were chosen.
    pub fn in_words(&self, rates: &[Rate]) -> String {
        let experiments = self.experiments.iter().map(describe).collect::<Vec<_>>().join("; ");
        let name =
            |setup: &Setup| format!("{} {} on {}", setup.activation, setup.experiment.model, setup.experiment.dataset);
        let names: Vec<String> = self.setups().iter().map(name).collect();
        format!("{experiments}; rates: {}", rates_in_words(names.iter().map(String::as_str), rates))
    }
}

impl Contender {
    /// Whether it is the one with this activation on this data set, of whatever model.
    pub fn is(activation: &str, dataset: &str) -> impl Fn(&Self) -> bool + use<> {
        let (activation, dataset) = (activation.to_owned(), dataset.to_owned());
        move |contender| contender.activation == activation && contender.dataset == dataset
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Rates for so many contenders, as if they had been tuned.
    pub fn rates(count: usize) -> Vec<Rate> {
        vec![Rate { rate: 0.1, at_end: false, tried: Vec::new() }; count]
    }
}
