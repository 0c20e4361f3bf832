//! `rectify diagnose --self-test`: planted faults, found and missed.

use std::{num::NonZero, process::ExitCode, thread, time::Instant};

use rectify_train::{
    judge::number::percent,
    planted::{self, Half, Planted, Scores, scores},
};
use serde::Serialize;

use crate::{
    cli::{DiagnoseArgs, Format},
    interrupt, note, print,
    progress::Progress,
    report::terminal::{Column, Kind, paragraph, table, width},
};

/// What `--format json` prints.
#[derive(Serialize)]
struct Report<'a> {
    seconds: f64,
    tuning: Scores,
    report: Scores,
    trainings: &'a [Planted],
}

/// Trains the matrix of planted faults and prints what was found, by cause and by detector, in each half.
pub fn self_test(args: &DiagnoseArgs) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let stop = interrupt::listen()?;
    let jobs = args.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
    let display = Progress::of(args.output.quiet, "{wide_bar} {pos}/{len} trainings  {eta} left");
    let halves = [Half::Tuning, Half::Report];
    let all = planted::run(&halves, args.seeds as u64, jobs, args.only.as_deref(), true, stop, &|done, all| {
        display.bar.set_length(all as u64);
        display.bar.set_position(done as u64);
    })?;
    display.end();
    let seconds = began.elapsed().as_secs_f64();
    let of = |half: Half| scores(&all.iter().filter(|planted| planted.half == half).collect::<Vec<_>>());
    let (tuning, report) = (of(Half::Tuning), of(Half::Report));
    match args.output.format {
        Format::Json => {
            let report = Report { seconds, tuning, report, trainings: &all };
            print(serde_json::to_string_pretty(&report)? + "\n")?;
        }
        Format::Text => {
            let trained: usize =
                all.iter().map(|one| 1 + one.repair.as_ref().map_or(0, |repair| 1 + repair.attempts.len())).sum();
            let head = format!("{} trainings and their repairs, {trained} in all, in {seconds:.0} s.\n", all.len());
            let halves = [
                ("Tuning half: even seeds, MNIST", &tuning),
                ("Report half: odd seeds from 1001 on, Fashion-MNIST", &report),
            ];
            let halves = halves.map(|(title, scores)| half_text(title, scores));
            print(paragraph(&(head + &halves.concat() + &missed(&all)), width()) + "\n")?;
        }
    }
    let interrupted = stop.load(std::sync::atomic::Ordering::Relaxed);
    if interrupted {
        note("interrupted: what is told is of the trainings that were done");
    }
    Ok(if interrupted { ExitCode::from(interrupt::exit_code()) } else { ExitCode::SUCCESS })
}

fn half_text(title: &str, scores: &Scores) -> String {
    let number = |header, rank| Column { header, kind: Kind::Number, rank };
    let columns = [
        Column { header: "cause", kind: Kind::Name, rank: 0 },
        number("planted", 1),
        number("found", 2),
        number("missed", 3),
        number("false alarms", 4),
        number("named for another", 6),
        number("repaired", 5),
    ];
    let causes = scores.causes.iter().map(|(cause, score)| {
        let repaired = if score.repairable == 0 {
            "–".to_owned()
        } else {
            format!("{} of {}", score.repaired, score.repairable)
        };
        let counts = [score.planted, score.found, score.planted - score.found, score.false_alarms, score.mistaken];
        std::iter::once((*cause).to_owned()).chain(counts.map(|n| n.to_string())).chain([repaired]).collect()
    });
    let causes: Vec<Vec<String>> = causes.collect();
    let of_detectors = [
        Column { header: "detector", kind: Kind::Name, rank: 0 },
        number("in faulty trainings", 1),
        number("in healthy trainings", 2),
    ];
    let detectors = scores.detectors.iter();
    let detectors: Vec<Vec<String>> = detectors
        .map(|(id, score)| vec![(*id).to_owned(), score.found.to_string(), score.false_alarms.to_string()])
        .collect();
    let share = |(all, hits, (low, high)): (usize, usize, (f64, f64))| {
        let part = (all > 0).then(|| hits as f64 / all as f64);
        format!("{hits} of {all}, {} % ({} to {} at 95 %)", percent(part, 1), percent(low, 1), percent(high, 1))
    };
    let (named, right, expected) = scores.calibration;
    format!(
        "\n{title}\nFaults found, right cause among the first two: {}\nHealthy trainings with a warning: {}\nRepaired: {}\n\
         Causes named: {named}, right {right}; {expected:.0} by their confidences\n{}\n{}\n",
        share(scores.found),
        share(scores.alarmed),
        share(scores.repaired),
        table(&columns, &causes, width()),
        table(&of_detectors, &detectors, width())
    )
}

/// What went wrong, a line each.
fn missed(all: &[Planted]) -> String {
    let wrong = all.iter().filter(|one| match one.planted {
        Some(_) => !planted::is_found(one) || one.repair.as_ref().is_some_and(|repair| !repair.repaired),
        None => !one.healthy,
    });
    let lines = wrong.map(|one| {
        let unrepaired = if one.repair.as_ref().is_some_and(|repair| !repair.repaired) { ", not repaired" } else { "" };
        let accuracy = percent(one.validation_accuracy, 1);
        format!(
            "{} seed {}{unrepaired}: accuracy {accuracy} %, causes: {}, findings: {}\n",
            one.name,
            one.seed,
            one.causes.join(", "),
            one.findings.join(", ")
        )
    });
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\nMissed, alarmed or not repaired:\n{lines}") }
}
