//! What theory predicts, to be drawn beside what is measured.
//!
//! [`MeanField`] is the limit of infinitely wide, randomly initialised networks: with weights of variance σw² / fan_in
//! and biases of variance σb², pre-activations are Gaussian and their variance q follows a map from layer to layer
//! (Poole et al. 2016, *Exponential expressivity in deep neural networks through transient chaos*); the gradient's mean
//! square is multiplied by χ a layer on its way back (Schoenholz et al. 2017, *Deep information propagation*, §4).
//!
//! [`born_dead`] bounds the probability that a ReLU network is dead before it is trained, the question of Lu et al. 2019,
//! *Dying ReLU and initialization: theory and numerical examples*.

//!
//! [`before_training`] is the first of them for the networks of an experiment.

use crate::{
    activation::Activation,
    experiment::{Experiment, Init, ModelKind, Moments, NormKind},
    record::Results,
};

/// A wide random network: one activation and the variances of its initialisation.
#[derive(Debug, Clone)]
pub struct MeanField {
    /// The activation.
    pub activation: Activation,
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
        self.weight_variance * Moments::at(&self.activation, q).value + self.bias_variance
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
        self.weight_variance * Moments::at(&self.activation, q).slope
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

/// The RMS of the gradient at each hidden layer's pre-activations before training, relative to the last one's, from the
/// input on: that of wide networks with the experiment's widths, drawn by `init`. `input` is the mean square of what the
/// network is fed, 1 where it is standardised.
///
/// `None` where the theory here does not reach: convolutions, hidden layers of several widths, normalisation, residual
/// connections, dropout, biases of a value of their own, and initialisations whose entries are not independent.
pub fn before_training(experiment: &Experiment, activation: &Activation, init: Init, input: f64) -> Option<Vec<f64>> {
    let hidden = experiment.hidden();
    let width = *hidden.first()?;
    let plain = experiment.own.is_none()
        && experiment.model == ModelKind::Mlp
        && experiment.norm == NormKind::None
        && !experiment.residual
        && experiment.dropout == 0.0
        && experiment.bias_init.is_none_or(|bias| bias == 0.0)
        && hidden.iter().all(|other| *other == width);
    let init = init.resolve(activation);
    let weight_variance = match init {
        Init::HeNormal | Init::HeUniform => 2.0,
        // 2 · fan_in / (fan_in + fan_out), for the layers between hidden ones.
        Init::XavierNormal | Init::XavierUniform | Init::LecunNormal => 1.0,
        Init::TorchDefault => 1.0 / 3.0,
        Init::Normal(std) => std * std * width as f64,
        Init::Gain(gain) => gain * gain,
        Init::Auto | Init::Orthogonal | Init::RandomizedAsymmetric => return None,
    };
    // U(±1 / √fan_in), as the weights.
    let bias_variance = match (init, experiment.bias_init) {
        (Init::TorchDefault, None) => 1.0 / (3.0 * width as f64),
        _ => 0.0,
    };
    let network = MeanField { activation: activation.clone(), weight_variance, bias_variance };
    plain.then(|| network.gradient_profile(&network.variances(weight_variance * input + bias_variance, hidden.len())))
}

/// The weights that textbooks draw for sigmoid and tanh: Glorot and Bengio's, for a slope of 1 at 0, which sigmoid has not.
pub const TEXTBOOK: Init = Init::XavierNormal;

/// [`before_training`] of an activation of recorded runs, drawn by `init`.
pub fn of_record(results: &Results, activation: &str, init: Init) -> Option<Vec<f64>> {
    let activation = results.experiment.activations.iter().find(|other| other.name() == activation)?;
    let inputs = results.runs.iter().flat_map(|run| &run.epochs).find_map(|epoch| epoch.inputs)?;
    before_training(&results.experiment, activation, init, inputs.mean?.powi(2) + inputs.std?.powi(2))
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

    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} is not {b} within {tolerance}");
    }

    fn network(activation: &str, weight_variance: f64, bias_variance: f64) -> MeanField {
        let activation = activation.parse().expect("the activation is known");
        MeanField { activation, weight_variance, bias_variance }
    }

    #[test]
    fn relus_variance_map_and_chi_are_half_the_weight_variance() {
        for (weight_variance, bias_variance) in [(2.0, 0.0), (1.0, 0.5), (3.0, 0.1)] {
            let relu = network("relu", weight_variance, bias_variance);
            for q in [1e-6, 0.3, 1.0, 40.0] {
                close(relu.variance_map(q), weight_variance * q / 2.0 + bias_variance, 1e-10);
                close(relu.chi(q), weight_variance / 2.0, 1e-10);
            }
        }
    }

    #[test]
    fn hes_initialisation_keeps_relus_signal_and_gradient() {
        let he = network("relu", 2.0, 0.0);
        let variances = he.variances(2.0, 50);
        close(variances[49], 2.0, 1e-9);
        close(he.gradient_profile(&variances)[0], 1.0, 1e-9);
        close(he.fixed_point(0.7).unwrap(), 0.7, 1e-9);
        assert!(he.depth_scale(1.0) > 1e9);
    }

    #[test]
    fn relu_has_a_fixed_point_below_two_and_none_above() {
        // q* = σw² q* / 2 + σb².
        close(network("relu", 1.0, 0.5).fixed_point(3.0).unwrap(), 1.0, 1e-9);
        assert_eq!(network("relu", 2.5, 0.0).fixed_point(1.0), None);
    }

    #[test]
    fn erfs_expectations_are_williams_closed_form() {
        // Williams 1997, Computing with infinite networks: E[erf(√q z)²] = 2/π · asin(2q / (1 + 2q)); by the same
        // integral E[erf′(√q z)²] = 4/π / √(1 + 4q).
        let erf = network("erf(x)", 1.7, 0.2);
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
        let ordered = network("tanh", 0.9, 0.0);
        let q = ordered.fixed_point(1.0).unwrap();
        assert!(q < 1e-6, "{q}");
        close(ordered.chi(q), 0.9, 1e-5);
        close(network("tanh", 1.0, 0.0).chi(0.0), 1.0, 1e-12);
        let chaotic = network("tanh", 1.5, 0.0);
        let q = chaotic.fixed_point(1.0).unwrap();
        close(chaotic.variance_map(q), q, 1e-9);
        assert!(q > 0.1 && chaotic.chi(q) > 1.0, "q* = {q}, χ = {}", chaotic.chi(q));
    }

    #[test]
    fn tanhs_fixed_point_does_not_depend_on_where_it_starts() {
        let tanh = network("tanh", 2.0, 0.3);
        close(tanh.fixed_point(0.01).unwrap(), tanh.fixed_point(50.0).unwrap(), 1e-9);
    }

    #[test]
    fn a_sigmoid_network_loses_a_factor_of_four_a_layer_with_unit_weight_variance() {
        // σ′ is at most 1/4, so χ is at most σw² / 16, and nearly that where pre-activations are small.
        let sigmoid = network("sigmoid", 1.0, 0.0);
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
        let theory = network("tanh", 1.5, 0.0);
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
                    .map(|i| {
                        (0..width).map(|j| weights[i * width + j] * upstream[j]).sum::<f64>() * z[i].cosh().powi(-2)
                    })
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
    fn the_networks_of_an_experiment_have_their_variances() {
        let profile = |experiment: &Experiment, activation: &str, init: Init| {
            before_training(experiment, &activation.parse().expect("the activation is known"), init, 1.0)
        };
        let default = Experiment::default();
        let first = |activation: &str, init: Init| profile(&default, activation, init).unwrap()[0];
        // Five layers: the gradient goes back through four.
        close(first("relu", Init::Auto), 1.0, 1e-9);
        close(first("relu", Init::XavierNormal), 0.25, 1e-9);
        close(first("none", Init::TorchDefault), 1.0 / 9.0, 1e-9);
        // A fair start keeps χ at √(E φ′² / E φ²), at first: 0.3909 with sigmoid, whose square root is 0.625 a layer.
        let sigmoid = first("sigmoid", Init::Auto);
        assert!(sigmoid > 0.3f64.powi(4) && sigmoid < 0.625f64.powi(3), "{sigmoid}");
        assert!(first("sigmoid", TEXTBOOK) < 0.25f64.powi(4));

        let none = |experiment: Experiment| assert_eq!(profile(&experiment, "relu", Init::Auto), None);
        none(Experiment { model: ModelKind::Cnn, ..default.clone() });
        none(Experiment { residual: true, ..default.clone() });
        none(Experiment { norm: NormKind::Batch, ..default.clone() });
        none(Experiment { dropout: 0.5, ..default.clone() });
        none(Experiment { bias_init: Some(-2.0), ..default.clone() });
        none(Experiment { hidden: Some(vec![64, 128]), ..default.clone() });
        none(Experiment { hidden: Some(Vec::new()), ..default.clone() });
        assert_eq!(profile(&default, "relu", Init::Orthogonal), None);
    }

    #[test]
    fn what_begins_a_network_is_its_weights_its_biases_and_its_inputs() {
        let default = Experiment::default();
        let first = |activation: &str, init: Init, input: f64| {
            let activation = activation.parse().expect("the activation is known");
            before_training(&default, &activation, init, input).expect("it is plain")[0]
        };
        // Without an activation a layer's factor is σw², and its root of the gradient's RMS: four layers are its square.
        // Of N(0, std²) for 128 inputs it is 128 std².
        let linear = [
            (Init::HeNormal, 2.0),
            (Init::HeUniform, 2.0),
            (Init::XavierUniform, 1.0),
            (Init::LecunNormal, 1.0),
            (Init::Normal(0.05), 0.32),
            (Init::Gain(1.5), 2.25),
        ];
        for (init, weight_variance) in linear {
            close(first("none", init, 1.0), weight_variance * weight_variance, 1e-9);
        }
        // Tanh's slope depends on the size of what it is given. U(±1 / √128) has the variance 1 / 384.
        for input in [0.25, 1.0, 9.0] {
            let tanh = network("tanh", 1.0 / 3.0, 1.0 / 384.0);
            let expected = tanh.gradient_profile(&tanh.variances(input / 3.0 + 1.0 / 384.0, 5))[0];
            close(first("tanh", Init::TorchDefault, input), expected, 1e-12);
            let xavier = network("tanh", 1.0, 0.0);
            let expected = xavier.gradient_profile(&xavier.variances(input, 5))[0];
            close(first("tanh", Init::XavierNormal, input), expected, 1e-12);
        }
        // Biases that are 0 by a setting of their own.
        let zero = Experiment { bias_init: Some(0.0), ..default.clone() };
        let tanh = network("tanh", 1.0 / 3.0, 0.0);
        let expected = tanh.gradient_profile(&tanh.variances(1.0 / 3.0, 5));
        let found = before_training(&zero, &tanh.activation, Init::TorchDefault, 1.0).expect("it is plain");
        found.iter().zip(&expected).for_each(|(found, expected)| close(*found, *expected, 1e-12));
    }

    #[test]
    fn glorots_compromise_meets_both_conditions_where_widths_are_equal() {
        let (forward, backward, compromise) = glorot_variances(128, 128);
        assert_eq!((forward, backward), (compromise, compromise));
        let (forward, backward, compromise) = glorot_variances(784, 128);
        assert!(forward < compromise && compromise < backward);
        // σw² = fan_in / fan_in is what keeps an identity's variance.
        close(network("none", 784.0 * forward, 0.0).variance_map(0.3), 0.3, 1e-12);
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
