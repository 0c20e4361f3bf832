//! Trains small networks and watches their layers while they train.
#![warn(missing_docs)]

pub mod activation;
pub mod data;
pub mod experiment;
pub mod results;
