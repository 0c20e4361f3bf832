//! Activations over several data sets, by their ranks on each (Demšar 2006, *Statistical comparisons of classifiers over
//! multiple data sets*).
//!
//! On each data set the activations are ranked by mean test accuracy. Friedman's test asks whether the ranks agree more
//! than by chance; Nemenyi's critical difference is how far two average ranks must be apart to be told apart, whatever
//! pair it is. Few data sets tell little: twenty activations on two have average ranks that are never far enough apart.

use statrs::distribution::{ChiSquared, Continuous, ContinuousCDF, Normal};

use super::{paired::accuracies, ranking::letter};
use crate::record::{Across, AverageRank, Results, SCHEMA_VERSION};

/// Of all pairs together.
const LEVEL: f64 = 0.05;

/// Experiments on different data sets, each judged by itself, together. `None` where fewer than two activations have an
/// accuracy on every data set, or there is one data set.
pub fn across(experiments: &[Results]) -> Option<Across> {
    let means: Vec<Vec<(&str, f64)>> = experiments
        .iter()
        .map(|results| {
            let of = accuracies(&results.experiment, &results.runs).into_iter();
            let measured = of.filter(|(_, by_seed)| !by_seed.is_empty());
            let mean = |by_seed: &[(u64, f64)]| by_seed.iter().map(|(_, a)| a).sum::<f64>() / by_seed.len() as f64;
            measured.map(|(activation, by_seed)| (activation, mean(&by_seed))).collect()
        })
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in means.iter().flatten() {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let of = |name: &str| -> Option<Vec<f64>> {
        let on = |means: &Vec<(&str, f64)>| means.iter().find(|(other, _)| *other == name).map(|(_, mean)| *mean);
        means.iter().map(on).collect()
    };
    let ranked: Vec<(&str, Vec<f64>)> = names.iter().filter_map(|name| Some((*name, of(name)?))).collect();
    let left_out = names.iter().filter(|name| of(name).is_none()).map(|name| (*name).to_owned()).collect();
    let (count, sets) = (ranked.len(), experiments.len());
    if count < 2 || sets < 2 {
        return None;
    }
    let ranks: Vec<Vec<f64>> =
        (0..sets).map(|set| ranks(&ranked.iter().map(|(_, means)| means[set]).collect::<Vec<_>>())).collect();
    let average = |place: usize| ranks.iter().map(|of_set| of_set[place]).sum::<f64>() / sets as f64;
    let (k, n) = (count as f64, sets as f64);
    let squares: f64 = (0..count).map(|place| average(place) * average(place)).sum();
    let friedman = (12.0 * n / (k * (k + 1.0)) * (squares - k * (k + 1.0) * (k + 1.0) / 4.0)).max(0.0);
    let p_value = ChiSquared::new(k - 1.0).map_or(1.0, |chi_squared| chi_squared.sf(friedman));
    let critical_difference = studentized_range(count) / 2f64.sqrt() * (k * (k + 1.0) / (6.0 * n)).sqrt();

    let mut activations: Vec<AverageRank> = ranked
        .into_iter()
        .enumerate()
        .map(|(place, (activation, test_accuracies))| AverageRank {
            activation: activation.to_owned(),
            rank: average(place),
            test_accuracies,
            groups: String::new(),
        })
        .collect();
    activations.sort_by(|a, b| a.rank.total_cmp(&b.rank));
    for (group, (first, last)) in groups(&activations, critical_difference).into_iter().enumerate() {
        for ranked in &mut activations[first..=last] {
            let space = if ranked.groups.is_empty() { "" } else { " " };
            ranked.groups += &format!("{space}{}", letter(group));
        }
    }
    let datasets = experiments.iter().map(|results| results.experiment.dataset.clone()).collect();
    Some(Across {
        schema_version: SCHEMA_VERSION,
        datasets,
        activations,
        left_out,
        friedman,
        p_value,
        critical_difference,
    })
}

/// The first and last place of each longest row of neighbours whose ends are within the critical difference. `ranked` are
/// in order.
pub fn groups(ranked: &[AverageRank], critical_difference: f64) -> Vec<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for (first, best) in ranked.iter().enumerate() {
        let within = |other: &AverageRank| other.rank - best.rank <= critical_difference;
        let last = ranked.iter().rposition(within).unwrap_or(first);
        if groups.last().is_none_or(|(_, before)| last > *before) {
            groups.push((first, last));
        }
    }
    groups
}

/// The place of each accuracy, the highest being 1; equal ones share the mean of their places.
fn ranks(accuracies: &[f64]) -> Vec<f64> {
    let rank = |accuracy: &f64| {
        let better = accuracies.iter().filter(|other| *other > accuracy).count() as f64;
        let equal = accuracies.iter().filter(|other| *other == accuracy).count() as f64;
        better + (equal + 1.0) / 2.0
    };
    accuracies.iter().map(rank).collect()
}

/// The studentized range that is exceeded in 5 % of samples of so many normal values, their deviation being known: where
/// k ∫ φ(z) (Φ(z) − Φ(z − q))^(k−1) dz is 0.95.
fn studentized_range(count: usize) -> f64 {
    let normal = Normal::standard();
    let covered = |q: f64| {
        const STEPS: usize = 2000;
        // Beyond, φ is nothing.
        let (low, high) = (-8.0, 8.0);
        let width = (high - low) / STEPS as f64;
        let at = |i: usize| {
            let z = low + i as f64 * width;
            normal.pdf(z) * (normal.cdf(z) - normal.cdf(z - q)).powi(count as i32 - 1)
        };
        count as f64 * width * (0..=STEPS).map(at).sum::<f64>()
    };
    let (mut low, mut high) = (0.0, 20.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if covered(middle) < 1.0 - LEVEL { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        environment,
        experiment::Experiment,
        judge::results,
        record::{Epoch, Run, Status},
    };

    #[test]
    fn neighbours_within_the_critical_difference_are_groups_that_may_overlap() {
        let ranked = [1.0, 1.5, 2.4, 3.1, 5.0].map(|rank| AverageRank {
            activation: String::new(),
            rank,
            test_accuracies: Vec::new(),
            groups: String::new(),
        });
        assert_eq!(groups(&ranked, 1.0), [(0, 1), (1, 2), (2, 3), (4, 4)]);
        assert_eq!(groups(&ranked, 1.7), [(0, 2), (1, 3), (4, 4)]);
        assert_eq!(groups(&ranked, 4.0), [(0, 4)]);
    }

    fn on(dataset: &str, accuracies: &[(&str, f64)]) -> Results {
        let run = |(name, accuracy): &(&str, f64)| Run {
            status: if accuracy.is_nan() { Status::Diverged } else { Status::Completed },
            steps: 1,
            epochs: vec![Epoch { epoch: 1, step: 1, test_accuracy: Some(*accuracy), ..Epoch::default() }],
            ..Run::new(*name, 0)
        };
        let activations = accuracies.iter().map(|(name, _)| name.parse().unwrap()).collect();
        let experiment = Experiment { dataset: dataset.to_owned(), activations, seeds: 1, ..Experiment::default() };
        results(environment::unknown("flex"), experiment, None, Vec::new(), accuracies.iter().map(run).collect())
    }

    #[test]
    fn the_critical_values_are_those_of_demsars_table() {
        // Table 5(a), q at 0.05 for the two-tailed Nemenyi test.
        for (count, q) in [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (8, 3.031), (10, 3.164)] {
            let found = studentized_range(count) / 2f64.sqrt();
            assert!((found - q).abs() < 1.5e-3, "{count}: {found}, and the table has {q}");
        }
    }

    #[test]
    fn ranks_friedman_and_the_critical_difference_are_those_of_demsars_example() {
        // Table 6: AUC of C4.5 and three variants on 14 data sets; 3.2.2: average ranks 3.143, 2.000, 2.893, 1.964,
        // χ² = 9.28, and a critical difference of 1.25 for four at 0.05.
        const TABLE: [[f64; 4]; 14] = [
            [0.763, 0.768, 0.771, 0.798],
            [0.599, 0.591, 0.590, 0.569],
            [0.954, 0.971, 0.968, 0.967],
            [0.628, 0.661, 0.654, 0.657],
            [0.882, 0.888, 0.886, 0.898],
            [0.936, 0.931, 0.916, 0.931],
            [0.661, 0.668, 0.609, 0.685],
            [0.583, 0.583, 0.563, 0.625],
            [0.775, 0.838, 0.866, 0.875],
            [1.000, 1.000, 1.000, 1.000],
            [0.940, 0.962, 0.965, 0.962],
            [0.619, 0.666, 0.614, 0.669],
            [0.972, 0.981, 0.9751, 0.975],
            [0.957, 0.978, 0.946, 0.970],
        ];
        let names = ["relu", "tanh", "elu", "gelu"];
        let sets: Vec<Results> = TABLE
            .iter()
            .enumerate()
            .map(|(i, row)| on(&i.to_string(), &[0, 1, 2, 3].map(|column| (names[column], row[column]))))
            .collect();
        let found = across(&sets).unwrap();
        let rank = |name: &str| found.activations.iter().find(|ranked| ranked.activation == name).unwrap().rank;
        for (name, expected) in names.iter().zip([3.143, 2.000, 2.893, 1.964]) {
            assert!((rank(name) - expected).abs() < 6e-4, "{name}: {}", rank(name));
        }
        assert!((found.friedman - 9.28).abs() < 0.01, "{}", found.friedman);
        assert!((found.critical_difference - 1.25).abs() < 0.01, "{}", found.critical_difference);
        assert!((0.02..0.03).contains(&found.p_value), "{}", found.p_value);
    }

    #[test]
    fn what_is_missing_on_a_data_set_has_no_rank() {
        let both =
            [on("a", &[("relu", 0.9), ("tanh", 0.8), ("elu", f64::NAN)]), on("b", &[("relu", 0.9), ("tanh", 0.8)])];
        let found = across(&both).unwrap();
        assert_eq!(found.left_out, Vec::<String>::new(), "what diverged everywhere has no accuracy anywhere");
        assert_eq!(found.activations.iter().map(|ranked| ranked.rank).collect::<Vec<_>>(), [1.0, 2.0]);
        assert!(found.activations.iter().all(|ranked| ranked.groups == "a"), "two data sets tell nothing apart");
        let more = [on("a", &[("relu", 0.9), ("tanh", 0.8), ("elu", 0.7)]), on("b", &[("relu", 0.9), ("tanh", 0.8)])];
        assert_eq!(across(&more).unwrap().left_out, ["elu"]);
        assert_eq!(across(&more[..1]), None);
        assert_eq!(across(&[on("a", &[("relu", 0.9)]), on("b", &[("relu", 0.8)])]), None);
    }
}
