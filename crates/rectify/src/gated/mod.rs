//! Gated linear units: one half of the input, times an activation of the other half.

mod backward;
#[cfg(feature = "flex")]
mod flex;

use burn::{backend::Dispatch, tensor::Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    activation::{Activation, Gelu, Sigmoid, Silu, module},
    operands::{Operands, constant, float},
};
use backward::GatedOps as _;

/// a ⊗ φ(b), where a is the first half of the input along a dimension and b, the gate, is the second one.
///
/// | name | φ | paper |
/// |---|---|---|
/// | GLU | sigmoid | Dauphin et al. 2017, *Language modeling with gated convolutional networks* |
/// | SwiGLU | SiLU | Shazeer 2020, *GLU variants improve transformer* |
/// | GEGLU | GELU | the same |
///
/// The gate is the second half, as in PyTorch's `glu`; Shazeer writes it first, which exchanges the halves of the layer
/// before. Burn's `SwiGlu` has its linear layers inside.
///
/// It keeps its input, and is one step of a backward pass. On Flex that is a kernel each way, which computes half types in
/// f32 and rounds once; elsewhere it is the activation's kernel and Burn's operations. A gradient needs φ(b) and φ′(b),
/// which for GLU are of one exponential, each within two units in the last place.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use rectify::Gated;
///
/// let x = Tensor::<2>::from_floats([[3.0, 4.0, 0.0, 0.0]], &Device::flex());
/// let y = Gated::glu().forward(x);
/// assert_eq!(y.into_data().to_vec::<f32>().unwrap(), [1.5, 2.0]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gated {
    /// φ.
    pub gate: Activation,
    /// The dimension that is halved; negative ones count from the end.
    pub dim: isize,
}

impl Gated {
    /// GLU along the last dimension.
    pub fn glu() -> Self {
        Self { gate: Sigmoid.into(), dim: -1 }
    }

    /// SwiGLU along the last dimension.
    pub fn swiglu() -> Self {
        Self { gate: Silu.into(), dim: -1 }
    }

    /// GEGLU along the last dimension.
    pub fn geglu() -> Self {
        Self { gate: Gelu.into(), dim: -1 }
    }

    /// a ⊗ φ(b).
    ///
    /// # Panics
    ///
    /// Where there is no such dimension, or its size is odd.
    #[track_caller]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let dim = self.place(x.dims());
        Tensor::from_dispatch(Dispatch::rectify_gated(float(x), self.gate, dim))
    }

    /// The gradient of x where that of the output is `grad`: what autodiff computes, for a backward pass that is written by
    /// hand. It tracks nothing.
    ///
    /// # Shapes
    ///
    /// - x and what is given back: the same
    /// - grad: half as many along the dimension
    ///
    /// # Panics
    ///
    /// Where `grad` is of another shape, or not of the type and device of `x`; and as [`Self::forward`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use rectify::Gated;
    ///
    /// let device = Device::flex();
    /// let x = Tensor::<1>::from_floats([4.0, 0.0], &device);
    /// let gradient = Gated::glu().backward(x, Tensor::ones([1], &device));
    /// assert_eq!(gradient.into_data().to_vec::<f32>().unwrap(), [0.5, 1.0]);
    /// ```
    #[track_caller]
    pub fn backward<const D: usize>(&self, x: Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
        let (x, grad) = (constant(x), constant(grad));
        let (dim, mut half) = (self.place(x.dims()), x.dims());
        half[dim] /= 2;
        Operands::like("Gated::backward", &x).check("grad", &grad, half);
        let (x, grad) = (x.into_dispatch(), grad.into_dispatch());
        Tensor::from_dispatch(Dispatch::rectify_gated_backward(x, grad, self.gate, dim))
    }

    /// The dimension from the front.
    #[track_caller]
    fn place<const D: usize>(&self, dims: [usize; D]) -> usize {
        let dim = if self.dim < 0 { self.dim + D as isize } else { self.dim };
        let dim = usize::try_from(dim).unwrap_or(D);
        assert!(dim < D, "Gated: dimension {} of a tensor of rank {D}", self.dim);
        let size = dims[dim];
        assert!(size.is_multiple_of(2), "Gated: dimension {dim} has the odd size {size}");
        dim
    }
}

module::constant!(Gated);

/// [`Gated::glu`] along a dimension.
#[track_caller]
pub fn glu<const D: usize>(x: Tensor<D>, dim: isize) -> Tensor<D> {
    Gated { dim, ..Gated::glu() }.forward(x)
}

/// [`Gated::swiglu`] along a dimension.
#[track_caller]
pub fn swiglu<const D: usize>(x: Tensor<D>, dim: isize) -> Tensor<D> {
    Gated { dim, ..Gated::swiglu() }.forward(x)
}

/// [`Gated::geglu`] along a dimension.
#[track_caller]
pub fn geglu<const D: usize>(x: Tensor<D>, dim: isize) -> Tensor<D> {
    Gated { dim, ..Gated::geglu() }.forward(x)
}
