//! What pages and pictures are drawn with.

pub mod curve;
pub mod page;
pub mod style;
