//! What detectors say of layers, on both sides of each of their thresholds.

use rectify_train::{
    judge::diagnose::{Case, DETECTORS, diagnose},
    record::Run,
};

use super::network::{NOTHING, guessing, network, of, with_losses};

#[test]
fn a_sound_network_has_no_finding_and_every_detector_of_layers_looks_at_it() {
    let run = network(3, 4, |_, _, _| {});
    let diagnosis = diagnose(&Case::of(&run), DETECTORS);
    assert!(diagnosis.healthy && diagnosis.findings.is_empty() && diagnosis.causes.is_empty(), "{diagnosis}");
    assert_eq!(diagnosis.to_string(), "relu seed 0: healthy");
    let skipped: Vec<&str> = diagnosis.skipped.iter().map(|skipped| skipped.detector).collect();
    // They need losses, classes, gradients of batches or a function that saturates.
    let expected = [
        "not-learning",
        "saturated-units",
        "update-too-small",
        "oscillating-loss",
        "noisy-gradient",
        "slow-learning",
        "overfitting",
    ];
    assert_eq!(skipped, expected);
}

#[test]
fn dead_units() {
    let say = |run: &Run| of("dead-units", run);
    let dead = |fraction: [f64; 4]| {
        network(4, 4, move |look, i, layer| {
            layer.dead_fraction = Some(if look < 2 { 0.0 } else { fraction[i] });
        })
    };
    assert_eq!(
        say(&dead([0.1, 0.99, 0.99, 0.1])),
        [
            "critical, hidden.1 hidden.2 from 200 on: hidden.1 and hidden.2 has no living unit at step 200: nothing passes \
          it; dead units in the layer 1.0000 | 0.9900; dead hidden units 0.5450"
        ]
    );
    assert_eq!(
        say(&dead([0.7, 0.0, 0.4, 0.5])),
        [
            "warning, hidden.0 hidden.2 hidden.3 from 200 on: 40 % of the hidden units are dead, at step 200; dead hidden \
          units 0.4000 | 0.4000"
        ]
    );
    // Less over the network, but most of a layer.
    assert_eq!(
        say(&dead([0.51, 0.0, 0.0, 0.0])),
        [
            "warning, hidden.0 from 200 on: 51 % of the units of hidden.0 died during training; units that died 0.5100 | \
          0.5000"
        ]
    );
    assert_eq!(
        say(&dead([0.5, 0.0, 0.0, 0.25])),
        [
            "info, hidden.0 hidden.3 from 200 on: 19 % of the hidden units died during training; units that died 0.1875 | \
          0.1000; units that die 0.6250"
        ]
    );
    assert_eq!(say(&dead([0.0, 0.0, 0.15, 0.25]))[0][..20], *"info, hidden.2 hidden"[..20].to_owned());
    assert_eq!(say(&dead([0.0, 0.0, 0.0, 0.395])), NOTHING, "9.9 % died, and no layer has as many as worries anybody");
    // As they were drawn, in one layer.
    let drawn = |fraction| {
        network(3, 4, move |_, i, layer| {
            layer.dead_fraction = Some(if i == 1 { fraction } else { 0.0 });
        })
    };
    assert_eq!(
        say(&drawn(0.4)),
        ["info, hidden.1 from 200 on: 40 % of the units of hidden.1 are dead; dead units 0.4000 | 0.4000"]
    );
    assert_eq!(say(&drawn(0.39)), NOTHING);
    // A wide layer counts for more than a narrow one.
    let wide = |units| {
        network(2, 2, move |_, i, layer| {
            (layer.units, layer.dead_fraction) =
                (if i == 0 { units } else { 60 }, Some(if i == 0 { 0.8 } else { 0.0 }));
        })
    };
    assert!(
        say(&wide(60))[0]
            .starts_with("warning, hidden.0 from 0 on: 40 % of the hidden units are dead, before training")
    );
    assert!(say(&wide(59))[0].starts_with("info, hidden.0"), "{:?}", say(&wide(59)));
}

#[test]
fn dormant_units_are_told_where_none_are_dead() {
    let dormant = |fraction, dead| {
        network(2, 2, move |_, _, layer| {
            (layer.dormant_fraction, layer.dead_fraction) = (Some(fraction), Some(dead));
        })
    };
    assert_eq!(
        of("dead-units", &dormant(0.4, 0.0)),
        [
            "info from 100 on: 40 % of the hidden units are dormant: small beside their layers; dormant hidden units 0.4000 \
          | 0.4000"
        ]
    );
    assert_eq!(of("dead-units", &dormant(0.39, 0.0)), NOTHING);
    let both = of("dead-units", &dormant(0.5, 0.5));
    assert!(both.len() == 1 && both[0].contains("are dead"), "{both:?}");
    let none = network(1, 2, |_, _, layer| layer.dead_fraction = None);
    assert_eq!(of("dead-units", &none), ["skipped: the activation has no zeros, or none were counted"]);
    // The last look with numbers counts: what diverged has none.
    let diverged = network(3, 2, |look, _, layer| layer.dead_fraction = (look < 2).then_some(1.0));
    assert!(of("dead-units", &diverged)[0].starts_with("critical, hidden.0 hidden.1"));
}

#[test]
fn gradients_that_vanish() {
    let say = |run: &Run| of("vanishing-gradient", run);
    let first = |gradient: [f64; 3]| {
        network(3, 3, move |look, i, layer| {
            if i == 0 {
                layer.weight_grad_rms = Some(gradient[look]);
            }
        })
    };
    assert_eq!(
        say(&first([1e-3, 9e-7, 5e-7])),
        [
            "critical, hidden.0 from 100 on: the weight gradient vanishes, at step 100, and at step 200: at hidden.0 it is 1/2000 \
          of that at the last hidden layer; first over last layer's weight gradient 0.0005 | 0.0010"
        ]
    );
    assert!(say(&first([9e-7, 9e-7, 9e-7]))[0].contains("vanishes, before training, and at step 200:"));
    assert!(say(&first([1e-3, 1e-3, 9e-7]))[0].contains("vanishes, at step 200: at"));
    assert_eq!(say(&first([1e-9, 1e-9, 1.01e-6])), NOTHING);
    assert_eq!(
        say(&first([1e-3, 0.0, 0.0])),
        ["critical, hidden.0 from 100 on: no gradient at all reaches hidden.0, at step 100; first over last layer's \
          weight gradient 0.0000 | 0.0010"]
    );
    // One that learns all the same has lost its first layers only.
    let run = first([1e-3, 1e-3, 5e-7]);
    assert!(with_losses("vanishing-gradient", &run, &[0.49 * guessing(); 10])[0].starts_with("warning"));
    assert!(with_losses("vanishing-gradient", &run, &[0.5 * guessing(); 10])[0].starts_with("critical"));
    let alone = network(2, 1, |_, _, _| {});
    assert_eq!(say(&alone), ["skipped: the network has fewer than two hidden layers"]);
    let unseen = network(2, 2, |_, _, layer| layer.weight_grad_rms = None);
    assert_eq!(say(&unseen), ["skipped: no gradients were measured"]);
}

#[test]
fn gradients_that_explode() {
    let say = |run: &Run| of("exploding-gradient", run);
    let first = |factor: [f64; 3]| {
        network(3, 3, move |look, i, layer| {
            if i == 0 {
                layer.preactivation_grad_rms = Some(1e-3 * factor[look]);
            }
        })
    };
    assert_eq!(
        say(&first([1.0, 80.0, 75.0])),
        [
            "warning, hidden.0 from 100 on: the pre-activation gradient explodes: at hidden.0 it is 80.0 times that at the last hidden \
          layer, at step 100; first over last layer's pre-activation gradient 80.0000 | 70.0000"
        ]
    );
    assert_eq!(say(&first([70.001, 1.0, 1.0])).len(), 1);
    assert_eq!(say(&first([69.9, 1.0, 1.0])), NOTHING);
    let broken = network(3, 3, |look, i, layer| layer.nonfinite_gradients = u64::from(look == 1 && i > 0));
    assert_eq!(say(&broken), ["critical, hidden.1 hidden.2 from 100 on: gradients are not finite, at step 100"]);
    assert_eq!(say(&network(2, 1, |_, _, _| {})), ["skipped: no gradients of two hidden layers were measured"]);
}

#[test]
fn layers_that_do_not_move() {
    let say = |run: &Run| of("frozen-layer", run);
    // Of three looks after steps the last layer but one has no update at some.
    let still = |looks: &'static [usize], gradient: f64| {
        network(4, 3, move |look, i, layer| {
            if i == 1 && looks.contains(&look) {
                (layer.update_to_weight_ratio, layer.weight_grad_rms) = (Some(0.0), Some(gradient));
            }
        })
    };
    assert_eq!(
        say(&still(&[1, 2, 3], 1e-3)),
        ["warning, hidden.1 from 100 on: hidden.1 does not learn: its weights stay as they were, while others move; \
          update over weight 0.0000 | 0.0000"]
    );
    assert_eq!(say(&still(&[1, 3], 1e-3)), NOTHING, "a step may round to nothing");
    // A gradient of less than a thousandth of the largest was lost on its way.
    assert_eq!(say(&still(&[1, 2, 3], 1e-6)).len(), 1);
    assert_eq!(say(&still(&[1, 2, 3], 9.9e-7)), NOTHING);
    let broken = network(2, 2, |_, i, layer| {
        if i == 0 {
            (layer.update_to_weight_ratio, layer.nonfinite_weights) = (None, 1);
        }
    });
    assert_eq!(say(&broken), NOTHING);
    let unseen = network(2, 2, |_, i, layer| {
        if i == 0 {
            (layer.update_to_weight_ratio, layer.weight_rms) = (None, None);
        }
    });
    assert_eq!(say(&unseen), NOTHING);
    let none = network(3, 2, |look, _, layer| layer.update_to_weight_ratio = (look == 0).then_some(0.1));
    assert_eq!(say(&none), ["skipped: no update of the weights was measured"]);
}

#[test]
fn updates_that_are_too_large() {
    let say = |run: &Run| of("update-too-large", run);
    let update = |ratios: [f64; 4]| {
        network(4, 2, move |look, i, layer| {
            layer.update_to_weight_ratio = Some(if i == 0 { ratios[look] } else { 0.01 });
        })
    };
    assert_eq!(
        say(&update([9.0, 0.01, 0.3, 0.2])),
        [
            "warning, hidden.0 from 200 on: one step changes hidden.0 by 0.300 times its size; update over weight 0.3000 | \
          0.1000"
        ]
    );
    assert_eq!(say(&update([9.0, 0.1, 0.1, 0.0]))[0][..29], *"warning, hidden.0 from 100 on".to_owned());
    assert_eq!(say(&update([9.0, 0.099, 0.0, 0.0])), NOTHING);
    assert_eq!(say(&network(1, 2, |_, _, _| {})), ["skipped: no update of the weights was measured"]);
}

#[test]
fn updates_that_are_too_small() {
    let update = |ratios: [f64; 4]| {
        network(4, 2, move |look, i, layer| {
            layer.update_to_weight_ratio = Some(if i == 0 { ratios[look] } else { 1e-7 });
        })
    };
    let at_rest = [0.501 * guessing(); 300];
    let say = |ratios, losses: &[f64]| with_losses("update-too-small", &update(ratios), losses);
    assert_eq!(
        say([0.0, 1e-4, 9e-5, 5e-5], &at_rest),
        ["warning from 200 on: a step changes no layer by more than 1/20000 of its size, with the loss still high; \
          update over weight, largest of a layer 0.0001 | 0.0001; loss over that of guessing 0.5010 | 0.5000"]
    );
    assert_eq!(say([0.0, 1e-4, 9e-5, 1e-4], &at_rest), NOTHING);
    assert_eq!(say([0.0, 1e-4, 9e-5, 5e-5], &[0.499 * guessing(); 300]), NOTHING, "it has learned");
    // Where the loss falls to the end, steps under a thousandth are too short.
    let falls: Vec<f64> = (0..300).map(|step| guessing() * (1.0 - 0.001 * f64::from(step))).collect();
    assert_eq!(say([0.0, 1e-3, 9e-4, 9e-4], &falls).len(), 1);
    assert!(say([0.0, 1e-3, 9e-4, 9e-4], &falls)[0].starts_with("warning from 200 on"));
    assert_eq!(say([0.0, 1e-3, 9e-4, 1e-3], &falls), NOTHING);
    let none = network(2, 2, |_, _, layer| layer.update_to_weight_ratio = Some(0.0));
    assert_eq!(with_losses("update-too-small", &none, &at_rest), NOTHING, "of layers that do not move others speak");
    let unseen = network(2, 2, |_, _, layer| layer.update_to_weight_ratio = None);
    assert_eq!(with_losses("update-too-small", &unseen, &at_rest), ["skipped: no update of the weights was measured"]);
}

#[test]
fn weights_that_grow_or_shrink() {
    let say = |run: &Run| of("weight-growth", run);
    let by = |factors: [f64; 4]| {
        network(3, 4, move |look, i, layer| {
            layer.weight_rms = Some(0.1 * (i + 1) as f64 * if look == 2 { factors[i] } else { 1.0 });
        })
    };
    assert_eq!(
        say(&by([3.1, 4.0, 1.0, 1.0])),
        [
            "warning, hidden.0 hidden.1 from 200 on: the weights of hidden.0 and hidden.1 grew to up to 4.00 times their \
          size; growth of the weights 4.0000 | 3.0000"
        ]
    );
    assert_eq!(say(&by([3.1, 2.9, 1.0, 1.0])), NOTHING, "one layer of four may grow");
    assert_eq!(
        say(&by([0.49, 1.0, 0.05, 1.0])),
        ["warning, hidden.0 hidden.2 from 200 on: the weights of hidden.0 and hidden.2 shrank to 1/20 of their size; \
          growth of the weights 0.0500 | 0.5000"]
    );
    assert_eq!(say(&by([0.51, 1.0, 1.0, 1.0])), NOTHING);
    assert_eq!(say(&by([4.0, 4.0, 0.1, 1.0])).len(), 2);
    let unseen = network(2, 2, |_, _, layer| layer.weight_rms = None);
    assert_eq!(say(&unseen), ["skipped: the size of the weights was not measured"]);
    assert_eq!(say(&network(1, 2, |_, _, _| {})), ["skipped: the layers were not probed after a training step"]);
}

#[test]
fn units_that_saturate() {
    let saturated = |activation: &str, fractions: [f64; 3]| Run {
        activation: activation.to_owned(),
        ..network(3, 3, move |look, i, layer| {
            layer.saturated_fraction = Some(if look == 0 { 0.0 } else { fractions[i] });
        })
    };
    let say = |activation: &str, fractions| of("saturated-units", &saturated(activation, fractions));
    // 1 - 0.95 · 0.8 = 0.24 of the gradient passes a layer.
    assert_eq!(
        say("tanh", [0.8, 0.8, 0.3]),
        [
            "warning, hidden.0 hidden.1 from 100 on: up to 80 % of the activations of hidden.0 and hidden.1 are saturated, \
          at step 100: at most 4.1 % of a gradient passes all hidden layers; gradient that passes 0.0412 | 0.1000; \
          saturated activations, most in a layer 0.8000"
        ]
    );
    assert_eq!(say("tanh", [0.9, 0.3, 0.0]), NOTHING, "0.145 · 0.715 passes");
    assert_eq!(say("tanh", [0.9, 0.4, 0.0]).len(), 1, "0.145 · 0.62 does");
    assert!(say("sigmoid", [0.951, 0.4, 0.0])[0].starts_with("critical, hidden.0 from"));
    assert!(say("sigmoid", [0.95, 0.475, 0.0])[0].starts_with("warning, hidden.0 hidden.1 from"));
    // A function with one flat side has a threshold of its own.
    assert_eq!(
        say("elu", [0.95, 0.94, 0.0]),
        ["warning, hidden.0 from 100 on: 95 % of the activations of hidden.0 are on the flat side; saturated \
          activations 0.9500 | 0.9500"]
    );
    assert_eq!(say("elu", [0.94, 0.94, 0.94]), NOTHING);
    // The layers' own functions, where they have names.
    let mixed = |of_layer: &'static str| Run {
        activation: "mixed".to_owned(),
        ..network(2, 3, move |_, _, layer| {
            (layer.activation, layer.saturated_fraction) = (Some(of_layer.to_owned()), Some(0.9));
        })
    };
    assert_eq!((of("saturated-units", &mixed("tanh")).len(), of("saturated-units", &mixed("elu")).len()), (1, 0));
    let last = network(3, 1, |look, _, layer| layer.saturated_fraction = (look == 1).then_some(0.96));
    assert!(of("saturated-units", &Run { activation: "elu".to_owned(), ..last })[0].contains("96 %"));
    let none = network(2, 2, |_, _, _| {});
    assert_eq!(of("saturated-units", &none), ["skipped: the activation does not saturate, or it was not counted"]);
}
