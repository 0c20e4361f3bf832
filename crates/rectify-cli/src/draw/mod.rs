//! What pages and pictures are drawn with.

pub mod curve;
pub mod function;
pub mod page;
pub mod style;
