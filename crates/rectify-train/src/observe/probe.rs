//! What is looked for in a layer's values: it depends on φ.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::activation::Activation;

/// Saturated is where |φ′| is under this part of its maximum.
pub const SATURATION: f64 = 0.05;

/// What a [`Trace`](super::Trace) looks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probe {
    /// φ of the hidden layers, where it is known.
    pub(super) activation: Option<Activation>,
    /// The intervals of z, without bound on one side, where |φ′(z)| is under [`SATURATION`] of its maximum; `None` where φ
    /// does not saturate.
    pub(super) flat: Option<Vec<(f64, f64)>>,
}

impl Probe {
    /// Finds where the activation is flat, from its own derivative on a grid of step 0.001 over −50..50. What holds at
    /// the grid's ends is taken to hold beyond them; where the derivative is not finite, it is not flat.
    pub fn new(activation: &Activation) -> Self {
        let flat = if activation.saturates() { flat(activation) } else { None };
        Self { activation: Some(activation.clone()), flat }
    }

    /// Whether zeros say something of φ. Of an activation that is not known, they are taken to.
    pub(super) fn counts_zeros(&self) -> bool {
        self.activation.as_ref().is_none_or(Activation::can_be_zero)
    }
}

fn flat(activation: &Activation) -> Option<Vec<(f64, f64)>> {
    let grid: Vec<f64> = (-50_000..=50_000).map(|i| f64::from(i) * 1e-3).collect();
    let device = Device::flex().autodiff();
    let data = TensorData::new(grid.clone(), [grid.len()]);
    let z = Tensor::<1>::from_data(data, (&device, DType::F64)).require_grad();
    let gradients = activation.init((&device, DType::F64)).forward(z.clone()).sum().backward();
    // Without a gradient the output does not depend on z: a constant has nothing to lose.
    let slopes: Vec<f64> = z.grad(&gradients)?.into_data().iter::<f64>().map(f64::abs).collect();
    let limit = SATURATION * slopes.iter().copied().filter(|slope| slope.is_finite()).fold(0.0, f64::max);

    let mut flat: Vec<(f64, f64)> = Vec::new();
    let mut begin = None;
    for (i, (&z, &slope)) in grid.iter().zip(&slopes).enumerate() {
        match (slope < limit, begin) {
            (true, None) => begin = Some(if i == 0 { f64::NEG_INFINITY } else { z }),
            (false, Some(low)) => {
                flat.push((low, z));
                begin = None;
            }
            _ => {}
        }
    }
    flat.extend(begin.map(|low| (low, f64::INFINITY)));
    // Where GELU and SiLU have their minimum they are flat too, but a unit that gets past it is as steep as before.
    flat.retain(|(low, high)| low.is_infinite() || high.is_infinite());
    Some(flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minimum_between_two_slopes_is_no_saturation() {
        let flat = |name: &str| Probe::new(&name.parse().unwrap()).flat.unwrap();
        for name in ["gelu", "silu", "mish", "hard-swish"] {
            let [(low, high)] = flat(name)[..] else { panic!("{name}: {:?}", flat(name)) };
            // Each has its minimum between −2 and −0.7.
            assert!(low == f64::NEG_INFINITY && high < -2.0, "{name}: {low} to {high}");
        }
        let [(_, low), (high, _)] = flat("sigmoid")[..] else { panic!("sigmoid has two tails") };
        assert!((low + 4.357).abs() < 2e-3 && (high - 4.357).abs() < 2e-3);
    }
}
