//! What an experiment's metrics say, in words that are computed from them.
//!
//! The first sentence is the answer: who learned best, or why nobody did. A winner is named only where its difference
//! to the second best is [settled]; what prints as equal is a tie, at
//! [guessing level](super::guessing) nobody wins, and networks that took no step are not ranked. Then every activation's
//! difference to the baseline, the gradient before training, what it would be with a textbook's weights, and what
//! [went wrong](super::findings).

use super::{
    findings::{divergences, findings, missing, missing_words},
    guessing::Guessing,
    number::{ABSENT, count, list, number, percent, points, ratio, share},
    paired::settled,
    statistics::{completed, hidden},
    theory::{TEXTBOOK, of_record},
};
use crate::record::{Epoch, Interval, PairedDifference, Results, Run, Status};

/// Sentences on an experiment, the answer first. None where nothing was run.
pub fn sentences(results: &Results) -> Vec<String> {
    if results.experiment.own.is_some() {
        return results.runs.iter().map(own).collect();
    }
    let Some(headline) = headline(results) else { return Vec::new() };
    let mut all = vec![headline];
    all.extend([against_baseline(results), gradients(results), textbook(results)].into_iter().flatten());
    all.extend(findings(results));
    all.extend(one_rate(results));
    all
}

/// Of a loop of one's own, whose accuracy is not known.
fn own(run: &Run) -> String {
    let loss = |epoch: Option<&Epoch>| epoch.and_then(|epoch| epoch.train_loss).map_or(ABSENT.to_owned(), number);
    let mut looks = run.epochs.iter().filter(|epoch| epoch.train_loss.is_some());
    let (first, last) = (looks.next(), looks.next_back());
    let end = match run.diverged_at_step {
        Some(step) => format!("it diverged at step {step}"),
        None => format!("its training loss went from {} to {}", loss(first), loss(last.or(first))),
    };
    format!("{} was trained for {} by a loop of its own: {end}.", run.activation, count(run.steps, "step"))
}

/// An activation that has an accuracy.
struct Ranked<'a> {
    name: &'a str,
    accuracy: f64,
    guesses: bool,
}

impl Ranked<'_> {
    fn percent(&self) -> String {
        format!("{} %", percent(self.accuracy, 2))
    }
}

/// Best first; equals in the experiment's order.
fn ranking(results: &Results) -> Vec<Ranked<'_>> {
    let guessing = Guessing::of(results);
    let mut ranked: Vec<Ranked> = results
        .summary
        .iter()
        .filter_map(|summary| {
            let accuracy = summary.test_accuracy.map(|estimate| estimate.mean).filter(|mean| mean.is_finite())?;
            let guesses = guessing.as_ref().is_some_and(|guessing| guessing.explains(accuracy));
            Some(Ranked { name: &summary.activation, accuracy, guesses })
        })
        .collect();
    ranked.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
    ranked
}

fn untrained(results: &Results) -> bool {
    let mut completed = results.runs.iter().filter(|run| run.status == Status::Completed).peekable();
    completed.peek().is_some() && completed.all(|run| run.steps == 0)
}

fn headline(results: &Results) -> Option<String> {
    let runs = &results.runs;
    let diverged = runs.iter().filter(|run| run.status == Status::Diverged).count();
    let (interrupted, absent) = missing(results);
    if runs.is_empty() {
        return None;
    }
    if diverged == runs.len() && absent == 0 {
        let all = if diverged == 1 { "The training".to_owned() } else { format!("All {diverged} trainings") };
        return Some(format!("{all} diverged: {}.", divergences(results)));
    }
    if diverged + interrupted == runs.len() {
        let also = if diverged == 0 { String::new() } else { format!("; diverged: {}", divergences(results)) };
        return Some(format!("No training was completed: {}{also}.", missing_words(results)));
    }
    if untrained(results) {
        return Some(
            "The networks were not trained: their accuracy is that of initial weights, and no activation is ahead."
                .to_owned(),
        );
    }
    let ranked = ranking(results);
    let guessing = Guessing::of(results).map_or(String::new(), |guessing| guessing.words);
    let seeds = seeds(results, &ranked);
    let each = |ranked: &[Ranked]| -> String {
        ranked.iter().map(|of| format!("{} {}", of.name, of.percent())).collect::<Vec<_>>().join(", ")
    };
    match &ranked[..] {
        [] => Some("No training gave an accuracy.".to_owned()),
        [alone] if alone.guesses => Some(format!(
            "{} does not get beyond guessing on the test set: {} ({seeds}); {guessing}.",
            alone.name,
            alone.percent()
        )),
        [alone] => {
            let summary = results.summary.iter().find(|summary| summary.activation == alone.name)?;
            let accuracy = share(&summary.test_accuracy?, " %");
            Some(format!("{} reaches {accuracy} on the test set ({seeds}).", alone.name))
        }
        all if all[0].guesses => {
            Some(format!("No activation gets beyond guessing on the test set: {} ({seeds}); {guessing}.", each(all)))
        }
        all => Some(contest(results, all, &seeds, &each)),
    }
}

/// `mean of 3 seeds`, `one seed, so no interval`.
fn seeds(results: &Results, ranked: &[Ranked]) -> String {
    let measured = |run: &&Run| run.outcome().and_then(|epoch| epoch.test_accuracy).is_some_and(f64::is_finite);
    let mut counts: Vec<usize> =
        ranked.iter().map(|of| completed(&results.runs, of.name).filter(measured).count()).collect();
    counts.sort_unstable();
    counts.dedup();
    let means = if ranked.len() == 1 { "mean" } else { "means" };
    match counts[..] {
        [1] => "one seed, so no interval".to_owned(),
        [seeds] => format!("{means} of {seeds} seeds"),
        _ => format!("{means} over the seeds that completed"),
    }
}

/// Two or more activations, of which at least the first learned something.
fn contest(results: &Results, ranked: &[Ranked], seeds: &str, each: &dyn Fn(&[Ranked]) -> String) -> String {
    let (best, second) = (&ranked[0], &ranked[1]);
    let rest = |from: usize| match &ranked[from..] {
        [] => String::new(),
        rest => format!("; {}", each(rest)),
    };
    let equal = ranked.iter().take_while(|of| of.percent() == best.percent()).count();
    if equal > 1 {
        let names: Vec<&str> = ranked[..equal].iter().map(|of| of.name).collect();
        return format!("{} reach the same {} on the test set ({seeds}){}.", list(&names), best.percent(), rest(equal));
    }
    let pair = two_best(results, best.name, second.name);
    let untested = match pair {
        None => Some("was not tested, without a seed in common"),
        Some(pair) if pair.seeds == 1 => Some("one seed in common does not settle"),
        Some(_) => None,
    };
    if let Some(why) = untested {
        let both = each(&ranked[..2]);
        return format!("On the test set: {both} ({seeds}), a difference that {why}{}.", rest(2));
    }
    let names = format!("{} and {}", best.name, second.name);
    let accuracies = format!("{} and {}", best.percent(), second.percent());
    let difference = pair.map_or(String::new(), |pair| difference_words(pair, pair.activation != best.name));
    if pair.is_some_and(settled) {
        format!(
            "{} reaches {} on the test set, ahead of {} with {} ({seeds}): seed by seed {difference}{}.",
            best.name,
            best.percent(),
            second.name,
            second.percent(),
            rest(2)
        )
    } else {
        format!(
            "{names} are not told apart on the test set: {accuracies} ({seeds}), seed by seed {difference}{}.",
            rest(2)
        )
    }
}

fn two_best<'a>(results: &'a Results, best: &str, second: &str) -> Option<&'a PairedDifference> {
    results.paired_differences.iter().find(|pair| {
        [&*pair.activation, &*pair.baseline] == [best, second] || [&*pair.activation, &*pair.baseline] == [second, best]
    })
}

/// `+0.39 points (+0.19 to +0.59 at 97.5 %)`: with the interval that decides.
fn difference_words(pair: &PairedDifference, turned: bool) -> String {
    let turn = |value: f64| if turned { -value } else { value };
    let mean = format!("{} points", points(turn(pair.test_accuracy.mean)));
    match (pair.interval, pair.p_value) {
        (Some(Interval { low, high, confidence }), _) => {
            let (low, high) = if turned { (-high, -low) } else { (low, high) };
            let level = level(confidence);
            format!("{mean} ({} to {} at {level} %)", points(low), points(high))
        }
        (None, Some(_)) => format!("{mean} with every one of {} seeds", pair.seeds),
        (None, None) if pair.seeds == 1 => format!("{mean} (one seed, so not tested)"),
        (None, None) => format!("{mean} (not tested)"),
    }
}

/// `95`, `97.5`, `98.33`.
fn level(confidence: f64) -> String {
    let text = percent(confidence, 2);
    if text == ABSENT { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// Each activation against the experiment's first, but for a pair that the headline is about.
fn against_baseline(results: &Results) -> Option<String> {
    if untrained(results) {
        return None;
    }
    let baseline = results.experiment.activations.first()?.name();
    let ranked = ranking(results);
    let of = |name: &str| ranked.iter().find(|of| of.name == name);
    let tied = ranked.len() > 1 && ranked[0].percent() == ranked[1].percent();
    let told: Vec<String> = results
        .paired_differences
        .iter()
        .filter(|pair| pair.baseline == baseline && (tied || !pair.two_best))
        // There is nothing to compare in two that guess.
        .filter(|pair| [&pair.activation, &pair.baseline].iter().any(|name| of(name).is_some_and(|of| !of.guesses)))
        .map(|pair| {
            let decided = match pair.p_value {
                None => "",
                Some(_) if settled(pair) => ", settled",
                Some(_) => ", not settled",
            };
            format!("{} {}{decided}", pair.activation, difference_words(pair, false))
        })
        .collect();
    if told.is_empty() {
        return None;
    }
    let tests = results.paired_differences.iter().filter(|pair| pair.p_value.is_some()).count();
    let holm = match tests {
        0 | 1 => String::new(),
        _ => format!(" The levels are Holm's for {} in one experiment.", count(tests, "test")),
    };
    Some(format!("Compared with {baseline} in test accuracy, seed by seed: {}.{holm}", told.join("; ")))
}

/// The weakest and the strongest first-to-last ratio of weight gradients before training, or whose gradient does not arrive.
fn gradients(results: &Results) -> Option<String> {
    let of = |name: &str| -> Vec<f64> {
        let start = |run: &Run| {
            let epoch = run.epochs.iter().find(|epoch| epoch.epoch == 0)?;
            hidden(epoch).first()?.weight_grad_rms
        };
        completed(&results.runs, name).filter_map(start).collect()
    };
    let names = results.summary.iter().map(|summary| summary.activation.as_str());
    let none: Vec<&str> = names.filter(|name| of(name).contains(&0.0)).collect();
    if !none.is_empty() {
        return Some(format!(
            "Before training, no gradient at all reaches the first hidden layer with {}.",
            list(&none)
        ));
    }
    let mut ratios: Vec<(&str, f64)> = results
        .summary
        .iter()
        .filter(|summary| summary.seeds > summary.diverged)
        .filter_map(|summary| Some((summary.activation.as_str(), summary.gradient_ratio_start?.mean)))
        .filter(|(_, mean)| mean.is_finite())
        .collect();
    ratios.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (weakest, lowest) = *ratios.first()?;
    let sentence = format!(
        "Before training, {weakest}'s weight gradient at the first hidden layer is {} of the one at the last",
        ratio(lowest)
    );
    Some(match ratios.last() {
        Some(&(strongest, highest)) if strongest != weakest => {
            format!("{sentence}; with {strongest} it is {}.", ratio(highest))
        }
        _ => format!("{sentence}."),
    })
}

/// Below this the gradient at the first layer has vanished: with one rate for all layers, a tenth of the gradient is a tenth
/// of the movement.
const VANISHED: f64 = 0.1;

/// What was not trained here: the textbook's case of a gradient that vanishes, by theory.
fn textbook(results: &Results) -> Option<String> {
    if results.experiment.init == TEXTBOOK {
        return None;
    }
    let names = results.summary.iter().map(|summary| summary.activation.as_str());
    let vanished = names.filter_map(|name| {
        let first = *of_record(results, name, TEXTBOOK)?.first()?;
        (first < VANISHED).then_some((name, first))
    });
    let (name, first) = vanished.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(format!(
        "With Xavier's weights, the textbook's case, {} of {name}'s pre-activation gradient would arrive at the first \
         hidden layer, by mean-field theory; `--init {TEXTBOOK}` tries it.",
        ratio(first)
    ))
}

/// That activations have rates of their own at which they are best.
fn one_rate(results: &Results) -> Option<String> {
    let trained = results.summary.len() > 1 && results.runs.iter().any(|run| run.steps > 0);
    let tuned = results.experiment.tune.is_some();
    (trained && !tuned).then(|| {
        format!(
            "All were trained at a learning rate of {}; `--tune lr` finds each one's best first.",
            results.experiment.learning_rate()
        )
    })
}
