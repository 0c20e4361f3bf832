//! Parametric ReLU, whose slope learns.

use burn::{
    config::Config,
    module::{Module, Param},
    tensor::{Device, Tensor},
};

use crate::relu::{GradientRule, ReluConfig, relu};

/// x above 0, a · x at 0 and below, with a slope a that learns: one for all, or one for each channel (dimension 1).
///
/// The derivative by x is 1 for x > 0, otherwise a, and by a it is min(0, x), summed; PyTorch's convention.
///
/// He et al. 2015, *Delving deep into rectifiers*.
#[derive(Module, Debug)]
pub struct Prelu {
    /// a, `[1]` or `[channels]`.
    pub alpha: Param<Tensor<1>>,
}

/// Configuration of a [`Prelu`].
#[derive(Config, Debug)]
pub struct PreluConfig {
    /// How many slopes there are: 1, or as many as channels.
    #[config(default = "1")]
    pub num_parameters: usize,
    /// What they begin with.
    #[config(default = "0.25")]
    pub alpha: f64,
}

impl PreluConfig {
    /// Builds the module.
    pub fn init(&self, device: &Device) -> Prelu {
        Prelu { alpha: Param::from_tensor(Tensor::full([self.num_parameters], self.alpha, device)) }
    }
}

impl Prelu {
    /// x above 0, a · x at 0 and below.
    ///
    /// # Panics
    ///
    /// Where there are several slopes, and not as many as dimension 1 of `x` has places.
    #[track_caller]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        prelu(x, self.alpha.val())
    }
}

/// [`Prelu`] with the slopes `alpha`.
///
/// # Panics
///
/// As [`Prelu::forward`].
#[track_caller]
pub fn prelu<const D: usize>(x: Tensor<D>, alpha: Tensor<1>) -> Tensor<D> {
    let [slopes] = alpha.dims();
    let mut dims = [1; D];
    if slopes != 1 {
        assert!(D > 1 && x.dims()[1] == slopes, "prelu: {slopes} slopes for an input of {:?}", x.dims());
        dims[1] = slopes;
    }
    relu(x.clone()) - alpha.reshape(dims) * below(x)
}

/// −min(0, x), whose derivative at 0 is that of the left side.
fn below<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let rule = GradientRule::Heaviside { at_zero: 1.0 };
    ReluConfig::new().with_rule(rule).init().expect("1 is in 0..=1").forward(-x)
}
