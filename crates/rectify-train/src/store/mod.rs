//! A run on disk: settings, metrics, what resuming needs, records and checkpoints.
//!
//! ```text
//! DIR/
//!   config.toml                everything needed to run it again
//!   runs/<activation>-seed<N>/
//!     metrics.jsonl            appended: epochs, probed steps, losses of every step
//!     run.json                 the run's record, written whole when it ends; its presence means "done"
//!     state/                   what resuming needs, replaced whole
//!     checkpoint/              the network at the end
//!     events.out.tfevents.…    with `--log tensorboard`: the metrics again, for TensorBoard
//!   points/<settings>/         of an experiment with a sweep: an experiment a point, in place of `runs/`
//!   results.json, report.html  derived; of a sweep `sweep.json`
//!   lock                       while a process works here
//! ```
//!
//! Files and folders are written whole or not at all ([`atomic`]), but for `metrics.jsonl`, of which a torn last line is
//! dropped; every other file that is torn or changed is an error that names it. What an older version wrote is read,
//! what a newer one wrote is refused.

pub mod atomic;
mod checkpoint;
mod error;
mod events;
mod evidence;
mod folder;
mod lock;
pub mod metrics;
mod name;
mod seal;
mod state;

pub use self::{
    atomic::write,
    checkpoint::{Checkpoint, SavedCheckpoint, find, load_module, load_record, save_module, save_record},
    error::StoreError,
    events::EventWriter,
    evidence::Evidence,
    folder::{Difference, RunFolder, RunRecord, Stage, difference},
    lock::{Holder, Lock, is_locked},
    metrics::{Line, MetricsWriter},
    name::{point_path, run_name, run_path},
    seal::Mark,
    state::{Records, load_records, load_state, remove_state, save_records, save_state},
};
