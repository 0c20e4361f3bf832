//! A run with one fault has one finding, and its cause.

use rectify_train::{
    experiment::Experiment,
    judge::diagnose::{Case, DETECTORS, Diagnosis, Severity, diagnose},
    record::{GradientSample, Run, Status},
};

use super::{
    made::{TEN_CLASSES, looked_at},
    network::{network, with_accuracies},
};

#[test]
fn detectors_without_their_records_say_so_and_find_nothing() {
    let run = Run { status: Status::Completed, steps: 500, ..Run::new("relu", 0) };
    let diagnosis = diagnose(&Case::of(&run), DETECTORS);
    assert!(diagnosis.healthy && diagnosis.findings.is_empty(), "{:?}", diagnosis.findings);
    assert!(diagnosis.skipped.len() > 10 && diagnosis.skipped.iter().all(|skipped| !skipped.reason.is_empty()));
}

#[test]
fn a_layer_s_fault_is_found_there_and_only_there() {
    let found = |run: &Run| -> Vec<(&str, Vec<String>)> {
        let findings = diagnose(&Case::of(run), DETECTORS).findings.into_iter();
        findings.filter(|f| f.severity > Severity::Info).map(|finding| (finding.detector, finding.layers)).collect()
    };
    assert_eq!(found(&looked_at(|_| {})), []);
    let first = || vec!["hidden.0".to_owned()];
    let dead = looked_at(|layer| layer.dead_fraction = Some(1.0));
    assert_eq!(found(&dead), [("dead-units", first())]);
    let frozen = looked_at(|layer| (layer.update_to_weight_ratio, layer.weight_grad_rms) = (None, None));
    assert!(found(&frozen).contains(&("frozen-layer", first())), "{:?}", found(&frozen));
    let vanished = looked_at(|layer| layer.weight_grad_rms = Some(1e-7));
    assert_eq!(found(&vanished), [("vanishing-gradient", first())]);
    let huge = looked_at(|layer| layer.update_to_weight_ratio = Some(0.3));
    assert_eq!(found(&huge), [("update-too-large", first())]);
    let decayed = looked_at(|layer| layer.weight_rms = Some(0.01));
    assert_eq!(found(&decayed), [("weight-growth", first())]);
}

fn causes(diagnosis: &Diagnosis) -> Vec<&str> {
    diagnosis.causes.iter().map(|cause| cause.cause).collect()
}

#[test]
fn of_small_batches_that_diverge_both_the_batch_and_the_rate_are_suspected() {
    let run = Run { status: Status::Diverged, diverged_at_step: Some(9), ..looked_at(|_| {}) };
    let named = |batch_size, lr| {
        let experiment = Experiment { batch_size, lr, ..Experiment::default() };
        let case = Case { experiment: Some(&experiment), ..Case::of(&run) };
        causes(&diagnose(&case, DETECTORS)).join(", ")
    };
    assert_eq!(named(2, None), "batch-too-small, learning-rate-too-high");
    assert_eq!(named(128, None), "learning-rate-too-high");
    // At ten times the usual rate large batches would diverge too, and at a part as small as the batch is, the batch is not
    // what is wrong.
    assert_eq!(named(2, Some(1.0)), "learning-rate-too-high");
    assert_eq!(named(2, Some(0.1 * 2.0 / 128.0)), "learning-rate-too-high");
    // Of a loop whose rate is not known, its batches are.
    let mut own = run.clone();
    own.epochs[0].gradient = Some(GradientSample { set: "batch".to_owned(), samples: 4, batch_size: 4 });
    assert_eq!(causes(&diagnose(&Case::of(&own), DETECTORS)), ["batch-too-small", "learning-rate-too-high"]);
    assert_eq!(causes(&diagnose(&Case::of(&run), DETECTORS)), ["learning-rate-too-high"]);
}

#[test]
fn a_layer_that_training_killed_most_of_points_to_the_rate_and_one_that_began_so_does_not() {
    let mut run = looked_at(|layer| layer.dead_fraction = Some(0.6));
    let diagnosis = diagnose(&Case::of(&run), DETECTORS);
    let [finding] = &diagnosis.findings[..] else { panic!("{diagnosis}") };
    assert_eq!((finding.severity, &*finding.layers), (Severity::Warning, &["hidden.0".to_owned()][..]));
    assert_eq!(finding.says, "60 % of the units of hidden.0 died during training");
    assert_eq!((finding.first_step, causes(&diagnosis)), (200, vec!["learning-rate-too-high"]));
    run.epochs[0].layers[0].dead_fraction = Some(0.5);
    assert!(diagnose(&Case::of(&run), DETECTORS).healthy);
}

#[test]
fn short_steps_are_too_short_where_the_loss_falls_until_the_end() {
    let mut run = looked_at(|_| {});
    for layer in run.epochs.iter_mut().flat_map(|epoch| &mut epoch.layers) {
        layer.update_to_weight_ratio = Some(3e-4);
    }
    let named = |losses: &[f64]| {
        let case = Case { data: Some(&TEN_CLASSES), losses, ..Case::of(&run) };
        causes(&diagnose(&case, DETECTORS)).join(", ")
    };
    let falls: Vec<f64> = (0..200).map(|step| 2.3 - 0.002 * f64::from(step)).collect();
    assert_eq!(named(&falls), "learning-rate-too-low");
    // At rest at a loss as high, something else is wrong.
    assert_eq!(named(&[1.9; 200]), "");
}

#[test]
fn one_fall_in_accuracy_is_no_oscillation_and_two_are() {
    let findings = |accuracies: &[f64]| {
        let run = with_accuracies(accuracies);
        diagnose(&Case::of(&run), DETECTORS).findings.into_iter().map(|found| found.detector).collect::<Vec<_>>()
    };
    assert!(!findings(&[0.1, 0.8, 0.7, 0.85, 0.9]).contains(&"oscillating-loss"));
    assert!(findings(&[0.1, 0.8, 0.7, 0.85, 0.75]).contains(&"oscillating-loss"));
    // As often, but by less than five points.
    assert!(!findings(&[0.1, 0.8, 0.77, 0.85, 0.82]).contains(&"oscillating-loss"));
}

#[test]
fn a_diagnosis_is_told_in_a_line_or_in_many() {
    let sound = network(3, 5, |_, _, _| {});
    assert_eq!(diagnose(&Case::of(&sound), DETECTORS).line(), "");
    let huge = |layers: usize, dead: Option<f64>| {
        network(4, layers, move |look, _, layer| {
            layer.update_to_weight_ratio = Some(if look == 2 { 0.5 } else { 1e-3 });
            layer.dead_fraction = dead.filter(|_| look == 3).or(Some(0.0));
        })
    };
    let run = huge(5, None);
    let diagnosis = diagnose(&Case::of(&run), DETECTORS);
    let says = "one step changes hidden.0, hidden.1, hidden.2 and 2 more layers by 0.500 times its size";
    let cause = "learning-rate-too-high (68 %)";
    let remedy = "lower the learning rate by a factor of 10";
    assert_eq!(diagnosis.line(), format!("{says}; likely cause: {cause}; {remedy}."));
    assert_eq!(diagnosis.severity(), Some(Severity::Warning));
    let because = diagnosis.causes[0].because;
    assert_eq!(
        diagnosis.to_string(),
        format!(
            "relu seed 0: not healthy\n  warning: {says} (update-too-large)\n    update over weight 0.500 (threshold \
             0.100)\n    {}\n  cause: {cause}, as {because}; remedy: {remedy}",
            diagnosis.findings[0].explanation
        )
    );
    // The worst is first, and the others are counted; a piece of information is none of them.
    let run = huge(4, Some(0.6));
    let line = diagnose(&Case::of(&run), DETECTORS).line();
    assert!(line.starts_with("60 % of the hidden units are dead, at step 300 (and 1 more); likely cause: "), "{line}");
    let run = huge(4, Some(0.2));
    let line = diagnose(&Case::of(&run), DETECTORS).line();
    let four = "one step changes hidden.0, hidden.1, hidden.2 and hidden.3 by 0.500 times its size; likely";
    assert!(line.starts_with(four), "{line}");
    // What a detector looks for is explained once, and not where it has a piece of information.
    let explained = |run: &Run| -> Vec<usize> {
        let diagnosis = diagnose(&Case::of(run), DETECTORS);
        let text = diagnosis.to_string();
        diagnosis.findings.iter().map(|finding| text.matches(finding.explanation).count()).collect()
    };
    assert_eq!(explained(&run), [1, 0]);
    let grown_and_shrunk = network(3, 4, |look, i, layer| {
        layer.weight_rms = Some(if look < 2 { 0.17 } else { [0.7, 0.7, 0.01, 0.17][i] });
    });
    assert_eq!(explained(&grown_and_shrunk), [1, 1]);
    // Settings are told where they are known, and layers of ours by their place.
    let experiment = Experiment::default();
    let told = diagnose(&Case { experiment: Some(&experiment), ..Case::of(&run) }, DETECTORS).to_string();
    assert!(told.contains("one step changes layer 1, layer 2, layer 3 and layer 4 by"), "{told}");
    assert!(told.ends_with("lower the learning rate to 0.01\n    lr = 0.01"), "{told}");
}
