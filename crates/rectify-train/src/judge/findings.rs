//! The worst that the metrics show: trainings that diverged, stopped or learned nothing, layers that are dead or
//! saturated, gradients that vanished or exploded.
//!
//! | finding | threshold | why there |
//! |---|---|---|
//! | dead units | 40 % over the hidden layers, or a layer with none alive | "as much as 40 % of your network can be 'dead'" is what Stanford's CS231n notes give as the sign of too large a learning rate; a layer of dead units passes on nothing at all (Lu et al. 2019) |
//! | saturated layer | 95 % of its activations | they have under 5 % of the largest derivative, so that the layer passes back under a tenth of the gradient: 0.95 · 0.05 + 0.05 · 1 |
//! | vanished, exploded gradient | a factor of 1000 between the first and the last hidden layer | one learning rate serves all layers, so one of the two takes steps a thousand times too small or too large |
//!
//! The first two are of networks after training, over the completed ones.

use crate::{
    judge::{
        guessing::Guessing,
        number::{count, layer, list, number, percent, ratio},
        statistics::{completed, estimate, geometric_estimate, gradient_ratio, hidden},
    },
    record::{Epoch, Layer, Results, Run, Status, Summary},
};

/// Dead units over all hidden layers that are worth a word.
const DEAD: f64 = 0.4;
/// A fraction that is all but rounding.
const ALL: f64 = 0.999;
/// Saturated activations of a layer that are worth a word.
const SATURATED: f64 = 0.95;
/// Between the gradients of the first and the last hidden layer.
const FACTOR: f64 = 1000.0;

/// A sentence each, the gravest first. Empty where nothing is wrong.
pub fn findings(results: &Results) -> Vec<String> {
    let mut all: Vec<String> = [diverged(results), unfinished(results)].into_iter().flatten().collect();
    // Where no activation learned, that is the headline already.
    let accuracy = |summary: &Summary| summary.test_accuracy.map(|estimate| estimate.mean);
    let guessing = Guessing::of(results)
        .filter(|guessing| results.summary.iter().filter_map(accuracy).any(|accuracy| !guessing.explains(accuracy)));
    for summary in &results.summary {
        let runs: Vec<&Run> = completed(&results.runs, &summary.activation).filter(|run| run.steps > 0).collect();
        all.extend(
            [learned_nothing(&runs, guessing.as_ref()), dead(summary, &runs), saturated(&runs), gradient(&runs)]
                .into_iter()
                .flatten(),
        );
    }
    all
}

/// `relu in 2 of 3 trainings at steps 3 and 5 (its loss is not finite); …`: which diverged, when and by what.
pub(super) fn divergences(results: &Results) -> String {
    let of = |summary: &Summary| {
        let runs = || results.runs.iter().filter(|run| run.activation == summary.activation);
        let diverged: Vec<&Run> = runs().filter(|run| run.status == Status::Diverged).collect();
        let mut kinds: Vec<_> = diverged.iter().map(|run| run.divergence).collect();
        kinds.sort_by_key(|kind| kind.map(|kind| kind as u8));
        kinds.dedup();
        let how: Vec<String> = kinds
            .into_iter()
            .map(|kind| {
                let mut steps: Vec<usize> = diverged
                    .iter()
                    .filter(|run| run.divergence == kind)
                    .filter_map(|run| run.diverged_at_step)
                    .collect();
                steps.sort_unstable();
                let steps = at_steps(&steps);
                kind.map_or(steps.clone(), |kind| format!("{steps} ({})", kind.words()))
            })
            .map(|how| how.trim_start().to_owned())
            .filter(|how| !how.is_empty())
            .collect();
        (!diverged.is_empty()).then(|| {
            let of = format!("{}{}", summary.activation, how_often(diverged.len(), runs().count()));
            if how.is_empty() { of } else { format!("{of} {}", how.join(" and ")) }
        })
    };
    results.summary.iter().filter_map(of).collect::<Vec<_>>().join("; ")
}

/// ` with every seed`, ` in 2 of 3 trainings`; nothing where there is one.
fn how_often(times: usize, trainings: usize) -> String {
    match trainings {
        0 | 1 => String::new(),
        _ if times == trainings => " with every seed".to_owned(),
        _ => format!(" in {times} of {trainings} trainings"),
    }
}

/// `at step 3`, `at steps 3 and 5`, `at steps 3 to 90`; nothing where none is known.
fn at_steps(steps: &[usize]) -> String {
    let mut apart = steps.to_vec();
    apart.dedup();
    match apart[..] {
        [] => String::new(),
        [step] => format!("at step {step}"),
        [first, .., last] if apart.len() > 4 => format!("at steps {first} to {last}"),
        _ => format!("at steps {}", list(&apart.iter().map(usize::to_string).collect::<Vec<_>>())),
    }
}

/// Where all diverged, that is the headline already.
fn diverged(results: &Results) -> Option<String> {
    let said = results.runs.iter().all(|run| run.status != Status::Completed);
    let divergences = divergences(results);
    (!said && !divergences.is_empty()).then(|| format!("Diverged: {divergences}."))
}

/// Trainings that were interrupted, and those that the experiment names and that have no run.
pub(super) fn missing(results: &Results) -> (usize, usize) {
    let planned = results.experiment.activations.len() * results.experiment.seeds().len();
    let interrupted = results.runs.iter().filter(|run| run.status == Status::Interrupted).count();
    (interrupted, planned.saturating_sub(results.runs.len()))
}

/// `one training was interrupted, 4 did not begin`; empty where neither.
pub(super) fn missing_words(results: &Results) -> String {
    let was = |of: usize| if of == 1 { "was" } else { "were" };
    match missing(results) {
        (0, 0) => String::new(),
        (interrupted, 0) => format!("{} {} interrupted", count(interrupted, "training"), was(interrupted)),
        (0, absent) => format!("{} did not begin", count(absent, "training")),
        (interrupted, absent) => {
            format!("{} {} interrupted, {absent} did not begin", count(interrupted, "training"), was(interrupted))
        }
    }
}

fn unfinished(results: &Results) -> Option<String> {
    let words = missing_words(results);
    let said = results.runs.iter().all(|run| run.status != Status::Completed);
    (!said && !words.is_empty()).then(|| format!("Not finished: {words}; what is said here is of the others."))
}

fn learned_nothing(runs: &[&Run], guessing: Option<&Guessing>) -> Option<String> {
    let (guessing, first) = (guessing?, runs.first()?);
    let guess = |run: &&&Run| {
        run.outcome().and_then(|epoch| epoch.test_accuracy).is_some_and(|accuracy| guessing.explains(accuracy))
    };
    let guessers = runs.iter().filter(guess).count();
    let name = &first.activation;
    if guessers == 0 {
        return None;
    }
    let how_often = how_often(guessers, runs.len()).replace("every", "any");
    Some(format!("{name} learned nothing{how_often}: its accuracy there is that of guessing ({}).", guessing.words))
}

/// The mean over runs of a metric of the hidden layer where it is largest, with that layer's index.
fn worst(runs: &[&Run], metric: fn(&Layer) -> Option<f64>) -> Option<(usize, f64)> {
    let layers: Vec<Vec<&Layer>> = runs.iter().filter_map(|run| run.outcome()).map(hidden).collect();
    let deepest = layers.iter().map(Vec::len).max()?;
    let mean = |index: usize| {
        let values: Vec<f64> = layers.iter().filter_map(|layers| metric(layers.get(index)?)).collect();
        // Those that are not finite are left out.
        estimate(&values).map(|estimate| (index, estimate.mean))
    };
    (0..deepest).filter_map(mean).max_by(|a, b| a.1.total_cmp(&b.1))
}

fn dead(summary: &Summary, runs: &[&Run]) -> Option<String> {
    let overall = summary.dead_fraction?.mean;
    let (index, most) = worst(runs, |layer| layer.dead_fraction)?;
    if !(overall >= DEAD || most >= ALL) {
        return None;
    }
    let worst = match most {
        most if most >= ALL => format!("and {} has none that is alive", layer(index)),
        _ => format!("most in {}, {} %", layer(index), percent(most, 1)),
    };
    Some(format!(
        "With {}, {} % of the hidden units are dead after training (0 on every sample), {worst}.",
        summary.activation,
        percent(overall, 1)
    ))
}

fn saturated(runs: &[&Run]) -> Option<String> {
    let (index, most) = worst(runs, |layer| layer.saturated_fraction)?;
    let name = &runs.first()?.activation;
    (most >= SATURATED).then(|| {
        format!("With {name}, {} is saturated after training: {} % of its activations.", layer(index), percent(most, 1))
    })
}

fn gradient(runs: &[&Run]) -> Option<String> {
    let name = &runs.first()?.activation;
    let outcomes: Vec<&Epoch> = runs.iter().filter_map(|run| run.outcome()).collect();
    let first = |epoch: &&&Epoch| hidden(epoch).first().and_then(|layer| layer.weight_grad_rms) == Some(0.0);
    let none = outcomes.iter().filter(first).count();
    if none > 0 {
        return Some(format!(
            "With {name}, no gradient at all reaches the first hidden layer after training{}.",
            how_often(none, runs.len())
        ));
    }
    let ratios: Vec<f64> = outcomes.iter().filter_map(|epoch| gradient_ratio(epoch)).collect();
    let mean = geometric_estimate(&ratios)?.mean;
    let what = match mean {
        mean if mean < 1.0 / FACTOR => format!("vanishes: at the first hidden layer it is {}", ratio(mean)),
        mean if mean > FACTOR => format!("explodes: at the first hidden layer it is {} times", number(mean)),
        _ => return None,
    };
    let of = if mean < 1.0 { " of" } else { "" };
    Some(format!("With {name}, the weight gradient {what}{of} that at the last, after training."))
}
