//! What is said about records: sentences and diagnoses, on made-up runs. Nothing here trains, so that `mutants/judge` can
//! run it without Burn.

mod causes;
mod data;
mod detectors;
mod diagnosis;
mod losses;
#[path = "../made/mod.rs"]
mod made;
mod network;
mod records;
mod sentences;
mod tuning;
