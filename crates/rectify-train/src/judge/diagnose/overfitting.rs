//! The network learns its training samples and not what they are samples of.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom};
use crate::judge::number::number;

/// The validation loss over its least value so far. Prechelt 1998 stops at a generalisation loss of 5 %; small validation
/// sets scatter by as much.
const RISEN: f64 = 1.1;
/// Epochs behind the best one that are all above [`RISEN`] before it is more than a piece of information: Prechelt's
/// UP criterion asks for several in a row, as single epochs scatter.
const IN_A_ROW: usize = 3;
/// The validation loss over the training loss.
const GAP: f64 = 2.0;

pub const DETECTOR: Detector = Detector {
    id: "overfitting",
    explanation: "While the training loss goes on falling, the validation loss rises again: what is learned from some \
                  point on are the training samples themselves.",
    remedies: &["stop at the best validation epoch (--patience)", "use more data or augment it", "use weight decay"],
    reference: "Prechelt 1998, Early stopping, but when?",
    detect,
};

fn detect(case: &Case) -> Detected {
    let trained = case.run.epochs.iter().filter(|epoch| epoch.step > 0);
    let losses: Vec<(usize, f64, f64)> =
        trained.filter_map(|epoch| Some((epoch.step, epoch.train_loss?, epoch.validation_loss?))).collect();
    let (Some(&(_, train, validation)), 2..) = (losses.last(), losses.len()) else {
        return Err(NotMeasured("fewer than two epochs with a validation loss"));
    };
    let least = losses.iter().map(|(_, _, validation)| *validation).fold(f64::INFINITY, f64::min);
    let best = losses.iter().find(|(_, _, validation)| *validation == least).map_or(0, |(step, ..)| *step);
    // With patience the network of the best epoch is the one that counts.
    if case.run.kept_epoch.is_some() || validation < RISEN * least || validation < GAP * train {
        return Ok(Vec::new());
    }
    let behind = losses.iter().rev().take_while(|(_, _, validation)| *validation >= RISEN * least).count();
    let severity = if behind >= IN_A_ROW { Severity::Warning } else { Severity::Info };
    let says = format!(
        "the validation loss rises from {} to {}, while the training loss is {}",
        number(least),
        number(validation),
        number(train)
    );
    Ok(vec![
        Symptom::new(severity, says)
            .since(best)
            .with("validation loss over its least", validation / least, "", RISEN)
            .with("validation over training loss", validation / train, "", GAP),
    ])
}
