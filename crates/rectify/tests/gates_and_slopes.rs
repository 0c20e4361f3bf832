//! Gated units, ReLU whose slope learns or is drawn, and which parameters functions take.
#![cfg(feature = "flex")]

mod seeded;

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{DType, Device, Tensor, TensorData};
use rectify::{
    Activation, Celu, ConfigError, Elu, FusedLinearConfig, Gated, Gelu, HardShrink, HardTanh, LeakyRelu, PreluConfig,
    Rrelu, Sigmoid, Silu, SoftShrink, Softplus, Swish, geglu, glu,
    gradcheck::{GradCheck, gradcheck},
    prelu, rrelu, swiglu,
};

fn values<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter().collect()
}

/// What a call panics with.
fn refusal<T>(call: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(call)) else { panic!("it is not refused") };
    panic.downcast_ref::<String>().expect("a panic has a message").clone()
}

fn doubles<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), DType::F64))
}

#[test]
fn a_gate_is_the_second_half_along_its_dimension() {
    let x = seeded::normal([2, 6, 4], 1.0, &Device::flex());
    let gates: [(fn(Tensor<3>, isize) -> Tensor<3>, Gated, Activation); 3] = [
        (glu, Gated::glu(), Sigmoid.into()),
        (swiglu, Gated::swiglu(), Silu.into()),
        (geglu, Gated::geglu(), Gelu.into()),
    ];
    for (gated, module, gate) in gates {
        // Halves of 2 of 4, of 3 of 6 and of 1 of 2.
        for (dim, place, half) in [(-1, 2, 2), (2, 2, 2), (1, 1, 3), (-2, 1, 3), (0, 0, 1), (-3, 0, 1)] {
            let [a, b] = [0, half].map(|begin| values(x.clone().narrow(place, begin, half)));
            let expected: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a * gate.value(*b)).collect();
            let y = gated(x.clone(), dim);
            let mut dims = x.dims();
            dims[place] = half;
            assert_eq!(y.dims(), dims, "{gate:?} along {dim}");
            for (found, expected) in values(y).into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{gate:?} along {dim}: {found}, not {expected}");
            }
            assert_eq!(values(Gated { dim, ..module }.forward(x.clone())), values(gated(x.clone(), dim)));
        }
        assert_eq!((module.gate, module.dim), (gate, -1));
        let doubled = x.clone().cast(DType::F64);
        let report = gradcheck(|x| gated(x, 1), doubled, &GradCheck::default()).unwrap();
        assert!(report.passed(), "{gate:?}: {report}");
    }
}

/// Their gradients are written past the cache.
#[test]
fn gates_too_large_for_a_cache_have_the_numbers_of_small_ones() {
    for dims in [[3, 3_000_002], [69_000, 130]] {
        let x = seeded::normal(dims, 1.0, &Device::flex());
        let g = x.clone().narrow(1, 1, dims[1] / 2);
        let whole = values(Gated::glu().backward(x.clone(), g.clone()));
        for row in [0, dims[0] - 1] {
            let [x, g] = [&x, &g].map(|of| of.clone().narrow(0, row, 1));
            let found = values(Gated::glu().backward(x, g));
            assert!(whole[row * dims[1]..][..dims[1]] == found, "row {row} of {dims:?}");
        }
    }
}

#[test]
fn a_gate_needs_a_dimension_that_can_be_halved() {
    let x = Tensor::<2>::zeros([3, 4], &Device::flex());
    let refused = |dim: isize| refusal(|| glu(x.clone(), dim));
    assert_eq!(refused(0), "Gated: dimension 0 has the odd size 3");
    assert_eq!(refused(2), "Gated: dimension 2 of a tensor of rank 2");
    assert_eq!(refused(-3), "Gated: dimension -3 of a tensor of rank 2");
}

#[test]
fn a_slope_that_learns_is_one_for_all_or_one_for_each_channel() {
    let x = doubles(vec![-2.0, -1.0, 0.0, 1.0, -0.5, 3.0, -4.0, 2.0, -3.0, 5.0, -6.0, 0.5], [2, 3, 2]);
    let one = doubles(vec![0.25], [1]);
    assert_eq!(
        values(prelu(x.clone(), one.clone())),
        [-0.5, -0.25, 0.0, 1.0, -0.125, 3.0, -1.0, 2.0, -0.75, 5.0, -1.5, 0.5]
    );
    let three = doubles(vec![0.5, -1.0, 2.0], [3]);
    assert_eq!(
        values(prelu(x.clone(), three.clone())),
        [-1.0, -0.5, 0.0, 1.0, -1.0, 3.0, -2.0, 2.0, 3.0, 5.0, -12.0, 0.5]
    );
    // By a: min(0, x), summed over what it is the slope of; by x: 1 above 0, and a at 0 and below.
    let gradients = |alpha: Tensor<1>| {
        let (x, alpha) = (x.clone().autodiff().require_grad(), alpha.autodiff().require_grad());
        let gradients = prelu(x.clone(), alpha.clone()).sum().backward();
        [values(alpha.grad(&gradients).unwrap()), values(x.grad(&gradients).unwrap())]
    };
    assert_eq!(gradients(one)[0], [-16.5]);
    let [by_alpha, by_x] = gradients(three);
    assert_eq!(by_alpha, [-7.0, -3.0, -6.5]);
    assert_eq!(by_x, [0.5, 0.5, -1.0, 1.0, 2.0, 1.0, 0.5, 1.0, -1.0, 1.0, 2.0, 1.0]);

    let module = PreluConfig::new().with_num_parameters(3).with_alpha(0.5).init(&Device::flex());
    assert_eq!(values(module.alpha.val()), [0.5; 3]);
    assert_eq!(values(module.forward(Tensor::<2>::from_floats([[-2.0, 0.0, 4.0]], &Device::flex()))), [-1.0, 0.0, 4.0]);
    assert_eq!(values(PreluConfig::new().init(&Device::flex()).alpha.val()), [0.25]);
    for shape in [[4, 2], [3, 1]] {
        let x = Tensor::<2>::zeros(shape, &Device::flex());
        let message = refusal(|| module.forward(x));
        assert_eq!(message, format!("prelu: 3 slopes for an input of {shape:?}"));
    }
}

#[test]
fn passes_by_hand_are_those_of_autodiff() {
    let x = seeded::normal([6, 8, 5], 1.0, &Device::flex());
    let g = seeded::normal([6, 8, 5], 2.0, &Device::flex());
    let tracked = x.clone().autodiff().require_grad();
    for slopes in [1, 8] {
        let prelu = PreluConfig::new().with_num_parameters(slopes).init(&Device::flex().autodiff());
        let gradients = (prelu.forward(tracked.clone()) * g.clone().autodiff()).sum().backward();
        let (by_x, by_alpha) = prelu.backward(x.clone(), g.clone());
        assert_eq!(values(by_x), values(tracked.grad(&gradients).unwrap()));
        assert_eq!(values(by_alpha), values(prelu.alpha.val().grad(&gradients).unwrap()));
        let message = refusal(|| prelu.backward(x.clone(), g.clone().narrow(0, 0, 5)));
        assert!(message.starts_with("Prelu::backward: `grad` is [5, 8, 5]"), "{message}");
    }
    let gated = Gated { dim: 1, ..Gated::swiglu() };
    let half = g.narrow(1, 0, 4);
    let gradients = (gated.forward(tracked.clone()) * half.clone().autodiff()).sum().backward();
    assert_eq!(values(gated.backward(x.clone(), half)), values(tracked.grad(&gradients).unwrap()));
    let message = refusal(|| gated.backward(x.clone(), x.clone()));
    assert!(message.starts_with("Gated::backward: `grad` is [6, 8, 5]"), "{message}");
}

#[test]
fn the_gradient_of_a_slope_has_the_same_bits_however_many_threads_there_are() {
    let x = seeded::normal([40, 3, 900], 1.0, &Device::flex());
    for slopes in [1, 3] {
        let prelu = PreluConfig::new().with_num_parameters(slopes).init(&Device::flex());
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| values(prelu.backward(x.clone(), x.clone() + 0.5).1))
        };
        assert_eq!(on(1), on(3));
    }
}

#[test]
fn slopes_of_another_type_are_refused() {
    let x = Tensor::<2>::zeros([3, 4], &Device::flex());
    let message = refusal(|| prelu(x, doubles(vec![0.25], [1])));
    assert_eq!(message, "prelu: `alpha` is of F64, and x is of F32");
}

#[test]
fn a_slope_that_is_drawn_is_within_its_bounds_and_otherwise_their_mean() {
    let negative = Tensor::<1>::full([4000], -1.0, &Device::flex());
    let slopes: Vec<f64> = values(rrelu(negative.clone(), 0.125, 0.375, true)).into_iter().map(|y| -y).collect();
    assert!(slopes.iter().all(|slope| (0.125..=0.375).contains(slope)));
    let mean = slopes.iter().sum::<f64>() / 4000.0;
    // Six standard errors of U(0.125, 0.375): 0.0722 / √4000 each.
    assert!((mean - 0.25).abs() < 0.0069, "{mean}");
    let (least, most) = slopes.iter().fold((1.0f64, 0.0f64), |(low, high), x| (low.min(*x), high.max(*x)));
    assert!(least < 0.13 && most > 0.37, "{least} to {most}");
    assert_eq!(values(rrelu(negative.clone(), 0.125, 0.375, false)), vec![-0.25; 4000]);
    assert_eq!(Rrelu { lower: 0.125, upper: 0.375 }.mean(), LeakyRelu { negative_slope: 0.25 });
    // Bounds that are the same, or are so in the type.
    let half = negative.clone().cast(DType::F16);
    assert_eq!(values(rrelu(half.clone(), 0.25, 0.25, true)), vec![-0.25; 4000]);
    assert!(values(rrelu(half, 0.25, 0.2501, true)).into_iter().all(|y| y == -0.25));
    let drawn = |x: Tensor<1>| values(Rrelu::default().forward(x));
    assert_ne!(drawn(negative.clone().autodiff())[..9], drawn(negative)[..9]);
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    let refused = |result: Result<(), ConfigError>| match result {
        Ok(()) => "",
        Err(ConfigError::OutOfRange { field, .. }) => field,
        Err(error) => panic!("{error}"),
    };
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let of = |activation: Activation| refused(activation.check());
    for wrong in [inf, -inf, nan, -0.5, 0.0] {
        let found =
            [Elu { alpha: wrong }.into(), Celu { alpha: wrong }.into(), Softplus { beta: wrong }.into()].map(of);
        assert_eq!(found, ["alpha", "alpha", "beta"], "{wrong}");
    }
    for wrong in [inf, -inf, nan, -0.5] {
        let found = [HardShrink { lambda: wrong }.into(), SoftShrink { lambda: wrong }.into()].map(of);
        assert_eq!(found, ["lambda"; 2], "{wrong}");
    }
    for wrong in [inf, -inf, nan] {
        let found = [LeakyRelu { negative_slope: wrong }.into(), Swish { beta: wrong }.into()].map(of);
        assert_eq!(found, ["negative_slope", "beta"], "{wrong}");
        assert_eq!(of(HardTanh { min_value: wrong, max_value: 1.0 }.into()), "min_value");
        assert_eq!(refused(Rrelu { lower: wrong, upper: 1.0 }.check()), "lower");
    }
    for wrong in [inf, nan, -1.0, -2.0] {
        assert_eq!(of(HardTanh { min_value: -1.0, max_value: wrong }.into()), "max_value", "{wrong}");
    }
    for wrong in [inf, nan, 0.1] {
        assert_eq!(refused(Rrelu { lower: 0.2, upper: wrong }.check()), "upper", "{wrong}");
    }
    // And at the edge of what is in range.
    let fine: [Activation; 6] = [
        Elu { alpha: 1e-300 }.into(),
        HardShrink { lambda: 0.0 }.into(),
        SoftShrink { lambda: 0.0 }.into(),
        LeakyRelu { negative_slope: -3.0 }.into(),
        Swish { beta: 0.0 }.into(),
        HardTanh { min_value: -1.0, max_value: -0.5 }.into(),
    ];
    assert_eq!(fine.map(of), [""; 6]);
    assert_eq!(refused(Rrelu { lower: 0.2, upper: 0.2 }.check()), "");
    assert!(Activation::all().into_iter().all(|activation| of(activation).is_empty()));
}

#[test]
fn a_layer_says_how_wide_an_input_it_takes() {
    let layer = FusedLinearConfig::new(4, 3, Sigmoid.into()).init(&Device::flex()).unwrap();
    let x = Tensor::<2>::zeros([2, 5], &Device::flex());
    let message = refusal(|| layer.forward(x));
    assert!(message.contains("FusedLinear: the input is 5 wide and the layer takes 4"), "{message}");
    let text = layer.to_string();
    assert!(text.starts_with("FusedLinear {d_input: 4, d_output: 3, activation: "), "{text}");
}
