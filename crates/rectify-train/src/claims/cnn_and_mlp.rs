//! `cnn-and-mlp`: ReLU is the right default in both.

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic,
    lab::{ClaimError, Lab, accuracy, seeds_in_words, with_test},
};
use crate::{
    experiment::{Experiment, ModelKind},
    judge::verdict::{Direction, Hypothesis},
    record::Run,
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "cnn-and-mlp",
    statement: "ReLU is the right default in fully connected and in convolutional networks.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.1; LeCun, Bengio and Hinton 2015, Deep learning \
             (Nature); to the contrary: Ramachandran, Zoph and Le 2017, Searching for activation functions",
    parts: &[&ACCURACY, &SPEED],
    run,
};

static ACCURACY: Part = Part {
    quantity: "test accuracy with ReLU less that with another activation, seed by seed",
    unit: "fraction",
    null_hypothesis: "ReLU is worse by half a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::NotBelow, 0.0, 0.005),
    why: "A default need not win; it must not lose by what a user would notice. Seeds spread by two or three tenths of \
          a point.",
};
static SPEED: Part = Part {
    quantity: "training seconds an epoch, another activation's over ReLU's",
    unit: "ratio",
    null_hypothesis: "ReLU takes a tenth longer or more.",
    hypothesis: Hypothesis::ratio(Direction::NotBelow, 1.1),
    why: "A tenth is what times move by between runs on a busy machine.",
};

/// ReLU and another activation in one model on one data set.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Such as `tanh, cnn, fashion-mnist`.
    pub condition: String,
    /// Test accuracies (ReLU, the other), a pair a seed; NaN where a training diverged.
    pub accuracies: Vec<(f64, f64)>,
    /// Training seconds an epoch (ReLU, the other), a pair a seed.
    pub seconds: Vec<(f64, f64)>,
}

/// The evidence under each condition.
pub fn conditions(measured: &[Measured]) -> Vec<Condition> {
    let accuracy = measured.iter().map(|m| {
        let differences = m.accuracies.iter().map(|(relu, other)| relu - other).collect();
        Condition::new(&ACCURACY, format!("{}, accuracy", m.condition), differences)
    });
    let speed = measured.iter().map(|m| {
        let ratios = m.seconds.iter().map(|(relu, other)| other / relu).collect();
        Condition::new(&SPEED, format!("{}, speed", m.condition), ratios)
    });
    accuracy.chain(speed).collect()
}

/// The default in question, those that it replaced, and those that were proposed to replace it.
const ACTIVATIONS: [&str; 7] = ["relu", "sigmoid", "tanh", "leaky-relu", "elu", "gelu", "silu"];

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    let mlp = lab.experiment();
    let cnn = Experiment {
        model: ModelKind::Cnn,
        train_size: lab.choose(Some(500), Some(5000), None),
        epochs: Some(lab.choose(1, 2, 5)),
        batch_size: lab.choose(128, 64, 128),
        ..mlp.clone()
    };
    let mut measured = Vec::new();
    let mut figures = Vec::new();
    for dataset in lab.datasets() {
        for (model, experiment, seeds) in [("mlp", &mlp, lab.seeds()), ("cnn", &cnn, 0..lab.choose(2, 3, 10))] {
            let experiment = Experiment { dataset: (*dataset).to_owned(), ..experiment.clone() };
            let activations = lab.choose(&ACTIVATIONS[..3], &ACTIVATIONS[..], &ACTIVATIONS[..]);
            let tested = if model == "cnn" { lab.choose(200, 2000, 10_000) } else { usize::MAX };
            let runs = lab.side_by_side(&lab.trainings(&experiment, activations, seeds), &|training| {
                let data = with_test(&lab.data(&training.experiment)?, tested);
                Ok(lab.train(lab.network(training, &data), training, &data, &mut |_| {})?.1)
            })?;
            let by_seed: Vec<&[Run]> = runs.chunks(activations.len()).collect();
            for (i, name) in activations.iter().enumerate().skip(1) {
                measured.push(Measured {
                    condition: format!("{name}, {model}, {dataset}"),
                    accuracies: by_seed.iter().map(|seed| (accuracy(&seed[0]), accuracy(&seed[i]))).collect(),
                    seconds: by_seed.iter().map(|seed| (seconds(&seed[0]), seconds(&seed[i]))).collect(),
                });
            }
            let curve = |(i, name): (usize, &&str)| {
                let at = |epoch: usize| {
                    let epochs = by_seed.iter().filter_map(|seed| seed[i].epochs.get(epoch));
                    (epoch as f64, epochs.filter_map(|epoch| epoch.test_accuracy).collect())
                };
                Curve::measured(*name, arithmetic, (0..=experiment.epochs()).map(at))
            };
            figures.push(Figure {
                title: format!("Test accuracy, {model}, {dataset}"),
                x: "epoch".to_owned(),
                y: "test accuracy".to_owned(),
                series: activations.iter().enumerate().map(curve).collect(),
                ..Figure::default()
            });
        }
    }
    Ok(Outcome {
        conditions: conditions(&measured),
        what_was_run: format!(
            "{}; {}; {}; the CNN with fewer seeds and test samples where the effort is not thorough",
            Training::describe(&mlp),
            Training::describe(&cnn),
            seeds_in_words(&lab.seeds())
        ),
        figures,
    })
}

/// Mean training seconds an epoch.
fn seconds(run: &Run) -> f64 {
    arithmetic(&run.epochs.iter().skip(1).map(|epoch| epoch.seconds).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn measured(accuracy: (f64, f64), seconds: (f64, f64)) -> Measured {
        Measured {
            condition: "made".to_owned(),
            accuracies: around(accuracy.0).map(|relu| (relu, accuracy.1)).to_vec(),
            seconds: around(seconds.0).map(|relu| (relu, seconds.1)).to_vec(),
        }
    }

    fn verdict(measured: &[Measured]) -> Verdict {
        CLAIM.judge(conditions(measured)).verdict
    }

    #[test]
    fn better_and_equal_confirm_worse_refutes_and_a_lost_model_qualifies() {
        assert_eq!(verdict(&[measured((0.98, 0.95), (1.0, 1.3))]), Verdict::Confirmed);
        assert_eq!(verdict(&[measured((0.97, 0.97), (1.0, 1.0))]), Verdict::Confirmed);
        assert_eq!(verdict(&[measured((0.95, 0.98), (1.3, 1.0))]), Verdict::Refuted);
        assert_eq!(
            verdict(&[measured((0.98, 0.95), (1.0, 1.0)), measured((0.93, 0.98), (1.0, 1.0))]),
            Verdict::Qualified
        );
    }
}
