//! `piecewise-linear`: ReLU is not linear, though it is on each side of 0.

use burn::{
    module::Module,
    tensor::{DType, Device, Tensor, TensorData},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rectify::relu;

use super::{
    Claim, Condition, Curve, Figure, Outcome, Part, arithmetic,
    lab::{ClaimError, Lab, seeds_in_words},
};
use crate::{
    data::DeviceSamples,
    experiment::Experiment,
    judge::verdict::{Direction, Hypothesis},
    network::{Mlp, Model, parameters},
    train::grid::Training,
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "piecewise-linear",
    statement: "ReLU is non-linear, though linear on each side of 0, and depth multiplies its linear pieces.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.1; Montúfar et al. 2014, On the number of linear \
             regions of deep neural networks; how many there are in practice: Hanin and Rolnick 2019, Complexity of \
             linear regions in deep networks",
    parts: &[&ADDITIVITY, &HOMOGENEITY, &REGIONS, &LINEAR_REGIONS],
    run,
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

/// Units of a hidden layer.
const WIDTH: usize = 64;
/// Hidden layers: the first and the last are compared.
const DEPTHS: [usize; 3] = [2, 4, 8];
/// Points on a line between two images.
const POINTS: usize = 2000;
/// Numbers for additivity and homogeneity.
const NUMBERS: usize = 1 << 16;

fn run(lab: &Lab) -> Result<Outcome, ClaimError> {
    let of_depth = |depth| Experiment { hidden: Some(vec![WIDTH; depth]), ..lab.experiment() };
    let deepest = DEPTHS[DEPTHS.len() - 1];
    let lines = lab.choose(2, 10, 50);
    let trainings: Vec<Training> = lab
        .seeds()
        .flat_map(|seed| {
            let relu = DEPTHS.map(|depth| lab.trainings(&of_depth(depth), &["relu"], seed..seed + 1)).concat();
            [relu, lab.trainings(&of_depth(deepest), &["none"], seed..seed + 1)].concat()
        })
        .collect();
    let regions_of = lab.side_by_side(&trainings, &|training| {
        let data = lab.data(&training.experiment)?;
        let (network, _) = lab.train(lab.network(training, &data), training, &data, &mut |_| {})?;
        // Lines from each even test image to the next.
        let counts: Vec<f64> = (0..lines)
            .filter_map(|line| along_line(&network.valid(), &data.test, 2 * line))
            .map(|line| match training.activation.name() {
                "none" => bends(&line.outputs) as f64,
                _ => regions(&line.active) as f64,
            })
            .collect();
        Ok(arithmetic(&counts))
    })?;
    let seeds: Vec<&[f64]> = regions_of.chunks(DEPTHS.len() + 1).collect();
    let measured: Vec<Measured> = lab
        .seeds()
        .zip(&seeds)
        .map(|(seed, counts)| {
            let (additivity_failures, homogeneity_error) = linearity(lab, seed);
            Measured {
                additivity_failures,
                homogeneity_error,
                regions_shallow: counts[0],
                regions_deep: counts[DEPTHS.len() - 1],
                boundaries_linear: counts[DEPTHS.len()],
            }
        })
        .collect();
    let at = |i: usize| (DEPTHS[i] as f64, seeds.iter().map(|counts| counts[i]).collect());
    // Hanin and Rolnick 2019: in proportion to the number of neurons.
    let first = arithmetic(&seeds.iter().map(|counts| counts[0]).collect::<Vec<_>>());
    let proportional = DEPTHS.map(|depth| (depth as f64, 1.0 + (first - 1.0) * depth as f64 / DEPTHS[0] as f64));
    Ok(Outcome {
        conditions: conditions(&measured),
        what_was_run: format!(
            "{NUMBERS} pairs of normal numbers; {lines} lines of {POINTS} points between test images through networks \
             with {DEPTHS:?} hidden layers, {}; {}",
            Training::describe(&of_depth(deepest)),
            seeds_in_words(&lab.seeds())
        ),
        figures: vec![Figure {
            title: "Linear regions on a line between two images".to_owned(),
            x: "hidden layers".to_owned(),
            y: "regions".to_owned(),
            series: vec![
                Curve::measured("ReLU", arithmetic, (0..DEPTHS.len()).map(at)),
                Curve::predicted("ReLU", proportional),
                Curve::measured(
                    "no activation",
                    arithmetic,
                    [(deepest as f64, seeds.iter().map(|counts| 1.0 + counts[DEPTHS.len()]).collect())],
                ),
            ],
            ..Figure::default()
        }],
    })
}

/// The fraction of pairs that break additivity beyond rounding, and the largest relative error of homogeneity.
fn linearity(lab: &Lab, seed: u64) -> (f64, f64) {
    let normal = |offset: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(offset);
        // Box and Muller 1958.
        let values: Vec<f32> = (0..NUMBERS)
            .map(|_| {
                let (u, v): (f32, f32) = (rng.random(), rng.random());
                (-2.0 * (1.0 - u).ln()).sqrt() * (std::f32::consts::TAU * v).cos()
            })
            .collect();
        Tensor::<1>::from_data(TensorData::new(values, [NUMBERS]), (lab.device(), DType::F32))
    };
    let (x, y, a) = (normal(1), normal(2), normal(3).abs() + 1e-3);
    let missed = relu(x.clone() + y.clone()) - (relu(x.clone()) + relu(y.clone()));
    let beyond_rounding = missed.abs().greater(1e-5 * (x.clone().abs() + y.abs()));
    let failures = beyond_rounding.int().sum().into_scalar::<i64>() as f64 / NUMBERS as f64;
    let error = (relu(a.clone() * x.clone()) - a.clone() * relu(x.clone())).abs() / (a * x.abs()).clamp_min(1e-30);
    (failures, error.max().into_scalar::<f64>())
}

/// What a network does at each point of a line.
struct Line {
    /// Whether each hidden unit is on.
    active: Vec<Vec<bool>>,
    /// The logits.
    outputs: Vec<Vec<f64>>,
}

/// Walks from one sample to the next, in f64 so that no rounding looks like a bend.
fn along_line(network: &Model, samples: &DeviceSamples, first: usize) -> Option<Line> {
    let Model::Mlp(Mlp { hidden, output }) = network else { return None };
    if first + 2 > samples.len() {
        return None;
    }
    let host = Device::flex();
    let on_host = |tensor: Tensor<2>| Tensor::<2>::from_data(tensor.into_data(), (&host, DType::F64));
    let affine =
        |(weight, bias): (Tensor<2>, Tensor<1>), x: Tensor<2>| x.matmul(on_host(weight)) + on_host(bias.unsqueeze());
    let rows = |tensor: &Tensor<2>| -> Vec<Vec<f64>> {
        let [_, width] = tensor.dims();
        let values: Vec<f64> = tensor.clone().into_data().iter().collect();
        values.chunks(width).map(<[f64]>::to_vec).collect()
    };
    let ends = on_host(samples.slice(first..first + 2).images);
    let (from, to) = (ends.clone().narrow(0, 0, 1), ends.narrow(0, 1, 1));
    let steps: Vec<f64> = (0..POINTS).map(|i| i as f64 / (POINTS - 1) as f64).collect();
    let steps = Tensor::<2>::from_data(TensorData::new(steps, [POINTS, 1]), (&host, DType::F64));
    let mut x = from.clone() + steps * (to - from);
    let mut active = vec![Vec::new(); POINTS];
    for dense in hidden {
        let z = affine(dense.parameters(), x);
        for (active, z) in active.iter_mut().zip(rows(&z)) {
            active.extend(z.into_iter().map(|z| z > 0.0));
        }
        x = dense.activation.forward(z);
    }
    Some(Line { active, outputs: rows(&affine(parameters(output), x)) })
}

/// Points of a line at which the outputs change their slope, beyond the rounding of f64.
fn bends(outputs: &[Vec<f64>]) -> usize {
    let slopes: Vec<Vec<f64>> =
        outputs.windows(2).map(|pair| pair[1].iter().zip(&pair[0]).map(|(b, a)| b - a).collect()).collect();
    let steepest = slopes.iter().flatten().fold(0.0, |steepest: f64, slope| steepest.max(slope.abs()));
    let bends = |pair: &&[Vec<f64>]| pair[1].iter().zip(&pair[0]).any(|(b, a)| (b - a).abs() > 1e-6 * steepest);
    slopes.windows(2).filter(bends).count()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::around, *};
    use crate::judge::verdict::Verdict;

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
    fn bends_are_counted_where_the_slope_changes_and_a_line_has_none() {
        let line: Vec<_> = (0..100).map(|i| vec![0.1 * f64::from(i), 3.0 - f64::from(i) / 7.0]).collect();
        assert_eq!(bends(&line), 0);
        let hinge: Vec<_> = (0..100).map(|i| vec![f64::from((i - 50).max(0)), 0.0]).collect();
        assert_eq!(bends(&hinge), 1);
        assert_eq!(bends(&[]), 0);
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
