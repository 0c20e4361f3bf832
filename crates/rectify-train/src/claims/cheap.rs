//! `cheap`: ReLU and its derivative cost less.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "cheap",
    statement: "ReLU and its derivative cost less than sigmoid and tanh, as there is no exponential to compute.",
    source: "Glorot, Bordes and Bengio 2011, Deep sparse rectifier neural networks, §3; whether it matters: Amdahl \
             1967, Validity of the single processor approach to achieving large scale computing capabilities",
    parts: &[&PER_ELEMENT, &PER_STEP],
    run: None,
};

static PER_ELEMENT: Part = Part {
    quantity: "time per element, sigmoid's or tanh's over ReLU's",
    unit: "ratio",
    null_hypothesis: "They take the same time.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.1),
    why: "A tenth is what the same code's time moves by between runs on a busy machine.",
};
static PER_STEP: Part = Part {
    quantity: "share of a whole training step that ReLU saves",
    unit: "fraction",
    null_hypothesis: "The step takes as long with either.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.05),
    why: "Less than a twentieth of the time is no reason to choose an activation, however much cheaper its own part is.",
};

/// Times of ReLU and of another function for the same work, a pair a repetition, taken in turn.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What was timed, such as `tanh backward, 2^20 f32, flex`.
    pub condition: String,
    /// (ReLU, the other): nanoseconds per element, or seconds a step.
    pub times: Vec<(f64, f64)>,
}

/// The evidence from times per element and from times of whole steps.
pub fn conditions(elements: &[Measured], steps: &[Measured]) -> Vec<Condition> {
    let per_element = elements.iter().map(|m| {
        Condition::new(&PER_ELEMENT, &m.condition, m.times.iter().map(|(relu, other)| other / relu).collect())
    });
    let per_step = steps.iter().map(|m| {
        Condition::new(&PER_STEP, &m.condition, m.times.iter().map(|(relu, other)| 1.0 - relu / other).collect())
    });
    per_element.chain(per_step).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

    fn verdict(element: f64, step: f64) -> Verdict {
        let measured = |other: f64| Measured {
            condition: "tanh".to_owned(),
            times: around(other).map(|other| (1.0, other)).to_vec(),
        };
        CLAIM.judge(conditions(&[measured(element)], &[measured(step)])).verdict
    }

    #[test]
    fn cheaper_elements_and_steps_confirm_dearer_ones_refute_and_cheap_elements_alone_qualify() {
        assert_eq!(verdict(3.0, 1.2), Verdict::Confirmed);
        assert_eq!(verdict(1.0, 1.0), Verdict::Refuted);
        assert_eq!(verdict(0.5, 0.9), Verdict::Refuted);
        assert_eq!(verdict(3.0, 1.01), Verdict::Qualified);
    }
}
