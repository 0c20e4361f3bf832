//! `vanishing`: sigmoid's and tanh's gradients vanish, so early layers do not learn.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "vanishing",
    statement: "The gradients of deep sigmoid and tanh networks vanish towards the input, so their early layers do not \
                learn.",
    source: "Hochreiter 1991, Untersuchungen zu dynamischen neuronalen Netzen; Bengio, Simard and Frasconi 1994, \
             Learning long-term dependencies with gradient descent is difficult; Glorot and Bengio 2010, Understanding \
             the difficulty of training deep feedforward neural networks, §4",
    parts: &[&GRADIENT, &EARLY_LAYERS],
};

static GRADIENT: Part = Part {
    quantity: "RMS of the first hidden layer's weight gradient over the last's, before training",
    unit: "ratio",
    null_hypothesis: "The first layer's gradient is as large as the last's.",
    hypothesis: Hypothesis::ratio(Direction::Below, 10.0),
    why: "With one learning rate for all layers, a tenth of the gradient is a tenth of the movement; smaller factors are \
          within what fair initialisation leaves to ReLU networks too.",
};
static EARLY_LAYERS: Part = Part {
    quantity: "test accuracy with the first layers trained less that with them frozen at random",
    unit: "fraction",
    null_hypothesis: "Training the first layers gains a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 0.01),
    why: "If layers do not learn, it makes no difference to freeze them. A point is about four times the spread over \
          seeds.",
};

/// One sigmoid or tanh network at one depth and initialisation.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Activation, depth and initialisation, such as `tanh, 10 layers, xavier-normal`.
    pub condition: String,
    /// First and last hidden layer's `weight_grad_rms` before training, a pair a seed.
    pub gradients: Vec<(f64, f64)>,
    /// Test accuracies with the first layers trained and frozen, a pair a seed; empty where that was not tried.
    pub accuracies: Vec<(f64, f64)>,
}

/// The evidence under each condition.
pub fn conditions(measured: &[Measured]) -> Vec<Condition> {
    // A gradient that underflowed to 0 is as vanished as can be: it counts as the smallest f32, which is more.
    let ratio = |&(first, last): &(f64, f64)| first.max(f64::from(f32::from_bits(1))) / last;
    let gradients =
        measured.iter().map(|m| Condition::new(&GRADIENT, &m.condition, m.gradients.iter().map(ratio).collect()));
    let accuracies = measured.iter().filter(|m| !m.accuracies.is_empty()).map(|m| {
        let gains = m.accuracies.iter().map(|(trained, frozen)| trained - frozen).collect();
        Condition::new(&EARLY_LAYERS, format!("{}, first layers frozen", m.condition), gains)
    });
    gradients.chain(accuracies).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

    fn measured(ratio: f64, trained: f64, frozen: f64) -> Measured {
        Measured {
            condition: "made".to_owned(),
            gradients: around(ratio).map(|first| (first, 1.0)).to_vec(),
            accuracies: around(trained).map(|trained| (trained, frozen)).to_vec(),
        }
    }

    fn verdict(measured: &[Measured]) -> Verdict {
        CLAIM.judge(conditions(measured)).verdict
    }

    #[test]
    fn vanished_gradients_and_layers_that_do_not_learn_confirm_and_their_reverse_refutes() {
        assert_eq!(verdict(&[measured(1e-5, 0.80, 0.80)]), Verdict::Confirmed);
        assert_eq!(verdict(&[measured(1.0, 0.97, 0.90)]), Verdict::Refuted);
        assert_eq!(verdict(&[measured(30.0, 0.97, 0.90)]), Verdict::Refuted);
        // Smaller gradients, and yet the layers learn.
        assert_eq!(verdict(&[measured(1e-5, 0.97, 0.90)]), Verdict::Qualified);
        // One activation's vanish, the other's do not.
        assert_eq!(verdict(&[measured(1e-5, 0.80, 0.80), measured(0.9, 0.97, 0.90)]), Verdict::Qualified);
    }

    #[test]
    fn gradients_that_underflow_to_zero_have_vanished() {
        assert_eq!(verdict(&[measured(0.0, 0.113, 0.113)]), Verdict::Confirmed);
    }
}
