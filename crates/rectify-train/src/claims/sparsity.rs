//! `sparsity`: ReLU gives true zeros.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "sparsity",
    statement: "ReLU makes activations truly zero: half of them at the start, many after training, and more at no cost \
                with an L1 penalty.",
    source: "Glorot, Bordes and Bengio 2011, Deep sparse rectifier neural networks, §3 and figure 3",
    parts: &[&TRAINED, &START, &PENALTY, &COST],
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

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

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
