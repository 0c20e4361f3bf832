//! Progress on stderr: on a terminal a line for each training in work and a bar with the time left over all; elsewhere a line
//! an epoch; nothing if quiet.
//!
//! There is no colour, so `NO_COLOR` asks for nothing more. indicatif draws: it cuts lines where the terminal is narrower,
//! follows a terminal that is resized, and draws at most twenty times a second.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rectify_train::{judge::number::percent, record::Epoch};

use crate::{note, report::terminal::sparkline};

/// Columns of the terminal that standard error is.
pub fn width() -> usize {
    usize::from(Term::stderr().size().1).max(1)
}

/// Trainings in work that have a line; on a machine with many cores a screen has no more room.
const ROWS: usize = 12;
/// Lines of a training into a file or pipe.
const MOST_LINES: usize = 100;
/// Epochs in a sparkline.
const SPARKS: usize = 12;

/// How far a command is.
pub struct Progress {
    /// The bar over all; hidden, and then without effect, where there is no terminal.
    pub bar: ProgressBar,
    all: MultiProgress,
    rows: Mutex<BTreeMap<String, Row>>,
    lines: bool,
    quiet: bool,
    /// Steps to take in this process, those taken, and since when.
    steps: Mutex<(usize, usize, Instant)>,
}

/// A training in work.
struct Row {
    bar: ProgressBar,
    run: InWork,
}

/// What is known of a training in work.
#[derive(Debug, Clone, Default)]
struct InWork {
    name: String,
    epochs: Option<usize>,
    /// The last one measured.
    epoch: Option<Epoch>,
    accuracies: Vec<Option<f64>>,
    /// Detectors that found something.
    warnings: Vec<&'static str>,
}

impl InWork {
    fn measured(&mut self, epoch: &Epoch, epochs: Option<usize>, warnings: &[&'static str]) {
        self.epochs = epochs;
        self.accuracies.push(epoch.validation_accuracy);
        self.epoch = Some(epoch.clone());
        self.warnings.extend(warnings);
    }

    /// Epoch, loss, accuracy, accuracy over epochs, gradient by layer, warnings: as much of it as fits.
    fn text(&self, width: usize) -> String {
        let Some(epoch) = &self.epoch else { return format!("{}  begins", self.name) };
        let of = self.epochs.map_or(String::new(), |epochs| format!("/{epochs}"));
        let mut parts = vec![self.name.clone(), format!("epoch {}{of}", epoch.epoch)];
        parts.push(format!("{:>6} %", percent(epoch.validation_accuracy, 2)));
        if !self.warnings.is_empty() {
            parts.push(format!("! {}", self.warnings.join(", ")));
        }
        let gradients: Vec<Option<f64>> =
            epoch.layers.iter().map(|layer| layer.weight_grad_rms.filter(|rms| *rms > 0.0).map(f64::ln)).collect();
        if gradients.len() > 1 {
            parts.push(format!("gradient {}", sparkline(&gradients)));
        }
        parts.push(sparkline(&self.accuracies[self.accuracies.len().saturating_sub(SPARKS)..]));
        parts.extend(epoch.train_loss.map(|loss| format!("loss {loss:.4}")));
        let mut text = String::new();
        for part in parts {
            let longer = if text.is_empty() { part } else { format!("{text}  {part}") };
            if longer.chars().count() > width && !text.is_empty() {
                continue;
            }
            text = longer;
        }
        text
    }
}

impl Progress {
    /// A bar of training steps.
    pub fn new(quiet: bool) -> Self {
        Self::of(quiet, "{wide_bar} {percent:>3} %  {pos}/{len} steps  {eta} left")
    }

    /// A bar in indicatif's `template`.
    pub fn of(quiet: bool, template: &str) -> Self {
        // A dumb terminal prints what a pipe prints.
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = std::io::stderr().is_terminal() && !dumb;
        let shown = terminal && !quiet;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let all = MultiProgress::with_draw_target(target);
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = all.add(ProgressBar::new(0)).with_style(style);
        let steps = Mutex::new((0, 0, Instant::now()));
        Self { bar, all, rows: Mutex::default(), lines: !terminal && !quiet, quiet, steps }
    }

    /// So many steps are to be taken, some of which were taken before.
    pub fn begin(&self, steps: usize, taken: usize) {
        *self.steps.lock().unwrap_or_else(PoisonError::into_inner) = (steps - taken, 0, Instant::now());
        self.bar.set_length(steps as u64);
        self.bar.set_position(taken as u64);
        // Not as if those had been taken just now.
        self.bar.reset_eta();
    }

    /// So many steps more of a run are taken.
    pub fn steps(&self, run: &str, steps: usize) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).1 += steps;
        self.row(run, |_| {});
        self.bar.inc(steps as u64);
    }

    /// An epoch of one of many runs is measured, of so many: no line for it without a terminal.
    pub fn measured(&self, run: &str, epoch: &Epoch, epochs: Option<usize>) {
        self.row(run, |run| run.measured(epoch, epochs, &[]));
    }

    /// An epoch of a run is measured, of so many, in which detectors found something.
    pub fn epoch(&self, run: &str, epoch: &Epoch, epochs: Option<usize>, warnings: &[&'static str]) {
        self.row(run, |run| run.measured(epoch, epochs, warnings));
        let every = epochs.map_or(1, |epochs| epochs.div_ceil(MOST_LINES));
        if !self.lines || !(epoch.epoch.is_multiple_of(every) || epochs == Some(epoch.epoch)) {
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

    /// Changes what is known of a run, whose line there is from the first time on.
    fn row(&self, run: &str, change: impl FnOnce(&mut InWork)) {
        if self.lines || self.quiet {
            return;
        }
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if !rows.contains_key(run) {
            if rows.len() == ROWS {
                return;
            }
            let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = self.all.insert_before(&self.bar, ProgressBar::new_spinner()).with_style(style);
            rows.insert(run.to_owned(), Row { bar, run: InWork { name: run.to_owned(), ..InWork::default() } });
        }
        if let Some(row) = rows.get_mut(run) {
            change(&mut row.run);
            row.bar.set_message(row.run.text(width()));
        }
    }

    /// A run has ended: its line makes room, and `line` stands above.
    pub fn ended(&self, run: &str, line: String) {
        self.gone(run);
        self.line(line);
    }

    /// A run has ended: its line makes room.
    pub fn gone(&self, run: &str) {
        if let Some(row) = self.rows.lock().unwrap_or_else(PoisonError::into_inner).remove(run) {
            row.bar.finish_and_clear();
            self.all.remove(&row.bar);
        }
    }

    fn left(&self) -> Option<Duration> {
        let (all, taken, since) = *self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let per_step = since.elapsed().as_secs_f64() / taken as f64;
        Duration::try_from_secs_f64(per_step * all.saturating_sub(taken) as f64).ok()
    }

    /// Something is done: a line above the bars, or a line by itself.
    pub fn line(&self, line: String) {
        if !self.quiet {
            self.all.suspend(|| note(line));
        }
    }

    /// Something could not be written, while the trainings go on: told even if quiet, and again at the end.
    pub fn failed(&self, error: &dyn std::error::Error) {
        self.all
            .suspend(|| note(format_args!("error: {error}; the trainings go on, but what belongs there is not kept")));
    }

    /// Something to know, unless quiet.
    pub fn note(&self, text: &str) {
        self.line(text.to_owned());
    }

    /// The end.
    pub fn end(&self) {
        for row in self.rows.lock().unwrap_or_else(PoisonError::into_inner).values() {
            row.bar.finish_and_clear();
        }
        self.bar.finish_and_clear();
    }
}

/// `12 s`, `3 min`, `1 h 20 min`.
pub fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use rectify_train::record::Layer;

    use super::*;

    fn epoch(epoch: usize, accuracy: f64) -> Epoch {
        let layer = |rms| Layer { weight_grad_rms: Some(rms), ..Layer::default() };
        let layers = vec![layer(1e-6), layer(1e-4), layer(1e-2)];
        Epoch { epoch, train_loss: Some(0.25), validation_accuracy: Some(accuracy), layers, ..Epoch::default() }
    }

    #[test]
    fn a_training_in_work_is_a_line_of_what_fits_with_what_is_wrong_before_curves() {
        let mut run = InWork { name: "relu seed 0".to_owned(), ..InWork::default() };
        assert_eq!(run.text(80), "relu seed 0  begins");
        run.measured(&epoch(0, 0.1), Some(5), &[]);
        run.measured(&epoch(1, 0.9), Some(5), &["dead-units"]);
        let whole = "relu seed 0  epoch 1/5   90.00 %  ! dead-units  gradient ▁▅█  ▁█  loss 0.2500";
        assert_eq!(run.text(80), whole);
        assert_eq!(run.text(50), "relu seed 0  epoch 1/5   90.00 %  ! dead-units  ▁█");
        for width in 1..80 {
            let text = run.text(width);
            assert!(text.chars().count() <= width || text == "relu seed 0", "{width}: {text}");
        }
    }
}
