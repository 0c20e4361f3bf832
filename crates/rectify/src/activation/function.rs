//! What an activation is.

use crate::number::Number;

/// An activation: φ and, below it, φ′, in any arithmetic. Each one here is defined by it, and so is one of your own, which
/// [`Formula::of`](crate::Formula::of) makes a module that runs on every backend.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use rectify::{Formula, Function, Number, gradcheck::{GradCheck, gradcheck}};
///
/// /// x + sin²(a x) / a: Ziyin, Hartwig and Ueda 2020, *Neural networks fail to learn periodic functions*.
/// #[derive(Clone, Copy)]
/// struct Snake {
///     a: f64,
/// }
///
/// impl Function for Snake {
///     const NAME: &'static str = "snake";
///
///     fn value<N: Number>(self, x: N) -> N {
///         let sine = (N::of(self.a) * x).sin();
///         x + sine * sine / N::of(self.a)
///     }
///
///     fn slope<N: Number>(self, x: N) -> N {
///         N::of(1.0) + (N::of(2.0 * self.a) * x).sin()
///     }
/// }
///
/// // The module, and φ′ of that definition in its backward pass.
/// let snake = Formula::of(Snake { a: 0.5 });
/// let x = Tensor::<1>::from_floats([-3.0, 0.0, 2.5], &Device::flex().autodiff()).require_grad();
/// let y = snake.forward(x.clone());
/// let slopes = x.grad(&y.sum().backward()).unwrap().into_data().to_vec::<f32>().unwrap();
/// assert_eq!(slopes[1], 1.0);
///
/// // Whether φ′ is φ's, by differences: on a grid by itself, and of tensors.
/// assert!(snake.notes().is_empty(), "{:?}", snake.notes());
/// let report = gradcheck(|x| snake.forward(x), x, &GradCheck::default())?;
/// assert!(report.passed(), "{report}");
///
/// // What a plot is drawn from.
/// let points: Vec<[f64; 3]> = (-8..=8).map(f64::from).map(|x| [x, snake.value(x), snake.slope(x)]).collect();
/// assert_eq!(points[8], [0.0, 0.0, 1.0]);
/// # Ok::<(), rectify::gradcheck::GradCheckError>(())
/// ```
pub trait Function: Copy {
    /// What it is called. Those here have PyTorch's, with words parted.
    const NAME: &'static str;

    /// φ(x).
    fn value<N: Number>(self, x: N) -> N;

    /// φ′(x): what a gradient is multiplied by. At a kink it is whatever this chooses.
    fn slope<N: Number>(self, x: N) -> N;
}
