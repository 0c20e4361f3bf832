//! `convergence`: ReLU trains in fewer steps.

use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    lab::{ClaimError, Lab, Rate, Setup, describe, rates_in_words},
};
use crate::{
    experiment::{Experiment, Schedule},
    judge::{
        curve::{Curve, geometric},
        number::number,
        verdict::{Direction, Hypothesis, Sample},
    },
    record::Status,
    train::Event,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "convergence",
    statement: "A network with ReLU reaches a given training loss in fewer steps than one with sigmoid or tanh.",
    source: "Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep convolutional neural networks, \
             §3.1 and figure 1: six times fewer iterations than tanh to 25 % training error on CIFAR-10",
    criteria: &[&STEPS],
    procedure: Procedure::of::<Convergence>(),
};

static STEPS: Criterion = Criterion {
    quantity: "steps to the training loss, sigmoid's or tanh's over ReLU's, each at its best learning rate",
    unit: "ratio",
    null_hypothesis: "They need the same number of steps.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.25),
    why: "Rates are chosen from a grid of factors of 2, so less would say more about the grid than about the activation. \
          Krizhevsky's factor is 6.",
};

/// The loss that is looked for is the mean over so many steps.
pub(super) const WINDOW: usize = 20;

/// The study.
pub struct Convergence;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    experiment: Experiment,
    /// Data sets, and the training loss to reach on each, in nats a sample: far enough from the beginning
    /// that a seed's noise is small beside the way.
    targets: Vec<(String, f64)>,
}

/// A network and what it is to reach.
#[derive(Debug, Clone)]
pub struct Arm {
    activation: String,
    dataset: String,
    target: f64,
    setup: Setup,
}

/// One training.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Descent {
    /// Steps to the loss; `None` where it did not come to it within its steps, or diverged.
    steps: Option<usize>,
    diverged: bool,
    /// Mean losses of windows on the way: the last step of each, and the mean.
    losses: Vec<(usize, f64)>,
}

const ACTIVATIONS: [&str; 3] = ["relu", "sigmoid", "tanh"];

impl Study for Convergence {
    type Settings = Settings;
    type Pilot = Vec<Rate>;
    type Arm = Arm;
    type Outcome = Descent;

    fn settings(plan: &Plan) -> Settings {
        let experiment = Experiment {
            hidden: Some(vec![128; 2]),
            epochs: None,
            steps: Some(plan.choose(150, 1500, 5000)),
            // How far a rate has decayed would depend on the steps that are allowed.
            schedule: Schedule::Constant,
            ..plan.experiment()
        };
        let target = |dataset: &String| (dataset.clone(), if dataset == "fashion-mnist" { 0.4 } else { 0.2 });
        Settings { experiment, targets: plan.datasets.iter().map(target).collect() }
    }

    fn pilot(lab: &Lab, settings: &Settings) -> Result<Vec<Rate>, ClaimError> {
        let most = settings.experiment.steps.unwrap_or(0) as f64;
        lab.best_rates("steps to a loss", &arms(settings), &|arm, rate, seed| {
            let descent = descend(lab, &arm.setup.with_rate(rate), arm.target, seed)?;
            // The fewest steps; where no rate comes to it, the lowest loss.
            let last = descent.losses.last().map_or(1e3, |(_, loss)| loss.min(1e3));
            Ok(descent.steps.map_or(-2.0 * most - last, |steps| -(steps as f64)))
        })
    }

    fn arms(settings: &Settings, rates: &Vec<Rate>) -> Vec<Arm> {
        let at = |(arm, rate): (Arm, &Rate)| Arm { setup: arm.setup.with_rate(rate.rate), ..arm };
        arms(settings).into_iter().zip(rates).map(at).collect()
    }

    fn measure(lab: &Lab, _: &Settings, arm: &Arm, seed: u64) -> Result<Descent, ClaimError> {
        descend(lab, &arm.setup, arm.target, seed)
    }

    fn judge(settings: &Settings, rates: &Vec<Rate>, trials: &Trials<Arm, Descent>) -> Findings {
        let is = |activation: &'static str, dataset: &str| {
            let dataset = dataset.to_owned();
            move |arm: &Arm| arm.activation == activation && arm.dataset == dataset
        };
        // Of a pair that did not both come to it, which was first is known, and not by how much.
        let ratio = |other: &Descent, relu: &Descent| match (other.steps, relu.steps) {
            (Some(other), Some(relu)) => other as f64 / relu as f64,
            (None, Some(_)) => f64::INFINITY,
            (Some(_), None) => 0.0,
            (None, None) => f64::NAN,
        };
        let mut conditions = Vec::new();
        let mut figures = Vec::new();
        for (dataset, target) in &settings.targets {
            for activation in &ACTIVATIONS[1..] {
                let sample = Sample::Effects(trials.pairs(is(activation, dataset), is("relu", dataset), ratio));
                conditions.push(Condition::primary(&STEPS, format!("{activation}, {dataset}"), sample));
            }
            let curves = ACTIVATIONS.iter().map(|activation| {
                let descents = trials.of(is(activation, dataset));
                let looks = descents.iter().map(|descent| descent.losses.len()).min().unwrap_or(0);
                let at = |look: usize| {
                    let step = descents.first().map_or(0, |descent| descent.losses[look].0);
                    (step as f64, descents.iter().map(|descent| descent.losses[look].1).collect())
                };
                Curve::measured(*activation, geometric, (0..looks).map(at))
            });
            let curves: Vec<Curve> = curves.collect();
            let last = curves.iter().filter_map(|curve| curve.points.last()).map(|(x, _)| *x).fold(0.0, f64::max);
            let goal = Curve {
                name: "the loss to reach".to_owned(),
                points: vec![(0.0, *target), (last, *target)],
                ..Curve::default()
            };
            figures.push(Figure {
                title: format!("Training loss, {dataset}"),
                x: "steps".to_owned(),
                y: "loss, nats a sample".to_owned(),
                log_y: true,
                series: curves.into_iter().chain([goal]).collect(),
                ..Figure::default()
            });
        }
        let names: Vec<String> =
            arms(settings).iter().map(|arm| format!("{} on {}", arm.activation, arm.dataset)).collect();
        Findings {
            conditions,
            what_was_run: format!(
                "steps to a mean loss over {WINDOW} steps of {}: {}; rates by the fewest steps on pilot seeds: {}",
                settings.targets.iter().map(|(d, t)| format!("{t} on {d}")).collect::<Vec<_>>().join(", "),
                describe(&settings.experiment),
                rates_in_words(names.iter().map(String::as_str), rates)
            ),
            diverged: trials.all().filter(|descent| descent.diverged).count(),
            figures,
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let of = |begins: &str| match judgement.primary_effect(begins) {
            Some(never) if never.is_infinite() => "over the allowed".to_owned(),
            times => number(times),
        };
        format!(
            "At its best rate tanh takes {} times ReLU's steps to the same training loss, sigmoid {} times.",
            of("tanh"),
            of("sigmoid")
        )
    }
}

/// Every activation on every data set, without a rate.
fn arms(settings: &Settings) -> Vec<Arm> {
    let on = |(dataset, target): &(String, f64)| {
        let experiment = Experiment { dataset: dataset.clone(), ..settings.experiment.clone() };
        ACTIVATIONS.map(|activation| Arm {
            activation: activation.to_owned(),
            dataset: dataset.clone(),
            target: *target,
            setup: Setup::new(experiment.clone(), activation),
        })
    };
    settings.targets.iter().flat_map(on).collect()
}

/// The first step at which the mean of the last [`WINDOW`] losses is at most `target`.
pub(super) fn first_step(losses: &[f64], target: f64) -> Option<usize> {
    let below = |window: &[f64]| window.iter().sum::<f64>() / WINDOW as f64 <= target;
    losses.windows(WINDOW).position(below).map(|begin| begin + WINDOW)
}

/// Trains until the loss is reached or the steps are taken. Every step's loss is looked at.
fn descend(lab: &Lab, setup: &Setup, target: f64, seed: u64) -> Result<Descent, ClaimError> {
    let (training, data) = (setup.training(seed), lab.data(&setup.experiment)?);
    let network = lab.network(&training, &data);
    let enough: fn(&(Vec<f64>, bool)) -> bool = |(_, reached)| *reached;
    let seen = (Vec::new(), false);
    let (_, run, (losses, _)) =
        lab.train_until(Some(enough), network, &training, &data, seen, &mut |(losses, reached), event| {
            if let Event::Losses(block) = event {
                losses.extend(&block.losses);
                *reached = first_step(losses, target).is_some();
            }
        })?;
    let diverged = run.status == Status::Diverged;
    let window =
        |(place, window): (usize, &[f64])| ((place + 1) * WINDOW, window.iter().sum::<f64>() / window.len() as f64);
    Ok(Descent {
        // What diverges later has not come to stay.
        steps: first_step(&losses, target).filter(|_| !diverged),
        diverged,
        losses: losses.chunks_exact(WINDOW).enumerate().map(window).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::tests::plan, *};
    use crate::judge::verdict::Verdict;

    fn verdict(relu: Option<usize>, other: Option<usize>) -> Verdict {
        let settings = Convergence::settings(&plan());
        let rates = vec![Rate { rate: 0.1, at_end: false, tried: Vec::new() }; 6];
        let arms = Convergence::arms(&settings, &rates);
        let descent = |arm: &Arm| Descent {
            steps: if arm.activation == "relu" { relu } else { other },
            diverged: false,
            losses: Vec::new(),
        };
        let seeds = vec![arms.iter().map(descent).collect::<Vec<_>>(); 8];
        let findings = Convergence::judge(&settings, &rates, &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn fewer_steps_confirm_and_as_many_or_more_refute() {
        assert_eq!(verdict(Some(100), Some(600)), Verdict::Confirmed);
        assert_eq!(verdict(Some(100), Some(100)), Verdict::Refuted);
        assert_eq!(verdict(Some(600), Some(100)), Verdict::Refuted);
    }

    #[test]
    fn who_never_arrives_is_later_and_two_that_never_do_say_nothing() {
        assert_eq!(verdict(Some(100), None), Verdict::Confirmed);
        assert_eq!(verdict(None, Some(100)), Verdict::Refuted);
        assert_eq!(verdict(None, None), Verdict::NotSettled);
    }

    #[test]
    fn the_loss_is_looked_for_at_every_step() {
        let losses: Vec<f64> = (0..200).map(|step| 1.0 - f64::from(step) / 200.0).collect();
        let step = first_step(&losses, 0.5).unwrap();
        let mean = |end: usize| losses[end - WINDOW..end].iter().sum::<f64>() / WINDOW as f64;
        assert!(mean(step) <= 0.5 && mean(step - 1) > 0.5);
        assert_eq!((first_step(&losses, 0.0), first_step(&losses[..5], 2.0)), (None, None));
    }
}
