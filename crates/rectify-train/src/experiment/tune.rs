//! Which settings each activation has its own value of, and which values are tried.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use strum::{VariantArray, VariantNames};

use super::{Experiment, choice::choose};

/// The settings that are tuned for each activation by itself, one or two: `lr`, `lr=0.01..1`, `lr,weight-decay`.
///
/// Tried is every combination of their values, on seeds that are not reported ([`TUNING_SEEDS`]); an activation then
/// trains with those that had the best validation accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tune {
    /// At least one, none twice.
    axes: Vec<Axis>,
}

/// A setting that is tuned, with the range of its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// The setting.
    pub setting: Tunable,
    /// The least and the greatest value; without it around the experiment's, and wider where the best is at an end.
    pub range: Option<(f64, f64)>,
}

/// The settings that can be tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, VariantNames, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Tunable {
    /// The learning rate.
    Lr,
    /// The L2 penalty.
    WeightDecay,
}

/// Seeds of the trainings by which settings are chosen. No run that is reported has one of them.
pub const TUNING_SEEDS: [u64; 2] = [1_000_000, 1_000_001];
/// A step of a grid: half a decade.
const STEPS_A_DECADE: f64 = 2.0;
/// So often a grid may be widened, at either end.
const WIDENINGS: usize = 3;

impl Tune {
    /// What is tuned.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }
}

impl Axis {
    /// The values that are tried at first, ascending: half a decade from one to the next.
    ///
    /// Without a range: of the learning rate the experiment's and two to either side; of weight decay 0, 1e-4, 1e-3 and
    /// 1e-2.
    pub fn values(&self, experiment: &Experiment) -> Vec<f64> {
        match (self.range, self.setting) {
            (Some((low, high)), _) => {
                let steps = ((high / low).log10() * STEPS_A_DECADE).ceil().max(1.0) as i32;
                let inner = (1..steps).map(|i| two_digits(low * (high / low).powf(f64::from(i) / f64::from(steps))));
                let mut values: Vec<f64> = [low].into_iter().chain(inner).chain([high]).collect();
                values.dedup();
                values
            }
            (None, Tunable::Lr) => {
                let lr = experiment.learning_rate();
                (-2..=2).map(|i| if i == 0 { lr } else { beside(lr, i) }).collect()
            }
            (None, Tunable::WeightDecay) => vec![0.0, 1e-4, 1e-3, 1e-2],
        }
    }

    /// The next value where the best one is at an end of those that were tried; `None` where the best is not at an end, or
    /// the range is given, or the grid was widened there often enough.
    pub fn beyond(&self, values: &[f64], best: f64, first: &[f64]) -> Option<f64> {
        let added = |beyond: &dyn Fn(&f64) -> bool| values.iter().filter(|value| beyond(value)).count();
        let (low, high) = (*first.first()?, *first.last()?);
        if self.range.is_some() || best == 0.0 {
            None
        } else if values.last() == Some(&best) && added(&|value| *value > high) < WIDENINGS {
            Some(beside(best, 1))
        } else if values.first() == Some(&best) && added(&|value| *value < low) < WIDENINGS {
            Some(beside(best, -1))
        } else {
            None
        }
    }

    /// Whether a value is at an end of those that were tried, beyond which there may be better ones.
    pub fn at_end(values: &[f64], best: f64) -> bool {
        best != 0.0 && (values.first() == Some(&best) || values.last() == Some(&best))
    }
}

fn beside(value: f64, steps: i32) -> f64 {
    two_digits(value * 10f64.powf(f64::from(steps) / STEPS_A_DECADE))
}

/// As a person would write it.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

impl Tunable {
    /// The setting's name in the config file.
    pub fn field(self) -> &'static str {
        match self {
            Self::Lr => "lr",
            Self::WeightDecay => "weight_decay",
        }
    }

    /// The experiment with another value of it.
    pub fn set(self, experiment: Experiment, value: f64) -> Experiment {
        match self {
            Self::Lr => Experiment { lr: Some(value), ..experiment },
            Self::WeightDecay => Experiment { weight_decay: value, ..experiment },
        }
    }
}

impl FromStr for Tune {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let axes = text.split(',').map(axis).collect::<Result<Vec<_>, _>>()?;
        for (i, axis) in axes.iter().enumerate() {
            if axes[..i].iter().any(|other| other.setting == axis.setting) {
                return Err(format!("`{}` is given twice", axis.setting));
            }
        }
        Ok(Self { axes })
    }
}

fn axis(text: &str) -> Result<Axis, String> {
    let (name, range) = match text.split_once('=') {
        Some((name, range)) => (name, Some(range)),
        None => (text, None),
    };
    let aliases = [("learning-rate", "lr"), ("wd", "weight-decay"), ("l2", "weight-decay")];
    let setting: Tunable = choose("setting to tune", name, &aliases, &[])?;
    let Some(range) = range else { return Ok(Axis { setting, range: None }) };
    let wrong = || format!("`{text}`: a range is expected, as in {setting}=0.01..1");
    let (low, high) = range.split_once("..").ok_or_else(wrong)?;
    let end = |end: &str| end.trim().parse::<f64>().ok().filter(|end| end.is_finite() && *end > 0.0);
    let (low, high) = end(low).zip(end(high)).ok_or_else(wrong)?;
    if low >= high {
        return Err(format!("`{text}` must go from a smaller to a larger number"));
    }
    if high / low > 1e6 {
        return Err(format!("`{text}`: at most six decades are searched"));
    }
    Ok(Axis { setting, range: Some((low, high)) })
}

impl fmt::Display for Tune {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Axis { setting, range }) in self.axes.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match range {
                None => write!(f, "{comma}{setting}")?,
                Some((low, high)) => write!(f, "{comma}{setting}={low}..{high}")?,
            }
        }
        Ok(())
    }
}

super::as_string!(Tune);

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str, experiment: &Experiment) -> Vec<f64> {
        text.parse::<Tune>().expect("it is one").axes()[0].values(experiment)
    }

    #[test]
    fn grids_go_by_half_decades() {
        let experiment = Experiment::default();
        assert_eq!(values("lr", &experiment), [0.01, 0.032, 0.1, 0.32, 1.0]);
        assert_eq!(values("lr", &Experiment { lr: Some(0.003), ..experiment.clone() })[2], 0.003);
        assert_eq!(values("lr=0.01..1", &experiment), [0.01, 0.032, 0.1, 0.32, 1.0]);
        assert_eq!(values("Learning_Rate = 0.1 .. 0.2", &experiment), [0.1, 0.2]);
        assert_eq!(values("weight-decay", &experiment), [0.0, 1e-4, 1e-3, 1e-2]);
    }

    #[test]
    fn a_grid_is_widened_where_the_best_is_at_an_end_and_not_for_ever() {
        let axis = "lr".parse::<Tune>().expect("it is one").axes()[0];
        let first = axis.values(&Experiment::default());
        assert_eq!(axis.beyond(&first, 0.1, &first), None);
        let mut grid = first.clone();
        while let Some(next) = axis.beyond(&grid, grid[grid.len() - 1], &first) {
            grid.push(next);
        }
        assert_eq!(grid[5..], [3.2, 10.0, 32.0]);
        assert!(axis.beyond(&grid, 0.01, &first) == Some(0.0032) && Axis::at_end(&grid, 32.0));
        let given = "lr=0.01..1".parse::<Tune>().expect("it is one").axes()[0];
        assert_eq!(given.beyond(&first, 1.0, &first), None, "a range that is given is kept");
        let decay = "weight-decay".parse::<Tune>().expect("it is one").axes()[0];
        let values = decay.values(&Experiment::default());
        assert!(decay.beyond(&values, 0.0, &values).is_none() && !Axis::at_end(&values, 0.0), "there is none below 0");
    }

    #[test]
    fn what_can_be_tuned_is_written_as_it_is_read() {
        for (text, written) in [("LR", "lr"), ("wd, lr=0.010..1", "weight-decay,lr=0.01..1")] {
            assert_eq!(text.parse::<Tune>().map(|tune| tune.to_string()), Ok(written.to_owned()));
        }
        for (text, part) in [
            ("momentum", "unknown setting to tune `momentum`"),
            ("lr,lr", "`lr` is given twice"),
            ("lr=0.1", "a range is expected, as in lr=0.01..1"),
            ("lr=0..1", "a range is expected"),
            ("lr=1..0.1", "from a smaller to a larger"),
            ("lr=1e-9..1", "six decades"),
        ] {
            let reason = text.parse::<Tune>().expect_err(text);
            assert!(reason.contains(part), "{reason}");
        }
    }
}
