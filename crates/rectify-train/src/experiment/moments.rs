//! What an activation does to the size of a signal on its way forward and of a gradient on its way back, and the initial
//! weights that follow.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::activation::Activation;

/// The second moments of an activation and of its derivative for z ~ N(0, 1).
///
/// Take a layer whose pre-activations are N(0, 1), as they are in a wide network with random weights. With weights of
/// variance σ² / fan_in the next layer's have variance σ² E φ(z)² (He et al. 2015, *Delving deep into rectifiers*,
/// section 2.2; Poole et al. 2016), and the gradient's mean square is multiplied by σ² E φ′(z)² on its way back through
/// the layer (Schoenholz et al. 2017, section 4). The signal keeps its size where σ² = 1 / E φ², the gradient where
/// σ² = 1 / E φ′².
///
/// For functions that are linear on both sides of 0, and only for them, both are the same: 2 for ReLU (He et al. 2015,
/// equation 10), 2 / (1 + a²) for leaky ReLU of slope a (equation 15), 1 for the identity. For others no σ² keeps both,
/// and [`gain`](Self::gain) takes the geometric mean, as Glorot and Bengio 2010 take a mean where fan_in and fan_out ask
/// for different variances: what is lost forward is gained backward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// E φ(z)².
    pub value: f64,
    /// E φ′(z)².
    pub slope: f64,
}

/// The gains that [`Moments::gain`] gives, at least and at most: beyond them a function is as good as constant, or grows
/// so fast that no gain helps.
const GAINS: [f64; 2] = [0.01, 100.0];

/// Activations whose moments are remembered: more than anyone compares, and few enough that a file may name any number.
const REMEMBERED: usize = 256;

impl Moments {
    /// Those of an activation as it is evaluated, by quadrature: to 1e-12 where it is smooth off 0, to four digits where
    /// it has kinks elsewhere.
    ///
    /// Remembered, as a diagnosis of many runs asks for the same few of them again and again.
    pub fn of(activation: &Activation) -> Self {
        static KNOWN: Mutex<Vec<(Activation, Moments)>> = Mutex::new(Vec::new());
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().iter().find(|(other, _)| other == activation).map(|(_, moments)| *moments);
        found.unwrap_or_else(|| {
            let moments = Self::by_quadrature(activation, 1.0, 1.0 / 2048.0);
            let mut known = known();
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.push((activation.clone(), moments));
            moments
        })
    }

    /// The same for z ~ N(0, q): to 1e-9 where the function is smooth off 0, to three digits where it has kinks elsewhere.
    pub(crate) fn at(activation: &Activation, q: f64) -> Self {
        Self::by_quadrature(activation, q, 1.0 / 256.0)
    }

    fn by_quadrature(activation: &Activation, q: f64, step: f64) -> Self {
        let (z, weights): (Vec<f64>, Vec<f64>) = gaussian_nodes(step).map(|(z, weight)| (q.sqrt() * z, weight)).unzip();
        let options = (&Device::flex().autodiff(), DType::F64);
        let count = z.len();
        let z = Tensor::<1>::from_data(TensorData::new(z, [count]), options).require_grad();
        let values = activation.init(options).forward(z.clone());
        let gradients = values.clone().sum().backward();
        let moment = |values: Option<Tensor<1>>| {
            let values: Vec<f64> = values.map(|values| values.into_data().iter().collect()).unwrap_or_default();
            values.iter().zip(&weights).map(|(value, weight)| weight * value * value).sum()
        };
        Self { value: moment(Some(values)), slope: moment(z.grad(&gradients)) }
    }

    fn exact_gain(self) -> f64 {
        (self.value * self.slope).powf(-0.25)
    }

    /// Whether the [`gain`](Self::gain) is what the moments ask for.
    pub fn have_gain(self) -> bool {
        (GAINS[0]..=GAINS[1]).contains(&self.exact_gain())
    }

    /// The gain g of weights with variance g² / fan_in: g² = 1 / √(E φ² E φ′²).
    ///
    /// To four decimals, so that the last bits of a machine's functions do not reach the weights. 1 where the moments
    /// are not finite.
    pub fn gain(self) -> f64 {
        let gain = self.exact_gain();
        let [least, most] = GAINS;
        if gain.is_nan() { 1.0 } else { (gain.clamp(least, most) * 1e4).round() / 1e4 }
    }
}

/// Points and weights of E g(z) = Σ weight · g(point) for a standard normal z.
///
/// The trapezoidal rule on ±∞, each half line apart through z = ±exp(π/2 · sinh t) (Takahasi and Mori 1974): its
/// error falls exponentially in the number of points for any g that is smooth off 0, so a kink or a jump at 0 costs
/// nothing. With a `step` of 1/64 it is 1e-12.
fn gaussian_nodes(step: f64) -> impl Iterator<Item = (f64, f64)> {
    use std::f64::consts::{FRAC_PI_2, TAU};
    // t = ±4 is z = 2e-19 and 4e18: both ends contribute nothing.
    let last = (4.0 / step) as i32;
    (-last..=last)
        .map(move |i| f64::from(i) * step)
        .map(move |t| {
            let z = (FRAC_PI_2 * t.sinh()).exp();
            (z, FRAC_PI_2 * t.cosh() * z * (-z * z / 2.0).exp() / TAU.sqrt() * step)
        })
        // Where the weight underflows, g may overflow: 0 · ∞ is not wanted.
        .filter(|(_, weight)| *weight > 0.0)
        .flat_map(|(z, weight)| [(z, weight), (-z, weight)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(name: &str) -> Moments {
        Moments::of(&name.parse().expect("the name is known"))
    }

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance * expected, "{found} is not {expected}");
    }

    #[test]
    fn moments_have_their_closed_forms() {
        for (name, value, slope) in [
            ("none", 1.0, 1.0),
            ("relu", 0.5, 0.5),
            ("leaky-relu:0.2", 0.52, 0.52),
            ("prelu", 0.53125, 0.53125),
            // By the mean of its slopes.
            ("rrelu:0:0.4", 0.52, 0.52),
        ] {
            close(moments(name).value, value, 1e-10);
            close(moments(name).slope, slope, 1e-10);
        }
        // Klambauer et al. 2017: the variance, beside a mean of 0, has its fixed point at 1.
        close(moments("selu").value, 1.0, 1e-9);
        // E max(-1, min(1, z))² = 1 − √(2/(πe)), and P(|z| < 1).
        close(moments("hard-tanh").value, 1.0 - (2.0 / (std::f64::consts::PI * std::f64::consts::E)).sqrt(), 1e-4);
        close(moments("hard-tanh").slope, 0.682_689_492_137, 5e-4);
        // Williams 1997: E erf(z)² = 2/π asin(2/3), and E erf′(z)² = 4/π / √5.
        let pi = std::f64::consts::PI;
        close(moments("erf(x)").value, 2.0 / pi * (2.0_f64 / 3.0).asin(), 1e-9);
        close(moments("erf(x)").slope, 4.0 / pi / 5.0_f64.sqrt(), 1e-9);
        // Sums over 400 001 points of ±12, in Python.
        close(moments("sigmoid").value, 0.293_379_035_9, 1e-6);
        close(moments("sigmoid").slope, 0.044_836_241_4, 1e-6);
        close(moments("tanh").value, 0.394_294_490_4, 1e-6);
        close(moments("tanh").slope, 0.464_402_902_4, 1e-6);
        close(moments("gelu").value, 0.425_221_482_6, 1e-6);
        close(moments("gelu").slope, 0.455_850_865_6, 1e-6);
    }

    #[test]
    fn gains_are_those_of_the_papers_where_these_derive_them() {
        close(moments("relu").gain(), std::f64::consts::SQRT_2, 1e-4);
        assert_eq!(moments("none").gain(), 1.0);
        // He et al. 2015, equation 15.
        close(moments("leaky-relu:0.25").gain(), (2.0 / 1.0625_f64).sqrt(), 1e-4);
    }

    #[test]
    fn moments_are_remembered_by_the_function_and_not_by_its_label() {
        let labelled = |text: &str| text.parse::<Activation>().unwrap().labelled("bent");
        let (half, whole) = (labelled("bent = x/2"), labelled("bent = x"));
        for _ in 0..2 {
            assert_eq!((Moments::of(&half).gain(), Moments::of(&whole).gain()), (2.0, 1.0));
        }
    }

    #[test]
    fn a_function_without_moments_has_a_gain_all_the_same() {
        assert_eq!(Moments { value: 0.0, slope: 0.0 }.gain(), 100.0);
        assert_eq!(Moments { value: f64::NAN, slope: 1.0 }.gain(), 1.0);
        assert_eq!(Moments { value: f64::INFINITY, slope: 1.0 }.gain(), 0.01);
        assert_eq!(Moments { value: f64::INFINITY, slope: 0.0 }.gain(), 1.0);
    }
}
