//! `linear-collapse`: without activation, a deep network is a linear model.

use burn::{module::Module, tensor::Tensor};

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic,
    lab::{ClaimError, Lab, accuracy, seeds_in_words},
};
use crate::{
    experiment::{Experiment, OptimizerKind},
    judge::verdict::{Direction, Hypothesis},
    network::{Dense, Model, Network, parameters},
    observe::Trace,
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "linear-collapse",
    statement: "Without activation functions a deep network is a linear model.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.1; on how deep linear networks learn all the \
             same: Saxe, McClelland and Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep \
             linear neural networks",
    parts: &[&PRODUCT, &EQUALS_SOFTMAX, &RELU_GAINS],
    run,
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

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    // Deep linear networks diverge at the rates that are ordinary with an activation; Adam needs no rate for each.
    let deep = Experiment {
        train_size: lab.choose(Some(2000), None, None),
        optimizer: OptimizerKind::Adam,
        ..lab.experiment()
    };
    let softmax = Experiment { hidden: Some(Vec::new()), ..deep.clone() };
    let names = ["deep linear", "softmax regression", "deep ReLU"];
    let trainings: Vec<Training> = lab
        .seeds()
        .flat_map(|seed| {
            let of = |experiment, activation| lab.trainings(experiment, &[activation], seed..seed + 1);
            [of(&deep, "none"), of(&softmax, "none"), of(&deep, "relu")].concat()
        })
        .collect();
    let trained = lab.side_by_side(&trainings, &|training| {
        let data = lab.data(&training.experiment)?;
        let (network, run) = lab.train(lab.network(training, &data), training, &data, &mut |_| {})?;
        Ok((product_error(&network, data.test.images()), run))
    })?;
    let measured: Vec<Measured> = trained
        .chunks(names.len())
        .map(|seed| Measured {
            product_error: seed[0].0,
            linear: accuracy(&seed[0].1),
            softmax: accuracy(&seed[1].1),
            relu: accuracy(&seed[2].1),
        })
        .collect();
    let curve = |network: usize| {
        let runs = || trained.chunks(names.len()).map(move |seed| &seed[network].1);
        let at = |epoch: usize| runs().filter_map(|run| run.epochs.get(epoch)?.test_accuracy).collect();
        Curve::measured(names[network], arithmetic, (0..=deep.epochs()).map(|epoch| (epoch as f64, at(epoch))))
    };
    Ok(Outcome {
        conditions: conditions(&measured),
        what_was_run: format!(
            "{}; without activations, as softmax regression, with ReLU; {}",
            Training::describe(&deep),
            seeds_in_words(&lab.seeds())
        ),
        figures: vec![Figure {
            title: "Test accuracy".to_owned(),
            x: "epoch".to_owned(),
            y: "test accuracy".to_owned(),
            series: (0..names.len()).map(curve).collect(),
            ..Figure::default()
        }],
    })
}

/// Largest |output − collapsed output| over the images, relative to the largest |output|, where the collapsed network is
/// the product of the deep one's matrices; NaN for a CNN.
fn product_error(network: &Model, images: Tensor<2>) -> f64 {
    let Model::Mlp(network) = network.valid() else { return f64::NAN };
    let output = network.forward(images.clone(), &mut Trace::off());
    let output_layer = parameters(&network.output);
    let product = network
        .hidden
        .iter()
        .map(Dense::parameters)
        .chain([output_layer])
        .map(|(weight, bias)| (weight, bias.unsqueeze()))
        .reduce(|(w, b): (Tensor<2>, Tensor<2>), (weight, bias)| (w.matmul(weight.clone()), b.matmul(weight) + bias));
    let Some((weight, bias)) = product else { return f64::NAN };
    let largest = |tensor: Tensor<2>| tensor.abs().max().into_scalar::<f64>();
    largest(output.clone() - (images.matmul(weight) + bias)) / largest(output)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

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
