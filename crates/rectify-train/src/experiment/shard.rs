//! A part of an experiment's trainings, for one of many machines.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Every Nth training of an experiment: `0/4` is the first of four shards.
///
/// The shards of an experiment together are all of its trainings, each once. A seed's trainings are dealt to the shards
/// in turn, and from seed to seed the turn moves on by one where it would otherwise begin with the same shard, so that
/// no shard has all the trainings of a slow activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: usize,
    of: usize,
}

super::as_string!(Shard);

impl Shard {
    /// Which one, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// Of how many.
    pub fn of(self) -> usize {
        self.of
    }

    /// Whether the training of the activation and the seed at these places in the experiment's lists is in the shard.
    pub fn takes(self, activation: usize, seed: usize, activations: usize) -> bool {
        let moved = if activations.is_multiple_of(self.of) { seed } else { 0 };
        (seed * activations + activation + moved) % self.of == self.index
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').map(|(index, of)| (index.trim().parse(), of.trim().parse::<usize>()));
        let Some((Ok(index), Ok(of))) = parts else {
            return Err(format!("`{text}`: I/N is expected, as in 0/4, the first of four shards"));
        };
        match of.checked_sub(1) {
            None => Err(format!("`{text}`: there is at least one shard, 0/1")),
            Some(last) if index > last => {
                Err(format!("`{text}`: of {of} shards the first is 0/{of}, the last {last}/{of}"))
            }
            Some(_) => Ok(Self { index, of }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_are_the_whole_grid_each_training_once_and_of_even_size() {
        for (activations, seeds, of) in [(3, 3, 2), (4, 6, 4), (1, 5, 3), (20, 10, 7), (6, 4, 3), (2, 2, 9)] {
            let mut sizes = vec![0; of];
            let mut of_first = vec![0; of];
            for (seed, activation) in (0..seeds).flat_map(|seed| (0..activations).map(move |a| (seed, a))) {
                let takers: Vec<usize> =
                    (0..of).filter(|&index| Shard { index, of }.takes(activation, seed, activations)).collect();
                let [taker] = takers[..] else { panic!("{takers:?} take one training") };
                sizes[taker] += 1;
                of_first[taker] += usize::from(activation == 0);
            }
            for counts in [sizes, of_first] {
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                // An activation's trainings go round the shards, if not as evenly as all trainings do.
                assert!(most - least <= 1 + activations / of, "{activations} × {seeds} in {of}: {counts:?}");
            }
        }
    }

    #[test]
    fn shards_are_written_as_they_are_read_and_others_are_refused_with_what_would_work() {
        assert_eq!(" 3 / 4".parse::<Shard>().unwrap().to_string(), "3/4");
        for (text, expected) in [
            ("4/4", "the first is 0/4, the last 3/4"),
            ("0/0", "at least one shard"),
            ("1", "I/N is expected"),
            ("-1/4", "I/N is expected"),
            ("1/4/2", "I/N is expected"),
        ] {
            let error = text.parse::<Shard>().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
