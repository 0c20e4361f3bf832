//! Panics as errors. Burn's operations have no error values: a device that is lost or out of memory, or that does not have
//! an operation, is a panic, on whatever thread.

use std::{
    backtrace::Backtrace,
    panic::{self, AssertUnwindSafe},
    sync::OnceLock,
};

use anyhow::anyhow;
use rectify_train::backend;

use crate::interrupt;

/// What the first panic said. Those that follow from it do not say what went wrong.
static FIRST: OnceLock<String> = OnceLock::new();

/// Runs the program; a panic becomes an error that says what it was about, as far as that is known.
///
/// # Errors
///
/// Those of `run`, and panics.
pub fn caught<T>(run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    panic::set_hook(Box::new(|panic| {
        let what = panic.payload_as_str().unwrap_or("no message");
        FIRST.get_or_init(|| {
            let place = panic.location().map_or(String::new(), |place| format!(" ({place})"));
            // Empty, unless RUST_BACKTRACE asks for it.
            let trace = match Backtrace::capture() {
                trace if trace.status() == std::backtrace::BacktraceStatus::Captured => format!("\n{trace}"),
                _ => String::new(),
            };
            format!("{}{place}{trace}", what.lines().next().unwrap_or(what))
        });
    }));
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let what = FIRST.get().map_or("no message", String::as_str);
        let kept = if interrupt::listens() { KEPT } else { "" };
        Err(anyhow!("{}{kept}", explained(what, backend::remote_server())))
    })
}

const KEPT: &str = "\nwhat was trained is kept up to the last state that was saved; --resume goes on from it";

/// What a panic was about.
fn explained(what: &str, server: Option<&str>) -> String {
    let lower = what.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    // In the words of wgpu, CubeCL and CUDA.
    if says(&["out of memory", "out of device memory", "not enough memory", "can't allocate buffer", "out_of_memory"]) {
        return format!(
            "the device has not enough memory: {what}\nless is needed with a smaller --batch-size, fewer or narrower layers \
             (--hidden), a smaller --train-size, or fewer trainings at a time (--jobs 1)"
        );
    }
    if says(&["device is lost", "device lost", "device_lost", "devicelost"]) {
        return format!(
            "the device was lost: {what}\nits driver was reset or another process broke it; `rectify backends` says whether \
             it is back"
        );
    }
    if let Some(server) = server {
        return format!("the connection to {server} was lost, or its device failed: {what}");
    }
    if says(&["unsupported", "not supported", "unimplemented", "not implemented"]) {
        return format!(
            "the backend does not have an operation or a type that this needs: {what}\n`rectify backends` lists what else \
             could run it, --dtype f32 is what all of them have"
        );
    }
    format!(
        "this is a fault in Rectify or in a library that it stands on: {what}\nplease report it, with the command, \
         `rectify --version`, `rectify backends` and what is printed when RUST_BACKTRACE=1 is set; another --backend may do \
         it meanwhile"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_causes_are_told_apart_and_the_rest_says_how_to_report_it() {
        let begins = |what: &str, begin: &str| {
            let text = explained(what, None);
            assert!(text.starts_with(begin) && text.contains(what), "{text}");
        };
        begins("wgpu error: Out of Memory", "the device has not enough memory");
        begins("can't allocate buffer of size: 4800000000", "the device has not enough memory");
        begins("out of device memory allocating 12 bytes", "the device has not enough memory");
        begins("Error in Queue::submit: Parent device is lost", "the device was lost");
        begins("dtype BF16 not supported by this device", "the backend does not have");
        begins("index out of bounds: the len is 3", "this is a fault in Rectify");
        assert!(explained("x", None).contains("RUST_BACKTRACE=1"));
        assert!(explained("broken pipe", Some("gpu-box:3000")).starts_with("the connection to gpu-box:3000 was lost"));
        assert!(explained("Out of Memory", Some("gpu-box:3000")).starts_with("the device has not enough memory"));
    }

    #[test]
    fn a_panic_on_another_thread_is_an_error_that_says_what_happened_first() {
        let outcome = caught(|| {
            let broken = std::thread::spawn(|| panic!("Parent device is lost"));
            broken.join().map_err(|_| ()).expect("the thread ends");
            Ok(())
        });
        // For the other tests.
        drop(panic::take_hook());
        let text = outcome.unwrap_err().to_string();
        assert!(text.starts_with("the device was lost: Parent device is lost"), "{text}");
        // Nothing was to be trained.
        assert!(!text.contains("--resume"), "{text}");
    }
}
