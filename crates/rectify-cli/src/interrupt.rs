//! Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

/// Set by the first Ctrl-C: trainings end at their next read-back, and what they measured is kept.
static STOP: AtomicBool = AtomicBool::new(false);

/// Exit code of a program that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// Listens for Ctrl-C, which sets the flag that comes back. The second one does not wait.
///
/// # Errors
///
/// The system lets no one listen, or someone does already.
pub fn listen() -> anyhow::Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(&STOP)
}
