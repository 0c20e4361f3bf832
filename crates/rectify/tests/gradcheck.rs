//! Gradcheck itself: right gradients pass, planted wrong ones are caught, kinks are shown, and what cannot be checked is
//! an error.
#![cfg(feature = "flex")]

mod seeded;

use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use rectify::{
    GradientRule, Relu, ReluConfig, Surrogate,
    gradcheck::{GradCheck, GradCheckError, GradCheckReport, gradcheck, gradcheck_against},
};

const DTYPES: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];
const WIDE: [DType; 2] = [DType::F32, DType::F64];

fn relu(rule: GradientRule) -> Relu {
    ReluConfig::new().with_rule(rule).init().expect("the rule is in range")
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], dtype: DType) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex(), dtype))
}

fn row(values: &[f64], dtype: DType) -> Tensor<1> {
    tensor(values, [values.len()], dtype)
}

fn check<const D: usize, const E: usize>(f: impl Fn(Tensor<D>) -> Tensor<E>, x: Tensor<D>) -> GradCheckReport {
    gradcheck(f, x, &GradCheck::default()).expect("the gradient can be checked")
}

#[track_caller]
fn assert_passes<const D: usize, const E: usize>(f: impl Fn(Tensor<D>) -> Tensor<E>, x: Tensor<D>) {
    let (elements, dtype) = (x.shape().num_elements(), x.dtype());
    let report = check(f, x);
    assert!(report.passed() && report.kinks.is_empty(), "{dtype:?}: {report}");
    assert_eq!((report.elements, report.failures), (elements, 0));
    assert!(report.worst.is_some_and(|worst| worst.error <= 1.0));
}

#[test]
fn right_gradients_of_smooth_functions_pass() {
    for dtype in WIDE {
        let x = || tensor(&[-1.7, -0.4, 0.0, 0.3, 1.1, 2.6], [2, 3], dtype);
        assert_passes(|x| x.clone().powi_scalar(3) * 2.0 - x * 5.0 + 1.0, x());
        assert_passes(|x| x.exp(), x());
        assert_passes(|x| (x * 3.0).sin(), x());
        assert_passes(|x| activation::softmax(x, 1), x());
        assert_passes(|x| activation::log_softmax(x, 0), x());
        assert_passes(activation::tanh, x());
        assert_passes(activation::gelu, x());
        // Fewer outputs than inputs, and another rank.
        assert_passes(|x| x.clone().matmul(x.transpose()), x());
        assert_passes(|x| x.powi_scalar(2).mean(), x());
        assert_passes(|x| x.exp().sum_dim(1).reshape([2]), x());
    }
}

#[test]
fn steep_curvature_is_no_kink() {
    for dtype in WIDE {
        // f″ = 73 000 at the last point: the one-sided slopes disagree by far more than the tolerance.
        assert_passes(|x| (x * 3.0).exp(), row(&[-1.0, 0.5, 3.0], dtype));
    }
}

#[test]
fn half_precision_is_checked_with_tolerances_of_its_own() {
    for dtype in DTYPES {
        assert_passes(|x| rectify::relu(x * 2.0), row(&[-2.0, -0.5, 0.5, 1.0, 3.0], dtype));
        assert_passes(activation::sigmoid, row(&[-2.0, -0.5, 0.5, 1.0, 3.0], dtype));
        let wrong = |x: Tensor<1>| x.clone().detach() * x;
        assert!(!check(wrong, row(&[0.5, 1.0, 2.0], dtype)).passed(), "{dtype:?}");
    }
}

#[test]
fn the_coarser_half_type_is_granted_more() {
    // A slope that is off by 15 %: more than 5 % of it and 0.05, and less than 10 % of it and 0.1.
    let passes = |dtype| {
        let of = |x: Tensor<1>| x * 1.15;
        let report = gradcheck_against(of, |x| x, row(&[-2.0, 0.5, 1.0, 3.0], dtype), &GradCheck::default());
        report.expect("the gradient can be checked").passed()
    };
    assert_eq!(DTYPES.map(passes), [false, false, false, true]);
}

#[test]
fn an_output_that_does_not_move_hides_no_fault() {
    // Five tolerances, which differ between the types. What rounding 10⁶ may come to in a difference is as much.
    for (dtype, off) in [(DType::F32, 3e-3), (DType::F64, 1e-5)] {
        let of = |off: f64| {
            let f = |x: Tensor<1>| {
                let y = x.clone() + x.clone() * off - (x.clone() * off).detach();
                Tensor::cat(vec![y, x.zeros_like() + 1e6], 0)
            };
            check(f, row(&[-0.7, 1.3], dtype))
        };
        let (right, wrong) = (of(0.0), of(off));
        assert!(right.passed(), "{dtype:?}: {right}");
        assert_eq!(wrong.failures, 2, "{dtype:?}: {wrong}");
    }
}

#[test]
fn each_tensor_of_several_is_checked_by_capturing_the_others() {
    for dtype in WIDE {
        let x = tensor(&[-1.0, 0.5, 2.0, 0.25, -0.75, 1.5], [2, 3], dtype);
        let w = tensor(&[0.3, -0.2, 1.1, 0.7, -0.9, 0.4, 0.6, -1.3, 0.8, 0.1, -0.5, 1.9], [3, 4], dtype);
        let b = tensor(&[0.1, -0.3, 0.2, 0.05], [1, 4], dtype);
        let layer = |x: Tensor<2>, w: Tensor<2>, b: Tensor<2>| rectify::relu(x.matmul(w) + b);
        // A captured tensor follows the input to the autodiff device and back.
        let beside = |x: &Tensor<2>, other: &Tensor<2>| match x.device().is_autodiff() {
            true => other.clone().autodiff(),
            false => other.clone(),
        };
        assert_passes(|x| layer(x.clone(), beside(&x, &w), beside(&x, &b)), x.clone());
        assert_passes(|w| layer(beside(&w, &x), w.clone(), beside(&w, &b)), w.clone());
        assert_passes(|b| layer(beside(&b, &x), beside(&b, &w), b), b.clone());
    }
}

#[test]
fn an_input_on_an_autodiff_device_is_checked_there() {
    let device = Device::flex().autodiff().gradient_checkpointing();
    let x = Tensor::<1>::from_floats([-1.0, 0.5, 2.0], &device);
    let strategies = std::cell::RefCell::new(Vec::new());
    let f = |x: Tensor<1>| {
        strategies.borrow_mut().push(x.gradient_checkpointing_strategy());
        rectify::relu(x.exp() - 1.0)
    };
    assert!(gradcheck(f, x, &GradCheck::default()).unwrap().passed());
    assert_eq!(strategies.borrow()[0], device.gradient_checkpointing_strategy());
}

#[test]
fn another_rules_gradient_is_caught_as_relus_own() {
    for dtype in WIDE {
        let x = || row(&[-2.0, -1.0, 0.5, 2.0], dtype);
        let report = check(|x| relu(GradientRule::Leaky { slope: 0.01 }).forward(x), x());
        assert!(!report.passed());
        assert_eq!(report.failures, 2, "only the two negative inputs are wrong: {report}");
        let worst = report.worst.unwrap();
        // The leak itself, though no output moves there.
        assert!(worst.x < 0.0 && worst.numeric == 0.0 && (worst.analytic - 0.01).abs() < 1e-8, "{worst:?}");

        let report = check(|x| relu(GradientRule::Surrogate(Surrogate::BSilu)).forward(x), x());
        assert!(!report.passed());
    }
}

#[test]
fn what_is_printed_is_the_gradient_itself() {
    // Every element's leak is the same, at whatever weight its output has in the check.
    let leaky = |x| relu(GradientRule::Leaky { slope: 0.25 }).forward(x);
    for i in 0..5 {
        let mut values = [1.0; 5];
        values[i] = -2.0;
        let report = check(leaky, row(&values, DType::F64));
        assert_eq!(report.failures, 1, "{report}");
        let worst = report.worst.unwrap();
        assert_eq!((worst.index, worst.analytic, worst.numeric, worst.weighted), (vec![i], 0.25, 0.0, false));
    }
    let report = check(|x: Tensor<1>| x.powi_scalar(2), row(&[3.0, 0.5], DType::F64));
    let worst = report.worst.unwrap();
    assert!((worst.analytic - 2.0 * worst.x).abs() < 1e-12, "{worst:?}");
}

/// x for x > 0 and c (eˣᐟᶜ − 1) below, whose second derivative jumps from 1/c to 0; and with a gradient that is off.
fn elu_like(x: Tensor<1>, c: f64, off: f64) -> Tensor<1> {
    let below = ((x.clone().clamp_max(0.0) / c).exp() - 1.0) * c;
    let y = below.mask_where(x.clone().greater_elem(0.0), x.clone());
    y + x.clone() * off - (x * off).detach()
}

#[test]
fn a_jump_of_curvature_is_no_failure_and_hides_none() {
    for dtype in WIDE {
        let step = if dtype == DType::F64 { 1e-5 } else { 5e-3 };
        for c in [1.0, 0.1, 0.01, 1e-3] {
            // At the jump, beside it, and a step away.
            for distance in [0.0, 1e-3, 0.1, 0.5, 0.99, 1.0, 1.5, 7.0] {
                for x in [-distance * step, distance * step] {
                    let report = check(|x| elu_like(x, c, 0.0), row(&[x], dtype));
                    assert!(report.passed() && report.kinks.is_empty(), "c = {c} at {x} in {dtype:?}: {report}");
                    for off in [1e-3, -1e-3] {
                        let wrong = check(|x| elu_like(x, c, off), row(&[x], dtype));
                        assert!(!wrong.passed(), "c = {c} at {x} in {dtype:?}, off by {off}: {wrong}");
                    }
                }
            }
        }
    }
}

#[test]
fn hubers_function_and_steep_softplus_are_smooth() {
    for dtype in WIDE {
        let x = || row(&[-1.0, -0.999, -0.3, 0.0, 1e-4, 0.7, 1.0, 1.001], dtype);
        // x²/2 within ±1 and |x| − ½ beyond.
        let huber = |x: Tensor<1>| {
            let far = x.clone().abs().greater_elem(1.0);
            (x.clone().powi_scalar(2) / 2.0).mask_where(far, x.abs() - 0.5)
        };
        assert_passes(huber, x());
        for beta in [1.0, 20.0, 100.0] {
            assert_passes(|x| activation::softplus(x, beta), x());
        }
        // Within f32's steps this is a kink, and a right gradient is between its slopes.
        assert!(check(|x| activation::softplus(x, 1000.0), x()).passed());
    }
}

#[test]
fn a_jump_is_no_kink_and_its_gradient_is_held_against_the_slopes_beside_it() {
    for dtype in DTYPES {
        // −0.5 and slope 0.25 up to 0, then slope 2.
        let jumps = |x: Tensor<1>| (x.clone() * 0.25 - 0.5).mask_where(x.clone().greater_elem(0.0), x * 2.0);
        let report = check(jumps, row(&[-1.0, 0.0, 1.0], dtype));
        assert!(report.passed() && report.kinks.is_empty() && report.jumps.len() == 1, "{dtype:?}: {report}");
        let jump = &report.jumps[0];
        let close = |found: f64, expected: f64| (found - expected).abs() < 0.15;
        assert!(close(jump.height, 0.5) && close(jump.left, 0.25) && close(jump.right, 2.0), "{dtype:?}: {jump:?}");
        assert_eq!((&jump.index[..], jump.x, jump.chosen), (&[1][..], 0.0, 0.25));

        // A gradient below both slopes, and one above.
        for off in [-1.0, 3.0] {
            let wrong = |x: Tensor<1>| jumps(x.clone()) + x.clone() * off - (x * off).detach();
            let report = check(wrong, row(&[0.0], dtype));
            assert!(!report.passed() && !report.jumps[0].between && report.failures == 0, "{dtype:?}: {report}");
        }
        // The sign, which is 0 at 0.
        let report = gradcheck_against(|x| x * 0.0, |x: Tensor<1>| x.sign(), row(&[0.0], dtype), &GradCheck::default());
        let report = report.unwrap();
        assert!(report.passed() && report.jumps.len() == 1 && close(report.jumps[0].height, 2.0), "{report}");
    }
    // NeLU, whose gradient at 0 is its left one.
    let nelu = |x: Tensor<1>| {
        let below = (x.clone() * x.clone() + 1.0).recip() * -0.1;
        below.mask_where(x.clone().greater_elem(0.0), x)
    };
    let rule = GradientRule::Surrogate(Surrogate::NeLu { alpha: 0.1 });
    let report = gradcheck_against(|x| relu(rule).forward(x), nelu, row(&[0.0], DType::F64), &GradCheck::default());
    let report = report.unwrap();
    assert!(report.passed(), "{report}");
    let text = report.to_string();
    assert!(
        text.contains("jump at [0]: x = 0, by 1.000e-1, no derivative") && text.contains("chosen 0, between"),
        "{text}"
    );
}

#[test]
fn a_detached_factor_is_caught() {
    for dtype in WIDE {
        // The backward pass gives x where the derivative of x² is 2x.
        let report = check(|x: Tensor<1>| x.clone().detach() * x, row(&[-3.0, 1.0, 2.0], dtype));
        assert_eq!(report.failures, 3, "{report}");
        let worst = report.worst.unwrap();
        assert!((worst.numeric / worst.analytic - 2.0).abs() < 1e-3, "{worst:?}");
    }
}

#[test]
fn a_gradient_given_to_the_wrong_element_is_caught() {
    for dtype in WIDE {
        // Its outputs are those of x, and its gradients those of x backwards, so that their plain sums agree.
        let mixed_up = |x: Tensor<1>| x.clone().flip([0]) + (x.clone() - x.flip([0])).detach();
        let report = check(mixed_up, row(&[0.5, 1.0, 2.0, 4.0], dtype));
        assert!(!report.passed() && report.worst.as_ref().unwrap().weighted, "{report}");
        assert!(report.to_string().contains("of the outputs' weighted sum"), "{report}");
    }
}

#[test]
fn a_gradient_of_nan_is_caught() {
    // The square root's derivative at 0 is infinite, and 0 · ∞ is NaN.
    let f = |x: Tensor<1>| (x.clone() * 0.0).sqrt() + x;
    let report = check(f, row(&[1.0, 2.0], DType::F64));
    assert_eq!(report.failures, 2, "{report}");
    assert!(report.worst.unwrap().error.is_nan());
}

#[test]
fn the_kink_shows_the_value_that_the_rule_chose() {
    for dtype in DTYPES {
        for at_zero in [0.0, 0.5, 1.0] {
            let f = |x| relu(GradientRule::Heaviside { at_zero }).forward(x);
            let report = check(f, row(&[-1.0, 0.0, 2.0, 0.0], dtype));
            assert!(report.passed(), "{report}");
            assert_eq!(report.kinks.iter().map(|kink| kink.index.clone()).collect::<Vec<_>>(), [[1], [3]]);
            for kink in &report.kinks {
                assert_eq!(kink.x, 0.0);
                let expected = (0.0, 1.0, at_zero);
                for (found, expected) in [(kink.left, expected.0), (kink.right, expected.1), (kink.chosen, expected.2)]
                {
                    assert!((found - expected).abs() < 1e-6, "{dtype:?}: {kink:?}");
                }
            }
        }
    }
}

#[test]
fn a_value_at_the_kink_that_is_no_subgradient_fails() {
    for dtype in DTYPES {
        for slope in [-0.5, 2.0] {
            let report = check(|x| relu(GradientRule::Leaky { slope }).forward(x), row(&[1.0, 0.0], dtype));
            assert_eq!(report.failures, 0, "{report}");
            assert!(!report.passed() && report.kinks.len() == 1 && !report.kinks[0].subgradient, "{report}");
            assert!((report.kinks[0].chosen - slope).abs() < 1e-2, "{report}");
        }
    }
}

#[test]
fn a_kink_anywhere_within_a_step_of_the_input_does_no_harm() {
    for dtype in WIDE {
        let step = if dtype == DType::F64 { 1e-5 } else { 5e-3 };
        for twentieths in 0..=30 {
            for sign in [-1.0, 1.0] {
                let x = sign * step * f64::from(twentieths) / 20.0;
                let report = check(rectify::relu, row(&[x], dtype));
                assert!(report.passed(), "{dtype:?}, {twentieths} twentieths of a step: {report}");
                // The kink can be told from x, and so the check is strict.
                if twentieths > 0 {
                    assert!(report.kinks.is_empty(), "{dtype:?}, {twentieths} twentieths of a step: {report}");
                    let wrong = check(|x| relu(GradientRule::Leaky { slope: 0.5 }).forward(x), row(&[x], dtype));
                    assert_eq!(wrong.passed(), sign > 0.0, "{dtype:?}, {twentieths} twentieths of a step: {wrong}");
                }
            }
        }
    }
}

#[test]
fn each_rule_passes_against_the_function_whose_gradient_it_is() {
    for dtype in WIDE {
        // Without 0, where leaky ReLU bends and where NeLU jumps.
        let x = || tensor(&[-6.0, -2.5, -1.0, -0.3, 0.4, 1.5, 3.0, 20.0], [2, 4], dtype);
        let against = |rule: GradientRule, reference: &dyn Fn(Tensor<2>) -> Tensor<2>| {
            let report = gradcheck_against(|x| relu(rule).forward(x), reference, x(), &GradCheck::default()).unwrap();
            assert!(report.passed() && report.kinks.is_empty(), "{rule} in {dtype:?}: {report}");
        };
        for slope in [-1.0, 0.0, 0.01, 0.3, 1.0] {
            against(GradientRule::Leaky { slope }, &|x| activation::leaky_relu(x, slope));
        }
        against(GradientRule::Surrogate(Surrogate::BSilu), &|x| {
            (x.clone() + 1.67) * activation::sigmoid(x) - 1.67 / 2.0
        });
        for alpha in [0.05, 0.1, 1.0] {
            against(GradientRule::Surrogate(Surrogate::NeLu { alpha }), &|x| {
                let below = (x.clone() * x.clone() + 1.0).recip() * -alpha;
                below.mask_where(x.clone().greater_elem(0.0), x)
            });
        }
        // Gradcheck sends positive gradients only, of which guided stops none and deconv passes all.
        against(GradientRule::Guided, &|x| activation::relu(x));
        against(GradientRule::Deconv, &|x| x);
    }
}

#[test]
fn guided_and_deconv_stop_negative_gradients() {
    let x = || row(&[-1.0, 0.5, 2.0], DType::F64);
    for rule in [GradientRule::Guided, GradientRule::Deconv] {
        let report = check(|x| -relu(rule).forward(x), x());
        // All of −relu's gradient is negative or 0.
        assert_eq!(report.failures, 2, "{rule}: {report}");
        let passed = gradcheck_against(|x| -relu(rule).forward(x), |x: Tensor<1>| x * 0.0, x(), &GradCheck::default());
        assert!(passed.unwrap().passed());
    }
}

#[test]
fn the_report_says_what_was_found() {
    let report = check(rectify::relu, row(&[-1.0], DType::F64));
    assert_eq!(
        report.to_string(),
        "passed: 1 elements, 0 disagree; worst at [0]: x = -1, analytic 0, numeric 0 (0.00 of the tolerance)"
    );
    let report = check(rectify::relu, row(&[0.0], DType::F64));
    assert_eq!(
        report.to_string(),
        "passed: 1 elements, 0 disagree; kink at [0]: x = 0, slope 0 to the left, 1 to the right, chosen 0, a subgradient"
    );
    let report = check(|x| relu(GradientRule::Leaky { slope: 2.0 }).forward(x), row(&[0.0], DType::F64));
    assert_eq!(
        report.to_string(),
        "FAILED: 1 elements, 0 disagree; kink at [0]: x = 0, slope 0 to the left, 1 to the right, chosen 2, \
         NOT a subgradient"
    );
}

#[test]
fn the_worst_element_is_told_by_its_index() {
    // The deeper in, the wronger: x³ with one factor detached.
    let f = |x: Tensor<3>| x.clone().powi_scalar(2) * x.detach();
    let x = tensor(&[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 3.0, 0.7, 0.8, 0.9, 1.0], [2, 3, 2], DType::F64);
    let worst = check(f, x).worst.unwrap();
    assert_eq!((worst.index, worst.x), (vec![1, 0, 1], 3.0));
}

#[test]
fn tolerances_and_step_are_the_users_to_choose() {
    let slightly_wrong = |x: Tensor<1>| x.clone() * 1.01 - (x * 0.01).detach();
    let x = || row(&[1.0, 2.0], DType::F64);
    let loose = GradCheck { absolute: Some(0.0), relative: Some(0.02), ..Default::default() };
    assert!(!gradcheck(slightly_wrong, x(), &GradCheck::default()).unwrap().passed());
    assert!(gradcheck(slightly_wrong, x(), &loose).unwrap().passed());

    // With a step of 1 the central difference of x⁵ is 5x⁴ + 10x² + 1, with one of ½ it is 5x⁴ + 10x²/4 + 1/16, and
    // what they tell together is off by 1/4.
    let coarse = GradCheck { step: Some(1.0), absolute: Some(100.0), relative: Some(0.0) };
    let report = gradcheck(|x: Tensor<1>| x.powi_scalar(5), row(&[0.5], DType::F64), &coarse).unwrap();
    let worst = report.worst.unwrap();
    assert!((worst.numeric - 0.0625).abs() < 1e-9 && (worst.analytic - 0.3125).abs() < 1e-9, "{worst:?}");
}

#[test]
fn no_elements_are_no_failure() {
    for dtype in DTYPES {
        let report = check(rectify::relu, tensor(&[], [0, 3], dtype));
        assert!(report.passed());
        assert_eq!(report.to_string(), "passed: 0 elements, 0 disagree");
    }
}

#[test]
fn an_output_without_gradient_is_an_error() {
    let x = || row(&[1.0, 2.0], DType::F32);
    let detached = gradcheck(|x: Tensor<1>| x.detach(), x(), &GradCheck::default());
    assert_eq!(detached, Err(GradCheckError::NoGradient));
    let constant = gradcheck(|x: Tensor<1>| Tensor::<1>::ones([2], &x.device()), x(), &GradCheck::default());
    assert_eq!(constant, Err(GradCheckError::NoGradient));
    // Tracked, but by another leaf.
    let other = gradcheck(
        |x: Tensor<1>| match x.device().is_autodiff() {
            true => Tensor::<1>::ones([2], &x.device()).require_grad() * 2.0,
            false => x,
        },
        x(),
        &GradCheck::default(),
    );
    assert_eq!(other, Err(GradCheckError::NoGradient));
    assert!(GradCheckError::NoGradient.to_string().contains("detached"));
}

#[test]
fn a_function_that_is_not_finite_is_an_error_that_says_where() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        // relu(−∞) is finite, and there is no number beside −∞ that could be told from it.
        let error = gradcheck(rectify::relu, row(&[value], DType::F64), &GradCheck::default()).unwrap_err();
        assert!(matches!(error, GradCheckError::NotFinite { .. }), "{error}");
    }
    // Finite at the input, and not beside it: log(x − h) with h > x.
    let error = gradcheck(|x: Tensor<1>| x.log(), row(&[1.0, 1e-6], DType::F64), &GradCheck::default()).unwrap_err();
    assert_eq!(error, GradCheckError::NotFinite { index: vec![1], x: 1e-6 });
    assert_eq!(error.to_string(), "the function is not finite near x = 0.000001 at [1]");
    // Not at an element before.
    let x = row(&[-8.0, 1.0, 0.0, 2.0], DType::F32);
    let error = gradcheck(|x: Tensor<1>| x.recip(), x, &GradCheck::default()).unwrap_err();
    assert_eq!(error, GradCheckError::NotFinite { index: vec![2], x: 0.0 });
}

#[test]
fn what_rounding_hides_is_neither_right_nor_wrong() {
    let x = row(&[-3.0, 0.5, 2.0], DType::F32);
    let report = gradcheck(|x: Tensor<1>| x + 1e6, x.clone(), &GradCheck::default()).unwrap();
    assert_eq!((report.unresolved, report.failures, report.passed()), (3, 0, false), "{report}");
    assert!(report.to_string().starts_with("not resolved: 3 elements, 0 disagree, 3 not resolved"), "{report}");
    let report = gradcheck(|x: Tensor<1>| x + 1e5, row(&[-3.0, 0.5], DType::F64), &GradCheck::default()).unwrap();
    assert!(report.passed() && report.unresolved == 0, "{report}");
    // A million at one of them.
    let f = |x: Tensor<1>| x.clone().greater_elem(1.0).float().cast(DType::F32).mul_scalar(1e6) + x;
    let report = gradcheck(f, x, &GradCheck::default()).unwrap();
    assert!(report.unresolved == 1 && report.passed(), "{report}");
}

#[test]
fn a_shape_that_changes_with_the_values_is_an_error() {
    let f = |x: Tensor<1>| {
        let positive = x.to_data().iter::<f64>().filter(|x| *x > 0.0).count();
        x.narrow(0, 0, 1 + positive)
    };
    let error = gradcheck(f, row(&[-1.0, 0.0, 1.0], DType::F64), &GradCheck::default()).unwrap_err();
    assert_eq!(error, GradCheckError::ShapeChanged { index: vec![1], x: 0.0, expected: 2, found: 3 });
    let error = gradcheck_against(
        |x: Tensor<1>| x,
        |x: Tensor<1>| x.narrow(0, 0, 1),
        row(&[1.0, 2.0], DType::F32),
        &GradCheck::default(),
    );
    assert_eq!(error, Err(GradCheckError::ShapeChanged { index: vec![0], x: 1.0, expected: 2, found: 1 }));
}

#[test]
fn a_step_that_is_lost_in_rounding_is_an_error() {
    for step in [1e-12, 0.0, -1.0] {
        let check = GradCheck { step: Some(step), ..Default::default() };
        let error = gradcheck(|x: Tensor<1>| x.clone() - x, row(&[1.0], DType::F32), &check).unwrap_err();
        assert!(error.to_string().contains("does not move x = 1"), "{error}");
    }
    // Towards 0 the next f32 is half as far away as on the other side, and these steps reach that one alone.
    for x in [1.0, -1.0] {
        let check = GradCheck { step: Some(4e-8), ..Default::default() };
        let error = gradcheck(|x: Tensor<1>| x.clone() - x, row(&[x], DType::F32), &check).unwrap_err();
        assert!(matches!(error, GradCheckError::StepTooSmall { x: at, .. } if at == x), "{error}");
    }
}

#[test]
fn random_networks_of_relu_pass() {
    let device = Device::flex();
    let random = |shape: [usize; 2]| seeded::normal(shape, 1.0, &device).cast(DType::F64);
    for _ in 0..10 {
        let (x, a, b) = (random([3, 4]), random([4, 8]), random([8, 2]));
        let f = |x: Tensor<2>| {
            let on = |w: &Tensor<2>| if x.device().is_autodiff() { w.clone().autodiff() } else { w.clone() };
            let (a, b) = (on(&a), on(&b));
            rectify::relu(rectify::relu(x.clone().matmul(a)).matmul(b))
        };
        let report = check(f, x);
        assert!(report.passed(), "{report}");
    }
}
