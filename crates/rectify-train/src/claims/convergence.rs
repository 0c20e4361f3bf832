//! `convergence`: ReLU trains in less time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic, geometric,
    lab::{ClaimError, Lab, first, seeds_in_words, without_test},
};
use crate::{
    experiment::{Experiment, ModelKind},
    judge::verdict::{Direction, Hypothesis},
    train::{Event, evaluate, grid::Training},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "convergence",
    statement: "A network with ReLU reaches a given training loss in less time than one with sigmoid or tanh.",
    source: "Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep convolutional neural networks, \
             §3.1 and figure 1: six times fewer iterations than tanh to 25 % training error on CIFAR-10",
    parts: &[&STEPS, &SECONDS],
    run,
};

static STEPS: Part = Part {
    quantity: "steps to the training loss, sigmoid's or tanh's over ReLU's, each at its best learning rate",
    unit: "ratio",
    null_hypothesis: "They need the same number of steps.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.25),
    why: "Neighbours on the grid of learning rates differ by about as much, so less would say more about the grid than \
          about the activation. Krizhevsky's factor is 6.",
};
static SECONDS: Part = Part {
    quantity: "seconds to the training loss, sigmoid's or tanh's over ReLU's, each at its best learning rate",
    unit: "ratio",
    null_hypothesis: "They need the same time.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.25),
    why: "As for steps.",
};

/// How far one training was when it reached the loss; where it never did, how far it was when its budget ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Reached {
    /// Whether it reached the loss.
    pub reached: bool,
    /// Steps taken.
    pub steps: f64,
    /// Seconds of training.
    pub seconds: f64,
}

/// ReLU and another activation in one model.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Such as `tanh, cnn, mnist`.
    pub condition: String,
    /// (ReLU, the other), a pair a seed.
    pub trainings: Vec<(Reached, Reached)>,
}

/// The evidence under each condition.
///
/// Where only one of a pair reached the loss, the other's budget stands for what it would have needed: the ratio is then
/// a bound, on the side that makes the effect smaller. Where neither did, there is no ratio.
pub fn conditions(measured: &[Measured]) -> Vec<Condition> {
    let ratios = |m: &Measured, figure: fn(&Reached) -> f64| -> Vec<f64> {
        m.trainings
            .iter()
            .map(|(relu, other)| match relu.reached || other.reached {
                true => figure(other) / figure(relu),
                false => f64::NAN,
            })
            .collect()
    };
    let of = |part, name: &str, figure: fn(&Reached) -> f64| -> Vec<Condition> {
        measured.iter().map(|m| Condition::new(part, format!("{}, {name}", m.condition), ratios(m, figure))).collect()
    };
    [of(&STEPS, "steps", |training| training.steps), of(&SECONDS, "seconds", |training| training.seconds)].concat()
}

/// The grid of learning rates.
const RATES: [f64; 4] = [0.03, 0.1, 0.3, 1.0];
/// The training loss to reach, in nats a sample: about nine in ten training samples are right there.
const TARGET: f64 = 0.3;
/// Steps between two looks at the training loss, on a fixed sample of this size.
const LOOK_EVERY: usize = 10;
const LOSS_SAMPLE: usize = 500;
/// The seed that chooses the rate. It is not among those that are judged: the best of a grid on the same seed would be
/// better than the rate is.
const CHOOSING_SEED: u64 = 1000;
const ACTIVATIONS: [&str; 3] = ["relu", "sigmoid", "tanh"];

/// One training, and the loss on the way.
#[derive(Serialize, Deserialize)]
struct Descent {
    training: Reached,
    losses: Vec<(f64, f64)>,
}

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    let mlp = Experiment {
        hidden: Some(vec![128; 2]),
        epochs: Some(1),
        steps: Some(lab.choose(100, 2000, 10_000)),
        ..lab.experiment()
    };
    let cnn = Experiment {
        model: ModelKind::Cnn,
        hidden: None,
        batch_size: 32,
        steps: Some(lab.choose(20, 400, 4000)),
        ..mlp.clone()
    };
    let mut measured = Vec::new();
    let mut figures = Vec::new();
    let mut chosen = Vec::new();
    for dataset in lab.datasets() {
        for (model, experiment, seeds) in [("mlp", &mlp, lab.seeds()), ("cnn", &cnn, 0..lab.choose(2, 3, 10))] {
            let experiment = Experiment { dataset: (*dataset).to_owned(), ..experiment.clone() };
            let with_rate = |rate| Experiment { lr: Some(rate), ..experiment.clone() };
            let choosing: Vec<_> = RATES
                .into_iter()
                .flat_map(|rate| lab.trainings(&with_rate(rate), &ACTIVATIONS, CHOOSING_SEED..CHOOSING_SEED + 1))
                .collect();
            let tried = lab.side_by_side(&choosing, &|training| descend(lab, training))?;
            // The fewest steps; where no rate reaches the loss, the lowest loss.
            let rank = |i: usize, rate: usize| -> (f64, f64) {
                let descent = &tried[rate * ACTIVATIONS.len() + i];
                let last = descent.losses.last().map_or(f64::INFINITY, |(_, loss)| *loss);
                let lost = if last.is_finite() { last } else { f64::INFINITY };
                (if descent.training.reached { descent.training.steps } else { f64::INFINITY }, lost)
            };
            let rates: Vec<f64> = (0..ACTIVATIONS.len())
                .map(|i| {
                    let better = |a: &usize, b: &usize| rank(i, *a).partial_cmp(&rank(i, *b));
                    let best = (0..RATES.len()).min_by(|a, b| better(a, b).unwrap_or(std::cmp::Ordering::Equal));
                    RATES[best.unwrap_or(0)]
                })
                .collect();
            chosen.push(format!(
                "{model} on {dataset}: {}",
                ACTIVATIONS
                    .iter()
                    .zip(&rates)
                    .map(|(name, rate)| format!("{name} {rate}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ));

            let trainings: Vec<_> = seeds
                .clone()
                .flat_map(|seed| (0..ACTIVATIONS.len()).map(move |i| (seed, i)))
                .flat_map(|(seed, i)| lab.trainings(&with_rate(rates[i]), &ACTIVATIONS[i..=i], seed..seed + 1))
                .collect();
            let descents = lab.side_by_side(&trainings, &|training| descend(lab, training))?;
            let by_seed: Vec<&[Descent]> = descents.chunks(ACTIVATIONS.len()).collect();
            for (i, name) in ACTIVATIONS.iter().enumerate().skip(1) {
                measured.push(Measured {
                    condition: format!("{name}, {model}, {dataset}"),
                    trainings: by_seed.iter().map(|seed| (seed[0].training, seed[i].training)).collect(),
                });
            }
            let curves = ACTIVATIONS.iter().enumerate().map(|(i, name)| {
                let longest = by_seed.iter().map(|seed| seed[i].losses.len()).min().unwrap_or(0);
                let at = |look: usize| {
                    let step = by_seed.first().map_or(0.0, |seed| seed[i].losses[look].0);
                    (step, by_seed.iter().map(|seed| seed[i].losses[look].1).collect())
                };
                Curve::measured(format!("{name}, rate {}", rates[i]), geometric, (0..longest).map(at))
            });
            let last = descents.iter().filter_map(|descent| descent.losses.last()).map(|(step, _)| *step);
            let last = last.fold(0.0, f64::max);
            let goal = Curve { name: "the loss to reach".to_owned(), ..Curve::default() };
            figures.push(Figure {
                title: format!("Training loss, {model}, {dataset}"),
                x: "steps".to_owned(),
                y: "loss, nats a sample".to_owned(),
                log_x: false,
                log_y: true,
                series: curves.chain([Curve { points: vec![(0.0, TARGET), (last, TARGET)], ..goal }]).collect(),
            });
            let tried = ACTIVATIONS.iter().enumerate().map(|(i, name)| {
                let steps = |rate: usize| {
                    let descent = &tried[rate * ACTIVATIONS.len() + i].training;
                    (RATES[rate], vec![if descent.reached { descent.steps } else { f64::NAN }])
                };
                Curve::measured(*name, arithmetic, (0..RATES.len()).map(steps))
            });
            figures.push(Figure {
                title: format!(
                    "Steps to a loss of {TARGET} by rate (none where it was not reached), {model}, {dataset}"
                ),
                x: "learning rate".to_owned(),
                y: "steps".to_owned(),
                log_x: true,
                log_y: true,
                series: tried.collect(),
            });
        }
    }
    Ok(Outcome {
        conditions: conditions(&measured),
        what_was_run: format!(
            "steps to a loss of {TARGET}: {}; and {}; rates chosen from {RATES:?} by seed {CHOOSING_SEED}: {}; {}, the \
             CNN with fewer where the effort is not thorough",
            Training::describe(&mlp),
            Training::describe(&cnn),
            chosen.join("; "),
            seeds_in_words(&lab.seeds())
        ),
        figures,
    })
}

/// Trains until the loss is reached or the budget is spent.
fn descend(lab: &Lab, training: &Training) -> Result<Descent, ClaimError> {
    let data = without_test(&lab.data(&training.experiment)?);
    let sample = first(&data.train, LOSS_SAMPLE);
    let reached = AtomicBool::new(false);
    let mut descent = Descent { training: Reached { reached: false, steps: 0.0, seconds: 0.0 }, losses: Vec::new() };
    // Time spent looking is not the training's.
    let mut since = Instant::now();
    let network = lab.network(training, &data);
    let (_, run) = lab.train_until(&reached, network, training, &data, &mut |event| match event {
        Event::Epoch(_) => since = Instant::now(),
        Event::Step { step, network, .. } if !descent.training.reached => {
            descent.training.steps = step as f64;
            if step.is_multiple_of(LOOK_EVERY) {
                descent.training.seconds += since.elapsed().as_secs_f64();
                let loss = evaluate(&network.valid(), &sample).loss.unwrap_or(f64::NAN);
                descent.losses.push((step as f64, loss));
                if loss <= TARGET {
                    descent.training.reached = true;
                    reached.store(true, Ordering::Relaxed);
                }
                since = Instant::now();
            }
        }
        _ => {}
    })?;
    if !descent.training.reached {
        // A training that diverged needs more than its whole budget.
        descent.training.steps = training.experiment.steps.unwrap_or(run.steps) as f64;
    }
    Ok(descent)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn verdict(relu: (bool, f64), other: (bool, f64)) -> Verdict {
        let training = |(reached, steps): (bool, f64)| Reached { reached, steps, seconds: steps / 1000.0 };
        let trainings = around(1.0).map(|jitter| (training(relu), training((other.0, jitter * other.1)))).to_vec();
        CLAIM.judge(conditions(&[Measured { condition: "tanh".to_owned(), trainings }])).verdict
    }

    #[test]
    fn fewer_steps_confirm_as_many_or_more_refute() {
        assert_eq!(verdict((true, 100.0), (true, 600.0)), Verdict::Confirmed);
        assert_eq!(verdict((true, 100.0), (true, 100.0)), Verdict::Refuted);
        assert_eq!(verdict((true, 600.0), (true, 100.0)), Verdict::Refuted);
    }

    #[test]
    fn a_budget_that_ends_bounds_the_ratio_and_two_that_end_say_nothing() {
        assert_eq!(verdict((true, 100.0), (false, 1000.0)), Verdict::Confirmed);
        assert_eq!(verdict((false, 1000.0), (true, 100.0)), Verdict::Refuted);
        assert_eq!(verdict((false, 1000.0), (false, 1000.0)), Verdict::NotSettled);
    }

    #[test]
    fn fewer_steps_that_take_as_long_qualify() {
        let training = |steps, seconds| Reached { reached: true, steps, seconds };
        let pair = (training(100.0, 1.0), training(300.0, 1.0));
        let measured = Measured { condition: "tanh".to_owned(), trainings: vec![pair; 3] };
        assert_eq!(CLAIM.judge(conditions(&[measured])).verdict, Verdict::Qualified);
    }
}
