//! Every activation and its derivative with 320 bits, by the textbook's formula and not by the crate's.

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

use astro_float_num::{BigFloat, Consts, RoundingMode, Sign};
use rectify::Activation;

const BITS: usize = 320;
const ROUND: RoundingMode = RoundingMode::ToEven;

thread_local! {
    static CONSTANTS: RefCell<Consts> = RefCell::new(Consts::new().expect("memory"));
}

#[derive(Clone)]
struct Big(BigFloat);

macro_rules! operator {
    ($($trait:ident $method:ident)*) => {
        $(impl $trait for Big {
            type Output = Big;
            fn $method(self, other: Big) -> Big {
                Big(self.0.$method(&other.0, BITS, ROUND))
            }
        })*
    };
}
operator!(Add add Sub sub Mul mul Div div);

impl Neg for Big {
    type Output = Big;
    fn neg(self) -> Big {
        Big(self.0.neg())
    }
}

fn big(x: f64) -> Big {
    Big(BigFloat::from_f64(x, BITS))
}

impl Big {
    /// Beyond ±10⁴ as there, where nothing changes any more in f64.
    fn exp(self) -> Big {
        let x = self.0.clamp(&big(-1e4).0, &big(1e4).0);
        Big(CONSTANTS.with_borrow_mut(|constants| x.exp(BITS, ROUND, constants)))
    }

    fn is_tiny(&self) -> bool {
        self.0.is_zero() || self.0.exponent().is_some_and(|exponent| exponent < -70)
    }

    fn expm1(self) -> Big {
        if self.is_tiny() {
            let square = self.clone() * self.clone();
            return self.clone() + square.clone() / big(2.0) + square * self / big(6.0);
        }
        self.exp() - big(1.0)
    }

    fn log1p(self) -> Big {
        if self.is_tiny() {
            let square = self.clone() * self.clone();
            return self.clone() - square.clone() / big(2.0) + square * self / big(3.0);
        }
        let sum = self + big(1.0);
        Big(CONSTANTS.with_borrow_mut(|constants| sum.0.ln(BITS, ROUND, constants)))
    }

    fn sigmoid(self) -> Big {
        big(1.0) / (big(1.0) + (-self).exp())
    }

    fn softplus(self) -> Big {
        if self.0.is_positive() { self.clone() + (-self).exp().log1p() } else { self.exp().log1p() }
    }

    fn tanh(self) -> Big {
        if self.0.is_negative() {
            return -(-self).tanh();
        }
        let e = (self * big(-2.0)).expm1();
        -e.clone() / (e + big(2.0))
    }

    /// The normal distribution's density.
    fn density(self) -> Big {
        let pi = CONSTANTS.with_borrow_mut(|constants| Big(constants.pi(BITS, ROUND)));
        (self.clone() * self / big(-2.0)).exp() / Big((pi * big(2.0)).0.sqrt(BITS, ROUND))
    }

    /// The normal distribution's probability: a series, and from 8 on a continued fraction.
    fn probability(self, x: f64) -> Big {
        if x > 0.0 {
            return big(1.0) - (-self).probability(-x);
        }
        let (z, density) = (-self.clone(), self.density());
        if x < -100.0 {
            return big(0.0);
        }
        if x < -8.0 {
            let below = (1..400).rev().fold(z.clone(), |below, n| z.clone() + big(f64::from(n)) / below);
            return density / below;
        }
        let square = z.clone() * z.clone();
        let (mut term, mut sum) = (z.clone(), z);
        for n in 1..400 {
            term = term * square.clone() / big(f64::from(2 * n + 1));
            sum = sum + term.clone();
        }
        big(0.5) - density * sum
    }

    fn f64(&self) -> f64 {
        let Some((words, _, sign, exponent, _)) = self.0.as_raw_parts() else {
            return if self.0.is_inf_pos() {
                f64::INFINITY
            } else if self.0.is_inf_neg() {
                f64::NEG_INFINITY
            } else {
                f64::NAN
            };
        };
        let Some(top) = words.last() else { return 0.0 };
        let size = *top as f64;
        // In two steps, so that the power of two itself is no subnormal.
        let half = (exponent - 64) / 2;
        let size = size * 2f64.powi(half) * 2f64.powi(exponent - 64 - half);
        if sign == Sign::Neg { -size } else { size }
    }
}

/// φ(x) and φ′(x), rounded to f64, for a finite x.
pub fn exact(activation: Activation, at: f64) -> (f64, f64) {
    let x = || big(at);
    let one = || big(1.0);
    let piece = |condition: bool, yes: (Big, Big), no: (Big, Big)| if condition { yes } else { no };
    let (value, slope) = match activation {
        Activation::LeakyRelu(f) => piece(at > 0.0, (x(), one()), (x() * big(f.negative_slope), big(f.negative_slope))),
        Activation::Relu6(_) => {
            piece(at > 0.0 && at < 6.0, (x(), one()), (big(if at > 0.0 { 6.0 } else { 0.0 }), big(0.0)))
        }
        Activation::Threshold(f) => piece(at > f.threshold, (x(), one()), (big(f.value), big(0.0))),
        Activation::Elu(f) => piece(at > 0.0, (x(), one()), (x().expm1() * big(f.alpha), x().exp() * big(f.alpha))),
        Activation::Celu(f) => {
            let z = || x() / big(f.alpha);
            piece(at > 0.0, (x(), one()), (z().expm1() * big(f.alpha), z().exp()))
        }
        Activation::Selu(_) => {
            let (alpha, scale) = (big(1.6732632423543772), big(1.0507009873554805));
            let below = (x().expm1() * alpha.clone() * scale.clone(), x().exp() * alpha * scale.clone());
            piece(at > 0.0, (x() * scale.clone(), scale), below)
        }
        Activation::Gelu(_) => {
            let probability = x().probability(at);
            (x() * probability.clone(), probability + x() * x().density())
        }
        Activation::GeluTanh(_) => {
            let pi = CONSTANTS.with_borrow_mut(|constants| Big(constants.pi(BITS, ROUND)));
            let scale = Big((big(8.0) / pi).0.sqrt(BITS, ROUND));
            let z = scale.clone() * (x() + (big(44_715.0) / big(1e6)) * x() * x() * x());
            let inner = scale * (one() + big(3.0) * (big(44_715.0) / big(1e6)) * x() * x());
            let slope = z.clone().sigmoid() + x() * inner * z.clone().sigmoid() * (-z.clone()).sigmoid();
            (x() * z.sigmoid(), slope)
        }
        Activation::Silu(_) | Activation::Swish(_) => {
            let beta = if let Activation::Swish(f) = activation { f.beta } else { 1.0 };
            let z = || x() * big(beta);
            (x() * z().sigmoid(), z().sigmoid() + z() * z().sigmoid() * (-z()).sigmoid())
        }
        Activation::Mish(_) => {
            let t = x().softplus().tanh();
            let rest = one() - t.clone() * t.clone();
            (x() * t.clone(), t + x() * x().sigmoid() * rest)
        }
        Activation::Softplus(f) => {
            let z = || x() * big(f.beta);
            (z().softplus() / big(f.beta), z().sigmoid())
        }
        Activation::Softsign(_) => {
            let d = one() + big(at.abs());
            (x() / d.clone(), one() / (d.clone() * d))
        }
        Activation::Sigmoid(_) => (x().sigmoid(), x().sigmoid() * (-x()).sigmoid()),
        Activation::LogSigmoid(_) => (-(-x()).softplus(), (-x()).sigmoid()),
        Activation::Tanh(_) => {
            let z = x() + x();
            (x().tanh(), big(4.0) * z.clone().sigmoid() * (-z).sigmoid())
        }
        Activation::HardSigmoid(_) => {
            let flat = (big(if at > 0.0 { 1.0 } else { 0.0 }), big(0.0));
            piece(at.abs() < 3.0, (x() / big(6.0) + big(0.5), one() / big(6.0)), flat)
        }
        Activation::HardTanh(f) => {
            let flat = (big(if at <= f.min_value { f.min_value } else { f.max_value }), big(0.0));
            piece(at > f.min_value && at < f.max_value, (x(), one()), flat)
        }
        Activation::HardSwish(_) => {
            let flat = if at > 0.0 { (x(), one()) } else { (big(0.0), big(0.0)) };
            let inner = (x() * (x() + big(3.0)) / big(6.0), x() / big(3.0) + big(0.5));
            piece(at.abs() < 3.0, inner, flat)
        }
        Activation::HardShrink(f) => piece(at.abs() > f.lambda, (x(), one()), (big(0.0), big(0.0))),
        Activation::SoftShrink(f) => {
            let shrunk = x() - big(f.lambda.copysign(at));
            piece(at.abs() > f.lambda, (shrunk, one()), (big(0.0), big(0.0)))
        }
        // Its difference loses three times the digits that x is below 1: below 10⁻²⁵ it is x³ / 3.
        Activation::TanhShrink(_) => {
            let value = if at.abs() < 1e-25 { x() * x() * x() / big(3.0) } else { x() - x().tanh() };
            (value, x().tanh() * x().tanh())
        }
        Activation::SquaredRelu(_) => piece(at > 0.0, (x() * x(), x() + x()), (big(0.0), big(0.0))),
        other => panic!("{} has no reference yet", other.name()),
    };
    (value.f64(), slope.f64())
}
