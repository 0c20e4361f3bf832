//! `easy-optimisation`: near linearity makes optimisation easier.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "easy-optimisation",
    statement: "Networks with ReLU are easier to optimise, because ReLU is nearly linear.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.3.1; the measures follow Santurkar et al. 2018, \
             How does batch normalization help optimization?, §3",
    parts: &[&PREDICTION, &COSINE],
};

static PREDICTION: Part = Part {
    quantity: "error of the loss's first-order prediction along the step, sigmoid's or tanh's over ReLU's",
    unit: "ratio",
    null_hypothesis: "The loss follows its gradient equally far.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.25),
    why: "The error grows with the step, so a quarter less is a quarter more of learning rate at equal error; neighbours \
          on a grid of rates are not closer.",
};
static COSINE: Part = Part {
    quantity: "cosine between the gradients at both ends of a step, ReLU's less sigmoid's or tanh's",
    unit: "1",
    null_hypothesis: "Gradients turn equally much.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.05),
    why: "A cosine falls by 0.05 at 18 degrees: below that a step hardly loses by the gradient's turn.",
};

/// The error of a first-order prediction: |actual − predicted| / |predicted|, of the changes of loss along a step.
///
/// `predicted` is −rate · ‖g‖² for gradient descent. NaN where nothing was predicted.
pub fn prediction_error(actual: f64, predicted: f64) -> f64 {
    if predicted == 0.0 { f64::NAN } else { ((actual - predicted) / predicted).abs() }
}

/// One network's figures, means over training, with steps of the same length for both activations.
#[derive(Debug, Clone, Copy)]
pub struct Landscape {
    /// Mean of [`prediction_error`].
    pub prediction_error: f64,
    /// Mean cosine between the gradients at both ends of a step.
    pub gradient_cosine: f64,
}

/// ReLU and another activation.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Such as `tanh, 5 layers`.
    pub condition: String,
    /// (ReLU, the other), a pair a seed.
    pub landscapes: Vec<(Landscape, Landscape)>,
}

/// The evidence under each condition.
pub fn conditions(measured: &[Measured]) -> Vec<Condition> {
    let of = |part, name: &str, effect: fn(&(Landscape, Landscape)) -> f64| -> Vec<Condition> {
        let effects = |m: &Measured| m.landscapes.iter().map(effect).collect();
        measured.iter().map(|m| Condition::new(part, format!("{}, {name}", m.condition), effects(m))).collect()
    };
    [
        of(&PREDICTION, "prediction", |(relu, other)| other.prediction_error / relu.prediction_error),
        of(&COSINE, "cosine", |(relu, other)| relu.gradient_cosine - other.gradient_cosine),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

    fn verdict(relu: (f64, f64), other: (f64, f64)) -> Verdict {
        let landscape = |(error, cosine): (f64, f64)| Landscape { prediction_error: error, gradient_cosine: cosine };
        let landscapes =
            around(1.0).map(|jitter| (landscape((jitter * relu.0, jitter * relu.1)), landscape(other))).to_vec();
        CLAIM.judge(conditions(&[Measured { condition: "tanh".to_owned(), landscapes }])).verdict
    }

    #[test]
    fn a_straighter_landscape_confirms_an_equal_or_rougher_one_refutes() {
        assert_eq!(verdict((0.1, 0.9), (0.3, 0.7)), Verdict::Confirmed);
        assert_eq!(verdict((0.1, 0.9), (0.1, 0.9)), Verdict::Refuted);
        assert_eq!(verdict((0.3, 0.7), (0.1, 0.9)), Verdict::Refuted);
        assert_eq!(verdict((0.1, 0.7), (0.3, 0.9)), Verdict::Qualified);
    }

    #[test]
    fn a_quadratic_loss_misses_its_prediction_by_half_the_step() {
        // L = w²/2 at w = 1, step h: predicted −h, actual ((1 − h)² − 1) / 2 = −h + h²/2.
        let h = 0.2;
        assert!((prediction_error(-h + h * h / 2.0, -h) - h / 2.0).abs() < 1e-12);
        assert!(prediction_error(0.0, 0.0).is_nan());
    }
}
