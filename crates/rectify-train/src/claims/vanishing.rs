//! `vanishing`: sigmoid's and tanh's gradients vanish, so early layers do not learn.

use burn::module::Module;

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic, geometric,
    lab::{ClaimError, Lab, accuracy, seeds_in_words, without_test},
    theory::{Function, MeanField, SIGMOID, TANH},
};
use crate::{
    activation::Activation,
    experiment::{Experiment, Init, Moments, ProbeEvery},
    judge::statistics::hidden,
    judge::verdict::{Direction, Hypothesis},
    observe::weights,
    record::{Epoch, Run},
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "vanishing",
    statement: "The gradients of deep sigmoid and tanh networks vanish towards the input, so their early layers do not \
                learn.",
    source: "Hochreiter 1991, Untersuchungen zu dynamischen neuronalen Netzen; Bengio, Simard and Frasconi 1994, \
             Learning long-term dependencies with gradient descent is difficult; Glorot and Bengio 2010, Understanding \
             the difficulty of training deep feedforward neural networks, §4",
    parts: &[&GRADIENT, &EARLY_LAYERS],
    run,
};

static GRADIENT: Part = Part {
    quantity: "RMS of the first hidden layer's weight gradient over the last's, before training",
    unit: "ratio",
    null_hypothesis: "The first layer's gradient is as large as the last's.",
    hypothesis: Hypothesis::ratio(Direction::Below, 10.0),
    why: "With one learning rate for all layers, a tenth of the gradient is a tenth of the movement; smaller factors are \
          within what fair initialisation leaves to ReLU networks too.",
};
static EARLY_LAYERS: Part = Part {
    quantity: "test accuracy with the first layers trained less that with them frozen at random",
    unit: "fraction",
    null_hypothesis: "Training the first layers gains a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 0.01),
    why: "If layers do not learn, it makes no difference to freeze them. A point is about four times the spread over \
          seeds.",
};

/// One sigmoid or tanh network at one depth and initialisation.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Activation, depth and initialisation, such as `tanh, 10 layers, xavier-normal`.
    pub condition: String,
    /// First and last hidden layer's `weight_grad_rms` before training, a pair a seed.
    pub gradients: Vec<(f64, f64)>,
    /// Test accuracies with the first layers trained and frozen, a pair a seed; empty where that was not tried.
    pub accuracies: Vec<(f64, f64)>,
}

/// The evidence under each condition.
pub fn conditions(measured: &[Measured]) -> Vec<Condition> {
    // A gradient that underflowed to 0 is as vanished as can be: it counts as the smallest f32, which is more.
    let ratio = |&(first, last): &(f64, f64)| first.max(f64::from(f32::from_bits(1))) / last;
    let gradients =
        measured.iter().map(|m| Condition::new(&GRADIENT, &m.condition, m.gradients.iter().map(ratio).collect()));
    let accuracies = measured.iter().filter(|m| !m.accuracies.is_empty()).map(|m| {
        let gains = m.accuracies.iter().map(|(trained, frozen)| trained - frozen).collect();
        Condition::new(&EARLY_LAYERS, format!("{}, first layers frozen", m.condition), gains)
    });
    gradients.chain(accuracies).collect()
}

/// Fair is what suits the activation; naive is what Glorot and Bengio (2010, eq. 1) call the commonly used heuristic,
/// U(±1 / √fan_in).
const INITS: [(&str, Init); 2] = [("fair", Init::Auto), ("naive", Init::TorchDefault)];
/// Hidden layers of networks that are called deep, and judged. Two are drawn beside them.
const DEPTHS: [usize; 3] = [5, 10, 20];
/// Hidden layers of the networks that are trained, of which the first half is frozen.
const TRAINED_DEPTH: usize = 10;
/// Units of a hidden layer.
const WIDTH: usize = 128;

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    let epochs = lab.choose(1, 2, 10);
    let of_depth = |depth: usize, init| Experiment {
        hidden: Some(vec![WIDTH; depth]),
        init,
        train_size: lab.choose(Some(2000), None, None),
        epochs: Some(epochs),
        ..lab.experiment()
    };
    let activations = ["sigmoid", "tanh", "relu"];

    // Before training: what an experiment of 0 epochs measures.
    let mut untrained = Vec::new();
    for depth in [2, DEPTHS[0], DEPTHS[1], DEPTHS[2]] {
        for (_, init) in INITS {
            let experiment = Experiment {
                epochs: Some(0),
                probe_every: ProbeEvery::Epoch,
                train_size: Some(2000),
                ..of_depth(depth, init)
            };
            untrained.extend(lab.trainings(&experiment, &activations, lab.seeds()));
        }
    }
    let initial = lab.side_by_side(&untrained, &|training| {
        let data = without_test(&lab.data(&training.experiment)?);
        Ok(lab.train(lab.network(training, &data), training, &data, &mut |_| {})?.1)
    })?;
    let initial: Vec<(&Training, &Epoch)> =
        untrained.iter().zip(&initial).filter_map(|(training, run)| Some((training, run.epochs.first()?))).collect();

    let mut trainings = Vec::new();
    for (_, init) in INITS {
        let all = lab.trainings(&of_depth(TRAINED_DEPTH, init), &activations, lab.seeds());
        trainings.extend(all.into_iter().flat_map(|training| [(training.clone(), false), (training, true)]));
    }
    let trained = lab.side_by_side(&trainings, &|(training, frozen)| {
        let data = lab.data(&training.experiment)?;
        let mut network = lab.mlp(training, &data);
        if *frozen {
            let first = network.hidden.drain(..TRAINED_DEPTH / 2).map(Module::no_grad).collect::<Vec<_>>();
            network.hidden.splice(0..0, first);
        }
        let before = weights(&network);
        let (network, run) = lab.train(network, training, &data, &mut |_| {})?;
        // How far each layer went, relative to where it was.
        let length = |tensor: burn::tensor::Tensor<1>| tensor.square().sum().sqrt().into_scalar::<f64>();
        let moved = before.into_iter().zip(weights(&network));
        let moved = moved.map(|((_, before), (_, after))| length(after - before.clone()) / length(before)).collect();
        Ok((run, moved))
    })?;
    let trained: Vec<(&Training, bool, &(Run, Vec<f64>))> =
        trainings.iter().zip(&trained).map(|((training, frozen), outcome)| (training, *frozen, outcome)).collect();

    let matches = |training: &Training, name: &str, depth: usize, init: Init| {
        training.activation.name() == name
            && training.experiment.init == init
            && training.experiment.hidden().len() == depth
    };
    let mut measured = Vec::new();
    for name in ["sigmoid", "tanh"] {
        for (words, init) in INITS {
            for depth in DEPTHS {
                let accuracies = |frozen: bool| -> Vec<f64> {
                    let of = trained.iter().filter(|(t, f, _)| *f == frozen && matches(t, name, depth, init));
                    of.map(|(_, _, (run, _))| accuracy(run)).collect()
                };
                measured.push(Measured {
                    condition: format!("{name}, {depth} layers, {words} initialisation"),
                    gradients: initial
                        .iter()
                        .filter(|(training, _)| matches(training, name, depth, init))
                        .map(|(_, epoch)| first_and_last(epoch))
                        .collect(),
                    accuracies: accuracies(false).into_iter().zip(accuracies(true)).collect(),
                });
            }
        }
    }

    let curves = || activations.into_iter().flat_map(|name| INITS.map(|(words, init)| (name, words, init)));
    let by_depth = curves().map(|(name, words, init)| {
        let ratios = |depth| {
            let of = initial.iter().filter(|(training, _)| matches(training, name, depth, init));
            let ratio = |(_, epoch): &(&Training, &Epoch)| {
                let (first, last) = first_and_last(epoch);
                first / last
            };
            (depth as f64, of.map(ratio).collect())
        };
        Curve::measured(format!("{name}, {words}"), geometric, [2, 5, 10, 20].map(ratios))
    });
    let deepest = DEPTHS[DEPTHS.len() - 1];
    let mut by_layer: Vec<Curve> = Vec::new();
    for (name, words, init) in curves().filter(|(name, ..)| *name != "relu") {
        let profiles: Vec<Vec<f64>> = initial
            .iter()
            .filter(|(training, _)| matches(training, name, deepest, init))
            .map(|(_, epoch)| profile(epoch))
            .collect();
        let at = |layer: usize| profiles.iter().filter_map(|profile| profile.get(layer).copied()).collect();
        let series = format!("{name}, {words}");
        by_layer.push(Curve::measured(
            series.clone(),
            geometric,
            (0..deepest).map(|layer| ((layer + 1) as f64, at(layer))),
        ));
        let activation = name.parse().expect("claims name known activations");
        let function = if name == "tanh" { TANH } else { SIGMOID };
        let predicted = predicted_profile(function, &activation, init, deepest);
        by_layer.push(Curve::predicted(
            series,
            predicted.into_iter().enumerate().map(|(layer, value)| ((layer + 1) as f64, value)),
        ));
    }
    let movement = curves().map(|(name, words, init)| {
        let of = || trained.iter().filter(|(t, frozen, _)| !frozen && matches(t, name, TRAINED_DEPTH, init));
        let at = |layer: usize| of().filter_map(|(_, _, (_, moved))| moved.get(layer).copied()).collect();
        Curve::measured(
            format!("{name}, {words}"),
            geometric,
            (0..=TRAINED_DEPTH).map(|layer| ((layer + 1) as f64, at(layer))),
        )
    });
    let learnt = curves().flat_map(|(name, words, init)| {
        [(false, "trained"), (true, "first half frozen")].map(|(frozen, how)| {
            let of = trained.iter().filter(|(t, f, _)| *f == frozen && matches(t, name, TRAINED_DEPTH, init));
            let runs: Vec<&Run> = of.map(|(_, _, (run, _))| run).collect();
            let at = |epoch: usize| runs.iter().filter_map(|run| run.epochs.get(epoch)?.test_accuracy).collect();
            Curve::measured(
                format!("{name}, {words}, {how}"),
                arithmetic,
                (0..=epochs).map(|epoch| (epoch as f64, at(epoch))),
            )
        })
    });
    let figure = |title: &str, x: &str, y: &str, log_y, series: Vec<Curve>| Figure {
        title: title.to_owned(),
        x: x.to_owned(),
        y: y.to_owned(),
        log_x: false,
        log_y,
        series,
    };
    Ok(Outcome {
        conditions: conditions(&measured),
        what_was_run: format!(
            "gradients before training with {DEPTHS:?} hidden layers; trainings, all layers and the first half frozen, on \
             {}; {}",
            Training::describe(&of_depth(TRAINED_DEPTH, Init::Auto)),
            seeds_in_words(&lab.seeds())
        ),
        figures: vec![
            figure(
                "Weight gradient, first layer over last, before training",
                "hidden layers",
                "ratio of RMS",
                true,
                by_depth.collect(),
            ),
            figure(
                "Gradient of the pre-activations, relative to the last layer's, before training",
                "layer",
                "relative RMS",
                true,
                by_layer,
            ),
            figure(
                "How far each layer's weights went in training",
                "layer",
                "distance over initial length",
                true,
                movement.collect(),
            ),
            figure("Test accuracy with and without the first half", "epoch", "test accuracy", false, learnt.collect()),
        ],
    })
}

/// RMS of the weight gradient of the first and of the last hidden layer; NaN where it was not finite.
fn first_and_last(epoch: &Epoch) -> (f64, f64) {
    match hidden(epoch)[..] {
        [first, .., last] => (first.weight_grad_rms.unwrap_or(f64::NAN), last.weight_grad_rms.unwrap_or(f64::NAN)),
        _ => (f64::NAN, f64::NAN),
    }
}

/// RMS of the gradient at each hidden layer's pre-activations, relative to the last one's.
fn profile(epoch: &Epoch) -> Vec<f64> {
    let gradients: Vec<f64> =
        hidden(epoch).iter().map(|layer| layer.preactivation_grad_rms.unwrap_or(f64::NAN)).collect();
    let last = gradients.last().copied().unwrap_or(f64::NAN);
    gradients.iter().map(|gradient| gradient / last).collect()
}

/// What mean-field theory says of [`profile`], for standardised images of 784 pixels.
fn predicted_profile(function: Function, activation: &Activation, init: Init, layers: usize) -> Vec<f64> {
    let (inputs, width) = (784.0, WIDTH as f64);
    // σw² of the first layer and of the others; U(±1/√n) has the variance 1 / 3n, biases too.
    let (first, others, bias_first, bias) = match init {
        Init::TorchDefault => (1.0 / 3.0, 1.0 / 3.0, 1.0 / (3.0 * inputs), 1.0 / (3.0 * width)),
        _ => {
            let gain = Moments::of(activation).gain();
            (gain * gain, gain * gain, 0.0, 0.0)
        }
    };
    let network = MeanField { function, weight_variance: others, bias_variance: bias };
    network.gradient_profile(&network.variances(first + bias_first, layers))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn measured(ratio: f64, trained: f64, frozen: f64) -> Measured {
        Measured {
            condition: "made".to_owned(),
            gradients: around(ratio).map(|first| (first, 1.0)).to_vec(),
            accuracies: around(trained).map(|trained| (trained, frozen)).to_vec(),
        }
    }

    fn verdict(measured: &[Measured]) -> Verdict {
        CLAIM.judge(conditions(measured)).verdict
    }

    #[test]
    fn vanished_gradients_and_layers_that_do_not_learn_confirm_and_their_reverse_refutes() {
        assert_eq!(verdict(&[measured(1e-5, 0.80, 0.80)]), Verdict::Confirmed);
        assert_eq!(verdict(&[measured(1.0, 0.97, 0.90)]), Verdict::Refuted);
        assert_eq!(verdict(&[measured(30.0, 0.97, 0.90)]), Verdict::Refuted);
        // Smaller gradients, and yet the layers learn.
        assert_eq!(verdict(&[measured(1e-5, 0.97, 0.90)]), Verdict::Qualified);
        // One activation's vanish, the other's do not.
        assert_eq!(verdict(&[measured(1e-5, 0.80, 0.80), measured(0.9, 0.97, 0.90)]), Verdict::Qualified);
    }

    #[test]
    fn gradients_that_underflow_to_zero_have_vanished() {
        assert_eq!(verdict(&[measured(0.0, 0.113, 0.113)]), Verdict::Confirmed);
    }
}
