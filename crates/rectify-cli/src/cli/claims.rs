//! The flags of `claims`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use rectify_train::{backend, claims::CLAIMS, experiment::Shard};

use super::{Output, value};

fn ids() -> Vec<&'static str> {
    CLAIMS.iter().map(|claim| claim.id).collect()
}

/// Flags of `claims`.
#[derive(Debug, Args)]
pub struct ClaimsArgs {
    /// Claims to test, as `--list` names them [default: all]
    #[arg(value_name = "ID", value_parser = value::among(&ids()), hide_possible_values = true)]
    pub ids: Vec<String>,
    /// Say what each claim says, by what it is judged and why, and do nothing
    #[arg(long, conflicts_with_all = ["quick", "thorough", "budget", "out", "resume", "backend", "jobs", "verbose"])]
    pub list: bool,
    /// Two seeds on little data, within a minute: what each leans to
    #[arg(long, conflicts_with = "thorough")]
    pub quick: bool,
    /// More seeds, whole training sets
    #[arg(long)]
    pub thorough: bool,
    /// Time for all claims together, as 10m or 2h: seeds are added until each is settled or has had its part
    #[arg(long, value_name = "TIME", value_parser = value::time(), allow_negative_numbers = true)]
    pub budget: Option<Duration>,
    /// Test every Nth of the claims, from the Ith of 0 to N-1 on; `rectify report` joins the folders [default: all]
    #[arg(long, value_name = "I/N", value_parser = value::word::<Shard>(&[]))]
    pub shard: Option<Shard>,
    /// Judge the claims of a folder again, from what was measured there, and train nothing
    #[arg(long, value_name = "DIR", conflicts_with_all = ["ids", "list", "quick", "thorough", "budget", "shard", "out", "resume", "backend", "jobs"])]
    pub judge: Option<PathBuf>,
    /// Folder for results; a new one under runs/ by default
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on in a folder: claims that are finished there are not tested again
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "quick", "thorough", "shard", "backend"])]
    pub resume: Option<PathBuf>,
    /// flex, ndarray, wgpu, wgpu:1, auto, …: see `rectify backends` [default: flex]
    #[arg(long, value_name = "NAME", value_parser = value::word::<String>(backend::NAMES), hide_possible_values = true)]
    pub backend: Option<String>,
    /// Trainings side by side; only times depend on it [default: one a core; GPU: 1]
    #[arg(long, value_name = "N", value_parser = value::count(), allow_negative_numbers = true)]
    pub jobs: Option<usize>,
    /// Say too what decides each: the first condition with its interval, seeds, time, and what would settle it
    #[arg(long)]
    pub verbose: bool,
    #[command(flatten)]
    pub output: Output,
}
