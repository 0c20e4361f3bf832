//! What detectors say of gradients of batches and of data, on both sides of each of their thresholds.

use rectify_train::{
    judge::diagnose::Case,
    record::{DataRecord, GradientSample, InputSample, Layer, Run, Status},
};

use super::{
    made::TEN_CLASSES,
    network::{NOTHING, guessing, network, of, said, sound, with_losses},
};

/// A run whose gradient was measured on eight batches of `batch`, of one of which it is `by` times that of all.
fn noisy(batch: usize, by: f64) -> Run {
    let mut run = network(5, 1, |_, _, layer| {
        (layer.weight_grad_rms, layer.weight_grad_norm) = (Some(1.0), Some(2.0));
        layer.batch_weight_grad_rms = Some(1.0);
    });
    for epoch in &mut run.epochs {
        epoch.gradient = Some(GradientSample { set: "batch".to_owned(), samples: 8 * batch, batch_size: batch });
    }
    run.epochs[1].layers[0].batch_weight_grad_rms = Some(by);
    run
}

#[test]
fn gradients_of_batches_that_are_mostly_noise() {
    // With G = 4 over all 8 B samples and 4 by² over B of them, S = 4 (by² - 1) · 8 B / 7 and |G|² = 4 - S / 8 B
    // (McCandlish et al. 2018, appendix A.1): for by² = 6 the noise scale is 5 · 8 B / 2 = 20 B.
    let by = 6f64.sqrt();
    let say = |run: &Run| with_losses("noisy-gradient", run, &[]);
    assert_eq!(
        say(&noisy(16, by)),
        [
            "warning from 100 on: batches of 16 are mostly noise: the gradient's noise scale is 320 samples; noise scale \
          over batch size 20.0000 | 10.0000"
        ]
    );
    assert_eq!(say(&noisy(17, by)), NOTHING, "a batch of 17 is not small");
    // by² = 4.5 is a noise scale of 8 B.
    assert_eq!(say(&noisy(16, 4.5f64.sqrt())), NOTHING);
    assert!(say(&noisy(16, 9f64.sqrt()))[0].starts_with("warning from 100 on: batches of 16 are nothing but noise"));
    assert_eq!(say(&noisy(16, 0.5)), NOTHING);
    // One that learns all the same copes with it, unless it diverged.
    let learns = with_losses("noisy-gradient", &noisy(16, by), &[0.49 * guessing()]);
    assert!(learns[0].starts_with("info from 100 on"), "{learns:?}");
    assert!(with_losses("noisy-gradient", &noisy(16, by), &[0.5 * guessing()])[0].starts_with("warning"));
    let diverged = Run { status: Status::Diverged, ..noisy(16, by) };
    assert!(with_losses("noisy-gradient", &diverged, &[0.1])[0].starts_with("warning"));
    // In the second half of the training every gradient is mostly noise.
    let mut late = noisy(16, 1.0);
    late.epochs[3].layers[0].batch_weight_grad_rms = Some(by);
    assert_eq!(say(&late), NOTHING);
    late.epochs[2].layers[0].batch_weight_grad_rms = Some(by);
    assert!(say(&late)[0].starts_with("warning from 200 on"));
    // A layer without gradient says nothing, and one batch of two is enough to tell.
    late.epochs[2].layers.push(Layer { weight_grad_rms: Some(0.0), batch_weight_grad_rms: Some(1.0), ..sound(1) });
    assert!(say(&late)[0].contains("20.0000 | 10.0000"), "{:?}", say(&late));
    let samples = |of: usize| {
        let mut run = noisy(16, by);
        run.epochs.iter_mut().for_each(|epoch| epoch.gradient.as_mut().unwrap().samples = of);
        say(&run)
    };
    assert_eq!(samples(31), ["skipped: gradients of too few batches were measured"]);
    assert!(!samples(32)[0].starts_with("skipped"));
    assert_eq!(say(&network(2, 2, |_, _, _| {})), ["skipped: no gradients of batches were measured"]);
}

#[test]
fn inputs_that_are_not_scaled_and_classes_that_dominate() {
    let inputs = |mean: f64, std: f64, constant_fraction: f64| {
        let mut run = network(2, 2, |_, _, _| {});
        let some = |value: f64| value.is_finite().then_some(value);
        run.epochs[0].inputs = Some(InputSample { samples: 9, mean: some(mean), std: some(std), constant_fraction });
        of("data", &run)
    };
    assert_eq!(
        inputs(0.5, 0.09, 0.0),
        [
            "warning from 0 on: the inputs are not scaled: mean 0.500, deviation 0.0900; deviation of the inputs 0.0900 | \
          0.1000; mean of the inputs 0.5000"
        ]
    );
    assert!(inputs(0.0, 3.1, 0.0)[0].ends_with("deviation of the inputs 3.1000 | 3.0000; mean of the inputs 0.0000"));
    assert_eq!((inputs(3.0, 3.0, 0.95), inputs(-3.0, 0.1, 0.0)), (vec![], vec![]));
    assert_eq!((inputs(3.1, 1.0, 0.0).len(), inputs(-3.1, 1.0, 0.0).len()), (1, 1));
    assert_eq!(inputs(f64::NAN, 1.0, 0.0), ["critical from 0 on: inputs are not finite"]);
    assert_eq!(inputs(0.0, f64::NAN, 0.0), ["critical from 0 on: inputs are not finite"]);
    assert_eq!(
        inputs(0.0, 1.0, 0.96),
        ["warning from 0 on: 96 % of the inputs never change; constant inputs 0.9600 | 0.9500"]
    );

    let run = network(2, 2, |_, _, _| {});
    let data = |data: DataRecord| said("data", &Case { data: Some(&data), ..Case::of(&run) });
    assert_eq!(
        data(DataRecord { majority_fraction: 0.81, ..TEN_CLASSES }),
        ["warning from 0 on: 81 % of the samples are of one class; samples of the largest class 0.8100 | 0.8000"]
    );
    assert_eq!(data(DataRecord { majority_fraction: 0.8, ..TEN_CLASSES }), NOTHING);
    assert_eq!(
        data(DataRecord { duplicates: Some(2), ..TEN_CLASSES }),
        [
            "warning from 0 on: 2 test samples (2.0 %) are training samples, too; test samples that were trained on 0.0200 \
          | 0.0100"
        ]
    );
    assert_eq!(data(DataRecord { duplicates: Some(1), ..TEN_CLASSES }), NOTHING);
}

#[test]
fn labels_that_do_not_depend_on_the_inputs() {
    let high = [0.9 * guessing(); 100];
    let say = |run: &Run, losses: &[f64]| with_losses("data", run, losses);
    // The last look's gradient is as noisy as a batch of 32 is small.
    let run = |by: f64, change: fn(&mut Run)| {
        let mut run = noisy(32, 1.0);
        run.epochs[4].layers[0].batch_weight_grad_rms = Some(by);
        change(&mut run);
        run
    };
    // by² = 2 is a noise scale of 8 B / 6.
    let by = 2f64.sqrt();
    assert_eq!(
        say(&run(by, |_| {}), &high),
        ["warning from 400 on: the labels hardly depend on the inputs: 90 % of guessing's loss is left, and batches \
          contradict each other (noise scale: 42.7 samples); noise scale over batch size 1.3333 | 1.0000; loss over that \
          of guessing 0.9000 | 0.5000"]
    );
    assert!(say(&run(3.0, |_| {}), &high)[0].contains("(noise scale: beyond measure)"));
    // by² = 1.7 is one of 0.875 B.
    assert_eq!(say(&run(1.7f64.sqrt(), |_| {}), &high), NOTHING);
    assert_eq!(say(&run(by, |_| {}), &[0.499 * guessing(); 100]), NOTHING);
    assert_eq!(say(&run(by, |_| {}), &[0.501 * guessing(); 100]).len(), 1);
    assert_eq!(say(&run(by, |run| run.status = Status::Interrupted), &high), NOTHING);
    assert_eq!(say(&run(by, |run| run.steps = 49), &high), NOTHING);
    assert_eq!(say(&run(by, |run| run.steps = 50), &high).len(), 1);
    assert_eq!(say(&run(by, |run| run.epochs[4].layers[0].update_to_weight_ratio = Some(1e-4)), &high), NOTHING);
    assert_eq!(say(&run(by, |run| run.epochs[4].layers[0].dead_fraction = Some(0.6)), &high), NOTHING);
    // A fifth of the units that died is told, and breaks no network.
    assert_eq!(say(&run(by, |run| run.epochs[4].layers[0].dead_fraction = Some(0.2)), &high).len(), 1);
    let learns: Vec<f64> = (0..100).map(|step| guessing() * (1.0 - 0.002 * f64::from(step))).collect();
    assert_eq!(say(&run(by, |_| {}), &learns), NOTHING, "the loss still falls");
    let rests: Vec<f64> = (0..100).map(|step| guessing() * (1.0 - 0.001 * f64::from(step))).collect();
    assert_eq!(say(&run(by, |_| {}), &rests).len(), 1, "by less than a twentieth over the second half");
    let small = |batch: usize| {
        let mut run = noisy(batch, 1.0);
        run.epochs[4].layers[0].batch_weight_grad_rms = Some(by);
        say(&run, &high)
    };
    assert_eq!((small(16).len(), small(17).len()), (0, 1));
}
