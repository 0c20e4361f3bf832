//! What an experiment says of its settings before anything runs.

use burn::{module::Module, tensor::Device};
use rectify_train::{
    experiment::{Dtype, Experiment, Init, ModelKind, NormKind, OptimizerKind, ProbeEvery, Schedule},
    network::{Model, Shape},
};

fn reason(experiment: Experiment) -> String {
    experiment.resolve().expect_err("it is refused").to_string()
}

fn with(activations: &[&str]) -> Experiment {
    let activations = activations.iter().map(|name| name.parse().expect("the name is known")).collect();
    Experiment { activations, ..Experiment::default() }
}

#[test]
fn words_are_read_whatever_their_spelling_and_written_in_one() {
    for (text, word) in [("Adam", "adam"), (" ADAM_W", "adamw"), ("sgd-momentum", "momentum"), ("SGD", "sgd")] {
        assert_eq!(text.parse::<OptimizerKind>().map(|optimizer| optimizer.to_string()), Ok(word.to_owned()));
    }
    for (text, word) in [("Float32", "f32"), ("double", "f64"), ("fp16", "f16"), ("half", "f16"), ("BFloat16", "bf16")]
    {
        assert_eq!(text.parse::<Dtype>().map(|dtype| dtype.to_string()), Ok(word.to_owned()));
    }
    for (text, word) in [
        ("He-Normal", "he-normal"),
        ("kaiming_uniform", "he-uniform"),
        ("glorot normal", "xavier-normal"),
        ("PyTorch-default", "torch-default"),
        ("Normal: 0.10", "normal:0.1"),
        ("RAI", "randomized-asymmetric"),
    ] {
        assert_eq!(text.parse::<Init>().map(|init| init.to_string()), Ok(word.to_owned()));
    }
    assert_eq!("MLP".parse(), Ok(ModelKind::Mlp));
    assert_eq!("Epoch".parse(), Ok(ProbeEvery::Epoch));
    for name in Init::names().into_iter().filter(|name| !name.contains(':')) {
        assert_eq!(name.parse::<Init>().map(|init| init.to_string()), Ok(name.to_owned()));
    }
}

#[test]
fn an_unknown_word_is_told_with_what_may_be_meant() {
    for (found, start) in [
        ("adm".parse::<OptimizerKind>().map(drop), "unknown optimizer `adm`; did you mean `adam`"),
        ("nesterov".parse::<OptimizerKind>().map(drop), "unknown optimizer `nesterov`; did you mean `momentum`? known"),
        ("lbfgs".parse::<OptimizerKind>().map(drop), "unknown optimizer `lbfgs`; known are sgd, momentum, adam, adamw"),
        ("LeNet".parse::<ModelKind>().map(drop), "unknown model `LeNet`; did you mean `cnn`? known are mlp, cnn"),
        ("float".parse::<Dtype>().map(drop), "unknown dtype `float`; did you mean `f32` or `f64`?"),
        (
            "kaiming".parse::<Init>().map(drop),
            "unknown initialisation `kaiming`; did you mean `he-normal` or `he-uniform`?",
        ),
        (
            "glorot".parse::<Init>().map(drop),
            "unknown initialisation `glorot`; did you mean `xavier-normal` or `xavier-uniform`?",
        ),
        ("normal".parse::<Init>().map(drop), "unknown initialisation `normal`; did you mean `normal:0.01`?"),
        ("he-normal:2".parse::<Init>().map(drop), "`he-normal:2`: `he-normal` takes no parameter"),
    ] {
        let reason = found.expect_err(start);
        assert!(reason.starts_with(start), "{reason}");
    }
}

#[test]
fn what_has_no_effect_is_known_and_left_out_of_what_is_recorded() {
    let momentum = Experiment { momentum: Some(0.5), ..Experiment::default() };
    let idle = momentum.without_effect();
    assert_eq!(idle.len(), 1);
    assert_eq!(idle[0].to_string(), "momentum: 0.5 has no effect with optimizer sgd; `momentum` uses it");
    assert_eq!(momentum.resolve().unwrap().momentum, None);

    let used = Experiment { momentum: Some(0.5), optimizer: OptimizerKind::Momentum, ..Experiment::default() };
    assert_eq!(used.without_effect(), []);
    assert_eq!(used.resolve().unwrap().momentum, Some(0.5));
    let default = Experiment { optimizer: OptimizerKind::Momentum, ..Experiment::default() };
    assert_eq!(default.resolve().unwrap().momentum, Some(0.9));

    let both = Experiment { epochs: Some(2), steps: Some(3), ..Experiment::default() };
    assert_eq!(both.without_effect()[0].field, "epochs");
    let both = both.resolve().unwrap();
    assert_eq!((both.epochs, both.steps), (None, Some(3)));
    assert_eq!(both.without_effect(), []);
    assert_eq!(Experiment::default().without_effect(), []);
    assert_eq!(Experiment::default().resolve().unwrap().epochs, Some(5));
}

#[test]
fn a_comparison_needs_functions_that_differ_and_a_network_that_has_them() {
    let flat = |activations| Experiment { hidden: Some(Vec::new()), ..with(activations) };
    assert!(reason(flat(&["relu", "tanh"])).starts_with("hidden: without hidden layers the network has no activation"));
    assert!(flat(&["none"]).resolve().is_ok());
    let convolutions = Experiment { model: ModelKind::Cnn, ..flat(&["relu", "tanh"]) };
    assert!(convolutions.resolve().is_ok(), "they have activations");

    assert_eq!(reason(with(&["relu", "ReLU"])), "activations: `relu` is named twice");
    for (one, other) in [("leaky-relu", "leaky-relu:0.01"), ("relu", "relu:heaviside=0"), ("elu:2", "elu:2.0")] {
        let expected = format!("activations: `{one}` and `{other}` are the same function");
        assert_eq!(reason(with(&[one, other])), expected);
    }
    assert!(with(&["relu", "leaky-relu:0.1", "relu:leaky=0.1", "prelu:0.1"]).resolve().is_ok());
    let reason = reason(with(&["bent = max(x, 0.2*x)", "bent = max(x, 0.1*x)"]));
    assert_eq!(reason, "activations: two formulas have the name `bent`; give each its own");
}

#[test]
fn numbers_that_the_dtype_does_not_hold_are_refused() {
    let half = |experiment| Experiment { dtype: Dtype::F16, ..experiment };
    for (experiment, expected) in [
        (half(Experiment { bias_init: Some(1e5), ..Experiment::default() }), "bias_init: 1e5 is beyond f16"),
        (half(Experiment { bias_init: Some(-1e-9), ..Experiment::default() }), "bias_init: -1e-9 is 0 in f16"),
        (half(Experiment { init: Init::Normal(1e6), ..Experiment::default() }), "init: 1e6 is beyond f16"),
        (half(with(&["softplus:1e-8"])), "activations: `softplus:1e-8`: 1e-8 is 0 in f16"),
        (half(with(&["relu:nelu=1e-9"])), "activations: `relu:nelu=1e-9`: 1e-9 is 0 in f16"),
        (with(&["leaky-relu:1e39"]), "activations: `leaky-relu:1e39`: 1e39 is beyond f32"),
        (Experiment { lr: Some(1e-50), ..Experiment::default() }, "lr: 1e-50 is 0 in f32"),
        (Experiment { lr: Some(1e50), ..Experiment::default() }, "lr: 1e50 is beyond f32"),
        (Experiment { weight_decay: 1e-50, ..Experiment::default() }, "weight_decay: 1e-50 is 0 in f32"),
        (Experiment { clip_norm: Some(1e-50), ..Experiment::default() }, "clip_norm: 1e-50 is 0 in f32"),
        (
            Experiment { init: Init::Normal(1e50), dtype: Dtype::F64, ..Experiment::default() },
            "init: 1e50 is beyond f32",
        ),
    ] {
        let reason = reason(experiment);
        assert!(reason.starts_with(expected), "{reason}");
    }
    // Steps are taken in f32 at least, whatever the weights are.
    assert!(half(Experiment { lr: Some(1e-9), ..Experiment::default() }).resolve().is_ok());
    assert!(Experiment { lr: Some(1e-50), dtype: Dtype::F64, ..Experiment::default() }.resolve().is_ok());
    assert!(half(Experiment { init: Init::Normal(0.0), bias_init: Some(0.0), ..with(&["prelu:0"]) }).resolve().is_ok());
}

#[test]
fn what_stands_around_layers_is_checked() {
    for (experiment, expected) in [
        (Experiment { dropout: 1.0, ..Experiment::default() }, "dropout: must be in 0..1, got 1"),
        (Experiment { dropout: -0.1, ..Experiment::default() }, "dropout: must be in 0..1, got -0.1"),
        (Experiment { dropout: f64::NAN, ..Experiment::default() }, "dropout: must be in 0..1, got NaN"),
        (
            Experiment { norm: NormKind::Batch, threads: 2, ..Experiment::default() },
            "norm: `batch` takes the mean and variance of a whole batch, which 2 threads share",
        ),
        (Experiment { norm: NormKind::Batch, batch_size: 1, ..Experiment::default() }, "norm: `batch` takes mean"),
        (
            Experiment { norm: NormKind::Layer, hidden: Some(vec![4, 1]), ..Experiment::default() },
            "norm: a layer of 1 unit, normalised over itself, is 0",
        ),
    ] {
        let reason = reason(experiment);
        assert!(reason.starts_with(expected), "{reason}");
    }
    let idle = |experiment: Experiment| -> Vec<&'static str> {
        let fields = experiment.without_effect().iter().map(|idle| idle.field).collect();
        assert_eq!(experiment.resolve().unwrap().without_effect(), [], "left out of what is recorded");
        fields
    };
    let around = Experiment { residual: true, dropout: 0.1, norm: NormKind::Batch, ..with(&["relu"]) };
    assert_eq!(idle(around.clone()), [""; 0]);
    assert_eq!(idle(Experiment { model: ModelKind::Cnn, ..around.clone() }), ["residual"], "120, 84");
    assert_eq!(idle(Experiment { hidden: Some(Vec::new()), ..around }), ["residual", "dropout", "norm"]);
    for (text, schedule) in [("Cosine", Schedule::Cosine), ("none", Schedule::Constant)] {
        assert_eq!(text.parse(), Ok(schedule));
    }
    assert_eq!("batch-norm".parse(), Ok(NormKind::Batch));
}

#[test]
fn as_many_seeds_as_nobody_means_are_refused_at_once() {
    for seeds in [usize::MAX, 100_001] {
        let reason = reason(Experiment { seeds, ..Experiment::default() });
        assert_eq!(reason, format!("seeds: at most 100000, got {seeds}"));
    }
    assert!(Experiment { seeds: 100_000, ..Experiment::default() }.check().is_ok());
}

#[test]
fn a_network_that_no_memory_holds_is_refused_before_it_is_built() {
    let shape = Shape { channels: 1, height: 28, width: 28, classes: 10 };
    let huge = Experiment { hidden: Some(vec![1 << 16; 1000]), ..Experiment::default() };
    let reason = huge.fits(shape, 1000).expect_err("17 terabytes").to_string();
    assert!(reason.starts_with("hidden: 4290") && reason.contains(" GiB"), "{reason}");
    let batch = Experiment { hidden: Some(vec![1; 1000]), batch_size: usize::MAX, ..Experiment::default() };
    assert!(batch.fits(shape, usize::MAX / 2000).is_err(), "a batch is an allocation, too");
    assert!(batch.fits(shape, 1000).is_ok(), "a batch is no larger than the training set");
    for (model, hidden) in [(ModelKind::Mlp, vec![7, 5]), (ModelKind::Cnn, vec![]), (ModelKind::Cnn, vec![6])] {
        let experiment = Experiment { model, hidden: Some(hidden), ..Experiment::default() };
        let network = Model::new(&experiment, &experiment.activations[0], shape, 0, &Device::flex());
        assert_eq!(experiment.parameters(shape), network.num_params() as u128, "{model}");
        let normalised = Experiment { norm: NormKind::Layer, ..experiment.clone() }.resolve().unwrap();
        let network = Model::new(&normalised, &experiment.activations[0], shape, 0, &Device::flex());
        assert_eq!(normalised.parameters(shape), network.num_params() as u128, "{model} with normalisation");
        assert!(experiment.fits(shape, 1000).is_ok());
    }
}

#[test]
fn notes_tell_what_does_less_than_was_asked_for_and_nothing_of_defaults() {
    let notes = |experiment: Experiment| experiment.resolve().unwrap().notes(500);
    assert!(notes(Experiment::default()).is_empty());
    assert!(Experiment::default().resolve().unwrap().notes(3).is_empty(), "128 samples a step is the default");
    // 500 samples are 4 steps an epoch, 5 epochs, 3 activations, 3 seeds.
    for (experiment, start) in [
        (Experiment { batch_size: 501, ..Experiment::default() }, "batch_size: 501 is more than the 500"),
        (Experiment { threads: 129, ..Experiment::default() }, "threads: 129 are more than the 128"),
        (Experiment { jobs: Some(10), ..Experiment::default() }, "jobs: 10 are more than the trainings"),
        (Experiment { patience: Some(5), ..Experiment::default() }, "patience: 5 epochs never end"),
        (Experiment { patience: Some(2), steps: Some(8), ..Experiment::default() }, "patience: 2 epochs never end"),
        (Experiment { probe_every: ProbeEvery::Steps(21), ..Experiment::default() }, "probe_every: a training has 20"),
        (
            Experiment { bias_init: Some(0.1), init: Init::TorchDefault, ..Experiment::default() },
            "bias_init: 0.1 takes the place of the biases that torch-default draws",
        ),
        (Experiment { hidden: Some(Vec::new()), ..with(&["tanh"]) }, "hidden: without hidden layers"),
    ] {
        let notes = notes(experiment);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].starts_with(start), "{notes:?}");
    }
    for experiment in [
        Experiment { batch_size: 500, threads: 500, jobs: Some(9), ..Experiment::default() },
        Experiment { patience: Some(4), probe_every: ProbeEvery::Steps(20), ..Experiment::default() },
        Experiment { patience: Some(2), steps: Some(9), ..Experiment::default() },
        Experiment { bias_init: Some(0.1), ..Experiment::default() },
        Experiment { hidden: Some(Vec::new()), ..with(&["none"]) },
    ] {
        assert_eq!(notes(experiment), Vec::<String>::new());
    }
}
