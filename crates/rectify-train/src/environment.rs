//! The machine and the software, for `results.json`.

use std::{num::NonZero, thread};

use burn::tensor::Device;
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use crate::{backend, record::Environment};

/// Burn's version, which the workspace pins.
const BURN: &str = "0.22.1";

/// Describes this machine; `backend` is the name that `device` was opened by.
pub fn of(backend: &str, device: &Device) -> Environment {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    Environment {
        rectify: env!("CARGO_PKG_VERSION").to_owned(),
        burn: BURN.to_owned(),
        backend: backend.to_owned(),
        adapter: backend::adapter_name(device),
        cpu: system.cpus().first().map_or("unknown".to_owned(), |cpu| cpu.brand().trim().to_owned()),
        threads: thread::available_parallelism().map_or(1, NonZero::get),
    }
}

/// Of a training in a loop of one's own.
pub fn of_own(device: &Device) -> Environment {
    of("a loop of its own", device)
}

/// Of runs that do not say where they were trained.
pub fn unknown(backend: &str) -> Environment {
    let unknown = || "unknown".to_owned();
    Environment {
        rectify: unknown(),
        burn: unknown(),
        backend: backend.to_owned(),
        adapter: None,
        cpu: unknown(),
        threads: 0,
    }
}
