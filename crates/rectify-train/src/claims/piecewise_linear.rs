//! `piecewise-linear`: ReLU is not linear, though it is on each side of 0.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "piecewise-linear",
    statement: "ReLU is non-linear, though linear on each side of 0, and depth multiplies its linear pieces.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.1; Montúfar et al. 2014, On the number of linear \
             regions of deep neural networks; how many there are in practice: Hanin and Rolnick 2019, Complexity of \
             linear regions in deep networks",
    parts: &[&ADDITIVITY, &HOMOGENEITY, &REGIONS, &LINEAR_REGIONS],
};

static ADDITIVITY: Part = Part {
    quantity: "fraction of random pairs with relu(x + y) ≠ relu(x) + relu(y) beyond rounding",
    unit: "fraction",
    null_hypothesis: "ReLU is additive.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "Additivity fails exactly where x and y differ in sign: half of all pairs that are symmetric about 0. A fifth \
          of that is beyond any rounding.",
};
static HOMOGENEITY: Part = Part {
    quantity: "largest |relu(a x) − a relu(x)| / |a x| over random x and a > 0",
    unit: "1",
    null_hypothesis: "Scaling the input by a positive number does not scale the output.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 1e-6),
    why: "A product in f32 is rounded by 6e-8; ten of those.",
};
static REGIONS: Part = Part {
    quantity: "linear regions crossed between two images by a network of four times the depth, relative to the shallow \
               one",
    unit: "ratio",
    null_hypothesis: "Depth does not change how many regions are crossed.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.5),
    why: "Hanin and Rolnick find regions along a line in proportion to the number of neurons: a factor of 4 here. 1.5 \
          leaves room for lines and seeds, and is clearly growth.",
};
static LINEAR_REGIONS: Part = Part {
    quantity: "boundaries between linear regions crossed by a network without activations",
    unit: "boundaries",
    null_hypothesis: "There is at least one.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 1.0),
    why: "A count: less than one is none.",
};

/// One seed's figures.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Fraction of pairs that break additivity.
    pub additivity_failures: f64,
    /// Largest relative error of positive homogeneity.
    pub homogeneity_error: f64,
    /// Mean number of regions that the shallow ReLU network has along a line between two images, at least 1.
    pub regions_shallow: f64,
    /// The same for four times the depth at the same width.
    pub regions_deep: f64,
    /// Boundaries that the network without activations has there.
    pub boundaries_linear: f64,
}

/// The evidence in the figures of each seed.
pub fn conditions(seeds: &[Measured]) -> Vec<Condition> {
    let over = |effect: fn(&Measured) -> f64| seeds.iter().map(effect).collect();
    vec![
        Condition::new(&ADDITIVITY, "pairs of normal numbers", over(|m| m.additivity_failures)),
        Condition::new(&HOMOGENEITY, "normal numbers, positive factors", over(|m| m.homogeneity_error)),
        Condition::new(&REGIONS, "ReLU network, depth times four", over(|m| m.regions_deep / m.regions_shallow)),
        Condition::new(&LINEAR_REGIONS, "network without activations", over(|m| m.boundaries_linear)),
    ]
}

/// Linear regions along a line: one more than the points at which some unit switches on or off.
///
/// `active` holds, for each point in order along the line, whether each unit's pre-activation is positive. Regions
/// narrower than the distance of two points are missed, so the count is a lower bound. No points are no region.
pub fn regions(active: &[Vec<bool>]) -> usize {
    let switches = active.windows(2).filter(|pair| pair[0] != pair[1]).count();
    if active.is_empty() { 0 } else { 1 + switches }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

    fn verdict(additivity: f64, homogeneity: f64, shallow: f64, deep: f64, linear: f64) -> Verdict {
        let seeds = around(1.0).map(|jitter| Measured {
            additivity_failures: jitter * additivity,
            homogeneity_error: jitter * homogeneity,
            regions_shallow: shallow,
            regions_deep: jitter * deep,
            boundaries_linear: jitter * linear,
        });
        CLAIM.judge(conditions(&seeds)).verdict
    }

    #[test]
    fn a_hinge_confirms_a_line_qualifies_and_the_reverse_of_all_refutes() {
        assert_eq!(verdict(0.5, 0.0, 50.0, 200.0, 0.0), Verdict::Confirmed);
        assert_eq!(verdict(0.0, 0.0, 1.0, 1.0, 0.0), Verdict::Qualified);
        assert_eq!(verdict(0.0, 0.5, 200.0, 50.0, 40.0), Verdict::Refuted);
    }

    #[test]
    fn regions_count_the_switches_of_two_units_on_a_line() {
        // Units that switch at 0.25 and at 0.75, on 101 points from 0 to 1.
        let active: Vec<_> = (0..=100).map(|i| vec![i > 25, i < 75]).collect();
        assert_eq!(regions(&active), 3);
        assert_eq!(regions(&[vec![], vec![]]), 1);
        assert_eq!(regions(&[]), 0);
    }
}
