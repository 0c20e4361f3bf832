//! Randomised leaky ReLU.

use burn::tensor::{Distribution, Tensor};
use serde::{Deserialize, Serialize};

use super::{Activation, LeakyRelu, finite, in_range, module};
use crate::{operands::Operands, prelu::with_slopes, relu::ConfigError};

/// Leaky ReLU whose slope is drawn anew for each element from U(lower, upper) while training, and is the mean of both
/// otherwise.
///
/// PyTorch takes training from the module's mode; here an input on a device with autodiff is training, whether or not
/// parameters are frozen. The derivative is 1 for x > 0, otherwise the slope. NaN gives NaN, zeros keep their sign, and
/// φ(±∞) = ±∞ for slopes that are positive.
///
/// Keeps its input and the slopes while training, and otherwise what [`LeakyRelu`] keeps.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use rectify::Rrelu;
///
/// let rrelu = Rrelu { lower: 0.1, upper: 0.3 };
/// let x = Tensor::<1>::from_floats([-10.0, 0.0, 2.0], &Device::flex());
/// assert_eq!(rrelu.forward(x.clone()).into_data().to_vec::<f32>().unwrap(), [-2.0, 0.0, 2.0]);
///
/// let drawn = rrelu.forward(x.autodiff()).into_data().to_vec::<f32>().unwrap();
/// assert!((-3.0..=-1.0).contains(&drawn[0]) && drawn[1..] == [0.0, 2.0], "{drawn:?}");
/// ```
///
/// Xu et al. 2015, *Empirical evaluation of rectified activations in convolutional network*.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rrelu {
    /// The smallest slope. Default: 1/8.
    pub lower: f64,
    /// The largest slope. Default: 1/3.
    pub upper: f64,
}

impl Default for Rrelu {
    fn default() -> Self {
        Self { lower: 0.125, upper: 1.0 / 3.0 }
    }
}

impl Rrelu {
    /// Whether the slopes are in range.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        finite("lower", self.lower)?;
        let ok = self.upper >= self.lower && self.upper.is_finite();
        in_range("upper", self.upper, "at least lower and finite", ok)
    }

    /// What it is where it does not train: its slope is the mean of both.
    pub fn mean(&self) -> LeakyRelu {
        LeakyRelu { negative_slope: (self.lower + self.upper) / 2.0 }
    }

    /// [`rrelu`]; it trains where `x` is on a device with autodiff.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let training = x.device().is_autodiff();
        rrelu(x, self.lower, self.upper, training)
    }
}

module::constant!(Rrelu);

/// [`Rrelu`]; `training` tells whether slopes are drawn.
pub fn rrelu<const D: usize>(x: Tensor<D>, lower: f64, upper: f64, training: bool) -> Tensor<D> {
    if !training {
        return Activation::from(Rrelu { lower, upper }.mean()).forward(x);
    }
    // From U(0, 1), as the bounds may be the same, or so in a half type.
    let x = x.dequantize();
    let slopes = x.random_like(Distribution::Uniform(0.0, 1.0)) * (upper - lower) + lower;
    rrelu_with_slopes(x, slopes)
}

/// Leaky ReLU with a slope for each element: [`rrelu`] by slopes that were drawn elsewhere, as where a training must be
/// repeatable. No gradient goes to them.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use rectify::rrelu_with_slopes;
///
/// let device = Device::flex().autodiff();
/// let x = Tensor::<1>::from_floats([-10.0, 0.0, 2.0, f32::NEG_INFINITY], &device).require_grad();
/// let slopes = Tensor::from_floats([0.1, 0.2, 0.3, 0.4], &device);
/// let y = rrelu_with_slopes(x.clone(), slopes);
/// let gradient = x.grad(&y.clone().sum().backward()).unwrap();
/// assert_eq!(y.into_data().to_vec::<f32>().unwrap(), [-1.0, 0.0, 2.0, f32::NEG_INFINITY]);
/// assert_eq!(gradient.into_data().to_vec::<f32>().unwrap(), [0.1, 0.2, 1.0, 0.4]);
/// ```
///
/// # Shapes
///
/// - x, slopes and what is given back: the same
///
/// # Panics
///
/// Where `slopes` is not of the shape, type and device of `x`.
#[track_caller]
pub fn rrelu_with_slopes<const D: usize>(x: Tensor<D>, slopes: Tensor<D>) -> Tensor<D> {
    Operands::like("rrelu_with_slopes", &x).check("slopes", &slopes, x.dims());
    with_slopes(x, slopes.detach())
}
