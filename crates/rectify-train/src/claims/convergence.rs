//! `convergence`: ReLU trains in less time.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "convergence",
    statement: "A network with ReLU reaches a given training loss in less time than one with sigmoid or tanh.",
    source: "Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep convolutional neural networks, \
             §3.1 and figure 1: six times fewer iterations than tanh to 25 % training error on CIFAR-10",
    parts: &[&STEPS, &SECONDS],
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
#[derive(Debug, Clone, Copy)]
pub struct Training {
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
    pub trainings: Vec<(Training, Training)>,
}

/// The evidence under each condition.
///
/// Where only one of a pair reached the loss, the other's budget stands for what it would have needed: the ratio is then
/// a bound, on the side that makes the effect smaller. Where neither did, there is no ratio.
pub fn conditions(measured: &[Measured]) -> Vec<Condition> {
    let ratios = |m: &Measured, figure: fn(&Training) -> f64| -> Vec<f64> {
        m.trainings
            .iter()
            .map(|(relu, other)| match relu.reached || other.reached {
                true => figure(other) / figure(relu),
                false => f64::NAN,
            })
            .collect()
    };
    let of = |part, name: &str, figure: fn(&Training) -> f64| -> Vec<Condition> {
        measured.iter().map(|m| Condition::new(part, format!("{}, {name}", m.condition), ratios(m, figure))).collect()
    };
    [of(&STEPS, "steps", |training| training.steps), of(&SECONDS, "seconds", |training| training.seconds)].concat()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

    fn verdict(relu: (bool, f64), other: (bool, f64)) -> Verdict {
        let training = |(reached, steps): (bool, f64)| Training { reached, steps, seconds: steps / 1000.0 };
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
        let training = |steps, seconds| Training { reached: true, steps, seconds };
        let pair = (training(100.0, 1.0), training(300.0, 1.0));
        let measured = Measured { condition: "tanh".to_owned(), trainings: vec![pair; 3] };
        assert_eq!(CLAIM.judge(conditions(&[measured])).verdict, Verdict::Qualified);
    }
}
