//! Gradient rules of functions of straight pieces other than ReLU.

use burn::tensor::{DType, Device, Tensor};
use rectify::{
    Activation, FusedLinear, GradientRule, HardShrink, HardSigmoid, HardTanh, LeakyRelu, Relu6, SoftShrink, Threshold,
};

use super::{tensor, values};

const GUIDED: GradientRule = GradientRule::Guided;
const DECONV: GradientRule = GradientRule::Deconv;

fn leaky(slope: f64) -> GradientRule {
    GradientRule::Leaky { slope }
}

fn heaviside(at_zero: f64) -> GradientRule {
    GradientRule::Heaviside { at_zero }
}

/// Function, rule, and its derivative at each x; what of a gradient of −1 passes, where that is not the same.
type Case = (Activation, GradientRule, &'static [(f64, f64)], Option<&'static [f64]>);

fn cases() -> Vec<Case> {
    let hard_tanh = HardTanh { min_value: -1.0, max_value: 2.0 };
    vec![
        (Relu6.into(), leaky(0.25), &[(-1.0, 0.25), (0.0, 0.25), (3.0, 1.0), (6.0, 0.25), (7.0, 0.25)], None),
        (Relu6.into(), heaviside(0.5), &[(-1.0, 0.0), (0.0, 0.5), (3.0, 1.0), (6.0, 0.5), (7.0, 0.0)], None),
        (Relu6.into(), GUIDED, &[(-1.0, 0.0), (3.0, 1.0), (7.0, 0.0)], Some(&[0.0, 0.0, 0.0])),
        (Relu6.into(), DECONV, &[(-1.0, 1.0), (3.0, 1.0), (7.0, 1.0)], Some(&[0.0, 0.0, 0.0])),
        (hard_tanh.into(), leaky(1.0), &[(-3.0, 1.0), (-1.0, 1.0), (0.0, 1.0), (2.0, 1.0), (9.0, 1.0)], None),
        (hard_tanh.into(), heaviside(1.0), &[(-3.0, 0.0), (-1.0, 1.0), (0.0, 1.0), (2.0, 1.0), (9.0, 0.0)], None),
        (HardSigmoid.into(), leaky(0.5), &[(-4.0, 0.5), (0.0, 1.0 / 6.0), (4.0, 0.5)], None),
        (LeakyRelu { negative_slope: 0.25 }.into(), heaviside(0.5), &[(-1.0, 0.25), (0.0, 0.625), (1.0, 1.0)], None),
        (LeakyRelu { negative_slope: 0.25 }.into(), GUIDED, &[(-1.0, 0.25), (1.0, 1.0)], Some(&[0.0, 0.0])),
        (HardShrink { lambda: 1.0 }.into(), leaky(-0.5), &[(-2.0, 1.0), (0.0, -0.5), (2.0, 1.0)], None),
        (SoftShrink { lambda: 1.0 }.into(), leaky(0.5), &[(-2.0, 1.0), (0.0, 0.5), (2.0, 1.0)], None),
        (
            Threshold { threshold: 1.0, value: 1.0 }.into(),
            heaviside(0.25),
            &[(0.0, 0.0), (1.0, 0.25), (2.0, 1.0)],
            None,
        ),
    ]
}

pub fn each_rule_of_each_function_is_right(device: &Device) {
    for (function, rule, points, negative) in cases() {
        let ruled = function.with_rule(rule).expect("the rule is one of this function");
        let (xs, slopes): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        let x = || tensor::<1>(xs.clone(), [xs.len()], DType::F32, device);
        assert_eq!(values(&ruled.forward(x())), values(&function.forward(x())), "{function:?} with {rule} forward");
        let found = |g: f64| {
            let leaf = x().autodiff().require_grad();
            let gradients = (ruled.forward(leaf.clone()) * g).sum().backward();
            values(&leaf.grad(&gradients).expect("it is tracked"))
        };
        let close = |found: Vec<f64>, expected: Vec<f64>| {
            let far = |(found, expected): (&f64, &f64)| (found - expected).abs() > 1e-6;
            assert!(!found.iter().zip(&expected).any(far), "{function:?} with {rule}: {found:?}, not {expected:?}");
        };
        close(found(2.0), slopes.iter().map(|slope| 2.0 * slope).collect());
        close(found(-1.0), negative.map_or_else(|| slopes.iter().map(|slope| -slope).collect(), <[f64]>::to_vec));
    }
}

pub fn a_fused_layer_has_the_same_rule(device: &Device) {
    let device = device.clone().autodiff();
    for (function, rule, points, _) in cases() {
        let ruled = function.with_rule(rule).expect("the rule is one of this function");
        let column = |values: Vec<f64>| tensor::<2>(values, [points.len(), 1], DType::F32, &device);
        let x = column(points.iter().map(|(x, _)| *x).collect()).require_grad();
        let weigh = column((0..points.len()).map(|i| if i % 2 == 0 { 1.5 } else { -2.0 }).collect());
        let one = burn::module::Param::from_tensor(Tensor::<2>::ones([1, 1], &device));
        let layer = FusedLinear::new(one, None, ruled.into()).expect("its activation is in range");
        let by = |y: Tensor<2>| {
            let gradients = (y * weigh.clone()).sum().backward();
            values(&x.grad(&gradients).expect("it is tracked"))
        };
        assert_eq!(by(layer.forward(x.clone())), by(ruled.forward(x.clone())), "{function:?} with {rule}");
    }
}
