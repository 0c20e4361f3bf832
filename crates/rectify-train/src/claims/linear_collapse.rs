//! `linear-collapse`: without activation, a deep network is a linear model.

use super::{
    Claim, Condition, Part,
    verdict::{Direction, Hypothesis},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "linear-collapse",
    statement: "Without activation functions a deep network is a linear model.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.1; on how deep linear networks learn all the \
             same: Saxe, McClelland and Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep \
             linear neural networks",
    parts: &[&PRODUCT, &EQUALS_SOFTMAX, &RELU_GAINS],
};

static PRODUCT: Part = Part {
    quantity: "largest difference between the trained deep linear network's output and that of the product of its \
               matrices, relative to the largest output",
    unit: "1",
    null_hypothesis: "The outputs differ by more than rounding.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 1e-4),
    why: "Rounding of f32 (1.2e-7) over six sums of up to 784 terms adds up like a random walk to about 2e-5; five \
          times that is still nothing that a non-linearity could hide in.",
};
static EQUALS_SOFTMAX: Part = Part {
    quantity: "test accuracy of the deep linear network less that of softmax regression",
    unit: "fraction",
    null_hypothesis: "The accuracies differ by a percentage point or more.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 0.01),
    why: "Softmax regression itself varies by up to a point with optimizer and training time (91.5 to 92.6 % on MNIST).",
};
static RELU_GAINS: Part = Part {
    quantity: "test accuracy of the same network with ReLU less that of the linear model",
    unit: "fraction",
    null_hypothesis: "ReLU adds no more than a percentage point.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.01),
    why: "The same point that linear models differ by among themselves.",
};

/// One seed's figures.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Largest |output − collapsed output| over the test set, over the largest |output|.
    pub product_error: f64,
    /// Test accuracy of the deep linear network.
    pub linear: f64,
    /// Test accuracy of softmax regression.
    pub softmax: f64,
    /// Test accuracy of the deep network with ReLU.
    pub relu: f64,
}

/// The evidence in the figures of each seed.
pub fn conditions(seeds: &[Measured]) -> Vec<Condition> {
    let over = |effect: fn(&Measured) -> f64| seeds.iter().map(effect).collect();
    vec![
        Condition::new(&PRODUCT, "product of matrices", over(|m| m.product_error)),
        Condition::new(&EQUALS_SOFTMAX, "against softmax regression", over(|m| m.linear - m.softmax)),
        Condition::new(&RELU_GAINS, "ReLU against deep linear", over(|m| m.relu - m.linear)),
        Condition::new(&RELU_GAINS, "ReLU against softmax regression", over(|m| m.relu - m.softmax)),
    ]
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::claims::verdict::Verdict;

    fn verdict(product_error: f64, linear: f64, softmax: f64, relu: f64) -> Verdict {
        let seeds = around(1.0).map(|jitter| Measured {
            product_error: jitter * product_error,
            linear: jitter * linear,
            softmax,
            relu: jitter * relu,
        });
        CLAIM.judge(conditions(&seeds)).verdict
    }

    #[test]
    fn a_network_that_collapses_confirms_and_one_that_does_not_refutes() {
        assert_eq!(verdict(1e-6, 0.920, 0.921, 0.975), Verdict::Confirmed);
        // Not a product of matrices, better than softmax regression, and ReLU adds nothing to either.
        assert_eq!(verdict(0.3, 0.975, 0.920, 0.920), Verdict::Refuted);
        // It collapses, but ReLU brings nothing.
        assert_eq!(verdict(1e-6, 0.920, 0.921, 0.921), Verdict::Qualified);
    }
}
