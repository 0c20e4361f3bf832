//! The network learns, and too little.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom};
use crate::{judge::number::percent, record::Status};

/// Of guessing's loss, at the end. Half of it is where a network is right more often than not: a loss of ½ ln C is that
/// of an answer with probability 1/√C.
const REMAINING: f64 = 0.5;
/// Above that nothing was learned at all, which another detector says.
const NOTHING: f64 = 0.97;
/// Before so many steps nothing is late.
const STEPS: usize = 100;

pub const DETECTOR: Detector = Detector {
    id: "slow-learning",
    explanation: "The loss falls, but at the end of the training it has not come far from that of guessing. Either the \
                  steps are too short, or something keeps them from adding up: noise, saturated layers, labels that \
                  contradict each other.",
    remedies: &["train longer", "raise the learning rate", "use Adam", "see the other findings for what holds it up"],
    reference: "Zhang et al. 2021, AutoTrainer: slow convergence",
    detect,
};

fn detect(case: &Case) -> Detected {
    if case.run.status == Status::Diverged || case.run.steps < STEPS {
        return Err(NotMeasured("fewer than 100 steps were taken"));
    }
    let remaining = case.remaining()?;
    if !(REMAINING..NOTHING).contains(&remaining) {
        return Ok(Vec::new());
    }
    let says = format!("after {} steps {} % of guessing's loss is left", case.run.steps, percent(remaining, 0));
    let symptom = Symptom::new(Severity::Warning, says).since(case.run.steps);
    Ok(vec![symptom.with("loss over that of guessing", remaining, "", REMAINING)])
}
