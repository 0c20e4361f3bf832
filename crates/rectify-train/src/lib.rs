//! Trains small networks and watches their layers while they train.
#![warn(missing_docs)]

pub mod activation;
pub mod backend;
pub mod claims;
pub mod experiment;
pub mod results;
pub mod statistics;
