//! `cnn-and-mlp`: ReLU is the right default in both.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "cnn-and-mlp",
    statement: "ReLU is the right default in fully connected and in convolutional networks.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.1; LeCun, Bengio and Hinton 2015, Deep learning \
             (Nature); to the contrary: Ramachandran, Zoph and Le 2017, Searching for activation functions",
    parts: &[&ACCURACY, &SPEED],
    run: None,
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

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

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
