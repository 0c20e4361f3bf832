//! What theory predicts, to be drawn beside what is measured.
//!
//! [`MeanField`] is the limit of infinitely wide, randomly initialised networks: with weights of variance σw² / fan_in
//! and biases of variance σb², pre-activations are Gaussian and their variance q follows a map from layer to layer
//! (Poole et al. 2016, *Exponential expressivity in deep neural networks through transient chaos*); the gradient's mean
//! square is multiplied by χ a layer on its way back (Schoenholz et al. 2017, *Deep information propagation*, §4).
//!
//! [`born_dead`] bounds the probability that a ReLU network is dead before it is trained, the question of Lu et al. 2019,
//! *Dying ReLU and initialization: theory and numerical examples*.

use crate::experiment::gaussian_nodes;

/// An activation and its derivative as plain functions.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// φ.
    pub f: fn(f64) -> f64,
    /// φ′; at a kink any one-sided value.
    pub df: fn(f64) -> f64,
}

/// max(0, x).
pub const RELU: Function = Function { f: |x| x.max(0.0), df: |x| f64::from(u8::from(x > 0.0)) };
/// 1 / (1 + e^−x).
pub const SIGMOID: Function = Function { f: sigmoid, df: |x| sigmoid(x) * sigmoid(-x) };
/// tanh x.
pub const TANH: Function = Function { f: f64::tanh, df: |x| x.cosh().powi(-2) };
/// x.
pub const IDENTITY: Function = Function { f: |x| x, df: |_| 1.0 };

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// E[g(z)] for a standard normal z, exact to about 1e-12 for any g that is smooth off 0: a kink or a jump at 0 costs
/// nothing.
pub fn gaussian_expectation(g: impl Fn(f64) -> f64) -> f64 {
    gaussian_nodes(1.0 / 64.0).map(|(z, weight)| weight * g(z)).sum()
}

/// A wide random network: one activation and the variances of its initialisation.
#[derive(Debug, Clone, Copy)]
pub struct MeanField {
    /// The activation.
    pub function: Function,
    /// σw² = fan_in · Var(w). 2 for He, 1 for LeCun, and for Glorot 2 · fan_in / (fan_in + fan_out), 1 where widths are
    /// equal.
    pub weight_variance: f64,
    /// σb², the variance of the biases.
    pub bias_variance: f64,
}

impl MeanField {
    /// The next layer's pre-activation variance: V(q) = σw² E[φ(√q z)²] + σb², Poole et al. 2016's
    /// length map.
    ///
    /// For ReLU that is σw² q / 2 + σb², and so q itself with σw² = 2: He et al. 2015, *Delving deep into rectifiers*,
    /// §2.2.
    pub fn variance_map(&self, q: f64) -> f64 {
        let f = self.function.f;
        self.weight_variance * gaussian_expectation(|z| f(q.sqrt() * z).powi(2)) + self.bias_variance
    }

    /// The pre-activation variances of `layers` layers, of which the first is given: for standardised inputs, σw² + σb².
    pub fn variances(&self, first: f64, layers: usize) -> Vec<f64> {
        std::iter::successors(Some(first), |q| Some(self.variance_map(*q))).take(layers).collect()
    }

    /// q*, the fixed point of [`variance_map`](Self::variance_map) that iteration from `first` runs into.
    ///
    /// `None` where the variance grows without bound (ReLU with σw² > 2) or has not settled to 1e-12 after 10 000
    /// layers, as at a critical point, where it decays like 1 / layers (tanh with σw² = 1 and σb² = 0).
    pub fn fixed_point(&self, first: f64) -> Option<f64> {
        let mut q = first;
        for _ in 0..10_000 {
            let next = self.variance_map(q);
            if !next.is_finite() || next > 1e100 {
                return None;
            }
            if (next - q).abs() <= 1e-12 * q.max(1e-6) {
                return Some(next);
            }
            q = next;
        }
        None
    }

    /// χ(q) = σw² E[φ′(√q z)²]: what one layer multiplies the gradient's mean square by, on its way back, where the
    /// pre-activations have variance q (Schoenholz et al. 2017, §4, where it stands at q = q*).
    ///
    /// Below 1 gradients vanish, above 1 they explode. Its root is the factor of the gradient's RMS. For ReLU it is
    /// σw² / 2 at every q, and 1 with He's initialisation.
    pub fn chi(&self, q: f64) -> f64 {
        let df = self.function.df;
        self.weight_variance * gaussian_expectation(|z| df(q.sqrt() * z).powi(2))
    }

    /// The RMS of the gradient with respect to each layer's pre-activations, relative to the last layer's, for layers of
    /// equal width with the given pre-activation variances: the product of √χ from there to the last layer.
    pub fn gradient_profile(&self, variances: &[f64]) -> Vec<f64> {
        let mut profile = vec![1.0; variances.len()];
        for layer in (1..variances.len()).rev() {
            // The gradient at a layer is Wᵀ times the later one's, times φ′ at its own pre-activations.
            profile[layer - 1] = profile[layer] * self.chi(variances[layer - 1]).sqrt();
        }
        profile
    }

    /// ξ = 1 / |ln χ|: over how many layers the gradient's mean square changes by a factor of e (Schoenholz et al. 2017,
    /// §4). Infinite at χ = 1.
    pub fn depth_scale(&self, q: f64) -> f64 {
        1.0 / self.chi(q).ln().abs()
    }
}

/// Glorot and Bengio 2010, *Understanding the difficulty of training deep feedforward neural networks*, eq. 10 to 12:
/// the weight variance that keeps activations (1 / fan_in), the one that keeps gradients (1 / fan_out), and their
/// compromise 2 / (fan_in + fan_out), for functions with slope 1 at 0.
pub fn glorot_variances(fan_in: usize, fan_out: usize) -> (f64, f64, f64) {
    (1.0 / fan_in as f64, 1.0 / fan_out as f64, 2.0 / (fan_in + fan_out) as f64)
}

/// Bounds on the probability that a randomly initialised ReLU network is dead: that some layer is 0 for every input.
///
/// For hidden layers of the given widths, biases 0 and independent weights with a density that is symmetric about 0.
///
/// *Upper*: 1 − ∏ (1 − 2^−Nₗ). Dead for every input is dead for a given one, x ≠ 0; for that one each unit's
/// pre-activation is symmetric as long as the layer before is alive, so layer l dies with probability 2^−Nₗ,
/// whatever came before. For a single input, or inputs on one ray, the bound is the probability itself.
///
/// *Lower*: 1 − ∏ over l ≥ 2 of (1 − 2^−(Nₗ₋₁ Nₗ)). A layer whose weights are all negative is dead for every input, as
/// what comes from a ReLU layer is not.
///
/// Lu et al. 2019 prove that the probability goes to 1 with depth at any width, and that it grows as width falls; both
/// bounds show that. A network without hidden layers is never dead.
pub fn born_dead(widths: &[usize]) -> (f64, f64) {
    // 1 − ∏ (1 − 2^−n), by logarithms, so that 2^−128 is not lost beside 1.
    let some_dies = |exponents: &mut dyn Iterator<Item = usize>| {
        -exponents.map(|n| (-0.5f64.powf(n as f64)).ln_1p()).sum::<f64>().exp_m1()
    };
    let upper = some_dies(&mut widths.iter().copied());
    let lower = some_dies(&mut widths.windows(2).map(|pair| pair[0].saturating_mul(pair[1])));
    (lower, upper)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use statrs::function::erf::erf;

    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} is not {b} within {tolerance}");
    }

    fn network(function: Function, weight_variance: f64, bias_variance: f64) -> MeanField {
        MeanField { function, weight_variance, bias_variance }
    }

    const ERF: Function = Function { f: erf, df: |x| 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() };

    #[test]
    fn gaussian_expectations_have_their_closed_forms() {
        close(gaussian_expectation(|_| 1.0), 1.0, 1e-12);
        close(gaussian_expectation(|z| z), 0.0, 1e-12);
        close(gaussian_expectation(|z| z * z), 1.0, 1e-12);
        close(gaussian_expectation(|z| z.powi(6)), 15.0, 1e-12);
        close(gaussian_expectation(f64::abs), (2.0 / std::f64::consts::PI).sqrt(), 1e-12);
        close(gaussian_expectation(f64::cos), (-0.5f64).exp(), 1e-12);
        close(gaussian_expectation(f64::exp), 0.5f64.exp(), 1e-12);
    }

    #[test]
    fn relus_variance_map_and_chi_are_half_the_weight_variance() {
        for (weight_variance, bias_variance) in [(2.0, 0.0), (1.0, 0.5), (3.0, 0.1)] {
            let relu = network(RELU, weight_variance, bias_variance);
            for q in [1e-6, 0.3, 1.0, 40.0] {
                close(relu.variance_map(q), weight_variance * q / 2.0 + bias_variance, 1e-10);
                close(relu.chi(q), weight_variance / 2.0, 1e-10);
            }
        }
    }

    #[test]
    fn hes_initialisation_keeps_relus_signal_and_gradient() {
        let he = network(RELU, 2.0, 0.0);
        let variances = he.variances(2.0, 50);
        close(variances[49], 2.0, 1e-9);
        close(he.gradient_profile(&variances)[0], 1.0, 1e-9);
        close(he.fixed_point(0.7).unwrap(), 0.7, 1e-9);
        assert!(he.depth_scale(1.0) > 1e9);
    }

    #[test]
    fn relu_has_a_fixed_point_below_two_and_none_above() {
        // q* = σw² q* / 2 + σb².
        close(network(RELU, 1.0, 0.5).fixed_point(3.0).unwrap(), 1.0, 1e-9);
        assert_eq!(network(RELU, 2.5, 0.0).fixed_point(1.0), None);
    }

    #[test]
    fn erfs_expectations_are_williams_closed_form() {
        // Williams 1997, Computing with infinite networks: E[erf(√q z)²] = 2/π · asin(2q / (1 + 2q)); by the same
        // integral E[erf′(√q z)²] = 4/π / √(1 + 4q).
        let erf = network(ERF, 1.7, 0.2);
        for q in [0.01, 1.0, 9.0f64] {
            let variance = 2.0 / std::f64::consts::PI * (2.0 * q / (1.0 + 2.0 * q)).asin();
            close(erf.variance_map(q), 1.7 * variance + 0.2, 1e-9);
            close(erf.chi(q), 1.7 * 4.0 / std::f64::consts::PI / (1.0 + 4.0 * q).sqrt(), 1e-9);
        }
    }

    #[test]
    fn tanh_without_biases_is_critical_at_weight_variance_one() {
        // Below it the variance runs to 0, where tanh is linear and χ = σw²; above it a fixed point appears (Poole et
        // al. 2016, figure 1; Schoenholz et al. 2017, figure 1: the critical line starts at (σw², σb²) = (1, 0)).
        let ordered = network(TANH, 0.9, 0.0);
        let q = ordered.fixed_point(1.0).unwrap();
        assert!(q < 1e-6, "{q}");
        close(ordered.chi(q), 0.9, 1e-5);
        close(network(TANH, 1.0, 0.0).chi(0.0), 1.0, 1e-12);
        let chaotic = network(TANH, 1.5, 0.0);
        let q = chaotic.fixed_point(1.0).unwrap();
        close(chaotic.variance_map(q), q, 1e-9);
        assert!(q > 0.1 && chaotic.chi(q) > 1.0, "q* = {q}, χ = {}", chaotic.chi(q));
    }

    #[test]
    fn tanhs_fixed_point_does_not_depend_on_where_it_starts() {
        let tanh = network(TANH, 2.0, 0.3);
        close(tanh.fixed_point(0.01).unwrap(), tanh.fixed_point(50.0).unwrap(), 1e-9);
    }

    #[test]
    fn a_sigmoid_network_loses_a_factor_of_four_a_layer_with_unit_weight_variance() {
        // σ′ is at most 1/4, so χ is at most σw² / 16, and nearly that where pre-activations are small.
        let sigmoid = network(SIGMOID, 1.0, 0.0);
        close(sigmoid.chi(0.0), 1.0 / 16.0, 1e-12);
        let variances = sigmoid.variances(1.0, 10);
        // E[σ²] is 1/4 and a little: the mean of one half dominates.
        close(*variances.last().unwrap(), 0.25, 0.1);
        let first = sigmoid.gradient_profile(&variances)[0];
        assert!(first < 0.25f64.powi(9), "{first}");
        assert!(first > 0.2f64.powi(9), "{first}");
    }

    #[test]
    fn a_wide_random_network_does_what_the_mean_field_says() {
        // Three tanh layers of 400 units, one input, mean over 20 networks: mean squares of pre-activations and of
        // back-propagated gradients, held against V and χ. Their relative spread is about √(2 / 400 / 20), 1.6 %.
        let theory = network(TANH, 1.5, 0.0);
        let (width, layers, networks) = (400, 3, 20);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut normal = || {
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
        };
        let mut last_variance = 0.0;
        let mut gradient_factor = 0.0;
        for _ in 0..networks {
            let scale = (1.5 / width as f64).sqrt();
            let mut z: Vec<f64> = (0..width).map(|_| 1.5f64.sqrt() * normal()).collect();
            let mut gradient: Vec<f64> = Vec::new();
            for _ in 1..layers {
                let weights: Vec<f64> = (0..width * width).map(|_| scale * normal()).collect();
                // A unit gradient at the next layer, taken one layer back.
                let upstream: Vec<f64> = (0..width).map(|_| normal()).collect();
                gradient = (0..width)
                    .map(|i| (0..width).map(|j| weights[i * width + j] * upstream[j]).sum::<f64>() * (TANH.df)(z[i]))
                    .collect();
                z = (0..width).map(|j| (0..width).map(|i| weights[i * width + j] * z[i].tanh()).sum::<f64>()).collect();
            }
            let mean_square = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>() / width as f64;
            last_variance += mean_square(&z) / f64::from(networks);
            gradient_factor += mean_square(&gradient) / f64::from(networks);
        }
        let variances = theory.variances(1.5, layers);
        close(last_variance / variances[2], 1.0, 0.08);
        close(gradient_factor / theory.chi(variances[1]), 1.0, 0.08);
    }

    #[test]
    fn glorots_compromise_meets_both_conditions_where_widths_are_equal() {
        let (forward, backward, compromise) = glorot_variances(128, 128);
        assert_eq!((forward, backward), (compromise, compromise));
        let (forward, backward, compromise) = glorot_variances(784, 128);
        assert!(forward < compromise && compromise < backward);
        // σw² = fan_in / fan_in is what keeps an identity's variance.
        close(network(IDENTITY, 784.0 * forward, 0.0).variance_map(0.3), 0.3, 1e-12);
    }

    #[test]
    fn born_dead_bounds_have_their_limits() {
        assert_eq!(born_dead(&[]), (0.0, 0.0));
        close(born_dead(&[1]).1, 0.5, 1e-15);
        close(born_dead(&[2, 2]).0, 1.0 / 16.0, 1e-15);
        close(born_dead(&[2, 2]).1, 1.0 - 0.75 * 0.75, 1e-15);
        close(born_dead(&[128; 50]).1 / (50.0 * 0.5f64.powi(128)), 1.0, 1e-12);
        let (lower, upper) = born_dead(&[2; 1000]);
        assert!(lower > 0.999 && upper > 0.999);
    }

    #[test]
    fn simulated_networks_are_born_dead_as_often_as_the_bounds_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let networks = 4000;
        // Of width 3 and depth 6, on one input and on a circle of them.
        let circle: Vec<[f64; 2]> = (0..64).map(|i| f64::from(i) / 64.0 * TAU).map(|t| [t.cos(), t.sin()]).collect();
        let (mut dead_at_one, mut dead_everywhere) = (0, 0);
        for _ in 0..networks {
            let mut activations: Vec<Vec<f64>> = circle.iter().map(|x| x.to_vec()).collect();
            for _ in 0..6 {
                let inputs = activations[0].len();
                let weights: Vec<Vec<f64>> =
                    (0..3).map(|_| (0..inputs).map(|_| rng.random::<f64>() * 2.0 - 1.0).collect()).collect();
                let layer = |x: &Vec<f64>| -> Vec<f64> {
                    let unit = |w: &Vec<f64>| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>().max(0.0);
                    weights.iter().map(unit).collect()
                };
                activations = activations.iter().map(layer).collect();
            }
            let dead = |x: &Vec<f64>| x.iter().all(|x| *x == 0.0);
            dead_at_one += u32::from(dead(&activations[0]));
            dead_everywhere += u32::from(activations.iter().all(dead));
        }
        let (lower, upper) = born_dead(&[3; 6]);
        let (one, everywhere) = (f64::from(dead_at_one) / 4000.0, f64::from(dead_everywhere) / 4000.0);
        // Four standard errors of a proportion.
        let slack = |p: f64| 4.0 * (p * (1.0 - p) / 4000.0).sqrt();
        assert!((one - upper).abs() < slack(upper), "{one}, theory {upper}");
        assert!(everywhere < upper + slack(upper) && everywhere > lower - slack(lower), "{lower} {everywhere} {upper}");
        assert!(everywhere < one);
    }
}
