//! What the points of a sweep say: which is best for each activation, and how it depends on each setting.

use toml::Value;

use super::curve::{Curve, arithmetic};
use crate::{
    experiment::value_in_words,
    record::{PointResults, RunEnd, Status, SweepResults},
};

/// An activation at a point.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// The activation as the user spelt it.
    pub activation: &'a str,
    /// Where.
    pub point: &'a PointResults,
    /// Mean validation accuracy over the runs that are done; one that diverged counts as 0.
    pub validation_accuracy: f64,
}

/// How an activation's accuracy depends on a setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// Validation accuracy, as a mean over seeds, against the setting's number or its place among `values`; with a band
    /// from the least to the greatest seed.
    pub curve: Curve,
    /// The values, as flags take them, in the order of the curve.
    pub values: Vec<String>,
}

/// Every activation at every point that has runs of it, the best first.
pub fn scored(results: &SweepResults) -> Vec<Scored<'_>> {
    let mut all: Vec<Scored> = results
        .points
        .iter()
        .flat_map(|point| point.summary.iter().map(move |summary| (point, summary.activation.as_str())))
        .filter_map(|(point, activation)| {
            let accuracies = accuracies(point, activation);
            let validation_accuracy = arithmetic(&accuracies);
            (!accuracies.is_empty()).then_some(Scored { activation, point, validation_accuracy })
        })
        .collect();
    // Stable: of equally good ones the first in the sweep's order.
    all.sort_by(|a, b| b.validation_accuracy.total_cmp(&a.validation_accuracy));
    all
}

/// The best of each activation, of those that [`scored`] gives.
pub fn best<'a>(scored: &[Scored<'a>]) -> Vec<Scored<'a>> {
    let mut best: Vec<Scored> = Vec::new();
    for one in scored {
        if best.iter().all(|other| other.activation != one.activation) {
            best.push(*one);
        }
    }
    best
}

/// An activation's response to a setting, the other settings being as at `best`. `None` for fewer than two values.
pub fn response(results: &SweepResults, best: &Scored, setting: &str) -> Option<Response> {
    let along = |point: &&PointResults| {
        point.settings.iter().all(|(name, value)| name == setting || best.point.settings.get(name) == Some(value))
    };
    let mut points: Vec<(&Value, Vec<f64>)> = results
        .points
        .iter()
        .filter(along)
        .filter_map(|point| Some((point.settings.get(setting)?, accuracies(point, best.activation))))
        .filter(|(_, accuracies)| !accuracies.is_empty())
        .collect();
    if is_numeric(results, setting) {
        points.sort_by(|(a, _), (b, _)| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
    }
    let x = |place: usize, value: &Value| match is_numeric(results, setting) {
        true => number(value).unwrap_or(0.0),
        // Its place among all, so that activations of which some points are missing share an axis.
        false => results
            .experiment
            .sweep
            .as_ref()
            .and_then(|sweep| sweep.axes().get(setting))
            .map_or(place, |values| values.iter().position(|other| other == value).unwrap_or(place))
            as f64,
    };
    let values = points.iter().map(|(value, _)| value_in_words(value)).collect();
    let curve = points.into_iter().enumerate().map(|(place, (value, accuracies))| (x(place, value), accuracies));
    let curve = Curve::measured(best.activation, arithmetic, curve);
    (curve.points.len() > 1).then_some(Response { curve, values })
}

/// Whether all values of a setting are numbers.
pub fn is_numeric(results: &SweepResults, setting: &str) -> bool {
    let values = results.experiment.sweep.as_ref().and_then(|sweep| sweep.axes().get(setting));
    values.is_some_and(|values| values.iter().all(|value| number(value).is_some()))
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64))
}

fn accuracies(point: &PointResults, activation: &str) -> Vec<f64> {
    let of = |run: &RunEnd| match run.status {
        Status::Completed => run.validation_accuracy.unwrap_or(0.0),
        _ => 0.0,
    };
    point.runs.iter().filter(|run| run.activation == activation && run.is_done()).map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        environment::unknown,
        experiment::Experiment,
        record::{Run, SCHEMA_VERSION},
    };

    /// Accuracies by point, of two seeds each; NaN diverged.
    fn results(sweep: &str, accuracies: &[[f64; 2]]) -> SweepResults {
        let experiment: Experiment = toml::from_str(&format!("activations = \"relu\"\n[sweep]\n{sweep}")).unwrap();
        let experiment = experiment.resolve().unwrap();
        let points = experiment.points().unwrap().into_iter().zip(accuracies).map(|(point, accuracies)| {
            let runs: Vec<RunEnd> = accuracies
                .iter()
                .enumerate()
                .map(|(seed, accuracy)| RunEnd {
                    status: if accuracy.is_nan() { Status::Diverged } else { Status::Completed },
                    validation_accuracy: Some(*accuracy).filter(|accuracy| !accuracy.is_nan()),
                    ..RunEnd::of(&Run::new("relu", seed as u64))
                })
                .collect();
            let summary = crate::judge::statistics::summarize(&point.experiment, &[Run::new("relu", 0)]);
            PointResults { label: point.label(), settings: point.settings, summary, runs }
        });
        SweepResults {
            schema_version: SCHEMA_VERSION,
            environment: unknown("flex"),
            points: points.collect(),
            experiment,
            notes: Vec::new(),
        }
    }

    #[test]
    fn the_best_point_is_by_all_its_runs_and_one_that_diverged_counts_as_nothing() {
        let results = results("lr = [0.1, 1, 0.01]", &[[0.8, 0.9], [0.99, f64::NAN], [0.5, 0.7]]);
        let best = best(&scored(&results));
        assert_eq!((best.len(), best[0].point.label.as_str()), (1, "lr=0.1"));
        assert!((best[0].validation_accuracy - 0.85).abs() < 1e-12);
        let response = response(&results, &best[0], "lr").unwrap();
        assert_eq!(response.values, ["0.01", "0.1", "1"], "by number, not by the order given");
        assert_eq!(response.curve.points[2], (1.0, 0.495));
        assert_eq!(response.curve.band[2], (0.0, 0.99));
    }

    #[test]
    fn what_is_no_number_is_drawn_at_its_place_among_all() {
        let mut results = results("hidden = [[8], [16], [32, 32]]", &[[0.1; 2], [0.2; 2], [0.4; 2]]);
        // One point has no run that is done, and the others keep their places.
        results.points[1].runs.iter_mut().for_each(|run| run.status = Status::Interrupted);
        let best = best(&scored(&results));
        let along = response(&results, &best[0], "hidden").unwrap();
        assert_eq!(along.curve.points, [(0.0, 0.1), (2.0, 0.4)]);
        assert_eq!(along.values, ["8", "32,32"]);
        results.points.truncate(1);
        assert!(response(&results, &scored(&results)[0], "hidden").is_none(), "one value is no curve");
    }

    #[test]
    fn a_response_is_along_one_setting_with_the_others_at_their_best() {
        let sweep = "hidden = [[8], [16, 16]]\nlr = [0.1, 0.2]";
        let results = results(sweep, &[[0.1; 2], [0.2; 2], [0.4; 2], [0.3; 2]]);
        let best = best(&scored(&results));
        let ys = |setting| {
            let response = response(&results, &best[0], setting).unwrap();
            response.curve.points.iter().map(|(_, y)| *y).collect::<Vec<_>>()
        };
        assert_eq!((ys("hidden"), ys("lr")), (vec![0.1, 0.4], vec![0.4, 0.3]));
        assert!(!is_numeric(&results, "hidden") && is_numeric(&results, "lr"));
        assert!(response(&results, &best[0], "momentum").is_none());
        assert_eq!(
            best[0].point.settings,
            BTreeMap::from([("hidden".to_owned(), toml::Value::from(vec![16, 16])), ("lr".to_owned(), 0.1.into()),])
        );
    }
}
