//! `--sweep`: a setting with its values, each of them read as the setting's own flag reads it.

use std::{collections::BTreeMap, error::Error};

use clap::{Args, Command, FromArgMatches};
use rectify_train::words::{Vocabulary, entries};
use serde::{Serialize, Serializer};

use super::{ExperimentFlags, KEY_HINTS, value::Value};

/// A setting, by its name in the config file, with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    setting: String,
    values: Vec<toml::Value>,
}

/// A setting and its values, as in `lr=0.01,0.1`.
pub fn axis() -> Value<Axis> {
    Value::parsed(parse)
}

/// Serialises a flag that may be given several times as the table that a config file has.
pub fn serialize_all<S: Serializer>(axes: &[Axis], serializer: S) -> Result<S::Ok, S::Error> {
    let mut table: BTreeMap<&str, Vec<&toml::Value>> = BTreeMap::new();
    for axis in axes {
        table.entry(&axis.setting).or_default().extend(&axis.values);
    }
    table.serialize(serializer)
}

fn parse(text: &str) -> Result<Axis, String> {
    let Some((name, values)) = text.split_once('=') else {
        return Err("a setting and its values are expected, as in lr=0.01,0.03,0.1".to_owned());
    };
    let flags = ExperimentFlags::augment_args(Command::new("rectify").no_binary_name(true));
    let names: Vec<&str> = flags.get_arguments().map(|arg| arg.get_id().as_str()).filter(|id| *id != "sweep").collect();
    let aliases = [("activation", "activations")];
    let vocabulary = Vocabulary { kind: "setting", names: &names, aliases: &aliases, hints: KEY_HINTS };
    let setting = vocabulary.find(name).ok_or_else(|| vocabulary.unknown(name))?;
    let values = match setting {
        // Each has commas of its own.
        "hidden" => values.split(':').map(str::trim).collect(),
        _ => entries(values),
    };
    let read = |value: &&str| {
        let wrong = |reason: String| format!("`{value}`: {reason}");
        if value.is_empty() {
            return Err("a value is missing, or a comma is too many".to_owned());
        }
        let takes_value = flags.get_arguments().any(|arg| arg.get_id() == setting && arg.get_action().takes_values());
        if !takes_value {
            return value.parse().map(toml::Value::Boolean).map_err(|_| wrong("true or false is expected".to_owned()));
        }
        let flag = format!("--{}={value}", setting.replace('_', "-"));
        let matches =
            flags.clone().try_get_matches_from([flag]).and_then(|found| ExperimentFlags::from_arg_matches(&found));
        // Clap's own message is about a flag that nobody gave.
        let given = matches.map_err(|error| wrong(error.source().map_or(error.to_string(), ToString::to_string)))?;
        let table = toml::Table::try_from(&given).map_err(|error| wrong(error.to_string()))?;
        table.get(setting).cloned().ok_or_else(|| wrong("no value".to_owned()))
    };
    Ok(Axis { setting: setting.to_owned(), values: values.iter().map(read).collect::<Result<_, String>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_setting_itself_reads_them() {
        for (text, setting, values) in [
            ("LR=0.01, 1e-1", "lr", "[0.01, 0.1]"),
            ("batch-size=16,32", "batch_size", "[16, 32]"),
            ("hidden=64,64:128:none", "hidden", "[[64, 64], [128], []]"),
            ("init=normal:0.1,kaiming-normal", "init", "[\"normal:0.1\", \"he-normal\"]"),
            ("residual=true,false", "residual", "[true, false]"),
        ] {
            let axis = parse(text).unwrap();
            assert_eq!((axis.setting.as_str(), toml::Value::from(axis.values).to_string().as_str()), (setting, values));
        }
    }

    #[test]
    fn what_is_no_sweep_says_what_is_expected() {
        for (text, part) in [
            ("lr", "as in lr=0.01"),
            ("lrr=1", "did you mean `lr`?"),
            ("learning-rate=1", "did you mean `lr`?"),
            ("lr=0.1,fast", "`fast`: it is not a number"),
            ("lr=0.1,,1", "a comma is too many"),
            ("hidden=64;64", "widths stand between commas"),
            ("residual=yes", "`yes`: true or false"),
            ("optimizer=sgdd", "did you mean `sgd`"),
            ("sweep=1", "unknown setting"),
        ] {
            let reason = parse(text).unwrap_err();
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }
}
