//! A grid of settings: every combination of some values of some settings, each an experiment of its own.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use serde::{Deserialize, Serialize};
use toml::Value;

use super::{Experiment, ExperimentError};
use crate::{backend, data};

/// The settings that are swept, by their names in the config file, each with its values.
///
/// In a config file it is a table:
///
/// ```toml
/// [sweep]
/// lr = [0.01, 0.03, 0.1]
/// hidden = [[64, 64], [128, 128]]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sweep {
    axes: BTreeMap<String, Vec<Value>>,
}

/// Settings of which an experiment has several anyway, or on which no number depends.
const NOT_SWEPT: [(&str, &str); 10] = [
    ("activations", "an experiment has several anyway: name them in activations"),
    ("activation", "an experiment has several anyway: name them in activations"),
    ("seeds", "an experiment has several anyway: give their number in seeds"),
    ("seed", "an experiment has several anyway: list them in seed"),
    ("shard", "it is which part of the trainings is done here"),
    ("jobs", "no result depends on it"),
    ("vectorise", "no result depends on it but to rounding"),
    ("log", "no result depends on it"),
    ("tune", "it chooses settings itself; begin an experiment for each"),
    ("sweep", "it is the sweep"),
];

/// Beyond it a grid is a slip of the keyboard.
const MOST_TRAININGS: usize = 1_000_000;

/// One combination of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The swept settings' values here.
    pub settings: BTreeMap<String, Value>,
    /// The experiment with them, as it is recorded.
    pub experiment: Experiment,
}

/// A training of a sweep, by its places in the lists of points, activations and seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Among the sweep's points.
    pub point: usize,
    /// Among the experiment's activations.
    pub activation: usize,
    /// Among its seeds.
    pub seed: usize,
}

impl Point {
    /// As in `hidden=64,64 lr=0.01`.
    pub fn label(&self) -> String {
        label(&self.settings)
    }
}

/// As in `hidden=64,64 lr=0.01`: settings as flags take them.
pub fn label(settings: &BTreeMap<String, Value>) -> String {
    let words = settings.iter().map(|(name, value)| format!("{}={}", name.replace('_', "-"), value_in_words(value)));
    words.collect::<Vec<_>>().join(" ")
}

/// A value as a flag takes it.
pub fn value_in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(value_in_words).collect::<Vec<_>>().join(","),
        // Rust's shortest form, without TOML's `.0`.
        Value::Float(number) => number.to_string(),
        other => other.to_string(),
    }
}

impl Sweep {
    /// The settings with their values.
    pub fn axes(&self) -> &BTreeMap<String, Vec<Value>> {
        &self.axes
    }

    /// How many points it has.
    pub fn len(&self) -> usize {
        self.axes.values().fold(1, |points, values| points.saturating_mul(values.len()))
    }

    /// Whether it has no points.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of both, those of `self` first; `None` where they are of different settings.
    pub fn union(&self, other: &Self) -> Option<Self> {
        if !self.axes.keys().eq(other.axes.keys()) {
            return None;
        }
        let mut union = self.clone();
        for (values, more) in union.axes.values_mut().zip(other.axes.values()) {
            let new: Vec<Value> = more.iter().filter(|value| !values.contains(value)).cloned().collect();
            values.extend(new);
        }
        Some(union)
    }

    /// Whether it can be run with an experiment, as far as that can be told without looking at each point.
    pub(super) fn check(&self, experiment: &Experiment) -> Result<(), ExperimentError> {
        let wrong = |reason: String| Err(ExperimentError { field: "sweep", reason });
        if self.axes.is_empty() {
            return wrong("names no setting; as in lr=0.01,0.1".to_owned());
        }
        for (name, values) in &self.axes {
            if let Some((_, why)) = NOT_SWEPT.iter().find(|(not, _)| not == name) {
                return wrong(format!("{name} is not swept: {why}"));
            }
            if values.is_empty() {
                return wrong(format!("{name} has no values"));
            }
            if let Some((_, twice)) = values.iter().enumerate().find(|(i, value)| values[..*i].contains(value)) {
                return wrong(format!("{name} has {} twice", value_in_words(twice)));
            }
        }
        if self.axes.contains_key("epochs") && self.axes.contains_key("steps") {
            return wrong("epochs and steps are two counts of one thing; sweep one of them".to_owned());
        }
        if experiment.tune.is_some() {
            return wrong(
                "tune chooses settings for each activation, a sweep tries all; give one of the two".to_owned(),
            );
        }
        let (points, activations) = (self.len(), experiment.activations.len());
        let trainings = points.saturating_mul(activations).saturating_mul(experiment.seeds().len());
        if trainings > MOST_TRAININGS {
            return wrong(format!("{points} points are {trainings} trainings; at most {MOST_TRAININGS}"));
        }
        match experiment.shard {
            Some(shard) if shard.index() >= trainings => {
                wrong(format!("{shard} has none of the {trainings} trainings"))
            }
            _ => Ok(()),
        }
    }
}

impl Experiment {
    /// The experiments that its sweep is made of, the last setting fastest; none without a sweep.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve), for the first that cannot be run.
    pub fn points(&self) -> Result<Vec<Point>, ExperimentError> {
        let Some(sweep) = &self.sweep else { return Ok(Vec::new()) };
        sweep.check(self)?;
        let mut all = vec![BTreeMap::new()];
        for (name, values) in sweep.axes() {
            let with = |settings: BTreeMap<String, Value>| {
                values.iter().map(move |value| {
                    let mut settings = settings.clone();
                    settings.insert(name.clone(), value.clone());
                    settings
                })
            };
            all = all.into_iter().flat_map(with).collect();
        }
        let base = self.without_sweep()?;
        all.into_iter().map(|settings| point(&base, settings)).collect()
    }

    /// The experiment with the values of its sweep as the points will have them: `0.10` and `0.1` are one.
    pub(super) fn with_canonical_sweep(self) -> Result<Self, ExperimentError> {
        let Some(sweep) = &self.sweep else { return Ok(self) };
        let base = self.without_sweep()?;
        let mut canonical = Sweep::default();
        for (name, values) in sweep.axes() {
            let canonical_value = |value: &Value| {
                let alone = set(&base, &BTreeMap::from([(name.clone(), value.clone())]))?;
                let mut table = table(&alone)?;
                // What is at its default is not written.
                Ok(table.remove(name).unwrap_or_else(|| value.clone()))
            };
            let values = values.iter().map(canonical_value).collect::<Result<_, ExperimentError>>()?;
            canonical.axes.insert(name.clone(), values);
        }
        canonical.check(&self)?;
        Ok(Self { sweep: Some(canonical), ..self })
    }

    fn without_sweep(&self) -> Result<toml::Table, ExperimentError> {
        let mut base = table(&Self { shard: None, ..self.clone() })?;
        base.remove("sweep");
        Ok(base)
    }

    /// The trainings of a sweep that a shard has; without a shard all. `costs` are of one training of each point.
    ///
    /// Each is given to the shard that has least to do so far, the most expensive first; so all shards have about as much
    /// to do, and all machines come to the same without a word.
    pub fn cells(&self, costs: &[u128]) -> Vec<Cell> {
        let (activations, seeds) = (self.activations.len(), self.seeds().len());
        // The activations take turns in being first: no shard gets all the trainings of a slow one.
        let of_seed = |seed: usize| {
            (0..costs.len()).flat_map(move |point| {
                (0..activations).map(move |i| {
                    let activation = (i + seed + point) % activations.max(1);
                    Cell { point, activation, seed }
                })
            })
        };
        let mut cells: Vec<Cell> = (0..seeds).flat_map(of_seed).collect();
        let Some(shard) = self.shard else {
            cells.sort_unstable();
            return cells;
        };
        cells.sort_by_key(|cell| Reverse(costs[cell.point]));
        let mut loads: BinaryHeap<Reverse<(u128, usize)>> = (0..shard.of()).map(|index| Reverse((0, index))).collect();
        cells.retain(|cell| {
            let Some(Reverse((load, index))) = loads.pop() else { return false };
            loads.push(Reverse((load + costs[cell.point].max(1), index)));
            index == shard.index()
        });
        cells.sort_unstable();
        cells
    }
}

fn table(experiment: &Experiment) -> Result<toml::Table, ExperimentError> {
    toml::Table::try_from(experiment).map_err(|error| ExperimentError { field: "sweep", reason: error.to_string() })
}

/// The experiment of a table with some settings changed in it.
fn set(base: &toml::Table, settings: &BTreeMap<String, Value>) -> Result<Experiment, ExperimentError> {
    let mut table = base.clone();
    for (name, value) in settings {
        match name.as_str() {
            "epochs" => drop(table.remove("steps")),
            "steps" => drop(table.remove("epochs")),
            _ => {}
        }
        table.insert(name.clone(), value.clone());
    }
    let wrong = |error: toml::de::Error| ExperimentError {
        field: "sweep",
        reason: format!("{}: {}", label(settings), error.message()),
    };
    let experiment: Experiment = table.try_into().map_err(wrong)?;
    Ok(Experiment {
        dataset: data::canonical(experiment.dataset),
        backend: backend::canonical(experiment.backend),
        ..experiment
    })
}

fn point(base: &toml::Table, settings: BTreeMap<String, Value>) -> Result<Point, ExperimentError> {
    let at = |error: ExperimentError| match error.field {
        "sweep" => error,
        field => ExperimentError { field, reason: format!("{} (at {} of the sweep)", error.reason, label(&settings)) },
    };
    let experiment = set(base, &settings)?.resolve().map_err(at)?;
    Ok(Point { settings, experiment })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swept(text: &str) -> Experiment {
        toml::from_str::<Experiment>(text).expect("these are settings").resolve().expect("they can be run")
    }

    #[test]
    fn the_points_are_every_combination_each_with_its_own_defaults() {
        let experiment = swept("[sweep]\noptimizer = [\"sgd\", \"Adam\"]\nhidden = [[8], [16, 16], [4]]\n");
        let points = experiment.points().unwrap();
        let labels: Vec<String> = points.iter().map(Point::label).collect();
        assert_eq!(labels[..3], ["hidden=8 optimizer=sgd", "hidden=8 optimizer=adam", "hidden=16,16 optimizer=sgd"]);
        assert_eq!((labels.len(), labels[4].as_str()), (6, "hidden=4 optimizer=sgd"));
        let rates: Vec<Option<f64>> = points[..2].iter().map(|point| point.experiment.lr).collect();
        assert_eq!(rates, [Some(0.1), Some(0.001)], "the rate is the optimizer's own");
        assert!(points.iter().all(|point| point.experiment.sweep.is_none()));
    }

    #[test]
    fn a_value_is_one_however_it_is_written_and_steps_take_the_place_of_epochs() {
        let experiment = swept("epochs = 3\n[sweep]\nlr = [1, 0.10]\nsteps = [5]\n");
        let points = experiment.points().unwrap();
        assert_eq!(points.iter().map(Point::label).collect::<Vec<_>>(), ["lr=1 steps=5", "lr=0.1 steps=5"]);
        assert_eq!((points[0].experiment.steps, points[0].experiment.epochs), (Some(5), None));
        let written = toml::to_string(&experiment).unwrap();
        assert_eq!(toml::from_str::<Experiment>(&written).unwrap(), experiment, "{written}");
    }

    #[test]
    fn what_cannot_be_swept_is_refused_with_what_would_work() {
        for (text, part) in [
            ("[sweep]\n", "names no setting"),
            ("[sweep]\nlr = []\n", "lr has no values"),
            ("[sweep]\nlr = [0.1, 0.10]\n", "0.1 twice"),
            ("[sweep]\nseeds = [1, 2]\n", "give their number in seeds"),
            ("[sweep]\nmomentun = [1, 2]\n", "unknown field `momentun`"),
            ("[sweep]\nepochs = [1]\nsteps = [2]\n", "sweep one of them"),
            ("tune = \"lr\"\n[sweep]\nlr = [0.1]\n", "give one of the two"),
            (
                "seeds = 1000\n[sweep]\nlr = [0.1, 0.2, 0.3]\nthreads = [1, 2, 3]\nbatch_size = [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40]\n",
                "at most 1000000",
            ),
        ] {
            let error = toml::from_str::<Experiment>(text).unwrap().resolve().unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
        let error = swept("[sweep]\nlr = [0.1, -1]\n").points().unwrap_err();
        assert_eq!((error.field, error.reason.contains("(at lr=-1 of the sweep)")), ("lr", true), "{error}");
    }

    #[test]
    fn shards_are_all_of_the_sweep_each_training_once_with_as_much_to_do() {
        let sharded = |shard: &str| swept(&format!("shard = \"{shard}\"\n[sweep]\nmodel = [\"mlp\", \"cnn\"]\n"));
        let costs = [1, 20];
        let all = Experiment { shard: None, ..sharded("0/3") }.cells(&costs);
        let shards: Vec<Vec<Cell>> = (0..3).map(|index| sharded(&format!("{index}/3")).cells(&costs)).collect();
        let mut together = shards.concat();
        together.sort_unstable();
        assert_eq!((together.len(), together), (18, all));
        for cells in &shards {
            assert_eq!(cells.iter().filter(|cell| cell.point == 1).count(), 3, "as many of the expensive ones");
            assert!(cells.iter().any(|cell| cell.activation != cells[0].activation), "and not of one activation");
        }
    }
}
