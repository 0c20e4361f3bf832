//! Progress on stderr: a bar with time left on a terminal, lines elsewhere, nothing if quiet.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::note;

/// How far a command is.
pub struct Progress {
    /// The bar; hidden, and then without effect, where there is no terminal.
    pub bar: ProgressBar,
    lines: bool,
}

impl Progress {
    /// A bar of `length` steps in indicatif's `template`.
    pub fn new(quiet: bool, template: &str, length: usize) -> Self {
        // A dumb terminal cannot move its cursor: for it as for a pipe.
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = std::io::stderr().is_terminal() && !dumb;
        let bar = if terminal && !quiet { ProgressBar::new(length as u64) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: bar.with_style(style), lines: !terminal && !quiet }
    }

    /// Something is done: a line above the bar, or a line by itself.
    pub fn line(&self, line: String) {
        match self.lines {
            true => note(line),
            false => self.bar.println(line),
        }
    }
}
