//! Gaussian error linear unit.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Family, Function, Properties, Saturates};
use crate::number::{
    Form, Number,
    pieces::{self, Pieces},
};

/// Where φ′ is 0, as the sum of two, and its coefficients about that.
const ROOT: [f64; 2] = [-0.751_791_524_693_564_5, 1.495_675_917_700_988_3e-17];
const TAYLOR: [f64; 16] = [
    0.431_493_992_314_046_9,
    0.388_284_982_990_552,
    -0.018_199_676_398_671_087,
    -0.114_008_233_297_221_7,
    -0.014_771_522_148_244_337,
    0.019_421_679_838_189_067,
    0.004_539_228_379_125_415,
    -0.002_239_538_068_073_497,
    -0.000_744_826_838_674_681_7,
    0.000_186_339_746_232_335_14,
    8.615_947_861_116_571e-5,
    -1.121_438_018_842_664e-5,
    -7.748_461_307_003_72e-6,
    4.328_450_625_739_227_3e-7,
    5.702_764_979_242_107e-7,
    -1.604_426_549_424_642_9e-9,
];

/// Gaussian error linear unit: x Φ(x), with the normal distribution's probability Φ.
///
/// φ′ = Φ(x) + x Φ′(x). Smooth; it falls to −0.170 at x = −0.752 and rises to 0 to the left. NaN gives NaN, −0 gives
/// −0, φ(−∞) = −0 (PyTorch: NaN) and φ(∞) = ∞.
///
/// Keeps its input. Saturates below 0: φ is −1.4e-6 at −5 and keeps its digits down to f32's smallest
/// numbers at −14.3.
///
/// Hendrycks and Gimpel 2016, *Gaussian error linear units*.
#[derive(Default, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gelu;

impl Function for Gelu {
    const NAME: &'static str = "gelu";

    #[inline(always)]
    fn value<N: Number>(self, x: N) -> N {
        // Further to the left nothing is left of it, and −∞ times 0 is avoided.
        let inner = x.at_least(-40.0).at_most(40.0);
        x.by_form(Form::Gelu, N::choose(x.above(40.0), x, inner * inner.normal().0))
    }

    #[inline(always)]
    fn slope<N: Number>(self, x: N) -> N {
        let inner = x.at_least(-40.0).at_most(40.0);
        let (probability, density) = inner.normal();
        x.by_form(Form::GeluSlope, x.near_root(ROOT, &TAYLOR, probability + inner * density))
    }
}

impl Properties for Gelu {
    const FAMILY: Family = Family::Rectifier;
    const SATURATES: Saturates = Saturates::Below;

    fn torch(self) -> Option<String> {
        Some("GELU()".to_owned())
    }

    #[inline(always)]
    fn pieces(self) -> [Option<&'static Pieces>; 2] {
        [Some(&pieces::GELU), Some(&pieces::GELU_SLOPE)]
    }

    #[inline(always)]
    fn together(self) -> bool {
        true
    }
}

/// [`Gelu`] of each element.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Gelu.forward(x)
}
