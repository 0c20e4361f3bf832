//! Numbers that may not be finite, in JSON, which has none of those: `"NaN"`, `"Infinity"` and `"-Infinity"`, the words
//! that JavaScript and Python take.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Word {
    Number(f64),
    NotFinite(NotFinite),
}

#[derive(Serialize, Deserialize)]
enum NotFinite {
    NaN,
    Infinity,
    #[serde(rename = "-Infinity")]
    MinusInfinity,
}

impl From<f64> for Word {
    fn from(value: f64) -> Self {
        match value {
            f64::INFINITY => Self::NotFinite(NotFinite::Infinity),
            f64::NEG_INFINITY => Self::NotFinite(NotFinite::MinusInfinity),
            value if value.is_nan() => Self::NotFinite(NotFinite::NaN),
            value => Self::Number(value),
        }
    }
}

impl From<Word> for f64 {
    fn from(word: Word) -> Self {
        match word {
            Word::Number(value) => value,
            Word::NotFinite(NotFinite::NaN) => Self::NAN,
            Word::NotFinite(NotFinite::Infinity) => Self::INFINITY,
            Word::NotFinite(NotFinite::MinusInfinity) => Self::NEG_INFINITY,
        }
    }
}

pub mod one {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Word;

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Word::from(*value).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Word::deserialize(deserializer)?.into())
    }
}

pub mod many {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Word;

    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|&value| Word::from(value)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Word>::deserialize(deserializer)?.into_iter().map(f64::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::record::StepLosses;

    #[test]
    fn every_float_survives_json_to_the_bit() {
        let losses = [
            0.1 + 0.2,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            f64::MAX,
            -0.0,
            1.234_567_890_123_456_7,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        let written = serde_json::to_string(&StepLosses { step: 1, losses: losses.to_vec() }).unwrap();
        let read: StepLosses = serde_json::from_str(&written).unwrap();
        assert_eq!(read.losses.iter().map(|loss| loss.to_bits()).collect::<Vec<_>>(), losses.map(f64::to_bits));
    }
}
