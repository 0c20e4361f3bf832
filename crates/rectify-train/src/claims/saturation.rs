//! `saturation`: sigmoid and tanh saturate and lose sensitivity, ReLU does not.

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic,
    lab::{ClaimError, Lab, seeds_in_words},
};
use crate::{
    experiment::{Experiment, Init, ProbeEvery},
    judge::statistics::hidden,
    judge::verdict::{Direction, Hypothesis},
    record::{Layer, Run},
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "saturation",
    statement: "Sigmoid and tanh units saturate and lose their sensitivity; ReLU units do not.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.3.2; Glorot and Bengio 2010, Understanding the \
             difficulty of training deep feedforward neural networks, §3",
    parts: &[&SATURATES, &STAYS_SENSITIVE],
    run,
};

static SATURATES: Part = Part {
    quantity: "fraction of a layer's activations with a derivative under 5 % of its maximum, at its largest over training",
    unit: "fraction",
    null_hypothesis: "At most a tenth of any layer is saturated.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "What a tenth of a layer does not pass on, the rest can; Glorot and Bengio call a layer saturated where nearly \
          all of it is.",
};
static STAYS_SENSITIVE: Part = Part {
    quantity: "the same measured on ReLU, whose derivative is 0 on the negative side",
    unit: "fraction",
    null_hypothesis: "A tenth or more of ReLU's activations, or of its units, pass nothing on.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 0.1),
    why: "The same tenth. Each activation is counted as for the others, and so are whole units, insensitive to every \
          sample: a unit that is off for some samples still learns from the rest.",
};

/// A network of one activation over its training.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Activation and depth, such as `sigmoid, 5 layers`.
    pub condition: String,
    /// By seed, epoch and hidden layer: the saturated fraction.
    pub saturated: Vec<Vec<Vec<f64>>>,
}

/// The ReLU network beside them, at the end of training.
#[derive(Debug, Clone)]
pub struct MeasuredRelu {
    /// Such as `relu, 5 layers`.
    pub condition: String,
    /// By seed: the largest fraction of zeros in any hidden layer.
    pub zero: Vec<f64>,
    /// By seed: the largest fraction of dead units in any hidden layer.
    pub dead: Vec<f64>,
}

/// The evidence under each condition.
pub fn conditions(saturating: &[Measured], relu: &[MeasuredRelu]) -> Vec<Condition> {
    // NaN where a seed has no figures: the maximum of none is no measurement.
    let largest = |seed: &Vec<Vec<f64>>| seed.iter().flatten().copied().fold(f64::NAN, f64::max);
    let saturates =
        saturating.iter().map(|m| Condition::new(&SATURATES, &m.condition, m.saturated.iter().map(largest).collect()));
    let sensitive = relu.iter().flat_map(|m| {
        [
            Condition::new(&STAYS_SENSITIVE, format!("{}, activations", m.condition), m.zero.clone()),
            Condition::new(&STAYS_SENSITIVE, format!("{}, whole units", m.condition), m.dead.clone()),
        ]
    });
    saturates.chain(sensitive).collect()
}

/// The naive one is what Glorot and Bengio (2010, eq. 1) call the commonly used heuristic, U(±1 / √fan_in), with which
/// they saw the top layer of sigmoid networks saturate.
const INITS: [(&str, Init); 2] = [("fair initialisation", Init::Auto), ("naive initialisation", Init::TorchDefault)];

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    let mut measured = Vec::new();
    let mut figures = Vec::new();
    let mut relu = Vec::new();
    let base = Experiment { probe_every: ProbeEvery::Epoch, ..lab.experiment() };
    let depth = base.hidden().len();
    for (words, init) in INITS {
        let experiment = Experiment { init, ..base.clone() };
        let trainings = lab.trainings(&experiment, &["sigmoid", "tanh", "relu"], lab.seeds());
        let trained = lab.train_all(&trainings)?;
        for name in ["sigmoid", "tanh"] {
            let runs: Vec<&Run> = of(&trained, name).collect();
            let saturated = |run: &Run| run.epochs.iter().map(|epoch| figure_of(&hidden(epoch))).collect();
            measured.push(Measured {
                condition: format!("{name}, {depth} layers, {words}"),
                saturated: runs.iter().map(|run| saturated(run)).collect(),
            });
            let by_layer = (0..depth).map(|layer| {
                let at = |epoch: usize| -> Vec<f64> {
                    let layers = runs.iter().filter_map(|run| hidden(run.epochs.get(epoch)?).get(layer).copied());
                    layers.filter_map(|layer| layer.saturated_fraction).collect()
                };
                let points = (0..=experiment.epochs()).map(|epoch| (epoch as f64, at(epoch)));
                Curve::measured(format!("layer {}", layer + 1), arithmetic, points)
            });
            figures.push(Figure {
                title: format!("{name}, {words}"),
                x: "epoch".to_owned(),
                y: "saturated fraction".to_owned(),
                series: by_layer.collect(),
                ..Figure::default()
            });
        }
        let largest = |run: &Run, fraction: fn(&Layer) -> Option<f64>| -> f64 {
            let layers = run.last().map(hidden).unwrap_or_default();
            layers.into_iter().filter_map(fraction).fold(f64::NAN, f64::max)
        };
        relu.push(MeasuredRelu {
            condition: format!("relu, {depth} layers, {words}"),
            zero: of(&trained, "relu").map(|run| largest(run, |layer| layer.zero_fraction)).collect(),
            dead: of(&trained, "relu").map(|run| largest(run, |layer| layer.dead_fraction)).collect(),
        });
    }
    Ok(Outcome {
        conditions: conditions(&measured, &relu),
        what_was_run: format!("{}; {}", Training::describe(&base), seeds_in_words(&lab.seeds())),
        figures,
    })
}

fn of<'a>(trained: &'a [Run], activation: &'a str) -> impl Iterator<Item = &'a Run> {
    trained.iter().filter(move |run| run.activation == activation)
}

fn figure_of(layers: &[&Layer]) -> Vec<f64> {
    layers.iter().map(|layer| layer.saturated_fraction.unwrap_or(f64::NAN)).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

    fn verdict(saturated: f64, zero: f64, dead: f64) -> Verdict {
        // Two epochs, two layers; only the second layer's first epoch is saturated.
        let saturating = Measured {
            condition: "sigmoid".to_owned(),
            saturated: around(saturated).map(|most| vec![vec![0.0, most], vec![0.0, 0.0]]).to_vec(),
        };
        let relu =
            MeasuredRelu { condition: "relu".to_owned(), zero: around(zero).to_vec(), dead: around(dead).to_vec() };
        CLAIM.judge(conditions(&[saturating], &[relu])).verdict
    }

    #[test]
    fn a_saturated_layer_beside_a_sensitive_relu_confirms_and_the_reverse_refutes() {
        assert_eq!(verdict(0.9, 0.02, 0.0), Verdict::Confirmed);
        assert_eq!(verdict(0.01, 0.6, 0.4), Verdict::Refuted);
        // Half of ReLU's activations are off, hardly any unit is.
        assert_eq!(verdict(0.9, 0.5, 0.01), Verdict::Qualified);
    }

    #[test]
    fn a_seed_without_figures_settles_nothing() {
        let empty = Measured { condition: "sigmoid".to_owned(), saturated: vec![vec![]; 3] };
        assert_eq!(CLAIM.judge(conditions(&[empty], &[])).verdict, Verdict::NotSettled);
    }
}
