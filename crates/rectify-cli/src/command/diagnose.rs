//! `rectify diagnose`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow};
use rectify_train::{
    compare::{Compare, Joined, Progress, join_and_diagnose},
    examine::{losses, of_one},
    experiment::Experiment,
    judge::{
        diagnose::{Cause, Diagnosis},
        number::{count, percent},
    },
    record::Results,
    repair::{Repair, Trained, repair},
    store::{self, RunFolder},
    train::Event,
};
use serde::Serialize;

use crate::{
    cli::{DiagnoseArgs, Format, Output, Usage},
    command::{live::name, self_test::self_test, sweep},
    interrupt, print,
    progress::Progress as Display,
    report::terminal::{indented, paragraph, width},
};

/// The version of what `--format json` prints.
pub const SCHEMA_VERSION: u32 = 1;

/// What `--format json` prints.
#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    runs: &'a [Diagnosis],
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<&'a Repair>,
}

/// Says what is wrong with the runs of folders, and repairs the worst if it is asked to.
pub fn diagnose(args: &DiagnoseArgs) -> anyhow::Result<ExitCode> {
    if args.self_test {
        return self_test(args);
    }
    let into = match (&args.folders[..], args.repair) {
        ([one], _) => Some(one),
        (_, false) => None,
        (folders, true) => {
            return Err(Usage(format!("--repair writes into one folder, got {}", folders.len())).into());
        }
    };
    if RunFolder::read(&args.folders[0])?.experiment().sweep.is_some() {
        return sweep::diagnose(args);
    }
    let (Joined { results, notes }, runs) = join_and_diagnose(&args.folders)?;
    sweep::tell(&notes, &args.output);
    let repaired = match into.filter(|_| args.repair) {
        Some(folder) => repair_worst(&results, &runs, folder, args)?,
        None => None,
    };
    match args.output.format {
        Format::Json => {
            let report = Report { schema_version: SCHEMA_VERSION, runs: &runs, repair: repaired.as_ref() };
            print(serde_json::to_string_pretty(&report)? + "\n")?;
        }
        Format::Text => {
            let repair = repaired.as_ref().map_or(String::new(), |repair| repair_text(repair, into));
            print(text(&runs) + &repair)?;
        }
    }
    let ill = runs.iter().any(|run| !run.healthy);
    Ok(if args.strict && ill { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The worst run first, then what can be said of all.
fn text(runs: &[Diagnosis]) -> String {
    let mut ordered: Vec<&Diagnosis> = runs.iter().collect();
    ordered.sort_by_key(|run| std::cmp::Reverse(run.severity()));
    let lines: Vec<String> = ordered.into_iter().map(run_text).collect();
    format!("{}\n{}\n", lines.join("\n"), paragraph(&over_all(runs), width()))
}

/// `2 of 3 runs are healthy; …`.
pub fn over_all(runs: &[Diagnosis]) -> String {
    let mut all = Overall::default();
    runs.iter().for_each(|run| all.add(run, ""));
    all.words()
}

/// What can be said of many runs, without holding them.
#[derive(Default)]
pub struct Overall {
    runs: usize,
    healthy: usize,
    /// Likeliest causes, each with the names of the first runs that it is of and how many there are.
    causes: Vec<(Cause, Vec<String>, usize)>,
}

/// More runs than this are counted, not named.
const MOST_NAMES: usize = 12;

impl Overall {
    /// One more run, at a point of a sweep or at none.
    pub fn add(&mut self, run: &Diagnosis, point: &str) {
        self.runs += 1;
        self.healthy += usize::from(run.healthy);
        let Some(first) = run.causes.first() else { return };
        let at = if point.is_empty() { String::new() } else { format!(" at {point}") };
        let name = format!("{} seed {}{at}", run.activation, run.seed);
        match self.causes.iter_mut().find(|(cause, ..)| cause.cause == first.cause) {
            Some((_, names, count)) => {
                *count += 1;
                if names.len() < MOST_NAMES {
                    names.push(name);
                }
            }
            None => self.causes.push((first.clone(), vec![name], 1)),
        }
    }

    /// Whether a run is not healthy.
    pub fn any_ill(&self) -> bool {
        self.healthy < self.runs
    }

    /// `2 of 3 runs are healthy; …`.
    pub fn words(mut self) -> String {
        let healthy = self.healthy;
        let head = match self.runs {
            1 if healthy == 1 => "The run is healthy.".to_owned(),
            1 => "The run is not healthy.".to_owned(),
            all if healthy == all => format!("All {all} runs are healthy."),
            all => format!("{healthy} of {} healthy.", count(all, "run") + if healthy == 1 { " is" } else { " are" }),
        };
        self.causes.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        let named = |(cause, names, count): &(Cause, Vec<String>, usize)| {
            let more = match count - names.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(" {} in {}{more}: {}.", cause.cause, names.join(", "), cause.remedy.text)
        };
        head + &self.causes.iter().map(named).collect::<String>()
    }
}

/// A run's findings and causes.
pub fn run_text(run: &Diagnosis) -> String {
    let lines = run.lines().into_iter().map(|(indent, text)| indented(&text, indent, width()));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The worst run, repaired in a folder beside it; `None` where no run is ill.
fn repair_worst(
    results: &Results,
    runs: &[Diagnosis],
    folder: &Path,
    args: &DiagnoseArgs,
) -> anyhow::Result<Option<Repair>> {
    let Some(worst) =
        (0..runs.len()).filter(|&i| !runs[i].healthy).max_by_key(|&i| (runs[i].severity(), usize::MAX - i))
    else {
        return Ok(None);
    };
    let run = &results.runs[worst];
    args.output.note(&format!("repairing {} with seed {}", run.activation, run.seed));
    let experiment = of_one(&results.experiment, run);
    let broken = Trained { run: run.clone(), losses: losses(&args.folders, run) };
    let into = fresh(folder);
    let mut train = |experiment: &Experiment, attempt: usize| {
        let name = if attempt == 0 { "defaults".to_owned() } else { format!("attempt-{attempt}") };
        trained(&into.join(name), experiment, &args.output)
    };
    let repair = repair(&experiment, &broken, results.data.as_ref(), args.attempts, &mut train)?;
    if let Some(experiment) = &repair.experiment {
        store::write(&folder.join("repaired.toml"), toml::to_string(experiment)?.as_bytes())?;
    }
    Ok(Some(repair))
}

/// `DIR/repair`, or the first of `…-2`, `…-3` that is not there.
fn fresh(folder: &Path) -> PathBuf {
    let names = std::iter::once("repair".to_owned()).chain((2..).map(|n| format!("repair-{n}")));
    let mut folders = names.map(|name| folder.join(name));
    folders.find(|folder| !folder.exists()).unwrap_or_else(|| folder.join("repair"))
}

/// Trains an experiment of one run in a folder of its own.
fn trained(folder: &Path, experiment: &Experiment, output: &Output) -> anyhow::Result<Trained> {
    let display = Display::new(output.quiet);
    let compare = Compare::create(folder, experiment.clone())?;
    let outcome = compare.run(interrupt::listen()?, &|progress| match progress {
        Progress::Begins { steps, taken, .. } => display.begin(steps, taken),
        Progress::Training(training, Event::Steps(steps)) => display.steps(&name(training), *steps),
        Progress::Training(training, Event::Epoch(epoch)) => display.measured(&name(training), epoch, None),
        Progress::Failed(error) => display.failed(error),
        _ => {}
    })?;
    display.end();
    if outcome.interrupted {
        return Err(anyhow!("interrupted; what was trained is in {}", folder.display()));
    }
    let run = outcome.results.runs.into_iter().next().context("an experiment of one run has one")?;
    Ok(Trained { losses: losses(&[folder.to_owned()], &run), run })
}

fn repair_text(repair: &Repair, folder: Option<&PathBuf>) -> String {
    let accuracy = |accuracy: Option<f64>| accuracy.map_or("diverged".to_owned(), |of| format!("{} %", percent(of, 2)));
    let mut lines = vec![format!(
        "Repair: validation accuracy {} before, {} by the same network with defaults",
        accuracy(repair.before),
        accuracy(repair.defaults)
    )];
    for (i, attempt) in repair.attempts.iter().enumerate() {
        let health = if attempt.healthy { "healthy".to_owned() } else { attempt.findings.join(", ") };
        let settings = attempt.settings.to_string().trim().replace('\n', ", ");
        lines.push(format!(
            "  {}. {}: {settings}: {}, {health}",
            i + 1,
            attempt.cause,
            accuracy(attempt.validation_accuracy)
        ));
    }
    lines.push(match (repair.repaired, folder) {
        (true, Some(folder)) => format!("Repaired: rectify train --config {}", folder.join("repaired.toml").display()),
        (true, None) => "Repaired.".to_owned(),
        (false, _) if repair.attempts.is_empty() => {
            "No cause has a remedy among the settings: see the causes.".to_owned()
        }
        (false, _) => "Nothing helped.".to_owned(),
    });
    let indent = |line: &String| line.len() - line.trim_start().len();
    lines.iter().map(|line| indented(line.trim_start(), indent(line), width()) + "\n").collect()
}
