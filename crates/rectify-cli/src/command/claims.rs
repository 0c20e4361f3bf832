//! `rectify claims`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::Context;
use rectify_train::{
    backend,
    claims::{
        Budget, CLAIMS, Claim, ClaimResult, ClaimsFolder, ClaimsReport, Criterion, Plan,
        lab::{ClaimError, Effort, Lab},
    },
    environment,
    experiment::Shard,
    judge::number::number,
    record::Epoch,
    store::{self, Evidence},
    train::grid::Training,
    words::Vocabulary,
};

use crate::{
    cli::{ClaimsArgs, Format, Output, Usage},
    command::{
        compare::{fresh_folder, save_every},
        live,
    },
    interrupt, note, print,
    progress::{Progress, words},
    report::{
        self,
        claims::detail,
        terminal::{self, Column, Kind, indented, paragraph},
    },
};

/// Tests claims about ReLU and reports; or lists them.
pub fn claims(args: &ClaimsArgs) -> anyhow::Result<ExitCode> {
    let mut named: Vec<&'static Claim> = args.ids.iter().map(|id| find(id)).collect::<Result<_, _>>()?;
    if let Some(shard) = args.shard {
        named = of_shard(shard, if named.is_empty() { CLAIMS } else { &named })?;
    }
    if args.list {
        return list(if named.is_empty() { CLAIMS } else { &named }, args.output.format);
    }
    if let Some(folder) = &args.judge {
        return judge_again(folder, args.verbose, &args.output);
    }
    let stop = interrupt::listen()?;
    let mut folder = begin(args, &named)?;
    let progress = Progress::of(args.output.quiet, "{prefix} {msg} {wide_bar} {pos}/{len}");
    let observe = |done: usize, of: usize| {
        if done == 0 {
            progress.bar.reset();
        }
        progress.bar.set_length(of as u64);
        progress.bar.set_position(done as u64);
    };
    // One network is trained at several rates side by side.
    let watch = |training: &Training, epoch: Option<&Epoch>| {
        let run = format!("{}, lr {}", live::name(training), number(training.experiment.learning_rate()));
        match epoch {
            Some(epoch) => progress.measured(&run, epoch, training.experiment.epochs),
            None => progress.gone(&run),
        }
    };
    let (plan, backend) = (folder.report().plan.clone(), folder.report().environment.backend.clone());
    let budget = args.budget.or((plan.effort == Effort::Default).then_some(DEFAULT_BUDGET));
    let lab = Lab::new(plan, &backend, args.jobs, stop, &observe)?
        .keeping(folder.path())
        .save_every(save_every()?)
        .watched(&watch);

    let (begun, mut interrupted) = (Instant::now(), false);
    let pending = folder.pending();
    for (place, claim) in pending.iter().enumerate() {
        progress.bar.set_message(claim.id);
        let most = budget.map(|budget| format!(", at most {} left", words(budget.saturating_sub(begun.elapsed()))));
        progress.bar.set_prefix(format!("{}/{}{}:", place + 1, pending.len(), most.unwrap_or_default()));
        // What one claim leaves of its part goes to those after it.
        let left = (pending.len() - place) as u32;
        let time = budget.map(|budget| budget.saturating_sub(begun.elapsed()) / left);
        match claim.test(&lab, Budget { since: Instant::now(), time }) {
            Ok(result) => {
                progress.line(format!("{}: {}, {:.1} s", result.claim.id, verdict(&result), result.seconds));
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
    progress.end();
    finish(&folder, args.verbose, &args.output, || {
        lab.data_notes().iter().for_each(note);
        if interrupted {
            note(format_args!("interrupted; to go on: rectify claims --resume {}", folder.path().display()));
        }
    })?;
    Ok(ExitCode::from(if interrupted { interrupt::exit_code() } else { 0 }))
}

/// For all claims with default effort, unless another is given.
const DEFAULT_BUDGET: Duration = Duration::from_secs(600);

/// Judges what was measured again.
fn judge_again(path: &Path, verbose: bool, output: &Output) -> anyhow::Result<ExitCode> {
    let mut folder = ClaimsFolder::open(path, &[]).with_context(|| format!("--judge {}", path.display()))?;
    let left = folder.judge_again()?;
    finish(&folder, verbose, output, || {
        if !left.is_empty() {
            note(format_args!("as they were, since nothing is kept to judge them from: {}", left.join(", ")));
        }
        let changed = folder.report().claims.iter().filter(|result| result.judged_by.is_some());
        let changed: Vec<&str> = changed.map(|result| result.claim.id).collect();
        if !changed.is_empty() {
            note(format_args!(
                "judged by another protocol than they were measured by, so not fixed beforehand: {}",
                changed.join(", ")
            ));
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the page, prints the report and what else there is to say.
fn finish(folder: &ClaimsFolder, verbose: bool, output: &Output, notes: impl FnOnce()) -> anyhow::Result<()> {
    let page = write_page(folder)?;
    let report = folder.report();
    match output.format {
        Format::Json => print(serde_json::to_string_pretty(report)? + "\n")?,
        Format::Text => print(table(report, verbose, terminal::width()))?,
    };
    if !output.quiet {
        notes();
        if !verbose && output.format == Format::Text && !report.claims.is_empty() {
            note(format_args!(
                "by what each was decided: rectify claims --judge {} --verbose",
                folder.path().display()
            ));
        }
        note(format_args!("report:  {}", page.display()));
        note(format_args!("results: {}", folder.results().display()));
    }
    Ok(())
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
        let hash = claim.protocol(&Plan::here(Effort::Default)).hash();
        let mut lines = vec![
            (0, claim.id.to_owned()),
            (2, claim.statement.to_owned()),
            (2, format!("Source: {}", claim.source)),
            (2, format!("Protocol: {hash} with default effort")),
        ];
        for criterion in claim.criteria {
            let Criterion { quantity, hypothesis, unit, null_hypothesis, why } = criterion;
            lines.push((2, format!("Measured: {quantity}")));
            lines.push((4, format!("holds where it is {hypothesis} ({unit}); null hypothesis: {null_hypothesis}")));
            lines.push((4, format!("why there: {why}")));
        }
        text +=
            &lines.iter().map(|(spaces, line)| indented(line, *spaces, terminal::width()) + "\n").collect::<String>();
        text += "\n";
    }
    print(text)
}

/// Every Nth claim: each has its part of the time, so they cost alike. The trainings of one are not dealt out, for how many
/// there are is decided as they end.
fn of_shard(shard: Shard, claims: &[&'static Claim]) -> Result<Vec<&'static Claim>, Usage> {
    let mine: Vec<&'static Claim> = claims.iter().copied().skip(shard.index()).step_by(shard.of()).collect();
    match mine.is_empty() {
        true => Err(Usage(format!("--shard {shard} has none of the {} claims", claims.len()))),
        false => Ok(mine),
    }
}

/// Claims of many folders in one, with what they were judged from.
pub fn join(folders: &[PathBuf], out: &Path, output: &Output) -> anyhow::Result<ExitCode> {
    if folders.iter().any(|folder| folder == out) {
        return Err(Usage(format!("--out {}: holds some of the claims; take another folder", out.display())).into());
    }
    let mut reports = Vec::new();
    for folder in folders {
        reports.push(ClaimsFolder::open(folder, &[])?.report().clone());
    }
    let mut notes = Vec::new();
    let (first, version) = (&reports[0], |report: &ClaimsReport| report.environment.rectify.clone());
    for (folder, report) in folders.iter().zip(&reports) {
        if report.plan != first.plan || version(report) != version(first) {
            let reason = "tested with another effort, on other data or by another Rectify than the first";
            return Err(Usage(format!("{}: {reason}", folder.display())).into());
        }
        let untested = report.requested.iter().filter(|id| report.claims.iter().all(|result| result.claim.id != **id));
        notes.extend(untested.map(|id| format!("{id} is not tested yet, in {}", folder.display())));
    }
    let requested = |claim: &&&Claim| reports.iter().any(|report| report.requested.iter().any(|id| id == claim.id));
    let claims: Vec<&'static Claim> = CLAIMS.iter().filter(requested).copied().collect();
    let others: Vec<&str> = CLAIMS.iter().filter(|claim| !claims.contains(claim)).map(|claim| claim.id).collect();
    if !others.is_empty() {
        notes.push(format!("in none of the folders: {}", others.join(", ")));
    }
    // What an earlier report wrote there is derived, and derived again.
    for derived in [out.join("claims.json"), out.join(PAGE)] {
        if derived.exists() {
            fs::remove_file(&derived).with_context(|| derived.display().to_string())?;
        }
    }
    let mut joined =
        ClaimsFolder::create(out, (first.date.clone(), first.environment.clone(), first.plan.clone()), &claims)?;
    for (folder, report) in folders.iter().zip(&reports) {
        for result in &report.claims {
            if joined.report().claims.iter().any(|other| other.claim == result.claim) {
                notes.push(format!("{} is in {} too; the first is taken", result.claim.id, folder.display()));
                continue;
            }
            joined.add(result.clone())?;
            Evidence::of(folder).copy_kept(result.claim.id, &Evidence::of(out))?;
        }
    }
    finish(&joined, false, output, || notes.iter().for_each(note))?;
    Ok(ExitCode::SUCCESS)
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
    let plan = Plan::here(effort);
    Ok(ClaimsFolder::create(&path, (date, environment::of(&backend, &device), plan), all)?)
}

/// Writes the page and says where.
fn write_page(folder: &ClaimsFolder) -> anyhow::Result<PathBuf> {
    let page = folder.path().join(PAGE);
    store::write(&page, report::claims::html(folder.report()).as_bytes())?;
    Ok(page)
}

/// A verdict with what it leans to.
fn verdict(result: &ClaimResult) -> String {
    match result.leaning {
        Some(leaning) => format!("{}, leans to {leaning}", result.verdict),
        None => result.verdict.to_string(),
    }
}

/// The claims in lines of at most `width` characters: verdicts and sentences, and if it is to be verbose what decides each.
fn table(report: &ClaimsReport, verbose: bool, width: usize) -> String {
    let columns = [("claim", Kind::Name), ("verdict", Kind::Words), ("what was found", Kind::Words)];
    let columns: Vec<Column> =
        (0u8..).zip(columns).map(|(rank, (header, kind))| Column { header, kind, rank }).collect();
    let row = |result: &ClaimResult| vec![result.claim.id.to_owned(), verdict(result), result.sentence.clone()];
    let rows: Vec<Vec<String>> = report.claims.iter().map(row).collect();
    let details =
        |result: &ClaimResult| format!("\n{}\n", paragraph(&format!("{}: {}", result.claim.id, detail(result)), width));
    let details: String = report.claims.iter().filter(|_| verbose).map(details).collect();
    format!("{}\n{details}", terminal::table(&columns, &rows, width))
}

#[cfg(test)]
mod tests {
    use rectify_train::{
        claims::SCHEMA_VERSION,
        judge::verdict::{Effect, Verdict},
        record::Environment,
    };

    use super::*;

    #[test]
    fn the_table_of_claims_fits_the_terminal_and_no_sentence_is_lost() {
        let result = |claim: &&'static Claim| ClaimResult {
            claim,
            verdict: Verdict::NotSettled,
            leaning: Some(Verdict::Confirmed),
            effect: Some(Effect { median: -1.25e-7, low: Some(-1e-310), high: Some(1e12), confidence: 0.95 }),
            unit: "seconds a thousand steps".to_owned(),
            conditions: Vec::new(),
            needs: Some("a machine that does nothing else".to_owned()),
            seeds: 20,
            trainings: 120,
            diverged: 0,
            protocol: "0123456789ab".to_owned(),
            judged_by: None,
            what_was_run: "nothing".to_owned(),
            command: "rectify claims".to_owned(),
            seconds: 12345.6,
            sentence: "In 30 ReLU layers 1/23000 of the gradient arrives with Xavier's weights, 1.00 with He's."
                .to_owned(),
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
            plan: Plan { effort: Effort::Quick, datasets: vec!["mnist".to_owned()] },
            requested: Vec::new(),
            claims: CLAIMS.iter().map(result).collect(),
        };
        for width in [60, 80, 100, 200] {
            assert!(!table(&report, false, width).contains("protocol"), "what decides is one level deeper");
            let text = table(&report, true, width);
            for line in text.lines() {
                assert!(line.chars().count() <= width, "wider than {width}:\n{text}");
            }
            // Every word of every sentence.
            for word in report.claims[0].sentence.split_whitespace() {
                assert!(text.matches(word).count() >= CLAIMS.len(), "{word} is missing at {width}:\n{text}");
            }
        }
    }
}
