//! How to run it again.

use anyhow::Context;
use maud::html;
use rectify_train::experiment::Experiment;

use crate::draw::page::Section;

/// Nothing for a loop of one's own, which is not ours to run.
///
/// # Errors
///
/// If the settings cannot be written as TOML.
pub fn section(experiment: &Experiment) -> anyhow::Result<Option<Section>> {
    if experiment.own.is_some() {
        return Ok(None);
    }
    let config = toml::to_string(experiment).context("the experiment's settings cannot be written as TOML")?;
    Ok(Some(of_config(&config)))
}

/// The same from what stands in a config file.
pub fn of_config(config: &str) -> Section {
    Section {
        id: "again",
        title: "Running it again",
        body: html! {
            p { "The settings as " code { "config.toml" } ":" }
            pre tabindex="0" { (config) }
            pre tabindex="0" { "rectify compare --config config.toml" }
            p class="note" { "The same seeds, backend and machine give the same bits." }
        },
    }
}
