//! `rectify claims`.

use std::{path::PathBuf, process::ExitCode, sync::atomic::Ordering};

use anyhow::Context;
use rectify_train::{
    backend,
    claims::{
        CLAIMS, Claim, ClaimsFolder, ClaimsReport,
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
    let mut folder = begin(args, &named)?;
    let progress = Progress::of(args.output.quiet, "{msg:20} {bar:40} {pos}/{len}  {eta} left");
    let observe = |done: usize, of: usize| {
        if done == 0 {
            progress.bar.reset();
        }
        progress.bar.set_length(of as u64);
        progress.bar.set_position(done as u64);
    };
    let (effort, backend) = (folder.report().effort, folder.report().environment.backend.clone());
    let lab = Lab::new(effort, &backend, args.jobs, stop, &observe)?.keeping(folder.path());

    let mut interrupted = false;
    for claim in folder.pending() {
        progress.bar.set_message(claim.id);
        match claim.test(&lab) {
            Ok(result) => {
                progress.line(format!("{}: {}, {:.1} s", result.claim.id, result.verdict, result.seconds));
                folder.add(result)?;
                write_page(&folder)?;
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
    let page = write_page(&folder)?;
    let report = folder.report();

    match args.output.format {
        Format::Json => print(serde_json::to_string_pretty(report)? + "\n")?,
        Format::Text => print(table(report, terminal::width(), terminal::prose_width()))?,
    };
    if !args.output.quiet {
        lab.data_notes().iter().for_each(note);
        if interrupted {
            note(format_args!("interrupted; to go on: rectify claims --resume {}", folder.path().display()));
        }
        note(format_args!("report:  {}", page.display()));
        note(format_args!("results: {}", folder.results().display()));
    }
    Ok(ExitCode::from(if interrupted { interrupt::exit_code() } else { 0 }))
}

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

/// A new folder, or the one to go on in.
fn begin(args: &ClaimsArgs, named: &[&'static Claim]) -> anyhow::Result<ClaimsFolder> {
    if let Some(folder) = &args.resume {
        return ClaimsFolder::open(folder, named).with_context(|| format!("--resume {}", folder.display()));
    }
    let effort = match (args.quick, args.thorough) {
        (true, _) => Effort::Quick,
        (_, true) => Effort::Thorough,
        _ => Effort::Default,
    };
    let backend = backend::canonical(args.backend.clone().unwrap_or("flex".to_owned()));
    let device = backend::open(&backend)?;
    let all = if named.is_empty() { CLAIMS } else { named };
    let path = match &args.out {
        Some(folder) => folder.clone(),
        None => fresh_folder("claims", &effort.to_string()),
    };
    let date = jiff::ZonedDateTime::now().date().to_string();
    Ok(ClaimsFolder::create(&path, (date, environment::of(&backend, &device), effort), all)?)
}

/// Writes the page and says where.
fn write_page(folder: &ClaimsFolder) -> anyhow::Result<PathBuf> {
    let page = folder.path().join(PAGE);
    store::write(&page, report::claims::html(folder.report()).as_bytes())?;
    Ok(page)
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

    use rectify_train::claims::{ClaimResult, SCHEMA_VERSION};

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
