//! What the CPU kernels have in common: float types, threads, ways of writing, and the processor's vectors.
#![cfg_attr(not(feature = "flex"), allow(dead_code, unused_imports, reason = "NdArray's kernels use some of it"))]

#[cfg(feature = "flex")]
mod computed;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod halves;
#[cfg(feature = "ndarray")]
pub(crate) mod ndarray;
mod parts;
mod vectors;

#[cfg(feature = "flex")]
pub(crate) use computed::Computed;
#[cfg(feature = "flex")]
pub(crate) use flex::{by_dtype, dense, is_dense, tensor};
#[cfg(feature = "flex")]
pub(crate) use halves::{Half, SIXTEEN, Work, dispatch, narrow, widen};
#[cfg(test)]
pub(crate) use parts::STREAM_FROM;
pub(crate) use parts::{
    BLOCK, IN_PLACE_FROM, PART, Way, finish_stream, fresh, fresh_in_blocks, in_parts, rows, stream,
};
pub(crate) use vectors::{LANES, arch, fill};
