//! Results in the formats of other tools: metrics as a table, weights as a file that PyTorch loads.

mod metrics;
#[cfg(feature = "parquet")]
mod parquet;
mod table;
mod weights;

pub use self::{
    metrics::{metrics, runs_of},
    table::{Column, Table, TableFormat, Values},
    weights::{Exported, WeightsExportError, export_weights, read_weights},
};
