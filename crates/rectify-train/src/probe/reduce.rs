//! What a probe reduces tensors to, where they are: on Flex in one pass over the values, elsewhere by Burn's
//! operations.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use crate::memory::in_memory;

/// Sums over one layer's values: Σz, Σz², Σa, Σa² and how many z lie strictly inside of one of the intervals `flat`;
/// and for each unit the number of activations that are not zero. `z` and `a` are `[samples, units, values of a unit]`.
pub fn moments(z: Tensor<3>, a: Tensor<3>, flat: &[(f64, f64)]) -> (Tensor<1>, Tensor<1>) {
    let [_, units, plane] = z.dims();
    let one_pass = in_memory(&[&z, &a], |both| host::moments(both[0], both[1], [units, plane], flat));
    let Some((sums, alive)) = one_pass else {
        return operations::moments(z, a, flat);
    };
    let device = z.device();
    let sums = Tensor::from_data(TensorData::from(sums.map(|sum| sum as f32)), &device);
    (sums, Tensor::from_data(TensorData::new(alive, [units]), &device))
}

/// A number and a sum whose root times that number is the L2 norm of all the tensors together: the square of a vanished
/// gradient is no f32. `None` without tensors.
pub fn norm(tensors: Vec<Tensor<1>>) -> Option<Tensor<1>> {
    let squares = tensors.iter().map(|x| in_memory(&[x], |x| host::squares(x[0], None))).sum::<Option<f64>>();
    one_or_other(squares, tensors)
}

/// How far a weight moved in an update, and its length before, still on the device.
#[derive(Debug, Clone)]
pub struct Moved {
    pub(super) distance: Tensor<1>,
    pub(super) length: Tensor<1>,
}

impl Moved {
    /// From sums of squares in this process's memory.
    pub(crate) fn of_squares(distance: f64, length: f64, device: &Device) -> Self {
        let figure = |squares: f64| Tensor::from_data(TensorData::from([squares.sqrt() as f32, 1.0]), device);
        Self { distance: figure(distance), length: figure(length) }
    }

    /// `None` for an empty weight.
    pub fn between(before: Tensor<1>, after: Tensor<1>) -> Option<Self> {
        let squares = in_memory(&[&before, &after], |both| host::squares(both[1], Some(both[0])));
        let distance = match squares {
            Some(_) => one_or_other(squares, vec![after]),
            None => one_or_other(None, vec![after - before.clone()]),
        };
        Some(Self { distance: distance?, length: norm(vec![before])? })
    }
}

fn one_or_other(squares: Option<f64>, tensors: Vec<Tensor<1>>) -> Option<Tensor<1>> {
    let device = tensors.first()?.device();
    Some(match squares {
        Some(squares) => Tensor::from_data(TensorData::from([squares.sqrt() as f32, 1.0]), &device),
        None => operations::norm(tensors),
    })
}

/// One pass over values in memory. Sums are f64.
///
/// Functors and not closures, which the compiler need not inline into the code for the processor's vectors.
mod host {
    use pulp::{Arch, NullaryFnOnce};

    /// Partial sums side by side, so that the loops vectorise, in more than one vector, as each waits for the last sum.
    const LANES: usize = 32;

    pub fn moments(z: &[f32], a: &[f32], unit: [usize; 2], flat: &[(f64, f64)]) -> ([f64; 5], Vec<f32>) {
        Arch::new().dispatch(Moments { z, a, unit, flat })
    }

    struct Moments<'a> {
        z: &'a [f32],
        a: &'a [f32],
        /// Units, and values of each in a sample.
        unit: [usize; 2],
        flat: &'a [(f64, f64)],
    }

    impl NullaryFnOnce for Moments<'_> {
        type Output = ([f64; 5], Vec<f32>);

        #[inline(always)]
        fn call(self) -> Self::Output {
            let Self { z, a, unit: [units, plane], flat } = self;
            let mut alive = vec![0.0; units];
            for a in a.chunks_exact((units * plane).max(1)) {
                if plane == 1 {
                    for (alive, a) in alive.iter_mut().zip(a) {
                        *alive += if *a == 0.0 { 0.0 } else { 1.0 };
                    }
                } else {
                    for (alive, a) in alive.iter_mut().zip(a.chunks_exact(plane)) {
                        *alive += a.iter().map(|a| u32::from(*a != 0.0)).sum::<u32>() as f32;
                    }
                }
            }
            let [z1, z2] = powers(z);
            let [a1, a2] = powers(a);
            let mut inside = 0;
            for &(low, high) in flat {
                let (low, high) = (low as f32, high as f32);
                inside += z.iter().map(|&z| u32::from((z > low) & (z < high))).sum::<u32>();
            }
            ([z1, z2, a1, a2, f64::from(inside)], alive)
        }
    }

    /// Σx and Σx².
    #[inline(always)]
    fn powers(x: &[f32]) -> [f64; 2] {
        let (chunks, rest) = x.as_chunks::<LANES>();
        let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
        for chunk in chunks {
            for lane in 0..LANES {
                let x = f64::from(chunk[lane]);
                first[lane] += x;
                second[lane] += x * x;
            }
        }
        let rest = rest.iter().map(|&x| f64::from(x));
        [
            first.iter().sum::<f64>() + rest.clone().sum::<f64>(),
            second.iter().sum::<f64>() + rest.map(|x| x * x).sum::<f64>(),
        ]
    }

    /// Σ(x − minus)².
    pub fn squares(x: &[f32], minus: Option<&[f32]>) -> f64 {
        Arch::new().dispatch(Squares { x, minus })
    }

    struct Squares<'a> {
        x: &'a [f32],
        minus: Option<&'a [f32]>,
    }

    impl NullaryFnOnce for Squares<'_> {
        type Output = f64;

        #[inline(always)]
        fn call(self) -> f64 {
            let Some(minus) = self.minus else {
                return powers(self.x)[1];
            };
            let (x, x_rest) = self.x.as_chunks::<LANES>();
            let (minus, minus_rest) = minus.as_chunks::<LANES>();
            let mut sums = [0.0; LANES];
            for (x, minus) in x.iter().zip(minus) {
                for lane in 0..LANES {
                    let moved = f64::from(x[lane] - minus[lane]);
                    sums[lane] += moved * moved;
                }
            }
            let rest = x_rest.iter().zip(minus_rest).map(|(x, minus)| f64::from(x - minus).powi(2));
            sums.iter().sum::<f64>() + rest.sum::<f64>()
        }
    }
}

/// The same by Burn's operations.
mod operations {
    use super::{Bool, DType, Tensor};

    pub fn moments(z: Tensor<3>, a: Tensor<3>, flat: &[(f64, f64)]) -> (Tensor<1>, Tensor<1>) {
        let [_, units, _] = z.dims();
        let count = |mask: Tensor<3, Bool>| mask.float().cast(z.dtype()).sum();
        let flat = flat
            .iter()
            .map(|&(low, high)| count(z.clone().greater_elem(low).bool_and(z.clone().lower_elem(high))))
            .reduce(|a, b| a + b)
            .unwrap_or_else(|| Tensor::zeros([1], (&z.device(), z.dtype())));
        let sums = vec![z.clone().sum(), z.clone().square().sum(), a.clone().sum(), a.clone().square().sum(), flat];
        let alive = a.not_equal_elem(0.0).float().cast(z.dtype()).sum_dim(2).sum_dim(0);
        (Tensor::cat(sums, 0), alive.reshape([units]))
    }

    pub fn norm(tensors: Vec<Tensor<1>>) -> Tensor<1> {
        let tensor = Tensor::cat(tensors, 0).cast(DType::F32);
        let largest = tensor.clone().abs().max().clamp_min(f32::MIN_POSITIVE);
        let sum = (tensor / largest.clone()).square().sum();
        Tensor::cat(vec![largest, sum], 0)
    }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn close(one: Tensor<1>, other: Tensor<1>) {
        one.into_data().assert_approx_eq::<f32>(&other.into_data(), burn::tensor::Tolerance::relative(1e-4));
    }

    #[test]
    fn one_pass_finds_what_operations_find() {
        let flat = [(f64::NEG_INFINITY, -1.0), (0.5, 0.75)];
        for [rows, units, plane] in [[1, 1, 1], [3, 7, 1], [129, 127, 1], [64, 128, 1], [3, 5, 49], [2, 1, 33]] {
            let shape = [rows, units, plane];
            let random = || Tensor::<3>::random(shape, Distribution::Normal(0.3, 1.0), &Device::flex());
            let (z, a) = (random(), rectify::relu(random()));
            let (sums, alive) = moments(z.clone(), a.clone(), &flat);
            let (expected_sums, expected_alive) = operations::moments(z.clone(), a.clone(), &flat);
            close(sums, expected_sums);
            close(alive, expected_alive);

            let parts = || vec![z.clone().reshape([rows * units * plane]), a.clone().reshape([rows * units * plane])];
            let length = |x: Tensor<1>| x.clone().narrow(0, 0, 1) * x.narrow(0, 1, 1).sqrt();
            close(length(norm(parts()).unwrap()), length(operations::norm(parts())));
            let moved = Moved::between(parts().remove(0), parts().remove(1)).unwrap();
            close(
                length(moved.distance.clone()),
                length(operations::norm(vec![(a.clone() - z.clone()).reshape([rows * units * plane])])),
            );
        }
    }

    #[test]
    fn strided_tensors_and_other_types_are_not_misread() {
        let x = Tensor::<3>::from_floats([[[1.0], [0.0], [3.0]], [[0.0], [0.0], [6.0]]], &Device::flex());
        for (x, alive) in [(x.clone().swap_dims(0, 1), vec![2.0, 1.0]), (x.cast(DType::F64), vec![1.0, 0.0, 2.0])] {
            let (sums, found) = moments(x.clone(), x, &[]);
            assert_eq!(sums.into_data().iter::<f64>().collect::<Vec<_>>(), [10.0, 46.0, 10.0, 46.0, 0.0]);
            assert_eq!(found.into_data().iter::<f64>().collect::<Vec<_>>(), alive);
        }
    }

    #[test]
    fn vanished_values_have_a_norm() {
        let x = Tensor::<1>::from_floats([3e-30, -4e-30], &Device::flex());
        let found: Vec<f64> = norm(vec![x]).unwrap().into_data().iter().collect();
        assert!((found[0] * found[1].sqrt() / 5e-30 - 1.0).abs() < 1e-5);
        assert!(norm(Vec::new()).is_none());
    }
}
