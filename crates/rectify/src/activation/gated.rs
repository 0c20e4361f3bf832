//! Gated linear units: one half of the input, times an activation of the other half.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Activation, Gelu, Sigmoid, Silu, module};

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
        let dim = if self.dim < 0 { self.dim + D as isize } else { self.dim };
        let dim = usize::try_from(dim).unwrap_or(D);
        assert!(dim < D, "Gated: dimension {} of a tensor of rank {D}", self.dim);
        let size = x.dims()[dim];
        assert!(size.is_multiple_of(2), "Gated: dimension {dim} has the odd size {size}");
        let (a, b) = (x.clone().narrow(dim, 0, size / 2), x.narrow(dim, size / 2, size / 2));
        a * self.gate.forward(b)
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
