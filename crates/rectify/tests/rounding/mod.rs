//! What a layer computed in f32, against the same in f64 and within what rounding explains.

use burn::{
    module::Param,
    tensor::{DType, Device, Tensor, TensorData},
};
use rectify::{Activation, FusedActivation};

/// `x` in f64, on the device of the reference.
pub fn wide<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    Tensor::from_data(x.to_data().convert::<f64>(), (&Device::flex().autodiff(), DType::F64))
}

/// A layer's parameter in f64, and its magnitude.
pub fn wide_parameter<const D: usize>(x: &Param<Tensor<D>>) -> [Param<Tensor<D>>; 2] {
    let x = wide(&x.val());
    [x.clone(), x.abs()].map(Param::from_tensor)
}

/// A bound for the rounding of each sum of `magnitudes`, that is, of Σ|a·b| where the layer sums a·b.
///
/// Sums in f32 are off by a few units of Σ|a·b|, in whatever order they are added. A gradient is off as well by what
/// the pre-activation's rounding changes in φ′, and |φ″| is at most about 1.
pub fn bounds(magnitudes: &[TensorData; 4]) -> [Vec<f64>; 4] {
    let largest = magnitudes[0].iter::<f64>().fold(0.0, f64::max);
    let units = 4.0 * f64::from(f32::EPSILON) * (1.0 + largest);
    magnitudes.each_ref().map(|of| of.iter::<f64>().map(|magnitude| units * (1.0 + magnitude)).collect())
}

/// Where φ′ jumps, so that an input rounded to the other side has another gradient, and a right one.
fn kinks(activation: FusedActivation) -> &'static [f64] {
    match activation {
        FusedActivation::Relu(_) => &[0.0],
        FusedActivation::Function(Activation::HardTanh(_)) => &[-0.75, 0.5],
        _ => &[],
    }
}

/// Whether any of the pre-activations may have been rounded to the other side of a kink.
pub fn is_near_kink(z: &TensorData, bounds: &[f64], activation: FusedActivation) -> bool {
    let near = |(z, bound): (f64, &f64)| kinks(activation).iter().any(|kink| (z - kink).abs() <= *bound);
    z.iter::<f64>().zip(bounds).any(near)
}

pub fn assert_rounded(found: &[TensorData; 4], exact: &[TensorData; 4], bounds: &[Vec<f64>; 4], what: &str) {
    for (((found, exact), bounds), part) in
        found.iter().zip(exact).zip(bounds).zip(["output", "gradient of x", "gradient of W", "gradient of b"])
    {
        assert_eq!(found.shape(), exact.shape(), "{what}: {part}");
        for (at, ((found, exact), bound)) in found.iter::<f64>().zip(exact.iter::<f64>()).zip(bounds).enumerate() {
            assert!((found - exact).abs() <= *bound, "{what}: {part}[{at}] is {found}, not {exact} ± {bound:e}");
        }
    }
}
