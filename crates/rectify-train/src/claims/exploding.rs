//! `exploding`: accumulated gradients explode and unsettle training.

use std::ops::Range;

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic, geometric,
    lab::{ClaimError, Lab, seeds_in_words, with_test, without_test},
    theory::{Function, MeanField, RELU, TANH},
};
use crate::{
    data::DeviceDataset,
    experiment::{Experiment, Init, ProbeEvery},
    judge::statistics::hidden,
    judge::verdict::{Direction, Hypothesis},
    record::{Run, Status},
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "exploding",
    statement: "Gradients accumulated over layers explode and unsettle training; clipping, He initialisation or a lower \
                learning rate cure it.",
    source: "Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks, §2 and §3; He \
             et al. 2015, Delving deep into rectifiers, §2.2",
    parts: &[&GROWTH, &DIVERGENCE, &CURED],
    run,
};

static GROWTH: Part = Part {
    quantity: "RMS of the gradient at the first hidden layer's pre-activations over that at the last's, before training",
    unit: "ratio",
    null_hypothesis: "Gradients are as large at the first layer as at the last.",
    hypothesis: Hypothesis::ratio(Direction::Above, 10.0),
    why: "The same factor at which a gradient counts as vanished.",
};
static DIVERGENCE: Part = Part {
    quantity: "trainings with a large initial gain that diverge or end no better than guessing",
    unit: "fraction",
    null_hypothesis: "At most one in four fails.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.25),
    why: "One lost training in four is more than anyone works with. Three failures of three show more than that; it \
          takes thirteen trainings without a failure to show less.",
};
static CURED: Part = Part {
    quantity: "the same trainings with one cure applied that still fail",
    unit: "fraction",
    null_hypothesis: "Half of them or more still fail.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 0.5),
    why: "A cure helps more often than not. Six seeds without a failure are the least that can show that.",
};

/// One setting over its seeds.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Activation, gain and rate, such as `relu, gain 2, rate 0.1`; for a cure, which.
    pub condition: String,
    /// RMS of the gradient at the first and at the last hidden layer's pre-activations, a pair a seed.
    pub gradients: Vec<(f64, f64)>,
    /// Whether each seed's training diverged or ended no better than guessing.
    pub failed: Vec<bool>,
}

/// The evidence from settings with a large gain, and from the same with a cure.
pub fn conditions(large_gain: &[Measured], cured: &[Measured]) -> Vec<Condition> {
    let growth = large_gain.iter().map(|m| {
        let ratios = m.gradients.iter().map(|(first, last)| first / last).collect();
        Condition::new(&GROWTH, format!("{}, gradient", m.condition), ratios)
    });
    let failures =
        large_gain.iter().map(|m| Condition::proportion(&DIVERGENCE, format!("{}, training", m.condition), &m.failed));
    let cured = cured.iter().map(|m| Condition::proportion(&CURED, &m.condition, &m.failed));
    growth.chain(failures).chain(cured).collect()
}

const WIDTH: usize = 128;
const LAYERS: usize = 10;
/// Initial weights as multiples of those that keep a signal: N(0, 2 / n) for ReLU (He et al. 2015), N(0, 1 / n) for
/// tanh, where n is the width of a hidden layer.
const GAINS: [f64; 4] = [1.0, 1.5, 2.0, 3.0];
/// The gain that is judged.
const LARGE: f64 = 2.0;
const RATES: [f64; 3] = [0.01, 0.1, 1.0];
/// The rate that is judged: the ordinary one.
const RATE: f64 = 0.1;
const ACTIVATIONS: [(&str, f64, Function); 2] = [("relu", 2.0, RELU), ("tanh", 1.0, TANH)];
/// Largest norm of the clipped gradient, as in Pascanu, Mikolov and Bengio's experiments, and the lower rate.
const CLIP_NORM: f64 = 1.0;
const LOWER_RATE: f64 = 0.001;

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    // Thirteen trainings without a failure are the least that can show less than one failure in four.
    let seeds = 0..lab.choose(3, 13, 20);
    let std = |keeping: f64, gain: f64| gain * (keeping / WIDTH as f64).sqrt();
    let setting = |keeping: f64, gain: f64, rate: f64| Experiment {
        hidden: Some(vec![WIDTH; LAYERS]),
        init: Init::Normal(std(keeping, gain)),
        lr: Some(rate),
        train_size: lab.choose(Some(1000), Some(10_000), Some(20_000)),
        epochs: Some(lab.choose(1, 2, 5)),
        ..lab.experiment()
    };
    let cures: [(&str, fn(Experiment) -> Experiment); 3] = [
        ("clipped", |experiment| Experiment { clip_norm: Some(CLIP_NORM), ..experiment }),
        ("auto initialisation", |experiment| Experiment { init: Init::Auto, ..experiment }),
        ("rate 0.001", |experiment| Experiment { lr: Some(LOWER_RATE), ..experiment }),
    ];

    // Setting by setting, all seeds of each.
    let mut settings: Vec<(String, &str, Experiment)> = Vec::new();
    for (name, keeping, _) in ACTIVATIONS {
        for gain in GAINS {
            let rates = if gain == LARGE { &RATES[..] } else { &[RATE] };
            for &rate in rates {
                settings.push((format!("{name}, gain {gain}, rate {rate}"), name, setting(keeping, gain, rate)));
            }
        }
        for (words, cure) in &cures {
            let experiment = cure(setting(keeping, LARGE, RATE));
            settings.push((format!("{name}, gain {LARGE}, {words}"), name, experiment));
        }
    }
    let trainings: Vec<Training> =
        settings.iter().flat_map(|(_, name, experiment)| lab.trainings(experiment, &[name], seeds.clone())).collect();
    let tested = lab.choose(1000, 2000, 10_000);
    let guessing = guessing(&with_test(&lab.data(&setting(1.0, 1.0, RATE))?, tested));
    let runs = lab.side_by_side(&trainings, &|training| {
        let data = with_test(&lab.data(&training.experiment)?, tested);
        Ok(lab.train(lab.network(training, &data), training, &data, &mut |_| {})?.1)
    })?;
    let initial = initial_gradients(lab, &seeds, &setting)?;
    let gradients_of = |name: &str, gain: f64| -> &[Vec<f64>] {
        let activation = ACTIVATIONS.iter().position(|(other, ..)| *other == name);
        let gain = GAINS.iter().position(|other| *other == gain);
        let (activation, gain) = activation.zip(gain).expect("only settings that were run are asked for");
        &initial[activation * GAINS.len() + gain]
    };
    let of = |condition: &str| -> &[Run] {
        let place = settings.iter().position(|(name, ..)| name == condition);
        let place = place.expect("only settings that were run are asked for");
        let count = (seeds.end - seeds.start) as usize;
        &runs[place * count..][..count]
    };
    let failed = |run: &Run| {
        run.status == Status::Diverged
            || run.last().and_then(|epoch| epoch.test_accuracy).is_none_or(|accuracy| accuracy <= guessing)
    };
    let measure = |condition: String, gradients: &[Vec<f64>]| Measured {
        gradients: gradients.iter().map(|profile| first_and_last(profile)).collect(),
        failed: of(&condition).iter().map(failed).collect(),
        condition,
    };
    let names = ACTIVATIONS.map(|(name, ..)| name);
    let large = names.map(|name| measure(format!("{name}, gain {LARGE}, rate {RATE}"), gradients_of(name, LARGE)));
    let cured: Vec<Measured> = names
        .iter()
        .flat_map(|name| cures.iter().map(move |(words, _)| format!("{name}, gain {LARGE}, {words}")))
        .map(|condition| measure(condition, &[]))
        .collect();

    let gradients = ACTIVATIONS.iter().map(|(name, keeping, function)| {
        let by_layer = GAINS.iter().flat_map(|gain| {
            let predicted = predicted_profile(*function, keeping * gain * gain);
            gradient_curves(&format!("gain {gain}"), gradients_of(name, *gain), predicted)
        });
        Figure {
            title: format!("{name}: gradient of the pre-activations before training, relative to the last layer's"),
            x: "layer".to_owned(),
            y: "relative RMS".to_owned(),
            log_y: true,
            series: by_layer.collect(),
            ..Figure::default()
        }
    });
    let failures = |conditions: Vec<(f64, String)>| {
        conditions.into_iter().map(|(x, condition)| {
            let failed: Vec<f64> = of(&condition).iter().map(|run| f64::from(u8::from(failed(run)))).collect();
            (x, vec![arithmetic(&failed)])
        })
    };
    let by_gain = names.map(|name| {
        let at = GAINS.iter().map(|gain| (*gain, format!("{name}, gain {gain}, rate {RATE}")));
        Curve::measured(name, arithmetic, failures(at.collect()))
    });
    let by_rate = names.map(|name| {
        let at = RATES.iter().map(|rate| (*rate, format!("{name}, gain {LARGE}, rate {rate}")));
        Curve::measured(name, arithmetic, failures(at.collect()))
    });
    let failure_figure = |title: String, x: &str, log_x, series: [Curve; 2]| Figure {
        title,
        x: x.to_owned(),
        y: "fraction of trainings that failed".to_owned(),
        log_x,
        series: series.to_vec(),
        ..Figure::default()
    };
    let figures = gradients.chain([
        failure_figure(format!("Failures at rate {RATE}"), "gain", false, by_gain),
        failure_figure(format!("Failures with gain {LARGE}"), "learning rate", true, by_rate),
    ]);
    Ok(Outcome {
        figures: figures.collect(),
        conditions: conditions(&large, &cured),
        what_was_run: format!(
            "{}; gains {GAINS:?}, rates {RATES:?}; a training fails where it diverges or its test accuracy is at most \
             {guessing:.3}; {}",
            Training::describe(&setting(ACTIVATIONS[0].1, LARGE, RATE)),
            seeds_in_words(&seeds)
        ),
    })
}

/// The accuracy of always naming the most frequent class, with four standard errors: above it a network knows something.
fn guessing(data: &DeviceDataset) -> f64 {
    let labels: Vec<i64> = data.test.labels().into_data().iter().collect();
    let count = |class: usize| labels.iter().filter(|label| **label == class as i64).count();
    let share = (0..data.classes).map(count).max().unwrap_or(0) as f64 / labels.len() as f64;
    share + 4.0 * (share * (1.0 - share) / labels.len() as f64).sqrt()
}

/// RMS of the gradient at each hidden layer's pre-activations before training: by activation and gain, by seed.
fn initial_gradients(
    lab: &Lab,
    seeds: &Range<u64>,
    setting: &dyn Fn(f64, f64, f64) -> Experiment,
) -> Result<Vec<Vec<Vec<f64>>>, ClaimError> {
    let mut trainings = Vec::new();
    for (name, keeping, _) in ACTIVATIONS {
        for gain in GAINS {
            let settings = setting(keeping, gain, RATE);
            let size = settings.train_size.map(|size| size.min(2000));
            let experiment =
                Experiment { epochs: Some(0), probe_every: ProbeEvery::Epoch, train_size: size, ..settings };
            trainings.extend(lab.trainings(&experiment, &[name], seeds.clone()));
        }
    }
    let profiles = lab.side_by_side(&trainings, &|training| {
        let data = without_test(&lab.data(&training.experiment)?);
        let (_, run) = lab.train(lab.network(training, &data), training, &data, &mut |_| {})?;
        let layers = run.epochs.first().map(hidden).unwrap_or_default();
        Ok(layers.iter().map(|layer| layer.preactivation_grad_rms.unwrap_or(f64::NAN)).collect())
    })?;
    let count = (seeds.end - seeds.start) as usize;
    Ok(profiles.chunks(count).map(<[Vec<f64>]>::to_vec).collect())
}

/// The first and the last of a profile.
fn first_and_last(profile: &[f64]) -> (f64, f64) {
    (profile.first().copied().unwrap_or(f64::NAN), profile.last().copied().unwrap_or(f64::NAN))
}

/// What mean-field theory says of the gradients, relative to the last layer's.
fn predicted_profile(function: Function, weight_variance: f64) -> Vec<f64> {
    let network = MeanField { function, weight_variance, bias_variance: 0.0 };
    // All layers' weights have the same deviation, so the first one's σw² is larger by its fan-in of 784.
    network.gradient_profile(&network.variances(weight_variance * 784.0 / WIDTH as f64, LAYERS))
}

/// The measured and the predicted gradient by layer.
fn gradient_curves(label: &str, profiles: &[Vec<f64>], predicted: Vec<f64>) -> [Curve; 2] {
    let at = |layer: usize| {
        let relative = profiles.iter().filter_map(|profile| Some(profile.get(layer)? / profile.last()?));
        ((layer + 1) as f64, relative.collect())
    };
    let theory = predicted.into_iter().enumerate().map(|(layer, value)| ((layer + 1) as f64, value));
    [Curve::measured(label, geometric, (0..LAYERS).map(at)), Curve::predicted(label, theory)]
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn verdict(growth: f64, failed: bool, still_failing: bool, seeds: usize) -> Verdict {
        let measured = |failed| Measured {
            condition: "made".to_owned(),
            gradients: around(growth).map(|first| (first, 1.0)).to_vec(),
            failed: vec![failed; seeds],
        };
        CLAIM.judge(conditions(&[measured(failed)], &[measured(still_failing)])).verdict
    }

    #[test]
    fn explosions_that_can_be_cured_confirm_and_their_reverse_refutes() {
        assert_eq!(verdict(1e4, true, false, 6), Verdict::Confirmed);
        assert_eq!(verdict(0.1, false, true, 13), Verdict::Refuted);
        // Gradients as large at both ends, and training that works.
        assert_eq!(verdict(1.0, false, false, 20), Verdict::Qualified);
        // Explosions that nothing cures.
        assert_eq!(verdict(1e4, true, true, 12), Verdict::Qualified);
    }

    #[test]
    fn three_seeds_without_a_failure_do_not_show_a_cure() {
        assert_eq!(verdict(1e4, true, false, 3), Verdict::NotSettled);
    }
}
