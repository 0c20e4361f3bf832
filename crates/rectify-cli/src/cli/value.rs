//! What may stand behind a flag, and what is said of a value that may not.

use std::{ffi::OsStr, fmt::Display, str::FromStr, time::Duration};

use clap::{
    Arg, Command,
    builder::{PossibleValue, TypedValueParser},
    error::{ContextKind, ContextValue},
};
use rectify_train::{
    activation::{self, Activation},
    words::{entries, shown},
};
use serde::{Serialize, Serializer};

/// A flag's parser, which knows the words that completions offer.
#[derive(Clone)]
pub struct Value<T> {
    parse: fn(&str) -> Result<T, String>,
    words: Vec<&'static str>,
}

impl<T> Value<T> {
    /// What `parse` makes of it.
    pub fn parsed(parse: fn(&str) -> Result<T, String>) -> Self {
        Self { parse, words: Vec::new() }
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Value<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        match value.to_str() {
            Some(text) => self.parse.parse_ref(command, arg, value).map_err(|mut error| {
                // Clap shows all of it.
                error.insert(ContextKind::InvalidValue, ContextValue::String(shown(text).into_owned()));
                error
            }),
            // Clap's own message names no flag.
            None => {
                let refuse = |_: &str| -> Result<T, String> {
                    Err("it is not UTF-8, as `config.toml` and `results.json` must be; a link with a plain name will do"
                        .to_owned())
                };
                refuse.parse_ref(command, arg, OsStr::new(value.to_string_lossy().as_ref()))
            }
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        match self.words.is_empty() {
            true => None,
            false => Some(Box::new(self.words.iter().map(PossibleValue::new))),
        }
    }
}

/// Any text.
pub fn text() -> Value<String> {
    Value { parse: |text| Ok(text.to_owned()), words: Vec::new() }
}

/// Any text, of which some is known.
pub fn among(words: &[&'static str]) -> Value<String> {
    Value { words: words.to_vec(), ..text() }
}

/// One of some words, or what else the type reads.
pub fn word<T: FromStr<Err: Display>>(words: &[&'static str]) -> Value<T> {
    Value { parse: |text| text.parse().map_err(|error: T::Err| error.to_string()), words: words.to_vec() }
}

/// A number.
pub fn number() -> Value<f64> {
    Value { parse: parse_number, words: Vec::new() }
}

fn parse_number(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let Ok(number) = text.parse::<f64>() else {
        return Err(if text.contains([',', ';']) {
            "one number is expected, with a point before its decimals; for several values use --sweep, as in --sweep lr=0.1,0.01"
                .to_owned()
        } else if text.ends_with('%') {
            "a fraction is expected, as in 0.1 for 10 %".to_owned()
        } else {
            "it is not a number".to_owned()
        });
    };
    // `inf` and `nan` are told by whoever knows the setting's range.
    let digits =
        || text.bytes().take_while(|byte| !byte.eq_ignore_ascii_case(&b'e')).any(|byte| (b'1'..=b'9').contains(&byte));
    match number {
        0.0 if digits() => Err("it is too small: the nearest number is 0".to_owned()),
        number if number.is_infinite() && digits() => Err(format!("it is too large: numbers end at {:e}", f64::MAX)),
        number => Ok(number),
    }
}

/// A whole number that is not negative.
pub fn whole<T: TryFrom<i64>>() -> Value<T> {
    Value { parse: parse_whole, words: Vec::new() }
}

/// The limit is TOML's, which all settings are written in.
fn parse_whole<T: TryFrom<i64>>(text: &str) -> Result<T, String> {
    let text = text.trim();
    let too_large = || format!("it is over {}", i64::MAX);
    if let Ok(number) = text.parse::<i128>() {
        return match i64::try_from(number) {
            _ if number < 0 => Err("it must not be negative".to_owned()),
            Ok(number) => T::try_from(number).map_err(|_| too_large()),
            Err(_) => Err(too_large()),
        };
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    Err(match (text, text.parse::<f64>()) {
        ("", _) => "a number is missing, or a comma is too many".to_owned(),
        _ if digits(text) => too_large(),
        _ if text.contains([',', ';']) => "one number is expected".to_owned(),
        (_, Ok(number)) if number.fract() == 0.0 && (0.0..1e15).contains(&number) => {
            format!("a whole number is expected; write {number}")
        }
        _ => "a whole number is expected".to_owned(),
    })
}

/// A whole number of at least 1.
pub fn count() -> Value<usize> {
    let parse = |text: &str| match parse_whole(text)? {
        0 => Err("it must be at least 1".to_owned()),
        count => Ok(count),
    };
    Value { parse, words: Vec::new() }
}

/// A time, as in `90s`, `10m` or `1h30m`.
pub fn time() -> Value<Duration> {
    let parse = |text: &str| {
        let time = text.trim().parse::<jiff::SignedDuration>();
        let time = time.map_err(|_| "a time is expected, as in 90s, 10m or 1h30m".to_owned())?;
        Duration::try_from(time).map_err(|_| "it must not be negative".to_owned())
    };
    Value { parse, words: Vec::new() }
}

/// `--hidden`; a type of its own because clap takes a `Vec` for a repeated flag.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Widths(Vec<usize>);

/// Widths of hidden layers, or `none`.
pub fn widths() -> Value<Widths> {
    Value { parse: parse_widths, words: Vec::new() }
}

fn parse_widths(text: &str) -> Result<Widths, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("none") {
        return Ok(Widths(Vec::new()));
    }
    let numbers: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty()).collect();
    let other = [';', 'x', 'X', '×', '*', '|', '/', '[', ']', '(', ')', '+'];
    let parted_otherwise =
        text.chars().all(|c| c.is_ascii_digit() || c == ',' || c.is_whitespace() || other.contains(&c))
            && (text.contains(other) || text.split(',').any(|width| width.split_whitespace().count() > 1));
    if parted_otherwise && !numbers.is_empty() {
        let times = match numbers[..] {
            [width, layers] if text.contains(['x', 'X', '×', '*']) => match layers.parse() {
                Ok(layers @ 1..=10) => format!("; {layers} layers of {width} are {}", vec![width; layers].join(",")),
                _ => String::new(),
            },
            _ => String::new(),
        };
        return Err(format!("widths stand between commas, as in {}{times}", numbers.join(",")));
    }
    let width =
        |width: &str| parse_whole(width).map_err(|reason| format!("`{width}` is not a number of units: {reason}"));
    text.split(',').map(width).collect::<Result<_, String>>().map(Widths)
}

/// A list of activations.
#[derive(Debug, Clone, PartialEq)]
pub struct Activations(Vec<Activation>);

impl Activations {
    /// Those of a flag that may be given several times, in their order.
    pub fn all(lists: &[Self]) -> impl Iterator<Item = &Activation> {
        lists.iter().flat_map(|list| &list.0)
    }

    /// Serialises a flag that may be given several times as one list.
    pub fn serialize_all<S: Serializer>(lists: &[Self], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(Self::all(lists))
    }
}

/// Names of activations between commas.
pub fn activations() -> Value<Activations> {
    let parse = |text: &str| {
        let names = entries(text);
        if names.contains(&"") {
            return Err("a name is missing, or a comma is too many".to_owned());
        }
        Activation::list(names).map(Activations).map_err(|error| error.to_string())
    };
    Value { parse, words: activation::NAMES.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_cannot_be_one_says_why() {
        for (text, number) in [("0.1", 0.1), (" -3 ", -3.0), ("1e-300", 1e-300), ("0e5", 0.0), ("-0.0", 0.0)] {
            assert_eq!(parse_number(text), Ok(number), "{text}");
        }
        assert!(parse_number("nan").is_ok_and(f64::is_nan) && parse_number("inf").is_ok_and(f64::is_infinite));
        for (text, part) in [
            ("0.1,0.01", "one number is expected"),
            ("0,1", "with a point before its decimals"),
            ("10%", "0.1 for 10 %"),
            ("fast", "not a number"),
            ("", "not a number"),
            ("1e-400", "too small"),
            ("1e400", "too large"),
        ] {
            assert!(parse_number(text).is_err_and(|reason| reason.contains(part)), "{text}");
        }
    }

    #[test]
    fn a_whole_number_that_cannot_be_one_says_why() {
        assert_eq!(parse_whole::<usize>(" 12 "), Ok(12));
        assert_eq!(parse_whole::<u64>("9223372036854775807"), Ok(9_223_372_036_854_775_807));
        for (text, part) in [
            ("-1", "must not be negative"),
            ("9223372036854775808", "over 9223372036854775807"),
            ("99999999999999999999999999999999999999999999999", "over 9223372036854775807"),
            ("", "missing"),
            ("1,2", "one number"),
            ("1e3", "write 1000"),
            ("2.0", "write 2"),
            ("2.5", "whole number"),
            ("ten", "whole number"),
        ] {
            assert!(parse_whole::<usize>(text).is_err_and(|reason| reason.contains(part)), "{text}");
        }
    }

    #[test]
    fn widths_stand_between_commas() {
        for (text, widths) in [("128, 64", &[128, 64][..]), ("8", &[8]), ("None", &[]), ("0", &[0])] {
            assert_eq!(parse_widths(text), Ok(Widths(widths.to_vec())), "{text}");
        }
        for text in ["128;64", "128x64", "128 × 64", "[128,64]", "128 64", "128/64", "128, ;64"] {
            let reason = parse_widths(text).expect_err(text);
            assert_eq!(reason, "widths stand between commas, as in 128,64", "{text}");
        }
        for (text, part) in [
            ("8,,8", "a comma is too many"),
            ("8,", "a comma"),
            ("wide", "`wide`"),
            ("-8", "negative"),
            ("1.5", "`1.5`"),
        ] {
            assert!(parse_widths(text).is_err_and(|reason| reason.contains(part)), "{text}");
        }
    }
}
