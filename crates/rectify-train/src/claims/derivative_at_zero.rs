//! `derivative-at-zero`: the derivative is 1 or 0, and choosing 0 at 0 does no harm.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "derivative-at-zero",
    statement: "ReLU's derivative is 1 or 0, and taking 0 at 0, where it has none, does no harm.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.3; Bertoin, Bolte, Gerchinovitz and Pauwels \
             2021, Numerical influence of ReLU'(0) on backpropagation, who find that it matters at 16 and 32 bits, and 0 the best choice",
    parts: &[&ACCURACY],
};

static ACCURACY: Part = Part {
    quantity: "test accuracy with 0 at 0 less that with another value, seed by seed",
    unit: "fraction",
    null_hypothesis: "Taking 0 costs half a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::NotBelow, 0.0, 0.005),
    why: "Seeds alone spread MNIST accuracies by two or three tenths of a point; half a point is the least that would \
          make anyone choose another value.",
};

/// Two trainings that differ in the value at 0 alone.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Type, setting and the other value, such as `f16, batch norm, ½ at 0`.
    pub condition: String,
    /// Test accuracies (with 0, with the other value), a pair a seed; NaN where a training diverged.
    pub accuracies: Vec<(f64, f64)>,
}

/// The evidence under each condition.
pub fn conditions(measured: &[Measured]) -> Vec<Condition> {
    let differences = |m: &Measured| m.accuracies.iter().map(|(zero, other)| zero - other).collect();
    measured.iter().map(|m| Condition::new(&ACCURACY, &m.condition, differences(m))).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

    fn verdict(pairs: &[(f64, f64)]) -> Verdict {
        let measured: Vec<_> = pairs
            .iter()
            .map(|&(zero, other)| Measured {
                condition: "made".to_owned(),
                accuracies: around(zero).map(|zero| (zero, other)).to_vec(),
            })
            .collect();
        CLAIM.judge(conditions(&measured)).verdict
    }

    #[test]
    fn no_difference_and_a_gain_confirm_harm_refutes_and_both_qualify() {
        assert_eq!(verdict(&[(0.975, 0.975), (0.97, 0.971)]), Verdict::Confirmed);
        assert_eq!(verdict(&[(0.975, 0.80)]), Verdict::Confirmed);
        assert_eq!(verdict(&[(0.90, 0.975), (0.93, 0.97)]), Verdict::Refuted);
        assert_eq!(verdict(&[(0.975, 0.975), (0.90, 0.975)]), Verdict::Qualified);
        assert_eq!(verdict(&[(f64::NAN, 0.975)]), Verdict::NotSettled);
    }
}
