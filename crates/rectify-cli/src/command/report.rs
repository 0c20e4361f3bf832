//! `rectify report`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::anyhow;
use rectify_train::{
    compare::{Joined, join, join_sweep},
    examine::first_diagnoses,
    judge::{across::across, diagnose::Diagnosis, sentences::sentences},
    record::Results,
    store::{self, RunFolder, StoreError},
};

use crate::{
    cli::{Format, Output, ReportArgs, Usage},
    command::{claims, compare::show, sweep},
    note, print,
    report::{self, across as page},
};

/// Reads one or many folders of runs, judges them anew and writes results and report. Trains nothing.
pub fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let out = match (&args.out, &args.folders[..]) {
        (Some(out), _) => out,
        (None, [one]) => one,
        (None, folders) => {
            return Err(
                Usage(format!("--out is needed: where to write the report of {} folders", folders.len())).into()
            );
        }
    };
    if args.folders[0].join("claims.json").exists() {
        return claims::join(&args.folders, out, &args.output);
    }
    if RunFolder::read(&args.folders[0])?.experiment().sweep.is_some() {
        return of_sweep(args, out);
    }
    let by_dataset = by_dataset(&args.folders)?;
    let mut failures = Vec::new();
    let printed = match &by_dataset[..] {
        [(_, folders)] => {
            let results = read(folders, args)?;
            // Not beside a process that writes the same files.
            let _lock = match args.folders.contains(out) {
                true => Some(RunFolder::open(out).map_err(|error| anyhow!("{error}; or write elsewhere by --out"))?),
                false => None,
            };
            failures.extend(write_json(out, "results.json", &results).err());
            show(&results, &first_diagnoses(&results, folders), out, &args.output, &mut failures).map(|_| ())
        }
        several => {
            let read = |(_, folders): &(_, Vec<PathBuf>)| {
                let results = read(folders, args)?;
                Ok((first_diagnoses(&results, folders), results))
            };
            let (diagnoses, all): (Vec<_>, Vec<Results>) =
                several.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
            if args.folders.contains(out) {
                let reason = format!("--out {}: holds one of the experiments; take another folder", out.display());
                return Err(Usage(reason).into());
            }
            over_data_sets(&all, &diagnoses, out, &args.output, &mut failures)
        }
    };
    failures.iter().for_each(|failure| note(format_args!("error: {failure}")));
    printed?;
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A sweep from its folder or those of its shards.
fn of_sweep(args: &ReportArgs, out: &Path) -> anyhow::Result<ExitCode> {
    let results = join_sweep(&args.folders)?;
    sweep::tell(&results.notes, &args.output);
    let _lock = match args.folders.iter().any(|folder| folder == out) {
        true => Some(RunFolder::open(out).map_err(|error| anyhow!("{error}; or write elsewhere by --out"))?),
        false => None,
    };
    let mut failures = Vec::new();
    failures.extend(write_json(out, "sweep.json", &results).err());
    let printed = sweep::show(&results, out, &args.output, &mut failures);
    failures.iter().for_each(|failure| note(format_args!("error: {failure}")));
    printed?;
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Folders by the data set that their experiments are on, in the order that they first come.
fn by_dataset(folders: &[PathBuf]) -> Result<Vec<(String, Vec<PathBuf>)>, StoreError> {
    let mut all: Vec<(String, Vec<PathBuf>)> = Vec::new();
    for folder in folders {
        let dataset = RunFolder::read(folder)?.experiment().dataset.clone();
        match all.iter_mut().find(|(other, _)| *other == dataset) {
            Some((_, folders)) => folders.push(folder.clone()),
            None => all.push((dataset, vec![folder.clone()])),
        }
    }
    Ok(all)
}

fn read(folders: &[PathBuf], args: &ReportArgs) -> anyhow::Result<Results> {
    let Joined { results, notes } = join(folders)?;
    sweep::tell(&notes, &args.output);
    Ok(results)
}

/// A page over data sets, and beside it a folder with the results and the report of each.
fn over_data_sets(
    all: &[Results],
    diagnoses: &[Vec<Diagnosis>],
    out: &Path,
    output: &Output,
    failures: &mut Vec<StoreError>,
) -> anyhow::Result<()> {
    let Some(across) = across(all) else {
        let sets: Vec<&str> = all.iter().map(|results| results.experiment.dataset.as_str()).collect();
        let reason = format!("fewer than two activations were measured on all of {}", sets.join(", "));
        return Err(Usage(reason).into());
    };
    let mut names: Vec<String> = Vec::new();
    for (results, diagnoses) in all.iter().zip(diagnoses) {
        let dataset = Path::new(&results.experiment.dataset);
        let name = dataset.file_name().map_or("data".into(), |name| name.to_string_lossy().into_owned());
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        let name = std::iter::once(name.clone()).chain(numbered).find(|name| !names.contains(name)).unwrap_or(name);
        let folder = out.join(&name);
        failures.extend(write_json(&folder, "results.json", results).err());
        let shown = results.labelled();
        let html = report::html(&shown, &sentences(&shown), diagnoses)?;
        failures.extend(store::write(&folder.join("report.html"), html.as_bytes()).err());
        names.push(name);
    }
    failures.extend(write_json(out, "across.json", &across).err());
    let pages: Vec<String> = names.iter().map(|name| format!("{name}/report.html")).collect();
    let path = out.join("report.html");
    failures.extend(store::write(&path, page::html(&across, &pages).as_bytes()).err());
    match output.format {
        Format::Json => print(serde_json::to_string_pretty(&across)? + "\n")?,
        Format::Text => print(page::text(&across))?,
    };
    if !output.quiet && failures.is_empty() {
        note(format_args!("report:  {}", path.display()));
        note(format_args!("results: {}", out.join("across.json").display()));
    }
    Ok(())
}

fn write_json(folder: &Path, name: &str, value: &impl serde::Serialize) -> Result<(), StoreError> {
    fs::create_dir_all(folder).map_err(|cause| StoreError::Io { path: folder.to_owned(), cause })?;
    store::atomic::write_json(&folder.join(name), value)
}
