//! `piecewise-linear`: ReLU is not linear, though it is on each side of 0.

use burn::{
    module::Module,
    tensor::{DType, Device, Tensor, TensorData},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rectify::relu;
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    lab::{ClaimError, Lab, Setup, describe},
};
use crate::{
    data::DeviceSamples,
    experiment::Experiment,
    judge::{
        curve::{Curve, arithmetic},
        number::number,
        verdict::{Direction, Hypothesis, Sample},
    },
    network::{Mlp, Model, parameters},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "piecewise-linear",
    statement: "ReLU is non-linear, though linear on each side of 0, and depth multiplies its linear pieces.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.1; Montúfar et al. 2014, On the number of linear \
             regions of deep neural networks; how many there are in practice: Hanin and Rolnick 2019, Complexity of \
             linear regions in deep networks",
    criteria: &[&ADDITIVITY, &HOMOGENEITY, &REGIONS],
    procedure: Procedure::of::<PiecewiseLinear>(),
};

static ADDITIVITY: Criterion = Criterion {
    quantity: "fraction of random pairs with relu(x + y) ≠ relu(x) + relu(y) beyond rounding",
    unit: "fraction",
    null_hypothesis: "ReLU is additive.",
    hypothesis: Hypothesis::difference(Direction::Above, 0.0, 0.1),
    why: "Additivity fails exactly where x and y differ in sign: half of all pairs that are symmetric about 0. A fifth \
          of that is beyond any rounding.",
};
static HOMOGENEITY: Criterion = Criterion {
    quantity: "largest |relu(a x) − a relu(x)| / |a x| over random x and a > 0",
    unit: "1",
    null_hypothesis: "Scaling the input by a positive number does not scale the output.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 1e-6),
    why: "A product in f32 is rounded by 6e-8; ten of those.",
};
static REGIONS: Criterion = Criterion {
    quantity: "linear regions crossed between two images by a network of 8 layers, over those of one of 2 layers with as \
               many units",
    unit: "ratio",
    null_hypothesis: "With as many units, depth does not change how many regions are crossed.",
    hypothesis: Hypothesis::ratio(Direction::Above, 1.5),
    why: "Multiplying is more than adding a half. The bound of Montúfar et al. grows exponentially with depth; Hanin and \
          Rolnick find regions in proportion to the number of units, whatever the depth.",
};

/// Linear regions along a line: one more than the points at which some unit switches on or off.
///
/// `active` holds, for each point in order along the line, whether each unit's pre-activation is positive. Regions
/// narrower than the distance of two points are missed, so the count is a lower bound. No points are no region.
pub fn regions(active: &[Vec<bool>]) -> usize {
    let switches = active.windows(2).filter(|pair| pair[0] != pair[1]).count();
    if active.is_empty() { 0 } else { 1 + switches }
}

/// Points on a line between two images.
const POINTS: usize = 2000;
/// Numbers for additivity and homogeneity.
const NUMBERS: usize = 1 << 16;

/// The study.
pub struct PiecewiseLinear;

/// What is run.
#[derive(Serialize)]
pub struct Settings {
    experiment: Experiment,
    /// Hidden layers and units in each; the deepest and the shallowest have as many units in all.
    shapes: Vec<(usize, usize)>,
    /// Lines through each network.
    lines: usize,
}

/// What is measured with a seed.
#[derive(Debug, PartialEq)]
pub enum Arm {
    /// The function on random numbers.
    Numbers,
    /// A network's pieces, before training and after.
    Network {
        /// Layers and units in each.
        shape: (usize, usize),
        /// Boxed, as it is large.
        setup: Box<Setup>,
    },
}

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Outcome {
    /// Fraction of pairs that break additivity, and the largest relative error of positive homogeneity.
    Linearity(f64, f64),
    /// Mean regions along a line, before training and after.
    Regions(f64, f64),
}

impl Outcome {
    fn numbers(self) -> (f64, f64) {
        match self {
            Self::Linearity(a, b) | Self::Regions(a, b) => (a, b),
        }
    }
}

impl Study for PiecewiseLinear {
    type Settings = Settings;
    type Pilot = ();
    type Arm = Arm;
    type Outcome = Outcome;

    fn settings(plan: &Plan) -> Settings {
        Settings {
            experiment: plan.experiment(),
            shapes: vec![(2, 256), (4, 128), (8, 64)],
            lines: plan.choose(2, 10, 50),
        }
    }

    fn pilot(_: &Lab, _: &Settings) -> Result<(), ClaimError> {
        Ok(())
    }

    fn arms(settings: &Settings, (): &()) -> Vec<Arm> {
        let network = |&(layers, width): &(usize, usize), activation: &str| {
            let experiment = Experiment { hidden: Some(vec![width; layers]), ..settings.experiment.clone() };
            Arm::Network { shape: (layers, width), setup: Box::new(Setup::new(experiment, activation)) }
        };
        let relu = settings.shapes.iter().map(|shape| network(shape, "relu"));
        let deepest = settings.shapes.last().map(|shape| network(shape, "none"));
        [Arm::Numbers].into_iter().chain(relu).chain(deepest).collect()
    }

    fn measure(lab: &Lab, settings: &Settings, arm: &Arm, seed: u64) -> Result<Outcome, ClaimError> {
        let Arm::Network { setup, .. } = arm else {
            let (failures, error) = linearity(lab, seed);
            return Ok(Outcome::Linearity(failures, error));
        };
        let (training, data) = (setup.training(seed), lab.data(&setup.experiment)?);
        // Lines from each even test image to the next.
        let regions_of = |network: &Model| {
            let lines = (0..settings.lines).filter_map(|line| along_line(network, &data.test, 2 * line));
            let counts: Vec<f64> = lines
                .map(|line| match training.activation.name() {
                    "none" => 1.0 + bends(&line.outputs) as f64,
                    _ => regions(&line.active) as f64,
                })
                .collect();
            arithmetic(&counts)
        };
        let network = lab.network(&training, &data);
        let before = regions_of(&network.valid());
        let (network, _) = lab.train(network, &training, &data)?;
        Ok(Outcome::Regions(before, regions_of(&network.valid())))
    }

    fn judge(settings: &Settings, (): &(), trials: &Trials<Arm, Outcome>) -> Findings {
        let numbers = |which: fn((f64, f64)) -> f64| {
            let all = trials.of(|arm| *arm == Arm::Numbers);
            Sample::Effects(all.into_iter().map(|outcome| which(outcome.numbers())).collect())
        };
        let network = |shape: (usize, usize), activation: &'static str| move |arm: &Arm| matches!(arm, Arm::Network { shape: other, setup } if *other == shape && setup.activation.name() == activation);
        let (shallow, deep) = (settings.shapes[0], settings.shapes[settings.shapes.len() - 1]);
        let ratios = |which: fn((f64, f64)) -> f64| {
            let ratio = |a: &Outcome, b: &Outcome| which(a.numbers()) / which(b.numbers());
            Sample::Effects(trials.pairs(network(deep, "relu"), network(shallow, "relu"), ratio))
        };
        let at = |shape: (usize, usize), activation, which: fn((f64, f64)) -> f64| -> (f64, Vec<f64>) {
            let outcomes = trials.of(network(shape, activation));
            (shape.0 as f64, outcomes.into_iter().map(|outcome| which(outcome.numbers())).collect())
        };
        let curve = |name: &str, which: fn((f64, f64)) -> f64| {
            Curve::measured(name, arithmetic, settings.shapes.iter().map(|&shape| at(shape, "relu", which)))
        };
        Findings {
            conditions: vec![
                Condition::primary(&ADDITIVITY, "pairs of normal numbers", numbers(|(failures, _)| failures)),
                Condition::primary(&HOMOGENEITY, "normal numbers, positive factors", numbers(|(_, error)| error)),
                Condition::primary(&REGIONS, "after training", ratios(|(_, after)| after)),
                Condition::exploratory(&REGIONS, "before training", ratios(|(before, _)| before)),
            ],
            what_was_run: format!(
                "{NUMBERS} pairs of normal numbers; {} lines of {POINTS} points between test images through networks of \
                 {:?} (layers, units a layer), {}",
                settings.lines,
                settings.shapes,
                describe(&settings.experiment)
            ),
            diverged: 0,
            figures: vec![Figure {
                title: "Linear regions on a line between two images, with as many units at every depth".to_owned(),
                x: "hidden layers".to_owned(),
                y: "regions".to_owned(),
                series: vec![
                    curve("before training", |(before, _)| before),
                    curve("after training", |(_, after)| after),
                    Curve::measured("no activation", arithmetic, [at(deep, "none", |(_, after)| after)]),
                ],
                ..Figure::default()
            }],
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let times = number(judgement.effect("after training"));
        match judgement.holds("after training") {
            true => {
                format!("ReLU is piecewise linear, and 8 layers have {times} times the pieces of 2 with as many units.")
            }
            false => format!(
                "ReLU is piecewise linear, but with as many units 8 layers have only {times} times the pieces of 2."
            ),
        }
    }
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
    use super::{super::tests::plan, *};
    use crate::judge::verdict::Verdict;

    fn verdict(additivity: f64, homogeneity: f64, deep: f64) -> Verdict {
        let settings = PiecewiseLinear::settings(&plan());
        let arms = PiecewiseLinear::arms(&settings, &());
        let outcome = |arm: &Arm| match arm {
            Arm::Numbers => Outcome::Linearity(additivity, homogeneity),
            Arm::Network { shape: (8, _), .. } => Outcome::Regions(deep, deep),
            Arm::Network { .. } => Outcome::Regions(50.0, 50.0),
        };
        let seeds = vec![arms.iter().map(outcome).collect::<Vec<_>>(); 8];
        let findings = PiecewiseLinear::judge(&settings, &(), &Trials { arms: &arms, seeds: &seeds });
        CLAIM.judge(findings.conditions).verdict
    }

    #[test]
    fn a_hinge_whose_pieces_depth_multiplies_confirms_and_the_reverse_of_all_refutes() {
        assert_eq!(verdict(0.5, 0.0, 200.0), Verdict::Confirmed);
        assert_eq!(verdict(0.0, 0.5, 50.0), Verdict::Refuted);
        // As many units have as many pieces.
        assert_eq!(verdict(0.5, 0.0, 52.0), Verdict::Qualified);
    }

    #[test]
    fn networks_that_are_compared_have_as_many_units() {
        let shapes = PiecewiseLinear::settings(&plan()).shapes;
        assert!(shapes.iter().all(|(layers, width)| layers * width == 512));
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
