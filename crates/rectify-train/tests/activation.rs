//! Names of activations, and the functions behind them.

use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;
use rectify_train::activation::{Activation, ActivationError, NAMES};

const WITH_PARAMETER: [&str; 8] = ["leaky-relu", "prelu", "rrelu", "elu", "celu", "silu", "softplus", "relu"];

fn parameter_of(name: &'static str) -> BoxedStrategy<String> {
    match name {
        "relu" => prop_oneof![
            (0.0..=1.0_f64).prop_map(|at_zero| format!("relu:heaviside={at_zero}")),
            (0.0..1.0_f64).prop_map(|slope| format!("relu:leaky={slope}")),
            (0.01..1.0_f64).prop_map(|alpha| format!("relu:nelu={alpha}")),
            Just("relu:bsilu".to_owned()),
            Just("relu:guided".to_owned()),
            Just("relu:deconv".to_owned()),
        ]
        .boxed(),
        "rrelu" => {
            (-2.0..2.0_f64, 0.0..1.0_f64).prop_map(|(lower, more)| format!("rrelu:{lower}:{}", lower + more)).boxed()
        }
        "leaky-relu" | "prelu" => (-2.0..2.0_f64).prop_map(move |slope| format!("{name}:{slope}")).boxed(),
        _ => (1e-3..1e3_f64).prop_map(move |parameter| format!("{name}:{parameter}")).boxed(),
    }
}

fn any_name() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(NAMES.clone()).prop_map(str::to_owned);
    prop_oneof![plain, prop::sample::select(&WITH_PARAMETER[..]).prop_flat_map(parameter_of)]
}

proptest! {
    #[test]
    fn a_name_reads_and_writes_as_it_was_given(name in any_name()) {
        let activation: Activation = name.parse().map_err(|error: ActivationError| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(activation.to_string(), &*name);
        prop_assert_eq!(activation.to_string().parse(), Ok(activation.clone()));
        let json = serde_json::to_string(&activation)?;
        prop_assert_eq!(&json, &format!("{name:?}"));
        prop_assert_eq!(serde_json::from_str::<Activation>(&json)?, activation);
    }

    #[test]
    fn any_text_is_an_activation_or_an_error_that_quotes_it(text in ".{0,20}") {
        match text.parse::<Activation>() {
            Ok(activation) => prop_assert_eq!(activation.name().parse(), Ok(activation.clone())),
            // A formula's text is shown above its carets, where a tab or the like would shift them.
            Err(ActivationError::Formula(error)) => {
                let shown: String = text.trim().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
                prop_assert!(error.to_string().contains(&shown), "{}", error);
            }
            Err(error) => prop_assert!(error.to_string().contains(&text), "{}", error),
        }
    }
}

#[track_caller]
fn error(text: &str) -> String {
    text.parse::<Activation>().expect_err("it is not an activation").to_string()
}

#[test]
fn an_unknown_name_is_told_with_all_that_are_known() {
    let message = error("rleu");
    let start = "unknown activation `rleu`; did you mean `relu`? known are none, relu, prelu,";
    assert!(message.starts_with(start), "{message}");
    for name in NAMES.iter() {
        assert!(message.contains(name), "`{name}` is not in: {message}");
    }
    assert!(error("").contains("unknown activation ``"));
    for (text, near) in [
        ("sigmod", "`sigmoid`"),
        ("leaky:0.1", "`leaky-relu`"),
        ("lrelu", "`leaky-relu`"),
        ("quickgelu", "`gelu-tanh`"),
        ("bsilu", "`relu:bsilu`"),
        ("swsh", "`silu`"),
    ] {
        assert!(error(text).contains(&format!("`{text}`; did you mean {near}?")), "{}", error(text));
    }
    assert!(!error("fourier").contains("did you mean"), "nothing is near");
}

#[test]
fn a_gated_unit_is_told_to_be_a_module_that_halves_the_width() {
    for (text, module, gate) in [
        ("glu", "Gated::glu()", "sigmoid"),
        ("SwiGLU", "Gated::swiglu()", "silu"),
        ("ge-glu", "Gated::geglu()", "gelu"),
    ] {
        let message = error(text);
        for part in [&format!("`{text}`"), module, &format!("its gate alone is `{gate}`"), "half of the width"] {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        assert!(!message.contains("did you mean"), "{message}");
    }
}

#[test]
fn spelling_does_not_matter_and_the_name_is_the_usual_one() {
    for (text, name) in [
        ("ReLU", "relu"),
        (" relu ", "relu"),
        ("leaky_relu:0.10", "leaky-relu:0.10"),
        ("LeakyReLU: 1E-2", "leaky-relu:1E-2"),
        ("Hard Tanh", "hard-tanh"),
        ("HardTanh:Leaky=0.5", "hard-tanh:leaky=0.5"),
        ("leaky_relu : 1E-2 : Guided", "leaky-relu:1E-2:guided"),
        ("ReLU:Heaviside=0.5", "relu:heaviside=0.5"),
        ("relu : leaky = 0.1", "relu:leaky=0.1"),
        ("swish", "silu"),
        ("Identity", "none"),
        ("linear", "none"),
        ("logistic", "sigmoid"),
        ("hard_silu", "hard-swish"),
        ("parametric-relu:0.1", "prelu:0.1"),
        ("RReLU : 0.10 : 0.3", "rrelu:0.10:0.3"),
        ("randomized_relu", "rrelu"),
    ] {
        let activation: Activation = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(activation.name(), name);
        assert_eq!(name.parse(), Ok(activation), "{text}");
    }
}

#[test]
fn every_function_of_the_crate_has_a_name_and_what_may_stand_behind_it() {
    for function in rectify::Activation::all() {
        let name = match function.name() {
            // It is SiLU with a parameter.
            "swish" => continue,
            name => name.replace('_', "-"),
        };
        assert!(NAMES.contains(&&*name), "{name}");
        let with = |parameter: &str| format!("{name}:{parameter}").parse::<Activation>();
        assert_eq!(with("0.5").is_ok(), function.parameter().is_some() || name == "silu", "{name}");
        assert_eq!(with("guided").is_ok(), function.is_piecewise_linear(), "{name}");
    }
    let torch = |name: &str| name.parse::<Activation>().unwrap().torch();
    assert_eq!(torch("elu:0.5").as_deref(), Some("ELU(0.5)"));
    assert_eq!((torch("silu"), torch("silu:1")), (Some("SiLU()".to_owned()), Some("SiLU()".to_owned())));
    assert_eq!((torch("silu:2"), torch("squared-relu"), torch("x*tanh(x)")), (None, None, None));
}

#[test]
fn one_function_by_two_names_is_known_as_one() {
    let same = |one: &str, other: &str| one.parse::<Activation>().unwrap().same_function(&other.parse().unwrap());
    assert!(same("leaky-relu", "leaky-relu:0.01") && same("relu", "relu:heaviside=0") && same("elu:1", "elu:1.0"));
    assert!(same("rrelu", "rrelu:0.125:0.3333333333333333") && !same("rrelu", "rrelu:0:1"));
    assert!(!same("leaky-relu", "leaky-relu:0.1") && !same("relu", "relu:heaviside=1") && !same("elu", "celu"));
}

#[test]
fn a_wrong_parameter_is_told_with_the_name_as_given() {
    for (text, reason) in [
        ("leaky-relu:steep", "`steep` is not a finite number"),
        ("leaky-relu:", "`` is not a finite number"),
        ("leaky-relu:leaky=0.5", "no piece of it is flat"),
        ("hard-tanh:bsilu", "surrogates are made for ReLU"),
        ("hard-tanh:heaviside=2", "at_zero must be in 0..=1"),
        ("soft-shrink:0.5:steep", "unknown gradient rule `steep`"),
        ("relu6:6", "`relu6` takes no number"),
        ("tanh:guided", "`tanh` takes no gradient rule"),
        ("leaky-relu:slope=0.2", "one stands behind the colon, as in `leaky-relu:0.2`"),
        ("prelu:inf", "`inf` is not a finite number"),
        ("rrelu:0.1", "`0.1` is not two numbers, the least slope and the largest, as in `rrelu:0.1:0.3`"),
        ("rrelu:0.1:0.2:0.3", "is not two numbers"),
        ("rrelu:0.3:0.1", "upper must be at least lower and finite, got 0.1"),
        ("rrelu:-inf:0.1", "lower must be finite, got -inf"),
        ("leaky=0.1", "as in `relu:leaky=0.1`"),
        ("LeakyReLU = 0.1", "as in `leaky-relu:0.1`"),
        ("elu:NaN", "`NaN` is not a finite number"),
        ("elu:0", "alpha must be positive and finite, got 0"),
        ("celu:-1", "alpha must be positive and finite, got -1"),
        ("softplus:-0.5", "beta must be positive and finite, got -0.5"),
        ("hard-shrink:-1", "lambda must be finite and not negative, got -1"),
        ("tanh:2", "`tanh` takes no parameter"),
        ("none:1", "`none` takes no parameter"),
        ("relu:heaviside=2", "at_zero"),
        ("relu:leaky=NaN", "slope"),
        ("relu:sideways", "sideways"),
    ] {
        let message = error(text);
        assert!(message.starts_with(&format!("activation `{text}`: ")) && message.contains(reason), "{message}");
    }
}

/// f and f′ at `points`, in f64.
fn function_and_derivative(name: &str, points: &[f64]) -> [Vec<f64>; 2] {
    let device = Device::flex().autodiff();
    let layer = name.parse::<Activation>().unwrap().init((&device, DType::F64));
    let data = TensorData::new(points.to_vec(), [points.len()]);
    let x = Tensor::<1>::from_data(data, (&device, DType::F64)).require_grad();
    let y = layer.forward(x.clone());
    let gradients = y.clone().sum().backward();
    let derivative = x.grad(&gradients).expect("x is tracked");
    [y.without_autodiff(), derivative].map(|tensor| tensor.into_data().iter().collect())
}

#[test]
fn every_activation_is_finite_with_its_derivative_from_far_left_to_far_right() {
    let points = [-1000.0, -88.0, -20.0, -3.0, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 1.0, 3.0, 6.0, 20.0, 88.0, 1000.0];
    let rules = ["relu:heaviside=1", "relu:leaky=0.1", "relu:bsilu", "relu:nelu=0.1", "relu:guided", "relu:deconv"];
    for name in NAMES.iter().chain(&rules) {
        let [f, derivative] = function_and_derivative(name, &points);
        assert_eq!((f.len(), derivative.len()), (points.len(), points.len()), "{name}");
        for ((x, f), derivative) in points.iter().zip(f).zip(derivative) {
            assert!(f.is_finite() && derivative.is_finite(), "{name} at {x}: f = {f}, f′ = {derivative}");
        }
    }
}

#[test]
fn activations_have_the_values_of_their_textbook_formulas() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| (1.0 + x.exp()).ln();
    let points = [-4.0, -2.0, -0.7, 0.0, 0.3, 1.0, 2.2, 7.0];
    let formulas: [(&str, &dyn Fn(f64) -> f64); 19] = [
        ("none", &|x| x),
        ("relu", &|x| x.max(0.0)),
        ("leaky-relu:0.1", &|x| if x > 0.0 { x } else { 0.1 * x }),
        // As it is evaluated.
        ("rrelu", &|x| if x > 0.0 { x } else { 11.0 / 48.0 * x }),
        ("rrelu:0:0.5", &|x| if x > 0.0 { x } else { 0.25 * x }),
        ("relu6", &|x| x.clamp(0.0, 6.0)),
        ("elu:0.5", &|x| if x > 0.0 { x } else { 0.5 * (x.exp() - 1.0) }),
        ("celu:2", &|x| x.max(0.0) + (2.0 * ((x / 2.0).exp() - 1.0)).min(0.0)),
        ("selu", &|x| 1.050_700_987_355_480_5 * if x > 0.0 { x } else { 1.673_263_242_354_377_2 * (x.exp() - 1.0) }),
        ("gelu-tanh", &|x| {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }),
        ("silu", &|x| x * sigmoid(x)),
        ("mish", &|x| x * softplus(x).tanh()),
        ("softplus:2", &|x| softplus(2.0 * x) / 2.0),
        ("softsign", &|x| x / (1.0 + x.abs())),
        ("sigmoid", &sigmoid),
        ("tanh", &f64::tanh),
        ("hard-sigmoid", &|x| (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        ("hard-tanh", &|x| x.clamp(-1.0, 1.0)),
        ("hard-swish", &|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    ];
    for (name, formula) in formulas {
        let [f, derivative] = function_and_derivative(name, &points);
        for ((&x, f), derivative) in points.iter().zip(f).zip(derivative) {
            assert!(
                (f - formula(x)).abs() < 1e-6 * formula(x).abs().max(1.0),
                "{name}({x}) is {f}, not {}",
                formula(x)
            );
            // Where f has no kink its derivative is the slope of the formula.
            let h = 1e-5;
            let (left, right) = ((formula(x) - formula(x - h)) / h, (formula(x + h) - formula(x)) / h);
            if (left - right).abs() < 1e-3 {
                let slope = (left + right) / 2.0;
                assert!((derivative - slope).abs() < 1e-5, "{name}′({x}) is {derivative}, not {slope}");
            }
        }
    }
}

#[test]
fn gelu_is_x_times_the_normal_distribution_function() {
    // Φ from the printed tables: Φ(0.5) = 0.69146, Φ(1) = 0.84134, Φ(2) = 0.97725.
    let [f, _] = function_and_derivative("gelu", &[0.5, 1.0, 2.0, -1.0]);
    for (f, expected) in f.into_iter().zip([0.5 * 0.69146, 0.84134, 2.0 * 0.97725, -(1.0 - 0.84134)]) {
        assert!((f - expected).abs() < 2e-5, "{f} is not {expected}");
    }
}

#[test]
fn a_function_can_be_zero_where_it_is_for_some_input() {
    let device = Device::flex();
    let z: Vec<f64> = (-40..=40).map(|i| f64::from(i) * 0.25).collect();
    for name in NAMES.iter().copied().chain(["relu:bsilu", "softplus:3", "prelu:-1", "leaky-relu:0"]) {
        let activation: Activation = name.parse().expect("the name is known");
        let z = Tensor::<1>::from_data(TensorData::new(z.clone(), [z.len()]), (&device, DType::F64));
        let a = activation.init((&device, DType::F64)).forward(z).cast(DType::F64).into_data();
        assert_eq!(activation.can_be_zero(), a.iter::<f64>().any(|a| a == 0.0), "{name}");
    }
}

#[test]
fn a_formula_is_an_activation_with_its_text_as_name() {
    for text in
        ["x", "-x", "x*sigmoid(1.702*x)", "max(x, 0.1*x)", "bent = (sqrt(x^2+1)-1)/2 + x", "s = x*sigmoid(b*x); b=2"]
    {
        let activation: Activation = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(activation.name(), text);
        let json = serde_json::to_string(&activation).unwrap();
        assert_eq!(serde_json::from_str::<Activation>(&json).unwrap(), activation);
        assert!(activation.formula().is_some());
    }
    let label = |text: &str| text.parse::<Activation>().unwrap().label();
    assert_eq!(label("s = x*sigmoid(b*x); b=2"), "s");
    assert_eq!(label("x*sigmoid(1.702*x) + 0*log1p(x^2)"), "x*sigmoid(1.702*x) + 0*log1…");
    let same = |one: &str, other: &str| one.parse::<Activation>().unwrap().same_function(&other.parse().unwrap());
    assert!(same("x*2", "double = b*x; b=2") && !same("x*2", "x*3"));
    assert!(error("relu = max(x, 0)").contains("`relu` is that of a known activation"));
    assert!(error("leaky(x)").contains("unknown function `leaky`"));
}

#[test]
fn a_formula_says_by_its_own_shape_what_built_in_functions_are_known_to_do() {
    for (text, name) in [
        ("relu(x)", "relu"),
        ("where(x > 0, x, 0.1*x)", "leaky-relu:0.1"),
        ("1/(1 + exp(-x))", "sigmoid"),
        ("softplus(x)", "softplus"),
        ("x*sigmoid(x)", "silu"),
        ("tanh(x)", "tanh"),
        ("min(max(x, -1), 1)", "hard-tanh"),
    ] {
        let [formula, known] = [text, name].map(|text| text.parse::<Activation>().unwrap());
        assert_eq!(formula.saturates(), known.saturates(), "{text}");
        assert_eq!(formula.can_be_zero(), known.can_be_zero(), "{text}");
    }
}

#[test]
fn all_in_a_list_stands_for_those_that_the_list_does_not_name() {
    let names = |list: &[&str]| -> Vec<String> {
        let list = Activation::list(list.iter().copied()).expect("activations");
        list.iter().map(|activation| activation.name().to_owned()).collect()
    };
    let all: Vec<&str> = NAMES.iter().copied().filter(|name| *name != "none").collect();
    assert_eq!(names(&["All"]), all);
    let with_formula = names(&["gelu", "x*sigmoid(2*x)", "all"]);
    assert_eq!(with_formula.len(), all.len() + 1);
    assert_eq!(with_formula[..3], ["gelu", "x*sigmoid(2*x)", "relu"]);
    // The default by another name is the same function.
    assert_eq!(names(&["all", "leaky-relu:0.01"]).len(), all.len());
    assert_eq!(names(&["all", "leaky-relu:0.1"]).len(), all.len() + 1);
}
