//! The program `rectify`.

mod cli;
mod command;
mod draw;
mod interrupt;
mod panics;
mod progress;
mod report;

use std::{
    error::Error,
    fs,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::{CommandFactory, Parser};
use rectify_train::{
    activation::Activation,
    backend::{self, BackendError, ServeError},
    compare::{CompareError, JoinError},
    data::DataError,
    experiment::ExperimentError,
    export::WeightsExportError,
    store::StoreError,
    words::Vocabulary,
};

use cli::{Activations, Cli, Command, Usage};
use command::{claims, compare, diagnose, eval, gradcheck, listing, plot, predict};
use report::terminal::paragraph;

// Page faults and `malloc` were a fifth of a training step with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // SAFETY: no other thread runs yet.
    unsafe { backend::silence_drivers() };
    let cli = Cli::parse();
    let outcome = panics::caught(|| run(cli.command));
    match outcome {
        Ok(code) => code,
        // The reader of a pipe has what it wanted, as `head` does.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            note(format_args!("error: {error:#}"));
            ExitCode::from(if error.chain().any(is_usage) { 2 } else { 1 })
        }
    }
}

/// Whether nothing failed: what was asked for is not there to be had.
fn is_usage(error: &(dyn Error + 'static)) -> bool {
    let backend = |error: &BackendError| !matches!(error, BackendError::Driver { .. });
    let serve = |error: &ServeError| match error {
        ServeError::Backend(error) => backend(error),
        ServeError::NoToken(_) | ServeError::EveryAddress(_) | ServeError::Key { .. } | ServeError::Listen { .. } => {
            true
        }
        ServeError::Failed(_) => false,
    };
    let data = |error: &DataError| {
        matches!(error, DataError::Unknown { .. } | DataError::NotFound { .. } | DataError::TrainSize { .. })
    };
    // A folder inside of a file.
    let io = |error: &io::Error| error.kind() == io::ErrorKind::NotADirectory;
    let store = |error: &StoreError| match error {
        StoreError::Taken { .. } | StoreError::Missing { .. } => true,
        StoreError::Io { cause, .. } => io(cause),
        _ => false,
    };
    // What they are made of is not among their sources: they show it as themselves.
    match error.downcast_ref() {
        Some(CompareError::Experiment(_) | CompareError::Extend(_)) => return true,
        Some(CompareError::Backend(error)) => return backend(error),
        Some(CompareError::Data(error)) => return data(error),
        Some(CompareError::Store(error)) => return store(error),
        Some(CompareError::OtherData { .. }) | None => {}
    }
    match error.downcast_ref() {
        Some(JoinError::Store(error)) => return store(error),
        Some(JoinError::Differs { .. }) => return true,
        Some(JoinError::Empty(_)) | None => {}
    }
    match error.downcast_ref() {
        Some(WeightsExportError::Experiment(_)) => return true,
        Some(WeightsExportError::Store(error)) => return store(error),
        None => {}
    }
    error.is::<Usage>()
        || error.is::<ExperimentError>()
        || error.downcast_ref().is_some_and(backend)
        || error.downcast_ref().is_some_and(serve)
        || error.downcast_ref().is_some_and(data)
        || error.downcast_ref().is_some_and(store)
        || error.downcast_ref().is_some_and(io)
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Compare(args) => compare::compare(&args),
        Command::Train(args) => compare::train(&args),
        Command::Claims(args) => claims::claims(&args),
        Command::Diagnose(args) => diagnose::diagnose(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Predict(args) => predict::predict(&args),
        Command::Plot(args) => {
            let activations: Vec<Activation> = Activations::all(&args.activations).cloned().collect();
            match &args.out {
                Some(out) => {
                    plot::plot(&activations, args.range.0..=args.range.1, out)?;
                    if !args.quiet {
                        note(format_args!("wrote {}", out.display()));
                    }
                }
                None => {
                    print(plot::text(&activations, args.range, report::terminal::width())?)?;
                }
            }
            plot::derivatives(&activations, args.quiet)
        }
        Command::Report(args) => command::report::report(&args),
        Command::Export(args) => command::export::export(&args),
        Command::Gradcheck(args) => gradcheck::gradcheck(&args),
        Command::Serve(args) => {
            // A panic ends a client's session, not the server: the server's log has it.
            drop(std::panic::take_hook());
            backend::serve(&args.backend, args.listen, args.key.as_deref(), &|name| {
                note(format_args!("serving {}; clients: --backend {name}", args.backend));
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Backends(output) => listing::backends(&output),
        Command::Data(args) => listing::data(&args),
        Command::Completions { shell } => print(command::completions::script(shell)),
        Command::Man { out: Some(folder), .. } => {
            fs::create_dir_all(&folder).with_context(|| format!("--out {}", folder.display()))?;
            clap_mangen::generate_to(documented(), &folder).with_context(|| format!("--out {}", folder.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { command, out: None } => {
            let mut page = Vec::new();
            clap_mangen::Man::new(manual(command.as_deref())?).render(&mut page)?;
            print(&page)
        }
    }
}

/// The program, whose commands have their examples where a manual page shows them.
fn documented() -> clap::Command {
    Cli::command().mut_subcommands(|command| {
        let help = [command.get_before_help(), command.get_after_help()].into_iter().flatten();
        let help = help.map(ToString::to_string).collect::<Vec<_>>().join("\n\n");
        command.after_help(help)
    })
}

/// The program, or one of its commands by its whole name.
fn manual(command: Option<&str>) -> Result<clap::Command, Usage> {
    let mut program = documented();
    program.build();
    let Some(name) = command else { return Ok(program) };
    let names: Vec<String> = program.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let vocabulary = Vocabulary { kind: "command", names: &names, aliases: &[], hints: &[] };
    let found = vocabulary.find(name).and_then(|name| program.find_subcommand(name));
    found.cloned().ok_or_else(|| Usage(vocabulary.unknown(name)))
}

/// Tells something on stderr that is no result: on a terminal broken between words, elsewhere a line that `grep` finds whole.
fn note(text: impl std::fmt::Display) {
    let text = text.to_string();
    let text = if io::stderr().is_terminal() { paragraph(&text, progress::width()) } else { text };
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
