//! What is wrong with a formula, and where.

use std::{error::Error, fmt, ops::Range};

/// Characters of a formula that a message shows beside the place.
const SHOWN: usize = 60;

/// Why a text is not a formula. Its message has the place in the text, with carets below it.
///
/// ```
/// let error = rectify::Formula::new("x*sigmod(x)").unwrap_err();
/// assert!(error.to_string().ends_with("\n  x*sigmod(x)\n    ^^^^^^"), "{error}");
/// assert_eq!(error.column(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormulaError {
    reason: String,
    /// The text's characters, or those around the place.
    shown: String,
    /// Where they begin in the text.
    offset: usize,
    /// The place, in characters of the text.
    place: Range<usize>,
}

impl FormulaError {
    pub(super) fn new(text: &[char], place: Range<usize>, reason: impl Into<String>) -> Self {
        let offset = if text.len() <= SHOWN { 0 } else { place.start.saturating_sub(SHOWN / 2) };
        // A tab or a line's end would shift what follows.
        let shown =
            text.iter().skip(offset).take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { *c }).collect();
        Self { reason: reason.into(), shown, offset, place }
    }

    /// What is wrong, without the place.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The place: the number of the first character, from 1 on.
    pub fn column(&self) -> usize {
        self.place.start + 1
    }
}

impl fmt::Display for FormulaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.offset > 0 { "…" } else { "" };
        let indent = self.place.start - self.offset + before.chars().count();
        let carets = self.place.len().clamp(1, SHOWN.saturating_sub(self.place.start - self.offset).max(1));
        write!(f, "{}\n  {before}{}\n  {}{}", self.reason, self.shown, " ".repeat(indent), "^".repeat(carets))
    }
}

impl Error for FormulaError {}
