//! What a lab and its trainings are, in words.

use super::Rate;
use crate::{claims::protocol::Plan, experiment::Experiment};

/// Data, model, optimizer and length in words; the rate, where it is not chosen for each activation.
pub fn describe(experiment: &Experiment) -> String {
    let size = experiment.train_size.map_or("all".to_owned(), |size| size.to_string());
    let hidden = experiment.hidden();
    let widths = match hidden.as_slice() {
        [] => "no hidden layer".to_owned(),
        [width, rest @ ..] if rest.iter().all(|other| other == width) => format!("{} × {width}", hidden.len()),
        widths => widths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let length = match experiment.steps {
        Some(steps) => format!("{steps} steps"),
        None => format!("{} epochs", experiment.epochs()),
    };
    let rate = experiment.lr.map_or(String::new(), |rate| format!(" {rate}"));
    format!(
        "{}, {size} training samples, {} {widths}, {}{rate} ({}), batches of {}, {length}",
        experiment.dataset, experiment.model, experiment.optimizer, experiment.schedule, experiment.batch_size,
    )
}

/// The flags that make another lab like one of this plan on this backend.
pub fn flags(plan: &Plan, backend: &str) -> String {
    let effort = plan.choose(" --quick", "", " --thorough");
    match backend {
        "flex" => effort.to_owned(),
        backend => format!("{effort} --backend {backend}"),
    }
}

/// As in `relu 0.1, tanh 0.05`.
pub fn rates_in_words<'a>(names: impl IntoIterator<Item = &'a str>, rates: &[Rate]) -> String {
    let one =
        |(name, rate): (&str, &Rate)| format!("{name} {}{}", rate.rate, if rate.at_end { " (grid's end)" } else { "" });
    names.into_iter().zip(rates).map(one).collect::<Vec<_>>().join(", ")
}
