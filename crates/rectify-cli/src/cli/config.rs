//! The config file: read, laid under flags, and written with comments.

use std::{fs, path::Path};

use clap::Args;
use rectify_train::{experiment::Experiment, words::Vocabulary};

use super::{ExperimentFlags, Usage};
use crate::report::terminal::paragraph;

/// The settings of a config file.
pub fn read_config(path: &Path) -> Result<toml::Table, Usage> {
    let wrong = |reason: String| Usage(format!("--config {}: {reason}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let keys = keys();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let vocabulary = Vocabulary { kind: "setting", names: &keys, aliases: &[], hints: KEY_HINTS };
    if let Some(unknown) = table.keys().find(|key| !keys.contains(&key.as_str())) {
        return Err(wrong(vocabulary.unknown(unknown)));
    }
    // By itself, so that an error is about the file, with the line, and not about what is merged.
    toml::from_str::<Experiment>(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(table)
}

/// The keys of a config file: the experiment's flags with underscores.
fn keys() -> Vec<String> {
    let flags = ExperimentFlags::augment_args(clap::Command::new("rectify"));
    let keys = flags.get_arguments().map(|arg| arg.get_id().to_string());
    keys.chain(["activation".to_owned()]).collect()
}

/// The settings as a config file, with what each is in a comment above it.
///
/// # Errors
///
/// A number that TOML has not.
pub fn commented(experiment: &Experiment) -> anyhow::Result<String> {
    let flags = ExperimentFlags::augment_args(clap::Command::new("rectify"));
    let comment = |key: &str| -> Option<String> {
        let help = flags.get_arguments().find(|arg| arg.get_id() == key)?.get_help()?.to_string();
        // What stands at its beginning says what it is; the rest is in `--help`.
        let first =
            help.split(", as in").next()?.split([';', '(']).next()?.split(". ").next()?.split(" [default").next()?;
        let first = first.trim().replace('\n', " ");
        Some(paragraph(&first, COMMENT).lines().map(|line| format!("# {line}\n")).collect())
    };
    let mut text = String::new();
    let mut in_table = false;
    for line in toml::to_string(experiment)?.lines() {
        let table = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
        // What a table holds is named after settings, which are explained where they stand by themselves.
        let key = table.or(line.split_once(" = ").map(|(key, _)| key).filter(|_| !in_table));
        text += &key.and_then(comment).unwrap_or_default();
        text += line;
        text += "\n";
        in_table |= table.is_some();
    }
    Ok(text)
}

/// Width of a comment, without its mark.
const COMMENT: usize = 78;

/// What others call settings.
pub const KEY_HINTS: &[(&str, &[&str])] = &[
    ("learning_rate", &["lr"]),
    ("layers", &["hidden"]),
    ("widths", &["hidden"]),
    ("units", &["hidden"]),
    ("batch", &["batch_size"]),
    ("device", &["backend"]),
    ("precision", &["dtype"]),
    ("samples", &["train_size"]),
    ("gradient_clipping", &["clip_norm"]),
    ("l2", &["weight_decay"]),
    ("lr_schedule", &["schedule"]),
    ("batch_norm", &["norm"]),
    ("layer_norm", &["norm"]),
    ("normalization", &["norm"]),
    ("skip", &["residual"]),
];

/// A setting given over one that is there. Seeds by number replace a list of them, and epochs steps, and the other way
/// around; given both, the list and the steps count.
pub fn merge(settings: &mut toml::Table, over: toml::Table) {
    for [one, other] in [["seeds", "seed"], ["epochs", "steps"], ["steps", "epochs"]] {
        if over.contains_key(one) {
            settings.remove(other);
        }
    }
    for (name, value) in over {
        // A setting's values take the place of those that it had; the other settings stay swept.
        if let ("sweep", toml::Value::Table(axes), Some(toml::Value::Table(there))) =
            (name.as_str(), &value, settings.get_mut("sweep"))
        {
            there.extend(axes.clone());
            continue;
        }
        let name = if name == "activation" { "activations".to_owned() } else { name };
        settings.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_config_has_a_comment_above_every_setting_and_reads_back() {
        let mut experiment: Experiment = toml::from_str("seeds = 2\nhidden = [8]\n[sweep]\nlr = [0.1, 0.2]\n").unwrap();
        experiment = experiment.resolve().unwrap();
        let text = commented(&experiment).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let settings = lines.iter().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let settings: Vec<(usize, &&str)> = settings.take_while(|(_, line)| **line != "[sweep]").collect();
        assert!(settings.len() > 10, "{text}");
        for (at, line) in settings {
            assert!(at > 0 && lines[at - 1].starts_with("# "), "`{line}` has no comment:\n{text}");
        }
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert!(
            text.contains("# Samples a step\nbatch_size = 128\n") && text.contains("\n[sweep]\nlr = [0.1, 0.2]\n"),
            "{text}"
        );
        assert_eq!(toml::from_str::<Experiment>(&text).unwrap(), experiment);
    }
}
