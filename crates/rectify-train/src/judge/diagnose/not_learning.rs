//! The loss at the end is that of guessing by the frequencies of the classes.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom};
use crate::{judge::number::number, record::Status};

/// Of guessing's loss. Batches scatter by a hundredth of it around a network that only knows the classes' frequencies;
/// a network that has begun to tell classes apart is soon below.
const REMAINING: f64 = 0.97;
/// Before so many steps no network need have learned anything: at the usual rate of change of a weight, a thousandth
/// of itself a step, none has moved by more than a twentieth.
pub(super) const STEPS: usize = 50;

pub const DETECTOR: Detector = Detector {
    id: "not-learning",
    explanation: "A network that always answers with the frequencies of the classes, whatever picture it is shown, has \
                  a loss of ln(classes) where these are balanced, 2.303 for ten. A training that ends there has \
                  learned nothing about its inputs: no gradient arrives, the steps do nothing, or there is nothing to \
                  be learned.",
    remedies: &["see the other findings for where the gradient is lost", "overfit ten samples first: it must work"],
    reference: "Karpathy 2019, A recipe for training neural networks",
    detect,
};

fn detect(case: &Case) -> Detected {
    if case.run.status == Status::Diverged || case.run.steps < STEPS {
        return Err(NotMeasured("fewer than 50 steps were taken"));
    }
    let (loss, guessing) = (case.final_loss()?, case.guessing_loss()?);
    if loss / guessing < REMAINING {
        return Ok(Vec::new());
    }
    let says =
        format!("the training loss is that of guessing: {}, and guessing gives {}", number(loss), number(guessing));
    let symptom = Symptom::new(Severity::Critical, says).since(case.run.steps).with(
        "loss over that of guessing",
        loss / guessing,
        "",
        REMAINING,
    );
    let accuracy = case.run.last().and_then(|epoch| epoch.validation_accuracy);
    Ok(vec![match accuracy {
        Some(accuracy) => symptom.with_context("validation accuracy", accuracy, ""),
        None => symptom,
    }])
}
