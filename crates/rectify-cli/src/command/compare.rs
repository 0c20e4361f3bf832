//! `rectify compare` and `rectify train`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use rectify_train::{
    activation::Activation,
    compare::{Compare, CompareError, Outcome, Progress, SweepRun},
    examine::diagnoses,
    experiment::Experiment,
    judge::{diagnose::Diagnosis, sentences::sentences},
    record::{Results, Run, Status},
    store::{self, RunFolder, StoreError},
    train::{Event, SAVE_EVERY},
};

use crate::{
    cli::{Format, Output, TrainArgs, Trainings, Usage, commented},
    command::{
        diagnose::over_all,
        live::{Live, name},
        sweep::sweep,
    },
    interrupt, note, print,
    progress::Progress as Display,
    report,
};

/// Trains every activation with every seed and reports.
pub fn compare(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    run(args, "compare", Trainings::Grid, Experiment::default())
}

/// Trains one network. The same thing as [`compare`] with one activation and one seed.
pub fn train(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let all = Experiment::default();
    let activations = all.activations[..1].to_vec();
    run(args, "train", Trainings::One, Experiment { activations, seeds: 1, ..all })
}

fn run(args: &TrainArgs, command: &str, trainings: Trainings, defaults: Experiment) -> anyhow::Result<ExitCode> {
    let resuming = |folder: &Path| format!("--resume {}", folder.display());
    let compare = match &args.resume {
        Some(folder) if is_sweep(folder).with_context(|| resuming(folder))? => {
            let mut run = SweepRun::resume(folder).with_context(|| resuming(folder))?;
            let asked = args.over(run.experiment().clone(), trainings)?;
            if args.print_config {
                return print(commented(&asked.resolve()?)?);
            }
            run.extend(asked)?;
            return sweep(run.save_every(save_every()?), folder, &args.output);
        }
        Some(folder) => {
            let resume = || resuming(folder);
            let mut compare = Compare::resume(folder).with_context(resume)?;
            let asked = args.over(compare.experiment().clone(), trainings)?;
            if args.print_config {
                return print(commented(&asked.resolve()?)?);
            }
            compare.extend(asked)?;
            compare
        }
        None => {
            let experiment = args.resolve(defaults, trainings)?;
            if args.print_config {
                return print(commented(&experiment)?);
            }
            if experiment.sweep.is_some() {
                let begin =
                    |path: &Path, experiment| SweepRun::create(path, experiment).map(|run| (run, path.to_owned()));
                let (run, folder) = create(args.out.as_deref(), "sweep", experiment, &begin)?;
                return sweep(run.save_every(save_every()?), &folder, &args.output);
            }
            create(args.out.as_deref(), command, experiment, &Compare::create)?
        }
    };
    let compare = compare.save_every(save_every()?);
    let stop = interrupt::listen()?;
    let folder = compare.path().to_owned();
    let display = Display::new(args.output.quiet);
    let epochs = compare.experiment().steps.is_none().then(|| compare.experiment().epochs());
    let live = Live::default();
    let outcome = compare.run(stop, &|progress| match progress {
        Progress::Begins { steps, taken, notes } => {
            display.begin(steps, taken);
            notes.iter().for_each(|note| display.note(&format!("note: {note}")));
        }
        Progress::Training(training, Event::Steps(steps)) => display.steps(&name(training), *steps),
        Progress::Training(training, Event::Epoch(epoch)) => {
            let found = live.epoch(training, epoch);
            let detectors: Vec<&str> = found.iter().map(|(detector, _)| *detector).collect();
            display.epoch(&name(training), epoch, epochs, &detectors);
            found.iter().for_each(|(_, finding)| display.note(&format!("warning: {finding}")));
        }
        Progress::Training(..) => {}
        Progress::Tuning(text) => display.line(text.to_owned()),
        Progress::Ended(run) => display.ended(&run_name(run), ended(run)),
        Progress::Failed(error) => display.failed(error),
    })?;
    display.end();

    let Outcome { results, interrupted, mut failures } = outcome;
    let diagnoses = diagnoses(&results, &[&folder]);
    let printed = show(&results, &diagnoses, &folder, &args.output, &mut failures);
    if !args.output.quiet {
        if !interrupted && diagnoses.iter().any(|run| !run.healthy) {
            note(format_args!("diagnosis: {}", over_all(&diagnoses)));
            note(format_args!("to see why: rectify diagnose {}", folder.display()));
        }
        let evaluates = results.runs.iter().any(|run| run.status == Status::Completed);
        if command == "train" && evaluates && !interrupted {
            note(format_args!("to evaluate it: rectify eval {}", folder.display()));
        }
    }
    let code = exit(interrupted.then_some(command), &folder, &args.output, &failures);
    printed?;
    Ok(code)
}

/// Says how to go on with what was interrupted, if a command was, and what could not be written.
pub fn exit(interrupted: Option<&str>, folder: &Path, output: &Output, failures: &[StoreError]) -> ExitCode {
    if let Some(command) = interrupted.filter(|_| !output.quiet) {
        note(format_args!("interrupted; to go on: rectify {command} --resume {}", folder.display()));
    }
    failures.iter().for_each(|failure| note(format_args!("error: {failure}")));
    match interrupted {
        _ if !failures.is_empty() => ExitCode::FAILURE,
        Some(_) => ExitCode::from(interrupt::exit_code()),
        None => ExitCode::SUCCESS,
    }
}

/// How much training may be lost to a kill: `RECTIFY_SAVE_SECONDS`, or the library's default.
pub fn save_every() -> Result<Duration, Usage> {
    let Some(value) = std::env::var_os(SAVE_SECONDS) else { return Ok(SAVE_EVERY) };
    let seconds = value.to_str().and_then(|value| value.parse().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| Usage(format!("{SAVE_SECONDS}: {} is no number of seconds", value.to_string_lossy())))
}

const SAVE_SECONDS: &str = "RECTIFY_SAVE_SECONDS";

/// Whether the folder's experiment is a sweep.
fn is_sweep(folder: &Path) -> Result<bool, StoreError> {
    Ok(RunFolder::read(folder)?.experiment().sweep.is_some())
}

/// A new experiment in the folder that was asked for, or in a new one under `runs/`.
fn create<T>(
    out: Option<&Path>,
    command: &str,
    experiment: Experiment,
    create: &dyn Fn(&Path, Experiment) -> Result<T, CompareError>,
) -> Result<T, CompareError> {
    if let Some(out) = out {
        return create(out, experiment);
    }
    loop {
        let path = fresh_folder(command, &experiment.dataset);
        match create(&path, experiment.clone()) {
            // Another process was faster.
            Err(CompareError::Store(StoreError::Taken { .. } | StoreError::Locked { .. })) if path.exists() => {}
            compare => return compare,
        }
    }
}

/// Prints results and writes the page; `diagnoses` are of their runs, in order. What cannot be written is added to `failures`, and ends nothing.
pub fn show(
    results: &Results,
    diagnoses: &[Diagnosis],
    folder: &Path,
    output: &Output,
    failures: &mut Vec<StoreError>,
) -> anyhow::Result<ExitCode> {
    let shown = results.labelled();
    let sentences = sentences(&shown);
    let printed = match output.format {
        Format::Json => print(serde_json::to_string_pretty(results)? + "\n"),
        Format::Text => print(report::table::text(&shown, &sentences)),
    };
    write_page(folder, &report::html(&shown, &sentences, diagnoses)?, "results.json", output, failures);
    printed
}

/// Writes `report.html` and says where it is, and the results in a file beside it.
pub fn write_page(folder: &Path, html: &str, results: &str, output: &Output, failures: &mut Vec<StoreError>) {
    let page = folder.join("report.html");
    match store::write(&page, html.as_bytes()) {
        Err(failure) => failures.push(failure),
        Ok(()) if output.quiet => {}
        Ok(()) => {
            note(format_args!("report:  {}", page.display()));
            note(format_args!("results: {}", folder.join(results).display()));
        }
    }
}

/// `runs/2026-01-31-compare-mnist`, or the first of `…-2`, `…-3` that is not there.
pub fn fresh_folder(command: &str, dataset: &str) -> PathBuf {
    let date = jiff::ZonedDateTime::now().date();
    let dataset = Path::new(dataset).file_name().map_or("data".into(), |name| name.to_string_lossy());
    let name = format!("{date}-{command}-{dataset}");
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut folders = std::iter::once(name.clone()).chain(numbered).map(|name| Path::new("runs").join(name));
    folders.find(|folder| !folder.exists()).unwrap_or_else(|| Path::new("runs").join(name.clone()))
}

/// How a training ended, for the line that says so.
pub fn ended(run: &Run) -> String {
    let outcome = match (run.status, run.outcome()) {
        (Status::Completed, Some(epoch)) => match epoch.test_accuracy {
            Some(accuracy) => format!("test accuracy {:.2} %{}", 100.0 * accuracy, kept(run)),
            None => "its loss is not finite".to_owned(),
        },
        (Status::Diverged, _) => format!(
            "diverged at step {}: {}",
            run.diverged_at_step.unwrap_or(run.steps),
            run.divergence.map_or("its loss is not finite", |divergence| divergence.words())
        ),
        _ => format!("interrupted after {} steps", run.steps),
    };
    format!("{}: {outcome}, {:.1} s", run_name(run), run.wall_seconds)
}

/// As the run was called while it was in work.
pub fn run_name(run: &Run) -> String {
    let label = run.activation.parse().map_or(run.activation.clone(), |activation: Activation| activation.label());
    format!("{label} seed {}", run.seed)
}

fn kept(run: &Run) -> String {
    run.kept_epoch.map_or(String::new(), |epoch| format!(" (of epoch {epoch}, the best)"))
}
