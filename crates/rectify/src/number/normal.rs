//! The normal distribution's tail, 1 − Φ(z) for z ≥ 0, over e^(−z²/2): a quotient of two polynomials, right to 10⁻¹⁰ as
//! far as the tail is an f32 and to 10⁻⁷ up to z = 40. From the highest power's coefficient on.
//! `tests/accuracy/coefficients.py` makes them.

pub(super) const ABOVE: [f64; 6] = [
    9.147_866_871_661_162e-4,
    1.188_094_009_638_910_1e-2,
    7.234_874_172_210_183e-2,
    2.530_004_580_059_93e-1,
    5.102_307_273_498_007e-1,
    4.999_999_999_445_906e-1,
];
pub(super) const BELOW: [f64; 7] = [
    2.293_032_519_949_125e-3,
    2.978_093_813_649_275_4e-2,
    1.836_494_196_446_315_4e-1,
    6.638_682_678_013_823e-1,
    1.456_831_275_421_972_8,
    1.818_346_005_142_114,
    1.0,
];
