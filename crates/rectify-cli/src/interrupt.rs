//! Ctrl-C, SIGTERM and SIGHUP: the first asks trainings to save their state and end, the second ends the program.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use anyhow::Context;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// Set by the first signal: trainings end at their next read-back, and what they measured is kept.
static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// The signal that came, 0 for none.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

#[cfg(unix)]
const SIGNALS: [i32; 4] = [SIGINT, SIGTERM, signal_hook::consts::SIGHUP, signal_hook::consts::SIGQUIT];
#[cfg(not(unix))]
const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// Listens for the signals that ask a program to end. The first sets the flag that comes back; the second does not wait.
///
/// # Errors
///
/// The system lets no one listen.
pub fn listen() -> anyhow::Result<&'static AtomicBool> {
    for signal in SIGNALS {
        // In this order: the first signal finds the flag unset, and the second one set.
        flag::register_conditional_shutdown(signal, 128 + signal, STOP.clone())
            .and_then(|_| flag::register_usize(signal, SIGNAL.clone(), signal as usize))
            .and_then(|_| flag::register(signal, STOP.clone()))
            .context("cannot listen for Ctrl-C")?;
    }
    Ok(&STOP)
}

/// Exit code of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM.
pub fn exit_code() -> u8 {
    match SIGNAL.load(Ordering::Relaxed) {
        0 => 128 + SIGINT as u8,
        signal => 128 + signal as u8,
    }
}
