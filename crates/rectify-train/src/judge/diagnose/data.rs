//! What is wrong with the data themselves.

use super::{
    Case, Detected, Detector, Severity, Symptom, case::mean, dead_units, initial_scale, noisy_gradient,
    noisy_gradient::noise_scale, not_learning, saturated_units, update_too_small,
};
use crate::{
    judge::number::{number, percent},
    record::{Layer, Status},
};

/// Of the inputs. LeCun et al. 1998 (*Efficient backprop*, section 4.3) ask for mean 0 and deviation 1; initialisations
/// are made for it. At three times that the first layer begins as with a gain of 3.
const SCALE: [f64; 2] = [0.1, 3.0];
/// Of the samples in one class.
const DOMINATES: f64 = 0.8;
/// Of the features that never change: MNIST's frame is 20 %, and a picture's margin can be more.
const CONSTANT: f64 = 0.95;
/// Of the test samples. Barz and Denzler 2020 (*Do we train on test data?*) find 3.3 % of CIFAR-10's test images to be near
/// copies of training images; that many exact ones are a mistake in the split.
const DUPLICATES: f64 = 0.01;
/// Of guessing's loss: that much is left though everything else is sound.
const REMAINING: f64 = 0.5;

pub const DETECTOR: Detector = Detector {
    id: "data",
    explanation: "A network learns what its data show. Inputs that are not near mean 0 and deviation 1 make the first \
                  layer's weights wrong by as much; one class that dominates makes guessing look good; labels that do \
                  not depend on the inputs leave nothing to learn, which shows as batches whose gradients point \
                  everywhere while the loss stays high and every layer is sound.",
    remedies: &[
        "standardise the inputs: subtract the training set's mean and divide by its deviation",
        "look at some samples with their labels; see that both are shuffled alike",
        "weigh classes, or judge by balanced accuracy",
    ],
    reference: "LeCun et al. 1998, Efficient backprop; Zhang et al. 2017, Understanding deep learning requires \
                rethinking generalization",
    detect,
};

/// Whether the inputs' mean and deviation are what initialisations are made for; `None` where they were not measured.
pub(super) fn is_scaled(case: &Case) -> Option<bool> {
    let inputs = case.run.epochs.iter().find_map(|epoch| epoch.inputs)?;
    Some((SCALE[0]..=SCALE[1]).contains(&inputs.std?) && inputs.mean?.abs() <= SCALE[1])
}

fn detect(case: &Case) -> Detected {
    let mut found = Vec::new();
    if let Some(inputs) = case.run.epochs.iter().find_map(|epoch| epoch.inputs) {
        match (inputs.mean, inputs.std) {
            (Some(mean), Some(std)) if is_scaled(case) == Some(false) => {
                let says = format!("the inputs are not scaled: mean {}, deviation {}", number(mean), number(std));
                let limit = if std < SCALE[0] { SCALE[0] } else { SCALE[1] };
                found.push(
                    Symptom::new(Severity::Warning, says).with("deviation of the inputs", std, "", limit).with_context(
                        "mean of the inputs",
                        mean,
                        "",
                    ),
                );
            }
            (Some(_), Some(_)) => {}
            _ => found.push(Symptom::new(Severity::Critical, "inputs are not finite")),
        }
        if inputs.constant_fraction > CONSTANT {
            let says = format!("{} % of the inputs never change", percent(inputs.constant_fraction, 0));
            let symptom = Symptom::new(Severity::Warning, says);
            found.push(symptom.with("constant inputs", inputs.constant_fraction, "", CONSTANT));
        }
    }
    if let Some(data) = case.data.filter(|data| data.majority_fraction > DOMINATES) {
        let says = format!("{} % of the samples are of one class", percent(data.majority_fraction, 0));
        let symptom = Symptom::new(Severity::Warning, says);
        found.push(symptom.with("samples of the largest class", data.majority_fraction, "", DOMINATES));
    }
    let duplicates = case.data.and_then(|data| Some((data.duplicates? as f64 / data.test as f64, data.duplicates?)));
    if let Some((share, count)) = duplicates.filter(|(share, _)| *share > DUPLICATES) {
        let says = format!("{count} test samples ({} %) are training samples, too", percent(share, 1));
        found.push(Symptom::new(Severity::Warning, says).with(
            "test samples that were trained on",
            share,
            "",
            DUPLICATES,
        ));
    }
    found.extend(independent_labels(case));
    Ok(found)
}

/// Of guessing's loss: a network whose loss falls by more over the second half of the training has not yet said what can
/// be learned.
const FALLS: f64 = 0.05;

/// Whether the loss still fell over the second half; not, where single steps were not kept.
pub(super) fn still_learns(case: &Case) -> bool {
    let steps = case.losses.len();
    let tenth = steps.div_ceil(10);
    let Some(middle) = case.losses.get(steps / 2..(steps / 2 + tenth).min(steps)).filter(|part| !part.is_empty())
    else {
        return false;
    };
    let fell = case.final_loss().ok().zip(case.guessing_loss().ok());
    fell.is_some_and(|(end, guessing)| (mean(middle) - end) / guessing > FALLS)
}

/// Where everything is sound and the loss is high all the same, batches contradict each other.
pub(super) fn independent_labels(case: &Case) -> Option<Symptom> {
    let remaining = case.remaining().ok()?;
    let end = case.end().ok()?;
    let noise = noise_scale(end)?;
    let batch = end.gradient.as_ref()?.batch_size as f64;
    let moves = end.layers.iter().filter_map(|layer: &Layer| layer.update_to_weight_ratio).fold(0.0, f64::max);
    let sound = case.run.status == Status::Completed
        && case.run.steps >= not_learning::STEPS
        && !still_learns(case)
        && remaining > REMAINING
        && moves > update_too_small::SMALL
        && noise > CONTRADICT * batch;
    // Where the network itself is broken, its batches have nothing in common either.
    let broken = [initial_scale::DETECTOR, saturated_units::DETECTOR, dead_units::DETECTOR].iter().any(|detector| {
        (detector.detect)(case).is_ok_and(|found| found.iter().any(|symptom| symptom.severity > Severity::Info))
    });
    let sound = sound && !broken && batch > noisy_gradient::SMALL_BATCH as f64;
    let words = if noise.is_finite() { format!("{} samples", number(noise)) } else { "beyond measure".to_owned() };
    sound.then(|| {
        let says = format!(
            "the labels hardly depend on the inputs: {} % of guessing's loss is left, and batches contradict each other \
             (noise scale: {words})",
            percent(remaining, 0)
        );
        Symptom::new(Severity::Warning, says)
            .since(end.step)
            .with("noise scale over batch size", noise / batch, "", CONTRADICT)
            .with("loss over that of guessing", remaining, "", REMAINING)
    })
}

/// Noise scale over batch size from which on batches contradict each other: a step follows its own samples more than
/// what they have in common.
const CONTRADICT: f64 = 1.0;
