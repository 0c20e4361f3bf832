//! Makes the changes that a diagnosis names, trains again and keeps what helps.

use serde::Serialize;

use crate::{
    experiment::Experiment,
    judge::diagnose::{Case, DETECTORS, Diagnosis, Severity, diagnose},
    record::{DataRecord, Run},
};

/// A training that has ended, with every step's loss.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The run.
    pub run: Run,
    /// The loss of every step, from the first on.
    pub losses: Vec<f64>,
}

impl Trained {
    fn accuracy(&self) -> Option<f64> {
        self.run.outcome().and_then(|epoch| epoch.validation_accuracy)
    }
}

/// One try.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attempt {
    /// The cause that it is for; `defaults` for the network with every other setting at its default.
    pub cause: &'static str,
    /// What it changes in the run that is to be repaired.
    pub settings: toml::Table,
    /// On the validation set; `None` where it diverged.
    pub validation_accuracy: Option<f64>,
    /// Whether it has no finding above `info`.
    pub healthy: bool,
    /// The detectors whose findings are above `info`.
    pub findings: Vec<&'static str>,
    /// The worst severity.
    pub severity: Option<Severity>,
}

/// What the tries came to.
#[derive(Debug, Clone, Serialize)]
pub struct Repair {
    /// Validation accuracy of the run that was to be repaired.
    pub before: Option<f64>,
    /// That of the same network with every other setting at its default.
    pub defaults: Option<f64>,
    /// In their order.
    pub attempts: Vec<Attempt>,
    /// Whether the best attempt has no critical finding and is better than the run was, and at least as good as the
    /// defaults or the best that was tried.
    pub repaired: bool,
    /// The best attempt's changes; empty where nothing helped, or where what helped is to leave settings out.
    pub settings: toml::Table,
    /// The best attempt's settings, ready to be run.
    #[serde(skip)]
    pub experiment: Option<Experiment>,
}

/// What is tried: an experiment of one training, and why.
struct Try {
    experiment: Experiment,
    settings: toml::Table,
    diagnosis: Diagnosis,
    accuracy: Option<f64>,
}

impl Try {
    fn severity(&self) -> Option<Severity> {
        self.diagnosis.severity()
    }

    /// Whether it is not critical where the other is, or as accurate: of two alike the later one, which has one cause
    /// less.
    fn as_good_as(&self, other: &Self) -> bool {
        let critical = |of: &Self| of.severity() == Some(Severity::Critical);
        match (critical(self), critical(other)) {
            (false, true) => true,
            (true, false) => false,
            _ => self.accuracy.unwrap_or(0.0) >= other.accuracy.unwrap_or(0.0),
        }
    }
}

/// Tries the remedies of a run's causes in their order, each on top of those that helped, until the run is healthy and
/// at least as good as the same network with defaults; `attempts` trainings at most, and one of the defaults.
///
/// `experiment` is that of the one run. `train` trains an experiment of one run; its number is 0 for the defaults and
/// then that of the attempt.
///
/// # Errors
///
/// Those of `train`.
pub fn repair<E>(
    experiment: &Experiment,
    broken: &Trained,
    data: Option<&DataRecord>,
    attempts: usize,
    train: &mut dyn FnMut(&Experiment, usize) -> Result<Trained, E>,
) -> Result<Repair, E> {
    let examine = |experiment: &Experiment, settings: toml::Table, trained: &Trained| {
        let case = Case { run: &trained.run, experiment: Some(experiment), data, losses: &trained.losses };
        let diagnosis = diagnose(&case, DETECTORS);
        Try { experiment: experiment.clone(), settings, diagnosis, accuracy: trained.accuracy() }
    };
    let reference = defaults(experiment);
    let before = examine(experiment, toml::Table::new(), broken);
    let mut repair = Repair {
        before: before.accuracy,
        defaults: None,
        attempts: Vec::new(),
        repaired: false,
        settings: toml::Table::new(),
        experiment: None,
    };
    if before.diagnosis.causes.iter().all(|cause| cause.remedy.settings.is_empty()) {
        return Ok(repair);
    }
    let of_defaults = train(&reference, 0)?;
    repair.defaults = of_defaults.accuracy();
    let good = |tried: &Try, defaults: Option<f64>| {
        tried.severity() != Some(Severity::Critical) && tried.accuracy.is_some() && tried.accuracy >= defaults
    };
    let mut tried: Vec<Experiment> = vec![experiment.clone()];
    let mut best = before;
    while repair.attempts.len() < attempts && !(best.diagnosis.healthy && good(&best, repair.defaults)) {
        let next = best.diagnosis.causes.iter().find_map(|cause| {
            let (changed, settings) = changed(&best.experiment, &best.settings, &cause.remedy.settings)?;
            (!tried.contains(&changed)).then_some((cause.cause, changed, settings))
        });
        let (cause, changed, settings) = match next {
            Some(next) => next,
            // Nothing is left to try but to start from the defaults.
            None if !tried.contains(&reference) => ("defaults", reference.clone(), difference(experiment, &reference)),
            None => break,
        };
        let trained = match changed == reference {
            true => of_defaults.clone(),
            false => train(&changed, repair.attempts.len() + 1)?,
        };
        let attempt = examine(&changed, settings, &trained);
        let above_info = attempt.diagnosis.findings.iter().filter(|finding| finding.severity > Severity::Info);
        repair.attempts.push(Attempt {
            cause,
            settings: attempt.settings.clone(),
            validation_accuracy: attempt.accuracy,
            healthy: attempt.diagnosis.healthy,
            findings: above_info.map(|finding| finding.detector).collect(),
            severity: attempt.severity(),
        });
        tried.push(changed);
        if attempt.as_good_as(&best) {
            best = attempt;
        }
    }
    let better = best.experiment != *experiment && best.accuracy > repair.before;
    if better && best.severity() != Some(Severity::Critical) {
        repair.repaired = true;
        repair.settings = best.settings;
        repair.experiment = Some(best.experiment);
    }
    Ok(repair)
}

/// The same network on the same data for as long, with every other setting at its default.
fn defaults(experiment: &Experiment) -> Experiment {
    let plain = Experiment::default();
    Experiment {
        init: plain.init,
        bias_init: plain.bias_init,
        lr: Experiment { lr: None, ..experiment.clone() }.learning_rate().into(),
        momentum: experiment.momentum.map(|_| plain.momentum()),
        weight_decay: plain.weight_decay,
        clip_norm: plain.clip_norm,
        batch_size: plain.batch_size,
        ..experiment.clone()
    }
}

/// An experiment with some settings changed, and all changes since the broken one. `None` where nothing changes, or the
/// settings are none that it can run with.
fn changed(experiment: &Experiment, so_far: &toml::Table, settings: &toml::Table) -> Option<(Experiment, toml::Table)> {
    if settings.is_empty() {
        return None;
    }
    let mut table = toml::Table::try_from(experiment).ok()?;
    table.extend(settings.clone());
    let changed: Experiment = table.try_into().ok()?;
    changed.check().ok()?;
    let mut all = so_far.clone();
    all.extend(settings.clone());
    (changed != *experiment).then_some((changed, all))
}

/// The settings in which `to` differs.
fn difference(from: &Experiment, to: &Experiment) -> toml::Table {
    let table = |experiment| toml::Table::try_from(experiment).unwrap_or_default();
    let from = table(from);
    table(to).into_iter().filter(|(name, value)| from.get(name) != Some(value)).collect()
}
