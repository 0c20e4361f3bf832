//! How to run it again.

use anyhow::Context;
use maud::html;
use rectify_train::experiment::Experiment;

use crate::draw::page::Section;

/// # Errors
///
/// If the settings cannot be written as TOML.
pub fn section(experiment: &Experiment) -> anyhow::Result<Section> {
    let config = toml::to_string(experiment).context("the experiment's settings cannot be written as TOML")?;
    Ok(of_config(&config))
}

/// The same from what stands in a config file.
pub fn of_config(config: &str) -> Section {
    Section {
        id: "again",
        title: "Running it again",
        body: html! {
            p { "The settings as " code { "config.toml" } ":" }
            pre { (config) }
            pre { "rectify compare --config config.toml" }
            p class="note" { "The same seeds, backend and machine give the same bits." }
        },
    }
}
