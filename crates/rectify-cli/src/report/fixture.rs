//! Made results, for tests.

use rectify_train::{
    experiment::Experiment,
    record::{
        Confusion, Environment, Epoch, Estimate, Histogram, Interval, Layer, PairedDifference, Results, Run,
        SCHEMA_VERSION, Status, Summary,
    },
};

/// Made results: `epochs` after epoch 0, `layers` hidden layers and an output layer.
pub(crate) fn results(activations: &[&str], layers: usize, epochs: usize, seeds: u64) -> Results {
    let estimate = |mean: f64| {
        let half = (seeds > 1).then_some(0.01 * mean.abs());
        Some(Estimate {
            mean,
            std: half,
            low: half.map(|half| mean - half),
            high: half.map(|half| mean + half),
            confidence: 0.95,
        })
    };
    let summary = activations.iter().enumerate().map(|(index, name)| Summary {
        activation: (*name).to_owned(),
        seeds: seeds as usize,
        diverged: 0,
        interrupted: 0,
        test_accuracy: estimate(0.97 - 0.01 * index as f64),
        validation_accuracy: estimate(0.96),
        seconds_per_epoch: estimate(1.5),
        gradient_ratio_start: estimate(0.1f64.powi(index as i32)),
        gradient_ratio: estimate(0.5 * 0.1f64.powi(index as i32)),
        zero_fraction: estimate(0.5),
        dead_fraction: estimate(0.01),
        saturated_fraction: if index == 0 { None } else { estimate(0.1) },
    });
    let paired_differences = activations.iter().enumerate().skip(1).map(|(index, name)| PairedDifference {
        activation: (*name).to_owned(),
        baseline: activations[0].to_owned(),
        seeds: seeds as usize,
        test_accuracy: estimate(-0.01 * index as f64).expect("it always gives an estimate"),
        two_best: index == 1,
        p_value: Some(0.001),
        adjusted_p_value: Some(0.002),
        interval: Some(Interval {
            low: -0.01 * index as f64 - 1e-4,
            high: -0.01 * index as f64 + 1e-4,
            confidence: 0.975,
        }),
    });
    let run = |(index, name): (usize, &&str), seed: u64| Run {
        activation: (*name).to_owned(),
        seed,
        status: Status::Completed,
        diverged_at_step: None,
        divergence: None,
        kept_epoch: None,
        wall_seconds: 4.2,
        steps: 400 * epochs,
        parameters: 168_330,
        epochs: (0..=epochs).map(|at| epoch(index, seed, at, layers, at == 0 || at == epochs)).collect(),
        probes: Vec::new(),
        confusion: Some(confusion(index)),
    };
    Results {
        tuning: Vec::new(),
        ranking: Vec::new(),
        schema_version: SCHEMA_VERSION,
        data: None,
        environment: Environment {
            rectify: "0.1.0".to_owned(),
            burn: "0.22.1".to_owned(),
            backend: "flex".to_owned(),
            adapter: None,
            cpu: "a processor".to_owned(),
            threads: 2,
        },
        experiment: Experiment {
            hidden: Some(vec![128; layers]),
            epochs: Some(epochs),
            seeds: seeds as usize,
            ..Experiment::default()
        },
        runs: activations.iter().enumerate().flat_map(|name| (0..seeds).map(move |seed| run(name, seed))).collect(),
        summary: summary.collect(),
        paired_differences: paired_differences.collect(),
    }
}

/// All is right but for some of 4, which are taken for 9.
fn confusion(activation: usize) -> Confusion {
    let wrong = |class, taken| if (class, taken) == (4, 9) { 3 + activation } else { 0 };
    let count = |class, taken| if class == taken { 100 - wrong(class, 9) } else { wrong(class, taken) };
    Confusion {
        classes: (0..10).map(|class| class.to_string()).collect(),
        counts: (0..10).map(|class| (0..10).map(|taken| count(class, taken)).collect()).collect(),
    }
}

fn epoch(activation: usize, seed: u64, at: usize, layers: usize, with_histogram: bool) -> Epoch {
    let progress = 1.0 / (1.0 + at as f64) + 0.02 * seed as f64 + 0.1 * activation as f64;
    let layer = |index: usize| {
        let to_output = (layers - index) as i32;
        let output = index == layers;
        let bump = |bin: usize| (1000.0 * (-(bin as f64 / 40.0 - 0.1 * activation as f64).powi(2) * 9.0).exp()) as u64;
        Layer {
            layer: if output { "output".to_owned() } else { format!("hidden.{index}") },
            units: if output { 10 } else { 128 },
            weight_grad_rms: Some(1e-3 * (0.9 - 0.2 * activation as f64).abs().powi(to_output)),
            preactivation_grad_rms: Some(1e-5 * (0.9 - 0.2 * activation as f64).abs().powi(to_output)),
            activation_mean: Some(0.3 + 0.1 * activation as f64),
            activation_std: Some(0.5),
            zero_fraction: (!output).then_some(if activation == 0 { 0.5 + 0.02 * at as f64 } else { 0.0 }),
            dead_fraction: (!output).then_some(if activation == 0 { 0.02 * index as f64 } else { 0.0 }),
            saturated_fraction: (!output && activation > 0).then_some(0.1 * index as f64 / layers as f64),
            histogram: with_histogram.then(|| Histogram {
                low: -1.0,
                high: 1.0 + 0.3 * index as f64,
                counts: (0..40).map(bump).collect(),
            }),
            ..Layer::default()
        }
    };
    Epoch {
        epoch: at,
        step: 400 * at,
        seconds: if at == 0 { 0.0 } else { 1.5 },
        train_loss: Some(2.3 * progress),
        validation_loss: Some(2.4 * progress),
        validation_accuracy: Some(1.0 - 0.9 * progress.min(1.0)),
        test_loss: Some(2.4 * progress),
        test_accuracy: Some(1.0 - 0.89 * progress.min(1.0)),
        layers: (0..=layers).map(layer).collect(),
        ..Epoch::default()
    }
}
