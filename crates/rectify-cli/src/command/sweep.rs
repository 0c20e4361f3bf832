//! `rectify compare` and `rectify diagnose` with a sweep.

use std::{path::Path, process::ExitCode};

use rectify_train::{
    compare::{Progress, SweepOutcome, SweepRun, points, sweep_of},
    examine::diagnoses,
    judge::diagnose::Diagnosis,
    record::SweepResults,
    store::StoreError,
    train::Event,
};

use serde::Serialize;

use crate::{
    cli::{DiagnoseArgs, Format, Output, Usage},
    command::{
        compare::{ended, exit, run_name, write_page},
        diagnose::{Overall, SCHEMA_VERSION, run_text},
        live::name,
    },
    interrupt, note, print,
    progress::Progress as Display,
    report::{
        self,
        terminal::{paragraph, width},
    },
};

/// More notes than this are counted.
const MOST_NOTES: usize = 50;

/// Trains the points of a sweep and reports.
pub fn sweep(run: SweepRun, folder: &Path, output: &Output) -> anyhow::Result<ExitCode> {
    let stop = interrupt::listen()?;
    let display = Display::new(output.quiet);
    let outcome = run.run(stop, &|point, progress| match progress {
        Progress::Begins { steps, taken, notes } => {
            display.begin(steps, taken.min(steps));
            notes.iter().for_each(|note| display.note(&format!("note: {note}")));
        }
        Progress::Training(training, Event::Steps(steps)) => {
            display.steps(&format!("{point}: {}", name(training)), *steps)
        }
        Progress::Training(training, Event::Epoch(epoch)) => {
            display.measured(&format!("{point}: {}", name(training)), epoch, None);
        }
        Progress::Ended(run) => {
            display.ended(&format!("{point}: {}", run_name(run)), format!("{point}: {}", ended(run)))
        }
        Progress::Failed(error) => display.failed(error),
        _ => {}
    })?;
    display.end();
    let SweepOutcome { results, interrupted, mut failures } = outcome;
    let printed = show(&results, folder, output, &mut failures);
    let code = exit(interrupted.then_some("compare"), folder, output, &failures);
    printed?;
    Ok(code)
}

/// Prints a sweep's results and writes the page. What cannot be written is added to `failures`, and ends nothing.
pub fn show(
    results: &SweepResults,
    folder: &Path,
    output: &Output,
    failures: &mut Vec<StoreError>,
) -> anyhow::Result<ExitCode> {
    let printed = match output.format {
        Format::Json => print(serde_json::to_string_pretty(results)? + "\n"),
        Format::Text => print(report::sweep::text(results)),
    };
    write_page(folder, &report::sweep::html(results)?, "sweep.json", output, failures);
    printed
}

/// Tells what is missing, not finished or there twice; of very many, the first.
pub fn tell(notes: &[String], output: &Output) {
    if output.quiet {
        return;
    }
    notes.iter().take(MOST_NOTES).for_each(note);
    if let Some(more @ 1..) = notes.len().checked_sub(MOST_NOTES) {
        note(format_args!("and {more} more"));
    }
}

/// A run's diagnosis with its place in the sweep.
#[derive(Serialize)]
struct AtPoint<'a> {
    point: &'a str,
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
}

/// Says what is wrong with the runs of a sweep, point by point: of healthy ones, how many there are.
pub fn diagnose(args: &DiagnoseArgs) -> anyhow::Result<ExitCode> {
    if args.repair {
        let reason = "--repair: a sweep is many experiments; give the folder of one point, as in DIR/points/lr=0.1";
        return Err(Usage(reason.to_owned()).into());
    }
    let sweep = sweep_of(&args.folders)?;
    let json = args.output.format == Format::Json;
    let (mut all, mut first, mut failed) = (Overall::default(), true, None);
    if json {
        print(format!("{{\"schema_version\":{SCHEMA_VERSION},\"runs\":["))?;
    }
    // Printed as they are found: the findings of a hundred thousand runs need not fit into memory.
    points(&args.folders, &sweep, &mut |point, folders, joined| {
        let (label, Some(joined)) = (point.label(), joined) else { return };
        for diagnosis in diagnoses(&joined.results, folders) {
            all.add(&diagnosis, &label);
            let told = match json {
                true => serde_json::to_string(&AtPoint { point: &label, diagnosis: &diagnosis })
                    .map(|run| if std::mem::take(&mut first) { run } else { format!(",\n{run}") })
                    .map_err(anyhow::Error::from),
                false if diagnosis.healthy => continue,
                false => Ok(format!("{label}: {}\n", run_text(&diagnosis))),
            };
            if let Err(error) = told.and_then(print) {
                failed.get_or_insert(error);
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let ill = all.any_ill();
    match json {
        true => print("]}\n")?,
        false => print(paragraph(&all.words(), width()) + "\n")?,
    };
    Ok(if args.strict && ill { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
