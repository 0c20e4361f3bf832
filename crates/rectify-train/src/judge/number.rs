//! Numbers as people read them: the one place that rounds, for the terminal, the page and sentences.
//!
//! Every function takes a number that may be absent. What is absent or not finite is a dash, and nothing has hundreds
//! of digits: what is too large or too small for a plain number is written as `1.00e-310`.

use crate::record::Estimate;

/// What stands where there is no number.
pub const ABSENT: &str = "–";

/// Three significant digits: `0.853`, `12.3`, `45678`, `1.23e-4`.
///
/// ```
/// use rectify_train::judge::number::number;
///
/// assert_eq!(number(1.0 / 3.0), "0.333");
/// assert_eq!(number(1e-310), "1.00e-310");
/// assert_eq!(number(None), "–");
/// ```
pub fn number(value: impl Into<Option<f64>>) -> String {
    present(value, |value| {
        if value == 0.0 {
            return "0".to_owned();
        }
        let scientific = format!("{value:.2e}");
        // Of the rounded value: 0.9999 is 1.00, not 1.000.
        let exponent = scientific.rsplit('e').next().and_then(|exponent| exponent.parse::<i32>().ok());
        match exponent {
            Some(exponent @ -3..=4) => format!("{value:.*}", (2 - exponent).max(0) as usize),
            _ => scientific,
        }
    })
}

/// So many decimals: `97.51`. From ten million on as [`number`] writes it.
pub fn fixed(value: impl Into<Option<f64>>, decimals: usize) -> String {
    present(value, |value| match value.abs() < 1e7 {
        // A number that rounds to 0 has no sign.
        true => unsigned_zero(format!("{value:.decimals$}")),
        false => number(value),
    })
}

/// A fraction in percent, without the sign: `97.51`.
pub fn percent(fraction: impl Into<Option<f64>>, decimals: usize) -> String {
    fixed(fraction.into().map(|fraction| 100.0 * fraction), decimals)
}

/// A difference of two fractions in percentage points, with its sign: `+0.39`, `-1.20`, `0.00`.
pub fn points(difference: impl Into<Option<f64>>) -> String {
    present(difference, |difference| {
        let text = percent(difference, 2);
        let positive = difference > 0.0 && text.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
        if positive { format!("+{text}") } else { text }
    })
}

/// A ratio as people say it: `1/257` or `1/45.2 million` for what is below 0.1, otherwise three significant digits. Nobody
/// has a feeling for what is beyond billions: there it is a power of ten.
pub fn ratio(value: impl Into<Option<f64>>) -> String {
    present(value, |value| match value {
        1e-12..0.1 => {
            let denominator = 1.0 / value;
            // Three significant digits of it, too.
            let unit = 10f64.powf((denominator.log10().floor() - 2.0).max(0.0));
            match (denominator / unit).round() * unit {
                rounded @ ..1e6 => format!("1/{rounded:.0}"),
                rounded @ ..1e9 => format!("1/{} million", number(rounded / 1e6)),
                rounded => format!("1/{} billion", number(rounded / 1e9)),
            }
        }
        _ => number(value),
    })
}

/// An estimate of a fraction in percent: `97.51 ± 0.21`, or `32.83 (0.00 to 100.00)` where its interval reaches
/// further to one side; the mean alone without an interval. `unit` follows the numbers: ` %`, or nothing.
///
/// An interval is printed within 0 and 100 %, also one of an older record that was not truncated.
pub fn share(estimate: &Estimate, unit: &str) -> String {
    let mean = percent(estimate.mean, 2);
    let ends = [estimate.low, estimate.high].map(|end| end.filter(|end| end.is_finite()));
    let [Some(low), Some(high)] = ends.map(|end| end.map(|end| end.clamp(0.0, 1.0))) else {
        return format!("{mean}{unit}");
    };
    let [below, above] = [estimate.mean - low, high - estimate.mean].map(|side| percent(side, 2));
    if below == above {
        format!("{mean} ± {above}{unit}")
    } else {
        format!("{mean}{unit} ({} to {}{unit})", percent(low, 2), percent(high, 2))
    }
}

/// An estimate in any unit with its interval: `0.0512 (0.0490 to 0.0534)`; the mean alone where there is none.
pub fn estimate(estimate: &Estimate) -> String {
    let mean = number(estimate.mean);
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) if estimate.confidence < 1.0 => {
            format!("{mean} ({} to {})", number(low), number(high))
        }
        _ => mean,
    }
}

/// A layer by its place, 0 being the first: `layer 1`. Programs know it as `hidden.0`.
pub fn layer(index: usize) -> String {
    format!("layer {}", index + 1)
}

/// `one training`, `3 trainings`.
pub fn count(of: usize, noun: &str) -> String {
    if of == 1 { format!("one {noun}") } else { format!("{of} {noun}s") }
}

/// `relu`, `relu and tanh`, `relu, tanh and sigmoid`.
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [all @ .., last] => {
            format!("{} and {}", all.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "), last.as_ref())
        }
    }
}

fn present(value: impl Into<Option<f64>>, format: impl Fn(f64) -> String) -> String {
    value.into().filter(|value| value.is_finite()).map_or(ABSENT.to_owned(), format)
}

fn unsigned_zero(text: String) -> String {
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) => digits.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_three_significant_digits_at_every_size() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.853_21, "0.853"),
            (-12.345, "-12.3"),
            (0.9999, "1.00"),
            (9.996, "10.0"),
            (0.000_999_99, "0.00100"),
            (0.000_123_4, "1.23e-4"),
            (45_678.0, "45678"),
            (99_999.9, "1.00e5"),
            (123_456.0, "1.23e5"),
            (1e-310, "1.00e-310"),
            (f64::from_bits(1), "4.94e-324"),
            (f64::MAX, "1.80e308"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(number(value), expected, "{value:e}");
        }
        assert_eq!(number(None), ABSENT);
    }

    #[test]
    fn no_finite_number_is_longer_than_a_dozen_characters_and_no_ratio_than_fourteen() {
        for exponent in -1074..1024 {
            for value in [2f64.powi(exponent), -1.999 * 2f64.powi(exponent - 1)] {
                for text in [number(value), fixed(value, 2), percent(value, 2), points(value)] {
                    assert!(text.len() <= 12, "{text} for {value:e}");
                }
                assert!(ratio(value).len() <= 14, "{} for {value:e}", ratio(value));
            }
        }
    }

    #[test]
    fn a_difference_has_a_sign_unless_it_rounds_to_nothing() {
        let texts = [0.0039, -0.0039, 0.000_01, -0.000_01, 0.0].map(points);
        assert_eq!(texts, ["+0.39", "-0.39", "0.00", "0.00", "0.00"]);
        assert_eq!(points(f64::NAN), ABSENT);
    }

    #[test]
    fn a_small_ratio_is_one_over_a_round_number() {
        for (value, expected) in [
            (1.0 / 257.0, "1/257"),
            (1.25e-4, "1/8000"),
            (1.0 / 8013.0, "1/8010"),
            (0.099, "1/10"),
            (2.21e-8, "1/45.2 million"),
            (9.999e-7, "1/1.00 million"),
            (1e-9, "1/1.00 billion"),
            (2e-12, "1/500 billion"),
            (9e-13, "9.00e-13"),
            (0.1, "0.100"),
            (1.24, "1.24"),
            (1e-310, "1.00e-310"),
            (0.0, "0"),
        ] {
            assert_eq!(ratio(value), expected, "{value:e}");
        }
        assert_eq!(ratio(None), ABSENT);
    }

    #[test]
    fn the_interval_of_a_fraction_stays_within_0_and_100_percent_and_says_where_it_is_not_symmetric() {
        let of = |mean, low, high| Estimate { mean, std: Some(0.1), low, high, confidence: 0.95 };
        assert_eq!(share(&of(0.975_12, Some(0.973_02), Some(0.977_22)), ""), "97.51 ± 0.21");
        assert_eq!(share(&of(0.975_12, Some(0.973_02), Some(0.977_22)), " %"), "97.51 ± 0.21 %");
        // 32.83 ± 114.10, as an untruncated record has it.
        assert_eq!(share(&of(0.3283, Some(-0.8127), Some(1.4693)), " %"), "32.83 % (0.00 to 100.00 %)");
        assert_eq!(share(&of(0.99, Some(0.97), Some(1.0)), ""), "99.00 (97.00 to 100.00)");
        assert_eq!(share(&of(0.5, None, None), " %"), "50.00 %");
        assert_eq!(share(&of(0.5, Some(f64::NAN), Some(0.6)), ""), "50.00");
        assert_eq!(share(&of(f64::NAN, None, None), ""), ABSENT);
    }

    #[test]
    fn an_estimate_has_its_interval_where_there_is_one_and_it_is_not_exact() {
        let of = |low, high, confidence| Estimate { mean: 0.0512, std: None, low, high, confidence };
        assert_eq!(estimate(&of(Some(0.049), Some(0.0534), 0.95)), "0.0512 (0.0490 to 0.0534)");
        assert_eq!(estimate(&of(Some(0.0512), Some(0.0512), 1.0)), "0.0512");
        assert_eq!(estimate(&of(None, Some(0.0534), 0.95)), "0.0512");
    }

    #[test]
    fn decimals_are_as_many_as_asked_for_below_ten_million() {
        assert_eq!([fixed(-12.3456, 1), fixed(-0.04, 1), fixed(9_999_999.0, 1)], ["-12.3", "0.0", "9999999.0"]);
        assert_eq!([fixed(1e7, 1), fixed(-1e7, 1), fixed(f64::NAN, 1)], ["1.00e7", "-1.00e7", ABSENT]);
    }

    #[test]
    fn lists_and_counts_read_as_english() {
        assert_eq!(list(&["relu"]), "relu");
        assert_eq!(list(&["relu", "tanh", "sigmoid"]), "relu, tanh and sigmoid");
        assert_eq!((count(1, "seed"), count(3, "seed")), ("one seed".to_owned(), "3 seeds".to_owned()));
        assert_eq!(layer(0), "layer 1");
    }
}
