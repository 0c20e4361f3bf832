//! Parametric ReLU, whose slope learns, and what else is a ReLU with slopes that are a tensor.

mod backward;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;

use burn::{
    backend::Dispatch,
    config::Config,
    module::{Module, Param},
    tensor::{Device, Tensor},
};

use crate::operands::{Operands, constant, float};
use backward::PreluOps as _;

/// x above 0, a · x at 0 and below, with a slope a that learns: one for all, or one for each channel (dimension 1).
///
/// The derivative by x is 1 for x > 0, otherwise a, and by a it is min(0, x), summed; PyTorch's convention. NaN gives NaN,
/// zeros keep their sign for a positive a, and so does ±∞. Keeps its input and the slopes.
///
/// On Flex and on GPUs it is a kernel of its own each way, which computes half types in f32; elsewhere it is Burn's
/// operations.
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
    /// Where there are several slopes, and not as many as dimension 1 of `x` has places; where they are not of the type of
    /// `x`, as in mixed precision with parameters in f32.
    #[track_caller]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        prelu(x, self.alpha.val())
    }

    /// The gradients of x and of [`alpha`](Self::alpha) where that of the output is `grad`: what autodiff computes, for a
    /// backward pass that is written by hand. It tracks nothing. With one slope in place where nobody else holds `grad`.
    ///
    /// # Shapes
    ///
    /// - x, grad and the first of what is given back: the same
    /// - the second: alpha's
    ///
    /// # Panics
    ///
    /// Where `grad` is not of the shape, type and device of `x`; and as [`Self::forward`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use rectify::PreluConfig;
    ///
    /// let device = Device::flex();
    /// let x = Tensor::<1>::from_floats([-2.0, 3.0], &device);
    /// let (by_x, by_alpha) = PreluConfig::new().init(&device).backward(x.clone(), x.ones_like());
    /// assert_eq!(by_x.into_data().to_vec::<f32>().unwrap(), [0.25, 1.0]);
    /// assert_eq!(by_alpha.into_data().to_vec::<f32>().unwrap(), [-2.0]);
    /// ```
    #[track_caller]
    pub fn backward<const D: usize>(&self, x: Tensor<D>, grad: Tensor<D>) -> (Tensor<D>, Tensor<1>) {
        let (x, grad, alpha) = (constant(x), constant(grad), constant(self.alpha.val()));
        Operands::like("Prelu::backward", &x).check("grad", &grad, x.dims());
        let [x, slopes, grad] = [x.clone(), laid_along(alpha, &x), grad].map(Tensor::into_dispatch);
        let by_slopes = Dispatch::rectify_prelu_slopes_backward(x.clone(), slopes.clone(), grad.clone());
        let by_x = Dispatch::rectify_prelu_backward(x, slopes, grad);
        (Tensor::from_dispatch(by_x), Tensor::<D>::from_dispatch(by_slopes).flatten(0, D - 1))
    }
}

/// [`Prelu`] with the slopes `alpha`.
///
/// # Panics
///
/// As [`Prelu::forward`], and where `alpha` is not of the type of `x`.
#[track_caller]
pub fn prelu<const D: usize>(x: Tensor<D>, alpha: Tensor<1>) -> Tensor<D> {
    let slopes = laid_along(alpha, &x);
    with_slopes(x, slopes)
}

/// The slopes in the rank of x, along dimension 1 if there are several.
#[track_caller]
fn laid_along<const D: usize>(alpha: Tensor<1>, x: &Tensor<D>) -> Tensor<D> {
    let [slopes] = alpha.dims();
    let mut dims = [1; D];
    if slopes != 1 {
        assert!(D > 1 && x.dims()[1] == slopes, "prelu: {slopes} slopes for an input of {:?}", x.dims());
        dims[1] = slopes;
    }
    let (expected, found) = (x.dtype(), alpha.dtype());
    assert!(found == expected, "prelu: `alpha` is of {found:?}, and x is of {expected:?}");
    if slopes == 0 {
        // Burn's `reshape` takes a 0 for what the dimension was.
        return Tensor::zeros(dims, (&alpha.device(), expected));
    }
    alpha.reshape(dims)
}

/// x above 0, slope · x at 0 and below. The slopes are of the type of x, and of its size or 1 in each dimension.
pub(crate) fn with_slopes<const D: usize>(x: Tensor<D>, slopes: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::rectify_prelu(float(x), float(slopes)))
}
