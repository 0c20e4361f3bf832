//! [`Pieces`] in the processor's vectors.

use bytemuck::cast;
#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;
use pulp::{Arch, NullaryFnOnce, Scalar, Simd};

use crate::{
    host::{LANES, arch},
    number::pieces::{Pieces, Side},
};

impl Pieces {
    /// Writes f(x) to `y` where |x| ≤ `bound`, elsewhere anything: the same bits in vectors of any length.
    #[inline(always)]
    pub(crate) fn of(&self, x: &[f32; LANES], y: &mut [f32; LANES]) {
        match arch() {
            #[cfg(target_arch = "x86_64")]
            Arch::V3(simd) => simd.vectorize(Block { pieces: self, simd, x, y }),
            // Its permutations of sixteen numbers would take half the instructions; these are tested on every processor.
            #[cfg(target_arch = "x86_64")]
            Arch::V4(simd) => simd.vectorize(Block { pieces: self, simd: *simd, x, y }),
            _ => Block { pieces: self, simd: Scalar, x, y }.call(),
        }
    }

    #[inline(always)]
    fn of_vector<S: Lookup>(&self, simd: S, x: S::f32s) -> S::f32s {
        let z = simd.min_f32s(simd.abs_f32s(x), simd.splat_f32s(self.end));
        let place = simd.mul_add_f32s(z, simd.splat_f32s(self.scale), simd.splat_f32s(self.start));
        let place = simd.wrapping_dyn_shr_u32s(simd.transmute_u32s_f32s(place), simd.splat_u32s(self.shift));
        let from_centre = simd.sub_f32s(z, simd.lookup(&self.centre, place));
        let mut p = simd.lookup(&self.coefficients[0], place);
        for coefficients in &self.coefficients[1..] {
            p = simd.mul_add_f32s(p, from_centre, simd.lookup(coefficients, place));
        }
        match self.side {
            Side::Odd => with_sign(simd, p, x),
            Side::Even => p,
            Side::Cube => {
                let (square, square_lost) = product(simd, z, z);
                let (cube, cube_lost) = product(simd, square, z);
                let lost = simd.mul_add_f32s(square_lost, z, cube_lost);
                with_sign(simd, simd.mul_add_f32s(cube, p, simd.mul_f32s(lost, p)), x)
            }
            Side::Square => {
                let (square, lost) = product(simd, z, z);
                simd.mul_add_f32s(square, p, simd.mul_f32s(lost, p))
            }
            Side::Gate => {
                let zero = simd.splat_f32s(0.0);
                simd.sub_f32s(simd.select_f32s(simd.less_than_f32s(x, zero), zero, x), p)
            }
            Side::GateSlope => {
                let left = simd.less_than_f32s(x, simd.splat_f32s(0.0));
                simd.select_f32s(left, p, simd.sub_f32s(simd.splat_f32s(1.0), p))
            }
        }
    }
}

/// a b, and what it lost in rounding.
#[inline(always)]
fn product<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> (S::f32s, S::f32s) {
    let rounded = simd.mul_f32s(a, b);
    (rounded, simd.mul_add_f32s(a, b, simd.neg_f32s(rounded)))
}

/// `size`, which is not negative, with the sign of x.
#[inline(always)]
fn with_sign<S: Simd>(simd: S, size: S::f32s, x: S::f32s) -> S::f32s {
    let sign = simd.and_u32s(simd.transmute_u32s_f32s(x), simd.splat_u32s(1 << 31));
    simd.transmute_f32s_u32s(simd.or_u32s(simd.transmute_u32s_f32s(size), sign))
}

struct Block<'a, S> {
    pieces: &'a Pieces,
    simd: S,
    x: &'a [f32; LANES],
    y: &'a mut [f32; LANES],
}

impl<S: Lookup> NullaryFnOnce for Block<'_, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (x, y) in S::as_simd_f32s(self.x).0.iter().zip(S::as_mut_simd_f32s(self.y).0) {
            *y = self.pieces.of_vector(self.simd, *x);
        }
    }
}

/// Vectors whose numbers each find one of eight.
trait Lookup: Simd {
    /// By the last three bits of each place.
    fn lookup(self, table: &[f32; 8], place: Self::u32s) -> Self::f32s;
}

impl Lookup for Scalar {
    #[inline(always)]
    fn lookup(self, table: &[f32; 8], place: u32) -> f32 {
        table[place as usize % 8]
    }
}

#[cfg(target_arch = "x86_64")]
impl Lookup for V3 {
    #[inline(always)]
    fn lookup(self, table: &[f32; 8], place: Self::u32s) -> Self::f32s {
        cast(self.avx2._mm256_permutevar8x32_ps(cast(*table), cast(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::{Activation, Properties, Visitor};

    struct OfFunction;

    impl Visitor for OfFunction {
        type Output = [Option<&'static Pieces>; 2];
        fn visit<F: Properties>(self, function: F) -> Self::Output {
            function.pieces()
        }
    }

    #[test]
    fn a_vector_has_the_bits_of_its_numbers() {
        let mut tried = 0;
        for pieces in Activation::all().into_iter().flat_map(|activation| activation.visit(OfFunction)).flatten() {
            let sizes: Vec<f32> = (0..=pieces.end.to_bits()).step_by(50_021).map(f32::from_bits).collect();
            for sizes in sizes.as_chunks::<{ LANES / 2 }>().0 {
                let x = std::array::from_fn(|i| if i % 2 == 0 { sizes[i / 2] } else { -sizes[i / 2] });
                let (mut y, mut one_by_one) = ([0.0; LANES], [0.0; LANES]);
                pieces.of(&x, &mut y);
                Block { pieces, simd: Scalar, x: &x, y: &mut one_by_one }.call();
                assert_eq!(y.map(f32::to_bits), one_by_one.map(f32::to_bits), "{x:?}");
            }
            tried += 1;
        }
        assert!(tried >= 10, "only {tried} functions are in pieces");
    }
}
