//! Trains small networks and watches their layers while they train.
#![warn(missing_docs)]

pub mod activation;
pub mod backend;
pub mod claims;
pub mod compare;
pub mod data;
pub mod environment;
pub mod experiment;
pub mod judge;
mod memory;
pub mod network;
pub mod observe;
pub mod record;
pub mod store;
pub mod train;
pub mod words;

#[cfg(not(feature = "flex"))]
compile_error!("rectify-train draws initial weights on flex: enable the feature flex");
