//! A file a subcommand.

pub mod claims;
pub mod compare;
pub mod completions;
pub mod diagnose;
pub mod eval;
pub mod export;
pub mod gradcheck;
pub mod listing;
pub mod live;
pub mod plot;
pub mod predict;
pub mod report;
pub mod saliency;
pub mod self_test;
pub mod sweep;
