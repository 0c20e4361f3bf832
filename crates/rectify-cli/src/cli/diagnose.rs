//! Flags of `diagnose`.

use std::path::PathBuf;

use clap::Args;

use super::{Output, value};

/// Flags of `diagnose`. What needs one that conflicts with another is not missed beside that other, so each conflict is said.
#[derive(Debug, Args)]
pub struct DiagnoseArgs {
    /// Folders of one experiment, as in runs/2026-01-31-compare-mnist
    #[arg(value_name = "DIR", required_unless_present = "self_test", conflicts_with = "self_test")]
    pub folders: Vec<PathBuf>,
    /// Try the remedies of the worst run in their order, each a training in DIR/repair, until one is healthy and learns
    #[arg(long, conflicts_with = "self_test")]
    pub repair: bool,
    /// With --repair: trainings to try, beside one of the same network with defaults
    #[arg(
        long,
        value_name = "N",
        default_value = "5",
        requires = "repair",
        conflicts_with = "self_test",
        value_parser = value::count(),
        allow_negative_numbers = true
    )]
    pub attempts: usize,
    /// Exit with 1 where a run is not healthy
    #[arg(long, conflicts_with = "self_test")]
    pub strict: bool,
    /// Plant faults in small trainings and count which are found, missed and repaired, and false alarms
    #[arg(long)]
    pub self_test: bool,
    /// With --self-test: seeds of each half of the faults
    #[arg(
        long,
        value_name = "N",
        default_value = "2",
        requires = "self_test",
        conflicts_with = "folders",
        value_parser = value::count(),
        allow_negative_numbers = true
    )]
    pub seeds: usize,
    /// With --self-test: only faults whose name contains this, as in `rate` or `healthy`
    #[arg(long, value_name = "TEXT", requires = "self_test", conflicts_with = "folders")]
    pub only: Option<String>,
    /// With --self-test: trainings side by side [default: one a core]
    #[arg(
        long,
        value_name = "N",
        requires = "self_test",
        conflicts_with = "folders",
        value_parser = value::count(),
        allow_negative_numbers = true
    )]
    pub jobs: Option<usize>,
    #[command(flatten)]
    pub output: Output,
}
