//! `rectify claims`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::Ordering,
};

use anyhow::{Context, ensure};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use rectify_train::{
    claims::{
        CLAIMS, Claim, ClaimResult,
        lab::{ClaimError, Effort, Lab},
    },
    environment,
    results::{Environment, Estimate},
    store,
};
use serde::{Deserialize, Serialize};

use crate::{
    claims_page,
    cli::{ClaimsArgs, Format, Usage},
    interrupt,
    note, print,
    progress::Progress,
    table::{NO_FIGURE, figure},
    training::fresh_folder,
};

/// The version written to `schema_version`.
const SCHEMA_VERSION: u32 = 1;

/// `claims.json`: the claims that were tested, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimsReport {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The day that it was begun, as in 2026-01-31.
    pub date: String,
    /// The machine and the software.
    pub environment: Environment,
    /// How much was spent on each claim.
    pub effort: Effort,
    /// The claims asked for.
    pub requested: Vec<String>,
    /// The claims tested so far, in the order that they are listed.
    pub claims: Vec<ClaimResult>,
}

/// Tests claims about ReLU and reports; or lists them.
pub fn claims(args: &ClaimsArgs) -> anyhow::Result<ExitCode> {
    let named: Vec<&'static Claim> = args.ids.iter().map(|id| find(id)).collect::<Result<_, _>>()?;
    if args.list {
        return list(if named.is_empty() { CLAIMS } else { &named }, args.output.format);
    }
    let stop = interrupt::listen()?;
    let (mut report, folder) = begin(args, &named)?;
    let progress = Progress::new(args.output.quiet, "{msg:20} {bar:40} {pos}/{len}  {eta} left", 0);
    let observe = |done: usize, of: usize| {
        if done == 0 {
            progress.bar.reset();
        }
        progress.bar.set_length(of as u64);
        progress.bar.set_position(done as u64);
    };
    let lab = Lab::new(report.effort, &report.environment.backend, args.jobs, stop, &observe)?;

    let wanted: BTreeSet<String> = report.requested.iter().cloned().collect();
    let mut interrupted = false;
    for claim in CLAIMS.iter().copied().filter(|claim| wanted.contains(claim.id)) {
        if report.claims.iter().any(|result| result.claim == claim) {
            continue;
        }
        progress.bar.set_message(claim.id);
        match claim.test(&lab) {
            Ok(result) => {
                progress.line(format!("{}: {}, {:.1} s", result.claim.id, result.verdict, result.seconds));
                report.claims.push(result);
                let place = |result: &ClaimResult| CLAIMS.iter().position(|claim| *claim == result.claim);
                report.claims.sort_by_key(place);
                write(&folder, &report)?;
            }
            Err(ClaimError::Interrupted) => interrupted = true,
            Err(error) => return Err(anyhow::Error::from(error).context(format!("claim {}", claim.id))),
        }
        if interrupted || stop.load(Ordering::Relaxed) {
            interrupted = true;
            break;
        }
    }
    progress.bar.finish_and_clear();
    write(&folder, &report)?;

    match args.output.format {
        Format::Json => print(serde_json::to_string_pretty(&report)? + "\n")?,
        Format::Text => print(format!("{}\n", table(&report)))?,
    };
    if !args.output.quiet {
        if interrupted {
            note(format_args!("interrupted; to go on: rectify claims --resume {}", folder.display()));
        }
        note(format_args!("report:  {}", folder.join(PAGE).display()));
        note(format_args!("results: {}", folder.join(RESULTS).display()));
    }
    Ok(ExitCode::from(if interrupted { interrupt::exit_code() } else { 0 }))
}

const RESULTS: &str = "claims.json";
const PAGE: &str = "claims.html";

fn find(id: &str) -> Result<&'static Claim, Usage> {
    Claim::find(id).ok_or_else(|| {
        let ids: Vec<&str> = CLAIMS.iter().map(|claim| claim.id).collect();
        Usage(format!("there is no claim `{id}`; known are {}", ids.join(", ")))
    })
}

fn list(claims: &[&'static Claim], format: Format) -> anyhow::Result<ExitCode> {
    if format == Format::Json {
        return print(serde_json::to_string_pretty(claims)? + "\n");
    }
    let mut text = String::new();
    for claim in claims {
        text += &format!("{}\n  {}\n  Source: {}\n", claim.id, claim.statement, claim.source);
        for part in claim.parts {
            text += &format!(
                "  Measured: {}\n    holds where it is {} ({}); null hypothesis: {}\n    why there: {}\n",
                part.quantity, part.hypothesis, part.unit, part.null_hypothesis, part.why
            );
        }
        text += "\n";
    }
    print(text)
}

/// A new report, or the one to go on with, and its folder.
fn begin(args: &ClaimsArgs, named: &[&'static Claim]) -> anyhow::Result<(ClaimsReport, PathBuf)> {
    if let Some(folder) = &args.resume {
        let path = folder.join(RESULTS);
        let text = fs::read(&path).with_context(|| format!("--resume {}", path.display()))?;
        let mut report: ClaimsReport = serde_json::from_slice(&text)
            .with_context(|| format!("--resume {}: not what `rectify claims` writes", path.display()))?;
        ensure!(
            report.schema_version == SCHEMA_VERSION,
            "--resume {}: schema version {}, this program knows {SCHEMA_VERSION}",
            path.display(),
            report.schema_version
        );
        report.requested.extend(named.iter().map(|claim| claim.id.to_owned()));
        return Ok((report, folder.clone()));
    }
    let effort = match (args.quick, args.thorough) {
        (true, _) => Effort::Quick,
        (_, true) => Effort::Thorough,
        _ => Effort::Default,
    };
    let backend = args.backend.as_deref().unwrap_or("flex");
    let device = rectify_train::backend::open(backend)?;
    let all = if named.is_empty() { CLAIMS } else { named };
    let report = ClaimsReport {
        schema_version: SCHEMA_VERSION,
        date: jiff::ZonedDateTime::now().date().to_string(),
        environment: environment::of(backend, &device),
        effort,
        requested: all.iter().map(|claim| claim.id.to_owned()).collect(),
        claims: Vec::new(),
    };
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => fresh_folder("claims", &effort.to_string()),
    };
    let taken = |reason| anyhow::anyhow!("--out {}: {reason}", folder.display());
    ensure!(!folder.exists() || folder.is_dir(), taken("is a file, not a folder; choose another"));
    ensure!(!folder.join(RESULTS).exists(), taken("holds claims already; go on with --resume, or choose another"));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    write(&folder, &report)?;
    Ok((report, folder))
}

fn write(folder: &Path, report: &ClaimsReport) -> anyhow::Result<()> {
    store::write(&folder.join(RESULTS), &serde_json::to_vec_pretty(report)?)?;
    store::write(&folder.join(PAGE), claims_page::html(report).as_bytes())?;
    Ok(())
}

fn table(report: &ClaimsReport) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["claim", "verdict", "effect (95 % interval)", "s", "outcome"])
        .add_rows(report.claims.iter().map(|result| {
            [
                result.claim.id.to_owned(),
                result.verdict.to_string(),
                effect(result.effect.as_ref(), &result.unit),
                format!("{:.0}", result.seconds),
                result.sentence.clone(),
            ]
        }));
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// `0.0512 (0.0490 to 0.0534)` with the unit where it is not a pure number.
pub fn effect(estimate: Option<&Estimate>, unit: &str) -> String {
    let Some(estimate) = estimate else { return NO_FIGURE.to_owned() };
    let unit = if ["1", "fraction", "ratio"].contains(&unit) { String::new() } else { format!(" {unit}") };
    let mean = significant(estimate.mean);
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) if estimate.confidence < 1.0 => {
            format!("{mean} ({} to {}){unit}", significant(low), significant(high))
        }
        _ => format!("{mean}{unit}"),
    }
}

/// Three significant digits.
fn significant(value: f64) -> String {
    figure(Some(value), |value| match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.2e}"),
        size => format!("{value:.*}", (2 - size.log10().floor() as i32).max(0) as usize),
    })
}
