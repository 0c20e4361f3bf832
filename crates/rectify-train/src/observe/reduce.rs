//! What a probe reduces tensors to, where they are: on Flex in one pass over the values, elsewhere by Burn's
//! operations.

use burn::tensor::{Bool, DType, Tensor};

use serde::{Deserialize, Serialize};

use crate::{memory::in_memory, record::float};

/// Some numbers. Of tensors in this process's memory they are there at once; others are read back from their device, all
/// together and later.
#[derive(Debug, Clone)]
pub enum Figure {
    Here(Vec<f64>),
    OnDevice(Box<Tensor<1>>),
}

impl Figure {
    pub fn on_device(tensor: Tensor<1>) -> Self {
        Self::OnDevice(Box::new(tensor))
    }
}

/// All figures' numbers, in their order, by one read-back at most.
pub fn read(figures: Vec<Figure>) -> Vec<Vec<f64>> {
    let on_device = figures.iter().filter_map(|figure| match figure {
        Figure::OnDevice(tensor) => Some(Tensor::clone(tensor)),
        Figure::Here(_) => None,
    });
    let tensors: Vec<Tensor<1>> = on_device.collect();
    let mut values = Vec::new();
    if let Some(dtype) = tensors.first().map(Tensor::dtype) {
        let tensors = tensors.into_iter().map(|tensor| tensor.cast(dtype)).collect();
        values = Tensor::cat(tensors, 0).into_data().iter::<f64>().collect();
    }
    let mut values = values.into_iter();
    let numbers = |figure| match figure {
        Figure::Here(numbers) => numbers,
        Figure::OnDevice(tensor) => values.by_ref().take(tensor.shape().num_elements()).collect(),
    };
    figures.into_iter().map(numbers).collect()
}

/// Sums over one layer's values: Σz, Σz², Σa, Σa² and how many z lie strictly inside of one of the intervals `flat`;
/// and for each unit the number of activations that are not zero. `z` and `a` are `[samples, units, values of a unit]`.
pub fn moments(z: Tensor<3>, a: Tensor<3>, flat: &[(f64, f64)]) -> [Figure; 2] {
    let [_, units, plane] = z.dims();
    match in_memory(&[&z, &a], |both| host::moments(both[0], both[1], [units, plane], flat)) {
        Some((sums, alive)) => [sums.to_vec(), alive.into_iter().map(f64::from).collect()].map(Figure::Here),
        None => operations::moments(z, a, flat).map(Figure::on_device),
    }
}

/// A tensor's L2 norm.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "StoredNorm", into = "StoredNorm")]
pub struct Norm {
    /// A number and a sum whose root times that number is the norm: the square of a vanished gradient is no f32.
    pub(super) figure: Figure,
    pub(super) values: usize,
}

impl Norm {
    /// Of all the tensor's values.
    pub fn of(tensor: Tensor<1>) -> Self {
        let values = tensor.shape().num_elements();
        let squares = if values == 0 { Some(0.0) } else { in_memory(&[&tensor], |x| host::squares(x[0], None)) };
        match squares {
            Some(squares) => Self::of_squares(squares, values),
            None => Self { figure: Figure::on_device(operations::norm(tensor)), values },
        }
    }

    /// The norms as numbers, by one read-back at most. A norm of values that are not finite is not finite.
    pub fn read(norms: &[Self]) -> Vec<f64> {
        read(norms.iter().map(|norm| norm.figure.clone()).collect())
            .iter()
            .map(|numbers| numbers[0] * numbers[1].sqrt())
            .collect()
    }

    /// From the sum of the squares of so many values.
    pub(crate) fn of_squares(squares: f64, values: usize) -> Self {
        Self { figure: Figure::Here(vec![1.0, squares]), values }
    }
}

/// A norm in a file.
#[derive(Serialize, Deserialize)]
struct StoredNorm {
    #[serde(with = "float::one")]
    length: f64,
    values: usize,
}

impl From<Norm> for StoredNorm {
    fn from(norm: Norm) -> Self {
        let length = Norm::read(std::slice::from_ref(&norm))[0];
        Self { length, values: norm.values }
    }
}

impl From<StoredNorm> for Norm {
    fn from(StoredNorm { length, values }: StoredNorm) -> Self {
        Self { figure: Figure::Here(vec![length, 1.0]), values }
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
        let squares = in_memory(&[&before, &after], |both| host::squares(both[1], Some(both[0])));
        let distance = match squares {
            Some(squares) => Norm::of_squares(squares, before.shape().num_elements()),
            None => Norm::of(after - before.clone()),
        };
        Self { distance, length: Norm::of(before) }
    }
}

/// One pass over values in memory.
///
/// Functors and not closures, which the compiler need not inline into the code for the processor's vectors.
pub(crate) mod host {
    use pulp::{Arch, NullaryFnOnce};

    /// Values whose sums are f32, and f64 from there on: half of the instructions, and still six digits. Of a standard
    /// deviation that is small beside the mean, digits under a thousandth of the mean are lost.
    pub const BLOCK: usize = 1024;
    /// Values that stay in a first-level cache.
    const CACHED: usize = 1 << 12;
    /// Sums side by side, in more than one vector, as each waits for the last sum.
    const LANES: usize = 64;

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
            let (mut alive, mut inside) = (vec![0.0; units], 0);
            let (mut z_powers, mut a_powers) = (Powers::<true>::new(), Powers::<true>::new());
            let sample = (units * plane).max(1);
            // Some samples at once, few enough to be read from memory once.
            let part = CACHED.div_ceil(sample) * sample;
            for (z, a) in z.chunks(part).zip(a.chunks(part)) {
                for a in a.chunks_exact(sample) {
                    if plane == 1 {
                        for (alive, a) in alive.iter_mut().zip(a) {
                            *alive += if *a == 0.0 { 0.0 } else { 1.0 };
                        }
                    } else {
                        for (alive, a) in alive.iter_mut().zip(a.chunks_exact(plane)) {
                            let mut count = 0;
                            for a in a {
                                count += u32::from(*a != 0.0);
                            }
                            *alive += count as f32;
                        }
                    }
                }
                z_powers.add(z);
                a_powers.add(a);
                for &(low, high) in flat {
                    let (low, high) = (low as f32, high as f32);
                    for z in z {
                        inside += u32::from((*z > low) & (*z < high));
                    }
                }
            }
            let ([z1, z2], [a1, a2]) = (z_powers.sums(), a_powers.sums());
            ([z1, z2, a1, a2, f64::from(inside)], alive)
        }
    }

    /// Σx² of what was [`add`](Self::add)ed and, if `FIRST`, Σx.
    pub struct Powers<const FIRST: bool> {
        first: [f64; LANES],
        second: [f64; LANES],
        rest: [f64; 2],
    }

    impl<const FIRST: bool> Powers<FIRST> {
        pub fn new() -> Self {
            Self { first: [0.0; LANES], second: [0.0; LANES], rest: [0.0; 2] }
        }

        /// Best in multiples of a [`BLOCK`].
        #[inline(always)]
        pub fn add(&mut self, x: &[f32]) {
            for block in x.chunks(BLOCK) {
                let (chunks, rest) = block.as_chunks::<LANES>();
                let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
                for chunk in chunks {
                    for lane in 0..LANES {
                        if FIRST {
                            first[lane] += chunk[lane];
                        }
                        second[lane] = chunk[lane].mul_add(chunk[lane], second[lane]);
                    }
                }
                for (lane, x) in rest.iter().enumerate() {
                    first[lane] += x;
                    second[lane] = x.mul_add(*x, second[lane]);
                }
                let (mut some, mut all) = (false, true);
                for square in second {
                    some |= square > 1e-26;
                    all &= square < 1e38;
                }
                if some & all {
                    for lane in 0..LANES {
                        if FIRST {
                            self.first[lane] += f64::from(first[lane]);
                        }
                        self.second[lane] += f64::from(second[lane]);
                    }
                } else {
                    self.add_by_one(block);
                }
            }
        }

        /// Squares may be too small or too large for an f32.
        #[cold]
        fn add_by_one(&mut self, block: &[f32]) {
            for x in block {
                self.rest[0] += f64::from(*x);
                self.rest[1] += f64::from(*x) * f64::from(*x);
            }
        }

        /// Σx, 0 unless `FIRST`, and Σx².
        #[inline(always)]
        pub fn sums(&self) -> [f64; 2] {
            let [mut first, mut second] = self.rest;
            for lane in 0..LANES {
                first += self.first[lane];
                second += self.second[lane];
            }
            [if FIRST { first } else { 0.0 }, second]
        }
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
            let mut powers = Powers::<false>::new();
            let Some(minus) = self.minus else {
                powers.add(self.x);
                return powers.sums()[1];
            };
            let mut difference = [0.0; BLOCK];
            for (x, minus) in self.x.chunks(BLOCK).zip(minus.chunks(BLOCK)) {
                let difference = &mut difference[..x.len()];
                for ((difference, x), minus) in difference.iter_mut().zip(x).zip(minus) {
                    *difference = x - minus;
                }
                powers.add(difference);
            }
            powers.sums()[1]
        }
    }
}

/// The same by Burn's operations.
mod operations {
    use super::{Bool, DType, Tensor};

    pub fn moments(z: Tensor<3>, a: Tensor<3>, flat: &[(f64, f64)]) -> [Tensor<1>; 2] {
        let [_, units, _] = z.dims();
        let count = |mask: Tensor<3, Bool>| mask.float().cast(z.dtype()).sum();
        let flat = flat
            .iter()
            .map(|&(low, high)| count(z.clone().greater_elem(low).bool_and(z.clone().lower_elem(high))))
            .reduce(|a, b| a + b)
            .unwrap_or_else(|| Tensor::zeros([1], (&z.device(), z.dtype())));
        let sums = vec![z.clone().sum(), z.clone().square().sum(), a.clone().sum(), a.clone().square().sum(), flat];
        let alive = a.not_equal_elem(0.0).float().cast(z.dtype()).sum_dim(2).sum_dim(0);
        [Tensor::cat(sums, 0), alive.reshape([units])]
    }

    /// Of a tensor that is not empty.
    pub fn norm(tensor: Tensor<1>) -> Tensor<1> {
        let tensor = tensor.cast(DType::F32);
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

    /// Both have the same numbers, of which one has read its own at once.
    fn close<const N: usize>(here: [Figure; N], on_device: [Tensor<1>; N], number: impl Fn(&[f64]) -> Vec<f64>) {
        assert!(here.iter().all(|figure| matches!(figure, Figure::Here(_))));
        let (here, on_device) = (read(here.into()), read(on_device.map(Figure::on_device).into()));
        for (here, on_device) in here.iter().zip(&on_device) {
            let (here, on_device) = (number(here), number(on_device));
            assert_eq!(here.len(), on_device.len());
            for (here, on_device) in here.iter().zip(&on_device) {
                assert!((here - on_device).abs() <= 1e-4 * on_device.abs(), "{here} and {on_device}");
            }
        }
    }

    fn length(norm: &[f64]) -> Vec<f64> {
        vec![norm[0] * norm[1].sqrt()]
    }

    #[test]
    fn one_pass_finds_what_operations_find() {
        let flat = [(f64::NEG_INFINITY, -1.0), (0.5, 0.75)];
        for [rows, units, plane] in [[1, 1, 1], [3, 7, 1], [129, 127, 1], [64, 128, 1], [3, 5, 49], [2, 1, 33]] {
            let shape = [rows, units, plane];
            let random = || Tensor::<3>::random(shape, Distribution::Normal(0.3, 1.0), &Device::flex());
            let (z, a) = (random(), rectify::relu(random()));
            let operations = operations::moments(z.clone(), a.clone(), &flat);
            close(moments(z.clone(), a.clone(), &flat), operations, <[f64]>::to_vec);

            let [before, after] = [z, a].map(|x| x.reshape([rows * units * plane]));
            let distance = operations::norm(after.clone() - before.clone());
            let moved = Moved::between(before.clone(), after);
            close([moved.distance.figure, moved.length.figure], [distance, operations::norm(before)], length);
        }
    }

    #[test]
    fn figures_are_read_in_their_order_wherever_they_are() {
        let on_device = |values: &[f32]| Figure::on_device(Tensor::from_floats(values, &Device::flex()));
        let figures = vec![on_device(&[1.0, 2.0]), Figure::Here(vec![3.0]), on_device(&[4.0])];
        assert_eq!(read(figures), [vec![1.0, 2.0], vec![3.0], vec![4.0]]);
        assert!(read(Vec::new()).is_empty());
    }

    #[test]
    fn strided_tensors_and_other_types_are_not_misread() {
        let x = Tensor::<3>::from_floats([[[1.0], [0.0], [3.0]], [[0.0], [0.0], [6.0]]], &Device::flex());
        for (x, alive) in [(x.clone().swap_dims(0, 1), vec![2.0, 1.0]), (x.cast(DType::F64), vec![1.0, 0.0, 2.0])] {
            assert_eq!(read(moments(x.clone(), x, &[]).into()), [vec![10.0, 46.0, 10.0, 46.0, 0.0], alive]);
        }
    }

    #[test]
    fn vanished_and_exploded_values_have_a_norm() {
        for scale in [1e-38, 1e-30, 1e-14, 1.0, 1e18, 1e37] {
            let x = Tensor::<1>::from_floats([3.0 * scale, -4.0 * scale], &Device::flex());
            for figure in [Norm::of(x.clone()).figure, Figure::on_device(operations::norm(x))] {
                let length = length(&read(vec![figure])[0])[0];
                assert!((length / (5.0 * scale) - 1.0).abs() < 1e-5, "{length} for {scale}");
            }
        }
        // Among others that have not.
        let mut values = vec![1e-30f32; 2 * host::BLOCK];
        values[0] = 1.0;
        let expected = 1.0 + 2047.0 * 1e-60;
        assert!((host::squares(&values, None) - expected).abs() < 1e-6);
        assert!(host::squares(&[f32::NAN, 1.0], None).is_nan());
    }
}
