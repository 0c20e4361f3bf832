//! `rectify compare` and `rectify train`.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError, atomic::Ordering},
};

use rectify_train::{
    backend,
    data::Dataset,
    environment,
    experiment::Experiment,
<<<<<<< HEAD:crates/rectify-cli/src/command/compare.rs
    judge::{
        sentences::sentences,
        statistics::{paired_differences, summarize},
    },
    network::Shape,
    record::{Results, Run, SCHEMA_VERSION, Status},
    store::{self, Checkpoint, Line, Mark, MetricsWriter, RunFolder, StoreError},
    train::{
        Event,
        grid::{self, Cell},
    },
=======
    grid::{self, Cell},
    results::{Results, Run, SCHEMA_VERSION, Status},
    sentences::sentences,
    statistics::{paired_differences, summarize},
    store::{self, Checkpoint, Measured, RunFolder, StoreError},
    train::Event,
>>>>>>> h2:crates/rectify-cli/src/training.rs
};

use crate::{
    cli::{Format, TrainArgs},
    interrupt, note, print,
    progress::Progress,
    report,
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
    if !args.output.quiet {
        dataset.notes.iter().for_each(note);
    }
    let shape = dataset.shape();
    shape.check(experiment.model)?;
    let folder = match &args.out {
        Some(path) => RunFolder::create(path, &experiment)?,
        None => RunFolder::create(&fresh_folder(command, &dataset.name), &experiment)?,
    };
    let stop = interrupt::listen()?;

    let data = dataset.to_device(&device, experiment.dtype.into());
    let template = "{bar:40} {percent:>3} %  {pos}/{len} steps  {eta} left";
    let progress = Progress::new(args.output.quiet, template, grid::grid_steps(&experiment, &dataset));
    let (mean, std, class_labels) = (dataset.mean, dataset.std, dataset.class_labels.clone());
    // Its pixels are on the device now.
    drop(dataset);
    let unwritten: Mutex<Option<StoreError>> = Mutex::new(None);
    let writers: Mutex<HashMap<(String, u64), MetricsWriter>> = Mutex::default();
    let append = |cell: &Cell, line: Line| {
        let mut writers = writers.lock().unwrap_or_else(PoisonError::into_inner);
        match writers.entry((cell.activation.to_string(), cell.seed)) {
            Entry::Occupied(writer) => writer.into_mut().append(&line),
            Entry::Vacant(place) => {
                let writer = folder.metrics(cell.activation.name(), cell.seed, &Mark::default())?;
                place.insert(writer).append(&line)
            }
        }
    };
    let observe = |cell: &Cell, event: Event<'_>| {
        let line = match event {
            Event::Steps(steps) => return progress.bar.inc(steps as u64),
            Event::Epoch(epoch) => Line::Epoch(epoch.clone()),
            Event::Probe(step) => Line::Step(step.clone()),
            Event::Step { .. } => return,
        };
        if let Err(error) = append(cell, line) {
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
            channels: shape.channels,
            height: shape.height,
            width: shape.width,
            classes: shape.classes,
            class_labels: class_labels.clone(),
            mean,
            std,
        };
        checkpoint.save(&folder.run_path(cell.activation.name(), cell.seed), model)?;
        let writer = writers.lock().unwrap_or_else(PoisonError::into_inner).remove(&(run.activation.clone(), run.seed));
        match writer {
            Some(writer) if run.status != Status::Interrupted => {
                writer.sync().and_then(|()| folder.write_run(run, writer.mark()))
            }
            // Not done, or its first line could not be written.
            _ => Ok(()),
        }
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
        Format::Text => print(format!("{}\n\n{}\n", report::table::comparison(&results), sentences.join("\n")))?,
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
        (Status::Completed, Some(epoch)) => {
            format!("test accuracy {:.2} %", 100.0 * epoch.test_accuracy.unwrap_or(f64::NAN))
        }
        (Status::Diverged, _) => format!("diverged at step {}", run.diverged_at_step.unwrap_or(run.steps)),
        _ => "interrupted".to_owned(),
    };
    format!("{} seed {}: {outcome}, {:.1} s", run.activation, run.seed, run.wall_seconds)
}
