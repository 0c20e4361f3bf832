//! Many activations in the order of their accuracy, and which of them are not told apart.
//!
//! Every pair is tested as in [`paired`](super::paired), and all of them are adjusted together after Holm: whatever the
//! truth, the probability that any two are set apart that do not differ is at most 5 %. With many activations and few
//! seeds that is a hard test: twenty have 190 pairs, so a difference of three seeds must be 60 times its standard error.

use super::{
    paired::{Accuracies, accuracies, adjust, difference, settled},
    statistics::fraction_estimate,
};
use crate::{
    experiment::Experiment,
    record::{Ranked, Run, Status},
};

/// Fewer activations are compared pair by pair in words.
pub const LEAST: usize = 4;

/// The activations by mean test accuracy over completed runs, the best first, those without any last. Empty for fewer
/// than [`LEAST`].
///
/// Neighbours in this order, of which no two are told apart, are a group; it has a letter, and an activation those of all
/// its groups. So two that share a letter are not told apart; of two that share none, they or two between them are.
pub fn ranking(experiment: &Experiment, runs: &[Run]) -> Vec<Ranked> {
    let mut all: Vec<(Accuracies, Option<f64>)> = accuracies(experiment, runs)
        .into_iter()
        .map(|of| {
            let sum: f64 = of.1.iter().map(|(_, accuracy)| accuracy).sum();
            let mean = (!of.1.is_empty()).then(|| sum / of.1.len() as f64);
            (of, mean)
        })
        .collect();
    if all.len() < LEAST {
        return Vec::new();
    }
    all.sort_by(|(_, a), (_, b)| b.partial_cmp(a).expect("`accuracies` gives finite numbers only"));
    let count = all.iter().filter(|(_, mean)| mean.is_some()).count();

    let mut pairs = Vec::new();
    let mut differences = Vec::new();
    for i in 0..count {
        for j in i + 1..count {
            if let Some(difference) = difference(&all[i].0, &all[j].0) {
                pairs.push((i, j));
                differences.push(difference);
            }
        }
    }
    adjust(&mut differences);
    let apart: Vec<(usize, usize)> =
        pairs.into_iter().zip(&differences).filter(|(_, pair)| settled(pair)).map(|(places, _)| places).collect();

    let groups = groups(count, &apart);
    let letters = |place: usize| {
        let of_place = groups.iter().enumerate().filter(|(_, (first, last))| (*first..=*last).contains(&place));
        of_place.map(|(group, _)| letter(group)).collect::<Vec<_>>().join(" ")
    };
    all.iter()
        .enumerate()
        .map(|(place, ((activation, by_seed), _))| Ranked {
            activation: (*activation).to_owned(),
            test_accuracy: fraction_estimate(&by_seed.iter().map(|(_, accuracy)| *accuracy).collect::<Vec<_>>()),
            diverged: runs.iter().filter(|run| run.activation == *activation && run.status == Status::Diverged).count(),
            groups: letters(place),
        })
        .collect()
}

/// The first and last place of each longest row of neighbours of which no two are apart.
fn groups(count: usize, apart: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for first in 0..count {
        let ends = apart.iter().filter(|(i, _)| *i >= first).map(|(_, j)| *j - 1);
        let last = ends.min().unwrap_or(count - 1);
        if groups.last().is_none_or(|(_, before)| last > *before) {
            groups.push((first, last));
        }
    }
    groups
}

/// `a` to `z`, then `aa`.
pub(super) fn letter(group: usize) -> String {
    let last = char::from(b'a' + (group % 26) as u8);
    if group < 26 { last.to_string() } else { letter(group / 26 - 1) + &last.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Epoch;

    fn runs(accuracies: &[(&str, &[f64])]) -> Vec<Run> {
        let run = |activation: &str, seed: usize, accuracy: f64| Run {
            status: if accuracy > 0.0 { Status::Completed } else { Status::Diverged },
            steps: 10,
            epochs: vec![Epoch { epoch: 1, step: 10, test_accuracy: Some(accuracy), ..Epoch::default() }],
            ..Run::new(activation, seed as u64)
        };
        let of = |(name, values): &(&str, &[f64])| -> Vec<Run> {
            values.iter().enumerate().map(|(seed, accuracy)| run(name, seed, *accuracy)).collect()
        };
        accuracies.iter().flat_map(of).collect()
    }

    fn shown(accuracies: &[(&str, &[f64])]) -> Vec<(String, String)> {
        let activations = accuracies.iter().map(|(name, _)| name.parse().unwrap()).collect();
        let ranking = ranking(&Experiment { activations, ..Experiment::default() }, &runs(accuracies));
        ranking.into_iter().map(|ranked| (ranked.activation, ranked.groups)).collect()
    }

    fn expected(places: &[(&str, &str)]) -> Vec<(String, String)> {
        places.iter().map(|(name, groups)| ((*name).to_owned(), (*groups).to_owned())).collect()
    }

    #[test]
    fn the_best_is_first_and_those_that_are_not_told_apart_share_a_letter() {
        let found = shown(&[
            ("tanh", &[0.90, 0.91, 0.90, 0.91, 0.90]),
            ("relu", &[0.97, 0.96, 0.97, 0.98, 0.97]),
            ("gelu", &[0.96, 0.97, 0.98, 0.97, 0.97]),
            ("sigmoid", &[0.10, 0.11, 0.10, 0.11, 0.11]),
            ("elu", &[0.0, 0.0, 0.0, 0.0, 0.0]),
        ]);
        let as_told = [("gelu", "a"), ("relu", "a"), ("tanh", "b"), ("sigmoid", "c"), ("elu", "")];
        assert_eq!(found[2..], expected(&as_told)[2..]);
        assert!(found[..2].iter().all(|(_, groups)| groups == "a"), "{found:?}");
    }

    #[test]
    fn seeds_that_diverged_count_neither_for_nor_against() {
        let found =
            shown(&[("tanh", &[0.9, 0.9]), ("relu", &[0.97, 0.0]), ("elu", &[0.5, 0.6]), ("gelu", &[0.1, 0.1])]);
        assert_eq!(found[0].0, "relu", "{found:?}");
        let activations = ["relu", "tanh", "elu", "gelu"].map(|name| name.parse().unwrap()).to_vec();
        let all = runs(&[("relu", &[0.9, 0.0, 0.0]), ("tanh", &[0.8, 0.8]), ("elu", &[0.0]), ("gelu", &[0.1])]);
        let ranking = ranking(&Experiment { activations, ..Experiment::default() }, &all);
        let diverged: Vec<(&str, usize)> = ranking.iter().map(|of| (of.activation.as_str(), of.diverged)).collect();
        assert_eq!(diverged, [("relu", 2), ("tanh", 0), ("gelu", 0), ("elu", 1)]);
    }

    #[test]
    fn one_in_the_middle_may_share_a_letter_with_both_sides() {
        assert_eq!(groups(3, &[(0, 2)]), [(0, 1), (1, 2)]);
        assert_eq!(groups(4, &[]), [(0, 3)]);
        assert_eq!(groups(4, &[(0, 1), (0, 2), (0, 3)]), [(0, 0), (1, 3)]);
        // The second and third are apart, the first and fourth are not: neighbours that are apart part them.
        assert_eq!(groups(4, &[(1, 2)]), [(0, 1), (2, 3)]);
        assert_eq!(groups(0, &[]), []);
    }

    #[test]
    fn few_activations_have_no_ranking_and_letters_do_not_end() {
        assert_eq!(shown(&[("relu", &[0.9]), ("tanh", &[0.8]), ("elu", &[0.7])]), []);
        assert_eq!([0, 25, 26, 27, 52].map(letter), ["a", "z", "aa", "ab", "ba"]);
    }

    #[test]
    fn one_seed_tells_nothing_apart() {
        let found = shown(&[("relu", &[0.9]), ("tanh", &[0.8]), ("elu", &[0.7]), ("gelu", &[0.1])]);
        assert!(found.iter().all(|(_, groups)| groups == "a"), "{found:?}");
    }
}
