//! The program `rectify`.

mod cli;
mod command;
mod draw;
mod interrupt;
mod progress;
mod report;

use std::{
    io::{self, Write},
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::OnceLock,
};

use anyhow::anyhow;
use clap::{CommandFactory, Parser};
use rectify_train::{
    backend::{self, BackendError},
    experiment::ExperimentError,
};

use cli::{Cli, Command, Usage};
use command::{claims, compare, eval, gradcheck, listing, plot};

// Page faults and `malloc` were a fifth of a training step with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the first panic said.
static FIRST_PANIC: OnceLock<String> = OnceLock::new();

fn main() -> ExitCode {
    // SAFETY: no other thread runs yet.
    unsafe { backend::silence_drivers() };
    let cli = Cli::parse();
    // Burn's operations have no error values: a device that is lost or out of memory is a panic, on whatever thread.
    // The first one says what went wrong; those that follow from it do not.
    panic::set_hook(Box::new(|panic| {
        let what = panic.payload_as_str().unwrap_or("no message");
        FIRST_PANIC.get_or_init(|| match panic.location() {
            Some(place) => format!("{what} ({place})"),
            None => what.to_owned(),
        });
    }));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(cli.command))).unwrap_or_else(|_| {
        let what = FIRST_PANIC.get().map_or("no message", String::as_str);
        Err(anyhow!("the backend failed, or there is a fault in Rectify: {what}\n`rectify backends` lists what else could run this"))
    });
    match outcome {
        Ok(code) => code,
        // The reader of a pipe has what it wanted, as `head` does.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            note(format_args!("error: {error:#}"));
            let usage = error.is::<Usage>()
                || error.is::<ExperimentError>()
                || matches!(error.downcast_ref(), Some(BackendError::Unknown { .. } | BackendError::Index { .. }));
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Compare(args) => compare::compare(&args),
        Command::Train(args) => compare::train(&args),
        Command::Claims(args) => claims::claims(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Plot(args) => {
            plot::plot(&args.activations, args.range.0..=args.range.1, &args.out)?;
            if !args.quiet {
                note(format_args!("wrote {}", args.out.display()));
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Report(args) => command::report::report(&args),
        Command::Gradcheck(args) => gradcheck::gradcheck(&args),
        Command::Backends(output) => listing::backends(&output),
        Command::Data(args) => listing::data(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "rectify", &mut script);
            print(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(&page)
        }
    }
}

/// Tells something on stderr that is no result.
fn note(text: impl std::fmt::Display) {
    // Nothing can be done about a stderr that is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes a result to stdout.
fn print(text: impl AsRef<[u8]>) -> anyhow::Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref())?;
    stdout.flush()?;
    Ok(ExitCode::SUCCESS)
}
