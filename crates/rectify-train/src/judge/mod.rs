//! What records say: estimates, verdicts, sentences. It reads records only; nothing here trains or measures.

pub mod findings;
pub mod guessing;
pub mod number;
pub mod paired;
pub mod sentences;
pub mod statistics;
pub mod verdict;
