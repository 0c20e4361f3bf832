//! `definition`: the if-else and the max definitions agree, and plot as a hinge.

use burn::tensor::{DType, Device, Tensor, TensorData, f16};
use rectify::relu;
use serde::{Deserialize, Serialize};

use super::{
    Claim, Condition, Criterion, Figure, Findings, Judgement, Plan, Procedure, Study, Trials,
    lab::{ClaimError, Lab},
};
use crate::judge::{
    curve::Curve,
    verdict::{Direction, Hypothesis, Sample},
};

/// The claim.
pub static CLAIM: Claim = Claim {
    id: "definition",
    statement: "ReLU as `if x > 0 then x else 0` and as `max(0, x)` is one function, and plots as a hinge.",
    source: "Goodfellow, Bengio and Courville 2016, Deep learning, §6.1 and figure 6.3; for NaN: IEEE 754-2019, §9.6 \
             (`maximum` hands NaN on, `maximumNumber` does not)",
    criteria: &[&DISAGREEMENT, &HINGE],
    procedure: Procedure::of::<Definition>(),
};

static DISAGREEMENT: Criterion = Criterion {
    quantity: "bit patterns on which two definitions give different values, where NaN equals NaN and −0 equals 0",
    unit: "bit patterns",
    null_hypothesis: "There is at least one.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 1.0),
    why: "Definitions agree everywhere or they do not.",
};
static HINGE: Criterion = Criterion {
    quantity: "points of −5..10 at which relu(x) is neither 0 left of 0 nor x right of it",
    unit: "points",
    null_hypothesis: "There is at least one.",
    hypothesis: Hypothesis::difference(Direction::Within, 0.0, 1.0),
    why: "A hinge has two straight sides.",
};

/// How two definitions compare over many bit patterns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Numbers (anything but NaN) on which values differ.
    pub numbers: u64,
    /// NaNs on which values differ.
    pub nans: u64,
    /// Inputs on which values are equal, but one is −0 and the other 0.
    pub signs_of_zero: u64,
    /// Bit patterns compared.
    pub patterns: u64,
}

impl Agreement {
    fn add(&mut self, x: f32, a: f32, b: f32) {
        let same = a == b || (a.is_nan() && b.is_nan());
        self.patterns += 1;
        self.numbers += u64::from(!x.is_nan() && !same);
        self.nans += u64::from(x.is_nan() && !same);
        self.signs_of_zero += u64::from(a == b && a.is_sign_negative() != b.is_sign_negative());
    }
}

/// The textbook's definition with a branch, as it is written: NaN is not greater than 0, so it gives 0.
pub fn if_else(x: f32) -> f32 {
    if x > 0.0 { x } else { 0.0 }
}

/// The textbook's definition with a maximum, which Rust takes as IEEE 754's `maximumNumber`: NaN gives 0.
pub fn max(x: f32) -> f32 {
    x.max(0.0)
}

/// The operation of the crate `rectify`, computed in `dtype`: NaN stays NaN.
fn operation(inputs: &[f32], dtype: DType, device: &Device) -> Vec<f32> {
    // Data in the operation's own dtype, so that no backend converts NaNs and subnormals on the way.
    let data = match dtype {
        DType::F16 => {
            let halves: Vec<f16> = inputs.iter().map(|&x| f16::from_f32(x)).collect();
            TensorData::new(halves, [inputs.len()])
        }
        _ => TensorData::new(inputs.to_vec(), [inputs.len()]),
    };
    relu(Tensor::<1>::from_data(data, (device, dtype))).into_data().iter::<f32>().collect()
}

/// The study: nothing in it is chance.
pub struct Definition;

/// The comparisons, points off the hinge, and the hinge.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Compared {
    by_type: Vec<Measured>,
    off_hinge: u64,
    hinge: Vec<(f64, f64)>,
}

const TEXTBOOK: &str = "if-else and max";

impl Study for Definition {
    type Settings = ();
    type Pilot = Compared;
    type Arm = ();
    type Outcome = ();

    fn settings(_: &Plan) {}

    fn pilot(lab: &Lab, (): &()) -> Result<Compared, ClaimError> {
        let (off_hinge, hinge) = hinge(lab.device());
        Ok(Compared { by_type: measure(lab.device()), off_hinge, hinge })
    }

    fn arms((): &(), _: &Compared) -> Vec<()> {
        Vec::new()
    }

    fn measure(_: &Lab, (): &(), (): &(), _: u64) -> Result<(), ClaimError> {
        Ok(())
    }

    fn judge((): &(), compared: &Compared, _: &Trials<(), ()>) -> Findings {
        let inputs: Vec<&str> = compared.by_type.iter().map(|m| m.inputs.as_str()).collect();
        Findings {
            conditions: conditions(&compared.by_type, compared.off_hinge),
            what_was_run: format!("{} through both definitions and the operation", inputs.join(", ")),
            diverged: 0,
            figures: vec![Figure {
                title: "ReLU is a hinge".to_owned(),
                x: "x".to_owned(),
                y: "relu(x)".to_owned(),
                series: vec![Curve { name: "relu".to_owned(), points: compared.hinge.clone(), ..Curve::default() }],
                ..Figure::default()
            }],
        }
    }

    fn sentence(judgement: &Judgement) -> String {
        let differ: f64 =
            judgement.conditions.iter().filter(|c| c.primary).filter_map(|c| c.effect).map(|e| e.median).sum();
        match differ {
            0.0 => {
                "Both definitions agree on every number and on NaN; an operation that keeps NaN differs there alone."
                    .to_owned()
            }
            differ => format!("The definitions differ on {differ} bit patterns."),
        }
    }
}

/// The comparisons of one dtype: if-else with max, the operation with if-else, the operation with max.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The inputs, such as `every f16`.
    pub inputs: String,
    /// if-else against max.
    pub if_else_max: Agreement,
    /// The operation against if-else.
    pub operation_if_else: Agreement,
    /// The operation against max.
    pub operation_max: Agreement,
}

fn compare(inputs: impl Iterator<Item = f32>, name: &str, dtype: DType, device: &Device) -> Measured {
    let (mut if_else_max, mut operation_if_else, mut operation_max) = Default::default();
    let mut inputs = inputs.peekable();
    while inputs.peek().is_some() {
        // A megabyte at a time.
        let chunk: Vec<f32> = inputs.by_ref().take(1 << 18).collect();
        for (&x, y) in chunk.iter().zip(operation(&chunk, dtype, device)) {
            Agreement::add(&mut if_else_max, x, if_else(x), max(x));
            Agreement::add(&mut operation_if_else, x, y, if_else(x));
            Agreement::add(&mut operation_max, x, y, max(x));
        }
    }
    Measured { inputs: name.to_owned(), if_else_max, operation_if_else, operation_max }
}

/// Compares the definitions on every f16 value and on 2²⁴ bit patterns of f32.
///
/// Those are every 256th of the 2³² with the low byte scrambled by the high bits, so that all exponents, both signs,
/// subnormals and NaNs come with many mantissas; ±0, ±∞, the smallest and largest numbers are added by name.
pub fn measure(device: &Device) -> Vec<Measured> {
    let halves = (0..=u16::MAX).map(|bits| f16::from_bits(bits).to_f32());
    let named = [0.0, f32::INFINITY, f32::NAN, f32::from_bits(1), f32::MIN_POSITIVE, f32::MAX, 1.0];
    let named = named.into_iter().flat_map(|x: f32| [x, -x]);
    // Knuth's multiplicative hash for the byte that the stride leaves open.
    let strided = (0..1u32 << 24).map(|i| f32::from_bits((i << 8) | (i.wrapping_mul(2_654_435_761) >> 24)));
    // Not every GPU computes in f16.
    let halves = device.supports_dtype(DType::F16).then(|| compare(halves, "every f16", DType::F16, device));
    halves.into_iter().chain([compare(strided.chain(named), "2^24 f32 bit patterns", DType::F32, device)]).collect()
}

/// How many points of −5..10, in steps of 1/64, are off the hinge, and what the operation gives there.
pub fn hinge(device: &Device) -> (u64, Vec<(f64, f64)>) {
    let xs: Vec<f32> = (-5 * 64..=10 * 64).map(|i| i as f32 / 64.0).collect();
    let ys = operation(&xs, DType::F32, device);
    let off = xs.iter().zip(&ys).filter(|(x, y)| **y != if **x < 0.0 { 0.0 } else { **x }).count() as u64;
    (off, xs.iter().zip(&ys).map(|(x, y)| (f64::from(*x), f64::from(*y))).collect())
}

/// The evidence in the comparisons and in the number of points off the hinge.
///
/// The claim is about the two textbook definitions, over all that is in f32, NaN included. That every framework's
/// operation hands NaN on, where these two give 0, is told beside it.
pub fn conditions(measured: &[Measured], off_hinge: u64) -> Vec<Condition> {
    let count = |count: u64| Sample::Exact(count as f64);
    let mut conditions = vec![Condition::primary(&HINGE, "plot of −5..10", count(off_hinge))];
    for m in measured {
        let textbook = m.if_else_max.numbers + m.if_else_max.nans;
        conditions.push(Condition::primary(&DISAGREEMENT, format!("{TEXTBOOK}, {}", m.inputs), count(textbook)));
        for (pair, agreement) in [("if-else", m.operation_if_else), ("max", m.operation_max)] {
            let name = |class: &str| format!("operation and {pair}, {}, {class}", m.inputs);
            conditions.push(Condition::exploratory(&DISAGREEMENT, name("numbers"), count(agreement.numbers)));
            conditions.push(Condition::exploratory(&DISAGREEMENT, name("NaN"), count(agreement.nans)));
        }
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::verdict::Verdict;

    fn verdict(if_else_max: Agreement, operation: Agreement, off_hinge: u64) -> Verdict {
        let measured =
            Measured { inputs: "made".to_owned(), if_else_max, operation_if_else: operation, operation_max: operation };
        CLAIM.judge(conditions(&[measured], off_hinge)).verdict
    }

    #[test]
    fn agreement_everywhere_confirms_nowhere_refutes_and_the_operations_nan_is_told_beside() {
        let agree = Agreement { patterns: 10, ..Agreement::default() };
        let differ = Agreement { numbers: 3, nans: 2, ..agree };
        assert_eq!(verdict(agree, agree, 0), Verdict::Confirmed);
        assert_eq!(verdict(differ, differ, 7), Verdict::Refuted);
        assert_eq!(verdict(agree, Agreement { nans: 2, ..agree }, 0), Verdict::Confirmed);
        assert_eq!(verdict(Agreement { nans: 2, ..agree }, agree, 0), Verdict::Qualified);
    }

    #[test]
    fn signs_of_zero_are_counted_apart() {
        let mut agreement = Agreement::default();
        agreement.add(-0.0, -0.0, 0.0);
        agreement.add(1.0, 1.0, 2.0);
        agreement.add(f32::NAN, f32::NAN, f32::NAN);
        agreement.add(f32::NAN, f32::NAN, 0.0);
        assert_eq!(agreement, Agreement { numbers: 1, nans: 1, signs_of_zero: 1, patterns: 4 });
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_definitions_agree_on_every_number_and_differ_from_the_operation_on_nan_alone() {
        let measured = measure(&Device::flex());
        // f16 has 2 · (2^10 − 1) NaNs.
        assert_eq!(measured[0].if_else_max.patterns, 1 << 16);
        assert_eq!(measured[0].operation_max.nans, 2046);
        for Measured { if_else_max, operation_if_else, operation_max, .. } in &measured {
            assert_eq!((if_else_max.numbers, if_else_max.nans), (0, 0));
            assert_eq!((operation_if_else.numbers, operation_max.numbers), (0, 0));
            assert_eq!(operation_if_else.signs_of_zero, 0);
            assert_eq!(operation_if_else.nans, operation_max.nans);
            assert!(operation_max.nans > 0);
        }
        // One f32 in 256 is a NaN, so about 2^24 / 256 of the strided ones are.
        assert!(measured[1].operation_max.nans.abs_diff(1 << 16) < 10, "{}", measured[1].operation_max.nans);
        let (off, hinge) = hinge(&Device::flex());
        assert_eq!((off, hinge.len()), (0, 961));
        assert_eq!(CLAIM.judge(conditions(&measured, off)).verdict, Verdict::Confirmed);
    }
}
