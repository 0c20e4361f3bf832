//! What an experiment's figures say, in words that are computed from them.

use crate::record::{Results, Summary};

/// One or two sentences on an experiment: who learned best, and where gradients vanished.
pub fn sentences(results: &Results) -> Vec<String> {
    [accuracy(results), gradients(results), diverged(results)].into_iter().flatten().collect()
}

fn accuracy(results: &Results) -> Option<String> {
    let mut ranked: Vec<(&Summary, f64)> =
        results.summary.iter().filter_map(|summary| Some((summary, summary.test_accuracy?.mean))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (best, top) = *ranked.first()?;
    let percent = |accuracy: f64| format!("{:.2} %", 100.0 * accuracy);
    // Those that diverged have no accuracy.
    let seeds = match best.seeds - best.diverged {
        1 => "one seed, so no interval".to_owned(),
        seeds => format!("mean of {seeds} seeds"),
    };
    let Some((second, runner_up)) = ranked.get(1) else {
        return Some(format!("{} reaches {} on the test set ({seeds}).", best.activation, percent(top)));
    };
    // The difference seed by seed, if the two are a pair that was compared: its interval decides.
    let pair = results.paired_differences.iter().find(|pair| {
        [&pair.activation, &pair.baseline] == [&best.activation, &second.activation]
            || [&pair.activation, &pair.baseline] == [&second.activation, &best.activation]
    });
    let clarity = match pair.map(|pair| (pair.test_accuracy.low, pair.test_accuracy.high)) {
        Some((Some(low), Some(high))) if low > 0.0 || high < 0.0 => {
            "and the difference, seed by seed, is clear of zero at 95 %"
        }
        Some((Some(_), Some(_))) => "but the difference, seed by seed, is not clear of zero at 95 %",
        Some(_) => "with too few seeds to say more",
        None => "a difference that was not tested",
    };
    let rest: Vec<String> =
        ranked[2..].iter().map(|(summary, mean)| format!("{} {}", summary.activation, percent(*mean))).collect();
    let rest = if rest.is_empty() { String::new() } else { format!("; {}", rest.join(", ")) };
    Some(format!(
        "{} reaches {} on the test set ({seeds}), before {} with {}, {clarity}{rest}.",
        best.activation,
        percent(top),
        second.activation,
        percent(*runner_up)
    ))
}

/// The weakest and the strongest first-to-last gradient ratio before training.
fn gradients(results: &Results) -> Option<String> {
    let mut ratios: Vec<(&str, f64)> = results
        .summary
        .iter()
        .filter_map(|summary| Some((summary.activation.as_str(), summary.gradient_ratio_start?.mean)))
        .collect();
    ratios.sort_by(|a, b| a.1.total_cmp(&b.1));
    let part = |ratio: f64| match ratio {
        ratio if ratio < 0.1 => format!("1/{:.0}", 1.0 / ratio),
        ratio => format!("{ratio:.2}"),
    };
    let (weakest, lowest) = *ratios.first()?;
    let sentence = format!(
        "Before training, {weakest}'s gradient at the first hidden layer is {} of the one at the last",
        part(lowest)
    );
    Some(match ratios.last() {
        Some(&(strongest, highest)) if strongest != weakest => {
            format!("{sentence}; with {strongest} it is {}.", part(highest))
        }
        _ => format!("{sentence}."),
    })
}

fn diverged(results: &Results) -> Option<String> {
    let diverged: Vec<String> = results
        .summary
        .iter()
        .filter(|summary| summary.diverged > 0)
        .map(|summary| format!("{} in {} of {} runs", summary.activation, summary.diverged, summary.seeds))
        .collect();
    (!diverged.is_empty()).then(|| format!("Diverged: {}.", diverged.join(", ")))
}
