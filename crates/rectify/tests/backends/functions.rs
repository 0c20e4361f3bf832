//! Every activation and some formulas, on every backend, against their own f64 on the CPU, which `tests/accuracy` holds
//! against 320 bits.
//!
//! ```text
//! cargo test --release --test backends -- --ignored --nocapture table    largest errors, and times
//! ```

use burn::tensor::{DType, Device, Tensor};
use rectify::{Activation, Formula, FusedActivation, Gelu, GradientRule, Mish, Relu6, TanhShrink, Threshold};

use super::{assert_close, awkward, dtypes, is_gpu, random, tensor, values};

/// And a threshold that is not at 0.
fn activations() -> Vec<Activation> {
    let mut all = super::parameters::activations();
    all.push(Threshold { threshold: 0.5, value: -2.0 }.into());
    all
}

const FORMULAS: [&str; 12] = [
    "x*sigmoid(1.702*x)",
    "where(x > 0, x, expm1(x))",
    "x*tanh(log1p(exp(min(x, 30))))",
    "max(x, 0.1*x) + min(x^2, 1)",
    "0.5*x*(1 + erf(x/sqrt(2)))",
    "softplus(2*x)/2 - relu(x)",
    "x/(1 + abs(x))",
    "exp(-x^2) + sign(x)*log(1 + x^2)",
    "tanh(x)*(x > -1) + (x <= 2)*(x != 0)*(x == 1)*(x < 3)*(x >= 0)",
    "x^3/(1 + x^2)^2",
    "sin(x)*cos(x/2)",
    "abs(x)^1.5",
];

/// From small to large, of both signs, and where functions are curved.
fn numbers(dtype: DType) -> Vec<f64> {
    let largest = if dtype == DType::F16 { 15 } else { 60 };
    let sizes = (-largest..=largest).flat_map(|exponent| [1.0, 1.234_567, 1.75].map(|m| m * 2f64.powi(exponent)));
    let grid = (-400..=400).map(|i| f64::from(i) * 0.0317);
    sizes.flat_map(|x| [x, -x]).chain(grid).filter(|x| x.is_finite()).collect()
}

fn unit(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F32 => f64::from(f32::EPSILON),
        DType::F16 => 2f64.powi(-10),
        _ => 2f64.powi(-7),
    }
}

/// φ and φ′ · g by the operations themselves, without a graph.
fn computed(activation: Activation, x: &Tensor<1>, g: &Tensor<1>) -> [Vec<f64>; 2] {
    let y = activation.forward(x.clone());
    let kept = if activation.needs_input() { x.clone() } else { y.clone() };
    [values(&y), values(&activation.backward(kept, g.clone()))]
}

/// Whether φ′ is 0 near x, where its terms cancel.
fn near_a_root(x: f64) -> bool {
    (-1.5..-0.5).contains(&x)
}

/// The error in units of the last place, or in units of 1's where that is larger and `absolute`.
fn error(found: f64, expected: f64, dtype: DType, absolute: bool) -> f64 {
    // What is made of a subnormal number, such as x · eˣ, has lost what the device makes of that.
    let (smallest, largest) = match dtype {
        DType::F64 => (1024.0 * f64::MIN_POSITIVE, f64::MAX),
        DType::F16 => (2f64.powi(-14), 65504.0),
        _ => (1024.0 * f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX)),
    };
    let overflows = found.is_infinite() && expected.abs() >= largest && found.signum() == expected.signum();
    if found == expected || (found.is_nan() && expected.is_nan()) || overflows {
        return 0.0;
    }
    let smallest = if absolute { 1.0 } else { smallest };
    let size = 2f64.powi(expected.abs().max(smallest).log2().floor() as i32);
    (found - expected).abs() / (size * unit(dtype))
}

/// The largest errors of φ and φ′ with where they are.
fn worst(activation: Activation, device: &Device, dtype: DType) -> [(f64, f64); 2] {
    let numbers = numbers(dtype);
    let x = tensor::<1>(numbers.clone(), [numbers.len()], dtype, device);
    let [y, slope] = computed(activation, &x, &x.ones_like());
    let mut worst = [(0.0, 0.0); 2];
    for ((x, y), slope) in values(&x).into_iter().zip(y).zip(slope) {
        let of_slope = error(slope, activation.slope(x), dtype, near_a_root(x));
        for (worst, error) in worst.iter_mut().zip([error(y, activation.value(x), dtype, false), of_slope]) {
            if error > worst.0 || error.is_nan() {
                *worst = (error, x);
            }
        }
    }
    worst
}

fn every_function_is_right_to_a_few_units_in_the_last_place(device: &Device) {
    for dtype in dtypes(device) {
        for activation in activations() {
            for (what, (error, at)) in ["value", "slope"].into_iter().zip(worst(activation, device, dtype)) {
                let most = most(activation, device, dtype);
                assert!(error <= most, "{activation:?} in {dtype:?}: {what}, {error} units off at {at:e}");
            }
        }
    }
}

/// Units in the last place.
fn most(activation: Activation, device: &Device, dtype: DType) -> f64 {
    if matches!(dtype, DType::F16 | DType::BF16) {
        return 1.0;
    }
    if !is_gpu(device) {
        return 4.0;
    }
    match activation {
        // Φ's polynomials are right to 10⁻¹⁰ as far as f32 goes, and further to the left to 10⁻⁷.
        Activation::Gelu(_) if dtype == DType::F64 => 1e-7 / f64::EPSILON,
        // A quotient has two and a half of them in WGSL.
        _ => 12.0,
    }
}

/// What φ and its backward pass make of numbers that are none, and of others at the edge.
fn edges_are_those_of_the_definition(device: &Device) {
    let gradients = [1.0, -2.0, 0.0, f64::NAN];
    for dtype in dtypes(device) {
        let (x, g): (Vec<f64>, Vec<f64>) = awkward(dtype).iter().flat_map(|x| gradients.map(|g| (*x, g))).unzip();
        let shape = [x.len()];
        let (x, g) = (tensor::<1>(x, shape, dtype, device), tensor::<1>(g, shape, dtype, device));
        for activation in activations() {
            let [y, gradient] = computed(activation, &x, &g);
            for (((x, g), y), gradient) in values(&x).into_iter().zip(values(&g)).zip(y).zip(gradient) {
                let what = || format!("{activation:?} in {dtype:?} at {x:e}, gradient {g:e}");
                let rounding = 8.0 * unit(dtype).max(1e-10);
                let largest = if dtype == DType::F16 { 65504.0 } else { f64::from(f32::MAX) };
                let value = activation.value(x);
                let value = if value.abs() > largest { value.signum() * f64::INFINITY } else { value };
                assert_close(y, value, rounding, what);
                assert_close(gradient, g * activation.slope(x), rounding, what);
            }
        }
    }
}

/// φ and its backward pass on `x` as it lies in memory, with gradients in order and as `x`.
fn check_layout<const D: usize>(x: Tensor<D>, what: &str) {
    let dims = x.dims();
    let ordered = random(dims, &x.device());
    let functions: [Activation; 4] = [Mish.into(), Gelu.into(), Relu6.into(), TanhShrink.into()];
    let inputs = values(&x);
    for activation in functions {
        let y = activation.forward(x.clone());
        for g in [ordered.clone(), x.clone() * 2.0, x.clone()] {
            let kept = if activation.needs_input() { x.clone() } else { y.clone() };
            let gradient = activation.backward(kept, g.clone());
            assert_eq!((y.dims(), gradient.dims()), (dims, dims), "{what}");
            let results = values(&y).into_iter().zip(values(&gradient));
            for ((x, g), (y, gradient)) in inputs.iter().zip(values(&g)).zip(results) {
                let what = || format!("{activation:?} of {what} {dims:?} at {x:e}, gradient {g:e}");
                assert_close(y, activation.value(*x), 1e-6, what);
                assert_close(gradient, g * activation.slope(*x), 1e-6, what);
            }
            assert_eq!(values(&x), inputs, "{activation:?} of {what} {dims:?} changed its input");
        }
    }
}

fn every_layout_and_size_works(device: &Device) {
    for size in [1, 2, 3, 4, 5, 7, 31, 64, 1027, 100_003] {
        check_layout(random([size], device), "a vector");
    }
    check_layout(random([2, 1, 3, 1, 5], device), "a tensor");
    check_layout(random([1, 2, 3, 2, 1, 4], device), "a tensor");
    check_layout(random([8, 12], device).swap_dims(0, 1), "a transposed matrix");
    check_layout(random([2, 8, 4, 4], device).permute([0, 2, 3, 1]), "a permuted tensor");
    check_layout(random([6, 16], device).narrow(0, 2, 3), "rows of a matrix");
    check_layout(random([6, 17], device).narrow(1, 3, 5), "odd columns of a matrix");
    check_layout(random([6, 16], device).narrow(1, 4, 8).swap_dims(0, 1), "transposed columns");
    check_layout(random([4, 8], device).flip([0, 1]), "a flipped matrix");
    check_layout(random([1, 8], device).expand([5, 8]), "a row broadcast to a matrix");
    check_layout(random([5, 1], device).expand([5, 8]), "a column broadcast to a matrix");
    let empty = Activation::from(Mish).forward(Tensor::<2>::zeros([0, 3], device));
    assert_eq!(Activation::from(Mish).backward(empty.clone(), empty).dims(), [0, 3]);
}

fn results_may_take_the_place_of_what_nobody_else_holds(device: &Device) {
    for activation in activations() {
        let x = random([5, 7], device);
        let (before, shared) = (values(&x), x.clone() * 0.5);
        let halves = values(&shared);
        let expected: Vec<f64> = values(&activation.forward(shared.clone()));
        assert_eq!(values(&activation.forward(x.clone() * 0.5)), expected, "{activation:?} in place");
        assert_eq!(values(&shared), halves, "{activation:?} changed its input");
        let kept = || if activation.needs_input() { shared.clone() } else { activation.forward(shared.clone()) };
        let expected = values(&activation.backward(kept(), x.clone()));
        assert_eq!(values(&x), before, "{activation:?} changed its gradient");
        assert_eq!(values(&activation.backward(kept(), x * 1.0)), expected, "{activation:?} in a gradient's place");
    }
}

/// Half types are rounded once, at the end.
fn a_layers_sigmoid_and_tanh_have_their_gradients_from_the_output(device: &Device) {
    for dtype in dtypes(device) {
        let (outputs, g): (Vec<f64>, Vec<f64>) =
            (-512..=512).map(|i| (f64::from(i) / 512.0, 1.0 + 0.25 * f64::from(i).sin())).unzip();
        let shape = [1, outputs.len()];
        let (outputs, g) = (tensor::<2>(outputs, shape, dtype, device), tensor::<2>(g, shape, dtype, device));
        let slopes: [(FusedActivation, fn(f64) -> f64); 2] =
            [(FusedActivation::Sigmoid, |a| a * (1.0 - a)), (FusedActivation::Tanh, |a| 1.0 - a * a)];
        for (activation, slope) in slopes {
            let found = values(&activation.backward(outputs.clone(), g.clone()));
            for ((a, g), found) in values(&outputs).into_iter().zip(values(&g)).zip(found) {
                let expected = g * slope(a);
                // 1 and a or a² cancel.
                let half = matches!(dtype, DType::F16 | DType::BF16);
                let error = error(found, expected, dtype, !half);
                assert!(error <= if half { 0.51 } else { 2.0 }, "{activation:?} in {dtype:?} at {a}: {error} units");
            }
        }
    }
}

fn a_rules_gate_meets_awkward_numbers(device: &Device) {
    let guided = |activation: Activation| activation.with_rule(GradientRule::Guided).expect("it has straight pieces");
    let deconv = |activation: Activation| activation.with_rule(GradientRule::Deconv).expect("it has straight pieces");
    let gradients = [1.0, -1.0, f64::INFINITY, f64::NAN, 0.0, 2.5];
    let x = [1.0, 1.0, 1.0, 1.0, f64::NAN, f64::NAN];
    let (x, g) =
        (tensor::<1>(x.to_vec(), [6], DType::F32, device), tensor(gradients.to_vec(), [6], DType::F32, device));
    let by = |activation: Activation| values(&activation.backward(x.clone(), g.clone()));
    let same = |found: Vec<f64>, expected: [f64; 6]| {
        let differs = |(a, b): (&f64, &f64)| !(a == b || (a.is_nan() && b.is_nan()));
        assert!(!found.iter().zip(&expected).any(differs), "{found:?}, not {expected:?}");
    };
    let nan = f64::NAN;
    same(by(guided(Relu6.into())), [1.0, 0.0, f64::INFINITY, nan, nan, nan]);
    // It does not look at x.
    same(by(deconv(Relu6.into())), [1.0, 0.0, f64::INFINITY, nan, 0.0, 2.5]);
}

fn formulas_are_those_of_the_cpu(device: &Device) {
    let long = (1..=50).map(|i| format!("tanh({i}*x)/{}", i * i)).collect::<Vec<_>>().join(" + ");
    for text in FORMULAS.into_iter().chain([long.as_str()]) {
        let formula = Formula::new(text).unwrap_or_else(|error| panic!("{error}"));
        // Burn's operations, which the longest formula is, are none of f64 in WGSL.
        for dtype in dtypes(device).filter(|dtype| !(is_gpu(device) && *dtype == DType::F64 && text == long)) {
            let x: Vec<f64> = (-200..=200).map(|i| f64::from(i) * 0.047).chain([0.0, -0.0, 1.0, 2.0]).collect();
            let g: Vec<f64> = x.iter().map(|x| 1.0 + 0.25 * (7.0 * x).sin()).collect();
            let shape = [x.len()];
            let (x, g) = (tensor::<1>(x, shape, dtype, device), tensor::<1>(g, shape, dtype, device));
            let results =
                values(&formula.forward(x.clone())).into_iter().zip(values(&formula.backward(x.clone(), g.clone())));
            // A GPU's sin, cos and powers are right to some 1e-5, and Φ's polynomials to 10⁻¹⁰.
            let rounding = match is_gpu(device) {
                true if text.contains("sin") || text.contains("^1.5") => (8.0 * unit(dtype)).max(5e-5),
                true => (16.0 * unit(dtype)).max(1e-8),
                false => (16.0 * unit(dtype)).max(1e-12),
            };
            for ((x, g), (y, gradient)) in values(&x).into_iter().zip(values(&g)).zip(results) {
                let what = || format!("{text} in {dtype:?} at {x:e}, gradient {g:e}");
                assert_close(y, formula.value(x), rounding, what);
                assert_close(gradient, g * formula.slope(x), rounding, what);
            }
        }
    }
}

/// Also next to 0, in the tails, at limits, and where they are not defined.
fn elementary_functions_are_right_to_a_few_units_in_the_last_place(device: &Device) {
    let edges = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -1.0, 1.0, -0.999_999, 88.5, -87.0, 103.0];
    for text in ["exp(x)", "expm1(x)", "log(x)", "log1p(x)", "tanh(x)", "sigmoid(x)", "erf(x)", "softplus(x)"] {
        let formula = Formula::new(text).unwrap_or_else(|error| panic!("{error}"));
        for dtype in dtypes(device) {
            let x: Vec<f64> = numbers(dtype).into_iter().chain(edges).collect();
            let x = tensor::<1>(x.clone(), [x.len()], dtype, device);
            let most = match dtype {
                DType::F16 | DType::BF16 => 1.0,
                // By polynomials that are right to 10⁻¹⁰.
                DType::F64 if is_gpu(device) && text == "erf(x)" => 1e-10 / f64::EPSILON,
                _ => 8.0,
            };
            for (x, y) in values(&x).into_iter().zip(values(&formula.forward(x))) {
                let expected = formula.value(x);
                let error = error(y, expected, dtype, false);
                assert!(error <= most, "{text} in {dtype:?} at {x:e} is {y:e}, {error} units from {expected:e}");
            }
        }
    }
}

/// Also where a comparison turns NaN into a number.
fn formulas_know_nan(device: &Device) {
    for text in
        ["where(x < 1, 2, 3)", "x*(x != x)", "max(x, 0)", "min(1, x)", "relu(x)", "sign(x)", "log1p(x) + tanh(x)", "2"]
    {
        let formula = Formula::new(text).unwrap_or_else(|error| panic!("{error}"));
        let x = tensor::<1>(vec![f64::NAN, 0.5, f64::NAN], [3], DType::F32, device);
        let (y, slope) = (values(&formula.forward(x.clone())), values(&formula.backward(x.clone(), x.ones_like())));
        for (found, expected) in [(y[0], formula.value(f64::NAN)), (slope[2], formula.slope(f64::NAN))] {
            assert_close(found, expected, 1e-6, || format!("{text} at NaN"));
        }
    }
}

on_every_backend! {
    every_function_is_right_to_a_few_units_in_the_last_place
    edges_are_those_of_the_definition
    every_layout_and_size_works
    results_may_take_the_place_of_what_nobody_else_holds
    a_layers_sigmoid_and_tanh_have_their_gradients_from_the_output
    a_rules_gate_meets_awkward_numbers
    formulas_are_those_of_the_cpu
    elementary_functions_are_right_to_a_few_units_in_the_last_place
    formulas_know_nan
}

#[test]
#[ignore = "prints a table"]
#[cfg(feature = "wgpu")]
fn table() {
    use rectify::Sigmoid;

    let Some(device) = crate::gpu::wgpu() else { return };
    for activation in Activation::all() {
        let errors = dtypes(&device).map(|dtype| {
            let [(value, at_value), (slope, at_slope)] = worst(activation, &device, dtype);
            format!("{dtype:?} {value:.2} at {at_value:.3e}, {slope:.2} at {at_slope:.3e}")
        });
        println!("{:13} {}", activation.name(), errors.collect::<Vec<_>>().join("  "));
    }
    let device = device.autodiff();
    let x = random::<1>([1 << 20], &device).require_grad();
    for activation in [Activation::from(Sigmoid), Gelu.into(), Mish.into(), Relu6.into()] {
        let once = || {
            let gradients = activation.forward(x.clone()).sum().backward();
            let gradient = x.grad(&gradients).expect("x is tracked");
            gradient.narrow(0, 0, 1).into_data();
        };
        once();
        let begin = std::time::Instant::now();
        (0..20).for_each(|_| once());
        println!("{:13} {:.2} ms forward and backward", activation.name(), begin.elapsed().as_secs_f64() * 50.0);
    }
}
