//! `report.html`: the results as a page for people, a file a section.
//!
//! Nothing is computed here: estimates over seeds come from the results, curves and means by layer from
//! [`rectify_train::judge::curve`]. A new section is a file and a line in [`html`].

use maud::{Markup, html};
use rectify_train::{
    judge::{
        curve::{self, RunGroup},
        diagnose::Diagnosis,
        number,
    },
    record::{Layer, Results, Run},
};

pub mod across;
mod activations;
mod again;
pub mod claims;
mod confusion;
mod differences;
#[cfg(test)]
pub(crate) mod fixture;
mod functions;
mod gradients;
mod health;
mod histograms;
pub mod inside;
mod layers;
mod learning_curves;
mod ranking;
mod runs;
mod settings;
#[cfg(test)]
mod slider_tests;
mod summary;
pub mod sweep;
pub mod table;
pub mod terminal;
#[cfg(test)]
mod tests;
mod tuning;
mod units;
mod updates;

use crate::draw::{
    page::{Section, page, scrolling, sections, swatch},
    style::Style,
};

/// The page, one file that needs no network. `sentences` say in plain text what the figures show and stand on top;
/// `diagnoses` are of the results' runs, where they were diagnosed.
///
/// # Errors
///
/// If the settings cannot be written as TOML.
pub fn html(results: &Results, sentences: &[String], diagnoses: &[Diagnosis]) -> anyhow::Result<String> {
    let report = Report::of(results);
    let names = match report.groups.len() {
        0..=5 => report.groups.iter().map(StyledGroup::name).collect::<Vec<_>>().join(", "),
        count => format!("{count} activations"),
    };
    let legend: Vec<(&str, Style)> = report.groups.iter().map(|group| (group.name(), group.style)).collect();
    let all = [
        Some(summary::section(&report, sentences)),
        ranking::section(&report),
        differences::section(&report),
        tuning::section(&report),
        Some(learning_curves::section(&report)),
        confusion::section(&report),
        functions::section(&report),
        Some(gradients::section(&report)),
        histograms::section(&report),
        Some(units::section(&report)),
        units::single(&report),
        Some(activations::section(&report)),
        updates::section(&report),
        health::section(&report, diagnoses),
        Some(runs::section(&report)),
        Some(settings::section(results)),
        again::section(&results.experiment)?,
    ];
    let all: Vec<Section> = all.into_iter().flatten().collect();
    let title = format!("{names} on {}", results.experiment.dataset);
    // The answer in a sentence and a picture; what else there is to say stands with the numbers.
    let lead = sentences.first().map_or("", String::as_str);
    let body = html! {
        @if let Some(opening) = gradients::opening(&report) { (opening) }
        (self::sections(&all))
    };
    Ok(page(&title, lead, &legend, &body))
}

/// What the sections read.
struct Report<'a> {
    results: &'a Results,
    groups: Vec<StyledGroup<'a>>,
    /// The layers from the input on; empty where none was probed.
    layers: Vec<&'a str>,
    /// Those that an activation follows.
    hidden: Vec<&'a str>,
}

impl<'a> Report<'a> {
    fn of(results: &'a Results) -> Self {
        let groups = RunGroup::all(&results.runs).into_iter().enumerate();
        let layers: &[Layer] = curve::layers(&results.runs);
        Self {
            results,
            groups: groups.map(|(index, runs)| StyledGroup { runs, style: Style::of(index) }).collect(),
            layers: layers.iter().map(|layer| layer.layer.as_str()).collect(),
            hidden: curve::hidden(layers),
        }
    }

    /// Of each activation the first run one of whose layers `has` something, with the activation's place.
    fn first_runs(&self, has: impl Fn(&Layer) -> bool) -> Vec<(usize, &StyledGroup<'a>, &'a Run)> {
        let has = |run: &&&'a Run| run.epochs.iter().flat_map(|epoch| &epoch.layers).any(&has);
        let groups = self.groups.iter().enumerate();
        groups.filter_map(|(place, group)| Some((place, group, *group.runs.runs.iter().find(has)?))).collect()
    }

    /// A layer as people count them, `layer 1` for `hidden.0`; one of a network of one's own has the name that its author
    /// gave.
    fn layer(&self, name: &str) -> String {
        let counted = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.parse::<usize>().is_ok());
        let ours = self.results.experiment.own.is_none() && ["hidden.", "conv."].into_iter().any(counted);
        match self.layers.iter().position(|layer| *layer == name) {
            Some(place) if ours => number::layer(place),
            _ => name.to_owned(),
        }
    }

    fn runs(&self) -> &'a [Run] {
        &self.results.runs
    }

    /// A table whose first column names activations and whose other columns are numbers.
    fn numbers(&self, label: &str, header: &[&str], rows: &[Vec<String>]) -> Markup {
        let mark = |name: &str| self.groups.iter().find(|group| group.name() == name).map(|group| swatch(group.style));
        let row = |row: &Vec<String>| {
            let (name, cells) = row.split_first().map_or(("", &[][..]), |(name, cells)| (name.as_str(), cells));
            html! {
                tr {
                    th scope="row" { @if let Some(mark) = mark(name) { (mark) } (name) }
                    @for cell in cells { td class=[cell.contains("diverged").then_some("diverged")] { (cell) } }
                }
            }
        };
        let table = html! {
            table class="numbers" {
                thead { tr { @for name in header { th scope="col" { (name) } } } }
                tbody { @for cells in rows { (row(cells)) } }
            }
        };
        scrolling(label, &table)
    }
}

/// An activation's runs, and how they look in every figure.
struct StyledGroup<'a> {
    runs: RunGroup<'a>,
    style: Style,
}

impl<'a> StyledGroup<'a> {
    fn name(&self) -> &'a str {
        self.runs.activation
    }
}

/// As in "diverged at step 3: its loss is not finite", from after "diverged"; empty where the record does not say.
fn at_step(run: &Run) -> String {
    let step = run.diverged_at_step.map_or(String::new(), |step| format!(" at step {step}"));
    run.divergence.map_or(step.clone(), |divergence| format!("{step}: {}", divergence.words()))
}
