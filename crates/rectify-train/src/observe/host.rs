//! One pass over values in memory.
//!
//! Functors and not closures, which the compiler need not inline into the code for the processor's vectors.

use pulp::{Arch, NullaryFnOnce};

use super::reduce::Sums;

/// Values whose sums are f32, and f64 from there on: half of the instructions, and still six digits. Of a standard
/// deviation that is small beside the mean, digits under a thousandth of the mean are lost.
pub const BLOCK: usize = 1024;
/// Values that stay in a first-level cache.
const CACHED: usize = 1 << 12;
/// Sums side by side, in more than one vector, as each waits for the last sum.
const LANES: usize = 64;

/// Sums over `z` and over `a`, how many z lie strictly inside of an interval `flat`, and for each unit how many a are not
/// zero and the sum of their sizes.
pub fn moments(z: &[f32], a: &[f32], unit: [usize; 2], flat: &[(f64, f64)]) -> (Sums, Sums, u32, [Vec<f32>; 2]) {
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
    type Output = (Sums, Sums, u32, [Vec<f32>; 2]);

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Self { z, a, unit: [units, plane], flat } = self;
        let (mut nonzero, mut sizes, mut inside) = (vec![0.0; units], vec![0.0; units], 0);
        let (mut z_powers, mut a_powers) = (Powers::<true>::new(), Powers::<true>::new());
        let sample = (units * plane).max(1);
        // Some samples at once, few enough to be read from memory once.
        let part = CACHED.div_ceil(sample) * sample;
        for (z, a) in z.chunks(part).zip(a.chunks(part)) {
            for a in a.chunks_exact(sample) {
                if plane == 1 {
                    for ((nonzero, size), a) in nonzero.iter_mut().zip(&mut sizes).zip(a) {
                        *nonzero += if *a == 0.0 { 0.0 } else { 1.0 };
                        *size += a.abs();
                    }
                } else {
                    for ((nonzero, size), a) in nonzero.iter_mut().zip(&mut sizes).zip(a.chunks_exact(plane)) {
                        let (mut count, mut sum) = (0, [0.0; 8]);
                        for (place, a) in a.iter().enumerate() {
                            count += u32::from(*a != 0.0);
                            sum[place % 8] += a.abs();
                        }
                        *nonzero += count as f32;
                        *size += sum.iter().sum::<f32>();
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
        (z_powers.sums(), a_powers.sums(), inside, [nonzero, sizes])
    }
}

/// Σx² of what was [`add`](Self::add)ed and, if `FIRST`, Σx; and how many x are not finite.
pub struct Powers<const FIRST: bool> {
    first: [f64; LANES],
    second: [f64; LANES],
    rest: [f64; 2],
    nonfinite: u64,
}

impl<const FIRST: bool> Powers<FIRST> {
    pub fn new() -> Self {
        Self { first: [0.0; LANES], second: [0.0; LANES], rest: [0.0; 2], nonfinite: 0 }
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

    /// Squares may be too small or too large for an f32, or values not finite.
    #[cold]
    fn add_by_one(&mut self, block: &[f32]) {
        for x in block {
            self.rest[0] += f64::from(*x);
            self.rest[1] += f64::from(*x) * f64::from(*x);
            self.nonfinite += u64::from(!x.is_finite());
        }
    }

    /// All of it; Σx is 0 unless `FIRST`.
    #[inline(always)]
    pub fn sums(&self) -> Sums {
        let [mut first, mut second] = self.rest;
        for lane in 0..LANES {
            first += self.first[lane];
            second += self.second[lane];
        }
        Sums { scale: 1.0, first: if FIRST { first } else { 0.0 }, second, nonfinite: self.nonfinite as f64 }
    }
}

/// Of x − minus, all but Σ.
pub fn squares(x: &[f32], minus: Option<&[f32]>) -> Sums {
    Arch::new().dispatch(Squares { x, minus })
}

struct Squares<'a> {
    x: &'a [f32],
    minus: Option<&'a [f32]>,
}

impl NullaryFnOnce for Squares<'_> {
    type Output = Sums;

    #[inline(always)]
    fn call(self) -> Sums {
        let mut powers = Powers::<false>::new();
        let Some(minus) = self.minus else {
            powers.add(self.x);
            return powers.sums();
        };
        let mut difference = [0.0; BLOCK];
        for (x, minus) in self.x.chunks(BLOCK).zip(minus.chunks(BLOCK)) {
            let difference = &mut difference[..x.len()];
            for ((difference, x), minus) in difference.iter_mut().zip(x).zip(minus) {
                *difference = x - minus;
            }
            powers.add(difference);
        }
        powers.sums()
    }
}
