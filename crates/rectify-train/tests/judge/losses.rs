//! What detectors say of losses, outputs and the beginning, on both sides of each of their thresholds.

use rectify_train::{
    experiment::Experiment,
    judge::diagnose::Case,
    record::{DataRecord, Divergence, Epoch, Layer, Role, Run, Status},
};

use super::{
    made::TEN_CLASSES,
    network::{NOTHING, guessing, network, of, said, with_accuracies, with_losses},
};

#[test]
fn a_training_that_ends_where_guessing_does_has_not_learned() {
    let steps = |steps| Run { steps, ..network(2, 2, |_, _, _| {}) };
    let say = |run: &Run, left: f64| with_losses("not-learning", run, &[left * guessing(); 10]);
    assert_eq!(
        say(&steps(50), 0.971),
        [
            "critical from 50 on: the training loss is that of guessing: 2.24, and guessing gives 2.30; loss over that of \
          guessing 0.9710 | 0.9700"
        ]
    );
    assert_eq!(say(&steps(50), 0.969), NOTHING);
    assert_eq!(say(&steps(49), 1.0), ["skipped: fewer than 50 steps were taken"]);
    let diverged = Run { status: Status::Diverged, ..steps(50) };
    assert_eq!(say(&diverged, 1.0), ["skipped: fewer than 50 steps were taken"]);
    let mut seen = steps(50);
    seen.epochs[1].validation_accuracy = Some(0.11);
    assert!(say(&seen, 1.0)[0].ends_with("| 0.9700; validation accuracy 0.1100"));

    assert_eq!(of("not-learning", &seen), ["skipped: no finite training loss was recorded"]);
    // Where single steps were not kept, the last epoch's loss counts.
    (seen.epochs[0].train_loss, seen.epochs[1].train_loss) = (Some(0.0), Some(guessing()));
    assert_eq!(of("not-learning", &seen), ["skipped: the classes are not known"]);
    assert_eq!(with_losses("not-learning", &seen, &[]).len(), 1);
    seen.epochs[0].train_loss = None;
    seen.epochs[1].train_loss = Some(f64::INFINITY);
    assert_eq!(with_losses("not-learning", &seen, &[]), ["skipped: no finite training loss was recorded"]);
    // The last tenth of the steps, rounded up.
    let tail = |last: f64| {
        let mut losses = [0.0; 11];
        (losses[9], losses[10]) = (guessing(), last);
        losses
    };
    assert_eq!(with_losses("not-learning", &steps(50), &tail(0.95 * guessing())).len(), 1);
    assert_eq!(with_losses("not-learning", &steps(50), &tail(0.9 * guessing())), NOTHING);
}

#[test]
fn guessing_by_the_frequencies_of_the_classes_is_the_best_that_knows_nothing() {
    let loss = |classes, majority_fraction| {
        let data = DataRecord { classes, majority_fraction, ..TEN_CLASSES };
        let run = network(1, 1, |_, _, _| {});
        Case { data: Some(&data), ..Case::of(&run) }.guessing_loss().ok()
    };
    assert!((loss(10, 0.1).unwrap() - guessing()).abs() < 1e-12);
    // Half in one class, and a quarter in each of two others.
    assert!((loss(3, 0.5).unwrap() - 1.5 * 2f64.ln()).abs() < 1e-12);
    assert_eq!((loss(1, 1.0), loss(2, 1.0), loss(1, 0.5)), (None, None, None));
}

#[test]
fn a_loss_that_stays_high_is_slow_learning() {
    let steps = |steps| Run { steps, ..network(2, 2, |_, _, _| {}) };
    let say = |run: &Run, left: f64| with_losses("slow-learning", run, &[left * guessing(); 10]);
    assert_eq!(
        say(&steps(100), 0.501),
        ["warning from 100 on: after 100 steps 50 % of guessing's loss is left; loss over that of guessing 0.5010 | \
          0.5000"]
    );
    assert_eq!(say(&steps(100), 0.969).len(), 1);
    assert_eq!((say(&steps(100), 0.499), say(&steps(100), 0.971)), (vec![], vec![]));
    assert_eq!(say(&steps(99), 0.6), ["skipped: fewer than 100 steps were taken"]);
    let diverged = Run { status: Status::Diverged, ..steps(100) };
    assert_eq!(say(&diverged, 0.6), ["skipped: fewer than 100 steps were taken"]);
}

#[test]
fn accuracies_that_swing_and_losses_that_jump_oscillate() {
    let say = |accuracies: &[f64]| of("oscillating-loss", &with_accuracies(accuracies));
    assert_eq!(
        say(&[0.9, 0.8, 0.9, 0.8, 0.9]),
        [
            "warning from 0 on: in 50 % of the epochs the accuracy falls by more than 5 points; epochs that lose accuracy \
          0.5000 | 0.2500"
        ]
    );
    // Two falls in eight epochs are a quarter, in nine less.
    let eight = [0.9, 0.8, 0.9, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9];
    assert_eq!((say(&eight).len(), say(&[&eight[..], &[0.9]].concat()).len()), (1, 0));
    let unknown = "skipped: neither every step's loss nor five epochs' accuracies are known";
    assert_eq!(say(&[0.9, 0.8, 0.9, 0.8]), [unknown]);

    let losses = |spikes: usize, spike: f64, usual: f64| {
        let mut losses = vec![usual * guessing(); 200];
        losses[..50].fill(10.0);
        losses[150..150 + spikes].fill(spike);
        losses
    };
    let run = with_accuracies(&[0.9]);
    let say = |losses: &[f64]| with_losses("oscillating-loss", &run, losses);
    assert_eq!(
        say(&losses(2, guessing(), 0.4)),
        ["warning from 101 on: the loss jumps: 2 % of the later steps are worse than guessing, where 0.921 is usual; \
          steps worse than guessing 0.0200 | 0.0200"]
    );
    assert_eq!(say(&losses(2, f64::NAN, 0.4)).len(), 1);
    assert_eq!(say(&losses(1, guessing(), 0.4)), NOTHING, "one in a hundred is none");
    assert_eq!(say(&losses(2, 0.99 * guessing(), 0.4)), NOTHING);
    assert_eq!(say(&losses(2, guessing(), 0.51)), NOTHING, "it knew nothing before");
    assert_eq!(say(&losses(2, guessing(), 0.4)[..49]), [unknown]);
    assert_eq!(say(&[0.1; 50]), NOTHING);
    // Both are told.
    let swings = with_accuracies(&[0.9, 0.8, 0.9, 0.8, 0.9]);
    assert_eq!(with_losses("oscillating-loss", &swings, &losses(2, guessing(), 0.4)).len(), 2);
}

#[test]
fn a_validation_loss_that_rises_is_overfitting() {
    let run = |losses: &[(f64, f64)]| {
        let epoch = |(epoch, (train, validation)): (usize, &(f64, f64))| Epoch {
            epoch,
            step: 10 * epoch,
            train_loss: Some(*train),
            validation_loss: Some(*validation),
            ..Epoch::default()
        };
        let epochs = losses.iter().enumerate().map(epoch).collect();
        Run { status: Status::Completed, steps: 40, epochs, ..Run::new("relu", 0) }
    };
    let say = |losses: &[(f64, f64)]| of("overfitting", &run(losses));
    assert_eq!(
        say(&[(2.3, 0.1), (0.6, 0.5), (0.3, 0.56), (0.2, 0.57), (0.1, 0.6)]),
        [
            "warning from 10 on: the validation loss rises from 0.500 to 0.600, while the training loss is 0.100; validation \
          loss over its least 1.2000 | 1.1000; validation over training loss 6.0000 | 2.0000"
        ]
    );
    // Two epochs in a row are few.
    assert!(say(&[(2.3, 2.3), (0.6, 0.5), (0.3, 0.5), (0.2, 0.56), (0.1, 0.6)])[0].starts_with("info from 10 on"));
    assert_eq!(say(&[(2.3, 2.3), (0.1, 0.5), (0.1, 0.54)]), NOTHING);
    assert_eq!(say(&[(2.3, 2.3), (0.1, 0.5), (0.31, 0.6)]), NOTHING, "it is not twice the training loss");
    assert_eq!(say(&[(2.3, 2.3), (0.1, 0.5), (0.3, 0.6)]).len(), 1);
    let few = ["skipped: fewer than two epochs with a validation loss"];
    assert_eq!(say(&[(2.3, 2.3), (0.1, 0.6)]), few);
    let kept = Run { kept_epoch: Some(1), ..run(&[(2.3, 2.3), (0.1, 0.5), (0.1, 0.9)]) };
    assert_eq!(of("overfitting", &kept), NOTHING);
}

#[test]
fn outputs_that_do_not_suit_a_loss_of_classes() {
    let last = |change: fn(&mut Layer)| {
        network(2, 3, move |_, i, layer| {
            if i == 2 {
                (layer.layer, layer.role, layer.units) = ("output".to_owned(), Some(Role::Output), 10);
                change(layer);
            }
        })
    };
    let say = |run: &Run, losses: &[f64]| with_losses("output-mismatch", run, losses);
    assert_eq!(say(&last(|_| {}), &[0.5, 0.0]), NOTHING);
    assert_eq!(
        say(&last(|layer| layer.units = 9), &[]),
        ["warning, output from 0 on: output has 9 units for 10 classes; outputs 9.0000 | 10.0000"]
    );
    assert_eq!(say(&last(|layer| layer.units = 11), &[]), NOTHING);
    let own = |layer: &mut Layer| (layer.role, layer.activation) = (Some(Role::Hidden), Some("sigmoid".to_owned()));
    assert_eq!(say(&last(own), &[]), ["warning, output from 0 on: sigmoid follows the last layer, output"]);
    assert_eq!(say(&last(|layer| layer.activation = Some("sigmoid".to_owned())), &[]), NOTHING);
    let none = |layer: &mut Layer| (layer.role, layer.activation) = (Some(Role::Hidden), Some("none".to_owned()));
    assert_eq!(say(&last(none), &[]), NOTHING);
    assert_eq!(
        say(&last(|_| {}), &[0.5, -0.25, -1.0]),
        ["warning, output from 2 on: the loss is negative, which that of a classifier never is; loss -0.2500 | 0.0000"]
    );
    let run = last(|_| {});
    assert_eq!(said("output-mismatch", &Case { losses: &[-1.0], ..Case::of(&run) }), NOTHING);
    assert_eq!(of("output-mismatch", &Run::new("relu", 0)), ["skipped: the layers were not probed"]);
}

#[test]
fn activations_of_few_directions() {
    let ranks = |ranks: [f64; 2], units: usize| {
        network(2, 2, move |_, i, layer| {
            (layer.effective_rank, layer.units) = (Some(ranks[i]), units);
        })
    };
    let say = |run: &Run| with_losses("rank-collapse", run, &[]);
    assert_eq!(
        say(&ranks([1.4, 1.2], 3)),
        [
            "warning, hidden.0 hidden.1 from 100 on: the activations of hidden.0 and hidden.1 vary in 1.20 directions only; \
          effective rank 1.2000 | 1.5000"
        ]
    );
    assert_eq!(say(&ranks([1.5, 1.5], 3)), NOTHING);
    assert_eq!(say(&ranks([1.2, 1.2], 2)), NOTHING, "two units have no more");
    let learns = ranks([1.4, 9.0], 3);
    assert!(with_losses("rank-collapse", &learns, &[0.49 * guessing()])[0].starts_with("info, hidden.0 from"));
    assert!(with_losses("rank-collapse", &learns, &[0.5 * guessing()])[0].starts_with("warning"));
    let of_two = |classes| {
        let data = DataRecord { classes, ..TEN_CLASSES };
        said("rank-collapse", &Case { data: Some(&data), ..Case::of(&learns) }).len()
    };
    assert_eq!((of_two(2), of_two(3)), (0, 1), "two classes lie on a line");
    let none = network(2, 2, |_, _, layer| layer.effective_rank = None);
    assert_eq!(say(&none), ["skipped: the rank of no layer was measured"]);
}

#[test]
fn networks_that_are_linear() {
    let say = |run: &Run| of("no-nonlinearity", run);
    let named =
        |names: [&'static str; 2]| network(2, 2, move |_, i, layer| layer.activation = Some(names[i].to_owned()));
    assert_eq!(
        say(&named(["none", "none"])),
        ["warning, hidden.0 hidden.1 from 0 on: no activation follows hidden.0 and hidden.1: the network is a linear \
          model; bent hidden layers 0.0000 | 1.0000"]
    );
    assert_eq!(say(&named(["none", "relu"])), NOTHING);
    let identity = Run { activation: "none".to_owned(), ..network(2, 2, |_, _, _| {}) };
    assert_eq!(say(&identity).len(), 1);
    // Units that are above 0 for every sample or for none.
    let units = |activation: &str, nonzero: [f32; 2]| Run {
        activation: activation.to_owned(),
        ..network(2, 2, move |_, i, layer| layer.unit_nonzero_fraction = vec![nonzero[i], 1.0])
    };
    assert_eq!(
        say(&units("relu", [1.0, 0.0])),
        [
            "warning from 100 on: every hidden unit is on one side of 0 for all samples: the network is linear on the data; \
          units that bend, most in a layer 0.0000 | 0.0000"
        ]
    );
    assert_eq!(say(&units("relu:leaky=0.1", [1.0, 0.0])).len(), 1);
    assert_eq!(say(&units("relu", [1.0, 0.5])), NOTHING);
    assert_eq!(say(&units("leaky-relu", [1.0, 1.0])), NOTHING, "its units are never 0");
    assert_eq!(say(&units("tanh", [1.0, 1.0])), NOTHING);
    let dead = network(2, 2, |_, i, layer| {
        (layer.unit_nonzero_fraction, layer.dead_fraction) = (vec![0.0; 4], Some(i as f64));
    });
    assert_eq!(say(&dead), NOTHING, "which is said by another");
    let unseen = network(2, 2, |_, i, layer| layer.unit_nonzero_fraction = vec![1.0; i]);
    assert_eq!(say(&unseen), ["skipped: which units are 0 was not recorded"]);
}

#[test]
fn weights_and_biases_that_a_network_should_not_begin_with() {
    let say = |run: &Run| of("initial-scale", run);
    // He's gain for 64 inputs is √2 / 8.
    let gain = |gain: f64| network(1, 3, move |_, _, layer| layer.weight_rms = Some(gain * 2f64.sqrt() / 8.0));
    assert_eq!(
        say(&gain(0.15)),
        ["warning, hidden.0 hidden.1 hidden.2 from 0 on: the initial weights are too small: 0.150 times what keeps a \
          signal's size; gain of the initial weights 0.1500 | 0.2000"]
    );
    assert!(say(&gain(2.5))[0].contains(
        "too large: 2.50 times what keeps a signal's size; gain of the initial weights \
                                         2.5000 | 2.0000"
    ));
    assert_eq!((say(&gain(0.21)), say(&gain(1.99))), (vec![], vec![]));
    // The median of the layers, each by its own function where it has one.
    let mixed = network(1, 3, |_, i, layer| layer.weight_rms = Some([0.001, 0.17, 9.0][i]));
    assert_eq!(say(&mixed), NOTHING);
    let tanh = network(1, 3, |_, _, layer| {
        (layer.activation, layer.weight_rms) = (Some("tanh".to_owned()), Some(0.21 * 2f64.sqrt() / 8.0));
    });
    assert_eq!(say(&tanh).len(), 1, "which asks for more than ReLU");

    let bias = |ratio: f64| {
        network(1, 2, move |_, i, layer| {
            (layer.bias_rms, layer.preactivation_std) = (Some(if i == 1 { 2.0 * ratio } else { 0.0 }), Some(2.0));
        })
    };
    assert_eq!(
        say(&bias(1.5)),
        [
            "warning, hidden.0 hidden.1 from 0 on: the initial biases are 1.50 times the deviation of the pre-activations; \
          bias over deviation of the pre-activations 1.5000 | 1.0000"
        ]
    );
    assert_eq!(say(&bias(1.0)), NOTHING);

    let backward = |ratio: f64| {
        network(1, 3, move |_, i, layer| {
            layer.preactivation_grad_rms = Some(if i == 0 { ratio } else { 1.0 });
        })
    };
    // χ = 0.04 over two steps between three layers, and ξ = 1 / ln 25.
    assert_eq!(
        say(&backward(0.04)),
        [
            "warning, hidden.0 hidden.1 hidden.2 from 0 on: before training the pre-activation gradient shrinks over 3 hidden layers to \
          1/25 of its size; first over last layer's pre-activation gradient 0.0400 | 0.0498; χ, a layer's factor of the gradient's mean \
          square 0.0400; depth scale ξ 0.3107"
        ]
    );
    assert!(say(&backward(25.0))[0].contains(
        "the pre-activation gradient grows over 3 hidden layers to 25.0 of its size; first over \
                                              last layer's pre-activation gradient 25.0000 | 20.0855"
    ));
    assert_eq!((say(&backward(0.05)), say(&backward(20.0))), (vec![], vec![]));
    let forward = |ratio: f64| {
        network(1, 3, move |_, i, layer| {
            layer.preactivation_std = Some(if i == 2 { ratio } else { 1.0 });
        })
    };
    assert_eq!(
        say(&forward(0.04)),
        [
            "warning, hidden.0 hidden.1 hidden.2 from 0 on: before training the signal shrinks over the hidden layers to \
          1/25 of its size; last over first layer's deviation 0.0400 | 0.0498"
        ]
    );
    assert!(say(&forward(25.0))[0].contains(
        "the signal grows over the hidden layers to 25.0 of its size; last over \
                                             first layer's deviation 25.0000 | 20.0855"
    ));
    assert_eq!((say(&forward(0.05)), say(&forward(20.0))), (vec![], vec![]));
    let from_ten = network(1, 3, |_, i, layer| layer.preactivation_std = Some([10.0, 1.0, 0.4][i]));
    assert!(say(&from_ten)[0].contains("to 1/25 of its size"), "{:?}", say(&from_ten));
    let both = network(1, 3, |_, i, layer| {
        (layer.preactivation_std, layer.preactivation_grad_rms) =
            (Some([1.0, 1.0, 25.0][i]), Some([0.01, 1.0, 1.0][i]));
    });
    assert!(say(&both).len() == 1 && say(&both)[0].contains("the pre-activation gradient shrinks"), "{:?}", say(&both));
    let unseen = network(1, 1, |_, _, layer| layer.fan_in = None);
    assert_eq!(say(&unseen), ["skipped: neither the initial weights nor their gradients were measured"]);
    let run = gain(0.1);
    let experiment = Experiment { from: Some("there".into()), ..Experiment::default() };
    assert_eq!(
        said("initial-scale", &Case { experiment: Some(&experiment), ..Case::of(&run) }),
        ["skipped: the weights that it began with were trained before, and not drawn"]
    );
}

#[test]
fn a_training_that_diverged_says_where_and_what_its_loss_was() {
    let diverged = |change: fn(&mut Layer)| {
        let run = network(2, 3, move |look, i, layer| {
            if look == 1 && i > 0 {
                change(layer);
            }
        });
        Run { status: Status::Diverged, ..run }
    };
    assert_eq!(
        of("divergence", &diverged(|_| {})),
        ["critical from 100 on: the training diverged at step 100: its loss \
                                                      is not finite"]
    );
    let known = Run { diverged_at_step: Some(7), divergence: Some(Divergence::Weights), ..diverged(|_| {}) };
    assert_eq!(
        with_losses("divergence", &known, &[2.0, 1.5, f64::INFINITY, f64::NAN]),
        ["critical from 7 on: the training diverged at step 7: a weight is not finite; last finite loss 1.5000"]
    );
    let where_not_finite: [fn(&mut Layer); 3] = [
        |layer| layer.nonfinite_weights = 1,
        |layer| layer.nonfinite_activations = 1,
        |layer| layer.nonfinite_gradients = 1,
    ];
    for change in where_not_finite {
        assert_eq!(
            of("divergence", &diverged(change)),
            [
                "critical, hidden.1 hidden.2 from 100 on: the training diverged at step 100: its loss is not finite; not \
              finite in hidden.1 and hidden.2"
            ]
        );
    }
    assert_eq!(of("divergence", &network(2, 2, |_, _, _| {})), NOTHING);
}
