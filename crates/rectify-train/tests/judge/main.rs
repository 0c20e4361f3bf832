//! What is said about records: sentences and diagnoses, on made-up runs. Nothing here trains, so that `mutants/judge` can
//! run it without Burn.

mod detectors;
#[path = "../made/mod.rs"]
mod made;
mod sentences;
mod tuning;
