//! What records say: estimates, curves, verdicts, sentences. It reads records only; nothing here trains or measures.

pub mod across;
pub mod anytime;
pub mod curve;
pub mod diagnose;
pub mod findings;
pub mod guessing;
pub mod number;
pub mod paired;
pub mod ranking;
pub mod sentences;
pub mod statistics;
pub mod sweep;
pub mod theory;
pub mod tuning;
pub mod verdict;

use self::{paired::paired_differences, ranking::ranking, statistics::summarize};
use crate::{
    experiment::Experiment,
    record::{DataRecord, Environment, Results, Run, SCHEMA_VERSION, Tuning},
};

/// Runs with what they come to.
pub fn results(
    environment: Environment,
    experiment: Experiment,
    data: Option<DataRecord>,
    tuning: Vec<Tuning>,
    runs: Vec<Run>,
) -> Results {
    Results {
        schema_version: SCHEMA_VERSION,
        environment,
        data,
        tuning,
        summary: summarize(&experiment, &runs),
        ranking: ranking(&experiment, &runs),
        paired_differences: paired_differences(&experiment, &runs),
        experiment,
        runs,
    }
}
