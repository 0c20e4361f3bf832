//! What is wrong with a training: symptoms, each with its evidence, and the causes that explain them.
//!
//! How data flows: a [`Case`] is what is known of a run, records only. Each [`Detector`], a file of its own, looks for one
//! symptom in it and gives a [`Finding`] with the numbers that it saw, or says why it cannot run. [`cause`] combines the
//! findings into ranked [`Cause`]s, each with a remedy in the experiment's own words. [`diagnose`] does all of it.
//!
//! Thresholds stand at the top of each detector's file with their source. They were set on the training half of the
//! planted faults (even seeds, MNIST) and are reported on the other (see [`planted`](crate::planted)).
//!
//! A detector of one's own is one value:
//!
//! ```
//! use rectify_train::judge::diagnose::{Case, DETECTORS, Detected, Detector, Severity, Symptom, diagnose};
//!
//! fn detect(case: &Case) -> Detected {
//!     let seconds = case.run.wall_seconds;
//!     let slow = Symptom::new(Severity::Info, format!("the run took {seconds:.0} s"));
//!     Ok(if seconds > 60.0 { vec![slow.with("duration", seconds, "s", 60.0)] } else { Vec::new() })
//! }
//! const PATIENCE: Detector = Detector {
//!     id: "long-run",
//!     explanation: "Nobody waits for more than a minute.",
//!     remedies: &["train on fewer samples"],
//!     reference: "",
//!     detect,
//! };
//! let detectors: Vec<Detector> = DETECTORS.iter().copied().chain([PATIENCE]).collect();
//! # let run = rectify_train::record::Run { wall_seconds: 90.0, ..rectify_train::record::Run::new("relu", 0) };
//! let diagnosis = diagnose(&Case::of(&run), &detectors);
//! assert!(diagnosis.findings.iter().any(|finding| finding.detector == "long-run"));
//! ```

mod case;
pub mod cause;
mod data;
mod dead_units;
mod divergence;
mod exploding_gradient;
mod frozen_layer;
mod initial_scale;
mod no_nonlinearity;
mod noisy_gradient;
mod not_learning;
mod oscillating_loss;
mod output_mismatch;
mod overfitting;
mod rank_collapse;
mod saturated_units;
mod slow_learning;
mod update_too_large;
mod update_too_small;
mod vanishing_gradient;
mod weight_growth;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::{
    case::{Case, NotMeasured},
    cause::Cause,
};

use super::number::{number, percent, ratio};

/// Every detector of this crate.
pub const DETECTORS: &[Detector] = &[
    divergence::DETECTOR,
    not_learning::DETECTOR,
    no_nonlinearity::DETECTOR,
    dead_units::DETECTOR,
    saturated_units::DETECTOR,
    vanishing_gradient::DETECTOR,
    exploding_gradient::DETECTOR,
    initial_scale::DETECTOR,
    frozen_layer::DETECTOR,
    update_too_large::DETECTOR,
    update_too_small::DETECTOR,
    oscillating_loss::DETECTOR,
    weight_growth::DETECTOR,
    noisy_gradient::DETECTOR,
    rank_collapse::DETECTOR,
    slow_learning::DETECTOR,
    overfitting::DETECTOR,
    output_mismatch::DETECTOR,
    data::DETECTOR,
];

/// Those that need only what one look at the layers tells, so that they can speak while a training runs.
pub const LIVE: &[Detector] =
    &[divergence::DETECTOR, dead_units::DETECTOR, saturated_units::DETECTOR, exploding_gradient::DETECTOR];

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; a run with nothing worse is healthy.
    Info,
    /// It costs accuracy or time.
    Warning,
    /// The network does not learn, or part of it cannot.
    Critical,
}

/// What a detector looks for, and what is to be said of it.
#[derive(Debug, Clone, Copy)]
pub struct Detector {
    /// As in `dead-units`.
    pub id: &'static str,
    /// A paragraph for a student.
    pub explanation: &'static str,
    /// What helps, for whatever model.
    pub remedies: &'static [&'static str],
    /// Who described it.
    pub reference: &'static str,
    /// Looks for it.
    pub detect: fn(&Case) -> Detected,
}

/// Symptoms, none where nothing is wrong; an error where the record does not tell.
pub type Detected = Result<Vec<Symptom>, NotMeasured>;

/// What a detector saw in one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Symptom {
    /// How bad.
    pub severity: Severity,
    /// In words, without a full stop: `62 % of the units of hidden.3 are dead`.
    pub says: String,
    /// Where, from the input on; empty where it is of the whole network.
    pub layers: Vec<String>,
    /// The step from which on it was seen; 0 is before training.
    pub first_step: usize,
    /// By what.
    pub evidence: Vec<Evidence>,
}

impl Symptom {
    /// Of the whole network, seen from the start on, without evidence yet.
    pub fn new(severity: Severity, says: impl Into<String>) -> Self {
        Self { severity, says: says.into(), layers: Vec::new(), first_step: 0, evidence: Vec::new() }
    }

    /// With a number that was seen, its unit, and the threshold that it is beyond.
    pub fn with(mut self, name: &'static str, value: f64, unit: &'static str, threshold: f64) -> Self {
        self.evidence.push(Evidence { name, value, unit, threshold: Some(threshold) });
        self
    }

    /// With a number that nothing is compared with.
    pub fn with_context(mut self, name: &'static str, value: f64, unit: &'static str) -> Self {
        self.evidence.push(Evidence { name, value, unit, threshold: None });
        self
    }

    /// Of these layers.
    pub fn in_layers(self, layers: Vec<String>) -> Self {
        Self { layers, ..self }
    }

    /// Seen since a step.
    pub fn since(self, first_step: usize) -> Self {
        Self { first_step, ..self }
    }
}

/// A number that a detector saw.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// What it is.
    pub name: &'static str,
    /// The number.
    #[serde(with = "crate::record::float::one")]
    pub value: f64,
    /// Its unit; empty for ratios and fractions.
    pub unit: &'static str,
    /// What it is beyond; `None` for a number that is only told.
    pub threshold: Option<f64>,
}

/// A symptom with what is to be said of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The detector's id.
    pub detector: &'static str,
    /// How bad.
    pub severity: Severity,
    /// In words, without a full stop.
    pub says: String,
    /// Where, from the input on; empty where it is of the whole network.
    pub layers: Vec<String>,
    /// The step from which on it was seen; 0 is before training.
    pub first_step: usize,
    /// By what.
    pub evidence: Vec<Evidence>,
    /// A paragraph for a student.
    pub explanation: &'static str,
    /// What helps, for whatever model.
    pub remedies: &'static [&'static str],
    /// Who described it.
    pub reference: &'static str,
}

/// A detector that could not run, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Skipped {
    /// The detector's id.
    pub detector: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// What is wrong with one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The run's activation.
    pub activation: String,
    /// Its seed.
    pub seed: u64,
    /// No finding above `info`.
    pub healthy: bool,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// What explains them, the likeliest first.
    pub causes: Vec<Cause>,
    /// Detectors that could not run.
    pub skipped: Vec<Skipped>,
}

impl Evidence {
    /// As in `dead hidden units 0.62 (threshold 0.4)`.
    fn words(&self) -> String {
        // Without a unit it is a ratio or a fraction.
        let (unit, words): (_, fn(f64) -> String) = match self.unit {
            "" => (String::new(), ratio),
            unit => (format!(" {unit}"), number),
        };
        let threshold = self.threshold.map_or(String::new(), |at| format!(" (threshold {})", words(at)));
        format!("{} {}{unit}{threshold}", self.name, words(self.value))
    }
}

impl Diagnosis {
    /// The worst severity; `None` without findings.
    pub fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// What was found, the cause and the remedy, in a line: empty for a healthy run.
    pub fn line(&self) -> String {
        let Some(worst) = self.findings.iter().find(|finding| finding.severity > Severity::Info) else {
            return String::new();
        };
        let also = match self.findings.iter().filter(|finding| finding.severity > Severity::Info).count() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let cause = self.causes.first().map_or(String::new(), |cause| {
            format!("; likely cause: {} ({} %); {}", cause.cause, percent(cause.confidence, 0), cause.remedy.text)
        });
        format!("{}{also}{cause}.", worst.says)
    }
}

impl Diagnosis {
    /// What is wrong, how that was seen, why and what helps: lines with how far each is indented.
    pub fn lines(&self) -> Vec<(usize, String)> {
        let verdict = if self.healthy { "healthy" } else { "not healthy" };
        let mut lines = vec![(0, format!("{} seed {}: {verdict}", self.activation, self.seed))];
        let mut explained: Vec<&str> = Vec::new();
        for finding in &self.findings {
            let severity = match finding.severity {
                Severity::Info => "info",
                Severity::Warning => "warning",
                Severity::Critical => "critical",
            };
            lines.push((2, format!("{severity}: {} ({})", finding.says, finding.detector)));
            let evidence: Vec<String> = finding.evidence.iter().map(Evidence::words).collect();
            if !evidence.is_empty() {
                lines.push((4, evidence.join("; ")));
            }
            // Once a detector, and not of what is only told.
            if finding.severity > Severity::Info && !explained.contains(&finding.detector) {
                explained.push(finding.detector);
                lines.push((4, finding.explanation.to_owned()));
            }
        }
        for Cause { cause, confidence, because, remedy, .. } in &self.causes {
            let confidence = percent(*confidence, 0);
            lines.push((2, format!("cause: {cause} ({confidence} %), as {because}; remedy: {}", remedy.text)));
            if !remedy.settings.is_empty() {
                lines.push((4, remedy.settings.to_string().trim().replace('\n', ", ")));
            }
        }
        lines
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines().into_iter().map(|(indent, text)| format!("{}{text}", " ".repeat(indent)));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Runs the detectors on a case and explains what they found.
pub fn diagnose(case: &Case, detectors: &[Detector]) -> Diagnosis {
    let (mut findings, mut skipped) = (Vec::new(), Vec::new());
    for detector in detectors {
        let &Detector { id, explanation, remedies, reference, detect } = detector;
        match detect(case) {
            Err(NotMeasured(reason)) => skipped.push(Skipped { detector: id, reason }),
            Ok(symptoms) => findings.extend(symptoms.into_iter().map(|symptom| {
                let Symptom { severity, says, layers, first_step, evidence } = symptom;
                Finding { detector: id, severity, says, layers, first_step, evidence, explanation, remedies, reference }
            })),
        }
    }
    // Stable: of two alike, the one whose detector stands first.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Diagnosis {
        activation: case.run.activation.clone(),
        seed: case.run.seed,
        healthy: findings.iter().all(|finding| finding.severity == Severity::Info),
        causes: cause::causes(case, &findings),
        findings,
        skipped,
    }
}

/// As in `after step 94`, `before training`.
fn when(step: usize) -> String {
    if step == 0 { "before training".to_owned() } else { format!("at step {step}") }
}
