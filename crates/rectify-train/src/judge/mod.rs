//! What records say: estimates, curves, verdicts, sentences. It reads records only; nothing here trains or measures.

pub mod curve;
pub mod sentences;
pub mod statistics;
pub mod verdict;
