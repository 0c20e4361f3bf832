//! What differences around one input say of a gradient: the derivative where the function is smooth, or that it bends or
//! jumps.

use burn::tensor::DType;

use super::{GradCheck, GradCheckError};

/// What a dtype can resolve.
pub(super) struct Precision {
    /// h to begin with, relative to max(1, |x|).
    pub(super) step: f64,
    absolute: f64,
    relative: f64,
    /// Both, where the user gives none: what differences can resolve of outputs of about 1.
    usual: f64,
    /// From 1 to the next number.
    epsilon: f64,
    /// Epsilons that an output may be off by: backends' exponentials are good to some units in the last place. Half types
    /// have none to spare.
    doubt: f64,
}

impl Precision {
    pub(super) fn of(dtype: DType, check: &GradCheck) -> Self {
        let (step, tolerance, epsilon, doubt) = match dtype {
            DType::F64 => (1e-5, 1e-6, f64::EPSILON, 8.0),
            DType::F32 => (2e-2, 3e-4, f64::from(f32::EPSILON), 8.0),
            DType::BF16 => (2e-1, 1e-1, f64::from(half::bf16::EPSILON), 1.0),
            _ => (6e-2, 5e-2, f64::from(half::f16::EPSILON), 1.0),
        };
        Self {
            step: check.step.unwrap_or(step),
            absolute: check.absolute.unwrap_or(tolerance),
            relative: check.relative.unwrap_or(tolerance),
            usual: tolerance,
            epsilon,
            doubt,
        }
    }

    fn tolerance(&self, a: f64, b: f64) -> f64 {
        self.absolute + self.relative * a.abs().max(b.abs())
    }
}

/// The function at one input.
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) outputs: Vec<f64>,
}

/// The function at x and, step after halved step, on both sides of it.
pub(super) struct Around<F> {
    x: f64,
    /// The step to begin with.
    step: f64,
    /// Which output is x's, where each input has one.
    own: Option<usize>,
    at: F,
    here: Point,
    sides: Vec<[Point; 2]>,
}

/// What the differences at one step say.
struct Differences {
    left: f64,
    right: f64,
    central: f64,
    /// What rounding the outputs may make of them.
    noise: f64,
    /// The step, as it was rounded.
    reach: f64,
}

impl Differences {
    fn gap(&self) -> f64 {
        (self.right - self.left).abs()
    }
}

/// What the differences say of an element's gradient.
pub(super) enum Finding {
    Smooth {
        numeric: f64,
        error: f64,
    },
    /// Seen clearly where both sides are straight and it is much nearer than the step.
    Kink {
        slopes: [f64; 2],
        between: bool,
        clear: bool,
    },
    Jump {
        height: f64,
        slopes: [f64; 2],
        between: bool,
    },
    /// The outputs are so large that their rounding hides the gradient.
    Unresolved,
}

impl Finding {
    pub(super) fn is_smooth(&self) -> bool {
        matches!(self, Self::Smooth { .. })
    }

    pub(super) fn is_right(&self) -> bool {
        match self {
            Self::Smooth { error, .. } => *error <= 1.0,
            Self::Kink { between, .. } | Self::Jump { between, .. } => *between,
            Self::Unresolved => true,
        }
    }
}

/// How often a step is halved at most.
const HALVINGS: usize = 20;

impl<F: Fn(f64) -> Result<Point, GradCheckError>> Around<F> {
    /// Of the function `at`, at x.
    pub(super) fn new(x: f64, step: f64, own: Option<usize>, at: F) -> Result<Self, GradCheckError> {
        let here = at(x)?;
        Ok(Self { x, step, own, at, here, sides: Vec::new() })
    }

    /// Adds the points at the next step; `false` where rounding leaves one of them at x.
    pub(super) fn add(&mut self) -> Result<bool, GradCheckError> {
        let step = self.step / f64::from(1u32 << self.sides.len());
        let (below, above) = ((self.at)(self.x - step)?, (self.at)(self.x + step)?);
        let moves = below.x < self.here.x && self.here.x < above.x;
        if moves {
            self.sides.push([below, above]);
        }
        Ok(moves)
    }

    fn differences(&self, level: usize, weights: &[f64], epsilon: f64) -> Differences {
        let ([below, above], here) = (&self.sides[level], &self.here);
        let moving = below.outputs.iter().zip(&here.outputs).zip(&above.outputs).zip(weights);
        let moving = moving.enumerate().filter(|(i, (((below, here), above), _))| {
            // Its own may be so large that a step is lost in it.
            Some(*i) == self.own || below != here || here != above
        });
        let largest = |((below, here), above): ((&f64, &f64), &f64)| below.abs().max(here.abs()).max(above.abs());
        let square: f64 = moving.map(|(_, (values, weight))| (largest(values) * weight).powi(2)).sum();
        let reach = (above.x - here.x).min(here.x - below.x);
        Differences {
            left: slope(below, here, weights),
            right: slope(here, above, weights),
            central: slope(below, above, weights),
            noise: epsilon * square.sqrt() / reach,
            reach,
        }
    }

    /// Halves the step until the differences settle or drown in rounding, and judges `analytic` by them.
    pub(super) fn judge(
        &mut self,
        weights: &[f64],
        analytic: f64,
        precision: &Precision,
    ) -> Result<Finding, GradCheckError> {
        let mut before = self.differences(0, weights, precision.epsilon);
        // The extrapolated difference and its estimated error, at the step where that is least.
        let mut best = None;
        let (mut last, mut smooth, mut moved_before) = (0, true, f64::INFINITY);
        for level in 1..=HALVINGS {
            if level == self.sides.len() && !self.add()? {
                break;
            }
            let now = self.differences(level, weights, precision.epsilon);
            // Beyond three steps, differences that rounding has spoilt say nothing: those that it moves as much as the
            // step does or, where the last step has shown all, by more than the tolerance. So do those that it may have
            // spoilt on the way to the outputs, where numbers of about 1 cancelled.
            if level > 2 {
                let tolerance = precision.tolerance(analytic, 0.0);
                let spoilt = now.noise > 0.5 * tolerance;
                let doubtful = spoilt || precision.doubt * precision.epsilon / now.reach > 0.25 * tolerance;
                let shown = || match self.beside(last, &before, weights, analytic, precision) {
                    Finding::Jump { .. } => spoilt,
                    Finding::Kink { clear: true, .. } if !smooth => true,
                    _ => false,
                };
                if (spoilt && now.noise > 0.1 * moved_before) || (doubtful && shown()) {
                    break;
                }
            }
            let moved = now.central - before.central;
            let tolerance = precision.tolerance(now.left, now.right);
            let noise = precision.doubt * now.noise;
            smooth = now.gap() <= tolerance + noise || now.gap() - noise <= 0.6 * before.gap();
            let still = |moved: f64| moved.abs() <= 0.25 * tolerance;
            let settled = match smooth {
                true => still(moved),
                false => still(now.left - before.left) && still(now.right - before.right),
            };
            // At the middle of a jump both sides are as steep.
            smooth &= moved.abs() <= tolerance + noise || now.central.abs() <= 1.7 * before.central.abs();
            // An error of h² falls to a quarter, as this takes it to; one of h, at a jump of curvature, to a half, so
            // that what is left is two thirds of what moved. Where a kink has just got out of reach, nothing falls.
            let falls = moved.abs() <= 0.6 * moved_before;
            moved_before = moved.abs();
            let extrapolated = (now.central + if falls { moved / 3.0 } else { 0.0 }, moved.abs() + now.noise);
            best = match best {
                Some((_, error)) if smooth && error <= extrapolated.1 => best,
                _ => smooth.then_some(extrapolated),
            };
            (before, last) = (now, level);
            if settled {
                break;
            }
        }
        let (numeric, uncertainty) = best.unwrap_or((before.central, before.noise));
        let tolerance = precision.tolerance(analytic, numeric);
        // At the first step, where it is least. A tolerance that outputs of about 1 do not reach either is the user's.
        let usual = precision.usual * (1.0 + analytic.abs().max(numeric.abs()));
        if self.differences(0, weights, precision.epsilon).noise > 10.0 * tolerance.max(usual) {
            return Ok(Finding::Unresolved);
        }
        // What has not settled is a kink less than the last step away.
        if last > 0 && (!smooth || (uncertainty > 10.0 * tolerance && uncertainty > 10.0 * before.noise)) {
            return Ok(self.beside(last, &before, weights, analytic, precision));
        }
        let error = (analytic - numeric).abs() / (tolerance + uncertainty.min(10.0 * tolerance));
        Ok(Finding::Smooth { numeric, error })
    }

    /// The kink or jump between the points of a step, not the first, by the slopes between these and those before, which
    /// do not meet it.
    fn beside(
        &self,
        step: usize,
        at_step: &Differences,
        weights: &[f64],
        analytic: f64,
        precision: &Precision,
    ) -> Finding {
        let [[far_below, far_above], [below, above]] = [&self.sides[step - 1], &self.sides[step]];
        let mut slopes = [slope(far_below, below, weights), slope(above, far_above, weights)];
        let mut bends = [0.0; 2];
        if step > 1 {
            // Extrapolated from one and a half steps and from three to none.
            let [farther_below, farther_above] = &self.sides[step - 2];
            bends = [
                slopes[0] - slope(farther_below, far_below, weights),
                slopes[1] - slope(far_above, farther_above, weights),
            ];
            slopes = [slopes[0] + bends[0], slopes[1] + bends[1]];
        }
        let [left, right] = slopes;
        let height = rise(below, above, weights) - left * (self.here.x - below.x) - right * (above.x - self.here.x);
        let slack = |slope: f64| precision.tolerance(slope, slope) + 3.0 * at_step.noise;
        let (low, high) = (left.min(right), left.max(right));
        let between = (low - slack(low)..=high + slack(high)).contains(&analytic);
        // A kink that is not at x itself rises by the difference of its slopes times its distance; and what numbers of
        // about 1 are rounded by is no jump.
        let (angle, bend) = ((right - left).abs(), bends[0].abs() + bends[1].abs());
        let kinks = (angle + bend) * (above.x - below.x);
        match height.abs() > kinks + 2.0 * precision.doubt * precision.epsilon {
            true => Finding::Jump { height, slopes, between },
            false => {
                let clear = angle > slack(low).max(slack(high))
                    && bend <= 0.1 * angle
                    && height.abs() <= 0.05 * angle * at_step.reach;
                Finding::Kink { slopes, between, clear }
            }
        }
    }
}

fn rise(from: &Point, to: &Point, weights: &[f64]) -> f64 {
    from.outputs.iter().zip(&to.outputs).zip(weights).map(|((from, to), weight)| (to - from) * weight).sum()
}

fn slope(from: &Point, to: &Point, weights: &[f64]) -> f64 {
    rise(from, to, weights) / (to.x - from.x)
}
