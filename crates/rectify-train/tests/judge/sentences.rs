//! What is said about an experiment, word by word, on made-up runs.

use rectify_train::{
    experiment::Experiment,
    judge::{paired::paired_differences, sentences::sentences, statistics::summarize},
    record::{
        DataRecord, Divergence, Environment, Epoch, InputSample, Layer, Results, Role, Run, SCHEMA_VERSION, Status,
    },
};

/// A hidden layer whose gradient is so large.
fn layer(weight_grad_rms: f64) -> Layer {
    let name = "hidden".to_owned();
    Layer { layer: name, role: Some(Role::Hidden), weight_grad_rms: Some(weight_grad_rms), ..Layer::default() }
}

/// A training of 200 steps that completed, with the accuracy of guessing before it.
fn run(activation: &str, seed: u64, accuracy: f64) -> Run {
    let epoch = |epoch: usize, test_accuracy: f64| Epoch {
        epoch,
        step: 200 * epoch,
        test_accuracy: Some(test_accuracy),
        ..Epoch::default()
    };
    Run {
        activation: activation.to_owned(),
        seed,
        status: Status::Completed,
        diverged_at_step: None,
        divergence: None,
        wall_seconds: 1.0,
        steps: 200,
        parameters: 1,
        kept_epoch: None,
        epochs: vec![epoch(0, 0.1), epoch(1, accuracy)],
        probes: Vec::new(),
        confusion: None,
    }
}

/// Each activation with its accuracies, a seed each.
fn runs(accuracies: &[(&str, &[f64])]) -> Vec<Run> {
    let of = |&(name, accuracies): &(&str, &[f64])| -> Vec<Run> {
        accuracies.iter().enumerate().map(|(seed, &accuracy)| run(name, seed as u64, accuracy)).collect()
    };
    accuracies.iter().flat_map(of).collect()
}

fn diverge(run: &mut Run, step: usize, divergence: Divergence) {
    run.status = Status::Diverged;
    (run.diverged_at_step, run.divergence) = (Some(step), Some(divergence));
    run.epochs.truncate(1);
}

/// The results of an experiment that named these activations in this order.
fn results(activations: &[&str], runs: Vec<Run>) -> Results {
    let seeds = runs.iter().map(|run| run.seed + 1).max().unwrap_or(1);
    let experiment = Experiment {
        activations: activations.iter().map(|name| name.parse().expect("a known activation")).collect(),
        seeds: seeds as usize,
        // Each at its own rate, so that nothing is to be said of that.
        tune: Some("lr".parse().expect("a setting that is tuned")),
        ..Experiment::default()
    };
    Results {
        tuning: Vec::new(),
        ranking: Vec::new(),
        data: Some(DataRecord {
            train: 54_000,
            validation: 6000,
            test: 10_000,
            classes: 10,
            majority_fraction: 0.1135,
            duplicates: None,
            mean: 0.1307,
            std: 0.3081,
        }),
        schema_version: SCHEMA_VERSION,
        environment: Environment {
            rectify: "0.1.0".to_owned(),
            burn: "0.22.1".to_owned(),
            backend: "flex".to_owned(),
            adapter: None,
            cpu: "a processor".to_owned(),
            threads: 2,
        },
        summary: summarize(&experiment, &runs),
        paired_differences: paired_differences(&experiment, &runs),
        experiment,
        runs,
    }
}

fn said(activations: &[&str], runs: Vec<Run>) -> Vec<String> {
    sentences(&results(activations, runs))
}

#[test]
fn a_settled_winner_is_named_with_the_interval_that_decides() {
    let runs = runs(&[("relu", &[0.975, 0.976, 0.974]), ("tanh", &[0.961, 0.962, 0.9605])]);
    assert_eq!(
        said(&["relu", "tanh"], runs),
        ["relu reaches 97.50 % on the test set, ahead of tanh with 96.12 % (means of 3 seeds): seed by seed +1.38 \
          points (+1.31 to +1.46 at 95 %)."]
    );
}

#[test]
fn a_difference_that_is_not_settled_crowns_nobody() {
    let runs = runs(&[("relu", &[0.97, 0.972, 0.968]), ("tanh", &[0.975, 0.97, 0.98])]);
    assert_eq!(
        said(&["relu", "tanh"], runs),
        [
            "tanh and relu are not told apart on the test set: 97.50 % and 97.00 % (means of 3 seeds), seed by seed +0.50 \
          points (-1.24 to +2.24 at 95 %)."
        ]
    );
}

#[test]
fn everything_is_compared_with_the_first_named_and_the_two_best_with_each_other() {
    // In whatever order the trainings ended. Differences' means and standard errors are 2.000 ± 0.100, 0.983 ± 0.0441
    // and 1.017 ± 0.0601 points, and t for two degrees of freedom is 4.303 at 95 %, 6.205 at 97.5 %, 7.649 at 98.33 %.
    let mut runs = runs(&[
        ("leaky-relu:0.1", &[0.971, 0.969, 0.973]),
        ("relu:leaky=0.1", &[0.9605, 0.96, 0.962]),
        ("relu", &[0.95, 0.951, 0.952]),
    ]);
    runs.rotate_left(4);
    assert_eq!(
        said(&["relu", "leaky-relu:0.1", "relu:leaky=0.1"], runs),
        [
            "leaky-relu:0.1 reaches 97.10 % on the test set, ahead of relu:leaky=0.1 with 96.08 % (means of 3 seeds): \
             seed by seed +1.02 points (+0.76 to +1.28 at 95 %); relu 95.10 %.",
            "Compared with relu in test accuracy, seed by seed: leaky-relu:0.1 +2.00 points (+1.38 to +2.62 at 97.5 %), \
             settled; relu:leaky=0.1 +0.98 points (+0.65 to +1.32 at 98.33 %), settled. The levels are Holm's for 3 tests \
             in one experiment.",
        ]
    );
}

#[test]
fn a_difference_that_is_clear_alone_but_not_among_many_is_not_settled() {
    // Alone p is 0.04.
    let names = ["relu", "tanh", "elu", "selu", "celu"];
    let relu: &[f64] = &[0.90, 0.90, 0.90, 0.90];
    let tanh: &[f64] = &[0.91, 0.92, 0.905, 0.912];
    let alone = said(&names[..2], runs(&[("relu", relu), ("tanh", tanh)]));
    assert!(alone[0].starts_with("tanh reaches"), "{alone:?}");
    let flat: &[f64] = &[0.89, 0.91, 0.905, 0.894];
    let many = said(&names, runs(&[("relu", relu), ("tanh", tanh), ("elu", flat), ("selu", flat), ("celu", flat)]));
    assert!(many[0].starts_with("tanh and relu are not told apart"), "{many:?}");
}

#[test]
fn what_prints_as_equal_is_a_tie() {
    let runs =
        runs(&[("relu", &[0.97, 0.971, 0.972]), ("tanh", &[0.972, 0.97, 0.971_01]), ("sigmoid", &[0.9, 0.9, 0.91])]);
    let said = said(&["relu", "tanh", "sigmoid"], runs);
    assert_eq!(said[0], "tanh and relu reach the same 97.10 % on the test set (means of 3 seeds); sigmoid 90.33 %.");
    assert!(said[1].starts_with("Compared with relu in test accuracy, seed by seed: tanh 0.00 points (-"), "{said:?}");
    assert!(said[1].contains("not settled; sigmoid -6.77 points (-"), "{said:?}");
}

#[test]
fn a_difference_that_is_the_same_with_every_seed_has_no_interval() {
    let runs = runs(&[("relu", &[0.9, 0.92, 0.94]), ("tanh", &[0.91, 0.93, 0.95])]);
    assert_eq!(
        said(&["relu", "tanh"], runs),
        [
            "tanh and relu are not told apart on the test set: 93.00 % and 92.00 % (means of 3 seeds), seed by seed +1.00 \
          points with every one of 3 seeds."
        ]
    );
}

#[test]
fn one_seed_has_no_interval_and_decides_nothing() {
    let runs = runs(&[("relu", &[0.97]), ("tanh", &[0.96]), ("elu", &[0.95])]);
    assert_eq!(
        said(&["relu", "tanh", "elu"], runs),
        [
            "On the test set: relu 97.00 %, tanh 96.00 % (one seed, so no interval), a difference that one seed in \
             common does not settle; elu 95.00 %.",
            "Compared with relu in test accuracy, seed by seed: elu -2.00 points (one seed, so not tested).",
        ]
    );
}

#[test]
fn a_difference_of_a_record_without_tests_is_not_called_one_of_one_seed() {
    let all = runs(&[("relu", &[0.97, 0.96, 0.95]), ("tanh", &[0.9, 0.91, 0.92]), ("elu", &[0.5, 0.6, 0.7])]);
    let mut results = results(&["relu", "tanh", "elu"], all);
    for pair in &mut results.paired_differences {
        (pair.p_value, pair.adjusted_p_value, pair.interval) = (None, None, None);
    }
    let said = sentences(&results);
    assert!(said[0].contains("seed by seed +5.00 points (not tested)"), "{said:?}");
    assert_eq!(said[1], "Compared with relu in test accuracy, seed by seed: elu -36.00 points (not tested).");
}

#[test]
fn two_without_a_seed_in_common_were_not_tested() {
    let mut runs = runs(&[("relu", &[0.97, 0.96]), ("tanh", &[0.95, 0.94])]);
    diverge(&mut runs[0], 3, Divergence::Loss);
    diverge(&mut runs[3], 5, Divergence::Gradient);
    assert_eq!(
        said(&["relu", "tanh"], runs),
        [
            "On the test set: relu 96.00 %, tanh 95.00 % (one seed, so no interval), a difference that was not tested, \
             without a seed in common.",
            "Diverged: relu in 1 of 2 trainings at step 3 (its loss is not finite); tanh in 1 of 2 trainings at step 5 \
             (a gradient is not finite, or too large for the optimizer).",
        ]
    );
}

#[test]
fn a_single_activation_is_told_alone() {
    assert_eq!(
        said(&["relu"], runs(&[("relu", &[0.9])])),
        ["relu reaches 90.00 % on the test set (one seed, so no interval)."]
    );
    assert_eq!(
        said(&["relu"], runs(&[("relu", &[0.9, 0.91, 0.92])])),
        ["relu reaches 91.00 ± 2.48 % on the test set (mean of 3 seeds)."]
    );
}

#[test]
fn an_interval_stays_within_0_and_100_percent_and_the_seeds_that_learned_nothing_are_counted() {
    assert_eq!(
        said(&["relu"], runs(&[("relu", &[0.86, 0.0958, 0.1135])])),
        [
            "relu reaches 35.64 % (0.00 to 100.00 %) on the test set (mean of 3 seeds).",
            "relu learned nothing in 2 of 3 trainings: its accuracy there is that of guessing (always answering with the \
             most frequent class gives 11.35 %).",
        ]
    );
}

#[test]
fn at_guessing_level_nobody_wins() {
    assert_eq!(
        said(&["relu", "sigmoid"], runs(&[("relu", &[0.0892, 0.0892]), ("sigmoid", &[0.0892, 0.0892])])),
        ["No activation gets beyond guessing on the test set: relu 8.92 %, sigmoid 8.92 % (means of 2 seeds); always \
          answering with the most frequent class gives 11.35 %."]
    );
    assert_eq!(
        said(&["relu"], runs(&[("relu", &[0.1028])])),
        [
            "relu does not get beyond guessing on the test set: 10.28 % (one seed, so no interval); always answering with \
          the most frequent class gives 11.35 %."
        ]
    );
}

#[test]
fn guessing_is_what_the_record_knows_of_it() {
    let mut results = results(&["relu", "tanh"], runs(&[("relu", &[0.115, 0.12]), ("tanh", &[0.11, 0.11])]));
    assert!(sentences(&results)[0].contains("; always answering with the most frequent class gives 11.35 %."));
    results.data = None;
    assert!(sentences(&results)[0].contains("; networks before training gave 10.00 %."));
    for run in &mut results.runs {
        run.epochs.remove(0);
    }
    assert!(!sentences(&results)[0].contains("guessing"));
}

#[test]
fn one_that_learned_nothing_beside_one_that_did_is_said() {
    let runs = runs(&[("relu", &[0.97, 0.971, 0.972]), ("sigmoid", &[0.1135, 0.1135, 0.0958])]);
    let said = said(&["relu", "sigmoid"], runs);
    assert!(said[0].starts_with("relu reaches 97.10 % on the test set, ahead of sigmoid with 10.76 %"), "{said:?}");
    assert!(said[1].starts_with("sigmoid learned nothing with any seed:"), "{said:?}");
}

#[test]
fn two_that_guess_are_not_compared() {
    let accuracies: [(&str, &[f64]); 3] =
        [("sigmoid", &[0.11, 0.1, 0.105]), ("relu", &[0.97, 0.971, 0.972]), ("tanh", &[0.1, 0.11, 0.1])];
    let said = said(&["sigmoid", "relu", "tanh"], runs(&accuracies));
    assert!(said.iter().all(|sentence| !sentence.starts_with("Compared")), "{said:?}");
}

#[test]
fn networks_without_a_step_are_not_ranked() {
    let mut runs = runs(&[("relu", &[0.1056, 0.12]), ("tanh", &[0.09, 0.1])]);
    for run in &mut runs {
        run.steps = 0;
        run.epochs.truncate(1);
        run.epochs[0].layers = vec![layer(if run.activation == "relu" { 1.0 } else { 1.24 }), layer(1.0)];
    }
    let results = results(&["relu", "tanh"], runs);
    assert!(results.paired_differences.is_empty());
    assert_eq!(
        sentences(&results),
        [
            "The networks were not trained: their accuracy is that of initial weights, and no activation is ahead.",
            "Before training, relu's weight gradient at the first hidden layer is 1.00 of the one at the last; with tanh \
             it is 1.24.",
        ]
    );
}

#[test]
fn where_all_diverged_that_is_the_answer_and_no_number_is_invented() {
    let mut all = runs(&[("relu", &[0.97; 6]), ("tanh", &[0.96; 2])]);
    for (i, run) in all.iter_mut().enumerate() {
        diverge(run, 3 + i, if i == 5 { Divergence::Weights } else { Divergence::Loss });
        run.epochs[0].layers = vec![layer(1e-4), layer(1.0)];
    }
    let results = results(&["relu", "tanh"], all.clone());
    assert!(results.summary.iter().all(|summary| summary.test_accuracy.is_none()));
    assert_eq!(
        sentences(&Results { experiment: Experiment { seeds: 4, ..results.experiment.clone() }, ..results }),
        ["All 8 trainings diverged: relu with every seed at steps 3 to 7 (its loss is not finite) and at step 8 (a \
          weight is not finite); tanh with every seed at steps 9 and 10 (its loss is not finite)."]
    );
    let four = said(&["relu"], all[..4].to_vec());
    assert_eq!(
        four,
        ["All 4 trainings diverged: relu with every seed at steps 3, 4, 5 and 6 (its loss is not finite)."]
    );
    assert_eq!(said(&["relu"], all[..1].to_vec()), ["The training diverged: relu at step 3 (its loss is not finite)."]);
}

#[test]
fn trainings_that_were_stopped_or_did_not_begin_are_counted() {
    let mut some = runs(&[("relu", &[0.9, 0.91]), ("tanh", &[0.5])]);
    some[2].status = Status::Interrupted;
    let said_of_some = said(&["relu", "tanh"], some.clone());
    assert!(said_of_some[0].starts_with("relu reaches 90.50 "), "{said_of_some:?}");
    assert_eq!(
        said_of_some[1],
        "Not finished: one training was interrupted, 1 did not begin; what is said here is of the others."
    );
    some.remove(1);
    some[0].status = Status::Interrupted;
    assert_eq!(said(&["relu", "tanh"], some.clone()), ["No training was completed: 2 trainings were interrupted."]);
    diverge(&mut some[1], 7, Divergence::Activations);
    assert_eq!(
        said(&["relu", "tanh"], some),
        ["No training was completed: one training was interrupted; diverged: tanh at step 7 (an \
          activation is not finite)."]
    );
}

#[test]
fn vanished_gradients_before_training_are_said_as_people_say_ratios() {
    let mut runs = runs(&[("relu", &[0.97]), ("sigmoid", &[0.9]), ("tanh", &[0.96])]);
    for (run, ratio) in runs.iter_mut().zip([0.853, 1.0 / 257.0, 1.24]) {
        run.epochs[0].layers = vec![layer(ratio), layer(1.0)];
    }
    let said = said(&["relu", "sigmoid", "tanh"], runs);
    assert!(
        said.contains(
            &"Before training, sigmoid's weight gradient at the first hidden layer is 1/257 of the one at the last; \
              with tanh it is 1.24."
                .to_owned()
        ),
        "{said:?}"
    );
}

#[test]
fn a_gradient_of_exactly_0_before_training_is_said_and_not_left_out() {
    let mut runs = runs(&[("relu", &[0.97]), ("tanh", &[0.96])]);
    for (run, first) in runs.iter_mut().zip([0.0, 0.5]) {
        run.epochs[0].layers = vec![layer(first), layer(1.0)];
    }
    let said = said(&["relu", "tanh"], runs);
    assert_eq!(said[1], "Before training, no gradient at all reaches the first hidden layer with relu.");
}

/// What is said of a trained network with these hidden layers, but for the first two sentences.
fn said_of_layers(layers: Vec<Layer>) -> Vec<String> {
    let mut runs = runs(&[("relu", &[0.9])]);
    runs[0].epochs[1].layers = layers;
    said(&["relu"], runs).split_off(1)
}

#[test]
fn the_worst_that_the_layers_show_is_said() {
    let dead = |fraction| Layer { dead_fraction: Some(fraction), ..layer(1.0) };
    assert_eq!(
        said_of_layers(vec![dead(0.3), dead(0.8), dead(0.7)]),
        ["With relu, 60.0 % of the hidden units are dead after training (0 on every sample), most in layer 2, 80.0 %."]
    );
    assert_eq!(
        said_of_layers(vec![dead(0.0), dead(0.0), dead(1.0)]),
        [
            "With relu, 33.3 % of the hidden units are dead after training (0 on every sample), and layer 3 has none that \
          is alive."
        ]
    );
    let saturated = |fraction| Layer { saturated_fraction: Some(fraction), ..layer(1.0) };
    assert_eq!(
        said_of_layers(vec![saturated(0.2), saturated(0.96)]),
        ["With relu, layer 2 is saturated after training: 96.0 % of its activations."]
    );
    assert_eq!(
        said_of_layers(vec![layer(1e-4), layer(1.0)]),
        [
            "With relu, the weight gradient vanishes: at the first hidden layer it is 1/10000 of that at the last, after \
             training."
        ]
    );
    assert_eq!(
        said_of_layers(vec![layer(1e4), layer(1.0)]),
        [
            "With relu, the weight gradient explodes: at the first hidden layer it is 10000 times that at the last, after \
             training."
        ]
    );
    assert_eq!(
        said_of_layers(vec![layer(0.0), layer(0.0)]),
        ["With relu, no gradient at all reaches the first hidden layer after training."]
    );
    let nothing = Layer { dead_fraction: Some(0.39), saturated_fraction: Some(0.94), ..layer(0.002) };
    assert!(said_of_layers(vec![nothing.clone(), Layer { weight_grad_rms: Some(1.0), ..nothing }]).is_empty());
}

#[test]
fn metrics_that_are_not_numbers_are_neither_said_nor_hide_others() {
    let dead =
        |fraction| Layer { dead_fraction: Some(fraction), saturated_fraction: Some(f64::NAN), ..layer(f64::NAN) };
    let said = said_of_layers(vec![dead(f64::NAN), dead(0.9), dead(f64::NAN)]);
    assert!(said.iter().all(|sentence| !sentence.contains("NaN") && !sentence.contains('–')), "{said:?}");
    let mut runs = runs(&[("relu", &[f64::NAN, 0.9]), ("tanh", &[f64::NAN, f64::NAN])]);
    runs[1].epochs[1].validation_accuracy = Some(f64::NAN);
    assert_eq!(
        self::said(&["relu", "tanh"], runs)[0],
        "relu reaches 90.00 % on the test set (one seed, so no interval)."
    );
}

#[test]
fn nothing_run_is_nothing_said() {
    assert!(said(&["relu"], Vec::new()).is_empty());
}

#[test]
fn one_learning_rate_for_all_is_told() {
    let mut results = results(&["relu", "tanh"], runs(&[("relu", &[0.97, 0.96]), ("tanh", &[0.96, 0.97])]));
    results.experiment.tune = None;
    let last = || "All were trained at a learning rate of 0.1; `--tune lr` finds each one's best first.";
    assert_eq!(sentences(&results).last().map(String::as_str), Some(last()));
    // One alone is compared with none.
    let mut alone = self::results(&["relu"], runs(&[("relu", &[0.97, 0.96])]));
    alone.experiment.tune = None;
    assert!(!sentences(&alone).contains(&last().to_owned()));
}

#[test]
fn the_textbooks_case_of_a_vanishing_gradient_stands_beside_the_fair_one() {
    let with_inputs = |init: &str, status: Status| {
        let mut runs = runs(&[("relu", &[0.97, 0.96]), ("sigmoid", &[0.94, 0.93])]);
        runs.iter_mut().for_each(|run| run.status = status);
        runs[0].epochs[0].inputs =
            Some(InputSample { samples: 100, mean: Some(0.0), std: Some(1.0), constant_fraction: 0.0 });
        let mut results = results(&["relu", "sigmoid"], runs);
        results.experiment.init = init.parse().expect("an initialisation");
        sentences(&results).into_iter().filter(|sentence| sentence.contains("textbook")).collect::<Vec<_>>()
    };
    let said = with_inputs("auto", Status::Completed);
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("With Xavier's weights, the textbook's case, 1/"), "{said:?}");
    // It names its place and its gradient by itself: where nothing was completed, no sentence before it does.
    let of = "of sigmoid's pre-activation gradient would arrive at the first hidden layer, by mean-field theory";
    assert!(said[0].contains(of) && said[0].contains("`--init xavier-normal`"), "{said:?}");
    assert_eq!(with_inputs("auto", Status::Interrupted), said);
    // It is what was trained, and measured.
    assert!(with_inputs("xavier-normal", Status::Completed).is_empty());
}

#[test]
fn of_a_loop_of_ones_own_the_loss_is_told() {
    let told = |losses: &[Option<f64>], diverged_at_step: Option<usize>| {
        let epoch = |(epoch, train_loss): (usize, &Option<f64>)| Epoch {
            epoch,
            step: 20 * epoch,
            train_loss: *train_loss,
            ..Epoch::default()
        };
        let epochs = losses.iter().enumerate().map(epoch).collect();
        let run = Run { diverged_at_step, steps: 40, epochs, ..run("mine", 0, 0.9) };
        let mut results = results(&["relu"], vec![run]);
        results.experiment.own = Some("mine".to_owned());
        sentences(&results)
    };
    let trained = "mine was trained for 40 steps by a loop of its own";
    let goes = |from: &str, to: &str| [format!("{trained}: its training loss went from {from} to {to}.")];
    assert_eq!(told(&[None, Some(2.0), Some(1.0), Some(0.5), None], None), goes("2.00", "0.500"));
    assert_eq!(told(&[Some(2.0), None], None), goes("2.00", "2.00"));
    assert_eq!(told(&[None], None), goes("–", "–"));
    assert_eq!(told(&[Some(2.0), Some(9.0)], Some(40)), [format!("{trained}: it diverged at step 40.")]);
}
