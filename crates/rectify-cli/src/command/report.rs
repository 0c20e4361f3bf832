//! `rectify report`.

use std::process::ExitCode;

use anyhow::anyhow;
use rectify_train::{
    compare::{Joined, join},
    store::{self, RunFolder},
};

use crate::{
    cli::{ReportArgs, Usage},
    command::compare::show,
    note,
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
    let Joined { results, notes } = join(&args.folders)?;
    if !args.output.quiet {
        notes.iter().for_each(note);
    }
    // Not beside a process that writes the same files.
    let _lock = match args.folders.contains(out) {
        true => Some(RunFolder::open(out).map_err(|error| anyhow!("{error}; or write elsewhere by --out"))?),
        false => None,
    };
    let mut failures = Vec::new();
    let written =
        std::fs::create_dir_all(out).map_err(|cause| store::StoreError::Io { path: out.clone(), cause }).and_then(
            |()| store::write(&out.join("results.json"), &serde_json::to_vec_pretty(&results).unwrap_or_default()),
        );
    failures.extend(written.err());
    let printed = show(&results, out, &args.output, &mut failures);
    failures.iter().for_each(|failure| note(format_args!("error: {failure}")));
    printed?;
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
