//! `rectify compare` and `rectify train`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError, atomic::Ordering},
};

use rectify_train::{
    backend,
    data::Dataset,
    environment,
    experiment::Experiment,
    grid::{self, Cell},
    model::Shape,
    results::{Results, Run, SCHEMA_VERSION, Status},
    sentences::sentences,
    statistics::{paired_differences, summarize},
    store::{self, Checkpoint, Measured, RunFolder, StoreError},
    train::Event,
};

use crate::{
    cli::{Format, TrainArgs},
    interrupt,
    note, print,
    progress::Progress,
    report, table,
};

/// Trains every activation with every seed and reports.
pub fn compare(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    run(args, "compare", Experiment::default())
}

/// Trains one network. The same thing as [`compare`], with one of each by default.
pub fn train(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let all = Experiment::default();
    let activations = all.activations[..1].to_vec();
    run(args, "train", Experiment { activations, seeds: 1, ..all })
}

fn run(args: &TrainArgs, command: &str, defaults: Experiment) -> anyhow::Result<ExitCode> {
    let experiment = args.resolve(defaults)?;
    if args.print_config {
        return print(toml::to_string(&experiment)?);
    }
    let device = backend::open(&experiment.backend)?;
    backend::supports(&device, experiment.dtype)?;
    let dataset = Dataset::load(&experiment.dataset, experiment.train_size)?;
    let shape = Shape { height: dataset.height, width: dataset.width, classes: dataset.classes };
    shape.check(experiment.model)?;
    let folder = match &args.out {
        Some(path) => RunFolder::create(path, &experiment)?,
        None => RunFolder::create(&fresh_folder(command, &dataset.name), &experiment)?,
    };
    let stop = interrupt::listen()?;

    let data = dataset.to_device(&device, experiment.dtype.into());
    let template = "{bar:40} {percent:>3} %  {pos}/{len} steps  {eta} left";
    let progress = Progress::new(args.output.quiet, template, grid::grid_steps(&experiment, &dataset));
    let (mean, std) = (dataset.mean, dataset.std);
    // Its pixels are on the device now.
    drop(dataset);
    let unwritten: Mutex<Option<StoreError>> = Mutex::new(None);
    let observe = |cell: &Cell, event: Event<'_>| {
        let measured = match event {
            Event::Steps(steps) => return progress.bar.inc(steps as u64),
            Event::Epoch(epoch) => Measured::Epoch(epoch),
            Event::Probe(step) => Measured::Step(step),
            Event::Step { .. } => return,
        };
        if let Err(error) = folder.append(cell, &measured) {
            unwritten.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            stop.store(true, Ordering::Relaxed);
        }
    };
    let finished = |cell: &Cell, run: &Run, model| {
        progress.line(ended(run));
        let checkpoint = Checkpoint {
            experiment: experiment.clone(),
            activation: cell.activation.clone(),
            seed: cell.seed,
            steps: run.steps,
            height: shape.height,
            width: shape.width,
            classes: shape.classes,
            mean,
            std,
        };
        folder.save_checkpoint(cell, &checkpoint, model).map(drop)
    };
    let runs = grid::run(&experiment, shape, &data, stop, &observe, &finished)?;
    progress.bar.finish_and_clear();
    if let Some(error) = unwritten.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }

    let interrupted = stop.load(Ordering::Relaxed);
    let results = Results {
        schema_version: SCHEMA_VERSION,
        environment: environment::of(&experiment.backend, &device),
        experiment,
        summary: summarize(&runs),
        paired_differences: paired_differences(&runs),
        runs,
    };
    folder.save_results(&results)?;
    let sentences = sentences(&results);
    let html = report::html(&results, &sentences)?;
    let page = folder.path().join("report.html");
    store::write(&page, html.as_bytes())?;

    match args.output.format {
        Format::Json => print(serde_json::to_string_pretty(&results)? + "\n")?,
        Format::Text => print(format!("{}\n\n{}\n", table::comparison(&results), sentences.join("\n")))?,
    };
    if !args.output.quiet {
        if interrupted {
            note("interrupted: what was measured until then is kept");
        }
        note(format_args!("report:  {}", page.display()));
        note(format_args!("results: {}", folder.path().join("results.json").display()));
    }
    Ok(ExitCode::from(if interrupted { interrupt::exit_code() } else { 0 }))
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
fn ended(run: &Run) -> String {
    let outcome = match (run.status, run.last()) {
        (Status::Completed, Some(epoch)) => format!("test accuracy {:.2} %", 100.0 * epoch.test_accuracy),
        (Status::Diverged, _) => format!("diverged at step {}", run.diverged_at_step.unwrap_or(run.steps)),
        _ => "interrupted".to_owned(),
    };
    format!("{} seed {}: {outcome}, {:.1} s", run.activation, run.seed, run.wall_seconds)
}
