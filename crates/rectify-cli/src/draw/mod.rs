//! What pages and pictures are drawn with.

pub mod page;
pub mod style;
