//! What tensors are reduced to, where they are: on Flex in one pass over the values, elsewhere by Burn's operations.
//!
//! Both are right for any finite values, however large or small, and say how many are not finite.

use burn::tensor::{DType, Tensor};

use serde::{Deserialize, Serialize};

use super::host;
use crate::{memory::in_memory, record::float};

/// Some numbers. Of tensors in this process's memory they are there at once; others are read back from their device, all
/// together and later.
#[derive(Debug, Clone)]
pub enum Numbers {
    Here(Vec<f64>),
    OnDevice(Box<Tensor<1>>),
}

impl Numbers {
    pub fn on_device(tensor: Tensor<1>) -> Self {
        Self::OnDevice(Box::new(tensor))
    }

    /// The first values of a tensor, at most so many.
    pub fn sample(tensor: Tensor<1>, most: usize) -> Self {
        let count = tensor.shape().num_elements().min(most);
        match in_memory(&[&tensor], |x| x[0][..count].iter().copied().map(f64::from).collect()) {
            Some(values) => Self::Here(values),
            None => Self::on_device(wide(tensor.narrow(0, 0, count))),
        }
    }
}

/// Reads all of them, in their order, by one read-back at most.
pub fn read(all: Vec<Numbers>) -> Vec<Vec<f64>> {
    let on_device = all.iter().filter_map(|numbers| match numbers {
        Numbers::OnDevice(tensor) => Some(Tensor::clone(tensor)),
        Numbers::Here(_) => None,
    });
    let tensors: Vec<Tensor<1>> = on_device.collect();
    let mut values = Vec::new();
    if !tensors.is_empty() {
        // The widest, so that nothing overflows.
        let f64 = tensors.iter().any(|tensor| tensor.dtype() == DType::F64);
        let dtype = if f64 { DType::F64 } else { DType::F32 };
        let tensors = tensors.into_iter().map(|tensor| tensor.cast(dtype)).collect();
        values = Tensor::cat(tensors, 0).into_data().iter::<f64>().collect();
    }
    let mut values = values.into_iter();
    let numbers = |numbers| match numbers {
        Numbers::Here(numbers) => numbers,
        Numbers::OnDevice(tensor) => values.by_ref().take(tensor.shape().num_elements()).collect(),
    };
    all.into_iter().map(numbers).collect()
}

/// In f32 at least: the sums and squares of a half type would overflow.
pub fn wide<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.dtype() == DType::F64 { x } else { x.cast(DType::F32) }
}

/// Σ(x / scale) and Σ(x / scale)² over some values, and how many of these are not finite. The scale keeps squares, of
/// which that of a vanished gradient is no f32, within range. Where a value is not finite, neither is Σ(x / scale)².
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sums {
    pub scale: f64,
    pub first: f64,
    pub second: f64,
    pub nonfinite: f64,
}

impl Sums {
    /// How many numbers one is.
    pub const NUMBERS: usize = 4;
    pub const ZERO: Self = Self { scale: 1.0, first: 0.0, second: 0.0, nonfinite: 0.0 };

    pub fn to_vec(self) -> Vec<f64> {
        vec![self.scale, self.first, self.second, self.nonfinite]
    }

    /// From the first [`NUMBERS`](Self::NUMBERS) of `numbers`.
    pub fn from_slice(numbers: &[f64]) -> Self {
        Self { scale: numbers[0], first: numbers[1], second: numbers[2], nonfinite: numbers[3] }
    }

    /// Over both.
    pub fn join(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        let [a, b] = [self.scale / scale, other.scale / scale];
        Self {
            scale,
            first: self.first * a + other.first * b,
            second: self.second * (a * a) + other.second * (b * b),
            nonfinite: self.nonfinite + other.nonfinite,
        }
    }

    /// Of so many values; `None` where there are none, or not all finite. So are the others.
    pub fn mean(self, values: usize) -> Option<f64> {
        finite(self.scale * (self.first / values as f64)).filter(|_| self.nonfinite == 0.0)
    }

    /// Standard deviation, √(mean of squares − squared mean).
    pub fn std(self, values: usize) -> Option<f64> {
        let mean = self.first / values as f64;
        let variance = self.second / values as f64 - mean * mean;
        // Rounding makes the variance of equal values negative. A comparison, as `max` would make 0 of NaN.
        let variance = if variance < 0.0 { 0.0 } else { variance };
        finite(self.scale * variance.sqrt()).filter(|_| self.nonfinite == 0.0)
    }

    /// L2 norm.
    pub fn norm(self) -> Option<f64> {
        finite(self.scale * self.second.sqrt()).filter(|_| self.nonfinite == 0.0)
    }

    /// Root mean square.
    pub fn rms(self, values: usize) -> Option<f64> {
        finite(self.norm()? / (values as f64).sqrt())
    }
}

pub fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// What a layer's values before and after its activation are reduced to.
#[derive(Debug)]
pub struct Moments {
    /// [`Sums`] of z, [`Sums`] of a, and how many z lie strictly inside of one of the intervals `flat`.
    pub sums: Numbers,
    /// For each unit the number of activations that are not zero.
    pub nonzero: Numbers,
    /// For each unit Σ|a|.
    pub sizes: Numbers,
}

impl Moments {
    /// Of no values.
    pub fn none() -> Self {
        let none = Sums::ZERO.to_vec();
        Self {
            sums: Numbers::Here([none.clone(), none, vec![0.0]].concat()),
            nonzero: Numbers::Here(Vec::new()),
            sizes: Numbers::Here(Vec::new()),
        }
    }

    /// `z` and `a` are `[samples, units, values of a unit]`.
    pub fn of(z: Tensor<3>, a: Tensor<3>, flat: &[(f64, f64)]) -> Self {
        let [_, units, plane] = z.dims();
        match in_memory(&[&z, &a], |both| host::moments(both[0], both[1], [units, plane], flat)) {
            Some((of_z, of_a, inside, [nonzero, sizes])) => Self {
                sums: Numbers::Here([of_z.to_vec(), of_a.to_vec(), vec![f64::from(inside)]].concat()),
                nonzero: Numbers::Here(nonzero.into_iter().map(f64::from).collect()),
                sizes: Numbers::Here(sizes.into_iter().map(f64::from).collect()),
            },
            None => {
                let [sums, nonzero, sizes] = operations::moments(z, a, flat).map(Numbers::on_device);
                Self { sums, nonzero, sizes }
            }
        }
    }
}

/// A tensor's L2 norm.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "StoredNorm", into = "StoredNorm")]
pub struct Norm {
    /// [`Sums`], without the first.
    pub(super) sums: Numbers,
    pub(super) values: usize,
}

impl Norm {
    /// Of all the tensor's values.
    pub fn of(tensor: Tensor<1>) -> Self {
        let values = tensor.shape().num_elements();
        let sums = if values == 0 { Some(Sums::ZERO) } else { in_memory(&[&tensor], |x| host::squares(x[0], None)) };
        match sums {
            Some(sums) => Self::of_sums(sums, values),
            None => Self { sums: Numbers::on_device(operations::sums(tensor)), values },
        }
    }

    /// The norms as numbers, by one read-back at most; `None` where a value is not finite.
    pub fn read(norms: &[Self]) -> Vec<Option<f64>> {
        let all = read(norms.iter().map(|norm| norm.sums.clone()).collect());
        all.iter().map(|numbers| Sums::from_slice(numbers).norm()).collect()
    }

    /// From the sums over so many values.
    pub(crate) fn of_sums(sums: Sums, values: usize) -> Self {
        Self { sums: Numbers::Here(sums.to_vec()), values }
    }
}

/// A norm in a file: [`Sums`] without the first, and over how many values.
#[derive(Serialize, Deserialize)]
struct StoredNorm {
    #[serde(with = "float::one")]
    scale: f64,
    #[serde(with = "float::one")]
    second: f64,
    nonfinite: f64,
    values: usize,
}

impl From<Norm> for StoredNorm {
    fn from(Norm { sums, values }: Norm) -> Self {
        let Sums { scale, second, nonfinite, .. } = Sums::from_slice(&read(vec![sums])[0]);
        Self { scale, second, nonfinite, values }
    }
}

impl From<StoredNorm> for Norm {
    fn from(StoredNorm { scale, second, nonfinite, values }: StoredNorm) -> Self {
        Self::of_sums(Sums { scale, first: 0.0, second, nonfinite }, values)
    }
}

/// How far a weight moved in an update, and its length before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moved {
    pub(crate) distance: Norm,
    pub(crate) length: Norm,
}

impl Moved {
    /// Of a weight before and after.
    pub fn between(before: Tensor<1>, after: Tensor<1>) -> Self {
        let sums = in_memory(&[&before, &after], |both| host::squares(both[1], Some(both[0])));
        let distance = match sums {
            Some(sums) => Norm::of_sums(sums, before.shape().num_elements()),
            None => Norm::of(after - before.clone()),
        };
        Self { distance, length: Norm::of(before) }
    }
}

/// The same by Burn's operations.
mod operations {
    use burn::tensor::{Bool, DType, Tensor};

    use super::wide;

    pub fn moments(z: Tensor<3>, a: Tensor<3>, flat: &[(f64, f64)]) -> [Tensor<1>; 3] {
        let [_, units, _] = z.dims();
        let flat = flat
            .iter()
            .map(|&(low, high)| count(z.clone().greater_elem(low).bool_and(z.clone().lower_elem(high)), z.dtype()))
            .reduce(|a, b| a + b)
            .unwrap_or_else(|| Tensor::zeros([1], (&z.device(), z.dtype())));
        let nonzero = a.clone().not_equal_elem(0.0).float().cast(z.dtype()).sum_dim(2).sum_dim(0);
        let sizes = a.clone().abs().sum_dim(2).sum_dim(0);
        let line = |x: Tensor<3>| x.flatten::<1>(0, 2);
        let [nonzero, sizes] = [nonzero, sizes].map(|x| x.reshape([units]));
        [Tensor::cat(vec![sums(line(z)), sums(line(a)), flat], 0), nonzero, sizes]
    }

    fn count<const D: usize>(mask: Tensor<D, Bool>, dtype: DType) -> Tensor<1> {
        mask.float().cast(dtype).sum()
    }

    /// [`Sums`](super::Sums) of a tensor that is not empty.
    pub fn sums(x: Tensor<1>) -> Tensor<1> {
        let x = wide(x);
        let (smallest, largest) = match x.dtype() {
            DType::F64 => (f64::MIN_POSITIVE, f64::MAX),
            _ => (f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX)),
        };
        // By an order that NaN has no part in, as what a GPU makes of `x != x` is up to its compiler.
        let nonfinite = count(x.clone().abs().lower_equal_elem(largest).bool_not(), x.dtype());
        // Backends disagree on the largest of values with NaN among them; the squares are NaN either way.
        let scale = x.clone().abs().max().clamp_min(smallest);
        let scaled = x / scale.clone();
        Tensor::cat(vec![scale, scaled.clone().sum(), scaled.square().sum(), nonfinite], 0)
    }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::backend;

    /// Devices whose tensors are reduced by Burn's operations, as far as this machine has them.
    fn elsewhere() -> Vec<Device> {
        let devices: Vec<Device> =
            ["ndarray", "wgpu"].into_iter().filter_map(|name| backend::open(name).ok()).collect();
        assert!(
            !devices.is_empty() && (devices.len() == 2 || std::env::var_os("CI").is_none()),
            "a backend is missing"
        );
        devices
    }

    fn here(numbers: &Numbers) -> bool {
        matches!(numbers, Numbers::Here(_))
    }

    #[track_caller]
    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-4 * expected.abs(), "{found}, not {expected}");
    }

    fn sums(norm: Norm) -> Sums {
        Sums::from_slice(&read(vec![norm.sums])[0])
    }

    fn on(device: &Device, values: &[f32]) -> Tensor<1> {
        Tensor::from_data(burn::tensor::TensorData::new(values.to_vec(), [values.len()]), (device, DType::F32))
    }

    #[test]
    fn one_pass_finds_what_operations_find() {
        let flat = [(f64::NEG_INFINITY, -1.0), (0.5, 0.75)];
        for [rows, units, plane] in [[1, 1, 1], [3, 7, 1], [129, 127, 1], [64, 128, 1], [3, 5, 49], [2, 1, 33]] {
            let (shape, values) = ([rows, units, plane], rows * units * plane);
            let random = || Tensor::<3>::random(shape, Distribution::Normal(0.3, 1.0), &Device::flex());
            let (z, a) = (random(), rectify::relu(random()));
            let found = Moments::of(z.clone(), a.clone(), &flat);
            assert!(here(&found.sums) && here(&found.nonzero) && here(&found.sizes));
            let found = read(vec![found.sums, found.nonzero, found.sizes]);
            let expected = read(operations::moments(z.clone(), a.clone(), &flat).map(Numbers::on_device).into());
            for at in [0, Sums::NUMBERS] {
                let [found, expected] = [&found, &expected].map(|numbers| Sums::from_slice(&numbers[0][at..]));
                close(found.mean(values).unwrap(), expected.mean(values).unwrap());
                // The deviation of a single value is rounding.
                assert!((found.std(values).unwrap() - expected.std(values).unwrap()).abs() < 1e-3);
                close(found.rms(values).unwrap(), expected.rms(values).unwrap());
                assert_eq!((found.nonfinite, expected.nonfinite), (0.0, 0.0));
            }
            assert_eq!((found[0][2 * Sums::NUMBERS], &found[1]), (expected[0][2 * Sums::NUMBERS], &expected[1]));
            found[2].iter().zip(&expected[2]).for_each(|(found, expected)| close(*found, *expected));

            let [before, after] = [z, a].map(|x| x.reshape([values]));
            let distance = operations::sums(after.clone() - before.clone());
            let moved = Moved::between(before.clone(), after);
            for (found, expected) in [(moved.distance, distance), (moved.length, operations::sums(before))] {
                assert!(here(&found.sums));
                let expected = sums(Norm { sums: Numbers::on_device(expected), values });
                close(sums(found).norm().unwrap(), expected.norm().unwrap());
            }
        }
    }

    #[test]
    fn numbers_are_read_in_their_order_wherever_they_are_and_in_the_widest_type() {
        let on_device = |values: &[f32]| Numbers::on_device(on(&Device::flex(), values));
        let large = Tensor::<1>::from_data([1e200f64], (&Device::flex(), DType::F64));
        let all = vec![
            on_device(&[1.0, 2.0]),
            Numbers::Here(vec![3.0]),
            on_device(&[4.0]),
            Numbers::on_device(large.clone()),
            Numbers::sample(large, 5),
            Numbers::sample(on(&Device::flex(), &[5.0, 6.0, 7.0]), 2),
        ];
        assert_eq!(read(all), [vec![1.0, 2.0], vec![3.0], vec![4.0], vec![1e200], vec![1e200], vec![5.0, 6.0]]);
        assert!(read(Vec::new()).is_empty());
    }

    #[test]
    fn strided_tensors_and_other_types_are_not_misread() {
        let x = Tensor::<3>::from_floats([[[1.0], [0.0], [3.0]], [[0.0], [0.0], [6.0]]], &Device::flex());
        for (x, nonzero) in [(x.clone().swap_dims(0, 1), vec![2.0, 1.0]), (x.cast(DType::F64), vec![1.0, 0.0, 2.0])] {
            let moments = Moments::of(x.clone(), x, &[]);
            let [numbers, found] = read(vec![moments.sums, moments.nonzero]).try_into().unwrap();
            assert_eq!(found, nonzero);
            let sums = Sums::from_slice(&numbers);
            close(sums.mean(6).unwrap(), 10.0 / 6.0);
            close(sums.rms(6).unwrap(), (46.0f64 / 6.0).sqrt());
        }
    }

    #[test]
    fn vanished_and_exploded_values_have_a_mean_a_deviation_and_a_norm_on_every_backend() {
        for device in [vec![Device::flex()], elsewhere()].concat() {
            for scale in [1e-37, 1e-30, 1e-14, 1.0, 1e18, 5e37] {
                let x = on(&device, &[3.0 * scale, -4.0 * scale]);
                let scale = f64::from(scale);
                close(sums(Norm::of(x.clone())).norm().unwrap() / scale, 5.0);
                let x = x.reshape([2, 1, 1]);
                let sums = Sums::from_slice(&read(vec![Moments::of(x.clone(), x, &[]).sums])[0]);
                close(sums.mean(2).unwrap() / scale, -0.5);
                close(sums.std(2).unwrap() / scale, 3.5);
            }
        }
        // In f64 too, which one pass does not take.
        for scale in [1e-300, 1e-200, 1e200, 1e307] {
            let x = Tensor::<1>::from_data([3.0 * scale, -4.0 * scale], (&Device::flex(), DType::F64));
            close(sums(Norm::of(x)).norm().unwrap() / scale, 5.0);
        }
        // Among others that have not.
        let mut values = vec![1e-30f32; 2 * host::BLOCK];
        values[0] = 1.0;
        let expected = 1.0 + 2047.0 * 1e-60;
        assert!((host::squares(&values, None).second - expected).abs() < 1e-6);
    }

    #[test]
    fn values_that_are_not_finite_are_counted_and_leave_no_number_on_every_backend() {
        for device in [vec![Device::flex()], elsewhere()].concat() {
            for (bad, at) in [(f32::NAN, 0), (f32::INFINITY, 1500), (f32::NEG_INFINITY, 2999)] {
                let mut values: Vec<f32> = (0..3000).map(|i| (i as f32).sin()).collect();
                values[at] = bad;
                values[7] = bad;
                let count = if at == 7 { 1.0 } else { 2.0 };
                let x = on(&device, &values);
                let norm = sums(Norm::of(x.clone()));
                assert_eq!((norm.norm(), norm.rms(3000), norm.nonfinite), (None, None, count), "{bad}");
                let x = x.reshape([30, 100, 1]);
                let fine = Tensor::ones_like(&x);
                let numbers = &read(vec![Moments::of(x, fine, &[]).sums])[0];
                let [z, a] = [0, Sums::NUMBERS].map(|at| Sums::from_slice(&numbers[at..]));
                assert_eq!((z.mean(3000), z.std(3000), z.nonfinite), (None, None, count), "{bad}");
                assert_eq!((a.mean(3000), a.std(3000), a.nonfinite), (Some(1.0), Some(0.0), 0.0));
            }
        }
    }

    #[test]
    fn sums_of_different_scales_join() {
        let of = |scale: f64, x: f64| Sums { scale, first: x / scale, second: (x / scale).powi(2), nonfinite: 0.0 };
        for (a, b) in [(of(1.0, 3.0), of(1.0, 4.0)), (of(0.25, 3.0), of(8.0, 4.0)), (of(8.0, 4.0), of(0.25, 3.0))] {
            close(a.join(b).norm().unwrap(), 5.0);
            close(a.join(b).mean(2).unwrap(), 3.5);
            close(a.join(b).std(2).unwrap(), 0.5);
        }
        let nan = Sums { second: f64::NAN, nonfinite: 1.0, ..Sums::ZERO };
        assert_eq!((nan.join(of(1e30, 1.0)).norm(), of(1e30, 1.0).join(nan).std(2)), (None, None));
    }
}
