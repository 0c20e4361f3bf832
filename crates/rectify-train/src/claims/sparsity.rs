//! `sparsity`: ReLU gives true zeros.

use burn::{module::Module, tensor::Tensor};

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic,
    lab::{ClaimError, Lab, accuracy, seeds_in_words},
};
use crate::{
    data::Batch,
    experiment::{Experiment, ProbeEvery},
    judge::statistics::hidden,
    judge::verdict::{Direction, Hypothesis},
    network::{Mlp, Network, Objective, outputs},
    observe::Trace,
    record::{Epoch, Layer, Run},
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "sparsity",
    statement: "ReLU makes activations truly zero: half of them at the start, many after training, and more at no cost \
                with an L1 penalty.",
    source: "Glorot, Bordes and Bengio 2011, Deep sparse rectifier neural networks, §3 and figure 3",
    parts: &[&TRAINED, &START, &PENALTY, &COST],
    run,
};

static TRAINED: Part = Part {
    quantity: "fraction of exact zeros in ReLU's activations after training less that in sigmoid's or tanh's",
    unit: "fraction",
    null_hypothesis: "ReLU has no more zeros than the others.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "A tenth of zeros is the least that any sparse computation has gained by.",
};
static START: Part = Part {
    quantity: "fraction of exact zeros in ReLU's activations before training",
    unit: "fraction",
    null_hypothesis: "It is not about a half.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.5, 0.1),
    why: "Pre-activations are symmetric about 0 over weights, which makes it ½; a layer of 128 units on one data set \
          strays from that by a few points.",
};
static PENALTY: Part = Part {
    quantity: "fraction of exact zeros with an L1 penalty on activations less that without",
    unit: "fraction",
    null_hypothesis: "The penalty adds no zeros.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "The same tenth.",
};
static COST: Part = Part {
    quantity: "test accuracy with the L1 penalty less that without",
    unit: "fraction",
    null_hypothesis: "The penalty costs a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::NotBelow, 0.0, 0.01),
    why: "A point is a few times the spread over seeds. Glorot, Bordes and Bengio see no cost up to about 85 % of zeros.",
};

/// One seed's figures; fractions are means over hidden layers.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Zeros of the ReLU network before training.
    pub start: f64,
    /// Zeros of the ReLU network after training.
    pub trained: f64,
    /// Test accuracy of the ReLU network.
    pub accuracy: f64,
    /// Zeros of the sigmoid network after training.
    pub sigmoid: f64,
    /// Zeros of the tanh network after training.
    pub tanh: f64,
    /// Zeros of the ReLU network trained with an L1 penalty.
    pub penalised: f64,
    /// Its test accuracy.
    pub penalised_accuracy: f64,
}

/// The evidence in the figures of each seed.
pub fn conditions(seeds: &[Measured]) -> Vec<Condition> {
    let over = |effect: fn(&Measured) -> f64| seeds.iter().map(effect).collect();
    vec![
        Condition::new(&TRAINED, "after training, against sigmoid", over(|m| m.trained - m.sigmoid)),
        Condition::new(&TRAINED, "after training, against tanh", over(|m| m.trained - m.tanh)),
        Condition::new(&START, "before training", over(|m| m.start)),
        Condition::new(&PENALTY, "L1 penalty, zeros", over(|m| m.penalised - m.trained)),
        Condition::new(&COST, "L1 penalty, accuracy", over(|m| m.penalised_accuracy - m.accuracy)),
    ]
}

/// What is put on the sum of a sample's absolute activations. Glorot, Bordes and Bengio try 0 to 0.01; the middle one is
/// judged.
const PENALTIES: [f64; 3] = [1e-4, 1e-3, 1e-2];
const JUDGED: f64 = 1e-3;

/// A network whose objective has an L1 penalty on the activations of its hidden layers.
#[derive(Module, Debug)]
struct Penalised {
    mlp: Mlp,
    penalty: f64,
}

impl Network for Penalised {
    fn forward(&self, images: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        trace.within("mlp", |trace| self.mlp.forward(images, trace))
    }

    fn objective(&self, batch: Batch, trace: &mut Trace) -> Objective {
        if self.penalty == 0.0 {
            let outputs = outputs(self, batch.images, trace);
            return Objective { value: self.loss(outputs.clone(), batch.labels), outputs };
        }
        let [samples, _] = batch.images.dims();
        let mut x = batch.images;
        let mut size = Tensor::zeros([1], (&x.device(), x.dtype()));
        for (i, dense) in self.mlp.hidden.iter().enumerate() {
            x = dense.forward(&format!("mlp.hidden.{i}"), x, trace);
            size = size + x.clone().abs().sum();
        }
        let outputs = trace.output("mlp.output", self.mlp.output.forward(x));
        let loss = self.loss(outputs.clone(), batch.labels);
        Objective { value: loss + size * (self.penalty / samples as f64), outputs }
    }
}

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    let experiment = Experiment { probe_every: ProbeEvery::Epoch, ..lab.experiment() };
    let kinds: Vec<(&str, f64)> = [("relu", 0.0), ("sigmoid", 0.0), ("tanh", 0.0)]
        .into_iter()
        .chain(PENALTIES.map(|penalty| ("relu", penalty)))
        .collect();
    let trainings: Vec<(Training, f64)> = lab
        .seeds()
        .flat_map(|seed| kinds.iter().flat_map(move |&(name, penalty)| [(name, penalty, seed)]).collect::<Vec<_>>())
        .flat_map(|(name, penalty, seed)| {
            lab.trainings(&experiment, &[name], seed..seed + 1).into_iter().map(move |training| (training, penalty))
        })
        .collect();
    let runs = lab.side_by_side(&trainings, &|(training, penalty)| {
        let data = lab.data(&training.experiment)?;
        let network = Penalised { mlp: lab.mlp(training, &data), penalty: *penalty };
        Ok(lab.train(network, training, &data, &mut |_| {})?.1)
    })?;
    let judged = kinds.iter().position(|kind| *kind == ("relu", JUDGED)).expect("it is one of the kinds");
    let seeds: Vec<&[Run]> = runs.chunks(kinds.len()).collect();
    let measured: Vec<Measured> = seeds
        .iter()
        .map(|seed| Measured {
            start: zeros(seed[0].epochs.first()),
            trained: zeros(seed[0].last()),
            accuracy: accuracy(&seed[0]),
            sigmoid: zeros(seed[1].last()),
            tanh: zeros(seed[2].last()),
            penalised: zeros(seed[judged].last()),
            penalised_accuracy: accuracy(&seed[judged]),
        })
        .collect();

    let layers = experiment.hidden().len();
    let by_layer = |name: &str, kind: usize, epoch: fn(&Run) -> Option<&Epoch>| {
        let at = |layer: usize| -> Vec<f64> {
            let layers = seeds.iter().filter_map(|seed| hidden(epoch(&seed[kind])?).get(layer).copied());
            layers.filter_map(zero_fraction).collect()
        };
        Curve::measured(name, arithmetic, (0..layers).map(|layer| ((layer + 1) as f64, at(layer))))
    };
    let start = "relu, before training";
    let by_layer = vec![
        by_layer(start, 0, |run| run.epochs.first()),
        Curve::predicted(start, (1..=layers).map(|layer| (layer as f64, 0.5))),
        by_layer("relu, trained", 0, Run::last),
        by_layer("relu, trained with L1 penalty", judged, Run::last),
        by_layer("sigmoid, trained", 1, Run::last),
        by_layer("tanh, trained", 2, Run::last),
    ];
    let trade = std::iter::once((0, 0.0)).chain(PENALTIES.iter().enumerate().map(|(i, penalty)| (3 + i, *penalty)));
    let trade = trade.map(|(kind, penalty)| {
        let mean =
            |figure: fn(&Run) -> f64| arithmetic(&seeds.iter().map(|seed| figure(&seed[kind])).collect::<Vec<_>>());
        let x = mean(|run| zeros(run.last()));
        let accuracies = seeds.iter().map(|seed| accuracy(&seed[kind])).collect();
        Curve::measured(format!("L1 penalty {penalty}"), arithmetic, [(x, accuracies)])
    });
    Ok(Outcome {
        conditions: conditions(&measured),
        what_was_run: format!(
            "{}; L1 penalty {JUDGED} on the sum of a sample's activations; {}",
            Training::describe(&experiment),
            seeds_in_words(&lab.seeds())
        ),
        figures: vec![
            Figure {
                title: "Exact zeros by layer".to_owned(),
                x: "hidden layer".to_owned(),
                y: "fraction of activations".to_owned(),
                series: by_layer,
                ..Figure::default()
            },
            Figure {
                title: "Accuracy against zeros".to_owned(),
                x: "fraction of exact zeros after training".to_owned(),
                y: "test accuracy".to_owned(),
                series: trade.collect(),
                ..Figure::default()
            },
        ],
    })
}

/// Sigmoid is above 0 everywhere, which is known and not measured.
fn zero_fraction(layer: &Layer) -> Option<f64> {
    match layer.activation.as_deref() {
        Some("sigmoid") => Some(0.0),
        _ => layer.zero_fraction,
    }
}

/// Mean fraction of exact zeros over hidden layers; NaN where nothing was measured.
fn zeros(epoch: Option<&Epoch>) -> f64 {
    let layers = epoch.map(hidden).unwrap_or_default();
    arithmetic(&layers.iter().map(|layer| zero_fraction(layer).unwrap_or(f64::NAN)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn verdict(figures: Measured) -> Verdict {
        let seeds = around(1.0).map(|jitter| Measured {
            start: jitter * figures.start,
            trained: jitter * figures.trained,
            penalised_accuracy: jitter * figures.penalised_accuracy,
            ..figures
        });
        CLAIM.judge(conditions(&seeds)).verdict
    }

    const SPARSE: Measured = Measured {
        start: 0.5,
        trained: 0.6,
        accuracy: 0.975,
        sigmoid: 0.0,
        tanh: 0.0,
        penalised: 0.85,
        penalised_accuracy: 0.974,
    };

    #[test]
    fn zeros_confirm_none_refute_and_costly_ones_qualify() {
        assert_eq!(verdict(SPARSE), Verdict::Confirmed);
        let dense = Measured { start: 0.0, trained: 0.0, penalised: 0.0, penalised_accuracy: 0.9, ..SPARSE };
        assert_eq!(verdict(dense), Verdict::Refuted);
        assert_eq!(verdict(Measured { sigmoid: 0.9, tanh: 0.9, start: 0.9, ..dense }), Verdict::Refuted);
        assert_eq!(verdict(Measured { penalised_accuracy: 0.90, ..SPARSE }), Verdict::Qualified);
    }
}
