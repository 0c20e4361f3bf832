//! Which causes findings point to, and what is advised: each rule where it holds, and where it nearly does.

use rectify_train::{
    activation::Activation,
    experiment::{Experiment, Init},
    judge::diagnose::{Case, DETECTORS, diagnose},
    record::{GradientSample, InputSample, Layer, Run, Status},
};

use super::{
    made::TEN_CLASSES,
    network::{NOTHING, guessing, network},
};

/// What a case comes to: `cause (90 %) by detectors: remedy {settings}`.
fn explained(case: &Case) -> Vec<String> {
    let cause = |cause: &rectify_train::judge::diagnose::Cause| {
        let settings = cause.remedy.settings.to_string().trim().replace('\n', ", ");
        let (percent, by) = (100.0 * cause.confidence, cause.findings.join(" "));
        format!("{} ({percent:.0} %) by {by}: {} {{{settings}}}", cause.cause, cause.remedy.text)
    };
    diagnose(case, DETECTORS).causes.iter().map(cause).collect()
}

/// Of one of our networks, with these settings, that ends with so much of guessing's loss.
fn of(experiment: &Experiment, run: &Run, left: f64) -> Vec<String> {
    let losses = [left * guessing(); 400];
    explained(&Case { experiment: Some(experiment), data: Some(&TEN_CLASSES), losses: &losses, run })
}

/// The names alone.
fn names(causes: &[String]) -> Vec<&str> {
    causes.iter().map(|cause| cause.split(' ').next().expect("it begins with its name")).collect()
}

fn with_activation(activation: &str) -> Experiment {
    Experiment { activations: vec![activation.parse().expect("known")], ..Experiment::default() }
}

/// Three hidden layers at four looks.
fn layers(change: impl Fn(usize, usize, &mut Layer)) -> Run {
    network(4, 3, change)
}

/// Weights of so many times what keeps a signal's size, at every look.
fn gain(gain: f64) -> Run {
    layers(|_, _, layer| layer.weight_rms = Some(gain * 2f64.sqrt() / 8.0))
}

#[test]
fn where_nothing_is_wrong_there_is_no_cause() {
    let dormant = layers(|_, _, layer| layer.dormant_fraction = Some(0.9));
    assert_eq!(diagnose(&Case::of(&dormant), DETECTORS).findings.len(), 1);
    assert_eq!(explained(&Case::of(&dormant)), NOTHING);
}

#[test]
fn no_rate_is_blamed_for_numbers_that_were_not_finite_before_the_first_step() {
    let broken = |at: usize, activation: &str| {
        let run = layers(|look, _, layer| layer.nonfinite_gradients = u64::from(look >= at));
        let run = Run { status: Status::Diverged, activation: activation.to_owned(), ..run };
        explained(&Case { experiment: Some(&with_activation(activation)), ..Case::of(&run) })
    };
    let by = "not-finite-at-start (50 %) by divergence exploding-gradient:";
    assert_eq!(
        broken(0, "sqrt(x)"),
        [format!(
            "{by} make the formula and its derivative finite for whatever is put in, as with sqrt(abs(x) + 1e-6) {{}}"
        )]
    );
    let look = "look for what is not finite: an input, an initial weight, or what a function makes of them";
    assert_eq!(broken(0, "relu"), [format!("{by} {look} {{}}")]);
    assert_eq!(names(&broken(1, "sqrt(x)")), ["learning-rate-too-high"]);
}

#[test]
fn of_a_layer_that_stays_and_of_a_network_without_bends() {
    let frozen = layers(|_, i, layer| layer.update_to_weight_ratio = Some(if i == 1 { 0.0 } else { 1e-3 }));
    assert_eq!(
        of(&Experiment::default(), &frozen, 0.6),
        ["frozen-layer (90 %) by frozen-layer slow-learning: let the layer learn, or know why it does not {}"]
    );
    assert!(of(&Experiment::default(), &frozen, 0.1)[0].contains("by frozen-layer: let"));
    let linear = layers(|_, _, layer| layer.unit_nonzero_fraction = vec![1.0; 64]);
    assert_eq!(
        of(&Experiment::default(), &linear, 0.1),
        [
            "no-nonlinearity (83 %) by no-nonlinearity: let more than one side of the activation be used: smaller biases, \
          or inputs of mean 0 {}"
        ]
    );
    let identity = Run { activation: "none".to_owned(), ..layers(|_, _, layer| layer.weight_rms = Some(0.125)) };
    let put = "put an activation such as ReLU behind every hidden layer";
    assert_eq!(
        of(&with_activation("none"), &identity, 0.1),
        [format!("no-nonlinearity (83 %) by no-nonlinearity: {put} {{activations = [\"relu\"]}}")]
    );
    // Of a training that is not ours no setting is known.
    assert_eq!(explained(&Case::of(&identity)), [format!("no-nonlinearity (83 %) by no-nonlinearity: {put} {{}}")]);
}

#[test]
fn of_how_a_network_begins() {
    let init = |activation: &str| Init::Auto.resolve(&activation.parse::<Activation>().unwrap());
    assert_eq!(
        of(&Experiment::default(), &gain(0.15), 0.1),
        [format!(
            "initial-weights-too-small (94 %) by initial-scale: draw the initial weights by {} {{init = \"auto\"}}",
            init("relu")
        )]
    );
    assert_eq!(
        of(&Experiment::default(), &gain(2.5), 0.1),
        [format!(
            "initial-weights-too-large (90 %) by initial-scale: draw the initial weights by {} {{init = \"auto\"}}",
            init("relu")
        )]
    );
    let own = Run { activation: "of my own".to_owned(), ..gain(0.15) };
    assert_eq!(names(&explained(&Case::of(&own))), NOTHING, "what its function asks for is not known");
    let bias = |gain: f64| {
        layers(move |_, _, layer| {
            layer.weight_rms = Some(gain * 2f64.sqrt() / 8.0);
            layer.bias_rms = Some(1.5);
        })
    };
    assert_eq!(
        of(&Experiment::default(), &bias(1.0), 0.1),
        ["initial-bias (94 %) by initial-scale: begin with biases of 0 {bias_init = 0.0}"]
    );
    // Beside small weights any bias is large.
    assert_eq!(names(&of(&Experiment::default(), &bias(0.15), 0.1)), ["initial-weights-too-small"]);

    let unscaled = |mut run: Run| {
        run.epochs[0].inputs =
            Some(InputSample { samples: 9, mean: Some(0.5), std: Some(9.0), constant_fraction: 0.0 });
        run
    };
    assert_eq!(
        of(&Experiment::default(), &unscaled(layers(|_, _, _| {})), 0.1),
        ["inputs-unscaled (83 %) by data: standardise the inputs to mean 0 and deviation 1 {}"]
    );
    // They explain what else is amiss.
    assert_eq!(names(&of(&Experiment::default(), &unscaled(bias(1.0)), 0.1)), ["inputs-unscaled"]);
    assert_eq!(names(&of(&Experiment::default(), &unscaled(gain(2.5)), 0.1)), ["inputs-unscaled"]);
    let huge = layers(|look, _, layer| layer.update_to_weight_ratio = Some(if look == 2 { 0.5 } else { 1e-3 }));
    assert_eq!(names(&of(&Experiment::default(), &unscaled(huge), 0.1)), ["inputs-unscaled"]);
}

#[test]
fn of_steps_that_are_too_long_or_too_short() {
    let huge = layers(|look, _, layer| layer.update_to_weight_ratio = Some(if look == 2 { 0.5 } else { 1e-3 }));
    let lr = |lr: f64| Experiment { lr: Some(lr), ..Experiment::default() };
    let by = "learning-rate-too-high (68 %) by update-too-large: lower the learning rate";
    assert_eq!(of(&lr(0.3), &huge, 0.1), [format!("{by} to 0.1 {{lr = 0.1}}")]);
    assert_eq!(of(&lr(0.1), &huge, 0.1), [format!("{by} to 0.01 {{lr = 0.01}}")]);
    assert_eq!(of(&lr(0.05), &huge, 0.1), [format!("{by} to 0.005 {{lr = 0.005}}")]);
    assert_eq!(explained(&Case::of(&huge)), [format!("{by} by a factor of 10 {{}}")]);
    // A network that was broken when it began was not broken by the rate.
    let began = |gain: f64| {
        layers(move |look, _, layer| {
            layer.update_to_weight_ratio = Some(if look == 2 { 0.5 } else { 1e-3 });
            layer.weight_rms = Some(gain * 2f64.sqrt() / 8.0);
        })
    };
    assert_eq!(names(&of(&lr(0.1), &began(2.5), 0.1)), ["initial-weights-too-large"]);
    assert_eq!(names(&of(&lr(0.1), &began(0.15), 0.1)), ["initial-weights-too-small"]);

    let small = layers(|_, _, layer| layer.update_to_weight_ratio = Some(5e-5));
    let by = "learning-rate-too-low (90 %) by update-too-small slow-learning: raise the learning rate";
    assert_eq!(of(&lr(0.01), &small, 0.6), [format!("{by} to 0.1 {{lr = 0.1}}")]);
    assert_eq!(of(&lr(0.1), &small, 0.6), [format!("{by} to 1 {{lr = 1.0}}")]);
    assert!(of(&lr(0.1), &small, 0.98)[0].contains("by update-too-small not-learning:"));
    // The gradient's norm is 0.1 √3 over three layers: what clips it to a tenth of that, and no less, is to blame.
    let clipped = |clip_norm: f64| of(&Experiment { clip_norm: Some(clip_norm), ..lr(0.1) }, &small, 0.6);
    assert_eq!(
        clipped(0.017),
        [
            "clipping-too-tight (88 %) by update-too-small slow-learning: clip the gradient's norm at 10, or at what only \
          outliers reach, or not at all {clip_norm = 10.0}"
        ]
    );
    assert_eq!(names(&clipped(0.018)), ["learning-rate-too-low"]);
    // Steps that are long enough, clipped or not, on a loss that is high or not.
    let sound = layers(|_, _, _| {});
    let tight = Experiment { clip_norm: Some(0.01), ..lr(0.1) };
    assert_eq!(names(&of(&tight, &sound, 0.6)), ["clipping-too-tight"], "for it learns slowly");
    assert_eq!(names(&of(&tight, &sound, 0.98)), ["clipping-too-tight"], "or not at all");
    assert_eq!(of(&tight, &sound, 0.1), NOTHING);
    let half = layers(|look, _, layer| {
        layer.update_to_weight_ratio = Some(5e-5);
        layer.weight_grad_norm = Some(if look == 3 { 0.01 } else { 0.1 });
    });
    assert_eq!(names(&of(&tight, &half, 0.6)), ["learning-rate-too-low"], "at the last look nothing is clipped");
}

#[test]
fn of_weights_that_shrank() {
    let shrinks = |gain: f64| {
        layers(move |look, _, layer| {
            layer.weight_rms = Some(gain * 0.17 * if look == 3 { 0.4 } else { 1.0 });
        })
    };
    assert_eq!(
        of(&Experiment::default(), &shrinks(1.0), 0.1),
        [
            "weight-decay-too-strong (93 %) by weight-growth: lower the weight decay, to 0 to begin with {weight_decay = 0.0}"
        ]
    );
    assert_eq!(names(&of(&Experiment::default(), &shrinks(2.5), 0.1)), ["initial-weights-too-large"]);
}

#[test]
fn of_batches_that_are_too_small() {
    let mut noisy = layers(|_, _, layer| layer.batch_weight_grad_rms = Some(6e-3));
    for epoch in &mut noisy.epochs {
        epoch.gradient = Some(GradientSample { set: "batch".to_owned(), samples: 128, batch_size: 16 });
    }
    let larger = "use larger batches, such as 128, or lower the learning rate in proportion to their size";
    assert_eq!(
        of(&Experiment::default(), &noisy, 0.6),
        [format!("batch-too-small (88 %) by noisy-gradient slow-learning: {larger} {{batch_size = 128}}")]
    );
    // A rate that was made for large batches, with small ones, on a network that broke.
    let diverged = Run { status: Status::Diverged, ..layers(|_, _, _| {}) };
    let with = |batch_size, lr| {
        let experiment = Experiment { batch_size, lr: Some(lr), ..Experiment::default() };
        names(&explained(&Case { experiment: Some(&experiment), ..Case::of(&diverged) })).join(" ")
    };
    let (both, rate) = ("batch-too-small learning-rate-too-high", "learning-rate-too-high");
    assert_eq!((&*with(16, 0.1), &*with(17, 0.1)), (both, rate));
    assert_eq!((&*with(16, 0.0126), &*with(16, 0.0125), &*with(16, 0.11)), (both, rate, rate));
    let sound = layers(|_, _, _| {});
    let small = Experiment { batch_size: 2, ..Experiment::default() };
    assert_eq!(explained(&Case { experiment: Some(&small), ..Case::of(&sound) }), NOTHING, "it did not break");
}

#[test]
fn of_depth_and_of_flat_functions() {
    let first = |ratio: f64, activation: &str| Run {
        activation: activation.to_owned(),
        ..layers(move |_, i, layer| {
            layer.preactivation_grad_rms = Some(if i == 0 { ratio } else { 1.0 });
            // What `auto` draws for tanh and Xavier's for sigmoid are both 1 / √fan_in.
            layer.weight_rms = (activation == "relu").then_some(2f64.sqrt() / 8.0);
        })
    };
    let deep = Experiment { hidden: Some(vec![64; 3]), ..with_activation("relu") };
    let residual = "add the input of a layer to its output (residual connections), or use fewer layers";
    assert_eq!(
        of(&deep, &first(0.04, "relu"), 0.1),
        [format!("too-deep-for-activation (83 %) by initial-scale: {residual} {{residual = true}}")]
    );
    let has = Experiment { residual: true, ..deep.clone() };
    assert!(of(&has, &first(0.04, "relu"), 0.1)[0].ends_with(&format!("{residual} {{}}")));
    // A tenth is little where the network learns slowly, and no finding by itself.
    assert_eq!(names(&of(&deep, &first(0.09, "relu"), 0.6)), ["too-deep-for-activation"]);
    assert_eq!((of(&deep, &first(0.11, "relu"), 0.6).len(), of(&deep, &first(0.09, "relu"), 0.1).len()), (0, 0));
    assert_eq!(
        of(&with_activation("sigmoid"), &first(0.04, "sigmoid"), 0.1),
        ["too-deep-for-activation (83 %) by initial-scale: use ReLU, with the initialisation that goes with it \
          {activations = [\"relu\"], init = \"auto\"}"]
    );
    let xavier = Experiment { init: Init::XavierNormal, ..with_activation("sigmoid") };
    assert_eq!(
        of(&xavier, &first(0.04, "sigmoid"), 0.1),
        [
            "too-deep-for-activation (83 %) by initial-scale: draw the initial weights as the activation's own moments ask, \
          or use ReLU {init = \"auto\"}"
        ]
    );
    // One that does not begin soundly is not too deep.
    let biased = Run {
        activation: "sigmoid".to_owned(),
        ..layers(|_, i, layer| {
            (layer.preactivation_grad_rms, layer.weight_rms) = (Some(if i == 0 { 0.04 } else { 1.0 }), None);
            layer.bias_rms = Some(1.5);
        })
    };
    assert_eq!(names(&of(&with_activation("sigmoid"), &biased, 0.1)), ["initial-bias"]);

    let flat = Run {
        activation: "tanh".to_owned(),
        ..layers(|_, _, layer| (layer.saturated_fraction, layer.weight_rms) = (Some(0.9), Some(0.125)))
    };
    assert_eq!(
        of(&with_activation("tanh"), &flat, 0.1),
        [
            "learning-rate-too-high (68 %) by saturated-units: lower the learning rate to 0.01 {lr = 0.01}",
            "activation-saturates (4 %) by saturated-units: use ReLU, with the initialisation that goes with it \
             {activations = [\"relu\"], init = \"auto\"}"
        ]
    );
}

#[test]
fn of_labels_and_of_training_samples_learned_by_heart() {
    // by² = 2 over batches of 32: a noise scale of 8 / 6 of a batch.
    let noisy = |change: fn(&mut Layer)| {
        let mut run = layers(|look, _, layer| {
            layer.batch_weight_grad_rms = Some(2f64.sqrt() * 1e-3);
            if look == 3 {
                change(layer);
            }
        });
        for epoch in &mut run.epochs {
            epoch.gradient = Some(GradientSample { set: "batch".to_owned(), samples: 256, batch_size: 32 });
        }
        run
    };
    assert_eq!(
        of(&Experiment::default(), &noisy(|_| {}), 0.9),
        [
            "labels-do-not-fit-inputs (89 %) by data slow-learning: look at samples with their labels: they hardly depend on \
          each other {}"
        ]
    );
    // Another finding explains it better.
    let grown = noisy(|layer| layer.weight_rms = Some(1.0));
    assert_eq!(names(&of(&Experiment::default(), &grown, 0.9)), ["learning-rate-too-high"]);

    let mut overfits = layers(|_, _, _| {});
    for (epoch, validation) in overfits.epochs.iter_mut().zip([0.5, 0.2, 0.3, 0.4]) {
        (epoch.train_loss, epoch.validation_loss) = (Some(0.1), Some(validation));
    }
    assert_eq!(of(&Experiment::default(), &overfits, 0.1), NOTHING, "two epochs in a row are only told");
    overfits.epochs.push(overfits.epochs[3].clone());
    assert_eq!(
        of(&Experiment::default(), &overfits, 0.1),
        [
            "overfits (50 %) by overfitting: stop at the epoch with the best validation accuracy, or use more data {patience \
          = 2}"
        ]
    );
}
