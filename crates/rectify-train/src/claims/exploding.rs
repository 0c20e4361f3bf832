//! `exploding`: accumulated gradients explode and unsettle training.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "exploding",
    statement: "Gradients accumulated over layers explode and unsettle training; clipping, He initialisation or a lower \
                learning rate cure it.",
    source: "Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks, §2 and §3; He \
             et al. 2015, Delving deep into rectifiers, §2.2",
    parts: &[&GROWTH, &DIVERGENCE, &CURED],
};

static GROWTH: Part = Part {
    quantity: "RMS of the gradient at the first hidden layer's pre-activations over that at the last's, before training",
    unit: "ratio",
    null_hypothesis: "Gradients are as large at the first layer as at the last.",
    hypothesis: Hypothesis::ratio(Direction::Above, 10.0),
    why: "The same factor at which a gradient counts as vanished.",
};
static DIVERGENCE: Part = Part {
    quantity: "trainings with a large initial gain that diverge or end no better than guessing",
    unit: "fraction",
    null_hypothesis: "At most one in four fails.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.25),
    why: "One lost training in four is more than anyone works with. Three failures of three show more than that; it \
          takes thirteen trainings without a failure to show less.",
};
static CURED: Part = Part {
    quantity: "the same trainings with one cure applied that still fail",
    unit: "fraction",
    null_hypothesis: "Half of them or more still fail.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 0.5),
    why: "A cure helps more often than not. Six seeds without a failure are the least that can show that.",
};

/// One setting over its seeds.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Activation, gain and rate, such as `relu, gain 2, rate 0.1`; for a cure, which.
    pub condition: String,
    /// RMS of the gradient at the first and at the last hidden layer's pre-activations, a pair a seed.
    pub gradients: Vec<(f64, f64)>,
    /// Whether each seed's training diverged or ended no better than guessing.
    pub failed: Vec<bool>,
}

/// The evidence from settings with a large gain, and from the same with a cure.
pub fn conditions(large_gain: &[Measured], cured: &[Measured]) -> Vec<Condition> {
    let growth = large_gain.iter().map(|m| {
        let ratios = m.gradients.iter().map(|(first, last)| first / last).collect();
        Condition::new(&GROWTH, format!("{}, gradient", m.condition), ratios)
    });
    let failures =
        large_gain.iter().map(|m| Condition::proportion(&DIVERGENCE, format!("{}, training", m.condition), &m.failed));
    let cured = cured.iter().map(|m| Condition::proportion(&CURED, &m.condition, &m.failed));
    growth.chain(failures).chain(cured).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

    fn verdict(growth: f64, failed: bool, still_failing: bool, seeds: usize) -> Verdict {
        let measured = |failed| Measured {
            condition: "made".to_owned(),
            gradients: around(growth).map(|first| (first, 1.0)).to_vec(),
            failed: vec![failed; seeds],
        };
        CLAIM.judge(conditions(&[measured(failed)], &[measured(still_failing)])).verdict
    }

    #[test]
    fn explosions_that_can_be_cured_confirm_and_their_reverse_refutes() {
        assert_eq!(verdict(1e4, true, false, 6), Verdict::Confirmed);
        assert_eq!(verdict(0.1, false, true, 13), Verdict::Refuted);
        // Gradients as large at both ends, and training that works.
        assert_eq!(verdict(1.0, false, false, 20), Verdict::Qualified);
        // Explosions that nothing cures.
        assert_eq!(verdict(1e4, true, true, 12), Verdict::Qualified);
    }

    #[test]
    fn three_seeds_without_a_failure_do_not_show_a_cure() {
        assert_eq!(verdict(1e4, true, false, 3), Verdict::NotSettled);
    }
}
