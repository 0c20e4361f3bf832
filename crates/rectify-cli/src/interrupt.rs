//! Ctrl-C, SIGTERM and SIGHUP: the first asks trainings to save their state and end, the second ends the program.

use std::{
    io,
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::anyhow;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// Set by the first signal: trainings end at their next read-back, and what they measured is kept.
static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// The signal that came, 0 for none.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);
/// Set a moment after the first signal: from then on another one ends the program.
static ARMED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static LISTENS: OnceLock<io::Result<()>> = OnceLock::new();
/// What comes within it is the same request: `timeout`, `cargo run` and schedulers send a signal to the process and to
/// its group.
const SAME: Duration = Duration::from_millis(300);
/// How often it is looked whether the first signal came.
const LOOK: Duration = Duration::from_millis(100);

#[cfg(unix)]
const SIGNALS: [i32; 4] = [SIGINT, SIGTERM, signal_hook::consts::SIGHUP, signal_hook::consts::SIGQUIT];
#[cfg(not(unix))]
const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// Listens for the signals that ask a program to end. The first sets the flag that comes back; another one, a moment
/// later, does not wait.
///
/// # Errors
///
/// The system lets no one listen.
pub fn listen() -> anyhow::Result<&'static AtomicBool> {
    let listens = LISTENS.get_or_init(|| {
        for signal in SIGNALS {
            flag::register_conditional_shutdown(signal, 128 + signal, ARMED.clone())?;
            flag::register_usize(signal, SIGNAL.clone(), signal as usize)?;
            flag::register(signal, STOP.clone())?;
        }
        thread::spawn(|| {
            while !STOP.load(Ordering::Relaxed) {
                thread::sleep(LOOK);
            }
            thread::sleep(SAME);
            ARMED.store(true, Ordering::Relaxed);
        });
        Ok(())
    });
    listens.as_ref().map(|()| &**STOP).map_err(|error| anyhow!("cannot listen for Ctrl-C: {error}"))
}

/// Whether the command is one that trains, and [listens](listen) therefore.
pub fn listens() -> bool {
    LISTENS.get().is_some()
}

/// Exit code of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM.
pub fn exit_code() -> u8 {
    match SIGNAL.load(Ordering::Relaxed) {
        0 => 128 + SIGINT as u8,
        signal => 128 + signal as u8,
    }
}
