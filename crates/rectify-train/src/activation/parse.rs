//! An activation from its name.

use std::str::FromStr;

use rectify::{Activation as Known, ConfigError, Formula, GradientRule, Relu, ReluConfig, Rrelu, Swish, Threshold};

use super::{Activation, ActivationError, Function, GATED, VOCABULARY, known_name};
use crate::words::Vocabulary;

impl FromStr for Activation {
    type Err = ActivationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(reason) = misplaced(text) {
            return Err(ActivationError::Parameter { name: text.to_owned(), reason });
        }
        if is_formula(text) {
            let mut formula = Formula::new(text)?;
            if formula.text().contains(char::is_control) {
                // As it is, it would break the lines of tables.
                formula = Formula::new(&text.split_whitespace().collect::<Vec<_>>().join(" "))?;
            }
            if let Some(name) = formula.name().filter(|name| VOCABULARY.find(name).is_some()) {
                return Err(ActivationError::Taken(name.to_owned()));
            }
            return Ok(Self { name: formula.text().to_owned(), function: Function::Formula(formula) });
        }
        let (name, parameter) = match text.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter.split_whitespace().collect::<String>())),
            None => (text, None),
        };
        let name = VOCABULARY.find(name).ok_or_else(|| unknown(name, text))?;
        let wrong = |reason: String| ActivationError::Parameter { name: text.to_owned(), reason };
        let known = known(name, parameter.is_some());
        let bends = known.is_some_and(Known::is_piecewise_linear);
        // A rule is a word like any other; a number stays as it was given.
        let (parameter, rule) = match parameter {
            Some(rule) if name == "relu" => (Some(rule.to_lowercase()), None),
            Some(parameter) if bends => match parameter.split_once(':') {
                Some((number, rule)) => (Some(number.to_owned()), Some(rule.to_lowercase())),
                None => {
                    let rule = parameter.to_lowercase();
                    match rule.parse::<GradientRule>() {
                        Err(ConfigError::UnknownRule(_)) => (Some(parameter), None),
                        _ => (None, Some(rule)),
                    }
                }
            },
            parameter => (parameter, None),
        };
        let number = |value: &String| {
            value.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| {
                let number = value.rsplit_once('=').map_or("0.5", |(_, number)| number);
                wrong(format!("`{value}` is not a finite number; one stands behind the colon, as in `{name}:{number}`"))
            })
        };
        let function = match (name, known, &parameter) {
            ("relu", _, None) => Function::Relu(Relu::default()),
            ("relu", _, Some(rule)) => {
                let relu = rule.parse().and_then(|rule| ReluConfig::new().with_rule(rule).init());
                Function::Relu(relu.map_err(|error| wrong(error.to_string()))?)
            }
            ("prelu", _, slope) => Function::PRelu { slope: slope.as_ref().map_or(Ok(0.25), number)? },
            ("rrelu", _, bounds) => Function::Rrelu(rrelu(bounds.as_deref()).map_err(wrong)?),
            (_, Some(function), Some(value)) if function.parameter().is_some() => {
                let function = function.with_parameter(number(value)?).unwrap_or(function);
                function.check().map_err(|error| wrong(error.to_string()))?;
                Function::Known(function)
            }
            (_, _, Some(value)) => {
                return Err(wrong(match value.parse::<GradientRule>() {
                    Ok(_) => {
                        format!("`{name}` takes no gradient rule: it has no straight pieces, or they never are flat")
                    }
                    Err(_) if bends => {
                        format!("`{name}` takes no number; it takes a gradient rule, as in `{name}:leaky=0.1`")
                    }
                    Err(_) => format!("`{name}` takes no parameter"),
                }));
            }
            (_, Some(function), None) => Function::Known(function),
            (_, None, None) => Function::Identity,
        };
        let function = match (&rule, function) {
            (Some(rule), Function::Known(function)) => {
                let ruled = rule.parse().and_then(|rule| function.with_rule(rule));
                Function::Known(ruled.map_err(|error| wrong(error.to_string()))?)
            }
            (_, function) => function,
        };
        let name = [Some(name.to_owned()), parameter, rule].into_iter().flatten().collect::<Vec<_>>().join(":");
        Ok(Self { name, function })
    }
}

/// What is said of a text whose name is no activation's.
fn unknown(name: &str, text: &str) -> ActivationError {
    let names: Vec<&str> = GATED.iter().map(|(name, _)| *name).collect();
    let gated = Vocabulary { kind: "gated unit", names: &names, aliases: &[], hints: &[] };
    let found = gated.find(name).and_then(|found| GATED.iter().find(|(name, _)| *name == found));
    match found {
        Some(&(unit, gate)) => ActivationError::Gated { name: text.to_owned(), unit, gate },
        None => ActivationError::Unknown(text.to_owned()),
    }
}

/// Its bounds, which stand behind each other, `0.1:0.3`, as commas part activations.
fn rrelu(bounds: Option<&str>) -> Result<Rrelu, String> {
    let Some(bounds) = bounds else { return Ok(Rrelu::default()) };
    let numbers: Result<Vec<f64>, _> = bounds.split(':').map(str::parse).collect();
    let Ok([lower, upper]) = numbers.as_deref() else {
        return Err(format!("`{bounds}` is not two numbers, the least slope and the largest, as in `rrelu:0.1:0.3`"));
    };
    let rrelu = Rrelu { lower: *lower, upper: *upper };
    rrelu.check().map(|()| rrelu).map_err(|error| error.to_string())
}

/// The crate's function of this name, without a parameter.
fn known(name: &str, takes_parameter: bool) -> Option<Known> {
    match name {
        "silu" if takes_parameter => Some(Swish::default().into()),
        // At 0, the function's own default, it would be ReLU.
        "threshold" => Some(Threshold { threshold: 0.5, value: 0.0 }.into()),
        _ => Known::all().into_iter().find(|function| known_name(*function) == name),
    }
}

/// Whether a text is meant as a formula: no name has these signs, and none is `x`.
fn is_formula(text: &str) -> bool {
    let has_x = || text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "x");
    text.contains(['(', ')', '*', '^', ';', '×', '·', '²', '³'])
        || (!text.contains(':')
            && (text.contains(['/', '+', '<', '>', '=', '−', '÷', '≤', '≥', '≠'])
                || text.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '.')
                || has_x()))
}

/// Where a number follows an equals sign behind a name that is known, or a rule stands by itself: what was meant. As a
/// formula it would be a constant of that name.
fn misplaced(text: &str) -> Option<String> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    value.parse::<f64>().ok()?;
    if let Some(known) = VOCABULARY.find(name) {
        return Some(format!("a parameter follows a colon, as in `{known}:{value}`"));
    }
    let rule = format!("{}={value}", name.to_lowercase());
    rule.parse::<GradientRule>().ok().map(|rule| format!("a gradient rule follows its function, as in `relu:{rule}`"))
}
