//! The loss jumps instead of falling.

use super::{Case, Detected, Detector, NotMeasured, Severity, Symptom, case::median};
use crate::judge::number::{number, percent};

/// A quarter of the epochs lose more accuracy than [`SWING`]: AutoTrainer's thresholds (Zhang et al. 2021, table 2), the
/// larger of the two that it gives for the swing.
const EPOCHS: f64 = 0.25;
const SWING: f64 = 0.05;
/// One fall is a fall: what oscillates falls, comes back and falls again.
const LEAST_FALLS: usize = 2;
/// Epochs in which a swing can be seen to come back.
const LEAST_EPOCHS: usize = 4;
/// Steps with a loss above that of guessing, after the network knew better: at the edge of stability the loss rises
/// between falls (Cohen et al. 2021), but a network that is worse than guessing has been thrown out of where it was.
const SPIKES: f64 = 0.02;
/// The loss that is knowing better: half of guessing's.
const KNEW: f64 = 0.5;

pub const DETECTOR: Detector = Detector {
    id: "oscillating-loss",
    explanation: "A step that is too long for the curvature of the loss overshoots the valley and lands higher on the \
                  other side. Gradient descent can live at that edge for a while (the edge of stability), where the \
                  loss falls by and large; beyond it, losses jump above those of guessing and accuracies swing from \
                  epoch to epoch.",
    remedies: &["lower the learning rate by a factor of 3", "clip the gradient's norm at 1", "use larger batches"],
    reference: "Cohen et al. 2021, Gradient descent on neural networks typically occurs at the edge of stability",
    detect,
};

fn detect(case: &Case) -> Detected {
    let accuracies: Vec<f64> = case.run.epochs.iter().filter_map(|epoch| epoch.validation_accuracy).collect();
    let mut found = Vec::new();
    if accuracies.len() > LEAST_EPOCHS {
        let falls = accuracies.windows(2).filter(|pair| pair[1] < pair[0] - SWING).count();
        let share = falls as f64 / (accuracies.len() - 1) as f64;
        if falls >= LEAST_FALLS && share >= EPOCHS {
            let says = format!("in {} % of the epochs the accuracy falls by more than 5 points", percent(share, 0));
            found.push(Symptom::new(Severity::Warning, says).with("epochs that lose accuracy", share, "", EPOCHS));
        }
    }
    let (Ok(guessing), true) = (case.guessing_loss(), case.losses.len() >= 50) else {
        return if accuracies.len() > LEAST_EPOCHS {
            Ok(found)
        } else {
            Err(NotMeasured("neither every step's loss nor five epochs' accuracies are known"))
        };
    };
    let half = &case.losses[case.losses.len() / 2..];
    let typical = median(half.to_vec()).unwrap_or(f64::INFINITY);
    let spikes = half.iter().filter(|loss| loss.is_nan() || **loss >= guessing).count() as f64 / half.len() as f64;
    if typical < KNEW * guessing && spikes >= SPIKES {
        let says = format!(
            "the loss jumps: {} % of the later steps are worse than guessing, where {} is usual",
            percent(spikes, 0),
            number(typical)
        );
        found.push(Symptom::new(Severity::Warning, says).since(case.losses.len() / 2 + 1).with(
            "steps worse than guessing",
            spikes,
            "",
            SPIKES,
        ));
    }
    Ok(found)
}
