//! Every activation and its derivative against a reference with 320 bits.
//!
//! ```text
//! cargo test --release -p rectify --test accuracy                                   the bounds
//! cargo test --release -p rectify --test accuracy -- --ignored --nocapture table    the table of the docs
//! cargo test --release -p rectify --test accuracy -- --ignored every                f32 at 70 million numbers
//! ```

#[path = "../parameters/mod.rs"]
mod parameters;
mod reference;

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::{bf16, f16};
use parameters::activations;
use rectify::{Activation, Family, Gated, Swish};
use reference::exact;

/// φ and φ′ on Flex by autodiff, of numbers that `dtype` holds.
fn computed(activation: Activation, x: &[f64], dtype: DType) -> (Vec<f64>, Vec<f64>) {
    let data = TensorData::new(x.to_vec(), [x.len()]);
    let x = Tensor::<1>::from_data(data, (&Device::flex().autodiff(), dtype)).require_grad();
    let y = activation.forward(x.clone());
    let gradients = y.clone().sum().backward();
    let slope = x.grad(&gradients).expect("x is tracked");
    (numbers(y), numbers(slope))
}

/// The same as a gate needs them, both at once: they are the gradients of 1 · φ(x).
fn computed_for_a_gate(activation: Activation, x: &[f64], dtype: DType) -> (Vec<f64>, Vec<f64>) {
    let options = (&Device::flex(), dtype);
    let gate = Tensor::<1>::from_data(TensorData::new(x.to_vec(), [x.len()]), options);
    let one = Tensor::ones([x.len()], options);
    let gated = Gated { gate: activation, dim: 0 };
    let gradient = gated.backward(Tensor::cat(vec![one.clone(), gate], 0), one);
    let [value, slope] = [0, x.len()].map(|begin| numbers(gradient.clone().narrow(0, begin, x.len())));
    (value, slope)
}

fn numbers(x: Tensor<1>) -> Vec<f64> {
    x.cast(DType::F64).into_data().try_to_vec().expect("f64")
}

/// Size of a unit in the last place at x, with subnormal numbers' below.
fn unit(x: f64, dtype: DType) -> f64 {
    let (epsilon, smallest) = match dtype {
        DType::F32 => (f64::from(f32::EPSILON), f64::from(f32::from_bits(1))),
        DType::F64 => (f64::EPSILON, f64::from_bits(1)),
        DType::F16 => (f16::EPSILON.to_f64(), f16::from_bits(1).to_f64()),
        _ => (bf16::EPSILON.to_f64(), bf16::from_bits(1).to_f64()),
    };
    // The power of two at or below x.
    let power = f64::from_bits(x.to_bits() & f64::INFINITY.to_bits());
    (power * epsilon).max(smallest)
}

/// By how many units in the last place a number is off.
fn ulps(found: f64, exact: f64, dtype: DType) -> f64 {
    let largest = match dtype {
        DType::F32 => f64::from(f32::MAX),
        DType::F64 => f64::MAX,
        DType::F16 => f16::MAX.to_f64(),
        _ => bf16::MAX.to_f64(),
    };
    if found == exact || (found.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    // What rounds to infinity.
    if found.is_infinite() && exact.abs() >= largest && found.signum() == exact.signum() {
        return 0.0;
    }
    (found - exact).abs() / unit(exact, dtype)
}

/// Every sign and exponent with some mantissas, a grid where functions are curved, and all about the zeros of
/// derivatives.
fn inputs(dtype: DType, per_exponent: u32) -> Vec<f64> {
    let half = |f: fn(u16) -> f64| (0..=u16::MAX).map(f).filter(|x| x.is_finite()).collect();
    match dtype {
        DType::F16 => return half(|bits| f16::from_bits(bits).to_f64()),
        DType::BF16 => return half(|bits| bf16::from_bits(bits).to_f64()),
        _ => (),
    }
    let step = (1 << 23) / per_exponent;
    let spread = (0..512 * per_exponent).map(|i| f64::from(f32::from_bits(i * step + i * 7919 % step)));
    let grid = (-500..=500).map(|i| f64::from(i as f32 * 0.041_37));
    let roots = [-1.278_464_5_f32, -0.751_791_5, -0.752_461_4, -1.192_431_2].into_iter();
    let roots = roots.flat_map(|root| (0..100).map(move |i| f64::from(f32::from_bits(root.to_bits() - 50 + i))));
    let near = roots.clone().flat_map(|root| (1..12).map(move |i| f64::from((root + 2f64.powi(-2 * i)) as f32)));
    spread.chain(grid).chain(roots).chain(near).filter(|x| x.is_finite()).collect()
}

/// The largest errors of φ and φ′ with where they are.
fn worst(activation: Activation, dtype: DType, per_exponent: u32) -> [(f64, f64); 2] {
    let x = inputs(dtype, per_exponent);
    let (values, slopes) = computed(activation, &x, dtype);
    let (values_too, slopes_too) = computed_for_a_gate(activation, &x, dtype);
    let mut worst = [(0.0, 0.0); 2];
    let half = matches!(dtype, DType::F16 | DType::BF16);
    let pairs = |of: Vec<f64>, too: Vec<f64>| of.into_iter().zip(too);
    for ((x, values), slopes) in x.into_iter().zip(pairs(values, values_too)).zip(pairs(slopes, slopes_too)) {
        // The functions of f64, which are tested as well, are as good as exact for half types, and take less time.
        let (exact_value, exact_slope) =
            if half { (activation.value(x), activation.slope(x)) } else { exact(activation, x) };
        let error = |(a, b), exact| {
            let [a, b] = [ulps(a, exact, dtype), ulps(b, exact, dtype)];
            // One that is NaN counts as larger.
            if a >= b { a } else { b }
        };
        let errors = [error(values, exact_value), error(slopes, exact_slope)];
        for (worst, error) in worst.iter_mut().zip(errors) {
            if error > worst.0 || error.is_nan() {
                *worst = (error, x);
            }
        }
    }
    worst
}

/// Values of φ in f32 at positive numbers and at their negatives, from small to large.
fn both_sides(activation: Activation) -> Vec<(f64, f64, f64)> {
    let x: Vec<f64> = (1..2000).map(|i| f64::from(1.01f32.powi(i - 1500))).collect();
    let negative: Vec<f64> = x.iter().map(|x| -x).collect();
    let ((right, _), (left, _)) = (computed(activation, &x, DType::F32), computed(activation, &negative, DType::F32));
    x.into_iter().zip(right).zip(left).map(|((x, right), left)| (x, right, left)).collect()
}

#[test]
fn odd_functions_are_odd() {
    for name in ["tanh", "softsign", "hard_shrink", "soft_shrink", "tanh_shrink"] {
        let activation = Activation::all().into_iter().find(|activation| activation.name() == name);
        for (x, right, left) in both_sides(activation.expect("a function of this name")) {
            assert_eq!(right, -left, "{name} at {x}");
        }
    }
}

#[test]
fn functions_that_rise_do_not_fall_and_stay_within_their_bounds() {
    // The others have a dip, or jump.
    let dips = ["gelu", "gelu_tanh", "silu", "swish", "mish", "hard_swish"];
    for activation in Activation::all().into_iter().filter(|activation| !dips.contains(&activation.name())) {
        let values = both_sides(activation);
        let rising: Vec<f64> =
            values.iter().rev().map(|(_, _, left)| *left).chain(values.iter().map(|(_, right, _)| *right)).collect();
        for pair in rising.windows(2) {
            assert!(pair[0] <= pair[1], "{activation:?} falls from {} to {}", pair[0], pair[1]);
        }
        let [least, most] = match activation.name() {
            "sigmoid" | "hard_sigmoid" => [0.0, 1.0],
            "tanh" | "softsign" | "hard_tanh" => [-1.0, 1.0],
            "relu6" => [0.0, 6.0],
            "elu" | "celu" => [-1.0, f64::INFINITY],
            "softplus" | "squared_relu" => [0.0, f64::INFINITY],
            "log_sigmoid" => [f64::NEG_INFINITY, 0.0],
            _ => [f64::NEG_INFINITY, f64::INFINITY],
        };
        assert!(least <= rising[0] && rising[rising.len() - 1] <= most, "{activation:?}");
    }
}

/// Infinities and NaN go where the function's limit is; PyTorch gives NaN for several.
#[test]
fn functions_have_their_limits_and_pass_nan() {
    // Of it f64 keeps few digits where they are subnormal.
    let turned = Activation::from(Swish { beta: -1.25 });
    for activation in activations().into_iter().chain([turned]) {
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            let far = [f64::NEG_INFINITY, f64::INFINITY];
            let (values, slopes) = computed(activation, &[far[0], far[1], f64::NAN], dtype);
            for ((x, value), slope) in far.iter().zip(&values).zip(&slopes) {
                // Where it goes: beyond 10⁴ nothing changes but x itself.
                let (limit, limit_slope) = exact(activation, x.signum() * 1e4);
                let grows = limit.abs() > 50.0;
                let right = if grows {
                    *value == x.signum() * f64::INFINITY * (limit / x.signum()).signum()
                } else {
                    (value - limit).abs() < 1e-3
                };
                assert!(right, "{activation:?} in {dtype:?} is {value} at {x}, and {limit} before");
                let steep = activation.name() == "squared_relu" && *x > 0.0;
                assert!(
                    steep || (slope - limit_slope).abs() < 5e-3,
                    "{activation:?} in {dtype:?}: slope {slope} at {x}"
                );
            }
            assert!(values[2].is_nan() && slopes[2].is_nan(), "{activation:?} in {dtype:?}: NaN");
        }
    }
}

#[test]
fn f32_is_within_two_units_in_the_last_place() {
    check(activations(), DType::F32, 2, 2.0);
}

#[test]
fn half_types_are_within_one_unit_in_the_last_place_of_every_number() {
    check(activations(), DType::F16, 0, 1.0);
    check(activations(), DType::BF16, 0, 1.0);
}

/// In tails and next to the zeros of derivatives, too.
#[test]
fn f64_is_within_a_few_units_in_the_last_place() {
    check(activations(), DType::F64, 1, 20.0);
}

fn check(activations: Vec<Activation>, dtype: DType, per_exponent: u32, bound: f64) {
    let mut beyond = Vec::new();
    for activation in activations {
        for ((error, x), what) in worst(activation, dtype, per_exponent).into_iter().zip(["value", "slope"]) {
            if error.is_nan() || error > bound {
                beyond.push(format!("{activation:?} in {dtype:?}: the {what} at {x:e} is {error} ulp off"));
            }
        }
    }
    assert!(beyond.is_empty(), "{beyond:#?}");
}

/// Against f64, whose few digits lost near the zeros of derivatives do not show in f32.
#[test]
#[ignore = "takes minutes"]
fn f32_is_within_two_units_in_the_last_place_at_every_61st_number() {
    const STEP: usize = 61;
    const BLOCK: u32 = 1 << 24;
    let worst_of = |activation: Activation, blocks: &mut dyn Iterator<Item = u32>| {
        let mut worst = [(0.0, 0.0); 2];
        for block in blocks {
            let bits = block * BLOCK..=block * BLOCK + (BLOCK - 1);
            let x: Vec<f64> = bits.step_by(STEP).map(|bits| f64::from(f32::from_bits(bits))).collect();
            for computed in [computed, computed_for_a_gate] {
                let (values, slopes) = computed(activation, &x, DType::F32);
                let results = x.iter().zip(values).zip(slopes).filter(|((x, _), _)| x.is_finite());
                for ((x, value), slope) in results {
                    let found = [(value, activation.value(*x)), (slope, activation.slope(*x))];
                    for (worst, (found, exact)) in worst.iter_mut().zip(found) {
                        let error = ulps(found, exact, DType::F32);
                        if error > worst.0 || error.is_nan() {
                            *worst = (error, *x);
                        }
                    }
                }
            }
        }
        worst
    };
    let mut beyond = Vec::new();
    for activation in activations() {
        let halves = std::thread::scope(|scope| {
            let halves = [0, 1].map(|half| scope.spawn(move || worst_of(activation, &mut (half..256).step_by(2))));
            halves.map(|half| half.join().expect("it does not panic"))
        });
        println!("{activation:?}: {:.2?}", halves);
        beyond.extend(
            halves.into_iter().flatten().filter(|(error, _)| error.is_nan() || *error > 2.0).map(|at| (activation, at)),
        );
    }
    assert!(beyond.is_empty(), "{beyond:#?}");
}

#[test]
#[ignore = "prints the table of the docs"]
fn table() {
    println!(
        "| function | keeps | initialisation | saturates | f32 | f64 | f16 | bf16 |\n|---|---|---|---|---|---|---|---|"
    );
    for activation in activations() {
        let dtypes = [(DType::F32, 16), (DType::F64, 8), (DType::F16, 0), (DType::BF16, 0)];
        let errors = dtypes.map(|(dtype, per_exponent)| {
            let [(value, value_at), (slope, slope_at)] = worst(activation, dtype, per_exponent);
            eprintln!("{activation:?} {dtype:?}: {value:.2} at {value_at:e}, {slope:.2} at {slope_at:e}");
            format!("{value:.2}, {slope:.2}")
        });
        println!("| {} | {} |", facts(activation), errors.join(" | "));
    }
}

/// A row of the table in the docs, up to the errors.
fn facts(activation: Activation) -> String {
    let keeps = if activation.needs_input() { "input" } else { "output" };
    let family = match activation.family() {
        Family::Rectifier => "He",
        Family::Sigmoidal => "Glorot",
        Family::SelfNormalizing => "LeCun",
    };
    let saturates = format!("{:?}", activation.saturates()).to_lowercase();
    format!("`{}` | {keeps} | {family} | {saturates}", activation.name())
}

#[test]
fn the_table_of_the_docs_has_every_function_and_what_is_known_of_it() {
    let docs = include_str!("../../src/activation/functions.md");
    let rows: Vec<&str> = docs.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = Activation::all().into_iter().map(|one| format!("| {} | ", facts(one))).collect();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(expected) {
        assert!(row.starts_with(&expected), "{row}: {expected}");
    }
}
