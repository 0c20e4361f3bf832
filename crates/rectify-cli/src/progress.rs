//! Progress on stderr: a bar with time left on a terminal, lines elsewhere, nothing if quiet.

use std::{
    io::IsTerminal,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use rectify_train::record::Epoch;

use crate::note;

/// How far a command is.
pub struct Progress {
    /// The bar; hidden, and then without effect, where there is no terminal.
    pub bar: ProgressBar,
    lines: bool,
    quiet: bool,
    /// Steps to take in this process, those taken, and since when.
    steps: Mutex<(usize, usize, Instant)>,
}

impl Progress {
    /// A bar of training steps.
    pub fn new(quiet: bool) -> Self {
        Self::of(quiet, "{bar:40} {percent:>3} %  {pos}/{len} steps  {eta} left")
    }

    /// A bar in indicatif's `template`.
    pub fn of(quiet: bool, template: &str) -> Self {
        // A dumb terminal prints what a pipe prints.
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = std::io::stderr().is_terminal() && !dumb;
        let bar = if terminal && !quiet { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let steps = Mutex::new((0, 0, Instant::now()));
        Self { bar: bar.with_style(style), lines: !terminal && !quiet, quiet, steps }
    }

    /// So many steps are to be taken, some of which were taken before.
    pub fn begin(&self, steps: usize, taken: usize) {
        *self.steps.lock().unwrap_or_else(PoisonError::into_inner) = (steps - taken, 0, Instant::now());
        self.bar.set_length(steps as u64);
        self.bar.set_position(taken as u64);
        // Not as if those had been taken just now.
        self.bar.reset_eta();
    }

    /// So many steps more are taken.
    pub fn steps(&self, steps: usize) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).1 += steps;
        self.bar.inc(steps as u64);
    }

    /// An epoch of a run is measured, of so many.
    pub fn epoch(&self, run: &str, epoch: &Epoch, epochs: Option<usize>) {
        if !self.lines {
            return;
        }
        let of = epochs.map_or(String::new(), |epochs| format!(" of {epochs}"));
        let loss = |loss: Option<f64>| loss.map_or("not finite".to_owned(), |loss| format!("{loss:.4}"));
        let accuracy =
            epoch.validation_accuracy.map_or("–".to_owned(), |accuracy| format!("{:.2} %", 100.0 * accuracy));
        let left = self.left().map_or(String::new(), |left| format!("; {} left", words(left)));
        note(format_args!(
            "{run}: epoch {}{of}, training loss {}, validation loss {}, accuracy {accuracy}{left}",
            epoch.epoch,
            loss(epoch.train_loss),
            loss(epoch.validation_loss),
        ));
    }

    fn left(&self) -> Option<Duration> {
        let (all, taken, since) = *self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let per_step = since.elapsed().as_secs_f64() / taken as f64;
        Duration::try_from_secs_f64(per_step * all.saturating_sub(taken) as f64).ok()
    }

    /// Something is done: a line above the bar, or a line by itself.
    pub fn line(&self, line: String) {
        match self.lines {
            true => note(line),
            false => self.bar.println(line),
        }
    }

    /// Something to know, unless quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| note(text));
        }
    }

    /// The end.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// `12 s`, `3 min`, `1 h 20 min`.
fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
