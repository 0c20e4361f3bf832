//! `rectify claims`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::Ordering,
};

use anyhow::{Context, ensure};
use rectify_train::{
    backend,
    claims::{
        CLAIMS, Claim, ClaimResult, ClaimsReport, SCHEMA_VERSION,
        lab::{ClaimError, Effort, Lab},
    },
    environment,
    judge::number::fixed,
    store,
    words::Vocabulary,
};

use crate::{
    cli::{ClaimsArgs, Format, Usage},
    command::compare::fresh_folder,
    interrupt, note, print,
    progress::Progress,
    report::{
        self,
        table::effect,
        terminal::{self, Column, Kind, paragraph},
    },
};

/// Tests claims about ReLU and reports; or lists them.
pub fn claims(args: &ClaimsArgs) -> anyhow::Result<ExitCode> {
    let named: Vec<&'static Claim> = args.ids.iter().map(|id| find(id)).collect::<Result<_, _>>()?;
    if args.list {
        return list(if named.is_empty() { CLAIMS } else { &named }, args.output.format);
    }
    let stop = interrupt::listen()?;
    let (mut report, folder) = begin(args, &named)?;
    let progress = Progress::of(args.output.quiet, "{msg:20} {bar:40} {pos}/{len}  {eta} left");
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
        Format::Text => print(table(&report, terminal::width(), terminal::prose_width()))?,
    };
    if !args.output.quiet {
        lab.data_notes().iter().for_each(note);
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
    let ids: Vec<&str> = CLAIMS.iter().map(|claim| claim.id).collect();
    let vocabulary = Vocabulary { kind: "claim", names: &ids, aliases: &[], hints: &[] };
    vocabulary.find(id).and_then(Claim::find).ok_or_else(|| Usage(vocabulary.unknown(id)))
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
        let text = fs::read(&path).map_err(|error| Usage(format!("--resume {}: {error}", path.display())))?;
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
    let backend = backend::canonical(args.backend.clone().unwrap_or("flex".to_owned()));
    let device = backend::open(&backend)?;
    let all = if named.is_empty() { CLAIMS } else { named };
    let report = ClaimsReport {
        schema_version: SCHEMA_VERSION,
        date: jiff::ZonedDateTime::now().date().to_string(),
        environment: environment::of(&backend, &device),
        effort,
        requested: all.iter().map(|claim| claim.id.to_owned()).collect(),
        claims: Vec::new(),
    };
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => fresh_folder("claims", &effort.to_string()),
    };
    let taken = |reason| Usage(format!("--out {}: {reason}", folder.display()));
    ensure!(!folder.exists() || folder.is_dir(), taken("is a file, not a folder; choose another"));
    ensure!(!folder.join(RESULTS).exists(), taken("holds claims already; go on with --resume, or choose another"));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    write(&folder, &report)?;
    Ok((report, folder))
}

fn write(folder: &Path, report: &ClaimsReport) -> anyhow::Result<()> {
    store::write(&folder.join(RESULTS), &serde_json::to_vec_pretty(report)?)?;
    store::write(&folder.join(PAGE), report::claims::html(report).as_bytes())?;
    Ok(())
}

/// The claims as a table of at most `width` characters, then a sentence each in lines of at most `prose`.
fn table(report: &ClaimsReport, width: usize, prose: usize) -> String {
    let columns =
        [("claim", Kind::Name), ("verdict", Kind::Words), ("effect (95 % interval)", Kind::Words), ("s", Kind::Number)];
    let columns: Vec<Column> =
        (0u8..).zip(columns).map(|(rank, (header, kind))| Column { header, kind, rank }).collect();
    let rows: Vec<Vec<String>> = report
        .claims
        .iter()
        .map(|result| {
            vec![
                result.claim.id.to_owned(),
                result.verdict.to_string(),
                effect(result.effect.as_ref(), &result.unit),
                fixed(result.seconds, 0),
            ]
        })
        .collect();
    let sentences: String = report
        .claims
        .iter()
        .map(|result| format!("\n{}\n", paragraph(&format!("{}: {}", result.claim.id, result.sentence), prose)))
        .collect();
    format!("{}\n{sentences}", terminal::table(&columns, &rows, width))
}

#[cfg(test)]
mod tests {
    use rectify_train::{
        judge::verdict::Verdict,
        record::{Environment, Estimate},
    };

    use super::*;

    #[test]
    fn the_table_of_claims_fits_the_terminal_and_no_sentence_is_lost() {
        let result = |claim: &&'static Claim| ClaimResult {
            claim,
            verdict: Verdict::NotSettled,
            effect: Some(Estimate {
                mean: -1.25e-7,
                std: None,
                low: Some(-1e-310),
                high: Some(1e12),
                confidence: 0.95,
            }),
            unit: "seconds a thousand steps".to_owned(),
            conditions: Vec::new(),
            what_was_run: "nothing".to_owned(),
            command: "rectify claims".to_owned(),
            seconds: 12345.6,
            sentence: "It holds under some conditions and fails under others, ".repeat(5),
            figures: Vec::new(),
        };
        let environment = Environment {
            rectify: "0.1.0".to_owned(),
            burn: "0.22.1".to_owned(),
            backend: "flex".to_owned(),
            adapter: None,
            cpu: "a processor".to_owned(),
            threads: 2,
        };
        let report = ClaimsReport {
            schema_version: SCHEMA_VERSION,
            date: "2026-01-31".to_owned(),
            environment,
            effort: Effort::Quick,
            requested: Vec::new(),
            claims: CLAIMS.iter().map(result).collect(),
        };
        for width in [40, 60, 80, 100, 200] {
            let text = table(&report, width, width);
            for line in text.lines() {
                assert!(line.chars().count() <= width, "wider than {width}:\n{text}");
            }
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words.matches(&report.claims[0].sentence.trim()).count(), CLAIMS.len(), "at {width}:\n{text}");
        }
    }
}
