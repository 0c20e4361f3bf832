//! Functions of a product that is an exponent: in a tail e^(x f) shows by how much the product has been rounded.

use super::Number;

/// How a kind of number computes them.
#[derive(Debug, Clone, Copy)]
pub enum Exponents {
    /// Of the rounded product: f32, of which tensors are computed in f64 where it matters.
    Rounded,
    /// With what the product lost, as a fused product tells it: f64.
    Corrected,
    /// From numbers that are cut in two: on a GPU, whose driver may rearrange sums, so that none of them is trusted to tell
    /// what it lost. What is exact there are products of numbers of half as many digits.
    Cut,
}

/// A number's upper part, of 12 digits, whose product with another such is exact in f32.
const fn upper(factor: f64) -> f64 {
    f64::from_bits(factor.to_bits() & !0 << 41)
}

/// x in two, each with half of its digits. The second one has no more, but is cut all the same, so that no driver knows where
/// it comes from.
#[inline(always)]
fn halves<N: Number>(x: N) -> [N; 2] {
    let high = x.upper();
    [high, (x - high).upper()]
}

/// An exponent: the sum of its parts, of which all but the small rest are exact and of one sign.
struct Exponent<N, const PARTS: usize> {
    exact: [N; PARTS],
    rest: N,
}

impl<N: Number, const PARTS: usize> Exponent<N, PARTS> {
    /// e^(−|exponent|).
    #[inline(always)]
    fn falling(self) -> N {
        let rest = N::choose(self.exact[0].below(0.0), self.rest, -self.rest).expm1();
        let mut power = N::of(1.0);
        for part in self.exact {
            power = power * (-part.abs()).exp();
        }
        power + power * rest
    }

    /// σ, and what it leaves of 1.
    #[inline(always)]
    fn sigmoids(self) -> [N; 2] {
        let sign = self.exact[0];
        let power = self.falling();
        let share = N::of(1.0) / (N::of(1.0) + power);
        [(power * share, share), (share, power * share)].map(|(below, above)| N::choose(sign.below(0.0), below, above))
    }
}

/// x · factor. Beyond ±10⁴, which are no exponents, the nearest of them.
#[inline(always)]
fn product<N: Number>(x: N, [factor, lost]: [f64; 2]) -> Exponent<N, 1> {
    let bound = (1e4 / factor.abs()).min(1e30);
    let x = x.at_least(-bound).at_most(bound);
    let [high, low] = halves(x);
    let rest = low * N::of(factor) + high * N::of(factor - upper(factor) + lost);
    Exponent { exact: [high * N::of(upper(factor))], rest }
}

/// e^(x · factor), for a factor that is the sum of two.
#[inline(always)]
pub(crate) fn exp<N: Number>(x: N, factor: [f64; 2]) -> N {
    match N::EXPONENTS {
        _ if factor[0] == 1.0 => x.exp(),
        Exponents::Rounded => (x * N::of(factor[0])).exp(),
        Exponents::Corrected => {
            let [product, lost] = x.product(factor);
            product.exp() * (N::of(1.0) + lost)
        }
        Exponents::Cut => {
            let Exponent { exact: [high], rest } = product(x, factor);
            let power = high.exp();
            power + power * rest.expm1()
        }
    }
}

/// e^(x · factor) − 1, for what does not overflow.
#[inline(always)]
pub(crate) fn expm1<N: Number>(x: N, factor: [f64; 2]) -> N {
    match N::EXPONENTS {
        _ if factor[0] == 1.0 => x.expm1(),
        Exponents::Rounded => (x * N::of(factor[0])).expm1(),
        Exponents::Corrected => {
            let [product, lost] = x.product(factor);
            let value = product.expm1();
            value + (lost + value * lost)
        }
        Exponents::Cut => {
            let Exponent { exact: [high], rest } = product(x, factor);
            let (high, rest) = (high.expm1(), rest.expm1());
            high + (rest + high * rest)
        }
    }
}

/// σ(x · factor).
#[inline(always)]
pub(crate) fn sigmoid<N: Number>(x: N, factor: f64) -> N {
    match N::EXPONENTS {
        _ if factor == 1.0 => x.sigmoid(),
        Exponents::Rounded => (x * N::of(factor)).sigmoid(),
        Exponents::Corrected => {
            let [product, lost] = x.product([factor, 0.0]);
            product.sigmoid() * (N::of(1.0) + (-product).sigmoid() * lost)
        }
        Exponents::Cut => product(x, [factor, 0.0]).sigmoids()[0],
    }
}

/// ln(1 + e^(x · factor)).
#[inline(always)]
pub(crate) fn softplus<N: Number>(x: N, factor: f64) -> N {
    match N::EXPONENTS {
        _ if factor == 1.0 => x.softplus(),
        Exponents::Rounded => (x * N::of(factor)).softplus(),
        Exponents::Corrected => {
            let [product, lost] = x.product([factor, 0.0]);
            product.softplus() + product.sigmoid() * lost
        }
        Exponents::Cut => (x * N::of(factor)).at_least(0.0) + product(x, [factor, 0.0]).falling().log1p(),
    }
}

/// σ(x (a + c x²)), and what it leaves of 1, for |x| ≤ 30 and positive a and c, which are sums of two.
#[inline(always)]
pub(crate) fn sigmoids_of_odd<N: Number>(x: N, a: [f64; 2], c: [f64; 2]) -> [N; 2] {
    if !matches!(N::EXPONENTS, Exponents::Cut) {
        let exponent = x * N::of(c[0]).times_plus(x * x, N::of(a[0]));
        return [exponent.sigmoid(), (-exponent).sigmoid()];
    }
    let [high, low] = halves(x);
    let [square, square_low] = halves(high * high);
    let square_rest = square_low + low * (x + high);
    let [cubic_high, cubic_low] = halves(square * N::of(upper(c[0])));
    let cubic_rest = cubic_low + (square * N::of(c[0] - upper(c[0]) + c[1]) + square_rest * N::of(c[0]));
    let (linear_high, linear_rest) = (N::of(upper(a[0])), N::of(a[0] - upper(a[0]) + a[1]));
    let rest = low * (linear_high + cubic_high) + x * (linear_rest + cubic_rest);
    Exponent { exact: [high * linear_high, high * cubic_high], rest }.sigmoids()
}
