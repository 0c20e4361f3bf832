//! What records say: estimates, verdicts, sentences. It reads records only; nothing here trains or measures.

pub mod sentences;
pub mod statistics;
pub mod verdict;

use self::statistics::{paired_differences, summarize};
use crate::{
    experiment::Experiment,
    record::{DataRecord, Environment, Results, Run, SCHEMA_VERSION},
};

/// Runs with what they come to.
pub fn results(environment: Environment, experiment: Experiment, data: Option<DataRecord>, runs: Vec<Run>) -> Results {
    Results {
        schema_version: SCHEMA_VERSION,
        environment,
        experiment,
        data,
        summary: summarize(&runs),
        paired_differences: paired_differences(&runs),
        runs,
    }
}
