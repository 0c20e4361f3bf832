//! Faults that are planted, and the healthy trainings beside them.

use crate::{
    activation::Activation,
    experiment::{Experiment, Init, ModelKind, OptimizerKind, auto_gain},
};

/// One kind of training of the matrix.
#[derive(Debug, Clone)]
pub struct Plant {
    /// As in `rate ×10: relu, sgd`.
    pub name: String,
    /// The cause that is to be found; `None` for a healthy training.
    pub cause: Option<&'static str>,
    /// The settings, with the fault among them where it is one.
    pub experiment: Experiment,
    /// What is done to network or data beside.
    pub harm: Harm,
}

/// A fault that no setting makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Harm {
    /// None.
    None,
    /// The hidden layer at a place takes no gradient.
    Freeze(usize),
    /// Such a fraction of the labels is drawn anew.
    Shuffle(f64),
    /// Pixels are 0 to 255.
    Unscaled,
}

/// Training samples of most kinds.
pub const SAMPLES: usize = 4000;
const EPOCHS: usize = 4;

fn experiment(activation: &str, optimizer: OptimizerKind) -> Experiment {
    Experiment {
        activations: vec![activation.parse::<Activation>().expect("the names of the matrix are known")],
        optimizer,
        train_size: Some(SAMPLES),
        epochs: Some(EPOCHS),
        ..Experiment::default()
    }
}

/// Every kind of training: faults × strengths, and the healthy ones.
pub fn plants() -> Vec<Plant> {
    [faults(), healthy()].concat()
}

fn faults() -> Vec<Plant> {
    use OptimizerKind::{Adam, AdamW, Momentum, Sgd};
    let mut all = Vec::new();
    let mut plant = |name: String, cause, experiment: Experiment, harm| {
        let Experiment { activations, optimizer, .. } = &experiment;
        let name = format!("{name}: {}, {optimizer}", activations[0]);
        all.push(Plant { name, cause: Some(cause), experiment, harm });
    };
    for depth in [5, 8] {
        let deep = Experiment { hidden: Some(vec![128; depth]), ..experiment("sigmoid", Sgd) };
        plant(format!("{depth} layers"), "too-deep-for-activation", deep, Harm::None);
    }
    for (activation, optimizer) in [("sigmoid", Sgd), ("tanh", Sgd), ("relu", Sgd), ("tanh", Momentum)] {
        for std in [0.01, 0.003] {
            let small = Experiment { init: Init::Normal(std), ..experiment(activation, optimizer) };
            plant(format!("weights of deviation {std}"), "initial-weights-too-small", small, Harm::None);
        }
    }
    for activation in ["relu", "tanh"] {
        let keeps = activation.parse().map_or(1.0, |activation: Activation| auto_gain(&activation));
        for gain in [3.0, 5.0] {
            let large = Experiment { init: Init::Gain(gain * keeps), ..experiment(activation, Sgd) };
            plant(format!("gain {gain}"), "initial-weights-too-large", large, Harm::None);
        }
    }
    for (activation, optimizer) in [("relu", Sgd), ("tanh", Sgd), ("relu", Adam), ("tanh", Momentum)] {
        for factor in [10.0, 100.0] {
            let plain = experiment(activation, optimizer);
            let high = Experiment { lr: Some(plain.learning_rate() * factor), ..plain };
            plant(format!("rate ×{factor}"), "learning-rate-too-high", high, Harm::None);
        }
        let plain = experiment(activation, optimizer);
        let low = Experiment { lr: Some(plain.learning_rate() / 1000.0), ..plain };
        plant("rate ÷1000".to_owned(), "learning-rate-too-low", low, Harm::None);
    }
    for (activation, optimizer) in [("relu", Sgd), ("relu", Adam), ("gelu", Sgd), ("tanh", Sgd)] {
        for bias in [-2.0, -10.0] {
            let biased = Experiment { bias_init: Some(bias), ..experiment(activation, optimizer) };
            plant(format!("bias {bias}"), "initial-bias", biased, Harm::None);
        }
    }
    for (activation, optimizer) in [("relu", Sgd), ("tanh", Sgd), ("relu", Momentum)] {
        // As many samples as take a second.
        let small =
            Experiment { batch_size: 2, train_size: Some(2000), epochs: Some(2), ..experiment(activation, optimizer) };
        plant("batches of 2".to_owned(), "batch-too-small", small, Harm::None);
    }
    for (activation, optimizer, decays) in
        [("relu", Sgd, [0.3, 1.0]), ("tanh", Sgd, [0.3, 1.0]), ("relu", AdamW, [10.0, 30.0])]
    {
        for weight_decay in decays {
            let decayed = Experiment { weight_decay, ..experiment(activation, optimizer) };
            plant(format!("weight decay {weight_decay}"), "weight-decay-too-strong", decayed, Harm::None);
        }
    }
    for (activation, optimizer) in [("relu", Sgd), ("tanh", Adam)] {
        for layer in [0, 2] {
            let frozen = experiment(activation, optimizer);
            plant(format!("hidden.{layer} frozen"), "frozen-layer", frozen, Harm::Freeze(layer));
        }
        for fraction in [0.7, 1.0] {
            let shuffled = experiment(activation, optimizer);
            let name = format!("{} % of the labels shuffled", fraction * 100.0);
            plant(name, "labels-do-not-fit-inputs", shuffled, Harm::Shuffle(fraction));
        }
        plant("inputs unscaled".to_owned(), "inputs-unscaled", experiment(activation, optimizer), Harm::Unscaled);
        plant("no activation".to_owned(), "no-nonlinearity", experiment("none", optimizer), Harm::None);
    }
    for (activation, optimizer) in [("relu", Sgd), ("tanh", Sgd), ("relu", Momentum)] {
        let clipped = Experiment { clip_norm: Some(1e-3), ..experiment(activation, optimizer) };
        plant("clipping at 0.001".to_owned(), "clipping-too-tight", clipped, Harm::None);
    }
    all
}

fn healthy() -> Vec<Plant> {
    use OptimizerKind::{Adam, AdamW, Momentum, Sgd};
    let plant = |name: &str, experiment: Experiment| {
        let Experiment { activations, optimizer, model, .. } = &experiment;
        let name = format!("healthy{name}: {model}, {}, {optimizer}", activations[0]);
        Plant { name, cause: None, experiment, harm: Harm::None }
    };
    let mut all = Vec::new();
    for activation in ["relu", "leaky-relu:0.1", "prelu", "elu", "selu", "gelu", "silu", "mish", "tanh"] {
        for optimizer in [Sgd, Momentum, Adam, AdamW] {
            // At the default rates these diverge within 21 steps: no healthy trainings, whatever was meant.
            if ["elu", "selu"].contains(&activation) && [Sgd, Momentum].contains(&optimizer) {
                continue;
            }
            all.push(plant("", experiment(activation, optimizer)));
        }
    }
    for activation in ["relu", "tanh", "gelu"] {
        for optimizer in [Sgd, Adam] {
            all.push(plant("", Experiment { model: ModelKind::Cnn, ..experiment(activation, optimizer) }));
        }
    }
    // PyTorch's default is none of them: in 128 steps of five layers it gets no further than 92 % of guessing's loss.
    for init in [Init::Orthogonal, Init::HeUniform, Init::LecunNormal] {
        all.push(plant(&format!(" {init}"), Experiment { init, ..experiment("relu", Sgd) }));
    }
    for activation in ["relu", "leaky-relu:0.1", "gelu", "relu:bsilu"] {
        all.push(plant(" 64,64,64", Experiment { hidden: Some(vec![64; 3]), ..experiment(activation, Adam) }));
    }
    for clip_norm in [1.0, 10.0] {
        all.push(plant(
            &format!(" clip {clip_norm}"),
            Experiment { clip_norm: Some(clip_norm), ..experiment("relu", Sgd) },
        ));
    }
    for weight_decay in [1e-4, 1e-2] {
        all.push(plant(&format!(" decay {weight_decay}"), Experiment { weight_decay, ..experiment("relu", AdamW) }));
    }
    all
}
