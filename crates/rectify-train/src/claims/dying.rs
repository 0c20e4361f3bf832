//! `dying`: units die with a high learning rate or a large negative bias, and stay dead.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "dying",
    statement: "ReLU units die with a high learning rate or a large negative bias, and stay dead, unless the function, \
                its gradient or the initialisation is another.",
    source: "Maas, Hannun and Ng 2013, Rectifier nonlinearities improve neural network acoustic models, §2; Lu et al. \
             2019, Dying ReLU and initialization: theory and numerical examples; Horuz et al. 2025, The resurrection \
             of the ReLU",
    parts: &[&DIES, &STAYS_DEAD, &CURED],
};

static DIES: Part = Part {
    quantity: "dead fraction under the stress less that with ordinary settings, after training",
    unit: "fraction",
    null_hypothesis: "No more units are dead than with ordinary settings.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "A tenth of the units is a network noticeably narrower than it was paid for.",
};
static STAYS_DEAD: Part = Part {
    quantity: "of the units dead at some epoch, the fraction that is dead at the end",
    unit: "fraction",
    null_hypothesis: "More than one unit in ten lives again.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.9),
    why: "A dead unit gets no gradient of its own, but the layers before it still move its input. Where more than a \
          tenth come back, \"dead\" is the wrong word.",
};
static CURED: Part = Part {
    quantity: "dead fraction of plain ReLU less that with the cure, under the same stress",
    unit: "fraction",
    null_hypothesis: "As many units are dead with the cure.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.05),
    why: "Half of what counts as dying.",
};

/// Of the units dead at any earlier epoch, the fraction that is dead at the last one.
///
/// `dead` holds, for each epoch, whether each unit was zero on the whole probe set. A unit that died, lived and died
/// again counts as dead. NaN where no unit was ever dead before the last epoch, or units differ in number.
pub fn survival_of_death(dead: &[Vec<bool>]) -> f64 {
    let Some((last, earlier)) = dead.split_last() else { return f64::NAN };
    if earlier.iter().any(|epoch| epoch.len() != last.len()) {
        return f64::NAN;
    }
    let died: Vec<usize> = (0..last.len()).filter(|&unit| earlier.iter().any(|epoch| epoch[unit])).collect();
    died.iter().filter(|&&unit| last[unit]).count() as f64 / died.len() as f64
}

/// A stress on plain ReLU, beside the same network without it.
#[derive(Debug, Clone)]
pub struct Stress {
    /// Such as `rate 1.0` or `bias −2`.
    pub condition: String,
    /// Dead fractions after training (stressed, ordinary), a pair a seed.
    pub dead: Vec<(f64, f64)>,
    /// [`survival_of_death`] of each stressed seed.
    pub stay_dead: Vec<f64>,
}

/// A cure under a stress, beside plain ReLU under it.
#[derive(Debug, Clone)]
pub struct Cure {
    /// Such as `leaky-relu:0.01, bias −2`.
    pub condition: String,
    /// Dead fractions after training (plain, cured), a pair a seed.
    pub dead: Vec<(f64, f64)>,
}

/// The evidence under each stress and for each cure.
pub fn conditions(stresses: &[Stress], cures: &[Cure]) -> Vec<Condition> {
    let less = |pairs: &[(f64, f64)]| pairs.iter().map(|(a, b)| a - b).collect();
    let dies = stresses.iter().map(|m| Condition::new(&DIES, format!("{}, dies", m.condition), less(&m.dead)));
    let stays = stresses
        .iter()
        .map(|m| Condition::new(&STAYS_DEAD, format!("{}, stays dead", m.condition), m.stay_dead.clone()));
    let cured = cures.iter().map(|m| Condition::new(&CURED, &m.condition, less(&m.dead)));
    dies.chain(stays).chain(cured).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

    fn verdict(stressed: f64, ordinary: f64, stay_dead: f64, cured: f64) -> Verdict {
        let dead = |other: f64| around(stressed).map(|stressed| (stressed, other)).to_vec();
        let stress =
            Stress { condition: "made".to_owned(), dead: dead(ordinary), stay_dead: around(stay_dead).to_vec() };
        let cure = Cure { condition: "made".to_owned(), dead: dead(cured) };
        CLAIM.judge(conditions(&[stress], &[cure])).verdict
    }

    #[test]
    fn death_that_stays_and_can_be_cured_confirms_and_its_reverse_refutes() {
        assert_eq!(verdict(0.5, 0.01, 0.98, 0.1), Verdict::Confirmed);
        assert_eq!(verdict(0.01, 0.01, 0.5, 0.01), Verdict::Refuted);
        assert_eq!(verdict(0.01, 0.5, 0.1, 0.5), Verdict::Refuted);
        // They die, but half of them come back.
        assert_eq!(verdict(0.5, 0.01, 0.5, 0.1), Verdict::Qualified);
        // Nobody was dead, so nobody could stay so.
        assert_eq!(verdict(0.5, 0.01, f64::NAN, 0.1), Verdict::NotSettled);
    }

    #[test]
    fn survival_follows_single_units() {
        // Unit 0 dies and stays, 1 dies and lives again, 2 dies, lives and dies again, 3 dies only at the end, 4 lives.
        let dead = vec![
            vec![false, true, true, false, false],
            vec![true, true, false, false, false],
            vec![true, false, true, true, false],
        ];
        assert!((survival_of_death(&dead) - 2.0 / 3.0).abs() < 1e-12);
        assert!(survival_of_death(&[vec![false], vec![true]]).is_nan());
        assert!(survival_of_death(&[vec![true], vec![true, true]]).is_nan());
        assert!(survival_of_death(&[]).is_nan());
    }
}
