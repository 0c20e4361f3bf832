//! What the folders of runs and of a sweep's points are called.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{folder::RUNS, seal::hex};
use crate::activation::NAMES;

const POINTS: &str = "points";

/// The folder of one run of the experiment in a folder.
pub fn run_path(folder: &Path, activation: &str, seed: u64) -> PathBuf {
    folder.join(RUNS).join(run_name(activation, seed))
}

/// The folder of one point of the sweep in a folder, by the point's label.
pub fn point_path(folder: &Path, label: &str) -> PathBuf {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.,= ".contains(&byte);
    let name = match label.len() <= 2 * LONGEST && label.bytes().all(plain) {
        // A space is a nuisance to a shell; no plain label has a `+`.
        true => label.replace(' ', "+"),
        false => readable_and_digest(label, 2 * READABLE),
    };
    folder.join(POINTS).join(name)
}

/// Longest name of an activation that is one of a folder as it is.
const LONGEST: usize = 64;
/// How much of another name stays readable in a folder's.
const READABLE: usize = 32;

/// The name of a run's folder: `relu-seed0`, `leaky-relu-0.1-seed0`.
///
/// No two runs have the same, and it is safe on every file system, whatever the activation is called: a name that is not
/// plain gets the beginning of its SHA-256 behind a `_`, which plain names have not.
pub fn run_name(activation: &str, seed: u64) -> String {
    let hyphened = activation.replace([':', '='], "-");
    let plain = hyphened.len() <= LONGEST
        && hyphened.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'+' | b'.'))
        && unhyphened(&hyphened).is_some_and(|name| name == activation);
    if plain {
        return format!("{hyphened}-seed{seed}");
    }
    format!("{}-seed{seed}", readable_and_digest(activation, READABLE))
}

/// So many characters of a text as far as every file system takes them, and the beginning of its SHA-256.
fn readable_and_digest(text: &str, length: usize) -> String {
    let safe = |character: char| match character.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9' | '.') => letter,
        _ => '-',
    };
    let readable: String = text.chars().take(length).map(safe).collect();
    let readable = readable.trim_matches(['-', '.']);
    let digest = hex(Sha256::new_with_prefix(text));
    format!("{readable}_{}", &digest[..16])
}

/// The one activation whose name gives this with hyphens for `:` and `=`: a known function, then its parameter, in which
/// a word is followed by `=`. What has another name is not plain.
fn unhyphened(hyphened: &str) -> Option<String> {
    let behind =
        |name: &&&str| hyphened.strip_prefix(**name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    let function = NAMES.iter().filter(behind).max_by_key(|name| name.len())?;
    let Some(parameter) = hyphened[function.len()..].strip_prefix('-') else { return Some((*function).to_owned()) };
    Some(match parameter.split_once('-') {
        Some((word, value)) if word.starts_with(|first: char| first.is_ascii_lowercase()) => {
            format!("{function}:{word}={value}")
        }
        _ => format!("{function}:{parameter}"),
    })
}
