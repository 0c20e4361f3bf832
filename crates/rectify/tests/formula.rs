//! Formulas: what they compute, their derivatives, and what is said of texts that are none.
#![allow(deprecated)] // Device::ndarray

use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use proptest::prelude::*;
use rectify::{
    Activation, Formula, Function, Gelu, GeluTanh, HardTanh, LogSigmoid, Mish, Number, Selu, Silu, SoftShrink,
    Softplus, Softsign, Swish, Tanh, TanhShrink,
    gradcheck::{GradCheck, gradcheck},
};

const POINTS: [f64; 14] = [-9.0, -4.0, -2.5, -1.0, -0.7, -0.1, -1e-3, 0.0, 1e-3, 0.3, 1.0, 1.7, 3.0, 8.0];

#[track_caller]
fn formula(text: &str) -> Formula {
    Formula::new(text).unwrap_or_else(|error| panic!("{error}"))
}

/// φ and φ′ at the points, by tensors.
fn on(device: &Device, dtype: DType, points: &[f64], f: impl Fn(Tensor<1>) -> Tensor<1>) -> [Vec<f64>; 2] {
    let device = device.clone().autodiff();
    let x = Tensor::<1>::from_data(TensorData::new(points.to_vec(), [points.len()]), (&device, dtype)).require_grad();
    let y = f(x.clone());
    let gradients = y.clone().sum().backward();
    let slope = x.grad(&gradients).expect("the input is tracked");
    [y.without_autodiff(), slope].map(|tensor| tensor.cast(DType::F64).into_data().iter().collect())
}

fn devices() -> Vec<(&'static str, Device)> {
    vec![
        ("flex", Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", Device::ndarray()),
    ]
}

#[track_caller]
fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    for ((x, found), expected) in POINTS.iter().zip(found).zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs().max(1.0),
            "{what} at {x}: {found}, not {expected}"
        );
    }
}

#[test]
fn formulas_of_known_functions_have_their_values_and_gradients_in_every_type_and_on_every_cpu_backend() {
    type Known = (&'static str, fn(Tensor<1>) -> Tensor<1>);
    let known: [Known; 10] = [
        ("x*sigmoid(x)", activation::silu),
        ("softplus(x)", |x| activation::softplus(x, 1.0)),
        ("0.5*x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x^3)))", activation::gelu_approximate),
        ("0.5*x*(1 + erf(x/sqrt(2)))", activation::gelu),
        ("where(x >= 0, x, a*x); a = 0.1", |x| activation::leaky_relu(x, 0.1)),
        ("relu(x)", activation::relu),
        ("tanh(x)", activation::tanh),
        ("x/(1 + abs(x))", activation::softsign),
        ("x*tanh(log1p(exp(x)))", activation::mish),
        ("exp(-x^2)", |x| (x.clone() * x).neg().exp()),
    ];
    for (text, reference) in known {
        let phi = formula(text);
        let [f, df] = on(&Device::flex(), DType::F64, &POINTS, reference);
        for (name, device) in devices() {
            for (dtype, tolerance) in [(DType::F64, 1e-6), (DType::F32, 2e-6), (DType::F16, 2e-3), (DType::BF16, 1e-2)]
            {
                if name == "ndarray" && !matches!(dtype, DType::F32 | DType::F64) {
                    continue;
                }
                // What the type makes of the points is what both are given.
                let rounded: Vec<f64> = on(&Device::flex(), dtype, &POINTS, |x| x * 1.0)[0].clone();
                let [f, df] = if dtype == DType::F64 {
                    [f.clone(), df.clone()]
                } else {
                    on(&Device::flex(), DType::F64, &rounded, reference)
                };
                let [found, slope] = on(&device, dtype, &POINTS, |x| phi.forward(x));
                close(&format!("{text} on {name} in {dtype:?}"), &found, &f, tolerance);
                close(&format!("({text})′ on {name} in {dtype:?}"), &slope, &df, tolerance);
            }
        }
    }
}

#[test]
#[cfg(feature = "wgpu")]
fn formulas_have_the_same_values_on_a_gpu() {
    let device = std::panic::catch_unwind(|| {
        let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
        Tensor::<1>::zeros([1], &device).into_data();
        device
    });
    let Ok(device) = device else {
        assert!(std::env::var_os("CI").is_none(), "there is no GPU, not even a software one");
        return eprintln!("skipped: there is no GPU, not even a software one");
    };
    let texts = ["x*sigmoid(1.702*x)", "where(x > 0, x, expm1(x))", "max(x, 0.1*x) + min(x^2, 1)", "softplus(2*x)/2"];
    for phi in texts.map(formula).into_iter().chain([Formula::of(Everything { fault: 0.0 })]) {
        let text = phi.text();
        let [f, df] = on(&Device::flex(), DType::F32, &POINTS, |x| phi.forward(x));
        let [found, slope] = on(&device, DType::F32, &POINTS, |x| phi.forward(x));
        close(text, &found, &f, 1e-5);
        close(&format!("({text})′"), &slope, &df, 1e-5);
    }
}

#[test]
fn elu_by_a_choice_has_both_its_halves() {
    let phi = formula("elu1 = where(x > 0, x, a*expm1(x)); a = 0.5");
    for x in POINTS {
        let (f, df) = if x > 0.0 { (x, 1.0) } else { (0.5 * x.exp_m1(), 0.5 * x.exp()) };
        assert_eq!((phi.value(x), phi.slope(x)), (f, df), "{x}");
    }
    assert_eq!((phi.name(), phi.expression()), (Some("elu1"), "where(x > 0, x, a*expm1(x))"));
}

#[test]
fn every_function_passes_gradcheck() {
    for text in [
        "exp(x/3)",
        "expm1(x/3)",
        "log(x^2 + 1)",
        "ln(2 + sin(x))",
        "log1p(x^2)",
        "sqrt(x^2 + 1)",
        "abs(x)",
        "sin(x)*cos(x)",
        "tanh(x)",
        "sigmoid(x)",
        "erf(x)",
        "relu(x)",
        "softplus(x)",
        "max(x, 0.1*x)",
        "min(x, x^2)",
        "2^x",
        "(x^2 + 1)^x",
        "x^-2 + x^-1",
        "x^3/(1 + x^2)",
        "if(x < 1, x, 2*x - 1)",
        "(x > -1)*x",
        "abs(x)^1.5",
        "-x^2",
        "x^2^2",
        "1/(1 + exp(-x))",
    ] {
        let phi = formula(text);
        // Not at 0, where some have a pole.
        let points: Vec<f64> = POINTS.into_iter().filter(|x| x.abs() > 0.01).map(|x| x * 0.6).collect();
        let x = Tensor::<1>::from_data(TensorData::new(points.clone(), [points.len()]), (&Device::flex(), DType::F64));
        let report =
            gradcheck(|x| phi.forward(x), x, &GradCheck::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(report.passed(), "{text}, φ′ = {}: {report}", phi.derivative());
        assert!(!phi.notes().iter().any(|note| note.contains("differences")), "{text}: {:?}", phi.notes());
    }
}

#[test]
fn derivatives_are_simplified() {
    for (text, derivative) in [
        ("x^2", "2*x"),
        ("(sqrt(x^2+1)-1)/2 + x", "x/sqrt(x^2 + 1)/2 + 1"),
        ("x*sigmoid(b*x); b=2", "sigmoid(2*x) + 2*x*sigmoid(2*x)*(1 - sigmoid(2*x))"),
        ("relu(x)", "where(x > 0, 1, 0)"),
        ("max(x, 0.1*x)", "where(x > 0.1*x, 1, where(x == 0.1*x, 0.55, 0.1))"),
        ("3", "0"),
        ("-x^2", "-2*x"),
        ("sign(x)", "0"),
    ] {
        assert_eq!(formula(text).derivative(), derivative, "{text}");
    }
}

#[test]
fn numbers_are_read_with_points_and_exponents() {
    for text in ["7", "12.25", ".5", "5.", "1e5", "1e-3", "2.5E+2"] {
        assert_eq!(Ok(formula(text).value(0.0)), text.parse(), "{text}");
    }
}

#[test]
fn signs_and_factors_are_gathered_however_a_function_is_written() {
    for (one, other) in [
        ("-(2*x)", "x*(-2)"),
        ("-(3*sin(x))", "sin(x)*(-3)"),
        ("x*(-1)", "-x"),
        ("exp(x)*(-1)*(-1)", "exp(x)"),
        ("-(x - 1)", "1 - x"),
        ("(2*x)*(3*exp(x))", "6*(x*exp(x))"),
        ("(-x)*(-exp(x))", "x*exp(x)"),
        ("(-x)*exp(x)", "x*(-exp(x))"),
        ("x + x", "2*x"),
        ("x - (-exp(x))", "x + exp(x)"),
        ("(6*x)/(2*exp(x))", "3*(x/exp(x))"),
        ("(2*x)/(6*exp(x))", "x/(3*exp(x))"),
    ] {
        assert!(formula(one).same_function(&formula(other)), "{one} is {other}");
    }
}

#[test]
fn kinks_and_edges_follow_pytorch() {
    let slope = |text: &str, x: f64| formula(text).slope(x);
    assert_eq!((slope("abs(x)", 0.0), slope("relu(x)", 0.0), slope("max(x, 0)", 0.0)), (0.0, 0.0, 0.5));
    assert_eq!(slope("min(x, -x)", 0.0), 0.0);
    assert_eq!((slope("x^2", -3.0), slope("x^3", 0.0), slope("sqrt(x)", 0.0)), (-6.0, 0.0, f64::INFINITY));
    for text in ["max(x, 0)", "min(0, x)", "relu(x)", "x + 1", "abs(x)", "sign(x)"] {
        assert!(formula(text).value(f64::NAN).is_nan(), "{text}");
    }
    assert!(formula("log(x)").value(-1.0).is_nan() && formula("sqrt(x)").value(-1.0).is_nan());
}

#[test]
fn an_error_has_carets_below_its_place() {
    for (text, column, message) in [
        ("x*sigmod(x)", 3, "unknown function `sigmod`; known are exp, "),
        ("x*(x + 1", 3, "this parenthesis is not closed\n  x*(x + 1\n    ^"),
        ("2x", 2, "an operator is missing before this; a product has a `*`\n  2x\n   ^"),
        ("b*x", 1, "`b` has no value; the variable is `x`, and a parameter is given as in `; b = 2`\n  b*x\n  ^"),
        ("x +", 4, "is missing here\n  x +\n     ^"),
        ("x)", 2, "no parenthesis is open here"),
        ("max(x)", 1, "`max` takes 2 arguments, got 1\n  max(x)\n  ^^^"),
        ("-1 < x < 1", 8, "comparisons do not chain"),
        ("x $ 2", 3, "`$` means nothing"),
        ("x; b = x", 8, "a parameter is a number"),
        ("b*x; b = 2*c; c = 3", 12, "`c` has no value yet: a parameter may be made of those that stand before it"),
        ("x; b = 2", 4, "no parameter of this name"),
        ("b*x; b = 2; b = 3", 13, "given twice"),
        ("e*x; e = 2", 6, "`e` has its own meaning"),
        ("x = 2*x", 1, "`x` is the variable"),
        ("where(x = 1, 0, x)", 1, "to compare write `==`"),
        ("1e999*x", 1, "numbers end at"),
        ("tanh", 1, "`tanh` is a function"),
        ("", 1, "is missing here"),
        ("x,1", 2, "a comma stands only"),
        ("x(2)", 1, "`x` is no function; a product has a `*`, as in `x*(x + 1)`"),
        ("b(x); b = 2", 1, "`b` is no function"),
        ("Sin(x)", 1, "unknown function `Sin`; `sin` is one"),
        ("x*gelu(x)", 3, "`gelu` is an activation by itself and no function of a formula; these are exp, "),
        ("x²", 2, "`²` means nothing in a formula; write `^2`"),
        ("|x|", 1, "; the size of a number is `abs(x)`"),
        ("x'", 2, "`'` means nothing"),
    ] {
        let error = Formula::new(text).expect_err(text);
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert_eq!(error.column(), column, "{text}: {error}");
    }
}

#[test]
fn operators_may_be_as_they_are_printed() {
    for (printed, typed) in
        [("x − 1", "x - 1"), ("2·x×3 ÷ x", "2*x*3/x"), ("x ≤ 1", "x <= 1"), ("x≥1", "x>=1"), ("x≠0", "x!=0")]
    {
        let [printed, typed] =
            [printed, typed].map(|text| Formula::new(text).unwrap_or_else(|error| panic!("{error}")));
        assert!(printed.same_function(&typed), "{}", printed.text());
    }
}

#[test]
fn what_has_no_gradient_is_noted() {
    for (text, note) in [
        ("0*x", "it is 0 everywhere on -50..50: no gradient passes"),
        ("sign(x)", "its derivative is 0 everywhere on -50..50: no gradient passes"),
        ("x > 0.5", "its derivative is 0 everywhere on -50..50: no gradient passes"),
    ] {
        assert_eq!(Formula::new(text).unwrap_or_else(|error| panic!("{error}")).notes(), [note], "{text}");
    }
}

#[test]
fn parentheses_go_64_deep() {
    let nested = |depth: usize| Formula::new(&format!("{}x{}", "(".repeat(depth), ")".repeat(depth)));
    assert!(nested(64).is_ok());
    assert!(nested(65).unwrap_err().to_string().starts_with("parentheses, signs and powers go at most 64 deep"));
}

#[test]
fn hostile_texts_are_errors_or_small() {
    let deep = format!("{}x{}", "(".repeat(200), ")".repeat(200));
    assert!(Formula::new(&deep).unwrap_err().reason().contains("at most 64 deep"));
    assert!(Formula::new(&"-".repeat(900)).unwrap_err().reason().contains("at most 64 deep"));
    assert!(Formula::new(&format!("x{}", "^x".repeat(400))).unwrap_err().reason().contains("at most 64 deep"));
    let long = Formula::new(&"x+".repeat(500_000)).unwrap_err();
    assert!(long.reason().contains("at most 1000 characters, this text has 1000000") && long.to_string().len() < 400);
    // Functions inside of each other, whose derivative as a tree would have 2⁶⁰ parts.
    let nested = format!("{}x{}", "sigmoid(".repeat(60), ")".repeat(60));
    assert!(formula(&nested).derivative().len() < 2100 && formula(&nested).slope(1.0) > 0.0);
    let product = formula(&format!("x{}", "*x".repeat(499)));
    assert!(product.derivative().len() < 2100 && product.slope(1.0) == 500.0);
    for power in ["x^1e300", "x^-1e300", "9e99^9e99*x", "x^(x^(x^x))", "1/0*x", "x^64 - x^-64"] {
        formula(power).value(1.5);
    }
    for text in ["ｘ", "x\u{0}", "x\u{202e}", "💥(x)", "x²", "xx", "\t", "x\n+"] {
        assert!(Formula::new(text).is_err() || text == "\t", "{text:?}");
    }
}

#[test]
fn what_may_not_be_expected_is_noted() {
    let notes = |text: &str| formula(text).notes().join("; ");
    assert_eq!(notes("x*sigmoid(x)"), "");
    assert_eq!(notes("log(x)"), "it is NaN at x = -50, and at 3200 more of 6401 points on -50..50");
    assert_eq!(notes("pi - 3 + 0*x").split(':').next(), Some("it is 0.14159265358979312 everywhere on -50..50"));
    assert_eq!(notes("sqrt(abs(x))"), "its derivative is NaN at x = 0 on -50..50");
    assert!(notes("(1e16 + x) - 1e16").contains("where differences of the formula itself give"));
    // A kink within the step at 0.012345678, where differences have not settled.
    assert_eq!(notes("abs(x - 0.012348178)"), "");
}

#[test]
fn straight_pieces_and_zeros_are_known() {
    let straight = ["max(x, 0)", "where(x < 1, 2*x, 2)", "abs(x) + relu(x)", "x*(x > 0)", "3"].map(formula);
    assert!(straight.iter().all(Formula::is_piecewise_linear));
    let curved = ["x^2*(x > 0)", "(x > 0)*x^2", "where(x < 1, x, x^3)", "where(x < 1, x^3, x)", "exp(x)"].map(formula);
    assert!(!curved.iter().any(Formula::is_piecewise_linear));
    let zeros = ["x", "x - 9.99", "x^2", "relu(x)", "1 - x/10"].map(formula);
    assert!(zeros.iter().all(Formula::can_be_zero));
    let none = ["exp(x)", "1 + x^2", "x - 50", "x + 10.1", "where(x < 0, 1, 2)"].map(formula);
    assert!(!none.iter().any(Formula::can_be_zero));
}

#[test]
fn large_strided_and_empty_tensors_have_every_element() {
    let phi = formula("x*sigmoid(1.702*x)");
    let n = 70_000;
    let values: Vec<f32> = (0..n).map(|i| (i % 997) as f32 * 0.02 - 10.0).collect();
    let x = Tensor::<2>::from_data(TensorData::new(values.clone(), [n / 100, 100]), &Device::flex());
    let expected: Vec<f32> = values.iter().map(|x| phi.value(f64::from(*x)) as f32).collect();
    let found = phi.forward(x.clone()).into_data().to_vec::<f32>().unwrap();
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0)));
    assert_eq!(phi.forward(x.clone().transpose()).transpose().into_data(), phi.forward(x.clone()).into_data());
    let by_hand = phi.backward(x.clone(), x.ones_like()).into_data().to_vec::<f32>().unwrap();
    assert!(by_hand.iter().zip(&values).all(|(df, x)| (f64::from(*df) - phi.slope(f64::from(*x))).abs() < 2e-6));
    assert_eq!(phi.forward(Tensor::<3>::zeros([2, 0, 3], &Device::flex())).dims(), [2, 0, 3]);
}

#[test]
fn angles_of_any_size_keep_their_digits() {
    // Beyond 10⁶ a multiple of π / 2 in f32 has none left; one large angle among small ones is enough.
    let points = [0.5f32, -2.0, 1.5e6, 1e7, -3.3e9, 1e20, f32::MAX];
    for (text, exact) in [("sin(x)", f64::sin as fn(f64) -> f64), ("cos(x)", f64::cos)] {
        for (device, dtype) in
            devices().into_iter().flat_map(|(_, device)| [DType::F32, DType::F64].map(|of| (device.clone(), of)))
        {
            let x = Tensor::<1>::from_data(TensorData::new(points.to_vec(), [points.len()]), (&device, dtype));
            for (x, found) in points.into_iter().zip(formula(text).forward(x).into_data().iter::<f64>()) {
                let expected = exact(f64::from(x));
                assert!((found - expected).abs() < 1e-6, "{text} in {dtype:?} at {x:e}: {found}, not {expected}");
            }
        }
    }
}

#[test]
fn a_formula_in_a_model_is_shown_as_its_text() {
    assert_eq!(formula("x*sigmoid(2*x)").to_string(), "Formula {formula: x*sigmoid(2*x)}");
}

fn any_formula() -> impl Strategy<Value = String> {
    let leaf =
        prop_oneof![Just("x".to_owned()), (-3.0..3.0_f64).prop_map(|c| format!("{c:.2}")), Just("pi".to_owned())];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let function =
            prop::sample::select(&["exp", "sin", "cos", "tanh", "sigmoid", "erf", "softplus", "abs", "relu"][..]);
        prop_oneof![
            (function, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (prop::sample::select(&["+", "-", "*", "/"][..]), inner.clone(), inner.clone())
                .prop_map(|(o, a, b)| format!("({a}) {o} ({b})")),
            (prop::sample::select(&["max", "min"][..]), inner.clone(), inner.clone())
                .prop_map(|(f, a, b)| format!("{f}({a}, {b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(c, a, b)| format!("where({c} > 0.5, {a}, {b})")),
            (inner.clone(), 2..5_i32).prop_map(|(a, n)| format!("({a})^{n}")),
            inner.prop_map(|a| format!("-({a})")),
        ]
    })
}

proptest! {
    #[test]
    fn a_formula_reads_as_it_was_written_and_its_derivative_is_that_of_its_text(text in any_formula()) {
        let phi = Formula::new(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(phi.text(), &*text);
        prop_assert!(Formula::new(phi.text()).is_ok_and(|again| again.same_function(&phi)));
        prop_assert!(!phi.notes().iter().any(|note| note.contains("differences")), "{}: {:?}", text, phi.notes());
        // What is printed is what is computed, to rounding.
        if phi.derivative().len() < 900 {
            let printed = Formula::new(phi.derivative()).map_err(|error| TestCaseError::fail(error.to_string()))?;
            for x in [-1.37, 0.41, 2.13] {
                let (a, b) = (printed.value(x), phi.slope(x));
                prop_assert!(a == b || (a - b).abs() <= 1e-6 * b.abs().max(1.0) || !a.is_finite() || !b.is_finite(), "{}: {} and {}", text, a, b);
            }
        }
    }

    #[test]
    fn any_text_is_a_formula_or_an_error_with_a_place_in_it(text in ".{0,40}") {
        if let Err(error) = Formula::new(&text) {
            prop_assert!(error.column() <= text.trim().chars().count() + 1);
        }
    }
}

/// One of the crate's own, and the formula that is made of the same definition.
fn both<F: Function + Into<Activation>>(function: F) -> (Activation, Formula) {
    (function.into(), Formula::of(function))
}

#[test]
fn a_function_in_rust_is_a_formula_with_its_own_derivative_in_every_type_and_on_every_cpu_backend() {
    let functions = [
        both(Gelu),
        both(GeluTanh),
        both(HardTanh::default()),
        both(LogSigmoid),
        both(Mish),
        both(Selu),
        both(Silu),
        both(SoftShrink::default()),
        both(Softplus { beta: 2.0 }),
        both(Softsign),
        both(Swish { beta: 1.75 }),
        both(Tanh),
        both(TanhShrink),
    ];
    for (known, own) in functions {
        let name = known.name();
        assert_eq!((own.name(), own.notes()), (Some(name), &[][..]));
        assert_eq!(own.text(), format!("{name} = {}", own.expression()));
        for x in POINTS {
            let near = |found: f64, expected: f64| (found - expected).abs() <= 1e-14 * expected.abs().max(1.0);
            assert!(near(own.value(x), known.value(x)) && near(own.slope(x), known.slope(x)), "{name} at {x}");
            // The text is the function as a formula, whose derivative is calculus's.
            let read = formula(own.text());
            assert!(near(read.value(x), known.value(x)), "{} at {x}", own.text());
        }
        for (device_name, device) in devices() {
            // ndarray has functions in f64 that are right to f32's digits.
            let wide = if device_name == "flex" { 1e-13 } else { 1e-6 };
            for (dtype, tolerance) in [(DType::F64, wide), (DType::F32, 2e-6), (DType::F16, 2e-3), (DType::BF16, 2e-2)]
            {
                if device_name == "ndarray" && !matches!(dtype, DType::F32 | DType::F64) {
                    continue;
                }
                let [f, df] = on(&Device::flex(), dtype, &POINTS, |x| known.forward(x));
                let [found, slope] = on(&device, dtype, &POINTS, |x| own.forward(x));
                close(&format!("{name} on {device_name} in {dtype:?}"), &found, &f, tolerance);
                close(&format!("{name}′ on {device_name} in {dtype:?}"), &slope, &df, tolerance);
            }
        }
    }
}

/// Every operation of a number, in one function; its slope is off by `fault`.
#[derive(Clone, Copy)]
struct Everything {
    fault: f64,
}

impl Function for Everything {
    const NAME: &'static str = "everything";

    fn value<N: Number>(self, x: N) -> N {
        let root = (N::of(1.0) + x * x).sqrt();
        let smooth = root.log() + x.sin() * x.cos() + root.pow(N::of(-3.0)) - (-x.abs()).exp() / N::of(2.0);
        N::choose(x.above(0.5), smooth + (x - N::of(0.5)).at_least(0.0).log1p(), smooth)
    }

    fn slope<N: Number>(self, x: N) -> N {
        let square = N::of(1.0) + x * x;
        let sign = N::choose(x.below(0.0), N::of(-1.0), N::of(1.0));
        let smooth = x / square + (x + x).cos() - N::of(3.0) * x * square.pow(N::of(-2.5))
            + sign * (-x.abs()).exp() / N::of(2.0);
        smooth + N::choose(x.above(0.5), N::of(1.0) / (x + N::of(0.5)), N::of(self.fault))
    }
}

#[test]
fn a_slope_that_is_not_the_functions_is_told_and_fails_gradcheck() {
    let check = |function: Everything| {
        let own = Formula::of(function);
        let x = Tensor::<1>::from_floats([-2.5, -0.7, 0.2, 0.9, 4.0], &Device::flex()).cast(DType::F64);
        let report = gradcheck(|x| own.forward(x), x, &GradCheck::default()).expect("it can be checked");
        for x in [-2.0, 0.3, 1.5] {
            assert!((own.value(x) - function.value(x)).abs() < 1e-14 * own.value(x).abs().max(1.0));
            assert!((f64::from(function.value(x as f32)) - own.value(x)).abs() < 1e-5);
        }
        (report, own.notes().to_vec())
    };
    let (right, notes) = check(Everything { fault: 0.0 });
    assert!(right.passed() && notes.is_empty(), "{right}; {notes:?}");
    let (wrong, notes) = check(Everything { fault: 0.01 });
    assert_eq!(wrong.failures, 3, "{wrong}");
    assert!(notes.iter().any(|note| note.contains("where differences of the formula itself give")), "{notes:?}");
    let [one, other] = [0.0, 0.01].map(|fault| Formula::of(Everything { fault }));
    assert!(one == one.clone() && one != other && one.same_function(&other) && one.text() == other.text());
}

/// x, whose slope is said to be 3/2 between 1 and 2.
#[derive(Clone, Copy)]
struct WrongBetween1And2;

impl Function for WrongBetween1And2 {
    const NAME: &'static str = "wrong_between_1_and_2";

    fn value<N: Number>(self, x: N) -> N {
        x
    }

    fn slope<N: Number>(self, x: N) -> N {
        N::of(1.0) + x.inside(1.0, 2.0) * N::of(0.5)
    }
}

#[test]
fn a_slope_that_is_wrong_on_a_short_stretch_is_told() {
    let own = Formula::of(WrongBetween1And2);
    assert_eq!([0.5, 1.0, 1.5, 2.0, 3.0].map(|x| own.slope(x)), [1.0, 1.0, 1.5, 1.0, 1.0]);
    let notes = own.notes().join("; ");
    assert!(notes.starts_with("its derivative is 1.5 at x = 1.0"), "{notes}");
}

/// max(0, x) or |x|, by a setting that is compared where the function is written.
#[derive(Clone, Copy)]
struct Chosen {
    setting: f64,
}

impl Function for Chosen {
    const NAME: &'static str = "chosen";

    fn value<N: Number>(self, x: N) -> N {
        N::choose(N::of(self.setting).less(N::of(1.0)), x.at_least(0.0), x.abs())
    }

    fn slope<N: Number>(self, x: N) -> N {
        let left = N::choose(N::of(self.setting).less(N::of(1.0)), N::of(0.0), N::of(-1.0));
        N::choose(x.above(0.0), N::of(1.0), left)
    }
}

#[test]
fn a_choice_by_a_constant_is_made_once() {
    for (setting, value, slope) in [(0.5, 0.0, 0.0), (1.0, 2.0, -1.0)] {
        let own = Formula::of(Chosen { setting });
        assert_eq!((own.value(-2.0), own.slope(-2.0)), (value, slope), "{setting}: {}", own.text());
        assert_eq!((own.value(2.0), own.slope(2.0)), (2.0, 1.0), "{setting}: {}", own.text());
    }
    assert_eq!(Formula::of(Chosen { setting: 1.0 }).expression(), "abs(x)");
}

/// x + 1/2 + 1/3 + …, so many terms, each an operation of its own.
#[derive(Clone, Copy)]
struct Long(usize);

impl Function for Long {
    const NAME: &'static str = "long";

    fn value<N: Number>(self, x: N) -> N {
        let mut sum = x;
        for i in 0..self.0 {
            sum = sum + N::of(1.0 / (i + 2) as f64);
        }
        sum
    }

    fn slope<N: Number>(self, _: N) -> N {
        N::of(1.0)
    }
}

/// x, squared sixty times over: sixty operations, and 2⁶⁰ letters where each is written at each use.
#[derive(Clone, Copy)]
struct Squares;

impl Function for Squares {
    const NAME: &'static str = "squares";

    fn value<N: Number>(self, x: N) -> N {
        (0..60).fold(x, |y, _| y * y)
    }

    fn slope<N: Number>(self, x: N) -> N {
        N::of(2f64.powi(60)) * self.value(x) / x
    }
}

#[test]
fn a_text_is_not_written_further_than_it_is_shown() {
    let squares = Formula::of(Squares);
    assert_eq!((squares.value(-1.0), squares.slope(1.0)), (1.0, 2f64.powi(60)));
    for text in [squares.expression(), squares.derivative()] {
        assert!(text.ends_with('…') && text.len() < 2100, "{text}");
    }
}

#[test]
fn a_long_function_has_a_text_that_is_cut_short_and_one_that_is_too_long_is_refused() {
    let long = Formula::of(Long(5000));
    assert!(long.text().contains('…') && long.text().len() < 2100, "{}", long.text());
    let sum = (2..5002).fold(-3.0, |sum, i| sum + 1.0 / f64::from(i));
    assert_eq!(long.value(-3.0), sum);
    let refused = std::panic::catch_unwind(|| Formula::of(Long(70_000)));
    assert!(refused.is_err());
}
