//! What trainings do.

use super::*;

#[test]
fn the_same_seed_gives_the_same_bits_whatever_the_number_of_jobs() {
    let place = Place::new();
    for (out, flags) in [("one", "--jobs 1"), ("again", "--jobs 1"), ("two", "--jobs 2"), ("many", "")] {
        place.run(&format!("compare {SMALL} --epochs 2 --seeds 2 {flags} --out {out}")).success();
    }
    let one = timeless(&place.results("one"));
    assert_ne!(one[0].epochs, one[3].epochs, "relu with seed 0 and seed 1 differ");
    for other in ["again", "two", "many"] {
        assert_eq!(one, timeless(&place.results(other)), "{other}");
    }
}

#[test]
fn threads_share_a_training_which_stays_the_same_to_rounding_and_to_the_bit_again() {
    let place = Place::new();
    for (out, threads) in [("one", 1), ("two", 2), ("again", 2)] {
        place.run(&format!("train {SMALL} --epochs 1 --threads {threads} --out {out}")).success();
    }
    assert_eq!(timeless(&place.results("two")), timeless(&place.results("again")));
    let loss = |out| place.results(out).runs[0].last().and_then(|epoch| epoch.test_loss).expect("finite");
    assert!((loss("one") - loss("two")).abs() < 1e-4 * loss("one"), "{} and {}", loss("one"), loss("two"));
}

#[test]
fn trainings_whose_steps_are_batched_are_those_that_are_not_to_rounding_and_go_on() {
    let place = Place::new();
    let flags = format!("{SMALL} --activations gelu,tanh,prelu --seeds 3");
    place.run(&format!("compare {flags} --epochs 2 --out alone")).success();
    let assert = place.run(&format!("compare {flags} --epochs 1 --vectorise --out together")).success();
    assert!(stderr(&assert).contains("vectorise: prelu"), "{}", stderr(&assert));
    place.run("compare --epochs 2 --resume together").success();
    let (alone, together) = (place.results("alone"), place.results("together"));
    assert!(together.experiment.vectorise);
    assert_eq!(together.runs.len(), 9);
    for (one, other) in alone.runs.iter().zip(&together.runs) {
        assert_eq!((&one.activation, one.seed, one.steps), (&other.activation, other.seed, other.steps));
        let what = format!("{}, seed {}", one.activation, one.seed);
        for (one, other) in one.epochs.iter().zip(&other.epochs) {
            assert_eq!((one.step, one.layers.len()), (other.step, other.layers.len()));
            let losses = one.test_loss.zip(other.test_loss).expect("finite");
            assert!((losses.0 - losses.1).abs() < 1e-4 * losses.0, "{what}: {losses:?}");
        }
    }
    // What was begun without can go on with it.
    place.run("compare --epochs 3 --resume alone --vectorise").success();
    assert!(place.results("alone").runs.iter().all(|run| run.epochs.len() == 4));

    place.refuses("train --vectorise --out out", 2, &["vectorise", "`rectify compare` trains several"]);
}

#[test]
fn a_training_that_diverges_is_a_result_with_its_step() {
    let place = Place::new();
    let flags = "--hidden 8,8,8 --activations relu,tanh --seeds 1 --epochs 3 --lr 1e6";
    let assert = place.run(&format!("compare --dataset digits {flags} --batch-size 16 --out out")).success();
    let results = place.results("out");
    let relu = &results.runs[0];
    assert_eq!(relu.status, Status::Diverged);
    assert!(relu.diverged_at_step.is_some_and(|step| (1..=relu.steps).contains(&step)), "{relu:?}");
    assert_eq!(results.summary[0].diverged, 1);
    assert!(results.summary[0].test_accuracy.is_none(), "what diverged has no accuracy");
    assert!(stdout(&assert).contains("iverged: relu at step "), "{}", stdout(&assert));
    assert!(stderr(&assert).contains("relu seed 0: diverged at step "), "{}", stderr(&assert));
}

#[test]
fn zero_epochs_measure_the_initial_network() {
    let place = Place::new();
    let assert = place.run(&format!("compare {SMALL} --epochs 0 --seeds 2 --out out")).success();
    for run in &place.results("out").runs {
        assert_eq!((run.status, run.steps, run.epochs.len()), (Status::Completed, 0, 1));
        assert!(run.epochs[0].layers[0].weight_grad_rms.is_some_and(|rms| rms > 0.0));
    }
    assert!(stdout(&assert).contains("tanh"));
    assert!(place.path("out/report.html").exists());
}

#[test]
fn steps_patience_softmax_regression_and_cnn_do_what_they_say() {
    let place = Place::new();
    let train = |flags: &str, out: &str| {
        place.run(&format!("train --dataset digits --batch-size 16 {flags} --out {out}")).success();
        place.results(out).runs.remove(0)
    };
    let run = train("--hidden 8 --steps 20", "steps");
    assert_eq!(run.epochs.iter().map(|epoch| epoch.step).collect::<Vec<_>>(), [0, 14, 20]);

    let run = train("--hidden 8 --epochs 50 --lr 1e-12 --patience 2", "patience");
    assert_eq!((run.status, run.epochs.len()), (Status::Completed, 3), "no epoch was better than the first");

    let run = train("--hidden none --epochs 5", "regression");
    assert_eq!(run.parameters, (SIDE * SIDE + 1) * 10);
    assert_eq!(run.epochs[0].layers.len(), 1, "there is only the output layer");
    assert!(
        run.last().expect("measured").test_accuracy.expect("completed") > 0.9,
        "a bright row is linearly separable"
    );

    let run = train("--model cnn --hidden 16 --epochs 6", "cnn");
    let names: Vec<&str> = run.epochs[0].layers.iter().map(|layer| layer.layer.as_str()).collect();
    assert_eq!(names, ["conv.0", "conv.1", "hidden.0", "output"]);
    assert!(run.last().expect("measured").train_loss < run.epochs[0].train_loss);
}

#[test]
fn a_network_of_two_hundred_layers_is_measured_diagnosed_and_reported() {
    let place = Place::new();
    let hidden = vec!["32"; 200].join(",");
    let flags = format!("train --dataset digits --hidden {hidden} --epochs 1 --activation relu --out out");
    place.run(&flags).success();
    let layers = &place.results("out").runs[0].epochs[1].layers;
    assert!(layers.len() == 201 && layers.iter().all(|layer| layer.weight_grad_rms.is_some()), "{}", layers.len());
    let text = stdout(&place.run("diagnose out").success());
    // It has ReLU already.
    assert!(text.contains("too-deep-for-activation") && text.contains("residual = true"), "{text}");
    place.run("report out").success();
}

#[test]
fn a_pipe_gets_at_most_a_hundred_lines_of_a_training_and_its_last_epoch() {
    let place = Place::new();
    let assert =
        place.run("train --dataset digits --hidden none --probe-every off --epochs 103 --seeds 1 --out out").success();
    let text = stderr(&assert);
    let epochs: Vec<&str> = text.lines().filter(|line| line.contains(": epoch ")).collect();
    assert!((50..=100).contains(&epochs.len()), "{text}");
    assert!(epochs.last().is_some_and(|line| line.contains(": epoch 103 of 103,")), "{text}");
}
