//! f64, by the platform's functions.

use super::{Exponents, Float, Form, Number, comparisons, gelu_tanh};

impl Number for f64 {
    comparisons!();
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn expm1(self) -> Self {
        self.exp_m1()
    }
    #[inline(always)]
    fn log1p(self) -> Self {
        self.ln_1p()
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        f64::tanh(self)
    }
    /// From e^(−|x|), which is there where eˣ would overflow.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let t = f64::exp(-f64::abs(self));
        if self < 0.0 { t / (1.0 + t) } else { 1.0 / (1.0 + t) }
    }

    /// In the tails x² and x / √2 are large, and what they lose in rounding shows in what is made of them.
    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        const DENSITY_AT_0: f64 = 0.398_942_280_401_432_7;
        const ROOT_LOST: f64 = -4.833_646_656_726_457e-17;
        let square = self * self;
        let bell = f64::exp(-0.5 * square) * (1.0 - 0.5 * self.mul_add(self, -square));
        let z = -self * std::f64::consts::FRAC_1_SQRT_2;
        let z_lost = (-self).mul_add(std::f64::consts::FRAC_1_SQRT_2, -z) - self * ROOT_LOST;
        let probability = 0.5 * libm::erfc(z) - z_lost * std::f64::consts::FRAC_1_PI.sqrt() * bell;
        (probability, DENSITY_AT_0 * bell)
    }

    const EXPONENTS: Exponents = Exponents::Corrected;

    #[inline(always)]
    fn product(self, factor: [f64; 2]) -> [Self; 2] {
        let product = self * factor[0];
        let lost = self.mul_add(factor[0], -product) + self * factor[1];
        [product, if lost.is_finite() { lost } else { 0.0 }]
    }

    #[inline(always)]
    fn by_form(self, form: Form, value: Self) -> Self {
        match form {
            Form::GeluTanh => gelu_tanh::value_in_double(self),
            Form::GeluTanhSlope => gelu_tanh::slope_in_double(self),
            _ => value,
        }
    }

    /// Further out its own terms lose little.
    #[inline(always)]
    fn near_root(self, root: [f64; 2], taylor: &[f64; 16], value: Self) -> Self {
        let x = (self - root[0]) - root[1];
        let near = x * taylor.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient);
        if f64::abs(x) < 0.25 { near } else { value }
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn log(self) -> Self {
        self.ln()
    }

    #[inline(always)]
    fn sin(self) -> Self {
        f64::sin(self)
    }

    #[inline(always)]
    fn cos(self) -> Self {
        f64::cos(self)
    }

    #[inline(always)]
    fn pow(self, other: Self) -> Self {
        self.powf(other)
    }
}

impl Float for f64 {
    type Near = f64;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
    #[inline(always)]
    fn erf(self) -> Self {
        libm::erf(self)
    }
}
