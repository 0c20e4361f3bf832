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
    /// From 1 to the next number.
    epsilon: f64,
}

impl Precision {
    pub(super) fn of(dtype: DType, check: &GradCheck) -> Self {
        let (step, tolerance, epsilon) = match dtype {
            DType::F64 => (1e-5, 1e-6, f64::EPSILON),
            DType::F32 => (5e-3, 3e-4, f64::from(f32::EPSILON)),
            DType::BF16 => (2e-1, 1e-1, f64::from(half::bf16::EPSILON)),
            _ => (6e-2, 5e-2, f64::from(half::f16::EPSILON)),
        };
        Self {
            step: check.step.unwrap_or(step),
            absolute: check.absolute.unwrap_or(tolerance),
            relative: check.relative.unwrap_or(tolerance),
            epsilon,
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
pub(super) struct Around {
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
}

impl Differences {
    fn gap(&self) -> f64 {
        (self.right - self.left).abs()
    }
}

/// What the differences say of an element's gradient.
pub(super) enum Finding {
    Smooth { numeric: f64, error: f64 },
    Kink { slopes: [f64; 2], between: bool },
    Jump { height: f64, slopes: [f64; 2], between: bool },
}

impl Finding {
    pub(super) fn is_smooth(&self) -> bool {
        matches!(self, Self::Smooth { .. })
    }

    pub(super) fn is_right(&self) -> bool {
        match self {
            Self::Smooth { error, .. } => *error <= 1.0,
            Self::Kink { between, .. } | Self::Jump { between, .. } => *between,
        }
    }
}

/// How often a step is halved at most.
const HALVINGS: usize = 20;

impl Around {
    pub(super) fn new(here: Point) -> Self {
        Self { here, sides: Vec::new() }
    }

    /// Adds the points at x ± step; `false` where rounding leaves one of them at x.
    pub(super) fn add(
        &mut self,
        x: f64,
        step: f64,
        at: impl Fn(f64) -> Result<Point, GradCheckError>,
    ) -> Result<bool, GradCheckError> {
        let (below, above) = (at(x - step)?, at(x + step)?);
        let moves = below.x < self.here.x && self.here.x < above.x;
        if moves {
            self.sides.push([below, above]);
        }
        Ok(moves)
    }

    fn differences(&self, level: usize, weights: &[f64], epsilon: f64) -> Differences {
        let ([below, above], here) = (&self.sides[level], &self.here);
        let moving = below.outputs.iter().zip(&here.outputs).zip(&above.outputs).zip(weights);
        let moving = moving.filter(|(((below, here), above), _)| below != here || here != above);
        let largest = |((below, here), above): ((&f64, &f64), &f64)| below.abs().max(here.abs()).max(above.abs());
        let square: f64 = moving.map(|(values, weight)| (largest(values) * weight).powi(2)).sum();
        let reach = (above.x - here.x).min(here.x - below.x);
        Differences {
            left: slope(below, here, weights),
            right: slope(here, above, weights),
            central: slope(below, above, weights),
            noise: epsilon * square.sqrt() / reach,
        }
    }

    /// Halves the step until the differences settle or drown in rounding, and judges `analytic` by them.
    pub(super) fn judge(
        &mut self,
        x: f64,
        step: f64,
        at: impl Fn(f64) -> Result<Point, GradCheckError>,
        weights: &[f64],
        analytic: f64,
        precision: &Precision,
    ) -> Result<Finding, GradCheckError> {
        let mut seen = vec![self.differences(0, weights, precision.epsilon)];
        // The extrapolated difference and its estimated error, at the step where that is least.
        let mut best: Option<(f64, f64)> = None;
        for level in 1..=HALVINGS {
            if level == self.sides.len() && !self.add(x, step / f64::from(1u32 << level), &at)? {
                break;
            }
            let (now, before) = (self.differences(level, weights, precision.epsilon), &seen[level - 1]);
            let tolerance = precision.tolerance(now.left, now.right);
            // Three levels tell a kink from a jump; beyond that, differences that rounding has spoilt say nothing.
            if level > 2 && now.noise > 0.5 * precision.tolerance(analytic, 0.0) {
                break;
            }
            // An error of h² falls to a quarter, as this takes it to; one of h, at a jump of curvature, to a half, so
            // that what is left is two thirds of what moved.
            let moved = now.central - before.central;
            let error = moved.abs() + now.noise;
            if best.is_none_or(|(_, least)| error < least) {
                best = Some((now.central + moved / 3.0, error));
            }
            let no_kink = now.gap() <= tolerance + now.noise || now.gap() <= 0.6 * before.gap();
            let settled = no_kink && moved.abs() <= 0.25 * tolerance;
            seen.push(now);
            if settled {
                break;
            }
        }
        let within = |[left, right]: [f64; 2], slack: f64| {
            (left.min(right) - slack..=left.max(right) + slack).contains(&analytic)
        };
        let slack = |now: &Differences| precision.tolerance(now.left, now.right) + now.noise;
        if let [.., first, before, now] = &seen[..] {
            // A jump's j/h moves twice as much at each halving, a curvature's c·h half as much.
            let doubles = |slope: fn(&Differences) -> f64| {
                let (moved, moved_before) = (slope(now) - slope(before), slope(before) - slope(first));
                moved.abs() > slack(now) && moved.abs() > 1.7 * moved_before.abs()
            };
            if doubles(|differences| differences.left) || doubles(|differences| differences.right) {
                return Ok(self.jump(seen.len() - 1, weights, now.noise, within, precision));
            }
        }
        if let [.., before, now] = &seen[..]
            && now.gap() > slack(now)
            && now.gap() > 0.6 * before.gap()
        {
            let slopes = [now.left, now.right];
            return Ok(Finding::Kink { slopes, between: within(slopes, slack(now)) });
        }
        let (numeric, uncertainty) = best.unwrap_or((seen[0].central, seen[0].noise));
        let tolerance = precision.tolerance(analytic, numeric);
        let error = (analytic - numeric).abs() / (tolerance + uncertainty.min(10.0 * tolerance));
        Ok(Finding::Smooth { numeric, error })
    }

    /// A jump at x, between the points at the last step: its height, and the slopes between those at the last two.
    fn jump(
        &self,
        last: usize,
        weights: &[f64],
        noise: f64,
        within: impl Fn([f64; 2], f64) -> bool,
        precision: &Precision,
    ) -> Finding {
        let [[far_below, far_above], [below, above]] = [&self.sides[last - 1], &self.sides[last]];
        let slopes = [slope(far_below, below, weights), slope(above, far_above, weights)];
        let height =
            rise(below, above, weights) - slopes[0] * (self.here.x - below.x) - slopes[1] * (above.x - self.here.x);
        let slack = precision.tolerance(slopes[0], slopes[1]) + 2.0 * noise;
        Finding::Jump { height, slopes, between: within(slopes, slack) }
    }
}

fn rise(from: &Point, to: &Point, weights: &[f64]) -> f64 {
    from.outputs.iter().zip(&to.outputs).zip(weights).map(|((from, to), weight)| (to - from) * weight).sum()
}

fn slope(from: &Point, to: &Point, weights: &[f64]) -> f64 {
    rise(from, to, weights) / (to.x - from.x)
}
