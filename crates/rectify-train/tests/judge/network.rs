//! Records of a sound network, changed, and what a detector says of them.

use rectify_train::{
    judge::diagnose::{Case, DETECTORS, Severity, diagnose},
    record::{Epoch, Layer, Run, Status},
};

use super::made::TEN_CLASSES;

/// A hidden layer of a sound network of ReLU.
pub fn sound(index: usize) -> Layer {
    Layer {
        layer: format!("hidden.{index}"),
        units: 64,
        fan_in: Some(64),
        weight_rms: Some(0.17),
        bias_rms: Some(0.0),
        weight_grad_rms: Some(1e-3),
        weight_grad_norm: Some(0.1),
        preactivation_grad_rms: Some(1e-3),
        preactivation_std: Some(1.0),
        dead_fraction: Some(0.0),
        dormant_fraction: Some(0.0),
        effective_rank: Some(20.0),
        update_to_weight_ratio: Some(1e-3),
        unit_nonzero_fraction: vec![0.5; 64],
        ..Layer::default()
    }
}

/// A completed run with so many looks, 100 steps apart, at so many hidden layers, each changed by `change(look, layer, …)`.
pub fn network(looks: usize, layers: usize, change: impl Fn(usize, usize, &mut Layer)) -> Run {
    let layer = |look: usize, index: usize| {
        let mut layer = sound(index);
        change(look, index, &mut layer);
        layer
    };
    let look = |look: usize| Epoch {
        epoch: look,
        step: 100 * look,
        layers: (0..layers).map(|index| layer(look, index)).collect(),
        ..Epoch::default()
    };
    let epochs = (0..looks).map(look).collect();
    Run { status: Status::Completed, steps: 100 * (looks - 1), epochs, ..Run::new("relu", 0) }
}

/// What one detector says: `warning, hidden.0 from 200 on: …; what was seen > its threshold`, or why it says nothing.
pub fn said(detector: &str, case: &Case) -> Vec<String> {
    let detector = *DETECTORS.iter().find(|known| known.id == detector).expect("a detector");
    let diagnosis = diagnose(case, &[detector]);
    let skipped = diagnosis.skipped.iter().map(|skipped| format!("skipped: {}", skipped.reason));
    let found = diagnosis.findings.iter().map(|finding| {
        let severity = match finding.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let evidence: String = finding
            .evidence
            .iter()
            .map(|seen| {
                let threshold = seen.threshold.map_or(String::new(), |at| format!(" | {at:.4}"));
                format!("; {} {:.4}{threshold}", seen.name, seen.value)
            })
            .collect();
        let layers = if finding.layers.is_empty() { String::new() } else { format!(", {}", finding.layers.join(" ")) };
        format!("{severity}{layers} from {} on: {}{evidence}", finding.first_step, finding.says)
    });
    skipped.chain(found).collect()
}

/// The same of a run of which nothing else is known.
pub fn of(detector: &str, run: &Run) -> Vec<String> {
    said(detector, &Case::of(run))
}

/// The same of a run on ten classes, with the loss of every step.
pub fn with_losses(detector: &str, run: &Run, losses: &[f64]) -> Vec<String> {
    said(detector, &Case { data: Some(&TEN_CLASSES), losses, ..Case::of(run) })
}

pub const NOTHING: [&str; 0] = [];

/// Guessing's loss on ten classes.
pub fn guessing() -> f64 {
    10f64.ln()
}

/// A run with a validation accuracy for each epoch and nothing else.
pub fn with_accuracies(accuracies: &[f64]) -> Run {
    let epoch = |(epoch, accuracy): (usize, &f64)| Epoch {
        epoch,
        step: 10 * epoch,
        validation_accuracy: Some(*accuracy),
        ..Epoch::default()
    };
    let epochs = accuracies.iter().enumerate().map(epoch).collect();
    Run { status: Status::Completed, steps: 40, epochs, ..Run::new("relu", 0) }
}
